//! What a generation reads, what it writes, and how large its buckets are.
//!
//! | generation | reads | writes | fresh |
//! |---|---|---|---|
//! | raw | raw | raw | raw |
//! | managed-stage-one | raw | managed | managed |
//! | managed | managed | managed | managed |
//! | structures | everything | structures | structures |
//! | kit | everything | the layout it found | managed, buckets of a page |

use decant_user_model::storage::{DefaultMemoryImpl, Layout, Memory, StorageError, managed, raw};

use crate::Backing;

/// A generation of the canister.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generation {
    Raw,
    ManagedStageOne,
    Managed,
    Structures,
    Kit,
}

/// The one that this is.
pub(crate) const GENERATION: Generation = if cfg!(feature = "kit") {
    Generation::Kit
} else if cfg!(feature = "structures") {
    Generation::Structures
} else if cfg!(feature = "managed") {
    Generation::Managed
} else if cfg!(feature = "managed-stage-one") {
    Generation::ManagedStageOne
} else {
    Generation::Raw
};

/// Buckets of `MemoryManager` if nothing else is said: 128 pages, 8 MiB.
const DEFAULT_BUCKET_PAGES: u16 = 128;

impl Generation {
    /// As in the features of the crate.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::ManagedStageOne => "managed-stage-one",
            Self::Managed => "managed",
            Self::Structures => "structures",
            Self::Kit => "kit",
        }
    }

    /// The state of a canister that was just installed. With the kit stable memory stays untouched: it may
    /// become a target.
    pub(crate) fn fresh(self) -> Result<Backing, StorageError> {
        match self {
            Self::Raw => Ok(Backing::empty(Layout::Raw)),
            Self::ManagedStageOne | Self::Managed | Self::Kit => Ok(Backing::empty(Layout::Managed)),
            Self::Structures => {
                Backing::empty(Layout::Managed).into_structures(memory(), self.bucket_pages())
            }
        }
    }

    /// Reads the state out of stable memory.
    pub(crate) fn load(self) -> Result<Backing, StorageError> {
        match self {
            Self::Raw => raw::load(&memory()).map(|state| Backing::Heap(Layout::Raw, state)),
            Self::ManagedStageOne => raw::load(&memory()).map(|state| Backing::Heap(Layout::Managed, state)),
            Self::Managed if memory().size() == 0 => Ok(Backing::empty(Layout::Managed)),
            Self::Managed => managed::load(memory()).map(|state| Backing::Heap(Layout::Managed, state)),
            Self::Structures => {
                Backing::load_any(memory(), Layout::Managed)?.into_structures(memory(), self.bucket_pages())
            }
            Self::Kit => Backing::load_any(memory(), Layout::Managed),
        }
    }

    /// Brings the state into stable memory.
    pub(crate) fn save(self, state: &mut Backing) -> Result<(), StorageError> {
        state.save(memory(), self.bucket_pages())
    }

    /// Pages of a bucket, where there is no manager yet.
    fn bucket_pages(self) -> u16 {
        match self {
            Self::Kit => 1,
            Self::Raw | Self::ManagedStageOne | Self::Managed | Self::Structures => DEFAULT_BUCKET_PAGES,
        }
    }
}

fn memory() -> DefaultMemoryImpl {
    DefaultMemoryImpl::default()
}
