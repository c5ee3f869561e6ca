//! The strategies Repack and RelocateVessel: for code that nobody can change. A vessel is a module of ours that holds a
//! state and nothing else; a canister is upgraded to it and back, which the dapp's code sees as one ordinary upgrade.
//! Read the files in this order: each has the states of a part of the way, in the order in which a job passes them.
//!
//! | file | states |
//! |---|---|
//! | `begin` | Queued → Listing → Recalling → (Surveying → Surveyed → Learning) → (Admitted → Reserved → Hiring) → Ready |
//! | `undress` | Ready → Still → Saved → Undressing → Undressed → Sealing |
//! | `pour` | Measuring → Owning → Planned → Furnishing → Pouring → Disowning → Halting → Halted → Loaded → Revived → Proving |
//! | `dress` | Resting → Dressing → Dressed → (Timing → Timed) → **commit point of a repack** Starting |
//! | `clean` | Serving → DroppingUploaded → Retaining → DroppingSaved |
//! | `back` (beside this folder) | the way back, undo by undo |
//!
//! With a target the source is sealed, the target pulls, and both are compared as in `relocate::moving`; then the
//! target is dressed, and `moving` and `end` swap the routes and retire the source.

mod begin;
mod checks;
mod clean;
mod dress;
mod pour;
mod states;
mod undress;

use candid::Principal;

use crate::left::Left;
use crate::rules::Rules;
use crate::{Effect, Job, Limits, Retention, State, TimeNanos, Undo};

pub(crate) use begin::queued;
pub(crate) use checks::find_snapshots;
pub use pour::EMPTY_MODULE;
pub(crate) use pour::{controlled_itself, note_owners};
pub use states::{Held, Sought, VesselState};

/// What the job's state says of itself. `None`: it lacks what the state needs.
pub(crate) fn rules(job: &Job, now_nanos: TimeNanos, limits: &Limits) -> Option<Rules> {
    use VesselState as At;
    let State::Vessel(at) = job.state.clone() else { return None };
    match at {
        At::Listing { settings } => Some(begin::listing(job, settings)),
        At::Recalling { settings } => begin::recalling(job, settings),
        At::Surveying { settings } => Some(begin::surveying(job, settings)),
        At::Surveyed { settings } => begin::surveyed(job, settings),
        At::Learning { settings } => begin::learning(job, settings),
        At::Hiring => begin::hiring(job),
        At::Ready => Some(begin::ready(job)),
        At::Still => undress::still(job),
        At::Saved => undress::saved(job),
        At::Undressing => Some(undress::undressing(job)),
        At::Undressed => Some(undress::undressed(job)),
        At::Sealing => Some(undress::sealing(job)),
        At::Measuring { root } => Some(pour::measuring(job, root)),
        At::Owning { root } => pour::owning(job, root),
        At::Planned { root } => pour::planned(job, root),
        At::Furnishing { root } => pour::furnishing(job, root),
        At::Pouring { root } => pour::pouring(job, root, limits),
        At::Disowning { root } => pour::disowning(job, root),
        At::Halting { root } => Some(pour::halting(job, root)),
        At::Halted { root } => pour::halted(job, root),
        At::Loaded { root } => pour::loaded(job, root),
        At::Revived { root } => Some(pour::revived(job, root)),
        At::Proving { root } => Some(pour::proving(job, root)),
        At::Resting { root } => Some(dress::resting(job, root)),
        At::Dressing { root } => dress::dressing(job, root),
        At::Dressed { root } => Some(dress::dressed(job, root)),
        At::Timing { root } => dress::timing(job, root),
        At::Timed { root } => dress::timed(job, root),
        At::Starting { root } => Some(dress::starting(job, root)),
        At::Serving { root } => Some(clean::serving(job, root, now_nanos)),
        At::DroppingUploaded { root } => clean::dropping_uploaded(job, root, now_nanos),
        At::Retaining { .. } => Some(Rules::none()),
        At::DroppingSaved { root } => clean::dropping_saved(job, root),
    }
}

/// A look at a canister of such a job: its status, and what others did to its code since the job looked first.
pub(crate) fn look(left: Option<&Left>, canister: Principal) -> Effect {
    match left {
        Some(left) => Effect::Look { canister, since_nanos: left.since_nanos },
        None => Effect::CanisterStatus { canister },
    }
}

/// The canister that gets the compact image, as this job left it.
fn image_left(job: &Job) -> Option<&Left> {
    if job.target.is_some() { job.target_left.as_ref() } else { job.source_left.as_ref() }
}

fn image_left_mut(job: &mut Job) -> Option<&mut Left> {
    if job.target.is_some() { job.target_left.as_mut() } else { job.source_left.as_mut() }
}

/// What is undone if a snapshot of the running source was taken.
pub(crate) fn saved(job: &Job) -> Option<Undo> {
    job.held.as_ref().filter(|held| held.saved.is_some()).map(|_| Undo::DropSaved)
}

/// What is undone of the target, if there is one.
fn target(job: &Job) -> impl Iterator<Item = Undo> {
    let all = [Undo::ReturnTarget, Undo::ResetTarget, Undo::StartTarget, Undo::UninstallTarget];
    all.into_iter().filter(|_| job.target.is_some())
}

/// What is undone when the source is stopped.
fn stopped_undo(job: &Job) -> Vec<Undo> {
    target(job).chain([Undo::DropSaved, Undo::StartSource]).collect()
}

/// What is undone when the source may run the vessel.
pub(crate) fn sealed_undo(job: &Job) -> Vec<Undo> {
    stopped_undo(job).into_iter().chain([Undo::LoadSaved, Undo::StopSource]).collect()
}

/// The same, when there may be a second snapshot: the uploaded one, or that of a target which told its timer.
pub(crate) fn poured_undo(job: &Job) -> Vec<Undo> {
    let mut undo = sealed_undo(job);
    let has_second = job.held.as_ref().is_some_and(|held| held.uploaded.is_some());
    undo.extend((has_second || job.target.is_none()).then_some(Undo::DropUploaded));
    undo.sort_unstable();
    undo
}

/// Until when a snapshot is kept.
fn kept_until(job: &Job, now_nanos: TimeNanos) -> Option<TimeNanos> {
    match job.plan.retention {
        Retention::Frozen { seconds } => {
            Some(now_nanos.saturating_add(seconds.saturating_mul(1_000_000_000)))
        }
        Retention::Tombstone { .. } | Retention::None => None,
    }
}
