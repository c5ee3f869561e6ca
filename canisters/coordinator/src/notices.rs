//! Tells indexes, and whom else a plan names, what became of jobs: at least once, in batches, each at its own pace. Nobody
//! who does not answer holds up a job, or anybody else.

use crate::{driver, money, platform, store, views};
use candid::Principal;
use decant_api::routes::Ended;
use decant_engine::{Job, TimeNanos};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Jobs in one call.
const BATCH: usize = 100;
/// Jobs that are read to make a batch: most may be of plans that name others.
const READ: usize = 500;
/// Shortest and longest time between two tries.
const BACKOFF_NANOS: (u64, u64) = (10_000_000_000, 6 * 3_600_000_000_000);
/// Tries in a row after which somebody is told again only when more has ended, or after an upgrade: four days.
const TRIES: u32 = 30;

/// How it goes with somebody. On the heap: after an upgrade all are tried at once.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    is_asked: bool,
    tries: u32,
    due_nanos: TimeNanos,
    /// How many had ended at the last try.
    ended: u64,
}

thread_local! {
    static PACES: RefCell<BTreeMap<Principal, Pace>> = const { RefCell::new(BTreeMap::new()) };
}

/// Ends the hold when its task ends, however that comes about.
struct Asking(Principal);

impl Drop for Asking {
    fn drop(&mut self) {
        change(self.0, |pace| pace.is_asked = false);
    }
}

fn change(who: Principal, change: impl FnOnce(&mut Pace)) {
    PACES.with_borrow_mut(|paces| change(paces.entry(who).or_default()));
}

fn pace(who: Principal) -> Pace {
    PACES.with_borrow(|paces| paces.get(&who).copied().unwrap_or_default())
}

/// When somebody must be told next, if anybody.
fn due_nanos(who: Principal) -> Option<TimeNanos> {
    let pace = pace(who);
    let is_given_up = pace.tries >= TRIES && pace.ended == store::ended_count();
    (!pace.is_asked && !is_given_up).then_some(pace.due_nanos)
}

/// Begins to tell all who are due, each in a message of its own; answers when the next is.
pub(crate) fn look(now_nanos: TimeNanos) -> Option<TimeNanos> {
    let mut next = None;
    for (who, _) in store::behind() {
        match due_nanos(who) {
            Some(due_nanos) if due_nanos <= now_nanos => {
                change(who, |pace| pace.is_asked = true);
                let asking = Asking(who);
                driver::in_message(async move {
                    tell(who).await;
                    drop(asking);
                    driver::wake();
                });
            }
            Some(due_nanos) => next = Some(next.map_or(due_nanos, |next: TimeNanos| next.min(due_nanos))),
            None => {}
        }
    }
    next
}

/// Nobody is being told any more: the coordinator was put back from a snapshot.
pub(crate) fn forget_calls() {
    PACES.with_borrow_mut(BTreeMap::clear);
}

/// Tells somebody of the next jobs.
async fn tell(who: Principal) {
    let first = store::behind().into_iter().find(|(behind, _)| *behind == who).map(|(_, first)| first);
    let Some(first) = first.filter(|_| driver::is_running()) else { return };
    let read = store::ended_from(first, READ);
    let mut batch = Vec::new();
    let mut payer = None;
    let mut before = first;
    for id in read {
        if batch.len() >= BATCH {
            break;
        }
        before += 1;
        if let Some(job) = store::job(id).filter(|job| is_told(job, who)) {
            payer.get_or_insert(job.plan().plan_id);
            batch.push(notice(&job));
        }
    }
    let is_told = match payer {
        None => true,
        Some(plan_id) => money::for_plan(plan_id, platform::tell(who, &batch)).await,
    };
    if is_told {
        store::set_told(who, before);
    }
    let (now_nanos, ended) = (ic_cdk::api::time(), store::ended_count());
    change(who, |pace| {
        pace.ended = ended;
        pace.tries = if is_told { 0 } else { pace.tries.saturating_add(1) };
        pace.due_nanos = now_nanos.saturating_add(wait_nanos(pace.tries));
    });
}

/// None after what was told, and then longer with each try.
fn wait_nanos(tries: u32) -> u64 {
    let (shortest, longest) = BACKOFF_NANOS;
    match tries {
        0 => 0,
        tries => shortest.saturating_mul(1_u64.checked_shl(tries - 1).unwrap_or(u64::MAX)).min(longest),
    }
}

/// Whether somebody is told of a job.
fn is_told(job: &Job, who: Principal) -> bool {
    job.indexes().contains(&who) || store::is_subscriber(job.plan().plan_id, who)
}

fn notice(job: &Job) -> Ended {
    let new = job.times().committed_nanos.and(job.target()).unwrap_or(job.source());
    Ended { job: job.id(), old: job.source(), new, outcome: views::outcome(job) }
}

#[cfg(test)]
mod tests {
    use super::{BACKOFF_NANOS, TRIES, wait_nanos};

    #[test]
    fn whoever_does_not_answer_is_asked_more_and_more_seldom() {
        assert_eq!(wait_nanos(0), 0);
        let waits: Vec<u64> = (1..=TRIES).map(wait_nanos).collect();
        assert_eq!(waits.first(), Some(&BACKOFF_NANOS.0));
        assert_eq!(waits.last(), Some(&BACKOFF_NANOS.1));
        assert!(waits.is_sorted());
        let days = waits.iter().sum::<u64>() / 86_400_000_000_000;
        assert!((3..=6).contains(&days), "{days} days");
    }
}
