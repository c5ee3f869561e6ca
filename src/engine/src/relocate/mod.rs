//! The strategy Relocate: to a fresh canister, which pulls the state itself.
//!
//! Each file is one exhaustive match over the states. What a strategy must say:
//! [`call`], the one call of a state; [`observation`], the look at what became of it; [`advance`], what
//! follows from its value; [`verdict`], what follows from the look; [`tolerates`], which refusals mean that
//! it is as it should be; [`undo`], the way back.

mod advance;
mod calls;
mod checks;
mod observe;
mod undo;

pub(crate) use advance::{Next, advance, released};
pub(crate) use calls::{call, observation};
pub(crate) use observe::{Verdict, verdict};
pub(crate) use undo::{Tolerated, tolerates, undo};
