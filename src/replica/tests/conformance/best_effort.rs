//! Bounded-wait calls. Canister interface, `ic0.call_with_best_effort_response` and `ic0.msg_deadline`;
//! abstract behavior, "Call expiry".

use std::time::Duration;

use pocket_ic::RejectCode;

use crate::support::canisters::{
    assert_reject_code, install_universal, install_universal_on, number, numbers, rejection, run, slot,
    try_run,
};
use crate::support::engine;
use crate::support::script::{Call, Script, script};
use crate::support::wait::{answer, submit, until};

const SECOND_NANOS: u64 = 1_000_000_000;

/// `MAX_CALL_TIMEOUT` of the platform (facts, "Calls").
const MAX_CALL_TIMEOUT_SECONDS: u64 = 300;

/// Replies with the time and the deadline.
fn tell_deadline() -> Script {
    script().time().append_int().deadline().append_int().reply()
}

/// `call_with_best_effort_response`: a response that comes in time is delivered as ever.
#[test]
fn a_bounded_wait_call_that_is_answered_in_time_is_like_any_other() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let reply = Call::run(callee, script().int(3).append_int().reply()).best_effort(10);
    assert_eq!(number(&run(&pic, caller, script().call(reply))), 3);
    let reject = Call::run(callee, script().reject(b"no")).best_effort(10);
    assert_eq!(rejection(&run(&pic, caller, script().call(reject))), (4, "no".to_owned()));
    let paid = Call::run(callee, script().accept(600).append_int().reply())
        .cycles(1_000)
        .best_effort(10)
        .on_reply(script().arg().append().refunded().append_int().reply());
    assert_eq!(numbers(&run(&pic, caller, script().call(paid))), [600, 400]);
}

/// `msg_deadline`: "computed based on the time the call was made, and the `timeout_seconds` parameter". The
/// platform counts deadlines in whole seconds.
#[test]
fn the_callee_learns_the_deadline() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let call = Call::run(callee, tell_deadline()).best_effort(20);
    let [time, deadline] = numbers(&run(&pic, caller, script().call(call)));
    assert!(deadline > time && deadline - time <= 20 * SECOND_NANOS, "{deadline} at {time}");
    assert!(deadline - time > 18 * SECOND_NANOS, "{deadline} at {time}");
}

/// `call_with_best_effort_response`: "silently bounded from above by the `MAX_CALL_TIMEOUT` system constant".
#[test]
fn a_timeout_is_bounded_silently() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let call = Call::run(callee, tell_deadline()).best_effort(100_000);
    let [time, deadline] = numbers(&run(&pic, caller, script().call(call)));
    let wait = deadline - time;
    let longest = MAX_CALL_TIMEOUT_SECONDS * SECOND_NANOS;
    assert!(wait <= longest && wait > longest - 2 * SECOND_NANOS, "{wait} ns");
}

/// `msg_deadline`: 0 for ingress and for calls without a bound.
#[test]
fn there_is_no_deadline_without_a_bound() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let ask = script().deadline().append_int().reply();
    assert_eq!(number(&run(&pic, caller, ask.clone())), 0);
    assert_eq!(number(&run(&pic, caller, script().call(Call::run(callee, ask)))), 0);
}

/// "Call expiry": after the deadline the caller gets `SYS_UNKNOWN`, once, and no later reply.
#[test]
fn a_call_that_takes_too_long_is_unknown_to_its_caller() {
    let (pic, [here, there]) = engine::pic_with_two_subnets();
    let (caller, callee) = (install_universal_on(&pic, here), install_universal_on(&pic, there));
    let call = Call::run(callee, script().reply())
        .best_effort(5)
        .on_reply(script().bump(1).reply())
        .on_reject(script().bump(2).reject_code().append_int().reply());
    let message = submit(&pic, caller, script().bump(0).call(call));
    until(&pic, "the call", |pic| (slot(pic, caller, 0) == 1).then_some(()));
    assert!(pic.ingress_status(message.clone()).is_none(), "a call to another subnet takes longer than that");
    pic.advance_time(Duration::from_secs(60));
    assert_eq!(number(&answer(&pic, &message).expect("the reject is reported")), 6);

    let behind_it = Call::run(callee, script().int(1).append_int().reply());
    assert_eq!(number(&run(&pic, caller, script().call(behind_it))), 1);
    assert_eq!([slot(&pic, caller, 1), slot(&pic, caller, 2)], [0, 1]);
}

/// Abstract behavior, "Call expiry" speaks of bounded-wait calls only: other calls get their response however
/// late.
#[test]
fn a_call_without_a_bound_waits_for_ever() {
    let (pic, [here, there]) = engine::pic_with_two_subnets();
    let (caller, callee) = (install_universal_on(&pic, here), install_universal_on(&pic, there));
    let call = Call::run(callee, script().int(9).append_int().reply());
    let message = submit(&pic, caller, script().bump(0).call(call));
    until(&pic, "the call", |pic| (slot(pic, caller, 0) == 1).then_some(()));
    pic.advance_time(Duration::from_secs(24 * 60 * 60));
    assert_eq!(number(&answer(&pic, &message).expect("a reply")), 9);
}

/// `call_with_best_effort_response`: "can be called only in between `ic0.call_new` and `ic0.call_perform`,
/// and at most once at that. Otherwise, it traps."
#[test]
fn a_wait_is_bounded_at_most_once() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let twice =
        script().assemble(Call::run(canister, script().reply()).best_effort(5)).best_effort(5).reply();
    assert_reject_code(try_run(&pic, canister, twice), RejectCode::CanisterError);
}

/// `msg_deadline`: deadlines are whole seconds (code, `CoarseTime`).
#[test]
fn a_deadline_is_a_whole_second() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let call = Call::run(callee, tell_deadline()).best_effort(20);
    let [_, deadline] = numbers(&run(&pic, caller, script().call(call)));
    assert_eq!(deadline % SECOND_NANOS, 0);
}

/// "Call expiry": a request whose deadline is over is dropped, not executed, and its cycles go back.
#[test]
fn a_request_that_arrives_too_late_is_not_executed() {
    let (pic, [here, there]) = engine::pic_with_two_subnets();
    let (caller, callee) = (install_universal_on(&pic, here), install_universal_on(&pic, there));
    let before = pic.cycle_balance(caller);
    let call = Call::run(callee, script().bump(0).reply()).cycles(5_000_000_000_000).best_effort(5);
    let message = submit(&pic, caller, script().call(call));
    // The request is on its way to the other subnet.
    pic.tick();
    pic.advance_time(Duration::from_secs(60));
    let (code, text) = rejection(&answer(&pic, &message).expect("the reject is reported"));
    assert_eq!(code, 6, "{text}");
    for _ in 0..5 {
        pic.tick();
    }
    assert_eq!(slot(&pic, callee, 0), 0, "it never ran");
    let spent = before - pic.cycle_balance(caller);
    assert!(spent < 1_000_000_000_000, "the cycles are back: {spent} are not");
}
