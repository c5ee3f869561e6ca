//! Limits of messages and memories (resource limits, "Message limits" and "Memory limits").

use candid::Principal;
use pocket_ic::RejectCode;
use pocket_ic::common::rest::{RawCanisterCall, RawEffectivePrincipal};

use crate::support::canisters::{
    OWNER, ask, assert_reject_code, install, install_universal, install_universal_on, number, rejection, run,
    slot, try_ask, try_run, wat,
};
use crate::support::engine;
use crate::support::http;
use crate::support::script::{Call, Script, script};

const MIB: u64 = 1 << 20;

/// "Max ingress message payload".
const INGRESS_BYTES: u64 = 2 * MIB;

/// "Max cross-subnet inter-canister message payload", and "Max response size (replicated execution)".
const MESSAGE_BYTES: u64 = 2 * MIB;

/// "Max same-subnet inter-canister request payload".
const LOCAL_REQUEST_BYTES: u64 = 10 * MIB;

/// "Max response size (non-replicated execution, query calls)".
const QUERY_RESPONSE_BYTES: u64 = 3 * MIB;

/// Replies with `size` zeros.
fn reply_zeros(size: u64) -> Script {
    script().zeros(size).append().reply()
}

/// A call of about `size` bytes, whose callee replies with the exact number.
fn big_call(callee: candid::Principal, size: u64) -> Call {
    let body = script().begin_blob(u32::try_from(size).expect("below 4 GiB"));
    let count = script().forget().arg().length().append_int().reply();
    Call::new(callee, "run").arg(&body.bytes()).arg_of(script().zeros(size)).arg(&count.bytes())
}

/// "Max ingress message payload", which counts the whole message.
#[test]
fn an_ingress_message_of_nearly_two_mebibytes_is_accepted_and_a_larger_one_is_not() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let with_bytes = |size: u64| script().blob(&vec![7; usize::try_from(size).expect("a size")]).length();
    let fits = INGRESS_BYTES - 4_096;
    assert_eq!(number(&run(&pic, canister, with_bytes(fits).append_int().reply())), fits);

    let call = RawCanisterCall {
        sender: OWNER.as_slice().to_vec(),
        canister_id: canister.as_slice().to_vec(),
        effective_principal: RawEffectivePrincipal::CanisterId(canister.as_slice().to_vec()),
        method: "run".to_owned(),
        payload: with_bytes(INGRESS_BYTES).set(0).reply().bytes(),
        sender_info: None,
    };
    let body = serde_json::to_string(&call).expect("JSON");
    let refused = http::request(&pic, "POST", &http::path(&pic, "update/submit_ingress_message"), &body);
    assert!(refused.status >= 400 || refused.body.contains("\"Err\""), "{refused:?}");
    assert_eq!(slot(&pic, canister, 0), 0);
}

/// "Responding", `msg_reply_data_append`: "Traps if the total appended data exceeds the maximum response
/// size".
#[test]
fn an_update_replies_with_two_mebibytes_and_not_a_byte_more() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    assert_eq!(run(&pic, canister, reply_zeros(MESSAGE_BYTES)).len() as u64, MESSAGE_BYTES);
    let outcome = try_run(&pic, canister, reply_zeros(MESSAGE_BYTES + 1));
    assert_reject_code(outcome, RejectCode::CanisterError);
    let in_parts = script().zeros(MESSAGE_BYTES).append().int(1).append_int().reply();
    assert_reject_code(try_run(&pic, canister, in_parts), RejectCode::CanisterError);
}

/// "Responding", `msg_reply_data_append`, in a query call.
#[test]
fn a_query_replies_with_three_mebibytes_and_not_a_byte_more() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    assert_eq!(ask(&pic, canister, reply_zeros(QUERY_RESPONSE_BYTES)).len() as u64, QUERY_RESPONSE_BYTES);
    let outcome = try_ask(&pic, canister, reply_zeros(QUERY_RESPONSE_BYTES + 1));
    assert_reject_code(outcome, RejectCode::CanisterError);
}

/// "Inter-canister method calls", `call_data_append`: "Traps if the total appended data exceeds the maximum
/// inter-canister call payload"; within a subnet that is 10 MiB.
#[test]
fn a_request_within_a_subnet_carries_nearly_ten_mebibytes() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let size = LOCAL_REQUEST_BYTES - 4_096;
    let received = number(&run(&pic, caller, script().call(big_call(callee, size))));
    assert!((size..LOCAL_REQUEST_BYTES).contains(&received), "{received}");
    let outcome = try_run(&pic, caller, script().call(big_call(callee, LOCAL_REQUEST_BYTES)));
    assert_reject_code(outcome, RejectCode::CanisterError);
}

/// "Max cross-subnet inter-canister message payload": a larger request is rejected, not delivered.
#[test]
fn a_request_to_another_subnet_carries_nearly_two_mebibytes() {
    let (pic, [here, there]) = engine::pic_with_two_subnets();
    let (caller, callee) = (install_universal_on(&pic, here), install_universal_on(&pic, there));
    let size = MESSAGE_BYTES - 4_096;
    let received = number(&run(&pic, caller, script().call(big_call(callee, size))));
    assert!((size..MESSAGE_BYTES).contains(&received), "{received}");
    let refused = run(&pic, caller, script().call(big_call(callee, MESSAGE_BYTES + 1)));
    assert_eq!(rejection(&refused).0, 5);
}

/// "Max response size": a callee that wants to reply with more traps, and the caller is told.
#[test]
fn a_response_between_canisters_carries_two_mebibytes_and_not_a_byte_more() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let count = script().arg().length().append_int().reply();
    let call = Call::run(callee, reply_zeros(MESSAGE_BYTES)).on_reply(count);
    assert_eq!(number(&run(&pic, caller, script().call(call))), MESSAGE_BYTES);
    let call = Call::run(callee, reply_zeros(MESSAGE_BYTES + 1));
    assert_eq!(rejection(&run(&pic, caller, script().call(call))).0, 5);
}

/// "Wasm heap memory per canister": `memory.grow` answers -1 past 4 GiB and the canister works on.
#[test]
fn a_heap_does_not_grow_past_four_gibibytes() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let grow = script().grow_heap(65_536).append_int().bump(0).reply();
    assert_eq!(number(&run(&pic, canister, grow)), u64::from(u32::MAX));
    assert_eq!(slot(&pic, canister, 0), 1);
}

/// "Wasm heap memory per canister": a heap of two GiB is zeroed and usable up to its last byte.
#[test]
fn a_heap_of_two_gibibytes_is_usable_to_its_end() {
    let pic = engine::pic();
    let counting_at_the_end = r#"(module
        (import "ic0" "msg_reply" (func $reply))
        (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
        (memory 32768)
        (func (export "canister_update count")
            (i64.store (i32.const 0x7FFFFFF8) (i64.add (i64.load (i32.const 0x7FFFFFF8)) (i64.const 1)))
            (call $append (i32.const 0x7FFFFFF8) (i32.const 8))
            (call $reply)))"#;
    let canister = install(&pic, &wat(counting_at_the_end), &[]);
    for expected in 1..=2 {
        let reply = pic.update_call(canister, OWNER, "count", vec![]).expect("a reply");
        assert_eq!(number(&reply), expected);
    }
}

/// "Resource limits": a heap may have gigabytes, and a message may touch it anywhere: here at 70,000 places of
/// 2.4 GiB that are no neighbours, more than a process may have mappings.
#[test]
fn a_message_may_touch_a_large_heap_at_very_many_places() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    let module = wat::parse_str(
        r#"(module
          (import "ic0" "msg_reply" (func $reply))
          (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
          (memory 40000)
          (func (export "canister_update touch") (local $at i32)
            (loop $next
              (i64.store (i32.const 8) (i64.add (i64.load (i32.const 8)) (i64.load (local.get $at))))
              (local.set $at (i32.add (local.get $at) (i32.const 36864)))
              (br_if $next (i32.lt_u (local.get $at) (i32.const 2600000000))))
            (i64.store (i32.const 2500000000) (i64.const 7))
            (i64.store (i32.const 8) (i64.load (i32.const 2500000000)))
            (call $append (i32.const 8) (i32.const 8)) (call $reply)))"#,
    )
    .expect("the module parses");
    pic.install_canister(canister, module, Vec::new(), None);
    for _ in 0..2 {
        let reply =
            pic.update_call(canister, Principal::anonymous(), "touch", Vec::new()).expect("it replies");
        assert_eq!(reply, 7u64.to_le_bytes());
    }
}
