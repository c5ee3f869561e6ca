//! Dapps as they are in the field, each the canister of a user whom the index routes to it.

use crate::hand_over;
use crate::repack::{install, manage, nothing, plan, snapshots, used};
use crate::vessel::{set_controllers, upgrade};
use candid::{CandidType, Principal};
use decant_api::plan::{ByVessel, ModuleUse, Plan, Retention, Strategy};
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::world::World;
use ic_management_canister_types::{
    ReadCanisterSnapshotDataArgs, ReadCanisterSnapshotDataResult, ReadCanisterSnapshotMetadataArgs,
    ReadCanisterSnapshotMetadataResult, SnapshotDataKind,
};
use sha2::{Digest, Sha256};

/// What is posted to a canister before its job.
pub const POSTS: [&str; 3] = ["one", "two", "three"];
/// Bytes that one call reads of a snapshot.
const SLICE_BYTES: u64 = 2_000_000;

/// What kind of `taker` it is.
#[derive(Debug, Clone, Copy, CandidType)]
pub struct Flavour {
    /// Whether nothing works without the state.
    pub is_option: bool,
    /// Whether it has a fingerprint.
    pub has_fingerprint: bool,
    /// Whether its `load` forgets the posts.
    pub forgets: bool,
}

/// Those that an ordinary upgrade does not harm.
pub fn flavours() -> impl Iterator<Item = Flavour> {
    let both = [false, true];
    both.into_iter().flat_map(move |is_option| {
        both.into_iter().map(move |has_fingerprint| Flavour { is_option, has_fingerprint, forgets: false })
    })
}

/// A world of one canister a user.
pub fn world() -> World {
    World::new(crate::engine(), crate::modules(), &Options::default()).expect("the world is made")
}

#[derive(CandidType)]
struct Route {
    user: u64,
    canister: Principal,
}

/// A canister of a user, that the index routes to and controls.
pub fn routed(world: &World, user: u64, module: &[u8], argument: Vec<u8>) -> Principal {
    let canister = install(world, module, argument);
    set_controllers(world, canister, vec![world.operator, world.index]);
    let routes = vec![Route { user, canister }];
    let registered: Result<(), String> =
        update(&world.pic, world.index, world.operator, "register", (routes,)).expect("the index answers");
    registered.expect("the route is new");
    canister
}

/// The same, with posts in it that have survived an upgrade: they are in stable memory, with room to spare.
pub fn serving(world: &World, user: u64, module: &[u8], argument: Vec<u8>) -> Principal {
    let canister = routed(world, user, module, argument);
    for text in POSTS {
        post(world, canister, text);
    }
    upgrade(world, canister, module, nothing());
    canister
}

/// Posts; answers how many there are then.
pub fn post(world: &World, canister: Principal, text: &str) -> u64 {
    update(&world.pic, canister, world.operator, "post", (text,)).expect("the canister takes updates")
}

/// What was posted.
pub fn posts(world: &World, canister: Principal) -> Vec<String> {
    query(&world.pic, canister, "posts", ()).expect("the canister answers queries")
}

/// How often `pre_upgrade` of an `eraser` ran, and `post_upgrade`.
pub fn runs(world: &World, canister: Principal) -> (u64, u64) {
    let reply = world.pic.query_call(canister, world.operator, "runs", nothing()).expect("it answers");
    candid::decode_args(&reply).expect("two numbers")
}

/// The same module with another hash: a custom section says a number.
pub fn another_build(module: &[u8], number: u8) -> Vec<u8> {
    const NOTE: &[u8] = b"\x04note";
    let mut module = module.to_vec();
    module.extend([0, NOTE.len() as u8 + 1]);
    module.extend(NOTE);
    module.push(number);
    module
}

/// The strategies through vessels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In place.
    Repack,
    /// To a fresh canister.
    Relocate,
}

impl Way {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Repack, Self::Relocate];

    /// A plan for canisters that run these modules, which the index enrols.
    pub fn plan(self, world: &World, modules: Vec<ModuleUse>) -> Plan {
        let repack = plan(world, modules);
        let by = by_vessel(&repack);
        let strategy = match self {
            Self::Repack => Strategy::Repack(by),
            Self::Relocate => Strategy::RelocateVessel(by),
        };
        Plan {
            strategy,
            indexes: vec![world.index],
            recycling: None,
            retention: Retention::None,
            max_in_flight: 200,
            max_cycles: 1_000_000_000_000_000,
            cycles_per_target: 1_000_000_000_000,
            ..repack
        }
    }
}

/// What a plan by vessel says of canisters.
pub fn by_vessel(plan: &Plan) -> ByVessel {
    plan.strategy.by_vessel().expect("it goes through vessels").clone()
}

/// A plan with another word on canisters.
pub fn saying(plan: Plan, change: impl FnOnce(&mut ByVessel)) -> Plan {
    let mut by = by_vessel(&plan);
    change(&mut by);
    let strategy = match plan.strategy {
        Strategy::Repack(_) => Strategy::Repack(by),
        _ => Strategy::RelocateVessel(by),
    };
    Plan { strategy, ..plan }
}

/// A module that may lose its heap, since it has nothing there.
pub fn used_without_heap(module: &[u8], upgrade_arg: Vec<u8>) -> ModuleUse {
    ModuleUse { may_lose_heap: true, ..used(module, upgrade_arg) }
}

/// The jobs of canisters that the index hands to the coordinator.
pub fn enrolled(world: &World, canisters: &[Principal]) -> Vec<u64> {
    hand_over(world, canisters.to_vec()).expect("the index enrols")
}

/// All that a canister is, as a snapshot tells: its module, its heap with its globals, its stable memory; by their hashes.
#[derive(Debug, PartialEq)]
pub struct Contents {
    module: [u8; 32],
    heap: [u8; 32],
    globals: Vec<u8>,
    stable: [u8; 32],
}

/// The same of a canister now.
pub fn contents(world: &World, canister: Principal) -> Contents {
    let operator = Some(world.operator);
    let taken = world.pic.take_canister_snapshot(canister, operator, None).expect("a snapshot is taken");
    let of = ReadCanisterSnapshotMetadataArgs { canister_id: canister, snapshot_id: taken.id.clone() };
    let metadata: ReadCanisterSnapshotMetadataResult =
        manage(world, canister, "read_canister_snapshot_metadata", &of);
    let hash = |size: u64, kind: &dyn Fn(u64, u64) -> SnapshotDataKind| {
        let mut hash = Sha256::new();
        for offset in (0..size).step_by(SLICE_BYTES as usize) {
            let args = ReadCanisterSnapshotDataArgs {
                canister_id: canister,
                snapshot_id: taken.id.clone(),
                kind: kind(offset, SLICE_BYTES.min(size - offset)),
            };
            let data: ReadCanisterSnapshotDataResult =
                manage(world, canister, "read_canister_snapshot_data", &args);
            hash.update(&data.chunk);
        }
        hash.finalize().into()
    };
    let contents = Contents {
        module: hash(metadata.wasm_module_size, &|offset, size| SnapshotDataKind::WasmModule {
            offset,
            size,
        }),
        heap: hash(metadata.wasm_memory_size, &|offset, size| SnapshotDataKind::WasmMemory { offset, size }),
        globals: candid::encode_one(&metadata.globals).expect("globals encode"),
        stable: hash(metadata.stable_memory_size, &|offset, size| SnapshotDataKind::StableMemory {
            offset,
            size,
        }),
    };
    world.pic.delete_canister_snapshot(canister, operator, taken.id).expect("it is deleted");
    assert!(snapshots(world, canister).is_empty(), "nothing of a look is left");
    contents
}
