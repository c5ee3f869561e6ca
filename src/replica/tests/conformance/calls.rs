//! Calls between canisters. Canister interface, "Inter-canister method calls"; HTTPS interface, "Reject
//! codes".

use pocket_ic::RejectCode;

use crate::support::canisters::{
    assert_reject_code, deleted, install_universal, install_universal_on, number, numbers, rejection, run,
    slot, try_run, universal,
};
use crate::support::engine;
use crate::support::script::{Call, Script, echo, script};
use crate::support::wait::{answer, submit, until};

/// "Method arguments": argument, caller and reply pass between canisters unchanged.
#[test]
fn a_call_carries_its_argument_there_and_the_reply_back() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let answer = script().caller().append().blob(b" says hi").append().reply();
    let reply = run(&pic, caller, script().call(Call::run(callee, answer)));
    assert_eq!(reply, [caller.as_slice(), b" says hi"].concat());
    let sent = echo().bytes();
    assert_eq!(run(&pic, caller, script().call(Call::run(callee, echo()))), sent);
}

/// "Reject codes": 4 for an explicit reject, 5 for a trap, no answer or no method, 3 for no canister.
#[test]
fn the_reject_callback_learns_code_and_message() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let outcome = |call| rejection(&run(&pic, caller, script().call(call)));

    assert_eq!(outcome(Call::run(callee, script().reject(b"closed"))), (4, "closed".to_owned()));
    let (code, message) = outcome(Call::run(callee, script().trap(b"boom")));
    assert_eq!(code, 5);
    assert!(message.contains("boom"), "{message}");
    assert_eq!(outcome(Call::run(callee, script())).0, 5, "no answer");
    let (code, message) = outcome(Call::new(callee, "no such method"));
    assert_eq!(code, 5);
    assert!(message.contains("no such method"), "{message}");
    assert_eq!(outcome(Call::new(deleted(&pic), "run")).0, 3, "no such canister");
    assert_eq!(outcome(Call::new(pic.create_canister(), "run")).0, 5, "no code");
}

/// "Method arguments", `msg_reject_code`: 0 in a reply callback; `msg_reject_msg_size` traps there.
#[test]
fn there_is_no_reject_message_in_a_reply_callback() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let call = Call::run(callee, script().reply()).on_reply(script().reject_code().append_int().reply());
    assert_eq!(number(&run(&pic, caller, script().call(call))), 0);
    let call = Call::run(callee, script().reply()).on_reply(script().reject_msg().append().reply());
    assert_reject_code(try_run(&pic, caller, script().call(call)), RejectCode::CanisterError);
}

/// "Inter-canister method calls": a canister may call itself, and a query method is called like an update.
#[test]
fn a_canister_calls_itself_and_query_methods() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let own = Call::run(canister, script().bump(0).get(0).append_int().reply());
    assert_eq!(number(&run(&pic, canister, script().bump(0).call(own))), 2);
    let query = Call::new(canister, "ask").arg(&script().bump(0).replicated().append_int().reply().bytes());
    assert_eq!(number(&run(&pic, canister, script().call(query))), 1);
    assert_eq!(slot(&pic, canister, 0), 2, "the changes of a query are discarded in replicated mode too");
}

/// Abstract behavior, "Call contexts": a call answers its caller when its own calls are answered.
#[test]
fn calls_nest() {
    let pic = engine::pic();
    let canisters = [(); 5].map(|()| install_universal(&pic));
    let innermost = script().caller().append().reply();
    let nested =
        canisters[1..].iter().rev().fold(innermost, |inner, id| script().call(Call::run(*id, inner)));
    assert_eq!(run(&pic, canisters[0], nested), canisters[3].as_slice());
}

/// Abstract behavior, "Call contexts": several calls are in flight at once, each with its own callback
/// environment.
#[test]
fn several_calls_are_in_flight_at_once() {
    let pic = engine::pic();
    let caller = install_universal(&pic);
    let callees = [(); 3].map(|()| install_universal(&pic));
    let fan_out = (1..).zip(callees).fold(script(), |all, (n, callee)| {
        let answer = script().int(10 * n).append_int().reply();
        let note = script().arg().first_int().set(n).bump(0);
        let finish = script().get(0).plus(3_u64.wrapping_neg()).negated().when(script().reply());
        all.call(Call::run(callee, answer).on_reply(note.then(finish)))
    });
    run(&pic, caller, fan_out);
    assert_eq!([1, 2, 3].map(|n| slot(&pic, caller, n)), [10, 20, 30]);
}

/// HTTPS interface, "Ordering guarantees": calls from one canister to another are processed in the order they
/// were made.
#[test]
fn calls_between_two_canisters_arrive_in_order() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    run(&pic, callee, script().stable_grow(1).forget().reply());
    let note = |n: u8| {
        // Writes `n` to stable memory at the offset that slot 0 counts.
        script().get(0).blob(&[n]).stable_store().bump(0).reply()
    };
    let silent = |n| Call::run(callee, note(n)).on_reply(script()).on_reject(script());
    let sends = (1..=50).fold(script(), |all, n| all.call(silent(n)));
    run(&pic, caller, sends.reply());
    until(&pic, "fifty calls", |pic| (slot(pic, callee, 0) == 50).then_some(()));
    assert_eq!(pic.get_stable_memory(callee)[..50], (1..=50).collect::<Vec<u8>>());
}

/// `call_new`: a call is "discarded … by starting a new call with `ic0.call_new`" or by returning.
#[test]
fn a_call_that_is_not_performed_is_discarded() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let first = Call::run(callee, script().bump(0).reply());
    let second = Call::run(callee, script().bump(1).reply());
    let third = Call::run(callee, script().bump(2).reply());
    run(&pic, caller, script().assemble(first).call(second).assemble(third));
    assert_eq!([0, 1, 2].map(|n| slot(&pic, callee, n)), [0, 1, 0]);
}

/// `call_perform`: "After `ic0.call_perform` and before the next call to `ic0.call_new`, all other
/// `ic0.call_*` function calls trap."
#[test]
fn there_is_nothing_to_add_to_without_a_call_under_construction() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let own = || Call::run(canister, script().reply());
    let wrong: [Script; 4] = [
        script().call_append(b"x"),
        script().call(own()).call_append(b"x"),
        script().best_effort(10),
        script().call(own()).best_effort(10),
    ];
    for script in wrong {
        assert_reject_code(try_run(&pic, canister, script.reply()), RejectCode::CanisterError);
    }
}

/// "Responding": the first answer counts, a second one traps.
#[test]
fn a_call_is_answered_once() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    for twice in [script().reply().reply(), script().reply().reject(b"no"), script().reject(b"no").reply()] {
        assert_reject_code(try_run(&pic, canister, twice), RejectCode::CanisterError);
    }
    let late = Call::run(canister, script().reply()).on_reply(script().bump(1).reply());
    let reply = run(&pic, canister, script().int(1).append_int().reply().call(late));
    assert_eq!(number(&reply), 1);
    assert_eq!(slot(&pic, canister, 1), 0, "the callback trapped, for the call was answered");
}

/// "Responding": a canister may go on working after its reply.
#[test]
fn a_canister_calls_on_after_its_reply() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let after = Call::run(callee, script().bump(0).reply()).on_reply(script().bump(1));
    run(&pic, caller, script().reply().call(after));
    until(&pic, "the callback", |pic| (slot(pic, caller, 1) == 1).then_some(()));
    assert_eq!(slot(&pic, callee, 0), 1);
}

/// "Responding", `msg_reply_data_append`: what was appended and not replied is gone with the message.
#[test]
fn an_unfinished_reply_is_forgotten_at_the_end_of_the_message() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let call = Call::run(callee, script().reply()).on_reply(script().int(2).append_int().reply());
    assert_eq!(numbers(&run(&pic, caller, script().int(1).append_int().call(call))), [2]);
}

/// "Entry points": a canister that was upgraded during a call gets the callback with the new code; the
/// universal canister lost its scripts with its heap, so its callback does nothing and the call is rejected
/// for want of an answer.
#[test]
fn a_callback_after_an_upgrade_finds_a_fresh_heap() {
    let (pic, [here, there]) = engine::pic_with_two_subnets();
    let caller = install_universal_on(&pic, here);
    let callee = install_universal_on(&pic, there);
    let call = Call::run(callee, script().bump(0).reply()).on_reply(script().bump(1).reply());
    let message = submit(&pic, caller, script().bump(0).call(call));
    until(&pic, "the call", |pic| (slot(pic, caller, 0) == 1).then_some(()));
    assert!(pic.ingress_status(message.clone()).is_none(), "the call takes longer than that");
    let universal = universal().to_vec();
    pic.upgrade_canister(caller, universal, vec![], None).expect("a canister with open calls upgrades");
    let outcome = answer(&pic, &message);
    assert_reject_code(outcome, RejectCode::CanisterError);
    assert_eq!([0, 1].map(|n| slot(&pic, caller, n)), [0, 0]);
    assert_eq!(slot(&pic, callee, 0), 1);
}
