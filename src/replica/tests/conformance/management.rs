//! The management canister: who may do what to canisters. Each test cites the method's section of "The IC
//! management canister". Installing, stopping, chunks, snapshots and logs have modules of their own.

use std::collections::BTreeSet;

use candid::{CandidType, Nat, Principal};
use pocket_ic::{CanisterSettings, ErrorCode, PocketIc, RejectCode};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::support::canisters::{
    OWNER, assert_reject_code, assert_rejected, deleted, install_universal, install_universal_on, number,
    numbers, rejection, run, slot, stranger, try_run, universal,
};
use crate::support::engine;
use crate::support::management::{self, OfCanister, RunState, Status, decode, manage, manage_raw};
use crate::support::script::{Call, script};

const TRILLION: u64 = 1_000_000_000_000;

/// What executing a handful of small messages costs at most; far below the amounts that are moved.
const EXECUTION: u128 = 500_000_000;

#[derive(CandidType, Default)]
struct CreateCanister {
    settings: Option<Controllers>,
}

#[derive(CandidType)]
struct Controllers {
    controllers: Option<Vec<Principal>>,
}

#[derive(CandidType)]
struct InstallCode {
    mode: management::Mode,
    canister_id: Principal,
    wasm_module: Vec<u8>,
    arg: Vec<u8>,
}

#[derive(CandidType)]
struct CanisterInfo {
    canister_id: Principal,
    num_requested_changes: Option<u64>,
}

#[derive(CandidType, Deserialize)]
struct History {
    total_num_changes: u64,
    recent_changes: Vec<Change>,
    module_hash: Option<Vec<u8>>,
    controllers: Vec<Principal>,
}

#[derive(CandidType, Deserialize)]
struct Change {
    timestamp_nanos: u64,
    canister_version: u64,
}

#[derive(CandidType)]
struct CreateWithCycles {
    amount: Option<Nat>,
    settings: Option<Controllers>,
}

#[derive(CandidType)]
struct TopUp {
    canister_id: Principal,
    amount: Nat,
}

fn status(pic: &PocketIc, canister: Principal) -> Status {
    management::status(pic, OWNER, canister).expect("the controller may ask")
}

/// Has `caller` call `method` of the management canister with `cycles` attached.
fn create(pic: &PocketIc, caller: Principal, args: CreateCanister, cycles: u64) -> Vec<u8> {
    run(pic, caller, script().call(Call::management("create_canister", (args,)).cycles(cycles)))
}

/// `create_canister`: the caller is the controller by default, the canister is empty and has the cycles of
/// the call, less the fee that `cost_create_canister` tells (canister interface, "Cycle cost calculation").
#[test]
fn a_canister_creates_a_canister_on_its_own_subnet() {
    let (pic, subnets) = engine::pic_with_two_subnets();
    for subnet in subnets {
        let creator = install_universal_on(&pic, subnet);
        let fee = number(&run(&pic, creator, script().cost_create_canister().append_int().reply()));
        let before = pic.cycle_balance(creator);
        let reply = create(&pic, creator, CreateCanister::default(), 2 * TRILLION);
        let created = decode::<OfCanister>(&reply).canister_id;

        assert_eq!(pic.get_controllers(created), [creator]);
        assert_eq!(pic.get_subnet(created), Some(subnet));
        let (given, got) = (before - pic.cycle_balance(creator), pic.cycle_balance(created));
        let (sent, left) = (u128::from(2 * TRILLION), u128::from(2 * TRILLION - fee));
        assert!((sent..sent + EXECUTION).contains(&given), "{given} given");
        assert!((left - EXECUTION..=left).contains(&got), "{got} of {left} left");
        let empty = try_run(&pic, created, script().reply());
        assert_rejected(empty, RejectCode::CanisterError, ErrorCode::CanisterWasmModuleNotFound);
    }
}

/// `create_canister`: "Cycles to pay for the call must be explicitly transferred with the call"; a reject
/// gives them back.
#[test]
fn creating_a_canister_costs_what_the_system_says() {
    let pic = engine::pic();
    let creator = install_universal(&pic);
    let fee = number(&run(&pic, creator, script().cost_create_canister().append_int().reply()));
    let call = Call::management("create_canister", (CreateCanister::default(),))
        .cycles(fee - 1)
        .on_reject(script().reject_code().append_int().refunded().append_int().reply());
    let [code, refunded] = numbers(&run(&pic, creator, script().call(call)));
    assert_ne!(code, 0);
    assert_eq!(refunded, fee - 1);
    let reply = create(&pic, creator, CreateCanister::default(), fee);
    assert!(pic.canister_exists(decode::<OfCanister>(&reply).canister_id));
}

/// `create_canister`, `controllers`: the caller "is not a controller of the canister unless it is a member of
/// the `controllers` list"; "A list of at most 10 principals".
#[test]
fn controllers_are_given_at_creation() {
    let pic = engine::pic();
    let creator = install_universal(&pic);
    let with = |controllers: Vec<Principal>| CreateCanister {
        settings: Some(Controllers { controllers: Some(controllers) }),
    };
    let reply = create(&pic, creator, with(vec![OWNER, stranger()]), TRILLION);
    let created = decode::<OfCanister>(&reply).canister_id;
    let controllers: BTreeSet<_> = pic.get_controllers(created).into_iter().collect();
    assert_eq!(controllers, BTreeSet::from([OWNER, stranger()]));

    let eleven = (0..11).map(|n: u8| Principal::self_authenticating([n])).collect();
    let (code, _message) = rejection(&create(&pic, creator, with(eleven), TRILLION));
    assert_ne!(code, 0);
}

/// `create_canister`: "can only be called by canisters and subnet admins"; likewise `raw_rand`,
/// `deposit_cycles`, `canister_info`.
#[test]
fn users_can_not_call_what_is_for_canisters() {
    let pic = engine::pic();
    let canister_id = install_universal(&pic);
    let of = (OfCanister { canister_id },);
    for method in ["create_canister", "deposit_cycles", "canister_info"] {
        manage(&pic, OWNER, canister_id, method, of).expect_err(method);
    }
    manage(&pic, OWNER, canister_id, "raw_rand", ()).expect_err("raw_rand");
}

/// `update_settings`: "Only controllers of the canister can update settings".
#[test]
fn controllers_hand_over_control() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let heir = stranger();
    let outcome = pic.set_controllers(canister, Some(heir), vec![heir]);
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterInvalidController);
    pic.set_controllers(canister, Some(OWNER), vec![heir]).expect("the controller may");
    assert_eq!(pic.get_controllers(canister), [heir]);
    assert_eq!(status_of(&pic, heir, canister).settings.controllers, [heir]);
    let outcome = pic.set_controllers(canister, Some(OWNER), vec![OWNER]);
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterInvalidController);

    let ten = (0..10).map(|n: u8| Principal::self_authenticating([n])).collect::<Vec<_>>();
    pic.set_controllers(canister, Some(heir), [&ten[..], &[heir]].concat()).expect_err("at most ten");
    pic.set_controllers(canister, Some(heir), ten).expect("ten are fine");
}

fn status_of(pic: &PocketIc, caller: Principal, canister: Principal) -> Status {
    management::status(pic, caller, canister).expect("the caller may ask")
}

/// `update_settings`: "Not including a setting in the `settings` record means not changing that field".
#[test]
fn settings_that_are_left_out_stay() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    let settings = CanisterSettings { freezing_threshold: Some(Nat::from(77_u64)), ..Default::default() };
    pic.update_canister_settings(canister, Some(OWNER), settings).expect("the controller may");
    pic.set_controllers(canister, Some(OWNER), vec![OWNER, stranger()]).expect("the controller may");
    let settings = status(&pic, canister).settings;
    assert_eq!(settings.freezing_threshold, 77_u64);
    assert_eq!(settings.controllers.len(), 2);
}

/// `canister_status`: running, its module's hash, its memory, its cycles.
#[test]
fn the_status_tells_module_memory_and_cycles() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    let empty = status(&pic, canister);
    assert_eq!((empty.status, empty.module_hash), (RunState::Running, None));
    pic.install_canister(canister, universal().to_vec(), vec![], Some(OWNER));
    run(&pic, canister, script().stable_grow(3).forget().reply());

    let full = status(&pic, canister);
    assert_eq!(full.module_hash, Some(Sha256::digest(universal()).to_vec()));
    let memory = &full.memory_metrics;
    assert_eq!(memory.stable_memory_size, 3 * 65_536_u64);
    assert_eq!(memory.wasm_memory_size, 65_536_u64);
    assert_eq!(memory.wasm_binary_size, universal().len() as u64);
    assert_eq!(memory.snapshots_size, 0_u64);
    let parts = memory.stable_memory_size.clone() + memory.wasm_memory_size.clone();
    assert!(full.memory_size >= parts && full.memory_size > empty.memory_size);
    assert!(full.idle_cycles_burned_per_day > empty.idle_cycles_burned_per_day);
    let balance = pic.cycle_balance(canister);
    assert!(full.cycles >= balance && full.cycles.clone() - balance < EXECUTION);
}

/// `canister_status`: controllers, and "Regardless of this setting, the canister itself".
#[test]
fn the_status_is_told_to_controllers_and_to_the_canister_itself() {
    let pic = engine::pic();
    let (canister, other) = (install_universal(&pic), install_universal(&pic));
    let outcome = management::status(&pic, stranger(), canister);
    assert_reject_code(outcome, RejectCode::CanisterError);
    let ask = || script().call(Call::management("canister_status", (OfCanister { canister_id: canister },)));
    let own: Status = decode(&run(&pic, canister, ask()));
    assert_eq!(own.settings.controllers, [OWNER]);
    assert_eq!(rejection(&run(&pic, other, ask())).0, 5);
}

/// `canister_info`: "Every canister can call this method on every other canister"; creation, code deployment
/// and change of controllers are in the history, with rising versions.
#[test]
fn the_history_of_a_canister_is_public_to_canisters() {
    let pic = engine::pic();
    let (asking, canister_id) = (install_universal(&pic), install_universal(&pic));
    let info = |num_requested_changes| {
        let args = CanisterInfo { canister_id, num_requested_changes };
        let call = Call::management("canister_info", (args,));
        decode::<History>(&run(&pic, asking, script().call(call)))
    };
    let installed = info(Some(10));
    assert_eq!(installed.total_num_changes, 2);
    assert_eq!(installed.recent_changes.len(), 2);
    assert_eq!(installed.module_hash, Some(Sha256::digest(universal()).to_vec()));
    assert_eq!(installed.controllers, [OWNER]);

    pic.set_controllers(canister_id, Some(OWNER), vec![OWNER, asking]).expect("the controller may");
    pic.uninstall_canister(canister_id, Some(OWNER)).expect("the controller may");
    let later = info(Some(3));
    assert_eq!((later.total_num_changes, later.module_hash), (4, None));
    assert_eq!(later.controllers.len(), 2);
    let changes: Vec<_> =
        later.recent_changes.iter().map(|c| (c.timestamp_nanos, c.canister_version)).collect();
    assert_eq!(changes.len(), 3, "no more than requested, and those are the latest");
    assert!(changes.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 < pair[1].1), "{changes:?}");
    assert!(info(None).recent_changes.is_empty());
}

/// `install_code` by a canister that is a controller.
#[test]
fn a_canister_installs_code_in_another() {
    let pic = engine::pic();
    let creator = install_universal(&pic);
    let created =
        decode::<OfCanister>(&create(&pic, creator, CreateCanister::default(), 5 * TRILLION)).canister_id;
    let args = InstallCode {
        mode: management::Mode::Install,
        canister_id: created,
        wasm_module: universal().to_vec(),
        arg: script().caller().equals(creator.as_slice()).set(0).bytes(),
    };
    run(&pic, creator, script().call(Call::management("install_code", (args,))));
    assert_eq!(slot(&pic, created, 0), 1, "the installing canister is the caller of init");
}

/// `deposit_cycles`: "deposits the cycles included in this call into the specified canister", by anyone.
#[test]
fn cycles_are_deposited_into_other_canisters() {
    let pic = engine::pic();
    let giver = install_universal(&pic);
    let receiver = pic.create_canister_with_settings(Some(stranger()), None);
    let before = [giver, receiver].map(|id| pic.cycle_balance(id));
    let gift = u128::from(3 * TRILLION);
    let deposit =
        Call::management("deposit_cycles", (OfCanister { canister_id: receiver },)).cycles(3 * TRILLION);
    run(&pic, giver, script().call(deposit));
    let (given, got) = (before[0] - pic.cycle_balance(giver), pic.cycle_balance(receiver) - before[1]);
    assert!((gift..gift + EXECUTION).contains(&given), "{given} given");
    assert!((gift - EXECUTION..=gift).contains(&got), "{got} got");

    let nowhere = OfCanister { canister_id: deleted(&pic) };
    let lost = Call::management("deposit_cycles", (nowhere,))
        .cycles(TRILLION)
        .on_reject(script().reject_code().append_int().refunded().append_int().reply());
    let [code, refunded] = numbers(&run(&pic, giver, script().call(lost)));
    assert_ne!(code, 0);
    assert_eq!(refunded, TRILLION);
}

/// `raw_rand`: "takes no input and returns 32 pseudo-random bytes"; "A new return value is generated for each
/// call".
#[test]
fn every_call_gets_other_random_bytes() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let draws: BTreeSet<Vec<u8>> = (0..5)
        .map(|_| decode(&run(&pic, canister, script().call(Call::management("raw_rand", ())))))
        .collect();
    assert_eq!(draws.len(), 5);
    assert!(draws.iter().all(|bytes| bytes.len() == 32));
}

/// `provisional_create_canister_with_cycles`: "behaves as `create_canister`, but initializes the canister's
/// balance with `amount` fresh cycles".
#[test]
fn canisters_are_created_out_of_thin_air() {
    let pic = engine::pic();
    let somewhere = pic.create_canister();
    let args = CreateWithCycles {
        amount: Some(Nat::from(7 * TRILLION)),
        settings: Some(Controllers { controllers: Some(vec![OWNER]) }),
    };
    let method = "provisional_create_canister_with_cycles";
    let reply = manage(&pic, stranger(), somewhere, method, (args,)).expect("anyone may");
    let created = decode::<OfCanister>(&reply).canister_id;
    assert_eq!(pic.get_controllers(created), [OWNER]);
    let (got, amount) = (pic.cycle_balance(created), u128::from(7 * TRILLION));
    assert!((amount - EXECUTION..=amount).contains(&got), "{got}");
}

/// `provisional_top_up_canister`: "Any user can top-up any canister this way".
#[test]
fn anyone_tops_up_anything() {
    let pic = engine::pic();
    let canister_id = pic.create_canister();
    let before = pic.cycle_balance(canister_id);
    let args = TopUp { canister_id, amount: Nat::from(4 * TRILLION) };
    manage(&pic, stranger(), canister_id, "provisional_top_up_canister", (args,)).expect("anyone may");
    let (got, amount) = (pic.cycle_balance(canister_id) - before, u128::from(4 * TRILLION));
    assert!((amount - EXECUTION..=amount).contains(&got), "{got}");
}

/// HTTPS interface, "Effective canister id", and "Reject codes": what does not exist is rejected, and named.
#[test]
fn a_method_that_does_not_exist_is_named_in_the_reject() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let outcome =
        manage(&pic, OWNER, canister, "defragment_canister", (OfCanister { canister_id: canister },));
    let reject = outcome.expect_err("there is no such method");
    assert!(reject.reject_message.contains("defragment_canister"), "{reject}");
    let call = Call::management("defragment_canister", (OfCanister { canister_id: canister },));
    let (code, message) = rejection(&run(&pic, canister, script().call(call)));
    assert_ne!(code, 0);
    assert!(message.contains("defragment_canister"), "{message}");
}

/// "Interface overview": arguments that are not Candid of the interface are rejected.
#[test]
fn garbage_is_not_an_argument() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    for garbage in [&b""[..], b"garbage", b"DIDL\x00\x00", b"DIDL\x00\x01\x71\x05abcde"] {
        manage_raw(&pic, OWNER, canister, "stop_canister", garbage.to_vec()).expect_err("garbage");
        let call = Call::new(Principal::management_canister(), "stop_canister").arg(garbage);
        assert_ne!(rejection(&run(&pic, canister, script().call(call))).0, 0);
    }
    assert_eq!(status(&pic, canister).status, RunState::Running);
}
