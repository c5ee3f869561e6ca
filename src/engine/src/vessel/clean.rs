//! The canister serves. Is all well? Then nothing of the job is left in it.

use super::{VesselState as At, kept_until, look};
use crate::back::saved;
use crate::left::{module_as_left, run_state_is};
use crate::relocate::end::{drained_next, kept};
use crate::rules::{Next, Rules, Verdict, When, wrong};
use crate::{CanisterView, Digest, Effect, Job, Reason, ReasonCode, RunState, State, TimeNanos, Value};

/// What follows when the image runs its own module, stopped: the commit point, or the routes.
pub(super) fn after_dressed(job: &Job, root: Digest) -> State {
    match job.target.is_some() {
        true => State::Switching { root, next: 0 },
        false => State::Vessel(At::Starting { root }),
    }
}

/// It takes calls again. Does it run what it ran? Then what was saved is not needed any more.
pub(super) fn serving(job: &Job, root: Digest, now_nanos: TimeNanos) -> Rules {
    let resume = State::Vessel(At::Serving { root });
    Rules::call(look(job.source_left.as_ref(), job.source)).done(move |job, value| {
        let (reason, resume) = match value {
            Value::Canister(view) => match run_state_is(RunState::Running, &view) {
                // Somebody stopped it, before anybody saw it run: it was this job that stopped it first.
                Err(reason) => (reason, State::Vessel(At::Starting { root })),
                Ok(()) => match module_as_left(job.source_left.as_ref(), &view) {
                    Ok(()) => return Ok(Next::Enter(served(job, root, now_nanos))),
                    Err(_) if view.emptied.is_some() => (last_copy(job, &view), resume),
                    Err(reason) if view.acted.is_some() => {
                        // It serves as somebody else wants it; the way back stays until an operator has looked.
                        let Some(left) = &mut job.source_left else { return Err(crate::Why::WrongState) };
                        (left.module, left.since_nanos) = (view.module_hash, now_nanos);
                        (reason, resume)
                    }
                    Err(reason) => (reason, resume),
                },
            },
            Value::Gone => {
                (Reason::new(ReasonCode::Gone, format!("{}; its snapshots too", job.source)), resume)
            }
            other => return wrong(&other),
        };
        Ok(Next::Park { reason, resume })
    })
}

/// What follows when the image serves its users.
fn served(job: &Job, root: Digest, now_nanos: TimeNanos) -> State {
    let has_uploaded = job.held.as_ref().is_some_and(|held| held.uploaded.is_some());
    match has_uploaded {
        true => State::Vessel(At::DroppingUploaded { root }),
        false => after_upload_dropped(job, root, now_nanos),
    }
}

/// Nor is the uploaded snapshot, or what took its place. One that is gone need not be deleted.
pub(super) fn dropping_uploaded(job: &Job, root: Digest, now_nanos: TimeNanos) -> Option<Rules> {
    let snapshot = job.held.as_ref()?.uploaded.clone()?;
    let next = move |job: &mut Job| {
        if let Some(held) = &mut job.held {
            held.uploaded = None;
        }
        after_upload_dropped(job, root, now_nanos)
    };
    let rules = Rules::call(Effect::DeleteSnapshot { canister: job.image(), snapshot })
        .then(next)
        .refused(move |job, code| is_nothing(code).then(|| Next::Enter(next(job))));
    Some(rules)
}

/// What follows when the uploaded snapshot is gone.
fn after_upload_dropped(job: &Job, root: Digest, now_nanos: TimeNanos) -> State {
    if job.target.is_some() {
        return kept(job, root, now_nanos);
    }
    State::Vessel(match kept_until(job, now_nanos) {
        Some(until_nanos) => At::Retaining { root, until_nanos },
        None => At::DroppingSaved { root },
    })
}

/// What was saved was kept as long as the plan says. Of a canister whose state somebody took meanwhile it is the last copy.
pub(super) fn dropping_saved(job: &Job, root: Digest) -> Option<Rules> {
    let snapshot = job.held.as_ref()?.saved.clone()?;
    let next = move |job: &mut Job| {
        if let Some(held) = &mut job.held {
            held.saved = None;
        }
        match job.target.is_some() {
            true => drained_next(root),
            false => State::Done { root },
        }
    };
    let rules = Rules::call(Effect::DeleteSnapshot { canister: job.source, snapshot })
        .then(next)
        .refused(move |job, code| is_nothing(code).then(|| Next::Enter(next(job))));
    // Of a job with a target it was looked at, and the source hashed, on the way here.
    if job.target.is_some() {
        return Some(rules);
    }
    let looked = look(job.source_left.as_ref(), job.source);
    Some(rules.look(When::IfStale, looked, move |job, value| match value {
        Value::Canister(view) if was_taken(job, view) => Ok(Verdict::Yield(last_copy(job, view))),
        Value::Canister(_) => Ok(Verdict::NotYet),
        Value::Gone => Ok(Verdict::Happened),
        other => wrong(other),
    }))
}

/// Whether somebody took the state of the canister. Stable memory never shrinks by itself.
fn was_taken(job: &Job, view: &CanisterView) -> bool {
    view.emptied.is_some() || view.stable_pages < job.counters.used_pages
}

/// It is in the snapshot from before, which no retry deletes.
fn last_copy(job: &Job, view: &CanisterView) -> Reason {
    let what = view.emptied.as_deref().unwrap_or("it has fewer pages than it had in use");
    let detail = format!("{what}: snapshot {} is from before, and a skip leaves it", saved(job));
    Reason::new(ReasonCode::OthersActed, detail)
}

/// Of what is gone, nothing is left to delete.
fn is_nothing(code: ReasonCode) -> bool {
    matches!(code, ReasonCode::NoSnapshot | ReasonCode::Gone)
}
