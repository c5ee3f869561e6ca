//! Limits that the owner sets to a heap. Management canister, `wasm_memory_limit`: "An operation (update method,
//! canister init, canister post_upgrade) that causes the WASM heap memory consumption to exceed this limit will trap.
//! The WASM heap memory limit is ignored for query methods, response callback handlers, global timers, heartbeats, and
//! canister pre_upgrade."

use candid::{Nat, Principal};
use pocket_ic::{CanisterSettings, ErrorCode, PocketIc, RejectCode};

use crate::support::canisters::{OWNER, ask, assert_rejected, install_universal, run, slot, try_run, wat};
use crate::support::engine;
use crate::support::management::{Mode, install_code, status};
use crate::support::script::{Call, Hook, script};
use crate::support::wait::until;

fn set_limit(pic: &PocketIc, canister: Principal, bytes: u64) {
    let settings = CanisterSettings { wasm_memory_limit: Some(Nat::from(bytes)), ..Default::default() };
    pic.update_canister_settings(canister, Some(OWNER), settings).expect("a limit may be below the heap");
}

fn heap_bytes(pic: &PocketIc, canister: Principal) -> Nat {
    status(pic, OWNER, canister).expect("the controller may ask").memory_metrics.wasm_memory_size
}

#[test]
fn no_update_begins_on_a_heap_that_is_too_large_but_queries_do() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, script().grow_heap(20).forget().reply());
    set_limit(&pic, canister, 1 << 20);
    let outcome = try_run(&pic, canister, script().bump(0).reply());
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterWasmMemoryLimitExceeded);
    ask(&pic, canister, script().reply());
    set_limit(&pic, canister, 0);
    run(&pic, canister, script().bump(0).reply());
    assert_eq!(slot(&pic, canister, 0), 1);
}

#[test]
fn no_module_is_installed_whose_heap_is_too_large() {
    let pic = engine::pic();
    let from_the_start = wat("(module (memory 17))");
    let by_its_start_function =
        wat("(module (memory 1) (func $grow (drop (memory.grow (i32.const 16)))) (start $grow))");
    for module in [from_the_start, by_its_start_function] {
        let canister = pic.create_canister();
        set_limit(&pic, canister, 1 << 20);
        let outcome = install_code(&pic, OWNER, canister, Mode::Install, &module, &[]);
        assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterWasmMemoryLimitExceeded);
        assert_eq!(status(&pic, OWNER, canister).expect("a status").module_hash, None);
        set_limit(&pic, canister, 17 << 16);
        install_code(&pic, OWNER, canister, Mode::Install, &module, &[]).expect("it fits exactly");
    }
}

#[test]
fn timers_and_callbacks_grow_past_the_limit() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let grow = || script().grow_heap(16).forget();
    run(&pic, canister, script().hook(Hook::GlobalTimer, grow().bump(0)).reply());
    let before: u64 = heap_bytes(&pic, canister).0.try_into().expect("it fits");
    set_limit(&pic, canister, before + (8 << 16));
    let outcome = try_run(&pic, canister, grow().reply());
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterWasmMemoryLimitExceeded);

    let call = Call::run(canister, script().reply()).on_reply(grow().bump(1).reply());
    run(&pic, canister, script().int(1).set_timer().forget().call(call));
    until(&pic, "the timer", |pic| (slot(pic, canister, 0) == 1).then_some(()));
    assert_eq!(slot(&pic, canister, 1), 1);
    assert!(heap_bytes(&pic, canister) >= before + (32 << 16));
}
