//! Cycles: balances, and cycles that travel with calls. Canister interface, "Cycles".

use pocket_ic::RejectCode;

use crate::support::canisters::{
    assert_reject_code, deleted, install_universal, number, numbers, rejection, run, slot, try_run,
};
use crate::support::engine;
use crate::support::script::{Call, script};
use crate::support::wait::until;

const BILLION: u64 = 1_000_000_000;

/// What executing a handful of small messages costs at most; far below the amounts that are moved.
const EXECUTION: u128 = 500_000_000;

/// `PocketIc::create_canister`: "The canister is created with 100T cycles".
#[test]
fn a_new_canister_has_a_hundred_trillion_cycles() {
    let pic = engine::pic();
    let balance = pic.cycle_balance(pic.create_canister());
    let full = 100_000_000_000_000;
    assert!(balance <= full && balance > full - EXECUTION, "{balance}");
}

/// `PocketIc::add_cycles`: returns the new balance.
#[test]
fn added_cycles_are_on_the_balance() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    let before = pic.cycle_balance(canister);
    assert_eq!(pic.add_cycles(canister, 5), before + 5);
    assert_eq!(pic.cycle_balance(canister), before + 5);
}

/// "Cycles": `canister_cycle_balance128` is the balance minus a reserve for the current message;
/// `canister_liquid_cycle_balance128` is what is left of it above the freezing limit.
#[test]
fn a_canister_sees_its_balance_minus_a_reserve() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let before = pic.cycle_balance(canister);
    let reply = run(&pic, canister, script().balance().append_int().liquid().append_int().reply());
    let [balance, liquid] = numbers(&reply);
    assert!(u128::from(balance) < before, "{balance} of {before}");
    assert!(u128::from(balance) > before / 2, "{balance} of {before}");
    assert!(liquid < balance, "{liquid} of {balance}");
}

/// "Cycles": the callee accepts up to a maximum, what it does not accept is refunded with the response.
#[test]
fn cycles_that_are_not_accepted_come_back() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let before = [caller, callee].map(|id| pic.cycle_balance(id));

    let keep =
        script().available().append_int().accept(600 * BILLION).append_int().available().append_int().reply();
    let pay = Call::run(callee, keep)
        .cycles(1_000 * BILLION)
        .on_reply(script().arg().append().refunded().append_int().reply());
    let [came, accepted, left, refunded] = numbers(&run(&pic, caller, script().call(pay)));
    assert_eq!([came, accepted, left, refunded], [1_000, 600, 400, 400].map(|n| n * BILLION));

    let after = [caller, callee].map(|id| pic.cycle_balance(id));
    let (paid, earned) = (before[0] - after[0], after[1] - before[1]);
    let moved = u128::from(600 * BILLION);
    assert!((moved..moved + EXECUTION).contains(&paid), "paid {paid}");
    assert!((moved - EXECUTION..=moved).contains(&earned), "earned {earned}");
}

/// "Cycles", `msg_cycles_accept128`: no more than available, several times if need be.
#[test]
fn no_more_cycles_are_accepted_than_came() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let greedy = script()
        .accept(10 * BILLION)
        .append_int()
        .accept(100 * BILLION)
        .append_int()
        .accept(1)
        .append_int()
        .reply();
    let pay = Call::run(callee, greedy).cycles(50 * BILLION);
    assert_eq!(numbers(&run(&pic, caller, script().call(pay))), [10 * BILLION, 40 * BILLION, 0]);
}

/// "Cycles", `msg_cycles_available128`: after the response nothing is available, all of it was refunded.
#[test]
fn nothing_is_available_once_the_call_is_answered() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let late = script().available().set(0).accept(BILLION).set(1).bump(2);
    let myself = Call::run(callee, script().reply()).on_reply(late);
    let pay = Call::run(callee, script().int(9).set(0).reply().call(myself))
        .cycles(BILLION)
        .on_reply(script().refunded().append_int().reply());
    assert_eq!(number(&run(&pic, caller, script().call(pay))), BILLION);
    until(&pic, "the callback", |pic| (slot(pic, callee, 2) == 1).then_some(()));
    assert_eq!([slot(&pic, callee, 0), slot(&pic, callee, 1)], [0, 0]);
}

/// "Cycles": a reject refunds as a reply does; a trap rolls the acceptance back.
#[test]
fn rejects_and_traps_refund_everything() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let refund = script().reject_code().append_int().refunded().append_int().reply();
    for (failing, code) in [(script().reject(b"no"), 4), (script().accept(BILLION).forget().trap(b"no"), 5)] {
        let pay = Call::run(callee, failing).cycles(7 * BILLION).on_reject(refund.clone());
        assert_eq!(numbers(&run(&pic, caller, script().call(pay))), [code, 7 * BILLION]);
    }
}

/// "Inter-canister method calls", `call_cycles_add128`: "traps if trying to transfer more cycles than
/// returned by `ic0.canister_liquid_cycle_balance128`".
#[test]
fn more_cycles_than_there_are_can_not_be_attached() {
    let pic = engine::pic();
    let caller = install_universal(&pic);
    let too_much = Call::run(caller, script().reply()).cycles_of(script().liquid().plus(BILLION));
    let outcome = try_run(&pic, caller, script().call(too_much));
    assert_reject_code(outcome, RejectCode::CanisterError);
}

/// "Inter-canister method calls", `call_cycles_add128`: deducted at once, moved back if the call is not
/// performed.
#[test]
fn cycles_of_a_call_that_is_not_performed_move_back() {
    let pic = engine::pic();
    let caller = install_universal(&pic);
    let abandoned = Call::run(caller, script().reply()).cycles(1_000 * BILLION);
    let before = pic.cycle_balance(caller);
    let balances = script().balance().append_int().assemble(abandoned).balance().append_int().reply();
    let [full, less] = numbers(&run(&pic, caller, balances));
    assert_eq!(full - less, 1_000 * BILLION);
    assert!(before - pic.cycle_balance(caller) < EXECUTION);
}

/// "Cycles", `cycles_burn128`: burns what is asked for and says so.
#[test]
fn burnt_cycles_are_gone() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let before = pic.cycle_balance(canister);
    let burnt = number(&run(&pic, canister, script().burn(2_000 * BILLION).append_int().reply()));
    assert_eq!(burnt, 2_000 * BILLION);
    let spent = before - pic.cycle_balance(canister);
    assert!((u128::from(burnt)..u128::from(burnt) + EXECUTION).contains(&spent), "{spent}");
}

/// HTTPS interface, "Reject codes": a canister that does not exist rejects with `DESTINATION_INVALID`, and
/// the cycles that travelled come back ("Cycles").
#[test]
fn cycles_sent_to_nobody_come_back() {
    let pic = engine::pic();
    let caller = install_universal(&pic);
    let nobody = deleted(&pic);
    let refund = script().refunded().append_int().reject_msg().append().reply();
    let pay = Call::run(nobody, script().reply()).cycles(3 * BILLION).on_reject(refund);
    let (refunded, _message) = rejection(&run(&pic, caller, script().call(pay)));
    assert_eq!(refunded, 3 * BILLION);
}
