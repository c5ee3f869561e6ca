//! Repacking in place: canisters without any code of ours keep their id, their state and their cycles.

use decant_api::jobs::{JobView, Outcome};
use decant_api::plan::{ByVessel, ModuleUse, Plan, Retention, Strategy};
use decant_cli::rehearsal::calls::kept;
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::world::World;
use decant_cli::rehearsal::{Generation, Options};
use decant_tests::repack::{PAGE_BYTES, nothing, used};
use decant_tests::{assert_serves, bloated_on, engine, enrol, modules, settle};

fn plan(world: &World, options: &Options, used: Vec<ModuleUse>) -> Plan {
    let relocation = world.plan(modules(), options).expect("the plan is made");
    Plan {
        strategy: Strategy::Repack(ByVessel {
            modules: used,
            growth_percent: 100,
            may_drop_tail: false,
            rolls_back_on_lost_timer: None,
            manager_page: None,
        }),
        recycling: None,
        retention: Retention::None,
        routes: None,
        max_cycles: 1_000_000_000_000_000,
        cycles_per_target: 0,
        ..relocation
    }
}

fn repack(world: &World, fleet: &Fleet, plan: &Plan) -> Vec<JobView> {
    world.propose(plan).expect("the plan is approved");
    enrol(world, fleet).expect("the fleet is enrolled");
    settle(world)
}

#[test]
fn a_canister_without_the_kit_is_repacked_and_keeps_its_id_and_its_state() {
    let options = Options { canisters: 2, ..Options::default() };
    let (world, mut fleet) = bloated_on(engine(), &options);
    let jobs = repack(&world, &fleet, &plan(&world, &options, vec![used(&modules().managed, nothing())]));
    for (position, job) in jobs.iter().enumerate() {
        assert_eq!(job.outcome, Outcome::Done, "{job:?}");
        let original = fleet.users[position].original;
        let bytes = kept(&world.pic, world.operator, &[original]).expect("it has a status").stable_bytes;
        assert_eq!(bytes, (1 + job.used_pages) * PAGE_BYTES, "promise 7");
        let snapshots = world.pic.list_canister_snapshots(original, Some(world.operator));
        assert!(snapshots.expect("snapshots are listed").is_empty(), "no snapshot is left");
        assert_serves(&world, &mut fleet, position, original);
    }
}

#[test]
fn several_virtual_memories_are_repacked_and_grow_on() {
    let options = Options { canisters: 1, generation: Generation::Structures, ..Options::default() };
    let (world, mut fleet) = bloated_on(engine(), &options);
    let jobs = repack(
        &world,
        &fleet,
        &plan(&world, &options, vec![used(modules().structures().expect("it was built"), nothing())]),
    );
    assert_eq!(jobs[0].outcome, Outcome::Done, "{:?}", jobs[0]);
    let original = fleet.users[0].original;
    assert_serves(&world, &mut fleet, 0, original);
}
