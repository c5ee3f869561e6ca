//! People around a coordinator: they abort, pause, stop, upgrade, and leave. Design, section 6, promises 4 and 8.

use decant_api::jobs::{Outcome, Pause, Summary};
use decant_api::plan::Retention;
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::world::World;
use decant_tests::{assert_serves, enrol, fleet, jobs, modules, pause, settle, settle_with};
use std::time::Duration;

/// Cycles that a day of waiting may cost beyond what every canister pays (design, section 9: 0.001 T).
const IDLE_CYCLES_A_DAY: u128 = 1_000_000_000;

fn summary(world: &World) -> Summary {
    query(&world.pic, world.coordinator, "decant_summary", ()).expect("the coordinator answers")
}

/// A fleet, and a plan with so many jobs at a time and this retention.
fn planned(canisters: u32, in_flight: u32, retention: Retention) -> (World, Fleet) {
    let options = Options { canisters, state_kib: 40, ..Options::default() };
    let (world, users) = fleet(&options, &modules().kit);
    let mut plan = world.plan(modules(), &options).expect("the modules are uploaded");
    (plan.max_in_flight, plan.retention) = (in_flight, retention);
    world.propose(&plan).expect("the plan is approved");
    (world, users)
}

fn abort(world: &World, job: u64) {
    let aborted: Result<(), String> =
        update(&world.pic, world.coordinator, world.operator, "decant_abort", (job,)).expect("it answers");
    aborted.expect("a job that is not committed can be aborted");
}

/// S1.
#[test]
fn a_job_that_is_aborted_in_line_takes_no_place_and_an_idle_coordinator_sleeps() {
    let (world, mut users) = planned(3, 1, Retention::None);
    pause(&world, Pause::NoJobs);
    let ids = enrol(&world, &users).expect("the index enrols");
    abort(&world, ids[1]);
    assert_eq!(summary(&world).queued, 2);
    pause(&world, Pause::Running);
    let ended = settle(&world);
    assert!(matches!(ended[1].outcome, Outcome::RolledBack { .. }), "{ended:?}");
    for position in [0, 2] {
        assert_eq!(ended[position].outcome, Outcome::Done, "{ended:?}");
        assert_serves(&world, &mut users, position, ended[position].target.expect("it has one"));
    }
    let original = users.users[1].original;
    assert_serves(&world, &mut users, 1, original);
    // What is over its last message is answered; then nothing wakes it.
    for _ in 0..20 {
        world.pic.advance_time(Duration::from_secs(2));
        world.pic.tick();
    }
    let status = world.pic.canister_status(world.coordinator, Some(world.operator)).expect("it tells");
    let before = world.pic.cycle_balance(world.coordinator);
    for _ in 0..7 * 24 {
        world.pic.advance_time(Duration::from_secs(3_600));
        world.pic.tick();
    }
    let burned = (before - world.pic.cycle_balance(world.coordinator)) / 7;
    let base = u128::try_from(status.idle_cycles_burned_per_day.0).expect("a figure");
    println!("a week: {burned} cycles a day, {base} of them are what every canister pays");
    assert!(burned <= base + IDLE_CYCLES_A_DAY, "{burned} cycles a day, {base} are the base fee");
}

/// S2.
#[test]
fn originals_that_are_kept_take_no_place_of_others() {
    let (world, mut users) = planned(3, 1, Retention::Frozen { seconds: 604_800 });
    enrol(&world, &users).expect("the index enrols");
    for _ in 0..400 {
        if summary(&world).waiting == 3 {
            break;
        }
        world.pic.advance_time(Duration::from_secs(2));
        world.pic.tick();
    }
    let now = summary(&world);
    assert_eq!((now.queued, now.running, now.waiting), (0, 3, 3), "all in retention: {:?}", jobs(&world));
    for (position, job) in jobs(&world).iter().enumerate() {
        assert!(job.committed_nanos.is_some() && job.ended_nanos.is_none(), "{job:?}");
        assert_serves(&world, &mut users, position, job.target.expect("it has one"));
    }
    world.pic.advance_time(Duration::from_secs(604_800));
    for job in settle(&world) {
        assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    }
}

/// S7.
#[test]
fn a_working_coordinator_is_stopped_within_seconds_and_goes_on_when_it_is_started() {
    let (world, mut users) = planned(6, 6, Retention::None);
    enrol(&world, &users).expect("the index enrols");
    let mut stops = 0;
    let ended = settle_with(&world, |round| {
        if round % 3 == 1 && stops < 8 {
            let before = world.pic.get_time().as_nanos_since_unix_epoch();
            world.pic.stop_canister(world.coordinator, Some(world.operator)).expect("it can be stopped");
            let took_nanos = world.pic.get_time().as_nanos_since_unix_epoch() - before;
            assert!(took_nanos < 10_000_000_000, "{took_nanos} ns");
            world.pic.start_canister(world.coordinator, Some(world.operator)).expect("it starts");
            stops += 1;
        }
    });
    assert!(stops > 3, "{stops} stops");
    for (position, job) in ended.iter().enumerate() {
        assert_eq!(job.outcome, Outcome::Done, "{job:?}");
        assert_serves(&world, &mut users, position, job.target.expect("it has one"));
    }
}

/// S7.
#[test]
fn nothing_passes_its_commit_point_while_all_is_on_hold() {
    let (world, mut users) = planned(4, 4, Retention::None);
    enrol(&world, &users).expect("the index enrols");
    let mut committed = None;
    settle_with(&world, |round| {
        let count = || jobs(&world).iter().filter(|job| job.committed_nanos.is_some()).count();
        if round == 12 {
            pause(&world, Pause::Hold);
            // The call that each of them has open is answered.
            (0..10).for_each(|_| world.pic.tick());
            let before = count();
            (0..50).for_each(|_| {
                world.pic.advance_time(Duration::from_secs(20));
                world.pic.tick();
            });
            assert_eq!(count(), before, "{:?}", jobs(&world));
            committed = Some(before);
            pause(&world, Pause::Running);
        }
    });
    assert!(committed.expect("it was held") < 4, "some were before their commit point");
    for (position, job) in jobs(&world).iter().enumerate() {
        let serving = match job.outcome {
            Outcome::Done => job.target.expect("it has one"),
            _ => users.users[position].original,
        };
        assert_serves(&world, &mut users, position, serving);
    }
}

/// D8.
#[test]
fn a_working_coordinator_refuses_to_be_upgraded_before_it_is_stopped() {
    let (world, users) = planned(2, 2, Retention::None);
    enrol(&world, &users).expect("the index enrols");
    let mut refusals = 0;
    let ended = settle_with(&world, |round| {
        if round == 4 {
            let wasm = modules().coordinator.clone();
            let no_arg = candid::encode_args(()).expect("nothing encodes");
            let refused = world
                .pic
                .upgrade_canister(world.coordinator, wasm, no_arg, Some(world.operator))
                .expect_err("calls are under way");
            assert!(refused.reject_message.contains("stop the coordinator"), "{refused:?}");
            refusals += 1;
        }
    });
    assert_eq!(refusals, 1);
    assert!(ended.iter().all(|job| job.outcome == Outcome::Done), "{ended:?}");
}
