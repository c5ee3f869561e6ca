//! Who pays for a call to the management canister by a user. Developer documentation, "Cycle costs": ingress messages are
//! paid for by the canister that they are about; dfinity/ic, `ingress_induction_cost` and `extract_effective_canister_id`:
//! not those of the provisional methods, and short ones of `update_settings` only when they took effect.

use candid::{CandidType, Nat, Principal};
use pocket_ic::{ErrorCode, PocketIc, RejectCode, RejectResponse};

use crate::support::canisters::{OWNER, assert_rejected, install_universal, run};
use crate::support::engine;
use crate::support::management::{OfCanister, manage, manage_raw};
use crate::support::script::script;

/// What the reception of an ingress message costs on a subnet of 13 nodes, without and for a byte ("Cycle costs").
const INGRESS: u128 = 1_200_000;
const INGRESS_BYTE: u128 = 2_000;

/// Bytes of the argument of `update_settings` up to which it is paid for when it took effect (code:
/// `MAX_DELAYED_INGRESS_COST_PAYLOAD_SIZE`).
const DELAYED_BYTES: usize = 324;

/// Seconds beyond what any balance of these tests lasts for.
const THIRTY_MILLION_YEARS: u64 = 1_000_000_000_000_000;

#[derive(CandidType)]
struct Threshold {
    freezing_threshold: Option<Nat>,
}

#[derive(CandidType)]
struct Update {
    canister_id: Principal,
    settings: Threshold,
    /// Means nothing, and makes the argument longer.
    padding: Vec<u8>,
}

/// An argument of `update_settings` with that many bytes.
fn update_of(canister_id: Principal, seconds: u64, bytes: usize) -> Vec<u8> {
    let encode = |padding: usize| {
        let settings = Threshold { freezing_threshold: Some(Nat::from(seconds)) };
        let arg = Update { canister_id, settings, padding: vec![0; padding] };
        candid::encode_one(arg).expect("arguments encode")
    };
    // Lengths from 128 on take two bytes.
    let padding = bytes - encode(128).len() + 128;
    let arg = encode(padding);
    assert_eq!(arg.len(), bytes);
    arg
}

fn set_threshold(
    pic: &PocketIc,
    canister: Principal,
    seconds: u64,
    bytes: usize,
) -> Result<Vec<u8>, RejectResponse> {
    manage_raw(pic, OWNER, canister, "update_settings", update_of(canister, seconds, bytes))
}

fn of(canister_id: Principal) -> (OfCanister,) {
    (OfCanister { canister_id },)
}

fn frozen(pic: &PocketIc) -> Principal {
    let canister = install_universal(pic);
    set_threshold(pic, canister, THIRTY_MILLION_YEARS, DELAYED_BYTES).expect("a threshold may freeze it");
    canister
}

/// A frozen canister can be thawed, by a message of 324 bytes and by none that is longer.
#[test]
fn a_short_change_of_settings_thaws_a_frozen_canister_and_a_longer_one_does_not() {
    let pic = engine::pic();
    let canister = frozen(&pic);
    let outcome = set_threshold(&pic, canister, 0, DELAYED_BYTES + 1);
    assert_rejected(outcome, RejectCode::SysTransient, ErrorCode::CanisterOutOfCycles);
    set_threshold(&pic, canister, 0, DELAYED_BYTES).expect("nobody has to pay for it beforehand");
    run(&pic, canister, script().reply());
}

/// It is paid for afterwards, by the bytes of its name and argument alone.
#[test]
fn a_short_change_of_settings_is_paid_for_when_it_took_effect() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let before = pic.cycle_balance(canister);
    set_threshold(&pic, canister, 1_000, DELAYED_BYTES).expect("the controller may");
    let bytes = "update_settings".len() + DELAYED_BYTES;
    assert_eq!(before - pic.cycle_balance(canister), INGRESS + INGRESS_BYTE * bytes as u128);

    let before = pic.cycle_balance(canister);
    set_threshold(&pic, canister, 2_000, DELAYED_BYTES + 1).expect("the controller may");
    let whole = before - pic.cycle_balance(canister);
    assert!(whole > INGRESS + INGRESS_BYTE * (bytes as u128 + 1), "{whole}: the envelope counts too");

    let canister = frozen(&pic);
    let before = pic.cycle_balance(canister);
    set_threshold(&pic, canister, THIRTY_MILLION_YEARS, DELAYED_BYTES).expect("it is executed");
    assert_eq!(pic.cycle_balance(canister), before, "who can't pay then gets it for nothing");
}

/// The canister that a call is about pays for it, and is asked beforehand.
#[test]
fn the_canister_that_a_call_is_about_pays_for_it() {
    let pic = engine::pic();
    let (canister, other) = (install_universal(&pic), install_universal(&pic));
    let before = [canister, other].map(|id| pic.cycle_balance(id));
    for method in ["start_canister", "canister_status", "clear_chunk_store", "stop_canister"] {
        let balance = pic.cycle_balance(canister);
        manage(&pic, OWNER, canister, method, of(canister)).expect("the controller may");
        let paid = balance - pic.cycle_balance(canister);
        assert!((INGRESS..2 * INGRESS).contains(&paid), "{paid} for {method}");
    }
    assert_eq!(pic.cycle_balance(other), before[1]);

    let frozen = frozen(&pic);
    for method in ["start_canister", "canister_status", "clear_chunk_store", "stop_canister"] {
        let outcome = manage(&pic, OWNER, frozen, method, of(frozen));
        assert_rejected(outcome, RejectCode::SysTransient, ErrorCode::CanisterOutOfCycles);
    }
}

/// Nobody pays for the provisional methods: a frozen canister can be topped up by one.
#[test]
fn the_provisional_methods_cost_nobody_anything() {
    #[derive(CandidType)]
    struct TopUp {
        canister_id: Principal,
        amount: Option<Nat>,
    }
    let pic = engine::pic();
    for canister_id in [install_universal(&pic), frozen(&pic)] {
        let before = pic.cycle_balance(canister_id);
        let args = (TopUp { canister_id, amount: Some(Nat::from(1_000_000_u64)) },);
        manage(&pic, OWNER, canister_id, "provisional_top_up_canister", args).expect("everybody may");
        assert_eq!(pic.cycle_balance(canister_id), before + 1_000_000);
    }
}
