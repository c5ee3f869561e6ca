//! The state travels, is checked on both sides, and the routes are swapped. Until here everything can be undone.

use super::begin::copied;
use super::checks::{equals_seal, source_gone};
use super::fence::source_held;
use crate::left::module_as_left;
use crate::rules::{Next, Rules, When, not_yet, wrong};
use crate::{Digest, Effect, Job, Limits, ReasonCode, Seal, State, Undo, Value, VesselState};

/// What is undone of a job whose source is sealed.
fn held(job: &Job) -> Vec<Undo> {
    if job.plan.strategy.is_by_vessel() { crate::vessel::sealed_undo(job) } else { source_held().collect() }
}

/// The source is sealed: the target pulls until every digest of its manifest is met. It may have hashed what it wrote by
/// then.
pub(crate) fn sealed(job: &Job, seal: Seal, limits: &Limits) -> Option<Rules> {
    let max_batches = limits.max_batches_per_pull;
    let rules = Rules::call(Effect::Pull { target: job.target?, root: seal.root, max_batches })
        .done(move |job, value| {
            copied(job, value, |found| match found {
                Some(found) => verified(seal, &found),
                None => Next::Enter(State::Pulled { seal }),
            })
        })
        .undo(held(job));
    Some(rules)
}

/// What the target hashed is what was sealed, or not.
fn verified(seal: Seal, found: &Seal) -> Next {
    match equals_seal(&seal, found, ReasonCode::RootMismatch) {
        Ok(()) => Next::Enter(State::TargetVerified { seal }),
        Err(reason) => Next::Fail(reason),
    }
}

/// The target has all of it, and hashes what it wrote.
pub(crate) fn pulled(job: &Job, seal: Seal) -> Option<Rules> {
    let rules = Rules::call(Effect::Verify { target: job.target? })
        .done(move |_, value| match value {
            Value::Working { done_bytes } => Ok(Next::Again { done_bytes }),
            Value::Hashed(found) => Ok(verified(seal, &found)),
            other => wrong(&other),
        })
        .undo(held(job));
    Some(rules)
}

/// What it wrote is what was sealed. Is it still what the source holds?
pub(crate) fn target_verified(job: &Job, seal: Seal) -> Option<Rules> {
    let rules = Rules::call(Effect::Recheck { source: job.source })
        .done(move |job, value| match value {
            Value::Working { done_bytes } => Ok(Next::Again { done_bytes }),
            Value::Hashed(found) => Ok(match equals_seal(&seal, &found, ReasonCode::ChangedAfterSeal) {
                Ok(()) => Next::Enter(match job.plan.strategy.is_by_vessel() {
                    // The target still runs the vessel: the dapp's own module next.
                    true => State::Vessel(VesselState::Resting { root: seal.root }),
                    false => State::Switching { root: seal.root, next: 0 },
                }),
                Err(reason) => Next::Fail(reason),
            }),
            other => wrong(&other),
        })
        .undo(held(job));
    Some(rules)
}

/// It is: one index after the other names the target. A swap that happened answers so.
pub(crate) fn switching(job: &Job, root: Digest, next: u16) -> Option<Rules> {
    let to = job.target?;
    let undo = match job.plan.strategy.is_by_vessel() {
        true => crate::vessel::poured_undo(job),
        false => source_held().collect(),
    };
    let swap =
        job.indexes.get(usize::from(next)).map(|index| Effect::Swap { index: *index, from: job.source, to });
    let swaps_back = swap.as_ref().map(|_| Undo::SwapBack { index: next });
    let mut rules = Rules { call: swap, ..Rules::none() }
        .then(move |job| {
            let next = next.saturating_add(1);
            match usize::from(next) < job.indexes.len() {
                true => State::Switching { root, next },
                false => State::Committed { root },
            }
        })
        .undo(undo)
        .undo((0..next).map(|index| Undo::SwapBack { index }));
    // Where no swap may have happened the route names the source, and users need not wait for an index that is down.
    rules.undo_call.extend(swaps_back.filter(|_| job.attempt.is_unsure));
    if !job.plan.strategy.is_by_vessel() {
        return Some(rules);
    }
    // No fence keeps users out of a target that somebody starts.
    rules.undo.extend((next > 0).then_some(Undo::CheckUnserved));
    rules.undo_call.extend(job.attempt.is_unsure.then_some(Undo::CheckUnserved));
    // No fence keeps others from giving the source its module back, and users who are still sent there from writing.
    let look = crate::vessel::look(job.source_left.as_ref(), job.source);
    Some(rules.look_at(When::First, look, source_gone, |job, view| {
        not_yet(module_as_left(job.source_left.as_ref(), view))
    }))
}
