//! Indexes hand canisters over, within the plan that names them.

use crate::carried;
use crate::store::{self, PlanRecord};
use candid::Principal;
use decant_api::JobId;
use decant_api::plan;
use decant_api::routes::EnrolError;
use decant_engine::{Digest, Job, PlanEssentials, Retention, Strategy};
use std::collections::BTreeSet;

/// Canisters in one call: their jobs are written in one message.
const BATCH: usize = 1_000;

/// Makes a job of each canister: of all, or of none.
pub(crate) fn enrol(index: Principal, canisters: &[Principal]) -> Result<Vec<JobId>, EnrolError> {
    let (plan_id, record) = store::plan_for(index).ok_or(EnrolError::NotAuthorised { caller: index })?;
    check_count(&record, canisters.len())?;
    let mut distinct = BTreeSet::new();
    for canister in canisters {
        let open = store::job_of(*canister)
            .and_then(store::job)
            .filter(|job| !job.state().is_ended())
            .map(|job| job.id());
        if let Some(job) = open {
            return Err(EnrolError::AlreadyEnrolled { canister: *canister, job });
        }
        if !distinct.insert(*canister) {
            return Err(EnrolError::AlreadyEnrolled { canister: *canister, job: 0 });
        }
    }
    let plan = essentials(plan_id, &record).ok_or(EnrolError::NotAuthorised { caller: index })?;
    let now = ic_cdk::api::time();
    let mut jobs = Vec::new();
    for canister in canisters {
        let job = Job::new(store::next_job_id(), *canister, vec![index], plan, now).map_err(|error| {
            EnrolError::TooMany { asked: canisters.len() as u64, left: 0, limit: error.to_string() }
        })?;
        jobs.push(job);
    }
    for job in &jobs {
        store::enqueue(job);
    }
    store::change_plan(plan_id, |record| record.enrolled += jobs.len() as u64);
    Ok(jobs.iter().map(Job::id).collect())
}

fn check_count(record: &PlanRecord, asked: usize) -> Result<(), EnrolError> {
    let too_many =
        |left: u64, limit: &str| EnrolError::TooMany { asked: asked as u64, left, limit: limit.to_owned() };
    if asked > BATCH {
        return Err(too_many(BATCH as u64, "canisters in one call"));
    }
    let left = record.plan.max_canisters.saturating_sub(record.enrolled);
    if asked as u64 > left {
        return Err(too_many(left, "canisters of the plan"));
    }
    Ok(())
}

fn essentials(plan_id: u64, record: &PlanRecord) -> Option<PlanEssentials> {
    let plan = &record.plan;
    let retention = match plan.retention {
        plan::Retention::Frozen { seconds } => Retention::Frozen { seconds },
        plan::Retention::Tombstone => Retention::Tombstone {
            module_hash: match &plan.tombstone {
                Some(tombstone) => digest(&tombstone.hash)?,
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
    })
}

fn digest(bytes: &[u8]) -> Option<Digest> {
    bytes.try_into().ok().map(Digest)
}
