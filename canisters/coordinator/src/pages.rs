//! What a coordinator reads and writes of a snapshot: its header page, what lies behind its last bucket. The
//! pages of state do not pass through here.

use crate::management::Failure;
use crate::snapshots::{self, Metadata, Offset, ReadKind, Slice, WriteKind};
use candid::Principal;
use decant_engine::SnapshotId;
use decant_layout::{
    HEADER_BYTES, Image, Layout, Obstacle, PAGE_BYTES, Structure, Tail, TailScan, manager_places,
};
use futures_util::future::join_all;
use serde_bytes::ByteBuf;

/// Pages behind the last bucket that are read: 1 MiB, each byte of which costs a thousand cycles.
const TAIL_PAGES: u64 = 16;
/// Bytes that tell what begins at a page.
const SIGN_BYTES: u64 = 4;
/// Reads of a few bytes at a time.
const READS: usize = 16;
/// Headers that are read at most: more are no managers.
const HEADERS: usize = 8;
/// Places before a manager that are looked at. In the field managers begin at page 1 or 48.
const PLACES_BEFORE: usize = 64;
/// A module that does nothing: the one that is to run is installed over it.
pub(crate) const EMPTY_MODULE: &[u8; 8] = b"\0asm\x01\0\0\0";

/// The stable memory of a snapshot, as the header of a manager at that page tells. Raw if there is none.
pub(crate) async fn image(
    canister: Principal,
    snapshot: &SnapshotId,
    metadata: &Metadata,
    manager_page: u64,
) -> Result<Result<Image, String>, Failure> {
    let size_pages = metadata.stable_memory_size / PAGE_BYTES;
    let Some(page) = u32::try_from(manager_page).ok().filter(|page| u64::from(*page) < size_pages) else {
        return Ok(Ok(if size_pages == 0 { Image::Empty } else { Image::Raw { size_pages } }));
    };
    let header = read_at(canister, snapshot, page.into(), HEADER_BYTES as u64).await?;
    Ok(Image::parse_at(page, &header, size_pages).map_err(|error| error.to_string()))
}

/// The page at which a manager of a snapshot begins: the first one of those that canisters are known to have.
pub(crate) async fn find_manager(
    canister: Principal,
    snapshot: &SnapshotId,
    size_pages: u64,
) -> Result<Option<u32>, Failure> {
    for page in managers(canister, snapshot, manager_places(size_pages)).await? {
        let header = read_at(canister, snapshot, page.into(), HEADER_BYTES as u64).await?;
        if Layout::parse_at(page, &header, size_pages).is_ok() {
            return Ok(Some(page));
        }
    }
    Ok(None)
}

/// Whether a manager of a snapshot is in no memory of another one, as far as the nearest places before it tell; the vessel
/// looks at all of them.
pub(crate) async fn place(
    canister: Principal,
    snapshot: &SnapshotId,
    layout: &Layout,
) -> Result<Result<(), Obstacle>, Failure> {
    let before = manager_places(layout.manager_page().into()).take(PLACES_BEFORE);
    for page in managers(canister, snapshot, before).await? {
        let header = read_at(canister, snapshot, page.into(), HEADER_BYTES as u64).await?;
        let outer = Layout::parse_at(page, &header, layout.stable_size_pages());
        if let Err(inside) = outer.map_or(Ok(()), |outer| outer.check_apart(layout.manager_page())) {
            return Ok(Err(inside));
        }
    }
    Ok(Ok(()))
}

/// Those of some pages that begin as a manager does; a few at most.
async fn managers(
    canister: Principal,
    snapshot: &SnapshotId,
    pages: impl Iterator<Item = u32>,
) -> Result<Vec<u32>, Failure> {
    let pages: Vec<u32> = pages.collect();
    let mut found = Vec::new();
    for pages in pages.chunks(READS) {
        let signs = pages.iter().map(|page| read_at(canister, snapshot, u64::from(*page), SIGN_BYTES));
        for (page, sign) in pages.iter().zip(join_all(signs).await) {
            if Structure::of(&sign?) == Some(Structure::Manager) {
                found.push(*page);
            }
        }
        if found.len() >= HEADERS {
            break;
        }
    }
    found.truncate(HEADERS);
    Ok(found)
}

/// The first bytes of a page.
async fn read_at(
    canister: Principal,
    snapshot: &SnapshotId,
    page: u64,
    size: u64,
) -> Result<ByteBuf, Failure> {
    let offset = page * PAGE_BYTES;
    snapshots::read(canister, snapshot, ReadKind::Stable(Slice { offset, size })).await
}

/// What lies behind the last bucket, as far as its first pages tell, and the places behind them at which a structure may
/// begin; the vessel looks at all of it.
pub(crate) async fn tail(
    canister: Principal,
    snapshot: &SnapshotId,
    layout: &Layout,
) -> Result<Tail, Failure> {
    let mut scan = TailScan::new(layout);
    if let Some((offset, length)) = scan.wants(TAIL_PAGES) {
        let slice = ReadKind::Stable(Slice { offset, size: length as u64 });
        scan.saw(&snapshots::read(canister, snapshot, slice).await?);
        scan.skip_to_signs();
    }
    let places: Vec<u64> = scan.places().collect();
    for places in places.chunks(READS) {
        let signs = places.iter().map(|page| read_at(canister, snapshot, *page, SIGN_BYTES));
        for sign in join_all(signs).await {
            scan.saw(&sign?);
        }
    }
    Ok(scan.tail().unwrap_or(Tail::Nothing))
}

/// What an uploaded snapshot has besides pages: an empty module.
pub(crate) async fn fill_rest(canister: Principal, uploaded: &SnapshotId) -> Result<(), Failure> {
    let module = ByteBuf::from(EMPTY_MODULE.to_vec());
    snapshots::write(canister, uploaded, WriteKind::Module(Offset { offset: 0 }), module).await
}
