//! What must hold before a job goes on.

use candid::Principal;

use super::{Held, Sought};
use crate::left::module_as_left;
use crate::limits::PAGE_BYTES;
use crate::relocate::{controlled_as_given, planned, running, settings_fit, snapshots};
use crate::rules::{Verdict, wrong};
use crate::{
    CanisterView, Effect, ImageKind, ImageView, Job, Limits, Reason, ReasonCode, RunState, SnapshotId, Value,
    Why,
};

/// Snapshots that a canister can have (interface specification, "Canister snapshots").
const MAX_SNAPSHOTS: usize = 10;
/// Snapshots that a job has at a time.
const OWN_SNAPSHOTS: usize = 2;
/// Bytes of heap that a vessel needs at most, with room: slices of 2 MB, so many at a time.
const VESSEL_HEAP_BYTES: u64 = 128 << 20;
/// Controllers that a canister can have (interface specification, `canister_settings`).
const MAX_CONTROLLERS: usize = 10;

/// Whether the management canister's view of the source lets it be moved.
pub(super) fn source_canister(job: &Job, view: &CanisterView) -> Result<(), Reason> {
    let source = job.source;
    running(job, view)?;
    let Some(module) = view.module_hash else {
        return Err(Reason::new(ReasonCode::NothingToRepack, format!("{source} is empty")));
    };
    planned(module, view)?;
    // Snapshots of the source die with it, if it is to be deleted.
    if job.plan.strategy.has_target() && view.snapshots_bytes > 0 {
        return Err(snapshots(job, view));
    }
    let controllers = view.settings.controllers.len();
    let owns_itself = view.settings.controllers.contains(&source);
    if !job.plan.strategy.has_target() && controllers >= MAX_CONTROLLERS && !owns_itself {
        let detail = format!("{source} has {controllers}");
        return Err(Reason::new(ReasonCode::TooManyControllers, detail));
    }
    if view.stable_pages > 0 {
        // No image is smaller than its header page.
        worth_it(job, view.stable_pages, 1)?;
    }
    room(job, view)?;
    settings_fit(view)
}

/// Whether nothing gets in the way, and the source can pay for all that follows.
fn room(job: &Job, view: &CanisterView) -> Result<(), Reason> {
    let source = job.source;
    if view.minimum_call_cycles > 0 {
        let detail = format!("{source} wants {} cycles with each call", view.minimum_call_cycles);
        return Err(Reason::new(ReasonCode::WantsCycles, detail));
    }
    if view.heap_limit_bytes.is_some_and(|bytes| bytes < VESSEL_HEAP_BYTES) {
        let detail = format!("{source} may have {} bytes", view.heap_limit_bytes.unwrap_or_default());
        return Err(Reason::new(ReasonCode::SmallHeapLimit, detail));
    }
    // It would cross the coordinator, there and back.
    if view.chunk_store_bytes > 0 && !job.plan.strategy.has_target() {
        let detail =
            format!("{source} has a chunk store of {} bytes: clear_chunk_store", view.chunk_store_bytes);
        return Err(Reason::new(ReasonCode::TooLarge, detail));
    }
    if view.has_public_snapshots {
        return Err(Reason::new(ReasonCode::PublicSnapshots, source.to_text()));
    }
    let needed_cycles = needed_cycles(job, view);
    if view.balance_cycles < needed_cycles {
        let detail = format!("{source} has {} cycles and needs {needed_cycles}", view.balance_cycles);
        return Err(Reason::new(ReasonCode::OutOfCycles, detail));
    }
    Ok(())
}

/// Cycles that a vessel spends for each byte that it pours, on 13 nodes, with room: measured 1,056 to 1,060 (facts.md).
const POURED_BYTE_CYCLES: u128 = 1_100;

/// Cycles that a source needs for two snapshots, each as large as itself, on top of what freezes it: what the
/// calls charge, what an upgrade prepays, what a repack pours as far as that is known, and a frozen-below balance that
/// grows with what it holds.
fn needed_cycles(job: &Job, view: &CanisterView) -> u128 {
    let held_bytes = u128::from(view.memory_bytes.max(1));
    let all_bytes = held_bytes * (1 + OWN_SNAPSHOTS as u128);
    let freezing_cycles = view.freezing_cycles.saturating_mul(all_bytes) / held_bytes;
    let prepaid_cycles =
        job.held.as_ref().map_or(0, |held| held.prepaid_cycles).max(Limits::UPGRADE_PREPAID_CYCLES);
    let poured_bytes = match job.plan.strategy.has_target() {
        true => 0,
        false => u128::from(job.counters.used_pages) * u128::from(PAGE_BYTES),
    };
    // At least: on a subnet with more nodes it is more.
    let poured_cycles = poured_bytes * POURED_BYTE_CYCLES;
    freezing_cycles
        .saturating_add(Limits::REPACK_CYCLES)
        .saturating_add(poured_cycles)
        .saturating_add(prepaid_cycles)
        .saturating_add(all_bytes)
}

/// Whether there is room for the job's snapshots.
pub(super) fn slots(job: &Job) -> Result<(), Reason> {
    let count = job.held.as_ref().map_or(0, |held| held.foreign.len());
    if count + OWN_SNAPSHOTS <= MAX_SNAPSHOTS {
        return Ok(());
    }
    let detail = format!("{} has {count} of {MAX_SNAPSHOTS}, {OWN_SNAPSHOTS} are needed", job.source);
    Err(Reason::new(ReasonCode::NoSlot, detail))
}

/// Whether the source is, directly before it is stopped, as it was when the job looked first, and can pay.
pub(super) fn ready_to_stop(job: &Job, view: &CanisterView) -> Result<(), Reason> {
    module_as_left(job.source_left.as_ref(), view)?;
    controlled_as_given(job, view)?;
    room(job, view)?;
    // A stop that was sent may be under way, or done.
    if view.run_state != RunState::Running && !job.attempt.is_sent {
        return running(job, view);
    }
    Ok(())
}

/// Whether the image can be moved, and is worth it; answers its pages when compact.
pub(super) fn image(job: &Job, view: &ImageView) -> Result<u64, Reason> {
    let source = job.source;
    match &view.kind {
        ImageKind::Empty => {
            Err(Reason::new(ReasonCode::NothingToRepack, format!("{source} has no stable memory")))
        }
        ImageKind::Raw => {
            let detail = format!("{} pages of {source} are raw", view.stable_pages);
            Err(Reason::new(ReasonCode::NothingToRepack, detail))
        }
        ImageKind::Unreadable { reason } => {
            Err(Reason::new(ReasonCode::Unreadable, format!("{source}: {reason}")))
        }
        ImageKind::Elsewhere { manager_page } => {
            let detail = format!("one begins at page {manager_page} of {source}: name it as manager_page");
            Err(Reason::new(ReasonCode::NothingToRepack, detail))
        }
        ImageKind::Tailed { tail_pages, signs } => {
            let detail = format!("{tail_pages} pages of {source}: {signs}");
            Err(Reason::new(ReasonCode::HasTail, detail))
        }
        ImageKind::DoesNotFit { reason } => Err(Reason::new(ReasonCode::BucketTooSmall, reason.clone())),
        ImageKind::Managed { compact_pages, used_pages, .. } => {
            worth_it(job, view.stable_pages, *compact_pages)?;
            Limits::passes_in_time(&job.plan, *used_pages)?;
            Ok(*compact_pages)
        }
    }
}

fn worth_it(job: &Job, stable_pages: u64, compact_pages: u64) -> Result<(), Reason> {
    let source = job.source;
    let reclaimed_pages = stable_pages.saturating_sub(compact_pages);
    if reclaimed_pages == 0 {
        let detail = format!("{source} holds {stable_pages} pages");
        return Err(Reason::new(ReasonCode::AlreadyCompact, detail));
    }
    let min_pages = job.plan.min_reclaimed_pages;
    if reclaimed_pages < min_pages {
        let detail =
            format!("{reclaimed_pages} of {stable_pages} pages of {source}, the plan wants {min_pages}");
        return Err(Reason::new(ReasonCode::NotWorthIt, detail));
    }
    Ok(())
}

/// Whether the image, dressed and not yet started, is as it must be. Its `post_upgrade` may have grown it, but not to
/// what it was.
pub(super) fn dressed_image(job: &Job, view: &CanisterView) -> Result<(), Reason> {
    module_as_left(super::image_left(job), view)?;
    if view.run_state != RunState::Stopped {
        let detail = format!("{} is {:?}: somebody started it", job.image(), view.run_state);
        return Err(Reason::new(ReasonCode::OthersActed, detail));
    }
    let (now_pages, before_pages) = (view.stable_pages, job.counters.source_pages);
    if now_pages >= before_pages {
        let detail = format!("{now_pages} pages, {before_pages} before: its post_upgrade grew it");
        return Err(Reason::new(ReasonCode::NotWorthIt, detail));
    }
    Ok(())
}

/// The snapshots of a canister, where nobody knows whether the job made one.
pub(crate) fn find_snapshots(job: &Job, canister: Principal) -> Effect {
    Effect::FindSnapshots { canister, known: job.held.as_ref().map(Held::known).unwrap_or_default() }
}

/// What a list of snapshots says of a call that makes one, in the place of `replaced` if there was one.
pub(super) fn new_snapshot(
    job: &Job,
    value: &Value,
    replaced: Option<&SnapshotId>,
    sought: &Sought,
) -> Result<Verdict, Why> {
    let (Value::Found(all), Some(held)) = (value, &job.held) else { return wrong(value) };
    // It takes the place of that one in one step: while that is there, what is new is not ours.
    let has_place = replaced.is_some_and(|replaced| all.iter().any(|it| it.id == *replaced));
    Ok(match held.made(all, Some(sought)).as_slice() {
        _ if has_place => Verdict::NotYet,
        [] if replaced.is_none() => Verdict::NotYet,
        [id] => Verdict::Answered(Value::Snapshot(id.clone())),
        several => {
            let detail = format!("{} new snapshots: somebody else makes or deletes some", several.len());
            Verdict::Yield(Reason::new(ReasonCode::OthersActed, detail))
        }
    })
}
