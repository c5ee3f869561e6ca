//! The way back, and the refusals that mean that there is nothing to do.

use super::RepackState;
use super::ends::{after_saved_dropped, after_upload_dropped};
use super::observe::new_ones;
use crate::next::{Next, Tolerated};
use crate::{Job, Reason, ReasonCode, SnapshotId, State, TimeNanos, Undo};

/// What is to be undone for a job in its state, as a stack, the last one first. `is_untouched`: the call of
/// the present state had no effect for sure.
pub(crate) fn undo(job: &Job, is_untouched: bool) -> Vec<Undo> {
    use Undo::{
        DropSaved, DropUploaded, LoadSaved, ResetTarget, ReturnTarget, StartSource, StartTarget, SwapBack,
        UninstallTarget,
    };
    let maybe = |undo: Undo| (!is_untouched).then_some(undo);
    // Of the target, if the strategy has one; it is reserved when the source is known to be worth it.
    let reserved = job.target.map(|_| vec![ReturnTarget, ResetTarget]).unwrap_or_default();
    let used =
        job.target.map(|_| vec![ReturnTarget, ResetTarget, StartTarget, UninstallTarget]).unwrap_or_default();
    // When the source is looked at once more, every index is swapped.
    let swapped = 0..job.target.map_or(0, |_| u16::try_from(job.indexes.len()).unwrap_or(u16::MAX));
    let image_changed = |undo: Undo| job.target.is_none().then_some(undo);
    match &job.state {
        State::Queued => Vec::new(),
        State::Admitted { .. } => vec![DropSaved],
        State::Reserved { .. } => reserved.into_iter().chain([DropSaved]).collect(),
        State::Switching { next, .. } => used
            .into_iter()
            .chain([DropUploaded, DropSaved, StartSource])
            .chain((0..*next).map(|index| SwapBack { index }))
            .chain(maybe(SwapBack { index: *next }))
            .collect(),
        State::Repack(at) => match at {
            RepackState::Inspected { .. } => Vec::new(),
            RepackState::Listed { .. } => maybe(DropSaved).into_iter().collect(),
            RepackState::Surveyed { .. } | RepackState::Learning { .. } => vec![DropSaved],
            // A stop that timed out goes on, whatever a later one answers.
            RepackState::Ready | RepackState::Stopped | RepackState::Flushed | RepackState::Saved => {
                reserved.into_iter().chain([DropSaved, StartSource]).collect()
            }
            RepackState::Halting => used.into_iter().chain([DropSaved, StartSource]).collect(),
            RepackState::Planned | RepackState::Uploading { .. } | RepackState::Comparing { .. } => {
                used.into_iter().chain([DropUploaded, DropSaved, StartSource]).collect()
            }
            RepackState::Compared { .. } => used
                .into_iter()
                .chain([DropUploaded, DropSaved, StartSource])
                .chain(maybe(LoadSaved).and_then(image_changed))
                .collect(),
            RepackState::Loaded { .. } | RepackState::Reinstalled { .. } => used
                .into_iter()
                .chain([DropUploaded, DropSaved, StartSource])
                .chain(image_changed(LoadSaved))
                .collect(),
            RepackState::Guarding { .. } => used
                .into_iter()
                .chain([DropUploaded, DropSaved, StartSource])
                .chain(swapped.map(|index| SwapBack { index }))
                .collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// What a list of snapshots says when the job goes back: delete one of ours, or nothing is left.
pub(super) fn listed(job: &mut Job, undo: Undo, all: &[SnapshotId]) -> Next {
    let unknown = new_ones(job, all);
    let done_bytes = job.attempt.done_bytes.saturating_add(1);
    let shares_canister = job.target.is_none();
    let resume = job.state.clone();
    let Some(held) = &mut job.held else { return Next::Undone };
    let is_there = |id: &Option<SnapshotId>| id.as_ref().is_some_and(|id| all.contains(id));
    // The size is known before the upload begins, and after all snapshots of the source are taken.
    let is_before_upload = held.compact_pages == 0;
    let unsure_of = if is_before_upload { Undo::DropSaved } else { Undo::DropUploaded };
    if held.is_unsure && (shares_canister || undo == unsure_of) {
        // The first list settles what nobody knew: whatever is new in a later one is somebody else's.
        held.is_unsure = false;
        // The survey is replaced in one step: while it is there, nothing took its place.
        let has_survey = is_before_upload && is_there(&held.saved);
        match unknown.as_slice() {
            [] => {}
            _ if has_survey => {}
            [id] => {
                held.dropping = Some(id.clone());
                return Next::Again { done_bytes };
            }
            several => {
                let detail = format!("{} new snapshots; delete what this job made", several.len());
                return Next::Park { reason: Reason::new(ReasonCode::Contradiction, detail), resume };
            }
        }
    }
    let own = if undo == Undo::DropSaved { &mut held.saved } else { &mut held.uploaded };
    if is_there(own) {
        held.dropping = own.clone();
        return Next::Again { done_bytes };
    }
    *own = None;
    Next::Undone
}

/// What was to be deleted is: look again.
pub(super) fn dropped(job: &mut Job) -> Next {
    let done_bytes = job.attempt.done_bytes.saturating_add(1);
    if let Some(held) = &mut job.held {
        held.dropping = None;
    }
    Next::Again { done_bytes }
}

/// What a refusal with that code means, other than that it was refused.
pub(crate) fn tolerates(job: &mut Job, code: ReasonCode, now_nanos: TimeNanos) -> Option<Tolerated> {
    match (job.state.clone(), code) {
        // Snapshots that are gone need not be deleted.
        (State::Repack(RepackState::DroppingUploaded { root }), ReasonCode::NoSnapshot) => {
            if let Some(held) = &mut job.held {
                held.uploaded = None;
            }
            Some(Tolerated::Enter(after_upload_dropped(job, root, now_nanos)))
        }
        (State::Repack(RepackState::DroppingSaved { root }), ReasonCode::NoSnapshot) => {
            if let Some(held) = &mut job.held {
                held.saved = None;
            }
            Some(Tolerated::Enter(after_saved_dropped(job, root)))
        }
        (State::RollingBack { undo, .. }, code) => match (undo.last()?, code) {
            (Undo::DropSaved | Undo::DropUploaded, ReasonCode::NoSnapshot) => {
                dropped(job);
                Some(Tolerated::Again)
            }
            // A canister that is gone has no snapshots.
            (Undo::DropSaved | Undo::DropUploaded | Undo::StartTarget, ReasonCode::Gone) => {
                Some(Tolerated::Undone)
            }
            _ => None,
        },
        _ => None,
    }
}
