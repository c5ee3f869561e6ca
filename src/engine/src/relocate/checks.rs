//! What must hold before a job goes on.

use crate::left::{hex, short};
use crate::{
    CanisterView, Digest, FenceView, Job, KIT_VERSION, KitView, LayoutView, Limits, MAX_FINGERPRINT_BYTES,
    MAX_SETTINGS_BYTES, Reason, ReasonCode, Retention, RunState, Seal,
};

/// The management canister caps it; a reply that exceeds it is not from there.
const MAX_CONTROLLERS: usize = 10;

/// Whether the management canister's view of the source lets it be moved.
pub(crate) fn source_canister(job: &Job, view: &CanisterView) -> Result<(), Reason> {
    let source = job.source;
    running(job, view)?;
    let Some(module) = view.module_hash else {
        return Err(Reason::new(ReasonCode::NoKit, format!("{source} is empty")));
    };
    planned(module, view)?;
    let is_deleted = !matches!(job.plan.retention, Retention::Tombstone { .. });
    if is_deleted && view.snapshots_bytes > 0 {
        return Err(snapshots(job, view));
    }
    settings_fit(view)
}

/// Whether the plan names what the canister runs.
pub(crate) fn planned(module: Digest, view: &CanisterView) -> Result<(), Reason> {
    if view.is_planned {
        return Ok(());
    }
    let detail = format!("it runs {}, which the plan does not name", hex(&module.0));
    Err(Reason::new(ReasonCode::WrongModule, detail))
}

/// Whether the source runs.
pub(crate) fn running(job: &Job, view: &CanisterView) -> Result<(), Reason> {
    match view.run_state {
        RunState::Running => Ok(()),
        other => Err(Reason::new(ReasonCode::NotRunning, format!("{} is {other:?}", job.source))),
    }
}

/// Whether the source is controlled by whom it was when the target was given its settings: somebody who was taken off since
/// would control that.
pub(crate) fn controlled_as_given(job: &Job, view: &CanisterView) -> Result<(), Reason> {
    match &job.given {
        Some(given) if *given != view.settings.controllers => {
            let detail = "its controllers changed after its target was given them: enrol it again";
            Err(Reason::new(ReasonCode::OthersActed, detail))
        }
        _ => Ok(()),
    }
}

/// Whether a job can hold the settings.
pub(crate) fn settings_fit(view: &CanisterView) -> Result<(), Reason> {
    let controllers = view.settings.controllers.len();
    let bytes = view.settings.others.len();
    if controllers > MAX_CONTROLLERS || bytes > MAX_SETTINGS_BYTES {
        let detail = format!("settings of {controllers} controllers and {bytes} bytes");
        return Err(Reason::new(ReasonCode::TooLarge, detail));
    }
    Ok(())
}

/// The source has snapshots.
pub(crate) fn snapshots(job: &Job, view: &CanisterView) -> Reason {
    Reason::new(ReasonCode::HasSnapshots, format!("{}: {} bytes", job.source, view.snapshots_bytes))
}

/// Whether the kit's view of the source lets it be moved, and makes it worth it.
pub(crate) fn source_kit(job: &Job, view: &KitView) -> Result<(), Reason> {
    let source = job.source;
    if view.kit_version != KIT_VERSION {
        let detail = format!("{source} speaks version {}, not {KIT_VERSION}", view.kit_version);
        return Err(Reason::new(ReasonCode::NoKit, detail));
    }
    match view.fence {
        FenceView::Open => {}
        FenceView::Frozen(holder) | FenceView::Sealed(holder) if holder.is_job(job.id) => {}
        FenceView::Frozen(holder) | FenceView::Sealed(holder) | FenceView::Importing(holder) => {
            return Err(Reason::new(ReasonCode::HeldByOther, format!("{source} by job {}", holder.job)));
        }
        FenceView::Moved { to, .. } => {
            return Err(Reason::new(ReasonCode::HeldByOther, format!("{source} moved to {to}")));
        }
    }
    let compact_pages = match &view.layout {
        LayoutView::Empty => 1,
        LayoutView::Raw => view.stable_pages.saturating_add(1),
        // At most one bucket of a memory is not full.
        LayoutView::Managed { memories, used_pages } => {
            let slack_pages = u64::from(*memories) * u64::from(job.plan.bucket_pages.saturating_sub(1));
            used_pages.saturating_add(slack_pages).saturating_add(1)
        }
        LayoutView::Unreadable { reason } => {
            return Err(Reason::new(ReasonCode::Unreadable, format!("{source}: {reason}")));
        }
    };
    let reclaimed_pages = view.stable_pages.saturating_sub(compact_pages);
    let min_pages = job.plan.min_reclaimed_pages;
    if reclaimed_pages < min_pages {
        let held_pages = view.stable_pages;
        let detail =
            format!("{reclaimed_pages} of {held_pages} pages of {source}, the plan wants {min_pages}");
        return Err(Reason::new(ReasonCode::NotWorthIt, detail));
    }
    let used_pages = match view.layout {
        LayoutView::Managed { used_pages, .. } => used_pages,
        _ => view.stable_pages,
    };
    // What is copied before the freeze does not pass after it.
    match job.plan.wants_precopy(used_pages) {
        true => Ok(()),
        false => Limits::passes_in_time(&job.plan, used_pages),
    }
}

/// Whether a job can hold the seal.
pub(crate) fn fingerprint_fits(seal: &Seal) -> Result<(), Reason> {
    let bytes = seal.fingerprint.len();
    if bytes <= MAX_FINGERPRINT_BYTES {
        return Ok(());
    }
    Err(Reason::new(
        ReasonCode::TooLarge,
        format!("a fingerprint of {bytes} bytes, not {MAX_FINGERPRINT_BYTES}"),
    ))
}

/// Whether what is found is what was sealed.
pub(crate) fn equals_seal(sealed: &Seal, found: &Seal, code: ReasonCode) -> Result<(), Reason> {
    if found.root != sealed.root {
        let detail = format!("root {} where {} was sealed", short(found.root), short(sealed.root));
        return Err(Reason::new(code, detail));
    }
    if found.fingerprint != sealed.fingerprint {
        return Err(Reason::new(code, "the roots agree, the dapp's fingerprints don't"));
    }
    Ok(())
}

/// A retired source does not hold what was sealed.
pub(crate) fn left_behind() -> Reason {
    let what =
        "its last writes are not in the target; nothing is deleted: bring them over, delete it yourself";
    Reason::new(ReasonCode::ChangedAfterSeal, what)
}

/// The source does not exist.
pub(crate) fn source_gone(job: &Job) -> Reason {
    gone(job.source, "source")
}

/// A canister does not exist.
pub(crate) fn gone(canister: candid::Principal, what: &str) -> Reason {
    Reason::new(ReasonCode::Gone, format!("{what} {canister}"))
}
