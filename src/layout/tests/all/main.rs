//! All tests of the crate, in one binary so that helpers are shared.

mod against_stable_structures;
mod common;
mod golden;
mod hostile_images;
mod oddities;
mod planning;
mod prefixes;
mod streaming;
mod tails;
