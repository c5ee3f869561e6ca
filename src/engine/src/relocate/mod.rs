//! The strategy Relocate: to a fresh canister, which pulls the state itself.
//!
//! Each file is one match over the states; what the functions say is listed in `strategy`.

mod advance;
mod calls;
mod checks;
mod observe;
mod undo;

pub(crate) use advance::{advance, released};
pub(crate) use calls::{call, observation};
pub(crate) use checks::{running, settings_fit, snapshots};
pub(crate) use observe::verdict;
pub(crate) use undo::{tolerates, undo};
