//! Upgrades and the heap. Management canister, `install_code`, `wasm_memory_persistence`; the platform guards
//! modules with enhanced orthogonal persistence (docs, execution errors, "Missing upgrade option").

use candid::{CandidType, Principal};
use pocket_ic::{ErrorCode, PocketIc, RejectCode, RejectResponse};

use crate::support::canisters::{OWNER, assert_rejected, install, number, wat};
use crate::support::engine;
use crate::support::management::manage;

#[derive(CandidType)]
struct Install {
    mode: Mode,
    canister_id: Principal,
    wasm_module: Vec<u8>,
    arg: Vec<u8>,
}

#[derive(CandidType, serde::Deserialize)]
enum Mode {
    #[serde(rename = "upgrade")]
    Upgrade(Option<Flags>),
}

#[derive(CandidType, serde::Deserialize)]
struct Flags {
    skip_pre_upgrade: Option<bool>,
    wasm_memory_persistence: Option<Persistence>,
}

#[derive(CandidType, serde::Deserialize)]
enum Persistence {
    #[serde(rename = "keep")]
    Keep,
    #[serde(rename = "replace")]
    Replace,
}

fn upgrade(
    pic: &PocketIc,
    canister_id: Principal,
    module: &[u8],
    persistence: Option<Persistence>,
) -> Result<Vec<u8>, RejectResponse> {
    let flags = Flags { skip_pre_upgrade: None, wasm_memory_persistence: persistence };
    let args = Install {
        mode: Mode::Upgrade(Some(flags)),
        canister_id,
        wasm_module: module.to_vec(),
        arg: Vec::new(),
    };
    manage(pic, OWNER, canister_id, "install_code", (args,))
}

/// Counts in its heap; with or without the section by which moc tells that the heap is the state.
fn counter(is_persistent: bool) -> Vec<u8> {
    let section =
        if is_persistent { r#"(@custom "icp:private enhanced-orthogonal-persistence" "")"# } else { "" };
    wat(&format!(
        r#"(module {section}
            (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
            (import "ic0" "msg_reply" (func $reply))
            (memory 1)
            (func (export "canister_update count")
                (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1)))
                (call $append (i32.const 0) (i32.const 8))
                (call $reply)))"#
    ))
}

fn count(pic: &PocketIc, canister: Principal) -> u64 {
    number(&pic.update_call(canister, OWNER, "count", vec![]).expect("it counts"))
}

#[test]
fn a_heap_that_is_the_state_is_not_dropped_by_an_oversight() {
    let pic = engine::pic();
    let module = counter(true);
    let canister = install(&pic, &module, &[]);
    assert_eq!(count(&pic, canister), 1);
    let outcome = upgrade(&pic, canister, &module, None);
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterContractViolation);
    assert_eq!(count(&pic, canister), 2, "nothing happened");
    upgrade(&pic, canister, &module, Some(Persistence::Keep)).expect("it is kept");
    assert_eq!(count(&pic, canister), 3);
    upgrade(&pic, canister, &module, Some(Persistence::Replace)).expect("it is replaced on purpose");
    assert_eq!(count(&pic, canister), 1);
}

#[test]
fn a_heap_is_not_kept_for_a_module_that_does_not_expect_it() {
    let pic = engine::pic();
    let (persistent, plain) = (counter(true), counter(false));
    let canister = install(&pic, &persistent, &[]);
    assert_eq!(count(&pic, canister), 1);
    let outcome = upgrade(&pic, canister, &plain, Some(Persistence::Keep));
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterContractViolation);
    assert_eq!(count(&pic, canister), 2);
    upgrade(&pic, canister, &plain, Some(Persistence::Replace)).expect("it is replaced on purpose");
    assert_eq!(count(&pic, canister), 1);
    upgrade(&pic, canister, &plain, None).expect("a plain module needs no option");
    assert_eq!(count(&pic, canister), 1);
}
