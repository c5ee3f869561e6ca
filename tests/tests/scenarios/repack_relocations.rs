//! Canisters without the kit move to fresh ones: their state travels in a snapshot, their routes are swapped, and a
//! tombstone sends their cycles on.

use candid::{CandidType, Principal};
use decant_api::jobs::{JobView, Outcome, Summary};
use decant_api::plan::{ByVessel, Plan, Strategy};
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::world::{RETENTION_SECONDS, World};
use decant_cli::rehearsal::{Generation, Options, Retention};
use decant_tests::keeper::{FAR_NANOS, Keeper, bump, bumped, call, disarmed, peek};
use decant_tests::repack::{RunState, carried_vessel, install, nothing, snapshots, status, used};
use decant_tests::{
    assert_serves, bloated_on, engine, enrol, hand_over, modules, route, settle, settle_with,
};
use serde_bytes::ByteBuf;

fn options(retention: Retention) -> Options {
    Options { canisters: 2, state_kib: 40, retention, ..Options::default() }
}

/// The plan for a fleet that runs these modules.
fn plan(world: &World, options: &Options, modules_used: &[&[u8]]) -> Plan {
    let modules_used = modules_used.iter().map(|module| used(module, nothing())).collect();
    Plan {
        strategy: Strategy::RelocateVessel(ByVessel {
            modules: modules_used,
            growth_percent: 100,
            may_drop_tail: false,
            rolls_back_on_lost_timer: None,
            manager_page: None,
        }),
        tombstone: None,
        ..world.plan(modules(), options).expect("the plan is made")
    }
}

/// A fleet that is enrolled by such a plan.
fn enrolled(options: &Options, modules_used: &[&[u8]]) -> (World, Fleet) {
    let (world, fleet) = bloated_on(engine(), options);
    world.propose(&plan(&world, options, modules_used)).expect("the plan is approved");
    enrol(&world, &fleet).expect("the fleet is enrolled");
    (world, fleet)
}

/// Every job is done and every user is served by a compact target with the settings and cycles of the original.
fn assert_moved(world: &World, fleet: &mut Fleet, jobs: &[JobView]) {
    assert_eq!(jobs.len(), fleet.users.len());
    for (position, job) in jobs.iter().enumerate() {
        assert_eq!(job.outcome, Outcome::Done, "{job:?}");
        let original = fleet.users[position].original;
        let target = job.target.expect("a job that is done has a target");
        assert_eq!(job.source, original);
        assert_ne!(target, original);
        assert_serves(world, fleet, position, target);
        let resolved: Principal = query(&world.pic, world.coordinator, "decant_resolve", (original,))
            .expect("the coordinator answers");
        assert_eq!(resolved, target, "old ids resolve to new ones");
        let stands = status(world, target);
        assert_eq!(stands.status, RunState::Running);
        assert_eq!(stands.stable_pages(), 1 + job.used_pages, "promise 7");
        assert!(job.source_pages > stands.stable_pages(), "{job:?}");
        assert!(stands.settings.controllers.contains(&world.operator), "{stands:?}");
        assert!(snapshots(world, target).is_empty(), "no snapshot is left");
        assert!(job.drained_cycles > 9_000_000_000_000, "the original had ten trillions: {job:?}");
        assert!(world.pic.cycle_balance(target) > job.drained_cycles, "{job:?}");
    }
    let summary: Summary =
        query(&world.pic, world.coordinator, "decant_summary", ()).expect("the coordinator answers");
    assert_eq!(summary.done, jobs.len() as u64);
    assert!(summary.pool.is_empty(), "no canister is left over: {:?}", summary.pool);
}

#[test]
fn canisters_without_the_kit_move_and_the_originals_are_deleted() {
    let (world, mut fleet) = enrolled(&options(Retention::None), &[&modules().managed]);
    let jobs = settle(&world);
    assert_moved(&world, &mut fleet, &jobs);
    for user in &fleet.users {
        assert!(!world.pic.canister_exists(user.original));
    }
}

#[test]
fn canisters_with_several_virtual_memories_move() {
    let options = Options { generation: Generation::Structures, ..options(Retention::None) };
    let (world, mut fleet) = enrolled(&options, &[modules().structures().expect("it was built")]);
    let jobs = settle(&world);
    assert_moved(&world, &mut fleet, &jobs);
}

#[test]
fn originals_are_kept_out_of_use_for_the_time_of_the_plan_and_then_deleted() {
    let (world, mut fleet) = enrolled(&options(Retention::Frozen), &[&modules().managed]);
    let mut rounds_kept = 0;
    let jobs = settle_with(&world, |_| {
        for user in &fleet.users {
            if route(&world, user.number) == user.original || !world.pic.canister_exists(user.original) {
                continue;
            }
            let stands = status(&world, user.original);
            let post = candid::encode_one("to the original").expect("text encodes");
            let taken = world.pic.update_call(user.original, world.operator, "post", post);
            taken.expect_err("two canisters would serve");
            // Its snapshots are asked for while its end is far.
            let is_whole = stands.stable_pages() > 1
                && (rounds_kept > 0 || !snapshots(&world, user.original).is_empty());
            rounds_kept += u32::from(is_whole);
        }
    });
    assert!(rounds_kept > 0, "nobody saw an original that is kept");
    assert_moved(&world, &mut fleet, &jobs);
    for (job, user) in jobs.iter().zip(&fleet.users) {
        let (committed, ended) = (job.committed_nanos.expect("committed"), job.ended_nanos.expect("ended"));
        assert!(ended - committed >= RETENTION_SECONDS * 1_000_000_000, "{job:?}");
        assert!(!world.pic.canister_exists(user.original));
    }
}

#[test]
fn originals_become_tombstones_that_answer_where_the_state_is() {
    let (world, mut fleet) = enrolled(&options(Retention::Tombstone), &[&modules().managed]);
    let jobs = settle(&world);
    assert_moved(&world, &mut fleet, &jobs);
    for (job, user) in jobs.iter().zip(&fleet.users) {
        let stands = status(&world, user.original);
        let vessel = used(&carried_vessel(), nothing()).hash;
        assert_eq!((stands.status, stands.stable_pages()), (RunState::Running, 0));
        assert_eq!(stands.module_hash, Some(vessel));
        assert!(snapshots(&world, user.original).is_empty());
        let moved_to: Principal =
            query(&world.pic, user.original, "decant_moved_to", ()).expect("the tombstone answers");
        assert_eq!(Some(moved_to), job.target);
        let post = candid::encode_one("to the tombstone").expect("text encodes");
        let refused = world.pic.update_call(user.original, world.operator, "post", post);
        refused.expect_err("a tombstone takes no posts");
    }
}

#[test]
fn a_plan_with_a_module_that_nobody_runs_moves_nobody() {
    let (world, mut fleet) = enrolled(&options(Retention::None), &[&modules().kit]);
    let jobs = settle(&world);
    for (position, job) in jobs.iter().enumerate() {
        let Outcome::RolledBack { reason } = &job.outcome else { panic!("{job:?}") };
        assert!(reason.contains("does not name"), "{reason}");
        let original = fleet.users[position].original;
        assert_serves(&world, &mut fleet, position, original);
        assert!(snapshots(&world, original).is_empty());
    }
}

#[test]
fn an_original_with_a_snapshot_of_its_own_is_left_alone() {
    let options = Options { canisters: 1, ..options(Retention::None) };
    let (world, mut fleet) = bloated_on(engine(), &options);
    let original = fleet.users[0].original;
    let taken = world.pic.take_canister_snapshot(original, Some(world.operator), None).expect("it is taken");
    world.propose(&plan(&world, &options, &[&modules().managed])).expect("the plan is approved");
    enrol(&world, &fleet).expect("the fleet is enrolled");
    let jobs = settle(&world);
    let Outcome::RolledBack { reason } = &jobs[0].outcome else { panic!("{jobs:?}") };
    assert!(reason.contains("has snapshots, which die with it"), "{reason}");
    let kept: Vec<ByteBuf> = snapshots(&world, original).into_iter().map(ByteBuf::from).collect();
    assert_eq!(kept, [ByteBuf::from(taken.id)]);
    assert_serves(&world, &mut fleet, 0, original);
}

#[derive(CandidType)]
struct Route {
    user: u64,
    canister: Principal,
}

#[test]
fn a_timer_that_the_upgrade_disarmed_is_told_of_and_the_state_moves() {
    let options = options(Retention::None);
    let world = World::new(engine(), modules(), &options).expect("the world is made");
    let module = Keeper::default().module();
    let original = install(&world, &module, nothing());
    let controllers = vec![world.operator, world.coordinator, world.index];
    world.pic.set_controllers(original, Some(world.operator), controllers).expect("they are set");
    let added: Result<(), String> = update(
        &world.pic,
        world.index,
        world.operator,
        "register",
        (vec![Route { user: 7, canister: original }],),
    )
    .expect("the index answers");
    added.expect("the route is taken");
    bump(&world, original);
    call(&world, original, "arm");
    world.propose(&plan(&world, &options, &[&module])).expect("the plan is approved");
    let enrolled = hand_over(&world, vec![original]);
    enrolled.expect("the index enrols");
    let job = settle(&world).remove(0);
    assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    let target = route(&world, 7);
    assert_eq!(Some(target), job.target);
    assert_eq!(job.timer_lost_nanos, Some(FAR_NANOS));
    assert_eq!(disarmed(&world, target), 0);
    assert_eq!(peek(&world, target), bumped(1));
    assert!(snapshots(&world, target).is_empty(), "no snapshot is left");
    assert!(!world.pic.canister_exists(original));
}
