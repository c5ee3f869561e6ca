//! The canister that drives every job: endpoints authorise, convert and delegate.
//!
//! | module | what |
//! |---|---|
//! | `store` | what outlasts an upgrade: plans, jobs, journals, the pool |
//! | `plans` | what governance approves |
//! | `enrolment` | indexes hand canisters over |
//! | `driver` | jobs, one step after the other, several at a time |
//! | `platform` | effects as calls, and what their values mean |
//! | `replies` | what others answer, decoded within bounds |
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
mod replies;
mod snapshots;
mod store;
mod trial;
mod vessels;
mod views;

use candid::{CandidType, Principal};
use decant_api::JobId;
use decant_api::jobs::{Batch, Command, JobView, JobsArgs, Pause, Summary, Which};
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
}

#[ic_cdk::pre_upgrade]
fn pre_upgrade() {
    // A reply must not meet other code, where its callback may be another function (spec, "Callbacks after upgrades"). A
    // canister that is stopped awaits none.
    let is_stopped = ic_cdk::api::canister_status() == ic_cdk::api::CanisterStatusCode::Stopped;
    if !is_stopped && !driver::is_quiet() {
        ic_cdk::trap(
            "calls are under way: stop the coordinator, upgrade it, start it; its jobs go on from there",
        );
    }
}

#[ic_cdk::post_upgrade]
fn post_upgrade() {
    // An upgrade that traps is refused: the build that was there goes on.
    if let Err(why) = store::restore() {
        ic_cdk::trap(why);
    }
    if store::config().whole_nanos.is_none() {
        // The build before this one did not ask.
        put_back::begin_anew();
    }
    driver::wake();
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
fn decant_pause(pause: Pause) -> Result<(), String> {
    operators::operates(msg_caller())?;
    driver::set_pause(pause.into());
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

#[ic_cdk::update]
fn decant_skip(job: JobId) -> Result<(), String> {
    operators::operates(msg_caller())?;
    driver::apply_for_operator(job, decant_engine::Event::Skipped)
}

#[ic_cdk::update]
fn decant_all(command: Command, which: Which) -> Result<Batch, String> {
    operators::operates(msg_caller())?;
    let event = match command {
        Command::Retry => decant_engine::Event::Retried,
        Command::Abort => decant_engine::Event::AbortRequested,
        Command::Skip => decant_engine::Event::Skipped,
    };
    Ok(driver::apply_to_all(&event, &which))
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
