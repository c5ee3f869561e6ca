//! What a canister is asked to be.

use candid::CandidType;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use ic_stable_structures::storable::{Bound, Storable};

/// The memory that holds the specification itself.
pub(crate) const RESERVED: u8 = 0;
/// The largest bucket size, in pages.
const MAX_BUCKET_PAGES: u16 = 1_024;

/// A kind of stable structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub enum Kind {
    /// `StableBTreeMap` from numbers to bytes.
    BTreeMap,
    /// `StableVec` of 40 bytes.
    Vec,
    /// `StableLog` of bytes; it takes two memories.
    Log,
    /// `StableMinHeap` of numbers.
    Heap,
    /// `StableCell` of bytes.
    Cell,
}

/// A structure and where it is.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct StructureSpec {
    /// Its memory, 1 to 254.
    pub id: u8,
    /// The memory of a log's data; nothing for every other kind.
    pub second: Option<u8>,
    /// What it is.
    pub kind: Kind,
}

/// Everything that a canister is made of.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct Spec {
    /// Pages of a bucket on fresh memory, 1 to 1,024.
    pub bucket_pages: u16,
    /// The structures.
    pub memories: Vec<StructureSpec>,
    /// When the global timer is armed for, at installation and after every upgrade; nanoseconds.
    pub timer_at_nanos: Option<u64>,
}

/// Size of a virtual memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
pub struct Size {
    /// Its id.
    pub id: u8,
    /// Its pages.
    pub pages: u64,
}

/// Why something can't be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecError {
    /// Outside of 1 to 1,024.
    BucketPages(u16),
    /// Reserved, or the mark of free buckets.
    ReservedMemory(u8),
    /// Two structures, or a structure and raw pages, on one memory.
    MemoryInUse(u8),
    /// A log without a second memory, or something else with one.
    SecondMemory(u8),
    /// Stable memory does not grow any more.
    Full(u8),
}

impl Spec {
    /// Checks it; answers the memories that it takes.
    pub(crate) fn memories_in_use(&self) -> Result<BTreeSet<u8>, SpecError> {
        if !(1..=MAX_BUCKET_PAGES).contains(&self.bucket_pages) {
            return Err(SpecError::BucketPages(self.bucket_pages));
        }
        let mut ids = BTreeSet::from([RESERVED]);
        for structure in &self.memories {
            if structure.second.is_some() != (structure.kind == Kind::Log) {
                return Err(SpecError::SecondMemory(structure.id));
            }
            for id in [Some(structure.id), structure.second].into_iter().flatten() {
                if id == RESERVED || id == u8::MAX {
                    return Err(SpecError::ReservedMemory(id));
                }
                if !ids.insert(id) {
                    return Err(SpecError::MemoryInUse(id));
                }
            }
        }
        Ok(ids)
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BucketPages(pages) => {
                write!(formatter, "a bucket of {pages} pages is not possible: choose 1 to {MAX_BUCKET_PAGES}")
            }
            Self::ReservedMemory(id) => write!(formatter, "memory {id} is reserved: choose 1 to 254"),
            Self::MemoryInUse(id) => write!(formatter, "memory {id} is in use already: choose another"),
            Self::SecondMemory(id) => {
                write!(formatter, "memory {id}: a log takes a second memory, and nothing else does")
            }
            Self::Full(id) => write!(formatter, "memory {id} does not grow any more: no bucket is left"),
        }
    }
}

impl std::error::Error for SpecError {}

/// What is kept about the whole: the specification, and the part of the state that is on the heap until an
/// upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub(crate) spec: Option<Spec>,
    pub(crate) operations: u64,
}

impl Storable for Saved {
    const BOUND: Bound = Bound::Unbounded;

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::new();
        ciborium::into_writer(self, &mut bytes).expect("a vector takes everything");
        Cow::Owned(bytes)
    }

    fn into_bytes(self) -> Vec<u8> {
        self.to_bytes().into_owned()
    }

    fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
        ciborium::from_reader(bytes.as_ref()).expect("only to_bytes writes it")
    }
}
