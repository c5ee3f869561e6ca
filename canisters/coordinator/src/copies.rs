//! A whole snapshot copied into another one of the same canister, with the global timer armed. Loading a snapshot that
//! was taken leaves the timer alone (code, `canister_manager.rs`); only one that was uploaded arms it.

use crate::pages::{SLICE_PAGES, SLICES, Trouble, copy_chunks, write_pages};
use crate::snapshots::{self, Metadata, Offset, ReadKind, Slice, Timer, UploadMetadata, WriteKind};
use candid::Principal;
use decant_engine::{SnapshotId, SnapshotPair, Value, Walk};
use decant_layout::PAGE_BYTES;
use futures_util::future::join_all;

/// What a snapshot has as bytes, in the order in which it is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Module,
    Heap,
    Stable,
}

impl Part {
    fn read(self, slice: Slice) -> ReadKind {
        match self {
            Self::Module => ReadKind::Module(slice),
            Self::Heap => ReadKind::Heap(slice),
            Self::Stable => ReadKind::Stable(slice),
        }
    }

    fn write(self, offset: u64) -> WriteKind {
        match self {
            Self::Module => WriteKind::Module(Offset { offset }),
            Self::Heap => WriteKind::Heap(Offset { offset }),
            Self::Stable => WriteKind::Stable(Offset { offset }),
        }
    }
}

/// Bytes that go at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    /// Pages of 64 KiB up to its end, in all parts; the last page of a module counts as a whole one.
    end_page: u64,
    part: Part,
    offset: u64,
    size: u64,
}

/// A snapshot of zeros as large as `base`, with its globals, certified data and hook. A timer that `base` has armed
/// itself stays.
pub(crate) async fn begin(
    canister: Principal,
    base: &SnapshotId,
    timer_nanos: u64,
) -> Result<SnapshotId, Trouble> {
    let metadata = snapshots::metadata(canister, base).await?;
    let globals: Option<Vec<_>> = metadata.globals.into_iter().collect();
    let Some(globals) = globals else {
        return Err(Trouble::Wrong(format!("{canister} has a global of a type that is not known here")));
    };
    let due = match metadata.global_timer {
        Some(due @ Timer::Active(_)) => due,
        Some(Timer::Inactive) | None => Timer::Active(timer_nanos),
    };
    let copy = snapshots::upload_metadata(&UploadMetadata {
        canister_id: canister,
        wasm_module_size: metadata.wasm_module_size,
        globals,
        wasm_memory_size: metadata.wasm_memory_size,
        stable_memory_size: metadata.stable_memory_size,
        certified_data: metadata.certified_data,
        global_timer: Some(due),
        on_low_wasm_memory_hook_status: metadata.on_low_wasm_memory_hook_status,
    })
    .await?;
    Ok(copy)
}

/// Copies the next pieces, and compares what it reads back; behind the last one the chunk store, and what metadata say.
pub(crate) async fn fill(
    canister: Principal,
    base: &SnapshotId,
    copy: &SnapshotId,
    walk: Walk,
) -> Result<Value, Trouble> {
    let metadata = snapshots::metadata(canister, base).await?;
    let rest = pieces(&metadata).filter(|piece| piece.end_page > walk.next_page);
    let (window, is_complete) = first(rest, SLICES);
    let moved = join_all(window.iter().map(|piece| move_piece(canister, base, copy, *piece))).await;
    let mut wire_bytes = moved.into_iter().sum::<Result<u64, _>>()?;
    let next_page = window.last().map_or(walk.next_page, |piece| piece.end_page);
    if is_complete {
        wire_bytes += finish(canister, base, copy, &metadata).await?;
    }
    Ok(Value::Uploaded { walk: Walk { next_page, ..walk }, is_complete, wire_bytes })
}

/// The first ones, and whether they are all.
fn first<T>(mut all: impl Iterator<Item = T>, count: usize) -> (Vec<T>, bool) {
    let first = all.by_ref().take(count).collect();
    (first, all.next().is_none())
}

fn pieces(metadata: &Metadata) -> impl Iterator<Item = Piece> {
    let parts = [
        (Part::Module, metadata.wasm_module_size),
        (Part::Heap, metadata.wasm_memory_size),
        (Part::Stable, metadata.stable_memory_size),
    ];
    let mut end_page = 0;
    parts.into_iter().flat_map(|(part, total)| split(part, total)).map(move |piece| {
        end_page += piece.size.div_ceil(PAGE_BYTES);
        Piece { end_page, ..piece }
    })
}

fn split(part: Part, total: u64) -> impl Iterator<Item = Piece> {
    let slice = SLICE_PAGES * PAGE_BYTES;
    (0..total.div_ceil(slice)).map(move |number| {
        let offset = number * slice;
        Piece { end_page: 0, part, offset, size: slice.min(total - offset) }
    })
}

/// Copies what is not zero of a piece, and reads it back. Answers the bytes that travelled.
async fn move_piece(
    canister: Principal,
    base: &SnapshotId,
    copy: &SnapshotId,
    piece: Piece,
) -> Result<u64, Trouble> {
    let Piece { part, offset, size, .. } = piece;
    let content = snapshots::read(canister, base, part.read(Slice { offset, size })).await?;
    let written_bytes = write_pages(canister, copy, &content, offset, |offset| part.write(offset)).await?;
    let written = snapshots::read(canister, copy, part.read(Slice { offset, size })).await?;
    if written != content || content.len() as u64 != size {
        let detail = format!("the copy of {size} bytes at {offset} of the {part:?} of {canister} differs");
        return Err(Trouble::Wrong(detail));
    }
    Ok(content.len() as u64 + written_bytes + written.len() as u64)
}

/// The chunk store; then everything that is not bytes must be alike, but for the timer.
async fn finish(
    canister: Principal,
    base: &SnapshotId,
    copy: &SnapshotId,
    metadata: &Metadata,
) -> Result<u64, Trouble> {
    let pair =
        SnapshotPair { source: canister, saved: base.clone(), image: canister, uploaded: copy.clone() };
    let wire_bytes = copy_chunks(&pair, &metadata.stored_chunks()).await?;
    let made = snapshots::metadata(canister, copy).await?;
    match difference(metadata, &made) {
        None => Ok(wire_bytes),
        Some(what) => Err(Trouble::Wrong(format!("the copy of {canister} has {what}"))),
    }
}

/// What two snapshots differ in besides their bytes and their timers.
fn difference(base: &Metadata, copy: &Metadata) -> Option<&'static str> {
    let sizes = |it: &Metadata| (it.wasm_module_size, it.wasm_memory_size, it.stable_memory_size);
    if sizes(base) != sizes(copy) {
        return Some("another size");
    }
    if !alike(&base.globals, &copy.globals) {
        return Some("other globals");
    }
    if base.certified_data != copy.certified_data {
        return Some("other certified data");
    }
    if base.on_low_wasm_memory_hook_status != copy.on_low_wasm_memory_hook_status {
        return Some("another status of the low-memory hook");
    }
    (base.stored_chunks() != copy.stored_chunks()).then_some("another chunk store")
}

/// Whether globals are the same bits: a float that is no number equals itself here.
fn alike(left: &[Option<snapshots::Global>], right: &[Option<snapshots::Global>]) -> bool {
    candid::encode_one(left).ok() == candid::encode_one(right).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_bytes::ByteBuf;

    fn sized(module: u64, heap: u64, stable: u64) -> Metadata {
        Metadata {
            wasm_module_size: module,
            globals: vec![Some(snapshots::Global::F64(f64::NAN))],
            wasm_memory_size: heap,
            stable_memory_size: stable,
            wasm_chunk_store: Vec::new(),
            certified_data: ByteBuf::from(vec![1]),
            global_timer: None,
            on_low_wasm_memory_hook_status: None,
        }
    }

    #[test]
    fn the_pieces_cover_every_byte_of_every_part_once_and_in_order() {
        for (module, heap, stable) in
            [(0, 0, 0), (8, 0, PAGE_BYTES), (1_234_567, 40 * PAGE_BYTES, 61 * PAGE_BYTES), (1, PAGE_BYTES, 0)]
        {
            let metadata = sized(module, heap, stable);
            for (part, total) in [(Part::Module, module), (Part::Heap, heap), (Part::Stable, stable)] {
                let mut at = 0;
                for piece in pieces(&metadata).filter(|piece| piece.part == part) {
                    assert_eq!(piece.offset, at);
                    assert!((1..=2_000_000).contains(&piece.size), "a call carries {} bytes", piece.size);
                    at += piece.size;
                }
                assert_eq!(at, total);
            }
            let ends: Vec<u64> = pieces(&metadata).map(|piece| piece.end_page).collect();
            assert!(ends.is_sorted_by(|left, right| left < right), "{ends:?}");
        }
    }

    #[test]
    fn a_window_goes_on_behind_the_last_one_and_says_when_it_is_the_last() {
        let metadata = sized(3, 100 * PAGE_BYTES, 0);
        let mut walked = 0;
        let mut seen = Vec::new();
        loop {
            let (window, is_last) = first(pieces(&metadata).filter(|piece| piece.end_page > walked), 2);
            seen.extend(window.iter().copied());
            walked = window.last().map_or(walked, |piece| piece.end_page);
            if is_last {
                break;
            }
        }
        assert_eq!(seen, pieces(&metadata).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_not_bytes_is_compared_and_the_timer_is_not() {
        let base = sized(1, 2, 3);
        let armed = Metadata { global_timer: Some(Timer::Active(5)), ..base.clone() };
        assert_eq!(difference(&base, &armed), None, "not a number is alike if its bits are");
        let other = [
            sized(1, 2, 4),
            Metadata { globals: Vec::new(), ..base.clone() },
            Metadata { certified_data: ByteBuf::new(), ..base.clone() },
            Metadata { on_low_wasm_memory_hook_status: Some(snapshots::Hook::Ready), ..base.clone() },
            Metadata {
                wasm_chunk_store: vec![crate::management::ChunkHash { hash: ByteBuf::from(vec![7]) }],
                ..base.clone()
            },
        ];
        for other in other {
            assert!(difference(&base, &other).is_some(), "{other:?}");
        }
    }
}
