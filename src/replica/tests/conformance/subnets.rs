//! Several subnets: where canisters live and how long calls between them take.

use candid::Principal;

use crate::support::canisters::{install_universal, install_universal_on, numbers, run, slot};
use crate::support::engine;
use crate::support::script::{Call, echo, script};
use crate::support::wait::{rounds_until_answered, submit, until};

const BILLION: u64 = 1_000_000_000;

/// Canister interface, "Self-identification": a canister knows its subnet.
#[test]
fn a_canister_knows_its_subnet() {
    let (pic, subnets) = engine::pic_with_two_subnets();
    for subnet in subnets {
        let canister = install_universal_on(&pic, subnet);
        assert_eq!(pic.get_subnet(canister), Some(subnet));
        assert_eq!(run(&pic, canister, script().subnet_id().append().reply()), subnet.as_slice());
        assert_eq!(run(&pic, canister, script().self_id().append().reply()), canister.as_slice());
    }
}

/// Issue 2 and PocketIC: a message to another subnet travels through a stream, which takes rounds that a call
/// within a subnet does not need.
#[test]
fn a_call_across_subnets_takes_more_rounds_than_one_within() {
    let (pic, [here, there]) = engine::pic_with_two_subnets();
    let caller = install_universal_on(&pic, here);
    let rounds = [here, there].map(|subnet| {
        let callee = install_universal_on(&pic, subnet);
        let message = submit(&pic, caller, script().call(Call::run(callee, echo())));
        rounds_until_answered(&pic, &message)
    });
    assert!(rounds[0] >= 1 && rounds[1] > rounds[0], "{rounds:?} rounds");
}

/// Canister interface, "Inter-canister method calls": payload, caller, cycles and refunds cross subnets.
#[test]
fn payload_and_cycles_cross_subnets() {
    let (pic, [here, there]) = engine::pic_with_two_subnets();
    let (caller, callee) = (install_universal_on(&pic, here), install_universal_on(&pic, there));
    let before = pic.cycle_balance(callee);
    let keep = script().accept(3 * BILLION).append_int().caller().length().append_int().reply();
    let pay = Call::run(callee, keep)
        .cycles(4 * BILLION)
        .on_reply(script().arg().append().refunded().append_int().reply());
    let caller_bytes = caller.as_slice().len() as u64;
    assert_eq!(numbers(&run(&pic, caller, script().call(pay))), [3 * BILLION, caller_bytes, BILLION]);
    assert!(pic.cycle_balance(callee) > before + u128::from(2 * BILLION));
}

/// HTTPS interface, "Ordering guarantees", across subnets.
#[test]
fn calls_across_subnets_arrive_in_order() {
    let (pic, [here, there]) = engine::pic_with_two_subnets();
    let (caller, callee) = (install_universal_on(&pic, here), install_universal_on(&pic, there));
    run(&pic, callee, script().stable_grow(1).forget().reply());
    let note = |n: u8| script().get(0).blob(&[n]).stable_store().bump(0).reply();
    let sends = (1..=20)
        .fold(script(), |all, n| all.call(Call::run(callee, note(n)).on_reply(script()).on_reject(script())));
    run(&pic, caller, sends.reply());
    until(&pic, "twenty calls", |pic| (slot(pic, callee, 0) == 20).then_some(()));
    assert_eq!(pic.get_stable_memory(callee)[..20], (1..=20).collect::<Vec<u8>>());
}

/// `PocketIc::create_canister`: a canister that nobody placed is on one of the subnets.
#[test]
fn a_canister_that_nobody_placed_is_on_some_subnet() {
    let (pic, subnets) = engine::pic_with_two_subnets();
    let canister = install_universal(&pic);
    let subnet = pic.get_subnet(canister).expect("the canister exists");
    assert!(subnets.contains(&subnet));
    assert!(pic.canister_exists(canister));
}

/// PocketIC: without an application subnet a canister is created on a system subnet, not on the NNS.
#[test]
fn a_canister_that_nobody_placed_is_on_a_system_subnet_rather_than_on_the_nns() {
    let pic = engine::builder().with_nns_subnet().with_system_subnet().build();
    let canister = pic.create_canister();
    let topology = pic.topology();
    assert_eq!(pic.get_subnet(canister), Some(topology.get_system_subnets()[0]));
    assert_ne!(pic.get_subnet(canister), topology.get_nns());
}

/// PocketIC: the id of a canister of the mainnet brings the subnet along that it has there.
#[test]
fn a_canister_of_the_mainnet_brings_its_subnet() {
    let pic = engine::pic();
    // Number 3 of the subnet that is the eleventh on the mainnet.
    let mut id = [1; 10];
    id[..8].copy_from_slice(&(11_u64 << 20 | 3).to_be_bytes());
    let id = Principal::from_slice(&id);
    assert_eq!(pic.create_canister_with_id(None, None, id), Ok(id));
    assert!(!pic.topology().get_app_subnets().is_empty());
    let subnet = pic.get_subnet(id).expect("the canister exists");
    assert!(pic.topology().subnet_configs.contains_key(&subnet), "the subnet is in the topology");
}

/// PocketIC: ids that are handed out can't be asked for.
#[test]
fn an_id_that_is_handed_out_can_not_be_specified() {
    let pic = engine::pic();
    let topology = pic.topology();
    let subnet = topology.get_app_subnets()[0];
    let range = topology.subnet_configs[&subnet].canister_ranges[0].clone();
    let end = Principal::from_slice(&range.end.canister_id);
    pic.create_canister_with_id(None, None, end).expect_err("it belongs to the allocation range");
}
