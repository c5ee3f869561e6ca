//! What everybody may know.

use crate::{driver, money, store};
use candid::Principal;
use decant_api::JobId;
use decant_api::jobs::{JobView, JobsArgs, Outcome, Pause, PoolView, Summary};
use decant_engine::{Job, Place, ReasonCode, State};

/// Jobs in one answer.
const PAGE: usize = 1_000;
/// Steps from an old id to the present one.
const HOPS: usize = 100;

/// The coordinator and all its jobs in numbers.
pub(crate) fn summary() -> Summary {
    let config = store::config();
    let waiting = store::count(Place::Waiting);
    Summary {
        governance: config.governance,
        queued: store::count(Place::Queued),
        running: store::count(Place::Working) + waiting,
        waiting,
        done: config.done,
        rolled_back: config.rolled_back,
        parked: store::count(Place::Parked),
        aside: store::aside(PAGE),
        pool: store::pool().into_iter().map(|(canister, _)| canister).collect(),
        waits_for: driver::short().map(|short| short.text().to_owned()),
        runway_days: money::runway_days(),
        pause: config.pause.into(),
        put_back_nanos: config.put_back_nanos,
        cycles_spent: config.cycles_spent,
        calls: config.calls,
        target_calls: config.target_calls,
        stable_pages: ic_cdk::api::stable_size(),
    }
}

/// The pool, and what is known of each.
pub(crate) fn pool() -> Vec<PoolView> {
    let view = |(canister, pooled): (Principal, store::Pooled)| PoolView {
        canister,
        kept_for: pooled.kept_for,
        aside: pooled.aside,
        emptied_by: pooled.emptied.map(|emptied| emptied.job),
        quarantined_until_nanos: pooled.emptied.map(|emptied| emptied.until_nanos).filter(|until| *until > 0),
    };
    store::pool().into_iter().map(view).collect()
}

/// Jobs after a number.
pub(crate) fn jobs(args: &JobsArgs) -> Vec<JobView> {
    let limit = usize::try_from(args.limit).unwrap_or(PAGE).min(PAGE);
    store::jobs_after(args.after, limit).iter().map(view).collect()
}

/// A job.
pub(crate) fn job(id: JobId) -> Option<JobView> {
    store::job(id).as_ref().map(view)
}

/// The latest job that has a canister as source, or as target.
pub(crate) fn job_of(canister: Principal) -> Option<JobView> {
    let as_source = store::job_of(canister).and_then(store::job);
    let as_target = store::job_to(canister).and_then(store::job).filter(|job| job.target() == Some(canister));
    let ended_nanos = |job: &Job| job.times().ended_nanos.unwrap_or(u64::MAX);
    match (as_source, as_target) {
        // Its original was emptied, and given to that job.
        (Some(source), Some(target)) if ended_nanos(&source) < ended_nanos(&target) => Some(view(&target)),
        (source, target) => source.or(target).as_ref().map(view),
    }
}

/// Where the state of a canister is now: itself, if it was never moved. None: it was one source's, and then another's, so that
/// nobody knows which one is meant.
pub(crate) fn resolve(canister: Principal) -> Option<Principal> {
    if was_given_to_another(canister) {
        return None;
    }
    let (mut at, mut since_nanos) = (canister, 0);
    for _ in 0..HOPS {
        let Some(job) = store::next_job_of(at, since_nanos) else { break };
        let (Some(target), Some(committed_nanos)) = (job.target(), job.times().committed_nanos) else {
            break;
        };
        (at, since_nanos) = (target, committed_nanos);
    }
    Some(at)
}

/// Whether the original of one job was emptied, and became the canister of another source.
fn was_given_to_another(canister: Principal) -> bool {
    let given =
        store::job_to(canister).and_then(store::job).filter(|job| job.times().committed_nanos.is_some());
    given.is_some_and(|job| recycled_from(&job).is_some())
}

/// The job whose original the target of this one was, before it was emptied.
pub(crate) fn recycled_from(job: &Job) -> Option<JobId> {
    let before_nanos = job.times().ended_nanos.unwrap_or(u64::MAX);
    store::emptied_by(job.target()?, before_nanos).map(|emptier| emptier.id())
}

/// How a job stands.
pub(crate) fn outcome(job: &Job) -> Outcome {
    let reason = job.explanation().unwrap_or_default();
    match job.state() {
        State::Done { .. } => Outcome::Done,
        State::RolledBack { .. } => Outcome::RolledBack { reason },
        State::Parked { .. } => Outcome::Parked { reason },
        _ => Outcome::Running,
    }
}

/// The code of its reason, for machines.
pub(crate) fn code(job: &Job) -> Option<String> {
    job.reason_code().map(code_name)
}

/// A code, as it is shown and asked for.
pub(crate) fn code_name(code: ReasonCode) -> String {
    format!("{code:?}")
}

fn view(job: &Job) -> JobView {
    let (counters, times) = (job.counters(), job.times());
    JobView {
        id: job.id(),
        source: job.source(),
        target: job.target(),
        index: job.indexes().first().copied().unwrap_or(Principal::management_canister()),
        state: job.state().name().to_owned(),
        outcome: outcome(job),
        enrolled_nanos: times.enrolled_nanos,
        fenced_nanos: times.fenced_nanos,
        committed_nanos: times.committed_nanos,
        served_nanos: job.times().served_nanos,
        ended_nanos: times.ended_nanos,
        attempts: job.attempt().tries,
        code: code(job),
        trouble: job.trouble().map(ToString::to_string),
        calls: counters.calls,
        wire_bytes: counters.wire_bytes,
        source_pages: counters.source_pages,
        used_pages: counters.used_pages,
        drained_cycles: counters.drained_cycles,
        burned_cycles: counters.burned_cycles,
        timer_lost_nanos: times.timer_lost_nanos,
        nested_pages: Some(counters.nested_pages).filter(|pages| *pages > 0),
    }
}

#[cfg(test)]
mod tests;

impl From<store::Pause> for Pause {
    fn from(pause: store::Pause) -> Self {
        match pause {
            store::Pause::Running => Self::Running,
            store::Pause::NoJobs => Self::NoJobs,
            store::Pause::Hold => Self::Hold,
        }
    }
}

impl From<Pause> for store::Pause {
    fn from(pause: Pause) -> Self {
        match pause {
            Pause::Running => Self::Running,
            Pause::NoJobs => Self::NoJobs,
            Pause::Hold => Self::Hold,
        }
    }
}
