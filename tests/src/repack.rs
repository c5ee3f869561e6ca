//! What the scenarios of repacks share: canisters without the kit, plans for them, and how they stand.

use crate::{modules, settle_with};
use candid::{CandidType, Nat, Principal};
use decant_api::jobs::{JobView, Outcome};
use decant_api::plan::{ByVessel, ModuleUse, Plan, Retention, Strategy};
use decant_api::routes::EnrolError;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::world::World;
use decant_shapes_model::{Kind, Spec, StructureSpec};
use pocket_ic::common::rest::RawEffectivePrincipal;
use pocket_ic::{CanisterSettings, PocketIc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Bytes of a page of stable memory.
pub const PAGE_BYTES: u64 = 65_536;
/// Cycles of a canister that is repacked: it pays for its snapshots itself.
const CYCLES: u128 = 1_000_000_000_000_000;

/// A module that scripts/build leaves.
pub fn wasm(name: &str) -> Vec<u8> {
    built(&format!("{name}.wasm"))
}

/// The vessel as the coordinator carries it.
pub fn carried_vessel() -> Vec<u8> {
    built("vessel.wasm.gz")
}

fn built(file: &str) -> Vec<u8> {
    modules();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/canisters").join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The argument of a method without one.
pub fn nothing() -> Vec<u8> {
    candid::encode_args(()).expect("nothing encodes")
}

/// An empty canister that the operator and the coordinator control.
pub fn create(world: &World) -> Principal {
    let controllers = Some(vec![world.operator, world.coordinator]);
    let settings = CanisterSettings { controllers, ..CanisterSettings::default() };
    let canister = world.pic.create_canister_with_settings(Some(world.operator), Some(settings));
    world.pic.add_cycles(canister, CYCLES);
    canister
}

/// A canister that the operator and the coordinator control.
pub fn install(world: &World, module: &[u8], argument: Vec<u8>) -> Principal {
    let canister = create(world);
    world.pic.install_canister(canister, module.to_vec(), argument, Some(world.operator));
    canister
}

/// A canister of shapes.
pub fn install_shapes(world: &World, spec: &Spec) -> Principal {
    install(world, &wasm("shapes"), candid::encode_one(spec).expect("a specification encodes"))
}

/// One structure of each kind, on memories that do not follow each other.
pub fn one_of_each(bucket_pages: u16) -> Spec {
    let structure = |id, second, kind| StructureSpec { id, second, kind };
    let memories = vec![
        structure(1, None, Kind::BTreeMap),
        structure(254, None, Kind::Vec),
        structure(3, Some(2), Kind::Log),
        structure(100, None, Kind::Heap),
        structure(7, None, Kind::Cell),
    ];
    Spec { bucket_pages, memories, timer_at_nanos: None }
}

/// Random changes of every structure of a canister of shapes.
pub fn grow(world: &World, shapes: Principal, seed: u64, operations: u64) {
    update(&world.pic, shapes, world.operator, "grow", (seed, operations)).expect("the canister grows")
}

/// What a canister of shapes holds.
pub fn digest(world: &World, shapes: Principal) -> ByteBuf {
    query(&world.pic, shapes, "digest", ()).expect("the canister answers")
}

/// What a plan says of a module that canisters run; the coordinator reads it out of a snapshot.
pub fn used(module: &[u8], upgrade_arg: Vec<u8>) -> ModuleUse {
    ModuleUse {
        hash: ByteBuf::from(Sha256::digest(module).to_vec()),
        chunk_hashes: Vec::new(),
        upgrade_arg: ByteBuf::from(upgrade_arg),
        may_lose_heap: false,
    }
}

/// A plan for repacks into buckets of one page, whose canisters the operator enrols.
pub fn plan(world: &World, modules: Vec<ModuleUse>) -> Plan {
    Plan {
        title: "Repack what nobody wrote for us".to_owned(),
        strategy: Strategy::Repack(ByVessel {
            modules,
            growth_percent: 100,
            may_drop_tail: false,
            rolls_back_on_lost_timer: None,
            manager_page: None,
        }),
        indexes: vec![world.operator],
        routes: None,
        subscribers: None,
        tombstone: None,
        bucket_pages: 1,
        min_reclaimed_pages: 0,
        recycling: None,
        retention: Retention::None,
        ledgers: Vec::new(),
        dependents: Vec::new(),
        max_canisters: 1_000,
        max_in_flight: 20,
        max_cycles: 1_000_000_000_000_000,
        cycles_per_target: 0,
    }
}

/// The plan for canisters of shapes.
pub fn shapes_plan(world: &World) -> Plan {
    plan(world, vec![used(&wasm("shapes"), nothing())])
}

/// Proposes the plan, enrols, and waits until all jobs have ended or are parked; answers these jobs.
pub fn repack(world: &World, plan: &Plan, canisters: &[Principal]) -> Vec<JobView> {
    repack_with(world, plan, canisters, || ())
}

/// As [`repack`], with something done before every round: what it submits meets the jobs on their way.
pub fn repack_with(
    world: &World,
    plan: &Plan,
    canisters: &[Principal],
    before_each_round: impl FnMut(),
) -> Vec<JobView> {
    world.propose(plan).expect("the plan is approved");
    enrol_with(world, canisters, before_each_round)
}

/// As [`repack_with`], by the plan that is in force.
pub fn enrol_with(
    world: &World,
    canisters: &[Principal],
    mut before_each_round: impl FnMut(),
) -> Vec<JobView> {
    let (pic, method) = (&world.pic, "decant_enrol");
    let arguments = candid::encode_one(canisters).expect("ids encode");
    let message = pic.submit_call(world.coordinator, world.operator, method, arguments).expect("it is sent");
    let reply = loop {
        before_each_round();
        pic.tick();
        if let Some(reply) = pic.ingress_status(message.clone()) {
            break reply.expect("the coordinator answers");
        }
    };
    let enrolled: Vec<Result<u64, EnrolError>> = candid::decode_one(&reply).expect("the reply decodes");
    settle_with(world, |_| before_each_round());
    enrolled.into_iter().map(|id| job(world, id.expect("it is enrolled"))).collect()
}

/// A job.
pub fn job(world: &World, id: u64) -> JobView {
    let view: Option<JobView> =
        query(&world.pic, world.coordinator, "decant_job", (id,)).expect("the coordinator answers");
    view.expect("there is such a job")
}

/// Why a job was rolled back.
pub fn refusal(job: &JobView) -> &str {
    match &job.outcome {
        Outcome::RolledBack { reason } => reason,
        other => panic!("job {} ended {other:?}", job.id),
    }
}

/// How a canister stands.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Status {
    /// Whether it runs.
    pub status: RunState,
    /// The module.
    pub module_hash: Option<ByteBuf>,
    /// Settings, as far as they are looked at.
    pub settings: Controllers,
    /// Cycles a day, when nothing is called.
    pub idle_cycles_burned_per_day: Nat,
    /// Memory, by kinds.
    pub memory_metrics: MemoryMetrics,
}

/// Whether a canister runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
pub enum RunState {
    /// It does.
    #[serde(rename = "running")]
    Running,
    /// Not for long.
    #[serde(rename = "stopping")]
    Stopping,
    /// It does not.
    #[serde(rename = "stopped")]
    Stopped,
}

/// Who controls a canister.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Controllers {
    /// They.
    pub controllers: Vec<Principal>,
}

/// Memory in bytes, by kinds.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct MemoryMetrics {
    /// Stable memory.
    pub stable_memory_size: Nat,
    /// Snapshots.
    pub snapshots_size: Nat,
}

impl Status {
    /// Pages of stable memory.
    pub fn stable_pages(&self) -> u64 {
        u64::try_from(&self.memory_metrics.stable_memory_size.0).expect("it fits") / PAGE_BYTES
    }
}

#[derive(CandidType)]
struct OfCanister {
    canister_id: Principal,
}

/// How a canister stands, as the management canister tells the operator.
pub fn status(world: &World, canister: Principal) -> Status {
    manage(world, canister, "canister_status", &OfCanister { canister_id: canister })
}

/// A call of the management canister about a canister, as the operator.
pub fn manage<R: CandidType + DeserializeOwned>(
    world: &World,
    canister: Principal,
    method: &str,
    argument: &impl CandidType,
) -> R {
    manage_at(&world.pic, world.operator, canister, method, argument)
}

/// As [`manage`], without a world.
pub fn manage_at<R: CandidType + DeserializeOwned>(
    pic: &PocketIc,
    sender: Principal,
    canister: Principal,
    method: &str,
    argument: &impl CandidType,
) -> R {
    let reply = pic
        .update_call_with_effective_principal(
            Principal::management_canister(),
            RawEffectivePrincipal::CanisterId(canister.as_slice().to_vec()),
            sender,
            method,
            candid::encode_one(argument).expect("the argument encodes"),
        )
        .unwrap_or_else(|error| panic!("{method}: {error}"));
    candid::decode_one(&reply).expect("the reply decodes")
}

/// The snapshots of a canister.
pub fn snapshots(world: &World, canister: Principal) -> Vec<Vec<u8>> {
    let listed = world.pic.list_canister_snapshots(canister, Some(world.operator));
    listed.expect("snapshots are listed").into_iter().map(|snapshot| snapshot.id).collect()
}

/// What a canister has certified: a snapshot tells it. It is stopped for a moment.
pub fn certified_data(world: &World, canister: Principal) -> ByteBuf {
    #[derive(CandidType)]
    struct OfSnapshot {
        canister_id: Principal,
        snapshot_id: ByteBuf,
    }
    #[derive(CandidType, Deserialize)]
    struct Metadata {
        certified_data: ByteBuf,
    }
    let operator = Some(world.operator);
    world.pic.stop_canister(canister, operator).expect("it stops");
    let taken = world.pic.take_canister_snapshot(canister, operator, None).expect("a snapshot is taken");
    world.pic.start_canister(canister, operator).expect("it starts");
    let snapshot_id = ByteBuf::from(taken.id.clone());
    let of_snapshot = OfSnapshot { canister_id: canister, snapshot_id };
    let metadata: Metadata = manage(world, canister, "read_canister_snapshot_metadata", &of_snapshot);
    world.pic.delete_canister_snapshot(canister, operator, taken.id).expect("it is deleted");
    metadata.certified_data
}
