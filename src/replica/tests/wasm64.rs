//! A canister with 64-bit addresses runs like any other (interface specification, "System API": `I` is `i64`).

#[expect(dead_code, reason = "other test targets use the rest")]
#[path = "support/engine.rs"]
mod engine;

use candid::Principal;
use pocket_ic::PocketIc;

/// Counts in its heap, keeps the argument of the latest call at a high address, and its heap over upgrades only
/// through stable memory.
const WIDE: &str = r#"
(module
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i64)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i64 i64 i64)))
  (import "ic0" "msg_reply_data_append" (func $append (param i64 i64)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $stable_write (param i64 i64 i64)))
  (import "ic0" "stable64_read" (func $stable_read (param i64 i64 i64)))
  (memory (export "memory") i64 40)
  (global $count (mut i64) (i64.const 0))
  (data (i64.const 2000000) "wide")
  (func (export "canister_pre_upgrade")
    (drop (call $stable_grow (i64.const 1)))
    (i64.store (i64.const 16) (global.get $count))
    (call $stable_write (i64.const 0) (i64.const 16) (i64.const 8)))
  (func (export "canister_post_upgrade")
    (call $stable_read (i64.const 16) (i64.const 0) (i64.const 8))
    (global.set $count (i64.load (i64.const 16))))
  (func (export "canister_update count")
    (global.set $count (i64.add (global.get $count) (i64.const 1)))
    (i64.store (i64.const 16) (global.get $count))
    (call $append (i64.const 16) (i64.const 8)) (call $reply))
  (func (export "canister_query data") (call $append (i64.const 2000000) (i64.const 4)) (call $reply))
  (func (export "canister_update grow_and_echo") (local $base i64)
    (local.set $base (i64.mul (memory.grow (i64.const 16)) (i64.const 65536)))
    (call $arg_copy (local.get $base) (i64.const 0) (call $arg_size))
    (call $append (local.get $base) (call $arg_size)) (call $reply))
  (func $scribble (local $at i64)
    (local.set $at (i64.const 65536))
    (loop $next
      (i64.store (local.get $at) (i64.add (i64.load (local.get $at)) (i64.const 1)))
      (local.set $at (i64.add (local.get $at) (i64.const 4096)))
      (br_if $next (i64.lt_u (local.get $at) (i64.const 2162688)))))
  (func (export "canister_update scribble") (call $scribble) (call $reply))
  (func (export "canister_update scribble_and_trap") (call $scribble) unreachable)
  (func (export "canister_update nothing") (call $reply))
  (func (export "canister_update trap") unreachable)
  (func (export "canister_update out_of_bounds")
    (drop (i64.load (i64.const 0x200000000))) (call $reply)))
"#;

fn install(pic: &PocketIc) -> Principal {
    let id = pic.create_canister();
    pic.install_canister(id, wat::parse_str(WIDE).expect("the canister parses"), Vec::new(), None);
    id
}

fn call(pic: &PocketIc, id: Principal, method: &str, arg: &[u8]) -> Vec<u8> {
    pic.update_call(id, Principal::anonymous(), method, arg.to_vec()).expect("the canister replies")
}

#[test]
fn a_canister_with_64_bit_addresses_counts_grows_and_upgrades() {
    let pic = engine::pic();
    let id = install(&pic);
    assert_eq!(call(&pic, id, "count", b""), 1u64.to_le_bytes());
    assert_eq!(call(&pic, id, "count", b""), 2u64.to_le_bytes());
    let data = pic.query_call(id, Principal::anonymous(), "data", Vec::new()).expect("the query replies");
    assert_eq!(data, b"wide");
    assert_eq!(call(&pic, id, "grow_and_echo", b"over the old end"), b"over the old end");
    let wasm = wat::parse_str(WIDE).expect("the canister parses");
    pic.upgrade_canister(id, wasm, Vec::new(), None).expect("it upgrades");
    assert_eq!(call(&pic, id, "count", b""), 3u64.to_le_bytes());
}

#[test]
fn an_address_behind_a_64_bit_heap_traps_and_changes_nothing() {
    let pic = engine::pic();
    let id = install(&pic);
    call(&pic, id, "count", b"");
    let rejected = pic
        .update_call(id, Principal::anonymous(), "out_of_bounds", Vec::new())
        .expect_err("the access is out of bounds");
    assert!(rejected.reject_message.contains("heap out of bounds"), "{rejected}");
    assert_eq!(call(&pic, id, "count", b""), 2u64.to_le_bytes());
}

/// dfinity/ic, `embedders.rs` (`WASM64_DIRTY_PAGE_OVERHEAD_MULTIPLIER`) and `wasmtime_embedder.rs` (`run`): a page of a
/// 64-bit heap that is written costs four times a thousand instructions, whether the message fails or not.
#[test]
fn a_written_page_of_a_64_bit_heap_costs_four_thousand_instructions_even_if_the_message_fails() {
    /// Pages that `scribble` writes.
    const PAGES: u128 = 512;
    let pic = engine::pic();
    let id = install(&pic);
    let price = |method: &str| {
        let before = pic.cycle_balance(id);
        drop(pic.update_call(id, Principal::anonymous(), method, Vec::new()));
        before - pic.cycle_balance(id)
    };
    for (writing, idle) in [("scribble", "nothing"), ("scribble_and_trap", "trap")] {
        let spent = price(writing) - price(idle);
        // Two cycles an instruction, and a little for the loop.
        let pages = PAGES * 4_000 * 2;
        assert!((pages..pages + pages / 20).contains(&spent), "{writing}: {spent}");
    }
}
