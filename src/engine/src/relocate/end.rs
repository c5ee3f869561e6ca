//! Behind the commit point: the target serves, the source is kept for a while, gives its cycles, and goes.

use super::checks::{gone, left_behind, snapshots};
use crate::left::{module_as_left, run_state_is};
use crate::rules::{Next, Rules, Verdict, When, happened, not_yet, run_state, wrong};
use crate::{
    CanisterView, Digest, Effect, FenceView, Job, Limits, ModuleRole, Reason, ReasonCode, Retention,
    RunState, State, TimeNanos, Value, VesselState,
};

/// Every route names the target: the commit point. The source answers where the state is.
pub(crate) fn committed(job: &Job, root: Digest) -> Option<Rules> {
    retire_or_pass(job, State::Retired { root })
}

/// Tells the source where the state is, if anybody runs the code that sealed it. What is sealed takes nothing while nobody
/// does, nor when somebody starts it again: users don't wait for whoever did that; it is told before it is drained.
pub(super) fn retire_or_pass(job: &Job, then: State) -> Option<Rules> {
    let on = then.clone();
    Some(retire(job, then)?.look(
        When::AfterLost,
        Effect::CanisterStatus { canister: job.source },
        move |job, value| match value {
            Value::Canister(view) if is_mute(job, view) => Ok(Verdict::Follow(Next::Enter(on))),
            // To tell it twice is as to tell it once.
            Value::Canister(_) => Ok(Verdict::NotYet),
            Value::Gone => Ok(Verdict::Happened),
            other => wrong(other),
        },
    ))
}

/// Tells the source where the state is.
fn retire(job: &Job, then: State) -> Option<Rules> {
    let (source, to) = (job.source, job.target?);
    let gone = then.clone();
    let rules = Rules::call(Effect::Retire { source, to }).then(move |_| then);
    // A source that is gone writes no more.
    Some(rules.gone_means(move |_| Next::Enter(gone)))
}

/// Whether the code that sealed the source can't answer: somebody stopped it, or took it away.
fn is_mute(job: &Job, view: &CanisterView) -> bool {
    let left = job.source_left.as_ref().and_then(|left| left.module);
    let runs_other = left.is_some_and(|module| view.module_hash != Some(module));
    view.run_state == RunState::Stopped || view.module_hash.is_none() || runs_other
}

/// The source is to be drained, and was never told where its state is.
pub(crate) fn telling(job: &Job, root: Digest, freezing_seconds: Option<u64>) -> Option<Rules> {
    let told = freezing_seconds
        .map(|_| State::Draining { root, freezing_seconds, is_told: true })
        .unwrap_or_else(|| drained_next(root));
    retire(job, told)
}

/// It does: the target serves from now on. One with the kit opens; one without it was dressed and stopped, and starts.
pub(crate) fn retired(job: &Job, root: Digest, now_nanos: TimeNanos) -> Option<Rules> {
    let target = job.target?;
    let after = move |job: &mut Job| match job.held.as_ref().is_some_and(|held| held.uploaded.is_some()) {
        true => State::Vessel(VesselState::DroppingUploaded { root }),
        false => kept(job, root, now_nanos),
    };
    let gone = move || gone(target, "target");
    Some(match job.plan.strategy.is_by_vessel() {
        true => Rules::call(Effect::Start { canister: target }).then(after).look_at(
            When::First,
            crate::vessel::look(job.target_left.as_ref(), target),
            move |_| gone(),
            // Whatever somebody else upgraded it to: it was this job that stopped it, and every route names it.
            |job, view| match was_emptied(job, view) {
                Some(reason) => Verdict::Yield(reason),
                None => happened(view.run_state == RunState::Running),
            },
        ),
        // One that does not remember that it was opened, or is open before it answered so, was upgraded since, or emptied.
        false => Rules::call(Effect::Activate { target })
            .then(after)
            .refused(move |job, code| match code {
                ReasonCode::Contradiction => Some(Next::Enter(opened(job, root, now_nanos))),
                // Somebody took its code, or put other code there: it never answers again.
                ReasonCode::NoKit => {
                    let detail = format!(
                        "target {target}; a skip leaves the source, which holds what was moved, as it is"
                    );
                    Some(Next::Park { reason: Reason::new(code, detail), resume: State::Retired { root } })
                }
                _ => None,
            })
            .look(When::AfterLost, Effect::KitStatus { canister: target }, move |job, value| match value {
                Value::Kit(view) if is_shut(job, view.fence) => Ok(Verdict::NotYet),
                Value::Kit(_) => Ok(Verdict::Follow(Next::Enter(opened(job, root, now_nanos)))),
                Value::Gone => Ok(Verdict::Yield(gone())),
                other => wrong(other),
            }),
    })
}

/// Whether the target still waits to be opened.
fn is_shut(job: &Job, fence: FenceView) -> bool {
    matches!(fence, FenceView::Importing(holder) if holder.is_job(job.id))
}

/// The target is open, and it was not this job that saw it open: does it hold what was moved?
fn opened(job: &Job, root: Digest, now_nanos: TimeNanos) -> State {
    State::Confirming { root, then: Some(Box::new(kept(job, root, now_nanos))) }
}

/// What somebody did to the state of the target, if so. Stable memory never shrinks by itself.
fn was_emptied(job: &Job, view: &CanisterView) -> Option<Reason> {
    match &view.emptied {
        Some(what) => {
            let detail =
                format!("target: {what}; a skip leaves the source, which holds what was moved, as it is");
            Some(Reason::new(ReasonCode::OthersActed, detail))
        }
        None => (view.stable_pages < job.counters.used_pages)
            .then(|| emptied(view.stable_pages, job.counters.used_pages)),
    }
}

/// The target serves. The source is kept, if the plan says so.
pub(crate) fn kept(job: &Job, root: Digest, now_nanos: TimeNanos) -> State {
    match job.plan.retention {
        Retention::Frozen { seconds } => {
            let kept_nanos = seconds.saturating_mul(1_000_000_000);
            State::Retaining { root, until_nanos: now_nanos.saturating_add(kept_nanos) }
        }
        Retention::Tombstone { .. } | Retention::None => confirmed(job, root),
    }
}

/// The source was kept long enough, or the job waited for long before it takes that. Is the target still there, and has
/// nobody emptied it?
pub(crate) fn confirming(job: &Job, root: Digest, then: Option<Box<State>>) -> Option<Rules> {
    let target = job.target?;
    let here = State::Confirming { root, then: then.clone() };
    let committed_nanos = job.times.committed_nanos.unwrap_or_default();
    let since_nanos = job.target_left.as_ref().map_or(committed_nanos, |left| left.since_nanos);
    // One whose freezing threshold was lowered is to outlast whoever looks at it.
    let park = |reason: Reason, resume: State| match undrained(&resume, Some(reason.clone())) {
        Some(raising) => Next::Enter(raising),
        None => Next::Park { reason, resume },
    };
    let last_copy = move |here| {
        let reason = Reason::new(ReasonCode::Gone, "the target: the source holds the last copy of the state");
        park(reason, here)
    };
    let on = move |job: &Job| Next::Enter(then.map_or_else(|| confirmed(job, root), |then| *then));
    let (here_if_gone, here_if_emptied) = (here.clone(), here.clone());
    let is_by_vessel = job.plan.strategy.is_by_vessel();
    let rules = match is_by_vessel {
        true => Rules::call(Effect::CanisterStatus { canister: target }),
        false => Rules::call(Effect::KitStatus { canister: target }),
    };
    let rules = rules
        .done(move |job, value| {
            Ok(match value {
                Value::Gone => last_copy(here),
                Value::Kit(view) if !is_by_vessel => match view.fence {
                    fence if is_shut(job, fence) => park(
                        Reason::new(ReasonCode::Contradiction, "the target is not active; activate it"),
                        State::Retired { root },
                    ),
                    _ if view.stable_pages < job.counters.used_pages => {
                        park(emptied(view.stable_pages, job.counters.used_pages), here)
                    }
                    _ => on(job),
                },
                Value::Canister(view) if is_by_vessel => match was_emptied(job, &view) {
                    Some(reason) => park(reason, here),
                    None => on(job),
                },
                other => return wrong(&other),
            })
        })
        .look(When::First, Effect::Look { canister: target, since_nanos }, move |job, value| match value {
            Value::Canister(view) => Ok(match was_emptied(job, view) {
                Some(reason) => Verdict::Follow(park(reason, here_if_emptied)),
                None => Verdict::NotYet,
            }),
            Value::Gone => Ok(Verdict::Follow(last_copy(here_if_gone))),
            other => wrong(other),
        });
    Some(rules)
}

/// Where a job goes that is to take its source: first to its target, if nobody has looked at that for long.
pub(crate) fn confirmed_first(job: &Job, state: State, has_waited: bool) -> State {
    match state.root() {
        Some(root) if has_waited && state.takes_source() && job.plan.strategy.has_target() => {
            State::Confirming { root, then: Some(Box::new(state)) }
        }
        _ => state,
    }
}

fn emptied(now_pages: u64, sealed_pages: u64) -> Reason {
    let detail = format!("the target has {now_pages} pages, and {sealed_pages} were moved: it was emptied");
    Reason::new(ReasonCode::OthersActed, detail)
}

/// The state after the target is known to serve.
fn confirmed(job: &Job, root: Digest) -> State {
    if job.plan.has_asset_checks { State::Assessing { root } } else { assessed(job, root) }
}

/// The state after the source is known to own and control nothing. One whose snapshot goes first is hashed before that;
/// every source is when it is drained.
fn assessed(job: &Job, root: Digest) -> State {
    if has_saved(job) { State::Rechecking { root } } else { drained_next(root) }
}

/// The state after the source is known to hold nothing but what was moved.
fn rechecked(job: &Job, root: Digest) -> State {
    if has_saved(job) { State::Vessel(VesselState::DroppingSaved { root }) } else { drained_next(root) }
}

/// The source is to be drained.
pub(crate) fn drained_next(root: Digest) -> State {
    State::Lowering { root, freezing_seconds: None }
}

fn has_saved(job: &Job) -> bool {
    job.held.as_ref().is_some_and(|held| held.saved.is_some())
}

/// What the source owns at ledgers and controls, if the plan names some, is lost with it.
pub(crate) fn assessing(job: &Job, root: Digest) -> Rules {
    Rules::call(Effect::CheckAssets { canister: job.source }).done(move |job, value| match value {
        Value::Assets(None) => Ok(Next::Enter(assessed(job, root))),
        Value::Assets(Some(found)) => Ok(Next::Park {
            reason: Reason::new(ReasonCode::HasAssets, found),
            resume: State::Assessing { root },
        }),
        other => wrong(&other),
    })
}

/// Does the source still hold nothing but what was moved?
pub(crate) fn rechecking(job: &Job, root: Digest) -> Rules {
    let park = move || differs(State::Rechecking { root });
    Rules::call(Effect::Recheck { source: job.source })
        .done(move |job, value| match value {
            Value::Working { done_bytes } => Ok(Next::Again { done_bytes }),
            Value::Hashed(found) if found.root == root => Ok(Next::Enter(rechecked(job, root))),
            Value::Hashed(_) => Ok(park()),
            other => wrong(&other),
        })
        .refused(move |_, code| match code {
            ReasonCode::ChangedAfterSeal => Some(park()),
            _ => over(code, root),
        })
}

/// Its fingerprint differs, or its root: looking again does not help.
fn differs(resume: State) -> Next {
    Next::Park { reason: left_behind(), resume }
}

/// A source that is gone need not be deleted, and has no cycles to save.
pub(super) fn over(code: ReasonCode, root: Digest) -> Option<Next> {
    (code == ReasonCode::Gone).then_some(Next::Enter(State::Done { root }))
}

/// The source may go. What its freezing threshold reserves goes with its cycles, and would be burned with it otherwise.
pub(crate) fn lowering(job: &Job, root: Digest) -> Rules {
    let source = job.source;
    let look = crate::vessel::look(job.source_left.as_ref().filter(|_| job.held.is_some()), source);
    Rules::call(Effect::SetFreezingThreshold { canister: source, seconds: 0 })
        .then(move |job| State::Draining {
            root,
            freezing_seconds: Some(seen_seconds(job).unwrap_or(0)),
            is_told: false,
        })
        .refused(move |_, code| over(code, root))
        .look(When::First, look, move |job, value| match value {
            Value::Gone => Ok(Verdict::Follow(Next::Enter(State::Done { root }))),
            Value::Canister(view) => {
                let as_left = module_as_left(job.source_left.as_ref(), view);
                // One that is lowered already was so by this job, if that has seen it before.
                let seconds = seen_seconds(job).filter(|_| view.freezing_seconds == 0);
                let freezing_seconds = seconds.unwrap_or(view.freezing_seconds);
                let is_lowered = view.freezing_seconds == 0;
                job.state = State::Lowering { root, freezing_seconds: Some(freezing_seconds) };
                Ok(match as_left {
                    Ok(()) => happened(is_lowered),
                    Err(reason) if is_lowered && freezing_seconds > 0 => {
                        let reason = Some(reason);
                        Verdict::Follow(Next::Enter(State::Raising { root, freezing_seconds, reason }))
                    }
                    Err(reason) => Verdict::Yield(reason),
                })
            }
            other => wrong(other),
        })
}

/// The freezing threshold of the source as it was seen before it was lowered.
fn seen_seconds(job: &Job) -> Option<u64> {
    match job.state {
        State::Lowering { freezing_seconds, .. } => freezing_seconds,
        _ => None,
    }
}

/// It reserves nothing: its cycles go, once it has hashed that it holds nothing but what was moved. A drain answers what
/// was drained in all.
pub(crate) fn draining(
    job: &Job,
    root: Digest,
    freezing_seconds: u64,
    is_told: bool,
    limits: &Limits,
) -> Option<Rules> {
    let is_kept = matches!(job.plan.retention, Retention::Tombstone { .. });
    let keep_cycles = match (is_kept, job.plan.recycled_with_cycles) {
        (true, _) => limits.keep_as_tombstone_cycles,
        (false, Some(cycles)) => cycles,
        (false, None) => limits.keep_until_deletion_cycles,
    };
    let rules = Rules::call(Effect::Drain { source: job.source, to: job.target?, keep_cycles })
        .done(move |job, value| {
            if let Value::Working { done_bytes } = value {
                return Ok(Next::Again { done_bytes });
            }
            let Value::Drained { total_cycles } = value else { return wrong(&value) };
            job.counters.drained_cycles = job.counters.drained_cycles.max(total_cycles);
            Ok(Next::Enter(if is_kept { State::Entombing { root } } else { State::Stopping { root } }))
        })
        .refused(move |_, code| match code {
            ReasonCode::ChangedAfterSeal => {
                let reason = Some(left_behind());
                Some(Next::Enter(State::Raising { root, freezing_seconds, reason }))
            }
            ReasonCode::Contradiction if is_told => {
                let what = "it was told where its state is, and answers that it was not";
                let reason = Some(Reason::new(ReasonCode::Contradiction, what));
                Some(Next::Enter(State::Raising { root, freezing_seconds, reason }))
            }
            // It was stopped, or without code, when it was to be told.
            ReasonCode::Contradiction => {
                Some(Next::Enter(State::Telling { root, freezing_seconds: Some(freezing_seconds) }))
            }
            _ => over(code, root),
        });
    Some(rules)
}

/// Where a job goes that gives up draining, or is told to leave it: the source stays, with its freezing threshold.
pub(crate) fn undrained(state: &State, reason: Option<Reason>) -> Option<State> {
    match *state {
        State::Draining { root, freezing_seconds: Some(freezing_seconds), .. }
        | State::Telling { root, freezing_seconds: Some(freezing_seconds) } => {
            Some(State::Raising { root, freezing_seconds, reason })
        }
        State::Confirming { then: Some(ref then), .. } => undrained(then, reason),
        _ => None,
    }
}

/// It was not drained: its freezing threshold is as it was, so that what it holds outlasts whoever looks at it.
pub(crate) fn raising(job: &Job, root: Digest, seconds: u64, reason: Option<Reason>) -> Rules {
    Rules::call(Effect::SetFreezingThreshold { canister: job.source, seconds })
        .done(move |_, value| match (value, reason) {
            (Value::Acknowledged, Some(reason)) => Ok(Next::Park { reason, resume: drained_next(root) }),
            (Value::Acknowledged, None) => Ok(Next::Enter(State::Done { root })),
            (other, _) => wrong(&other),
        })
        .refused(move |_, code| over(code, root))
}

/// A look at the source: what somebody did to one with the kit before it was fenced is what was moved.
pub(super) fn look_since_fence(job: &Job) -> Effect {
    match job.times.fenced_nanos.filter(|_| job.held.is_none()) {
        Some(since_nanos) => Effect::Look { canister: job.source, since_nanos },
        None => crate::vessel::look(job.source_left.as_ref(), job.source),
    }
}

/// The source becomes a tombstone: a module without stable memory that answers where the state went.
pub(crate) fn entombing(job: &Job, root: Digest) -> Option<Rules> {
    let source = job.source;
    let Retention::Tombstone { module_hash } = job.plan.retention else { return None };
    let effect = Effect::Install { canister: source, role: ModuleRole::Tombstone, module_hash };
    // A source by vessel runs that module already, with the state below it: what is emptied has no memory.
    let runs_it = job.source_left.as_ref().is_some_and(|left| left.module == Some(module_hash));
    let look = look_since_fence(job);
    let rules = Rules::call(effect)
        .then(move |_| State::Done { root })
        .refused(move |_, code| over(code, root))
        .look(When::First, look, move |job, value| match value {
            Value::Gone => Ok(Verdict::Happened),
            Value::Canister(view)
                if view.module_hash == Some(module_hash)
                    && (!runs_it || job.attempt.is_unsure && view.stable_pages == 0) =>
            {
                Ok(Verdict::Happened)
            }
            Value::Canister(view) => Ok(not_yet(module_as_left(job.source_left.as_ref(), view))),
            other => wrong(other),
        });
    Some(rules)
}

/// The source is drained.
pub(crate) fn stopping(job: &Job, root: Digest) -> Rules {
    let source = job.source;
    Rules::call(Effect::Stop { canister: source })
        .then(move |job| match job.plan.recycled_with_cycles {
            Some(_) => State::Emptying { root },
            None => State::Deleting { root, burned_cycles: 0 },
        })
        .refused(move |_, code| over(code, root))
        .look(When::IfStale, Effect::CanisterStatus { canister: source }, |job, value| match value {
            Value::Gone => Ok(Verdict::Happened),
            Value::Canister(view) => {
                let as_left = module_as_left(job.source_left.as_ref(), view);
                Ok(run_state(as_left, view, RunState::Stopped))
            }
            other => wrong(other),
        })
}

/// Earlier builds looked here; the next state does it itself.
pub(crate) fn checking(job: &Job, root: Digest) -> Rules {
    Rules::call(Effect::CanisterStatus { canister: job.source })
        .done(move |_, value| match value {
            Value::Gone => Ok(Next::Enter(State::Done { root })),
            Value::Canister(_) => Ok(Next::Enter(State::Deleting { root, burned_cycles: 0 })),
            other => wrong(&other),
        })
        .refused(move |_, code| over(code, root))
}

/// The source is stopped. What would die with it? Nothing but these cycles.
pub(crate) fn deleting(job: &Job, root: Digest) -> Rules {
    let source = job.source;
    let look = crate::vessel::look(job.source_left.as_ref().filter(|_| job.held.is_some()), source);
    let done = move |job: &mut Job| {
        if let State::Deleting { burned_cycles, .. } = job.state {
            job.counters.burned_cycles = burned_cycles;
        }
        State::Done { root }
    };
    Rules::call(Effect::Delete { canister: source }).then(done).refused(move |_, code| over(code, root)).look(
        When::First,
        look,
        move |job, value| match value {
            Value::Gone => Ok(Verdict::Happened),
            Value::Canister(view) => {
                let verdict = may_go(job, view, root);
                if let Verdict::NotYet = verdict {
                    job.state = State::Deleting { root, burned_cycles: view.balance_cycles };
                }
                Ok(verdict)
            }
            other => wrong(other),
        },
    )
}

/// Not yet, if the source is stopped as this job left it, and nothing but what was moved goes with it.
pub(super) fn may_go(job: &Job, view: &CanisterView, root: Digest) -> Verdict {
    if let Err(reason) = module_as_left(job.source_left.as_ref(), view) {
        return Verdict::Yield(reason);
    }
    if let Err(reason) = run_state_is(RunState::Stopped, view) {
        return Verdict::Follow(Next::Park { reason, resume: State::Stopping { root } });
    }
    if view.snapshots_bytes > 0 {
        return Verdict::Yield(snapshots(job, view));
    }
    Verdict::NotYet
}
