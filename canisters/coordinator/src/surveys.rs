//! What takes a snapshot and reads megabytes is done once: one job looks at the layout of a build and size, one reads a
//! module, and others wait for what it finds. It is on the heap only: after an upgrade a job more looks for itself.

use crate::{driver, store};
use decant_api::JobId;
use decant_engine::{Digest, Job, Outcome, Reason, ReasonCode, State, TimeNanos, VesselState};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Time after which a job that waits looks whether the one that it waits for has gone back: otherwise it is woken.
const WAIT_NANOS: TimeNanos = 60_000_000_000;

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
    /// Jobs that wait for another one.
    static WAITING: RefCell<BTreeSet<JobId>> = const { RefCell::new(BTreeSet::new()) };
}

/// What a job is answered that need not look, because another one does. That one is named here otherwise.
pub(crate) fn wait(job: &Job, sight: Sight) -> Option<Outcome> {
    let other = LOOKING.with_borrow(|looking| looking.get(&sight).copied()).filter(|id| *id != job.id());
    // One that ended, or went on, does not: it went back before it had found out.
    if let Some(other) = other.filter(|id| store::job(*id).is_some_and(|job| looks(&job))) {
        WAITING.with_borrow_mut(|waiting| waiting.insert(job.id()));
        let detail = format!("job {other}");
        return Some(Outcome::Transient(Reason::new(ReasonCode::LookedAtByOther, detail)));
    }
    LOOKING.with_borrow_mut(|looking| looking.insert(sight, job.id()));
    None
}

/// A job found out what it wanted to know. Whoever waits is woken, each of which costs a few messages.
pub(crate) fn found(job: &Job) {
    LOOKING.with_borrow_mut(|looking| looking.retain(|_, id| *id != job.id()));
    let waiting = WAITING.take();
    if waiting.is_empty() {
        return;
    }
    let now_nanos = ic_cdk::api::time();
    waiting.into_iter().for_each(|id| store::board(|board| board.due_at(id, Some(now_nanos))));
    driver::wake();
}

/// When a job is looked at that waits until then.
pub(crate) fn due_nanos(job: &Job, until_nanos: TimeNanos) -> TimeNanos {
    match job.trouble().is_some_and(|trouble| trouble.code() == ReasonCode::LookedAtByOther) {
        true => until_nanos.max(ic_cdk::api::time().saturating_add(WAIT_NANOS)),
        false => until_nanos,
    }
}

fn looks(job: &Job) -> bool {
    use VesselState::{Learning, Recalling, Surveyed, Surveying};
    matches!(
        job.state(),
        State::Vessel(Recalling { .. } | Surveying { .. } | Surveyed { .. } | Learning { .. })
    )
}
