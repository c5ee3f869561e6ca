//! Notes in stable memory, a counter that a timer drives, and calls to another canister of its kind.

use candid::Principal;
use ic_cdk::call::Call;
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager, VirtualMemory};
use ic_stable_structures::{DefaultMemoryImpl, StableBTreeMap};
use std::cell::{Cell, RefCell};
use std::time::Duration;

type Memory = VirtualMemory<DefaultMemoryImpl>;

thread_local! {
    static MEMORY: MemoryManager<DefaultMemoryImpl> = MemoryManager::init(DefaultMemoryImpl::default());
    static NOTES: RefCell<StableBTreeMap<u64, String, Memory>> =
        RefCell::new(StableBTreeMap::init(MEMORY.with(|memory| memory.get(MemoryId::new(0)))));
    static TICKS: Cell<u64> = const { Cell::new(0) };
}

#[ic_cdk::init]
fn init() {
    ic_cdk_timers::set_timer_interval(Duration::from_secs(60), async || {
        TICKS.with(|ticks| ticks.set(ticks.get() + 1));
    });
}

#[ic_cdk::update]
fn add(text: String) -> u64 {
    NOTES.with_borrow_mut(|notes| {
        let id = notes.len();
        notes.insert(id, text);
        id
    })
}

#[ic_cdk::update]
fn add_then_trap(text: String) {
    add(text);
    ic_cdk::trap("no note today");
}

#[ic_cdk::query]
fn note(id: u64) -> Option<String> {
    NOTES.with_borrow(|notes| notes.get(&id))
}

#[ic_cdk::query]
fn ticks() -> u64 {
    TICKS.with(Cell::get)
}

/// Copies a note of `other` into this canister.
#[ic_cdk::update]
async fn fetch(other: Principal, id: u64) -> Result<u64, String> {
    let response =
        Call::unbounded_wait(other, "note").with_arg(id).await.map_err(|error| error.to_string())?;
    let found: Option<String> = response.candid().map_err(|error| error.to_string())?;
    found.map(add).ok_or_else(|| format!("{other} has no note {id}"))
}

/// The same with a deadline, which travels as a best-effort call.
#[ic_cdk::update]
async fn fetch_in_time(other: Principal, id: u64, seconds: u32) -> Result<u64, String> {
    let response = Call::bounded_wait(other, "note")
        .change_timeout(seconds)
        .with_arg(id)
        .await
        .map_err(|error| error.to_string())?;
    let found: Option<String> = response.candid().map_err(|error| error.to_string())?;
    found.map(add).ok_or_else(|| format!("{other} has no note {id}"))
}

/// Asks `other` within a query.
#[ic_cdk::query(composite = true)]
async fn look(other: Principal, id: u64) -> Option<String> {
    let response = Call::bounded_wait(other, "note").with_arg(id).await.ok()?;
    response.candid().ok()?
}

#[ic_cdk::update]
async fn random() -> Vec<u8> {
    match Call::unbounded_wait(Principal::management_canister(), "raw_rand").await {
        Ok(response) => response.candid().unwrap_or_default(),
        Err(error) => ic_cdk::trap(error.to_string()),
    }
}
