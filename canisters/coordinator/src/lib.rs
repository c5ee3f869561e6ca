//! The canister that drives every job: endpoints authorise, convert and delegate.
//!
//! | module | what |
//! |---|---|
//! | `access` | who may call what |
//! | `store` | what outlasts an upgrade: plans, jobs, journals, the pool |
//! | `govern` | what governance decides |
//! | `plans` | the plans that it approves |
//! | `assess` | a live view of canisters before any plan |
//! | `pace` | when jobs of a plan are started, and wait |
//! | `enrolment` | indexes hand canisters over |
//! | `driver` | jobs, one step after the other, several at a time |
//! | `platform` | effects as calls, and what their values mean |
//! | `outcomes` | what rejects and refusals mean for a job |
//! | `vessels`, `pages`, `modules`, `snapshots` | the same for code that nobody can change |
//! | `surveys` | what is looked at once for all jobs of a build |
//! | `carried` | the vessel that this module carries |
//! | `assets` | what must not be lost with an original |
//! | `money` | what plans spend, and what jobs may take |
//! | `notices` | who is told what became of jobs |
//! | `payouts` | what is left over is taken out |
//! | `pool` | fresh canisters |
//! | `views` | what everybody may know |
//! | `audit` | what happened, and what jobs proved, for ever |
//! | `eyes` | the same for browsers and tools: dashboard, metrics, logs |

mod access;
mod assess;
mod assets;
mod audit;
mod carried;
mod driver;
mod enrolment;
mod eyes;
mod govern;
mod management;
mod modules;
mod money;
mod notices;
mod outcomes;
mod pace;
mod pages;
mod payouts;
mod plans;
mod platform;
mod pool;
mod put_back;
mod snapshots;
mod store;
mod surveys;
mod trial;
mod vessels;
mod views;

use candid::{CandidType, Principal};
use decant_api::JobId;
use decant_api::assess::{AssessArgs, Assessment};
use decant_api::events::{Event, Evidence};
use decant_api::govern::{Decision, PlanView, Release, Roles};
use decant_api::jobs::{Batch, Command, JobView, JobsArgs, Pause, PoolView, Summary, Which};
use decant_api::routes::{EnrolError, WithdrawError};
use decant_kit::replies;
use enrolment::Asked;
use eyes::{HttpRequest, HttpResponse};
use serde::Deserialize;

/// What a coordinator is told when it is installed.
#[derive(Debug, Clone, CandidType, Deserialize)]
struct InitArgs {
    /// Whose proposals it executes.
    governance: Principal,
    /// Who operates it, until governance names others.
    operators: Option<Vec<Principal>>,
}

#[ic_cdk::init]
fn init(args: InitArgs) {
    let operators = args.operators.unwrap_or_default();
    if let Err(why) = decant_words::check_people("operators", &operators) {
        ic_cdk::trap(why);
    }
    store::set_governance(args.governance);
    store::set_roles(Roles { operators, observers: Vec::new() });
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
    let by = ic_cdk::api::msg_caller();
    audit::upgraded(by);
    if store::named_roles().is_none() {
        // To the builds before this one every controller was an operator.
        store::set_roles(Roles { operators: vec![by], observers: Vec::new() });
    }
    if store::config().whole_nanos.is_none() {
        // The build before this one did not ask.
        put_back::begin_anew();
    }
    driver::wake();
}

#[ic_cdk::inspect_message]
fn inspect() {
    access::inspect();
}

#[ic_cdk::query(guard = "access::decant_render")]
fn decant_render(decision: Decision) -> Result<String, String> {
    govern::render(&decision)
}

#[ic_cdk::update(guard = "access::decant_validate")]
async fn decant_validate(decision: Decision) -> Result<String, String> {
    govern::validate(&decision).await
}

#[ic_cdk::update(guard = "access::decant_execute")]
async fn decant_execute(decision: Decision) {
    if let Err(refusal) = govern::execute(ic_cdk::api::msg_caller(), decision).await {
        // Any reply counts as executed: a refusal must be a reject.
        ic_cdk::trap(refusal);
    }
    driver::wake();
}

#[ic_cdk::query(composite = true, guard = "access::decant_assess")]
async fn decant_assess(args: AssessArgs) -> Vec<Assessment> {
    assess::assess(args).await
}

#[ic_cdk::query(guard = "access::decant_roles")]
fn decant_roles() -> Roles {
    store::roles()
}

#[ic_cdk::query(guard = "access::decant_plan")]
fn decant_plan(plan: u64) -> Option<PlanView> {
    govern::plan(plan)
}

#[ic_cdk::update(guard = "access::decant_tempo")]
fn decant_tempo(plan: u64, at_a_time: u32) -> Result<(), String> {
    pace::set_tempo(plan, at_a_time)?;
    audit::decided(ic_cdk::api::msg_caller(), format!("plan {plan} runs {at_a_time} jobs at a time"));
    Ok(())
}

#[ic_cdk::update(guard = "access::decant_release")]
fn decant_release(plan: u64, release: Release) -> Result<(), String> {
    pace::release(plan, release)?;
    audit::decided(ic_cdk::api::msg_caller(), format!("plan {plan}: released {release:?}"));
    Ok(())
}

#[ic_cdk::update(guard = "access::decant_delete_pooled")]
async fn decant_delete_pooled(canister: Principal) -> Result<(), String> {
    let by = ic_cdk::api::msg_caller();
    let deleted = payouts::delete_pooled(canister).await;
    if deleted.is_ok() {
        audit::pool_deleted(by, canister);
    }
    deleted
}

#[ic_cdk::update(guard = "access::decant_enrol")]
fn decant_enrol(canisters: Vec<Principal>) -> Vec<Result<JobId, EnrolError>> {
    let (asked, first) = (Asked::here(), store::config().next_job);
    let answers = enrolment::enrol(&asked, &canisters);
    audit::enrolled(asked.index, first, store::config().next_job);
    driver::wake();
    answers
}

#[ic_cdk::update(guard = "access::decant_withdraw")]
fn decant_withdraw(canisters: Vec<Principal>) -> Vec<Result<JobId, WithdrawError>> {
    let asked = Asked::here();
    let answers = enrolment::withdraw(&asked, &canisters);
    audit::withdrawn(
        asked.index,
        answers.iter().filter_map(|answer| answer.as_ref().ok().copied()).collect(),
    );
    driver::wake();
    answers
}

#[ic_cdk::update(guard = "access::decant_pause")]
fn decant_pause(pause: Pause) -> Result<(), String> {
    driver::set_pause(pause.into());
    audit::paused(ic_cdk::api::msg_caller(), pause);
    Ok(())
}

#[ic_cdk::update(guard = "access::decant_retry")]
fn decant_retry(job: JobId) -> Result<(), String> {
    commanded(Command::Retry, job)
}

#[ic_cdk::update(guard = "access::decant_abort")]
fn decant_abort(job: JobId) -> Result<(), String> {
    commanded(Command::Abort, job)
}

#[ic_cdk::update(guard = "access::decant_skip")]
fn decant_skip(job: JobId) -> Result<(), String> {
    commanded(Command::Skip, job)
}

#[ic_cdk::update(guard = "access::decant_revert")]
fn decant_revert(job: JobId) -> Result<(), String> {
    commanded(Command::Revert, job)
}

#[ic_cdk::update(guard = "access::decant_all")]
fn decant_all(command: Command, which: Which) -> Result<Batch, String> {
    let batch = driver::apply_to_all(&wanted(command), &which);
    audit::commanded_all(ic_cdk::api::msg_caller(), command, which, &batch);
    Ok(batch)
}

fn commanded(command: Command, job: JobId) -> Result<(), String> {
    driver::apply_for_operator(job, wanted(command))?;
    audit::commanded(ic_cdk::api::msg_caller(), command, job);
    Ok(())
}

fn wanted(command: Command) -> decant_engine::Event {
    match command {
        Command::Retry => decant_engine::Event::Retried,
        Command::Abort => decant_engine::Event::AbortRequested,
        Command::Skip => decant_engine::Event::Skipped,
        Command::Revert => decant_engine::Event::RevertRequested,
    }
}

#[ic_cdk::query(guard = "access::decant_events")]
fn decant_events(after: u64, limit: u32) -> Vec<Event> {
    audit::events(after, limit)
}

#[ic_cdk::query(guard = "access::decant_evidence")]
fn decant_evidence(job: JobId) -> Option<Evidence> {
    audit::evidence(job)
}

#[ic_cdk::query(guard = "access::decant_summary")]
fn decant_summary() -> Summary {
    views::summary()
}

#[ic_cdk::query(guard = "access::decant_jobs")]
fn decant_jobs(args: JobsArgs) -> Vec<JobView> {
    views::jobs(&args)
}

#[ic_cdk::query(guard = "access::decant_pool")]
fn decant_pool() -> Vec<PoolView> {
    views::pool()
}

#[ic_cdk::query(guard = "access::decant_job")]
fn decant_job(job: JobId) -> Option<JobView> {
    views::job(job)
}

#[ic_cdk::query(guard = "access::decant_job_of")]
fn decant_job_of(canister: Principal) -> Option<JobView> {
    views::job_of(canister)
}

#[ic_cdk::query(guard = "access::decant_resolve")]
fn decant_resolve(canister: Principal) -> Principal {
    views::resolve(canister).unwrap_or_else(|| {
        ic_cdk::trap(format!("{canister} was one source's, and is or was another's: ask an index, by user"))
    })
}

#[ic_cdk::query(guard = "access::http_request")]
fn http_request(request: HttpRequest) -> HttpResponse {
    eyes::answer(&request)
}

#[cfg(test)]
mod tests;

// The interface as text, for the test of the interface file. It must stand after all methods.
#[cfg(test)]
candid::export_service!();
