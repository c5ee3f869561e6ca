//! The source is stopped, saved, upgraded to the vessel, and sealed.

use super::checks::{find_snapshots, image, new_snapshot};
use super::{Sought, VesselState as At, look, sealed_undo, stopped_undo};
use crate::left::{module_as_left, stopped_as_left};
use crate::relocate::{fingerprint_fits, source_gone};
use crate::rules::{Next, Rules, Verdict, When, not_yet, run_state, wrong};
use crate::{Effect, Job, Reason, ReasonCode, RunState, State, Undo, Value, VesselRole, Why};

/// The source takes no calls, and none is open. The way back: heap, stable memory and module as they are.
pub(super) fn still(job: &Job) -> Option<Rules> {
    let source = job.source;
    let held = job.held.as_ref()?;
    let (replaced, sought) = (held.saved.clone(), Sought::taken(job, held.saved_version));
    let looked = look(job.source_left.as_ref(), source);
    // After a reply that never came the list says whether there is a snapshot; else the canister is looked at.
    let seen = if job.attempt.is_unsure { find_snapshots(job, source) } else { looked };
    let before = replaced.clone();
    let rules = Rules::call(Effect::TakeSnapshot { canister: source, replaced })
        .done(|job, value| {
            let (Value::Snapshot(id), Some(held)) = (&value, &mut job.held) else { return wrong(&value) };
            held.saved = Some(id.clone());
            Ok(Next::Enter(State::Vessel(At::Saved)))
        })
        .look(When::First, seen, move |job, value| match value {
            Value::Canister(view) => {
                if let Some(held) = &mut job.held {
                    held.saved_version = view.version;
                }
                Ok(not_yet(stopped_as_left(job.source_left.as_ref(), view)))
            }
            Value::Gone => Ok(Verdict::Yield(source_gone(job))),
            other => new_snapshot(job, other, before.as_ref(), &sought),
        })
        .undo(stopped_undo(job))
        .makes_snapshot(sought);
    Some(rules)
}

/// Whatever happens now, there is a way back. What does it say: version, timer, layout?
pub(super) fn saved(job: &Job) -> Option<Rules> {
    let snapshot = job.held.as_ref()?.saved.clone()?;
    let rules = Rules::call(Effect::ReadImage { canister: job.source, snapshot })
        .done(|job, value| {
            let Value::Image(view) = &value else { return wrong(&value) };
            if let Err(reason) = image(job, view) {
                return Ok(Next::Fail(reason));
            }
            job.counters.source_pages = view.stable_pages;
            let Some(held) = job.held.as_mut() else { return Err(Why::WrongState) };
            held.saved_version = view.version;
            held.timer_nanos = view.timer_nanos;
            Ok(Next::Enter(State::Vessel(At::Undressing)))
        })
        .undo(stopped_undo(job));
    Some(rules)
}

/// It can be moved. Is the source what was saved, to the version? Its `pre_upgrade` runs now, once.
pub(super) fn undressing(job: &Job) -> Rules {
    let source = job.source;
    let vessel_hash = job.held.as_ref().and_then(|held| held.vessel_hash);
    let reader = job.target.unwrap_or(source);
    let call = vessel_hash.map(|vessel_hash| Effect::InstallVessel {
        canister: source,
        role: VesselRole::Source { reader },
        vessel_hash,
    });
    let mut rules = Rules { call, ..Rules::none() }
        .then(move |job| {
            undressed_now(job);
            State::Vessel(At::Undressed)
        })
        .look_at(When::First, look(job.source_left.as_ref(), source), source_gone, move |job, view| {
            if job.attempt.is_unsure && view.module_hash == vessel_hash {
                return match &view.acted {
                    None => Verdict::Happened,
                    Some(what) => Verdict::Yield(Reason::new(ReasonCode::OthersActed, what)),
                };
            }
            let saved_version = job.held.as_ref().and_then(|held| held.saved_version);
            match stopped_as_left(job.source_left.as_ref(), view) {
                Ok(()) if saved_version.is_some() && view.version != saved_version => {
                    let detail = "it ran after it was saved: somebody started it, and stopped it again";
                    Verdict::Yield(Reason::new(ReasonCode::OthersActed, detail))
                }
                as_left => not_yet(as_left),
            }
        })
        .undo(stopped_undo(job));
    rules.undo_call.push(Undo::LoadSaved);
    rules
}

/// The dapp's code is gone.
fn undressed_now(job: &mut Job) {
    let Some(held) = &mut job.held else { return };
    held.is_undressed = true;
    if let Some(left) = &mut job.source_left {
        left.module = held.vessel_hash;
    }
}

/// No code of the dapp runs any more, whoever starts the canister.
pub(super) fn undressed(job: &Job) -> Rules {
    starts_vessel(job, State::Vessel(At::Sealing), sealed_undo(job))
}

/// The source, a vessel, starts.
pub(super) fn starts_vessel(job: &Job, next: State, undo: Vec<Undo>) -> Rules {
    let source = job.source;
    Rules::call(Effect::Start { canister: source })
        .then(move |_| next)
        .look_at(When::IfStale, look(job.source_left.as_ref(), source), source_gone, |job, view| {
            run_state(module_as_left(job.source_left.as_ref(), view), view, RunState::Running)
        })
        .undo(undo)
}

/// The vessel runs: what has it in stable memory?
pub(super) fn sealing(job: &Job) -> Rules {
    Rules::call(Effect::Seal { source: job.source })
        .done(|job, value| match value {
            Value::Working { done_bytes } => Ok(Next::Again { done_bytes }),
            Value::Hashed(seal) => {
                if let Err(reason) = fingerprint_fits(&seal) {
                    return Ok(Next::Fail(reason));
                }
                job.counters.used_pages = seal.used_pages;
                if let Some(held) = &mut job.held {
                    held.root = Some(seal.root);
                }
                Ok(Next::Enter(match job.plan.strategy.has_target() {
                    true => State::Sealed { seal },
                    false => State::Vessel(At::Measuring { root: seal.root }),
                }))
            }
            other => wrong(&other),
        })
        .undo(sealed_undo(job))
}
