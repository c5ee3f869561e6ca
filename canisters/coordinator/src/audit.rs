//! What auditors read: events that stay, and what each job proved.

use crate::{store, views};
use candid::Principal;
use decant_api::JobId;
use decant_api::events::{self, Event, Evidence};
use decant_api::jobs::{Batch, Command, Pause, Which};
use decant_api::payout::{Payee, Payout};
use decant_api::plan::Plan;
use decant_engine::{Digest, Job};
use serde_bytes::ByteBuf;
use store::{Happened, Level, Line, Noted};

/// Events in one answer.
const PAGE: usize = 1_000;

/// Notes what somebody did, for ever and in the log.
fn note(by: Principal, happened: Happened, text: String) {
    let at_nanos = ic_cdk::api::time();
    store::events::note(at_nanos, Some(by), happened);
    store::log::append(Line { at_nanos, level: Level::Info, job: None, code: None, text });
}

/// A plan came into force.
pub(crate) fn approved(by: Principal, plan_id: u64, hash: Digest) {
    note(by, Happened::PlanApproved { plan: plan_id, hash }, format!("plan {plan_id} is in force"));
}

/// SHA-256 of a plan in Candid.
pub(crate) fn hash(plan: &Plan) -> Digest {
    Digest(decant_words::hash(plan))
}

/// Jobs were made, those from `first` up to `next`.
pub(crate) fn enrolled(by: Principal, first: JobId, next: JobId) {
    let count = next.saturating_sub(first);
    if let Some(plan) = store::plan_of(by).filter(|_| count > 0) {
        note(
            by,
            Happened::Enrolled { plan, first, count },
            format!("{by} enrolled {count} canisters from job {first} on"),
        );
    }
}

/// Canisters were taken back.
pub(crate) fn withdrawn(by: Principal, jobs: Vec<JobId>) {
    if !jobs.is_empty() {
        let text = format!("{by} took {} canisters back", jobs.len());
        note(by, Happened::Withdrawn { jobs }, text);
    }
}

/// A job took a command.
pub(crate) fn commanded(by: Principal, command: Command, job: JobId) {
    let (name, taken) = (name(command), 1);
    let happened =
        Happened::Commanded { command: name.to_owned(), job: Some(job), plan: None, code: None, taken };
    note(by, happened, format!("{by} told job {job} to {name}"));
}

/// All of a kind did, some.
pub(crate) fn commanded_all(by: Principal, command: Command, which: Which, batch: &Batch) {
    let (command, taken) = (name(command).to_owned(), batch.taken);
    let text = format!("{by} told jobs to {command}: {taken} took it");
    note(by, Happened::Commanded { command, job: None, plan: which.plan, code: which.code, taken }, text);
}

/// Somebody said what jobs may do.
pub(crate) fn paused(by: Principal, pause: Pause) {
    note(by, Happened::Paused { pause: pause.into() }, format!("{by} set the pause to {pause:?}"));
}

/// A canister of the pool was deleted.
pub(crate) fn pool_deleted(by: Principal, canister: Principal) {
    note(by, Happened::PoolDeleted { canister }, format!("{by} deleted {canister} of the pool"));
}

/// Cycles were paid out.
pub(crate) fn paid_out(by: Principal, payout: &Payout) {
    let to = match &payout.to {
        Payee::Canister(canister) => *canister,
        Payee::Account { owner, .. } => *owner,
    };
    let cycles = payout.cycles;
    note(by, Happened::PaidOut { cycles, to }, format!("{cycles} cycles were paid out to {to}"));
}

/// Something else was decided.
pub(crate) fn decided(by: Principal, what: String) {
    note(by, Happened::Decided { what: what.clone() }, what);
}

/// The coordinator was upgraded.
pub(crate) fn upgraded(by: Principal) {
    note(by, Happened::Upgraded, format!("{by} upgraded the coordinator"));
}

fn name(command: Command) -> &'static str {
    match command {
        Command::Retry => "retry",
        Command::Abort => "abort",
        Command::Skip => "skip",
        Command::Revert => "revert",
    }
}

fn command(name: &str) -> Command {
    match name {
        "abort" => Command::Abort,
        "skip" => Command::Skip,
        "revert" => Command::Revert,
        _ => Command::Retry,
    }
}

/// Events after a number, with what the jobs of which they tell say.
pub(crate) fn events(after: u64, limit: u32) -> Vec<Event> {
    let limit = usize::try_from(limit).unwrap_or(PAGE).min(PAGE);
    store::events::events_after(after, limit)
        .into_iter()
        .map(|(number, noted)| event(number, noted))
        .collect()
}

fn event(number: u64, Noted { at_nanos, by, happened }: Noted) -> Event {
    Event { number, at_nanos, by, happened: view(happened) }
}

fn view(happened: Happened) -> events::Happened {
    use events::Happened as View;
    let of = |id: JobId| {
        let job = store::job(id);
        let source = job.as_ref().map_or(Principal::management_canister(), Job::source);
        let to = job.as_ref().map_or(source, |job| job.target().unwrap_or(source));
        (source, to, job.as_ref().and_then(Job::root).map(bytes))
    };
    match happened {
        Happened::PlanApproved { plan, hash } => View::PlanApproved { plan, hash: bytes(hash) },
        Happened::Enrolled { plan, first, count } => View::Enrolled { plan, first, count },
        Happened::Withdrawn { jobs } => View::Withdrawn { jobs },
        Happened::Commanded { command: name, job: Some(job), .. } => {
            View::Commanded { command: command(&name), job }
        }
        Happened::Commanded { command: name, job: None, plan, code, taken } => {
            View::CommandedAll { command: command(&name), plan, code, taken }
        }
        Happened::Paused { pause } => View::Paused { pause: pause.into() },
        Happened::Moved { job } => {
            let (source, to, root) = of(job);
            View::Moved { job, source, to, root }
        }
        Happened::Ended { job, .. } => {
            View::Ended { job, outcome: store::job(job).as_ref().map(views::outcome) }
        }
        Happened::Deleted { job, .. } => {
            let (source, _, root) = of(job);
            View::Deleted { job, source, root }
        }
        Happened::Entombed { job, .. } => {
            let (source, _, root) = of(job);
            View::Entombed { job, source, root }
        }
        Happened::Recycled { job, .. } => {
            let (source, _, root) = of(job);
            View::Recycled { job, source, root }
        }
        Happened::PoolDeleted { canister } => View::PoolDeleted { canister },
        Happened::PaidOut { cycles, to } => View::PaidOut { cycles, to },
        Happened::Upgraded => View::Upgraded,
        Happened::Decided { what } => View::Decided { what },
    }
}

/// What a job proved.
pub(crate) fn evidence(id: JobId) -> Option<Evidence> {
    let (job, learnt) = (store::job(id)?, store::evidence(id));
    let (counters, times) = (job.counters(), job.times());
    Some(Evidence {
        job: id,
        plan: job.plan().plan_id,
        source: job.source(),
        target: job.target(),
        recycled_from: views::recycled_from(&job),
        outcome: views::outcome(&job),
        code: views::code(&job),
        root: job.root().map(bytes),
        fingerprint: (!learnt.fingerprint.is_empty()).then_some(learnt.fingerprint),
        fingerprint_bytes: learnt.fingerprint_bytes,
        source_module: learnt.source_module.map(bytes),
        // Through a vessel it is upgraded to what it ran.
        image_module: job.plan().compact_module().or(learnt.source_module).map(bytes),
        source_pages: counters.source_pages,
        used_pages: counters.used_pages,
        image_pages: learnt.pages_after,
        enrolled_nanos: times.enrolled_nanos,
        fenced_nanos: times.fenced_nanos,
        committed_nanos: times.committed_nanos,
        served_nanos: times.served_nanos,
        ended_nanos: times.ended_nanos,
        calls: counters.calls,
        wire_bytes: counters.wire_bytes,
        drained_cycles: counters.drained_cycles,
        burned_cycles: counters.burned_cycles,
    })
}

fn bytes(digest: Digest) -> ByteBuf {
    ByteBuf::from(digest.0)
}
