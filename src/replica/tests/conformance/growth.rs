//! New memory must not freeze a canister. Management canister, `take_canister_snapshot`,
//! `upload_canister_snapshot_metadata` ("the canister's balance must have a sufficient amount of cycles so that the
//! canister does not become frozen"), `install_code` ("traps if the balance decreases below the freezing limit");
//! error codes, IC0532.

use candid::{Nat, Principal};
use pocket_ic::{CanisterSettings, ErrorCode, PocketIc, RejectCode, RejectResponse};

use crate::support::canisters::{
    OWNER, assert_rejected, install, install_universal, number, run, slot, try_run, universal, wat,
};
use crate::support::engine;
use crate::support::management::{
    Mode, OfCanister, OfSnapshot, Place, Snapshot, SnapshotId, UploadMetadata, decode, install_code, manage,
    status, upload_metadata, upload_snapshot_data,
};
use crate::support::script::{Call, Hook, script};

/// Pages of 64 KiB that the canisters of these tests hold: 64 MiB.
const PAGES: u64 = 1_024;

/// Cycles that make any of them rich.
const FORTUNE: u128 = 1_000_000_000_000_000_000;

fn natural(value: &Nat) -> u128 {
    value.0.clone().try_into().expect("it fits")
}

/// A universal canister with [`PAGES`] of stable memory.
fn large(pic: &PocketIc) -> Principal {
    let canister = install_universal(pic);
    run(pic, canister, script().stable_grow(PAGES).forget().reply());
    canister
}

/// Sets the freezing threshold so that it takes `percent` of the balance with what the canister holds now.
fn freeze_at(pic: &PocketIc, canister: Principal, percent: u128) {
    let status = status(pic, OWNER, canister).expect("the controller may ask");
    let burned_per_day = natural(&status.idle_cycles_burned_per_day);
    set_threshold(pic, canister, natural(&status.cycles) * percent / 100, burned_per_day);
}

/// Sets the freezing threshold so that `kept` cycles are what it takes with memory that burns so much.
fn set_threshold(pic: &PocketIc, canister: Principal, kept: u128, burned_per_day: u128) {
    let seconds = kept * 86_400 / burned_per_day;
    let settings = CanisterSettings { freezing_threshold: Some(Nat::from(seconds)), ..Default::default() };
    pic.update_canister_settings(canister, Some(OWNER), settings).expect("it is not frozen");
}

#[track_caller]
fn assert_cannot_grow(outcome: Result<Vec<u8>, RejectResponse>) {
    let text = outcome.as_ref().expect_err("a reject").reject_message.clone();
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::InsufficientCyclesInMemoryGrow);
    assert!(text.contains("due to insufficient cycles"), "{text}");
}

fn take(pic: &PocketIc, canister_id: Principal) -> Result<Vec<u8>, RejectResponse> {
    manage(pic, OWNER, canister_id, "take_canister_snapshot", (OfCanister { canister_id },))
}

/// `memory_allocation` guarantees memory: what a canister grows within it is paid for already, and what it grows beyond
/// is checked as any other memory (spec 0.52), or refused.
#[test]
fn growth_within_an_allocation_is_paid_for_already() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let settings =
        CanisterSettings { memory_allocation: Some(Nat::from(128_u64 << 20)), ..Default::default() };
    pic.update_canister_settings(canister, Some(OWNER), settings).expect("it can pay for that");
    let burned = || status(&pic, OWNER, canister).expect("a status").idle_cycles_burned_per_day;
    let before = burned();
    freeze_at(&pic, canister, 99);
    run(&pic, canister, script().stable_grow(PAGES).forget().reply());
    assert_eq!(burned(), before);
    match try_run(&pic, canister, script().stable_grow(8 * PAGES).append_int().reply()) {
        Ok(reply) => assert_eq!(reply, u64::MAX.to_le_bytes()),
        refused @ Err(_) => assert_cannot_grow(refused),
    }
}

#[test]
fn a_snapshot_that_would_freeze_its_canister_is_not_taken() {
    let pic = engine::pic();
    let canister = large(&pic);
    freeze_at(&pic, canister, 80);
    assert_cannot_grow(take(&pic, canister));
    pic.add_cycles(canister, FORTUNE);
    take(&pic, canister).expect("it can pay for it now");
}

#[test]
fn a_snapshot_that_would_freeze_its_canister_is_not_made_by_an_upload() {
    let pic = engine::pic();
    let canister = large(&pic);
    freeze_at(&pic, canister, 80);
    let metadata = UploadMetadata::new(canister, 8, PAGES * 65_536);
    assert_cannot_grow(upload_metadata(&pic, OWNER, &metadata));
    pic.add_cycles(canister, FORTUNE);
    upload_metadata(&pic, OWNER, &metadata).expect("it can pay for it now");
}

#[test]
fn a_snapshot_whose_memory_would_freeze_the_canister_is_not_loaded() {
    let pic = engine::pic();
    let canister = large(&pic);
    let snapshot: Snapshot = decode(&take(&pic, canister).expect("it is taken"));
    install_code(&pic, OWNER, canister, Mode::Reinstall, universal(), &[]).expect("it is emptied");
    freeze_at(&pic, canister, 80);
    let load = || {
        let args = OfSnapshot { canister_id: canister, snapshot_id: snapshot.id.clone() };
        manage(&pic, OWNER, canister, "load_canister_snapshot", (args,))
    };
    assert_cannot_grow(load());
    assert_eq!(number(&run(&pic, canister, script().stable_size().append_int().reply())), 0);
    pic.add_cycles(canister, FORTUNE);
    load().expect("it can pay for it now");
    assert_eq!(number(&run(&pic, canister, script().stable_size().append_int().reply())), PAGES);
}

#[test]
fn chunks_that_would_freeze_a_canister_are_not_kept() {
    let pic = engine::pic();
    let canister = large(&pic);
    let uploaded = upload_metadata(&pic, OWNER, &UploadMetadata::new(canister, 8, 0)).expect("it is made");
    let SnapshotId { snapshot_id } = decode(&uploaded);
    let status = status(&pic, OWNER, canister).expect("the controller may ask");
    // A chunk counts as 1 MiB, a hundredth and more of what the canister holds.
    let burned_per_day = natural(&status.idle_cycles_burned_per_day);
    set_threshold(&pic, canister, natural(&status.cycles) * 997 / 1_000, burned_per_day);
    let into_store = || pic.upload_chunk(canister, Some(OWNER), vec![7; 100]);
    let into_snapshot =
        || upload_snapshot_data(&pic, OWNER, canister, &snapshot_id, Place::WasmChunk, &[7; 100]);
    assert_cannot_grow(into_store());
    assert_cannot_grow(into_snapshot());
    pic.add_cycles(canister, FORTUNE);
    into_store().expect("it can pay for it now");
    into_snapshot().expect("it can pay for it now");
}

/// A module with a heap of [`PAGES`] from its beginning.
fn roomy() -> Vec<u8> {
    wat(&format!(r#"(module (memory {PAGES}) (func (export "canister_update nothing")))"#))
}

#[test]
fn a_module_whose_memory_would_freeze_the_canister_is_not_installed() {
    let pic = engine::pic();
    let (model, canister) = (install(&pic, &roomy(), &[]), install_universal(&pic));
    run(&pic, canister, script().bump(0).stable_grow(1).forget().reply());
    let after = natural(&status(&pic, OWNER, model).expect("a status").idle_cycles_burned_per_day);
    // Below what the installation prepays for the time being, above what is left of it at its end.
    let balance = pic.cycle_balance(canister);
    set_threshold(&pic, canister, balance + 1_000_000_000, after);
    let install = || install_code(&pic, OWNER, canister, Mode::Reinstall, &roomy(), &[]);
    assert_cannot_grow(install());
    assert_eq!(slot(&pic, canister, 0), 1, "its code and state are as they were");
    let status = status(&pic, OWNER, canister).expect("a status");
    assert_eq!(status.memory_metrics.stable_memory_size, 65_536_u64);
    pic.add_cycles(canister, FORTUNE);
    install().expect("it can pay for it now");
}

/// What an installation grows is checked at its end, when what it prepaid (300 billion) is back: "`install_code`".
#[test]
fn a_post_upgrade_may_grow_as_far_as_the_canister_can_pay_in_the_end() {
    let pic = engine::pic();
    let growing = wat(&format!(
        r#"(module (memory 1) (func (export "canister_post_upgrade")
             (if (i32.eq (memory.grow (i32.const {PAGES})) (i32.const -1)) (then unreachable))))"#
    ));
    let (model, canister) = (install_universal(&pic), install_universal(&pic));
    let upgrade = |id| install_code(&pic, OWNER, id, Mode::Upgrade(None), &growing, &[]);
    upgrade(model).expect("it is rich");
    let after = natural(&status(&pic, OWNER, model).expect("a status").idle_cycles_burned_per_day);
    // 150 billion above the threshold that the new memory brings.
    let balance = pic.cycle_balance(canister);
    set_threshold(&pic, canister, balance - 150_000_000_000, after);
    upgrade(canister).expect("it can pay for its memory");
}

/// The same of a module that is installed anew, and of what its predecessor does before it goes.
#[test]
fn neither_init_nor_pre_upgrade_asks_what_their_growth_costs_before_the_end() {
    let pic = engine::pic();
    let growing = |hook: &str| {
        wat(&format!(
            r#"(module (import "ic0" "stable64_grow" (func $grow (param i64) (result i64))) (memory 1)
                 (func (export "{hook}")
                   (if (i64.eq (call $grow (i64.const {PAGES})) (i64.const -1)) (then unreachable))))"#
        ))
    };
    let (init, pre_upgrade) = (growing("canister_init"), growing("canister_pre_upgrade"));
    let reinstall = |id| install_code(&pic, OWNER, id, Mode::Reinstall, &init, &[]);
    let upgrade = |id| install_code(&pic, OWNER, id, Mode::Upgrade(None), universal(), &[]);
    let check = |module: &[u8], change: &dyn Fn(Principal) -> Result<Vec<u8>, RejectResponse>| {
        let (model, canister, poor) =
            (install(&pic, module, &[]), install(&pic, module, &[]), install(&pic, module, &[]));
        change(model).expect("it is rich");
        let after = natural(&status(&pic, OWNER, model).expect("a status").idle_cycles_burned_per_day);
        // 150 billion above the threshold that the new memory brings: less than what an installation prepays.
        let balance = pic.cycle_balance(canister);
        set_threshold(&pic, canister, balance - 150_000_000_000, after);
        change(canister).expect("it can pay for its memory");
        set_threshold(&pic, poor, balance + 1_000_000_000, after);
        assert_cannot_grow(change(poor));
    };
    check(universal(), &reinstall);
    check(&pre_upgrade, &upgrade);
}

/// Queries, replicated or not, leave nothing behind: code, `should_check_freezing_threshold_for_memory_grow`.
#[test]
fn a_query_may_grow_where_an_update_may_not() {
    let pic = engine::pic();
    let canister = large(&pic);
    freeze_at(&pic, canister, 80);
    let grow = || script().grow_heap(PAGES).forget().reply();
    assert_cannot_grow(try_run(&pic, canister, grow()));
    pic.query_call(canister, OWNER, "ask", grow().bytes()).expect("a query");
    pic.update_call(canister, OWNER, "ask", grow().bytes()).expect("a replicated query");
}

/// A cleanup too finishes what was begun.
#[test]
fn a_cleanup_may_grow_where_an_update_may_not() {
    let pic = engine::pic();
    let canister = large(&pic);
    freeze_at(&pic, canister, 80);
    let grow = || script().grow_heap(PAGES).forget().bump(0);
    assert_cannot_grow(try_run(&pic, canister, grow().reply()));
    let call = Call::run(canister, script().reply()).on_reply(script().trap(b"no")).on_cleanup(grow());
    try_run(&pic, canister, script().call(call)).expect_err("the callback traps");
    pic.add_cycles(canister, FORTUNE);
    assert_eq!(slot(&pic, canister, 0), 1);
}

/// Growth is checked where work begins, and not in what finishes it: abstract behavior, "Message execution":
/// `Min_balance` is 0 for responses.
#[test]
fn a_callback_may_grow_where_an_update_may_not() {
    let pic = engine::pic();
    let canister = large(&pic);
    run(&pic, canister, script().hook(Hook::GlobalTimer, script().grow_heap(PAGES).forget().bump(3)).reply());
    freeze_at(&pic, canister, 80);
    let grow = || script().grow_heap(PAGES).forget().bump(0).reply();
    assert_cannot_grow(try_run(&pic, canister, grow()));
    assert_cannot_grow(try_run(&pic, canister, script().stable_grow(PAGES).forget().reply()));
    run(&pic, canister, script().int(1).set_timer().forget().reply());
    for _ in 0..5 {
        pic.tick();
    }
    assert_eq!(slot(&pic, canister, 3), 0, "and so it is in a task");
    let call = Call::run(canister, script().reply()).on_reply(script().bump(1).then(grow()));
    run(&pic, canister, script().call(call));
    // It is frozen now, by memory that a callback may take.
    pic.add_cycles(canister, FORTUNE);
    assert_eq!([slot(&pic, canister, 0), slot(&pic, canister, 1)], [1, 1]);
}
