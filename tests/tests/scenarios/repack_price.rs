//! What a repack costs, as balances tell it. Design, section 9.

use candid::Principal;
use decant_api::jobs::Outcome;
use decant_api::plan::Plan;
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::update;
use decant_cli::rehearsal::world::World;
use decant_tests::repack::{grow, install_shapes, one_of_each, repack, shapes_plan};
use decant_tests::{engine, modules};

/// A snapshot that is taken, on 13 nodes (measured on a real server: facts, "Snapshots").
const SNAPSHOT_CYCLES: u128 = 2_000_000_000;
/// Pages of 64 MiB.
const PAGES: u64 = 1_024;
/// Pages that one call writes, within the instructions of a message.
const BATCH: u64 = 512;
/// Cycles a byte of state that the repack of a large canister may cost: one crossing is 1,000.
const CYCLES_A_BYTE: u128 = 1_150;

fn world() -> World {
    World::new(engine(), modules(), &Options::default()).expect("the world is made")
}

/// The canisters and the coordinator, and what they have.
fn balances(world: &World, canisters: &[Principal]) -> Vec<u128> {
    canisters.iter().map(|canister| world.pic.cycle_balance(*canister)).collect()
}

fn spent(before: &[u128], after: &[u128]) -> Vec<u128> {
    before.iter().zip(after).map(|(before, after)| before - after).collect()
}

#[test]
fn canisters_of_one_build_that_are_repacked_at_once_are_surveyed_once() {
    let world = world();
    let canisters: Vec<Principal> = (0..6)
        .map(|seed| {
            let canister = install_shapes(&world, &one_of_each(128));
            grow(&world, canister, seed, 100);
            canister
        })
        .collect();
    let before = balances(&world, &canisters);
    for job in repack(&world, &shapes_plan(&world), &canisters) {
        assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    }
    let spent = spent(&before, &balances(&world, &canisters));
    println!("cycles of each: {spent:?}");
    let least = spent.iter().min().copied().unwrap_or_default();
    let surveyed = spent.iter().filter(|cycles| **cycles > least + SNAPSHOT_CYCLES / 2).count();
    assert_eq!(surveyed, 1, "one took a snapshot more than the others: {spent:?}");
}

/// What a repack costs a canister with so many pages of state more than one with none, and the coordinator.
fn cost_of(pages: u64) -> u128 {
    let world = world();
    let canister = install_shapes(&world, &one_of_each(1_024));
    grow(&world, canister, 1, 100);
    for _ in 0..pages / BATCH {
        update::<u64>(&world.pic, canister, world.operator, "fill_pages", (200_u8, BATCH, 7_u64))
            .expect("there is room");
    }
    let all = [canister, world.coordinator];
    let before = balances(&world, &all);
    let plan = Plan { bucket_pages: 4, ..shapes_plan(&world) };
    let job = repack(&world, &plan, &[canister]).remove(0);
    assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    let spent = spent(&before, &balances(&world, &all));
    println!("{pages} pages: {spent:?} cycles of canister and coordinator");
    spent.iter().sum()
}

#[test]
fn a_byte_of_a_large_state_costs_little_more_than_one_crossing_whoever_pays() {
    let per_byte = (cost_of(PAGES) - cost_of(0)) / u128::from(PAGES * 65_536);
    println!("{per_byte} cycles a byte of state");
    assert!(per_byte <= CYCLES_A_BYTE, "{per_byte} cycles a byte of state");
}
