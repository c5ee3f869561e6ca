//! Where old ids lead when originals were given to others: never to somebody else's canister as if it were theirs.

use super::{job_of, recycled_from, resolve};
use crate::enrolment::check;
use crate::store;
use crate::tests::canister;
use candid::Principal;
use decant_api::routes::EnrolError;
use decant_engine::{
    Counters, Digest, End, Entry, Event, Job, JobId, PlanEssentials, Reason, ReasonCode, Retention, Strategy,
    Times,
};

const OWN: Principal = canister(99);

/// A job that is committed and has ended at those times, or went back then.
fn ended(id: JobId, source: u8, target: Option<u8>, times: (u64, u64), recycles: bool) {
    let plan = PlanEssentials {
        plan_id: 1,
        strategy: Strategy::RelocateVessel,
        bucket_pages: 1,
        min_reclaimed_pages: 0,
        retention: Retention::None,
        has_asset_checks: false,
        rolls_back_on_lost_timer: false,
        recycled_with_cycles: recycles.then_some(7),
        max_wait_seconds: None,
    };
    let enrolled = Job::new(id, canister(source), vec![canister(90)], plan, 1).expect("a job");
    store::enqueue(&enrolled);
    let (committed_nanos, ended_nanos) = times;
    let times = Times {
        committed_nanos: target.map(|_| committed_nanos),
        ended_nanos: Some(ended_nanos),
        ..*enrolled.times()
    };
    let outcome = match target {
        Some(_) => Ok(Digest([3; 32])),
        None => Err(Reason::from(ReasonCode::Aborted)),
    };
    let target = target.map(canister);
    let end = End { target, counters: Counters::default(), times, is_abort_requested: false, outcome };
    let entry = Entry { at_nanos: ended_nanos, event: Event::SourceHandedOver };
    store::record(&Job::ended(enrolled, end), &entry);
}

/// 1 moved to 11 and was emptied; 2 moved there, and on to 12; then 3 moved to 1, and on to 13; 4 is there now. Later jobs were
/// enrolled first, and may have lower numbers.
fn history() {
    ended(30, 1, Some(11), (10, 20), true);
    ended(5, 2, Some(1), (30, 40), true);
    ended(40, 1, Some(12), (50, 60), true);
    ended(6, 3, Some(1), (70, 80), true);
    ended(41, 1, Some(13), (90, 100), true);
    ended(7, 4, Some(1), (110, 120), false);
}

#[test]
fn each_old_id_leads_to_its_own_state_however_often_the_canister_between_was_given_on() {
    history();
    for (old, now) in [(2, 12), (3, 13), (4, 1), (11, 11), (12, 12), (13, 13), (55, 55)] {
        assert_eq!(resolve(canister(old)), Some(canister(now)), "{old}");
    }
}

#[test]
fn an_id_that_was_given_to_another_leads_nobody_anywhere_and_before_that_to_where_its_state_went() {
    ended(30, 1, Some(11), (10, 20), true);
    assert_eq!(resolve(canister(1)), Some(canister(11)), "in quarantine");
    ended(4, 2, None, (0, 25), true);
    assert_eq!(resolve(canister(1)), Some(canister(11)), "whom it was to be given to went back");
    ended(5, 2, Some(1), (30, 40), true);
    assert_eq!(resolve(canister(1)), None, "whose is it?");
    ended(40, 1, Some(12), (50, 60), true);
    assert_eq!(resolve(canister(1)), None);
    // One that moved to a canister that was created leads there for ever.
    ended(8, 3, Some(14), (50, 60), false);
    assert_eq!(resolve(canister(3)), Some(canister(14)));
}

#[test]
fn who_had_a_canister_before_is_told_and_its_job_is_the_latest() {
    history();
    let before = |id| recycled_from(&store::job(id).expect("it is kept"));
    let all = [(30, None), (5, Some(30)), (40, None), (6, Some(40)), (41, None), (7, Some(41))];
    for (id, emptier) in all {
        assert_eq!(before(id), emptier, "{id}");
    }
    let latest = |number| job_of(canister(number)).map(|job| job.id);
    assert_eq!([1, 2, 11, 13].map(latest), [Some(7), Some(5), Some(30), Some(41)]);
}

#[test]
fn a_canister_that_was_given_to_another_can_be_enrolled_for_that_one() {
    ended(30, 1, Some(11), (10, 20), true);
    let moved = EnrolError::Moved { to: canister(11), job: 30 };
    assert_eq!(check(canister(1), OWN), Err(moved));
    ended(5, 2, Some(1), (30, 40), true);
    assert_eq!(check(canister(1), OWN), Ok(()));
    let moved = EnrolError::Moved { to: canister(1), job: 5 };
    assert_eq!(check(canister(2), OWN), Err(moved));
    ended(40, 1, Some(12), (50, 60), true);
    let moved = EnrolError::Moved { to: canister(12), job: 40 };
    assert_eq!(check(canister(1), OWN), Err(moved));
}
