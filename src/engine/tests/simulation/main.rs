//! A simulated Internet Computer, thousands of times, with everything going wrong that can.
//! Tests cite the promises of design.md by number.

mod canister;
mod checks;
mod coordinator;
mod old;
mod people;
mod prng;
mod run;
#[path = "../soak/mod.rs"]
mod soak;
mod sweeps;
mod troubles;
mod world;

use coordinator::{Chaos, Coordinator, is_stuck, plan, precopied, recycling, tombstone_hash};
use decant_engine::{PlanEssentials, ReasonCode, Retention, State};
use prng::{Prng, seeds};
use run::run;
use soak::Ends;
use world::{Trouble, World};

const TROUBLES: [Trouble; 18] = [
    Trouble::Nothing,
    Trouble::NotControlled,
    Trouble::WrongModule,
    Trouble::DirtyTarget,
    Trouble::HookTraps,
    Trouble::WritesAfterSeal,
    Trouble::RouteConflict,
    Trouble::UnknownRoute,
    Trouble::CorruptTarget,
    Trouble::WrongFingerprint,
    Trouble::Unreadable,
    Trouble::HeldByOther,
    Trouble::NotWorthIt,
    Trouble::HasSnapshots,
    Trouble::SourceStopped,
    Trouble::NeverStops,
    Trouble::NoCycles,
    Trouble::EmptyPool,
];

pub(crate) fn retention(prng: &mut Prng) -> Retention {
    match prng.below(3) {
        0 => Retention::None,
        1 => Retention::Frozen { seconds: 100 },
        _ => Retention::Tombstone { module_hash: tombstone_hash() },
    }
}

/// A world of this seed, at rest; then mended, and at rest again. Counts how the jobs ended.
fn simulate(seed: u64, trouble: Trouble, chaos: Chaos, ends: &mut Ends) {
    let mut prng = Prng::new(seed);
    // A fleet whose originals go to others has more users than jobs at a time.
    let recycles = seed % 3 == 1 && trouble != Trouble::EmptyPool;
    let users = 1 + prng.below(3) + if recycles { 2 } else { 0 };
    let indexes = 1 + prng.below(3);
    let mut world = World::new(users, indexes, trouble, prng.next() % 900);
    world.is_quiet = chaos.revert > 0 && !seed.is_multiple_of(4);
    let retention = retention(&mut prng);
    let simple = PlanEssentials { has_asset_checks: seed.is_multiple_of(3), ..plan(retention) };
    let mut plan = if seed.is_multiple_of(2) { simple } else { precopied(simple) };
    let recycles = recycles && !matches!(retention, Retention::Tombstone { .. });
    if recycles {
        plan = recycling(plan);
    }
    let mut coordinator = Coordinator::new(&world, plan);
    coordinator.in_flight = if recycles { 1 + prng.below(2) } else { usize::MAX };
    coordinator.has_history = seed.is_multiple_of(16);
    run(&mut world, &mut coordinator, chaos, &mut prng);
    for tracked in &coordinator.jobs {
        let end = match tracked.job.state() {
            _ if is_stuck(&tracked.job) => "waiting",
            State::RolledBack { reason } if reason.code() == ReasonCode::Reverted => "reverted",
            other => other.name(),
        };
        *ends.entry(end.to_owned()).or_default() += 1;
    }
    // Promise 8: what is parked moves on once what was broken is mended.
    world.trouble = Trouble::Nothing;
    for canister in world.canisters.values_mut() {
        canister.is_controlled = true;
        canister.snapshots_bytes = 0;
    }
    coordinator.retry();
    run(&mut world, &mut coordinator, Chaos::default(), &mut prng);
    *ends.entry("emptied".to_owned()).or_default() += world.emptied.len() as u64;
    let targets = coordinator.jobs.iter().filter_map(|it| it.job.target());
    let reused = targets.filter(|target| world.emptied.contains(target)).count();
    *ends.entry("reused".to_owned()).or_default() += reused as u64;
    let is_kept = trouble == Trouble::WritesAfterSeal;
    for tracked in &coordinator.jobs {
        assert!(tracked.job.state().is_ended() || is_kept, "promise 8: {:?}", tracked.job.state());
    }
}

#[test]
fn promises_1_2_3_4_5_and_8_hold_on_a_network_that_loses_rejects_and_delays() {
    let mut ends = Ends::new();
    for seed in seeds(0, 4_000) {
        let chaos =
            Chaos { reject: seed % 200, lose: seed * 7 % 300, crash: seed * 3 % 20, abort: 0, revert: 0 };
        simulate(seed, Trouble::Nothing, chaos, &mut ends);
    }
    assert!(ends["done"] > 6_000, "most get through: {ends:?}");
    println!("{ends:?}");
}

#[test]
fn promises_1_2_3_4_5_and_8_hold_when_an_operator_aborts_at_any_moment() {
    let mut ends = Ends::new();
    for seed in seeds(1_000_000, 3_000) {
        let chaos =
            Chaos { reject: seed % 100, lose: seed % 200, crash: seed % 10, abort: 1 + seed % 20, revert: 0 };
        simulate(seed, Trouble::Nothing, chaos, &mut ends);
    }
    assert!(ends["done"] > 300 && ends["rolled back"] > 300, "both ends are reached: {ends:?}");
    println!("{ends:?}");
}

#[test]
fn promises_1_2_3_4_5_and_8_hold_when_an_operator_goes_back_behind_the_commit_point() {
    let mut ends = Ends::new();
    for seed in seeds(4_000_000, 3_000) {
        let chaos = Chaos {
            reject: seed % 100,
            lose: seed % 200,
            crash: seed % 10,
            abort: seed % 2,
            revert: 200 + seed % 700,
        };
        simulate(seed, Trouble::Nothing, chaos, &mut ends);
    }
    assert!(ends["reverted"] > 500 && ends["done"] > 2_000, "both ends are reached: {ends:?}");
    println!("{ends:?}");
}

#[test]
fn promises_1_2_3_4_5_and_8_hold_in_every_trouble_on_a_bad_network() {
    let mut ends = Ends::new();
    for seed in seeds(2_000_000, 3_600) {
        let trouble = TROUBLES[seed as usize % TROUBLES.len()];
        let chaos = Chaos {
            reject: seed % 300,
            lose: seed % 400,
            crash: seed % 30,
            abort: seed % 3,
            revert: seed % 50,
        };
        simulate(seed, trouble, chaos, &mut ends);
    }
    assert!(ends["rolled back"] > 1_000 && ends.contains_key("waiting"), "{ends:?}");
    println!("{ends:?}");
}

#[test]
fn promise_8_holds_on_a_network_that_hardly_works_at_all() {
    let mut ends = Ends::new();
    for seed in seeds(3_000_000, 600) {
        let chaos = Chaos { reject: 700, lose: 500, crash: 40, abort: 0, revert: 0 };
        simulate(seed, Trouble::Nothing, chaos, &mut ends);
    }
    assert!(ends["waiting"] > 20 && ends["rolled back"] > 20, "{ends:?}");
    println!("{ends:?}");
}

/// All troubles, on networks of every kind; in every fourth world people act.
#[test]
fn soak() {
    soak::soak(|seed, ends| {
        if seed % 4 == 3 {
            return people::acted(seed, ends);
        }
        let trouble = match seed % 3 {
            0 => Trouble::Nothing,
            _ => TROUBLES[(seed / 3) as usize % TROUBLES.len()],
        };
        let chaos = Chaos {
            reject: seed * 5 % 300,
            lose: seed * 7 % 400,
            crash: seed * 3 % 30,
            abort: seed % 7,
            revert: seed % 300,
        };
        simulate(seed, trouble, chaos, ends);
    });
}

#[test]
fn promise_4_one_seed_is_one_history() {
    let end = |seed| {
        let mut prng = Prng::new(seed);
        let mut world = World::new(2, 2, Trouble::Nothing, 300);
        let mut coordinator = Coordinator::new(&world, plan(Retention::None));
        run(
            &mut world,
            &mut coordinator,
            Chaos { reject: 100, lose: 100, crash: 10, abort: 1, revert: 0 },
            &mut prng,
        );
        coordinator.jobs.iter().map(|it| it.journal.clone()).collect::<Vec<_>>()
    };
    assert_eq!(end(5), end(5));
}

#[test]
fn a_fleet_whose_originals_go_to_others_creates_as_many_canisters_as_there_are_jobs_at_a_time() {
    for (seed, in_flight) in [(1, 1), (2, 2), (3, 3)] {
        let mut prng = Prng::new(seed);
        let mut world = World::new(9, 2, Trouble::Nothing, 300);
        let mut coordinator = Coordinator::new(&world, recycling(plan(Retention::None)));
        coordinator.in_flight = in_flight;
        run(&mut world, &mut coordinator, Chaos::default(), &mut prng);
        assert!(coordinator.jobs.iter().all(|it| matches!(it.job.state(), State::Done { .. })));
        assert!(coordinator.created <= in_flight, "{} for {in_flight} at a time", coordinator.created);
        let targets = coordinator.jobs.iter().filter_map(|it| it.job.target());
        let reused = targets.filter(|target| world.emptied.contains(target)).count();
        assert_eq!(
            (world.emptied.len(), reused),
            (9, 9 - coordinator.created),
            "each serves once, and again"
        );
    }
}

#[test]
fn users_are_refused_only_while_a_source_is_fenced() {
    let mut prng = Prng::new(1);
    let mut world = World::new(1, 1, Trouble::Nothing, 0);
    let mut coordinator = Coordinator::new(&world, plan(Retention::None));
    run(&mut world, &mut coordinator, Chaos::default(), &mut prng);
    assert!(matches!(coordinator.jobs[0].job.state(), State::Done { .. }));
    let refused_writes = world.users[0].refused_writes;
    for _ in 0..100 {
        world.write(&mut prng);
    }
    assert_eq!(world.users[0].refused_writes, refused_writes);
}
