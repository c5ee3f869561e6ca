//! Frames that fit a reply.

use crate::digest::bytes_of;
use crate::{DigestSet, Frame, FrameEncoder, PAGE_BYTES, PackError, Shape, Wanted};
use candid::CandidType;
use serde::{Deserialize, Serialize};

/// Bytes of a frame as Candid besides its `bytes`, at most: memory 1, index 4, codec 1, length 3, digest 33.
pub const FRAME_OVERHEAD_BYTES: usize = 42;
/// Bytes of a batch as Candid besides its frames, at most: type table, number of frames, position (tested).
pub const BATCH_OVERHEAD_BYTES: usize = 192;

/// Frames, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct Batch {
    /// Frames in the order in which they were wanted.
    pub frames: Vec<Frame>,
    /// The position to ask from next; nothing if and only if all that was wanted has been served. An empty
    /// batch is not the end, this is.
    pub next: Option<u64>,
}

/// Packs the frames of wanted chunks, one at least if any is wanted, until all are packed, the next would not
/// fit `limit_bytes`, or `may_continue` answers false, which is asked before every further frame.
///
/// `limit_bytes` is what the batch may take as Candid, alone; leave room for what it is wrapped in. `known`
/// are the digests of a sealed source, whose memory can't change: they are not computed again then.
/// `read(memory, offset_bytes, buffer)` reads a memory of the shape; it is called once a chunk.
///
/// # Errors
/// Any [`PackError`]. A limit of `BATCH_OVERHEAD_BYTES + FRAME_OVERHEAD_BYTES` + the bytes of a chunk is
/// never too small.
pub fn pack<E>(
    shape: &Shape,
    known: Option<&DigestSet>,
    wanted: &Wanted,
    limit_bytes: usize,
    encoder: &mut FrameEncoder,
    mut read: impl FnMut(u8, u64, &mut [u8]) -> Result<(), E>,
    mut may_continue: impl FnMut() -> bool,
) -> Result<Batch, PackError<E>> {
    if wanted.position > wanted.count() {
        return Err(PackError::Position { position: wanted.position, wanted: wanted.count() });
    }
    let mut frames = Vec::new();
    let mut content = Vec::new();
    let mut size_bytes = BATCH_OVERHEAD_BYTES;
    for (position, chunk) in (wanted.position..).zip(wanted.remaining()) {
        let next = Some(position);
        if !frames.is_empty() && !may_continue() {
            return Ok(Batch { frames, next });
        }
        let pages = shape.pages(chunk).ok_or(PackError::UnknownChunk(chunk))?;
        content.resize(bytes_of(&pages), 0);
        read(chunk.memory, pages.start * PAGE_BYTES, &mut content).map_err(PackError::Read)?;
        let digest = known.and_then(|digests| digests.get(chunk));
        let frame = encoder.frame(chunk, &pages, &content, digest);
        size_bytes += FRAME_OVERHEAD_BYTES + frame.bytes.len();
        if size_bytes > limit_bytes {
            if frames.is_empty() {
                return Err(PackError::LimitTooSmall { needed_bytes: size_bytes, limit_bytes });
            }
            return Ok(Batch { frames, next });
        }
        frames.push(frame);
    }
    Ok(Batch { frames, next: None })
}
