//! The memories of canisters: sparse, shared where equal, and only touched where a message touches them.
//!
//! A canister's heap and stable memory are [`PageMap`]s of 4 KiB pages that snapshots, copies and the
//! data segments of a module share. While a canister runs, its heap is mapped into a [`region::Region`]
//! page by page, on first touch; what a message wrote is found there and either committed or discarded.

mod give_back;
mod mapping;
mod page_states;
pub(crate) mod pages;
pub(crate) mod region;
pub(crate) mod stable;

pub(crate) use give_back::give_back;
pub(crate) use pages::PageMap;
