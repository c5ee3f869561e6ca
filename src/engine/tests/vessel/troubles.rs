//! Each trouble by itself: the end, the reason, and that the canister serves with all of its state.

use decant_engine::{Effect, MAX_SETTINGS_BYTES, ReasonCode, Retention, State, Strategy};

use crate::canister::{Layout, STATE_PAGES};
use crate::run::{Fault, Run, plans};
use crate::world::{Hooks, Timers, Trouble};

const REPACK: (Strategy, Retention) = (Strategy::Repack, Retention::None);

fn healthy(_: u32, _: &Effect, _: &decant_engine::Job) -> Fault {
    Fault::Nothing
}

/// Every strategy, retention and a few seeds roll back for that reason; answers the calls of the last.
fn assert_rolls_back(trouble: Trouble, code: ReasonCode) -> Vec<&'static str> {
    let mut methods = Vec::new();
    for plan in plans() {
        // Of these seeds none knows the layout, so that it is surveyed.
        for seed in (0..30).filter(|seed| seed % 3 != 0) {
            let mut run = Run::new(plan, trouble, seed);
            run.run(&mut healthy);
            assert!(matches!(run.job.state(), State::RolledBack { .. }), "{trouble:?}: {:?}", run.job);
            assert_eq!(run.reason().map(|reason| reason.code()), Some(code), "{trouble:?}, {plan:?}");
            methods = run.calls.iter().map(|(effect, _)| effect.method()).collect();
        }
    }
    methods
}

#[test]
fn a_canister_that_is_not_controlled_rolls_back_after_one_call() {
    assert_eq!(assert_rolls_back(Trouble::NotControlled, ReasonCode::NotAuthorised), ["canister_status"]);
}

#[test]
fn a_canister_that_is_stopped_rolls_back_and_stays_stopped() {
    assert_eq!(assert_rolls_back(Trouble::SourceStopped, ReasonCode::NotRunning), ["canister_status"]);
}

#[test]
fn a_canister_without_a_module_rolls_back_after_one_call() {
    assert_eq!(assert_rolls_back(Trouble::NoModule, ReasonCode::NothingToRepack), ["canister_status"]);
}

#[test]
fn a_canister_without_stable_memory_rolls_back_before_it_is_stopped() {
    let methods = assert_rolls_back(Trouble::NoStableMemory, ReasonCode::NothingToRepack);
    assert!(!methods.contains(&"stop_canister"));
}

#[test]
fn a_raw_image_rolls_back_before_it_is_stopped() {
    let methods = assert_rolls_back(Trouble::Raw, ReasonCode::NothingToRepack);
    assert!(!methods.contains(&"stop_canister"));
}

#[test]
fn a_manager_at_another_page_than_the_plan_says_is_named_before_the_canister_is_stopped() {
    let mut run = Run::new(REPACK, Trouble::Elsewhere, 1);
    run.run(&mut healthy);
    let State::RolledBack { reason } = run.job.state() else { panic!("{:?}", run.job.state()) };
    assert_eq!(reason.code(), ReasonCode::NothingToRepack);
    assert!(reason.to_string().contains("one begins at page 48"), "{reason}");
    assert_eq!(run.job.times().fenced_nanos, None);
}

#[test]
fn an_image_that_cannot_be_read_rolls_back_before_it_is_stopped() {
    let methods = assert_rolls_back(Trouble::Unreadable, ReasonCode::Unreadable);
    assert!(!methods.contains(&"stop_canister"));
}

#[test]
fn an_image_that_is_already_compact_rolls_back_before_it_is_stopped() {
    let methods = assert_rolls_back(Trouble::AlreadyCompact, ReasonCode::AlreadyCompact);
    assert!(!methods.contains(&"stop_canister"));
}

#[test]
fn a_small_canister_is_not_even_looked_into() {
    assert_eq!(assert_rolls_back(Trouble::SmallAndCompact, ReasonCode::NotWorthIt), ["canister_status"]);
}

#[test]
fn a_repack_that_is_not_worth_it_rolls_back_before_it_is_stopped() {
    let methods = assert_rolls_back(Trouble::NotWorthIt, ReasonCode::NotWorthIt);
    assert!(!methods.contains(&"stop_canister"));
}

#[test]
fn buckets_that_are_too_small_roll_back_before_it_is_stopped() {
    let methods = assert_rolls_back(Trouble::BucketTooSmall, ReasonCode::BucketTooSmall);
    assert!(!methods.contains(&"stop_canister"));
}

#[test]
fn a_module_without_pre_upgrade_rolls_back_unless_the_plan_consents() {
    let methods = assert_rolls_back(Trouble::NoPreUpgrade, ReasonCode::LosesHeap);
    assert!(!methods.contains(&"stop_canister"));
    for plan in plans() {
        let mut run = Run::new(plan, Trouble::NoPreUpgradeButConsent, 1);
        run.run(&mut healthy);
        assert!(run.is_done(), "{:?}", run.job);
    }
}

/// A job whose dapp does that with its timer, with that trouble.
fn timed(plan: (Strategy, Retention), trouble: Trouble, timers: Timers, seed: u64) -> Run {
    let mut run = Run::new(plan, trouble, seed);
    run.world.timers = timers;
    run.run(&mut healthy);
    run
}

#[test]
fn a_timer_that_post_upgrade_does_not_arm_is_told_with_its_moment() {
    let (mut told, mut silent) = (0, 0);
    for seed in 0..40 {
        let run = timed(REPACK, Trouble::Nothing, Timers::Kept, seed);
        assert!(run.is_done(), "{:?}", run.job);
        match run.job.times().timer_lost_nanos {
            Some(due_nanos) => {
                assert!(due_nanos > 0);
                told += 1;
            }
            None => silent += 1,
        }
    }
    assert!(told > 20 && silent > 0, "most timers are armed when the canister stops: {told}, {silent}");
}

#[test]
fn a_timer_that_post_upgrade_arms_is_no_loss() {
    for timers in [Timers::Never, Timers::Rearmed] {
        for seed in 0..20 {
            let run = timed(REPACK, Trouble::Nothing, timers, seed);
            assert!(run.is_done(), "{:?}", run.job);
            assert_eq!(run.job.times().timer_lost_nanos, None);
        }
    }
}

#[test]
fn a_plan_can_ask_for_a_roll_back_where_a_timer_would_be_lost() {
    let mut back = 0;
    for seed in 0..40 {
        let mut run = Run::new(REPACK, Trouble::Nothing, seed);
        run.world.timers = Timers::Kept;
        run.roll_back_on_lost_timer();
        run.run(&mut healthy);
        if let Some(reason) = run.reason() {
            assert_eq!(reason.code(), ReasonCode::LosesTimer);
            back += 1;
        }
    }
    assert!(back > 20, "{back}");
}

/// A repack of a canister with so many snapshots of others, which is done or refused for them.
fn with_foreign(foreign: usize, is_done: bool) -> Run {
    let mut run = Run::new(REPACK, Trouble::Nothing, 1);
    while run.world.strangers.len() < foreign {
        run.world.stranger_takes(run.world.source);
    }
    run.run(&mut healthy);
    assert_eq!(run.is_done(), is_done, "{foreign}: {:?}", run.job);
    let code = run.reason().map(|reason| reason.code());
    assert_eq!(code, (!is_done).then_some(ReasonCode::NoSlot));
    run
}

#[test]
fn more_than_8_foreign_snapshots_roll_back_and_8_do_not() {
    for (foreign, is_done) in [(8, true), (9, false), (10, false)] {
        let run = with_foreign(foreign, is_done);
        assert!(is_done || !run.calls.iter().any(|(effect, _)| matches!(effect, Effect::Stop { .. })));
    }
}

#[test]
fn a_source_whose_snapshots_would_die_is_not_relocated() {
    let mut run = Run::new((Strategy::RelocateVessel, Retention::None), Trouble::Nothing, 1);
    run.world.stranger_takes(run.world.source);
    run.run(&mut healthy);
    assert_eq!(run.reason().map(|reason| reason.code()), Some(ReasonCode::HasSnapshots));
}

#[test]
fn settings_that_a_job_cannot_hold_roll_back_after_one_call() {
    for plan in plans() {
        let mut run = Run::new(plan, Trouble::Nothing, 1);
        let source = run.world.source;
        run.world.canister_mut(source).settings.others = vec![1; MAX_SETTINGS_BYTES + 1].into();
        run.run(&mut healthy);
        assert_eq!(run.reason().map(|reason| reason.code()), Some(ReasonCode::TooLarge));
        assert_eq!(run.calls.len(), 1);
    }
}

#[test]
fn too_few_cycles_for_what_an_upgrade_prepays_roll_back_after_one_call() {
    assert_eq!(assert_rolls_back(Trouble::FewCycles, ReasonCode::OutOfCycles), ["canister_status"]);
}

#[test]
fn a_source_that_could_not_pay_for_what_it_pours_is_refused_before_users_wait() {
    let end = |cycles: u128| {
        let mut run = Run::new((Strategy::Repack, Retention::None), Trouble::Nothing, 7);
        let source = run.world.source;
        run.world.begun_cycles -= run.world.canister(source).cycles - cycles;
        run.world.canister_mut(source).cycles = cycles;
        run.run(&mut |_, _, _| Fault::Nothing);
        (run.reason().map(|reason| reason.code()), run.job.times().fenced_nanos.is_some())
    };
    // 50 B for the calls, 300 B that an upgrade prepays, a cycle for each byte of snapshots; and 1,100 a byte in use.
    let poured_cycles = u128::from(STATE_PAGES) * 65_536 * 1_100;
    let all_but_that = 350_000_000_000 + 3 * 257 * 65_536;
    assert_eq!(end(all_but_that + poured_cycles / 2), (Some(ReasonCode::OutOfCycles), false));
    assert_eq!(end(all_but_that + poured_cycles + 1_000_000_000), (None, true));
}

#[test]
fn settings_that_would_get_in_the_way_roll_back_after_one_call() {
    assert_eq!(assert_rolls_back(Trouble::WantsCycles, ReasonCode::WantsCycles), ["canister_status"]);
    assert_eq!(assert_rolls_back(Trouble::PublicSnapshots, ReasonCode::PublicSnapshots), ["canister_status"]);
    assert_eq!(assert_rolls_back(Trouble::SmallHeapLimit, ReasonCode::SmallHeapLimit), ["canister_status"]);
    let mut run = Run::new(REPACK, Trouble::TooManyControllers, 1);
    run.run(&mut healthy);
    assert_eq!(run.reason().map(|reason| reason.code()), Some(ReasonCode::TooManyControllers));
    assert_eq!(run.calls.len(), 1);
}

#[test]
fn a_module_that_the_plan_does_not_name_rolls_back_after_one_call() {
    assert_eq!(assert_rolls_back(Trouble::NotPlanned, ReasonCode::WrongModule), ["canister_status"]);
}

#[test]
fn a_tail_rolls_back_before_it_is_stopped_where_the_layout_is_not_known() {
    let mut run = Run::new(REPACK, Trouble::Tailed, 1);
    run.run(&mut healthy);
    assert_eq!(run.reason().map(|reason| reason.code()), Some(ReasonCode::HasTail));
    assert!(!run.calls.iter().any(|(effect, _)| matches!(effect, Effect::Stop { .. })));
}

#[test]
fn promise_10_hooks_that_run_twice_would_lose_all_run_once_or_never() {
    for plan in plans() {
        for (trouble, is_done) in [(Trouble::Nothing, true), (Trouble::CorruptUpload, false)] {
            for seed in 0..20 {
                let mut run = Run::new(plan, trouble, seed);
                run.world.hooks = Hooks::Eraser;
                run.run(&mut healthy);
                // The checks at rest count the runs.
                assert_eq!(run.is_done(), is_done, "{:?}", run.job);
            }
        }
    }
}

#[test]
fn a_pre_upgrade_that_traps_rolls_back() {
    assert_rolls_back(Trouble::PreUpgradeTraps, ReasonCode::Trapped);
}

#[test]
fn a_post_upgrade_that_traps_on_the_compact_image_rolls_back_by_what_was_saved() {
    assert_rolls_back(Trouble::PostUpgradeTraps, ReasonCode::Trapped);
    let mut run = Run::new(REPACK, Trouble::PostUpgradeTraps, 1);
    run.run(&mut healthy);
    let loads = run.calls.iter().filter(|(effect, _)| matches!(effect, Effect::LoadSnapshot { .. }));
    assert_eq!(loads.count(), 2, "the image, and what was saved");
    assert_eq!(run.world.canister(run.world.source).image.stable.layout, Layout::Bloated);
}

#[test]
fn an_image_that_differs_rolls_back_before_it_is_dressed() {
    let methods = assert_rolls_back(Trouble::CorruptUpload, ReasonCode::RootMismatch);
    assert!(!methods.contains(&"delete_canister"));
}

#[test]
fn a_post_upgrade_that_grows_the_image_to_what_it_was_rolls_back() {
    assert_rolls_back(Trouble::PostUpgradeGrows, ReasonCode::NotWorthIt);
}

#[test]
fn a_canister_that_never_stops_is_started_again() {
    assert_rolls_back(Trouble::NeverStops, ReasonCode::Overdue);
}

#[test]
fn a_pool_that_stays_empty_and_an_index_in_conflict_roll_back() {
    for (trouble, code) in
        [(Trouble::EmptyPool, ReasonCode::PoolEmpty), (Trouble::RouteConflict, ReasonCode::RouteConflict)]
    {
        let mut run = Run::new((Strategy::RelocateVessel, Retention::None), trouble, 1);
        run.run(&mut healthy);
        assert_eq!(run.reason().map(|reason| reason.code()), Some(code));
        assert!(matches!(run.job.state(), State::RolledBack { .. }), "{:?}", run.job);
    }
}
