//! The words that Decant's canisters speak to each other: Candid types and errors.
//!
//! | module | who speaks |
//! |---|---|
//! | [`source`] | the coordinator and the target to a source: freeze, seal, read frames, thaw, retire |
//! | [`target`] | the coordinator to a target: begin, pull, verify, activate |
//! | [`vessel`] | the coordinator to a vessel: what it is, and to write the compact image |
//! | [`routes`] | the coordinator to an index: swap a route; an index to the coordinator: enrol |
//! | [`plan`] | governance to the coordinator: what is to be done, within which bounds |
//! | [`assess`] | operators and observers: what a fleet is like before any plan |
//! | [`govern`] | governance, and whom it named: what is decided, who may do what, how plans are gone about |
//! | [`payout`] | operators and governance to the coordinator: what is left over |
//! | [`jobs`] | everybody to the coordinator: how far jobs are |
//! | [`events`] | everybody to the coordinator: what happened, and what jobs proved |
//!
//! Every endpoint answers a `Result`: a refusal is a value with a reason, a trap is a bug. Unknown record
//! fields are dropped silently by Candid, so a field that makes something safer is never optional: it gets
//! a new method.

pub mod assess;
pub mod error;
pub mod events;
pub mod govern;
pub mod jobs;
pub mod payout;
pub mod plan;
pub mod routes;
pub mod source;
pub mod target;
pub mod vessel;

pub use error::{Idiom, KitError, Refusal};

/// Number of a job at its coordinator, from 1; never reused.
pub type JobId = u64;
/// Nanoseconds since the Unix epoch.
pub type TimeNanos = u64;
