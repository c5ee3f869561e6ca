//! Computing digests in slices, as a canister's messages allow.

use crate::digest::{self, bytes_of};
use crate::{Digest, DigestSet, PAGE_BYTES, Shape};

/// Whether sliced work is done.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slicing {
    /// The budget is used up: go on in another message.
    Paused,
    /// Everything is done.
    Done,
}

/// Digests of the chunks of a shape, computed in slices. Keeps 32 bytes a chunk: 512 KiB for 1 GiB.
#[derive(Debug, Clone)]
pub struct Scan {
    shape: Shape,
    digests: Vec<Digest>,
}

impl Scan {
    /// A scan that has done nothing yet.
    pub fn new(shape: Shape) -> Self {
        Self { shape, digests: Vec::new() }
    }

    /// Digests chunks, one at least, until all are done or `may_continue` answers false, which is asked
    /// before every further chunk.
    ///
    /// `read(memory, offset_bytes, buffer)` reads a memory of the shape; it is called once a chunk. Memory
    /// must not change between slices, or the digests are of no state that ever was.
    ///
    /// # Errors
    /// What `read` says. The scan can go on from there.
    pub fn run<E>(
        &mut self,
        mut read: impl FnMut(u8, u64, &mut [u8]) -> Result<(), E>,
        mut may_continue: impl FnMut() -> bool,
    ) -> Result<Slicing, E> {
        let mut content = Vec::new();
        let first = self.digests.len();
        for (chunk, pages) in self.shape.chunks_and_pages().skip(first) {
            if self.digests.len() > first && !may_continue() {
                return Ok(Slicing::Paused);
            }
            content.resize(bytes_of(&pages), 0);
            read(chunk.memory, pages.start * PAGE_BYTES, &mut content)?;
            self.digests.push(digest::of_chunk(chunk.memory, &pages, &content));
        }
        Ok(Slicing::Done)
    }

    /// Chunks done, and chunks in all: progress.
    pub fn progress(&self) -> (usize, usize) {
        (self.digests.len(), self.shape.chunk_count())
    }

    /// The digests, if the scan is done.
    pub fn finish(self) -> Option<DigestSet> {
        let complete = self.digests.len() == self.shape.chunk_count();
        complete.then(|| DigestSet::new(self.shape, self.digests))
    }
}
