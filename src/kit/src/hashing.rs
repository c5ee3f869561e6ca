//! Hashing what stable memory holds, in slices.

use decant_api::KitError;
use decant_api::source::SealProgress;
use decant_transfer::{DigestSet, Scan, Slicing};

use crate::stable::Stable;
use crate::view::View;

/// A scan and what it looks at.
#[derive(Debug, Clone)]
pub(crate) struct Hashing {
    view: View,
    scan: Scan,
}

impl Hashing {
    /// Nothing hashed yet.
    pub(crate) fn new(view: View) -> Self {
        let scan = Scan::new(view.shape().clone());
        Self { view, scan }
    }

    /// Bytes of a chunk, for the budget.
    pub(crate) fn chunk_bytes(&self) -> u64 {
        self.view.chunk_bytes()
    }

    /// Hashes one chunk at least, and goes on while it may.
    pub(crate) fn run(
        &mut self,
        stable: &impl Stable,
        may_continue: impl FnMut() -> bool,
    ) -> Result<Slicing, KitError> {
        let Self { view, scan } = self;
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
