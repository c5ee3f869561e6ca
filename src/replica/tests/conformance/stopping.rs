//! Stopping: drains open call contexts. Management canister, `stop_canister`, `start_canister`,
//! `delete_canister`; abstract behavior, "Stopping a canister" and "Calls to stopped/stopping canisters are
//! rejected".

use std::time::Duration;

use candid::Principal;
use pocket_ic::common::rest::{RawEffectivePrincipal, RawMessageId};
use pocket_ic::{ErrorCode, PocketIc, RejectCode};

use crate::support::canisters::{
    OWNER, assert_reject_code, assert_rejected, deleted, install_universal, install_universal_on, number,
    rejection, run, slot, stranger, try_ask, try_run, wat,
};
use crate::support::engine;
use crate::support::management::{self, OfCanister, RunState, manage};
use crate::support::script::{Call, script};
use crate::support::wait::{answer, submit, until};

fn run_state(pic: &PocketIc, canister: Principal) -> RunState {
    management::status(pic, OWNER, canister).expect("the controller may ask").status
}

fn submit_stop(pic: &PocketIc, canister_id: Principal) -> RawMessageId {
    let arg = candid::encode_one(OfCanister { canister_id }).expect("it encodes");
    let effective = RawEffectivePrincipal::CanisterId(canister_id.as_slice().to_vec());
    let management = Principal::management_canister();
    pic.submit_call_with_effective_principal(management, effective, OWNER, "stop_canister", arg)
        .expect("the message is accepted")
}

/// A canister with an open call context: a call from a user that is answered once `gate`, on another subnet,
/// opens.
struct Busy {
    pic: PocketIc,
    canister: Principal,
    gate: Principal,
    /// The call that is open.
    call: RawMessageId,
}

impl Busy {
    fn new() -> Self {
        let (pic, [here, there]) = engine::pic_with_two_subnets();
        let (canister, gate) = (install_universal_on(&pic, here), install_universal_on(&pic, there));
        // Asks the gate, and asks again with the script in slot 5 until it says that it is open.
        let read_gate = Call::run(gate, script().get(0).append_int().reply());
        let on_reply = script()
            .bump(2)
            .arg()
            .first_int()
            .set(1)
            .get(1)
            .when(script().bump(3).reply())
            .get(1)
            .negated()
            .when(script().get(5).eval());
        let ask_gate = script().call(read_gate.on_reply(on_reply));
        run(&pic, canister, script().blob(&ask_gate.bytes()).set(5).reply());
        let call = submit(&pic, canister, script().get(5).eval());
        until(&pic, "the first answer of the gate", |pic| (slot(pic, canister, 2) > 0).then_some(()));
        Self { pic, canister, gate, call }
    }

    fn open_gate(&self) {
        run(&self.pic, self.gate, script().int(1).set(0).reply());
    }

    /// Asks to stop and waits until the canister is stopping.
    fn stopping() -> (Self, RawMessageId) {
        let busy = Self::new();
        let stop = submit_stop(&busy.pic, busy.canister);
        until(&busy.pic, "the status", |pic| {
            (run_state(pic, busy.canister) == RunState::Stopping).then_some(())
        });
        (busy, stop)
    }
}

/// `stop_canister`: without open call contexts the canister is stopped at once; `start_canister` makes it run
/// again.
#[test]
fn an_idle_canister_stops_and_starts() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    assert_eq!(run_state(&pic, canister), RunState::Running);
    pic.stop_canister(canister, Some(OWNER)).expect("it stops");
    assert_eq!(run_state(&pic, canister), RunState::Stopped);
    pic.stop_canister(canister, Some(OWNER)).expect("stopping again is fine");
    pic.start_canister(canister, Some(OWNER)).expect("it starts");
    assert_eq!(run_state(&pic, canister), RunState::Running);
    pic.start_canister(canister, Some(OWNER)).expect("starting again is fine");
    run(&pic, canister, script().reply());
}

/// "Calls to stopped/stopping canisters are rejected": with `CANISTER_ERROR`.
#[test]
fn a_stopped_canister_rejects_every_kind_of_call() {
    let pic = engine::pic();
    let (caller, canister) = (install_universal(&pic), install_universal(&pic));
    pic.stop_canister(canister, Some(OWNER)).expect("it stops");
    let update = try_run(&pic, canister, script().reply());
    assert_rejected(update, RejectCode::CanisterError, ErrorCode::CanisterStopped);
    let query = try_ask(&pic, canister, script().reply());
    assert_rejected(query, RejectCode::CanisterError, ErrorCode::CanisterStopped);
    let call = script().call(Call::run(canister, script().bump(0).reply()));
    assert_eq!(rejection(&run(&pic, caller, call)).0, 5);
    pic.start_canister(canister, Some(OWNER)).expect("it starts");
    assert_eq!(slot(&pic, canister, 0), 0);
}

/// `stop_canister`: open call contexts are drained first. "The IC now rejects all calls to a stopping
/// canister … Responses to a stopping canister are processed as usual."
#[test]
fn stopping_waits_for_open_calls_and_lets_them_finish() {
    let (busy, stop) = Busy::stopping();
    let Busy { pic, canister, call, .. } = &busy;
    let late = try_run(pic, *canister, script().bump(4).reply());
    assert_rejected(late, RejectCode::CanisterError, ErrorCode::CanisterStopping);
    assert!(pic.ingress_status(stop.clone()).is_none());
    assert!(pic.ingress_status(call.clone()).is_none());

    busy.open_gate();
    answer(pic, call).expect("the open call is answered");
    answer(pic, &stop).expect("then the canister stops");
    assert_eq!(run_state(pic, *canister), RunState::Stopped);
    pic.start_canister(*canister, Some(OWNER)).expect("it starts");
    assert_eq!([slot(pic, *canister, 3), slot(pic, *canister, 4)], [1, 0]);
}

/// `start_canister`: from `stopping` to running; "all `stop_canister` calls which are processing fail (and
/// are rejected)".
#[test]
fn starting_cancels_stopping() {
    let (busy, stop) = Busy::stopping();
    let Busy { pic, canister, call, .. } = &busy;
    pic.start_canister(*canister, Some(OWNER)).expect("it starts");
    answer(pic, &stop).expect_err("the canister was not stopped");
    assert_eq!(run_state(pic, *canister), RunState::Running);
    run(pic, *canister, script().reply());
    busy.open_gate();
    answer(pic, call).expect("the open call went on");
}

/// `stop_canister`: after a timeout "this method returns an error (the canister status is still `stopping`
/// and might eventually become `stopped`". The platform waits five minutes (facts, "Calls").
#[test]
fn a_stop_that_takes_too_long_is_rejected_and_goes_on() {
    let (busy, stop) = Busy::stopping();
    let Busy { pic, canister, call, .. } = &busy;
    pic.advance_time(Duration::from_secs(301));
    let outcome = answer(pic, &stop);
    assert_rejected(outcome, RejectCode::SysTransient, ErrorCode::StopCanisterRequestTimeout);
    assert_eq!(run_state(pic, *canister), RunState::Stopping);
    busy.open_gate();
    answer(pic, call).expect("the open call is answered");
    until(pic, "the canister to stop", |pic| (run_state(pic, *canister) == RunState::Stopped).then_some(()));
}

/// `stop_canister` by a canister: it is answered when the other is stopped.
#[test]
fn a_canister_stops_another() {
    let pic = engine::pic();
    let (controller, canister) = (install_universal(&pic), install_universal(&pic));
    pic.set_controllers(canister, Some(OWNER), vec![OWNER, controller]).expect("the controller may");
    let stop = Call::management("stop_canister", (OfCanister { canister_id: canister },));
    run(&pic, controller, script().call(stop));
    assert_eq!(run_state(&pic, canister), RunState::Stopped);
    let start = Call::management("start_canister", (OfCanister { canister_id: canister },));
    run(&pic, controller, script().call(start));
    assert_eq!(run_state(&pic, canister), RunState::Running);
}

/// `delete_canister`: "the canister must already be stopped"; then it is gone with its state, and its id is
/// not reused.
#[test]
fn only_a_stopped_canister_is_deleted() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let outcome = pic.delete_canister(canister, Some(OWNER));
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterNotStopped);
    pic.stop_canister(canister, Some(OWNER)).expect("it stops");
    pic.delete_canister(canister, Some(OWNER)).expect("it is deleted");
    assert!(!pic.canister_exists(canister));
    assert_eq!(pic.get_subnet(canister), None);
    assert_ne!(pic.create_canister(), canister);
    assert!(!pic.canister_exists(canister));
}

/// `delete_canister`: a stopping canister is not stopped yet.
#[test]
fn a_stopping_canister_is_not_deleted() {
    let (busy, stop) = Busy::stopping();
    let Busy { pic, canister, .. } = &busy;
    let outcome = pic.delete_canister(*canister, Some(OWNER));
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterNotStopped);
    busy.open_gate();
    answer(pic, &stop).expect("it stops");
    pic.delete_canister(*canister, Some(OWNER)).expect("now it is deleted");
}

/// `uninstall_code`: "will reject all calls that the canister has not yet responded to"; abstract behavior,
/// "Code uninstallation": with `CANISTER_REJECT`. Responses that arrive later are not processed.
#[test]
fn uninstalling_rejects_open_calls() {
    let busy = Busy::new();
    let Busy { pic, canister, call, .. } = &busy;
    pic.uninstall_canister(*canister, Some(OWNER)).expect("it is uninstalled");
    assert_reject_code(answer(pic, call), RejectCode::CanisterReject);

    // Any callback into the new code would be counted, whatever its environment.
    let counting = r#"(module
        (import "ic0" "msg_reply" (func $reply))
        (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
        (memory 1)
        (table funcref (elem $callback))
        (func $callback (param i32)
            (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1))))
        (func (export "canister_update count")
            (call $append (i32.const 0) (i32.const 8)) (call $reply)))"#;
    pic.install_canister(*canister, wat(counting), vec![], Some(OWNER));
    busy.open_gate();
    for _ in 0..10 {
        let reply = pic.update_call(*canister, OWNER, "count", vec![]).expect("a reply");
        assert_eq!(number(&reply), 0);
    }
}

/// `stop_canister`, `start_canister`, `delete_canister`: controllers only.
#[test]
fn strangers_neither_stop_nor_start_nor_delete() {
    let pic = engine::pic();
    let canister_id = install_universal(&pic);
    for method in ["stop_canister", "start_canister", "delete_canister"] {
        let outcome = manage(&pic, stranger(), canister_id, method, (OfCanister { canister_id },));
        assert_reject_code(outcome, RejectCode::CanisterError);
    }
    assert_eq!(run_state(&pic, canister_id), RunState::Running);
    let gone = deleted(&pic);
    let outcome = manage(&pic, OWNER, gone, "start_canister", (OfCanister { canister_id: gone },));
    assert_reject_code(outcome, RejectCode::DestinationInvalid);
}
