//! The strategies by vessel in a simulated Internet Computer, with everything going wrong that can.
//! Tests cite the promises of design.md by number.

mod canister;
mod checks;
mod effects;
#[path = "../golden/mod.rs"]
mod golden;
mod others;
#[path = "../simulation/prng.rs"]
mod prng;
mod run;
#[path = "../soak/mod.rs"]
mod soak;
mod storage;
mod sweeps;
mod troubles;
mod world;

use prng::seeds;
use run::{Fault, Run, plans};
use soak::Ends;
use world::{Hooks, Timers, Trouble};

/// How the network misbehaves, in a thousand.
#[derive(Debug, Clone, Copy)]
struct Chaos {
    reject: u64,
    lose: u64,
    crash: u64,
    abort: u64,
}

const TROUBLES: [Trouble; 29] = [
    Trouble::Nothing,
    Trouble::NotControlled,
    Trouble::SourceStopped,
    Trouble::NoModule,
    Trouble::NotPlanned,
    Trouble::NoStableMemory,
    Trouble::Raw,
    Trouble::Unreadable,
    Trouble::AlreadyCompact,
    Trouble::SmallAndCompact,
    Trouble::NotWorthIt,
    Trouble::BucketTooSmall,
    Trouble::Tailed,
    Trouble::Elsewhere,
    Trouble::NoPreUpgrade,
    Trouble::NoPreUpgradeButConsent,
    Trouble::NoSlot,
    Trouble::FewCycles,
    Trouble::WantsCycles,
    Trouble::PublicSnapshots,
    Trouble::SmallHeapLimit,
    Trouble::TooManyControllers,
    Trouble::PreUpgradeTraps,
    Trouble::PostUpgradeTraps,
    Trouble::CorruptUpload,
    Trouble::PostUpgradeGrows,
    Trouble::NeverStops,
    Trouble::EmptyPool,
    Trouble::RouteConflict,
];

/// A world of this seed, at rest; then mended, and at its end.
fn simulate(seed: u64, trouble: Trouble, chaos: Chaos, ends: &mut Ends) {
    let plans = plans();
    let mut run = Run::new(plans[seed as usize % plans.len()], trouble, seed);
    // Not in step with plans and troubles.
    run.world.timers = [Timers::Never, Timers::Kept, Timers::Rearmed][(seed / 7) as usize % 3];
    if trouble != Trouble::NoPreUpgradeButConsent {
        run.world.hooks = [Hooks::Plain, Hooks::Eraser][(seed / 11) as usize % 2];
    }
    let mut dice = prng::Prng::new(seed ^ 0xffff);
    run.run(&mut |_, _, _| {
        if dice.permille(chaos.abort) {
            return [Fault::AbortBefore, Fault::Abort, Fault::AbortLost, Fault::AbortCrash][dice.below(4)];
        }
        if dice.permille(chaos.reject) {
            return if dice.permille(20) { Fault::Refused } else { Fault::Transient };
        }
        if dice.permille(chaos.lose) {
            return [Fault::LostBefore, Fault::LostAfter, Fault::Twice][dice.below(3)];
        }
        if dice.permille(chaos.crash) { Fault::Crash } else { Fault::Nothing }
    });
    *ends.entry(run.job.state().name().to_owned()).or_default() += 1;
    run.mend();
}

#[test]
fn promises_1_to_5_and_8_hold_on_a_network_that_loses_rejects_and_delays() {
    let mut ends = Ends::new();
    for seed in seeds(0, 6_000) {
        let chaos = Chaos { reject: seed % 120, lose: seed * 7 % 200, crash: seed * 3 % 60, abort: 0 };
        simulate(seed, Trouble::Nothing, chaos, &mut ends);
    }
    assert!(ends["done"] > 4_000, "most get through: {ends:?}");
    println!("{ends:?}");
}

#[test]
fn promises_1_to_5_and_8_hold_when_an_operator_aborts_at_any_moment() {
    let mut ends = Ends::new();
    for seed in seeds(1_000_000, 4_000) {
        let chaos = Chaos { reject: seed % 100, lose: seed % 200, crash: seed % 50, abort: 1 + seed % 60 };
        simulate(seed, Trouble::Nothing, chaos, &mut ends);
    }
    assert!(ends["done"] > 500 && ends["rolled back"] > 500, "both ends are reached: {ends:?}");
    println!("{ends:?}");
}

#[test]
fn promises_1_to_5_and_8_hold_in_every_trouble_on_a_bad_network() {
    let mut ends = Ends::new();
    for seed in seeds(2_000_000, 4_200) {
        // Not in step with the plans, of which there are five.
        let trouble = TROUBLES[(seed / 5) as usize % TROUBLES.len()];
        let chaos = Chaos { reject: seed % 300, lose: seed % 400, crash: seed % 60, abort: seed % 5 };
        simulate(seed, trouble, chaos, &mut ends);
    }
    assert!(ends["rolled back"] > 2_000 && ends["done"] > 100, "{ends:?}");
    println!("{ends:?}");
}

#[test]
fn promise_8_holds_on_a_network_that_hardly_works_at_all() {
    let mut ends = Ends::new();
    for seed in seeds(3_000_000, 1_000) {
        let chaos = Chaos { reject: 500, lose: 500, crash: 300, abort: 0 };
        simulate(seed, Trouble::Nothing, chaos, &mut ends);
    }
    assert!(ends["rolled back"] > 100, "{ends:?}");
    println!("{ends:?}");
}

/// All troubles, on networks of every kind; in every third world somebody else acts.
#[test]
fn soak() {
    soak::soak(|seed, ends| {
        // Not in step with the plans, of which there are five.
        let trouble = TROUBLES[(seed / 15) as usize % TROUBLES.len()];
        let chaos =
            Chaos { reject: seed * 5 % 300, lose: seed * 7 % 400, crash: seed * 3 % 60, abort: seed % 11 };
        match seed % 3 {
            0 => simulate(seed, Trouble::Nothing, chaos, ends),
            1 => simulate(seed, trouble, chaos, ends),
            _ => others::acted(seed, ends),
        }
    });
}

#[test]
fn promise_4_one_seed_is_one_history() {
    let history = || {
        let mut run = Run::new(plans()[3], Trouble::Nothing, 5);
        let mut dice = prng::Prng::new(6);
        run.run(&mut |_, _, _| if dice.permille(200) { Fault::LostAfter } else { Fault::Nothing });
        run.journal
    };
    assert_eq!(history(), history());
}

#[test]
fn promise_4_a_journal_cut_anywhere_makes_the_job_that_was() {
    for plan in plans() {
        for seed in 0..20 {
            let mut run = Run::new(plan, Trouble::Nothing, seed);
            let mut dice = prng::Prng::new(seed);
            let mut history = Vec::new();
            run.run_beside(&mut |run| history.push((run.journal.len(), run.job.clone())), &mut |_, _, _| {
                if dice.permille(200) { Fault::Crash } else { Fault::Nothing }
            });
            for (length, then) in history {
                let replayed = decant_engine::replay(run.enrolled.clone(), &run.journal[..length]);
                assert_eq!(replayed.expect("promise 4: a journal replays"), then, "cut after {length}");
            }
        }
    }
}
