//! One campaign of those that `scripts/campaign` runs: people abort, pause, stop, upgrade, clear, delete, take control away
//! and flood, and all is accounted for; and a month of a small fleet.

use decant_tests::faults::embedded;
use decant_tests::{campaign, engine, month};

#[test]
fn a_campaign_ends_well_whatever_people_do_to_its_coordinator() {
    let campaign = campaign::run(embedded(), 100, 1).unwrap_or_else(|error| panic!("{error:#}"));
    println!("{campaign:?}");
    assert!(campaign.rolled_back > 3, "what was aborted was enrolled again: {campaign:?}");
    assert!(campaign.fenced_writes > 0, "users write in every round, and not one write met a fence");
    assert_eq!(campaign.undone, [], "{campaign:?}");
}

/// `scripts/campaign --month` does it with the fleet of the incident.
#[test]
fn a_month_of_a_campaign_is_accounted_for_whatever_is_down_held_aborted_upgraded_and_parked_by_dust() {
    let month =
        month::run(engine(), 30, &mut |line| println!("{line}")).unwrap_or_else(|error| panic!("{error:#}"));
    println!("{month:?}");
    assert!(month.days >= 7, "originals are kept for a week: {month:?}");
    assert!(month.rolled_back >= 3, "what was aborted was enrolled again: {month:?}");
    assert!(month.retried > 0, "{month:?}");
}
