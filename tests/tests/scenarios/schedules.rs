//! Whole rehearsals under many schedules: the specification promises hardly any order, so no job may rest on one.

use decant_cli::rehearsal::{self, Options, Silent, Strategy};
use decant_tests::faults::embedded;
use decant_tests::modules;

/// Schedules in the usual tests; `scripts/schedules` has more of them.
const SEEDS: u64 = 20;

fn under_every_seed(options: &Options) {
    let mut met = 0;
    for seed in 0..SEEDS {
        let options = Options { schedule_seed: Some(seed), ..options.clone() };
        let report = rehearsal::run(embedded(), modules(), &options, &mut Silent)
            .unwrap_or_else(|error| panic!("under schedule seed {seed}: {error:#}"));
        assert!(report.is_well(), "under schedule seed {seed}: {report}");
        assert_eq!(report.relocated, u64::from(options.canisters), "under schedule seed {seed}: {report}");
        met += report.write_attempts_while_fenced;
    }
    assert!(met > 0, "users write in every round, and not one write met a fence");
}

#[test]
fn a_fleet_is_relocated_under_every_schedule() {
    under_every_seed(&Options { canisters: 2, state_kib: 20, ..Options::default() });
}

#[test]
fn a_fleet_is_repacked_under_every_schedule() {
    let strategy = Strategy::Repack;
    under_every_seed(&Options { canisters: 2, state_kib: 20, strategy, ..Options::default() });
}

#[test]
fn a_fleet_is_relocated_through_vessels_under_every_schedule() {
    let strategy = Strategy::RelocateVessel;
    under_every_seed(&Options { canisters: 2, state_kib: 20, strategy, ..Options::default() });
}
