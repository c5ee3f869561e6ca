//! The conformance suite: what the interface specification says of an Internet Computer, tested through
//! `pocket_ic::PocketIc` alone, so that it holds for a real PocketIC server as well (`POCKET_IC_BIN`).
//! Sections cited are those of the interface specification unless a test says otherwise.

#[path = "../support/mod.rs"]
mod support;

mod allocations;
mod atomicity;
mod bad_input;
mod bad_modules;
mod best_effort;
mod calls;
mod chunks;
mod cleanups;
mod composite_limits;
mod cycles;
mod freezing;
mod growth;
mod heap_limits;
mod ingress;
mod instances;
mod instruction_limits;
mod lifecycle;
mod limits;
mod logs;
mod low_memory;
mod management;
mod metering;
mod methods;
mod old_imports;
mod outcalls;
mod payers;
mod persistence;
mod queries;
mod queues;
mod rate_limits;
mod schedules;
mod settings;
mod snapshot_prices;
mod snapshots;
mod stable_access;
mod stable_memory;
mod stopping;
mod subnet_prices;
mod subnets;
mod system_api;
mod time;
