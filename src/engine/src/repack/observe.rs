//! What follows from the look at what became of a call.

use super::RepackState;
use crate::next::Verdict;
use crate::{Job, Reason, ReasonCode, RunState, SnapshotId, State, Value, Why};

/// What `value`, the answer to the state's observation, says of its call.
pub(crate) fn verdict(job: &Job, value: &Value) -> Result<Verdict, Why> {
    let held = job.held.as_ref();
    Ok(match (&job.state, value) {
        (
            State::Repack(RepackState::Listed { .. } | RepackState::Planned | RepackState::Rearming { .. })
            | State::RollingBack { .. },
            Value::Snapshots(all),
        ) => match new_ones(job, all).as_slice() {
            [] => Verdict::NotYet,
            [id] => Verdict::Answered(Value::Snapshot(id.clone())),
            several => too_many(several.len()),
        },
        (
            State::Repack(at @ (RepackState::Still | RepackState::Flushed | RepackState::Rebuilt { .. })),
            Value::Snapshots(all),
        ) => {
            let replaced = held.and_then(|held| match at {
                RepackState::Rebuilt { .. } => held.uploaded.as_ref(),
                _ => held.saved.as_ref(),
            });
            let has_place = replaced.is_some_and(|replaced| all.contains(replaced));
            match new_ones(job, all).as_slice() {
                // It takes the place of that one in one step: while that is there, what is new is not ours.
                _ if has_place => Verdict::NotYet,
                [id] => Verdict::Answered(Value::Snapshot(id.clone())),
                several => too_many(several.len()),
            }
        }
        (State::Repack(RepackState::Ready | RepackState::Halting), Value::Canister(view)) => {
            happened(view.run_state == RunState::Stopped)
        }
        (
            State::Repack(RepackState::Checked { .. } | RepackState::Reopening { .. })
            | State::Committed { .. },
            Value::Canister(view),
        ) => happened(view.run_state == RunState::Running),
        (State::Repack(RepackState::Loaded { .. }), Value::Canister(view)) => {
            happened(view.module_hash == job.own_module())
        }
        (State::Repack(RepackState::Emptying { .. }), Value::Canister(view)) => {
            // The source's own module, or what took its place.
            happened(view.module_hash != job.own_module())
        }
        (State::Repack(_) | State::Committed { .. }, Value::Gone) => {
            Verdict::Contradiction(Reason::new(ReasonCode::Gone, format!("when {}", job.state.name())))
        }
        (_, other) => return Err(Why::WrongValue { value: other.name() }),
    })
}

/// Snapshots that were not there when the job began, and that it does not know.
pub(super) fn new_ones(job: &Job, all: &[SnapshotId]) -> Vec<SnapshotId> {
    let Some(held) = &job.held else { return Vec::new() };
    let is_known = |id: &SnapshotId| {
        let is_it = |own: &Option<SnapshotId>| own.as_ref() == Some(id);
        held.foreign.contains(id) || is_it(&held.saved) || is_it(&held.uploaded) || is_it(&held.copy)
    };
    all.iter().filter(|id| !is_known(id)).cloned().collect()
}

fn too_many(count: usize) -> Verdict {
    let detail = format!("{count} new snapshots: somebody else makes or deletes some");
    Verdict::Contradiction(Reason::new(ReasonCode::Contradiction, detail))
}

fn happened(has: bool) -> Verdict {
    if has { Verdict::Happened } else { Verdict::NotYet }
}
