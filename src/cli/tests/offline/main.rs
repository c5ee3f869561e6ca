//! The commands that need no network, on files as icp-cli and dfx write them.

mod as_icp_cli;
mod by_hand;
mod checks;
mod command;
mod common;
mod field;
mod hostile;
mod inspect;
mod interrupted;
mod plan;
mod proposal;
mod round_trips;
mod schema;
mod watch;
