//! What must hold before a job goes on.

use crate::relocate::{running, settings_fit, snapshots};
use crate::{CanisterView, ImageKind, ImageView, Job, Limits, Reason, ReasonCode, RunState, Stage};

/// Snapshots that a canister can have (interface specification, "Canister snapshots").
const MAX_SNAPSHOTS: usize = 10;
/// Snapshots that a job has at a time.
const OWN_SNAPSHOTS: usize = 2;

/// Whether the management canister's view of the source lets it be repacked.
pub(super) fn source_canister(job: &Job, view: &CanisterView) -> Result<(), Reason> {
    let source = job.source;
    running(job, view)?;
    if view.module_hash.is_none() {
        return Err(Reason::new(ReasonCode::Unreadable, format!("{source} is empty")));
    }
    // Snapshots of the source die with it, if it is to be deleted.
    if job.plan.strategy.has_target() && view.snapshots_bytes > 0 {
        return Err(snapshots(job, view));
    }
    if view.stable_pages > 0 {
        // No image is smaller than its header page.
        worth_it(job, view.stable_pages, 1)?;
    }
    let needed_cycles = needed_cycles(view);
    if view.balance_cycles < needed_cycles {
        let detail = format!("{source} has {} cycles and needs {needed_cycles}", view.balance_cycles);
        return Err(Reason::new(ReasonCode::OutOfCycles, detail));
    }
    settings_fit(view)
}

/// Cycles that a source needs for two snapshots, each as large as itself, on top of what freezes it: what the
/// calls charge, and a frozen-below balance that grows with what it holds.
fn needed_cycles(view: &CanisterView) -> u128 {
    let held_bytes = u128::from(view.memory_bytes.max(1));
    let all_bytes = held_bytes * (1 + OWN_SNAPSHOTS as u128);
    let freezing_cycles = view.freezing_cycles.saturating_mul(all_bytes) / held_bytes;
    freezing_cycles.saturating_add(Limits::REPACK_CYCLES).saturating_add(all_bytes)
}

/// Whether there is room for the job's snapshots: with a timer for a copy too.
pub(super) fn slots(job: &Job) -> Result<(), Reason> {
    let (count, keeps_timer) = job.held.as_ref().map_or((0, false), |it| (it.foreign.len(), it.keeps_timer));
    let own = OWN_SNAPSHOTS + usize::from(keeps_timer);
    if count + own <= MAX_SNAPSHOTS {
        return Ok(());
    }
    let detail = format!("{} has {count} of {MAX_SNAPSHOTS}, {own} are needed", job.source);
    Err(Reason::new(ReasonCode::NoSlot, detail))
}

/// Whether the image can be repacked, and is worth it; answers its pages in use and when compact.
pub(super) fn image(job: &Job, view: &ImageView) -> Result<(u64, u64), Reason> {
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
        ImageKind::Tailed { tail_pages } => {
            Err(Reason::new(ReasonCode::HasTail, format!("{tail_pages} pages of {source}")))
        }
        ImageKind::DoesNotFit { reason } => Err(Reason::new(ReasonCode::BucketTooSmall, reason.clone())),
        ImageKind::Managed { used_pages, compact_pages, .. } => {
            worth_it(job, view.stable_pages, *compact_pages)?;
            Ok((*used_pages, *compact_pages))
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

/// Whether the source is as it was saved: with its code, and stopped, so that nobody wrote to it since.
pub(super) fn guarded(job: &Job, view: &CanisterView) -> Result<(), Reason> {
    let source = job.source;
    if view.run_state != RunState::Stopped {
        let detail = format!("{source} is {:?}: somebody else started it", view.run_state);
        return Err(Reason::new(ReasonCode::Contradiction, detail));
    }
    if view.module_hash != job.own_module() {
        return Err(Reason::new(ReasonCode::WrongModule, format!("{source}: somebody else installed it")));
    }
    Ok(())
}

/// Whether users write to the image already, because somebody else started it: then nothing goes back.
pub(super) fn serves_already(job: &Job, view: &CanisterView) -> bool {
    job.target.is_none() && view.run_state == RunState::Running && view.module_hash == job.own_module()
}

/// Whether the image is in place, with the code that it had: still stopped before the commit point, running
/// after it. Its `post_upgrade` may have grown it, but not to what it was.
pub(super) fn image_canister(job: &Job, view: &CanisterView) -> Result<(), Reason> {
    let image = job.image();
    if view.module_hash != job.own_module() {
        return Err(Reason::new(ReasonCode::WrongModule, format!("on {image}")));
    }
    let wanted = match job.state.stage() {
        Stage::BeforeCommit => RunState::Stopped,
        _ => RunState::Running,
    };
    if view.run_state != wanted {
        let detail = format!("{image} is {:?}, not {wanted:?}: somebody else acts on it", view.run_state);
        return Err(Reason::new(ReasonCode::Contradiction, detail));
    }
    let (now_pages, before_pages) = (view.stable_pages, job.counters.source_pages);
    if job.state.stage() == Stage::BeforeCommit && now_pages >= before_pages {
        let detail = format!("{now_pages} pages, {before_pages} before: its post_upgrade grew it");
        return Err(Reason::new(ReasonCode::NotWorthIt, detail));
    }
    Ok(())
}
