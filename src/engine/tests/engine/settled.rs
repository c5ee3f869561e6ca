//! The way back and what is committed: others are waited for, people decide what only they can, and both may be skipped.

use decant_engine::{
    Effect, Event, FenceView, Job, Limits, Outcome, ReasonCode, RunState, State, Step, Undo, apply, next_step,
};

use crate::common::{NOW_NANOS, gave_up, holder, in_every_state, kit, new_job, path, sent, view};
use crate::transitions::{reply, try_event};

/// The job after so many tries of its step that ended so.
fn tried(mut job: Job, times: u32, outcome: &Outcome) -> Job {
    for _ in 0..times {
        job = reply(&sent(job).expect("it can be sent"), outcome.clone()).expect("it ended");
    }
    job
}

fn find(label: &str) -> Job {
    in_every_state().into_iter().find(|(known, _)| known == label).expect("it is reached").1
}

const YEAR_NANOS: u64 = 31_536_000_000_000_000;

fn gives_up_after_a_year(job: &Job) -> bool {
    matches!(next_step(job, NOW_NANOS + YEAR_NANOS, &Limits::default()), Step::Record(Event::GaveUp { .. }))
}

#[test]
fn the_way_back_needs_nobody_it_goes_on_at_the_cap_for_ever_and_reports() {
    let down = Outcome::Transient(ReasonCode::NotRunning.into());
    let no = Outcome::Refused(ReasonCode::NotAuthorised.into());
    for label in ["rolling back: Some(SwapBack { index: 0 })", "rolling back: Some(ThawSource)"] {
        for outcome in [&down, &no] {
            let job = tried(find(label), 1_000, outcome);
            assert!(!gives_up_after_a_year(&job), "{label}");
            assert!(job.waits_for_others() && job.trouble().is_some(), "{label}");
            let Step::Wait { until_nanos } = next_step(&job, job.attempt().last_nanos, &Limits::default())
            else {
                panic!("{label}: it waits")
            };
            // Somebody has to mend it: it is asked every two minutes for two hours, then every quarter of an hour.
            let waits_nanos = until_nanos - job.attempt().last_nanos;
            assert!(waits_nanos <= Limits::default().backoff_last_nanos, "{label}");
            let early = tried(find(label), 60, outcome);
            let Step::Wait { until_nanos } =
                next_step(&early, early.attempt().last_nanos, &Limits::default())
            else {
                panic!("{label}: it waits")
            };
            let waits_nanos = until_nanos - early.attempt().last_nanos;
            assert!(waits_nanos <= Limits::default().backoff_cap_nanos, "{label}");
        }
    }
}

#[test]
fn a_person_decides_what_is_refused_again_and_again_after_the_commit_point_and_nothing_else() {
    let no = Outcome::Refused(ReasonCode::NotAuthorised.into());
    let down = Outcome::Transient(ReasonCode::NotRunning.into());
    assert!(!gives_up_after_a_year(&tried(find("committed"), 23, &no)));
    assert!(gives_up_after_a_year(&tried(find("committed"), 24, &no)));
    assert!(!gives_up_after_a_year(&tried(find("committed"), 1_000, &down)));
}

/// The job after so many calls of its step trapped at their callee, which a look finds as it was.
fn trapped(mut job: Job, times: u32) -> Job {
    let mut now_nanos = NOW_NANOS + YEAR_NANOS;
    let mut calls = 0;
    while calls < times {
        let (ticket, effect, is_observation) = match next_step(&job, now_nanos, &Limits::default()) {
            Step::Call { ticket, effect, is_observation } => (ticket, effect, is_observation),
            Step::Wait { until_nanos } => {
                now_nanos = until_nanos;
                continue;
            }
            other => panic!("{other:?} after {calls} of {times} calls: {job:?}"),
        };
        let outcome = match effect {
            _ if !is_observation => Outcome::Unknown(ReasonCode::Trapped.into()),
            Effect::CanisterStatus { .. } | Effect::Look { .. } => Outcome::Done(view(RunState::Running)),
            _ => Outcome::Done(kit(FenceView::Importing(holder()))),
        };
        calls += u32::from(!is_observation);
        apply(&mut job, Event::Started { ticket }, now_nanos).expect("it can be sent");
        apply(&mut job, Event::Replied { ticket, outcome }, now_nanos).expect("it ended");
    }
    job
}

#[test]
fn a_source_that_only_traps_after_the_commit_point_parks_its_job_with_the_reason() {
    for label in ["committed", "retired"] {
        assert!(!gives_up_after_a_year(&trapped(find(label), 23)), "{label}");
        let job = trapped(find(label), 24);
        let Step::Record(event) = next_step(&job, NOW_NANOS + YEAR_NANOS, &Limits::default()) else {
            panic!("promise 8: {label} is parked")
        };
        let mut parked = job;
        apply(&mut parked, event, NOW_NANOS + YEAR_NANOS).expect("it gives up");
        assert!(parked.state().is_parked() && parked.root().is_some(), "{parked:?}");
        assert!(parked.explanation().is_some_and(|why| why.contains("decant_retry")), "{parked:?}");
    }
    let back = find("rolling back: Some(ThawSource)");
    assert!(!gives_up_after_a_year(&trapped(back, 1_000)), "the way back needs nobody");
}

#[test]
fn what_could_not_be_sent_is_no_try_and_is_waited_after_as_one() {
    for code in [ReasonCode::NotSent, ReasonCode::RateLimited, ReasonCode::LookedAtByOther] {
        let job = tried(find("provisioned"), 100, &Outcome::Transient(code.into()));
        assert_eq!((job.attempt().tries, job.attempt().waits()), (0, 100));
        let soon_nanos = NOW_NANOS + 1_000_000_000;
        assert!(matches!(next_step(&job, soon_nanos, &Limits::default()), Step::Wait { .. }), "{code:?}");
        // Nobody waits for ever for a step before the commit point, whoever is to blame.
        assert!(gives_up_after_a_year(&job), "{code:?}");
    }
    let job = tried(find("provisioned"), 8, &Outcome::Transient(ReasonCode::OutOfCycles.into()));
    let later_nanos = NOW_NANOS + 600_000_000_000;
    assert!(matches!(next_step(&job, later_nanos, &Limits::default()), Step::Record(Event::GaveUp { .. })));
}

#[test]
fn users_get_their_canister_back_before_an_index_that_is_down() {
    // Each swap was rejected before the index saw it: its route names the source.
    let down = Outcome::Transient(ReasonCode::NotRunning.into());
    let mut job = tried(find("switching"), 8, &down);
    apply(&mut job, gave_up(), NOW_NANOS + 9).expect("it can be given up");
    let State::RollingBack { undo, .. } = job.state() else { panic!("{job:?}") };
    assert!(!undo.iter().any(|it| matches!(it, Undo::SwapBack { .. })), "{undo:?}");
    // Nobody knows of one of them: it is swapped back when users have their canister. What its route may name meanwhile takes
    // nothing, and they would be waiting for that index anyway.
    let unknown = Outcome::Unknown(ReasonCode::ReplyLost.into());
    let mut job = tried(tried(find("switching"), 1, &unknown), 3, &down);
    apply(&mut job, gave_up(), NOW_NANOS + 9).expect("it can be given up");
    let State::RollingBack { undo, .. } = job.state() else { panic!("{job:?}") };
    let position = |wanted: &Undo| undo.iter().position(|it| it == wanted).expect("it is undone");
    let swap = position(&Undo::SwapBack { index: 0 });
    assert!(swap < position(&Undo::ThawSource), "users first: {undo:?}");
    assert!(swap > position(&Undo::CheckTarget), "while the target holds the state: {undo:?}");
    // Of two, the one that did not answer comes last: the other sends its users to their canister again.
    let two = path(new_job(decant_engine::Retention::None, 2)).into_iter();
    let at_second = two.rev().find(|job| matches!(job.state(), State::Switching { next: 1, .. }));
    let mut job = tried(at_second.expect("it has two"), 1, &unknown);
    apply(&mut job, gave_up(), NOW_NANOS + 9).expect("it can be given up");
    let State::RollingBack { undo, .. } = job.state() else { panic!("{job:?}") };
    let position = |wanted: &Undo| undo.iter().position(|it| it == wanted).expect("it is undone");
    assert!(position(&Undo::SwapBack { index: 0 }) > position(&Undo::SwapBack { index: 1 }), "{undo:?}");
}

#[test]
fn what_is_under_way_before_the_commit_point_has_an_end_also_for_whoever_holds_it() {
    let limits = Limits::default();
    let lost = Outcome::Unknown(ReasonCode::ReplyLost.into());
    for (label, deadline_nanos) in
        [("provisioned", limits.step_deadline_nanos), ("frozen", limits.stop_deadline_nanos)]
    {
        let job = tried(find(label), 1, &lost);
        let ends_nanos = limits.gives_up_nanos(&job).expect("promise 8: it has an end");
        assert_eq!(ends_nanos, job.attempt().first_nanos + deadline_nanos, "{label}");
        assert!(
            matches!(next_step(&job, ends_nanos, &limits), Step::Record(Event::GaveUp { .. })),
            "{label}"
        );
    }
    assert_eq!(limits.gives_up_nanos(&find("provisioned")), None, "nothing is under way");
}

#[test]
fn what_is_skipped_is_left_undone_and_the_job_ends() {
    for label in [
        "retaining",
        "confirming",
        "lowering",
        "raising",
        "entombing",
        "deleting",
        "emptying",
        "clearing",
        "waking",
    ] {
        let job = try_event(&find(label), Event::Skipped).expect(label);
        assert!(matches!(job.state(), State::Done { .. }), "{label}");
    }
    for (label, _) in in_every_state() {
        let before = find(&label);
        if matches!(before.state(), State::RollingBack { .. }) && !label.contains("ReturnTarget") {
            assert!(try_event(&before, Event::Skipped).is_err(), "{label}: it may well get on");
            let before = tried(before, 8, &Outcome::Transient(ReasonCode::NotRunning.into()));
            let job = try_event(&before, Event::Skipped).expect(&label);
            let State::RollingBack { undo, .. } = job.state() else {
                assert!(matches!(job.state(), State::RolledBack { .. }), "{label}: {job:?}");
                continue;
            };
            let is_kept = job.target().is_some();
            assert_eq!(
                undo.contains(&Undo::ReturnTarget),
                is_kept,
                "{label}: no target is in the pool unemptied"
            );
            let is_of_source =
                ["SwapBack", "ThawSource", "CheckSealed", "StartSource"].iter().any(|it| label.contains(it));
            assert_eq!(is_kept, is_of_source, "{label}");
        }
    }
    for label in ["queued", "sealed", "switching", "committed", "retired", "handing", "done", "rolled back"] {
        assert!(try_event(&find(label), Event::Skipped).is_err(), "{label}");
    }
}
