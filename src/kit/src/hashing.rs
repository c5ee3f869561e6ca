//! Hashing what stable memory holds, in slices; and writing what is read back at once.

use decant_api::KitError;
use decant_api::source::SealProgress;
use decant_layout::TailScan;
use decant_transfer::{ChunkId, Digest, DigestSet, PAGE_BYTES, Scan, Slicing};

use crate::stable::Stable;
use crate::view::View;

#[cfg(test)]
mod tests;

/// A scan and what it looks at.
#[derive(Debug, Clone)]
pub(crate) struct Hashing {
    view: View,
    scan: Scan,
    /// What lies behind the manager is in no digest: nothing may be there. Until all of that was looked at.
    behind: Option<Box<TailScan>>,
}

impl Hashing {
    /// Nothing hashed yet.
    pub(crate) fn new(view: View) -> Self {
        let (scan, behind) = (Scan::new(view.shape().clone()), view.tail_scan());
        Self { view, scan, behind }
    }

    /// Nothing hashed and nothing written yet: stable memory that has just grown holds zeros.
    pub(crate) fn of_zeros(view: View) -> Self {
        let (scan, behind) = (Scan::of_zeros(view.shape().clone()), view.tail_scan());
        Self { view, scan, behind }
    }

    /// The same stable memory by another view: only what is where it was is still known.
    pub(crate) fn carried_to(&self, view: View) -> Self {
        let is_in_place = |memory, pages| self.view.has_in_place(&view, memory, pages);
        let scan = self.scan.carried_to(view.shape().clone(), is_in_place);
        let behind = view.tail_scan();
        Self { view, scan, behind }
    }

    /// What it looks at.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// What is known or believed of each chunk.
    pub(crate) fn digests(&self) -> &DigestSet {
        self.scan.digests()
    }

    /// Bytes of a chunk, for the budget.
    pub(crate) fn chunk_bytes(&self) -> u64 {
        self.view.chunk_bytes()
    }

    /// Writes a chunk and reads it back: `content` is what stable memory holds then, the answer its digest.
    pub(crate) fn write(
        &mut self,
        stable: &mut impl Stable,
        chunk: ChunkId,
        content: &mut [u8],
    ) -> Result<Digest, KitError> {
        let pages = self.view.shape().pages(chunk).ok_or_else(|| unknown(chunk))?;
        let offset_bytes = pages.start * PAGE_BYTES;
        self.view.write(stable, chunk.memory, offset_bytes, content)?;
        self.view.read(stable, chunk.memory, offset_bytes, content)?;
        self.scan.saw(chunk, content).ok_or_else(|| unknown(chunk))
    }

    /// A chunk will be written later: until it is read it is believed to hold this.
    pub(crate) fn believe(&mut self, chunk: ChunkId, content: &[u8]) -> Result<Digest, KitError> {
        self.scan.believe(chunk, content).ok_or_else(|| unknown(chunk))
    }

    /// Looks behind the manager first. Then hashes one chunk at least that was not read since it was written, and goes on
    /// while it may.
    ///
    /// # Errors
    /// [`KitError::Layout`] if there is something that no memory has.
    pub(crate) fn run(
        &mut self,
        stable: &impl Stable,
        mut may_continue: impl FnMut() -> bool,
    ) -> Result<Slicing, KitError> {
        let Self { view, scan, behind } = self;
        if let Some(rest) = behind {
            if view.look_behind(rest, stable, &mut may_continue)? == Slicing::Paused {
                return Ok(Slicing::Paused);
            }
            *behind = None;
        }
        scan.run(|memory, offset_bytes, buffer| view.read(stable, memory, offset_bytes, buffer), may_continue)
    }

    /// Bytes hashed, and bytes in all.
    pub(crate) fn progress_bytes(&self) -> (u64, u64) {
        let total_bytes = self.view.size_bytes();
        let done_bytes = self.scan.progress().0 as u64 * self.chunk_bytes();
        (done_bytes.min(total_bytes), total_bytes)
    }

    /// The same, as an answer.
    pub(crate) fn progress(&self) -> SealProgress {
        let (done_bytes, total_bytes) = self.progress_bytes();
        SealProgress::Working { done_bytes, total_bytes }
    }

    /// The digests, if all is hashed.
    pub(crate) fn finish(self) -> Option<(View, DigestSet)> {
        Some((self.view, self.scan.finish()?))
    }
}

fn unknown(chunk: ChunkId) -> KitError {
    transfer(format!("memory {} has no chunk {} of that length", chunk.memory, chunk.index))
}

/// What was sent, or asked for, can't be used.
pub(crate) fn transfer(reason: impl ToString) -> KitError {
    KitError::Transfer { reason: reason.to_string() }
}
