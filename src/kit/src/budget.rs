//! How much a message may still do.

use ic_cdk::api::instruction_counter;

use crate::limits::{READ_INSTRUCTIONS, SLICE_BYTES, SLICE_INSTRUCTIONS};

/// Whether a slice of hashing may take another chunk of that size.
pub(crate) fn slice(chunk_bytes: u64) -> impl FnMut() -> bool {
    let mut read_bytes = chunk_bytes;
    move || {
        read_bytes += chunk_bytes;
        read_bytes <= SLICE_BYTES && instruction_counter() < SLICE_INSTRUCTIONS
    }
}

/// Whether a read may pack another chunk.
pub(crate) fn read() -> impl FnMut() -> bool {
    || instruction_counter() < READ_INSTRUCTIONS
}
