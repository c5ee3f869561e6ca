//! What is left over is taken out (design, section 6, promise 5): what a pool holds comes to the coordinator, and what the
//! coordinator has goes to an account at a ledger of cycles, by a proposal. What the ledger does not take comes back.

use candid::{CandidType, Nat, Principal};
use decant_api::govern::Decision;
use decant_api::jobs::{Outcome, PoolView};
use decant_api::payout::{Payee, Payout};
use decant_cli::rehearsal::calls::query;
use decant_cli::rehearsal::world::World;
use decant_cli::rehearsal::{Modules, Options};
use decant_tests::repack::{create, nothing};
use decant_tests::{delete_pooled, engine, enrol, fleet, modules, settle};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// Cycles that are paid out.
const CYCLES: u128 = 3_000_000_000_000;
/// Cycles of a message and of what it calls: what a payout costs beyond what is paid.
const FEES: u128 = 200_000_000;

/// What a ledger of cycles is told, and what it answers (its interface file, `deposit`).
#[derive(Debug, PartialEq, CandidType, Deserialize)]
struct Deposit {
    to: Account,
    memo: Option<ByteBuf>,
}

#[derive(Debug, PartialEq, CandidType, Deserialize)]
struct Account {
    owner: Principal,
    subaccount: Option<ByteBuf>,
}

#[derive(CandidType)]
struct Deposited {
    balance: Nat,
    block_index: Nat,
}

/// A ledger that takes all cycles that come with a deposit, or that rejects each; it tells what it was told last.
fn ledger(takes: bool) -> Vec<u8> {
    let answer = Deposited { balance: Nat::from(CYCLES), block_index: Nat::from(1_u8) };
    let answer = candid::encode_one(answer).expect("it encodes");
    let text: String = answer.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let end = match takes {
        true => format!(
            "(call $accept (i64.const -1) (i64.const -1) (i32.const 0))
             (call $append (i32.const 64) (i32.const {}))
             (call $reply)",
            answer.len()
        ),
        false => "(call $reject (i32.const 64) (i32.const 4))".to_owned(),
    };
    wat::parse_str(format!(
        r#"(module
            (import "ic0" "msg_arg_data_size" (func $size (result i32)))
            (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
            (import "ic0" "msg_cycles_accept128" (func $accept (param i64 i64 i32)))
            (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
            (import "ic0" "msg_reply" (func $reply))
            (import "ic0" "msg_reject" (func $reject (param i32 i32)))
            (memory 1)
            (global $told (mut i32) (i32.const 0))
            (data (i32.const 64) "{text}")
            (func (export "canister_update deposit")
                (global.set $told (call $size))
                (call $copy (i32.const 1024) (i32.const 0) (global.get $told))
                {end})
            (func (export "canister_query told")
                (call $append (i32.const 1024) (global.get $told))
                (call $reply)))"#
    ))
    .expect("the text is a module")
}

fn install(world: &World, takes: bool) -> Principal {
    let canister = create(world);
    world.pic.install_canister(canister, ledger(takes), nothing(), Some(world.operator));
    canister
}

/// Proposes a payout and executes it; answers what voters read.
fn pay_out(world: &World, payout: &Payout) -> Result<String, String> {
    let proposal = world.submit_decision(&Decision::Pay(payout.clone())).expect("so much is free");
    world.approve(proposal).map_err(|error| format!("{error:#}"))
}

#[test]
fn governance_pays_cycles_out_to_the_account_of_a_person_at_a_ledger() {
    let world = World::new(engine(), modules(), &Options::default()).expect("the world is made");
    let ledger = install(&world, true);
    let owner = Principal::self_authenticating(b"a treasurer");
    let subaccount = Some(ByteBuf::from(vec![9; 32]));
    let to = Payee::Account { ledger, owner, subaccount: subaccount.clone() };
    let balances = || (world.pic.cycle_balance(world.coordinator), world.pic.cycle_balance(ledger));
    let before = balances();
    let shown = pay_out(&world, &Payout { cycles: CYCLES, to }).expect("it is executed");
    assert!(shown.contains(&owner.to_string()) && shown.contains(&"09".repeat(32)), "{shown}");
    let after = balances();
    assert!(before.0 - after.0 <= CYCLES + FEES, "the coordinator paid {}", before.0 - after.0);
    assert!(after.1 > before.1 + CYCLES - FEES, "the ledger has {} of {}", after.1, before.1);
    let told = world.pic.query_call(ledger, world.operator, "told", nothing()).expect("it tells");
    let told: Deposit = candid::decode_one(&told).expect("as a ledger of cycles is told");
    assert_eq!(told, Deposit { to: Account { owner, subaccount }, memo: None });
}

#[test]
fn cycles_that_a_ledger_does_not_take_come_back_and_the_proposal_has_failed() {
    let world = World::new(engine(), modules(), &Options::default()).expect("the world is made");
    let ledger = install(&world, false);
    let owner = Principal::self_authenticating(b"a treasurer");
    let to = Payee::Account { ledger, owner, subaccount: None };
    let before = world.pic.cycle_balance(world.coordinator);
    let failed = pay_out(&world, &Payout { cycles: CYCLES, to }).expect_err("the ledger rejects");
    assert!(failed.contains("not executed"), "{failed}");
    let lost = before - world.pic.cycle_balance(world.coordinator);
    assert!(lost <= FEES, "{lost} cycles are lost");
}

#[test]
fn what_a_pool_holds_is_paid_out_to_a_person() {
    let options = Options { canisters: 1, state_kib: 8, ..Options::default() };
    let (world, users) = fleet(&options, &modules().kit);
    // The build of a plan that is no kit: its target is given back.
    let no_kit = Modules { kit: modules().managed.clone(), ..modules().clone() };
    let plan = world.plan(&no_kit, &options).expect("the modules are uploaded");
    world.propose(&plan).expect("the plan is approved");
    enrol(&world, &users).expect("the index enrols");
    let job = settle(&world).remove(0);
    assert!(matches!(job.outcome, Outcome::RolledBack { .. }), "{job:?}");
    let pool = || -> Vec<PoolView> {
        query(&world.pic, world.coordinator, "decant_pool", ()).expect("the coordinator answers")
    };
    let pooled = pool();
    assert_eq!(pooled.len(), 1, "{pooled:?}");
    let canister = pooled[0].canister;
    let held = world.pic.cycle_balance(canister);
    let before = world.pic.cycle_balance(world.coordinator);
    delete_pooled(&world, canister);
    assert_eq!(pool(), []);
    let came = world.pic.cycle_balance(world.coordinator) - before;
    // What the vessel's last message prepaid is burned, 83 B, and its installation is paid, some 30 B.
    assert!(came > held - 120_000_000_000, "{came} of {held}");
    let ledger = install(&world, true);
    let owner = Principal::self_authenticating(b"a treasurer");
    let had = world.pic.cycle_balance(ledger);
    let to = Payee::Account { ledger, owner, subaccount: None };
    pay_out(&world, &Payout { cycles: came, to }).expect("it is executed");
    assert!(world.pic.cycle_balance(ledger) > had + came - FEES);
}
