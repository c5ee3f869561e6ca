//! What a canister has besides stable memory comes through a repack: as it was, or as the module's own upgrade
//! leaves it.

use candid::{CandidType, Principal};
use decant_api::jobs::{JobView, Outcome};
use decant_api::plan::Strategy;
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::update;
use decant_cli::rehearsal::world::World;
use decant_tests::keeper::{FAR_NANOS, HOOK, Keeper, MILLION, TIMER, bump, bumped, call, disarmed, peek};
use decant_tests::repack::{
    certified_data, digest, grow, install, install_shapes, manage, nothing, one_of_each, plan, refusal,
    repack, shapes_plan, snapshots, status, used,
};
use decant_tests::{engine, modules};
use serde_bytes::ByteBuf;

/// Rounds in which everything that is waited for must happen.
const ROUNDS: u32 = 100;

fn world() -> World {
    World::new(engine(), modules(), &Options::default()).expect("the world is made")
}

fn assert_done(world: &World, job: &JobView) {
    assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    assert!(snapshots(world, job.source).is_empty());
}

/// Ticks until something holds.
fn until(world: &World, what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..ROUNDS {
        if holds() {
            return;
        }
        world.pic.tick();
    }
    panic!("{what} did not happen in {ROUNDS} rounds");
}

/// Repacks a canister with that module.
fn repack_keeper(world: &World, keeper: Keeper, canister: Principal) -> JobView {
    let job = repack(world, &plan(world, vec![used(&keeper.module(), nothing())]), &[canister]).remove(0);
    assert_done(world, &job);
    assert_eq!(status(world, canister).stable_pages(), 3, "a header and two memories of a page");
    job
}

#[test]
fn certified_data_survive() {
    let world = world();
    let canister = install_shapes(&world, &one_of_each(128));
    grow(&world, canister, 1, 300);
    let certified = ByteBuf::from([0xc5; 32]);
    update::<()>(&world.pic, canister, world.operator, "certify", (certified.clone(),)).expect("certified");
    let content = digest(&world, canister);
    let job = repack(&world, &shapes_plan(&world), &[canister]).remove(0);
    assert_done(&world, &job);
    assert_eq!(digest(&world, canister), content);
    assert_eq!(certified_data(&world, canister), certified);
}

#[test]
fn a_canister_with_a_large_heap_is_repacked_and_its_state_survives() {
    let world = world();
    let canister = install_shapes(&world, &one_of_each(128));
    grow(&world, canister, 1, 300);
    for expected in [100_u64, 200, 300] {
        let mib: u64 = update(&world.pic, canister, world.operator, "take_heap", (100_u32,)).expect("taken");
        assert_eq!(mib, expected);
    }
    let content = digest(&world, canister);
    let job = repack(&world, &shapes_plan(&world), &[canister]).remove(0);
    assert_done(&world, &job);
    assert_eq!(digest(&world, canister), content);
    let mib: u64 = update(&world.pic, canister, world.operator, "take_heap", (1_u32,)).expect("taken");
    assert_eq!(mib, 1, "what an upgrade does not save is gone, as after any upgrade");
}

#[test]
fn many_exported_mutable_globals_survive_as_the_module_saves_them() {
    let (world, keeper) = (world(), Keeper::default());
    let canister = install(&world, &keeper.module(), nothing());
    (0..5).for_each(|_| bump(&world, canister));
    assert_eq!(peek(&world, canister), bumped(5));
    repack_keeper(&world, keeper, canister);
    assert_eq!(peek(&world, canister), bumped(5));
    bump(&world, canister);
    let upgraded = world.pic.upgrade_canister(canister, keeper.module(), nothing(), Some(world.operator));
    upgraded.expect("it upgrades again");
    assert_eq!(peek(&world, canister), bumped(6));
}

#[test]
fn a_module_with_64_bit_memory_is_repacked() {
    let (world, keeper) = (world(), Keeper { is_64_bit: true, ..Keeper::default() });
    let canister = install(&world, &keeper.module(), nothing());
    (0..3).for_each(|_| bump(&world, canister));
    repack_keeper(&world, keeper, canister);
    assert_eq!(peek(&world, canister), bumped(3));
    bump(&world, canister);
    assert_eq!(peek(&world, canister), bumped(4));
}

#[derive(CandidType)]
struct Settings {
    wasm_memory_limit: Option<candid::Nat>,
    wasm_memory_threshold: Option<candid::Nat>,
}

#[derive(CandidType)]
struct UpdateSettings {
    canister_id: Principal,
    settings: Settings,
}

#[test]
fn a_canister_whose_heap_limit_leaves_a_vessel_no_room_is_refused_and_never_stopped() {
    let (world, keeper) = (world(), Keeper::default());
    let canister = install(&world, &keeper.module(), nothing());
    bump(&world, canister);
    // Two pages are in use: less than the threshold is left of the limit, whatever is used.
    let settings = Settings {
        wasm_memory_limit: Some((1_u64 << 20).into()),
        wasm_memory_threshold: Some((1_u64 << 20).into()),
    };
    manage::<()>(&world, canister, "update_settings", &UpdateSettings { canister_id: canister, settings });
    // The condition is looked at when a message has run.
    bump(&world, canister);
    until(&world, "the hook", || peek(&world, canister)[HOOK] >= MILLION);
    let before = peek(&world, canister);
    let job = repack(&world, &plan(&world, vec![used(&keeper.module(), nothing())]), &[canister]).remove(0);
    assert!(refusal(&job).contains("wasm_memory_limit"), "{job:?}");
    assert_eq!((job.fenced_nanos, peek(&world, canister)), (None, before));
}

#[test]
fn a_timer_that_post_upgrade_arms_fires_after_the_repack() {
    let (world, keeper) = (world(), Keeper { arms_timer: true, ..Keeper::default() });
    let canister = install(&world, &keeper.module(), nothing());
    until(&world, "the timer", || peek(&world, canister)[TIMER] == MILLION);
    bump(&world, canister);
    repack_keeper(&world, keeper, canister);
    until(&world, "the timer", || peek(&world, canister)[TIMER] > MILLION + 2);
    assert_eq!(peek(&world, canister)[TIMER], 2 * MILLION + 2, "once for each time that it serves again");
    assert_eq!(peek(&world, canister)[0], bumped(1)[0]);
}

#[test]
fn an_armed_timer_is_disarmed_as_by_any_upgrade_and_the_job_tells_when_it_was_due() {
    for is_64_bit in [false, true] {
        let (world, keeper) = (world(), Keeper { is_64_bit, ..Keeper::default() });
        let [upgraded, repacked] = [(); 2].map(|()| install(&world, &keeper.module(), nothing()));
        for canister in [upgraded, repacked] {
            call(&world, canister, "arm");
            bump(&world, canister);
        }
        // The interface specification: installing code deactivates the global timer.
        let by_hand = world.pic.upgrade_canister(upgraded, keeper.module(), nothing(), Some(world.operator));
        by_hand.expect("it upgrades");
        assert_eq!(disarmed(&world, upgraded), 0);
        let job = repack_keeper(&world, keeper, repacked);
        assert_eq!(job.timer_lost_nanos, Some(FAR_NANOS));
        assert_eq!(disarmed(&world, repacked), 0);
        assert_eq!(peek(&world, repacked), bumped(1));
        bump(&world, repacked);
        assert_eq!(peek(&world, repacked), bumped(2));
    }
}

#[test]
fn a_plan_can_ask_for_a_roll_back_where_a_timer_would_be_lost() {
    let (world, keeper) = (world(), Keeper::default());
    let canister = install(&world, &keeper.module(), nothing());
    call(&world, canister, "arm");
    bump(&world, canister);
    let mut careful = plan(&world, vec![used(&keeper.module(), nothing())]);
    if let Strategy::Repack(by) = &mut careful.strategy {
        by.rolls_back_on_lost_timer = Some(true);
    }
    let before = status(&world, canister);
    let job = repack(&world, &careful, &[canister]).remove(0);
    assert!(refusal(&job).contains("its timer was armed"), "{job:?}");
    assert_eq!(job.timer_lost_nanos, Some(FAR_NANOS), "loading what was saved arms none");
    assert_eq!(status(&world, canister).memory_metrics, before.memory_metrics, "nothing of the job is left");
    assert_eq!(peek(&world, canister), bumped(1));
}

#[test]
fn a_canister_whose_code_does_not_start_on_the_compact_image_is_put_back() {
    let (world, keeper) = (world(), Keeper { least_pages: 100, ..Keeper::default() });
    let canister = install(&world, &keeper.module(), nothing());
    (0..4).for_each(|_| bump(&world, canister));
    let before = status(&world, canister);
    let job = repack(&world, &plan(&world, vec![used(&keeper.module(), nothing())]), &[canister]).remove(0);
    assert!(refusal(&job).contains("trapped"), "{job:?}");
    assert_eq!(status(&world, canister).memory_metrics, before.memory_metrics);
    assert_eq!(peek(&world, canister), bumped(4));
    bump(&world, canister);
    assert_eq!(peek(&world, canister), bumped(5));
    assert!(snapshots(&world, canister).is_empty());
}
