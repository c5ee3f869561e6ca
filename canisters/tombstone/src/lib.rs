//! What stays of a source whose id must go on answering: where its state is now, and nothing else. Every other call
//! is rejected because there is no such method.
//!
//! Install it with mode `reinstall`, which gives the stable memory back. It has none itself: what it knows comes with
//! the argument, at an upgrade too.

use std::cell::RefCell;

use candid::{CandidType, Principal};
use decant_api::source::{DrainArgs, Fence, Hold, KitStatus, LayoutSummary};
use decant_api::{JobId, KitError, TimeNanos};
use ic_cdk::api::{canister_self, is_controller, msg_caller, stable_size, time};
use ic_cdk::{init, post_upgrade, query, update};
use serde::Deserialize;

#[cfg(test)]
mod tests;

/// Version of the kit's interface, as far as it is kept.
const KIT_VERSION: u32 = 1;

/// What a tombstone is installed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
struct TombstoneArgs {
    /// Where the state is now.
    moved_to: Principal,
    /// The job that moved it.
    job: JobId,
    /// The coordinator of that job.
    coordinator: Principal,
}

/// A move, and when the tombstone was put up.
#[derive(Debug, Clone, Copy)]
struct Moved {
    args: TombstoneArgs,
    since_nanos: TimeNanos,
}

thread_local! {
    static MOVED: RefCell<Option<Moved>> = const { RefCell::new(None) };
}

#[init]
fn init(args: TombstoneArgs) {
    MOVED.set(Some(Moved { args, since_nanos: time() }));
}

#[post_upgrade]
fn post_upgrade(args: TombstoneArgs) {
    MOVED.set(Some(Moved { args, since_nanos: time() }));
}

/// Where the state is now.
#[query]
fn decant_moved_to() -> Principal {
    moved().args.moved_to
}

/// As a retired source answers it.
#[query]
fn decant_status() -> KitStatus {
    KitStatus {
        kit_version: KIT_VERSION,
        fence: fence(),
        layout: LayoutSummary::Empty,
        stable_pages: stable_size(),
        root: None,
        bytes_done: 0,
    }
}

/// Sends the cycles away, as a retired source does. For controllers.
#[update]
async fn decant_drain(args: DrainArgs) -> Result<u128, KitError> {
    let (caller, held) = (msg_caller(), moved().args);
    if !is_controller(&caller) {
        return Err(KitError::NotAuthorised { caller });
    }
    if (held.job, held.coordinator) != (args.job, caller) {
        let (holder, coordinator) = (held.job, held.coordinator);
        return Err(KitError::HeldByOther { holder, coordinator, asked: args.job });
    }
    decant_kit::cycles::send_all_but(args.keep, args.to).await
}

fn fence() -> Fence {
    let Moved { args, since_nanos } = moved();
    let hold = Hold { job: args.job, coordinator: args.coordinator, peer: args.moved_to, since_nanos };
    Fence::Moved { hold, to: args.moved_to }
}

fn moved() -> Moved {
    // Without an argument `init` traps and nothing is installed.
    MOVED
        .with_borrow(|moved| *moved)
        .unwrap_or_else(|| ic_cdk::trap(format!("{} is not set up", canister_self())))
}

// The interface as text, for the test of the interface file. It must stand after all methods.
#[cfg(test)]
candid::export_service!();
