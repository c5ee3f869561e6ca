//! A canister of any shape: its argument says which stable structures are on which memories and how large the
//! buckets are. It does not link the kit. What it holds is in `decant-shapes-model`.

use std::cell::RefCell;

use decant_shapes_model::{Shapes, Size, Spec, SpecError};
use ic_cdk::{init, post_upgrade, pre_upgrade, query, update};
use ic_stable_structures::DefaultMemoryImpl;
use serde_bytes::ByteBuf;

#[cfg(test)]
mod tests;

thread_local! {
    static SHAPES: RefCell<Option<Shapes<DefaultMemoryImpl>>> = const { RefCell::new(None) };
    /// What `take_heap` took.
    static HEAP: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[init]
fn init(spec: Spec) {
    start(or_trap(Shapes::create(DefaultMemoryImpl::default(), spec)));
}

#[pre_upgrade]
fn pre_upgrade() {
    change(Shapes::save);
}

#[post_upgrade]
fn post_upgrade() {
    match or_trap(Shapes::open(DefaultMemoryImpl::default())) {
        Some(shapes) => start(shapes),
        None => ic_cdk::trap("stable memory holds no shapes: nothing was saved before the upgrade"),
    }
}

/// So many changes of every structure, from a seed.
#[update]
fn grow(seed: u64, operations: u64) {
    change(|shapes| shapes.grow(seed, operations));
}

/// Appends pages of noise to a memory without a structure; answers its size.
#[update]
fn fill_pages(id: u8, pages: u64, seed: u64) -> u64 {
    or_trap(change(|shapes| shapes.fill_pages(id, pages, seed)))
}

/// The digest over every structure.
#[query]
fn digest() -> ByteBuf {
    look(|shapes| ByteBuf::from(shapes.digest()))
}

/// The sizes of all memories that have pages.
#[query]
fn sizes() -> Vec<Size> {
    look(Shapes::sizes)
}

/// The hash over pages of a memory, and how many there were.
#[query]
fn page_hash(id: u8, from: u64, count: u64) -> (ByteBuf, u64) {
    let (hash, pages) = look(|shapes| shapes.page_hash(id, from, count));
    (ByteBuf::from(hash), pages)
}

/// What it was asked to be.
#[query]
fn spec() -> Spec {
    look(|shapes| shapes.spec().clone())
}

/// Sets certified data, at most 32 bytes.
#[update]
fn certify(data: ByteBuf) {
    ic_cdk::api::certified_data_set(data);
}

/// The certificate over certified data.
#[query]
fn certificate() -> Option<ByteBuf> {
    ic_cdk::api::data_certificate().map(ByteBuf::from)
}

/// Arms the global timer, 0 disarms it; answers when it was armed for.
#[update]
fn arm_timer(at_nanos: u64) -> u64 {
    ic_cdk::api::global_timer_set(at_nanos)
}

/// Takes and touches so many MiB of heap; answers how many it has then.
#[update]
fn take_heap(mib: u32) -> u64 {
    HEAP.with_borrow_mut(|heap| {
        let length = heap.len() + ((mib as usize) << 20);
        heap.resize(length, 0xa5);
        (length >> 20) as u64
    })
}

fn start(shapes: Shapes<DefaultMemoryImpl>) {
    if let Some(at_nanos) = shapes.spec().timer_at_nanos {
        ic_cdk::api::global_timer_set(at_nanos);
    }
    SHAPES.set(Some(shapes));
}

fn look<R>(look: impl FnOnce(&Shapes<DefaultMemoryImpl>) -> R) -> R {
    SHAPES.with_borrow(|shapes| look(shapes.as_ref().expect("init or post_upgrade made it")))
}

fn change<R>(change: impl FnOnce(&mut Shapes<DefaultMemoryImpl>) -> R) -> R {
    SHAPES.with_borrow_mut(|shapes| change(shapes.as_mut().expect("init or post_upgrade made it")))
}

fn or_trap<T>(result: Result<T, SpecError>) -> T {
    result.unwrap_or_else(|error| ic_cdk::trap(error.to_string()))
}

// The interface as text, for the test of the interface file. It must stand after all methods.
#[cfg(test)]
candid::export_service!();
