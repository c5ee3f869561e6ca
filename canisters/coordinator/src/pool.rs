//! Fresh canisters. They are created here and never inside a job: the reply does nothing but keep the new id,
//! so that no lost reply strands a canister.

use crate::{driver, management, store};
use candid::Principal;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// Creations at a time.
const CREATIONS: usize = 10;
/// Cycles that stay with the coordinator for its own work.
const RESERVE_CYCLES: u128 = 1_000_000_000_000;

/// For how long a canister counts as new (nanoseconds): a relocation takes longer, so that none that was put back with this
/// heap from a snapshot of the coordinator can serve anybody yet.
const NEW_NANOS: u64 = 5_000_000_000;

thread_local! {
    static CREATING: Cell<usize> = const { Cell::new(0) };
    static NEW: RefCell<BTreeMap<Principal, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Whether a canister that was just taken out of the pool was created this moment, and nobody had it yet.
pub(crate) fn is_new(canister: Principal) -> bool {
    let created_nanos = NEW.with_borrow_mut(|new| new.remove(&canister));
    created_nanos.is_some_and(|at| ic_cdk::api::time().saturating_sub(at) < NEW_NANOS)
}

fn add(canister: Principal) {
    store::add_to_pool(canister);
    NEW.with_borrow_mut(|new| new.insert(canister, ic_cdk::api::time()));
}

/// Counts a creation until its task is over, however that comes about.
struct Creating;

impl Creating {
    fn new() -> Self {
        CREATING.set(CREATING.get() + 1);
        Self
    }
}

impl Drop for Creating {
    fn drop(&mut self) {
        CREATING.set(CREATING.get().saturating_sub(1));
    }
}

/// No creation is under way any more: the coordinator was put back from a snapshot.
pub(crate) fn forget_creations() {
    CREATING.set(0);
}

/// Begins as many creations as the jobs that wait need, within the plan's cycles, each in a message of its own; calls
/// `when_settled` after each.
pub(crate) fn refill(plan_id: u64, wanted: usize, when_settled: fn()) {
    let have = store::pool().len() + CREATING.get();
    for _ in have..wanted {
        let Some(record) = store::plan(plan_id) else { return };
        let price = ic_cdk::api::cost_create_canister() + record.plan.cycles_per_target;
        let is_within_plan = record.cycles_spent.saturating_add(price) <= record.plan.max_cycles;
        let is_affordable = ic_cdk::api::canister_liquid_cycle_balance() > price + RESERVE_CYCLES;
        if CREATING.get() >= CREATIONS || !is_within_plan || !is_affordable {
            return;
        }
        let creating = Creating::new();
        driver::in_message(async move {
            create(plan_id, price).await;
            drop(creating);
            when_settled();
        });
    }
}

async fn create(plan_id: u64, price: u128) {
    if !driver::is_running() {
        return;
    }
    store::count_cycles(plan_id, price);
    match management::create_canister(price).await {
        // Nothing before this: the id is told here and nowhere else.
        Ok(canister) => add(canister),
        // What was reserved for it comes back with the reject.
        Err(_) => store::change_plan(plan_id, |record| {
            record.cycles_spent = record.cycles_spent.saturating_sub(price);
        }),
    }
}
