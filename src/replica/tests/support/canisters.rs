//! Test canisters, installed and called.

use std::sync::OnceLock;

use candid::Principal;
use pocket_ic::common::rest::SubnetId;
use pocket_ic::{ErrorCode, PocketIc, RejectCode, RejectResponse};

use super::script::{Script, UNIVERSAL};

/// Who creates and calls canisters where a test does not say otherwise.
pub(crate) const OWNER: Principal = Principal::anonymous();

/// Another user, who controls nothing.
pub(crate) fn stranger() -> Principal {
    Principal::self_authenticating(b"the key of a stranger")
}

/// The universal canister as wasm.
pub(crate) fn universal() -> &'static [u8] {
    static WASM: OnceLock<Vec<u8>> = OnceLock::new();
    WASM.get_or_init(|| universal_exporting(&[]))
}

/// The universal canister with further entry points, `canister_heartbeat` or `canister_inspect_message`.
pub(crate) fn universal_exporting(entry_points: &[&str]) -> Vec<u8> {
    let text = entry_points.iter().fold(UNIVERSAL.to_owned(), |text, name| {
        let export = format!("(export \"{name}\"");
        assert!(text.contains(&format!(";;? {export}")), "the universal canister offers {name}");
        text.replace(&format!(";;? {export}"), &export)
    });
    wat(&text)
}

/// A module from its text.
pub(crate) fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("a module in text format")
}

/// A fresh universal canister.
pub(crate) fn install_universal(pic: &PocketIc) -> Principal {
    install(pic, universal(), &[])
}

/// A fresh universal canister on `subnet`.
pub(crate) fn install_universal_on(pic: &PocketIc, subnet: SubnetId) -> Principal {
    let canister = pic.create_canister_on_subnet(Some(OWNER), None, subnet);
    pic.install_canister(canister, universal().to_vec(), vec![], Some(OWNER));
    canister
}

/// A fresh canister with `wasm`, initialised with `arg`.
pub(crate) fn install(pic: &PocketIc, wasm: &[u8], arg: &[u8]) -> Principal {
    let canister = pic.create_canister();
    pic.install_canister(canister, wasm.to_vec(), arg.to_vec(), Some(OWNER));
    canister
}

/// Has the universal canister run `script` in an update call.
pub(crate) fn try_run(
    pic: &PocketIc,
    canister: Principal,
    script: Script,
) -> Result<Vec<u8>, RejectResponse> {
    pic.update_call(canister, OWNER, "run", script.bytes())
}

/// As [`try_run`], where a reply is expected.
pub(crate) fn run(pic: &PocketIc, canister: Principal, script: Script) -> Vec<u8> {
    try_run(pic, canister, script).expect("the script replies")
}

/// Has the universal canister run `script` in a query call.
pub(crate) fn try_ask(
    pic: &PocketIc,
    canister: Principal,
    script: Script,
) -> Result<Vec<u8>, RejectResponse> {
    pic.query_call(canister, OWNER, "ask", script.bytes())
}

/// As [`try_ask`], where a reply is expected.
pub(crate) fn ask(pic: &PocketIc, canister: Principal, script: Script) -> Vec<u8> {
    try_ask(pic, canister, script).expect("the script replies")
}

/// What slot `slot` of the universal canister holds.
pub(crate) fn slot(pic: &PocketIc, canister: Principal, slot: u64) -> u64 {
    number(&ask(pic, canister, super::script::script().get(slot).append_int().reply()))
}

/// The one number in a reply.
pub(crate) fn number(reply: &[u8]) -> u64 {
    u64::from_le_bytes(reply.try_into().expect("a reply of eight bytes"))
}

/// The numbers in a reply.
pub(crate) fn numbers<const N: usize>(reply: &[u8]) -> [u64; N] {
    let numbers: Vec<u64> = reply.chunks(8).map(number).collect();
    numbers.try_into().expect("as many numbers as expected")
}

/// The code and the message that [`super::script::report`] replied with.
pub(crate) fn rejection(reply: &[u8]) -> (u64, String) {
    let (code, message) = reply.split_at(8);
    (number(code), String::from_utf8(message.to_vec()).expect("messages are text"))
}

/// Asserts that `outcome` is a reject with these codes.
#[track_caller]
pub(crate) fn assert_rejected<T: std::fmt::Debug>(
    outcome: Result<T, RejectResponse>,
    reject_code: RejectCode,
    error_code: ErrorCode,
) {
    let reject = outcome.expect_err("a reject");
    assert_eq!((reject.reject_code, reject.error_code), (reject_code, error_code), "{reject}");
}

/// Asserts that `outcome` is a reject with this code; which error code goes with it is not specified.
#[track_caller]
pub(crate) fn assert_reject_code<T: std::fmt::Debug>(
    outcome: Result<T, RejectResponse>,
    reject_code: RejectCode,
) -> RejectResponse {
    let reject = outcome.expect_err("a reject");
    assert_eq!(reject.reject_code, reject_code, "{reject}");
    reject
}

/// The id of a canister that existed and was deleted, so that no canister has it.
pub(crate) fn deleted(pic: &PocketIc) -> Principal {
    let canister = pic.create_canister();
    pic.stop_canister(canister, Some(OWNER)).expect("it stops");
    pic.delete_canister(canister, Some(OWNER)).expect("it is deleted");
    canister
}
