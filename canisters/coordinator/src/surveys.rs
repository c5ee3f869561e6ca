//! What takes a snapshot and reads megabytes is done once: one job looks at the layout of a build and size, one reads a
//! module, and others wait for what it finds. It is on the heap only: after an upgrade a job more looks for itself.

use crate::store;
use decant_api::JobId;
use decant_engine::{Digest, Job, Outcome, Reason, ReasonCode, State, VesselState};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sight {
    /// The layout of a build, for a plan.
    Layout { plan_id: u64, module: [u8; 32], stable_pages: u64 },
    /// A module.
    Module([u8; 32]),
}

impl Sight {
    /// What a job wants to know of the layout of its source.
    pub(crate) fn layout(job: &Job, module: &Digest, stable_pages: u64) -> Self {
        Self::Layout { plan_id: job.plan().plan_id, module: module.0, stable_pages }
    }
}

thread_local! {
    /// Which job finds out what.
    static LOOKING: RefCell<BTreeMap<Sight, JobId>> = const { RefCell::new(BTreeMap::new()) };
}

/// What a job is answered that need not look, because another one does. That one is named here otherwise.
pub(crate) fn wait(job: &Job, sight: Sight) -> Option<Outcome> {
    let other = LOOKING.with_borrow(|looking| looking.get(&sight).copied()).filter(|id| *id != job.id());
    // One that ended, or went on, does not: it went back before it had found out.
    if let Some(other) = other.filter(|id| store::job(*id).is_some_and(|job| looks(&job))) {
        let detail = format!("job {other}");
        return Some(Outcome::Transient(Reason::new(ReasonCode::LookedAtByOther, detail)));
    }
    LOOKING.with_borrow_mut(|looking| looking.insert(sight, job.id()));
    None
}

/// A job found out what it wanted to know.
pub(crate) fn found(job: &Job) {
    LOOKING.with_borrow_mut(|looking| looking.retain(|_, id| *id != job.id()));
}

fn looks(job: &Job) -> bool {
    use VesselState::{Learning, Recalling, Surveyed, Surveying};
    matches!(
        job.state(),
        State::Vessel(Recalling { .. } | Surveying { .. } | Surveyed { .. } | Learning { .. })
    )
}
