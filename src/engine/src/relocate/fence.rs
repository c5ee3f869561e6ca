//! The source is fenced, stopped, started and sealed: users wait from here on.

use super::begin::TARGET;
use super::checks::{controlled_as_given, fingerprint_fits, gone, source_gone};
use crate::left::module_as_left;
use crate::rules::{Next, Rules, Verdict, When, happened, run_state, wrong};
use crate::{Effect, FenceView, Job, RunState, State, Undo, Value};

/// What is undone when the source may be fenced, or stopped. A stop that is not done may be under way; and a source
/// that somebody else stopped must serve again.
pub(super) fn source_held() -> impl Iterator<Item = Undo> {
    TARGET.into_iter().chain([Undo::ThawSource, Undo::StartSource])
}

/// The target waits. The freeze refuses what changes the source's state.
pub(super) fn provisioned(job: &Job) -> Option<Rules> {
    let source = job.source;
    let is_offered = job.plan.wants_precopy(job.counters.used_pages);
    let rules = Rules::call(Effect::Freeze { source, reader: job.target? })
        .then(|_| State::Frozen)
        .look(When::AfterLost, Effect::KitStatus { canister: source }, move |job, value| match value {
            Value::Kit(view) => Ok(happened(match view.fence {
                FenceView::Frozen(holder) | FenceView::Sealed(holder) => holder.is_job(job.id),
                FenceView::Open | FenceView::Importing(_) | FenceView::Moved { .. } => false,
            })),
            Value::Gone => Ok(Verdict::Yield(gone(source, "source"))),
            other => wrong(other),
        })
        .undo(TARGET)
        .undo(is_offered.then_some(Undo::ThawSource));
    Some(if is_offered { rules } else { rules.undo_call(Undo::ThawSource) })
}

/// The source takes queries only. A stop closes the calls that it has open, which nothing else does.
pub(super) fn frozen(job: &Job) -> Rules {
    let source = job.source;
    Rules::call(Effect::Stop { canister: source })
        .then(|_| State::Stopped)
        .look_at(When::IfStale, Effect::CanisterStatus { canister: source }, source_gone, |job, view| {
            run_state(module_as_left(job.source_left.as_ref(), view), view, RunState::Stopped)
        })
        .undo(source_held())
}

/// It is stopped. Does it still run the module that the plan named, under the same controllers? Since the freeze no upgrade can
/// change it.
pub(super) fn stopped(job: &Job) -> Rules {
    let source = job.source;
    Rules::call(Effect::Start { canister: source })
        .then(|_| State::Restarted)
        .look_at(When::First, Effect::CanisterStatus { canister: source }, source_gone, |job, view| {
            let as_left = module_as_left(job.source_left.as_ref(), view);
            run_state(as_left.and_then(|()| controlled_as_given(job, view)), view, RunState::Running)
        })
        .undo(source_held())
}

/// It answers again: its state goes to stable memory, and is hashed.
pub(super) fn restarted(job: &Job) -> Rules {
    Rules::call(Effect::Seal { source: job.source })
        .done(|job, value| match value {
            Value::Working { done_bytes } => Ok(Next::Again { done_bytes }),
            Value::Hashed(seal) => Ok(match fingerprint_fits(&seal) {
                Ok(()) => {
                    job.counters.used_pages = seal.used_pages;
                    Next::Enter(State::Sealed { seal })
                }
                Err(reason) => Next::Fail(reason),
            }),
            other => wrong(&other),
        })
        .undo(source_held())
}
