//! Indexes hand canisters over, within the plan that names them, and take them back.

use crate::store::{self, PlanRecord};
use crate::{carried, driver};
use candid::Principal;
use decant_api::JobId;
use decant_api::plan;
use decant_api::routes::{EnrolError, WithdrawError};
use decant_engine::{Digest, Event, Job, PlanEssentials, Retention, State, Strategy};
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// Canisters in one call: their jobs are written in one message.
const BATCH: usize = 1_000;

/// Who asks, whom, and when.
pub(crate) struct Asked {
    /// The caller, which a plan names.
    pub(crate) index: Principal,
    /// This coordinator.
    pub(crate) own: Principal,
    /// The time.
    pub(crate) now_nanos: u64,
}

impl Asked {
    /// By the message that is executed.
    pub(crate) fn here() -> Self {
        let (index, own) = (ic_cdk::api::msg_caller(), ic_cdk::api::canister_self());
        Self { index, own, now_nanos: ic_cdk::api::time() }
    }
}

/// Makes a job of each canister that may be enrolled; answers for each. One with an open job keeps that.
pub(crate) fn enrol(asked: &Asked, canisters: &[Principal]) -> Vec<Result<JobId, EnrolError>> {
    let all_refused = |plan: u64, why: &str| {
        canisters.iter().map(|_| Err(EnrolError::Plan { plan, why: why.to_owned() })).collect()
    };
    let index = asked.index;
    let Some(plan_id) = store::plan_of(index) else { return all_refused(0, "no plan names the caller") };
    let Some(record) = store::plan(plan_id) else { return all_refused(plan_id, "it can't be read") };
    let Some(essentials) = essentials(plan_id, &record) else {
        return all_refused(plan_id, "earlier builds did what it says");
    };
    let course = store::course(plan_id);
    if course.has_ended {
        return all_refused(plan_id, "governance ended it");
    }
    let routes = routes(&record.plan, index);
    let max_canisters = course.terms(&record.plan).max_canisters;
    let mut enrolled = record.used.enrolled;
    let mut enrol_one = |position: usize, canister: Principal| {
        if let Some(job) = open_job(canister) {
            return Ok(job.id());
        }
        if position >= BATCH {
            return Err(EnrolError::TooMany { limit: BATCH as u64 });
        }
        if enrolled >= max_canisters {
            return Err(EnrolError::PlanUsedUp { max_canisters });
        }
        check_kind(canister, asked.own)?;
        if store::is_index(canister) || routes.contains(&canister) {
            return Err(EnrolError::Index);
        }
        check_past(canister)?;
        let job = Job::new(store::next_job_id(), canister, routes.clone(), essentials, asked.now_nanos)
            .map_err(|error| EnrolError::Plan { plan: plan_id, why: error.to_string() })?;
        store::enqueue(&job);
        enrolled += 1;
        Ok(job.id())
    };
    let answers: Vec<_> =
        canisters.iter().enumerate().map(|(position, it)| enrol_one(position, *it)).collect();
    store::change_used(plan_id, |used| used.enrolled = enrolled);
    answers
}

/// The indexes that are swapped for what `index` enrols.
fn routes(plan: &plan::Plan, index: Principal) -> Vec<Principal> {
    plan.routes.clone().unwrap_or_else(|| vec![index])
}

fn open_job(source: Principal) -> Option<Job> {
    store::job_of(source).and_then(store::job).filter(|job| !job.state().is_ended())
}

/// Whether a canister could be enrolled, by what is known of it here.
pub(crate) fn check(canister: Principal, own: Principal) -> Result<(), EnrolError> {
    check_kind(canister, own)?;
    if store::is_index(canister) {
        return Err(EnrolError::Index);
    }
    check_past(canister)
}

/// What a canister is, before any job.
fn check_kind(canister: Principal, own: Principal) -> Result<(), EnrolError> {
    if !decant_words::is_canister(canister) {
        return Err(EnrolError::NoCanister);
    }
    if canister == own {
        return Err(EnrolError::Coordinator);
    }
    if canister == store::governance() {
        return Err(EnrolError::Governance);
    }
    match store::pooled(canister) {
        Some(_) => Err(EnrolError::Pool),
        None => Ok(()),
    }
}

/// What jobs made of a canister.
fn check_past(canister: Principal) -> Result<(), EnrolError> {
    if let Some(job) = store::job_to(canister).and_then(store::job).filter(|job| !job.state().is_ended()) {
        return Err(EnrolError::Target { job: job.id() });
    }
    let moved =
        store::job_of(canister).and_then(store::job).filter(|job| job.times().committed_nanos.is_some());
    // It was emptied since, and holds another one's state now.
    let is_anothers = |job: &Job| {
        let later = store::job_to(canister).and_then(store::job);
        later.is_some_and(|later| later.times().committed_nanos > job.times().committed_nanos)
    };
    match moved.filter(|job| !is_anothers(job)).and_then(|job| Some((job.id(), job.target()?))) {
        Some((job, to)) => Err(EnrolError::Moved { to, job }),
        None => Ok(()),
    }
}

/// Takes canisters back; answers for each with its job, which has ended or is on its way back. One that was only in line
/// does not count among those of the plan any more.
pub(crate) fn withdraw(asked: &Asked, canisters: &[Principal]) -> Vec<Result<JobId, WithdrawError>> {
    // A plan may be large, and most canisters have the same: whether it names the caller, and how many are given back.
    let mut plans: BTreeMap<u64, (bool, u64)> = BTreeMap::new();
    let mut withdraw_one = |canister: Principal| {
        let job = store::job_of(canister).and_then(store::job).ok_or(WithdrawError::NotEnrolled)?;
        let (id, plan_id) = (job.id(), job.plan().plan_id);
        let (is_named, given_back) = plans.entry(plan_id).or_insert_with(|| {
            let record = store::plan(plan_id);
            (record.is_some_and(|record| record.plan.indexes.contains(&asked.index)), 0)
        });
        match job.state() {
            _ if !*is_named => Err(WithdrawError::OtherIndex { job: id }),
            State::RolledBack { .. } | State::RollingBack { .. } => Ok(id),
            _ => {
                driver::change(job.clone(), Event::AbortRequested, asked.now_nanos)
                    .map_err(|why| WithdrawError::TooLate { job: id, why })?;
                *given_back += u64::from(job.counters().calls == 0);
                Ok(id)
            }
        }
    };
    let answers = canisters.iter().map(|canister| withdraw_one(*canister)).collect();
    for (plan_id, (_, given_back)) in plans {
        store::change_used(plan_id, |used| used.enrolled = used.enrolled.saturating_sub(given_back));
    }
    answers
}

fn essentials(plan_id: u64, record: &PlanRecord) -> Option<PlanEssentials> {
    let plan = &record.plan;
    let retention = match plan.retention {
        plan::Retention::Frozen { seconds } => Retention::Frozen { seconds },
        plan::Retention::Tombstone => Retention::Tombstone {
            module_hash: match &plan.tombstone {
                Some(tombstone) => digest(&tombstone.hash)?,
                // A name alone: what is carried when it is made becomes the tombstone.
                None => carried::hash(),
            },
        },
        plan::Retention::None => Retention::None,
    };
    let strategy = match &plan.strategy {
        plan::Strategy::Relocate(relocation) => {
            let precopy_min_pages = relocation.precopy_min_pages;
            Strategy::Relocate { module_hash: digest(&relocation.module.hash)?, precopy_min_pages }
        }
        plan::Strategy::Repack(_) => Strategy::Repack,
        plan::Strategy::RelocateVessel(_) => Strategy::RelocateVessel,
        plan::Strategy::RelocateSnapshot(_) => return None,
    };
    Some(PlanEssentials {
        plan_id,
        strategy,
        bucket_pages: plan.bucket_pages,
        min_reclaimed_pages: plan.min_reclaimed_pages,
        retention,
        has_asset_checks: !(plan.ledgers.is_empty() && plan.dependents.is_empty()),
        rolls_back_on_lost_timer: plan
            .strategy
            .by_vessel()
            .is_some_and(|by| by.rolls_back_on_lost_timer == Some(true)),
        recycled_with_cycles: plan.recycling.map(|_| plan.cycles_per_target),
        max_wait_seconds: store::course(plan_id).pace().max_wait_seconds,
    })
}

fn digest(bytes: &[u8]) -> Option<Digest> {
    bytes.try_into().ok().map(Digest)
}
