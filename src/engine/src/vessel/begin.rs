//! What can be refused is refused here: nothing of it stops the source.

use super::checks::{find_snapshots, image, new_snapshot, ready_to_stop, slots, source_canister};
use super::{Held, Sought, VesselState as At, look, saved, target};
use crate::left::Left;
use crate::relocate::begin::{installed_on_target, target_gone};
use crate::relocate::source_gone;
use crate::rules::{Next, Rules, When, run_state, wrong};
use crate::{
    Effect, ImageKind, Job, Known, Reason, ReasonCode, RunState, Settings, State, Undo, Value, VesselRole,
    Why,
};

/// Nothing is known yet. Does the coordinator control the source, which runs a module that the plan names?
pub(crate) fn queued(job: &Job) -> Rules {
    Rules::call(Effect::CanisterStatus { canister: job.source }).done(|job, value| match value {
        Value::Gone => Ok(Next::Fail(source_gone(job))),
        Value::Canister(view) => Ok(match (source_canister(job, &view), view.module_hash) {
            (Ok(()), Some(module_hash)) => {
                job.source_left = Some(Left::of(&view, job.attempt.first_nanos));
                job.counters.source_pages = view.stable_pages;
                let owns_itself = view.settings.controllers.contains(&job.source);
                job.held = Some(Held { owns_itself, ..Held::new(module_hash) });
                Next::Enter(State::Vessel(At::Listing { settings: view.settings }))
            }
            (Err(reason), _) => Next::Fail(reason),
            (Ok(()), None) => Next::Fail(Reason::new(ReasonCode::NothingToRepack, "it is empty")),
        }),
        other => wrong(&other),
    })
}

/// It does. Has it room for two snapshots?
pub(super) fn listing(job: &Job, settings: Settings) -> Rules {
    Rules::call(Effect::ListSnapshots { canister: job.source }).done(|job, value| {
        let (Value::Snapshots(all), Some(held)) = (&value, &mut job.held) else { return wrong(&value) };
        held.foreign = all.clone();
        Ok(match slots(job) {
            Ok(()) => Next::Enter(State::Vessel(At::Recalling { settings })),
            Err(reason) => Next::Fail(reason),
        })
    })
}

/// It has. Does the coordinator know the layout of this build at this size, and its module?
pub(super) fn recalling(job: &Job, settings: Settings) -> Option<Rules> {
    let module_hash = job.own_module()?;
    let recall =
        Effect::Recall { canister: job.source, module_hash, stable_pages: job.counters.source_pages };
    Some(Rules::call(recall).done(|job, value| match value {
        Value::Known(None) => Ok(Next::Enter(State::Vessel(At::Surveying { settings }))),
        Value::Known(Some(known)) => learnt(job, &known, settings),
        other => wrong(&other),
    }))
}

/// It does not: a snapshot of the running canister tells.
pub(super) fn surveying(job: &Job, settings: Settings) -> Rules {
    let source = job.source;
    let sought = Sought::taken(job, None);
    Rules::call(Effect::TakeSnapshot { canister: source, replaced: None })
        .done(|job, value| {
            let (Value::Snapshot(id), Some(held)) = (&value, &mut job.held) else { return wrong(&value) };
            held.saved = Some(id.clone());
            Ok(Next::Enter(State::Vessel(At::Surveyed { settings })))
        })
        // A second snapshot is not the first one: the list says whether there is one.
        .look(When::AfterLost, find_snapshots(job, source), move |job, value| {
            new_snapshot(job, value, None, &sought)
        })
        .undo_call(Undo::DropSaved)
        .makes_snapshot(sought)
}

/// Can its image be moved, and is it worth it?
pub(super) fn surveyed(job: &Job, settings: Settings) -> Option<Rules> {
    let snapshot = job.held.as_ref()?.saved.clone()?;
    let rules = Rules::call(Effect::ReadImage { canister: job.source, snapshot })
        .done(|job, value| {
            let Value::Image(view) = &value else { return wrong(&value) };
            if let ImageKind::Managed { used_pages, .. } = view.kind {
                job.counters.used_pages = used_pages;
            }
            Ok(match image(job, view) {
                Ok(_) => Next::Enter(State::Vessel(At::Learning { settings })),
                Err(reason) => Next::Fail(reason),
            })
        })
        .undo(saved(job));
    Some(rules)
}

/// It is. Its module is kept in the chunk store, for the way back to it.
pub(super) fn learning(job: &Job, settings: Settings) -> Option<Rules> {
    let (snapshot, module_hash) = (job.held.as_ref()?.saved.clone()?, job.own_module()?);
    let rules = Rules::call(Effect::KeepModule { canister: job.source, snapshot, module_hash })
        .done(|job, value| match value {
            Value::Known(Some(known)) => learnt(job, &known, settings),
            other => wrong(&other),
        })
        .undo(saved(job));
    Some(rules)
}

/// What follows when the module is known.
fn learnt(job: &mut Job, known: &Known, settings: Settings) -> Result<Next, Why> {
    let has_target = job.plan.strategy.has_target();
    let Some(held) = job.held.as_mut() else { return Err(Why::WrongState) };
    held.vessel_hash = Some(known.vessel_hash);
    held.prepaid_cycles = known.prepaid_cycles;
    if !known.has_pre_upgrade && !known.may_lose_heap {
        return Ok(Next::Fail(Reason::new(ReasonCode::LosesHeap, job.source.to_text())));
    }
    Ok(Next::Enter(match has_target {
        true => State::Admitted { settings },
        false => State::Vessel(At::Ready),
    }))
}

/// The target, of the pool and with the settings of the source, gets a vessel that will pull. Refused where it is not empty.
pub(super) fn hiring(job: &Job) -> Option<Rules> {
    let (canister, vessel_hash) = (job.target?, job.held.as_ref()?.vessel_hash?);
    let role = VesselRole::Target { source: job.source, bucket_pages: job.plan.bucket_pages };
    let rules = Rules::call(Effect::InstallVessel { canister, role, vessel_hash })
        .then(move |job| {
            if let Some(left) = &mut job.target_left {
                left.module = Some(vessel_hash);
            }
            State::Vessel(At::Ready)
        })
        .look_at(When::AfterLost, Effect::CanisterStatus { canister }, target_gone, move |_, view| {
            installed_on_target(view, vessel_hash)
        })
        .undo(target(job))
        .undo(saved(job));
    Some(rules)
}

/// All is known. Is the source still as it was, and has all that the rest needs? Users wait from here on.
pub(super) fn ready(job: &Job) -> Rules {
    let source = job.source;
    Rules::call(Effect::Stop { canister: source })
        .then(|_| State::Vessel(At::Still))
        .look_at(When::First, look(job.source_left.as_ref(), source), source_gone, |job, view| {
            run_state(ready_to_stop(job, view), view, RunState::Stopped)
        })
        .undo(target(job))
        .undo(saved(job))
        // A stop that timed out goes on, whatever a later one answers.
        .undo(job.attempt.is_sent.then_some(Undo::StartSource))
}
