//! Queues between canisters hold 500 messages (resource limits, "Message limits"), and a subnet keeps memory free for
//! responses that can't be dropped up to 15 GiB.

use candid::Principal;

use crate::support::canisters::{install_universal, install_universal_on, numbers, rejection, run, slot};
use crate::support::engine;
use crate::support::script::{Call, Script, script};
use crate::support::wait::{answer, submit, until};

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

/// dfinity/ic, `execution_environment.rs` of config: 15 GiB for guaranteed responses, of which each call under way keeps
/// 2 MiB. `call_perform` answers 2 where nothing is left, and still makes calls whose response may be dropped.
#[test]
fn calls_are_made_while_their_responses_fit_into_the_memory_of_the_subnet() {
    const RESPONSES: u64 = (15 << 30) / (2 << 20);
    let (pic, [of_callers, of_callees]) = engine::pic_with_two_subnets();
    // On another subnet they answer in a later round.
    let callees = [(); 2].map(|()| install_universal_on(&pic, of_callees));
    let [guaranteed, droppable] = callees.map(|callee| {
        Call::run(callee, script().reply()).on_reply(script().bump(2)).on_reject(script().bump(3))
    });
    let callers = RESPONSES.div_ceil(QUEUE);
    let callers: Vec<Principal> = (0..callers)
        .map(|_| {
            let caller = install_universal_on(&pic, of_callers);
            pic.add_cycles(caller, PLENTY_OF_CYCLES);
            caller
        })
        .collect();
    let attempt = script().try_call(guaranteed).negated().when(script().bump(0));
    let made = script().repeat(QUEUE, attempt).get(0).append_int();
    let burst = made.try_call(droppable.best_effort(60)).append_int().reply();
    let messages: Vec<_> = callers.iter().map(|caller| submit(&pic, *caller, burst.clone())).collect();
    let mut made = 0;
    for message in &messages {
        let [guaranteed, best_effort] = numbers(&answer(&pic, message).expect("a reply"));
        assert_eq!(best_effort, 0, "it was made");
        made += guaranteed;
    }
    assert!(callers.len() as u64 * QUEUE > RESPONSES);
    assert_eq!(made, RESPONSES);
}
