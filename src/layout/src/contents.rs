//! What is in a memory, by its first bytes.

use crate::format::{MAGIC, VERSION};
use crate::{AccessError, HEADER_BYTES, Layout, Usage};
use std::fmt;

/// Bytes that tell a structure: its magic and its version.
pub(crate) const SIGN_BYTES: usize = 4;
/// No structure of ic-stable-structures has a higher version than 2; text has higher bytes there.
const MAX_STRUCTURE_VERSION: u8 = 8;

/// What begins at a page. Source of the magics: `MAGIC` in each module of ic-stable-structures 0.7.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// A `MemoryManager`.
    Manager,
    /// A `StableBTreeMap` or `StableBTreeSet`.
    BTreeMap,
    /// A `StableCell`.
    Cell,
    /// The index of a `StableLog`.
    LogIndex,
    /// The data of a `StableLog`.
    LogData,
    /// A `StableVec`.
    Vec,
    /// A `StableMinHeap`.
    MinHeap,
}

impl Structure {
    /// The structure whose first bytes these are, if they are any's. Bytes that look so by accident are taken for one.
    pub fn of(first_bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = first_bytes.split_first_chunk::<3>()?;
        if !(1..=MAX_STRUCTURE_VERSION).contains(rest.first()?) {
            return None;
        }
        match magic {
            magic if *magic == MAGIC => Some(Self::Manager),
            b"BTR" => Some(Self::BTreeMap),
            b"SCL" => Some(Self::Cell),
            b"GLI" => Some(Self::LogIndex),
            b"GLD" => Some(Self::LogData),
            b"SVC" => Some(Self::Vec),
            b"SMH" => Some(Self::MinHeap),
            _ => None,
        }
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Manager => "MemoryManager",
            Self::BTreeMap => "StableBTreeMap",
            Self::Cell => "StableCell",
            Self::LogIndex => "StableLog index",
            Self::LogData => "StableLog data",
            Self::Vec => "StableVec",
            Self::MinHeap => "StableMinHeap",
        })
    }
}

/// A structure and the page of the image at which it begins, or began once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign {
    /// Page of the image.
    pub page: u64,
    /// What begins there.
    pub structure: Structure,
}

impl fmt::Display for Sign {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at page {}", self.structure, self.page)
    }
}

/// What a virtual memory holds, as far as its first bytes tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryContents {
    /// Its `MemoryId`.
    pub memory: u8,
    /// The structure that begins it; `None` for anything else.
    pub structure: Option<Structure>,
    /// The layout inside, if that is a manager and sound: its pages count from the beginning of the virtual memory, and
    /// its unused ones are used by the outer manager's figures.
    pub nested: Option<Layout>,
}

impl MemoryContents {
    /// What is used and what is wasted inside, if a manager is there.
    pub fn nested_usage(&self) -> Option<Usage> {
        self.nested.as_ref().map(Layout::usage)
    }
}

impl Layout {
    /// What each virtual memory holds, ascending by id. `read(offset_bytes, buffer)` reads the image: a few bytes a
    /// memory, and 34 KiB of those that hold a manager.
    ///
    /// # Errors
    /// What `read` says.
    pub fn contents<E>(
        &self,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<Vec<MemoryContents>, AccessError<E>> {
        let mut contents = Vec::with_capacity(self.memories().len());
        for memory in self.memories() {
            let mut sign = [0; SIGN_BYTES];
            self.read(memory.id(), 0, &mut sign, &mut read)?;
            let structure = Structure::of(&sign);
            let mut nested = None;
            if structure == Some(Structure::Manager) && sign[SIGN_BYTES - 1] == VERSION {
                let mut header = vec![0; HEADER_BYTES];
                self.read(memory.id(), 0, &mut header, &mut read)?;
                nested = Self::parse(&header, memory.size_pages()).ok();
            }
            contents.push(MemoryContents { memory: memory.id(), structure, nested });
        }
        Ok(contents)
    }
}
