//! Each trouble by itself: the end, the reason, and that the canister serves with all of its state.

use decant_engine::{
    Effect, MAX_SETTINGS_BYTES, ReasonCode, Restoring, Retention, RunState, Stage, State, Strategy, Undo,
};

use crate::canister::{Layout, Maker};
use crate::run::{Fault, Run, plans, relocates};
use crate::world::{Timers, Trouble};

const REPACK: (Strategy, Retention) = (Strategy::Repack, Retention::None);

fn healthy(_: u32, _: &Effect, _: &decant_engine::Job) -> Fault {
    Fault::Nothing
}

/// Every strategy, retention and a few seeds roll back for that reason; answers the calls of the last.
fn assert_rolls_back(trouble: Trouble, code: ReasonCode) -> Vec<&'static str> {
    let mut methods = Vec::new();
    for plan in plans() {
        for seed in 0..20 {
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
    assert_eq!(assert_rolls_back(Trouble::NoModule, ReasonCode::Unreadable), ["canister_status"]);
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

fn copies(run: &Run) -> usize {
    run.calls.iter().filter(|(effect, _)| matches!(effect, Effect::CopyMetadata { .. })).count()
}

#[test]
fn a_timer_that_the_flush_disarms_is_armed_again_as_it_was() {
    let mut copied = 0;
    for plan in plans() {
        for seed in 0..40 {
            // The checks of every moment compare the timer.
            let run = timed(plan, Trouble::Nothing, Timers::Kept, seed);
            assert!(run.is_done(), "{:?}", run.job);
            copied += copies(&run);
        }
    }
    assert!(copied > 100, "most timers are armed when the canister stops: {copied}");
}

#[test]
fn a_timer_that_post_upgrade_arms_or_that_may_go_costs_no_copy() {
    for plan in plans() {
        for timers in [Timers::Never, Timers::Rearmed, Timers::MayGo] {
            for seed in 0..20 {
                let run = timed(plan, Trouble::Nothing, timers, seed);
                assert!(run.is_done(), "{:?}", run.job);
                assert_eq!(copies(&run), 0);
            }
        }
    }
}

#[test]
fn a_timer_is_armed_again_on_every_way_back_behind_the_flush() {
    let troubles = [
        (Trouble::PostUpgradeTraps, ReasonCode::Trapped),
        (Trouble::CorruptUpload, ReasonCode::RootMismatch),
        (Trouble::PostUpgradeGrows, ReasonCode::NotWorthIt),
        (Trouble::RouteConflict, ReasonCode::RouteConflict),
        (Trouble::CorruptCopy, ReasonCode::RootMismatch),
    ];
    for (trouble, code) in troubles {
        let mut copied = 0;
        for plan in plans() {
            for seed in 0..20 {
                let run = timed(plan, trouble, Timers::Kept, seed);
                if run.is_done() {
                    // Without an index to swap, or a timer to copy.
                    assert!(matches!(trouble, Trouble::RouteConflict | Trouble::CorruptCopy));
                    continue;
                }
                assert!(matches!(run.job.state(), State::RolledBack { .. }), "{trouble:?}: {:?}", run.job);
                assert_eq!(run.reason().map(|reason| reason.code()), Some(code), "{trouble:?}, {plan:?}");
                copied += copies(&run);
            }
        }
        assert!(copied > 20, "{trouble:?}: {copied}");
    }
}

/// A repack of a canister with so many snapshots of others, which is done or refused for them.
fn with_foreign(foreign: usize, timers: Timers, is_done: bool) -> Run {
    let mut run = Run::new(REPACK, Trouble::Nothing, 1);
    run.world.timers = timers;
    while run.world.strangers.len() < foreign {
        run.world.stranger_takes();
    }
    run.run(&mut healthy);
    assert_eq!(run.is_done(), is_done, "{foreign}: {:?}", run.job);
    let code = run.reason().map(|reason| reason.code());
    assert_eq!(code, (!is_done).then_some(ReasonCode::NoSlot));
    run
}

#[test]
fn with_a_timer_7_foreign_snapshots_leave_room_and_8_do_not() {
    for (foreign, is_done) in [(7, true), (8, false)] {
        let run = with_foreign(foreign, Timers::Kept, is_done);
        assert!(is_done || !run.calls.iter().any(|(effect, _)| matches!(effect, Effect::Stop { .. })));
    }
}

#[test]
fn more_than_8_foreign_snapshots_roll_back_and_8_do_not() {
    for (foreign, is_done) in [(8, true), (9, false), (10, false)] {
        with_foreign(foreign, Timers::Never, is_done);
    }
}

#[test]
fn a_source_whose_snapshots_would_die_is_not_relocated() {
    let mut run = Run::new((relocates(), Retention::None), Trouble::Nothing, 1);
    run.world.stranger_takes();
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
fn too_few_cycles_roll_back_after_one_call() {
    assert_eq!(assert_rolls_back(Trouble::FewCycles, ReasonCode::OutOfCycles), ["canister_status"]);
}

#[test]
fn a_pre_upgrade_that_traps_in_the_flush_rolls_back() {
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
fn an_upload_that_differs_rolls_back_before_it_is_loaded() {
    let methods = assert_rolls_back(Trouble::CorruptUpload, ReasonCode::RootMismatch);
    assert!(!methods.contains(&"load_canister_snapshot"));
}

#[test]
fn a_post_upgrade_that_grows_the_image_to_what_it_was_rolls_back() {
    assert_rolls_back(Trouble::PostUpgradeGrows, ReasonCode::NotWorthIt);
}

#[test]
fn a_canister_that_never_stops_is_started_again() {
    assert_rolls_back(Trouble::NeverStops, ReasonCode::TriedTooOften);
}

#[test]
fn a_pool_that_stays_empty_and_an_index_in_conflict_roll_back() {
    for (trouble, code) in
        [(Trouble::EmptyPool, ReasonCode::PoolEmpty), (Trouble::RouteConflict, ReasonCode::RouteConflict)]
    {
        let mut run = Run::new((relocates(), Retention::None), trouble, 1);
        run.run(&mut healthy);
        assert_eq!(run.reason().map(|reason| reason.code()), Some(code));
        assert!(matches!(run.job.state(), State::RolledBack { .. }), "{:?}", run.job);
    }
}

/// A job beside which somebody does something once, before its step of that number.
fn beside(
    plan: (Strategy, Retention),
    timers: Timers,
    at_step: usize,
    act: impl Fn(&mut Run),
    fault: &mut dyn FnMut(u32, &Effect, &decant_engine::Job) -> Fault,
) -> Run {
    let mut run = Run::new(plan, Trouble::Nothing, 7);
    run.world.timers = timers;
    let mut step = 0;
    run.run_beside(
        &mut |run| {
            step += 1;
            if step == at_step {
                act(run);
            }
        },
        fault,
    );
    run
}

const STEPS: usize = 56;
const TIMERS: [Timers; 2] = [Timers::Never, Timers::Kept];

#[test]
fn a_snapshot_that_somebody_takes_at_any_moment_survives() {
    for (plan, timers) in plans().into_iter().flat_map(|plan| TIMERS.map(|timers| (plan, timers))) {
        for at_step in 1..STEPS {
            let run = beside(plan, timers, at_step, take_if_there, &mut healthy);
            match run.reason() {
                None => assert!(run.is_done(), "{plan:?} at {at_step}: {:?}", run.job),
                // It would die with the original.
                Some(reason) => {
                    assert_eq!(reason.code(), ReasonCode::HasSnapshots, "{plan:?} at {at_step}: {reason}");
                    assert_ne!(plan.0, Strategy::Repack);
                }
            }
        }
    }
}

fn take_if_there(run: &mut Run) {
    // Between the last look and the deletion nobody can tell: it is one message after the other.
    let is_deleting = matches!(run.job.state(), State::Deleting { .. });
    if run.world.canisters.contains_key(&run.world.source) && !is_deleting {
        run.world.stranger_takes();
    }
}

fn makes_snapshot(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::TakeSnapshot { .. } | Effect::UploadMetadata { .. } | Effect::CopyMetadata { .. }
    )
}

#[test]
fn with_an_unknown_reply_and_two_new_snapshots_the_job_parks_and_deletes_nothing_of_a_stranger() {
    let mut parked = 0;
    let plans = [REPACK, (relocates(), Retention::None)];
    for (plan, timers) in plans.into_iter().flat_map(|plan| TIMERS.map(|timers| (plan, timers))) {
        // Without a fault, on the same seed.
        let calm = timed(plan, Trouble::Nothing, timers, 7);
        let made = calm.calls.iter().filter(|(effect, _)| makes_snapshot(effect)).count();
        for nth in 0..made {
            for fault in [Fault::LostAfter, Fault::Crash, Fault::AbortLost, Fault::AbortCrash] {
                let mut run = Run::new(plan, Trouble::Nothing, 7);
                run.world.timers = timers;
                let (mut seen, mut is_taken) = (0, false);
                let (count, taken) = (std::cell::Cell::new(0), std::cell::Cell::new(false));
                run.run_beside(
                    &mut |run| {
                        if count.get() == nth + 1 && !taken.replace(true) {
                            run.world.stranger_takes();
                            is_taken = true;
                        }
                    },
                    &mut |_, effect, _| {
                        if !makes_snapshot(effect) {
                            return Fault::Nothing;
                        }
                        seen += 1;
                        count.set(seen);
                        if seen == nth + 1 { fault } else { Fault::Nothing }
                    },
                );
                assert!(is_taken);
                if !run.job.state().is_parked() {
                    continue;
                }
                parked += 1;
                let why = run.job.explanation().expect("a parked job says what to do");
                if run.reason().map(|reason| reason.code()) == Some(ReasonCode::HasSnapshots) {
                    continue;
                }
                assert!(why.contains("delete what this job made"), "{why}");
                // The operator does as told.
                run.was_tidied = true;
                for canister in run.world.canisters.values_mut() {
                    canister.snapshots.retain(|it| {
                        it.maker == Maker::Stranger
                            || run.job.held().is_some_and(|held| {
                                [&held.saved, &held.uploaded, &held.copy].contains(&&Some(it.id.clone()))
                            })
                    });
                }
                run.mend();
            }
        }
    }
    assert!(parked >= 8, "{parked}");
}

#[test]
fn with_a_survey_that_is_still_there_a_new_snapshot_is_a_strangers() {
    for fault in [Fault::LostBefore, Fault::Abort] {
        let taken = std::cell::Cell::new(0);
        let mut run = Run::new(REPACK, Trouble::Nothing, 7);
        run.run_beside(
            &mut |run| {
                if taken.get() == 1 {
                    taken.set(2);
                    run.world.stranger_takes();
                }
            },
            &mut |_, effect, _| {
                let is_it = matches!(effect, Effect::TakeSnapshot { replaced: Some(_), .. });
                if !is_it || taken.get() > 0 {
                    return Fault::Nothing;
                }
                taken.set(1);
                fault
            },
        );
        assert_eq!(taken.get(), 2);
        assert!(run.job.state().is_ended(), "{:?}", run.job);
    }
}

/// Deletes what the job saved.
fn delete_saved(run: &mut Run) {
    let source = run.world.source;
    let is_saved = |it: &crate::canister::Snapshot| it.maker == Maker::Job && it.upload.is_none();
    if let Some(canister) = run.world.canisters.get_mut(&source)
        && canister.snapshots.iter().any(is_saved)
    {
        canister.snapshots.retain(|it| !is_saved(it));
        run.was_way_back_deleted = true;
    }
}

#[test]
fn a_job_whose_saved_snapshot_somebody_deletes_ends_done_or_rolled_back_with_all_state() {
    let mut ends = Vec::new();
    for (plan, timers) in plans().into_iter().flat_map(|plan| TIMERS.map(|timers| (plan, timers))) {
        for at_step in 1..STEPS {
            let run = beside(plan, timers, at_step, delete_saved, &mut healthy);
            if run.job.state().is_parked() {
                // Both were deleted when the image was in place, and the timer not yet.
                let image = run.world.canister(run.world.source).image;
                assert!(timers == Timers::Kept && image.is_whole_in_stable_memory(run.world.model));
                continue;
            }
            assert!(run.job.state().is_ended(), "{plan:?} at {at_step}: {:?}", run.job);
            if run.was_way_back_deleted {
                ends.push(run.is_done());
                let code = run.reason().map(|reason| reason.code());
                let is_named = matches!(code, Some(ReasonCode::NoSnapshot | ReasonCode::LosesTimer));
                assert!(run.is_done() || is_named, "{code:?}");
            }
        }
    }
    assert!(ends.contains(&true) && ends.contains(&false));
}

#[test]
fn a_way_back_that_somebody_deleted_parks_with_all_state_in_the_loaded_image() {
    let mut run = Run::new(REPACK, Trouble::PostUpgradeTraps, 7);
    run.run_beside(
        &mut |run| {
            if run.job.state().name() == "loaded" {
                delete_saved(run);
            }
        },
        &mut healthy,
    );
    let why = run.job.explanation().expect("it is parked");
    assert!(run.job.state().is_parked() && why.contains("the snapshot does not exist"), "{why}");
    let image = run.world.canister(run.world.source).image;
    assert!(image.is_whole_in_stable_memory(run.world.model));
}

/// Starts the source, if it was stopped.
fn start(run: &mut Run) {
    let (source, state) = (run.world.source, run.job.state());
    // Between the last look and a load nobody can tell: it is one message after the other.
    let is_restoring = run.job.held().is_some_and(|held| held.restoring == Some(Restoring::Guarded));
    let is_loading = is_restoring
        || run.job.target().is_none() && matches!(state.name(), "compared" | "copied")
        || run.job.target().is_none() && state.name() == "rolling back" && !is_timed_only(state);
    // What is started after the commit point has no routes any more, and becomes a tombstone.
    let is_late = run.job.target().is_some() && state.stage() == Stage::AfterCommit;
    if let Some(canister) = run.world.canisters.get_mut(&source)
        && canister.run_state != RunState::Running
        && !is_loading
        && !is_late
    {
        canister.run_state = RunState::Running;
        run.world.was_started = true;
    }
}

/// Whether the way back loads no snapshot but the one that arms the timer.
fn is_timed_only(state: &State) -> bool {
    matches!(state, State::RollingBack { undo, .. } if !undo.contains(&Undo::LoadSaved))
}

#[test]
fn a_canister_that_somebody_starts_at_any_moment_loses_no_write() {
    for (plan, timers) in [REPACK, (relocates(), Retention::None)]
        .into_iter()
        .flat_map(|plan| TIMERS.map(|timers| (plan, timers)))
    {
        let mut ends = Vec::new();
        for at_step in 1..STEPS {
            for fault in [Fault::Nothing, Fault::Abort] {
                let mut is_faulty = false;
                let run = beside(plan, timers, at_step, start, &mut |_, _, job| {
                    let is_it = job.state().name() == "reinstalled" && !is_faulty;
                    is_faulty |= is_it;
                    if is_it { fault } else { Fault::Nothing }
                });
                assert!(run.job.state().is_ended(), "{plan:?} at {at_step}: {:?}", run.job);
                if run.world.was_started {
                    ends.push(run.reason().map(|reason| reason.code()));
                }
            }
        }
        assert!(ends.contains(&Some(ReasonCode::Contradiction)), "{ends:?}");
        assert_eq!(ends.contains(&None), plan == REPACK, "what users write to goes on: {ends:?}");
        let known =
            [None, Some(ReasonCode::Contradiction), Some(ReasonCode::Aborted), Some(ReasonCode::LosesTimer)];
        assert!(ends.iter().all(|end| known.contains(end)), "{ends:?}");
    }
}
