//! Fresh canisters. They are created here and never inside a job: the reply does nothing but keep the new id, so that no
//! lost reply strands a canister. Whatever comes in is looked at before it goes out: it has no module and no snapshots,
//! nobody else controls it, and it has the cycles that the plan gives. What is not so is set aside, and what is gone goes.
//! Originals that were emptied come in too, where the plan says so, and go out after their quarantine: then none is created
//! beyond what jobs at a time take.

use crate::management::{self, OfCanister, RunState, Status};
use crate::money::{self, Account, Prices};
use crate::outcomes::{failed, is_gone};
use crate::store::{self, Emptied, PlanRecord, Pooled, Terms};
use crate::{driver, replies, trial};
use candid::Principal;
use decant_engine::{Job, Load, Outcome, TimeNanos};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

/// Creations at a time.
const CREATIONS: usize = 10;
/// How long a look holds: longer than the longest back-off of a job that waits for it. The job looks once more.
const LOOK_HOLDS_NANOS: u64 = 300_000_000_000;

/// For how long a canister counts as new (nanoseconds): a relocation takes longer, so that none that was put back with this
/// heap from a snapshot of the coordinator can serve anybody yet.
const NEW_NANOS: u64 = 5_000_000_000;

thread_local! {
    static CREATING: Cell<usize> = const { Cell::new(0) };
    static LOOKED_AT: RefCell<BTreeSet<Principal>> = const { RefCell::new(BTreeSet::new()) };
    static NEW: RefCell<BTreeMap<Principal, TimeNanos>> = const { RefCell::new(BTreeMap::new()) };
}

/// Whether a canister that was just taken out of the pool was created this moment, and nobody had it yet.
pub(crate) fn is_new(canister: Principal) -> bool {
    let created_nanos = NEW.with_borrow_mut(|new| new.remove(&canister));
    created_nanos.is_some_and(|at| ic_cdk::api::time().saturating_sub(at) < NEW_NANOS)
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

/// Holds a canister for one look.
struct Looking(Principal);

impl Looking {
    fn new(canister: Principal) -> Option<Self> {
        // Made only if nobody looks: its drop would end the other's hold.
        LOOKED_AT.with_borrow_mut(|looked_at| looked_at.insert(canister)).then(|| Self(canister))
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        LOOKED_AT.with_borrow_mut(|looked_at| looked_at.remove(&self.0));
    }
}

/// No creation and no look is under way any more: the coordinator was put back from a snapshot.
pub(crate) fn forget_creations() {
    CREATING.set(0);
    LOOKED_AT.with_borrow_mut(BTreeSet::clear);
}

/// A canister for a job, if one is there that was just looked at. Otherwise there will be, as far as the plan's cycles go.
pub(crate) fn take(job: &Job) -> Option<Principal> {
    let plan_id = job.plan().plan_id;
    store::take_from_pool(plan_id, job.source(), looked_since(), ic_cdk::api::time()).or_else(|| {
        refill(job);
        None
    })
}

fn looked_since() -> TimeNanos {
    ic_cdk::api::time().saturating_sub(LOOK_HOLDS_NANOS)
}

/// Takes a canister back that a job had. One that a route named serves its source or nobody: indexes remember it.
pub(crate) fn give_back(job: &Job, canister: Principal) {
    let kept_for = store::was_named(canister).then(|| job.source());
    let emptied = store::emptied_by(canister, ic_cdk::api::time()).map(|emptier| Emptied {
        job: emptier.id(),
        plan: emptier.plan().plan_id,
        // It came out of quarantine before.
        until_nanos: 0,
    });
    store::put_in_pool(canister, &Pooled { kept_for, emptied, ..Pooled::default() });
}

/// Takes the original of a job that has emptied it. For the quarantine of the plan it is nobody's.
pub(crate) fn take_over(job: &Job, canister: Principal) {
    let plan = job.plan().plan_id;
    let recycling = store::plan(plan).and_then(|PlanRecord { plan, .. }| plan.recycling);
    let seconds = recycling.map_or(u64::MAX, |recycling| recycling.quarantine_seconds);
    let until_nanos = ic_cdk::api::time().saturating_add(seconds.saturating_mul(1_000_000_000));
    let emptied = Some(Emptied { job: job.id(), plan, until_nanos });
    store::put_in_pool(canister, &Pooled { emptied, ..Pooled::default() });
}

/// Canisters in the pool that any job of a plan may have now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stock {
    /// All of them.
    pub(crate) ready: u64,
    /// Those that had all that the plan gives when somebody looked.
    pub(crate) full: u64,
}

/// What there is for a plan that gives so many cycles.
pub(crate) fn stock(plan_id: u64, per_target: u128) -> Stock {
    stock_at(plan_id, per_target, ic_cdk::api::time())
}

fn stock_at(plan_id: u64, per_target: u128, now_nanos: TimeNanos) -> Stock {
    store::of_pool(|pool| {
        let ready = || pool.values().filter(|it| it.serves(plan_id, None, now_nanos));
        let is_full = |it: &&Pooled| it.cycles.is_some_and(|cycles| cycles >= per_target);
        Stock { ready: ready().count() as u64, full: ready().filter(is_full).count() as u64 }
    })
}

/// Looks at those of them of which nobody knows what they have, some at a time, if a job could be started with them. Answers
/// whether there are such.
pub(crate) fn look_over(plan_id: u64) -> bool {
    if !account(plan_id).may_start_from_pool(Prices::now()) {
        return false;
    }
    let now_nanos = ic_cdk::api::time();
    let unknown = unknown(plan_id, now_nanos);
    for canister in unknown.iter().copied().take(CREATIONS) {
        let Some(looking) = Looking::new(canister) else { continue };
        driver::in_message(async move {
            money::for_plan(plan_id, look(plan_id, canister)).await;
            drop(looking);
            // What told nothing is asked again later.
            if !self::unknown(plan_id, now_nanos).contains(&canister) {
                driver::wake();
            }
        });
    }
    !unknown.is_empty()
}

fn unknown(plan_id: u64, now_nanos: TimeNanos) -> Vec<Principal> {
    store::of_pool(|pool| {
        let is_it = |it: &Pooled| it.cycles.is_none() && it.serves(plan_id, None, now_nanos);
        pool.iter().filter(|(_, it)| is_it(it)).map(|(canister, _)| *canister).collect()
    })
}

/// Canisters for jobs of a plan that recycles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Supply {
    /// In the pool, and nobody else's.
    pub(crate) ready: u64,
    /// That may be created: so many that with those there are, and those that come back, each of the jobs at a time has one.
    pub(crate) room: u64,
    /// That come out of quarantine.
    pub(crate) coming: u64,
}

/// What there is for a plan with these jobs under way; none: it does not recycle, and as many are created as are needed.
pub(crate) fn supply(plan_id: u64, load: Load) -> Option<Supply> {
    let Terms { recycles, max_in_flight, .. } = store::terms(plan_id);
    if !recycles {
        return None;
    }
    let now_nanos = ic_cdk::api::time();
    let (ready, all) = store::of_pool(|pool| {
        let count = |at_nanos| pool.values().filter(|it| it.serves(plan_id, None, at_nanos)).count() as u64;
        (count(now_nanos), count(TimeNanos::MAX))
    });
    let there = all.saturating_add(CREATING.get() as u64).saturating_add(load.giving);
    Some(Supply { ready, room: max_in_flight.saturating_sub(there), coming: all.saturating_sub(ready) })
}

/// Looks at what is there, and creates what the jobs of the plan that wait need besides, each in a message of its own.
pub(crate) fn refill(job: &Job) {
    let (plan_id, source, since_nanos) = (job.plan().plan_id, job.source(), looked_since());
    let now_nanos = ic_cdk::api::time();
    let wanted = trial::wanted(plan_id);
    let room = supply(plan_id, store::board(|board| board.load(plan_id)))
        .map_or(CREATIONS, |supply| usize::try_from(supply.room).unwrap_or(CREATIONS));
    let mut usable = CREATING.get();
    let fit = store::pool().into_iter().filter(|(_, it)| it.serves(plan_id, Some(source), now_nanos));
    for (canister, pooled) in fit {
        if usable >= wanted {
            continue;
        }
        usable += 1;
        let is_known = pooled.looked_nanos.is_some_and(|at_nanos| at_nanos >= since_nanos);
        if let Some(looking) = Looking::new(canister).filter(|_| !is_known) {
            driver::in_message(async move {
                money::for_plan(plan_id, look(plan_id, canister)).await;
                drop(looking);
                driver::wake();
            });
        }
    }
    for _ in (usable..wanted.min(CREATIONS)).take(room) {
        let creating = Creating::new();
        driver::in_message(async move {
            money::for_plan(plan_id, create(plan_id)).await;
            drop(creating);
            driver::wake();
        });
    }
}

fn account(plan_id: u64) -> Account {
    Account::of(plan_id, store::board(|board| board.load(plan_id)))
}

async fn create(plan_id: u64) {
    let (account, prices) = (account(plan_id), Prices::now());
    let price = account.target(prices);
    let liquid = ic_cdk::api::canister_liquid_cycle_balance();
    if !driver::is_running() || !account.may_spend(price, prices, liquid) {
        return;
    }
    // Before it is spent, so that the next one is decided by it.
    store::count_cycles(plan_id, price);
    match management::create_canister(price).await {
        // Nothing before this: the id is told here and nowhere else.
        Ok(canister) => {
            let now_nanos = ic_cdk::api::time();
            let pooled =
                Pooled { looked_nanos: Some(now_nanos), cycles: account.per_target, ..Pooled::default() };
            store::put_in_pool(canister, &pooled);
            NEW.with_borrow_mut(|new| new.insert(canister, now_nanos));
        }
        // What was counted for it comes back with the reject.
        Err(_) => store::give_back(plan_id, price),
    }
}

/// The status of a canister; nothing where it is gone.
///
/// # Errors
/// Nobody tells it.
pub(crate) async fn status(canister: Principal) -> Result<Option<Status>, String> {
    ask(canister).await.map_err(|Untold { why, .. }| why)
}

/// Why the status of a canister is not told.
struct Untold {
    why: String,
    /// It is not told later either: the canister is somebody else's.
    is_final: bool,
}

async fn ask(canister: Principal) -> Result<Option<Status>, Untold> {
    match management::call("canister_status", &OfCanister { canister_id: canister }).await {
        Ok(response) => {
            replies::told::<Status>(response).map(Some).map_err(|why| Untold { why, is_final: true })
        }
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => {
            let is_final = matches!(failed(&error), Outcome::Refused(_));
            Err(Untold { why: error.to_string(), is_final })
        }
    }
}

pub(crate) fn cycles(status: &Status) -> u128 {
    u128::try_from(&status.cycles.0).unwrap_or(u128::MAX)
}

/// Looks at a canister of the pool, and gives it what it lacks of the plan's cycles.
async fn look(plan_id: u64, canister: Principal) {
    if !driver::is_running() {
        return;
    }
    let status = match ask(canister).await {
        Ok(Some(status)) => status,
        Ok(None) => return store::remove_from_pool(canister),
        Err(Untold { why, is_final: true }) => {
            if let Some(pooled) = store::pooled(canister) {
                store::put_in_pool(canister, &Pooled { aside: Some(why), ..pooled });
            }
            return;
        }
        // It tells nothing of the canister, and is asked again.
        Err(_) => return,
    };
    let (aside, balance) = (unfit(&status), cycles(&status));
    let per_target = account(plan_id).per_target.unwrap_or_default();
    let cycles = match aside {
        Some(_) => Some(balance),
        None => filled(plan_id, canister, balance).await,
    };
    // It may have been taken out meanwhile.
    let Some(pooled) = store::pooled(canister) else { return };
    // Where the plan may not spend more, or the call fails: later.
    let is_fit = aside.is_none() && cycles.is_some_and(|cycles| cycles >= per_target);
    let looked_nanos = is_fit.then(ic_cdk::api::time).or(pooled.looked_nanos);
    store::put_in_pool(canister, &Pooled { aside, looked_nanos, cycles, ..pooled });
}

/// A canister that no job gets any more.
pub(crate) struct Held(Looking);

/// Holds a canister of the pool that is to be deleted.
///
/// # Errors
/// It is not in the pool, or somebody looks at it.
pub(crate) fn hold_for_deletion(canister: Principal) -> Result<Held, String> {
    let looking = store::pooled(canister).and_then(|_| Looking::new(canister));
    let looking =
        looking.ok_or_else(|| format!("{canister} is not in the pool, or is looked at just now"))?;
    set_aside(canister, "it is being deleted".to_owned());
    Ok(Held(looking))
}

impl Held {
    /// It is gone, or stays aside with the reason.
    pub(crate) fn ended(self, deleted: &Result<(), String>) {
        let canister = self.0.0;
        match deleted {
            Ok(()) => store::remove_from_pool(canister),
            Err(why) => {
                set_aside(canister, format!("it could not be deleted: {why}"));
            }
        }
    }
}

/// A canister serves nobody any more; whose it was is still told.
fn set_aside(canister: Principal, why: String) {
    let emptied = store::pooled(canister).and_then(|pooled| pooled.emptied);
    store::put_in_pool(canister, &Pooled { aside: Some(why), emptied, ..Pooled::default() });
}

/// Why a canister serves nobody.
fn unfit(status: &Status) -> Option<String> {
    let runs = |hash| format!("it runs a module, {}", decant_words::hex(hash));
    let is_running = matches!(status.status, RunState::Running);
    let stable = status.memory_metrics.as_ref().and_then(|metrics| metrics.stable_memory_size.as_ref());
    let holds_state = stable.is_some_and(|bytes| *bytes > 0_u8);
    shared(status)
        .or_else(|| status.module_hash.as_deref().map(|hash| runs(hash)))
        .or_else(|| holds_state.then(|| "it has stable memory".to_owned()))
        .or_else(|| (!is_running).then(|| "it does not run".to_owned()))
}

/// Why a canister may be of use to somebody else, whatever it runs.
pub(crate) fn shared(status: &Status) -> Option<String> {
    let own = ic_cdk::api::canister_self();
    let snapshots = status.memory_metrics.as_ref().and_then(|metrics| metrics.snapshots_size.as_ref());
    if status.settings.controllers != [own] {
        return Some("others control it too".to_owned());
    }
    snapshots.is_some_and(|bytes| *bytes > 0_u8).then(|| "it has snapshots".to_owned())
}

/// Gives a canister what it has less than the plan gives, as far as the plan may spend that. What it has then, if that is known.
async fn filled(plan_id: u64, canister: Principal, balance: u128) -> Option<u128> {
    let account = account(plan_id);
    let missing = account.per_target.unwrap_or_default().saturating_sub(balance);
    let liquid = ic_cdk::api::canister_liquid_cycle_balance();
    let may_spend = |liquid| account.may_spend(missing, Prices::now(), liquid);
    if missing == 0 || !may_spend(u128::MAX) {
        return Some(balance);
    }
    // Where the coordinator has too little now, it may be topped up.
    if !may_spend(liquid) {
        return None;
    }
    store::count_cycles(plan_id, missing);
    if management::deposit(canister, missing).await.is_err() {
        store::give_back(plan_id, missing);
        return None;
    }
    Some(balance.saturating_add(missing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::canister;

    #[test]
    fn what_nobody_else_keeps_is_counted_and_what_nobody_knows_is_looked_at() {
        let with = |cycles| Pooled { cycles, ..Pooled::default() };
        store::put_in_pool(canister(1), &with(Some(400)));
        store::put_in_pool(canister(2), &with(Some(399)));
        store::put_in_pool(canister(3), &with(None));
        store::put_in_pool(canister(4), &Pooled { kept_for: Some(canister(9)), ..with(Some(400)) });
        store::put_in_pool(canister(5), &Pooled { aside: Some("it runs".to_owned()), ..with(Some(400)) });
        let emptied = Some(Emptied { job: 3, plan: 7, until_nanos: 50 });
        store::put_in_pool(canister(6), &Pooled { emptied, ..with(Some(400)) });
        assert_eq!(stock_at(1, 400, 50), Stock { ready: 3, full: 1 });
        assert_eq!(stock_at(7, 400, 50), Stock { ready: 4, full: 2 });
        assert_eq!(stock_at(7, 400, 49), Stock { ready: 3, full: 1 }, "in quarantine");
        assert_eq!(unknown(1, 50), [canister(3)]);
    }
}
