//! Pre-copy: what a source that still serves shows of its state, and what a target keeps of that.
//!
//! Every chunk is read once, while users go on writing. What was read is of no state that ever was; the digests
//! of the seal say which chunks are still as they were, and only the others are sent again.

use decant_api::KitError;
use decant_api::source::{PrecopyBatch, Wanted};
use decant_transfer::{ChunkId, ChunkRun, FrameEncoder, Kind, Shape, pack};

use crate::hashing::{Hashing, transfer};
use crate::limits::{MANIFEST_BYTES, REPLY_BYTES};
use crate::stable::Stable;
use crate::view::View;

/// Where a copy begins.
const FIRST: ChunkId = ChunkId { memory: 0, index: 0 };

/// Frames of what stable memory holds now, from a chunk on, as many as fit a reply.
///
/// # Errors
/// [`KitError::Layout`] unless a `MemoryManager` laid it out: others keep their whole state on the heap, as a
/// rule, and save it when they are frozen.
pub(crate) fn frames(
    stable: &impl Stable,
    from: ChunkId,
    may_continue: impl FnMut() -> bool,
) -> Result<PrecopyBatch, KitError> {
    let view = View::of(stable)?;
    let shape = view.shape();
    if shape.kind() != Kind::Managed {
        let reason = "only virtual memories are copied before the freeze: plan without pre-copy".to_owned();
        return Err(KitError::Layout { reason });
    }
    let wanted = Wanted { runs: runs_from(shape, from), position: 0 };
    let limit_bytes = REPLY_BYTES - MANIFEST_BYTES;
    let mut encoder = FrameEncoder::new();
    let read = |memory, offset_bytes, buffer: &mut [u8]| view.read(stable, memory, offset_bytes, buffer);
    let batch =
        pack(shape, None, &wanted, limit_bytes, &mut encoder, read, may_continue).map_err(transfer)?;
    let next = batch.next.and_then(|position| chunk_at(&wanted.runs, position));
    Ok(PrecopyBatch { shape: shape.clone(), frames: batch.frames, next })
}

/// All chunks from one on, which need not exist.
fn runs_from(shape: &Shape, from: ChunkId) -> Vec<ChunkRun> {
    let memories = shape.memories().iter().filter(|memory| memory.id >= from.memory);
    let runs = memories.map(|memory| {
        let first = if memory.id == from.memory { from.index } else { 0 };
        let chunks = memory.size_pages.div_ceil(u64::from(shape.chunk_pages()));
        let count = u32::try_from(chunks).unwrap_or(u32::MAX).saturating_sub(first);
        ChunkRun { memory: memory.id, first, count }
    });
    runs.filter(|run| run.count > 0).collect()
}

fn chunk_at(runs: &[ChunkRun], position: u64) -> Option<ChunkId> {
    let mut left = position;
    for run in runs {
        match u32::try_from(left) {
            Ok(offset) if offset < run.count => {
                return Some(ChunkId { memory: run.memory, index: run.first.saturating_add(offset) });
            }
            _ => left -= u64::from(run.count),
        }
    }
    None
}

/// What a target has of a source that still serves. It is no image: the first page is not written.
pub(crate) struct Precopy {
    /// Where it is, and what it is: each chunk was read back when it was written.
    copy: Hashing,
    /// The chunk to ask from next; none when all were read once.
    next: Option<ChunkId>,
    done_bytes: u64,
}

impl Precopy {
    /// What to ask for: the chunk to go on from.
    pub(crate) fn request(precopy: Option<&Self>) -> Option<ChunkId> {
        precopy.map_or(Some(FIRST), |precopy| precopy.next)
    }

    /// Bytes read, and bytes of the source when it was last seen.
    pub(crate) fn progress_bytes(&self) -> (u64, u64) {
        (self.done_bytes, self.copy.view().size_bytes())
    }

    /// Where it is and what it is.
    pub(crate) fn copy(&self) -> &Hashing {
        &self.copy
    }

    /// Begins in an empty stable memory, which gets the size of the planned image.
    pub(crate) fn begin(
        shape: &Shape,
        bucket_pages: u16,
        stable: &mut impl Stable,
    ) -> Result<Self, KitError> {
        let view = grown(View::planned(shape.clone(), bucket_pages)?, 0, stable)?;
        Ok(Self { copy: Hashing::of_zeros(view), next: Some(FIRST), done_bytes: 0 })
    }

    /// Makes room for what the source has now.
    fn follow(&mut self, shape: &Shape, stable: &mut impl Stable) -> Result<(), KitError> {
        let view = self.copy.view();
        if shape != view.shape() {
            let view = grown(view.extended(shape.clone())?, view.stable_pages(), stable)?;
            self.copy = self.copy.carried_to(view);
        }
        Ok(())
    }

    /// Writes frames, and reads back what it wrote.
    pub(crate) fn write(&mut self, batch: &PrecopyBatch, stable: &mut impl Stable) -> Result<(), KitError> {
        self.follow(&batch.shape, stable)?;
        let mut content = Vec::new();
        for frame in &batch.frames {
            frame.decode(self.copy.view().shape(), None, &mut content).map_err(transfer)?;
            self.copy.write(stable, frame.chunk, &mut content)?;
            self.done_bytes += content.len() as u64;
        }
        if batch.next.is_some_and(|next| self.next.is_none_or(|from| next <= from)) {
            return Err(transfer("the source does not go on: ask it again"));
        }
        self.next = batch.next;
        Ok(())
    }
}

/// The view, once stable memory of so many pages is as large as it says.
///
/// # Errors
/// [`KitError::NotEmpty`] if it has not as many; [`KitError::Layout`] if it can't grow.
pub(crate) fn grown(view: View, has_pages: u64, stable: &mut impl Stable) -> Result<View, KitError> {
    let stable_pages = stable.size_pages();
    if stable_pages != has_pages {
        return Err(KitError::NotEmpty { stable_pages });
    }
    let wanted_pages = view.stable_pages();
    if !stable.grow(wanted_pages.saturating_sub(stable_pages)) {
        let reason = format!(
            "stable memory can't grow to {wanted_pages} pages: give the target more memory or a higher limit"
        );
        return Err(KitError::Layout { reason });
    }
    Ok(view)
}
