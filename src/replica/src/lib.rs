//! An embedded Internet Computer that the `pocket-ic` crate can drive.
//!
//! It runs canisters under wasmtime in the process of whoever starts it and serves the HTTP protocol of
//! the `pocket-ic` crate on the loopback interface, so that rehearsals and tests are written once, against
//! `pocket_ic::PocketIc`, and run on it or on a real PocketIC server. What it implements follows the
//! interface specification; what it does not implement it names.
//!
//! | module | what it is |
//! |---|---|
//! | `wasm` | from uploaded bytes to a module that can run: decode, check, transform, compile |
//! | `memory` | sparse, shared heaps and stable memories; what a message touched and changed |
//! | `system_api` | the functions of `ic0` |
//! | `state` | subnets, canisters, calls, snapshots |
//! | `execution` | one message, all of it or nothing |
//! | `management` | the management canister |
//! | `checkpoint` | what other canisters can take over |
//! | [`instance`], `ingress`, `query` | an instance and users' calls |
//! | `outcalls` | what canisters ask the web, and what a test answers |
//! | `rounds`, `routing`, `schedule` | whose turn it is, and how messages travel |
//! | `server` | the HTTP protocol |
//! | `snapshot_files` | snapshots as directories |
//! | [`faults`], `intervention`, [`trace`] | what goes wrong on purpose, and what happened: in-process only |
//! | `api`, [`error`], `ids` | the words of all of these: calls, answers, errors, names |
//! | `profile` | what a subnet charges and where it stops, as data |
//! | `accounts` | balances, thresholds, prepayments, rate limits |
//! | `costs` | weights and limits that hold everywhere, with their sources |

#[cfg(not(target_os = "linux"))]
compile_error!("decant-replica knows what a message wrote from page faults as Linux reports them");

mod accounts;
mod api;
mod checkpoint;
mod costs;
pub mod error;
mod execution;
pub mod faults;
mod handle;
mod ids;
mod ingress;
pub mod instance;
mod intervention;
mod management;
mod memory;
mod outcalls;
mod profile;
mod query;
mod random;
mod rounds;
mod routing;
mod schedule;
mod server;
#[cfg(test)]
mod small_limits;
mod snapshot_files;
mod state;
mod system_api;
mod topology;
pub mod trace;
mod wasm;

pub use handle::{Compilation, End, Replica, ReplicaConfig, Unavailable};
pub use profile::{CostSchedule, Fees, InstructionLimit};
pub use wasm::{UpgradeTraits, upgrade_traits};
