//! What a plan spends: everything that is paid for it is counted, creations before they are made, calls as the tables of
//! costs say. A job starts only if the plan may spend, and the coordinator has, what finishing and undoing takes.
//!
//! Tasks of several jobs take turns, so what they cost can't be told by balances. [`for_plan`] says whose turn it is.

use crate::store;
use ic_cdk::api::{cost_call, cost_create_canister, instruction_counter};
use ic_cdk::call::{Call, CallFailed, Response};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;

#[cfg(test)]
mod tests;

/// Cycles that stay with the coordinator: below them no job is started and no canister created, and those on their way
/// have them to go on.
pub(crate) const FLOOR_CYCLES: u128 = 1_000_000_000_000;
/// Cycles that a job is expected to take at most on 13 nodes, its way back included: some 40 calls of a few million each,
/// and its look at ledgers.
const JOB_CYCLES: u128 = 3_000_000_000;
/// Cycles of reading a module of 10 MiB out of a snapshot, and of putting it and the vessel into the chunk store.
const MODULE_CYCLES: u128 = 50_000_000_000;
/// What canisters of a subnet with 13 nodes pay: for a byte between canisters, a call, a message, an instruction (docs,
/// "cycle costs"). The first is asked at run time, and the others follow it.
const BYTE_CYCLES: u128 = 1_000;
const CALL_CYCLES: u128 = 260_000;
const MESSAGE_CYCLES: u128 = 5_000_000;
const INSTRUCTION_CYCLES: u128 = 1;
/// Messages that a task takes besides those in which it waits: the timer's own, which calls this canister.
const TIMER_MESSAGES: u128 = 2;

thread_local! {
    /// The plan whose task runs in this message.
    static PAYER: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Prices of this subnet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prices {
    /// A byte between canisters, twice: it is sent, or received.
    byte: u128,
    /// A canister that is created.
    creation: u128,
    /// A call that waits: what it prepays for its reply, which comes back.
    waiting: u128,
}

impl Prices {
    /// As the tables of this subnet say.
    pub(crate) fn now() -> Self {
        const BYTES: u64 = 1_000;
        let waiting = cost_call(0, 0);
        let byte = cost_call(0, BYTES).saturating_sub(waiting) / u128::from(BYTES);
        Self { byte, creation: cost_create_canister(), waiting }
    }

    /// What something costs here that costs so much on 13 nodes.
    fn here(self, on_13_nodes: u128) -> u128 {
        on_13_nodes.saturating_mul(self.byte).div_ceil(BYTE_CYCLES)
    }
}

/// Counts what a task costs, whose calls are made by [`send`], for its plan.
pub(crate) async fn for_plan<T>(plan_id: u64, task: impl Future<Output = T>) -> T {
    let mut task = pin!(task);
    let mut messages = 1 + TIMER_MESSAGES;
    poll_fn(|context| {
        let before = instruction_counter();
        PAYER.set(Some(plan_id));
        let polled = task.as_mut().poll(context);
        PAYER.set(None);
        let instructions = u128::from(instruction_counter().saturating_sub(before));
        let cycles = messages * MESSAGE_CYCLES + instructions * INSTRUCTION_CYCLES;
        store::add_spent(plan_id, Prices::now().here(cycles));
        messages = 1;
        polled
    })
    .await
}

/// Makes a call. The only place that does: it is counted, and so is what comes back.
pub(crate) async fn send(call: Call<'_, '_>) -> Result<Response, CallFailed> {
    store::count_call();
    let prices = Prices::now();
    let sent = call.get_cost().saturating_sub(prices.waiting).saturating_add(prices.here(CALL_CYCLES));
    count(sent);
    let response = call.await;
    let received = response.as_ref().map_or(0, |response| response.len() as u128);
    count(received.saturating_mul(prices.byte));
    response
}

fn count(cycles: u128) {
    if let Some(plan_id) = PAYER.get() {
        store::add_spent(plan_id, cycles);
    }
}

/// What a plan may spend, and how far it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    /// Most cycles in all.
    pub(crate) max_cycles: u128,
    /// Spent so far.
    pub(crate) spent: u128,
    /// Jobs that were started and have not ended.
    pub(crate) open: u64,
    /// Those of them that still want a canister from the pool, or will.
    pub(crate) without_target: u64,
    /// Cycles that a fresh canister gets besides its creation; none: the plan creates none.
    pub(crate) per_target: Option<u128>,
}

impl Account {
    /// What a fresh canister costs.
    pub(crate) fn target(&self, prices: Prices) -> u128 {
        self.per_target.map_or(0, |cycles| cycles.saturating_add(prices.creation))
    }

    /// What jobs that were started may still take.
    fn reserved(&self, prices: Prices) -> u128 {
        let jobs = prices.here(JOB_CYCLES).saturating_mul(self.open.into());
        jobs.saturating_add(self.target(prices).saturating_mul(self.without_target.into()))
    }

    /// Whether one more job may be started, by the plan and by what the coordinator has: `liquid` cycles, of which the
    /// open jobs of all plans may take `promised`.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn may_start(&self, prices: Prices, liquid: u128, promised: u128) -> Result<(), String> {
        let with_one_more =
            Self { open: self.open + 1, without_target: self.without_target + 1, ..*self }.reserved(prices);
        let wanted = self.spent.saturating_add(with_one_more);
        if wanted > self.max_cycles {
            return Err(format!(
                "the plan may spend {}, has spent {}, and its jobs may take {with_one_more} with one more",
                self.max_cycles, self.spent
            ));
        }
        let one = with_one_more.saturating_sub(self.reserved(prices)).saturating_add(prices.waiting);
        let needed = FLOOR_CYCLES.saturating_add(promised).saturating_add(one);
        match liquid >= needed {
            true => Ok(()),
            false => Err(format!("the coordinator has {liquid} cycles and needs {needed}: top up")),
        }
    }

    /// Whether a canister may be created, or given so many cycles: what jobs may take besides stays.
    pub(crate) fn may_spend(&self, cycles: u128, prices: Prices, liquid: u128) -> bool {
        let calls = prices.here(JOB_CYCLES).saturating_mul(self.open.into());
        self.spent.saturating_add(calls).saturating_add(cycles) <= self.max_cycles
            && liquid >= FLOOR_CYCLES.saturating_add(cycles)
    }

    /// What its open jobs may take of the coordinator, calls that wait included.
    pub(crate) fn promised(&self, prices: Prices) -> u128 {
        self.reserved(prices).saturating_add(prices.waiting.saturating_mul(self.open.into()))
    }
}

/// The least that a plan must be allowed to spend: one job, and reading the modules that nobody uploaded.
pub(crate) fn least(per_target: Option<u128>, modules_to_read: usize, prices: Prices) -> u128 {
    let account =
        Account { max_cycles: 0, spent: 0, open: 1, without_target: 1, per_target };
    let modules = prices.here(MODULE_CYCLES).saturating_mul(modules_to_read as u128);
    account.reserved(prices).saturating_add(modules)
}

/// Days until the coordinator freezes if it does nothing: with so many cycles above its freezing threshold, and what it
/// burns a day.
pub(crate) fn runway_days(liquid: u128, idle_a_day: u128) -> Option<u64> {
    liquid.checked_div(idle_a_day).map(|days| u64::try_from(days).unwrap_or(u64::MAX))
}
