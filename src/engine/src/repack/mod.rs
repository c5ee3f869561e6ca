//! The strategies Repack and RelocateSnapshot: the state travels in canister snapshots, and no code of ours
//! runs in the canister that is moved. The files are as those of `relocate`.

mod advance;
mod calls;
mod checks;
mod ends;
mod observe;
mod restore;
mod state;
mod undo;

pub(crate) use advance::advance;
pub(crate) use calls::{call, observation};
pub(crate) use observe::verdict;
pub use state::{Held, RepackState, Restoring};
pub(crate) use undo::{tolerates, undo};
