//! From the line to a target that waits for the state: nothing of it touches the source.

use candid::Principal;

use super::checks::{gone, source_canister, source_kit};
use crate::left::{Left, fresh_target};
use crate::rules::{Next, Rules, Verdict, When, happened, not_yet, wrong};
use crate::{
    CanisterView, Digest, Effect, FenceView, Job, LayoutView, Limits, ModuleRole, Reason, ReasonCode, Seal,
    Settings, State, Undo, Value, Why,
};

/// Nothing is known yet. Does the coordinator control the source, which runs a module that the plan names?
pub(crate) fn queued(job: &Job) -> Rules {
    Rules::call(Effect::CanisterStatus { canister: job.source }).done(|job, value| match value {
        Value::Gone => Ok(Next::Fail(gone(job.source, "source"))),
        Value::Canister(view) => Ok(match source_canister(job, &view) {
            Ok(()) => {
                job.source_left = Some(Left::of(&view, job.attempt.first_nanos));
                Next::Enter(State::Inspected { settings: view.settings })
            }
            Err(reason) => Next::Fail(reason),
        }),
        other => wrong(&other),
    })
}

/// It does. Can the source be moved, and is it worth it?
pub(crate) fn inspected(job: &Job, settings: Settings) -> Rules {
    Rules::call(Effect::KitStatus { canister: job.source }).done(|job, value| match value {
        Value::Gone => Ok(Next::Fail(gone(job.source, "source"))),
        Value::Kit(view) => {
            job.counters.source_pages = view.stable_pages;
            if let LayoutView::Managed { used_pages, .. } = view.layout {
                job.counters.used_pages = used_pages;
            }
            Ok(match source_kit(job, &view) {
                Ok(()) => Next::Enter(State::Admitted { settings }),
                Err(reason) => Next::Fail(reason),
            })
        }
        other => wrong(&other),
    })
}

/// It can, and it is. The pool gives a canister: an event, not a call.
pub(crate) fn admitted(job: &Job) -> Rules {
    Rules::none().undo(crate::vessel::saved(job))
}

/// The job has a target, which is looked at: a pool that was put back from a snapshot hands out canisters that serve.
pub(crate) fn reserved(job: &Job, settings: Settings) -> Option<Rules> {
    let target = job.target?;
    let controllers = settings.controllers.clone();
    let settings = renamed(settings, job.source, target);
    let wanted = settings.clone();
    let is_by_vessel = job.plan.strategy.is_by_vessel();
    let given = Rules::call(Effect::UpdateSettings { canister: target, settings })
        .look_at(When::First, Effect::CanisterStatus { canister: target }, target_gone, move |job, view| {
            if view.settings == wanted && job.attempt.is_unsure {
                return Verdict::Happened;
            }
            let as_it_came = fresh_target(job, view);
            if as_it_came.is_ok() {
                job.target_left = Some(Left::of(view, job.attempt.first_nanos));
            }
            not_yet(as_it_came)
        })
        .undo([Undo::ReturnTarget, Undo::ResetTarget])
        .undo(crate::vessel::saved(job));
    Some(given.then(move |job| {
        job.given = Some(controllers);
        match is_by_vessel {
            true => State::Vessel(crate::VesselState::Hiring),
            false => State::Configured,
        }
    }))
}

/// A source that controls itself has a target that does.
fn renamed(mut settings: Settings, source: Principal, target: Principal) -> Settings {
    settings.controllers.iter_mut().filter(|it| **it == source).for_each(|it| *it = target);
    settings.controllers.sort();
    settings
}

/// What is undone of a target that has, or may have, a module.
pub(crate) const TARGET: [Undo; 4] =
    [Undo::ReturnTarget, Undo::ResetTarget, Undo::UninstallTarget, Undo::CheckTarget];

/// The target has the settings of the source: the compact build next. Its installation is refused where it is not empty.
pub(crate) fn configured(job: &Job) -> Option<Rules> {
    let (target, module_hash) = (job.target?, job.plan.compact_module()?);
    let install = Effect::Install { canister: target, role: ModuleRole::Compact, module_hash };
    let rules = Rules::call(install)
        .then(move |job| {
            if let Some(left) = &mut job.target_left {
                left.module = Some(module_hash);
            }
            State::Installed
        })
        .look_at(When::AfterLost, Effect::CanisterStatus { canister: target }, target_gone, move |_, view| {
            installed_on_target(view, module_hash)
        })
        .undo(TARGET);
    Some(rules)
}

pub(crate) fn target_gone(job: &Job) -> Reason {
    gone(job.image(), "target")
}

/// What the status of a target says of an installation whose reply never came.
pub(crate) fn installed_on_target(view: &CanisterView, module_hash: Digest) -> Verdict {
    match view.module_hash {
        Some(hash) if hash == module_hash => Verdict::Happened,
        Some(_) => Verdict::Yield(Reason::new(ReasonCode::WrongModule, "on the target")),
        None => Verdict::NotYet,
    }
}

/// The target runs the compact build, and is told to wait for the state.
pub(crate) fn installed(job: &Job) -> Option<Rules> {
    let target = job.target?;
    let begin = Effect::ImportBegin { target, source: job.source, bucket_pages: job.plan.bucket_pages };
    let rules = Rules::call(begin)
        .then(|job| match job.plan.wants_precopy(job.counters.used_pages) {
            true => State::Offering,
            false => State::Provisioned,
        })
        .look(When::AfterLost, Effect::KitStatus { canister: target }, move |job, value| match value {
            Value::Kit(view) => {
                Ok(happened(matches!(view.fence, FenceView::Importing(holder) if holder.is_job(job.id))))
            }
            Value::Gone => Ok(Verdict::Yield(gone(target, "target"))),
            other => wrong(other),
        })
        .undo(TARGET);
    Some(rules)
}

/// The target may read the source before that is frozen, if it lets it. Pre-copy makes the freeze shorter, no more.
pub(crate) fn offering(job: &Job) -> Option<Rules> {
    let rules = Rules::call(Effect::Offer { source: job.source, reader: job.target? })
        .then(|_| State::Precopying)
        .refused(|_, code| on_without_precopy(code))
        .undo(TARGET)
        .undo_call(Undo::ThawSource);
    Some(rules)
}

/// The target reads every chunk once, while the source serves. What was offered is withdrawn by a thaw.
pub(crate) fn precopying(job: &Job, limits: &Limits) -> Option<Rules> {
    let max_batches = limits.max_batches_per_pull;
    let rules = Rules::call(Effect::Precopy { target: job.target?, max_batches })
        .done(|job, value| copied(job, value, |_| Next::Enter(State::Provisioned)))
        .refused(|_, code| on_without_precopy(code))
        .undo(TARGET)
        .undo([Undo::ThawSource]);
    Some(rules)
}

/// On without the rest of it, unless nobody is there to be copied, or to copy.
fn on_without_precopy(code: ReasonCode) -> Option<Next> {
    (code != ReasonCode::Gone).then_some(Next::Enter(State::Provisioned))
}

/// What follows of an answer to a pull.
pub(super) fn copied(
    job: &mut Job,
    value: Value,
    complete: impl FnOnce(Option<Seal>) -> Next,
) -> Result<Next, Why> {
    let Value::Pulled { is_complete, done_bytes, wire_bytes, verified } = value else { return wrong(&value) };
    job.counters.wire_bytes = job.counters.wire_bytes.max(wire_bytes);
    Ok(if is_complete { complete(verified) } else { Next::Again { done_bytes } })
}
