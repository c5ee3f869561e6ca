//! The strategy Relocate: to a fresh canister, which pulls the state itself. Read the files in this order: each
//! has the states of a part of the way, in the order in which a job passes them.
//!
//! | file | states |
//! |---|---|
//! | `begin` | Queued → Inspected → Admitted → Reserved → Configured → Installed → (Offering → Precopying) → Provisioned |
//! | `fence` | Provisioned → Frozen → Stopped → Restarted → Sealed |
//! | `moving` | Sealed → Pulled → TargetVerified → Switching |
//! | `end` | **commit point** Committed → Retired → Retaining → Confirming → Assessing → Rechecking → Lowering → Draining (→ Telling, Raising) → Entombing, or Stopping → Deleting → Done |
//! | `revert` | Retaining → Reverting → the way back, or Retaining again |
//! | `recycle` | Stopping → Emptying → Clearing → Waking → Handing → Done, where the plan recycles |
//! | `back` (beside this folder) | the way back, undo by undo |
//!
//! `moving`, `end` and `recycle` serve a relocation by vessels too: its source and its target answer as the kit does.

pub(crate) mod begin;
mod checks;
pub(crate) mod end;
mod fence;
pub(crate) mod moving;
mod recycle;
pub(crate) mod revert;

use crate::rules::Rules;
use crate::{Job, Limits, State, TimeNanos};

pub use revert::{RevertState, Reverting};

pub(crate) use checks::{
    controlled_as_given, fingerprint_fits, planned, running, settings_fit, snapshots, source_gone,
};

/// What the job's state says of itself. `None`: it lacks what the state needs, which no job does that keeps its
/// invariants.
pub(crate) fn rules(job: &Job, now_nanos: TimeNanos, limits: &Limits) -> Option<Rules> {
    match job.state.clone() {
        State::Queued => Some(begin::queued(job)),
        State::Inspected { settings } => Some(begin::inspected(job, settings)),
        State::Admitted { .. } => Some(begin::admitted(job)),
        State::Reserved { settings } => begin::reserved(job, settings),
        State::Configured => begin::configured(job),
        State::Installed => begin::installed(job),
        State::Offering => begin::offering(job),
        State::Precopying => begin::precopying(job, limits),
        State::Provisioned => fence::provisioned(job),
        State::Frozen => Some(fence::frozen(job)),
        State::Stopped => Some(fence::stopped(job)),
        State::Restarted => Some(fence::restarted(job)),
        State::Sealed { seal } => moving::sealed(job, seal, limits),
        State::Pulled { seal } => moving::pulled(job, seal),
        State::TargetVerified { seal } => moving::target_verified(job, seal),
        State::Switching { root, next } => moving::switching(job, root, next),
        State::Committed { root } => end::committed(job, root),
        State::Retired { root } => end::retired(job, root, now_nanos),
        State::Confirming { root, then } => end::confirming(job, root, then),
        State::Assessing { root } => Some(end::assessing(job, root)),
        State::Rechecking { root } => Some(end::rechecking(job, root)),
        State::Telling { root, freezing_seconds } => end::telling(job, root, freezing_seconds),
        // A job of an earlier build: nobody knows what its threshold is.
        State::Lowering { root, .. } | State::Draining { root, freezing_seconds: None, .. } => {
            Some(end::lowering(job, root))
        }
        State::Draining { root, freezing_seconds: Some(seconds), is_told } => {
            end::draining(job, root, seconds, is_told, limits)
        }
        State::Raising { root, freezing_seconds, reason } => {
            Some(end::raising(job, root, freezing_seconds, reason))
        }
        State::Reverting(reverting) => revert::rules(job, reverting),
        State::Entombing { root } => end::entombing(job, root),
        State::Stopping { root } => Some(end::stopping(job, root)),
        State::Checking { root } => Some(end::checking(job, root)),
        State::Deleting { root, .. } => Some(end::deleting(job, root)),
        State::Emptying { root } => Some(recycle::emptying(job, root)),
        State::Clearing { root } => Some(recycle::clearing(job, root)),
        State::Waking { root } => Some(recycle::waking(job, root)),
        State::Handing { .. }
        | State::Retaining { .. }
        | State::Done { .. }
        | State::RolledBack { .. }
        | State::Parked { .. } => Some(Rules::none()),
        State::RollingBack { .. } | State::Vessel(_) | State::OfOldBuild(_) => None,
    }
}
