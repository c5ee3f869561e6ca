//! A dapp whose `post_upgrade` erases what it has read, and takes nothing there for nothing posted. Its `pre_upgrade`
//! takes everything off the heap; both count their runs in stable memory. A flavour of it erases all: it formats stable
//! memory anew, with smaller buckets, so that what was there lies behind the manager.

use std::cell::RefCell;

use candid::CandidType;
use ic_cdk::{init, post_upgrade, pre_upgrade, query, update};
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager, VirtualMemory};
use ic_stable_structures::{DefaultMemoryImpl, Memory};
use serde::Deserialize;

#[cfg(test)]
mod tests;

/// Memory of the state: its length in eight bytes, and as many bytes of Candid.
const SAVED: u8 = 0;
/// Memory of the counts: how often `pre_upgrade` ran, and `post_upgrade`.
const RUNS: u8 = 1;
const WORD_BYTES: u64 = 8;
const PAGE_BYTES: u64 = 65_536;
/// Pages of a bucket when stable memory is formatted anew.
const SMALL_BUCKET_PAGES: u16 = 4;

decant_kit::export! { save = save, load = load }

#[derive(Debug, Default, CandidType, Deserialize)]
struct State {
    posts: Vec<String>,
    /// Whether stable memory is formatted anew when it was read.
    formats: bool,
}

thread_local! {
    static MANAGER: RefCell<MemoryManager<DefaultMemoryImpl>> =
        RefCell::new(MemoryManager::init(DefaultMemoryImpl::default()));
    static STATE: RefCell<State> = RefCell::default();
}

#[init]
fn init(formats: Option<bool>) {
    STATE.set(State { formats: formats.unwrap_or_default(), ..State::default() });
}

#[pre_upgrade]
fn pre_upgrade() {
    decant_kit::refuse_upgrade_when_fenced();
    count(0);
    save();
}

#[post_upgrade]
fn post_upgrade() {
    load();
    count(1);
}

/// Posts; answers how many there are.
#[update(guard = "decant_kit::guard")]
fn post(text: String) -> u64 {
    STATE.with_borrow_mut(|state| {
        state.posts.push(text);
        state.posts.len() as u64
    })
}

/// All posts.
#[query(guard = "decant_kit::query_guard")]
fn posts() -> Vec<String> {
    STATE.with_borrow(|state| state.posts.clone())
}

/// How often `pre_upgrade` ran, and `post_upgrade`.
#[query(guard = "decant_kit::query_guard")]
fn runs() -> (u64, u64) {
    (word(RUNS, 0), word(RUNS, 1))
}

fn save() {
    let bytes = candid::encode_one(STATE.take()).unwrap_or_else(|error| ic_cdk::trap(error.to_string()));
    write(SAVED, 0, &(bytes.len() as u64).to_le_bytes());
    write(SAVED, WORD_BYTES, &bytes);
}

fn load() {
    let mut bytes = vec![0; word(SAVED, 0) as usize];
    if bytes.is_empty() {
        return;
    }
    memory(SAVED).read(WORD_BYTES, &mut bytes);
    let state: State = candid::decode_one(&bytes).unwrap_or_else(|error| ic_cdk::trap(error.to_string()));
    match state.formats {
        true => format(),
        false => write(SAVED, 0, &0_u64.to_le_bytes()),
    }
    STATE.set(state);
}

/// Only the magic is erased. No memory is touched before the next upgrade.
fn format() {
    ic_cdk::api::stable_write(0, &[0; 3]);
    MANAGER.set(MemoryManager::init_with_bucket_size(DefaultMemoryImpl::default(), SMALL_BUCKET_PAGES));
}

/// Counts a run, where there is something that outlives the next one.
fn count(which: u64) {
    if STATE.with_borrow(|state| state.formats) {
        return;
    }
    let runs = word(RUNS, which) + 1;
    write(RUNS, which * WORD_BYTES, &runs.to_le_bytes());
}

fn word(id: u8, index: u64) -> u64 {
    let mut bytes = [0; WORD_BYTES as usize];
    if memory(id).size() > 0 {
        memory(id).read(index * WORD_BYTES, &mut bytes);
    }
    u64::from_le_bytes(bytes)
}

fn write(id: u8, offset: u64, bytes: &[u8]) {
    let memory = memory(id);
    let wanted_pages = (offset + bytes.len() as u64).div_ceil(PAGE_BYTES);
    if memory.grow(wanted_pages.saturating_sub(memory.size())) == -1 {
        ic_cdk::trap("stable memory can't grow");
    }
    memory.write(offset, bytes);
}

fn memory(id: u8) -> VirtualMemory<DefaultMemoryImpl> {
    MANAGER.with_borrow(|manager| manager.get(MemoryId::new(id)))
}

// The interface as text, for the test of the interface file. It must stand after all methods.
#[cfg(test)]
candid::export_service!();
