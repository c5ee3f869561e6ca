//! What follows from the look at what became of a call.

use crate::next::Verdict;
use crate::{Digest, FenceView, Job, Reason, ReasonCode, Retention, RunState, State, Undo, Value, Why};

/// What `value`, the answer to the state's observation, says of its call.
pub(crate) fn verdict(job: &Job, value: &Value) -> Result<Verdict, Why> {
    Ok(match (&job.state, value) {
        (State::Reserved { settings }, Value::Canister(view)) => happened(view.settings == *settings),
        (State::Configured, Value::Canister(view)) => module_is(view.module_hash, job.plan.compact_module()),
        (State::Installed, Value::Kit(view)) => {
            happened(matches!(view.fence, FenceView::Importing(holder) if holder.is_job(job.id)))
        }
        (State::Provisioned, Value::Kit(view)) => happened(match view.fence {
            FenceView::Frozen(holder) | FenceView::Sealed(holder) => holder.is_job(job.id),
            FenceView::Open | FenceView::Importing(_) | FenceView::Moved { .. } => false,
        }),
        (State::Frozen | State::Stopping { .. }, Value::Canister(view)) => {
            happened(view.run_state == RunState::Stopped)
        }
        (State::Stopped, Value::Canister(view)) => happened(view.run_state == RunState::Running),
        (State::Committed { .. }, Value::Kit(view)) => happened(
            matches!(view.fence, FenceView::Moved { holder, to } if holder.is_job(job.id) && Some(to) == job.target),
        ),
        (State::Retired { .. }, Value::Kit(view)) => {
            happened(!matches!(view.fence, FenceView::Importing(holder) if holder.is_job(job.id)))
        }
        (State::Entombing { .. }, Value::Canister(view)) => happened(match job.plan.retention {
            Retention::Tombstone { module_hash } => view.module_hash == Some(module_hash),
            Retention::Frozen { .. } | Retention::None => false,
        }),
        (State::Deleting { .. }, Value::Canister(_)) => Verdict::NotYet,
        (
            State::Deleting { .. }
            | State::Stopping { .. }
            | State::Entombing { .. }
            | State::Committed { .. },
            Value::Gone,
        ) => Verdict::Happened,
        (State::RollingBack { undo, .. }, value) => return undone(job, undo.last(), value),
        (
            State::Reserved { .. }
            | State::Configured
            | State::Installed
            | State::Provisioned
            | State::Frozen
            | State::Stopped
            | State::Retired { .. },
            Value::Gone,
        ) => Verdict::Contradiction(Reason::new(ReasonCode::Gone, format!("when {}", job.state.name()))),
        (_, other) => return Err(Why::WrongValue { value: other.name() }),
    })
}

/// What `value` says of the topmost undo.
fn undone(job: &Job, undo: Option<&Undo>, value: &Value) -> Result<Verdict, Why> {
    Ok(match (undo, value) {
        (Some(Undo::UninstallTarget), Value::Canister(view)) => happened(view.module_hash.is_none()),
        (Some(Undo::UninstallTarget), Value::Gone) => Verdict::Happened,
        (Some(Undo::StartSource), Value::Canister(view)) => happened(view.run_state == RunState::Running),
        // A look doesn't show whether what was offered to the target is withdrawn: only an answered thaw does.
        (Some(Undo::ThawSource), Value::Kit(_))
            if job.times.fenced_nanos.is_none() && job.plan.wants_precopy(job.counters.used_pages) =>
        {
            Verdict::NotYet
        }
        (Some(Undo::ThawSource), Value::Kit(view)) => {
            happened(view.fence.holder().is_none_or(|holder| !holder.is_job(job.id)))
        }
        (Some(Undo::StartSource | Undo::ThawSource), Value::Gone) => {
            let detail = format!(
                "source {}; target {:?} may hold its state",
                job.source,
                job.target.map(|t| t.to_text())
            );
            Verdict::Contradiction(Reason::new(ReasonCode::Gone, detail))
        }
        (_, other) => return Err(Why::WrongValue { value: other.name() }),
    })
}

fn module_is(found: Option<Digest>, wanted: Option<Digest>) -> Verdict {
    match found {
        Some(hash) if Some(hash) == wanted => Verdict::Happened,
        Some(_) => Verdict::Contradiction(Reason::new(ReasonCode::WrongModule, "on the target")),
        None => Verdict::NotYet,
    }
}

fn happened(has: bool) -> Verdict {
    if has { Verdict::Happened } else { Verdict::NotYet }
}
