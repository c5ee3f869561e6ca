//! A target's work: from nothing to a verified image. It says what to ask the source for, and takes the
//! answers.

use std::mem;

use decant_api::KitError;
use decant_api::source::{Batch, DigestPage, Manifest, Opening, PrecopyBatch, Seal, SealProgress, Wanted};
use decant_api::target::PullProgress;
use decant_transfer::{
    ChunkId, Digest, DigestCollector, DigestSet, Frame, FrameError, PAGE_BYTES, RAW_MEMORY, Shape, Slicing,
};
use serde_bytes::ByteBuf;

use crate::hashing::{Hashing, transfer};
use crate::precopy::{Precopy, grown};
use crate::sealing::wanted;
use crate::stable::Stable;
use crate::view::View;

#[cfg(test)]
mod tests;

/// An import.
pub(crate) struct Import {
    bucket_pages: u16,
    wire_bytes: u64,
    /// Answers taken from the source.
    calls: u64,
    /// What was copied while the source still served, until writing begins from there.
    precopy: Option<Precopy>,
    /// Whether it was pulled once.
    is_pulled: bool,
    stage: Stage,
}

/// How far an import is.
enum Stage {
    /// Nothing is known of the source.
    Waiting,
    /// Its digests are being fetched.
    Collecting { manifest: Manifest, collector: DigestCollector },
    /// Stable memory has its size; chunks are being written.
    Writing(Box<Writing>),
    /// The whole image is written, and is being verified.
    Written(Box<Written>),
    /// The roots are equal.
    Equal { manifest: Manifest },
    /// The dapp has loaded it.
    Verified { manifest: Manifest, seal: Seal },
}

/// Chunks on their way into a planned image.
struct Writing {
    manifest: Manifest,
    /// Where they go, and what is there: each was read back when it was written.
    copy: Hashing,
    /// What they must be.
    expected: DigestSet,
    /// What was asked for, and how far it was served.
    wanted: Wanted,
    /// The first chunk of what no manager deals out: written last, as the header page of a manager.
    withheld: Option<Vec<u8>>,
}

/// A whole image.
struct Written {
    manifest: Manifest,
    /// What is known of it: by the view that was planned, then by the header that was written.
    copy: Hashing,
    /// What it must be.
    expected: DigestSet,
    /// Once it is read through that header, whether what was read before was believed.
    believes: Option<bool>,
}

/// What to ask the source for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// The manifest, and what fits besides; nothing that a copy may have.
    Open { has_copy: bool },
    /// Digests from an ordinal on.
    Digests { first: u64 },
    /// Frames.
    Frames(Wanted),
}

/// What the source said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// To [`Request::Open`], whatever it says.
    Opening(Opening),
    /// To [`Request::Digests`].
    Digests(DigestPage),
    /// To [`Request::Frames`].
    Batch(Batch),
}

/// What a call of verify found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Hashing goes on in the next call.
    Working(SealProgress),
    /// The roots are equal: let the dapp load it, then say so with [`Import::loaded`].
    Load,
    /// It is loaded.
    Done(Seal),
}

impl Import {
    /// Nothing is here yet.
    pub(crate) fn new(bucket_pages: u16) -> Self {
        Self { bucket_pages, wire_bytes: 0, calls: 0, precopy: None, is_pulled: false, stage: Stage::Waiting }
    }

    /// Whether this pull is the first.
    pub(crate) fn is_first_pull(&mut self) -> bool {
        !mem::replace(&mut self.is_pulled, true)
    }

    /// Pages of a bucket of the new image.
    pub(crate) fn bucket_pages(&self) -> u16 {
        self.bucket_pages
    }

    /// What to ask for next; `None` when the image is written.
    pub(crate) fn request(&self) -> Option<Request> {
        match &self.stage {
            Stage::Waiting => Some(Request::Open { has_copy: self.precopy.is_some() }),
            Stage::Collecting { collector, .. } => collector.next().map(|first| Request::Digests { first }),
            Stage::Writing(writing) => Some(Request::Frames(writing.wanted.clone())),
            Stage::Written(_) | Stage::Equal { .. } | Stage::Verified { .. } => None,
        }
    }

    /// The chunk to ask an open source from; none when each was read once, and when the source is sealed.
    pub(crate) fn precopy_request(&self) -> Option<ChunkId> {
        match self.stage {
            Stage::Waiting => Precopy::request(self.precopy.as_ref()),
            _ => None,
        }
    }

    /// Takes what an open source answered, in so many bytes, when it was asked from a chunk on. One that comes
    /// too late changes nothing.
    ///
    /// # Errors
    /// [`KitError::Transfer`], [`KitError::Layout`] or [`KitError::NotEmpty`] if what came can't be used. What
    /// was good before it stays.
    pub(crate) fn accept_precopy(
        &mut self,
        batch: &PrecopyBatch,
        from: ChunkId,
        reply_bytes: u64,
        stable: &mut impl Stable,
    ) -> Result<(), KitError> {
        self.wire_bytes += reply_bytes;
        self.calls += 1;
        if self.precopy_request() != Some(from) {
            return Ok(());
        }
        let precopy = match &mut self.precopy {
            Some(precopy) => precopy,
            None => self.precopy.insert(Precopy::begin(&batch.shape, self.bucket_pages, stable)?),
        };
        precopy.write(batch, stable)
    }

    fn told(&self, is_complete: bool, done_bytes: u64, total_bytes: u64) -> PullProgress {
        let (wire_bytes, calls) = (self.wire_bytes, self.calls);
        PullProgress { is_complete, done_bytes, total_bytes, wire_bytes, calls, verified: None }
    }

    /// How far a pre-copy is.
    pub(crate) fn precopy_progress(&self) -> PullProgress {
        let (done_bytes, total_bytes) = self.precopy.as_ref().map_or((0, 0), Precopy::progress_bytes);
        let is_complete = self.precopy_request().is_none();
        self.told(is_complete, done_bytes, total_bytes)
    }

    /// Takes an answer of so many bytes. One that comes too late, because another call was faster, changes
    /// nothing.
    ///
    /// # Errors
    /// [`KitError::RootChanged`] if the source's root is not the one that was sealed; [`KitError::Transfer`]
    /// or [`KitError::Layout`] if what came can't be used. What was good before it stays; ask again.
    pub(crate) fn accept(
        &mut self,
        reply: Reply,
        reply_bytes: u64,
        sealed_root: &Digest,
        stable: &mut impl Stable,
    ) -> Result<(), KitError> {
        self.wire_bytes += reply_bytes;
        self.calls += 1;
        match reply {
            Reply::Opening(opening) => self.open(opening, sealed_root, stable),
            Reply::Digests(page) => self.collect(&page, stable),
            Reply::Batch(batch) => self.write(&batch, stable),
        }
    }

    /// Before anything is asked: the root that is being pulled must be the one that the caller names, and
    /// stable memory must have been given its size, which may have failed before.
    pub(crate) fn resume(&mut self, sealed_root: &Digest, stable: &mut impl Stable) -> Result<(), KitError> {
        self.manifest().map_or(Ok(()), |manifest| check_root(manifest, sealed_root))?;
        self.begin_writing(stable)
    }

    /// How far reading is, by what is really written.
    pub(crate) fn progress(&self) -> PullProgress {
        let total_bytes = self.manifest().map_or(0, |manifest| manifest.shape().size_pages() * PAGE_BYTES);
        let (is_complete, done_bytes) = match &self.stage {
            Stage::Waiting | Stage::Collecting { .. } => (false, 0),
            Stage::Writing(writing) => (false, total_bytes - writing.missing_bytes()),
            Stage::Written(_) | Stage::Equal { .. } | Stage::Verified { .. } => (true, total_bytes),
        };
        self.told(is_complete, done_bytes, total_bytes)
    }

    /// Bytes of a chunk, for the budget.
    pub(crate) fn chunk_bytes(&self) -> u64 {
        self.manifest().map_or(0, |manifest| u64::from(manifest.shape().chunk_pages()) * PAGE_BYTES)
    }

    /// Hashes a slice of what was written and not read back since, read through the header that was written.
    /// `is_undisturbed`: nobody but the import can have written since it began. If somebody can, all is hashed.
    ///
    /// # Errors
    /// [`KitError::RootChanged`] if it is not what the manifest says: the next call hashes everything;
    /// [`KitError::Transfer`] before the image is written.
    pub(crate) fn verify(
        &mut self,
        stable: &impl Stable,
        is_undisturbed: bool,
        may_continue: impl FnMut() -> bool,
    ) -> Result<Verdict, KitError> {
        match &mut self.stage {
            Stage::Waiting | Stage::Collecting { .. } | Stage::Writing(_) => {
                Err(transfer("the image is not complete: pull until it is"))
            }
            Stage::Written(written) => {
                let verdict = written.verify(stable, is_undisturbed, may_continue)?;
                if verdict == Verdict::Load {
                    self.stage = Stage::Equal { manifest: written.manifest.clone() };
                }
                Ok(verdict)
            }
            Stage::Equal { .. } => Ok(Verdict::Load),
            Stage::Verified { seal, .. } => Ok(Verdict::Done(seal.clone())),
        }
    }

    /// The dapp has loaded the state and says what it holds.
    pub(crate) fn loaded(&mut self, fingerprint: Vec<u8>) -> Result<Seal, KitError> {
        match &self.stage {
            Stage::Equal { manifest } => {
                let seal = Seal {
                    root: ByteBuf::from(*manifest.root().as_bytes()),
                    used_pages: manifest.shape().size_pages(),
                    fingerprint: ByteBuf::from(fingerprint),
                };
                self.stage = Stage::Verified { manifest: manifest.clone(), seal: seal.clone() };
                Ok(seal)
            }
            Stage::Verified { seal, .. } => Ok(seal.clone()),
            _ => Err(transfer("the image is not verified")),
        }
    }

    /// The verified root, once the dapp has loaded the state.
    pub(crate) fn verified_root(&self) -> Option<Digest> {
        match &self.stage {
            Stage::Verified { manifest, .. } => Some(*manifest.root()),
            _ => None,
        }
    }

    fn manifest(&self) -> Option<&Manifest> {
        match &self.stage {
            Stage::Waiting => None,
            Stage::Writing(writing) => Some(&writing.manifest),
            Stage::Written(written) => Some(&written.manifest),
            Stage::Collecting { manifest, .. }
            | Stage::Equal { manifest }
            | Stage::Verified { manifest, .. } => Some(manifest),
        }
    }

    fn open(
        &mut self,
        opening: Opening,
        sealed_root: &Digest,
        stable: &mut impl Stable,
    ) -> Result<(), KitError> {
        let Stage::Waiting = self.stage else { return Ok(()) };
        let Opening { manifest, digests, batch } = opening;
        check_root(&manifest, sealed_root)?;
        // Said now, before anything travels, if the state can't be held.
        self.planned(manifest.shape())?;
        let collector = DigestCollector::new(manifest.clone());
        self.stage = Stage::Collecting { manifest, collector };
        match digests {
            Some(page) => self.collect(&page, stable)?,
            None => self.begin_writing(stable)?,
        }
        match batch {
            Some(batch) => self.write(&batch, stable),
            None => Ok(()),
        }
    }

    fn collect(&mut self, page: &DigestPage, stable: &mut impl Stable) -> Result<(), KitError> {
        let Stage::Collecting { collector, .. } = &mut self.stage else { return Ok(()) };
        collector.add(page).map_err(transfer)?;
        self.begin_writing(stable)
    }

    /// Goes on to writing if all digests are there: gives stable memory the size of the planned image.
    fn begin_writing(&mut self, stable: &mut impl Stable) -> Result<(), KitError> {
        let Stage::Collecting { manifest, collector } = &self.stage else { return Ok(()) };
        if collector.next().is_some() {
            return Ok(());
        }
        let Some(expected) = collector.clone().finish() else { return Ok(()) };
        let shape = manifest.shape();
        let has_pages = self.precopy.as_ref().map_or(0, |precopy| precopy.copy().view().stable_pages());
        let view = grown(self.planned(shape)?, has_pages, stable)?;
        let copy = match &self.precopy {
            Some(precopy) => precopy.copy().carried_to(view),
            None => Hashing::of_zeros(view),
        };
        let wanted = wanted(copy.digests(), &expected);
        let manifest = manifest.clone();
        self.precopy = None;
        self.stage = Stage::Writing(Box::new(Writing { manifest, copy, expected, wanted, withheld: None }));
        self.finish_writing(stable)
    }

    /// Where a shape will be: around what was copied before, if something was.
    fn planned(&self, shape: &Shape) -> Result<View, KitError> {
        match &self.precopy {
            Some(precopy) => precopy.copy().view().extended(shape.clone()),
            None => View::planned(shape.clone(), self.bucket_pages),
        }
    }

    fn write(&mut self, batch: &Batch, stable: &mut impl Stable) -> Result<(), KitError> {
        let Stage::Writing(writing) = &mut self.stage else { return Ok(()) };
        writing.take(batch, stable)?;
        self.finish_writing(stable)
    }

    /// Writes what makes an image of it, if every digest is met.
    fn finish_writing(&mut self, stable: &mut impl Stable) -> Result<(), KitError> {
        let Stage::Writing(writing) = &mut self.stage else { return Ok(()) };
        if !writing.wanted.runs.is_empty() {
            return Ok(());
        }
        if let Some(content) = &writing.withheld {
            writing.copy.view().write(stable, RAW_MEMORY, 0, content)?;
        }
        if let Some((offset_bytes, page)) = writing.copy.view().header_page() {
            stable.write(offset_bytes, &page);
        }
        if let Stage::Writing(writing) = mem::replace(&mut self.stage, Stage::Waiting) {
            let Writing { manifest, copy, expected, .. } = *writing;
            self.stage = Stage::Written(Box::new(Written { manifest, copy, expected, believes: None }));
        }
        Ok(())
    }
}

impl Writing {
    /// Verifies and writes the frames of a batch, then says what to ask for next.
    fn take(&mut self, batch: &Batch, stable: &mut impl Stable) -> Result<(), KitError> {
        let mut content = Vec::new();
        for frame in &batch.frames {
            self.take_frame(frame, &mut content, stable)?;
        }
        match batch.next {
            Some(position) if position > self.wanted.position && position < self.wanted.count() => {
                self.wanted.position = position;
                Ok(())
            }
            Some(position) => Err(transfer(format!(
                "the source goes on at {position} after {} of {} chunks: ask it again",
                self.wanted.position,
                self.wanted.count()
            ))),
            None => {
                let next = wanted(self.copy.digests(), &self.expected);
                let repeats = !next.runs.is_empty() && next.runs == self.wanted.runs;
                self.wanted = next;
                match repeats {
                    true => Err(transfer("the source says that all was sent, and nothing was: ask it again")),
                    false => Ok(()),
                }
            }
        }
    }

    fn take_frame(
        &mut self,
        frame: &Frame,
        content: &mut Vec<u8>,
        stable: &mut impl Stable,
    ) -> Result<(), KitError> {
        let chunk = frame.chunk;
        let expected = self.expected.get(chunk).copied();
        frame.decode(self.copy.view().shape(), expected.as_ref(), content).map_err(transfer)?;
        let found = if chunk == (ChunkId { memory: RAW_MEMORY, index: 0 }) {
            let digest = self.copy.believe(chunk, content)?;
            self.withheld = Some(mem::take(content));
            digest
        } else {
            self.copy.write(stable, chunk, content)?
        };
        match expected {
            Some(stated) if stated != found => Err(transfer(FrameError::Digest { chunk, stated })),
            _ => Ok(()),
        }
    }

    fn missing_bytes(&self) -> u64 {
        let shape = self.expected.shape();
        let missing = shape.chunks().zip(self.expected.digests()).zip(self.copy.digests().digests());
        let pages = missing
            .filter(|((_, expected), held)| expected != held)
            .filter_map(|((chunk, _), _)| shape.pages(chunk))
            .map(|pages| pages.end - pages.start);
        pages.sum::<u64>() * PAGE_BYTES
    }
}

impl Written {
    /// Hashes a slice of what is not known yet; then compares.
    fn verify(
        &mut self,
        stable: &impl Stable,
        is_undisturbed: bool,
        may_continue: impl FnMut() -> bool,
    ) -> Result<Verdict, KitError> {
        if self.believes.is_none_or(|believes| believes && !is_undisturbed) {
            let view = View::like(self.manifest.shape(), stable)?;
            self.copy = if is_undisturbed { self.copy.carried_to(view) } else { Hashing::new(view) };
            self.believes = Some(is_undisturbed);
        }
        if self.copy.run(stable, may_continue)? == Slicing::Paused {
            return Ok(Verdict::Working(self.copy.progress()));
        }
        let digests = self.copy.digests();
        let (found, sealed) = (*digests.manifest().root(), *self.manifest.root());
        if found == sealed {
            return Ok(Verdict::Load);
        }
        let wrong = digests.missing_for(&self.expected);
        let first =
            wrong.first().map(|run| format!(" (chunk {} of memory {} differs)", run.first, run.memory));
        (self.copy, self.believes) = (Hashing::new(self.copy.view().clone()), None);
        let found = format!("{found}{}", first.unwrap_or_default());
        Err(KitError::RootChanged { found, sealed: sealed.to_string() })
    }
}

fn check_root(manifest: &Manifest, sealed_root: &Digest) -> Result<(), KitError> {
    if manifest.root() == sealed_root {
        return Ok(());
    }
    Err(KitError::RootChanged { found: manifest.root().to_string(), sealed: sealed_root.to_string() })
}
