//! Plans, by number. One that can't be read is none: its jobs can't be started, and say so.

use super::course::course;
use super::records::{Damaged, PlanRecord, Record, Used};
use super::{Memory, change_config, memory};
use super::{ended, tallies};
use candid::Principal;
use decant_api::plan::Plan;
use ic_stable_structures::StableBTreeMap;
use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    static PLANS: RefCell<StableBTreeMap<u64, Vec<u8>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(1)));
    static BY_INDEX: RefCell<StableBTreeMap<Principal, u64, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(10)));
    /// Apart from the plans, which may be large.
    static USED: RefCell<StableBTreeMap<u64, Vec<u8>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(12)));
    /// The plan that was read last: it never changes, and each step of each of its jobs asks for it.
    static LATEST: RefCell<Option<(u64, PlanRecord)>> = const { RefCell::new(None) };
    /// Of plans that were asked for them.
    static TERMS: RefCell<BTreeMap<u64, Terms>> = const { RefCell::new(BTreeMap::new()) };
    /// The same of those who are told besides indexes.
    static SUBSCRIBERS: RefCell<BTreeMap<u64, Vec<Principal>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Keeps an approved plan; answers its number.
pub(crate) fn add_plan(plan: Plan) -> u64 {
    let id = change_config(|config| {
        let id = config.next_plan;
        config.next_plan += 1;
        id
    });
    name_indexes(id, &plan);
    ended::subscribe(&plan);
    tallies::begin(id, &plan);
    let record = PlanRecord { plan, used: Used::default() };
    PLANS.with_borrow_mut(|plans| plans.insert(id, record.encode()));
    id
}

/// A later plan takes the place of an earlier one for the indexes that it names.
fn name_indexes(id: u64, plan: &Plan) {
    BY_INDEX.with_borrow_mut(|by_index| {
        for index in &plan.indexes {
            by_index.insert(*index, id);
        }
    });
}

/// A plan by number, and what was used of it.
pub(crate) fn plan(id: u64) -> Option<PlanRecord> {
    let known = LATEST.with_borrow(|latest| latest.clone().filter(|(latest, _)| *latest == id));
    let record = match known {
        Some((_, record)) => record,
        None => {
            let bytes = PLANS.with_borrow(|plans| plans.get(&id))?;
            let record = PlanRecord::decode(&bytes).ok()?;
            LATEST.set(Some((id, record.clone())));
            record
        }
    };
    let used = written(id).unwrap_or(record.used);
    Some(PlanRecord { used, ..record })
}

/// What was used of a plan, if this build has written it.
fn written(id: u64) -> Option<Used> {
    let bytes = USED.with_borrow(|used| used.get(&id))?;
    Used::decode(&bytes).ok()
}

/// What was used of a plan.
pub(crate) fn used(id: u64) -> Used {
    written(id).or_else(|| plan(id).map(|record| record.used)).unwrap_or_default()
}

/// Changes what was used of a plan.
pub(crate) fn change_used<R>(id: u64, change: impl FnOnce(&mut Used) -> R) -> R {
    let mut changed = used(id);
    let result = change(&mut changed);
    USED.with_borrow_mut(|used| used.insert(id, changed.encode()));
    result
}

/// What is in force of a plan for all its jobs together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Terms {
    /// Most jobs at a time.
    pub(crate) max_in_flight: u64,
    /// Most cycles in all.
    pub(crate) max_cycles: u128,
    /// Cycles that a fresh canister gets besides its creation; none: none is created.
    pub(crate) per_target: Option<u128>,
    /// Whether emptied originals serve later jobs: none is created then beyond the jobs at a time.
    pub(crate) recycles: bool,
}

/// The terms of a plan; one that can't be read allows nothing.
pub(crate) fn terms(id: u64) -> Terms {
    let read = || {
        plan(id).map_or_else(Terms::default, |PlanRecord { plan, .. }| {
            let course = course(id);
            let terms = course.terms(&plan);
            Terms {
                max_in_flight: course.tempo.unwrap_or(u32::MAX).min(terms.max_in_flight).into(),
                max_cycles: terms.max_cycles,
                per_target: plan.per_target(),
                recycles: plan.recycling.is_some(),
            }
        })
    };
    TERMS.with_borrow_mut(|known| *known.entry(id).or_insert_with(read))
}

/// They changed.
pub(crate) fn forget_terms(id: u64) {
    TERMS.with_borrow_mut(|known| known.remove(&id));
}

/// Whether a plan says that somebody is told of its jobs, besides the indexes.
pub(crate) fn is_subscriber(id: u64, who: Principal) -> bool {
    let read = || plan(id).and_then(|record| record.plan.subscribers).unwrap_or_default();
    SUBSCRIBERS.with_borrow_mut(|known| known.entry(id).or_insert_with(read).contains(&who))
}

/// Number of approved plans.
pub(crate) fn plan_count() -> u64 {
    PLANS.with_borrow(StableBTreeMap::len)
}

/// Whether a plan names `index`: reads none.
pub(crate) fn is_index(index: Principal) -> bool {
    BY_INDEX.with_borrow(|by_index| by_index.contains_key(&index))
}

/// The latest plan that names `index`.
pub(crate) fn plan_of(index: Principal) -> Option<u64> {
    BY_INDEX.with_borrow(|by_index| by_index.get(&index))
}

/// Reads all plans, as an upgrade must before it is accepted, and says anew which indexes they name.
///
/// # Errors
/// Which one this build can't read.
pub(crate) fn rebuild() -> Result<(), String> {
    PLANS.with_borrow(|plans| {
        plans.iter().try_for_each(|entry| match PlanRecord::decode(&entry.value()) {
            Ok(record) => {
                name_indexes(*entry.key(), &record.plan);
                tallies::begin(*entry.key(), &record.plan);
                Ok(())
            }
            Err(Damaged(why)) => Err(format!("this build can't read plan {}: {why}", entry.key())),
        })
    })
}
