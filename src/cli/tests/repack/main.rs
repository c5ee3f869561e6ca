//! `decant repack` on directories as icp-cli writes them.

mod as_icp_cli;
mod checks;
mod common;
mod field;
mod hostile;
mod round_trips;
