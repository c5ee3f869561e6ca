//! What ended, plan by plan and hour by hour: a campaign in numbers that no answer has to count.

use super::census::strategy_name;
use super::kept::Tally;
use super::records::Record;
use super::{Memory, evidence, memory};
use decant_api::plan::{Plan, Strategy};
use decant_engine::{Job, State, TimeNanos};
use ic_stable_structures::StableBTreeMap;
use std::cell::{Cell, RefCell};

/// The number of no plan: all of them together.
const ALL: u64 = 0;
const HOUR_NANOS: u64 = 3_600_000_000_000;

thread_local! {
    static TALLIES: RefCell<StableBTreeMap<u64, Vec<u8>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(17)));
    /// What had ended after an hour since 1970 in which something did.
    static HOURS: RefCell<StableBTreeMap<u64, Vec<u8>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(18)));
    /// When a job last came into another state, or the coordinator began.
    static PROGRESS: Cell<Option<TimeNanos>> = const { Cell::new(None) };
}

/// What ended of a plan.
pub(crate) fn tally(plan_id: u64) -> Tally {
    TALLIES
        .with_borrow(|tallies| tallies.get(&plan_id))
        .and_then(|bytes| Tally::decode(&bytes).ok())
        .unwrap_or_default()
}

/// What ended of all plans.
pub(crate) fn all() -> Tally {
    tally(ALL)
}

/// The latest plans, newest first.
pub(crate) fn latest_plans(limit: usize) -> Vec<(u64, Tally)> {
    TALLIES.with_borrow(|tallies| {
        let newest = tallies.range(ALL + 1..).rev().take(limit);
        newest.map(|entry| (*entry.key(), Tally::decode(&entry.value()).unwrap_or_default())).collect()
    })
}

/// What had ended at so many moments, evenly from the first hour on: none before something ended.
pub(crate) fn history(points: u64, now_nanos: TimeNanos) -> Vec<(TimeNanos, Tally)> {
    HOURS.with_borrow(|hours| {
        let Some((first, _)) = hours.first_key_value() else { return Vec::new() };
        let start_nanos = first.saturating_mul(HOUR_NANOS);
        let span_nanos = now_nanos.saturating_sub(start_nanos);
        let at = |point: u64| {
            let share = u128::from(span_nanos) * u128::from(point) / u128::from(points.max(1));
            start_nanos.saturating_add(u64::try_from(share).unwrap_or(u64::MAX))
        };
        let tally = |at_nanos: TimeNanos| {
            let before = hours.range(..at_nanos / HOUR_NANOS).next_back();
            before.and_then(|entry| Tally::decode(&entry.value()).ok()).unwrap_or_default()
        };
        let mut all: Vec<(TimeNanos, Tally)> =
            (0..points).map(|point| (at(point), tally(at(point)))).collect();
        all.push((now_nanos, self::all()));
        all
    })
}

/// When a job last came into another state.
pub(crate) fn progress() -> Option<TimeNanos> {
    PROGRESS.get()
}

/// A job came into another state.
pub(super) fn note_progress(at_nanos: TimeNanos) {
    PROGRESS.set(Some(at_nanos));
}

/// A plan is in force: what it is called, and how much it may be.
pub(super) fn begin(plan_id: u64, plan: &Plan) {
    let strategy = match &plan.strategy {
        Strategy::Relocate(_) => "relocate",
        Strategy::Repack(_) => "repack",
        Strategy::RelocateVessel(_) | Strategy::RelocateSnapshot(_) => "relocate_vessel",
    };
    let card = Tally {
        title: plan.title.clone(),
        strategy: strategy.to_owned(),
        max_canisters: plan.max_canisters,
        ..tally(plan_id)
    };
    put(plan_id, &card);
}

/// Whether what ended was never counted: by builds before this one.
pub(super) fn is_empty() -> bool {
    TALLIES.with_borrow(|tallies| !tallies.contains_key(&ALL))
}

/// A job ended.
pub(super) fn count(job: &Job) {
    for plan_id in [ALL, job.plan().plan_id] {
        let mut tally = tally(plan_id);
        add(&mut tally, job);
        put(plan_id, &tally);
    }
    let hour = job.times().ended_nanos.unwrap_or_default() / HOUR_NANOS;
    let sums = Tally { title: String::new(), strategy: String::new(), ..all() };
    HOURS.with_borrow_mut(|hours| hours.insert(hour, sums.encode()));
}

fn add(tally: &mut Tally, job: &Job) {
    let counters = job.counters();
    tally.wire_bytes = tally.wire_bytes.saturating_add(counters.wire_bytes);
    match job.state() {
        State::Done { .. } => {
            let after = evidence::pages_after(job);
            tally.done += 1;
            tally.pages_before = tally.pages_before.saturating_add(counters.source_pages);
            tally.pages_after = tally.pages_after.saturating_add(after.min(counters.source_pages));
        }
        _ => tally.rolled_back += 1,
    }
    if tally.strategy.is_empty() {
        tally.strategy = strategy_name(job.plan().strategy).to_owned();
    }
}

fn put(plan_id: u64, tally: &Tally) {
    TALLIES.with_borrow_mut(|tallies| tallies.insert(plan_id, tally.encode()));
}
