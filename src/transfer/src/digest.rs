//! What chunks, memories and manifests are known by.

use crate::{Kind, MemoryShape, PAGE_BYTES};
use candid::CandidType;
use candid::types::{Serializer as CandidSerializer, Type, TypeInner};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// Public keys that keep digests of different purposes apart.
const CONTENT_KEY: [u8; 32] = *b"decant 1 content\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const CHUNK_KEY: [u8; 32] = *b"decant 1 chunk\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const ZEROS_KEY: [u8; 32] = *b"decant 1 zeros\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const MEMORY_KEY: [u8; 32] = *b"decant 1 memory\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const LINK_KEY: [u8; 32] = *b"decant 1 link\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const ROOT_KEY: [u8; 32] = *b"decant 1 root\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// A BLAKE3 digest. A blob of 32 bytes in Candid; hex when displayed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(#[serde(with = "serde_bytes")] [u8; Digest::BYTES]);

impl Digest {
    /// Bytes of a digest.
    pub const BYTES: usize = 32;

    /// The digest with these bytes.
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl CandidType for Digest {
    fn _ty() -> Type {
        TypeInner::Vec(TypeInner::Nat8.into()).into()
    }

    fn idl_serialize<S: CandidSerializer>(&self, serializer: S) -> Result<(), S::Error> {
        serializer.serialize_blob(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The digest of a chunk that holds `content`, which has the length that `pages` say.
pub(crate) fn of_chunk(memory: u8, pages: &Range<u64>, content: &[u8]) -> Digest {
    if is_zero(content) {
        return of_zeros(memory, pages);
    }
    let content = blake3::keyed_hash(&CONTENT_KEY, content);
    let mut hasher = blake3::Hasher::new_keyed(&CHUNK_KEY);
    hasher.update(&position(memory, pages));
    hasher.update(content.as_bytes());
    finish(&hasher)
}

/// The digest of a chunk whose bytes are all zero.
pub(crate) fn of_zeros(memory: u8, pages: &Range<u64>) -> Digest {
    let mut hasher = blake3::Hasher::new_keyed(&ZEROS_KEY);
    hasher.update(&position(memory, pages));
    finish(&hasher)
}

/// The digest of a memory, from those of its chunks in order.
pub(crate) fn of_memory(memory: &MemoryShape, chunk_pages: u32, chunks: &[Digest]) -> Digest {
    let mut hasher = blake3::Hasher::new_keyed(&MEMORY_KEY);
    hasher.update(&[memory.id]);
    hasher.update(&memory.size_pages.to_le_bytes());
    hasher.update(&chunk_pages.to_le_bytes());
    for chunk in chunks {
        hasher.update(&chunk.0);
    }
    finish(&hasher)
}

/// The root: the digest of everything.
pub(crate) fn of_root<'a>(
    kind: Kind,
    chunk_pages: u32,
    memories: impl ExactSizeIterator<Item = (&'a MemoryShape, &'a Digest)>,
) -> Digest {
    let mut hasher = blake3::Hasher::new_keyed(&ROOT_KEY);
    let kind = match kind {
        Kind::Raw => 0,
        Kind::Managed => 1,
    };
    hasher.update(&[kind]);
    hasher.update(&chunk_pages.to_le_bytes());
    hasher.update(&(memories.len() as u32).to_le_bytes());
    for (memory, digest) in memories {
        hasher.update(&[memory.id]);
        hasher.update(&memory.size_pages.to_le_bytes());
        hasher.update(&digest.0);
    }
    finish(&hasher)
}

/// The next link of a chain.
pub(crate) fn of_link(previous: &Digest, memory: u8, first_page: u64, content: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new_keyed(&LINK_KEY);
    hasher.update(&previous.0);
    hasher.update(&[memory]);
    hasher.update(&first_page.to_le_bytes());
    hasher.update(&(content.len() as u64).to_le_bytes());
    hasher.update(content);
    finish(&hasher)
}

/// Whether all bytes are zero. Words and blocks of them, which compile to few instructions: 1 a byte on wasm.
pub fn is_zero(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<64>();
    let word_bits = |block: &[u8; 64]| {
        let (words, _) = block.as_chunks::<8>();
        words.iter().fold(0, |bits, word| bits | u64::from_le_bytes(*word))
    };
    blocks.iter().all(|block| word_bits(block) == 0) && rest.iter().all(|&byte| byte == 0)
}

/// How many bytes are left when the zeros at the end are cut off.
pub(crate) fn length_without_zero_tail(bytes: &[u8]) -> usize {
    let (rest, blocks) = bytes.as_rchunks::<64>();
    match blocks.iter().rposition(|block| !is_zero(block)) {
        Some(index) => rest.len() + index * 64 + last_byte(&blocks[index]),
        None => last_byte(rest),
    }
}

/// The end of the last byte that is not zero.
fn last_byte(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte != 0).map_or(0, |index| index + 1)
}

fn position(memory: u8, pages: &Range<u64>) -> [u8; 13] {
    let mut bytes = [0; 13];
    bytes[0] = memory;
    bytes[1..9].copy_from_slice(&pages.start.to_le_bytes());
    bytes[9..].copy_from_slice(&((pages.end - pages.start) as u32).to_le_bytes());
    bytes
}

fn finish(hasher: &blake3::Hasher) -> Digest {
    Digest(*hasher.finalize().as_bytes())
}

/// Bytes of so many pages.
pub(crate) fn bytes_of(pages: &Range<u64>) -> usize {
    ((pages.end - pages.start) * PAGE_BYTES) as usize
}
