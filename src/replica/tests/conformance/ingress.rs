//! Ingress: submitted, awaited, executed at once; who sent it; what becomes of it. HTTPS interface, "Overview
//! of canister calling" and "Reject codes".

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use candid::Principal;
use pocket_ic::{ErrorCode, IngressStatusResult, RejectCode};

use crate::support::canisters::{
    assert_reject_code, assert_rejected, deleted, install_universal, number, run, slot, stranger, try_run,
};
use crate::support::engine;
use crate::support::http;
use crate::support::script::{echo, script};
use crate::support::wait;

/// "Asynchronous canister calling": a request is first unknown, later replied, and stays so.
#[test]
fn a_submitted_message_is_answered_by_a_later_round() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let message = wait::submit(&pic, canister, script().bump(0).get(0).append_int().reply());
    assert!(pic.ingress_status(message.clone()).is_none());
    assert_eq!(slot(&pic, canister, 0), 0, "nothing is executed without a round");

    let reply = wait::answer(&pic, &message).expect("a reply");
    assert_eq!(number(&reply), 1);
    assert_eq!(pic.await_call(message.clone()), Ok(reply.clone()));
    assert_eq!(pic.ingress_status(message), Some(Ok(reply)));
    assert_eq!(slot(&pic, canister, 0), 1, "asking again executes nothing");
}

/// `PocketIc::await_call`: executes rounds until the message is answered.
#[test]
fn awaiting_a_message_executes_rounds() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let message = wait::submit(&pic, canister, script().int(11).append_int().reply());
    assert_eq!(number(&pic.await_call(message).expect("a reply")), 11);
}

/// "Request: Read state": the status of a request is only told to who submitted it.
#[test]
fn the_status_of_a_message_is_told_to_its_sender_only() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let sender = stranger();
    let script = script().int(1).append_int().reply();
    let message = pic.submit_call(canister, sender, "run", script.bytes()).expect("it is accepted");
    wait::answer(&pic, &message).expect("a reply");
    let IngressStatusResult::Success(outcome) = pic.ingress_status_as(message.clone(), sender) else {
        panic!("the sender may read the status");
    };
    assert_eq!(number(&outcome.expect("a reply")), 1);
    let other = pic.ingress_status_as(message, Principal::anonymous());
    assert!(matches!(other, IngressStatusResult::Forbidden(_)), "{other:?}");
}

/// Canister interface, "Method arguments": the caller is the user who signed the request.
#[test]
fn the_sender_is_the_caller() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    for user in [Principal::anonymous(), stranger()] {
        let whoami = script().caller().append().reply().bytes();
        assert_eq!(pic.update_call(canister, user, "run", whoami.clone()), Ok(user.as_slice().to_vec()));
        assert_eq!(pic.query_call(canister, user, "ask", whoami), Ok(user.as_slice().to_vec()));
    }
}

/// Canister interface, "Method arguments", "Responding": argument and reply are arbitrary bytes.
#[test]
fn a_mebibyte_goes_in_and_comes_out() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let payload: Vec<u8> = (0..1_048_576_u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
    let script = script().blob(&payload).append().reply();
    assert!(run(&pic, canister, script) == payload, "the payload came back changed");
    let echoed = run(&pic, canister, echo());
    assert_eq!(echoed, echo().bytes());
}

/// "Reject codes": an explicit reject is `CANISTER_REJECT` with the canister's message.
#[test]
fn a_canister_rejects_with_its_own_message() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let outcome = try_run(&pic, canister, script().reject("nein, danke – не сейчас".as_bytes()));
    let reject = assert_reject_code(outcome, RejectCode::CanisterReject);
    assert_eq!(reject.error_code, ErrorCode::CanisterRejectedMessage);
    assert_eq!(reject.reject_message, "nein, danke – не сейчас");
}

/// "Reject codes": a trap is `CANISTER_ERROR`; the text of `ic0.trap` "might be included in a reject
/// message".
#[test]
fn a_trap_is_an_error_that_tells_the_text() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let outcome = try_run(&pic, canister, script().trap(b"out of cheese"));
    let reject = assert_reject_code(outcome, RejectCode::CanisterError);
    assert_eq!(reject.error_code, ErrorCode::CanisterCalledTrap);
    assert!(reject.reject_message.contains("out of cheese"), "{reject}");

    let outcome = try_run(&pic, canister, script().unreachable());
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterTrapped);
}

/// Abstract behavior, "Call context starvation": who does not answer rejects with `CANISTER_ERROR`.
#[test]
fn a_message_without_an_answer_is_rejected() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let outcome = try_run(&pic, canister, script().bump(0));
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterDidNotReply);
    assert_eq!(slot(&pic, canister, 0), 1, "it was executed nevertheless");
}

/// "Reject codes": a canister that does not exist is `DESTINATION_INVALID`.
#[test]
fn a_message_to_a_canister_that_does_not_exist_is_rejected() {
    let pic = engine::pic();
    let nobody = deleted(&pic);
    let outcome = try_run(&pic, nobody, script().reply());
    assert_rejected(outcome, RejectCode::DestinationInvalid, ErrorCode::CanisterNotFound);
}

/// Management canister, `create_canister`: an empty canister "behaves like a canister that has no public
/// methods".
#[test]
fn methods_that_do_not_exist_reject() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let outcome = pic.update_call(canister, stranger(), "no such method", vec![]);
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterMethodNotFound);
    let empty = pic.create_canister();
    let outcome = try_run(&pic, empty, script().reply());
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterWasmModuleNotFound);
}

/// HTTPS interface, "Effective canister id": calls to the management canister are routed by it.
#[test]
fn each_message_has_an_id_of_its_own() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let count = || script().bump(0).get(0).append_int().reply();
    let [first, second] = [(); 2].map(|()| wait::submit(&pic, canister, count()));
    assert_ne!(first.message_id, second.message_id, "equal requests are two messages");
    let mut replies = [first, second].map(|message| number(&wait::answer(&pic, &message).expect("a reply")));
    replies.sort_unstable();
    assert_eq!(replies, [1, 2]);
}

/// HTTPS interface, "Request: Read state": who has not been seen by a subnet yet belongs to nobody.
#[test]
fn a_message_that_no_round_has_taken_is_unknown_to_everybody() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let message = wait::submit(&pic, canister, script().reply());
    let other = pic.ingress_status_as(message, stranger());
    assert!(matches!(other, IngressStatusResult::NotAvailable), "{other:?}");
}

/// HTTPS interface, "Authentication": a request that expired is not executed.
#[test]
fn a_message_that_expired_is_never_executed() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let message = wait::submit(&pic, canister, script().bump(0).reply());
    pic.advance_time(Duration::from_secs(600));
    for _ in 0..3 {
        pic.tick();
    }
    assert!(pic.ingress_status(message).is_none());
    assert_eq!(slot(&pic, canister, 0), 0);
}

/// HTTPS interface, "Request: Read state": "the system may … forget about the request" five minutes after its answer.
#[test]
fn an_answer_is_forgotten_after_five_minutes() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let message = wait::submit(&pic, canister, script().int(1).append_int().reply());
    wait::answer(&pic, &message).expect("a reply");
    pic.advance_time(Duration::from_secs(290));
    pic.tick();
    assert!(pic.ingress_status(message.clone()).is_some());
    pic.advance_time(Duration::from_secs(20));
    pic.tick();
    assert!(pic.ingress_status(message).is_none());
}

/// "Max ingress message payload" counts the whole message; PocketIC answers HTTP 400.
#[test]
fn a_message_that_is_too_large_with_its_envelope_is_a_bad_request() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let payload = |size: usize| {
        let argument = "A".repeat(size / 3 * 4);
        let id = STANDARD.encode(canister.as_slice());
        format!(
            r#"{{"sender":"BA==","canister_id":"{id}","effective_principal":{{"CanisterId":"{id}"}},"method":"run","payload":"{argument}"}}"#
        )
    };
    let submit = |size| {
        let path = http::path(&pic, "update/submit_ingress_message");
        http::request(&pic, "POST", &path, &payload(size)).status
    };
    assert_eq!(submit(2 * 1024 * 1024 - 90), 400, "less than 2 MiB of argument and more with the envelope");
    assert_eq!(submit(2 * 1024 * 1024 - 600), 200);
}
