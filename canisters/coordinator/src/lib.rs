//! The canister that drives every job: endpoints authorise, convert and delegate.
//!
//! | module | what |
//! |---|---|
//! | `store` | what outlasts an upgrade: plans, jobs, journals, the pool |
//! | `plans` | what governance approves |
//! | `enrolment` | indexes hand canisters over |
//! | `driver` | jobs, one step after the other, several at a time |
//! | `platform` | effects as calls, and what their values mean |
//! | `outcomes` | what rejects and refusals mean for a job |
//! | `vessels`, `pages`, `modules`, `snapshots` | the same for code that nobody can change |
//! | `carried` | the vessel that this module carries |
//! | `assets` | what must not be lost with an original |
//! | `pool` | fresh canisters |
//! | `views` | what everybody may know |

mod assets;
mod carried;
mod driver;
mod enrolment;
mod management;
mod modules;
mod operators;
mod outcomes;
mod pages;
mod plans;
mod platform;
mod pool;
mod put_back;
mod snapshots;
mod store;
mod trial;
mod vessels;
mod views;

use candid::{CandidType, Principal};
use decant_api::JobId;
use decant_api::jobs::{JobView, JobsArgs, Summary};
use decant_api::plan::Plan;
use decant_api::routes::EnrolError;
use ic_cdk::api::msg_caller;
use serde::Deserialize;

/// What a coordinator is told when it is installed.
#[derive(Debug, Clone, CandidType, Deserialize)]
struct InitArgs {
    /// Whose proposals it executes.
    governance: Principal,
}

#[ic_cdk::init]
fn init(args: InitArgs) {
    store::set_governance(args.governance);
    put_back::begin_anew();
    driver::start();
}

#[ic_cdk::pre_upgrade]
fn pre_upgrade() {
    // The reply to a creation is the only place where the new id is told: it must not meet other code.
    if pool::is_creating() {
        ic_cdk::trap("a canister is being created for the pool: upgrade again in a few seconds");
    }
}

#[ic_cdk::post_upgrade]
fn post_upgrade() {
    // An upgrade that traps is refused: the build that was there goes on, and finishes what it began.
    if let Some(job) = store::job_of_old_build() {
        ic_cdk::trap(format!(
            "job {job} is on its way by snapshots, as only the build that is there does it: pause, let it end, then upgrade"
        ));
    }
    if store::config().whole_nanos.is_none() {
        // The build before this one did not ask.
        put_back::begin_anew();
    }
    driver::start();
}

#[ic_cdk::update]
async fn decant_validate_plan(plan: Plan) -> Result<String, String> {
    plans::validate(&plan).await
}

#[ic_cdk::update]
fn decant_execute_plan(plan: Plan) {
    if let Err(refusal) = operators::governs(msg_caller()).and_then(|()| plans::execute(plan)) {
        // Any reply counts as executed: a refusal must be a reject.
        ic_cdk::trap(refusal);
    }
    driver::wake();
}

#[ic_cdk::update]
fn decant_enrol(canisters: Vec<Principal>) -> Result<Vec<JobId>, EnrolError> {
    let jobs = enrolment::enrol(msg_caller(), &canisters)?;
    driver::wake();
    Ok(jobs)
}

#[ic_cdk::update]
fn decant_pause(is_paused: bool) -> Result<(), String> {
    operators::operates(msg_caller())?;
    store::set_paused(is_paused);
    if !is_paused && store::config().put_back_nanos.is_some() {
        put_back::begin_anew();
    }
    driver::wake();
    Ok(())
}

#[ic_cdk::update]
fn decant_retry(job: JobId) -> Result<(), String> {
    operators::operates(msg_caller())?;
    driver::apply_for_operator(job, decant_engine::Event::Retried)
}

#[ic_cdk::update]
fn decant_abort(job: JobId) -> Result<(), String> {
    operators::operates(msg_caller())?;
    driver::apply_for_operator(job, decant_engine::Event::AbortRequested)
}

#[ic_cdk::query]
fn decant_summary() -> Summary {
    views::summary()
}

#[ic_cdk::query]
fn decant_jobs(args: JobsArgs) -> Vec<JobView> {
    views::jobs(&args)
}

#[ic_cdk::query]
fn decant_job(job: JobId) -> Option<JobView> {
    views::job(job)
}

#[ic_cdk::query]
fn decant_resolve(canister: Principal) -> Principal {
    views::resolve(canister)
}

#[cfg(test)]
mod tests;

// The interface as text, for the test of the interface file. It must stand after all methods.
#[cfg(test)]
candid::export_service!();
