//! What a pace lets start, and when it asks for an operator.

use super::*;
use crate::tests::golden_job;
use decant_api::govern::{Breaker, Canaries, Pace};

const NOON_NANOS: u64 = 1_795_694_400_000_000_000;
const HOUR_NANOS: u64 = 60 * MINUTE_NANOS;
const THROUGH: Load = working(0);
const ON_THEIR_WAY: Load = working(1);

const fn working(working: u64) -> Load {
    Load { working, in_slots: 0, unsettled: 0, open: 0, stuck: 0, lacking: 0, giving: 0 }
}

fn course(pace: Pace) -> Course {
    let mut course = Course::default();
    course.set_pace(pace);
    course
}

#[test]
fn a_plan_without_a_pace_waits_for_nothing() {
    assert_eq!(decide(&mut course(Pace::default()), ON_THEIR_WAY, 0), Ok(()));
}

#[test]
fn canaries_go_first_and_others_after_their_time_if_none_failed() {
    let canaries = Some(Canaries { jobs: 2, soak_seconds: Some(3_600) });
    let mut going = course(Pace { canaries, ..Pace::default() });
    for placed in 0..2 {
        assert_eq!(decide(&mut going, working(placed), NOON_NANOS), Ok(()), "canary {placed}");
    }
    assert_eq!(decide(&mut going, working(2), NOON_NANOS), Err(Wait::Canaries), "before either made a call");
    assert_eq!(decide(&mut going, working(0), NOON_NANOS), Ok(()), "both were put back in line");
    going.started = 2;
    assert_eq!(decide(&mut going, ON_THEIR_WAY, NOON_NANOS), Err(Wait::Canaries));
    for load in [Load { stuck: 1, ..THROUGH }, Load { unsettled: 1, ..THROUGH }] {
        assert_eq!(decide(&mut going, load, NOON_NANOS), Err(Wait::Canaries));
    }
    let until_nanos = NOON_NANOS + HOUR_NANOS;
    let mut failed = going;
    assert_eq!(decide(&mut going, THROUGH, NOON_NANOS), Err(Wait::Soak(until_nanos)));
    assert_eq!(
        decide(&mut going, THROUGH, until_nanos - 1),
        Err(Wait::Soak(until_nanos)),
        "from the first look on"
    );
    assert_eq!(decide(&mut going, THROUGH, until_nanos), Ok(()));
    assert_eq!(decide(&mut going, ON_THEIR_WAY, until_nanos), Ok(()), "for good");
    failed.note_end(true);
    assert_eq!(decide(&mut failed, THROUGH, NOON_NANOS), Err(Wait::Release));
    assert_eq!(
        decide(&mut failed, THROUGH, NOON_NANOS + 100 * HOUR_NANOS),
        Err(Wait::Release),
        "a person looks"
    );
    failed.forgive();
    let mut taken_back = failed;
    taken_back.has_turned = true;
    for at_nanos in [NOON_NANOS, NOON_NANOS + 100 * HOUR_NANOS] {
        assert_eq!(
            decide(&mut taken_back, THROUGH, at_nanos),
            Err(Wait::Release),
            "an operator took it back"
        );
    }
    failed.are_canaries_released = true;
    assert_eq!(decide(&mut failed, THROUGH, NOON_NANOS), Ok(()));
}

#[test]
fn other_canaries_are_watched_as_the_first_were() {
    let canaries = |jobs| Some(Canaries { jobs, soak_seconds: Some(3_600) });
    let mut going = course(Pace { canaries: canaries(2), ..Pace::default() });
    going.started = 2;
    let until_nanos = NOON_NANOS + HOUR_NANOS;
    assert_eq!(decide(&mut going, THROUGH, NOON_NANOS), Err(Wait::Soak(until_nanos)));
    assert_eq!(decide(&mut going, THROUGH, until_nanos), Ok(()));
    going.set_pace(Pace { canaries: canaries(2), ..Pace::default() });
    assert_eq!(decide(&mut going, THROUGH, until_nanos), Ok(()), "the same ones were released");
    going.has_turned = true;
    going.set_pace(Pace { canaries: canaries(5), ..Pace::default() });
    going.started = 5;
    assert_eq!(decide(&mut going, ON_THEIR_WAY, until_nanos), Err(Wait::Canaries));
    let again_nanos = until_nanos + HOUR_NANOS;
    assert_eq!(
        decide(&mut going, THROUGH, until_nanos),
        Err(Wait::Soak(again_nanos)),
        "from the last of them on"
    );
}

#[test]
fn canaries_without_a_time_are_released_by_an_operator_alone() {
    let canaries = Some(Canaries { jobs: 1, soak_seconds: None });
    let mut going = course(Pace { canaries, ..Pace::default() });
    going.started = 1;
    assert_eq!(decide(&mut going, THROUGH, NOON_NANOS + 1_000 * HOUR_NANOS), Err(Wait::Release));
}

#[test]
fn failures_in_a_row_or_among_the_last_stop_a_plan_until_they_are_forgiven() {
    let breaker = Some(Breaker { failures: 3, of_last: 5 });
    let mut going = course(Pace { breaker, ..Pace::default() });
    for is_failure in [true, true, false, false] {
        going.note_end(is_failure);
        assert_eq!(decide(&mut going, THROUGH, 0), Ok(()));
    }
    going.note_end(true);
    assert_eq!(decide(&mut going, THROUGH, 0), Err(Wait::Broken { failures: 3, of_last: 5 }));
    going.forgive();
    assert_eq!(decide(&mut going, THROUGH, 0), Ok(()));
    let in_a_row = Some(Breaker { failures: 2, of_last: 2 });
    let mut going = course(Pace { breaker: in_a_row, ..Pace::default() });
    for is_failure in [true, false, true] {
        going.note_end(is_failure);
        assert_eq!(decide(&mut going, THROUGH, 0), Ok(()));
    }
    going.note_end(true);
    assert!(decide(&mut going, THROUGH, 0).is_err());
}

#[test]
fn jobs_are_started_within_hours_that_may_go_over_midnight() {
    let at = |minute: u64| NOON_NANOS - NOON_NANOS % (DAY_MINUTES * MINUTE_NANOS) + minute * MINUTE_NANOS;
    let night = Hours { from_minute: 22 * 60, to_minute: 4 * 60 };
    assert_eq!(begins_nanos(night, at(23 * 60)), None);
    assert_eq!(begins_nanos(night, at(0)), None);
    assert_eq!(begins_nanos(night, at(4 * 60)), Some(at(22 * 60)), "the first minute after is not in it");
    let morning = Hours { from_minute: 6 * 60, to_minute: 8 * 60 };
    assert_eq!(begins_nanos(morning, at(6 * 60)), None);
    assert_eq!(begins_nanos(morning, at(8 * 60)), Some(at(30 * 60)), "tomorrow");
    assert_eq!(begins_nanos(morning, at(5 * 60) + 1), Some(at(6 * 60)));
    let mut going = course(Pace { hours: Some(morning), ..Pace::default() });
    assert_eq!(decide(&mut going, THROUGH, at(8 * 60)), Err(Wait::Hours(at(30 * 60))));
}

#[test]
fn what_is_ended_or_has_no_tempo_starts_nothing() {
    let mut going = course(Pace::default());
    going.tempo = Some(0);
    assert_eq!(decide(&mut going, THROUGH, 0), Err(Wait::Tempo));
    going.has_ended = true;
    assert_eq!(decide(&mut going, THROUGH, 0), Err(Wait::Ended));
}

#[test]
fn a_job_that_waits_for_an_operator_takes_no_place_of_another_plan() {
    let waiting = golden_job("provisioned");
    let (id, plan_id) = (waiting.id(), waiting.plan().plan_id);
    store::enqueue(&waiting);
    assert!(!note_held(plan_id, id), "it waits for nobody");
    assert_eq!(driven(), 1);
    store::change_course(plan_id, |course| {
        course.set_pace(Pace { holds_before_fence: true, ..Pace::default() });
    });
    assert!(note_held(plan_id, id));
    assert_eq!((driven(), store::count(Place::Working)), (0, 1));
    let_pass(id, NOON_NANOS);
    assert_eq!(driven(), 1, "from when an operator lets it pass, not from when it is driven");
    assert!(!note_held(plan_id, id));
    assert_eq!(driven(), 1);
}

#[test]
fn one_that_is_taken_back_while_it_waits_is_not_taken_off_twice() {
    let (waiting, other) = (golden_job("provisioned"), golden_job("sealed"));
    let (id, plan_id) = (waiting.id(), waiting.plan().plan_id);
    store::enqueue(&waiting);
    store::change_course(plan_id, |course| {
        course.set_pace(Pace { holds_before_fence: true, ..Pace::default() });
    });
    assert!(note_held(plan_id, id));
    store::board(|board| board.put(&golden_job("rolled back")));
    assert_eq!(other.id(), id, "one id in all states");
    assert_eq!(driven(), 0);
    store::board(|board| board.put(&other));
    assert_eq!(driven(), 1);
}
