//! Atomicity: a message that traps or runs out of instructions has no effect. Canister interface, "Entry
//! points" ("If the execution of any of these entry points traps for any reason, then all changes … are
//! discarded") and "Inter-canister method calls".

use pocket_ic::{ErrorCode, PocketIc, RejectCode};

use crate::support::canisters::{
    OWNER, assert_reject_code, assert_rejected, install_universal, number, numbers, rejection, run, slot,
    try_run,
};
use crate::support::engine;
use crate::support::script::{Call, Hook, Script, script};
use crate::support::wait::until;

const BILLION: u64 = 1_000_000_000;

/// Leaves a mark in slot 0 and in stable memory.
fn mark() -> Script {
    script().bump(0).stable_grow(1).forget().stable_write(0, b"mark")
}

/// Asserts that no mark was left.
#[track_caller]
fn assert_unmarked(pic: &PocketIc, canister: candid::Principal) {
    assert_eq!(slot(pic, canister, 0), 0);
    assert_eq!(pic.get_stable_memory(canister), b"");
}

/// "Entry points": a trap discards the changes to the heap and to stable memory.
#[test]
fn a_trap_rolls_back_heap_and_stable_memory() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    for failing in [mark().trap(b"boom"), mark().reply().unreachable(), mark().reply().overflow_stack()] {
        assert_reject_code(try_run(&pic, canister, failing), RejectCode::CanisterError);
        assert_unmarked(&pic, canister);
    }
    run(&pic, canister, mark().reply());
    assert_eq!(slot(&pic, canister, 0), 1);
    assert_eq!(&pic.get_stable_memory(canister)[..5], b"mark\0");
}

/// "Entry points": a trap after writes to memory that existed before restores what was there.
#[test]
fn a_trap_restores_what_was_overwritten() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(
        &pic,
        canister,
        script().int(5).set(3).stable_grow(2).forget().stable_write(65_530, b"before").reply(),
    );
    let overwrite = script().int(6).set(3).stable_write(65_528, b"after...").grow_heap(10).forget();
    assert_reject_code(try_run(&pic, canister, overwrite.trap(b"no")), RejectCode::CanisterError);
    assert_eq!(slot(&pic, canister, 3), 5);
    assert_eq!(&pic.get_stable_memory(canister)[65_528..65_537], b"\0\0before\0");
}

/// Resource limits, "Instruction limits": 40 billion an update; running out has the effect of a trap.
#[test]
fn running_out_of_instructions_rolls_back() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let outcome = try_run(&pic, canister, mark().spin(u64::MAX).reply());
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterInstructionLimitExceeded);
    assert_unmarked(&pic, canister);
}

/// "Entry points": the effect of `ic0.call_perform` is discarded as well.
#[test]
fn a_trap_takes_back_outgoing_calls_and_their_cycles() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let before = pic.cycle_balance(caller);
    let send = Call::run(callee, mark().reply()).cycles(5_000 * BILLION);
    assert_reject_code(try_run(&pic, caller, script().call(send).trap(b"boom")), RejectCode::CanisterError);
    // A message that follows would be executed after the one that was taken back.
    assert_eq!(
        number(&run(&pic, caller, script().call(Call::run(callee, script().get(0).append_int().reply())))),
        0
    );
    assert_unmarked(&pic, callee);
    let spent = before - pic.cycle_balance(caller);
    assert!(spent < u128::from(BILLION), "{spent} cycles are missing");
}

/// "Entry points": a reply that was given before the trap is not sent.
#[test]
fn a_trap_takes_back_the_reply() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let fickle = script().int(1).append_int().reply().trap(b"changed my mind");
    let (code, message) = rejection(&run(&pic, caller, script().call(Call::run(callee, fickle))));
    assert_eq!(code, 5);
    assert!(message.contains("changed my mind"), "{message}");
}

/// "Global timer" is state of the canister too: a trap leaves it as it was.
#[test]
fn a_trap_leaves_the_global_timer_as_it_was() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let far = u64::MAX / 2;
    run(&pic, canister, script().int(far).set_timer().forget().reply());
    let outcome = try_run(&pic, canister, script().int(far + 1).set_timer().forget().trap(b"no"));
    assert_reject_code(outcome, RejectCode::CanisterError);
    assert_eq!(number(&run(&pic, canister, script().int(0).set_timer().append_int().reply())), far);
}

/// "Inter-canister method calls": a callback is an entry point of its own. Its trap discards its changes, not
/// those of the message that called, and the call is rejected because nobody answers it.
#[test]
fn a_trapping_callback_keeps_what_was_done_before_the_call() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let outbound =
        Call::run(callee, script().bump(0).reply()).on_reply(script().bump(1).reply().trap(b"in callback"));
    let outcome = try_run(&pic, caller, script().bump(0).call(outbound));
    let reject = assert_reject_code(outcome, RejectCode::CanisterError);
    assert!(reject.reject_message.contains("in callback"), "{reject}");
    assert_eq!([0, 1].map(|n| slot(&pic, caller, n)), [1, 0]);
    assert_eq!(slot(&pic, callee, 0), 1, "what the callee did stays done");
}

/// `call_on_cleanup`: "executed if and only if the `reply` or the `reject` callback was executed and
/// trapped"; "Method arguments": the reject code is that of the callback (since specification 0.54).
#[test]
fn cleanup_runs_after_a_callback_that_traps_and_its_changes_stay() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let clean = script().bump(2).stable_grow(1).forget().stable_write(0, b"clean");
    for (answer, slot_of_code) in [(script().reply(), 0), (script().reject(b"no"), 4)] {
        let call = Call::run(callee, answer)
            .on_reply(script().bump(1).trap(b"reply"))
            .on_reject(script().bump(1).trap(b"reject"))
            .on_cleanup(clean.clone().reject_code().set(3));
        assert_reject_code(try_run(&pic, caller, script().call(call)), RejectCode::CanisterError);
        assert_eq!(slot(&pic, caller, 1), 0, "the callback is rolled back");
        assert_eq!(slot(&pic, caller, 3), slot_of_code, "`msg_reject_code` is that of the callback");
    }
    assert_eq!(slot(&pic, caller, 2), 2);
    assert_eq!(&pic.get_stable_memory(caller)[..5], b"clean");
}

/// `call_on_cleanup`: not executed if the callback returns.
#[test]
fn cleanup_does_not_run_after_a_callback_that_returns() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let call = Call::run(callee, script().reply()).on_cleanup(script().bump(2));
    run(&pic, caller, script().call(call));
    assert_eq!(slot(&pic, caller, 2), 0);
}

/// `call_on_cleanup`: "If this traps, the state changes from the `cleanup` function are discarded".
#[test]
fn a_cleanup_that_traps_is_rolled_back_too() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let call = Call::run(callee, script().reply())
        .on_reply(script().trap(b"callback"))
        .on_cleanup(script().bump(2).trap(b"cleanup"));
    assert_reject_code(try_run(&pic, caller, script().call(call)), RejectCode::CanisterError);
    assert_eq!(slot(&pic, caller, 2), 0);
    assert_eq!(number(&run(&pic, caller, script().int(1).append_int().reply())), 1);
}

/// "Cycles": what a message accepted before it trapped goes back to the caller.
#[test]
fn a_trap_gives_back_accepted_cycles() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let before = pic.cycle_balance(callee);
    let keep = script().accept(100 * BILLION).forget().trap(b"no");
    let call = Call::run(callee, keep)
        .cycles(100 * BILLION)
        .on_reject(script().reject_code().append_int().refunded().append_int().reply());
    assert_eq!(numbers(&run(&pic, caller, script().call(call))), [5, 100 * BILLION]);
    assert!(pic.cycle_balance(callee) <= before);
}

/// "Heartbeat", "Global timer": system tasks roll back like any other message.
#[test]
fn a_timer_that_traps_is_rolled_back() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let trapping = script().bump(0).print(b"fired").trap(b"boom");
    let arm = script().hook(Hook::GlobalTimer, trapping).int(1).set_timer().forget().reply();
    run(&pic, canister, arm);
    until(&pic, "the timer in the log", |pic| {
        let logs = pic.fetch_canister_logs(canister, OWNER).expect("the logs");
        logs.iter().any(|record| record.content == b"fired").then_some(())
    });
    assert_eq!(slot(&pic, canister, 0), 0);
}
