//! One campaign of those that `scripts/campaign` runs: people abort, pause, stop, upgrade, clear, delete, take control away
//! and flood, and all is accounted for.

use decant_tests::campaign;
use decant_tests::faults::embedded;

#[test]
fn a_campaign_ends_well_whatever_people_do_to_its_coordinator() {
    let campaign = campaign::run(embedded(), 100, 1).unwrap_or_else(|error| panic!("{error:#}"));
    println!("{campaign:?}");
    assert!(campaign.rolled_back > 3, "what was aborted was enrolled again: {campaign:?}");
    assert!(campaign.fenced_writes > 0, "users write in every round, and not one write met a fence");
    assert_eq!(campaign.undone, [], "{campaign:?}");
}
