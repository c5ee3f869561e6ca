//! Every call of a job goes wrong once, in every way, on the real coordinator: users are served with all their state,
//! and nothing of the job is left behind.
//!
//! This file always starts the embedded replica, whatever POCKET_IC_BIN says: only that can be made to reject a chosen
//! call, to trap in a chosen callback, or to upgrade a canister between two chosen messages. Calls of the management
//! canister wait without bound, so their replies cannot be lost on the network; what loses them is an upgrade of the
//! coordinator, or a callback that traps. The replica executes a call once, as the platform does: that a job survives
//! two executions is what follows here from a lost reply, since the coordinator then repeats the call.

use decant_api::jobs::{Outcome, PoolView, Summary};
use decant_api::plan::{ByVessel, Plan, Strategy};
use decant_cli::engine::Engine;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::world::World;
use decant_cli::rehearsal::{Modules, Options};
use decant_shapes_model::{Kind, Shapes, Spec, StructureSpec};
use decant_tests::faults::{Fault, arm, at_each_call, disarm, embedded, happened};
use decant_tests::keeper::{FAR_NANOS, Keeper, bump, bumped, call, peek};
use decant_tests::repack::{
    RunState, digest, enrol_with, grow, install, install_shapes, nothing, plan, refusal, shapes_plan,
    snapshots, status, used,
};
use decant_tests::{assert_serves, bloated_on, fleet_on, hand_over, modules, settle};
use ic_stable_structures::VectorMemory;
use serde_bytes::ByteBuf;

/// A map and a cell in buckets of 16 pages.
fn spec() -> Spec {
    let structure = |id, kind| StructureSpec { id, second: None, kind };
    let memories = vec![structure(1, Kind::BTreeMap), structure(9, Kind::Cell)];
    Spec { bucket_pages: 16, memories, timer_at_nanos: None }
}

/// One repack for each call that a repack makes.
fn sweep_repacks(fault: Fault) {
    let engine = embedded();
    let world = World::new(engine, modules(), &Options::default()).expect("the world is made");
    world.propose(&shapes_plan(&world)).expect("the plan is approved");
    let count = at_each_call(|nth| {
        let canister = install_shapes(&world, &spec());
        let mut model = Shapes::create(VectorMemory::default(), spec()).expect("it can be");
        let mut change = |seed: u64| {
            grow(&world, canister, seed, 80);
            model.grow(seed, 80);
            assert_eq!(digest(&world, canister), ByteBuf::from(model.digest()), "{fault:?} {nth}");
        };
        change(1);
        let before = status(&world, canister);
        let has_happened = arm(engine, &world, fault, nth);
        let job = enrol_with(&world, &[canister], || ()).remove(0);
        disarm(engine, &world);
        assert_eq!(job.outcome, Outcome::Done, "promise 4, {fault:?} at call {nth}: {job:?}");
        change(2);
        let after = status(&world, canister);
        assert_eq!(after.status, RunState::Running, "{fault:?} {nth}");
        assert_eq!(
            (after.module_hash.as_ref(), &after.settings),
            (before.module_hash.as_ref(), &before.settings)
        );
        assert!(after.stable_pages() < before.stable_pages() / 4, "{fault:?} {nth}: {after:?}");
        assert!(snapshots(&world, canister).is_empty(), "{fault:?} {nth}: snapshots of the job are left");
        happened(&has_happened)
    });
    println!("{count} calls: {fault:?}");
    assert!(count > 15, "a repack makes more than {count} calls");
}

#[test]
fn every_call_of_a_repack_is_rejected_once() {
    sweep_repacks(Fault::Rejected);
}

#[test]
fn every_callback_of_a_repack_traps_once() {
    sweep_repacks(Fault::CallbackTraps);
}

#[test]
fn the_coordinator_is_stopped_upgraded_and_started_at_every_call_of_a_repack() {
    sweep_repacks(Fault::Restarted);
}

/// As [`sweep_repacks`], of modules that the coordinator does not know, with timers that an upgrade disarms: each
/// module is read out of a snapshot, and another one says that the timer is lost.
fn sweep_repacks_of_unknown_modules(fault: Fault) {
    let engine = embedded();
    let world = World::new(engine, modules(), &Options::default()).expect("the world is made");
    let count = at_each_call(|nth| {
        let module = with_note(Keeper::default().module(), nth);
        let canister = install(&world, &module, nothing());
        bump(&world, canister);
        call(&world, canister, "arm");
        let before = status(&world, canister);
        world.propose(&plan(&world, vec![used(&module, nothing())])).expect("the plan is approved");
        let has_happened = arm(engine, &world, fault, nth);
        let job = enrol_with(&world, &[canister], || ()).remove(0);
        disarm(engine, &world);
        assert_eq!(job.outcome, Outcome::Done, "promise 4, {fault:?} at call {nth}: {job:?}");
        assert_eq!(peek(&world, canister), bumped(1), "{fault:?} {nth}");
        assert_eq!(job.timer_lost_nanos, Some(FAR_NANOS), "{fault:?} {nth}");
        let after = status(&world, canister);
        assert_eq!(after.module_hash, before.module_hash, "{fault:?} {nth}");
        assert_eq!((after.status, after.stable_pages()), (RunState::Running, 3), "{fault:?} {nth}");
        assert!(snapshots(&world, canister).is_empty(), "{fault:?} {nth}: snapshots of the job are left");
        happened(&has_happened)
    });
    println!("{count} calls: {fault:?}, unknown module");
    assert!(count > 30, "a repack makes more than {count} calls");
}

/// As [`sweep_repacks`], of canisters whose code does not start on the compact image: each job goes all the way back.
fn sweep_repacks_that_go_back(fault: Fault) {
    let engine = embedded();
    let world = World::new(engine, modules(), &Options::default()).expect("the world is made");
    let module = Keeper { least_pages: 100, ..Keeper::default() }.module();
    world.propose(&plan(&world, vec![used(&module, nothing())])).expect("the plan is approved");
    let count = at_each_call(|nth| {
        let canister = install(&world, &module, nothing());
        bump(&world, canister);
        call(&world, canister, "arm");
        let before = status(&world, canister);
        let has_happened = arm(engine, &world, fault, nth);
        let job = enrol_with(&world, &[canister], || ()).remove(0);
        disarm(engine, &world);
        assert!(refusal(&job).contains("trapped"), "promise 4, {fault:?} at call {nth}: {job:?}");
        assert_eq!(peek(&world, canister), bumped(1), "{fault:?} {nth}");
        assert_eq!(job.timer_lost_nanos, Some(FAR_NANOS), "{fault:?} {nth}");
        bump(&world, canister);
        let after = status(&world, canister);
        assert_eq!(
            (after.status, after.module_hash),
            (RunState::Running, before.module_hash),
            "{fault:?} {nth}"
        );
        assert_eq!(after.memory_metrics, before.memory_metrics, "{fault:?} {nth}");
        assert!(snapshots(&world, canister).is_empty(), "{fault:?} {nth}: snapshots of the job are left");
        happened(&has_happened)
    });
    println!("{count} calls: {fault:?}, back");
    assert!(count > 35, "a repack and its way back make more than {count} calls");
}

#[test]
fn every_call_of_a_repack_that_goes_back_is_rejected_once() {
    sweep_repacks_that_go_back(Fault::Rejected);
}

#[test]
fn every_callback_of_a_repack_that_goes_back_traps_once() {
    sweep_repacks_that_go_back(Fault::CallbackTraps);
}

#[test]
fn the_coordinator_is_stopped_upgraded_and_started_at_every_call_of_a_repack_that_goes_back() {
    sweep_repacks_that_go_back(Fault::Restarted);
}

/// The same module with another hash: a custom section says a number.
fn with_note(mut module: Vec<u8>, number: u32) -> Vec<u8> {
    // Id, length, length of the name, the name, the number.
    module.extend([0, 9, 4]);
    module.extend(b"note");
    module.extend(number.to_le_bytes());
    module
}

#[test]
fn every_call_of_a_repack_of_an_unknown_module_is_rejected_once() {
    sweep_repacks_of_unknown_modules(Fault::Rejected);
}

#[test]
fn every_callback_of_a_repack_of_an_unknown_module_traps_once() {
    sweep_repacks_of_unknown_modules(Fault::CallbackTraps);
}

#[test]
fn the_coordinator_is_stopped_upgraded_and_started_at_every_call_of_a_repack_of_an_unknown_module() {
    sweep_repacks_of_unknown_modules(Fault::Restarted);
}

/// More users than calls are made for a relocation.
const USERS: u32 = 32;
/// More users than calls are made for one through vessels.
const USERS_BY_VESSEL: u32 = 52;

fn options(canisters: u32) -> Options {
    Options { canisters, state_kib: 8, ..Options::default() }
}

/// One job for each call that such a job makes, each on the canister of another user.
fn sweep_relocations(fault: Fault, engine: &Engine, world: &World, mut fleet: Fleet, plan: &Plan) -> u32 {
    let is_by_vessel = matches!(plan.strategy, Strategy::RelocateVessel(_));
    world.propose(plan).expect("the plan is approved");
    let count = at_each_call(|nth| {
        let user = &fleet.users[nth as usize];
        let (number, original) = (user.number, user.original);
        let has_happened = arm(engine, world, fault, nth);
        let enrolled = hand_over(world, vec![original]);
        let id = enrolled.expect("the index enrols")[0];
        let jobs = settle(world);
        disarm(engine, world);
        let job = jobs.into_iter().find(|job| job.id == id).expect("the job is listed");
        assert_eq!(job.outcome, Outcome::Done, "promise 4, {fault:?} at call {nth}: {job:?}");
        let target = job.target.expect("a job that is done has a target");
        assert_serves(world, &mut fleet, nth as usize, target);
        assert!(!world.pic.canister_exists(original), "{fault:?} {nth}: the original of user {number}");
        if is_by_vessel {
            assert!(snapshots(world, target).is_empty(), "{fault:?} {nth}: snapshots of the job are left");
        }
        happened(&has_happened)
    });
    let summary: Summary =
        query(&world.pic, world.coordinator, "decant_summary", ()).expect("the coordinator answers");
    for canister in &summary.pool {
        assert!(world.pic.canister_exists(*canister), "a canister of the pool");
    }
    println!("{count} calls: {fault:?}");
    assert!(count > 0);
    count
}

fn sweep_kit(fault: Fault) {
    let engine = embedded();
    let options = options(USERS);
    let (world, fleet) = fleet_on(engine, &options, &modules().kit);
    let plan = world.plan(modules(), &options).expect("the plan is made");
    sweep_relocations(fault, engine, &world, fleet, &plan);
}

fn sweep_by_vessel(fault: Fault) {
    let engine = embedded();
    let options = options(USERS_BY_VESSEL);
    let (world, fleet) = bloated_on(engine, &options);
    let relocation = world.plan(modules(), &options).expect("the plan is made");
    let modules_used = vec![used(&modules().managed, nothing())];
    let plan = Plan {
        strategy: Strategy::RelocateVessel(ByVessel {
            modules: modules_used,
            growth_percent: 100,
            may_drop_tail: false,
            rolls_back_on_lost_timer: None,
            manager_page: None,
        }),
        tombstone: None,
        ..relocation
    };
    sweep_relocations(fault, engine, &world, fleet, &plan);
}

#[test]
fn every_call_of_a_relocation_is_rejected_once() {
    sweep_kit(Fault::Rejected);
}

#[test]
fn every_reply_to_a_relocation_is_lost_once() {
    sweep_kit(Fault::ReplyLost);
}

#[test]
fn every_callback_of_a_relocation_traps_once() {
    sweep_kit(Fault::CallbackTraps);
}

#[test]
fn the_coordinator_is_stopped_upgraded_and_started_at_every_call_of_a_relocation() {
    sweep_kit(Fault::Restarted);
}

#[test]
fn every_call_of_a_relocation_by_vessel_is_rejected_once() {
    sweep_by_vessel(Fault::Rejected);
}

#[test]
fn every_reply_to_a_relocation_by_vessel_is_lost_once() {
    sweep_by_vessel(Fault::ReplyLost);
}

#[test]
fn every_callback_of_a_relocation_by_vessel_traps_once() {
    sweep_by_vessel(Fault::CallbackTraps);
}

#[test]
fn the_coordinator_is_stopped_upgraded_and_started_at_every_call_of_a_relocation_by_vessel() {
    sweep_by_vessel(Fault::Restarted);
}

/// Each call of a deletion goes wrong once; it is asked for again until it is done. Answers how many there were.
fn sweep_deletions(fault: Fault) -> u32 {
    // What the vessel's installation and its last message take; twice, where a drain is repeated.
    const TAKEN_CYCLES: u128 = 240_000_000_000;
    let engine = embedded();
    let options = Options { canisters: 1, state_kib: 8, ..Options::default() };
    let (world, users) = fleet_on(engine, &options, &modules().kit);
    // The build of a plan that is no kit: its target is given back.
    let no_kit = Modules { kit: modules().managed.clone(), ..modules().clone() };
    let mut plan = world.plan(&no_kit, &options).expect("the modules are uploaded");
    (plan.max_canisters, plan.max_cycles) = (1_000, 1_000_000_000_000_000);
    world.propose(&plan).expect("the plan is approved");
    at_each_call(|nth| {
        hand_over(&world, users.originals()).expect("the index enrols");
        settle(&world);
        let pool = || -> Vec<PoolView> {
            query(&world.pic, world.coordinator, "decant_pool", ()).expect("the coordinator answers")
        };
        let canister = pool().first().expect("a target was given back").canister;
        let held = world.pic.cycle_balance(canister);
        let before = world.pic.cycle_balance(world.coordinator);
        let delete = || -> Result<(), String> {
            update(&world.pic, world.coordinator, world.operator, "decant_delete_pooled", (canister,))
                .map_err(|error| format!("{error:#}"))?
        };
        let has_happened = arm(engine, &world, fault, nth);
        let first = delete();
        disarm(engine, &world);
        let ended = first.clone().or_else(|_| delete());
        assert_eq!(ended, Ok(()), "{fault:?} at call {nth}, after {first:?}");
        assert_eq!(pool(), [], "{fault:?} at call {nth}");
        assert!(!world.pic.canister_exists(canister), "{fault:?} at call {nth}");
        let came = world.pic.cycle_balance(world.coordinator) - before;
        assert!(came > held - TAKEN_CYCLES, "promise 5, {fault:?} at call {nth}: {came} of {held}");
        happened(&has_happened)
    })
}

#[test]
fn a_deletion_of_which_any_call_fails_is_repeated_and_its_cycles_come() {
    // A look, the vessel, its drain, what that calls, a stop, the deletion.
    assert!(sweep_deletions(Fault::Rejected) >= 6);
    // The vessel's installation is the one that waits a bounded time.
    assert!(sweep_deletions(Fault::ReplyLost) >= 1);
    assert!(sweep_deletions(Fault::CallbackTraps) >= 6);
}
