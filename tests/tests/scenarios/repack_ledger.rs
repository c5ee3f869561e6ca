//! A ledger is repacked while its users go on paying each other.

use candid::Principal;
use decant_api::jobs::Outcome;
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::not_now::is_fence;
use decant_cli::rehearsal::world::World;
use decant_tests::ledger::{
    Info, LedgerArgument, LedgerUpgrade, Model, answers, ask, init, module, upgrade, user,
};
use decant_tests::repack::{
    PAGE_BYTES, RunState, certified_data, install, nothing, plan, refusal, repack, repack_with, snapshots,
    status, used,
};
use decant_tests::{engine, modules};

/// Transfers that are sent before each round.
const TRANSFERS: usize = 40;

/// A world with a ledger, its model, and some transfers on both.
fn world_with_ledger() -> (World, Principal, Model) {
    let world = World::new(engine(), modules(), &Options::default()).expect("the world is made");
    let ledger = install(&world, &module(), candid::encode_one(init()).expect("the argument encodes"));
    let mut model = Model::default();
    model.transact(&world.pic, ledger, 1, 40);
    (world, ledger, model)
}

#[test]
fn a_ledger_under_load_is_repacked_and_no_transfer_is_lost_or_done_twice() {
    let (world, ledger, mut model) = world_with_ledger();
    assert_eq!(status(&world, ledger).stable_pages() * PAGE_BYTES, 33_619_968);
    let rename = LedgerUpgrade { name: Some("Renamed by the plan".to_owned()) };
    let argument = candid::encode_one(LedgerArgument::Upgrade(Some(rename))).expect("the argument encodes");
    let before = status(&world, ledger);

    let mut rounds: Vec<Vec<_>> = Vec::new();
    let plan = plan(&world, vec![used(&module(), argument)]);
    let jobs = repack_with(&world, &plan, &[ledger], || {
        rounds.push((0..TRANSFERS).map(|_| model.submit_one(&world.pic, ledger)).collect());
    });
    assert_eq!(jobs[0].outcome, Outcome::Done, "{:?}", jobs[0]);
    let mut taken = Vec::new();
    let mut refused = 0;
    for message in rounds.into_iter().flatten() {
        match message.and_then(|message| world.pic.await_call(message)) {
            Ok(reply) => taken.push(reply),
            Err(rejected) => {
                assert!(is_fence(&rejected), "{rejected}");
                refused += 1;
            }
        }
    }
    println!("{} transfers were taken, {refused} refused; {:?}", taken.len(), jobs[0]);
    assert!(!taken.is_empty() && refused > 0, "{} taken, {refused} refused", taken.len());
    model.expect_all(&taken);
    model.compare(&world.pic, ledger);
    model.transact(&world.pic, ledger, 2, 40);

    let after = status(&world, ledger);
    // Seven pages when it was repacked, and what the transfers since then need.
    assert!(after.stable_pages() * 50 < before.stable_pages(), "{} pages", after.stable_pages());
    assert_eq!((after.module_hash, after.settings), (before.module_hash, before.settings));
    let info: Info = ask(&world.pic, ledger, "info", ());
    assert_eq!((info.name.as_str(), info.upgrades), ("Renamed by the plan", 1), "upgraded once (promise 10)");
    assert!(snapshots(&world, ledger).is_empty());
}

#[test]
fn what_a_ledger_has_certified_survives_a_repack() {
    let (world, ledger, mut model) = world_with_ledger();
    let before = answers(&world.pic, ledger);
    let plan = plan(&world, vec![used(&module(), upgrade())]);
    let jobs = repack(&world, &plan, &[ledger]);
    assert_eq!(jobs[0].outcome, Outcome::Done, "{:?}", jobs[0]);
    assert_eq!(answers(&world.pic, ledger), before);
    assert_eq!(certified_data(&world, ledger), before.tip, "nothing but transactions sets it");
    model.transact(&world.pic, ledger, 3, 40);
    let tip = answers(&world.pic, ledger).tip;
    assert_ne!(tip, before.tip);
    assert_eq!(certified_data(&world, ledger), tip);
}

#[test]
fn a_plan_with_a_wrong_upgrade_argument_changes_nothing() {
    let (world, ledger, mut model) = world_with_ledger();
    let wrong = [nothing(), candid::encode_one(init()).expect("the argument encodes")];
    for argument in wrong {
        let before = (answers(&world.pic, ledger), status(&world, ledger));
        let jobs = repack(&world, &plan(&world, vec![used(&module(), argument)]), &[ledger]);
        let reason = refusal(&jobs[0]);
        assert!(reason.contains("trapped"), "{reason}");
        assert!(jobs[0].fenced_nanos.is_some(), "it is only told by the flush");
        let after = status(&world, ledger);
        assert_eq!(after.status, RunState::Running);
        assert_eq!((after.module_hash, after.settings), (before.1.module_hash, before.1.settings));
        assert_eq!(after.memory_metrics, before.1.memory_metrics, "no page and no snapshot more or less");
        assert_eq!(answers(&world.pic, ledger), before.0);
        assert_eq!(ask::<Info>(&world.pic, ledger, "info", ()).upgrades, 0);
        model.transact(&world.pic, ledger, 4, 20);
    }
    assert_eq!(model.balances.values().sum::<u128>(), decant_tests::ledger::SUPPLY);
    assert!(model.balances.contains_key(&user(9)));
}
