//! Limits that no test can reach in full, met on a subnet whose profile has small ones: a million calls under way, and
//! gigabytes of stable memory written by a message.

use crate::api::{EffectivePrincipal, SubnetKind, UserCall};
use crate::error::RejectResponse;
use crate::instance::{Instance, InstanceSpec, STACK_BYTES};
use crate::profile::{CallLimits, StableLimits, SubnetProfile};
use crate::wasm::{Compilation, ModuleCache};
use candid::utils::ArgumentEncoder;
use candid::{CandidType, Nat, Principal};
use serde::Deserialize;
use std::sync::Arc;

const OWNER: Principal = Principal::anonymous();

/// A page as the platform counts it.
const PAGE_BYTES: u64 = 4_096;

#[derive(CandidType, Deserialize)]
struct OfCanister {
    canister_id: Principal,
}

#[derive(CandidType)]
struct Creation {
    amount: Option<Nat>,
}

#[derive(CandidType, Deserialize)]
enum Mode {
    #[serde(rename = "install")]
    Install,
    #[serde(rename = "upgrade")]
    Upgrade,
}

#[derive(CandidType)]
struct InstallCode {
    mode: Mode,
    canister_id: Principal,
    wasm_module: Vec<u8>,
    arg: Vec<u8>,
}

/// Runs a test on an instance with one application subnet, of which `shrink` makes a small one.
fn with_instance(shrink: impl FnOnce(&mut SubnetProfile), test: impl FnOnce(&mut Instance) + Send) {
    let modules = Arc::new(ModuleCache::new(Compilation::Quick).expect("an engine"));
    let spec = InstanceSpec { subnets: vec![SubnetKind::Application.into()], ..Default::default() };
    let mut instance = Instance::new(spec, modules).expect("an instance");
    let mut profile = SubnetProfile::clone(&instance.subnets[0].profile);
    shrink(&mut profile);
    instance.subnets[0].profile = Arc::new(profile);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, || test(&mut instance)).expect("a thread").join().expect("it passes");
    });
}

fn submit(instance: &mut Instance, canister_id: Principal, method: &str, payload: Vec<u8>) -> [u8; 32] {
    let effective_principal = EffectivePrincipal::None;
    let call =
        UserCall { sender: OWNER, canister_id, effective_principal, method: method.to_owned(), payload };
    instance.submit(call).expect("it goes somewhere").expect("it is taken")
}

fn update(
    instance: &mut Instance,
    canister_id: Principal,
    method: &str,
    payload: Vec<u8>,
) -> Result<Vec<u8>, RejectResponse> {
    let id = submit(instance, canister_id, method, payload);
    instance.await_ingress(&id).expect("it is answered")
}

fn manage(
    instance: &mut Instance,
    method: &str,
    args: impl ArgumentEncoder,
) -> Result<Vec<u8>, RejectResponse> {
    let payload = candid::encode_args(args).expect("arguments encode");
    update(instance, Principal::management_canister(), method, payload)
}

fn install(instance: &mut Instance, text: &str) -> Principal {
    let creation = Creation { amount: Some(Nat::from(1_000_000_000_000_000_u64)) };
    let reply =
        manage(instance, "provisional_create_canister_with_cycles", (creation,)).expect("it is created");
    let OfCanister { canister_id } = candid::decode_one(&reply).expect("the id");
    deploy(instance, Mode::Install, canister_id, text, 0).expect("it is installed");
    canister_id
}

fn deploy(
    instance: &mut Instance,
    mode: Mode,
    canister_id: Principal,
    text: &str,
    arg: u64,
) -> Result<Vec<u8>, RejectResponse> {
    let wasm_module = wat::parse_str(text).expect("a module in text format");
    let args = InstallCode { mode, canister_id, wasm_module, arg: arg.to_le_bytes().to_vec() };
    manage(instance, "install_code", (args,))
}

fn number(reply: &[u8]) -> u64 {
    u64::from_le_bytes(reply.try_into().expect("a reply of eight bytes"))
}

/// Makes as many calls to itself as its argument says, or best-effort ones, and replies with how many were made.
const CALLING: &str = r#"(module
  (import "ic0" "canister_self_copy" (func $self (param i32 i32 i32)))
  (import "ic0" "canister_self_size" (func $self_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_with_best_effort_response" (func $best_effort (param i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1)
  (table funcref (elem $nothing))
  (data (i32.const 64) "answer")
  (func $nothing (param i32))
  (func $each (param $is_best_effort i32) (local $left i64) (local $made i64)
    (call $arg_copy (i32.const 0) (i32.const 0) (i32.const 8))
    (local.set $left (i64.load (i32.const 0)))
    (call $self (i32.const 32) (i32.const 0) (call $self_size))
    (loop $next
      (call $new (i32.const 32) (call $self_size) (i32.const 64) (i32.const 6)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (if (local.get $is_best_effort) (then (call $best_effort (i32.const 10))))
      (if (i32.eqz (call $perform)) (then (local.set $made (i64.add (local.get $made) (i64.const 1)))))
      (local.set $left (i64.sub (local.get $left) (i64.const 1)))
      (br_if $next (i64.gt_s (local.get $left) (i64.const 0))))
    (i64.store (i32.const 0) (local.get $made))
    (call $append (i32.const 0) (i32.const 8))
    (call $reply))
  (func (export "canister_update answer") (call $reply))
  (func (export "canister_update call") (call $each (i32.const 0)))
  (func (export "canister_update call_best_effort") (call $each (i32.const 1))))"#;

/// dfinity/ic, `hypervisor.rs`: "Maximum between remaining canister quota and available subnet shared pool".
#[test]
fn canisters_share_a_number_of_calls_and_each_has_some_in_any_case() {
    let limits = CallLimits { shared: 10, guaranteed: 4, response_bytes: None };
    with_instance(
        |profile| profile.calls = limits,
        |instance| {
            let [first, second] = [(); 2].map(|()| install(instance, CALLING));
            let many = || 20_u64.to_le_bytes().to_vec();
            for _ in 0..2 {
                let messages = [first, second].map(|canister| submit(instance, canister, "call", many()));
                let made = messages.map(|message| {
                    number(&instance.await_ingress(&message).expect("it is answered").expect("a reply"))
                });
                let mut made: Vec<u64> = made.to_vec();
                made.sort_unstable();
                assert_eq!(made, [4, 10], "and the answers give them back");
            }
        },
    );
}

/// dfinity/ic, `system_api.rs`, `allocate_message_memory`: a call whose response could not be stored is not made; one
/// whose response may be dropped is.
#[test]
fn calls_are_made_while_there_is_memory_for_their_responses() {
    let limits = CallLimits {
        response_bytes: Some(3 * (2 << 20)),
        ..CallLimits { shared: 100, guaranteed: 50, response_bytes: None }
    };
    with_instance(
        |profile| profile.calls = limits,
        |instance| {
            let canister = install(instance, CALLING);
            let mut call = |method| {
                let reply = update(instance, canister, method, 20_u64.to_le_bytes().to_vec());
                number(&reply.expect("a reply"))
            };
            assert_eq!([call("call"), call("call_best_effort"), call("call")], [3, 20, 3]);
        },
    );
}

/// Writes a byte to as many pages of stable memory as the argument says, or before an upgrade as were noted.
const WRITING: &str = r#"(module
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "stable64_size" (func $size (result i64)))
  (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
  (memory 1)
  (func $argument (result i64)
    (call $arg_copy (i32.const 0) (i32.const 0) (i32.const 8))
    (i64.load (i32.const 0)))
  (func $each (param $left i64)
    (if (i64.eqz (call $size)) (then (drop (call $grow (i64.const 10)))))
    (block $done
      (loop $next
        (br_if $done (i64.eqz (local.get $left)))
        (local.set $left (i64.sub (local.get $left) (i64.const 1)))
        (call $write (i64.mul (local.get $left) (i64.const 4096)) (i64.const 0) (i64.const 1))
        (br $next))))
  (func (export "canister_init") (call $each (call $argument)))
  (func (export "canister_pre_upgrade") (call $each (i64.load (i32.const 8))))
  (func (export "canister_post_upgrade") (call $each (call $argument)))
  (func (export "canister_update write") (call $each (call $argument)) (call $reply))
  (func (export "canister_update note") (i64.store (i32.const 8) (call $argument)) (call $reply)))"#;

#[track_caller]
fn assert_exceeded(outcome: Result<Vec<u8>, RejectResponse>, verb: &str) {
    let reject = outcome.expect_err("too much");
    let words = format!("Exceeded the limit for the number of {verb} pages in the stable memory in a single");
    assert!(reject.reject_message.contains(&words), "{}", reject.reject_message);
}

/// Developer documentation, "Resource limits": stable memory written per message, and per upgrade.
#[test]
fn an_update_and_each_phase_of_an_upgrade_write_as_much_of_stable_memory_as_is_allowed() {
    let limits = StableLimits { message: 8 * PAGE_BYTES, install: 16 * PAGE_BYTES, query: 4 * PAGE_BYTES };
    with_instance(
        |profile| profile.stable = limits,
        |instance| {
            let canister = install(instance, WRITING);
            let mut written = |pages: u64| update(instance, canister, "write", pages.to_le_bytes().to_vec());
            written(8).expect("as much as is allowed");
            assert_exceeded(written(9), "accessed");
            let upgrade = |instance: &mut Instance, before: u64, after: u64| {
                update(instance, canister, "note", before.to_le_bytes().to_vec()).expect("it is noted");
                deploy(instance, Mode::Upgrade, canister, WRITING, after)
            };
            upgrade(instance, 16, 16).expect("each phase may write as much as is allowed");
            assert_exceeded(upgrade(instance, 17, 0), "accessed");
            assert_exceeded(upgrade(instance, 0, 17), "accessed");
        },
    );
}
