//! `decant repack` on directories as icp-cli writes them.

mod checks;
mod common;
mod hostile;
mod round_trips;
