//! Queues between canisters hold 500 messages (resource limits, "Message limits").

use crate::support::canisters::{install_universal, numbers, rejection, run, slot};
use crate::support::engine;
use crate::support::script::{Call, Script, script};
use crate::support::wait::until;

/// "Message queue limit (between a canister pair)".
const QUEUE: u64 = 500;

/// Calls in flight prepay their responses: 500 of them need more than a canister starts with.
const PLENTY_OF_CYCLES: u128 = 1_000_000_000_000_000;

/// Makes `count` calls in one message; replies with how many were queued and the last error code.
fn burst(count: u64, call: &Call) -> Script {
    let attempt = script().try_call(call.clone()).set(1).get(1).negated().when(script().bump(0));
    script().int(0).set(0).repeat(count, attempt).get(0).append_int().get(1).append_int().reply()
}

/// "Inter-canister method calls", `call_perform`: the 501st call to a canister "could not be performed",
/// error code 2.
#[test]
fn the_call_after_five_hundred_is_not_queued() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    pic.add_cycles(caller, PLENTY_OF_CYCLES);
    let call =
        Call::run(callee, script().bump(0).reply()).on_reply(script().bump(2)).on_reject(script().bump(3));

    assert_eq!(numbers(&run(&pic, caller, burst(QUEUE + 1, &call))), [QUEUE, 2]);
    until(&pic, "the responses", |pic| (slot(pic, caller, 2) == QUEUE).then_some(()));
    assert_eq!([slot(&pic, callee, 0), slot(&pic, caller, 3)], [QUEUE, 0]);

    assert_eq!(numbers(&run(&pic, caller, burst(QUEUE, &call))), [QUEUE, 0], "the queue is empty again");
    until(&pic, "the responses", |pic| (slot(pic, caller, 2) == 2 * QUEUE).then_some(()));
}

/// The limit is one of a pair: a full queue to one canister does not keep from calling another.
#[test]
fn a_full_queue_does_not_block_others() {
    let pic = engine::pic();
    let [caller, busy, free] = [(); 3].map(|()| install_universal(&pic));
    pic.add_cycles(caller, PLENTY_OF_CYCLES);
    let fill = Call::run(busy, script().reply()).on_reply(script()).on_reject(script());
    let other = Call::run(free, script().bump(0).reply()).on_reply(script().bump(2));
    let attempt = script().try_call(fill).set(1);
    let message =
        script().repeat(QUEUE + 1, attempt).get(1).append_int().try_call(other).append_int().reply();
    assert_eq!(numbers(&run(&pic, caller, message)), [2, 0]);
    until(&pic, "the other call", |pic| (slot(pic, caller, 2) == 1).then_some(()));
    assert_eq!(slot(&pic, free, 0), 1);
}

/// "Inter-canister method calls", `call_perform`: no callback is executed for a call that was not queued.
#[test]
fn a_call_that_was_not_queued_is_not_called_back() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    pic.add_cycles(caller, PLENTY_OF_CYCLES);
    let count = Call::run(callee, script().reply()).on_reply(script().bump(2)).on_reject(script().bump(2));
    assert_eq!(numbers(&run(&pic, caller, burst(QUEUE + 20, &count))), [QUEUE, 2]);
    until(&pic, "the responses", |pic| (slot(pic, caller, 2) >= QUEUE).then_some(()));
    let (code, message) =
        rejection(&run(&pic, caller, script().call(Call::run(callee, script().reject(b"on")))));
    assert_eq!((code, message.as_str()), (4, "on"));
    assert_eq!(slot(&pic, caller, 2), QUEUE);
}
