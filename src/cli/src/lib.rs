//! What the `decant` command is made of.

pub mod engine;
