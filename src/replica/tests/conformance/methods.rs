//! Who may call which method of the management canister how. Management canister, introductions of the methods.

use candid::{CandidType, Principal};
use pocket_ic::common::rest::RawEffectivePrincipal;
use pocket_ic::{ErrorCode, PocketIc, RejectCode, RejectResponse};
use serde::Deserialize;

use crate::support::canisters::{
    OWNER, assert_reject_code, assert_rejected, install, install_universal, install_universal_on, rejection,
    run, stranger, wat,
};
use crate::support::engine;
use crate::support::management::{OfCanister, RunState, Status, decode, manage};
use crate::support::script::{Call, script};
use crate::support::wait::{rounds_until_answered, submit};

/// `DESTINATION_INVALID` and `CANISTER_REJECT`, `CANISTER_ERROR` as canisters see them.
const DESTINATION_INVALID: u64 = 3;
const CANISTER_REJECT: u64 = 4;
const CANISTER_ERROR: u64 = 5;

fn ask(
    pic: &PocketIc,
    sender: Principal,
    method: &str,
    canister_id: Principal,
) -> Result<Vec<u8>, RejectResponse> {
    let arg = candid::encode_one(OfCanister { canister_id }).expect("arguments encode");
    pic.query_call(Principal::management_canister(), sender, method, arg)
}

#[derive(CandidType)]
struct Metadata {
    canister_id: Principal,
    name: String,
}

#[derive(CandidType, Deserialize)]
struct Value {
    value: Vec<u8>,
}

/// `canister_status`: "can also be called via non-replicated (query) calls", by those who may see the status.
#[test]
fn the_status_can_be_queried() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let effective = pocket_ic::common::rest::RawEffectivePrincipal::CanisterId(canister.as_slice().to_vec());
    let query = |sender| {
        pic.query_call_with_effective_principal(
            Principal::management_canister(),
            effective.clone(),
            sender,
            "canister_status",
            candid::encode_one(OfCanister { canister_id: canister }).expect("arguments encode"),
        )
    };
    let status: Status = decode(&query(OWNER).expect("the controller may ask"));
    assert_eq!(status.status, RunState::Running);
    assert_reject_code(query(stranger()), RejectCode::CanisterError);
}

/// Interface overview: methods without `query` are none.
#[test]
fn methods_that_are_no_queries_can_not_be_queried() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    for method in ["stop_canister", "canister_info", "no_such_method"] {
        ask(&pic, OWNER, method, canister).expect_err(&format!("{method} is no query"));
    }
}

/// Code, `validate_sender_canister_version` and `Ic00Method::from_str`; recorded: a method that the management canister
/// does not have is an error of who calls it, and is named.
#[test]
fn an_unknown_method_of_the_management_canister_is_named() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    for method in ["no_such_method", "rename_everything", ""] {
        let (code, text) = rejection(&run(&pic, canister, script().call(Call::management(method, ()))));
        assert_eq!(code, CANISTER_ERROR, "{text}");
        assert!(text.contains(&format!("IC0536: Management canister has no method '{method}'")), "{text}");
        let effective = RawEffectivePrincipal::CanisterId(canister.as_slice().to_vec());
        let outcome = pic.query_call_with_effective_principal(
            Principal::management_canister(),
            effective,
            OWNER,
            method,
            candid::encode_args(()).expect("nothing encodes"),
        );
        assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterMethodNotFound);
    }
}

/// `raw_rand`: of another subnet only the NNS gets random bytes; code, `Ic00MethodPermissions`.
#[test]
fn random_bytes_of_another_subnet_are_for_the_root_subnet() {
    let pic = engine::builder().with_nns_subnet().with_application_subnet().build();
    let topology = pic.topology();
    let (nns, app) = (topology.get_nns().expect("an NNS"), topology.get_app_subnets()[0]);
    let of_root = install_universal_on(&pic, nns);
    let ask = |canister: Principal, subnet: Principal| {
        let message = submit(&pic, canister, script().call(Call::new(subnet, "raw_rand").arg(NOTHING)));
        let rounds = rounds_until_answered(&pic, &message);
        let reply = pic.ingress_status(message).expect("it is answered").expect("a reply");
        (rounds, decode::<serde_bytes::ByteBuf>(&reply).into_vec())
    };
    let (far, near) = (ask(of_root, app), ask(of_root, Principal::management_canister()));
    assert_eq!([far.1.len(), near.1.len()], [32, 32]);
    assert_ne!(far.1, near.1);
    assert!(far.0 >= near.0, "{} and {} rounds", far.0, near.0);
    let of_app = install_universal_on(&pic, app);
    let call = script().call(Call::new(nns, "raw_rand").arg(NOTHING));
    assert_eq!(rejection(&run(&pic, of_app, call)).0, DESTINATION_INVALID);
}

/// `()` in Candid.
const NOTHING: &[u8] = b"DIDL\0\0";

/// `fetch_canister_logs`: "it cannot be called via replicated calls".
#[test]
fn a_canister_can_not_fetch_logs_in_an_update() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    pic.set_controllers(canister, Some(OWNER), vec![OWNER, canister]).expect("the controller may");
    let call = Call::management("fetch_canister_logs", (OfCanister { canister_id: canister },));
    let (code, message) = rejection(&run(&pic, canister, script().call(call)));
    assert_eq!(code, CANISTER_REJECT, "{message}");
}

/// Composite queries "can call the management canister query methods `canister_status` …", with the calling
/// canister as the caller (changelog, 0.66).
#[test]
fn a_composite_query_asks_the_management_canister() {
    let pic = engine::pic();
    let module = wat(r#"(module
            (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
            (import "ic0" "call_data_append" (func $append (param i32 i32)))
            (import "ic0" "call_perform" (func $perform (result i32)))
            (import "ic0" "msg_arg_data_size" (func $size (result i32)))
            (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
            (import "ic0" "msg_reply_data_append" (func $reply_append (param i32 i32)))
            (import "ic0" "msg_reply" (func $reply))
            (memory 1)
            (data (i32.const 0) "canister_status")
            (table funcref (elem $answered))
            (func $answered (param i32)
                (call $copy (i32.const 1000) (i32.const 0) (call $size))
                (call $reply_append (i32.const 1000) (call $size))
                (call $reply))
            (func (export "canister_composite_query ask")
                (call $copy (i32.const 1000) (i32.const 0) (call $size))
                (call $new (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 15)
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
                (call $append (i32.const 1000) (call $size))
                (drop (call $perform))))"#);
    let canister = install(&pic, &module, &[]);
    let arg = candid::encode_one(OfCanister { canister_id: canister }).expect("arguments encode");
    let reply = pic.query_call(canister, OWNER, "ask", arg).expect("a canister may see its own status");
    assert_eq!(decode::<Status>(&reply).status, RunState::Running);
}

/// `canister_metadata`: public sections for every canister, private ones for controllers.
#[test]
fn a_canister_reads_the_metadata_of_another() {
    let pic = engine::pic();
    let module =
        wat(r#"(module (@custom "icp:public shown" "for all") (@custom "icp:private kept" "for few"))"#);
    let (told, asking) = (install(&pic, &module, &[]), install_universal(&pic));
    let read = |name: &str| {
        let args = Metadata { canister_id: told, name: name.to_owned() };
        run(&pic, asking, script().call(Call::management("canister_metadata", (args,))))
    };
    assert_eq!(decode::<Value>(&read("shown")).value, b"for all");
    assert_eq!(rejection(&read("kept")).0, CANISTER_ERROR);
    rejection(&read("absent"));
    pic.set_controllers(told, Some(OWNER), vec![OWNER, asking]).expect("the controller may");
    assert_eq!(decode::<Value>(&read("kept")).value, b"for few");
    manage(
        &pic,
        OWNER,
        told,
        "canister_metadata",
        (Metadata { canister_id: told, name: "shown".to_owned() },),
    )
    .expect_err("not for users");
}

/// Code, `ResolveDestinationError::AlreadyResolved`: only canisters of the root subnet name the subnet that
/// executes a management call.
#[test]
fn a_management_call_to_a_subnet_is_for_the_root_subnet() {
    let pic = engine::builder().with_nns_subnet().with_application_subnet().build();
    let topology = pic.topology();
    let (nns, app) = (topology.get_nns().expect("an NNS"), topology.get_app_subnets()[0]);
    let canister = install_universal_on(&pic, app);
    let status = |subnet: Principal| {
        let arg = candid::encode_one(OfCanister { canister_id: canister }).expect("arguments encode");
        run(&pic, canister, script().call(Call::new(subnet, "canister_status").arg(&arg)))
    };
    for subnet in [nns, app] {
        assert_eq!(rejection(&status(subnet)).0, DESTINATION_INVALID);
    }
}

/// "Reject codes"; measured: what the management canister refuses reaches canisters in its plain words, what
/// another canister fails at with the error code in front.
#[test]
fn words_of_the_management_canister_reach_canisters_without_a_code() {
    let pic = engine::pic();
    let (asking, other) = (install_universal(&pic), install_universal(&pic));
    let stop = Call::management("stop_canister", (OfCanister { canister_id: other },));
    let (code, message) = rejection(&run(&pic, asking, script().call(stop)));
    assert_eq!(code, CANISTER_ERROR);
    assert!(message.starts_with("Only the controllers of the canister"), "{message}");
    let trap = Call::run(other, script().trap(b"no"));
    let (code, message) = rejection(&run(&pic, asking, script().call(trap)));
    assert_eq!(code, CANISTER_ERROR);
    assert!(message.starts_with("IC0503: Error from Canister"), "{message}");
}

#[derive(CandidType, Deserialize)]
enum Curve {
    #[serde(rename = "secp256k1")]
    Secp256k1,
}

#[derive(CandidType)]
struct KeyId {
    curve: Curve,
    name: String,
}

#[derive(CandidType)]
struct PublicKey {
    derivation_path: Vec<Vec<u8>>,
    key_id: KeyId,
}

#[derive(CandidType)]
struct Signature {
    message_hash: Vec<u8>,
    derivation_path: Vec<Vec<u8>>,
    key_id: KeyId,
}

/// Code, `routing.rs`: a call that needs a key goes to a subnet that has it, and nowhere if none does.
#[test]
fn a_key_that_no_subnet_has_is_named() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let key_id = || KeyId { curve: Curve::Secp256k1, name: "test_key_1".to_owned() };
    let public_key = PublicKey { derivation_path: vec![], key_id: key_id() };
    let signature = Signature { message_hash: vec![0; 32], derivation_path: vec![], key_id: key_id() };
    for (call, expected) in [
        (
            Call::management("ecdsa_public_key", (public_key,)),
            "Requested unknown threshold key: ecdsa:Secp256k1:test_key_1, existing keys: []",
        ),
        (
            Call::management("sign_with_ecdsa", (signature,)),
            "Requested unknown or disabled threshold key: ecdsa:Secp256k1:test_key_1, existing enabled keys: []",
        ),
    ] {
        let (code, text) = rejection(&run(&pic, canister, script().call(call)));
        assert_eq!(code, DESTINATION_INVALID);
        assert!(text.contains(expected), "{text}");
    }
}
