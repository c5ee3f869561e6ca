//! Settings: what they decide, and which are refused. Management canister, `create_canister`.

use candid::{CandidType, Nat, Principal};
use pocket_ic::{PocketIc, RejectCode, RejectResponse};
use serde::Deserialize;

use crate::support::canisters::{
    OWNER, assert_reject_code, install_universal, number, rejection, run, slot, stranger,
};
use crate::support::engine;
use crate::support::management::{self, OfCanister, decode, manage};
use crate::support::script::{Call, Script, script};

#[derive(CandidType)]
struct Update<S> {
    canister_id: Principal,
    settings: S,
    sender_canister_version: Option<u64>,
}

#[derive(CandidType, Deserialize, Debug, PartialEq)]
enum Visibility {
    #[serde(rename = "controllers")]
    Controllers,
    #[serde(rename = "public")]
    Public,
    #[serde(rename = "allowed_viewers")]
    AllowedViewers(Vec<Principal>),
}

#[derive(CandidType, Default)]
struct Visibilities {
    status_visibility: Option<Visibility>,
    snapshot_visibility: Option<Visibility>,
    log_visibility: Option<Visibility>,
}

#[derive(CandidType)]
struct Minimum {
    minimum_incoming_canister_call_cycles: Option<Nat>,
}

/// The settings of the specification, as `canister_status` tells them.
#[derive(CandidType, Deserialize)]
struct AllStatus {
    settings: AllSettings,
}

#[derive(CandidType, Deserialize)]
struct AllSettings {
    controllers: Vec<Principal>,
    compute_allocation: Nat,
    memory_allocation: Nat,
    freezing_threshold: Nat,
    reserved_cycles_limit: Nat,
    minimum_incoming_canister_call_cycles: Nat,
    log_visibility: Visibility,
    snapshot_visibility: Visibility,
    status_visibility: Visibility,
    wasm_memory_limit: Nat,
    wasm_memory_threshold: Nat,
}

fn update<S: CandidType>(
    pic: &PocketIc,
    canister_id: Principal,
    settings: S,
) -> Result<Vec<u8>, RejectResponse> {
    let args = Update { canister_id, settings, sender_canister_version: None };
    manage(pic, OWNER, canister_id, "update_settings", (args,))
}

fn settings(pic: &PocketIc, canister_id: Principal) -> AllSettings {
    let reply = manage(pic, OWNER, canister_id, "canister_status", (OfCanister { canister_id },));
    decode::<AllStatus>(&reply.expect("the controller may ask")).settings
}

/// `canister_status`: every setting of the specification has its place in the reply.
#[test]
fn the_status_tells_every_setting() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let told = settings(&pic, canister);
    assert_eq!(told.controllers, [OWNER]);
    assert_eq!(told.status_visibility, Visibility::Controllers);
    assert_eq!(told.snapshot_visibility, Visibility::Controllers);
    assert_eq!(told.log_visibility, Visibility::Controllers);
    assert_eq!(told.minimum_incoming_canister_call_cycles, 0_u8);
    assert_eq!(told.memory_allocation, 0_u8);
    assert_eq!(told.compute_allocation, 0_u8);
    assert_eq!(told.wasm_memory_threshold, 0_u8);
    assert_eq!(told.freezing_threshold, 2_592_000_u32);
    assert_eq!(told.reserved_cycles_limit, 5_000_000_000_000_u64);
    assert!(told.wasm_memory_limit <= 1_u64 << 48);
}

/// `status_visibility`: "`public`: everyone can request the status".
#[test]
fn a_public_status_is_told_to_everybody() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    assert_reject_code(management::status(&pic, stranger(), canister), RejectCode::CanisterError);
    let public = Visibilities { status_visibility: Some(Visibility::Public), ..Visibilities::default() };
    update(&pic, canister, public).expect("the controller may");
    management::status(&pic, stranger(), canister).expect("everyone may ask");
    assert_eq!(settings(&pic, canister).status_visibility, Visibility::Public);
}

/// `allowed_viewers`: "the maximum length of the list is 10".
#[test]
fn eleven_viewers_are_refused() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let viewers = |count: u8| {
        Visibility::AllowedViewers((0..count).map(|n| Principal::self_authenticating([n])).collect())
    };
    for make in [
        (|viewers| Visibilities { status_visibility: Some(viewers), ..Default::default() })
            as fn(Visibility) -> Visibilities,
        |viewers| Visibilities { snapshot_visibility: Some(viewers), ..Default::default() },
        |viewers| Visibilities { log_visibility: Some(viewers), ..Default::default() },
    ] {
        update(&pic, canister, make(viewers(11))).expect_err("eleven viewers");
        update(&pic, canister, make(viewers(10))).expect("ten viewers");
    }
}

/// `minimum_incoming_canister_call_cycles`: "rejected with `CANISTER_ERROR` and all attached cycles are refunded";
/// "Ingress messages and self-calls … are not subject to this limit".
#[test]
fn a_canister_takes_no_calls_below_its_minimum_of_cycles() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let minimum = Minimum { minimum_incoming_canister_call_cycles: Some(1_000_u32.into()) };
    update(&pic, callee, minimum).expect("the controller may");
    let bump = || script().bump(0).int(7).append_int().reply();
    let call = |cycles| {
        let refunded = script().reject_code().append_int().refunded().append_int().reply();
        run(&pic, caller, script().call(Call::run(callee, bump()).cycles(cycles).on_reject(refunded)))
    };
    assert_eq!(call(999), [5_u64.to_le_bytes(), 999_u64.to_le_bytes()].concat());
    assert_eq!(slot(&pic, callee, 0), 0, "it did not run");
    assert_eq!(number(&call(1_000)), 7);
    run(&pic, callee, bump());
    run(&pic, callee, script().call(Call::run(callee, bump())));
    assert_eq!(slot(&pic, callee, 0), 3);
}

/// `sender_canister_version`: "its value must be equal to `ic0.canister_version`".
#[test]
fn a_call_with_a_stale_canister_version_is_rejected() {
    let pic = engine::pic();
    let (caller, canister_id) = (install_universal(&pic), install_universal(&pic));
    pic.set_controllers(canister_id, Some(OWNER), vec![OWNER, caller]).expect("the controller may");
    let with = |version: u64| -> Script {
        let settings = Visibilities::default();
        let args = Update { canister_id, settings, sender_canister_version: Some(version) };
        script().call(Call::management("update_settings", (args,)))
    };
    let version = || number(&run(&pic, caller, script().version().append_int().reply()));
    // The update that told it raised it by one; the query tells what the next update sees.
    let next = version() + 1;
    for wrong in [next - 1, next + 5] {
        let (code, message) = rejection(&run(&pic, caller, with(wrong)));
        assert_eq!(code, 5, "{message}");
    }
    let asked = pic
        .query_call(caller, OWNER, "ask", script().version().append_int().reply().bytes())
        .expect("a reply");
    run(&pic, caller, with(number(&asked)));
    assert_eq!(settings(&pic, canister_id).controllers.len(), 2);
}
