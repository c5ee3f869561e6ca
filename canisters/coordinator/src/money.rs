//! What a plan spends: everything that is paid for it is counted, creations before they are made, calls as the tables of
//! costs say. A job starts only if the plan may spend, and the coordinator has, what finishing and undoing takes.
//!
//! Tasks of several jobs take turns, so what they cost can't be told by balances. [`for_plan`] says whose turn it is.

use crate::management::{self, OfCanister};
use crate::pool::{self, Stock};
use crate::replies;
use crate::store::{self, Terms};
use candid::{CandidType, Nat};
use decant_engine::{
    ImageKind, ImageView, Job, LayoutView, Limits, Load, Outcome, Reason, ReasonCode, State, Value,
    VesselState,
};
use decant_layout::PAGE_BYTES;
use ic_cdk::api::{canister_liquid_cycle_balance, cost_call, cost_create_canister, instruction_counter};
use ic_cdk::call::{Call, CallFailed, Response};
use serde::Deserialize;
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
    /// What was spent for no plan's task: looks, timers, what the coordinator asks for itself. The next task pays it.
    static SHARED: Cell<u128> = const { Cell::new(0) };
    /// Calls whose replies are awaited.
    static OPEN: Cell<u32> = const { Cell::new(0) };
    /// What the coordinator burns a day when it does nothing.
    static IDLE_A_DAY: Cell<Option<u128>> = const { Cell::new(None) };
    /// When it asked.
    static ASKED_NANOS: Cell<u64> = const { Cell::new(0) };
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
    pub(crate) fn here(self, on_13_nodes: u128) -> u128 {
        on_13_nodes.saturating_mul(self.byte).div_ceil(BYTE_CYCLES)
    }
}

/// Counts what a task costs, whose calls are made by [`send`], for its plan.
pub(crate) async fn for_plan<T>(plan_id: u64, task: impl Future<Output = T>) -> T {
    counted(Some(plan_id), task).await
}

/// The same for a task of no plan: the next one of some plan pays.
pub(crate) async fn for_all<T>(task: impl Future<Output = T>) -> T {
    counted(None, task).await
}

/// The same for a message in which nothing waits.
pub(crate) fn in_look<T>(look: impl FnOnce() -> T) -> T {
    let before = instruction_counter();
    let result = look();
    charge(None, 1 + TIMER_MESSAGES, before);
    result
}

async fn counted<T>(payer: Option<u64>, task: impl Future<Output = T>) -> T {
    let mut task = pin!(task);
    let mut messages = 1 + TIMER_MESSAGES;
    poll_fn(|context| {
        let before = instruction_counter();
        PAYER.set(payer);
        let polled = task.as_mut().poll(context);
        PAYER.set(None);
        charge(payer, messages, before);
        messages = 1;
        polled
    })
    .await
}

/// Counts messages, and the instructions since `before`.
fn charge(payer: Option<u64>, messages: u128, before: u64) {
    let instructions = u128::from(instruction_counter().saturating_sub(before));
    count(payer, Prices::now().here(messages * MESSAGE_CYCLES + instructions * INSTRUCTION_CYCLES));
}

fn count(payer: Option<u64>, cycles: u128) {
    let shared = SHARED.take();
    match payer {
        Some(plan_id) => store::count_cycles(plan_id, cycles.saturating_add(shared)),
        None => SHARED.set(shared.saturating_add(cycles)),
    }
}

/// Counts a call until its reply has come, however its task ends.
struct Open;

impl Open {
    fn new() -> Self {
        OPEN.set(OPEN.get() + 1);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.set(OPEN.get().saturating_sub(1));
    }
}

/// Whether a reply is awaited, which an upgrade would tear from its call.
pub(crate) fn has_open_calls() -> bool {
    OPEN.get() > 0
}

/// No call is open any more: the coordinator was put back from a snapshot.
pub(crate) fn forget_calls() {
    OPEN.set(0);
}

/// Makes a call: it is counted, and so is what comes back.
pub(crate) async fn send(call: Call<'_, '_>) -> Result<Response, CallFailed> {
    send_with(call, 0).await
}

/// Makes a call with cycles, which whoever gives them counts. The only place where calls are made.
pub(crate) async fn send_with(call: Call<'_, '_>, cycles: u128) -> Result<Response, CallFailed> {
    store::count_call();
    let prices = Prices::now();
    let sent = call.get_cost().saturating_sub(prices.waiting).saturating_add(prices.here(CALL_CYCLES));
    count(PAYER.get(), sent);
    let open = Open::new();
    let response = call.with_cycles(cycles).await;
    drop(open);
    let received = response.as_ref().map_or(0, |response| response.len() as u128);
    count(PAYER.get(), received.saturating_mul(prices.byte));
    response
}

/// Counts what the platform charges besides.
pub(crate) fn count_instructions(instructions: u128) {
    count(PAYER.get(), Prices::now().here(instructions.saturating_mul(INSTRUCTION_CYCLES)));
}

/// Why no job is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Short {
    /// The plan may not spend more.
    Plan(String),
    /// The coordinator has too little.
    Coordinator(String),
    /// The plan's canisters are with jobs, or in quarantine.
    Canisters(String),
}

impl Short {
    /// What is missing, for people.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Plan(text) | Self::Coordinator(text) | Self::Canisters(text) => text,
        }
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
    /// Canisters in the pool that these may have without a creation. Another plan may count on the same ones: whether one is
    /// created is decided again when it is.
    pub(crate) ready: u64,
    /// Those of them that have all that the plan gives.
    pub(crate) full: u64,
    /// Cycles that a fresh canister gets besides its creation; none: the plan creates none.
    pub(crate) per_target: Option<u128>,
}

impl Account {
    /// Of a plan with these jobs under way; one that can't be read may spend nothing.
    pub(crate) fn of(plan_id: u64, load: Load) -> Self {
        let Terms { max_cycles, per_target, .. } = store::terms(plan_id);
        let spent = store::used(plan_id).cycles;
        let Stock { ready, full } = per_target.map_or_else(Stock::default, |each| pool::stock(plan_id, each));
        Self { max_cycles, spent, open: load.open, without_target: load.lacking, ready, full, per_target }
    }

    /// What a fresh canister costs.
    pub(crate) fn target(&self, prices: Prices) -> u128 {
        self.per_target.map_or(0, |cycles| cycles.saturating_add(prices.creation))
    }

    /// What jobs that were started may still take.
    fn reserved(&self, prices: Prices) -> u128 {
        let jobs = prices.here(JOB_CYCLES).saturating_mul(self.open.into());
        // One that comes out of the pool gets what it lacks of the plan's cycles, and is not created.
        let to_fill = self.without_target.saturating_sub(self.full);
        let given = self.per_target.unwrap_or_default().saturating_mul(to_fill.into());
        let created = self.per_target.map_or(0, |_| self.without_target.saturating_sub(self.ready));
        jobs.saturating_add(given).saturating_add(prices.creation.saturating_mul(created.into()))
    }

    /// What they may still take with one more.
    fn with_one_more(&self, prices: Prices) -> u128 {
        Self { open: self.open + 1, without_target: self.without_target + 1, ..*self }.reserved(prices)
    }

    /// Whether the plan may spend what one more job takes, if the pool has all canisters that are needed.
    pub(crate) fn may_start_from_pool(&self, prices: Prices) -> bool {
        let served = Self { ready: u64::MAX, full: u64::MAX, ..*self };
        self.spent.saturating_add(served.with_one_more(prices)) <= self.max_cycles
    }

    /// Whether one more job may be started, by the plan and by what the coordinator has: `liquid` cycles, of which the
    /// open jobs of all plans may take `promised`. Answers how much more they may take with it.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn may_start(&self, prices: Prices, liquid: u128, promised: u128) -> Result<u128, Short> {
        let with_one_more = self.with_one_more(prices);
        if self.spent.saturating_add(with_one_more) > self.max_cycles {
            return Err(Short::Plan(format!(
                "the plan may spend {}, has spent {}, and its jobs may take {with_one_more} with one more",
                self.max_cycles, self.spent
            )));
        }
        let one = with_one_more.saturating_sub(self.reserved(prices)).saturating_add(prices.waiting);
        let needed = FLOOR_CYCLES.saturating_add(promised).saturating_add(one);
        match liquid >= needed {
            true => Ok(one),
            false => Err(Short::Coordinator(format!(
                "the coordinator has {liquid} cycles to spend and needs {needed}: top up"
            ))),
        }
    }

    /// Whether a canister may be created, or given so many cycles: what the calls of open jobs may take stays.
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

/// Whether what a plan gives a fresh canister pays for so many cycles that its installation prepays, and for a state of so many
/// pages: it asks for each byte of that, and pays for the answer, where nothing can be compressed. One by vessel is upgraded to its
/// module after that; with the kit what the installation prepaid is back by then.
///
/// # Errors
/// What it takes.
pub(crate) fn check_target(
    per_target: Option<u128>,
    prepaid_cycles: u128,
    (used_pages, is_by_vessel): (u64, bool),
    prices: Prices,
) -> Result<(), String> {
    let bytes = u128::from(used_pages).saturating_mul(PAGE_BYTES.into());
    let pulled_cycles = prices.byte.saturating_mul(bytes);
    let needed = match is_by_vessel {
        true => prepaid_cycles.saturating_add(pulled_cycles),
        // Its own messages and the reply's prepay while it pulls.
        false => prepaid_cycles.max(pulled_cycles.saturating_add(2 * prices.waiting)),
    };
    match per_target {
        Some(given) if given < needed => Err(format!(
            "cycles_per_target is {given} and must be {needed} at least for {used_pages} pages of state on this subnet"
        )),
        _ => Ok(()),
    }
}

/// What a job was answered, or a refusal where that tells, before users wait, that its target could not pay for it.
pub(crate) fn affordable(job: &Job, outcome: Outcome) -> Outcome {
    let per_target = store::terms(job.plan().plan_id).per_target;
    match learnt(job, &outcome) {
        Some((prepaid, used_pages)) if per_target.is_some() => {
            let prices = Prices::now();
            let prepaid_cycles = prepaid.unwrap_or(prices.here(Limits::UPGRADE_PREPAID_CYCLES));
            let state = (used_pages, job.plan().strategy.is_by_vessel());
            match check_target(per_target, prepaid_cycles, state, prices) {
                Ok(()) => outcome,
                Err(why) => Outcome::Refused(Reason::new(ReasonCode::OutOfCycles, why)),
            }
        }
        _ => outcome,
    }
}

/// What an answer tells of what its target has to pay for, before users wait: cycles that its module prepays, if they are known, and
/// pages of state.
fn learnt(job: &Job, outcome: &Outcome) -> Option<(Option<u128>, u64)> {
    let Outcome::Done(value) = outcome else { return None };
    match (value, job.state()) {
        (Value::Kit(view), State::Inspected { .. }) => Some(match view.layout {
            LayoutView::Managed { used_pages, .. } => (None, used_pages),
            _ => (None, view.stable_pages),
        }),
        (
            Value::Image(ImageView { kind: ImageKind::Managed { used_pages, .. }, .. }),
            State::Vessel(VesselState::Surveyed { .. }),
        ) => Some((None, *used_pages)),
        (Value::Known(Some(known)), _) => Some((Some(known.prepaid_cycles), job.counters().used_pages)),
        _ => None,
    }
}

/// What the open jobs of all plans may take of the coordinator.
pub(crate) fn promised(prices: Prices) -> u128 {
    let loads: Vec<(u64, Load)> =
        store::board(|board| board.plans().into_iter().map(|plan| (plan, board.load(plan))).collect());
    loads
        .into_iter()
        .fold(0, |sum, (plan, load)| sum.saturating_add(Account::of(plan, load).promised(prices)))
}

/// The least that a plan must be allowed to spend: one job, and reading the modules that nobody uploaded.
pub(crate) fn least(per_target: Option<u128>, modules_to_read: usize, prices: Prices) -> u128 {
    let account =
        Account { max_cycles: 0, spent: 0, open: 1, without_target: 1, ready: 0, full: 0, per_target };
    let modules = prices.here(MODULE_CYCLES).saturating_mul(modules_to_read as u128);
    account.reserved(prices).saturating_add(modules)
}

/// What the coordinator must have for so many jobs of a plan at a time: what their calls take and prepay, and one canister;
/// the others are created one after the other, as cycles come.
pub(crate) fn needed(per_target: Option<u128>, in_flight: u32, prices: Prices) -> u128 {
    let open = in_flight.into();
    let account = Account { max_cycles: 0, spent: 0, open, without_target: 1, ready: 0, full: 0, per_target };
    FLOOR_CYCLES.saturating_add(account.promised(prices))
}

/// Asks what the coordinator burns a day when it does nothing: when jobs are started, once a day at most.
pub(crate) async fn ask_idle() {
    let own = OfCanister { canister_id: ic_cdk::api::canister_self() };
    let response = management::call("canister_status", &own).await.map_err(|error| error.to_string());
    if let Ok(Burned { idle_cycles_burned_per_day }) = response.and_then(replies::told) {
        IDLE_A_DAY.set(u128::try_from(idle_cycles_burned_per_day.0).ok());
    }
}

/// Whether it is time to ask again.
pub(crate) fn wants_idle(now_nanos: u64) -> bool {
    const DAY_NANOS: u64 = 86_400_000_000_000;
    let is_due = now_nanos.saturating_sub(ASKED_NANOS.get()) >= DAY_NANOS;
    if is_due {
        ASKED_NANOS.set(now_nanos);
    }
    is_due
}

#[derive(CandidType, Deserialize)]
struct Burned {
    idle_cycles_burned_per_day: Nat,
}

/// Days until the coordinator freezes if it does nothing, if it has asked since it was upgraded.
pub(crate) fn runway_days() -> Option<u64> {
    days(canister_liquid_cycle_balance(), IDLE_A_DAY.get()?)
}

fn days(liquid: u128, idle_a_day: u128) -> Option<u64> {
    liquid.checked_div(idle_a_day).map(|days| u64::try_from(days).unwrap_or(u64::MAX))
}
