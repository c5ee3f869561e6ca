//! What `decant plan` predicts, held against what a rehearsal measures.

use decant_cli::plan::{Canister, Pace, Way};
use decant_cli::prices::{PriceList, Prices};
use decant_cli::rehearsal::{self, Options, Silent, Strategy};
use decant_tests::{engine, modules};

/// Predicted cycles a canister may be off by: a tenth.
const TOLERANCE: f64 = 0.1;

/// Predicted rounds that users wait may be off by a tenth, and by so many.
const WAIT_ROUNDS: f64 = 2.0;

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
    let prices = Prices { list: PriceList::of_2026(), nodes: 13 };
    let predicted = way.cycles_a_canister(&prices, canister.used_bytes, canisters.into());
    let ratio = predicted / report.cycles_per_job as f64;
    assert!((ratio - 1.0).abs() <= TOLERANCE, "{way:?}, {canisters} of {state_kib} KiB: {ratio}\n{report}");
    // So many rounds users wait, whatever a round takes.
    let pace = Pace { in_flight: options.in_flight, round_seconds: 1.0 };
    let (predicted, waited) = (way.wait_seconds(canister.used_bytes, pace), report.fenced_rounds_max as f64);
    assert!(
        (predicted - waited).abs() <= (TOLERANCE * waited).max(WAIT_ROUNDS),
        "{way:?}, {canisters} of {state_kib} KiB: users waited {waited} rounds, not {predicted}\n{report}"
    );
}

#[test]
fn the_price_of_a_repack_is_predicted_for_few_canisters_for_more_and_for_larger_states() {
    for (canisters, state_kib) in [(3, 200), (16, 200), (2, 6_000)] {
        assert_predicted(Way::Repack, Strategy::Repack, canisters, state_kib);
    }
}

#[test]
fn the_price_of_a_relocation_is_predicted_with_the_kit_and_with_vessels() {
    assert_predicted(Way::Relocate, Strategy::Relocate, 3, 200);
    assert_predicted(Way::RelocateVessel, Strategy::RelocateVessel, 3, 200);
}
