//! Canister snapshots, all eight methods: taken and uploaded, read and loaded, listed and deleted. Management
//! canister, `take_canister_snapshot` to `delete_canister_snapshot`.

use candid::{CandidType, Principal, Reserved};
use pocket_ic::{ErrorCode, PocketIc, RejectCode, RejectResponse};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::support::canisters::{
    OWNER, assert_rejected, install, install_universal, install_universal_on, number, run, slot, stranger,
    universal, wat,
};
use crate::support::engine;
use crate::support::management::{
    Global, LowMemoryHook, Metadata, OfCanister, OfSnapshot, Place, Slice, Snapshot, SnapshotId, Source,
    Timer, UploadData, UploadMetadata, decode, manage, read_snapshot_data, status, upload_metadata,
    upload_snapshot_data,
};
use crate::support::script::{Call, Hook, Script, script};
use crate::support::wait::until;

const PAGE: u64 = 65_536;

/// "Snapshots per canister" (resource limits).
const MAX_SNAPSHOTS: usize = 10;

/// The largest slice that is read or written at once (facts, "Snapshots").
const MAX_SLICE: u64 = 2_000_000;

/// The smallest wasm module: magic and version.
const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

#[derive(CandidType, Deserialize)]
struct Chunk {
    chunk: Vec<u8>,
}

fn take(pic: &PocketIc, canister: Principal) -> Vec<u8> {
    pic.take_canister_snapshot(canister, Some(OWNER), None).expect("a snapshot is taken").id
}

fn load(pic: &PocketIc, canister: Principal, snapshot: &[u8]) -> Result<(), RejectResponse> {
    pic.load_canister_snapshot(canister, Some(OWNER), snapshot.to_vec())
}

fn metadata(pic: &PocketIc, canister_id: Principal, snapshot: &[u8]) -> Result<Metadata, RejectResponse> {
    let args = OfSnapshot { canister_id, snapshot_id: snapshot.to_vec() };
    manage(pic, OWNER, canister_id, "read_canister_snapshot_metadata", (args,)).map(|reply| decode(&reply))
}

fn read(
    pic: &PocketIc,
    canister: Principal,
    snapshot: &[u8],
    slice: Slice,
) -> Result<Vec<u8>, RejectResponse> {
    read_snapshot_data(pic, OWNER, canister, snapshot, slice).map(|reply| decode::<Chunk>(&reply).chunk)
}

fn upload(pic: &PocketIc, metadata: &UploadMetadata) -> Vec<u8> {
    let reply = upload_metadata(pic, OWNER, metadata).expect("the metadata is accepted");
    decode::<SnapshotId>(&reply).snapshot_id
}

fn write(
    pic: &PocketIc,
    canister: Principal,
    snapshot: &[u8],
    place: Place,
    chunk: &[u8],
) -> Result<Vec<u8>, RejectResponse> {
    upload_snapshot_data(pic, OWNER, canister, snapshot, place, chunk)
}

/// A universal canister with something in its heap and `pages` of stable memory that begin with `text`.
fn canister_with(pic: &PocketIc, pages: u64, text: &[u8]) -> Principal {
    let canister = install_universal(pic);
    run(pic, canister, fill(pages, text));
    canister
}

fn fill(pages: u64, text: &[u8]) -> Script {
    script().int(41).set(0).stable_grow(pages).forget().stable_write(0, text).reply()
}

/// `take_canister_snapshot`, `load_canister_snapshot`: loading brings heap and stable memory back.
#[test]
fn loading_a_snapshot_brings_the_state_back() {
    let pic = engine::pic();
    let canister = canister_with(&pic, 1, b"before");
    let snapshot = take(&pic, canister);
    run(&pic, canister, script().int(42).set(0).stable_write(0, b"after!").reply());
    load(&pic, canister, &snapshot).expect("it is loaded");
    assert_eq!(slot(&pic, canister, 0), 41);
    assert_eq!(&pic.get_stable_memory(canister)[..7], b"before\0");
    load(&pic, canister, &snapshot).expect("it can be loaded again");
}

/// Abstract behavior, "Load canister snapshot": stable memory becomes that of the snapshot, also where that
/// is smaller.
#[test]
fn loading_a_smaller_snapshot_shrinks_stable_memory() {
    let pic = engine::pic();
    let canister = canister_with(&pic, 1, b"small");
    let snapshot = take(&pic, canister);
    run(&pic, canister, script().stable_grow(199).forget().stable_write(100 * PAGE, b"large").reply());
    assert_eq!(status(&pic, OWNER, canister).expect("status").memory_metrics.stable_memory_size, 200 * PAGE);
    load(&pic, canister, &snapshot).expect("it is loaded");
    let expected = [&b"small"[..], &[0; 65_531]].concat();
    assert_eq!(pic.get_stable_memory(canister), expected);
    assert_eq!(status(&pic, OWNER, canister).expect("status").memory_metrics.stable_memory_size, PAGE);
    // What grows back is zeroed.
    run(&pic, canister, script().stable_grow(199).forget().reply());
    let read_back = script().stable_read(100 * PAGE, 5).append().reply();
    assert_eq!(run(&pic, canister, read_back), [0; 5]);
}

/// `load_canister_snapshot`: code is part of a snapshot, so an upgrade is undone too.
#[test]
fn loading_a_snapshot_brings_the_code_back() {
    let pic = engine::pic();
    let canister = canister_with(&pic, 1, b"x");
    let snapshot = take(&pic, canister);
    pic.upgrade_canister(canister, wat("(module)"), vec![], Some(OWNER)).expect("it upgrades");
    load(&pic, canister, &snapshot).expect("it is loaded");
    assert_eq!(slot(&pic, canister, 0), 41);
    let hash = status(&pic, OWNER, canister).expect("status").module_hash;
    assert_eq!(hash, Some(Sha256::digest(universal()).to_vec()));
}

/// `list_canister_snapshots`, `delete_canister_snapshot`; "Memory Metrics", `snapshots_size`: snapshots take
/// memory.
#[test]
fn snapshots_are_listed_counted_and_deleted() {
    let pic = engine::pic();
    let canister = canister_with(&pic, 4, b"x");
    let snapshots_size = || status(&pic, OWNER, canister).expect("status").memory_metrics.snapshots_size;
    let list = || pic.list_canister_snapshots(canister, Some(OWNER)).expect("the controller may list");
    assert!(list().is_empty());
    assert_eq!(snapshots_size(), 0_u64);

    let taken = [(); 3]
        .map(|()| pic.take_canister_snapshot(canister, Some(OWNER), None).expect("a snapshot is taken"));
    let listed = list();
    assert_eq!(listed.len(), 3);
    for snapshot in &taken {
        let entry = listed.iter().find(|entry| entry.id == snapshot.id).expect("it is listed");
        assert_eq!(entry.total_size, snapshot.total_size);
        assert_eq!(entry.taken_at_timestamp, snapshot.taken_at_timestamp);
        assert!(entry.total_size >= 5 * PAGE, "four pages of stable memory and one of heap");
    }
    assert_eq!(snapshots_size(), taken.iter().map(|snapshot| snapshot.total_size).sum::<u64>());

    pic.delete_canister_snapshot(canister, Some(OWNER), taken[1].id.clone()).expect("it is deleted");
    let left: Vec<_> = list().into_iter().map(|entry| entry.id).collect();
    assert_eq!(left.len(), 2);
    assert!(left.contains(&taken[0].id) && left.contains(&taken[2].id));
    let gone = load(&pic, canister, &taken[1].id);
    assert_rejected(gone, RejectCode::DestinationInvalid, ErrorCode::CanisterSnapshotNotFound);
    let again = pic.delete_canister_snapshot(canister, Some(OWNER), taken[1].id.clone());
    assert_rejected(again, RejectCode::DestinationInvalid, ErrorCode::CanisterSnapshotNotFound);
}

/// `take_canister_snapshot`: "the call might fail if the maximum number of snapshots per canister is
/// reached"; `replace_snapshot` avoids that.
#[test]
fn a_canister_has_ten_snapshots_at_most() {
    let pic = engine::pic();
    let canister = canister_with(&pic, 1, b"x");
    let first = take(&pic, canister);
    for _ in 1..MAX_SNAPSHOTS {
        take(&pic, canister);
    }
    pic.take_canister_snapshot(canister, Some(OWNER), None).expect_err("ten are there");
    let metadata = UploadMetadata::new(canister, 8, 0);
    upload_metadata(&pic, OWNER, &metadata).expect_err("uploaded ones count too");

    let replacing = pic.take_canister_snapshot(canister, Some(OWNER), Some(first.clone()));
    let second = replacing.expect("one is replaced").id;
    let uploaded = upload(&pic, &UploadMetadata { replace_snapshot: Some(second.clone()), ..metadata });
    let listed = pic.list_canister_snapshots(canister, Some(OWNER)).expect("the controller may list");
    assert_eq!(listed.len(), MAX_SNAPSHOTS);
    assert!(listed.iter().any(|entry| entry.id == uploaded));
    assert!(listed.iter().all(|entry| entry.id != first && entry.id != second));
}

/// `take_canister_snapshot`: a snapshot of code and state; there is none of an empty canister.
#[test]
fn an_empty_canister_has_no_snapshot_to_take() {
    let pic = engine::pic();
    let outcome = pic.take_canister_snapshot(pic.create_canister(), Some(OWNER), None);
    outcome.expect_err("there is nothing to take");
}

/// `read_canister_snapshot_metadata`: source, sizes, globals, certified data, timer.
#[test]
fn metadata_describes_the_snapshot() {
    let pic = engine::pic();
    let module = wat(r#"(module
        (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
        (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
        (memory 3)
        (data (i32.const 0) "certified")
        (global $constant i32 (i32.const 1))
        (global $small (mut i32) (i32.const -7))
        (global $exported (export "exported") i64 (i64.const 9))
        (global $large (mut i64) (i64.const 8))
        (func (export "canister_init")
            (call $certify (i32.const 0) (i32.const 9))
            (drop (call $timer (i64.const 9000000000000000000)))
            (global.set $large (i64.const 123456789012))))"#);
    let canister = install(&pic, &module, &[]);
    let described = metadata(&pic, canister, &take(&pic, canister)).expect("the controller may read it");
    assert!(matches!(described.source, Some(Source::TakenFromCanister(_))), "{described:?}");
    assert_eq!(described.wasm_module_size, module.len() as u64);
    assert_eq!((described.wasm_memory_size, described.stable_memory_size), (3 * PAGE, 0));
    let globals: Vec<_> = described.globals.into_iter().flatten().collect();
    assert_eq!(globals.len(), 3, "those that are exported or mutable: {globals:?}");
    for global in [Global::I32(-7), Global::I64(9), Global::I64(123_456_789_012)] {
        assert!(globals.contains(&global), "{global:?} is not among {globals:?}");
    }
    assert_eq!(described.certified_data, b"certified");
    assert_eq!(described.global_timer, Some(Timer::Active(9_000_000_000_000_000_000)));
}

/// `read_canister_snapshot_data`: slices of module, heap and stable memory, and chunks of the chunk store.
#[test]
fn every_part_of_a_snapshot_can_be_read() {
    let pic = engine::pic();
    let canister = canister_with(&pic, 2, b"stable");
    let chunk = pic.upload_chunk(canister, Some(OWNER), b"a chunk".to_vec()).expect("it is stored");
    let snapshot = take(&pic, canister);
    run(&pic, canister, script().int(0).set(0).stable_write(0, b"changed").reply());

    let part = |slice| read(&pic, canister, &snapshot, slice).expect("the controller may read it");
    let size = universal().len() as u64;
    assert!(part(Slice::WasmModule { offset: 0, size }) == universal(), "the module reads differently");
    assert_eq!(part(Slice::WasmModule { offset: 1, size: 3 }), b"asm");
    assert_eq!(number(&part(Slice::WasmMemory { offset: 64, size: 8 })), 41, "slot 0 of the heap");
    assert_eq!(part(Slice::StableMemory { offset: 2, size: 6 }), b"able\0\0");
    assert_eq!(part(Slice::StableMemory { offset: 2 * PAGE - 1, size: 1 }), [0]);
    assert_eq!(part(Slice::StableMemory { offset: 2 * PAGE, size: 0 }), b"");
    assert_eq!(part(Slice::WasmChunk { hash: chunk }), b"a chunk");
}

/// `read_canister_snapshot_data`: "`offset + size` must not exceed" the size of the part; at most 2,000,000
/// bytes at once.
#[test]
fn slices_have_limits() {
    let pic = engine::pic();
    let canister = canister_with(&pic, 40, b"stable");
    let snapshot = take(&pic, canister);
    let part = |slice| read(&pic, canister, &snapshot, slice);
    let largest = part(Slice::StableMemory { offset: 0, size: MAX_SLICE }).expect("it is in bounds");
    assert_eq!((largest.len() as u64, &largest[..7]), (MAX_SLICE, &b"stable\0"[..]));
    let size = universal().len() as u64;
    for slice in [
        Slice::StableMemory { offset: 0, size: MAX_SLICE + 1 },
        Slice::StableMemory { offset: 40 * PAGE, size: 1 },
        Slice::StableMemory { offset: u64::MAX, size: 2 },
        Slice::WasmMemory { offset: PAGE, size: 1 },
        Slice::WasmModule { offset: 1, size },
        Slice::WasmChunk { hash: vec![0; 32] },
    ] {
        part(slice.clone()).expect_err(&format!("{slice:?} is out of bounds"));
    }
}

/// `upload_canister_snapshot_metadata`, `upload_canister_snapshot_data`: a canister is copied by reading a
/// snapshot and uploading it again.
#[test]
fn a_canister_is_rebuilt_from_an_uploaded_snapshot() {
    let pic = engine::pic();
    let source = canister_with(&pic, 3, b"stable");
    run(&pic, source, script().certify(b"certified").stable_write(2 * PAGE, b"end").reply());
    let original = take(&pic, source);
    let described = metadata(&pic, source, &original).expect("the controller may read it");
    let part = |slice| read(&pic, source, &original, slice).expect("the controller may read it");

    let target = pic.create_canister();
    let copy = upload(
        &pic,
        &UploadMetadata {
            globals: described.globals.iter().flatten().cloned().collect(),
            wasm_memory_size: described.wasm_memory_size,
            certified_data: described.certified_data.clone(),
            ..UploadMetadata::new(target, described.wasm_module_size, described.stable_memory_size)
        },
    );
    let module = part(Slice::WasmModule { offset: 0, size: described.wasm_module_size });
    let (first, second) = module.split_at(module.len() / 2);
    write(&pic, target, &copy, Place::WasmModule { offset: first.len() as u64 }, second)
        .expect("in any order");
    write(&pic, target, &copy, Place::WasmModule { offset: 0 }, first).expect("in any order");
    let heap = part(Slice::WasmMemory { offset: 0, size: described.wasm_memory_size });
    write(&pic, target, &copy, Place::WasmMemory { offset: 0 }, &heap).expect("it fits");
    // What is not uploaded is zero: the page in the middle.
    for page in [0, 2] {
        let bytes = part(Slice::StableMemory { offset: page * PAGE, size: PAGE });
        write(&pic, target, &copy, Place::StableMemory { offset: page * PAGE }, &bytes).expect("it fits");
    }
    load(&pic, target, &copy).expect("it is loaded");
    assert_eq!(slot(&pic, target, 0), 41);
    assert_eq!(pic.get_stable_memory(target), pic.get_stable_memory(source));
    let again = metadata(&pic, target, &take(&pic, target)).expect("the controller may read it");
    assert_eq!(again.certified_data, b"certified");
    assert_eq!(again.globals, described.globals);
}

/// `upload_canister_snapshot_metadata`: a snapshot of the declared sizes, all zero, whose source is the
/// upload.
#[test]
fn uploaded_metadata_makes_a_zeroed_snapshot() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    let snapshot = upload(
        &pic,
        &UploadMetadata {
            globals: vec![Global::I32(1), Global::I64(-2)],
            wasm_memory_size: 2 * PAGE,
            certified_data: b"data".to_vec(),
            global_timer: Some(Timer::Active(77)),
            ..UploadMetadata::new(canister, 100, 5 * PAGE)
        },
    );
    let described = metadata(&pic, canister, &snapshot).expect("the controller may read it");
    assert!(matches!(described.source, Some(Source::MetadataUpload(_))), "{described:?}");
    assert_eq!((described.wasm_module_size, described.wasm_memory_size), (100, 2 * PAGE));
    assert_eq!(described.stable_memory_size, 5 * PAGE);
    assert_eq!(described.globals, [Some(Global::I32(1)), Some(Global::I64(-2))]);
    assert_eq!(described.certified_data, b"data");
    assert_eq!(described.global_timer, Some(Timer::Active(77)));
    let part = |slice| read(&pic, canister, &snapshot, slice).expect("the controller may read it");
    assert_eq!(part(Slice::WasmModule { offset: 0, size: 100 }), [0; 100]);
    assert_eq!(part(Slice::StableMemory { offset: 5 * PAGE - 100, size: 100 }), [0; 100]);
}

/// `upload_canister_snapshot_metadata`: sizes of memories are whole pages, certified data at most 32 bytes.
#[test]
fn impossible_metadata_is_refused() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    let good = UploadMetadata::new(canister, 8, PAGE);
    for bad in [
        UploadMetadata { wasm_module_size: 0, ..good.clone() },
        UploadMetadata { wasm_module_size: 1 << 40, ..good.clone() },
        UploadMetadata { stable_memory_size: PAGE + 1, ..good.clone() },
        UploadMetadata { stable_memory_size: 1 << 42, ..good.clone() },
        UploadMetadata { wasm_memory_size: 100, ..good.clone() },
        UploadMetadata { certified_data: vec![0; 33], ..good.clone() },
        UploadMetadata { replace_snapshot: Some(vec![9; 18]), ..good.clone() },
    ] {
        upload_metadata(&pic, OWNER, &bad).expect_err(&format!("{bad:?} is impossible"));
    }
    upload(&pic, &good);
}

/// `upload_canister_snapshot_data`: "`offset + |chunk|` must not exceed" the size in the metadata.
#[test]
fn uploaded_data_stays_within_the_declared_sizes() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    let snapshot = upload(&pic, &UploadMetadata::new(canister, 8, PAGE));
    write(&pic, canister, &snapshot, Place::StableMemory { offset: PAGE - 2 }, b"ok").expect("it fits");
    for (place, chunk) in [
        (Place::StableMemory { offset: PAGE - 1 }, &b"no"[..]),
        (Place::StableMemory { offset: u64::MAX }, b"no"),
        (Place::WasmModule { offset: 0 }, b"nine byte"),
        (Place::WasmMemory { offset: 0 }, b"x"),
    ] {
        let outcome = write(&pic, canister, &snapshot, place.clone(), chunk);
        outcome.expect_err(&format!("{place:?} does not fit"));
    }
    let end = read(&pic, canister, &snapshot, Slice::StableMemory { offset: PAGE - 3, size: 3 });
    assert_eq!(end.expect("the controller may read it"), b"\0ok");
    write(&pic, canister, &snapshot, Place::WasmChunk, b"chunk").expect("a chunk is stored");
    let hash = Sha256::digest(b"chunk").to_vec();
    let chunk = read(&pic, canister, &snapshot, Slice::WasmChunk { hash });
    assert_eq!(chunk.expect("the controller may read it"), b"chunk");
}

/// `upload_canister_snapshot_data`: fails "if the snapshot … has been created using the method
/// `take_canister_snapshot`".
#[test]
fn a_taken_snapshot_is_immutable() {
    let pic = engine::pic();
    let canister = canister_with(&pic, 1, b"taken");
    let snapshot = take(&pic, canister);
    let outcome = write(&pic, canister, &snapshot, Place::StableMemory { offset: 0 }, b"forged");
    assert_rejected(outcome, RejectCode::CanisterReject, ErrorCode::CanisterSnapshotImmutable);
    load(&pic, canister, &snapshot).expect("it is loaded");
    assert_eq!(&pic.get_stable_memory(canister)[..6], b"taken\0");
}

/// Abstract behavior, "Load canister snapshot": the globals of an uploaded snapshot match those of its module
/// in number and type.
#[test]
fn globals_that_do_not_match_the_module_are_refused() {
    let pic = engine::pic();
    let module = wat("(module (global (mut i32) (i32.const 1)) (global (mut i64) (i64.const 2)))");
    let canister = install(&pic, &module, &[]);
    let attempt = |globals: Vec<Global>| {
        let size = module.len() as u64;
        let snapshot = upload(&pic, &UploadMetadata { globals, ..UploadMetadata::new(canister, size, 0) });
        write(&pic, canister, &snapshot, Place::WasmModule { offset: 0 }, &module).expect("it fits");
        load(&pic, canister, &snapshot)
    };
    for wrong in [
        vec![],
        vec![Global::I32(1)],
        vec![Global::I64(2), Global::I32(1)],
        vec![Global::I32(1), Global::I64(2), Global::I32(3)],
    ] {
        attempt(wrong.clone()).expect_err(&format!("{wrong:?} does not match"));
    }
    attempt(vec![Global::I32(5), Global::I64(6)]).expect("these match");
    let taken = metadata(&pic, canister, &take(&pic, canister)).expect("the controller may read it");
    assert_eq!(taken.globals, [Some(Global::I32(5)), Some(Global::I64(6))]);
}

/// Facts, "Measured": the repack needs no module in the snapshot, since an upgrade that skips `pre_upgrade`
/// follows.
#[test]
fn the_empty_module_carries_stable_memory_through_an_upgrade() {
    let pic = engine::pic();
    let canister = canister_with(&pic, 129, b"bloated");
    pic.stop_canister(canister, Some(OWNER)).expect("it stops");
    let snapshot = upload(&pic, &UploadMetadata::new(canister, EMPTY_MODULE.len() as u64, 2 * PAGE));
    write(&pic, canister, &snapshot, Place::WasmModule { offset: 0 }, EMPTY_MODULE).expect("it fits");
    write(&pic, canister, &snapshot, Place::StableMemory { offset: 0 }, b"compact").expect("it fits");
    load(&pic, canister, &snapshot).expect("it is loaded");
    pic.upgrade_canister(canister, universal().to_vec(), script().status().set(1).bytes(), Some(OWNER))
        .expect("a stopped canister upgrades");
    pic.start_canister(canister, Some(OWNER)).expect("it starts");
    let memory = pic.get_stable_memory(canister);
    assert_eq!((memory.len() as u64, &memory[..8]), (2 * PAGE, &b"compact\0"[..]));
    assert_eq!([slot(&pic, canister, 0), slot(&pic, canister, 1)], [0, 3]);
}

/// `upload_canister_snapshot_metadata`: the global timer of an uploaded snapshot is set by loading it.
/// Abstract behavior, "Load canister snapshot".
#[test]
fn the_timer_of_an_uploaded_snapshot_fires() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let fire = script().hook(Hook::GlobalTimer, script().bump(0));
    run(&pic, canister, fire.reply());
    let original = take(&pic, canister);
    let described = metadata(&pic, canister, &original).expect("the controller may read it");
    let copy = upload(
        &pic,
        &UploadMetadata {
            globals: described.globals.into_iter().flatten().collect(),
            wasm_memory_size: described.wasm_memory_size,
            global_timer: Some(Timer::Active(1)),
            ..UploadMetadata::new(canister, described.wasm_module_size, 0)
        },
    );
    let heap =
        read(&pic, canister, &original, Slice::WasmMemory { offset: 0, size: PAGE }).expect("it is read");
    write(&pic, canister, &copy, Place::WasmMemory { offset: 0 }, &heap).expect("it fits");
    write(&pic, canister, &copy, Place::WasmModule { offset: 0 }, universal()).expect("it fits");
    load(&pic, canister, &copy).expect("it is loaded");
    until(&pic, "the timer", |pic| (slot(pic, canister, 0) == 1).then_some(()));
}

/// All eight methods: controllers only (by default).
#[test]
fn strangers_have_no_access_to_snapshots() {
    let pic = engine::pic();
    let canister = canister_with(&pic, 1, b"private");
    let snapshot = take(&pic, canister);
    let (who, id) = (stranger(), snapshot.clone());
    pic.take_canister_snapshot(canister, Some(who), None).expect_err("take");
    pic.load_canister_snapshot(canister, Some(who), id.clone()).expect_err("load");
    pic.list_canister_snapshots(canister, Some(who)).expect_err("list");
    pic.delete_canister_snapshot(canister, Some(who), id.clone()).expect_err("delete");
    let of = (OfSnapshot { canister_id: canister, snapshot_id: id.clone() },);
    manage(&pic, who, canister, "read_canister_snapshot_metadata", of).expect_err("read metadata");
    let slice = Slice::StableMemory { offset: 0, size: 7 };
    read_snapshot_data(&pic, who, canister, &id, slice).expect_err("read data");
    upload_metadata(&pic, who, &UploadMetadata::new(canister, 8, 0)).expect_err("upload metadata");
    let place = Place::StableMemory { offset: 0 };
    upload_snapshot_data(&pic, who, canister, &id, place, b"x").expect_err("upload data");
    load(&pic, canister, &snapshot).expect("the snapshot is as it was");
}

/// `read_canister_snapshot_data` and others: "can be called by canisters as well", from any subnet.
#[test]
fn a_controller_canister_on_another_subnet_reads_snapshots() {
    let (pic, [here, there]) = engine::pic_with_two_subnets();
    let (reader, canister) = (install_universal_on(&pic, here), install_universal_on(&pic, there));
    run(&pic, canister, fill(1, b"stable"));
    pic.set_controllers(canister, Some(OWNER), vec![OWNER, reader]).expect("the controller may");
    let of_canister = OfCanister { canister_id: canister };
    let reply = run(&pic, reader, script().call(Call::management("take_canister_snapshot", (of_canister,))));
    let snapshot_id = decode::<Snapshot>(&reply).id;
    let args = OfSnapshot { canister_id: canister, snapshot_id };
    let call = Call::management("read_canister_snapshot_metadata", (args,));
    let described: Metadata = decode(&run(&pic, reader, script().call(call)));
    assert_eq!(described.stable_memory_size, PAGE);
}

/// `load_canister_snapshot`: "The caller must be a controller of … the canister from which the snapshot is
/// loaded".
#[test]
fn a_snapshot_of_a_foreign_canister_is_not_loaded() {
    let pic = engine::pic();
    let (mine, foreign) = (canister_with(&pic, 1, b"mine"), canister_with(&pic, 1, b"foreign"));
    let snapshot = take(&pic, foreign);
    pic.set_controllers(foreign, Some(OWNER), vec![stranger()]).expect("the controller may");
    load(&pic, mine, &snapshot).expect_err("it belongs to another");
    assert_eq!(&pic.get_stable_memory(mine)[..5], b"mine\0");
}

/// Abstract behavior, "Load canister snapshot": the global timer is set by loading an *uploaded* snapshot only; a
/// taken one leaves it as it is.
#[test]
fn loading_a_taken_snapshot_leaves_the_timer_as_it_is() {
    const LATE: u64 = 9_000_000_000_000_000_000;
    let pic = engine::pic();
    let module = wat(r#"(module
        (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
        (import "ic0" "msg_reply" (func $reply))
        (func (export "canister_update arm")
            (drop (call $timer (i64.const 9000000000000000000))) (call $reply))
        (func (export "canister_update disarm") (drop (call $timer (i64.const 0))) (call $reply)))"#);
    let canister = install(&pic, &module, &[]);
    let call = |method: &str| pic.update_call(canister, OWNER, method, vec![]).expect("it replies");
    let timer = || {
        let described = metadata(&pic, canister, &take(&pic, canister)).expect("the controller may read it");
        described.global_timer
    };
    let disarmed = take(&pic, canister);
    call("arm");
    let armed = take(&pic, canister);
    load(&pic, canister, &disarmed).expect("it is loaded");
    assert_eq!(timer(), Some(Timer::Active(LATE)), "what was armed stays armed");
    call("disarm");
    load(&pic, canister, &armed).expect("it is loaded");
    assert_eq!(timer(), Some(Timer::Inactive), "what was disarmed stays disarmed");
}

/// `upload_canister_snapshot_metadata`: a status of the low-memory hook that contradicts the heap of the snapshot
/// is refused when it is loaded; none leaves the hook of the canister alone.
#[test]
fn a_hook_that_is_ready_above_an_empty_heap_is_refused() {
    let pic = engine::pic();
    let canister = canister_with(&pic, 2, b"stays");
    let attempt = |status: Option<LowMemoryHook>| {
        let snapshot = upload(
            &pic,
            &UploadMetadata {
                on_low_wasm_memory_hook_status: status,
                ..UploadMetadata::new(canister, EMPTY_MODULE.len() as u64, PAGE)
            },
        );
        write(&pic, canister, &snapshot, Place::WasmModule { offset: 0 }, EMPTY_MODULE).expect("it fits");
        load(&pic, canister, &snapshot)
    };
    let refused = attempt(Some(LowMemoryHook::Ready)).expect_err("there is no heap that could be low");
    assert!(refused.reject_message.contains("inconsistent"), "{refused}");
    assert_eq!(&pic.get_stable_memory(canister)[..6], b"stays\0", "a refusal changes nothing");
    attempt(None).expect("it says nothing of the hook");
    assert_eq!(pic.get_stable_memory(canister).len() as u64, PAGE);
}

/// Facts, "Snapshots"; code, `CanisterSnapshotNotLoadable`: another canister takes a snapshot over from the last
/// checkpoint, so one with pages that were written since is refused, for now.
#[test]
fn a_snapshot_of_another_canister_waits_for_a_checkpoint() {
    let pic = engine::pic();
    let (from, onto) = (canister_with(&pic, 1, b"carried"), install_universal(&pic));
    let taken = take(&pic, from);
    let reject = load(&pic, onto, &taken).expect_err("its pages are in no checkpoint yet");
    assert_eq!(reject.reject_code, RejectCode::CanisterReject);
    assert!(reject.reject_message.contains("not currently loadable"), "{reject}");
    load(&pic, from, &taken).expect("onto its own canister it is loaded at once");
    // PocketIC makes a checkpoint every 500 rounds.
    for _ in 0..500 {
        pic.tick();
    }
    load(&pic, onto, &taken).expect("after a checkpoint it is loaded");
    assert_eq!(&pic.get_stable_memory(onto)[..8], b"carried\0");
    // `canister_info`: "from_canister_id" says whose snapshot it was, if it was another canister's.
    assert_eq!(loaded_from(&pic, onto), Some(from));
    assert_eq!(loaded_from(&pic, from), None);
}

/// The canister whose snapshot was loaded last, as the history of `canister` names it.
fn loaded_from(pic: &PocketIc, canister_id: Principal) -> Option<Principal> {
    #[derive(CandidType)]
    struct CanisterInfo {
        canister_id: Principal,
        num_requested_changes: Option<u64>,
    }
    #[derive(CandidType, Deserialize)]
    struct History {
        recent_changes: Vec<Change>,
    }
    #[derive(CandidType, Deserialize)]
    struct Change {
        details: Option<Details>,
    }
    #[derive(CandidType, Deserialize)]
    enum Details {
        #[serde(rename = "creation")]
        Creation(Reserved),
        #[serde(rename = "code_uninstall")]
        CodeUninstall(Reserved),
        #[serde(rename = "code_deployment")]
        CodeDeployment(Reserved),
        #[serde(rename = "load_snapshot")]
        LoadSnapshot { from_canister_id: Option<Principal> },
        #[serde(rename = "controllers_change")]
        ControllersChange(Reserved),
    }
    let asking = install_universal(pic);
    let call =
        Call::management("canister_info", (CanisterInfo { canister_id, num_requested_changes: Some(1) },));
    let history: History = decode(&run(pic, asking, script().call(call)));
    let latest = history.recent_changes.first().and_then(|change| change.details.as_ref());
    let Some(Details::LoadSnapshot { from_canister_id }) = latest else {
        panic!("no snapshot was loaded last")
    };
    *from_canister_id
}

/// `upload_canister_snapshot_data`: fails only "if the snapshot … has been created using the method
/// `take_canister_snapshot`": one that was uploaded and loaded can be written on.
#[test]
fn an_uploaded_snapshot_is_written_after_it_was_loaded() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let size = EMPTY_MODULE.len() as u64;
    let snapshot = upload(&pic, &UploadMetadata::new(canister, size, PAGE));
    write(&pic, canister, &snapshot, Place::WasmModule { offset: 0 }, EMPTY_MODULE).expect("it fits");
    write(&pic, canister, &snapshot, Place::StableMemory { offset: 0 }, b"first!").expect("it fits");
    load(&pic, canister, &snapshot).expect("it is loaded");
    write(&pic, canister, &snapshot, Place::StableMemory { offset: 0 }, b"second")
        .expect("it is written again");
    assert_eq!(&pic.get_stable_memory(canister)[..6], b"first!");
    load(&pic, canister, &snapshot).expect("it is loaded again");
    assert_eq!(&pic.get_stable_memory(canister)[..6], b"second");
}

/// `upload_canister_snapshot_data`: the limit of a slice is one of reads (facts, "Measured"); a canister of the
/// subnet uploads what a message carries.
#[test]
fn a_canister_uploads_more_than_a_slice_at_once() {
    let pic = engine::pic();
    let (canister, hand) = (install_universal(&pic), install_universal(&pic));
    pic.set_controllers(canister, Some(OWNER), vec![OWNER, hand]).expect("the controller may");
    let snapshot_id = upload(&pic, &UploadMetadata::new(canister, 8, 64 * PAGE));
    let chunk = vec![0; 3 << 20];
    let args =
        UploadData { canister_id: canister, snapshot_id, kind: Place::StableMemory { offset: 0 }, chunk };
    let arg = candid::encode_one(&args).expect("arguments encode");
    // More than a message by ingress carries: the script is short, and the canister adds the zeros.
    let zeros =
        arg.windows(3 << 20).position(|window| window.iter().all(|byte| *byte == 0)).expect("the chunk");
    let (before, after) = (&arg[..zeros], &arg[zeros + (3 << 20)..]);
    let call = Call::new(Principal::management_canister(), "upload_canister_snapshot_data")
        .arg(before)
        .arg_of(script().zeros(3 << 20))
        .arg(after);
    assert_eq!(run(&pic, hand, script().call(call)), candid::encode_args(()).expect("nothing encodes"));
}
