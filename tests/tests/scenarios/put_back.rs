//! A coordinator that was put back from a snapshot finds out, and does nothing to canisters that serve; not even when an
//! operator lets it go on (findings on coordinators: a target that a job installs on may be the only copy by now).

use candid::Principal;
use decant_api::jobs::{JobView, Outcome, Pause, Summary};
use decant_cli::rehearsal::calls::query;
use decant_cli::rehearsal::world::World;
use decant_tests::dapps::{POSTS, Way, enrolled, post, posts, serving, world};
use decant_tests::repack::{Status, job, nothing, status, used, wasm};
use decant_tests::vessel::upgrade;
use decant_tests::{pause, restart, route, settle, settle_with};
use std::time::Duration;

/// Rounds in which a coordinator that was woken would have done something.
const ROUNDS: usize = 50;
/// Snapshots of the coordinator: no canister has more than ten.
const SNAPSHOTS: usize = 9;
const USERS: [u64; 2] = [1, 2];

fn summary(world: &World) -> Summary {
    query(&world.pic, world.coordinator, "decant_summary", ()).expect("the coordinator answers")
}

/// Loads a snapshot of the coordinator, stopped as the book says.
fn put_back(world: &World, snapshot: &[u8]) {
    let (pic, operator) = (&world.pic, Some(world.operator));
    pic.stop_canister(world.coordinator, operator).expect("it stops");
    pic.load_canister_snapshot(world.coordinator, operator, snapshot.to_vec()).expect("it is loaded");
    pic.start_canister(world.coordinator, operator).expect("it starts");
}

fn rounds(world: &World) {
    for _ in 0..ROUNDS {
        world.pic.advance_time(Duration::from_secs(2));
        world.pic.tick();
    }
}

/// What must not change.
fn stand(world: &World, canisters: &[Principal]) -> Vec<Status> {
    canisters.iter().map(|canister| status(world, *canister)).collect()
}

fn assert_served(world: &World, posted: usize, what: &str) {
    for user in USERS {
        let canister = route(world, user);
        assert_eq!(posts(world, canister).len(), posted, "{what}: user {user}");
        assert_eq!(post(world, canister, "more"), posted as u64 + 1, "{what}: user {user}");
    }
}

/// Two jobs, the snapshots of the coordinator at the moments when the first one was in so many states, and then all done.
fn done_since(world: &World, canisters: &[Principal]) -> Vec<(String, Vec<u8>)> {
    let first = enrolled(world, canisters)[0];
    let mut kept: Vec<(String, Vec<u8>)> = Vec::new();
    settle_with(world, |_| {
        let JobView { state, .. } = job(world, first);
        if kept.len() < SNAPSHOTS && kept.iter().all(|(name, _)| *name != state) {
            let taken = world.pic.take_canister_snapshot(world.coordinator, Some(world.operator), None);
            kept.push((state, taken.expect("a snapshot is taken").id));
        }
    });
    kept
}

/// `way`: none for the kit.
fn sweep(way: Option<Way>) {
    let (world, module) = (world(), wasm("taker"));
    let no_flavour = candid::encode_one(None::<()>).expect("nothing encodes");
    let canisters: Vec<Principal> =
        USERS.iter().map(|user| serving(&world, *user, &module, no_flavour.clone())).collect();
    let plan = match way {
        Some(way) => way.plan(&world, vec![used(&module, nothing())]),
        None => super::targets::relocation(&world, &module, no_flavour, |_| ()),
    };
    world.propose(&plan).expect("the plan is approved");
    let kept = done_since(&world, &canisters);
    assert_eq!(summary(&world).done, 2, "both are moved");
    let mut posted = POSTS.len();
    let placed: Vec<Principal> = USERS.iter().map(|user| route(&world, *user)).collect();
    for (position, (state, snapshot)) in kept.into_iter().enumerate() {
        let name = format!("{way:?}, put back to {state}");
        if position % 2 == 1 {
            // What the kit of a canister remembers of its job is gone after an upgrade.
            placed.iter().for_each(|canister| upgrade(&world, *canister, &module, nothing()));
        }
        let before = stand(&world, &placed);
        put_back(&world, &snapshot);
        // The first message finds out. An upgrade gives it its timers again, and lets it do no more.
        pause(&world, Pause::NoJobs);
        rounds(&world);
        restart(&world);
        rounds(&world);
        assert!(summary(&world).put_back_nanos.is_some(), "{name}: it finds out");
        assert_eq!(stand(&world, &placed), before, "{name}: nothing is done");
        assert_served(&world, posted, &name);
        posted += 1;
        pause(&world, Pause::Running);
        for job in settle(&world) {
            assert!(!matches!(job.outcome, Outcome::Running), "{name}: {job:?}");
        }
        assert_served(&world, posted, &name);
        posted += 1;
    }
}

#[test]
fn a_coordinator_of_relocations_that_was_put_back_touches_nobody_who_is_served() {
    sweep(None);
}

#[test]
fn a_coordinator_of_relocations_through_vessels_that_was_put_back_touches_nobody_who_is_served() {
    sweep(Some(Way::Relocate));
}

#[test]
fn a_coordinator_of_repacks_that_was_put_back_touches_nobody_who_is_served() {
    sweep(Some(Way::Repack));
}
