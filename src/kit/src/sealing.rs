//! A source's work: what was hashed, and what a reader gets.

use decant_api::KitError;
use decant_api::source::{Batch, DigestPage, Manifest, Opening, Seal, SealProgress, Wanted};
use decant_transfer::{Digest, DigestSet, FrameEncoder, Slicing, pack};
use serde_bytes::ByteBuf;

use crate::hashing::{Hashing, transfer};
use crate::limits::{DIGESTS_BYTES, MANIFEST_BYTES, OPENING_DIGESTS_BYTES, REPLY_BYTES, REQUEST_RUNS};
use crate::stable::Stable;
use crate::view::{Told, View};

/// A source's work, from the first call of seal on: the state is saved.
pub(crate) enum Sealing {
    /// Hashing what was saved.
    Hashing {
        /// How far.
        hashing: Hashing,
        /// The dapp's fingerprint when it saved.
        fingerprint: Vec<u8>,
    },
    /// All is hashed.
    Sealed(Box<Sealed>),
}

/// What a sealed source knows.
pub(crate) struct Sealed {
    view: View,
    digests: DigestSet,
    manifest: Manifest,
    fingerprint: Vec<u8>,
    /// A second look that is under way.
    recheck: Option<Hashing>,
}

impl Sealing {
    /// Starts with what is in stable memory now.
    pub(crate) fn new(stable: &impl Stable, told: Told, fingerprint: Vec<u8>) -> Result<Self, KitError> {
        let hashing = Hashing::new(View::told(stable, told)?);
        Ok(Self::Hashing { hashing, fingerprint })
    }

    /// Hashes a slice, unless all is hashed.
    pub(crate) fn run(
        &mut self,
        stable: &impl Stable,
        may_continue: impl FnMut() -> bool,
    ) -> Result<SealProgress, KitError> {
        let Self::Hashing { hashing, fingerprint } = self else { return Ok(self.progress()) };
        if hashing.run(stable, may_continue)? == Slicing::Done
            && let Some((view, digests)) = hashing.clone().finish()
        {
            let (manifest, fingerprint) = (digests.manifest(), std::mem::take(fingerprint));
            *self = Self::Sealed(Box::new(Sealed { view, digests, manifest, fingerprint, recheck: None }));
        }
        Ok(self.progress())
    }

    /// How far it is; what is sealed if all is hashed.
    pub(crate) fn progress(&self) -> SealProgress {
        match self {
            Self::Hashing { hashing, .. } => hashing.progress(),
            Self::Sealed(sealed) => SealProgress::Done(sealed.seal()),
        }
    }

    /// Bytes of a chunk, for the budget.
    pub(crate) fn chunk_bytes(&self) -> u64 {
        match self {
            Self::Hashing { hashing, .. } => hashing.chunk_bytes(),
            Self::Sealed(sealed) => sealed.view.chunk_bytes(),
        }
    }

    /// Bytes hashed.
    pub(crate) fn done_bytes(&self) -> u64 {
        match self {
            Self::Hashing { hashing, .. } => hashing.progress_bytes().0,
            Self::Sealed(sealed) => sealed.view.size_bytes(),
        }
    }

    /// What is known when all is hashed.
    pub(crate) fn sealed(&mut self) -> Option<&mut Sealed> {
        match self {
            Self::Hashing { .. } => None,
            Self::Sealed(sealed) => Some(sealed),
        }
    }
}

impl Sealed {
    /// The sealed root.
    pub(crate) fn root(&self) -> Digest {
        *self.manifest.root()
    }

    /// The manifest.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where it is and what it is.
    pub(crate) fn parts(&self) -> (&View, &DigestSet) {
        (&self.view, &self.digests)
    }

    /// The answer to a seal.
    pub(crate) fn seal(&self) -> Seal {
        Seal {
            root: ByteBuf::from(*self.manifest.root().as_bytes()),
            used_pages: self.view.shape().size_pages(),
            fingerprint: ByteBuf::from(self.fingerprint.clone()),
        }
    }

    /// A page of digests.
    pub(crate) fn page(&self, first: u64) -> Result<DigestPage, KitError> {
        self.digests.page(first, DIGESTS_BYTES).ok_or_else(|| {
            let reason = format!("there is no chunk {first}: ask only for what is missing");
            KitError::Transfer { reason }
        })
    }

    /// Frames of wanted chunks.
    pub(crate) fn frames(
        &self,
        stable: &impl Stable,
        wanted: &Wanted,
        may_continue: impl FnMut() -> bool,
    ) -> Result<Batch, KitError> {
        self.pack(stable, wanted, REPLY_BYTES, may_continue)
    }

    /// What a reader needs first: no frames if it has a copy, of which nobody here knows what it lacks.
    pub(crate) fn opening(
        &self,
        stable: &impl Stable,
        has_copy: bool,
        may_continue: impl FnMut() -> bool,
    ) -> Result<Opening, KitError> {
        let digests = self.digests.page(0, OPENING_DIGESTS_BYTES);
        let digest_bytes = digests.as_ref().map_or(0, |page| page.digests.len());
        let has_every_digest = digest_bytes / Digest::BYTES == self.digests.digests().len();
        let batch = match has_every_digest && !has_copy {
            true => {
                let wanted = wanted(&DigestSet::of_zeros(self.view.shape().clone()), &self.digests);
                Some(self.pack(stable, &wanted, REPLY_BYTES - MANIFEST_BYTES - digest_bytes, may_continue)?)
            }
            false => None,
        };
        Ok(Opening { manifest: self.manifest.clone(), digests, batch })
    }

    /// A second look that is under way is of no use any more: the next one begins anew.
    pub(crate) fn forget_recheck(&mut self) {
        self.recheck = None;
    }

    /// Hashes stable memory again, from what its header says now; a slice at a time. `is_undisturbed`: nothing but
    /// the kit ran since it was saved, so that nothing can have changed but what the fingerprint hook itself did.
    ///
    /// # Errors
    /// [`KitError::RootChanged`] if something wrote after the seal, to stable memory or to the heap behind
    /// the fingerprint. The next recheck starts anew.
    pub(crate) fn recheck(
        &mut self,
        stable: &impl Stable,
        is_undisturbed: bool,
        may_continue: impl FnMut() -> bool,
        fingerprint: &[u8],
    ) -> Result<SealProgress, KitError> {
        if is_undisturbed && fingerprint == self.fingerprint {
            return Ok(SealProgress::Done(self.seal()));
        }
        let mut hashing = match self.recheck.take() {
            Some(hashing) => hashing,
            None => Hashing::new(self.view.anew(stable)?),
        };
        if hashing.run(stable, may_continue)? == Slicing::Paused {
            let progress = hashing.progress();
            self.recheck = Some(hashing);
            return Ok(progress);
        }
        let found = hashing.finish().map(|(_, digests)| *digests.manifest().root());
        if found == Some(self.root()) && fingerprint == self.fingerprint {
            return Ok(SealProgress::Done(self.seal()));
        }
        let named = |root: Digest, fingerprint: &[u8]| format!("{root} (fingerprint {})", hex(fingerprint));
        Err(KitError::RootChanged {
            found: found.map_or_else(|| "unknown".to_owned(), |root| named(root, fingerprint)),
            sealed: named(self.root(), &self.fingerprint),
        })
    }

    fn pack(
        &self,
        stable: &impl Stable,
        wanted: &Wanted,
        limit_bytes: usize,
        may_continue: impl FnMut() -> bool,
    ) -> Result<Batch, KitError> {
        let read =
            |memory, offset_bytes, buffer: &mut [u8]| self.view.read(stable, memory, offset_bytes, buffer);
        let mut encoder = FrameEncoder::new();
        let shape = self.view.shape();
        pack(shape, Some(&self.digests), wanted, limit_bytes, &mut encoder, read, may_continue)
            .map_err(transfer)
    }
}

/// What to ask for when `held` is there: as much as a request may name, from its start. Both sides compute
/// the same.
pub(crate) fn wanted(held: &DigestSet, expected: &DigestSet) -> Wanted {
    let mut runs = held.missing_for(expected);
    runs.truncate(REQUEST_RUNS);
    Wanted { runs, position: 0 }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
