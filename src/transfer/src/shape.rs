//! Which memories there are, how large they are, and how they are cut into chunks.

use crate::ShapeError;
use candid::CandidType;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Bytes of a wasm page (WebAssembly core specification, "Memory Instances").
pub const PAGE_BYTES: u64 = 65_536;
/// Pages of a chunk, unless there is a reason: larger ones compress two percent better and make a change of one
/// page as dear as one of all its pages (measured, `docs/chunks.md`).
pub const DEFAULT_CHUNK_PAGES: u32 = 1;
/// Pages of a chunk at most: 1 MiB, so that an incompressible chunk fits a reply of 2 MiB.
pub const MAX_CHUNK_PAGES: u32 = 16;
/// Pages of all memories together at most: 500 GiB, what stable memory can hold (developer docs, "Resource
/// limits").
pub const MAX_STATE_PAGES: u64 = 500 * 16_384;
/// The id of pages that no manager deals out: a raw stable memory, or what lies before a manager that begins at another
/// page. Ids of virtual memories end at 254.
pub const RAW_MEMORY: u8 = 255;

/// What kind of stable memory is transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub enum Kind {
    /// The stable memory as it is, from offset 0: one memory of id [`RAW_MEMORY`].
    Raw,
    /// The virtual memories of a `MemoryManager`, and the pages before it.
    Managed,
}

/// A memory and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct MemoryShape {
    /// `MemoryId` of a virtual memory, 0 to 254, or [`RAW_MEMORY`].
    pub id: u8,
    /// Its size in pages, at least 1: a memory without pages is not listed.
    pub size_pages: u64,
}

/// Names a chunk within a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, CandidType, Serialize, Deserialize)]
pub struct ChunkId {
    /// Id of the memory.
    pub memory: u8,
    /// Index of the chunk within the memory, from 0: its first page is index × pages of a chunk.
    pub index: u32,
}

/// Which memories there are, how large, and how large a chunk is. Valid by construction, also when decoded:
///
/// - ids ascend; a raw shape has no other id than [`RAW_MEMORY`];
/// - every memory has pages, all together at most [`MAX_STATE_PAGES`];
/// - a chunk has 1 to [`MAX_CHUNK_PAGES`] pages; only the last one of a memory may have fewer.
///
/// The chunks of a shape have an order, memory by memory: their *ordinals* count it from 0.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Serialize, Deserialize)]
#[serde(try_from = "UncheckedShape")]
pub struct Shape {
    kind: Kind,
    chunk_pages: u32,
    memories: Vec<MemoryShape>,
}

#[derive(Deserialize)]
struct UncheckedShape {
    kind: Kind,
    chunk_pages: u32,
    memories: Vec<MemoryShape>,
}

impl TryFrom<UncheckedShape> for Shape {
    type Error = ShapeError;

    fn try_from(shape: UncheckedShape) -> Result<Self, ShapeError> {
        Self::new(shape.kind, shape.chunk_pages, shape.memories)
    }
}

impl Shape {
    /// A shape of these memories; those of 0 pages are left out.
    ///
    /// # Errors
    /// The [`ShapeError`] of the rule that it breaks.
    pub fn new(
        kind: Kind,
        chunk_pages: u32,
        memories: impl IntoIterator<Item = MemoryShape>,
    ) -> Result<Self, ShapeError> {
        if chunk_pages == 0 || chunk_pages > MAX_CHUNK_PAGES {
            return Err(ShapeError::ChunkPages { chunk_pages });
        }
        let mut total_pages = 0_u64;
        let mut listed: Vec<MemoryShape> = Vec::new();
        for memory in memories.into_iter().filter(|memory| memory.size_pages > 0) {
            if kind == Kind::Raw && memory.id != RAW_MEMORY {
                return Err(ShapeError::ForeignMemory { memory: memory.id });
            }
            if listed.last().is_some_and(|last| last.id >= memory.id) {
                return Err(ShapeError::NotAscending { memory: memory.id });
            }
            total_pages = total_pages.saturating_add(memory.size_pages);
            if total_pages > MAX_STATE_PAGES {
                return Err(ShapeError::TooLarge { size_pages: total_pages });
            }
            listed.push(memory);
        }
        Ok(Self { kind, chunk_pages, memories: listed })
    }

    /// The shape of a raw stable memory of that size.
    ///
    /// # Errors
    /// As [`Shape::new`].
    pub fn raw(size_pages: u64, chunk_pages: u32) -> Result<Self, ShapeError> {
        Self::new(Kind::Raw, chunk_pages, [MemoryShape { id: RAW_MEMORY, size_pages }])
    }

    /// The shape of virtual memories of these ids and sizes in pages, in ascending id; what lies before their manager is
    /// [`RAW_MEMORY`].
    ///
    /// # Errors
    /// As [`Shape::new`].
    pub fn managed(
        sizes_pages: impl IntoIterator<Item = (u8, u64)>,
        chunk_pages: u32,
    ) -> Result<Self, ShapeError> {
        let memories = sizes_pages.into_iter().map(|(id, size_pages)| MemoryShape { id, size_pages });
        Self::new(Kind::Managed, chunk_pages, memories)
    }

    /// What kind of stable memory it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Pages of a chunk, 1 to [`MAX_CHUNK_PAGES`].
    pub fn chunk_pages(&self) -> u32 {
        self.chunk_pages
    }

    /// The memories, ascending by id, each with at least one page.
    pub fn memories(&self) -> &[MemoryShape] {
        &self.memories
    }

    /// Pages before the manager: 0 unless that begins at another page.
    pub fn prefix_pages(&self) -> u64 {
        match (self.kind, self.memories.last()) {
            (Kind::Managed, Some(last)) if last.id == RAW_MEMORY => last.size_pages,
            _ => 0,
        }
    }

    /// Size of all memories together.
    pub fn size_pages(&self) -> u64 {
        self.memories.iter().map(|memory| memory.size_pages).sum()
    }

    /// Chunks of all memories together, at most [`MAX_STATE_PAGES`].
    pub fn chunk_count(&self) -> usize {
        self.memories.iter().map(|memory| self.chunks_of(memory) as usize).sum()
    }

    /// All chunks in their order.
    pub fn chunks(&self) -> impl Iterator<Item = ChunkId> {
        self.chunks_and_pages().map(|(chunk, _)| chunk)
    }

    /// All chunks in their order, each with its pages.
    pub(crate) fn chunks_and_pages(&self) -> impl Iterator<Item = (ChunkId, Range<u64>)> {
        let chunk_pages = u64::from(self.chunk_pages);
        self.memories.iter().flat_map(move |memory| {
            (0..self.chunks_of(memory)).map(move |index| {
                let start = u64::from(index) * chunk_pages;
                let pages = start..memory.size_pages.min(start + chunk_pages);
                (ChunkId { memory: memory.id, index }, pages)
            })
        })
    }

    /// The chunk at an ordinal; `None` past the last one.
    pub fn chunk_at(&self, ordinal: usize) -> Option<ChunkId> {
        let mut before = 0;
        for memory in &self.memories {
            let chunks = self.chunks_of(memory) as usize;
            if ordinal - before < chunks {
                return Some(ChunkId { memory: memory.id, index: (ordinal - before) as u32 });
            }
            before += chunks;
        }
        None
    }

    /// The ordinal of a chunk; `None` if the shape has no such chunk.
    pub fn ordinal(&self, chunk: ChunkId) -> Option<usize> {
        let mut before = 0;
        for memory in &self.memories {
            let chunks = self.chunks_of(memory);
            if memory.id == chunk.memory {
                return (chunk.index < chunks).then_some(before + chunk.index as usize);
            }
            before += chunks as usize;
        }
        None
    }

    /// The pages of a chunk within its memory, at least one; `None` if the shape has no such chunk.
    pub fn pages(&self, chunk: ChunkId) -> Option<Range<u64>> {
        let memory = self.memories.iter().find(|memory| memory.id == chunk.memory)?;
        let start = u64::from(chunk.index) * u64::from(self.chunk_pages);
        let end = memory.size_pages.min(start + u64::from(self.chunk_pages));
        (start < end).then_some(start..end)
    }

    /// How many chunks a memory of this shape is cut into.
    pub(crate) fn chunks_of(&self, memory: &MemoryShape) -> u32 {
        memory.size_pages.div_ceil(u64::from(self.chunk_pages)) as u32
    }
}
