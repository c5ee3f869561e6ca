//! Plans, by number. One that can't be read is none: its jobs can't be started, and say so.

use super::records::{Damaged, PlanRecord, Record};
use super::{Memory, change_config, memory};
use candid::Principal;
use decant_api::plan::Plan;
use ic_stable_structures::StableBTreeMap;
use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    static PLANS: RefCell<StableBTreeMap<u64, Vec<u8>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(1)));
    /// Most jobs at a time, of plans that were asked for it: a plan may be large, and never changes.
    static IN_FLIGHT: RefCell<BTreeMap<u64, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Keeps an approved plan; answers its number.
pub(crate) fn add_plan(plan: Plan) -> u64 {
    let id = change_config(|config| {
        let id = config.next_plan;
        config.next_plan += 1;
        id
    });
    put(id, &PlanRecord { plan, enrolled: 0, cycles_spent: 0, fits: None });
    id
}

fn put(id: u64, record: &PlanRecord) {
    PLANS.with_borrow_mut(|plans| plans.insert(id, record.encode()));
}

/// A plan by number.
pub(crate) fn plan(id: u64) -> Option<PlanRecord> {
    let bytes = PLANS.with_borrow(|plans| plans.get(&id))?;
    PlanRecord::decode(&bytes).ok()
}

/// Most jobs of a plan at a time; none of one that can't be read.
pub(crate) fn max_in_flight(id: u64) -> u64 {
    IN_FLIGHT.with_borrow_mut(|known| {
        *known.entry(id).or_insert_with(|| plan(id).map_or(0, |record| record.plan.max_in_flight.into()))
    })
}

/// Number of approved plans.
pub(crate) fn plan_count() -> u64 {
    PLANS.with_borrow(StableBTreeMap::len)
}

/// The latest plan that names `index`.
pub(crate) fn plan_for(index: Principal) -> Option<(u64, PlanRecord)> {
    PLANS.with_borrow(|plans| {
        plans
            .iter()
            .rev()
            .filter_map(|entry| Some((*entry.key(), PlanRecord::decode(&entry.value()).ok()?)))
            .find(|(_, record)| record.plan.indexes.contains(&index))
    })
}

/// Changes what was used of a plan.
pub(crate) fn change_plan(id: u64, change: impl FnOnce(&mut PlanRecord)) {
    if let Some(mut record) = plan(id) {
        change(&mut record);
        put(id, &record);
    }
}

/// Reads all plans, as an upgrade must before it is accepted.
///
/// # Errors
/// Which one this build can't read.
pub(crate) fn check_plans() -> Result<(), String> {
    PLANS.with_borrow(|plans| {
        plans.iter().try_for_each(|entry| match PlanRecord::decode(&entry.value()) {
            Ok(_) => Ok(()),
            Err(Damaged(why)) => Err(format!("this build can't read plan {}: {why}", entry.key())),
        })
    })
}
