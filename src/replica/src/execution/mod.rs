//! Running canisters: one message at a time, all of it or nothing.

pub(crate) mod environment;
pub(crate) mod failure;
pub(crate) mod lifecycle;
pub(crate) mod message;
pub(crate) mod runner;

pub(crate) use runner::Runner;
