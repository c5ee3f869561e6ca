//! A dapp whose stable memory is laid out as some in the field: a cell before its manager (Internet Identity, archives of
//! ICRC-1 ledgers, Orbit), a manager in a memory of its manager (stable-fs), or a cell behind it. All its state is in
//! stable structures, so it has no `pre_upgrade`.

use std::cell::{Cell, RefCell};

use candid::CandidType;
use ic_cdk::{init, post_upgrade, query, update};
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager, VirtualMemory};
use ic_stable_structures::{DefaultMemoryImpl, Memory, RestrictedMemory, StableBTreeMap, StableCell};
use serde::Deserialize;

#[cfg(test)]
mod tests;

/// Where stable memory ends, for whoever restricts it: 4 GiB.
const END_PAGE: u64 = 65_536;
/// Memories that hold nothing yet, one page each: they are why there is something to give back.
const TOUCHED: [u8; 2] = [1, 2];
/// The memory that holds a manager.
const OUTER: u8 = 254;
/// Pages of its buckets.
const INNER_BUCKET_PAGES: u16 = 16;
/// Pages that a cell behind the manager may have.
const BEHIND_PAGES: u64 = 15;
/// Bytes of a page that fill the cell before the manager: what is noted has room besides.
const FILLED_BYTES: u64 = 64_000;

decant_kit::export! { save = nothing, load = nothing }

type Part = RestrictedMemory<DefaultMemoryImpl>;
type Outer = VirtualMemory<Part>;
type Inner = VirtualMemory<Outer>;

/// How stable memory is laid out.
#[derive(Debug, Clone, Copy, CandidType, Deserialize)]
struct Spec {
    /// Pages before the manager, which a cell has.
    prefix_pages: u64,
    /// Pages of a bucket.
    bucket_pages: u16,
    /// Whether a memory holds a manager itself.
    is_nested: bool,
    /// The page from which on there is a cell behind the manager.
    behind_page: Option<u64>,
    /// Whether `init` opens all that, so that the canister can't become a target.
    opens_at_init: bool,
}

/// What is noted.
#[derive(CandidType)]
struct Notes {
    /// By the cell before the manager, and the bytes that fill its pages.
    before: String,
    filling_bytes: u64,
    /// By the map.
    entries: Vec<String>,
    /// By the map in the inner manager.
    nested: Vec<String>,
    /// By the cell behind the manager.
    behind: String,
}

struct Stores {
    before: Option<StableCell<String, Part>>,
    entries: StableBTreeMap<u64, String, Outer>,
    nested: Option<StableBTreeMap<u64, String, Inner>>,
    behind: Option<StableCell<String, Part>>,
}

thread_local! {
    static SPEC: Cell<Option<Spec>> = const { Cell::new(None) };
    /// Opened when it is needed: not by the `init` of a target.
    static STORES: RefCell<Option<Stores>> = const { RefCell::new(None) };
}

#[init]
fn init(spec: Spec) {
    SPEC.set(Some(spec));
    if spec.opens_at_init {
        with(|_| ());
    }
}

#[post_upgrade]
fn post_upgrade(spec: Spec) {
    SPEC.set(Some(spec));
}

/// Notes a text everywhere; answers how many the map has.
#[update(guard = "decant_kit::guard")]
fn note(text: String) -> u64 {
    with(|stores| {
        let count = stores.entries.len();
        stores.entries.insert(count, text.clone());
        if let Some(nested) = &mut stores.nested {
            nested.insert(count, text.clone());
        }
        if let Some(before) = &mut stores.before {
            let filling = ".".repeat((spec().prefix_pages * FILLED_BYTES) as usize);
            before.set(format!("{text}{filling}"));
        }
        if let Some(behind) = &mut stores.behind {
            behind.set(text);
        }
        count + 1
    })
}

/// All that is noted.
#[query(guard = "decant_kit::query_guard")]
fn notes() -> Notes {
    with(|stores| {
        let before = stores.before.as_ref().map(|cell| cell.get().as_str()).unwrap_or_default();
        let text = before.trim_end_matches('.');
        Notes {
            before: text.to_owned(),
            filling_bytes: (before.len() - text.len()) as u64,
            entries: stores.entries.values().collect(),
            nested: stores.nested.as_ref().map(|map| map.values().collect()).unwrap_or_default(),
            behind: stores.behind.as_ref().map(|cell| cell.get().clone()).unwrap_or_default(),
        }
    })
}

fn spec() -> Spec {
    SPEC.get().unwrap_or_else(|| ic_cdk::trap("nobody said how stable memory is laid out"))
}

fn with<R>(work: impl FnOnce(&mut Stores) -> R) -> R {
    STORES.with_borrow_mut(|stores| work(stores.get_or_insert_with(|| open(spec()))))
}

fn open(spec: Spec) -> Stores {
    let part = |begin, end| RestrictedMemory::new(DefaultMemoryImpl::default(), begin..end);
    let cell = |begin, end| StableCell::init(part(begin, end), String::new());
    let before = (spec.prefix_pages > 0).then(|| cell(0, spec.prefix_pages));
    // All of it is grown at once, so that the manager never has to grow what the cell has behind it.
    let behind = spec.behind_page.map(|page| cell(page, page + BEHIND_PAGES));
    let managed = part(spec.prefix_pages, spec.behind_page.unwrap_or(END_PAGE));
    let manager = MemoryManager::init_with_bucket_size(managed, spec.bucket_pages);
    let entries = StableBTreeMap::init(manager.get(MemoryId::new(0)));
    for id in TOUCHED {
        touch(&manager.get(MemoryId::new(id)));
    }
    let nested = spec.is_nested.then(|| {
        let inner =
            MemoryManager::init_with_bucket_size(manager.get(MemoryId::new(OUTER)), INNER_BUCKET_PAGES);
        TOUCHED.iter().for_each(|id| touch(&inner.get(MemoryId::new(*id))));
        StableBTreeMap::init(inner.get(MemoryId::new(0)))
    });
    Stores { before, entries, nested, behind }
}

fn touch(memory: &impl Memory) {
    if memory.size() == 0 && memory.grow(1) == -1 {
        ic_cdk::trap("stable memory can't grow");
    }
}

/// Stable memory has all the state.
fn nothing() {}

// The interface as text, for the test of the interface file. It must stand after all methods.
#[cfg(test)]
candid::export_service!();
