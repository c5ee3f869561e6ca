//! What a coordinator reads and writes of a snapshot: its header page, what lies behind its last bucket, its chunk store. The
//! pages of state do not pass through here.

use crate::management::ChunkHash;
use crate::management::Failure;
use crate::snapshots::{self, Metadata, Offset, ReadKind, Slice, WriteKind};
use candid::Principal;
use decant_engine::SnapshotId;
use decant_layout::{HEADER_BYTES, Image, Layout, PAGE_BYTES, Tail, TailScan};
use serde_bytes::ByteBuf;

/// Pages of a slice: 1,966,080 bytes of the 2,000,000 that a call may carry (code, `rs/types/management_canister_types`).
const SLICE_PAGES: u64 = 30;
/// Zeros behind the last bucket that are read at most: 16 MiB, each byte of which costs a thousand cycles.
const TAIL_PAGES: u64 = 256;
/// A module that does nothing: the one that is to run is installed over it.
pub(crate) const EMPTY_MODULE: &[u8; 8] = b"\0asm\x01\0\0\0";

/// The stable memory of a snapshot, as its first bytes tell.
pub(crate) async fn image(
    canister: Principal,
    snapshot: &SnapshotId,
    metadata: &Metadata,
) -> Result<Result<Image, String>, Failure> {
    let size = metadata.stable_memory_size.min(HEADER_BYTES as u64);
    let header = match size {
        0 => ByteBuf::new(),
        size => snapshots::read(canister, snapshot, ReadKind::Stable(Slice { offset: 0, size })).await?,
    };
    let pages = metadata.stable_memory_size / PAGE_BYTES;
    Ok(Image::parse(&header, pages).map_err(|error| error.to_string()))
}

/// What lies behind the last bucket; `None` if [`TAIL_PAGES`] zeros were read and more is there.
pub(crate) async fn tail(
    canister: Principal,
    snapshot: &SnapshotId,
    layout: &Layout,
) -> Result<Option<Tail>, Failure> {
    let mut scan = TailScan::new(layout);
    let mut read_bytes = 0;
    while let Some((offset, length)) = scan.wants(SLICE_PAGES) {
        if read_bytes >= TAIL_PAGES * PAGE_BYTES {
            return Ok(None);
        }
        let size = length as u64;
        let bytes = snapshots::read(canister, snapshot, ReadKind::Stable(Slice { offset, size })).await?;
        read_bytes += size;
        scan.saw(&bytes);
    }
    Ok(scan.tail())
}

/// What an uploaded snapshot has besides pages: the chunk store of another one of the canister, and an empty module.
pub(crate) async fn fill_rest(
    canister: Principal,
    saved: &SnapshotId,
    uploaded: &SnapshotId,
) -> Result<(), Failure> {
    for hash in snapshots::metadata(canister, saved).await?.stored_chunks() {
        let kind = ReadKind::StoredChunk(ChunkHash { hash });
        let chunk = snapshots::read(canister, saved, kind).await?;
        snapshots::write(canister, uploaded, WriteKind::StoredChunk, chunk).await?;
    }
    let module = ByteBuf::from(EMPTY_MODULE.to_vec());
    snapshots::write(canister, uploaded, WriteKind::Module(Offset { offset: 0 }), module).await
}
