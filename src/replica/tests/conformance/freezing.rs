//! Freezing: who might run out of cycles does no more work. Management canister, `create_canister`,
//! `freezing_threshold`; abstract behavior, "Calls to frozen canisters are rejected" and "Canister out of
//! cycles".

use std::time::Duration;

use candid::{Nat, Principal};
use pocket_ic::{CanisterSettings, ErrorCode, PocketIc, RejectCode};

use crate::support::canisters::{
    OWNER, assert_reject_code, assert_rejected, install_universal, number, numbers, rejection, run, slot,
    try_ask, try_run,
};
use crate::support::engine;
use crate::support::management;
use crate::support::script::{Call, script};
use crate::support::wait::until;

/// A threshold in seconds beyond what any balance of these tests lasts for.
const THIRTY_MILLION_YEARS: u64 = 1_000_000_000_000_000;

/// Enough to last for that long: since 2026 a canister as such takes 10,000 cycles a second.
const FORTUNE: u128 = 100_000_000_000_000_000_000;

fn freeze(pic: &PocketIc, canister: Principal) {
    let settings =
        CanisterSettings { freezing_threshold: Some(Nat::from(THIRTY_MILLION_YEARS)), ..Default::default() };
    pic.update_canister_settings(canister, Some(OWNER), settings).expect("a threshold may freeze a canister");
}

/// `freezing_threshold`: "Calls to a frozen canister will be rejected with `SYS_TRANSIENT`", until it has
/// cycles again.
#[test]
fn a_frozen_canister_rejects_calls_until_it_is_topped_up() {
    let pic = engine::pic();
    let (caller, canister) = (install_universal(&pic), install_universal(&pic));
    run(&pic, canister, script().bump(0).reply());
    freeze(&pic, canister);

    let update = try_run(&pic, canister, script().bump(0).reply());
    assert_rejected(update, RejectCode::SysTransient, ErrorCode::CanisterOutOfCycles);
    let query = try_ask(&pic, canister, script().reply());
    assert_rejected(query, RejectCode::SysTransient, ErrorCode::CanisterOutOfCycles);
    let call = script().call(Call::run(canister, script().bump(0).reply()));
    assert_eq!(rejection(&run(&pic, caller, call.clone())).0, 2);

    pic.add_cycles(canister, FORTUNE);
    assert_eq!(slot(&pic, canister, 0), 1, "nothing was executed meanwhile");
    run(&pic, caller, call);
    assert_eq!(slot(&pic, canister, 0), 2);
}

/// `freezing_threshold`: a canister can't perform calls that "would push the balance into frozen territory";
/// these "fail with `ic0.call_perform` returning a non-zero error code".
#[test]
fn a_call_that_would_freeze_its_caller_is_not_performed() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let before = pic.cycle_balance(caller);
    // All that is liquid but a million: the call itself can't be paid for any more.
    let nearly_all = script().liquid().plus(1_000_000_u64.wrapping_neg());
    let call = Call::run(callee, script().bump(0).reply()).cycles_of(nearly_all).on_reject(script().bump(1));
    assert_eq!(number(&run(&pic, caller, script().try_call(call).append_int().reply())), 2);
    let spent = before - pic.cycle_balance(caller);
    assert!(spent < 1_000_000_000, "the cycles moved back, but {spent}");
    // A call that follows would arrive after the one that was not performed.
    let probe = script().call(Call::run(callee, script().get(0).append_int().reply()));
    assert_eq!(number(&run(&pic, caller, probe)), 0);
    assert_eq!(slot(&pic, caller, 1), 0);
}

/// Canister interface, `cost_call`: what a canister "needs to be above the freezing threshold" to make a
/// call.
#[test]
fn with_the_cost_of_a_call_left_the_call_is_performed() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let answer = script().int(1).append_int().reply();
    let size = answer.clone().bytes().len() as u64;
    let [liquid, cost] =
        numbers(&run(&pic, caller, script().liquid().append_int().cost_call(3, size).append_int().reply()));
    assert!(cost > 0 && cost < liquid, "{cost} of {liquid}");
    let with_left = |left: u64| {
        let amount = script().liquid().plus(left.wrapping_neg());
        let call = Call::run(callee, answer.clone()).cycles_of(amount).on_reply(script().bump(1));
        script().try_call(call).append_int().reply()
    };
    // A little more than the cost, for the instructions and the memory of the message itself.
    assert_eq!(number(&run(&pic, caller, with_left(cost + cost / 10))), 0);
    until(&pic, "the response", |pic| (slot(pic, caller, 1) == 1).then_some(()));
    assert_eq!(number(&run(&pic, caller, with_left(cost / 2))), 2);
}

/// `update_settings`: the threshold in effect is part of the status.
#[test]
fn the_freezing_threshold_defaults_to_thirty_days_and_can_be_set() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    let threshold = || {
        let status = management::status(&pic, OWNER, canister).expect("the controller may ask");
        status.settings.freezing_threshold
    };
    assert_eq!(threshold(), Nat::from(2_592_000_u64));
    let settings = CanisterSettings { freezing_threshold: Some(Nat::from(1_000_u64)), ..Default::default() };
    pic.update_canister_settings(canister, Some(OWNER), settings).expect("settings may be changed");
    assert_eq!(threshold(), Nat::from(1_000_u64));
}

/// "Canister out of cycles": the code and the state of a canister without cycles are removed, the id stays.
#[test]
fn a_canister_that_runs_out_of_cycles_loses_its_code() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    // Fifty GiB for a century cost far more than a hundred trillion cycles.
    run(&pic, canister, script().stable_grow(50 * 16_384).forget().reply());
    pic.advance_time(Duration::from_secs(100 * 365 * 24 * 60 * 60));
    until(&pic, "the balance to be used up", |pic| (pic.cycle_balance(canister) == 0).then_some(()));
    assert!(pic.canister_exists(canister));

    pic.add_cycles(canister, 100_000_000_000_000);
    let outcome = try_run(&pic, canister, script().reply());
    assert_reject_code(outcome, RejectCode::CanisterError);
    let status = management::status(&pic, OWNER, canister).expect("the controller may ask");
    assert_eq!(status.module_hash, None);
    assert_eq!(status.memory_metrics.stable_memory_size, 0_u64);
}

/// "Canister out of cycles"; dfinity/ic, `charge_canisters_for_resource_allocation_and_usage`: its snapshots go too, its
/// history and its allocations, and what it had left is burned.
#[test]
fn a_canister_that_runs_out_of_cycles_loses_its_snapshots_history_and_allocations() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, script().stable_grow(16_384).forget().reply());
    let of = || (management::OfCanister { canister_id: canister },);
    management::manage(&pic, OWNER, canister, "take_canister_snapshot", of()).expect("it is taken");
    let settings =
        CanisterSettings { memory_allocation: Some(Nat::from(50_u64 << 30)), ..Default::default() };
    pic.update_canister_settings(canister, Some(OWNER), settings).expect("it can pay for that");
    pic.advance_time(Duration::from_secs(100 * 365 * 24 * 60 * 60));
    until(&pic, "the balance to be used up", |pic| (pic.cycle_balance(canister) == 0).then_some(()));

    pic.add_cycles(canister, FORTUNE);
    let listed = management::manage(&pic, OWNER, canister, "list_canister_snapshots", of()).expect("a list");
    assert_eq!(management::decode::<Vec<management::Snapshot>>(&listed), []);
    let status = management::status(&pic, OWNER, canister).expect("the controller may ask");
    assert_eq!(status.memory_metrics.snapshots_size, 0_u64);
    assert_eq!(status.memory_metrics.canister_history_size, 0_u64);
    assert_eq!(status.memory_size, 0_u64);
    assert_eq!(status.idle_cycles_burned_per_day, 0_u64, "nothing is allocated any more");
}
