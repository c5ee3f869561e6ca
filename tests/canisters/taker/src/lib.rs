//! A dapp as most large fleets are: its `pre_upgrade` *takes* the state off the heap, because nothing runs on that heap
//! afterwards. Its flavours keep the state by its default or as an option, and have a fingerprint or none; one of them
//! does not bring back what it took.

use std::cell::{Cell, RefCell};

use candid::CandidType;
use ic_cdk::{init, post_upgrade, pre_upgrade, query, update};
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager};
use ic_stable_structures::{DefaultMemoryImpl, Memory};
use serde::Deserialize;

#[cfg(test)]
mod tests;

/// Memories that it touches, of 8 MiB each: it has something to give back.
const MEMORIES: u8 = 3;
/// Bytes before the state: its length.
const LENGTH_BYTES: u64 = 8;
const PAGE_BYTES: u64 = 65_536;

decant_kit::export! { save = save, load = load, fingerprint = fingerprint }

/// What kind of dapp it is.
#[derive(Debug, Clone, Copy, Default, CandidType, Deserialize)]
struct Flavour {
    /// Whether nothing works without the state; otherwise its default is as good.
    is_option: bool,
    /// Whether it has a fingerprint.
    has_fingerprint: bool,
    /// Whether `load` forgets the posts.
    forgets: bool,
}

#[derive(Debug, Clone, Default, CandidType, Deserialize)]
struct State {
    flavour: Flavour,
    posts: Vec<String>,
}

thread_local! {
    /// Touched by `save` and `load`, not by `init`: the canister may become a target.
    static MANAGER: MemoryManager<DefaultMemoryImpl> = MemoryManager::init(DefaultMemoryImpl::default());
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
    static FLAVOUR: Cell<Option<Flavour>> = const { Cell::new(None) };
}

#[init]
fn init(flavour: Option<Flavour>) {
    start(State { flavour: flavour.unwrap_or_default(), posts: Vec::new() });
}

#[pre_upgrade]
fn pre_upgrade() {
    decant_kit::refuse_upgrade_when_fenced();
    save();
}

#[post_upgrade]
fn post_upgrade() {
    load();
}

/// Posts; answers how many there are.
#[update(guard = "decant_kit::guard")]
fn post(text: String) -> u64 {
    with(|state| {
        state.posts.push(text);
        state.posts.len() as u64
    })
}

/// All posts.
#[query(guard = "decant_kit::query_guard")]
fn posts() -> Vec<String> {
    with(|state| state.posts.clone())
}

fn start(state: State) {
    FLAVOUR.set(Some(state.flavour));
    STATE.set(Some(state));
}

fn with<R>(work: impl FnOnce(&mut State) -> R) -> R {
    let is_option = FLAVOUR.get().unwrap_or_default().is_option;
    STATE.with_borrow_mut(|state| match (state, is_option) {
        (None, true) => ic_cdk::trap("the state has not been initialised"),
        (state, _) => work(state.get_or_insert_default()),
    })
}

/// Takes the state: what is left is its default, or nothing.
fn save() {
    let state = with(|state| state.clone());
    STATE.take();
    let bytes = candid::encode_one(&state).unwrap_or_else(|error| ic_cdk::trap(error.to_string()));
    let end = LENGTH_BYTES + bytes.len() as u64;
    MANAGER.with(|manager| {
        for id in 0..MEMORIES {
            let memory = manager.get(MemoryId::new(id));
            let wanted_pages = if id == 0 { end.div_ceil(PAGE_BYTES) } else { 1 };
            if memory.grow(wanted_pages.saturating_sub(memory.size())) == -1 {
                ic_cdk::trap("stable memory can't grow");
            }
        }
        let memory = manager.get(MemoryId::new(0));
        memory.write(0, &(bytes.len() as u64).to_le_bytes());
        memory.write(LENGTH_BYTES, &bytes);
    });
}

fn load() {
    let bytes = MANAGER.with(|manager| {
        let memory = manager.get(MemoryId::new(0));
        let mut length = [0; LENGTH_BYTES as usize];
        memory.read(0, &mut length);
        let mut bytes = vec![0; u64::from_le_bytes(length) as usize];
        memory.read(LENGTH_BYTES, &mut bytes);
        bytes
    });
    let mut state: State = candid::decode_one(&bytes).unwrap_or_else(|error| ic_cdk::trap(error.to_string()));
    if state.flavour.forgets {
        state.posts.clear();
    }
    start(state);
}

fn fingerprint() -> Vec<u8> {
    with(|state| match state.flavour.has_fingerprint {
        true => (state.posts.len() as u64).to_le_bytes().to_vec(),
        false => Vec::new(),
    })
}

// The interface as text, for the test of the interface file. It must stand after all methods.
#[cfg(test)]
candid::export_service!();
