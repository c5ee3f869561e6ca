//! A ledger in the shape of the ones that exist: blocks, accounts and configuration in stable structures, what
//! is left on the heap goes to an upgrade memory in `pre_upgrade`. Four memories in default buckets make a
//! fresh one hold 33,619,968 bytes of stable memory for a few pages in use.
//!
//! It does not link the kit. Certified data are set by transactions alone, so that a test can tell whether they
//! outlive an upgrade.

use candid::Principal;
use ic_cdk::{init, post_upgrade, pre_upgrade, query, update};

mod heap;
mod ledger;
mod types;

#[cfg(test)]
mod tests;

use ledger::Ledger;
use types::{Block, CertifiedTip, Info, LedgerArgument, MintError, TransferError};

#[init]
fn init(argument: LedgerArgument) {
    match argument {
        LedgerArgument::Init(arguments) => ledger::create(arguments),
        LedgerArgument::Upgrade(_) => ic_cdk::trap("this is an installation: the argument must be Init"),
    }
}

#[pre_upgrade]
fn pre_upgrade() {
    ledger::change(Ledger::save);
}

/// Its argument must be there: a plan that upgrades this canister has to carry one.
#[post_upgrade]
fn post_upgrade(argument: LedgerArgument) {
    match argument {
        LedgerArgument::Upgrade(arguments) => ledger::restore(arguments),
        LedgerArgument::Init(_) => ic_cdk::trap("this is an upgrade: the argument must be Upgrade"),
    }
}

/// Moves tokens of the caller; answers the index of the block. With a time of creation it is done once only.
#[update]
fn transfer(to: Principal, amount: u128, created_at: Option<u64>) -> Result<u64, TransferError> {
    ledger::change(|ledger| ledger.transfer(ic_cdk::api::msg_caller(), to, amount, created_at))
}

/// Makes tokens; answers the index of the block.
#[update]
fn mint(to: Principal, amount: u128) -> Result<u64, MintError> {
    ledger::change(|ledger| ledger.mint(ic_cdk::api::msg_caller(), to, amount))
}

/// Tokens of an account.
#[query]
fn balance_of(account: Principal) -> u128 {
    ledger::look(|ledger| ledger.balance_of(account))
}

/// Tokens of all accounts.
#[query]
fn total_supply() -> u128 {
    ledger::look(Ledger::total_supply)
}

/// A page of blocks.
#[query]
fn blocks(from: u64, count: u64) -> Vec<Block> {
    ledger::look(|ledger| ledger.blocks(from, count))
}

/// How many blocks there are.
#[query]
fn block_count() -> u64 {
    ledger::look(Ledger::block_count)
}

/// The hash of the last block, and a certificate over it.
#[query]
fn certified_tip() -> CertifiedTip {
    ledger::look(Ledger::certified_tip)
}

/// Configuration, and what upgrades left of the heap.
#[query]
fn info() -> Info {
    ledger::look(Ledger::info)
}

// The interface as text, for the test of the interface file. It must stand after all methods.
#[cfg(test)]
candid::export_service!();
