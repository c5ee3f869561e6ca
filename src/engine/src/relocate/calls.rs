//! The one call of each state, and the observation that goes with it.

use candid::Principal;

use crate::{Effect, Job, Limits, ModuleRole, Retention, State, Undo};

/// The call that takes the job out of its state. `None`: the state needs none.
pub(crate) fn call(job: &Job, limits: &Limits) -> Option<Effect> {
    let source = job.source;
    Some(match &job.state {
        State::Queued | State::Checking { .. } => Effect::CanisterStatus { canister: source },
        State::Inspected { .. } => Effect::KitStatus { canister: source },
        State::Reserved { settings } => {
            Effect::UpdateSettings { canister: job.target?, settings: settings.clone() }
        }
        State::Configured => Effect::Install {
            canister: job.target?,
            role: ModuleRole::Compact,
            module_hash: job.plan.compact_module()?,
        },
        State::Installed => {
            Effect::ImportBegin { target: job.target?, source, bucket_pages: job.plan.bucket_pages }
        }
        State::Offering => Effect::Offer { source, reader: job.target? },
        State::Precopying => {
            Effect::Precopy { target: job.target?, max_batches: limits.max_batches_per_pull }
        }
        State::Provisioned => Effect::Freeze { source, reader: job.target? },
        State::Frozen | State::Stopping { .. } => Effect::Stop { canister: source },
        State::Stopped => Effect::Start { canister: source },
        State::Restarted => Effect::Seal { source },
        State::Sealed { seal } => {
            Effect::Pull { target: job.target?, root: seal.root, max_batches: limits.max_batches_per_pull }
        }
        State::Pulled { .. } => Effect::Verify { target: job.target? },
        State::TargetVerified { .. } | State::Rechecking { .. } => Effect::Recheck { source },
        State::Switching { next, .. } => {
            Effect::Swap { index: index_at(job, *next)?, from: source, to: job.target? }
        }
        State::Committed { .. } => Effect::Retire { source, to: job.target? },
        State::Retired { .. } => Effect::Activate { target: job.target? },
        State::Confirming { .. } => Effect::KitStatus { canister: job.target? },
        State::Assessing { .. } => Effect::CheckAssets { canister: source },
        State::Draining { .. } => {
            let keep_cycles = match job.plan.retention {
                Retention::Tombstone { .. } => limits.keep_as_tombstone_cycles,
                Retention::Frozen { .. } | Retention::None => limits.keep_until_deletion_cycles,
            };
            Effect::Drain { source, to: job.target?, keep_cycles }
        }
        State::Entombing { .. } => {
            let Retention::Tombstone { module_hash } = job.plan.retention else { return None };
            Effect::Install { canister: source, role: ModuleRole::Tombstone, module_hash }
        }
        State::Deleting { .. } => Effect::Delete { canister: source },
        State::RollingBack { undo, .. } => match undo.last()? {
            Undo::ReturnTarget => return None,
            Undo::ResetTarget => Effect::ResetSettings { canister: job.target? },
            Undo::UninstallTarget => Effect::Uninstall { canister: job.target? },
            Undo::ThawSource => Effect::Thaw { source },
            Undo::StartSource => Effect::Start { canister: source },
            Undo::SwapBack { index } => {
                Effect::Swap { index: index_at(job, *index)?, from: job.target?, to: source }
            }
            // The others are by snapshot.
            _ => return None,
        },
        State::Admitted { .. }
        | State::Retaining { .. }
        | State::Done { .. }
        | State::RolledBack { .. }
        | State::Parked { .. }
        | State::Repack(_) => return None,
    })
}

/// The look at what became of the state's call. `None`: it is answered alike however often it is asked, so
/// that a repetition is the look.
pub(crate) fn observation(job: &Job) -> Option<Effect> {
    let source = job.source;
    Some(match &job.state {
        State::Reserved { .. } | State::Configured => Effect::CanisterStatus { canister: job.target? },
        State::Installed | State::Retired { .. } => Effect::KitStatus { canister: job.target? },
        State::Provisioned | State::Committed { .. } => Effect::KitStatus { canister: source },
        State::Frozen
        | State::Stopped
        | State::Entombing { .. }
        | State::Stopping { .. }
        | State::Deleting { .. } => Effect::CanisterStatus { canister: source },
        State::RollingBack { undo, .. } => match undo.last()? {
            Undo::UninstallTarget => Effect::CanisterStatus { canister: job.target? },
            Undo::ThawSource => Effect::KitStatus { canister: source },
            Undo::StartSource => Effect::CanisterStatus { canister: source },
            // Setting defaults again and swapping again are answered as the first time.
            Undo::ReturnTarget | Undo::ResetTarget | Undo::SwapBack { .. } => return None,
            // The others are by snapshot.
            _ => return None,
        },
        // They look themselves.
        State::Queued
        | State::Inspected { .. }
        | State::Confirming { .. }
        | State::Assessing { .. }
        | State::Checking { .. } => return None,
        // They answer where they are.
        State::Offering
        | State::Precopying
        | State::Restarted
        | State::Sealed { .. }
        | State::Pulled { .. }
        | State::TargetVerified { .. }
        | State::Rechecking { .. } => return None,
        // A swap that happened answers so; a drain answers what was drained in all.
        State::Switching { .. } | State::Draining { .. } => return None,
        State::Admitted { .. }
        | State::Retaining { .. }
        | State::Done { .. }
        | State::RolledBack { .. }
        | State::Parked { .. }
        | State::Repack(_) => return None,
    })
}

fn index_at(job: &Job, position: u16) -> Option<Principal> {
    job.indexes.get(usize::from(position)).copied()
}
