//! The incident's canister: it holds one user. The same source builds every generation of its stable memory,
//! see `generation`; what users can do and see is the same in all of them.
//!
//! Everybody may call everything: it is made for rehearsals. A real dapp checks its caller.

use candid::Principal;
use decant_user_model::storage::DefaultMemoryImpl;
use decant_user_model::{Config, Entry, Follow, PayError, Post, Profile, Store, actions};
use decant_user_model::{entries_page, follows_page, posts_page};
use ic_cdk::{init, post_upgrade, pre_upgrade, query, update};
use serde_bytes::ByteBuf;

mod generation;
mod guards;
mod state;
mod stats;

#[cfg(feature = "rehearsal-faults")]
mod faults;
#[cfg(test)]
mod tests;

use guards::{guard, query_guard};
use state::{change, look};
use stats::Stats;

#[cfg(feature = "kit")]
decant_kit::export! { save = state::save, load = state::load, fingerprint = state::fingerprint }

#[init]
fn init() {
    state::start();
}

#[pre_upgrade]
fn pre_upgrade() {
    guards::before_upgrade();
    state::save();
}

#[post_upgrade]
fn post_upgrade() {
    state::load();
}

#[cfg(feature = "kit")]
#[ic_cdk::inspect_message]
fn inspect() {
    if !decant_kit::inspect() {
        ic_cdk::api::accept_message();
    }
}

/// Adds content from a seed, about that many KiB; answers how many items.
#[update(guard = "guard")]
fn fill(seed: u64, state_kib: u32) -> u64 {
    change(|state| actions::fill(state, seed, state_kib))
}

/// Adds a post; answers its id.
#[update(guard = "guard")]
fn post(text: String) -> u64 {
    change(|state| actions::post(state, text))
}

/// Follows another user's canister; answers whether that is new.
#[update(guard = "guard")]
fn follow(canister: Principal) -> bool {
    change(|state| actions::follow(state, canister))
}

/// Pays tokens; answers how many are left.
#[update(guard = "guard")]
fn pay(amount: u128, memo: String) -> Result<u128, PayError> {
    change(|state| actions::pay(state, amount, memo))
}

/// Receives tokens; answers how many there are then.
#[update(guard = "guard")]
fn receive(amount: u128, memo: String) -> u128 {
    change(|state| actions::receive(state, amount, memo))
}

/// Changes the profile.
#[update(guard = "guard")]
fn set_profile(profile: Profile) {
    change(|state| actions::set_profile(state, profile));
}

/// Changes the settings.
#[update(guard = "guard")]
fn set_config(config: Config) {
    change(|state| actions::set_config(state, config));
}

/// The profile.
#[query(guard = "query_guard")]
fn profile() -> Profile {
    look(|state| state.core().profile.clone())
}

/// The settings.
#[query(guard = "query_guard")]
fn config() -> Config {
    look(|state| state.core().config.clone())
}

/// Tokens.
#[query(guard = "query_guard")]
fn balance() -> u128 {
    look(|state| state.core().balance)
}

/// Posts from an id on, a page.
#[query(guard = "query_guard")]
fn posts(from: u64, limit: u32) -> Vec<Post> {
    look(|state| posts_page(state, from, limit))
}

/// Followed canisters after an id, a page.
#[query(guard = "query_guard")]
fn follows(after: Option<Principal>, limit: u32) -> Vec<Follow> {
    look(|state| follows_page(state, after, limit))
}

/// Lines of the token history from an id on, a page.
#[query(guard = "query_guard")]
fn history(from: u64, limit: u32) -> Vec<Entry> {
    look(|state| entries_page(state, from, limit))
}

/// Digest of the whole state.
#[query(guard = "query_guard")]
fn digest() -> ByteBuf {
    look(|state| ByteBuf::from(decant_user_model::digest(state)))
}

/// Counts, sums and sizes.
#[query(guard = "query_guard")]
fn stats() -> Stats {
    look(Stats::of)
}

/// A user in this canister's stable memory.
type Backing = decant_user_model::storage::Backing<DefaultMemoryImpl>;

// The interface as text, for the test of the interface file. It must stand after all methods.
#[cfg(test)]
candid::export_service!();
