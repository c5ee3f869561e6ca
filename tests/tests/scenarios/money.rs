//! What is spent is counted, what is not needed is not created, what is left can be taken out (promises 5 and 13); and who
//! is told what became of jobs.

use candid::{CandidType, Principal};
use decant_api::govern::Decision;
use decant_api::jobs::{JobView, Outcome, PoolView, Summary};
use decant_api::payout::{Payee, Payout};
use decant_api::plan::Plan;
use decant_api::routes::Ended;
use decant_cli::rehearsal::calls::{kept, query, update};
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::{Options, Retention, world::World};
use decant_tests::repack::{create, install_shapes, manage, one_of_each, repack, shapes_plan, status};
use decant_tests::{
    assert_serves, delete_pooled, engine, fleet, hand_over, job_of, modules, restart, settle,
};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use std::time::Duration;

/// Rounds in which something must come about.
const ROUNDS: u32 = 2_000;

fn summary(world: &World) -> Summary {
    query(&world.pic, world.coordinator, "decant_summary", ()).expect("the coordinator answers")
}

fn pool(world: &World) -> Vec<PoolView> {
    query(&world.pic, world.coordinator, "decant_pool", ()).expect("the coordinator answers")
}

/// Users with the kit, and a plan for their relocation.
fn relocation(canisters: u32, retention: Retention, change: impl FnOnce(&mut Plan)) -> (World, Fleet) {
    let options = Options { canisters, state_kib: 8, retention, ..Options::default() };
    let (world, users) = fleet(&options, &modules().kit);
    let mut plan = world.plan(modules(), &options).expect("the modules are uploaded");
    plan.max_canisters = 100;
    plan.max_cycles = 100_000_000_000_000;
    change(&mut plan);
    world.propose(&plan).expect("the plan is approved");
    (world, users)
}

fn tick_until(world: &World, what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..ROUNDS {
        if is_so() {
            return;
        }
        world.pic.advance_time(Duration::from_secs(1));
        world.pic.tick();
    }
    panic!("{what} did not come about in {ROUNDS} rounds");
}

/// A job of the canister that has just got a target.
fn with_target(world: &World, original: Principal) -> JobView {
    hand_over(world, vec![original]).expect("the index enrols");
    tick_until(world, "a target", || job_of(world, original).is_some_and(|job| job.target.is_some()));
    job_of(world, original).expect("it has a job")
}

fn abort(world: &World, job: u64) {
    let aborted: Result<(), String> =
        update(&world.pic, world.coordinator, world.operator, "decant_abort", (job,)).expect("it answers");
    aborted.expect("it is not committed");
}

#[test]
fn what_the_coordinator_loses_by_a_plan_is_what_the_plan_has_spent() {
    let world = World::new(engine(), modules(), &Options::default()).expect("the world is made");
    let canisters: Vec<Principal> = (0..3).map(|_| install_shapes(&world, &one_of_each(16))).collect();
    let (before, begun) = (world.pic.cycle_balance(world.coordinator), world.pic.get_time());
    let jobs = repack(&world, &shapes_plan(&world), &canisters);
    assert!(jobs.iter().all(|job| job.outcome == Outcome::Done), "{jobs:?}");
    let lost = before - world.pic.cycle_balance(world.coordinator);
    let seconds = world.pic.get_time().as_nanos_since_unix_epoch() - begun.as_nanos_since_unix_epoch();
    let kept = kept(&world.pic, world.operator, &[world.coordinator]).expect("it is told");
    let idle = kept.idle_cycles_a_day;
    let idle = idle * u128::from(seconds / 1_000_000_000) / 86_400;
    let spent = summary(&world).cycles_spent;
    // Governance's two calls and the enrolment are nobody's: some 20 M each.
    let others = 200_000_000;
    assert!(lost <= spent + idle + others, "lost {lost}, spent {spent}, idle {idle}");
    assert!(spent <= (lost - idle.min(lost)) * 3 / 2, "lost {lost}, spent {spent}, idle {idle}");
}

#[test]
fn a_plan_that_can_not_pay_one_job_is_refused_with_the_figure() {
    let world = World::new(engine(), modules(), &Options::default()).expect("the world is made");
    let plan = Plan { max_cycles: 1, ..shapes_plan(&world) };
    let refusal = world.propose(&plan).expect_err("it could do nothing").to_string();
    assert!(refusal.contains("max_cycles is 1 and must be 53000000000 at least"), "{refusal}");
}

#[test]
fn one_relocation_takes_one_canister_whatever_else_is_under_way() {
    let (world, mut users) = relocation(1, Retention::Tombstone, |_| ());
    let repacks = Plan { max_in_flight: 10, ..shapes_plan(&world) };
    let canisters: Vec<Principal> = (0..10).map(|_| install_shapes(&world, &one_of_each(16))).collect();
    world.propose(&repacks).expect("it is approved");
    let enrolled: Vec<Result<u64, decant_api::routes::EnrolError>> =
        update(&world.pic, world.coordinator, world.operator, "decant_enrol", (canisters,))
            .expect("it answers");
    assert!(enrolled.iter().all(Result::is_ok), "{enrolled:?}");
    hand_over(&world, vec![users.users[0].original]).expect("the index enrols");
    let jobs = settle(&world);
    assert!(jobs.iter().all(|job| job.outcome == Outcome::Done), "{jobs:?}");
    assert_eq!(pool(&world), [], "none was created for nobody");
    let target = job_of(&world, users.users[0].original).and_then(|job| job.target).expect("it moved");
    assert_serves(&world, &mut users, 0, target);
}

/// Nothing but what calls take is left of what the plan may spend, and what it paid for is in the pool.
#[test]
fn a_canister_that_was_paid_serves_the_next_though_the_plan_may_not_pay_another() {
    let (world, mut users) = relocation(2, Retention::Tombstone, |plan| {
        let a_target = 500_000_000_000 + plan.cycles_per_target;
        plan.max_cycles = a_target + 60_000_000_000;
    });
    let first = with_target(&world, users.users[0].original);
    abort(&world, first.id);
    settle(&world);
    hand_over(&world, vec![users.users[1].original]).expect("the index enrols");
    settle(&world);
    let job = job_of(&world, users.users[1].original).expect("it has a job");
    assert_eq!((&job.outcome, job.target), (&Outcome::Done, first.target), "{job:?}");
    assert_serves(&world, &mut users, 1, job.target.expect("it moved"));
}

#[test]
fn a_canister_that_comes_back_serves_the_next_and_one_that_is_gone_serves_nobody() {
    let (world, mut users) = relocation(1, Retention::Tombstone, |_| ());
    let original = users.users[0].original;
    let job = with_target(&world, original);
    abort(&world, job.id);
    settle(&world);
    let back: Vec<Principal> = pool(&world).into_iter().map(|it| it.canister).collect();
    assert_eq!(back, [job.target.expect("it had one")], "it comes back");
    let again = with_target(&world, original);
    assert_eq!(again.target, job.target, "and goes out again, after a look");
    // Whoever controls the source controls the target, and tidies up.
    let target = again.target.expect("it has one");
    tick_until(&world, "its settings", || world.pic.get_controllers(target).contains(&world.operator));
    world.pic.stop_canister(target, Some(world.operator)).expect("it stops");
    world.pic.delete_canister(target, Some(world.operator)).expect("it goes");
    settle(&world);
    hand_over(&world, vec![original]).expect("the index enrols");
    settle(&world);
    let job = job_of(&world, original).expect("it has a job");
    assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    assert!(pool(&world).iter().all(|it| it.canister != target), "what is gone is in no pool");
    assert_serves(&world, &mut users, 0, job.target.expect("it moved"));
}

#[test]
fn a_target_that_somebody_else_uses_does_not_come_back_to_the_pool() {
    #[derive(CandidType)]
    struct OfCanister {
        canister_id: Principal,
    }
    let (world, users) = relocation(1, Retention::Tombstone, |_| ());
    let original = users.users[0].original;
    let job = with_target(&world, original);
    let target = job.target.expect("it has one");
    tick_until(&world, "its settings", || world.pic.get_controllers(target).contains(&world.operator));
    tick_until(&world, "its module", || status(&world, target).module_hash.is_some());
    let taken: Snapshot =
        manage(&world, target, "take_canister_snapshot", &OfCanister { canister_id: target });
    assert!(!taken.id.is_empty());
    abort(&world, job.id);
    settle(&world);
    let ended = job_of(&world, original).expect("it has a job");
    let told = format!("target {target} is not empty: left alone");
    assert!(matches!(&ended.outcome, Outcome::RolledBack { reason } if reason.contains(&told)), "{ended:?}");
    assert!(pool(&world).iter().all(|it| it.canister != target), "it is somebody's now");
    hand_over(&world, vec![original]).expect("the index enrols");
    settle(&world);
    let job = job_of(&world, original).expect("it has a job");
    assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    assert_ne!(job.target, Some(target), "another one");
}

#[derive(CandidType, Deserialize)]
struct Snapshot {
    id: ByteBuf,
}

#[test]
fn what_is_left_in_the_pool_is_deleted_and_its_cycles_come_back() {
    let (world, users) = relocation(1, Retention::Tombstone, |_| ());
    let job = with_target(&world, users.users[0].original);
    abort(&world, job.id);
    settle(&world);
    let canister = job.target.expect("it had one");
    let held = world.pic.cycle_balance(canister);
    let before = world.pic.cycle_balance(world.coordinator);
    delete_pooled(&world, canister);
    let back = world.pic.cycle_balance(world.coordinator) - before;
    assert!(back > held * 7 / 10, "{back} of {held} came back");
    assert!(!world.pic.canister_exists(canister));
    assert_eq!(pool(&world), []);
}

#[test]
fn governance_pays_cycles_out_and_leaves_the_floor() {
    let world = World::new(engine(), modules(), &Options::default()).expect("the world is made");
    let to = create(&world);
    let propose = |cycles: u128| -> Result<u64, String> {
        let payout = Payout { cycles, to: Payee::Canister(to) };
        world.submit_decision(&Decision::Pay(payout)).map_err(|refusal| refusal.to_string())
    };
    let all = world.pic.cycle_balance(world.coordinator);
    let refusal = propose(all).expect_err("the floor stays");
    assert!(refusal.contains("cycles are free"), "{refusal}");
    let before = world.pic.cycle_balance(to);
    let proposal = propose(7_000_000_000_000).expect("that much is free");
    let shown = world.approve(proposal).expect("it is executed");
    assert!(shown.contains(&to.to_string()), "{shown}");
    assert_eq!(world.pic.cycle_balance(to) - before, 7_000_000_000_000);
}

#[test]
fn a_freezing_reserve_is_not_burned_with_its_original() {
    #[derive(CandidType)]
    struct Settings {
        freezing_threshold: Option<candid::Nat>,
    }
    #[derive(CandidType)]
    struct UpdateSettings {
        canister_id: Principal,
        settings: Settings,
    }
    // The target takes the threshold over, and must have the cycles for it.
    let (world, mut users) =
        relocation(1, Retention::None, |plan| plan.cycles_per_target = 2_000_000_000_000);
    let original = users.users[0].original;
    let year = candid::Nat::from(31_536_000_u64);
    let settings = Settings { freezing_threshold: Some(year) };
    let () = manage(&world, original, "update_settings", &UpdateSettings { canister_id: original, settings });
    hand_over(&world, vec![original]).expect("the index enrols");
    let job = settle(&world).remove(0);
    assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    // What the last message prepaid, 82 B, is burned with any original; a year's reserve would be 300 B more.
    println!("{} cycles were burned", job.burned_cycles);
    assert!(job.burned_cycles < 90_000_000_000, "{} cycles were burned", job.burned_cycles);
    assert_serves(&world, &mut users, 0, job.target.expect("it moved"));
}

#[test]
fn a_tombstone_keeps_what_its_last_call_prepaid_and_no_more() {
    let (world, users) = relocation(1, Retention::Tombstone, |_| ());
    let original = users.users[0].original;
    hand_over(&world, vec![original]).expect("the index enrols");
    assert_eq!(settle(&world).remove(0).outcome, Outcome::Done);
    let left = world.pic.cycle_balance(original);
    assert!(left < 90_000_000_000, "{left} cycles are left");
}

#[test]
fn indexes_and_subscribers_are_told_what_became_of_jobs_and_one_without_ears_holds_nobody_up() {
    let deaf = |plan: &mut Plan| {
        let nobody = Principal::from_slice(&[0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 1, 1]);
        plan.subscribers = Some(vec![nobody]);
    };
    let (world, users) = relocation(2, Retention::Tombstone, deaf);
    let ended = |world: &World| -> Vec<Ended> {
        query(&world.pic, world.index, "ended", ()).expect("the index answers")
    };
    let first = with_target(&world, users.users[0].original);
    abort(&world, first.id);
    hand_over(&world, vec![users.users[1].original]).expect("the index enrols");
    let jobs = settle(&world);
    tick_until(&world, "two notices", || ended(&world).len() == 2);
    for (notice, job) in ended(&world).iter().zip(&jobs) {
        let new = if job.outcome == Outcome::Done { job.target } else { None };
        let expected = Ended {
            job: job.id,
            old: job.source,
            new: new.unwrap_or(job.source),
            outcome: job.outcome.clone(),
        };
        assert_eq!(*notice, expected);
    }
    assert_eq!(jobs[1].outcome, Outcome::Done, "{:?}", jobs[1]);
}

/// At least once: what nobody was told when a job ended is told when there is somebody, by whatever build that is then.
#[test]
fn a_subscriber_that_was_down_when_a_job_ended_is_told_later_also_by_an_upgraded_coordinator() {
    #[derive(CandidType)]
    struct Coordinated {
        coordinator: Principal,
    }
    for is_upgraded in [false, true] {
        let options = Options { canisters: 1, state_kib: 8, ..Options::default() };
        let (world, users) = fleet(&options, &modules().kit);
        let down = create(&world);
        let argument = candid::encode_one(Coordinated { coordinator: world.coordinator });
        let argument = argument.expect("it encodes");
        world.pic.install_canister(down, modules().index.clone(), argument, Some(world.operator));
        let plan = world.plan(modules(), &options).expect("the modules are uploaded");
        world.propose(&Plan { subscribers: Some(vec![down]), ..plan }).expect("the plan is approved");
        world.pic.stop_canister(down, Some(world.operator)).expect("it stops");
        hand_over(&world, vec![users.users[0].original]).expect("the index enrols");
        let job = settle(&world).remove(0);
        assert_eq!(job.outcome, Outcome::Done, "{job:?}");
        // It is asked a few times, and does not answer.
        for _ in 0..100 {
            world.pic.advance_time(Duration::from_secs(1));
            world.pic.tick();
        }
        if is_upgraded {
            restart(&world);
        }
        world.pic.start_canister(down, Some(world.operator)).expect("it starts");
        let ended = |world: &World| -> Vec<Ended> {
            query(&world.pic, down, "ended", ()).expect("the subscriber answers")
        };
        tick_until(&world, "a notice", || !ended(&world).is_empty());
        let new = job.target.expect("it has one");
        let expected = Ended { job: job.id, old: job.source, new, outcome: Outcome::Done };
        assert_eq!(ended(&world), [expected], "upgraded: {is_upgraded}");
    }
}
