//! What an original owns or controls must not be lost with it.

use candid::Principal;
use decant_api::jobs::Outcome;
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::update;
use decant_cli::rehearsal::world::World;
use decant_tests::{assert_serves, enrol, fleet, modules, settle};
use pocket_ic::CanisterSettings;

/// A ledger at which everybody owns that many tokens (0 to 127): `icrc1_balance_of` answers a `nat`.
fn ledger(tokens: u8) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module
            (import "ic0" "msg_reply" (func $reply))
            (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
            (memory 1)
            (data (i32.const 0) "DIDL\00\01\7d\{tokens:02x}")
            (func (export "canister_query icrc1_balance_of")
                (call $append (i32.const 0) (i32.const 8))
                (call $reply)))"#
    ))
    .expect("the module is well-formed")
}

fn create(world: &World, controllers: Vec<Principal>) -> Principal {
    let settings = CanisterSettings { controllers: Some(controllers), ..CanisterSettings::default() };
    let id = world.pic.create_canister_with_settings(Some(world.operator), Some(settings));
    world.pic.add_cycles(id, 10_000_000_000_000);
    id
}

fn retry(world: &World, job: u64) {
    let retried: Result<(), String> =
        update(&world.pic, world.coordinator, world.operator, "decant_retry", (job,)).expect("it answers");
    retried.expect("a parked job can go on");
}

fn options() -> Options {
    Options { canisters: 1, state_kib: 20, ..Options::default() }
}

#[test]
fn an_original_that_owns_tokens_is_not_deleted_until_it_owns_none() {
    let options = options();
    let (world, mut users) = fleet(&options, &modules().kit);
    let token = create(&world, vec![world.operator]);
    world.pic.install_canister(token, ledger(5), Vec::new(), Some(world.operator));
    let mut plan = world.plan(modules(), &options).expect("the plan is made");
    plan.ledgers = vec![token];
    world.propose(&plan).expect("the plan is approved");
    enrol(&world, &users).expect("the index enrols");
    let original = users.users[0].original;

    let jobs = settle(&world);
    let Outcome::Parked { reason } = &jobs[0].outcome else { panic!("{:?}", jobs[0]) };
    assert!(reason.contains(&format!("holds 5 at {token}")) && reason.contains("decant_retry"), "{reason}");
    assert!(world.pic.canister_exists(original), "nothing is lost");
    let target = jobs[0].target.expect("the job has a target");
    assert_serves(&world, &mut users, 0, target);

    world.pic.upgrade_canister(token, ledger(0), Vec::new(), Some(world.operator)).expect("it is upgraded");
    retry(&world, jobs[0].id);
    assert_eq!(settle(&world)[0].outcome, Outcome::Done);
    assert!(!world.pic.canister_exists(original));
    assert_serves(&world, &mut users, 0, target);
}

#[test]
fn an_original_that_controls_a_canister_is_not_deleted_until_it_does_not() {
    let options = options();
    let (world, mut users) = fleet(&options, &modules().kit);
    let original = users.users[0].original;
    let ward = create(&world, vec![world.operator, original]);
    let mut plan = world.plan(modules(), &options).expect("the plan is made");
    plan.dependents = vec![ward];
    world.propose(&plan).expect("the plan is approved");
    enrol(&world, &users).expect("the index enrols");

    let jobs = settle(&world);
    let Outcome::Parked { reason } = &jobs[0].outcome else { panic!("{:?}", jobs[0]) };
    assert!(reason.contains(&format!("controls {ward}")), "{reason}");

    world.pic.set_controllers(ward, Some(world.operator), vec![world.operator]).expect("they are set");
    retry(&world, jobs[0].id);
    assert_eq!(settle(&world)[0].outcome, Outcome::Done);
    let target = jobs[0].target.expect("the job has a target");
    assert_serves(&world, &mut users, 0, target);
}
