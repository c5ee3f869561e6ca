//! What can be wrong with what comes over the wire: what, where, and what to do about it.

use crate::{ChunkId, Digest, MAX_CHUNK_PAGES, MAX_STATE_PAGES};

/// Why memories and chunk size are not a shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A chunk of no pages, or of too many for a reply.
    #[error("a chunk of {chunk_pages} pages is not possible: choose 1 to {MAX_CHUNK_PAGES}")]
    ChunkPages {
        /// The size asked for.
        chunk_pages: u32,
    },
    /// A raw shape with a virtual memory.
    #[error("memory {memory} can't be part of a raw shape, which has memory 255 and no other")]
    ForeignMemory {
        /// Id of the memory.
        memory: u8,
    },
    /// Memories out of order, or one twice.
    #[error("memory {memory} is listed after one of its own or a higher id: list each once, in ascending id")]
    NotAscending {
        /// Id of the memory.
        memory: u8,
    },
    /// More than stable memory can hold.
    #[error("{size_pages} pages are more than stable memory can hold, which is {MAX_STATE_PAGES}")]
    TooLarge {
        /// Pages of the memories up to the one that was too much.
        size_pages: u64,
    },
}

/// Why a manifest is not consistent in itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not one digest for each memory.
    #[error("the manifest has {digests} digests for {memories} memories: fetch it again")]
    DigestCount {
        /// Digests there are.
        digests: usize,
        /// Memories there are.
        memories: usize,
    },
    /// The root is not the digest of the rest.
    #[error("the manifest's root is {stated}, its parts make {computed}: fetch it again")]
    Root {
        /// The root it states.
        stated: Digest,
        /// The root of its parts.
        computed: Digest,
    },
}

/// Why a page of digests is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestPageError {
    /// Not the page that comes next.
    #[error("the page begins at chunk {first}, chunk {expected} comes next: ask for that one")]
    OutOfOrder {
        /// Ordinal of the page's first chunk.
        first: u64,
        /// Ordinal of the first chunk without digest.
        expected: u64,
    },
    /// Half a digest, none at all, or more than there are chunks.
    #[error("{length_bytes} bytes are not 1 to {remaining} digests of 32 bytes: ask for the page again")]
    Length {
        /// Bytes of the page.
        length_bytes: usize,
        /// Digests that are still missing.
        remaining: usize,
    },
    /// The digests of a memory are not those that the manifest commits to.
    #[error("the digests of memory {memory} are not those of the manifest: ask for all pages again")]
    Memory {
        /// Id of the memory.
        memory: u8,
    },
}

/// Why a frame is refused. Nothing of it may be written then, and what was written counts as missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The shape has no such chunk.
    #[error("memory {} has no chunk {}: the frame is of another shape", .0.memory, .0.index)]
    UnknownChunk(ChunkId),
    /// It holds more bytes than its chunk, or bytes where its codec has none.
    #[error("chunk {} of memory {} is sent in {length_bytes} bytes, at most {limit_bytes} are possible",
            .chunk.index, .chunk.memory)]
    Length {
        /// The chunk.
        chunk: ChunkId,
        /// Bytes of the frame.
        length_bytes: usize,
        /// What its codec and chunk allow.
        limit_bytes: usize,
    },
    /// The bytes are not compressed data, or of more than the chunk, or not in the one form that the encoder
    /// writes, without zeros at the end.
    #[error("chunk {} of memory {} can't be decoded: ask for it again", .0.index, .0.memory)]
    Malformed(ChunkId),
    /// The digest that the frame states is not the one that was expected.
    #[error("chunk {} of memory {} is {stated}, {expected} is wanted: the source has changed, compare again",
            .chunk.index, .chunk.memory)]
    Unexpected {
        /// The chunk.
        chunk: ChunkId,
        /// Digest of the frame.
        stated: Digest,
        /// Digest of the manifest.
        expected: Digest,
    },
    /// What was written of it and read back is not what the digest says.
    #[error("chunk {} of memory {} is damaged, its digest is not {stated}: ask for it again",
            .chunk.index, .chunk.memory)]
    Digest {
        /// The chunk.
        chunk: ChunkId,
        /// Digest of the frame.
        stated: Digest,
    },
}

/// Why frames could not be packed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError<E> {
    /// A wanted chunk does not exist.
    #[error("memory {} has no chunk {}: ask by the shape of the manifest", .0.memory, .0.index)]
    UnknownChunk(ChunkId),
    /// Not even one frame fits.
    #[error("a frame of {needed_bytes} bytes does not fit the limit of {limit_bytes}: raise it")]
    LimitTooSmall {
        /// Bytes of a batch with this frame alone.
        needed_bytes: usize,
        /// The limit given.
        limit_bytes: usize,
    },
    /// The position to go on from lies past the end of what is wanted.
    #[error("{position} chunks are said to be done, {wanted} are wanted: begin again")]
    Position {
        /// The position given.
        position: u64,
        /// Chunks wanted in all.
        wanted: u64,
    },
    /// Reading the memory failed.
    #[error("reading memory failed: {0}")]
    Read(E),
}
