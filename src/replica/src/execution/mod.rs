//! Running canisters: one message at a time, all of it or nothing.

mod contexts;
pub(crate) mod environment;
pub(crate) mod failure;
pub(crate) mod lifecycle;
pub(crate) mod persistence;
mod request;
mod response;
mod run;
pub(crate) mod runner;
pub(crate) mod task;
