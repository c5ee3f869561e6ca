//! The system API beyond what other modules test. Canister interface; each test cites its section.

use candid::Principal;
use pocket_ic::{PocketIc, RejectCode, RejectResponse};

use crate::support::canisters::{
    OWNER, ask, assert_reject_code, install, install_universal, number, numbers, rejection, run, slot,
    stranger, try_ask, try_run, universal, wat,
};
use crate::support::engine;
use crate::support::management::{Metadata, Mode, OfSnapshot, decode, install_code, manage};
use crate::support::script::{Call, Script, script};

/// "Overview of imports": name, parameters and result of every function, for a memory of 32 bits.
const IMPORTS: &[(&str, &str, &str)] = &[
    ("msg_arg_data_size", "", "i32"),
    ("msg_arg_data_copy", "i32 i32 i32", ""),
    ("msg_caller_size", "", "i32"),
    ("msg_caller_copy", "i32 i32 i32", ""),
    ("msg_caller_info_data_size", "", "i32"),
    ("msg_caller_info_data_copy", "i32 i32 i32", ""),
    ("msg_caller_info_signer_size", "", "i32"),
    ("msg_caller_info_signer_copy", "i32 i32 i32", ""),
    ("msg_reject_code", "", "i32"),
    ("msg_reject_msg_size", "", "i32"),
    ("msg_reject_msg_copy", "i32 i32 i32", ""),
    ("msg_deadline", "", "i64"),
    ("msg_reply_data_append", "i32 i32", ""),
    ("msg_reply", "", ""),
    ("msg_reject", "i32 i32", ""),
    ("msg_cycles_available128", "i32", ""),
    ("msg_cycles_refunded128", "i32", ""),
    ("msg_cycles_accept128", "i64 i64 i32", ""),
    ("cycles_burn128", "i64 i64 i32", ""),
    ("mint_cycles128", "i64 i64 i32", ""),
    ("canister_self_size", "", "i32"),
    ("canister_self_copy", "i32 i32 i32", ""),
    ("canister_cycle_balance128", "i32", ""),
    ("canister_liquid_cycle_balance128", "i32", ""),
    ("canister_status", "", "i32"),
    ("canister_version", "", "i64"),
    ("subnet_self_size", "", "i32"),
    ("subnet_self_copy", "i32 i32 i32", ""),
    ("msg_method_name_size", "", "i32"),
    ("msg_method_name_copy", "i32 i32 i32", ""),
    ("accept_message", "", ""),
    ("call_new", "i32 i32 i32 i32 i32 i32 i32 i32", ""),
    ("call_on_cleanup", "i32 i32", ""),
    ("call_data_append", "i32 i32", ""),
    ("call_with_best_effort_response", "i32", ""),
    ("call_cycles_add128", "i64 i64", ""),
    ("call_perform", "", "i32"),
    ("stable64_size", "", "i64"),
    ("stable64_grow", "i64", "i64"),
    ("stable64_write", "i64 i64 i64", ""),
    ("stable64_read", "i64 i64 i64", ""),
    ("root_key_size", "", "i32"),
    ("root_key_copy", "i32 i32 i32", ""),
    ("certified_data_set", "i32 i32", ""),
    ("data_certificate_present", "", "i32"),
    ("data_certificate_size", "", "i32"),
    ("data_certificate_copy", "i32 i32 i32", ""),
    ("time", "", "i64"),
    ("global_timer_set", "i64", "i64"),
    ("performance_counter", "i32", "i64"),
    ("is_controller", "i32 i32", "i32"),
    ("in_replicated_execution", "", "i32"),
    ("cost_call", "i64 i64 i32", ""),
    ("cost_create_canister", "i32", ""),
    ("cost_http_request", "i64 i64 i32", ""),
    ("cost_sign_with_ecdsa", "i32 i32 i32 i32", "i32"),
    ("cost_sign_with_schnorr", "i32 i32 i32 i32", "i32"),
    ("cost_vetkd_derive_key", "i32 i32 i32 i32", "i32"),
    ("env_var_count", "", "i32"),
    ("env_var_name_size", "i32", "i32"),
    ("env_var_name_copy", "i32 i32 i32 i32", ""),
    ("env_var_name_exists", "i32 i32", "i32"),
    ("env_var_value_size", "i32 i32", "i32"),
    ("env_var_value_copy", "i32 i32 i32 i32 i32", ""),
    ("debug_print", "i32 i32", ""),
    ("trap", "i32 i32", ""),
    ("msg_cycles_available", "", "i64"),
    ("msg_cycles_refunded", "", "i64"),
    ("msg_cycles_accept", "i64", "i64"),
    ("canister_cycle_balance", "", "i64"),
    ("call_cycles_add", "i64", ""),
    ("stable_size", "", "i32"),
    ("stable_grow", "i32", "i32"),
    ("stable_write", "i32 i32 i32", ""),
    ("stable_read", "i32 i32 i32", ""),
];

/// A canister that imports `imports` (name, parameters, result) as `$name` and whose update method `go` does
/// `body`.
fn doing(imports: &[(&str, &str, &str)], body: &str) -> Vec<u8> {
    let imports: String = imports
        .iter()
        .map(|(name, params, result)| {
            let result = if result.is_empty() { String::new() } else { format!("(result {result})") };
            format!("(import \"ic0\" \"{name}\" (func ${name} (param {params}) {result}))\n")
        })
        .collect();
    wat(&format!(r#"(module {imports} (memory 1) (func (export "canister_update go") {body}))"#))
}

fn call(pic: &PocketIc, module: &[u8]) -> Result<Vec<u8>, RejectResponse> {
    let canister = install(pic, module, &[]);
    pic.update_call(canister, OWNER, "go", b"argument".to_vec())
}

/// "Overview of imports": all of these may be imported, with these types.
#[test]
fn every_function_of_the_specification_can_be_imported() {
    let pic = engine::pic();
    assert_eq!(call(&pic, &doing(IMPORTS, "(call $msg_reply)")), Ok(vec![]));
}

/// "Blob-typed arguments and results": copies a part; traps past the end of the blob or of the memory.
#[test]
fn blobs_are_copied_in_parts_and_within_bounds() {
    let pic = engine::pic();
    let copying = |dst: u32, offset: u32, size: u32| {
        let body = format!(
            "(call $msg_arg_data_copy (i32.const {dst}) (i32.const {offset}) (i32.const {size}))
             (call $msg_reply_data_append (i32.const {dst}) (i32.const {size})) (call $msg_reply)"
        );
        call(&pic, &doing(IMPORTS, &body))
    };
    assert_eq!(copying(100, 0, 8), Ok(b"argument".to_vec()));
    assert_eq!(copying(65_530, 3, 5), Ok(b"ument".to_vec()));
    assert_eq!(copying(0, 8, 0), Ok(vec![]));
    for (dst, offset, size) in [(0, 4, 5), (0, 9, 0), (65_533, 0, 8), (u32::MAX, 0, 8), (0, u32::MAX, 2)] {
        assert_reject_code(copying(dst, offset, size), RejectCode::CanisterError);
    }
}

/// "Blob-typed arguments and results": reading past the end of the memory traps.
#[test]
fn blobs_are_taken_from_within_the_memory() {
    let pic = engine::pic();
    for body in [
        "(call $msg_reply_data_append (i32.const 65530) (i32.const 7))",
        "(call $msg_reply_data_append (i32.const -1) (i32.const 2))",
        "(call $msg_reject (i32.const 65536) (i32.const 1))",
        "(call $certified_data_set (i32.const 65530) (i32.const 20))",
        "(drop (call $is_controller (i32.const 65530) (i32.const 10)))",
    ] {
        let outcome = call(&pic, &doing(IMPORTS, &format!("{body} (call $msg_reply)")));
        assert_reject_code(outcome, RejectCode::CanisterError);
    }
}

/// "Responding", `msg_reject`: traps "if the data referred to by `src`/`size` is not valid UTF8".
#[test]
fn a_reject_message_is_text() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let outcome = try_run(&pic, canister, script().reject(&[0xC3, 0x28]));
    assert_reject_code(outcome, RejectCode::CanisterError);
}

/// "Self-identification".
#[test]
fn a_canister_knows_its_id() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    assert_eq!(run(&pic, canister, script().self_id().append().reply()), canister.as_slice());
}

/// "Canister status": 1 for running.
#[test]
fn a_running_canister_sees_status_one() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    assert_eq!(number(&run(&pic, canister, script().status().append_int().reply())), 1);
}

/// "Canister version": "guaranteed to be incremented upon every change" of code, settings, status and memory.
#[test]
fn the_canister_version_rises_with_every_change() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    // A query, which is not counted itself.
    let version = || number(&ask(&pic, canister, script().version().append_int().reply()));
    let mut last = version();
    run(&pic, canister, script().reply());
    let mut risen = |what: &str| {
        let now = version();
        assert!(now > last, "{what}: {now} after {last}");
        last = now;
    };
    risen("an update message");
    pic.set_controllers(canister, Some(OWNER), vec![OWNER, stranger()]).expect("the controller may");
    risen("settings");
    let wasm = universal().to_vec();
    pic.upgrade_canister(canister, wasm, vec![], Some(OWNER)).expect("it upgrades");
    risen("code");
    pic.stop_canister(canister, Some(OWNER)).expect("it stops");
    pic.start_canister(canister, Some(OWNER)).expect("it starts");
    risen("status");
    pic.start_canister(canister, Some(OWNER)).expect("it runs already");
    risen("a start that changes nothing");
    pic.update_call(canister, OWNER, "ask", script().reply().bytes()).expect("it answers");
    risen("a replicated query");
    let callback = Call::run(canister, script().reply()).on_reply(script().trap(b"no"));
    let before = number(&ask(&pic, canister, script().version().append_int().reply()));
    assert_reject_code(try_run(&pic, canister, script().call(callback.clone())), RejectCode::CanisterError);
    let without_cleanup = number(&ask(&pic, canister, script().version().append_int().reply())) - before;
    let cleaned = callback.on_cleanup(script().bump(2));
    let before = before + without_cleanup;
    assert_reject_code(try_run(&pic, canister, script().call(cleaned)), RejectCode::CanisterError);
    let with_cleanup = number(&ask(&pic, canister, script().version().append_int().reply())) - before;
    assert!(with_cleanup > without_cleanup, "a cleanup that changed memory");
}

/// "Canister version": "successful execution" alone, here of two messages: a message sees the version that the one
/// before it left, raised once by each. What fails changes nothing, and raises nothing.
#[test]
fn the_canister_version_counts_messages_that_succeed() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let seen = || number(&run(&pic, canister, script().version().append_int().reply()));
    let first = seen();
    assert_eq!(seen(), first + 1);
    assert_reject_code(try_run(&pic, canister, script().bump(0).trap(b"no")), RejectCode::CanisterError);
    ask(&pic, canister, script().reply());
    assert_eq!(seen(), first + 2);
}

/// "Canister version": every successful call of `stop_canister`, and the transition from Stopping to Stopped.
#[test]
fn the_canister_version_counts_every_stop() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let seen = || number(&run(&pic, canister, script().version().append_int().reply()));
    let first = seen();
    pic.stop_canister(canister, Some(OWNER)).expect("it stops");
    pic.start_canister(canister, Some(OWNER)).expect("it starts");
    let second = seen();
    // The message that asked, the stop, that it is stopped, the start.
    assert_eq!(second, first + 4);
    for _ in 0..2 {
        pic.stop_canister(canister, Some(OWNER)).expect("it stops, or is stopped");
    }
    pic.start_canister(canister, Some(OWNER)).expect("it starts");
    assert_eq!(seen(), second + 5);
}

/// "Canister version": "`canister_post_upgrade` sees the new counter value".
#[test]
fn post_upgrade_sees_the_new_version() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let old = number(&run(&pic, canister, script().version().append_int().reply()));
    let note = script().version().set(0).bytes();
    pic.upgrade_canister(canister, universal().to_vec(), note, Some(OWNER)).expect("it upgrades");
    assert!(slot(&pic, canister, 0) > old);
}

/// "Controller check": 1 for controllers, 0 for others; traps if it "is not a valid binary encoding of a
/// principal".
#[test]
fn a_canister_knows_its_controllers() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    pic.set_controllers(canister, Some(OWNER), vec![OWNER, canister]).expect("the controller may");
    let check = |id: &[u8]| script().asks_controller(id).append_int();
    let all = check(OWNER.as_slice())
        .then(check(canister.as_slice()))
        .then(check(stranger().as_slice()))
        .then(check(Principal::management_canister().as_slice()));
    assert_eq!(numbers(&run(&pic, canister, all.reply())), [1, 1, 0, 0]);
    let outcome = try_run(&pic, canister, check(&[7; 30]).reply());
    assert_reject_code(outcome, RejectCode::CanisterError);
}

/// "Certified data": at most 32 bytes; no certificate in update methods.
#[test]
fn certified_data_has_a_limit_and_no_certificate_in_updates() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, script().certify(&[1; 32]).certify(b"").reply());
    assert_reject_code(
        try_run(&pic, canister, script().certify(&[1; 33]).reply()),
        RejectCode::CanisterError,
    );
    let present = script().certificate_present().append_int().reply();
    assert_eq!(number(&run(&pic, canister, present)), 0);
}

/// "Certified data": set data stays until it is set again; "For fresh canisters (upon install or reinstall),
/// this blob is the empty blob". A snapshot shows it (`read_canister_snapshot_metadata`).
#[test]
fn certified_data_stays_until_a_reinstall() {
    let pic = engine::pic();
    let canister_id = install_universal(&pic);
    let certified = || {
        let snapshot = pic.take_canister_snapshot(canister_id, Some(OWNER), None).expect("it is taken");
        let args = OfSnapshot { canister_id, snapshot_id: snapshot.id };
        let reply = manage(&pic, OWNER, canister_id, "read_canister_snapshot_metadata", (args,));
        decode::<Metadata>(&reply.expect("the controller may read it")).certified_data
    };
    assert_eq!(certified(), b"");
    run(&pic, canister_id, script().certify(b"first").reply());
    run(&pic, canister_id, script().certify(b"second").reply());
    assert_eq!(certified(), b"second");
    let wasm = universal().to_vec();
    pic.upgrade_canister(canister_id, wasm.clone(), vec![], Some(OWNER)).expect("it upgrades");
    assert_eq!(certified(), b"second");
    pic.reinstall_canister(canister_id, wasm, vec![], Some(OWNER)).expect("it is reinstalled");
    assert_eq!(certified(), b"");
}

/// "Overview of imports": "If the canister invokes a system call from somewhere else, it will trap."
#[test]
fn system_calls_trap_where_they_are_not_available() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let not_in_updates: [Script; 4] = [
        script().reject_code().forget(),
        script().refunded().forget(),
        script().method_name().forget(),
        script().accept_message(),
    ];
    for wrong in not_in_updates {
        assert_reject_code(try_run(&pic, canister, wrong.reply()), RejectCode::CanisterError);
    }
    let own = Call::run(canister, script().reply());
    let not_in_queries: [Script; 6] = [
        script().certify(b"x"),
        script().int(1).set_timer().forget(),
        script().available().forget(),
        script().accept(1).forget(),
        script().burn(1).forget(),
        script().call(own.clone()),
    ];
    for wrong in not_in_queries {
        assert_reject_code(try_ask(&pic, canister, wrong.reply()), RejectCode::CanisterError);
    }
    let not_in_init: [Script; 4] =
        [script().reply(), script().reject(b"no"), script().call(own), script().available().forget()];
    for wrong in not_in_init {
        let wasm = universal();
        let outcome = install_code(&pic, OWNER, pic.create_canister(), Mode::Install, wasm, &wrong.bytes());
        assert_reject_code(outcome, RejectCode::CanisterError);
    }
}

/// "Performance counter": other types than 0 and 1 do not exist.
#[test]
fn an_unknown_counter_traps() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let outcome = try_run(&pic, canister, script().counter(2).append_int().reply());
    assert_reject_code(outcome, RejectCode::CanisterError);
}

/// "Environment Variables": none are set by default.
#[test]
fn there_are_no_environment_variables_by_default() {
    let pic = engine::pic();
    let body = "(i32.store (i32.const 0) (call $env_var_count))
        (call $msg_reply_data_append (i32.const 0) (i32.const 4)) (call $msg_reply)";
    assert_eq!(call(&pic, &doing(IMPORTS, body)), Ok(vec![0; 4]));
}

/// "Entry points", traps of WebAssembly: each is a `CANISTER_ERROR` and nothing more.
#[test]
fn traps_of_webassembly_are_errors_of_the_canister() {
    let pic = engine::pic();
    for body in [
        "unreachable",
        "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
        "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
        "(drop (i32.load (i32.const 65536)))",
        "(i64.store (i32.const 65532) (i64.const 1))",
        "(drop (i32.trunc_f64_s (f64.const nan)))",
        "(memory.fill (i32.const 65530) (i32.const 1) (i32.const 7))",
        "(memory.copy (i32.const 0) (i32.const 65530) (i32.const 7))",
    ] {
        let outcome = call(&pic, &doing(IMPORTS, &format!("{body} (call $msg_reply)")));
        assert_reject_code(outcome, RejectCode::CanisterError);
    }
}

/// Issue 2, resource limits: WebAssembly features that compilers use (bulk memory, sign extension, saturating
/// conversion, multi-value, SIMD, typed select) are available.
#[test]
fn features_of_current_compilers_are_available() {
    let pic = engine::pic();
    for body in [
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 7))",
        "(memory.copy (i32.const 0) (i32.const 100) (i32.const 7))",
        "(drop (i32.extend8_s (i32.const 200)))",
        "(drop (i64.extend32_s (i64.const 1)))",
        "(drop (i32.trunc_sat_f64_s (f64.const nan)))",
        "(block (result i32 i32) (i32.const 1) (i32.const 2)) drop drop",
        "(v128.store (i32.const 0) (i32x4.splat (i32.const 7)))",
        "(drop (select (result i32) (i32.const 1) (i32.const 2) (i32.const 0)))",
    ] {
        assert_eq!(call(&pic, &doing(IMPORTS, &format!("{body} (call $msg_reply)"))), Ok(vec![]), "{body}");
    }
}

/// "Method arguments": what is wrong in one canister stays there.
#[test]
fn a_failing_canister_leaves_others_alone() {
    let pic = engine::pic();
    let (good, bad) = (install_universal(&pic), install_universal(&pic));
    run(&pic, good, script().bump(0).reply());
    for failing in [script().unreachable(), script().overflow_stack(), script().trap(b"no")] {
        assert_reject_code(try_run(&pic, bad, failing), RejectCode::CanisterError);
    }
    assert_eq!([slot(&pic, good, 0), slot(&pic, bad, 0)], [1, 0]);
}

/// Code, `RequestInPrep`: a method name may have 20,000 bytes, and bytes that are no UTF-8 are replaced. No
/// canister has such methods, and that is what the caller is told.
#[test]
fn any_name_of_a_method_can_be_called() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let (code, message) =
        rejection(&run(&pic, caller, script().call(Call::new(callee, &"x".repeat(20_000)))));
    assert_eq!(code, 5, "{message}");
    let outcome = try_run(&pic, caller, script().call(Call::new(callee, &"x".repeat(20_001))));
    assert_reject_code(outcome, RejectCode::CanisterError);
}

/// Code, `CyclesAccountManager::mint_cycles`: only the cycles minting canister mints.
#[test]
fn no_canister_mints_cycles() {
    let pic = engine::pic();
    let module = wat(r#"(module
            (import "ic0" "mint_cycles128" (func $mint (param i64 i64 i32)))
            (memory 1)
            (func (export "canister_update mint") (call $mint (i64.const 0) (i64.const 1) (i32.const 0))))"#);
    let canister = install(&pic, &module, &[]);
    assert_reject_code(pic.update_call(canister, OWNER, "mint", vec![]), RejectCode::CanisterError);
}
