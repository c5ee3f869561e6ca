//! How much of stable memory one message may touch. Developer documentation, "Resource limits": 2 GiB a message, 8 GiB
//! an installation or upgrade, 1 GiB a query, read and written; error codes, IC0524.

use candid::Principal;
use pocket_ic::{ErrorCode, PocketIc, RejectCode, RejectResponse};

use crate::support::canisters::{OWNER, assert_rejected, install, number, wat};
use crate::support::engine;
use crate::support::management::{Mode, install_code};

const GIB: u64 = 1 << 30;

/// A page as the platform counts it.
const PAGE_BYTES: u64 = 4_096;

/// Touches one byte of as many pages of stable memory as its argument says, and replies with their number.
const TOUCHING: &str = r#"(module
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "stable64_size" (func $size (result i64)))
  (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
  (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
  (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
  (memory 1)
  (func $each (param $writes i32) (local $at i64) (local $end i64)
    (call $arg_copy (i32.const 0) (i32.const 0) (i32.const 8))
    (local.set $end (i64.mul (i64.load (i32.const 0)) (i64.const 4096)))
    (if (i64.eqz (call $size)) (then (drop (call $grow (i64.const 160000)))))
    (if (i64.gt_u (local.get $end) (i64.const 0)) (then
      (loop $next
        (if (local.get $writes)
          (then (call $write (local.get $at) (i64.const 16) (i64.const 1)))
          (else (call $read (i64.const 16) (local.get $at) (i64.const 1))))
        (local.set $at (i64.add (local.get $at) (i64.const 4096)))
        (br_if $next (i64.lt_u (local.get $at) (local.get $end)))))))
  (func $answer (call $append (i32.const 0) (i32.const 8)) (call $reply))
  (func (export "canister_post_upgrade") (call $each (i32.const 0)))
  (func (export "canister_update read") (call $each (i32.const 0)) (call $answer))
  (func (export "canister_query look") (call $each (i32.const 0)) (call $answer))
  (func (export "canister_query scribble") (call $each (i32.const 1)) (call $answer)))"#;

fn pages(bytes: u64) -> Vec<u8> {
    (bytes / PAGE_BYTES).to_le_bytes().to_vec()
}

#[track_caller]
fn assert_exceeded(outcome: Result<Vec<u8>, RejectResponse>) {
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterMemoryAccessLimitExceeded);
}

/// Calls `method` with exactly `limit` bytes, and with a page more.
#[track_caller]
fn assert_limit(limit: u64, call: impl Fn(Vec<u8>) -> Result<Vec<u8>, RejectResponse>) {
    let reply = call(pages(limit)).expect("as much as is allowed");
    assert_eq!(number(&reply), limit / PAGE_BYTES);
    assert_exceeded(call(pages(limit + PAGE_BYTES)));
}

fn touching(pic: &PocketIc) -> Principal {
    let canister = install(pic, &wat(TOUCHING), &[]);
    // The memory is there before a query looks at it.
    pic.update_call(canister, OWNER, "read", pages(0)).expect("it grows");
    canister
}

#[test]
fn an_update_reads_two_gibibytes_and_not_a_page_more() {
    let pic = engine::pic();
    let canister = touching(&pic);
    assert_limit(2 * GIB, |arg| pic.update_call(canister, OWNER, "read", arg));
}

#[test]
fn a_query_reads_one_gibibyte_and_not_a_page_more_in_either_mode() {
    let pic = engine::pic();
    let canister = touching(&pic);
    assert_limit(GIB, |arg| pic.query_call(canister, OWNER, "look", arg));
    assert_limit(GIB, |arg| pic.update_call(canister, OWNER, "look", arg));
}

#[test]
fn a_query_writes_one_gibibyte_and_not_a_page_more() {
    let pic = engine::pic();
    let canister = touching(&pic);
    assert_limit(GIB, |arg| pic.query_call(canister, OWNER, "scribble", arg));
}

#[test]
fn an_upgrade_reads_eight_gibibytes_and_not_a_page_more() {
    let pic = engine::pic();
    let canister = touching(&pic);
    let upgrade =
        |bytes| install_code(&pic, OWNER, canister, Mode::Upgrade(None), &wat(TOUCHING), &pages(bytes));
    upgrade(8 * GIB).expect("as much as is allowed");
    for _ in 0..10 {
        // An installation may have to pause.
        pic.tick();
    }
    assert_exceeded(upgrade(8 * GIB + PAGE_BYTES));
}
