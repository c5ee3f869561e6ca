//! A chunk as it is sent.

use crate::digest::{self, bytes_of, is_zero, length_without_zero_tail};
use crate::{ChunkId, Digest, FrameError, Shape};
use candid::CandidType;
use serde::{Deserialize, Serialize};
use snap::raw::{Decoder, Encoder, max_compress_len};
use std::ops::Range;

/// Compression pays if it saves at least one byte of this many. A byte sent costs 1,000 instructions' worth
/// of cycles (developer docs, "Cycles costs") and a byte decompressed up to 26 instructions (measured,
/// `docs/chunks.md`): it breaks even at one in 38.
const MIN_SAVING_DIVISOR: usize = 32;

/// How the bytes of a frame stand for those of its chunk. Zeros at the end of a chunk are never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, CandidType, Serialize, Deserialize)]
pub enum Codec {
    /// All zero: no bytes.
    Zeros,
    /// As they are, up to the last one that is not zero.
    Plain,
    /// The same in Snappy's raw format (`format_description.txt` of the Snappy project).
    Snappy,
}

/// A chunk as sent.
///
/// The digest covers the chunk's place and its content. Decoding does not compute it: who writes the content reads
/// it back, and compares what he finds with the digest that he expects. Then a frame whose place, codec, digest or
/// bytes were tampered with counts as missing, or it says the very same about the very same place: Snappy can say the
/// same thing in more than one way.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct Frame {
    /// Which chunk.
    pub chunk: ChunkId,
    /// How to read `bytes`.
    pub codec: Codec,
    /// At most as many as the chunk has.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// Digest of the chunk, as in a [`DigestSet`](crate::DigestSet).
    pub digest: Digest,
}

impl Frame {
    /// Decodes the frame. On success `content` has the length of the chunk, all of its pages; whether it is what the
    /// digest says only a digest of it tells, as [`Scan::saw`](crate::Scan::saw) answers it.
    ///
    /// `expected` is the digest that the manifest commits to, which the frame must state; `None` before there is a
    /// manifest. Never allocates more than the chunk has bytes, whatever the frame says.
    ///
    /// # Errors
    /// Any [`FrameError`]. `content` is undefined then.
    pub fn decode(
        &self,
        shape: &Shape,
        expected: Option<&Digest>,
        content: &mut Vec<u8>,
    ) -> Result<(), FrameError> {
        let (chunk, stated) = (self.chunk, self.digest);
        let pages = shape.pages(chunk).ok_or(FrameError::UnknownChunk(chunk))?;
        if let Some(&expected) = expected.filter(|&&expected| expected != stated) {
            return Err(FrameError::Unexpected { chunk, stated, expected });
        }
        content.resize(bytes_of(&pages), 0);
        let limit_bytes = if self.codec == Codec::Zeros { 0 } else { content.len() };
        if self.bytes.len() > limit_bytes {
            return Err(FrameError::Length { chunk, length_bytes: self.bytes.len(), limit_bytes });
        }
        if !fill(content, self.codec, &self.bytes) {
            return Err(FrameError::Malformed(chunk));
        }
        Ok(())
    }
}

/// Fills a chunk. Answers whether the bytes were in the form that the encoder writes.
fn fill(content: &mut [u8], codec: Codec, bytes: &[u8]) -> bool {
    let length = match codec {
        Codec::Zeros => {
            content.fill(0);
            return true;
        }
        Codec::Plain => {
            content[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        }
        // Refused if it says that more comes out than fits.
        Codec::Snappy => match Decoder::new().decompress(bytes, content) {
            Ok(length) => length,
            Err(_) => return false,
        },
    };
    let (filled, behind) = content.split_at_mut(length.min(content.len()));
    behind.fill(0);
    filled.last().is_some_and(|&byte| byte != 0)
}

/// Makes frames. Keeps 34 KiB and a buffer of a chunk between them.
pub struct FrameEncoder {
    encoder: Encoder,
    compressed: Vec<u8>,
}

impl FrameEncoder {
    /// An encoder; keep it while there are frames to make.
    pub fn new() -> Self {
        Self { encoder: Encoder::new(), compressed: Vec::new() }
    }

    /// The frame of a chunk that holds `content`.
    ///
    /// `known` is its digest where it is known and memory can't have changed since: computing it is left out
    /// then. Who reads back what he decoded from a frame with a wrong one asks for it again.
    ///
    /// # Errors
    /// [`FrameError::UnknownChunk`], or [`FrameError::Length`] if the content has not the chunk's length.
    pub fn encode(
        &mut self,
        shape: &Shape,
        chunk: ChunkId,
        content: &[u8],
        known: Option<&Digest>,
    ) -> Result<Frame, FrameError> {
        let pages = shape.pages(chunk).ok_or(FrameError::UnknownChunk(chunk))?;
        if content.len() != bytes_of(&pages) {
            let limit_bytes = bytes_of(&pages);
            return Err(FrameError::Length { chunk, length_bytes: content.len(), limit_bytes });
        }
        Ok(self.frame(chunk, &pages, content, known))
    }

    /// The frame of a chunk of these pages, whose content has their length.
    pub(crate) fn frame(
        &mut self,
        chunk: ChunkId,
        pages: &Range<u64>,
        content: &[u8],
        known: Option<&Digest>,
    ) -> Frame {
        let digest = match known {
            Some(digest) => *digest,
            None => digest::of_chunk(chunk.memory, pages, content),
        };
        let (codec, bytes) = self.shorten(content);
        Frame { chunk, codec, bytes, digest }
    }

    fn shorten(&mut self, content: &[u8]) -> (Codec, Vec<u8>) {
        if is_zero(content) {
            return (Codec::Zeros, Vec::new());
        }
        let content = &content[..length_without_zero_tail(content)];
        self.compressed.resize(max_compress_len(content.len()), 0);
        let pays_below = content.len() - content.len() / MIN_SAVING_DIVISOR;
        match self.encoder.compress(content, &mut self.compressed) {
            Ok(length) if length < pays_below => (Codec::Snappy, self.compressed[..length].to_vec()),
            _ => (Codec::Plain, content.to_vec()),
        }
    }
}

impl Default for FrameEncoder {
    fn default() -> Self {
        Self::new()
    }
}
