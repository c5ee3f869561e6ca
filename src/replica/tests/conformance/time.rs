//! Time: set, advanced, and what canisters see of it. Canister interface, "System time".

use std::time::Duration;

use pocket_ic::Time;

use crate::support::canisters::{ask, install_universal, number, numbers, run};
use crate::support::engine;
use crate::support::http;
use crate::support::script::{Script, script};

const SECOND_NANOS: u64 = 1_000_000_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn now() -> Script {
    script().time().append_int().reply()
}

/// `PocketIc::set_time`, `PocketIc::get_time`: what is set is read, in nanoseconds.
#[test]
fn time_that_is_set_is_the_time_that_is_read() {
    let pic = engine::pic();
    let target = pic.get_time().as_nanos_since_unix_epoch() + 123_456_789_012_345;
    pic.set_time(Time::from_nanos_since_unix_epoch(target));
    assert_eq!(pic.get_time().as_nanos_since_unix_epoch(), target);
}

/// "System time": given as nanoseconds since 1970-01-01. A round may move it a little.
#[test]
fn canisters_see_the_time_of_the_instance() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let set = pic.get_time().as_nanos_since_unix_epoch() + 1_000 * SECOND_NANOS;
    pic.set_time(Time::from_nanos_since_unix_epoch(set));
    let seen = number(&run(&pic, canister, now()));
    assert!((set..set + SECOND_NANOS).contains(&seen), "{seen} seen, {set} set");
}

/// `PocketIc::advance_time`: moves the clock by a duration.
#[test]
fn time_advances_by_what_it_is_told_to() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let before = number(&run(&pic, canister, now()));
    pic.advance_time(DAY);
    let passed = number(&run(&pic, canister, now())) - before;
    let day = u64::try_from(DAY.as_nanos()).expect("a day in nanoseconds");
    assert!((day..day + SECOND_NANOS).contains(&passed), "{passed} ns passed");
}

/// "System time": monotonically increasing as observed by a canister, constant within one entry point.
#[test]
fn time_never_runs_backwards_and_stands_still_within_a_message() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let mut last = 0;
    for _ in 0..10 {
        let twice = script().time().append_int().spin(1_000).time().append_int().reply();
        let [first, second] = numbers(&run(&pic, canister, twice));
        assert_eq!(first, second);
        assert!(first >= last, "{first} after {last}");
        last = first;
        pic.tick();
    }
    let queried = number(&ask(&pic, canister, now()));
    assert!(queried >= last, "{queried} after {last}");
}

/// `PocketIc::tick`: a round has the time that was set, or a nanosecond more than the last if none was.
#[test]
fn a_round_runs_at_the_time_that_was_set() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let set = pic.get_time().as_nanos_since_unix_epoch() + 1_000 * SECOND_NANOS;
    pic.set_time(Time::from_nanos_since_unix_epoch(set));
    pic.tick();
    assert_eq!(pic.get_time().as_nanos_since_unix_epoch(), set);
    assert_eq!(number(&ask(&pic, canister, now())), set);
    pic.tick();
    assert_eq!(pic.get_time().as_nanos_since_unix_epoch(), set + 1);
    assert_eq!(number(&ask(&pic, canister, now())), set + 1);
}

/// `PocketIc::set_time`, `PocketIc::set_certified_time`: queries see the state of the last round, unless the new
/// time is certified.
#[test]
fn queries_see_the_time_of_the_last_round() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let before = number(&ask(&pic, canister, now()));
    let set = pic.get_time().as_nanos_since_unix_epoch() + 1_000 * SECOND_NANOS;
    pic.set_time(Time::from_nanos_since_unix_epoch(set));
    assert_eq!(number(&ask(&pic, canister, now())), before);
    pic.set_certified_time(Time::from_nanos_since_unix_epoch(set + 1));
    assert_eq!(number(&ask(&pic, canister, now())), set + 1);
}

/// `PocketIcBuilder::with_initial_time`: "Initial time is bumped by 1ns during instance creation".
#[test]
fn an_instance_begins_a_nanosecond_after_its_initial_time() {
    let initial = 1_700_000_000 * SECOND_NANOS;
    let pic = engine::builder()
        .with_application_subnet()
        .with_initial_time(Time::from_nanos_since_unix_epoch(initial))
        .build();
    assert_eq!(pic.get_time().as_nanos_since_unix_epoch(), initial + 1);
}

/// "System time" promises monotonic time, so the past can't be set: the endpoint answers with an error.
#[test]
fn time_can_not_be_set_into_the_past() {
    let pic = engine::pic();
    let now = pic.get_time();
    let past = now.as_nanos_since_unix_epoch() - SECOND_NANOS;
    let body = format!("{{\"nanos_since_epoch\":{past}}}");
    let refused = http::request(&pic, "POST", &http::path(&pic, "update/set_time"), &body);
    assert!((400..500).contains(&refused.status), "{refused:?}");
    assert_eq!(pic.get_time(), now);
}

/// `PocketIc`: each instance has its own clock.
#[test]
fn the_clock_of_one_instance_does_not_move_that_of_another() {
    let (here, there) = (engine::pic(), engine::pic());
    let before = there.get_time();
    here.advance_time(DAY);
    assert_eq!(there.get_time(), before);
}
