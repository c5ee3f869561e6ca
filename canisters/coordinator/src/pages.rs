//! The pages of two snapshots: from the one into the other, and back to be compared.

use crate::snapshots::{self, Failure, Metadata, Offset, ReadKind, Slice, WriteKind};
use candid::Principal;
use decant_api::JobId;
use decant_engine::{Digest, Job, SnapshotId, SnapshotPair, Value, Walk};
use decant_layout::{HEADER_BYTES, Image, Layout, PAGE_BYTES, Tail, TailScan, copies};
use decant_transfer as transfer;
use futures_util::future::join_all;
use serde_bytes::ByteBuf;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Pages of a slice: 1,966,080 bytes of the 2,000,000 that a call may carry (code, `rs/types/management_canister_types`).
pub(crate) const SLICE_PAGES: u64 = 30;
/// Slices under way at a time: each prepays a response of 2 MiB, and is held on the heap.
pub(crate) const SLICES: usize = 16;
/// Layouts kept on the heap: of the jobs under way.
const KEPT_LAYOUTS: usize = 256;
/// Zeros behind the last bucket that are read at most: 16 MiB, each byte of which costs a thousand cycles.
const TAIL_PAGES: u64 = 256;
/// A module that does nothing: the one that is to run is installed over it.
pub(crate) const EMPTY_MODULE: &[u8; 8] = b"\0asm\x01\0\0\0";

/// Why pages were not moved.
pub(crate) enum Trouble {
    /// A call failed.
    Failed(Failure),
    /// What is there is not what it must be.
    Wrong(String),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Where the pages of a job are, and go.
struct Layouts {
    saved: Layout,
    compact: Layout,
    stored_chunks: Vec<ByteBuf>,
}

/// Pages that follow each other in both images.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Pages of state before it.
    position: u64,
    memory: u8,
    virtual_page: u64,
    saved_page: u64,
    compact_page: u64,
    pages: u64,
}

thread_local! {
    static LAYOUTS: RefCell<BTreeMap<JobId, Rc<Layouts>>> = const { RefCell::new(BTreeMap::new()) };
}

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

/// Moves the next slices of the saved image to their places in the compact one, and adds what was read to the
/// digest; behind the last one the chunk store, the empty module and the header page.
pub(crate) async fn upload(job: &Job, pair: &SnapshotPair, walk: Walk) -> Result<Value, Trouble> {
    let layouts = layouts(job, pair).await?;
    let window = window(&layouts, walk.next_page)?;
    let moved = join_all(window.iter().map(|run| move_run(pair, *run))).await;
    let mut wire_bytes = 0;
    let mut contents = Vec::with_capacity(moved.len());
    for run in moved {
        let (content, bytes) = run?;
        contents.push(content);
        wire_bytes += bytes;
    }
    let walk = walked(walk, &window, &contents);
    let is_complete = walk.next_page >= layouts.saved.usage().used_pages;
    if is_complete {
        wire_bytes += finish(pair, &layouts).await?;
    }
    Ok(Value::Uploaded { walk, is_complete, wire_bytes })
}

/// Reads the next slices of what was uploaded and adds them to the digest; before the first one it checks the
/// header page, which says where they are.
pub(crate) async fn compare(job: &Job, pair: &SnapshotPair, walk: Walk) -> Result<Value, Trouble> {
    let layouts = layouts(job, pair).await?;
    if walk.next_page == 0 {
        check_made(pair, &layouts).await?;
    }
    let window = window(&layouts, walk.next_page)?;
    let read = join_all(
        window.iter().map(|run| read_pages(pair.image, &pair.uploaded, run.compact_page, run.pages)),
    )
    .await;
    let contents = read.into_iter().collect::<Result<Vec<_>, _>>()?;
    let wire_bytes = contents.iter().map(|content| content.len() as u64).sum();
    let walk = walked(walk, &window, &contents);
    let is_complete = walk.next_page >= layouts.saved.usage().used_pages;
    if is_complete {
        LAYOUTS.with_borrow_mut(|kept| kept.remove(&job.id()));
    }
    Ok(Value::Compared { walk, is_complete, wire_bytes })
}

/// A walk that goes on with what was read of these runs.
fn walked(walk: Walk, window: &[Run], contents: &[ByteBuf]) -> Walk {
    let mut digest = transfer::Digest::new(walk.digest.0);
    for (run, content) in window.iter().zip(contents) {
        digest = digest.extended(run.memory, run.virtual_page, content);
    }
    let next_page = window.last().map_or(walk.next_page, |run| run.position + run.pages);
    Walk { next_page, digest: Digest(*digest.as_bytes()) }
}

/// The layouts of a job, read once a heap.
async fn layouts(job: &Job, pair: &SnapshotPair) -> Result<Rc<Layouts>, Trouble> {
    if let Some(known) = LAYOUTS.with_borrow(|kept| kept.get(&job.id()).cloned()) {
        return Ok(known);
    }
    let metadata = snapshots::metadata(pair.source, &pair.saved).await?;
    let image = image(pair.source, &pair.saved, &metadata).await?.map_err(Trouble::Wrong)?;
    let Image::Managed(saved) = image else {
        return Err(Trouble::Wrong("the saved image has no MemoryManager any more".to_owned()));
    };
    let compact = saved
        .compact(u32::from(job.plan().bucket_pages))
        .map_err(|error| Trouble::Wrong(error.to_string()))?;
    let stored_chunks = metadata.stored_chunks();
    let layouts = Rc::new(Layouts { saved, compact, stored_chunks });
    LAYOUTS.with_borrow_mut(|kept| {
        if kept.len() >= KEPT_LAYOUTS {
            kept.pop_first();
        }
        kept.insert(job.id(), Rc::clone(&layouts));
    });
    Ok(layouts)
}

/// The slices from a page of state on, as many as go at a time.
fn window(layouts: &Layouts, next_page: u64) -> Result<Vec<Run>, Trouble> {
    let runs = copies(&layouts.saved, &layouts.compact).map_err(|error| Trouble::Wrong(error.to_string()))?;
    let mut position = 0;
    let mut window = Vec::new();
    for run in runs {
        for done in (0..run.length_pages).step_by(SLICE_PAGES as usize) {
            let pages = SLICE_PAGES.min(run.length_pages - done);
            if position >= next_page {
                window.push(Run {
                    position,
                    memory: run.memory,
                    virtual_page: run.virtual_page + done,
                    saved_page: run.source_page + done,
                    compact_page: run.target_page + done,
                    pages,
                });
                if window.len() == SLICES {
                    return Ok(window);
                }
            }
            position += pages;
        }
    }
    Ok(window)
}

/// Reads a slice and writes what is not zero of it. Answers what was read, and the bytes that travelled.
async fn move_run(pair: &SnapshotPair, run: Run) -> Result<(ByteBuf, u64), Trouble> {
    let content = read_pages(pair.source, &pair.saved, run.saved_page, run.pages).await?;
    let place = |offset| WriteKind::Stable(Offset { offset });
    let begin = run.compact_page * PAGE_BYTES;
    let written_bytes = write_pages(pair.image, &pair.uploaded, &content, begin, place).await?;
    let wire_bytes = content.len() as u64 + written_bytes;
    Ok((content, wire_bytes))
}

/// Writes what is not zero from an offset on, a call for each run of such pages: a snapshot that was uploaded holds zeros.
/// Answers the bytes that it wrote.
pub(crate) async fn write_pages(
    canister: Principal,
    snapshot: &SnapshotId,
    content: &[u8],
    begin: u64,
    place: impl Fn(u64) -> WriteKind,
) -> Result<u64, Failure> {
    let pages: Vec<&[u8]> = content.chunks(PAGE_BYTES as usize).collect();
    let (mut offset, mut written_bytes) = (begin, 0);
    for group in pages.chunk_by(|left, right| transfer::is_zero(left) == transfer::is_zero(right)) {
        let bytes = group.concat();
        let length = bytes.len() as u64;
        if !transfer::is_zero(&bytes) {
            written_bytes += length;
            snapshots::write(canister, snapshot, place(offset), ByteBuf::from(bytes)).await?;
        }
        offset += length;
    }
    Ok(written_bytes)
}

async fn read_pages(
    canister: Principal,
    snapshot: &SnapshotId,
    page: u64,
    pages: u64,
) -> Result<ByteBuf, Trouble> {
    let slice = Slice { offset: page * PAGE_BYTES, size: pages * PAGE_BYTES };
    let bytes = snapshots::read(canister, snapshot, ReadKind::Stable(slice)).await?;
    if bytes.len() as u64 == pages * PAGE_BYTES {
        return Ok(bytes);
    }
    Err(Trouble::Wrong(format!("{} bytes came of {pages} pages of {canister}", bytes.len())))
}

/// What a snapshot has besides pages of state. The header page comes last: an image without it is none.
async fn finish(pair: &SnapshotPair, layouts: &Layouts) -> Result<u64, Trouble> {
    let mut wire_bytes = copy_chunks(pair, &layouts.stored_chunks).await?;
    let module = ByteBuf::from(EMPTY_MODULE.to_vec());
    snapshots::write(pair.image, &pair.uploaded, WriteKind::Module(Offset { offset: 0 }), module).await?;
    let mut header = layouts.compact.header_page();
    header.truncate(HEADER_BYTES);
    wire_bytes += header.len() as u64;
    let place = WriteKind::Stable(Offset { offset: 0 });
    snapshots::write(pair.image, &pair.uploaded, place, ByteBuf::from(header)).await?;
    Ok(wire_bytes)
}

/// Copies what is in a chunk store. Answers the bytes that travelled.
pub(crate) async fn copy_chunks(pair: &SnapshotPair, hashes: &[ByteBuf]) -> Result<u64, Failure> {
    let mut wire_bytes = 0;
    for hash in hashes {
        let kind = ReadKind::StoredChunk(crate::management::ChunkHash { hash: hash.clone() });
        let chunk = snapshots::read(pair.source, &pair.saved, kind).await?;
        wire_bytes += 2 * chunk.len() as u64;
        snapshots::write(pair.image, &pair.uploaded, WriteKind::StoredChunk, chunk).await?;
    }
    Ok(wire_bytes)
}

/// Whether what was uploaded has the layout and the chunk store that it must have.
async fn check_made(pair: &SnapshotPair, layouts: &Layouts) -> Result<(), Trouble> {
    let made = snapshots::metadata(pair.image, &pair.uploaded).await?;
    let image = image(pair.image, &pair.uploaded, &made).await?.map_err(Trouble::Wrong)?;
    if image != Image::Managed(layouts.compact.clone()) {
        return Err(Trouble::Wrong("the uploaded header page is another one".to_owned()));
    }
    if made.stored_chunks() != layouts.stored_chunks {
        return Err(Trouble::Wrong("the uploaded chunk store is another one".to_owned()));
    }
    Ok(())
}
