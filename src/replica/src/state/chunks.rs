//! The chunk store of a canister or of a snapshot (spec, "Wasm chunk store").

use crate::costs::limits;
use crate::memory::pages::PAGE_BYTES;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// SHA-256 of a chunk.
pub(crate) type ChunkHash = [u8; 32];

/// Chunks by their hashes.
#[derive(Clone, Default)]
pub(crate) struct ChunkStore {
    chunks: BTreeMap<ChunkHash, Arc<[u8]>>,
    /// Pages of 4 KiB that they took since the last checkpoint.
    written_pages: usize,
}

/// What a chunk would be to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A new one.
    New(ChunkHash),
    /// One that it has.
    Known(ChunkHash),
}

impl ChunkStore {
    /// What `chunk` would be to the store.
    ///
    /// Errors: why it can't be stored, in the words of the platform (code: `can_insert_chunk`).
    pub(crate) fn place(&self, chunk: &[u8]) -> Result<Place, String> {
        let hash = Sha256::digest(chunk).into();
        if self.chunks.contains_key(&hash) {
            return Ok(Place::Known(hash));
        }
        if chunk.len() > limits::CHUNK_BYTES {
            return Err(format!(
                "Wasm chunk size {} exceeds the maximum chunk size of {}",
                chunk.len(),
                limits::CHUNK_BYTES
            ));
        }
        if self.chunks.len() >= limits::CHUNK_STORE_CHUNKS {
            return Err(format!(
                "Wasm chunk store has already reached maximum capacity of {} bytes or the maximum number of \
                 entries, {}",
                limits::CHUNK_STORE_CHUNKS * limits::CHUNK_BYTES,
                limits::CHUNK_STORE_CHUNKS
            ));
        }
        Ok(Place::New(hash))
    }

    /// Keeps a chunk that [`ChunkStore::place`] found new.
    pub(crate) fn insert(&mut self, hash: ChunkHash, chunk: Arc<[u8]>) {
        // An empty chunk takes a page too.
        self.written_pages += chunk.len().div_ceil(PAGE_BYTES).max(1);
        self.chunks.insert(hash, chunk);
    }

    /// The chunk with that hash.
    pub(crate) fn get(&self, hash: &[u8]) -> Option<&Arc<[u8]>> {
        self.chunks.get(hash)
    }

    /// The hashes of all chunks.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = &ChunkHash> {
        self.chunks.keys()
    }

    /// Bytes that it counts: 1 MiB for each chunk, however short (spec, `upload_chunk`).
    pub(crate) fn size_bytes(&self) -> u64 {
        (self.chunks.len() * limits::CHUNK_BYTES) as u64
    }

    /// Pages that the next checkpoint has to write (code: `WasmChunkStore::heap_delta`).
    pub(crate) fn written_pages(&self) -> usize {
        self.written_pages
    }

    /// A checkpoint has all chunks.
    pub(crate) fn checkpoint(&mut self) {
        self.written_pages = 0;
    }
}
