//! Drives jobs: asks the engine what comes next, does it, and tells the engine how it ended.
//!
//! Every change is stored with its event before the next effect starts, since a canister's state is committed
//! at every `await`. What is under way lives on the heap only: after an upgrade, or a trapped callback, a job
//! that waits for a reply finds nobody driving it, and observes.

use crate::{platform, pool, put_back, store, trial};
use decant_api::JobId;
use decant_engine::{Entry, Event, Job, Limits, State, Step, apply, next_step};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

/// How often jobs are looked at that nobody woke.
const WATCH: Duration = Duration::from_secs(10);
/// Steps of one job without a call in between: more would be a loop.
const STEPS_WITHOUT_CALL: u32 = 16;

thread_local! {
    /// Jobs that a task of this heap drives.
    static DRIVEN: RefCell<BTreeSet<JobId>> = const { RefCell::new(BTreeSet::new()) };
}

/// Holds a job for one task. Its drop runs when the task ends, and in the cleanup of a callback that trapped.
struct Guard(JobId);

impl Guard {
    fn new(id: JobId) -> Option<Self> {
        // Made only if the job is free: its drop would free a job that another task drives.
        DRIVEN.with_borrow_mut(|driven| driven.insert(id)).then(|| Self(id))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        DRIVEN.with_borrow_mut(|driven| driven.remove(&self.0));
    }
}

/// Starts the timers of a fresh or upgraded coordinator.
pub(crate) fn start() {
    ic_cdk_timers::set_timer_interval(WATCH, async || look());
    wake();
}

/// Looks at the jobs soon, in a message of its own; unless the coordinator was put back from a snapshot, which a message
/// like this one finds out first, since timers are gone then.
pub(crate) fn wake() {
    if put_back::is_whole(wake) {
        ic_cdk_timers::set_timer(Duration::ZERO, async { look() });
    }
}

/// Starts queued jobs within the limits and drives every job that nobody drives.
fn look() {
    if !put_back::is_whole(wake) {
        return;
    }
    start_queued();
    for id in store::active() {
        if let Some(guard) = Guard::new(id) {
            ic_cdk::futures::spawn(drive(guard));
        }
    }
}

fn start_queued() {
    if store::config().is_paused {
        return;
    }
    let active: Vec<Job> = store::active().into_iter().filter_map(store::job).collect();
    let mut running = active.iter().filter(|job| !job.state().is_parked()).count();
    while let Some(id) = store::first_queued() {
        let Some(job) = store::job(id) else { return };
        let plan_id = job.plan().plan_id;
        let limit = store::plan(plan_id).map_or(1, |record| record.plan.max_in_flight as usize);
        if running >= limit {
            return;
        }
        store::activate(id);
        running += 1;
    }
}

/// Drives a job until it waits, ends or parks.
async fn drive(guard: Guard) {
    let id = guard.0;
    let limits = Limits::default();
    let mut without_call = 0;
    // A call that is under way now was sent by a task that is gone.
    let mut may_be_lost = true;
    while let Some(mut job) = store::job(id) {
        let step = next_step(&job, now(), &limits);
        without_call += 1;
        match step {
            Step::Record(event) => {
                if !record(&mut job, event) {
                    break;
                }
            }
            Step::TakeFromPool => match trial::refusal(job.plan().plan_id) {
                Some(reason) => {
                    if !record(&mut job, Event::GaveUp { reason }) {
                        break;
                    }
                }
                None => {
                    if !take_from_pool(&mut job) {
                        break;
                    }
                }
            },
            Step::ReturnToPool { target } => {
                if !record(&mut job, Event::TargetReturned) {
                    break;
                }
                store::add_to_pool(target);
            }
            Step::Call { ticket, effect, .. } => {
                if !record(&mut job, Event::Started { ticket }) {
                    break;
                }
                without_call = 0;
                may_be_lost = false;
                let outcome = platform::perform(&job, effect).await;
                let Some(mut job) = store::job(id) else { break };
                // A reply that makes no sense is as good as none.
                if !record(&mut job, Event::Replied { ticket, outcome }) {
                    record(&mut job, Event::reply_lost(ticket));
                }
            }
            Step::InFlight { ticket } if may_be_lost => {
                if !record(&mut job, Event::reply_lost(ticket)) {
                    break;
                }
            }
            Step::Wait { until_nanos } => {
                wake_at(until_nanos);
                break;
            }
            Step::InFlight { .. } | Step::Parked => break,
            Step::Finished => {
                wake();
                break;
            }
        }
        if without_call > STEPS_WITHOUT_CALL {
            break;
        }
    }
    drop(guard);
}

/// Gives a job a canister of the pool. Answers whether it goes on.
fn take_from_pool(job: &mut Job) -> bool {
    let Some(target) = store::take_from_pool() else {
        refill(job.plan().plan_id);
        record(job, Event::PoolEmpty);
        return false;
    };
    let is_new = pool::is_new(target);
    let is_taken = record(job, Event::TargetTaken { target, is_new });
    if !is_taken {
        store::add_to_pool(target);
    }
    is_taken
}

/// Begins to create what the jobs on their way need.
fn refill(plan_id: u64) {
    let active: Vec<Job> = store::active().into_iter().filter_map(store::job).collect();
    pool::refill(plan_id, trial::wanted(plan_id, &active), wake);
}

/// Applies an event, stores the job and journals the event. False if the event does not fit.
fn record(job: &mut Job, event: Event) -> bool {
    let at_nanos = now();
    let is_on_trial = matches!(job.state(), State::Installed);
    match apply(job, event.clone(), at_nanos) {
        Ok(()) => {
            store::record(job, Entry { at_nanos, event });
            if is_on_trial && !matches!(job.state(), State::Installed) && trial::told(job) {
                refill(job.plan().plan_id);
            }
            true
        }
        Err(illegal) => {
            ic_cdk::api::debug_print(illegal.to_string());
            false
        }
    }
}

/// Applies what an operator wants of a job.
pub(crate) fn apply_for_operator(id: JobId, event: Event) -> Result<(), String> {
    let mut job = store::job(id).ok_or_else(|| format!("there is no job {id}"))?;
    let at_nanos = now();
    apply(&mut job, event.clone(), at_nanos).map_err(|error| error.to_string())?;
    store::record(&job, Entry { at_nanos, event });
    wake();
    Ok(())
}

fn wake_at(until_nanos: u64) {
    let delay = Duration::from_nanos(until_nanos.saturating_sub(now()));
    if delay < WATCH {
        ic_cdk_timers::set_timer(delay, async { look() });
    }
}

fn now() -> u64 {
    ic_cdk::api::time()
}
