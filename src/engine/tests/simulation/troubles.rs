//! Each trouble by itself, on a network that works: the end, the reason, and that the source serves.

use decant_engine::{ReasonCode, Retention, State};

use crate::coordinator::{Chaos, Coordinator, is_stuck, plan, tombstone_hash};
use crate::prng::Prng;
use crate::run::run;
use crate::world::{Trouble, World};

/// The codes with which the jobs of such worlds rolled back or parked; checks that they did.
fn reasons(trouble: Trouble) -> Vec<(bool, ReasonCode)> {
    let mut reasons = Vec::new();
    for seed in 0..60 {
        let mut prng = Prng::new(seed);
        let mut world = World::new(1 + prng.below(2), 1 + prng.below(3), trouble, 200);
        let mut coordinator = Coordinator::new(&world, plan(Retention::None));
        run(&mut world, &mut coordinator, Chaos::default(), &mut prng);
        for tracked in &coordinator.jobs {
            match tracked.job.state() {
                State::RolledBack { reason } => reasons.push((false, reason.code())),
                State::Parked { reason, .. } => reasons.push((true, reason.code())),
                State::Done { .. } => {}
                _ if is_stuck(&tracked.job) => {
                    let trouble = tracked.job.trouble().expect("it says what it waits for");
                    reasons.push((true, trouble.code()));
                }
                other => panic!("{other:?}"),
            }
        }
        if trouble != Trouble::WritesAfterSeal {
            assert_eq!(
                reasons.len(),
                reasons.len().max(coordinator.jobs.len()),
                "none is done in {trouble:?}"
            );
        }
    }
    reasons
}

fn assert_all_roll_back(trouble: Trouble, code: ReasonCode) {
    let reasons = reasons(trouble);
    assert!(!reasons.is_empty());
    assert!(reasons.iter().all(|reason| *reason == (false, code)), "{trouble:?}: {reasons:?}");
}

#[test]
fn a_source_that_is_not_controlled_rolls_back() {
    assert_all_roll_back(Trouble::NotControlled, ReasonCode::NotAuthorised);
}

#[test]
fn a_wrong_wasm_hash_rolls_back_and_returns_the_target() {
    assert_all_roll_back(Trouble::WrongModule, ReasonCode::WrongModule);
}

#[test]
fn a_target_that_is_not_empty_rolls_back() {
    let reasons = reasons(Trouble::DirtyTarget);
    assert!(reasons.iter().all(|reason| *reason == (false, ReasonCode::NotEmpty)), "{reasons:?}");
}

#[test]
fn a_save_hook_that_traps_rolls_back() {
    assert_all_roll_back(Trouble::HookTraps, ReasonCode::Trapped);
}

#[test]
fn an_index_that_answers_a_conflict_rolls_back_those_swapped_before() {
    assert_all_roll_back(Trouble::RouteConflict, ReasonCode::RouteConflict);
}

#[test]
fn an_index_without_such_a_route_rolls_back() {
    assert_all_roll_back(Trouble::UnknownRoute, ReasonCode::NoRoute);
}

#[test]
fn a_target_with_another_root_rolls_back() {
    assert_all_roll_back(Trouble::CorruptTarget, ReasonCode::RootMismatch);
}

#[test]
fn a_target_with_another_fingerprint_rolls_back() {
    assert_all_roll_back(Trouble::WrongFingerprint, ReasonCode::RootMismatch);
}

#[test]
fn a_layout_that_cannot_be_read_rolls_back() {
    assert_all_roll_back(Trouble::Unreadable, ReasonCode::Unreadable);
}

#[test]
fn a_source_that_is_already_being_relocated_rolls_back_and_stays_held() {
    assert_all_roll_back(Trouble::HeldByOther, ReasonCode::HeldByOther);
}

#[test]
fn a_relocation_that_is_not_worth_it_rolls_back() {
    assert_all_roll_back(Trouble::NotWorthIt, ReasonCode::NotWorthIt);
}

#[test]
fn a_source_with_snapshots_that_would_die_rolls_back() {
    assert_all_roll_back(Trouble::HasSnapshots, ReasonCode::HasSnapshots);
}

#[test]
fn a_source_that_does_not_run_rolls_back() {
    assert_all_roll_back(Trouble::SourceStopped, ReasonCode::NotRunning);
}

#[test]
fn a_source_that_never_stops_is_started_again() {
    assert_all_roll_back(Trouble::NeverStops, ReasonCode::Overdue);
}

#[test]
fn a_pool_that_stays_empty_rolls_back() {
    assert_all_roll_back(Trouble::EmptyPool, ReasonCode::PoolEmpty);
}

#[test]
fn running_out_of_cycles_midway_keeps_the_rollback_waiting_until_somebody_pays() {
    let reasons = reasons(Trouble::NoCycles);
    assert!(reasons.contains(&(true, ReasonCode::NotSent)), "{reasons:?}");
}

#[test]
fn a_write_after_the_seal_rolls_back_or_after_the_commit_point_keeps_the_source() {
    let found = [
        (false, ReasonCode::ChangedAfterSeal),
        (false, ReasonCode::RootMismatch),
        (true, ReasonCode::ChangedAfterSeal),
    ];
    let reasons = reasons(Trouble::WritesAfterSeal);
    assert!(reasons.contains(&found[0]) && reasons.contains(&found[2]), "{reasons:?}");
    assert!(reasons.iter().all(|reason| found.contains(reason)), "{reasons:?}");
}

#[test]
fn a_tombstone_keeps_its_id_and_nothing_is_deleted() {
    let mut prng = Prng::new(3);
    let mut world = World::new(2, 2, Trouble::HasSnapshots, 300);
    let retention = Retention::Tombstone { module_hash: tombstone_hash() };
    let mut coordinator = Coordinator::new(&world, plan(retention));
    run(&mut world, &mut coordinator, Chaos::default(), &mut prng);
    for tracked in &coordinator.jobs {
        assert!(matches!(tracked.job.state(), State::Done { .. }));
        assert!(world.canisters.contains_key(&tracked.job.source()), "not even with snapshots");
    }
    assert!(world.burned_cycles.is_empty());
}
