//! What the engine decides and stores, state by state. `simulation` is about the promises.

mod common;
mod golden;
#[path = "engine/observations.rs"]
mod observations;
#[path = "engine/revert.rs"]
mod revert;
#[path = "engine/settled.rs"]
mod settled;
#[path = "engine/storage.rs"]
mod storage;
#[path = "engine/transitions.rs"]
mod transitions;
