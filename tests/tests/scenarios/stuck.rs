//! What does not answer keeps waiting whom it must, and nobody else (design, section 6, promises 2, 3 and 8): an index that is
//! broken, a source that somebody stops behind the commit point, a target that is emptied while its job waits, a hold.

use candid::{CandidType, Principal};
use decant_api::govern::{Canaries, Decision, Pace, PlanView};
use decant_api::jobs::{Batch, Command, JobView, Outcome, Pause, Which};
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::world::World;
use decant_cli::rehearsal::{Options, Retention};
use decant_tests::hostile::{Manner, hostile};
use decant_tests::keeper::{Keeper, bump, bumped, peek};
use decant_tests::repack::{RunState, install, nothing, plan, refusal, repack_with, status, used};
use decant_tests::{assert_serves, engine, enrol, fleet, job_of, jobs, modules, pause, route, settle};
use std::time::Duration;

const SWAP: [&str; 1] = ["decant_swap"];
const RETIRE: [&str; 1] = ["decant_retire"];
/// Rounds in which what is waited for must come.
const ROUNDS: u32 = 2_000;

#[derive(CandidType)]
struct Coordinated {
    coordinator: Principal,
}

/// Tells a canister what its one hostile method does from now on.
fn tell(world: &World, canister: Principal, method: [&str; 1], manner: &Manner) {
    world
        .pic
        .update_call(canister, world.operator, "hostile", manner.told(&method, method[0]))
        .expect("it is told");
}

/// A fleet whose routes are in two indexes, the second of which traps when it is to swap.
fn with_broken_index(canisters: u32, pace: Pace) -> (World, Fleet, Principal) {
    let options = Options { canisters, state_kib: 20, in_flight: 1, ..Options::default() };
    let (world, users) = fleet(&options, &modules().kit);
    let argument = candid::encode_one(Coordinated { coordinator: world.coordinator }).expect("it encodes");
    let broken = install(&world, &hostile(&modules().index, &SWAP), argument);
    tell(&world, broken, SWAP, &Manner::Trap);
    let mut plan = world.plan(modules(), &options).expect("the plan is made");
    plan.routes = Some(vec![world.index, broken]);
    world.decide(&Decision::Approve { plan, pace: Some(pace) }).expect("it is approved");
    enrol(&world, &users).expect("the index enrols");
    (world, users, broken)
}

fn until(world: &World, what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..ROUNDS {
        if is_so() {
            return;
        }
        world.pic.advance_time(Duration::from_secs(5));
        world.pic.tick();
    }
    panic!("{what} did not come: {:?}", jobs(world));
}

fn serves_all(world: &World, users: &mut Fleet) {
    for position in 0..users.users.len() {
        let original = users.users[position].original;
        assert_serves(world, users, position, original);
    }
}

#[test]
fn users_write_again_though_an_index_of_their_plan_traps_and_no_more_canisters_are_fenced_than_its_canaries()
{
    let canaries = Some(Canaries { jobs: 2, soak_seconds: Some(60) });
    let (world, mut users, broken) = with_broken_index(6, Pace { canaries, ..Pace::default() });
    let back = |job: &JobView| job.state == "rolling back" && job.served_nanos.is_some();
    until(&world, "both canaries on their way back", || {
        jobs(&world).iter().filter(|job| back(job)).count() == 2
    });
    serves_all(&world, &mut users);
    for _ in 0..720 {
        world.pic.advance_time(Duration::from_secs(10));
        world.pic.tick();
    }
    let all = jobs(&world);
    assert_eq!(all.iter().filter(|job| job.fenced_nanos.is_some()).count(), 2, "{all:#?}");
    let view: Option<PlanView> =
        query(&world.pic, world.coordinator, "decant_plan", (1_u64,)).expect("it answers");
    let waits_for = view.and_then(|view| view.waits_for).expect("it says what it waits for");
    assert!(waits_for.contains("canaries"), "{waits_for}");
    // It is mended: all that it kept goes on by itself.
    tell(&world, broken, SWAP, &Manner::Honest);
    until(&world, "their end", || {
        jobs(&world).iter().filter(|job| matches!(job.outcome, Outcome::RolledBack { .. })).count() == 2
    });
    serves_all(&world, &mut users);
}

#[test]
fn users_wait_no_longer_than_their_plan_allows() {
    // An index that does not answer keeps a job trying for minutes otherwise.
    let pace = Pace { max_wait_seconds: Some(60), ..Pace::default() };
    let (world, mut users, _) = with_broken_index(1, pace);
    until(&world, "the way back", || jobs(&world)[0].served_nanos.is_some());
    let job = &jobs(&world)[0];
    assert_eq!(job.code.as_deref(), Some("Overdue"), "{job:?}");
    let waited_nanos = job.served_nanos.zip(job.fenced_nanos).map(|(served, fenced)| served - fenced);
    // What is under way when the time is over, and the way back, take a few rounds of five seconds.
    assert!(waited_nanos.is_some_and(|nanos| nanos < 120_000_000_000), "{job:?}");
    serves_all(&world, &mut users);
}

#[test]
fn skipping_all_with_a_reason_leaves_alone_what_goes_back_by_itself() {
    let (world, mut users, broken) = with_broken_index(1, Pace::default());
    until(&world, "the way back", || jobs(&world)[0].state == "rolling back");
    let code = jobs(&world)[0].code.clone();
    let which = Which { plan: None, code, after: 0 };
    let batch: Result<Batch, String> =
        update(&world.pic, world.coordinator, world.operator, "decant_all", (Command::Skip, which))
            .expect("it answers");
    assert_eq!(batch.expect("an operator may").taken, 0);
    assert_eq!(jobs(&world)[0].state, "rolling back");
    tell(&world, broken, SWAP, &Manner::Honest);
    settle(&world);
    serves_all(&world, &mut users);
}

/// A relocation whose every route names its target, and whose source can't be told.
fn committed() -> (World, Fleet, Principal) {
    let options = Options { canisters: 1, state_kib: 20, retention: Retention::None, ..Options::default() };
    let (mut world, users) = fleet(&options, &hostile(&modules().kit, &RETIRE));
    let source = users.users[0].original;
    tell(&world, source, RETIRE, &Manner::Trap);
    world.approve_plan(modules(), &options).expect("it is approved");
    enrol(&world, &users).expect("the index enrols");
    until(&world, "the commit point", || job_of(&world, source).is_some_and(|job| job.state == "committed"));
    (world, users, source)
}

#[test]
fn a_target_serves_though_somebody_stops_its_source_when_every_route_names_the_target() {
    let (world, mut users, source) = committed();
    world.pic.stop_canister(source, Some(world.operator)).expect("a controller may");
    until(&world, "the target", || job_of(&world, source).is_some_and(|job| job.served_nanos.is_some()));
    let target = route(&world, 0);
    assert_ne!(target, source);
    assert_serves(&world, &mut users, 0, target);
    // Whoever stopped it starts it: it takes nothing, gives its cycles, and is deleted.
    world.pic.start_canister(source, Some(world.operator)).expect("a controller may");
    tell(&world, source, RETIRE, &Manner::Honest);
    let refused =
        world.pic.update_call(source, world.operator, "post", candid::encode_one("late").expect("text"));
    assert!(refused.is_err(), "promise 1: {refused:?}");
    let ended = settle(&world).remove(0);
    assert_eq!(ended.outcome, Outcome::Done, "{ended:?}");
    assert!(!world.pic.canister_exists(source) && ended.drained_cycles > 0, "{ended:?}");
    assert_serves(&world, &mut users, 0, target);
}

#[test]
fn a_target_serves_though_somebody_takes_the_code_of_its_source_when_every_route_names_the_target() {
    let (world, mut users, source) = committed();
    world.pic.uninstall_canister(source, Some(world.operator)).expect("a controller may");
    until(&world, "the target", || job_of(&world, source).is_some_and(|job| job.served_nanos.is_some()));
    let target = route(&world, 0);
    assert_serves(&world, &mut users, 0, target);
}

#[test]
fn a_canister_whose_stop_is_under_way_when_operators_hold_everything_serves_again_under_that_hold() {
    let world = World::new(engine(), modules(), &Options::default()).expect("the world is made");
    let keeper = Keeper::default();
    let hanging = install(&world, &keeper.module(), nothing());
    bump(&world, hanging);
    world.pic.submit_call(hanging, world.operator, "hang", nothing()).expect("it is sent");
    let plan = plan(&world, vec![used(&keeper.module(), nothing())]);
    let mut is_held = false;
    let jobs = repack_with(&world, &plan, &[hanging], || {
        if !is_held && status(&world, hanging).status == RunState::Stopping {
            pause(&world, Pause::Hold);
            is_held = true;
        }
    });
    assert!(is_held, "it was held while its canister was stopping");
    assert!(refusal(&jobs[0]).contains("still stopping"), "{:?}", jobs[0]);
    assert_eq!(status(&world, hanging).status, RunState::Running);
    assert_eq!(peek(&world, hanging), bumped(1));
}
