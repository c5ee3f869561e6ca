//! The way back, and the refusals that mean that there is nothing to do.

use super::checks::left_behind;
use crate::next::Tolerated;
use crate::{Job, ReasonCode, State, Undo};

/// What is to be undone for a job in its state, as a stack. `is_untouched`: the call of the present state had
/// no effect for sure. A call that may have had one is undone: every undo is safe where nothing was done.
pub(crate) fn undo(job: &Job, is_untouched: bool) -> Vec<Undo> {
    use Undo::{ResetTarget, ReturnTarget, StartSource, SwapBack, ThawSource, UninstallTarget};
    // Of the calls that may have worked; settings and modules are undone anyway, for the next job's sake.
    let maybe = |undo: Undo| (!is_untouched).then_some(undo);
    let target = [ReturnTarget, ResetTarget, UninstallTarget];
    let source = [ThawSource, StartSource];
    match &job.state {
        State::Queued | State::Inspected { .. } | State::Admitted { .. } => Vec::new(),
        State::Reserved { .. } => vec![ReturnTarget, ResetTarget],
        State::Configured | State::Installed => target.to_vec(),
        // What was offered is withdrawn by a thaw.
        State::Precopying | State::Provisioned if job.plan.wants_precopy(job.counters.used_pages) => {
            target.into_iter().chain([ThawSource]).collect()
        }
        State::Offering | State::Precopying | State::Provisioned => {
            target.into_iter().chain(maybe(ThawSource)).collect()
        }
        // A stop that is not done may be under way; and a source that somebody else stopped must serve again.
        State::Frozen
        | State::Stopped
        | State::Restarted
        | State::Sealed { .. }
        | State::Pulled { .. }
        | State::TargetVerified { .. } => target.into_iter().chain(source).collect(),
        State::Switching { next, .. } => target
            .into_iter()
            .chain(source)
            .chain((0..*next).map(|index| SwapBack { index }))
            .chain(maybe(SwapBack { index: *next }))
            .collect(),
        State::Committed { .. }
        | State::Retired { .. }
        | State::Retaining { .. }
        | State::Confirming { .. }
        | State::Assessing { .. }
        | State::Rechecking { .. }
        | State::Draining { .. }
        | State::Entombing { .. }
        | State::Stopping { .. }
        | State::Checking { .. }
        | State::Deleting { .. }
        | State::RollingBack { .. }
        | State::Done { .. }
        | State::RolledBack { .. }
        | State::Parked { .. }
        | State::Repack(_) => Vec::new(),
    }
}

/// What a refusal with that code means, other than that it was refused.
pub(crate) fn tolerates(job: &Job, code: ReasonCode) -> Option<Tolerated> {
    match (&job.state, code) {
        // Nobody is there to be copied, or to copy.
        (State::Offering | State::Precopying, ReasonCode::Gone) => None,
        // A pre-copy makes the freeze shorter, no more: on without the rest of it.
        (State::Offering | State::Precopying, _) => Some(Tolerated::Enter(State::Provisioned)),
        // A source that is gone writes no more.
        (State::Committed { root }, ReasonCode::Gone) => {
            Some(Tolerated::Enter(State::Retired { root: *root }))
        }
        // Its fingerprint differs, or its root: looking again does not help.
        (State::Rechecking { .. }, ReasonCode::ChangedAfterSeal) => Some(Tolerated::Park(left_behind())),
        // A source that is gone need not be deleted, and has no cycles to save.
        (
            State::Rechecking { root }
            | State::Draining { root }
            | State::Entombing { root }
            | State::Stopping { root }
            | State::Checking { root }
            | State::Deleting { root, .. },
            ReasonCode::Gone,
        ) => Some(Tolerated::Enter(State::Done { root: *root })),
        (State::RollingBack { undo, .. }, code) => match (undo.last()?, code) {
            // No route names the target, or it names what an operator made it name.
            (Undo::SwapBack { .. }, ReasonCode::NoRoute | ReasonCode::RouteConflict) => {
                Some(Tolerated::Undone)
            }
            // Another job's fence is not ours to open.
            (Undo::ThawSource, ReasonCode::HeldByOther) => Some(Tolerated::Undone),
            (Undo::UninstallTarget | Undo::ResetTarget, ReasonCode::Gone) => Some(Tolerated::Undone),
            _ => None,
        },
        _ => None,
    }
}
