//! After a reply that never came: what is seen decides, not what is hoped.

use decant_engine::{
    Digest, Event, FenceView, Holder, Job, KitView, MAX_DETAIL_BYTES, Outcome, Phase, Reason, ReasonCode,
    Retention, RunState, Seal, State, Undo, Value, apply,
};

use serde_bytes::ByteBuf;

use crate::common::{
    NOW_NANOS, applied, canister, emptied, fresh, gave_up, holder, in_every_state, kit, new_job, observing,
    path, seal, sent, started, status, view,
};

fn at(state: &str) -> Job {
    let found = in_every_state().into_iter().find(|(label, _)| label == state);
    found.unwrap_or_else(|| panic!("{state} is not reached")).1
}

fn reply(mut job: Job, outcome: Outcome) -> Job {
    let ticket = job.counters().calls;
    apply(&mut job, Event::Replied { ticket, outcome }, NOW_NANOS + 9).expect("it is awaited");
    job
}

fn seen(state: &str, value: Value) -> Job {
    reply(observing(at(state)).expect("it has an observation"), Outcome::Done(value))
}

fn module(hash: Option<u8>) -> Value {
    Value::Canister(status(RunState::Stopped, hash))
}

#[test]
fn what_is_seen_to_have_happened_is_not_repeated_and_what_is_not_is() {
    let other = Holder { job: 3, is_own: true };
    let table = [
        ("reserved", view(RunState::Running), "configured"),
        ("reserved", fresh(), "reserved"),
        ("configured", module(Some(0xff)), "installed"),
        ("configured", module(None), "configured"),
        ("configured", module(Some(8)), "rolling back"),
        ("installed", kit(FenceView::Importing(holder())), "provisioned"),
        ("installed", kit(FenceView::Importing(other)), "installed"),
        ("installed", kit(FenceView::Open), "installed"),
        ("provisioned", kit(FenceView::Frozen(holder())), "frozen"),
        ("provisioned", kit(FenceView::Frozen(other)), "provisioned"),
        ("provisioned", kit(FenceView::Open), "provisioned"),
        ("provisioned", Value::Gone, "rolling back"),
        ("frozen", view(RunState::Stopped), "stopped"),
        ("frozen", view(RunState::Stopping), "frozen"),
        ("stopped", view(RunState::Running), "restarted"),
        ("stopped", view(RunState::Stopped), "stopped"),
        ("committed", view(RunState::Running), "committed"),
        ("committed", view(RunState::Stopping), "committed"),
        ("committed", view(RunState::Stopped), "retired"),
        ("committed", Value::Canister(status(RunState::Running, None)), "retired"),
        ("committed", Value::Canister(status(RunState::Running, Some(9))), "retired"),
        ("committed", Value::Gone, "retired"),
        ("retired", kit(FenceView::Importing(holder())), "retired"),
        ("retired", kit(FenceView::Open), "confirming"),
        ("retired", Value::Gone, "parked"),
        ("entombing", module(Some(3)), "done"),
        ("entombing", module(Some(1)), "entombing"),
        ("entombing", module(Some(9)), "parked"),
        ("stopped", module(Some(9)), "rolling back"),
        ("deleting", view(RunState::Running), "parked"),
        ("stopping", Value::Gone, "deleting"),
        ("deleting", view(RunState::Stopped), "deleting"),
        ("deleting", Value::Gone, "done"),
        ("emptying", view(RunState::Stopped), "emptying"),
        ("emptying", view(RunState::Running), "parked"),
        ("emptying", module(Some(9)), "parked"),
        ("emptying", module(None), "clearing"),
        ("emptying", Value::Gone, "done"),
        ("clearing", emptied(RunState::Stopped, 2), "clearing"),
        ("clearing", emptied(RunState::Stopped, 1), "clearing"),
        ("clearing", module(Some(9)), "parked"),
        ("clearing", Value::Gone, "done"),
        ("waking", emptied(RunState::Stopped, 1), "waking"),
        ("waking", emptied(RunState::Running, 1), "handing"),
        ("waking", emptied(RunState::Running, 2), "parked"),
        ("waking", module(Some(9)), "parked"),
        ("waking", Value::Gone, "done"),
    ];
    for (state, value, expected) in table {
        let job = seen(state, value.clone());
        assert_eq!(job.state().name(), expected, "{state}, seen {value:?}");
        assert!(
            matches!(job.attempt().phase, Phase::Ready | Phase::Looked { .. }),
            "{state}, seen {value:?}"
        );
    }
}

#[test]
fn a_canister_of_the_pool_that_is_not_fresh_is_left_alone() {
    // D5: a pool that was put back from a snapshot names canisters that serve somebody.
    let taken = started(at("reserved")).expect("it looks");
    for served in [view(RunState::Running), Value::Canister(status(RunState::Running, Some(0xff)))] {
        let job = reply(taken.clone(), Outcome::Done(served.clone()));
        assert_eq!(job.explanation().map(|why| why.contains("not empty")), Some(true), "{job:?}");
        let job = reply(started(job).expect("it looks again"), Outcome::Done(served));
        assert!(matches!(job.state(), State::RolledBack { .. }), "{job:?}");
        assert_eq!(job.target(), None, "the pool does not get it back");
    }
}

#[test]
fn a_target_that_serves_is_not_uninstalled_on_the_way_back() {
    // D5: the same, when the job was put back with it.
    let check = at("rolling back: Some(CheckTarget)");
    let job = reply(sent(check).expect("it asks"), Outcome::Done(kit(FenceView::Open)));
    assert!(matches!(job.state(), State::RolledBack { .. }), "{job:?}");
    let why = job.explanation().expect("it says why");
    assert!(why.contains("left alone") && job.target().is_none(), "{why}");
}

#[test]
fn a_target_that_somebody_emptied_in_the_retention_parks_before_the_source_is_emptied() {
    // D7: it answers Open, and holds nothing.
    let asked = sent(at("confirming")).expect("it looks, then asks");
    let Value::Kit(mut empty) = kit(FenceView::Open) else { panic!("a kit") };
    empty.stable_pages = 0;
    let job = reply(asked, Outcome::Done(Value::Kit(empty)));
    assert!(job.state().is_parked(), "{job:?}");
    let mut seen = status(RunState::Running, Some(0xff));
    seen.emptied = Some("reinstalled by somebody".to_owned());
    let job = reply(started(at("confirming")).expect("it looks"), Outcome::Done(Value::Canister(seen)));
    assert!(job.explanation().is_some_and(|why| why.contains("reinstalled by somebody")), "{job:?}");
}

/// A target with the kit, open, that holds so little.
fn emptied_kit() -> Value {
    let Value::Kit(view) = kit(FenceView::Open) else { panic!("a kit") };
    Value::Kit(KitView { stable_pages: 0, has_root: false, ..view })
}

#[test]
fn promise_2_a_target_that_was_emptied_before_it_was_opened_parks_before_the_source_is_taken() {
    let retired = |retention| {
        let jobs = path(new_job(retention, 1));
        jobs.into_iter().find(|job| job.state().name() == "retired").expect("it is reached")
    };
    for retention in [
        Retention::None,
        Retention::Frozen { seconds: 60 },
        Retention::Tombstone { module_hash: Digest([3; 32]) },
    ] {
        // It does not remember that it imports: it answers so, or a reply is lost and it is seen to be open.
        let refused = reply(
            sent(retired(retention)).expect("it is sent"),
            Outcome::Refused(ReasonCode::Contradiction.into()),
        );
        let seen =
            reply(observing(retired(retention)).expect("it looks"), Outcome::Done(kit(FenceView::Open)));
        for job in [refused, seen] {
            assert_eq!(job.state().name(), "confirming", "{retention:?}");
            let mut reinstalled = status(RunState::Running, Some(0xff));
            reinstalled.emptied = Some("reinstalled by somebody".to_owned());
            let looks = started(job.clone()).expect("it looks");
            let parked = reply(looks, Outcome::Done(Value::Canister(reinstalled)));
            assert!(parked.state().is_parked(), "{retention:?}: {parked:?}");
            let parked = reply(sent(job.clone()).expect("it asks"), Outcome::Done(emptied_kit()));
            assert!(parked.state().is_parked(), "{retention:?}: {parked:?}");
            // One that was upgraded since holds what was moved.
            let names: Vec<_> = path(job).iter().map(|job| job.state().name()).collect();
            assert_eq!(names.last(), Some(&"done"));
            assert_eq!(names.contains(&"retaining"), matches!(retention, Retention::Frozen { .. }));
        }
    }
}

#[test]
fn promise_2_an_operator_s_retry_looks_at_the_target_before_the_source_is_taken() {
    let assessing = sent(at("assessing")).expect("it asks the ledgers");
    let parked = reply(assessing, Outcome::Done(Value::Assets(Some("7 of a ledger".to_owned()))));
    let mut retried = vec![applied(parked, Event::Retried).expect("it is parked")];
    for state in ["lowering", "draining", "stopping", "deleting", "emptying", "entombing"] {
        let down = Outcome::Transient(ReasonCode::NotRunning.into());
        let waits = reply(started(at(state)).expect("it calls"), down);
        retried.push(applied(waits, Event::Retried).expect("it waits"));
    }
    for job in retried {
        assert_eq!(job.state().name(), "confirming", "{job:?}");
    }
}

#[test]
fn a_retry_settles_first_what_may_have_been_done_to_a_source_and_looks_at_the_target_all_the_same() {
    // Its code was taken, and the reply lost: it is not somebody else's doing.
    let emptied_by_us = || module(None);
    let lost = observing(at("emptying")).expect("its reply is lost");
    let down = Outcome::Transient(ReasonCode::NotRunning.into());
    let retried = applied(reply(lost, down), Event::Retried).expect("it waits");
    assert_eq!(retried.state().name(), "emptying");
    let seen = reply(started(retried.clone()).expect("it looks"), Outcome::Done(emptied_by_us()));
    assert_eq!(seen.state().name(), "clearing");
    // It was not done, and nobody has looked at the target for an hour.
    let mut looks = started(retried).expect("it looks");
    let (ticket, outcome) = (looks.counters().calls, Outcome::Done(view(RunState::Stopped)));
    apply(&mut looks, Event::Replied { ticket, outcome }, NOW_NANOS + 3_600_000_000_000)
        .expect("it is awaited");
    assert_eq!(looks.state().name(), "confirming");
}

#[test]
fn a_job_whose_target_is_somebody_else_s_is_not_talked_into_taking_the_source_and_may_be_left() {
    let mut loaded = status(RunState::Running, Some(0xff));
    loaded.emptied = Some("a snapshot was loaded by somebody".to_owned());
    let seen = || Outcome::Done(Value::Canister(loaded.clone()));
    let parked = reply(started(at("confirming")).expect("it looks"), seen());
    let again = applied(parked.clone(), Event::Retried).and_then(started).expect("it looks again");
    assert_eq!(reply(again, seen()).reason_code(), Some(ReasonCode::OthersActed), "whoever retries it");
    assert!(parked.explanation().is_some_and(|why| why.contains("a skip leaves the source")), "{parked:?}");
    let gone = seen_gone("retired");
    // It never answers again, however often it is asked.
    let refusal = Outcome::Refused(ReasonCode::NoKit.into());
    let mute = reply(sent(at("retired")).expect("it is to open"), refusal);
    assert_eq!(mute.reason_code(), Some(ReasonCode::NoKit), "{mute:?}");
    for parked in [parked, gone, mute] {
        let left = applied(parked, Event::Skipped).expect("it is left");
        assert!(matches!(left.state(), State::Done { .. }), "{left:?}");
    }
}

/// The job that is parked since its target is gone.
fn seen_gone(state: &str) -> Job {
    let parked = seen(state, Value::Gone);
    assert!(parked.state().is_parked(), "{parked:?}");
    parked
}

#[test]
fn what_is_left_of_a_source_keeps_its_freezing_threshold_when_a_job_gives_up_or_finds_its_target_empty() {
    let denied =
        reply(sent(at("draining")).expect("it drains"), Outcome::Refused(ReasonCode::Contradiction.into()));
    for event in [gave_up(), Event::Skipped] {
        let left = applied(denied.clone(), event).expect("it takes that");
        assert_eq!(left.state().name(), "raising");
    }
    let down = Outcome::Transient(ReasonCode::NotRunning.into());
    let retried =
        applied(reply(sent(at("draining")).expect("it drains"), down), Event::Retried).expect("it waits");
    let empty = reply(sent(retried).expect("it asks the target"), Outcome::Done(emptied_kit()));
    assert_eq!(empty.state().name(), "raising", "the source holds the last copy");
    let parked = reply(sent(empty).expect("it is raised"), Outcome::Done(Value::Acknowledged));
    assert!(parked.explanation().is_some_and(|why| why.contains("it was emptied")), "{parked:?}");
}

#[test]
fn a_skip_keeps_a_target_that_may_hold_the_last_copy() {
    for undo in [Undo::StartSource, Undo::ThawSource] {
        let back = at(&format!("rolling back: {:?}", Some(undo)));
        let gone = match undo {
            Undo::ThawSource => {
                reply(sent(back).expect("it thaws"), Outcome::Refused(ReasonCode::NoKit.into()))
            }
            _ => reply(started(back).expect("it looks"), Outcome::Done(Value::Gone)),
        };
        assert!(gone.state().is_parked(), "{undo:?}: {gone:?}");
        let skipped = applied(gone, Event::Skipped).expect("it is parked");
        assert!(
            matches!(skipped.state(), State::RolledBack { .. }),
            "{undo:?}: nothing is called: {skipped:?}"
        );
        assert_eq!(skipped.target(), None, "the pool does not get it");
        assert!(skipped.explanation().is_some_and(|why| why.contains("last copy")), "{skipped:?}");
    }
}

#[test]
fn what_may_have_been_done_is_undone_though_an_operator_retried_it_meanwhile() {
    for (label, job) in in_every_state() {
        let Some(lost) = sent(job).map(|job| {
            let ticket = job.counters().calls;
            applied(job, Event::reply_lost(ticket)).expect("a reply can be lost")
        }) else {
            continue;
        };
        let undo = |job: &Job| match job.state() {
            State::RollingBack { undo, .. } => undo.clone(),
            _ => Vec::new(),
        };
        let (Some(at_once), Some(retried)) = (
            applied(lost.clone(), Event::AbortRequested),
            applied(lost, Event::Retried).and_then(|job| applied(job, Event::AbortRequested)),
        ) else {
            continue;
        };
        assert_eq!(undo(&retried), undo(&at_once), "{label}");
    }
}

#[test]
fn a_source_that_denies_that_it_was_told_where_its_state_is_is_asked_once_more_and_then_parks() {
    let denied =
        |job: Job| reply(sent(job).expect("it drains"), Outcome::Refused(ReasonCode::Contradiction.into()));
    let telling = denied(at("draining"));
    assert_eq!(telling.state().name(), "telling");
    let again = reply(sent(telling).expect("it is told"), Outcome::Done(Value::Acknowledged));
    assert_eq!(again.state().name(), "draining");
    let raising = denied(again);
    assert_eq!(raising.state().name(), "raising", "its freezing threshold is as it was");
    let parked = reply(sent(raising).expect("it is raised"), Outcome::Done(Value::Acknowledged));
    assert_eq!((parked.state().is_parked(), parked.reason_code()), (true, Some(ReasonCode::Contradiction)));
}

#[test]
fn an_original_is_not_emptied_for_others_that_somebody_acted_on_and_none_with_snapshots_is_handed_over() {
    for state in ["emptying", "clearing", "waking"] {
        let mut kept = match state {
            "emptying" => status(RunState::Stopped, Some(1)),
            _ => status(RunState::Stopped, None),
        };
        (kept.stable_pages, kept.snapshots_bytes) = (0, 1);
        kept.settings.controllers.truncate(1);
        let job = reply(started(at(state)).expect("it looks"), Outcome::Done(Value::Canister(kept)));
        assert_eq!(job.reason_code(), Some(ReasonCode::HasSnapshots), "{state}: {job:?}");
        assert!(job.state().is_parked(), "{state}");
    }
    // Somebody uninstalled it before the job did.
    let looked = started(at("emptying")).expect("it looks");
    let job = reply(looked, Outcome::Done(module(None)));
    assert_eq!(job.reason_code(), Some(ReasonCode::OthersActed), "{job:?}");
}

#[test]
fn what_was_looked_at_in_an_earlier_message_is_looked_at_again() {
    let mut job = started(at("deleting")).expect("it looks");
    let ticket = job.counters().calls;
    let outcome = Outcome::Done(view(RunState::Stopped));
    apply(&mut job, Event::Replied { ticket, outcome }, NOW_NANOS + 9).expect("it is seen");
    let call = |now_nanos| match decant_engine::next_step(&job, now_nanos, &decant_engine::Limits::default())
    {
        decant_engine::Step::Call { effect, .. } => effect.method(),
        other => panic!("{other:?}"),
    };
    assert_eq!(call(NOW_NANOS + 9), "delete_canister", "in this message");
    let later_nanos = NOW_NANOS + 100_000_000_000;
    assert_eq!(call(later_nanos), "canister_status", "promise 11");
    apply(&mut job, Event::Started { ticket: ticket + 1 }, later_nanos).expect("it looks again");
    assert!(matches!(job.attempt().phase, Phase::ObserveSent { .. }));
}

#[test]
fn a_source_that_runs_a_module_that_the_plan_does_not_name_rolls_back_at_once() {
    // D6
    let mut other = status(RunState::Running, Some(7));
    other.is_planned = false;
    let job = reply(sent(at("queued")).expect("it is sent"), Outcome::Done(Value::Canister(other)));
    assert!(job.explanation().is_some_and(|why| why.contains("not the approved module")), "{job:?}");
}

#[test]
fn an_installation_refused_because_the_lost_one_worked_is_seen_to_have_worked() {
    let again = sent(seen("configured", module(None))).expect("it is repeated");
    let refused = reply(again, Outcome::Refused(ReasonCode::NotEmpty.into()));
    assert_eq!(refused.state().name(), "configured", "the first one may have worked");
    let job = reply(started(refused.clone()).expect("it observes"), Outcome::Done(module(Some(0xff))));
    assert_eq!(job.state().name(), "installed");
    let job = reply(started(refused).expect("it observes"), Outcome::Done(module(None)));
    assert_eq!(
        job.explanation(),
        Some(Reason::from(ReasonCode::NotEmpty).to_string()),
        "else the refusal counts"
    );
}

#[test]
fn a_swap_that_is_refused_after_one_of_unknown_outcome_is_swapped_back() {
    let swaps_back = |job: Job| match job.state() {
        State::RollingBack { undo, .. } => undo.contains(&Undo::SwapBack { index: 0 }),
        other => panic!("{other:?}"),
    };
    let refusal = || Outcome::Refused(ReasonCode::RouteConflict.into());
    let refused_at_once = reply(sent(at("switching")).expect("it is sent"), refusal());
    assert!(!swaps_back(refused_at_once), "a refusal has no effect");
    let lost =
        reply(sent(at("switching")).expect("it is sent"), Outcome::Unknown(ReasonCode::ReplyLost.into()));
    let refused_later = reply(sent(lost).expect("it is repeated"), refusal());
    assert!(swaps_back(refused_later), "the first one may have worked");
}

#[test]
fn a_parked_job_that_was_unsure_observes_first_when_it_goes_on() {
    let mut job = sent(at("rolling back: Some(StartSource)")).expect("it is sent");
    let ticket = job.counters().calls;
    for event in [Event::reply_lost(ticket), crate::common::gave_up(), Event::Retried] {
        apply(&mut job, event, NOW_NANOS + 9).expect("it fits");
    }
    assert_eq!(job.attempt().phase, Phase::Observe { refusal: None });
    assert_eq!(job.attempt().tries, 0);
}

#[test]
fn a_source_is_taken_after_a_long_wait_only_if_its_target_is_seen_to_hold_the_state_still() {
    for state in ["rechecking", "lowering", "draining", "entombing", "stopping", "deleting"] {
        let Some((_, job)) = in_every_state().into_iter().find(|(label, _)| label == state) else { continue };
        let mut parked = job.clone();
        apply(&mut parked, crate::common::gave_up(), NOW_NANOS + 9).expect("it can be given up");
        // A drain that is given up raises the freezing threshold again first.
        let Some(parked) = crate::common::path(parked).into_iter().find(|job| job.state().is_parked()) else {
            panic!("{state} is parked")
        };
        let mut retried = parked.clone();
        apply(&mut retried, Event::Retried, NOW_NANOS + 10).expect("it is parked");
        assert_eq!(retried.state().name(), "confirming", "{state}");
        let answered = |value| reply(sent(retried.clone()).expect("it is sent"), Outcome::Done(value));
        let lost = answered(Value::Gone);
        assert!(lost.state().is_parked(), "promise 2: {state}: the source holds the last copy");
        let gone_on = answered(kit(FenceView::Open));
        let resumed = if state == "draining" { "lowering" } else { state };
        assert_eq!(gone_on.state().name(), resumed);
    }
    // It waited for a ledger for longer than anybody knows of the target.
    let mut assessing = sent(at("assessing")).expect("it is sent");
    let (ticket, outcome) = (assessing.counters().calls, Outcome::Done(Value::Assets(None)));
    let later_nanos = NOW_NANOS + 3_600_000_000_000;
    apply(&mut assessing, Event::Replied { ticket, outcome }, later_nanos).expect("it is awaited");
    assert_eq!(assessing.state().name(), "confirming", "promise 2");
}

#[test]
fn a_target_opens_though_somebody_stopped_its_source_and_the_source_is_told_before_it_is_drained() {
    let down = || Outcome::Transient(ReasonCode::NotRunning.into());
    let mut job = at("committed");
    for _ in 0..8 {
        job = reply(sent(job).expect("it is asked again"), down());
    }
    assert!(matches!(job.attempt().phase, Phase::Observe { .. }), "promise 8: it looks why: {job:?}");
    let stopped = Outcome::Done(view(RunState::Stopped));
    let job = reply(started(job).expect("it looks"), stopped);
    assert_eq!(job.state().name(), "retired", "users don't wait for whoever stopped it");
    let refused = Outcome::Refused(ReasonCode::Contradiction.into());
    let untold = reply(sent(at("draining")).expect("it is sent"), refused);
    assert_eq!(untold.state().name(), "telling");
    let told = reply(sent(untold).expect("it is sent"), Outcome::Done(Value::Acknowledged));
    assert_eq!(told.state().name(), "draining");
}

#[test]
fn a_rollback_leaves_what_others_hold_alone_and_is_done() {
    let refused = |state, code: ReasonCode| {
        let before = at(state);
        let after = reply(sent(before.clone()).expect("it is sent"), Outcome::Refused(code.into()));
        after.state() != before.state()
    };
    let undo = |undo: Undo| format!("rolling back: {:?}", Some(undo));
    let (swap_back, thaw) = (undo(Undo::SwapBack { index: 0 }), undo(Undo::ThawSource));
    let uninstall = undo(Undo::UninstallTarget);
    assert!(refused(&thaw, ReasonCode::HeldByOther), "another job's fence stays closed");
    assert!(refused(&swap_back, ReasonCode::NoRoute) && refused(&swap_back, ReasonCode::RouteConflict));
    assert!(refused(&uninstall, ReasonCode::Gone));
    for state in [&thaw, &swap_back, &uninstall] {
        assert!(!refused(state, ReasonCode::NotAuthorised), "{state} is tried again");
    }
}

#[test]
fn a_rollback_whose_source_is_gone_parks_before_the_target_is_emptied() {
    let job = seen("rolling back: Some(ThawSource)", Value::Gone);
    assert_eq!(job.state().name(), "parked");
    assert_eq!(job.target(), Some(canister(2)), "it may hold the last copy");
}

#[test]
fn a_target_that_is_gone_when_the_retention_ends_parks_before_the_source_is_emptied() {
    let job = reply(sent(at("confirming")).expect("it is sent"), Outcome::Done(Value::Gone));
    assert_eq!(job.state().name(), "parked");
}

#[test]
fn a_target_that_verified_in_its_last_pull_is_not_asked_again_and_believed_only_if_its_root_is_the_sealed_one()
 {
    let sealed = at("sealed");
    let State::Sealed { seal } = sealed.state().clone() else { panic!("{sealed:?}") };
    let answered = |verified| {
        let value = Value::Pulled { is_complete: true, done_bytes: 9, wire_bytes: 9, verified };
        reply(sent(sealed.clone()).expect("it pulls"), Outcome::Done(value))
    };
    assert_eq!(answered(None).state().name(), "pulled", "older targets don't say");
    assert_eq!(answered(Some(seal.clone())).state().name(), "target verified");
    let other = Seal { root: decant_engine::Digest([9; 32]), ..seal.clone() };
    let wrong = answered(Some(other));
    assert_eq!(wrong.reason_code(), Some(ReasonCode::RootMismatch), "{wrong:?}");
    let other = Seal { fingerprint: serde_bytes::ByteBuf::from(b"other".to_vec()), ..seal };
    assert_eq!(answered(Some(other)).reason_code(), Some(ReasonCode::RootMismatch));
}

#[test]
fn a_source_that_holds_something_else_at_the_last_look_is_not_switched() {
    let verified = at("target verified");
    let State::TargetVerified { seal } = verified.state().clone() else { panic!("{verified:?}") };
    let answered =
        |found| reply(sent(verified.clone()).expect("it looks"), Outcome::Done(Value::Hashed(found)));
    assert_eq!(answered(seal.clone()).state().name(), "switching");
    let root = Seal { root: decant_engine::Digest([9; 32]), ..seal.clone() };
    let fingerprint = Seal { fingerprint: serde_bytes::ByteBuf::from(b"other".to_vec()), ..seal };
    for other in [root, fingerprint] {
        assert_eq!(answered(other).reason_code(), Some(ReasonCode::ChangedAfterSeal));
    }
}

#[test]
fn a_source_whose_controllers_changed_after_its_target_was_given_them_rolls_back() {
    // A2: somebody who was taken off would control the target.
    let Value::Canister(mut other) = view(RunState::Stopped) else { panic!("a canister") };
    other.settings.controllers.pop();
    let job = reply(started(at("stopped")).expect("it looks"), Outcome::Done(Value::Canister(other)));
    assert!(matches!(job.state(), State::RollingBack { .. }), "{job:?}");
    assert!(job.explanation().is_some_and(|why| why.contains("controllers changed")), "{job:?}");
}

#[test]
fn the_target_of_a_source_that_controls_itself_controls_itself() {
    // A5: it had the source as a controller, an id that is never used again.
    let mut owner = status(RunState::Running, Some(1));
    let asked = sent(at("queued")).expect("it is sent");
    owner.settings.controllers = vec![asked.source(), canister(90)];
    let inspected = reply(asked, Outcome::Done(Value::Canister(owner)));
    let mut job = reply(sent(inspected).expect("it asks"), Outcome::Done(kit(FenceView::Open)));
    let target = canister(77);
    apply(&mut job, Event::TargetTaken { target, is_new: true }, NOW_NANOS + 20).expect("it is fresh");
    let step = decant_engine::next_step(&job, NOW_NANOS + 20, &decant_engine::Limits::default());
    let decant_engine::Step::Call { effect: decant_engine::Effect::UpdateSettings { settings, .. }, .. } =
        step
    else {
        panic!("{step:?}")
    };
    assert!(settings.controllers.contains(&target) && !settings.controllers.contains(&job.source()));
    assert!(settings.controllers.contains(&canister(90)) && settings.controllers.len() == 2);
}

/// A7: what a canister answers is cut before it is journalled, and is still known to be too large.
#[test]
fn two_megabytes_of_a_fingerprint_or_a_reason_make_no_record_of_that_size() {
    let fingerprint = ByteBuf::from(vec![7; 2_000_000]);
    let large = || Seal { fingerprint: fingerprint.clone(), ..seal() };
    let pulled = Value::Pulled { is_complete: true, done_bytes: 9, wire_bytes: 9, verified: Some(large()) };
    let reason = Reason::new(ReasonCode::Rejected, "x".repeat(2_000_000));
    assert!(reason.detail().len() <= MAX_DETAIL_BYTES);
    let told = [
        ("restarted", Outcome::Done(Value::Hashed(large())), Some(ReasonCode::TooLarge)),
        ("sealed", Outcome::Done(pulled), Some(ReasonCode::RootMismatch)),
        ("target verified", Outcome::Done(Value::Hashed(large())), Some(ReasonCode::ChangedAfterSeal)),
        ("restarted", Outcome::Refused(reason.clone()), Some(ReasonCode::Rejected)),
        ("draining", Outcome::Unknown(reason.clone()), Some(ReasonCode::Rejected)),
        ("frozen", Outcome::Transient(reason), Some(ReasonCode::Rejected)),
    ];
    for (state, outcome, code) in told {
        let outcome = outcome.bounded();
        let job = sent(at(state)).expect("it has a call");
        let event = Event::Replied { ticket: job.counters().calls, outcome: outcome.clone() };
        let job = reply(job, outcome);
        assert_eq!(job.reason_code(), code, "{state}: {:?}", job.state());
        for (what, bytes) in [("entry", stored(&event)), ("job", stored(&job))] {
            assert!(bytes < 8_192, "{what} of {state}: {bytes} bytes");
        }
    }
}

fn stored(record: &impl serde::Serialize) -> usize {
    let mut bytes = Vec::new();
    ciborium::into_writer(record, &mut bytes).expect("it can be stored");
    bytes.len()
}
