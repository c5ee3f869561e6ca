//! The way back, and the refusals that mean that there is nothing to do.

use super::RepackState;
use super::ends::{after_saved_dropped, after_upload_dropped};
use super::observe::new_ones;
use super::restore::give_up_timer;
use crate::next::{Next, Tolerated};
use crate::{Job, Reason, ReasonCode, SnapshotId, State, TimeNanos, Undo};

/// What is to be undone for a job in its state, as a stack, the last one first. `is_untouched`: the call of
/// the present state had no effect for sure.
pub(crate) fn undo(job: &Job, is_untouched: bool) -> Vec<Undo> {
    use Undo::{
        DropCopy, DropRestored, DropSaved, DropUploaded, LoadSaved, ResetTarget, RestoreTimer, ReturnTarget,
        StartSource, StartTarget, SwapBack, UninstallTarget,
    };
    let maybe = |undo: Undo| (!is_untouched).then_some(undo);
    // Of the target, if the strategy has one; it is reserved when the source is known to be worth it.
    let reserved = job.target.map(|_| vec![ReturnTarget, ResetTarget]).unwrap_or_default();
    let used =
        job.target.map(|_| vec![ReturnTarget, ResetTarget, StartTarget, UninstallTarget]).unwrap_or_default();
    // When the source is looked at once more, every index is swapped.
    let swapped = 0..job.target.map_or(0, |_| u16::try_from(job.indexes.len()).unwrap_or(u16::MAX));
    let image_changed = |undo: Undo| job.target.is_none().then_some(undo);
    // A flush that may have happened has disarmed the timer.
    let is_flushed = match &job.state {
        State::Switching { .. } => true,
        State::Repack(RepackState::Stopped) => !is_untouched,
        State::Repack(at) => at.is_flushed(),
        _ => false,
    };
    let has_timer = is_flushed && job.held.as_ref().is_some_and(|held| held.timer_nanos.is_some());
    let timer = |undo: Undo| has_timer.then_some(undo);
    let has_copy = job.held.as_ref().is_some_and(|held| held.copy.is_some())
        || matches!(job.state, State::Repack(RepackState::Rearming { .. }));
    let copied = |undo: Undo| has_copy.then_some(undo);
    // The source as it stands, stopped, and what was made on the way there and back.
    let stopped = || {
        [DropSaved]
            .into_iter()
            .chain(timer(DropRestored))
            .chain([StartSource])
            .chain(timer(RestoreTimer))
            .chain(copied(DropCopy))
    };
    match &job.state {
        State::Queued => Vec::new(),
        State::Admitted { .. } => vec![DropSaved],
        State::Reserved { .. } => reserved.into_iter().chain([DropSaved]).collect(),
        State::Switching { next, .. } => used
            .into_iter()
            .chain([DropUploaded])
            .chain(stopped())
            .chain((0..*next).map(|index| SwapBack { index }))
            .chain(maybe(SwapBack { index: *next }))
            .collect(),
        State::Repack(at) => match at {
            RepackState::Inspected { .. } => Vec::new(),
            RepackState::Listed { .. } => maybe(DropSaved).into_iter().collect(),
            RepackState::Surveyed { .. } | RepackState::Learning { .. } => vec![DropSaved],
            // A stop that timed out goes on, whatever a later one answers.
            RepackState::Ready
            | RepackState::Still
            | RepackState::Timing
            | RepackState::Stopped
            | RepackState::Flushed
            | RepackState::Saved => reserved.into_iter().chain(stopped()).collect(),
            RepackState::Halting => used.into_iter().chain(stopped()).collect(),
            RepackState::Planned | RepackState::Uploading { .. } | RepackState::Comparing { .. } => {
                used.into_iter().chain([DropUploaded]).chain(stopped()).collect()
            }
            RepackState::Compared { .. } => used
                .into_iter()
                .chain([DropUploaded])
                .chain(stopped())
                .chain(maybe(LoadSaved).and_then(image_changed))
                .collect(),
            RepackState::Loaded { .. }
            | RepackState::Rebuilt { .. }
            | RepackState::Rearming { .. }
            | RepackState::Copying { .. }
            | RepackState::Reinstalled { .. }
            | RepackState::Copied { .. } => used
                .into_iter()
                .chain([DropUploaded])
                .chain(stopped())
                .chain(image_changed(LoadSaved))
                .collect(),
            RepackState::Guarding { .. } => used
                .into_iter()
                .chain([DropUploaded])
                .chain(stopped())
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
    // The size is known before the upload begins, and after all snapshots of the source but a copy are taken.
    let is_before_upload = held.compact_pages == 0;
    let is_of_unsure = match undo {
        Undo::DropSaved => is_before_upload,
        Undo::DropUploaded | Undo::DropCopy => !is_before_upload,
        _ => false,
    };
    if held.is_unsure && (shares_canister || is_of_unsure) {
        // The first list settles what nobody knew: whatever is new in a later one is somebody else's.
        held.is_unsure = false;
        let has_place = match is_before_upload {
            true => is_there(&held.saved),
            false => undo != Undo::DropCopy && is_there(&held.uploaded),
        };
        match own_among(&unknown, has_place) {
            Ok(None) => {}
            Ok(own) => {
                held.dropping = own;
                return Next::Again { done_bytes };
            }
            Err(reason) => return Next::Park { reason, resume },
        }
    }
    let own = match undo {
        Undo::DropSaved => &mut held.saved,
        Undo::DropUploaded => &mut held.uploaded,
        _ => &mut held.copy,
    };
    if is_there(own) {
        held.dropping = own.clone();
        return Next::Again { done_bytes };
    }
    *own = None;
    Next::Undone
}

/// Which of the snapshots that the job does not know it made, when it went back without knowing whether it made one.
/// What takes the place of another one does so in one step: while that is there (`has_place`), what is new is not ours.
pub(super) fn own_among(unknown: &[SnapshotId], has_place: bool) -> Result<Option<SnapshotId>, Reason> {
    match unknown {
        _ if has_place => Ok(None),
        [] => Ok(None),
        [id] => Ok(Some(id.clone())),
        several => {
            let detail = format!("{} new snapshots; delete what this job made", several.len());
            Err(Reason::new(ReasonCode::Contradiction, detail))
        }
    }
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
        (State::Repack(RepackState::DroppingCopy { root }), ReasonCode::NoSnapshot) => {
            if let Some(held) = &mut job.held {
                held.copy = None;
            }
            Some(Tolerated::Enter(State::Repack(RepackState::DroppingUploaded { root })))
        }
        (State::Repack(RepackState::DroppingSaved { root }), ReasonCode::NoSnapshot) => {
            if let Some(held) = &mut job.held {
                held.saved = None;
            }
            Some(Tolerated::Enter(after_saved_dropped(job, root)))
        }
        (State::RollingBack { undo, .. }, code) => match (undo.last()?, code) {
            (
                Undo::DropSaved | Undo::DropUploaded | Undo::DropCopy | Undo::DropRestored,
                ReasonCode::NoSnapshot,
            ) => {
                dropped(job);
                Some(Tolerated::Again)
            }
            (Undo::RestoreTimer, ReasonCode::NoSnapshot) => {
                give_up_timer(job);
                Some(Tolerated::Undone)
            }
            // A canister that is gone has no snapshots.
            (
                Undo::DropSaved
                | Undo::DropUploaded
                | Undo::DropCopy
                | Undo::DropRestored
                | Undo::StartTarget,
                ReasonCode::Gone,
            ) => Some(Tolerated::Undone),
            _ => None,
        },
        _ => None,
    }
}
