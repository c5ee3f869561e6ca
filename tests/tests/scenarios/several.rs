//! Several jobs at once, with the creations that they wait for, and a fault at each message of theirs, one after the other
//! (design, section 6, promises 4 and 5): a trap beside an open creation; the coordinator upgraded, stopped for a while, or
//! without cycles for a while. The end is the same. As `repack_faults`, always on the embedded replica.

use candid::Principal;
use decant_api::jobs::{Outcome, Summary};
use decant_api::plan::Plan;
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::account::orphans;
use decant_cli::rehearsal::calls::query;
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::world::World;
use decant_shapes_model::Spec;
use decant_tests::faults::{Fault, arm, at_each_call, disarm, embedded, happened};
use decant_tests::repack::{
    RunState, digest, enrol_with, grow, install_shapes, one_of_each, shapes_plan, snapshots, status,
};
use decant_tests::{assert_serves, fleet_on, hand_over, jobs, modules, restart, settle};

/// Jobs at a time.
const TOGETHER: usize = 3;
/// More runs than such jobs have messages.
const RUNS: usize = 170;

fn relocations(runs: usize) -> (World, Fleet) {
    let canisters = u32::try_from(runs * TOGETHER).expect("a few");
    let options = Options { canisters, state_kib: 8, ..Options::default() };
    let (world, users) = fleet_on(embedded(), &options, &modules().kit);
    let plan = world.plan(modules(), &options).expect("the plan is made");
    world.propose(&plan).expect("the plan is approved");
    (world, users)
}

fn sweep_relocations(fault: Fault) {
    let engine = embedded();
    let (world, mut users) = relocations(RUNS);
    let count = at_each_call(|nth| {
        let positions = nth as usize * TOGETHER..(nth as usize + 1) * TOGETHER;
        let originals: Vec<Principal> =
            users.users[positions.clone()].iter().map(|user| user.original).collect();
        let has_happened = arm(engine, &world, fault, nth);
        let ids = hand_over(&world, originals.clone()).expect("the index enrols");
        let all = settle(&world);
        disarm(engine, &world);
        for ((id, position), original) in ids.iter().zip(positions).zip(&originals) {
            let job = all.iter().find(|job| job.id == *id).expect("the job is listed");
            assert_eq!(job.outcome, Outcome::Done, "promise 4, {fault:?} at message {nth}: {job:?}");
            assert!(!world.pic.canister_exists(*original), "{fault:?} {nth}: the original {original}");
            assert_serves(&world, &mut users, position, job.target.expect("it moved"));
        }
        happened(&has_happened)
    });
    println!("{count} messages of {TOGETHER} relocations: {fault:?}");
    assert!(count > 60, "{TOGETHER} relocations have more than {count} messages");
    assert_all_are_owned(&world, &users);
    // And what took all this is no worse for it.
    restart(&world);
}

/// Promise 5: at rest no canister exists that neither a job, the pool nor a user owns.
fn assert_all_are_owned(world: &World, users: &Fleet) {
    let summary: Summary =
        query(&world.pic, world.coordinator, "decant_summary", ()).expect("the coordinator answers");
    let targets = jobs(world).into_iter().filter_map(|job| job.target);
    let owned = users.originals().into_iter().chain(targets).chain(summary.pool);
    let strangers = orphans(world, owned).expect("ids are ids of canisters");
    assert_eq!(strangers, [], "nobody owns these");
}

#[test]
fn a_callback_that_traps_beside_other_jobs_and_creations_ends_none_of_them() {
    sweep_relocations(Fault::CallbackTraps);
}

#[test]
fn three_relocations_end_the_same_when_the_coordinator_is_upgraded_at_any_call() {
    sweep_relocations(Fault::Restarted);
}

#[test]
fn three_relocations_end_the_same_when_the_coordinator_is_stopped_for_a_while_at_any_message() {
    sweep_relocations(Fault::Stopped);
}

#[test]
fn three_relocations_end_the_same_when_the_coordinator_has_no_cycles_for_a_while_at_any_message() {
    sweep_relocations(Fault::Starved);
}

fn sweep_repacks(fault: Fault) {
    let engine = embedded();
    let world = World::new(engine, modules(), &Options::default()).expect("the world is made");
    let plan: Plan = shapes_plan(&world);
    world.propose(&plan).expect("the plan is approved");
    let spec: Spec = one_of_each(16);
    let count = at_each_call(|nth| {
        let canisters: Vec<Principal> = (0..TOGETHER).map(|_| install_shapes(&world, &spec)).collect();
        let before: Vec<_> = canisters
            .iter()
            .map(|canister| {
                grow(&world, *canister, u64::from(nth), 40);
                digest(&world, *canister)
            })
            .collect();
        let has_happened = arm(engine, &world, fault, nth);
        let ended = enrol_with(&world, &canisters, || ());
        disarm(engine, &world);
        for ((job, canister), before) in ended.iter().zip(&canisters).zip(&before) {
            assert_eq!(job.outcome, Outcome::Done, "promise 4, {fault:?} at message {nth}: {job:?}");
            assert_eq!(digest(&world, *canister), *before, "{fault:?} {nth}");
            assert_eq!(status(&world, *canister).status, RunState::Running, "{fault:?} {nth}");
            assert!(snapshots(&world, *canister).is_empty(), "{fault:?} {nth}: snapshots are left");
        }
        happened(&has_happened)
    });
    println!("{count} messages of {TOGETHER} repacks: {fault:?}");
    assert!(count > 60, "{TOGETHER} repacks have more than {count} messages");
}

#[test]
fn three_repacks_end_the_same_when_the_coordinator_is_stopped_for_a_while_at_any_message() {
    sweep_repacks(Fault::Stopped);
}

#[test]
fn three_repacks_end_the_same_when_the_coordinator_has_no_cycles_for_a_while_at_any_message() {
    sweep_repacks(Fault::Starved);
}
