//! How many instructions a message may use. Developer documentation, "Resource limits": 40 billion an update, 5 billion
//! a query; of a callback's 40 billion a twentieth is kept for its cleanup.

use candid::Principal;
use pocket_ic::{ErrorCode, PocketIc, RejectCode};

use crate::support::canisters::{OWNER, assert_rejected, install, install_universal, number, try_run, wat};
use crate::support::engine;
use crate::support::script::script;

/// "Max instructions per query": also where the query is called as an update.
#[test]
fn a_query_called_as_an_update_has_the_instructions_of_a_query() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let long = || script().spin(800_000_000).reply();
    let outcome = pic.update_call(canister, OWNER, "ask", long().bytes());
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterInstructionLimitExceeded);
    try_run(&pic, canister, long()).expect("an update may take as long");
}

/// Calls itself; the callback fills 32 MiB as often as the first number of the argument says and then replies, its
/// cleanup as often as the second one and then counts. A byte that is filled costs an instruction.
const FILLING: &str = r#"(module
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "canister_self_copy" (func $self (param i32 i32 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_on_cleanup" (func $on_cleanup (param i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 600)
  (table funcref (elem $callback $cleanup))
  (data (i32.const 64) "nothing")
  (func $fill (param $count i64)
    (if (i64.gt_u (local.get $count) (i64.const 0)) (then
      (loop $next
        (memory.fill (i32.const 65536) (i32.const 7) (i32.const 33554432))
        (local.set $count (i64.sub (local.get $count) (i64.const 1)))
        (br_if $next (i64.gt_u (local.get $count) (i64.const 0)))))))
  (func $callback (param i32) (call $fill (i64.load (i32.const 0))) (call $reply))
  (func $cleanup (param i32)
    (call $fill (i64.load (i32.const 8)))
    (i64.store (i32.const 16) (i64.add (i64.load (i32.const 16)) (i64.const 1))))
  (func (export "canister_update nothing") (call $reply))
  (func (export "canister_update call")
    (call $arg_copy (i32.const 0) (i32.const 0) (i32.const 16))
    (call $self (i32.const 32) (i32.const 0) (i32.const 10))
    (call $call_new (i32.const 32) (i32.const 10) (i32.const 64) (i32.const 7)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (call $on_cleanup (i32.const 1) (i32.const 0))
    (drop (call $perform)))
  (func (export "canister_query cleaned") (call $append (i32.const 16) (i32.const 8)) (call $reply)))"#;

/// Instructions of filling 32 MiB once.
const FILL: u64 = 32 << 20;

fn cleaned(pic: &PocketIc, canister: Principal) -> u64 {
    number(&pic.query_call(canister, OWNER, "cleaned", vec![]).expect("a reply"))
}

#[test]
fn a_callback_leaves_a_twentieth_of_its_instructions_to_its_cleanup() {
    let pic = engine::pic();
    let canister = install(&pic, &wat(FILLING), &[]);
    let fills = |instructions: u64| instructions / FILL;
    let call = |callback: u64, cleanup: u64| {
        let arg = [fills(callback), fills(cleanup)].map(u64::to_le_bytes).concat();
        pic.update_call(canister, OWNER, "call", arg)
    };
    call(37_800_000_000, 0).expect("38 billion are the callback's");
    assert_eq!(cleaned(&pic, canister), 0);
    let outcome = call(38_500_000_000, 1_900_000_000);
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterInstructionLimitExceeded);
    assert_eq!(cleaned(&pic, canister), 1, "2 billion are the cleanup's, whatever the callback used");
}
