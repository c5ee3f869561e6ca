//! A dapp whose `post_upgrade` erases what it has read, and takes nothing there for nothing posted. Its `pre_upgrade`
//! takes everything off the heap; both count their runs in stable memory.

use std::cell::RefCell;

use ic_cdk::{init, post_upgrade, pre_upgrade, query, update};
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager, VirtualMemory};
use ic_stable_structures::{DefaultMemoryImpl, Memory};

#[cfg(test)]
mod tests;

/// Memory of the state: its length in eight bytes, and as many bytes of Candid.
const STATE: u8 = 0;
/// Memory of the counts: how often `pre_upgrade` ran, and `post_upgrade`.
const RUNS: u8 = 1;
const WORD_BYTES: u64 = 8;
const PAGE_BYTES: u64 = 65_536;

decant_kit::export! { save = save, load = load }

thread_local! {
    static MANAGER: MemoryManager<DefaultMemoryImpl> = MemoryManager::init(DefaultMemoryImpl::default());
    static POSTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

#[init]
fn init() {}

#[pre_upgrade]
fn pre_upgrade() {
    decant_kit::refuse_upgrade_when_fenced();
    save();
    count(0);
}

#[post_upgrade]
fn post_upgrade() {
    load();
    count(1);
}

/// Posts; answers how many there are.
#[update(guard = "decant_kit::guard")]
fn post(text: String) -> u64 {
    POSTS.with_borrow_mut(|posts| {
        posts.push(text);
        posts.len() as u64
    })
}

/// All posts.
#[query(guard = "decant_kit::query_guard")]
fn posts() -> Vec<String> {
    POSTS.with_borrow(Clone::clone)
}

/// How often `pre_upgrade` ran, and `post_upgrade`.
#[query(guard = "decant_kit::query_guard")]
fn runs() -> (u64, u64) {
    (word(RUNS, 0), word(RUNS, 1))
}

fn save() {
    let bytes = candid::encode_one(POSTS.take()).unwrap_or_else(|error| ic_cdk::trap(error.to_string()));
    write(STATE, 0, &(bytes.len() as u64).to_le_bytes());
    write(STATE, WORD_BYTES, &bytes);
}

fn load() {
    let mut bytes = vec![0; word(STATE, 0) as usize];
    if bytes.is_empty() {
        return;
    }
    memory(STATE).read(WORD_BYTES, &mut bytes);
    POSTS.set(candid::decode_one(&bytes).unwrap_or_else(|error| ic_cdk::trap(error.to_string())));
    write(STATE, 0, &0_u64.to_le_bytes());
}

fn count(which: u64) {
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
    MANAGER.with(|manager| manager.get(MemoryId::new(id)))
}

// The interface as text, for the test of the interface file. It must stand after all methods.
#[cfg(test)]
candid::export_service!();
