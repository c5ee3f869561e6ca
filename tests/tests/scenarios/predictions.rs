//! What `decant plan` predicts, held against what a rehearsal measures.

use decant_cli::plan::{Advice, Canister, Fleet, Pace, Question, Way};
use decant_cli::prices::{PriceList, Prices};
use decant_cli::rehearsal::{self, Options, Silent, Strategy};
use decant_tests::{engine, modules};

/// What is predicted may be off by a tenth.
const TOLERANCE: f64 = 0.1;
/// Rounds by which it may be off besides: one for the first and one for the last.
const ROUNDS: f64 = 2.0;
const DAYS_A_YEAR: f64 = 365.25;
/// KiB of state up to which what users write meanwhile does not grow the heap: what it grows by (15 pages at 6,000 KiB) is
/// paid for as well, and hides what came free.
const SAME_HEAP_KIB: u32 = 200;

fn assert_predicted(way: Way, strategy: Strategy, canisters: u32, state_kib: u32) {
    let options = Options { canisters, state_kib, strategy, ..Options::default() };
    let report =
        rehearsal::run(engine(), modules(), &options, &mut Silent).expect("the rehearsal runs to its end");
    assert!(report.is_well(), "{report}");
    let each = |bytes: u64| bytes / u64::from(canisters);
    let canister = Canister {
        canister: "any".to_owned(),
        stable_bytes: each(report.stable_bytes_bloated),
        // All but the header page.
        used_bytes: each(report.stable_bytes_after) - 65_536,
        known_freed_bytes: None,
        manager_page: 0,
    };
    assert_eq!(canister.compact_bytes(), each(report.stable_bytes_after), "{report}");
    // As the command predicts it, for all of them; so many rounds as they take, whatever a round takes.
    let question = Question {
        prices: Prices { list: PriceList::of_2026(), nodes: 13 },
        pace: Pace { in_flight: options.in_flight, round_seconds: 1.0 },
        horizon_years: f64::INFINITY,
    };
    let mut fleet = Fleet::default();
    fleet.canisters = vec![canister; canisters as usize];
    let advice = Advice::of(&fleet, &question);
    let predicted = advice.ways.iter().find(|outlook| outlook.way == way).expect("every way is shown");
    assert_eq!(predicted.worth_it, canisters as usize, "{predicted:?}");
    let mut figures = vec![
        (
            "cycles a canister",
            predicted.cost_cycles / f64::from(canisters),
            report.cycles_per_job as f64,
            0.0,
        ),
        ("rounds that users wait", predicted.wait_seconds, report.fenced_rounds_max as f64, ROUNDS),
        ("rounds for all", predicted.duration_seconds, report.rounds as f64, ROUNDS),
    ];
    if state_kib <= SAME_HEAP_KIB {
        let days = predicted.payback_years.expect("memory is given back") * DAYS_A_YEAR;
        figures.push(("days to pay back", days, report.payback_days.expect("memory came free"), 0.0));
    }
    for (what, predicted, measured, more) in figures {
        assert!(
            (predicted - measured).abs() <= (TOLERANCE * measured).max(more),
            "{way:?}, {canisters} of {state_kib} KiB, {what}: predicted {predicted}, measured {measured}\n{report}"
        );
    }
}

#[test]
fn what_a_repack_costs_and_takes_is_predicted_for_few_canisters_for_more_and_for_larger_states() {
    for (canisters, state_kib) in [(3, 200), (16, 200), (2, 6_000)] {
        assert_predicted(Way::Repack, Strategy::Repack, canisters, state_kib);
    }
}

#[test]
fn what_a_relocation_costs_and_takes_is_predicted_with_the_kit_and_with_vessels() {
    assert_predicted(Way::Relocate, Strategy::Relocate, 3, 200);
    assert_predicted(Way::RelocateVessel, Strategy::RelocateVessel, 3, 200);
}
