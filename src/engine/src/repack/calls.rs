//! The one call of each state, and the observation that goes with it.

use super::RepackState;
use super::restore::{restore_call, restore_observation};
use crate::{Effect, Held, Job, ModuleRole, SnapshotPair, State, Strategy, Undo};

/// The call that takes the job out of its state. `None`: the state needs none.
pub(crate) fn call(job: &Job) -> Option<Effect> {
    let (source, image) = (job.source, job.image());
    let held = job.held.as_ref();
    Some(match &job.state {
        State::Queued => Effect::CanisterStatus { canister: source },
        State::Committed { .. } => Effect::Start { canister: image },
        State::Retired { .. } => Effect::CanisterStatus { canister: image },
        State::RollingBack { undo, .. } => return undo_call(job, *undo.last()?),
        State::Repack(at) => match at {
            RepackState::Inspected { .. } => Effect::ListSnapshots { canister: source },
            RepackState::Listed { .. } => Effect::TakeSnapshot { canister: source, replaced: None },
            RepackState::Surveyed { .. } | RepackState::Timing | RepackState::Saved => {
                Effect::ReadImage { canister: source, snapshot: held?.saved.clone()? }
            }
            RepackState::Learning { .. } => Effect::KeepModule {
                canister: source,
                snapshot: held?.saved.clone()?,
                module_hash: held?.module_hash,
            },
            RepackState::Ready => Effect::Stop { canister: source },
            RepackState::Stopped => {
                Effect::Upgrade { canister: source, module_hash: held?.module_hash, skips_pre_upgrade: false }
            }
            RepackState::Still | RepackState::Flushed => {
                Effect::TakeSnapshot { canister: source, replaced: held?.saved.clone() }
            }
            RepackState::Halting => Effect::Stop { canister: job.target? },
            RepackState::Planned => Effect::UploadMetadata {
                canister: source,
                saved: held?.saved.clone()?,
                to: image,
                pages: held?.compact_pages,
            },
            RepackState::Uploading { walk } => Effect::UploadPages { pair: pair(job, held?)?, walk: *walk },
            RepackState::Comparing { walk, .. } => {
                Effect::ComparePages { pair: pair(job, held?)?, walk: *walk }
            }
            RepackState::Guarding { .. } => Effect::CanisterStatus { canister: source },
            RepackState::Compared { .. } => {
                Effect::LoadSnapshot { canister: image, snapshot: held?.uploaded.clone()? }
            }
            RepackState::Loaded { .. } => {
                Effect::Upgrade { canister: image, module_hash: held?.module_hash, skips_pre_upgrade: true }
            }
            RepackState::Rebuilt { .. } => {
                Effect::TakeSnapshot { canister: image, replaced: held?.uploaded.clone() }
            }
            RepackState::Rearming { .. } => Effect::CopyMetadata {
                canister: image,
                base: held?.uploaded.clone()?,
                timer_nanos: held?.timer_nanos?,
            },
            RepackState::Copying { walk, .. } => Effect::CopyPages {
                canister: image,
                base: held?.uploaded.clone()?,
                copy: held?.copy.clone()?,
                walk: *walk,
            },
            RepackState::Copied { .. } => {
                Effect::LoadSnapshot { canister: image, snapshot: held?.copy.clone()? }
            }
            RepackState::DroppingCopy { .. } => {
                Effect::DeleteSnapshot { canister: image, snapshot: held?.copy.clone()? }
            }
            RepackState::Reinstalled { .. } | RepackState::Serving { .. } => {
                Effect::CanisterStatus { canister: image }
            }
            RepackState::Checked { .. } | RepackState::Reopening { .. } => Effect::Start { canister: source },
            RepackState::DroppingUploaded { .. } => {
                Effect::DeleteSnapshot { canister: image, snapshot: held?.uploaded.clone()? }
            }
            RepackState::DroppingSaved { .. } => {
                Effect::DeleteSnapshot { canister: source, snapshot: held?.saved.clone()? }
            }
            RepackState::Emptying { .. } => {
                let Strategy::RelocateSnapshot { tombstone_hash } = job.plan.strategy else { return None };
                Effect::Install { canister: source, role: ModuleRole::Tombstone, module_hash: tombstone_hash }
            }
            RepackState::Retaining { .. } => return None,
        },
        _ => return None,
    })
}

/// The call that undoes.
fn undo_call(job: &Job, undo: Undo) -> Option<Effect> {
    let held = job.held.as_ref()?;
    Some(match undo {
        Undo::LoadSaved => Effect::LoadSnapshot { canister: job.source, snapshot: held.saved.clone()? },
        Undo::StartTarget => Effect::Start { canister: job.target? },
        Undo::RestoreTimer => return restore_call(job),
        // The list says what there is to delete, also when nobody knows what became of a call.
        Undo::DropSaved | Undo::DropUploaded | Undo::DropCopy | Undo::DropRestored => {
            let is_of_image = matches!(undo, Undo::DropUploaded | Undo::DropCopy);
            let canister = if is_of_image { job.image() } else { job.source };
            match &held.dropping {
                Some(snapshot) => Effect::DeleteSnapshot { canister, snapshot: snapshot.clone() },
                None => Effect::ListSnapshots { canister },
            }
        }
        _ => return None,
    })
}

/// The look at what became of the state's call. `None`: it is answered alike however often it is asked, so
/// that a repetition is the look.
pub(crate) fn observation(job: &Job) -> Option<Effect> {
    let (source, image) = (job.source, job.image());
    match &job.state {
        State::Committed { .. } => Some(Effect::CanisterStatus { canister: image }),
        State::Repack(at) => match at {
            // A second snapshot is not the first one: the list says whether there is one.
            RepackState::Listed { .. } | RepackState::Still | RepackState::Flushed => {
                Some(Effect::ListSnapshots { canister: source })
            }
            RepackState::Planned | RepackState::Rebuilt { .. } | RepackState::Rearming { .. } => {
                Some(Effect::ListSnapshots { canister: image })
            }
            RepackState::Ready | RepackState::Checked { .. } | RepackState::Reopening { .. } => {
                Some(Effect::CanisterStatus { canister: source })
            }
            // A second upgrade would run `post_upgrade` on what the first one left.
            RepackState::Halting | RepackState::Loaded { .. } => {
                Some(Effect::CanisterStatus { canister: image })
            }
            // The tombstone may be drained: it is not installed twice.
            RepackState::Emptying { .. } => Some(Effect::CanisterStatus { canister: source }),
            // They look themselves.
            RepackState::Inspected { .. }
            | RepackState::Surveyed { .. }
            | RepackState::Learning { .. }
            | RepackState::Timing
            | RepackState::Saved
            | RepackState::Comparing { .. }
            | RepackState::Guarding { .. }
            | RepackState::Reinstalled { .. }
            | RepackState::Serving { .. } => None,
            // An upgrade with the same module, the same bytes at the same place, the same snapshot once
            // more: it is as it was. A snapshot that is gone is refused as such.
            RepackState::Stopped
            | RepackState::Uploading { .. }
            | RepackState::Compared { .. }
            | RepackState::Copying { .. }
            | RepackState::Copied { .. }
            | RepackState::DroppingCopy { .. }
            | RepackState::DroppingUploaded { .. }
            | RepackState::DroppingSaved { .. } => None,
            RepackState::Retaining { .. } => None,
        },
        State::RollingBack { undo, .. } if undo.last() == Some(&Undo::RestoreTimer) => {
            restore_observation(job)
        }
        // The other undos by snapshot are safe to repeat, and the list looks itself.
        _ => None,
    }
}

fn pair(job: &Job, held: &Held) -> Option<SnapshotPair> {
    Some(SnapshotPair {
        source: job.source,
        saved: held.saved.clone()?,
        image: job.image(),
        uploaded: held.uploaded.clone()?,
    })
}
