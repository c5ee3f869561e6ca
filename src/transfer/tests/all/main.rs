//! All tests of the crate, in one binary so that helpers are shared.

mod commitment;
mod common;
mod hostile_input;
mod transfer;
