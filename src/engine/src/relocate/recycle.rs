//! Instead of its deletion: the source gives up all that it was, and goes to the pool for later jobs of the plan. Before each
//! step a look finds it as the one before left it; what somebody put into it meanwhile is theirs, and it stays.

use super::checks::snapshots;
use super::end::{look_since_fence, may_go, over};
use crate::rules::{Next, Rules, Verdict, When, happened, wrong};
use crate::{CanisterView, Digest, Effect, Job, Reason, ReasonCode, RunState, State, Value};

/// The source is stopped, and others will have its id: its code, its state and its logs go.
pub(crate) fn emptying(job: &Job, root: Digest) -> Rules {
    let source = job.source;
    let look = look_since_fence(job);
    Rules::call(Effect::Uninstall { canister: source })
        .then(move |_| State::Clearing { root })
        .refused(move |_, code| over(code, root))
        .look(When::First, look, move |job, value| match value {
            Value::Gone => Ok(Verdict::Follow(Next::Enter(State::Done { root }))),
            Value::Canister(view) if job.attempt.is_unsure && view.module_hash.is_none() => {
                Ok(Verdict::Happened)
            }
            Value::Canister(view) => Ok(may_go(job, view, root)),
            other => wrong(other),
        })
}

/// The source is empty. Whoever controlled it, saw its logs, or was let in by its settings, does not any more.
pub(crate) fn clearing(job: &Job, root: Digest) -> Rules {
    let reset = Rules::call(Effect::ResetSettings { canister: job.source });
    of_emptied(job, root, reset, |_, _| Verdict::NotYet).then(move |_| State::Waking { root })
}

/// Nobody controls it but the coordinator: it runs, as every canister of the pool.
pub(crate) fn waking(job: &Job, root: Digest) -> Rules {
    let start = Rules::call(Effect::Start { canister: job.source });
    let verdict = |job: &Job, view: &CanisterView| match view.settings.controllers.len() {
        0 | 1 => happened(view.run_state == RunState::Running),
        controllers => {
            let detail = format!("{} was emptied, and has {controllers} controllers", job.source);
            Verdict::Yield(Reason::new(ReasonCode::OthersActed, detail))
        }
    };
    of_emptied(job, root, start, verdict).then(move |_| State::Handing { root })
}

/// A look at a source that was emptied: one in which somebody put something since is theirs.
fn of_emptied(
    job: &Job,
    root: Digest,
    rules: Rules,
    verdict: impl FnOnce(&Job, &CanisterView) -> Verdict + 'static,
) -> Rules {
    let look = Effect::CanisterStatus { canister: job.source };
    rules.refused(move |_, code| over(code, root)).look(When::First, look, move |job, value| match value {
        Value::Gone => Ok(Verdict::Follow(Next::Enter(State::Done { root }))),
        Value::Canister(view) if view.snapshots_bytes > 0 => Ok(Verdict::Yield(snapshots(job, view))),
        Value::Canister(view) if view.module_hash.is_some() || view.stable_pages > 0 => {
            let detail = format!("{} was emptied, and is not empty any more", job.source);
            Ok(Verdict::Yield(Reason::new(ReasonCode::OthersActed, detail)))
        }
        Value::Canister(view) => Ok(verdict(job, view)),
        other => wrong(other),
    })
}
