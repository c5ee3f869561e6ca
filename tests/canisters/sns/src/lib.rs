//! An SNS, as far as it deals with dapps: one module, installed as its governance and as its root. Governance has registered
//! functions, whose validator it calls when a proposal is submitted, and whose target days later, when the vote is over; it
//! lends and takes back canisters, and upgrades them, through root, which takes that of governance alone.
//!
//! As dfinity/ic does it: `rs/sns/governance/src/{proposal,governance}.rs`, `rs/sns/root/src/lib.rs`. Left out: votes, rewards,
//! and who may submit.

mod governance;
mod management;
mod root;
#[cfg(test)]
mod tests;

use candid::{CandidType, Principal};
use governance::{Action, Proposal, Registered};
use root::{ChangeCanister, RegisterDapps, SetControllers, Updates};
use serde::Deserialize;
use std::cell::RefCell;

/// Which of the two it is.
#[derive(Debug, Clone, CandidType, Deserialize)]
enum Init {
    /// Proposals, which are decided so long after they are submitted.
    Governance { root: Principal, voting_seconds: u64 },
    /// Control of the dapp.
    Root { governance: Principal },
}

thread_local! {
    static SELF: RefCell<Option<Init>> = const { RefCell::new(None) };
}

#[ic_cdk::init]
fn init(init: Init) {
    SELF.set(Some(init));
}

/// Whose root this is; traps unless it is one and governance asks.
fn asked_by_governance() {
    let Some(Init::Root { governance }) = SELF.with_borrow(Clone::clone) else {
        ic_cdk::trap("this is no root canister");
    };
    let caller = ic_cdk::api::msg_caller();
    if caller != governance {
        ic_cdk::trap(format!("Caller ({caller}) is not authorized."));
    }
}

/// The root of this governance, and how long a vote takes.
fn governed() -> (Principal, u64) {
    match SELF.with_borrow(Clone::clone) {
        Some(Init::Governance { root, voting_seconds }) => (root, voting_seconds),
        _ => ic_cdk::trap("this is no governance canister"),
    }
}

/// Registers a function: in an SNS that is a proposal of its own.
#[ic_cdk::update]
fn add_function(function: Registered) -> Result<(), String> {
    governance::add(function)
}

/// Submits a proposal: the validator of a function renders it, or refuses it.
#[ic_cdk::update]
async fn submit(action: Action) -> Result<u64, String> {
    let (_, voting_seconds) = governed();
    governance::submit(action, voting_seconds).await
}

/// Executes a proposal, once, when its vote is over.
#[ic_cdk::update]
async fn execute(id: u64) -> Result<Proposal, String> {
    let (root, _) = governed();
    governance::execute(id, root).await
}

#[ic_cdk::query]
fn proposal(id: u64) -> Option<Proposal> {
    governance::proposal(id)
}

#[ic_cdk::update]
async fn register_dapp_canisters(args: RegisterDapps) {
    asked_by_governance();
    root::register(args).await;
}

#[ic_cdk::update]
async fn set_dapp_controllers(args: SetControllers) -> Updates {
    asked_by_governance();
    root::set_controllers(args).await
}

#[ic_cdk::update]
async fn change_canister(args: ChangeCanister) {
    asked_by_governance();
    root::change(args).await;
}

/// The canisters that are registered.
#[ic_cdk::query]
fn dapps() -> Vec<Principal> {
    root::dapps()
}

// The interface as text, for the test of the interface file. It must stand after all methods.
#[cfg(test)]
candid::export_service!();
