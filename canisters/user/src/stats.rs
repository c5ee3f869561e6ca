//! Counts, sums and sizes.

use candid::CandidType;
use decant_user_model::Store;
use serde::Deserialize;

use crate::Backing;
use crate::generation::GENERATION;

/// Counts, sums and sizes.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub(crate) struct Stats {
    /// Posts.
    pub(crate) posts: u64,
    /// Followed canisters.
    pub(crate) follows: u64,
    /// Lines of the token history.
    pub(crate) entries: u64,
    /// Tokens.
    pub(crate) balance: u128,
    /// Changes so far.
    pub(crate) sequence: u64,
    /// Bytes of text in all posts.
    pub(crate) text_bytes: u64,
    /// Stable memory in pages of 64 KiB.
    pub(crate) stable_pages: u64,
    /// The layout in which the state is saved: raw, managed or structures.
    pub(crate) layout: String,
    /// The feature that the canister was built with.
    pub(crate) generation: String,
}

impl Stats {
    /// Those of a state.
    pub(crate) fn of(state: &Backing) -> Self {
        let core = state.core();
        Self {
            posts: state.post_count(),
            follows: state.follow_count(),
            entries: state.entry_count(),
            balance: core.balance,
            sequence: core.sequence,
            text_bytes: core.text_bytes,
            stable_pages: ic_cdk::api::stable_size(),
            layout: state.layout_name().to_owned(),
            generation: GENERATION.name().to_owned(),
        }
    }
}
