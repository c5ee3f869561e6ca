//! Who may be named in a plan, what voters read of it, and limits that fit each other.

use super::{CALL_BYTES, HEAP_BYTES, QUEUE};
use crate::tests::{by_vessel, canister, plan};
use candid::Principal;
use decant_api::plan::{Plan, Recycling, Retention, Strategy};
use decant_words::{IN_FLIGHT, LEAST_TARGET, check_plan as check, plan_text as text};

fn relocation() -> Plan {
    Plan {
        routes: Some(vec![canister(1), canister(2)]),
        subscribers: Some(vec![canister(3)]),
        cycles_per_target: LEAST_TARGET,
        ..plan()
    }
}

#[test]
fn voters_read_which_indexes_are_swapped_and_who_is_told() {
    let plan = relocation();
    assert_eq!(check(&plan), Ok(()));
    let shown = text(&plan);
    let swapped = format!("Routes are swapped in {}, {}, in each of them.", canister(1), canister(2));
    assert!(shown.contains(&swapped), "{shown}");
    assert!(shown.contains(&format!("{} are told what became of each", canister(3))), "{shown}");
    let alone = text(&Plan { routes: None, subscribers: None, ..relocation() });
    assert!(alone.contains("in the index that enrols a canister, and in NO OTHER"), "{alone}");
    let repack = Plan { strategy: Strategy::Repack(by_vessel()), routes: None, ..relocation() };
    assert_eq!(check(&Plan { cycles_per_target: 0, ..repack.clone() }), Ok(()));
    assert!(!text(&repack).contains("Routes"));
}

fn recycling(quarantine_seconds: u64, plan: Plan) -> Plan {
    Plan { recycling: Some(Recycling { quarantine_seconds }), ..plan }
}

#[test]
fn only_originals_that_would_be_deleted_go_to_others_and_voters_read_what_that_means() {
    let none = Plan { retention: Retention::None, ..relocation() };
    let frozen = Plan { retention: Retention::Frozen { seconds: 60 }, ..relocation() };
    let tombstone = Plan { retention: Retention::Tombstone, ..relocation() };
    let repack =
        Plan { strategy: Strategy::Repack(by_vessel()), routes: None, cycles_per_target: 0, ..none.clone() };
    for plan in [&tombstone, &repack] {
        assert_eq!(check(plan), Ok(()));
        let refusal = check(&recycling(600, plan.clone())).expect_err("nothing is deleted");
        assert!(refusal.contains("relocate, with the retention Frozen or None"), "{refusal}");
    }
    for plan in [none, frozen] {
        assert!(!text(&plan).contains("ANOTHER USER") && text(&plan).contains("DELETED"));
        let plan = recycling(600, plan);
        assert_eq!(check(&plan), Ok(()));
        let shown = text(&plan);
        assert!(shown.contains("EMPTIED") && shown.contains("nobody's for 10 minutes"), "{shown}");
        assert!(shown.contains("ITS ID IS GIVEN TO ANOTHER USER") && !shown.contains("DELETED"), "{shown}");
    }
}

#[test]
fn nobody_and_nothing_that_is_no_canister_is_named() {
    let person = Principal::self_authenticating(b"a person");
    let refused = [
        (Plan { indexes: vec![Principal::anonymous()], ..relocation() }, "indexes"),
        (Plan { indexes: vec![Principal::management_canister()], ..relocation() }, "indexes"),
        (Plan { routes: Some(Vec::new()), ..relocation() }, "routes"),
        (Plan { routes: Some(vec![person]), ..relocation() }, "routes"),
        (Plan { routes: Some(vec![canister(1), canister(1)]), ..relocation() }, "twice"),
        (Plan { routes: Some(vec![canister(1); 9]), ..relocation() }, "routes"),
        (Plan { routes: None, indexes: vec![person], ..relocation() }, "routes"),
        (Plan { subscribers: Some(vec![person]), ..relocation() }, "subscribers"),
        (Plan { strategy: Strategy::Repack(by_vessel()), ..relocation() }, "routes"),
        (Plan { cycles_per_target: LEAST_TARGET - 1, ..relocation() }, "cycles_per_target"),
        (Plan { cycles_per_target: u128::MAX, ..relocation() }, "cycles_per_target"),
        (Plan { max_in_flight: IN_FLIGHT + 1, ..relocation() }, "max_in_flight"),
        (Plan { retention: Retention::Frozen { seconds: u64::MAX }, ..relocation() }, "retention"),
        (recycling(599, relocation()), "quarantine_seconds"),
        (recycling(2_592_001, relocation()), "quarantine_seconds"),
    ];
    for (plan, why) in refused {
        let refusal = check(&plan).expect_err("it is refused");
        assert!(refusal.contains(why), "{why}: {refusal}");
    }
    let by_person = Plan { indexes: vec![person], ..relocation() };
    assert_eq!(check(&by_person), Ok(()), "a person enrols, and canisters are swapped");
}

/// Each job has one call open at a time: `drive` waits for it.
#[test]
fn as_many_jobs_as_a_plan_may_have_fit_the_queue_and_the_heap() {
    let jobs = u64::from(IN_FLIGHT);
    assert!(jobs <= QUEUE * 4 / 5, "a fifth of the queue is for creations, looks and notices");
    assert!(jobs * CALL_BYTES <= HEAP_BYTES / 2, "half of the heap is for all else");
}
