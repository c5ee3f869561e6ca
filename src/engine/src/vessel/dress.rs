//! The canister with the compact image is upgraded to its own module: that of the source, or of its target.

use super::checks::{dressed_image, find_snapshots, new_snapshot};
use super::clean::after_dressed;
use super::{Sought, VesselState as At, image_left, image_left_mut, look, poured_undo};
use crate::left::{has_now, module_as_left, stopped_as_left};
use crate::rules::{Next, Rules, Verdict, When, happened, not_yet, run_state, wrong};
use crate::{CanisterView, Digest, Effect, Job, Reason, ReasonCode, RunState, State, Undo, Value};

/// The image is what was sealed. The vessel is stopped, so that the dapp's code doesn't run before its time.
pub(super) fn resting(job: &Job, root: Digest) -> Rules {
    let image = job.image();
    Rules::call(Effect::Stop { canister: image })
        .then(move |_| State::Vessel(At::Dressing { root }))
        .look_at(When::IfStale, look(image_left(job), image), gone, |job, view| {
            run_state(module_as_left(image_left(job), view), view, RunState::Stopped)
        })
        .undo(poured_undo(job))
}

/// It is stopped. Its own `post_upgrade` runs now, once; a trap in it is a failure like any other.
pub(super) fn dressing(job: &Job, root: Digest) -> Option<Rules> {
    let (image, module_hash) = (job.image(), job.own_module()?);
    let rules = Rules::call(Effect::Upgrade { canister: image, module_hash })
        .then(move |job| {
            if let Some(left) = image_left_mut(job) {
                left.module = Some(module_hash);
            }
            State::Vessel(At::Dressed { root })
        })
        .look_at(When::First, look(image_left(job), image), gone, move |job, view| {
            if has_now(job, view, module_hash) {
                return Verdict::Happened;
            }
            let as_left = stopped_as_left(image_left(job), view);
            // An installation counts as one change: from the next version on code ran.
            if let (Ok(()), Some(left)) = (&as_left, image_left_mut(job)) {
                left.version = view.version.map(|version| version.saturating_add(1));
            }
            not_yet(as_left)
        })
        .undo(poured_undo(job));
    Some(rules)
}

/// It runs its own module, and nobody started it yet. The last look before there is no way back.
pub(super) fn dressed(job: &Job, root: Digest) -> Rules {
    Rules::call(look(image_left(job), job.image()))
        .done(move |job, value| match value {
            // Users write to it already: what was saved does not have that, and an abort comes too late.
            Value::Canister(view) if serves_already(job, &view) => {
                job.is_abort_requested = false;
                Ok(Next::Enter(State::Vessel(At::Starting { root })))
            }
            Value::Canister(view) => Ok(match dressed_image(job, &view) {
                Err(reason) => Next::Fail(reason),
                Ok(()) => Next::Enter(after_look(job, root)),
            }),
            Value::Gone => Ok(Next::Fail(gone(job))),
            other => wrong(&other),
        })
        .undo(poured_undo(job))
}

/// Whether somebody else started the source with its own module on the compact image.
fn serves_already(job: &Job, view: &CanisterView) -> bool {
    job.target.is_none()
        && view.run_state == RunState::Running
        && module_as_left(job.source_left.as_ref(), view).is_ok()
}

/// Where a timer was armed, a snapshot says whether it still is.
fn after_look(job: &Job, root: Digest) -> State {
    match job.held.as_ref().is_some_and(|held| held.timer_nanos.is_some()) {
        true => State::Vessel(At::Timing { root }),
        false => after_dressed(job, root),
    }
}

/// It had a timer armed, and an upgrade disarms it, for everybody and always: did `post_upgrade` arm one?
pub(super) fn timing(job: &Job, root: Digest) -> Option<Rules> {
    let canister = job.image();
    let replaced = job.held.as_ref()?.uploaded.clone();
    let before = replaced.clone();
    let sought = Sought::taken(job, image_left(job).and_then(|left| left.version));
    let rules = Rules::call(Effect::TakeSnapshot { canister, replaced })
        .done(move |job, value| {
            let (Value::Snapshot(id), Some(held)) = (&value, &mut job.held) else { return wrong(&value) };
            held.uploaded = Some(id.clone());
            Ok(Next::Enter(State::Vessel(At::Timed { root })))
        })
        // What can't be known does not hold a job up, unless a snapshot may have been made.
        .refused(move |job, _| (!job.attempt.is_unsure).then(|| timer_lost(job, root)))
        .look(When::AfterLost, find_snapshots(job, canister), move |job, value| {
            new_snapshot(job, value, before.as_ref(), &sought)
        })
        .undo(poured_undo(job))
        .undo_call(Undo::DropUploaded)
        .makes_snapshot(sought);
    Some(rules)
}

/// There is a snapshot that says it.
pub(super) fn timed(job: &Job, root: Digest) -> Option<Rules> {
    let snapshot = job.held.as_ref()?.uploaded.clone()?;
    let rules = Rules::call(Effect::ReadImage { canister: job.image(), snapshot })
        .done(move |job, value| match value {
            Value::Image(view) if view.timer_nanos.is_some() => Ok(Next::Enter(after_dressed(job, root))),
            Value::Image(_) => Ok(timer_lost(job, root)),
            other => wrong(&other),
        })
        .refused(move |job, _| Some(timer_lost(job, root)))
        .undo(poured_undo(job));
    Some(rules)
}

/// Its timer is not armed any more: the job says so in its result, with the moment, or goes back if the plan wants it.
fn timer_lost(job: &mut Job, root: Digest) -> Next {
    let due_nanos = job.held.as_ref().and_then(|held| held.timer_nanos);
    if job.plan.rolls_back_on_lost_timer {
        let detail = format!("it was due at {} ns", due_nanos.unwrap_or_default());
        return Next::Fail(Reason::new(ReasonCode::LosesTimer, detail));
    }
    job.times.timer_lost_nanos = due_nanos;
    Next::Enter(after_dressed(job, root))
}

/// The commit point of a repack: from here on users' writes count, and nothing is loaded any more.
pub(super) fn starting(job: &Job, root: Digest) -> Rules {
    let source = job.source;
    Rules::call(Effect::Start { canister: source })
        .then(move |_| State::Vessel(At::Serving { root }))
        // Whatever somebody else installed: it was this job that stopped it.
        .look_at(When::IfStale, look(job.source_left.as_ref(), source), gone, |_, view| {
            happened(view.run_state == RunState::Running)
        })
}

fn gone(job: &Job) -> Reason {
    Reason::new(ReasonCode::Gone, format!("{}; its snapshots too", job.image()))
}
