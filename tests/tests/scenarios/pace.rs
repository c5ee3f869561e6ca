//! What governance decides of a plan that is under way, and what operators may say of it.

use candid::CandidType;
use decant_api::govern::{Breaker, Canaries, Decision, Pace, PlanView, Release, Roles, Terms};
use decant_api::jobs::{Outcome, Summary};
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::world::World;
use decant_tests::repack::install;
use decant_tests::{assert_serves, enrol, fleet, jobs, modules, settle};
use std::time::Duration;

/// What an index is told when it is installed.
#[derive(CandidType)]
struct Coordinated {
    coordinator: candid::Principal,
}

/// Rounds in which what is waited for must come.
const ROUNDS: u32 = 500;

fn approved(canisters: u32, pace: Pace) -> (World, Fleet) {
    let options = Options { canisters, state_kib: 20, ..Options::default() };
    let (world, users) = fleet(&options, &modules().kit);
    let plan = world.plan(modules(), &options).expect("the plan is made");
    world.decide(&Decision::Approve { plan, pace: Some(pace) }).expect("it is approved");
    enrol(&world, &users).expect("the index enrols");
    (world, users)
}

fn plan(world: &World) -> PlanView {
    let plan: Option<PlanView> =
        query(&world.pic, world.coordinator, "decant_plan", (1_u64,)).expect("it answers");
    plan.expect("there is such a plan")
}

fn wait_for(world: &World, what: &str, is_so: impl Fn(&PlanView) -> bool) {
    for _ in 0..ROUNDS {
        if is_so(&plan(world)) {
            return;
        }
        world.pic.advance_time(Duration::from_secs(2));
        world.pic.tick();
    }
    panic!("{what} did not come: {:?}, {:?}", plan(world), jobs(world));
}

/// Long enough for whatever is not held up to happen.
fn let_time_pass(world: &World) {
    for _ in 0..60 {
        world.pic.advance_time(Duration::from_secs(20));
        world.pic.tick();
    }
}

fn done(world: &World) -> u64 {
    let summary: Summary = query(&world.pic, world.coordinator, "decant_summary", ()).expect("it answers");
    summary.done
}

fn release(world: &World, what: Release) {
    let released: Result<(), String> =
        update(&world.pic, world.coordinator, world.operator, "decant_release", (1_u64, what))
            .expect("it answers");
    released.expect("an operator releases");
}

#[test]
fn canaries_go_first_and_the_others_when_an_operator_releases_them() {
    let canaries = Some(Canaries { jobs: 2, soak_seconds: None });
    let (world, mut users) = approved(4, Pace { canaries, ..Pace::default() });
    wait_for(&world, "the end of the canaries", |plan| {
        plan.waits_for.as_ref().is_some_and(|why| why.contains("are through"))
    });
    let_time_pass(&world);
    assert_eq!((done(&world), plan(&world).started), (2, 2), "{:?}", jobs(&world));
    release(&world, Release::Canaries);
    for (position, job) in settle(&world).iter().enumerate() {
        assert_eq!(job.outcome, Outcome::Done, "{job:?}");
        assert_serves(&world, &mut users, position, job.target.expect("it has one"));
    }
}

#[test]
fn a_job_waits_before_its_users_cant_write_until_an_operator_lets_it_pass() {
    let (world, mut users) = approved(3, Pace { holds_before_fence: true, ..Pace::default() });
    wait_for(&world, "the hold", |plan| plan.held == 3);
    let_time_pass(&world);
    assert_eq!(plan(&world).held, 3);
    assert!(jobs(&world).iter().all(|job| job.fenced_nanos.is_none()), "{:?}", jobs(&world));
    for position in 0..3 {
        let original = users.users[position].original;
        assert_serves(&world, &mut users, position, original);
    }
    release(&world, Release::Held(1));
    wait_for(&world, "one to pass and to end", |plan| plan.held == 2 && done(&world) == 1);
    let_time_pass(&world);
    assert_eq!((done(&world), plan(&world).held), (1, 2));
    release(&world, Release::Held(2));
    for (position, job) in settle(&world).iter().enumerate() {
        assert_eq!(job.outcome, Outcome::Done, "{job:?}");
        assert_serves(&world, &mut users, position, job.target.expect("it has one"));
    }
}

#[test]
fn jobs_that_were_held_go_on_when_governance_wants_no_hold_any_more() {
    let (world, mut users) = approved(2, Pace { holds_before_fence: true, ..Pace::default() });
    wait_for(&world, "the hold", |plan| plan.held == 2);
    let_time_pass(&world);
    let was = plan(&world).terms;
    let now = Terms { pace: Pace::default(), ..was.clone() };
    world.decide(&Decision::Change { plan: 1, was, now }).expect("it is executed");
    for (position, job) in settle(&world).iter().enumerate() {
        assert_eq!(job.outcome, Outcome::Done, "{job:?}");
        assert_serves(&world, &mut users, position, job.target.expect("it has one"));
    }
}

/// The second index routes none of them, so that each goes back after its users waited.
#[test]
fn a_plan_stops_when_too_many_go_back_and_goes_on_when_somebody_has_looked() {
    let breaker = Some(Breaker { failures: 2, of_last: 2 });
    let options = Options { canisters: 4, state_kib: 20, in_flight: 1, ..Options::default() };
    let (world, mut users) = fleet(&options, &modules().kit);
    let argument = candid::encode_one(Coordinated { coordinator: world.coordinator }).expect("it encodes");
    let other = install(&world, &modules().index, argument);
    let mut plan_of = world.plan(modules(), &options).expect("the plan is made");
    plan_of.routes = Some(vec![world.index, other]);
    let pace = Pace { breaker, ..Pace::default() };
    world.decide(&Decision::Approve { plan: plan_of, pace: Some(pace) }).expect("it is approved");
    enrol(&world, &users).expect("the index enrols");
    wait_for(&world, "the stop", |plan| plan.waits_for.as_ref().is_some_and(|why| why.contains("went back")));
    let_time_pass(&world);
    assert_eq!((done(&world), plan(&world).started), (0, 2), "{:?}", jobs(&world));
    release(&world, Release::Breaker);
    let ended = settle(&world);
    assert_eq!((ended.len(), plan(&world).started), (4, 4), "two more, and then it stops again");
    for (position, job) in ended.iter().enumerate() {
        assert!(matches!(job.outcome, Outcome::RolledBack { .. }) && job.fenced_nanos.is_some(), "{job:?}");
        let original = users.users[position].original;
        assert_serves(&world, &mut users, position, original);
    }
}

#[test]
fn governance_changes_the_terms_and_ends_a_plan_only_as_voters_read_it() {
    let canaries = Some(Canaries { jobs: 1, soak_seconds: None });
    let (world, _) = approved(3, Pace { canaries, ..Pace::default() });
    wait_for(&world, "the end of the canary", |plan| {
        plan.waits_for.as_ref().is_some_and(|why| why.contains("are through"))
    });
    let was = plan(&world).terms;
    let now = Terms { max_in_flight: 1, pace: Pace::default(), ..was.clone() };
    let change = Decision::Change { plan: 1, was: was.clone(), now: now.clone() };
    let rendered = world.decide(&change).expect("it is executed");
    assert!(rendered.contains("1 canaries first") && rendered.contains("no canaries"), "{rendered}");
    assert_eq!(plan(&world).terms, now);
    assert!(world.submit_decision(&change).is_err(), "what it changes is not there any more");
    let too_fast: Result<(), String> =
        update(&world.pic, world.coordinator, world.operator, "decant_tempo", (1_u64, 2_u32))
            .expect("it answers");
    assert!(too_fast.expect_err("more than was approved").contains("governance approved 1"));
    let stop: Result<(), String> =
        update(&world.pic, world.coordinator, world.operator, "decant_tempo", (1_u64, 0_u32))
            .expect("it answers");
    stop.expect("an operator may stop it");
    let title = plan(&world).plan.title;
    world.decide(&Decision::End { plan: 1, title }).expect("it is executed");
    let ended = settle(&world);
    assert!(plan(&world).has_ended);
    let in_line: Vec<_> = ended.iter().filter(|job| job.outcome != Outcome::Done).collect();
    assert!(in_line.iter().all(
        |job| matches!(&job.outcome, Outcome::RolledBack { reason } if reason.contains("ended the plan"))
    ));
    assert!(!in_line.is_empty(), "{ended:?}");
}

/// Votes take days.
#[test]
fn a_decision_that_is_not_true_any_more_fails_and_changes_nothing() {
    let world =
        World::new(decant_tests::engine(), modules(), &Options::default()).expect("the world is made");
    let there = Roles { operators: vec![world.operator], observers: Vec::new() };
    let first = Roles { observers: vec![world.index], ..there.clone() };
    let second = Roles { operators: Vec::new(), observers: Vec::new() };
    let submit = |now: &Roles| {
        let decision = Decision::Name { was: there.clone(), now: now.clone() };
        world.submit_decision(&decision).expect("it is valid when it is submitted")
    };
    let (one, other) = (submit(&first), submit(&second));
    world.approve(one).expect("it is executed");
    let refusal = world.approve(other).expect_err("it fails").to_string();
    assert!(refusal.contains("the roles are others now"), "{refusal}");
    let roles: Roles = query(&world.pic, world.coordinator, "decant_roles", ()).expect("it answers");
    assert_eq!(roles, first);
}
