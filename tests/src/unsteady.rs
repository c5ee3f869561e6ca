//! An index that swaps its route, waits for another canister, and then fails with whatever it was told: what it did before
//! stays done. Its only route is what it was asked last.

use candid::Principal;
use decant_api::routes::SwapArgs;
use decant_cli::rehearsal::world::World;

use crate::repack::{create, nothing};

/// How its swaps end, after they have happened.
#[derive(Debug, Clone, Copy)]
pub enum End<'a> {
    /// They are acknowledged.
    Acknowledged,
    /// It traps with this text.
    Trap(&'a str),
    /// It rejects with this text.
    Reject(&'a str),
}

/// Installs one.
pub fn install(world: &World) -> Principal {
    let index = create(world);
    world.pic.install_canister(index, module(), nothing(), Some(world.operator));
    index
}

/// Tells it how its swaps end from now on.
pub fn tell(world: &World, index: Principal, end: End<'_>) {
    let (kind, text) = match end {
        End::Acknowledged => (0, ""),
        End::Trap(text) => (1, text),
        End::Reject(text) => (2, text),
    };
    let told = [&[kind], text.as_bytes()].concat();
    world.pic.update_call(index, world.operator, "tell", told).expect("it is told");
}

/// The canister that its route names, if it was ever asked to swap.
pub fn named(world: &World, index: Principal) -> Option<Principal> {
    let swapped = world.pic.query_call(index, world.operator, "swapped", nothing()).expect("it tells");
    let args = (!swapped.is_empty()).then(|| candid::decode_one::<SwapArgs>(&swapped));
    args.map(|args| args.expect("it was asked as an index is").to)
}

fn module() -> Vec<u8> {
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let ok = candid::encode_one(Ok::<(), ()>(())).expect("it encodes");
    wat::parse_str(format!(
        r#"(module
            (import "ic0" "msg_arg_data_size" (func $size (result i32)))
            (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
            (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
            (import "ic0" "msg_reply" (func $reply))
            (import "ic0" "msg_reject" (func $reject (param i32 i32)))
            (import "ic0" "trap" (func $trap (param i32 i32)))
            (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
            (import "ic0" "call_data_append" (func $data (param i32 i32)))
            (import "ic0" "call_perform" (func $perform (result i32)))
            (memory 1)
            (data (i32.const 0) "raw_rand")
            (data (i32.const 16) "{nothing}")
            (data (i32.const 32) "{ok}")
            (table 1 funcref)
            (elem (i32.const 0) $fail)
            (global $swapped (mut i32) (i32.const 0))
            (global $told (mut i32) (i32.const 1))
            (func $acknowledge
                (call $append (i32.const 32) (i32.const {ok_bytes}))
                (call $reply))
            (func $fail (param i32)
                (if (i32.eq (i32.load8_u (i32.const 4096)) (i32.const 1))
                    (then (call $trap (i32.const 4097) (i32.sub (global.get $told) (i32.const 1)))))
                (call $reject (i32.const 4097) (i32.sub (global.get $told) (i32.const 1))))
            (func (export "canister_update tell")
                (global.set $told (call $size))
                (call $copy (i32.const 4096) (i32.const 0) (global.get $told))
                (call $reply))
            (func (export "canister_query swapped")
                (call $append (i32.const 8192) (global.get $swapped))
                (call $reply))
            (func (export "canister_update decant_ended") (call $reply))
            (func (export "canister_update decant_swap")
                (global.set $swapped (call $size))
                (call $copy (i32.const 8192) (i32.const 0) (global.get $swapped))
                (if (i32.eqz (i32.load8_u (i32.const 4096)))
                    (then (call $acknowledge) (return)))
                (call $new (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8)
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
                (call $data (i32.const 16) (i32.const {nothing_bytes}))
                (drop (call $perform))))"#,
        nothing = hex(nothing()),
        nothing_bytes = nothing().len(),
        ok_bytes = ok.len(),
        ok = hex(ok),
    ))
    .expect("the text is a module")
}
