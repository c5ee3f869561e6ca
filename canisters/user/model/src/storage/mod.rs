//! How the dapps of the incident laid a state out in stable memory, one generation after another.
//!
//! | module | layout |
//! |---|---|
//! | [`raw`] | CBOR from offset 0, no manager |
//! | [`managed`] | a `MemoryManager`; memory 0 holds a u32 length and CBOR |
//! | [`structures`] | a `MemoryManager`; posts, follows and history in stable maps of their own |
//!
//! [`Backing`] is a state together with the layout that it came from.

pub mod managed;
pub mod raw;
pub mod structures;

mod backing;

pub use backing::{Backing, Layout};
pub use ic_stable_structures::{DefaultMemoryImpl, Memory};

/// Bytes that are gathered before they are written or read: 64 KiB, a page.
const BUFFER_BYTES: usize = 64 * 1024;

/// Why a state could not be saved or loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageError(String);

impl StorageError {
    fn new(doing: &str, error: impl ToString) -> Self {
        Self(format!("{doing}: {}", error.to_string()))
    }
}

impl std::fmt::Display for StorageError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for StorageError {}
