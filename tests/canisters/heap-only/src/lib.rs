//! A counter on the heap and nothing else: no stable memory, no `pre_upgrade`. An upgrade loses it.

#[cfg(test)]
mod tests;

use ic_cdk::{query, update};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Counts; answers how far.
#[update]
fn increment() -> u64 {
    COUNT.set(COUNT.get() + 1);
    COUNT.get()
}

/// How far it counted since it was installed or upgraded.
#[query]
fn count() -> u64 {
    COUNT.get()
}

// The interface as text, for the test of the interface file. It must stand after all methods.
#[cfg(test)]
candid::export_service!();
