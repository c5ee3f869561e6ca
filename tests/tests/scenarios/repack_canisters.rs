//! The canisters that repacks are tested on: without the kit, in the shapes that canisters have. And the offline
//! repack of a snapshot that was downloaded and is uploaded the way icp-cli does it.

use candid::{CandidType, Principal};
use decant_cli::rehearsal::calls::{kept, query, update};
use decant_cli::repack::{EMPTY_MODULE, Options, check, rewrite};
use decant_shapes_model::{Shapes, Size, Spec, page_bytes};
use decant_tests::dapps::flavours;
use decant_tests::engine;
use decant_tests::ledger::{self, Info, LedgerArgument, LedgerUpgrade, Model, TransferError, user};
use decant_tests::repack::{manage_at, nothing, one_of_each as spec, wasm};
use ic_management_canister_types::{
    CanisterTimer, OnLowWasmMemoryHookStatus, ReadCanisterSnapshotDataArgs, ReadCanisterSnapshotDataResult,
    ReadCanisterSnapshotMetadataArgs, ReadCanisterSnapshotMetadataResult, SnapshotDataKind,
    SnapshotDataOffset, UploadCanisterSnapshotDataArgs, UploadCanisterSnapshotMetadataArgs,
    UploadCanisterSnapshotMetadataResult,
};
use ic_stable_structures::VectorMemory;
use pocket_ic::{ErrorCode, PocketIc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PAGE_BYTES: u64 = 65_536;
const CYCLES: u128 = 1_000_000_000_000_000;
/// Bytes that icp-cli reads and uploads at a time.
const SLICE_BYTES: u64 = 2_000_000;

struct World {
    pic: PocketIc,
    operator: Principal,
}

impl World {
    fn new() -> Self {
        let pic = engine().builder().expect("a builder").with_application_subnet().build();
        Self { pic, operator: user(0) }
    }

    fn install(&self, module: &str, argument: impl CandidType) -> Principal {
        let canister = self.pic.create_canister_with_settings(Some(self.operator), None);
        self.pic.add_cycles(canister, CYCLES);
        let argument = candid::encode_one(argument).expect("the argument encodes");
        self.pic.install_canister(canister, wasm(module), argument, Some(self.operator));
        canister
    }

    fn upgrade(&self, canister: Principal, module: Vec<u8>, argument: Vec<u8>) -> Result<(), String> {
        loop {
            let (module, argument) = (module.clone(), argument.clone());
            match self.pic.upgrade_canister(canister, module, argument, Some(self.operator)) {
                Err(error) if error.error_code == ErrorCode::CanisterInstallCodeRateLimited => {
                    self.pic.advance_time(Duration::from_secs(60));
                    self.pic.tick();
                }
                upgraded => return upgraded.map_err(|error| error.to_string()),
            }
        }
    }

    fn query<R: CandidType + DeserializeOwned>(
        &self,
        canister: Principal,
        method: &str,
        arguments: impl candid::utils::ArgumentEncoder,
    ) -> R {
        query(&self.pic, canister, method, arguments).expect("the canister answers")
    }

    fn update<R: CandidType + DeserializeOwned>(
        &self,
        canister: Principal,
        sender: Principal,
        method: &str,
        arguments: impl candid::utils::ArgumentEncoder,
    ) -> R {
        update(&self.pic, canister, sender, method, arguments).expect("the canister answers")
    }

    fn stable_bytes(&self, canister: Principal) -> u64 {
        kept(&self.pic, self.operator, &[canister]).expect("the management canister answers").stable_bytes
    }

    fn manage<R: CandidType + DeserializeOwned>(
        &self,
        canister: Principal,
        method: &str,
        argument: impl CandidType,
    ) -> R {
        manage_at(&self.pic, self.operator, canister, method, &argument)
    }
}

// ---------------------------------------------------------------------------------------------- the ledger

#[derive(Debug, CandidType, Deserialize)]
enum MintError {
    NotMinter { minter: Principal },
    TooMany { total_supply: u128 },
}

fn ledger(world: &World) -> Principal {
    world.install("ledger", ledger::init())
}

#[test]
fn a_fresh_ledger_holds_33_million_bytes_of_stable_memory() {
    let world = World::new();
    let ledger = ledger(&world);
    assert_eq!(world.stable_bytes(ledger), (1 + 4 * 128) * PAGE_BYTES);
    assert!(world.stable_bytes(ledger) > 33_000_000);
}

#[test]
fn transfers_follow_a_model_and_an_upgrade_keeps_all() {
    let world = World::new();
    let ledger = ledger(&world);
    let mut model = Model::default();
    model.transact(&world.pic, ledger, 1, 60);
    let refused: Result<u64, MintError> = world.update(ledger, user(1), "mint", (user(1), 5_u128));
    assert!(matches!(refused, Err(MintError::NotMinter { minter }) if minter == user(9)), "{refused:?}");
    let once = (user(3), 1_u128, Some(77_u64));
    let first: Result<u64, TransferError> = world.update(ledger, user(9), "transfer", once);
    let of_block = first.expect("the minter has some left");
    *model.balances.get_mut(&user(9)).expect("the minter") -= 1;
    *model.balances.entry(user(3)).or_default() += 1;
    model.transfers.push((Some(user(9)), user(3), 1));

    let before = ledger::answers(&world.pic, ledger);
    let argument = ledger::upgrade();
    world.upgrade(ledger, wasm("ledger"), argument).expect("it upgrades");
    assert_eq!(ledger::answers(&world.pic, ledger), before);
    assert_eq!(world.query::<Info>(ledger, "info", ()).upgrades, 1);
    let again: Result<u64, TransferError> = world.update(ledger, user(9), "transfer", once);
    assert_eq!(again, Err(TransferError::Duplicate { of_block }), "the heap came through the upgrade");
    assert_eq!(world.stable_bytes(ledger), (1 + 4 * 128) * PAGE_BYTES);
    model.transact(&world.pic, ledger, 2, 20);
}

#[test]
fn a_ledger_is_not_upgraded_without_its_argument() {
    let world = World::new();
    let ledger = ledger(&world);
    let before = ledger::answers(&world.pic, ledger);
    let init = LedgerArgument::Init { name: String::new(), minter: user(1), initial_supply: 0 };
    let wrong = [candid::encode_args(()), candid::encode_one(init), candid::encode_one("text")];
    for argument in wrong.map(|argument| argument.expect("the argument encodes")) {
        world.upgrade(ledger, wasm("ledger"), argument).expect_err("that is no argument of an upgrade");
        assert_eq!(ledger::answers(&world.pic, ledger), before);
    }
    let rename = LedgerArgument::Upgrade(Some(LedgerUpgrade { name: Some("New".to_owned()) }));
    let argument = candid::encode_one(rename).expect("the argument encodes");
    world.upgrade(ledger, wasm("ledger"), argument).expect("it upgrades");
    assert_eq!(world.query::<Info>(ledger, "info", ()).name, "New");
}

// ---------------------------------------------------------------------------------------------- the shapes

#[test]
fn shapes_keep_their_digest_over_an_upgrade_whatever_their_buckets() {
    let world = World::new();
    for bucket_pages in [1, 16, 128, 1024] {
        let shapes = world.install("shapes", spec(bucket_pages));
        let mut model = Shapes::create(VectorMemory::default(), spec(bucket_pages)).expect("it can be");
        for seed in [1_u64, 2] {
            world.update::<()>(shapes, world.operator, "grow", (seed, 400_u64));
            model.grow(seed, 400);
        }
        let digest = ByteBuf::from(model.digest());
        assert_eq!(world.query::<ByteBuf>(shapes, "digest", ()), digest);
        world.upgrade(shapes, wasm("shapes"), nothing()).expect("it upgrades");
        assert_eq!(world.query::<ByteBuf>(shapes, "digest", ()), digest, "buckets of {bucket_pages}");
        assert_eq!(world.query::<Spec>(shapes, "spec", ()), spec(bucket_pages));
        let sizes: Vec<Size> = world.query(shapes, "sizes", ());
        assert_eq!(sizes, model.sizes());
        let buckets: u64 = sizes.iter().map(|size| size.pages.div_ceil(u64::from(bucket_pages))).sum();
        let pages = 1 + buckets * u64::from(bucket_pages);
        assert_eq!(world.stable_bytes(shapes), pages * PAGE_BYTES);
        world.update::<()>(shapes, world.operator, "grow", (3_u64, 100_u64));
        model.grow(3, 100);
        assert_eq!(world.query::<ByteBuf>(shapes, "digest", ()), ByteBuf::from(model.digest()));
    }
}

#[test]
fn shapes_take_many_raw_pages_in_one_message() {
    let world = World::new();
    let shapes = world.install("shapes", spec(128));
    let pages: u64 = world.update(shapes, world.operator, "fill_pages", (200_u8, 2_048_u64, 5_u64));
    assert_eq!(pages, 2_048);
    let (hash, count): (ByteBuf, u64) = pair(&world, shapes, "page_hash", (200_u8, 2_047_u64, 9_u64));
    let mut model = Shapes::create(VectorMemory::default(), spec(1)).expect("it can be");
    assert_ne!(page_bytes(5, 0), page_bytes(5, 1));
    model.fill_pages(200, 2_048, 5).expect("it fits");
    assert_eq!((hash, count), (ByteBuf::from(model.page_hash(200, 2_047, 9).0), 1));
    let refused = update::<u64>(&world.pic, shapes, world.operator, "fill_pages", (254_u8, 1_u64, 5_u64));
    let text = format!("{:#}", refused.expect_err("a structure is there"));
    assert!(text.contains("memory 254 is in use already"), "{text}");
}

/// A query with two results.
fn pair<A, B>(
    world: &World,
    canister: Principal,
    method: &str,
    arguments: impl candid::utils::ArgumentEncoder,
) -> (A, B)
where
    (A, B): for<'a> candid::utils::ArgumentDecoder<'a>,
{
    let arguments = candid::encode_args(arguments).expect("the arguments encode");
    let reply = world.pic.query_call(canister, Principal::anonymous(), method, arguments);
    candid::decode_args(&reply.expect("the canister answers")).expect("the reply decodes")
}

#[test]
fn a_timer_is_armed_again_after_an_upgrade_only_if_the_shape_says_so() {
    let world = World::new();
    let never = 4_000_000_000_000_000_000_u64;
    let armed = world.install("shapes", Spec { timer_at_nanos: Some(never), ..spec(16) });
    let once = world.install("shapes", spec(16));
    assert_eq!(world.update::<u64>(once, world.operator, "arm_timer", (never,)), 0);
    for canister in [armed, once] {
        world.upgrade(canister, wasm("shapes"), nothing()).expect("it upgrades");
    }
    assert_eq!(world.update::<u64>(armed, world.operator, "arm_timer", (never,)), never);
    assert_eq!(world.update::<u64>(once, world.operator, "arm_timer", (never,)), 0, "an upgrade clears it");
}

#[test]
fn a_canister_without_stable_memory_loses_its_count_in_an_upgrade() {
    let world = World::new();
    let counter = world.install("heap-only", ());
    for expected in 1..=3_u64 {
        assert_eq!(world.update::<u64>(counter, world.operator, "increment", ()), expected);
    }
    assert_eq!(world.stable_bytes(counter), 0);
    world.upgrade(counter, wasm("heap-only"), nothing()).expect("it upgrades");
    assert_eq!(world.query::<u64>(counter, "count", ()), 0);
}

// ------------------------------------------------------------------------------------- the offline repack

/// A directory that is gone when the test is over.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What is left behind lies below target.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What `icp canister snapshot download` does: the same records, the same JSON, the same files.
fn download(world: &World, canister_id: Principal, snapshot_id: &[u8], directory: &Path) {
    let snapshot_id = snapshot_id.to_vec();
    let metadata: ReadCanisterSnapshotMetadataResult = world.manage(
        canister_id,
        "read_canister_snapshot_metadata",
        ReadCanisterSnapshotMetadataArgs { canister_id, snapshot_id: snapshot_id.clone() },
    );
    std::fs::create_dir_all(directory.join("wasm_chunk_store")).expect("the directory is made");
    let write =
        |name: &str, bytes: &[u8]| std::fs::write(directory.join(name), bytes).expect("it is written");
    let read = |kind: SnapshotDataKind| {
        let argument = ReadCanisterSnapshotDataArgs { canister_id, snapshot_id: snapshot_id.clone(), kind };
        world
            .manage::<ReadCanisterSnapshotDataResult>(canister_id, "read_canister_snapshot_data", argument)
            .chunk
    };
    let blob = |size: u64, kind: fn(u64, u64) -> SnapshotDataKind| -> Vec<u8> {
        let offsets = (0..size).step_by(SLICE_BYTES as usize);
        offsets.flat_map(|offset| read(kind(offset, SLICE_BYTES.min(size - offset)))).collect()
    };
    let module = |offset, size| SnapshotDataKind::WasmModule { offset, size };
    let heap = |offset, size| SnapshotDataKind::WasmMemory { offset, size };
    let stable = |offset, size| SnapshotDataKind::StableMemory { offset, size };
    write("wasm_module.bin", &blob(metadata.wasm_module_size, module));
    write("wasm_memory.bin", &blob(metadata.wasm_memory_size, heap));
    write("stable_memory.bin", &blob(metadata.stable_memory_size, stable));
    for chunk in &metadata.wasm_chunk_store {
        let name = format!("wasm_chunk_store/{}.bin", hex::encode(&chunk.hash));
        write(&name, &read(SnapshotDataKind::WasmChunk { hash: chunk.hash.clone() }));
    }
    write("metadata.json", &serde_json::to_vec_pretty(&metadata).expect("it is JSON"));
}

/// What a canister has certified: a snapshot tells it.
fn certified_data(world: &World, canister_id: Principal) -> ByteBuf {
    world.pic.stop_canister(canister_id, Some(world.operator)).expect("it stops");
    let taken = world.pic.take_canister_snapshot(canister_id, Some(world.operator), None);
    let snapshot_id = taken.expect("a snapshot is taken").id;
    world.pic.start_canister(canister_id, Some(world.operator)).expect("it starts");
    let argument = ReadCanisterSnapshotMetadataArgs { canister_id, snapshot_id };
    let metadata: ReadCanisterSnapshotMetadataResult =
        world.manage(canister_id, "read_canister_snapshot_metadata", argument);
    ByteBuf::from(metadata.certified_data)
}

/// What `icp canister snapshot upload` does; answers the id of the snapshot.
fn upload(world: &World, canister_id: Principal, directory: &Path) -> Vec<u8> {
    let file = |name: &str| std::fs::read(directory.join(name)).expect("the file is there");
    let metadata: ReadCanisterSnapshotMetadataResult =
        serde_json::from_slice(&file("metadata.json")).expect("icp-cli reads it");
    let globals: Option<Vec<_>> = metadata.globals.into_iter().collect();
    let uploaded: UploadCanisterSnapshotMetadataResult = world.manage(
        canister_id,
        "upload_canister_snapshot_metadata",
        UploadCanisterSnapshotMetadataArgs {
            canister_id,
            replace_snapshot: None,
            wasm_module_size: metadata.wasm_module_size,
            globals: globals.expect("icp-cli refuses unknown globals"),
            wasm_memory_size: metadata.wasm_memory_size,
            stable_memory_size: metadata.stable_memory_size,
            certified_data: metadata.certified_data,
            global_timer: metadata.global_timer,
            on_low_wasm_memory_hook_status: metadata.on_low_wasm_memory_hook_status,
        },
    );
    let send = |kind: SnapshotDataOffset, chunk: Vec<u8>| {
        let snapshot_id = uploaded.snapshot_id.clone();
        let argument = UploadCanisterSnapshotDataArgs { canister_id, snapshot_id, kind, chunk };
        world.manage::<()>(canister_id, "upload_canister_snapshot_data", argument);
    };
    let blob = |name: &str, kind: fn(u64) -> SnapshotDataOffset| {
        for (slice, chunk) in (0_u64..).zip(file(name).chunks(SLICE_BYTES as usize)) {
            send(kind(slice * SLICE_BYTES), chunk.to_vec());
        }
    };
    blob("wasm_module.bin", |offset| SnapshotDataOffset::WasmModule { offset });
    blob("wasm_memory.bin", |offset| SnapshotDataOffset::WasmMemory { offset });
    blob("stable_memory.bin", |offset| SnapshotDataOffset::StableMemory { offset });
    for chunk in &metadata.wasm_chunk_store {
        let name = format!("wasm_chunk_store/{}.bin", hex::encode(&chunk.hash));
        send(SnapshotDataOffset::WasmChunk, file(&name));
    }
    uploaded.snapshot_id
}

/// The steps of docs/offline-repack.md, one after the other; answers the snapshot that is the way back.
fn repack_offline(
    world: &World,
    canister: Principal,
    module: &str,
    argument: &[u8],
    directory: &Path,
) -> Vec<u8> {
    let operator = Some(world.operator);
    let snapshot = || world.pic.take_canister_snapshot(canister, operator, None).expect("it is taken").id;
    world.pic.stop_canister(canister, operator).expect("it stops");
    let way_back = snapshot();
    world.upgrade(canister, EMPTY_MODULE.to_vec(), nothing()).expect("its own pre_upgrade runs");
    let saved = snapshot();
    let (source, out) = (directory.join("source"), directory.join("out"));
    download(world, canister, &saved, &source);
    rewrite(&source, &out, &Options::in_buckets_of(1)).expect("it is repacked");
    assert!(check(&source, &out).expect("both can be read").is_same());
    let uploaded = upload(world, canister, &out);
    world.pic.load_canister_snapshot(canister, operator, uploaded.clone()).expect("it is restored");
    // Should somebody start it here: there is nothing that could run.
    world.pic.start_canister(canister, operator).expect("it starts");
    let called = world.pic.query_call(canister, Principal::anonymous(), "digest", nothing());
    called.expect_err("an empty module has no methods");
    world.pic.stop_canister(canister, operator).expect("it stops");
    world.upgrade(canister, wasm(module), argument.to_vec()).expect("its own post_upgrade runs");
    world.pic.start_canister(canister, operator).expect("it starts");
    for snapshot in [saved, uploaded] {
        world.pic.delete_canister_snapshot(canister, operator, snapshot).expect("it is deleted");
    }
    way_back
}

/// Posts are on the heap, but for those of before the last upgrade.
fn post(world: &World, canister: Principal, text: &str) -> u64 {
    world.update(canister, world.operator, "post", (text,))
}

fn posts(world: &World, canister: Principal) -> Vec<String> {
    world.query(canister, "posts", ())
}

#[test]
fn code_that_erases_what_it_has_read_is_repacked_by_hand_and_each_hook_runs_once() {
    let (world, directory) = (World::new(), Temporary::new("offline-eraser"));
    let eraser = world.install("eraser", None::<bool>);
    post(&world, eraser, "one");
    world.upgrade(eraser, wasm("eraser"), nothing()).expect("it upgrades");
    post(&world, eraser, "two");
    let runs = || pair::<u64, u64>(&world, eraser, "runs", ());
    assert_eq!(runs(), (1, 1));
    let before = world.stable_bytes(eraser);
    let way_back = repack_offline(&world, eraser, "eraser", &nothing(), &directory.0);
    assert_eq!(runs(), (2, 2), "each ran once more");
    assert_eq!(posts(&world, eraser), ["one", "two"]);
    assert_eq!((before, world.stable_bytes(eraser)), ((1 + 2 * 128) * PAGE_BYTES, 3 * PAGE_BYTES));
    world.upgrade(eraser, wasm("eraser"), nothing()).expect("it upgrades again");
    assert_eq!(posts(&world, eraser), ["one", "two"]);

    let operator = Some(world.operator);
    world.pic.stop_canister(eraser, operator).expect("it stops");
    world.pic.load_canister_snapshot(eraser, operator, way_back).expect("the way back is there");
    world.pic.start_canister(eraser, operator).expect("it starts");
    assert_eq!((runs(), posts(&world, eraser).len()), ((1, 1), 2), "as it was, heap included");
    assert_eq!(world.stable_bytes(eraser), before);
}

#[test]
fn code_that_takes_its_state_off_the_heap_is_repacked_by_hand_whole() {
    let (world, directory) = (World::new(), Temporary::new("offline-taker"));
    for flavour in flavours() {
        let taker = world.install("taker", Some(flavour));
        for text in ["one", "two"] {
            post(&world, taker, text);
        }
        // Nothing of it was ever in stable memory: the only pre_upgrade is that of the repack.
        let place = directory.0.join(format!("{flavour:?}"));
        repack_offline(&world, taker, "taker", &nothing(), &place);
        assert_eq!(posts(&world, taker), ["one", "two"], "{flavour:?}");
        assert_eq!(world.stable_bytes(taker), (1 + 3) * PAGE_BYTES, "{flavour:?}");
        world.upgrade(taker, wasm("taker"), nothing()).expect("it upgrades again");
        assert_eq!(posts(&world, taker), ["one", "two"], "{flavour:?}");
    }
}

#[test]
fn a_ledger_that_was_repacked_offline_answers_as_before() {
    let (world, directory) = (World::new(), Temporary::new("offline-ledger"));
    let ledger = ledger(&world);
    let mut model = Model::default();
    model.transact(&world.pic, ledger, 3, 40);
    let before = ledger::answers(&world.pic, ledger);
    let argument = ledger::upgrade();
    repack_offline(&world, ledger, "ledger", &argument, &directory.0);
    assert_eq!(ledger::answers(&world.pic, ledger), before);
    assert_eq!(world.stable_bytes(ledger), (1 + 4) * PAGE_BYTES);
    assert_eq!(certified_data(&world, ledger), before.tip, "nothing but transactions sets it");
    model.transact(&world.pic, ledger, 4, 40);
    world.upgrade(ledger, wasm("ledger"), argument).expect("it upgrades again");
    assert_eq!(world.stable_bytes(ledger), (1 + 4) * PAGE_BYTES, "and does not grow");
}

#[test]
fn shapes_that_were_repacked_offline_go_on_as_those_that_were_not() {
    let (world, directory) = (World::new(), Temporary::new("offline-shapes"));
    let [repacked, other] = [(); 2].map(|()| world.install("shapes", spec(128)));
    for canister in [repacked, other] {
        world.update::<()>(canister, world.operator, "grow", (11_u64, 600_u64));
        world.update::<u64>(canister, world.operator, "fill_pages", (50_u8, 20_u64, 6_u64));
    }
    let digests = || [repacked, other].map(|canister| world.query::<ByteBuf>(canister, "digest", ()));
    let raw = || {
        [repacked, other]
            .map(|canister| pair::<ByteBuf, u64>(&world, canister, "page_hash", (50_u8, 0_u64, u64::MAX)))
    };
    repack_offline(&world, repacked, "shapes", &nothing(), &directory.0);
    let sizes: Vec<Size> = world.query(repacked, "sizes", ());
    let used_pages: u64 = sizes.iter().map(|size| size.pages).sum();
    assert_eq!(world.stable_bytes(repacked), (1 + used_pages) * PAGE_BYTES);
    for round in 0..3_u64 {
        let [ours, theirs] = digests();
        assert_eq!(ours, theirs, "round {round}");
        let [ours, theirs] = raw();
        assert_eq!(ours, theirs, "round {round}");
        for canister in [repacked, other] {
            world.update::<()>(canister, world.operator, "grow", (20 + round, 900_u64));
            world.update::<u64>(canister, world.operator, "fill_pages", (50_u8, 3_u64, round));
            world.upgrade(canister, wasm("shapes"), nothing()).expect("it upgrades");
        }
    }
    assert!(world.stable_bytes(repacked) < world.stable_bytes(other) / 8);
}

#[test]
fn metadata_are_written_as_the_tool_that_downloads_writes_them() {
    // Records of the crate that icp-cli uses, there and back.
    let (world, directory) = (World::new(), Temporary::new("offline-metadata"));
    let shapes =
        world.install("shapes", Spec { timer_at_nanos: Some(4_000_000_000_000_000_000), ..spec(128) });
    world.update::<()>(shapes, world.operator, "certify", (ByteBuf::from([7; 32]),));
    let operator = Some(world.operator);
    world.pic.stop_canister(shapes, operator).expect("it stops");
    let [dressed, source, out] = ["dressed", "source", "out"].map(|name| directory.0.join(name));
    let taken_to = |place: &Path| {
        let taken = world.pic.take_canister_snapshot(shapes, operator, None).expect("a snapshot is taken");
        download(&world, shapes, &taken.id, place);
    };
    taken_to(&dressed);
    let refused = rewrite(&dressed, &out, &Options::in_buckets_of(4)).expect_err("it has its code");
    assert!(format!("{refused:#}").contains("Upgrade the canister to nothing.wasm"), "{refused:#}");
    world.upgrade(shapes, EMPTY_MODULE.to_vec(), nothing()).expect("its own pre_upgrade runs");
    taken_to(&source);
    rewrite(&source, &out, &Options::in_buckets_of(4)).expect("it is repacked");
    let read = |directory: &Path| -> ReadCanisterSnapshotMetadataResult {
        let json = std::fs::read(directory.join("metadata.json")).expect("the file is there");
        serde_json::from_slice(&json).expect("icp-cli reads it")
    };
    let [dressed, before, after] = [&dressed, &source, &out].map(|place| read(place));
    assert_eq!(after.certified_data, [7; 32]);
    assert!(matches!(dressed.global_timer, Some(CanisterTimer::Active(4_000_000_000_000_000_000))));
    assert!(matches!(after.global_timer, Some(CanisterTimer::Inactive) | None), "every upgrade disarms it");
    assert!(matches!(
        before.on_low_wasm_memory_hook_status,
        Some(OnLowWasmMemoryHookStatus::ConditionNotSatisfied) | None
    ));
    assert!(after.on_low_wasm_memory_hook_status.is_none());
    assert!(!dressed.globals.is_empty() && before.globals.is_empty() && after.globals.is_empty());
    for without_code in [&before, &after] {
        assert_eq!((without_code.wasm_module_size, without_code.wasm_memory_size), (8, 0));
    }
    assert_eq!(after.taken_at_timestamp, before.taken_at_timestamp);
}
