//! Indexes hand canisters over: which of them are swapped, what is refused, and what old ids resolve to.

use candid::{CandidType, Principal};
use decant_api::jobs::{JobView, Outcome};
use decant_api::plan::{Plan, Retention};
use decant_api::routes::{EnrolError, WithdrawError};
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::{Options, Retention as Kept, world::World};
use decant_tests::repack::create;
use decant_tests::vessel::set_controllers;
use decant_tests::{assert_serves, fleet, hand_over, job_of, modules, route, settle};

#[derive(CandidType)]
struct Route {
    user: u64,
    canister: Principal,
}

/// One user with the kit, and a plan that the index and the operator may enrol by.
fn scene(retention: Kept, change: impl FnOnce(&mut Plan)) -> (World, Fleet) {
    let options = Options { canisters: 1, state_kib: 8, retention, ..Options::default() };
    let (world, users) = fleet(&options, &modules().kit);
    let mut plan = world.plan(modules(), &options).expect("the modules are uploaded");
    plan.indexes.push(world.operator);
    plan.routes = Some(vec![world.index]);
    plan.max_canisters = 10;
    change(&mut plan);
    world.propose(&plan).expect("the plan is approved");
    // An index shares its canisters with the coordinator when it enrols them; an operator does it by hand.
    let controllers = vec![world.operator, world.index, world.coordinator];
    set_controllers(&world, users.users[0].original, controllers);
    (world, users)
}

fn enrol_as_operator(world: &World, canister: Principal) -> Result<u64, EnrolError> {
    let mut answers: Vec<Result<u64, EnrolError>> =
        update(&world.pic, world.coordinator, world.operator, "decant_enrol", (vec![canister],))
            .expect("the coordinator answers");
    answers.remove(0)
}

fn resolved(world: &World, canister: Principal) -> Principal {
    query(&world.pic, world.coordinator, "decant_resolve", (canister,)).expect("the coordinator answers")
}

fn second_index(world: &World) -> Principal {
    #[derive(CandidType)]
    struct Coordinated {
        coordinator: Principal,
    }
    let index = create(world);
    let argument = candid::encode_one(Coordinated { coordinator: world.coordinator }).expect("it encodes");
    world.pic.install_canister(index, modules().index.clone(), argument, Some(world.operator));
    index
}

#[test]
fn every_index_that_the_plan_names_routes_to_the_target_before_the_original_goes() {
    let options = Options { canisters: 1, state_kib: 8, ..Options::default() };
    let (world, mut users) = fleet(&options, &modules().kit);
    let (number, original) = (users.users[0].number, users.users[0].original);
    let second = second_index(&world);
    let routes = vec![Route { user: number, canister: original }];
    let registered: Result<(), String> =
        update(&world.pic, second, world.operator, "register", (routes,)).expect("it answers");
    registered.expect("the route is new");
    let plan = world.plan(modules(), &options).expect("the modules are uploaded");
    world.propose(&Plan { routes: Some(vec![world.index, second]), ..plan }).expect("it is approved");
    hand_over(&world, vec![original]).expect("the index enrols");
    let job = settle(&world).remove(0);
    assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    let target = job.target.expect("it has one");
    let routed: Option<Principal> = query(&world.pic, second, "route", (number,)).expect("it answers");
    assert_eq!(routed, Some(target), "the index that did not enrol routes there too");
    assert_serves(&world, &mut users, 0, target);
}

/// An index that the plan names, and that has no such route, keeps the original from being deleted.
#[test]
fn an_index_that_refuses_to_swap_keeps_the_original_where_it_is() {
    let options = Options { canisters: 1, state_kib: 8, ..Options::default() };
    let (world, mut users) = fleet(&options, &modules().kit);
    let original = users.users[0].original;
    let second = second_index(&world);
    let plan = world.plan(modules(), &options).expect("the modules are uploaded");
    world.propose(&Plan { routes: Some(vec![world.index, second]), ..plan }).expect("it is approved");
    hand_over(&world, vec![original]).expect("the index enrols");
    let job = settle(&world).remove(0);
    assert!(matches!(&job.outcome, Outcome::RolledBack { reason } if reason.contains("no route")), "{job:?}");
    assert_serves(&world, &mut users, 0, original);
}

#[test]
fn an_old_id_that_is_enrolled_again_is_refused_and_still_resolves() {
    let (world, users) = scene(Kept::Tombstone, |_| ());
    let original = users.users[0].original;
    let id = enrol_as_operator(&world, original).expect("it is enrolled");
    let job = settle(&world).remove(0);
    assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    let target = job.target.expect("it has one");
    for _ in 0..2 {
        assert_eq!(enrol_as_operator(&world, original), Err(EnrolError::Moved { to: target, job: id }));
        settle(&world);
    }
    assert_eq!(resolved(&world, original), target, "promise 3");
    for canister in [original, target] {
        assert_eq!(job_of(&world, canister).map(|job: JobView| job.id), Some(id), "{canister}");
    }
}

#[test]
fn a_target_is_refused_until_its_own_job_has_ended() {
    let (world, users) = scene(Kept::Frozen, |plan| plan.retention = Retention::Frozen { seconds: 100_000 });
    let original = users.users[0].original;
    let id = enrol_as_operator(&world, original).expect("it is enrolled");
    assert_eq!(enrol_as_operator(&world, original), Ok(id), "a reply may be lost");
    for _ in 0..1_000 {
        if job_of(&world, original).is_some_and(|job| job.committed_nanos.is_some()) {
            break;
        }
        world.pic.advance_time(std::time::Duration::from_secs(1));
        world.pic.tick();
    }
    let target = route(&world, users.users[0].number);
    assert_ne!(target, original, "it is committed");
    assert_eq!(enrol_as_operator(&world, target), Err(EnrolError::Target { job: id }));
    world.pic.advance_time(std::time::Duration::from_secs(100_000));
    assert_eq!(settle(&world).remove(0).outcome, Outcome::Done);
    enrol_as_operator(&world, target).expect("it is a canister like others now");
}

#[test]
fn what_is_taken_back_on_its_way_serves_where_it_was() {
    let (world, mut users) = scene(Kept::Tombstone, |_| ());
    let original = users.users[0].original;
    let id = enrol_as_operator(&world, original).expect("it is enrolled");
    for _ in 0..20 {
        world.pic.tick();
    }
    let withdraw = || -> Vec<Result<u64, WithdrawError>> {
        let asked = vec![original, world.index];
        update(&world.pic, world.coordinator, world.operator, "decant_withdraw", (asked,))
            .expect("it answers")
    };
    assert_eq!(withdraw(), [Ok(id), Err(WithdrawError::NotEnrolled)]);
    let job = settle(&world).remove(0);
    assert!(matches!(job.outcome, Outcome::RolledBack { .. }), "{job:?}");
    assert_eq!(withdraw()[0], Ok(id), "and again the same");
    assert_serves(&world, &mut users, 0, original);
}
