//! A canister in WAT that imports what the CDKs of 2022 imported. Canister interface, "Overview of imports":
//! the second list, and "Stable memory", where the 32-bit functions are deprecated and still there.

use pocket_ic::{PocketIc, RejectCode};

use crate::support::canisters::{OWNER, assert_reject_code, install, number, stranger, wat};
use crate::support::engine;

const BILLION: u64 = 1_000_000_000;

fn old() -> Vec<u8> {
    wat(include_str!("../canisters/old.wat"))
}

fn call(pic: &PocketIc, canister: candid::Principal, method: &str, arg: &[u8]) -> Vec<u8> {
    pic.update_call(canister, OWNER, method, arg.to_vec()).expect("a reply")
}

fn query(pic: &PocketIc, canister: candid::Principal, method: &str) -> Vec<u8> {
    pic.query_call(canister, OWNER, method, vec![]).expect("a reply")
}

/// `stable_size`, `stable_grow`, `stable_write`, `stable_read`: the upgrade hooks carry the counter over.
#[test]
fn the_counter_survives_upgrades_in_stable_memory() {
    let pic = engine::pic();
    let canister = install(&pic, &old(), &[]);
    for expected in 1..=3 {
        assert_eq!(number(&call(&pic, canister, "bump", &[])), expected);
    }
    for _ in 0..2 {
        pic.upgrade_canister(canister, old(), vec![], None).expect("it upgrades");
        assert_eq!(number(&query(&pic, canister, "read")), 3);
    }
    assert_eq!(number(&call(&pic, canister, "bump", &[])), 4);
    let memory = pic.get_stable_memory(canister);
    assert_eq!((memory.len(), number(&memory[..8])), (65_536, 3), "one page, written before the upgrades");
}

/// `stable64_*` work on the same memory as `stable_*`.
#[test]
fn the_64_bit_functions_see_the_same_stable_memory() {
    let pic = engine::pic();
    let canister = install(&pic, &old(), &[]);
    call(&pic, canister, "bump", &[]);
    pic.upgrade_canister(canister, old(), vec![], None).expect("it upgrades");
    assert_eq!(number(&call(&pic, canister, "stable64", &[])), 1);
    let memory = pic.get_stable_memory(canister);
    assert_eq!(memory.len(), 2 * 65_536);
    assert_eq!(number(&memory[..8]), 1, "the first page is as stable_write left it");
    assert_eq!(number(&memory[2 * 65_536 - 8..]), 1);
}

/// `call_cycles_add`, `msg_cycles_available`, `msg_cycles_accept`, `msg_cycles_refunded`: half is kept, half
/// comes back.
#[test]
fn cycles_travel_as_64_bits() {
    let pic = engine::pic();
    let (payer, payee) = (install(&pic, &old(), &[]), install(&pic, &old(), &[]));
    let before = pic.cycle_balance(payee);
    let arg = [&(500 * BILLION).to_le_bytes(), payee.as_slice()].concat();
    assert_eq!(number(&call(&pic, payer, "pay", &arg)), 250 * BILLION);
    assert!(pic.cycle_balance(payee) > before + u128::from(249 * BILLION));
}

/// `call_cycles_add128`, `msg_cycles_available128`, `msg_cycles_accept128`, `msg_cycles_refunded128`: the
/// same in 128 bits.
#[test]
fn cycles_travel_as_128_bits() {
    let pic = engine::pic();
    let (payer, payee) = (install(&pic, &old(), &[]), install(&pic, &old(), &[]));
    let before = pic.cycle_balance(payee);
    let arg = [&(500 * BILLION).to_le_bytes(), payee.as_slice()].concat();
    let refund = call(&pic, payer, "pay128", &arg);
    assert_eq!(u128::from_le_bytes(refund.try_into().expect("128 bits")), u128::from(250 * BILLION));
    assert!(pic.cycle_balance(payee) > before + u128::from(249 * BILLION));
}

/// `canister_cycle_balance` "traps if the current balance does not fit into a 64-bit value", the 128-bit one
/// does not.
#[test]
fn a_balance_beyond_64_bits_needs_the_128_bit_function() {
    let pic = engine::pic();
    let canister = install(&pic, &old(), &[]);
    let balance = pic.cycle_balance(canister);
    let reported = number(&query(&pic, canister, "balance"));
    assert!(u128::from(reported) <= balance && u128::from(reported) > balance / 2, "{reported} of {balance}");

    let rich = pic.add_cycles(canister, 1 << 64);
    let outcome = pic.query_call(canister, OWNER, "balance", vec![]);
    assert_reject_code(outcome, RejectCode::CanisterError);
    let reply = query(&pic, canister, "balance128");
    let reported = u128::from_le_bytes(reply.try_into().expect("128 bits"));
    assert!(reported <= rich && reported >= 1 << 64, "{reported} of {rich}");
}

/// "Method arguments", "Self-identification", "System time": who calls, who is called, when.
#[test]
fn a_query_of_2022_knows_who_calls_whom_and_when() {
    let pic = engine::pic();
    let canister = install(&pic, &old(), &[]);
    let user = stranger();
    let reply = pic.query_call(canister, user, "whoami", vec![]).expect("a reply");
    let (caller, rest) = reply.split_at(user.as_slice().len());
    let (own_id, rest) = rest.split_at(canister.as_slice().len());
    assert_eq!((caller, own_id), (user.as_slice(), canister.as_slice()));
    assert_eq!(rest.len(), 9);
    let time = number(&rest[..8]);
    let now = pic.get_time().as_nanos_since_unix_epoch();
    assert!(time <= now && now - time < BILLION, "{time} seen at {now}");
}

/// "Certified data", "Responding": setting a blob and rejecting are as old.
#[test]
fn certified_data_and_rejects_are_as_old() {
    let pic = engine::pic();
    let canister = install(&pic, &old(), &[]);
    assert_eq!(number(&call(&pic, canister, "certify", &[])), 0);
    let outcome = pic.update_call(canister, OWNER, "refuse", vec![]);
    let reject = assert_reject_code(outcome, RejectCode::CanisterReject);
    assert_eq!(reject.reject_message, "half");
}
