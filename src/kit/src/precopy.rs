//! Pre-copy: what a source that still serves shows of its state, and what a target keeps of that.
//!
//! Every chunk is read once, while users go on writing. What was read is of no state that ever was; the digests
//! of the seal say which chunks are still as they were, and only the others are sent again.

use decant_api::KitError;
use decant_api::source::{PrecopyBatch, Wanted};
use decant_transfer::{ChunkId, ChunkRun, DigestSet, FrameEncoder, Kind, PAGE_BYTES, Shape, pack};

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
    let batch = pack(shape, None, &wanted, limit_bytes, &mut encoder, read, may_continue)
        .map_err(|error| KitError::Transfer { reason: error.to_string() })?;
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
    /// Where it is.
    view: View,
    /// What it is.
    held: DigestSet,
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
        (self.done_bytes, self.view.size_bytes())
    }

    /// Where it is.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// What is held of memories that have another shape now.
    pub(crate) fn held_in(&self, shape: &Shape) -> DigestSet {
        match shape.chunk_pages() == self.held.shape().chunk_pages() {
            true if shape == self.held.shape() => self.held.clone(),
            true => self.held.carried_to(shape.clone()),
            // Other chunks: none has a digest that is known.
            false => DigestSet::of_nothing(shape.clone()),
        }
    }

    /// Begins in an empty stable memory, which gets the size of the planned image.
    pub(crate) fn begin(
        shape: &Shape,
        bucket_pages: u16,
        stable: &mut impl Stable,
    ) -> Result<Self, KitError> {
        let view = grown(View::planned(shape.clone(), bucket_pages)?, 0, stable)?;
        Ok(Self { view, held: DigestSet::of_zeros(shape.clone()), next: Some(FIRST), done_bytes: 0 })
    }

    /// Makes room for what the source has now.
    fn follow(&mut self, shape: &Shape, stable: &mut impl Stable) -> Result<(), KitError> {
        if shape != self.view.shape() {
            let view = grown(self.view.extended(shape.clone())?, self.view.stable_pages(), stable)?;
            (self.held, self.view) = (self.held_in(shape), view);
        }
        Ok(())
    }

    /// Verifies and writes frames.
    pub(crate) fn write(&mut self, batch: &PrecopyBatch, stable: &mut impl Stable) -> Result<(), KitError> {
        self.follow(&batch.shape, stable)?;
        let mut content = Vec::new();
        for frame in &batch.frames {
            let shape = self.view.shape();
            frame.decode(shape, None, &mut content).map_err(transfer)?;
            let pages = shape.pages(frame.chunk).ok_or_else(|| transfer("the frame is of another shape"))?;
            self.view.write(stable, frame.chunk.memory, pages.start * PAGE_BYTES, &content)?;
            self.held.set(frame.chunk, frame.digest);
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

fn transfer(reason: impl ToString) -> KitError {
    KitError::Transfer { reason: reason.to_string() }
}
