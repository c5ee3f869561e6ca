//! Chunks of stable memory: cut, compress, digest, pack, verify, diff. No Internet Computer, no clock, no
//! randomness: memory is read through a closure, and so is the budget of a message.
//!
//! | word | meaning | here |
//! |---|---|---|
//! | shape | which memories there are, how large, and how large a chunk is | [`Shape`] |
//! | chunk | a run of pages of one memory: the unit of transfer | [`ChunkId`], [`ChunkRun`] |
//! | digest | what a chunk, a memory or everything is known by: BLAKE3, 32 bytes | [`Digest`] |
//! | digest set | the digest of every chunk of a shape | [`DigestSet`], computed by [`Scan`] |
//! | manifest | what a sealed source holds: shape, a digest a memory, the root | [`Manifest`] |
//! | frame | a chunk as sent: id, codec, bytes, digest | [`Frame`] |
//! | batch | frames that fit a reply, and where to go on | [`Batch`] |
//!
//! # A transfer
//!
//! 1. The source [`Scan`]s its memories, in slices, and answers the [`Manifest`]; the target fetches the
//!    digest set in [`DigestPage`]s, as many as fit a reply, and checks it against the manifest
//!    ([`DigestCollector`]).
//! 2. The target knows what it holds: nothing but zeros at first ([`DigestSet::of_zeros`]), later what
//!    pre-copy brought. [`DigestSet::missing_for`] lists the chunks that differ: zero chunks are never asked
//!    for.
//! 3. The source [`pack`]s them into batches; the target [decodes](Frame::decode) each frame, writes it, and records
//!    what it reads back from there ([`Scan::saw`]): what has another digest is still missing.
//! 4. The target scans what it *wrote* and did not read back since; its root must be the manifest's.
//!
//! # What a digest commits to
//!
//! BLAKE3 in keyed mode, a public key for each purpose, so that no digest of one kind is ever one of another.
//! Integers are little-endian.
//!
//! ```text
//! content = BLAKE3("decant 1 content", bytes)
//! chunk   = BLAKE3("decant 1 chunk",   memory u8 · first page u64 · pages u32 · content)
//! chunk   = BLAKE3("decant 1 zeros",   memory u8 · first page u64 · pages u32)         all bytes zero
//! memory  = BLAKE3("decant 1 memory",  memory u8 · size in pages u64 · pages a chunk u32 · chunk digests)
//! root    = BLAKE3("decant 1 root",    kind u8 · pages a chunk u32 · memories u32 ·
//!                                      for each: id u8 · size in pages u64 · memory digest)
//! link    = BLAKE3("decant 1 link",    previous link · memory u8 · first page u64 · length u64 · bytes)
//! ```
//!
//! So a root commits to the kind, the ids, the sizes, the order and the size of a chunk, and to every byte.
//! Chunk size, digest and codec were chosen by measurement: `docs/chunks.md` has the figures.

mod batch;
mod chain;
mod collect;
mod diff;
mod digest;
mod digest_set;
mod error;
mod frame;
mod manifest;
mod scan;
mod shape;

pub use batch::{BATCH_OVERHEAD_BYTES, Batch, FRAME_OVERHEAD_BYTES, pack};
pub use collect::{DigestCollector, DigestPage};
pub use diff::{ChunkRun, Wanted};
pub use digest::{Digest, is_zero};
pub use digest_set::DigestSet;
pub use error::{DigestPageError, FrameError, ManifestError, PackError, ShapeError};
pub use frame::{Codec, Frame, FrameEncoder};
pub use manifest::Manifest;
pub use scan::{Scan, Slicing};
pub use shape::{
    ChunkId, DEFAULT_CHUNK_PAGES, Kind, MAX_CHUNK_PAGES, MAX_STATE_PAGES, MemoryShape, PAGE_BYTES,
    RAW_MEMORY, Shape,
};
