//! What a strategy must say, and which one is asked.
//!
//! | function | says |
//! |---|---|
//! | [`call`] | the one call of a state |
//! | [`observation`] | the look at what became of it |
//! | [`advance`] | what follows from its value |
//! | [`verdict`] | what follows from the look |
//! | [`tolerates`] | which refusals mean that it is as it should be |
//! | [`undo`] | the way back |

use crate::next::{Next, Tolerated, Verdict};
use crate::{
    Effect, Job, Limits, ReasonCode, RepackState, State, TimeNanos, Undo, Value, Why, relocate, repack,
};

/// Whether the job's state is one that the strategies by snapshot speak for. States that both know, and
/// undos that both have, are the other one's.
fn is_by_snapshot(job: &Job) -> bool {
    match &job.state {
        State::Repack(_) => true,
        State::RollingBack { undo, .. } => undo.last().is_some_and(|undo| undo.is_by_snapshot()),
        State::Queued | State::Committed { .. } | State::Retired { .. } => job.plan.strategy.is_by_snapshot(),
        _ => false,
    }
}

/// The call that takes the job out of its state. `None`: the state needs none.
pub(crate) fn call(job: &Job, limits: &Limits) -> Option<Effect> {
    if is_by_snapshot(job) { repack::call(job) } else { relocate::call(job, limits) }
}

/// The look at what became of the state's call. `None`: a repetition is the look.
pub(crate) fn observation(job: &Job) -> Option<Effect> {
    if is_by_snapshot(job) { repack::observation(job) } else { relocate::observation(job) }
}

/// What follows when the call of the job's state answered `value`.
pub(crate) fn advance(job: &mut Job, value: Value, now_nanos: TimeNanos) -> Result<Next, Why> {
    if is_by_snapshot(job) {
        return repack::advance(job, value, now_nanos);
    }
    match (&job.state, value) {
        (State::Reserved { .. }, Value::Acknowledged) if job.plan.strategy.is_by_snapshot() => {
            Ok(Next::Enter(State::Repack(RepackState::Ready)))
        }
        (State::Switching { root, next }, Value::Acknowledged)
            if job.plan.strategy.is_by_snapshot()
                && usize::from(*next).saturating_add(1) >= job.indexes.len() =>
        {
            Ok(Next::Enter(State::Repack(RepackState::Guarding { root: *root })))
        }
        (_, value) => relocate::advance(job, value, now_nanos),
    }
}

/// What `value`, the answer to the state's observation, says of its call.
pub(crate) fn verdict(job: &Job, value: &Value) -> Result<Verdict, Why> {
    if is_by_snapshot(job) { repack::verdict(job, value) } else { relocate::verdict(job, value) }
}

/// What is to be undone for a job in its state, as a stack. `is_untouched`: the call of the present state had
/// no effect for sure. A call that may have had one is undone: every undo is safe where nothing was done.
pub(crate) fn undo(job: &Job, is_untouched: bool) -> Vec<Undo> {
    match job.plan.strategy.is_by_snapshot() {
        true => repack::undo(job, is_untouched),
        false => relocate::undo(job, is_untouched),
    }
}

/// What a refusal with that code means, other than that it was refused.
pub(crate) fn tolerates(job: &mut Job, code: ReasonCode, now_nanos: TimeNanos) -> Option<Tolerated> {
    if is_by_snapshot(job) { repack::tolerates(job, code, now_nanos) } else { relocate::tolerates(job, code) }
}
