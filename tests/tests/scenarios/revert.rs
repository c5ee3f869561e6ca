//! Going back behind the commit point: while the original is retained, and only if nothing was written since it moved.

use candid::Principal;
use decant_api::events::Evidence;
use decant_api::jobs::{JobView, Outcome, PoolView, Summary};
use decant_api::plan::Retention;
use decant_api::source::{Fence, KitStatus};
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::world::World;
use decant_cli::rehearsal::{self as rehearsal, Options, Strategy};
use decant_tests::{assert_serves, bloated_on, engine, enrol, fleet, jobs, modules, restart, route, settle};
use std::time::Duration;

/// Seconds that originals are kept: longer than any of these tests takes.
const KEPT_SECONDS: u64 = 100_000;
/// Rounds in which a job comes to rest.
const ROUNDS: u32 = 1_000;
/// Cycles that a job is expected to take at most, its way back included (coordinator, `money`).
const JOB_CYCLES: u128 = 3_000_000_000;
/// Cycles that messages, hashing and storage burn of a canister at most meanwhile.
const MOST_BURNED_CYCLES: u128 = 100_000_000_000;

fn until(world: &World, mut is_so: impl FnMut() -> bool) {
    for _ in 0..ROUNDS {
        if is_so() {
            return;
        }
        world.pic.advance_time(Duration::from_secs(2));
        world.pic.tick();
    }
    panic!("it does not come about: {:#?}", jobs(world));
}

/// Until every job's original is retained.
fn retained(world: &World, count: u64) {
    until(world, || {
        let summary: Summary =
            query(&world.pic, world.coordinator, "decant_summary", ()).expect("it answers");
        summary.waiting == count
    });
}

/// A fleet with the kit that moved, and whose originals are retained.
fn moved(canisters: u32) -> (World, Fleet) {
    let options = Options { canisters, state_kib: 40, ..Options::default() };
    let (world, users) = fleet(&options, &modules().kit);
    let mut plan = world.plan(modules(), &options).expect("the modules are uploaded");
    plan.retention = Retention::Frozen { seconds: KEPT_SECONDS };
    world.propose(&plan).expect("the plan is approved");
    enrol(&world, &users).expect("the index enrols");
    retained(&world, canisters.into());
    (world, users)
}

fn job(world: &World, id: u64) -> JobView {
    jobs(world).into_iter().find(|job| job.id == id).expect("it is known")
}

fn revert(world: &World, id: u64) -> Result<(), String> {
    update(&world.pic, world.coordinator, world.operator, "decant_revert", (id,)).expect("it answers")
}

/// Until the job retains its original again.
fn told(world: &World, id: u64) -> JobView {
    until(world, || job(world, id).state == "retaining");
    job(world, id)
}

fn fence(world: &World, canister: Principal) -> Fence {
    query::<KitStatus>(&world.pic, canister, "decant_status", ()).expect("it answers").fence
}

fn evidence(world: &World, id: u64) -> Evidence {
    query::<Option<Evidence>>(&world.pic, world.coordinator, "decant_evidence", (id,))
        .expect("it answers")
        .expect("it is known")
}

#[test]
fn an_original_whose_target_was_not_written_to_serves_again_and_the_target_comes_back() {
    let (world, mut users) = moved(2);
    let original = users.users[0].original;
    let target = job(&world, 1).target.expect("it moved");
    let spent = |world: &World| {
        let summary: Summary =
            query(&world.pic, world.coordinator, "decant_summary", ()).expect("it answers");
        (summary.calls, summary.cycles_spent)
    };
    let before = spent(&world);
    let (had, held) = (world.pic.cycle_balance(original), world.pic.cycle_balance(target));
    revert(&world, 1).expect("its original is retained");
    let again = revert(&world, 1).expect_err("once is enough");
    assert!(again.contains("reverts already"), "{again}");
    let mut states = Vec::new();
    until(&world, || {
        let job = job(&world, 1);
        if states.last() != Some(&job.state) && job.served_nanos.is_none() {
            // Promise 4: whatever is under way, it goes on from there.
            restart(&world);
            states.push(job.state);
        }
        job.ended_nanos.is_some()
    });
    let after = spent(&world);
    let (calls, cycles) = (after.0 - before.0, after.1 - before.1);
    println!("reverted with {calls} calls and {cycles} cycles, past {} upgrades", states.len());
    assert!(cycles < JOB_CYCLES, "what a job was started with is enough for its way back, too");
    assert!(states.len() > 1, "users wait meanwhile, and are counted: {states:?}");
    let back = job(&world, 1);
    let Outcome::RolledBack { reason } = &back.outcome else { panic!("{back:?}") };
    assert!(reason.contains("taken back by an operator"), "{reason}");
    assert_eq!((back.target, back.committed_nanos), (None, None), "{back:?}");
    // Users are served by it, with all that they had, and what they write is taken.
    assert_eq!(fence(&world, original), Fence::Open);
    assert_serves(&world, &mut users, 0, original);
    let resolved: Principal =
        query(&world.pic, world.coordinator, "decant_resolve", (original,)).expect("it answers");
    assert_eq!(resolved, original, "promise 3");
    // Promise 5: the target is in the pool, empty, with its cycles; the original has its own.
    let pool: Vec<PoolView> = query(&world.pic, world.coordinator, "decant_pool", ()).expect("it answers");
    assert_eq!(pool.iter().map(|it| it.canister).collect::<Vec<_>>(), [target]);
    assert_eq!(pool[0].aside, None, "it serves the next job");
    let stands = world.pic.canister_status(target, Some(world.coordinator)).expect("it is the coordinator's");
    assert_eq!((stands.module_hash, stands.settings.controllers), (None, vec![world.coordinator]));
    for (canister, before) in [(original, had), (target, held)] {
        let burned = before.saturating_sub(world.pic.cycle_balance(canister));
        assert!(burned < MOST_BURNED_CYCLES, "{burned} cycles of {canister}");
    }
    // The other one is still retained, and its end comes as if nothing had happened; the first may be enrolled again.
    world.pic.advance_time(Duration::from_secs(KEPT_SECONDS));
    settle(&world);
    assert_eq!(job(&world, 2).outcome, Outcome::Done);
    assert_serves(&world, &mut users, 1, job(&world, 2).target.expect("it moved"));
    let late = revert(&world, 2).expect_err("its original is gone");
    assert!(late.contains("no way back"), "{late}");
    assert!(revert(&world, 1).expect_err("it went back").contains("already"));
}

#[test]
fn a_target_that_was_written_to_serves_on_with_that_and_says_why() {
    let (world, mut users) = moved(2);
    let (target, upgraded) =
        (job(&world, 1).target.expect("it moved"), job(&world, 2).target.expect("it moved"));
    let proven = evidence(&world, 1);
    let before = job(&world, 1);
    assert_serves(&world, &mut users, 0, target);
    revert(&world, 1).expect("its original is retained");
    let kept = told(&world, 1);
    assert_eq!(kept.code.as_deref(), Some("WrittenSince"), "{kept:?}");
    let trouble = kept.trouble.as_deref().unwrap_or_default();
    assert!(trouble.contains("users wrote to the target") && trouble.contains("it serves on"), "{trouble}");
    assert_eq!((kept.fenced_nanos, kept.served_nanos), (before.fenced_nanos, before.served_nanos));
    // What was written is there, and more is taken.
    assert_serves(&world, &mut users, 0, target);
    assert!(matches!(fence(&world, users.users[0].original), Fence::Moved { .. }), "promise 1");
    let still = evidence(&world, 1);
    assert_eq!(
        (still.root, still.fingerprint),
        (proven.root, proven.fingerprint),
        "what moved is still proven"
    );
    // Promise 12: one that somebody upgraded is theirs.
    let no_arg = candid::encode_args(()).expect("nothing encodes");
    world
        .pic
        .upgrade_canister(upgraded, modules().kit.clone(), no_arg, Some(world.operator))
        .expect("it is an ordinary upgrade");
    revert(&world, 2).expect("its original is retained");
    let kept = told(&world, 2);
    assert_eq!(kept.code.as_deref(), Some("OthersActed"), "{kept:?}");
    assert_serves(&world, &mut users, 1, upgraded);
    // Retention goes on as long as it would have.
    world.pic.advance_time(Duration::from_secs(KEPT_SECONDS));
    for job in settle(&world) {
        assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    }
}

#[test]
fn what_moved_or_was_repacked_without_the_kit_is_not_taken_back() {
    for strategy in [Strategy::Repack, Strategy::RelocateVessel] {
        let retention = rehearsal::Retention::Frozen;
        let options = Options { canisters: 1, state_kib: 40, strategy, retention, ..Options::default() };
        let (mut world, mut users) = bloated_on(engine(), &options);
        world.approve_plan(modules(), &options).expect("the plan is approved");
        enrol(&world, &users).expect("the index enrols");
        let early = revert(&world, 1).expect_err("it is not committed");
        assert!(early.contains("decant_abort"), "{early}");
        retained(&world, 1);
        let serving = route(&world, users.users[0].number);
        let refused = revert(&world, 1).expect_err("nothing tells whether users wrote");
        assert!(refused.contains("without the kit") && refused.contains("runbooks"), "{refused}");
        assert_serves(&world, &mut users, 0, serving);
    }
}
