//! Computing digests in slices, as a canister's messages allow.

use std::ops::Range;

use crate::digest::{self, bytes_of};
use crate::{ChunkId, Digest, DigestSet, PAGE_BYTES, Shape};

/// Whether sliced work is done.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slicing {
    /// The budget is used up: go on in another message.
    Paused,
    /// Everything is done.
    Done,
}

/// What is known of the chunks of a shape by reading them, in slices. Keeps 33 bytes a chunk: 528 KiB for 1 GiB.
///
/// Who writes a chunk says so, with [`saw`](Scan::saw) if it was read back at once and with
/// [`believe`](Scan::believe) otherwise: what was not read since it was written counts as not read.
#[derive(Debug, Clone)]
pub struct Scan {
    /// By reading, or else what is believed.
    digests: DigestSet,
    /// By ordinal: whether the chunk was read, and not written since.
    is_read: Vec<bool>,
    /// All chunks before this ordinal were read.
    next: usize,
}

impl Scan {
    /// A scan that has read nothing yet and knows nothing.
    pub fn new(shape: Shape) -> Self {
        Self::unread(DigestSet::of_nothing(shape))
    }

    /// A scan that has read nothing yet and believes that all are zeros.
    pub fn of_zeros(shape: Shape) -> Self {
        Self::unread(DigestSet::of_zeros(shape))
    }

    fn unread(digests: DigestSet) -> Self {
        let is_read = vec![false; digests.digests().len()];
        Self { digests, is_read, next: 0 }
    }

    /// What is known or believed of each chunk.
    pub fn digests(&self) -> &DigestSet {
        &self.digests
    }

    /// Digests the chunks that were not read, one at least, until all are done or `may_continue` answers false,
    /// which is asked before every further chunk.
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
        let Self { digests, is_read, next } = self;
        let mut content = Vec::new();
        let mut is_first = true;
        for (chunk, pages) in digests.shape().clone().chunks_and_pages().skip(*next) {
            if !is_read[*next] {
                if !is_first && !may_continue() {
                    return Ok(Slicing::Paused);
                }
                is_first = false;
                content.resize(bytes_of(&pages), 0);
                read(chunk.memory, pages.start * PAGE_BYTES, &mut content)?;
                digests.set_at(*next, digest::of_chunk(chunk.memory, &pages, &content));
                is_read[*next] = true;
            }
            *next += 1;
        }
        Ok(Slicing::Done)
    }

    /// Records what was read of a chunk, all of it, and answers its digest; `None` if the shape has no such chunk.
    pub fn saw(&mut self, chunk: ChunkId, content: &[u8]) -> Option<Digest> {
        self.record(chunk, content, true)
    }

    /// Records what will be written to a chunk, or was and is not read: it is not known until it is read.
    pub fn believe(&mut self, chunk: ChunkId, content: &[u8]) -> Option<Digest> {
        self.record(chunk, content, false)
    }

    fn record(&mut self, chunk: ChunkId, content: &[u8], is_read: bool) -> Option<Digest> {
        let shape = self.digests.shape();
        let (ordinal, pages) = (shape.ordinal(chunk)?, shape.pages(chunk)?);
        if content.len() != bytes_of(&pages) {
            return None;
        }
        let digest = digest::of_chunk(chunk.memory, &pages, content);
        self.digests.set_at(ordinal, digest);
        self.is_read[ordinal] = is_read;
        if !is_read {
            self.next = self.next.min(ordinal);
        }
        Some(digest)
    }

    /// What is known and believed when the same memories are looked at in another shape, as
    /// [`DigestSet::carried_to`] says. A chunk that has other pages now, or for which `is_in_place(memory, pages)`
    /// answers false because its pages are not where they were, counts as not read, and nothing is believed of it.
    pub fn carried_to(&self, shape: Shape, mut is_in_place: impl FnMut(u8, Range<u64>) -> bool) -> Self {
        let mut carried = Self::unread(self.digests.carried_to(shape.clone()));
        if !self.digests.is_cut_alike(&shape) {
            return carried;
        }
        for (ordinal, (chunk, pages)) in shape.chunks_and_pages().enumerate() {
            let Some(before) = self.digests.shape().ordinal(chunk) else { continue };
            let is_same = self.digests.shape().pages(chunk) == Some(pages.clone());
            if is_same && is_in_place(chunk.memory, pages) {
                carried.is_read[ordinal] = self.is_read[before];
            } else {
                carried.digests.forget_at(ordinal);
            }
        }
        carried
    }

    /// Chunks read, and chunks in all: progress.
    pub fn progress(&self) -> (usize, usize) {
        (self.is_read.iter().filter(|&&is_read| is_read).count(), self.is_read.len())
    }

    /// The digests, if every chunk was read.
    pub fn finish(self) -> Option<DigestSet> {
        self.is_read.iter().all(|&is_read| is_read).then_some(self.digests)
    }
}
