//! Sending a digest set in pages, and collecting it on the other side.

use crate::{Digest, DigestPageError, DigestSet, Manifest, Shape, digest};
use candid::CandidType;
use serde::{Deserialize, Serialize};

/// Bytes of a page of digests as Candid, besides the digests: type table, ordinal, length (tested).
const PAGE_OVERHEAD_BYTES: usize = 64;

/// Digests of consecutive chunks.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct DigestPage {
    /// Ordinal of the first chunk.
    pub first: u64,
    /// Digests of 32 bytes, one after another: 512 KiB for a state of 1 GiB in chunks of a page.
    #[serde(with = "serde_bytes")]
    pub digests: Vec<u8>,
}

impl DigestSet {
    /// The digests from a chunk's ordinal on, as many as fit `limit_bytes` of Candid, but at least one.
    /// `None` past the last chunk.
    pub fn page(&self, first: u64, limit_bytes: usize) -> Option<DigestPage> {
        let rest = self.digests().get(usize::try_from(first).ok()?..).filter(|rest| !rest.is_empty())?;
        let fitting = limit_bytes.saturating_sub(PAGE_OVERHEAD_BYTES) / Digest::BYTES;
        let digests = rest.iter().take(fitting.max(1)).flat_map(Digest::as_bytes).copied().collect();
        Some(DigestPage { first, digests })
    }
}

/// Collects the pages of a digest set and checks each memory against a manifest as soon as it is complete.
#[derive(Debug, Clone)]
pub struct DigestCollector {
    manifest: Manifest,
    digests: Vec<Digest>,
    /// Memories whose digests are complete and checked.
    checked_memories: usize,
    /// Chunks of these memories.
    checked_chunks: usize,
}

impl DigestCollector {
    /// Collects for this manifest.
    pub fn new(manifest: Manifest) -> Self {
        Self { manifest, digests: Vec::new(), checked_memories: 0, checked_chunks: 0 }
    }

    /// Ordinal of the next chunk whose digest is missing: what to ask for. `None` when all are there.
    pub fn next(&self) -> Option<u64> {
        let missing = self.digests.len() < self.manifest.shape().chunk_count();
        missing.then_some(self.digests.len() as u64)
    }

    /// Adds the page that comes next.
    ///
    /// # Errors
    /// [`DigestPageError::OutOfOrder`] and [`DigestPageError::Length`] leave everything as it was;
    /// [`DigestPageError::Memory`] drops the digests of that memory, so that they can be asked for again.
    pub fn add(&mut self, page: &DigestPage) -> Result<(), DigestPageError> {
        let expected = self.digests.len() as u64;
        if page.first != expected {
            return Err(DigestPageError::OutOfOrder { first: page.first, expected });
        }
        let remaining = self.manifest.shape().chunk_count() - self.digests.len();
        let (digests, rest) = page.digests.as_chunks::<{ Digest::BYTES }>();
        if digests.is_empty() || !rest.is_empty() || digests.len() > remaining {
            return Err(DigestPageError::Length { length_bytes: page.digests.len(), remaining });
        }
        self.digests.extend(digests.iter().map(|bytes| Digest::new(*bytes)));
        self.check_complete_memories()
    }

    /// The digest set, if all is there; ask [`next`](DigestCollector::next) before.
    pub fn finish(self) -> Option<DigestSet> {
        let complete = self.next().is_none();
        complete.then(|| DigestSet::new(self.manifest.shape().clone(), self.digests))
    }

    fn check_complete_memories(&mut self) -> Result<(), DigestPageError> {
        let shape: &Shape = self.manifest.shape();
        while let Some(memory) = shape.memories().get(self.checked_memories) {
            let end = self.checked_chunks + shape.chunks_of(memory) as usize;
            let Some(chunks) = self.digests.get(self.checked_chunks..end) else { break };
            let digest = digest::of_memory(memory, shape.chunk_pages(), chunks);
            if self.manifest.memory_digests().get(self.checked_memories) != Some(&digest) {
                self.digests.truncate(self.checked_chunks);
                return Err(DigestPageError::Memory { memory: memory.id });
            }
            self.checked_memories += 1;
            self.checked_chunks = end;
        }
        Ok(())
    }
}
