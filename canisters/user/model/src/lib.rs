//! The state of the incident's canister: a user with a profile, posts, a follow list keyed by canister id, a
//! token balance with history, and configuration.
//!
//! The canister applies [`actions`] to a [`Store`]; a model outside applies the same ones to a [`UserState`]
//! and must come to the same [`digest()`], field by field. Nothing here depends on time or chance: content
//! comes from a [seed](actions::fill), and what happened when is counted by a sequence number.
//!
//! With the feature `storage`, `storage` holds the three ways in which dapps of the incident laid such a
//! state out.

pub mod actions;
mod digest;
mod generate;
mod heap;
mod store;
mod types;

#[cfg(feature = "storage")]
pub mod storage;

pub use digest::{digest, fingerprint};
pub use heap::UserState;
pub use store::{Store, entries_page, follows_page, posts_page};
pub use types::{Config, Core, Direction, Entry, Follow, PayError, Post, Profile};
