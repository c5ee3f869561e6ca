//! Allocations, and memory kept for messages. Management canister, `compute_allocation`, `memory_allocation`; developer
//! documentation, "Cycle costs": "Total allocatable compute capacity per subnet is 299%".

use candid::Nat;
use pocket_ic::{CanisterSettings, ErrorCode, PocketIc, RejectCode};

use crate::support::canisters::{
    OWNER, ask, assert_rejected, install_universal, install_universal_on, numbers,
};
use crate::support::engine;
use crate::support::script::{Call, script};
use crate::support::wait::{answer, submit, until};

fn compute(percent: u64) -> CanisterSettings {
    CanisterSettings {
        compute_allocation: Some(Nat::from(percent)),
        freezing_threshold: Some(Nat::from(0_u8)),
        ..Default::default()
    }
}

#[test]
fn a_subnet_allocates_no_more_compute_than_it_has() {
    let pic = engine::pic();
    let [first, second, third] = [(); 3].map(|()| pic.create_canister());
    let set = |canister, percent| pic.update_canister_settings(canister, Some(OWNER), compute(percent));
    set(first, 100).expect("299 are free");
    set(second, 100).expect("199 are free");
    assert_rejected(set(third, 100), RejectCode::SysFatal, ErrorCode::SubnetOversubscribed);
    set(third, 99).expect("99 are free");
    set(first, 1).expect("less is always possible");
    set(third, 100).expect("and was given back");
}

#[test]
fn no_less_memory_is_allocated_than_a_canister_holds() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let set = |bytes: u64| {
        let settings = CanisterSettings { memory_allocation: Some(Nat::from(bytes)), ..Default::default() };
        pic.update_canister_settings(canister, Some(OWNER), settings)
    };
    assert_rejected(set(1), RejectCode::CanisterReject, ErrorCode::InsufficientMemoryAllocation);
    set(1 << 30).expect("it may have more");
    set(0).expect("it may take what it needs");
}

/// An allocation that can't be paid for until the freezing threshold is refused, each in its own words.
#[test]
fn an_allocation_that_would_freeze_the_canister_is_refused() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    let settings = |compute: Option<u64>, memory: Option<u64>| CanisterSettings {
        compute_allocation: compute.map(Nat::from),
        memory_allocation: memory.map(Nat::from),
        freezing_threshold: Some(Nat::from(100 * 365 * 86_400_u64)),
        ..Default::default()
    };
    let set = |settings| pic.update_canister_settings(canister, Some(OWNER), settings);
    let outcome = set(settings(Some(50), None));
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::InsufficientCyclesInComputeAllocation);
    let outcome = set(settings(None, Some(1 << 40)));
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::InsufficientCyclesInMemoryAllocation);
}

/// Memory is kept for the response of a call that waits for as long as it takes, and counts for the freezing
/// threshold (dfinity/ic, `cycles_account_manager`: `message_memory_usage`).
#[test]
fn a_call_under_way_raises_the_freezing_threshold_unless_its_response_may_be_dropped() {
    let (pic, [here, there]) = engine::pic_with_two_subnets();
    let (caller, callee) = (install_universal_on(&pic, here), install_universal_on(&pic, there));
    let threshold = |pic: &PocketIc| {
        let [balance, liquid] =
            numbers(&ask(pic, caller, script().balance().append_int().liquid().append_int().reply()));
        balance - liquid
    };
    let before = threshold(&pic);
    let waiting = Call::run(callee, script().reply()).on_reply(script().reply());
    let message = submit(&pic, caller, script().call(waiting.clone()));
    until(&pic, "the call to be under way", |pic| (threshold(pic) > before).then_some(()));
    // 2 MiB for thirty days cost 650 million cycles at 127,000 a GiB and second.
    assert!(threshold(&pic) - before > 600_000_000);
    answer(&pic, &message).expect("a reply");
    assert_eq!(threshold(&pic), before);

    let message = submit(&pic, caller, script().call(waiting.best_effort(100)));
    while pic.ingress_status(message.clone()).is_none() {
        assert!(threshold(&pic) - before < 1_000_000, "its response may be dropped");
        pic.tick();
    }
}
