//! Every state met by every event: legal as the table says, or a typed refusal that changes nothing.

use decant_engine::{
    Effect, EnrolmentError, Event, FenceView, Job, KitView, LayoutView, Limits, Outcome, PlanEssentials,
    ReasonCode, Retention, RunState, Stage, State, Step, Value, Why, apply, invariants, next_step,
};

use crate::common::{
    NOW_NANOS, canister, gave_up, in_every_state, kit, new_job, new_job_with, observing, path, pulled, seal,
    sent, started, view, with_state,
};

/// What the call of a state may answer; what its observation may; whether it has none, and what happens then.
struct Row {
    state: &'static str,
    call: &'static [&'static str],
    observation: &'static [&'static str],
    /// Events that come without a call, besides giving up and aborting.
    others: &'static [&'static str],
}

const fn row(
    state: &'static str,
    call: &'static [&'static str],
    observation: &'static [&'static str],
    others: &'static [&'static str],
) -> Row {
    Row { state, call, observation, others }
}

const ACK: &[&str] = &["acknowledged"];
const STATUS: &[&str] = &["canister status", "gone"];
const KIT: &[&str] = &["kit status", "gone"];
const HASH: &[&str] = &["working", "hashed"];
const NONE: &[&str] = &[];

#[rustfmt::skip]
const TABLE: [Row; 54] = [
    row("queued",          STATUS,               NONE,   NONE),
    row("inspected",       KIT,                  NONE,   NONE),
    row("admitted",        NONE,                 NONE,   &["target taken", "pool empty"]),
    row("reserved",        ACK,                  STATUS, NONE),
    row("configured",      ACK,                  STATUS, NONE),
    row("installed",       ACK,                  KIT,    NONE),
    row("offering",        ACK,                  NONE,   NONE),
    row("pre-copying",     &["pulled"],          NONE,   NONE),
    row("provisioned",     ACK,                  KIT,    NONE),
    row("frozen",          ACK,                  STATUS, NONE),
    row("stopped",         ACK,                  STATUS, NONE),
    row("restarted",       HASH,                 NONE,   NONE),
    row("sealed",          &["pulled"],          NONE,   NONE),
    row("pulled",          HASH,                 NONE,   NONE),
    row("target verified", HASH,                 NONE,   NONE),
    row("switching",       ACK,                  NONE,   NONE),
    row("committed",       ACK,                  STATUS, NONE),
    row("retired",         ACK,                  KIT,    NONE),
    row("retaining",       NONE,                 NONE,   &["retention elapsed", "skipped", "revert requested"]),
    row("reverting",       ACK,                  STATUS, NONE),
    row("target frozen",   ACK,                  STATUS, NONE),
    row("target stopped",  ACK,                  STATUS, NONE),
    row("target restarted", HASH,                NONE,   NONE),
    row("target unchanged", HASH,                NONE,   NONE),
    row("source unchanged", &["assets"],         NONE,   NONE),
    row("nothing owned",   ACK,                  KIT,    NONE),
    row("starting target", ACK,                  NONE,   NONE),
    row("retiring again",  ACK,                  STATUS, NONE),
    row("thawing target",  ACK,                  KIT,    NONE),
    row("confirming",      KIT,                  STATUS, &["skipped"]),
    row("assessing",       &["assets"],          NONE,   &["skipped"]),
    row("lowering",        ACK,                  STATUS, &["skipped"]),
    row("draining",        &["working", "drained"], NONE, &["skipped"]),
    row("raising",         ACK,                  NONE,   &["skipped"]),
    row("telling",         ACK,                  NONE,   &["skipped"]),
    row("entombing",       ACK,                  STATUS, &["skipped"]),
    row("stopping",        ACK,                  STATUS, &["skipped"]),
    row("checking",        STATUS,               NONE,   &["skipped"]),
    row("deleting",        ACK,                  STATUS, &["skipped"]),
    row("emptying",        ACK,                  STATUS, &["skipped"]),
    row("clearing",        ACK,                  STATUS, &["skipped"]),
    row("waking",          ACK,                  STATUS, &["skipped"]),
    row("handing",         NONE,                 NONE,   &["source handed over"]),
    row("rolling back: Some(SwapBack { index: 0 })", ACK, NONE,   NONE),
    row("rolling back: Some(StartSource)",           ACK, STATUS, NONE),
    row("rolling back: Some(ThawSource)",            ACK, STATUS, NONE),
    row("rolling back: Some(CheckSealed)",           KIT, NONE,   NONE),
    row("rolling back: Some(CheckTarget)",           KIT, NONE,   NONE),
    row("rolling back: Some(UninstallTarget)",       ACK, STATUS, NONE),
    row("rolling back: Some(ResetTarget)",           ACK, STATUS, NONE),
    row("rolling back: Some(ReturnTarget)",          NONE, NONE,  &["target returned"]),
    row("done",            NONE,                 NONE,   NONE),
    row("rolled back",     NONE,                 NONE,   NONE),
    row("parked",          NONE,                 NONE,   &["retried", "skipped"]),
];

fn values() -> Vec<Value> {
    vec![
        Value::Acknowledged,
        view(RunState::Running),
        Value::Gone,
        kit(FenceView::Open),
        Value::Working { done_bytes: 1 },
        Value::Hashed(seal()),
        pulled(false),
        Value::Drained { total_cycles: 1 },
        Value::Assets(None),
    ]
}

fn others() -> Vec<Event> {
    vec![
        Event::TargetTaken { target: canister(3), is_new: false },
        Event::PoolEmpty,
        Event::TargetReturned,
        Event::SourceHandedOver,
        Event::RetentionElapsed,
        gave_up(),
        Event::AbortRequested,
        Event::Retried,
        Event::Skipped,
        Event::RevertRequested,
    ]
}

/// Applies; checks that a refusal changes nothing and that what is accepted keeps the invariants.
pub(crate) fn try_event(job: &Job, event: Event) -> Result<Job, Why> {
    let mut changed = job.clone();
    match apply(&mut changed, event, NOW_NANOS + 9) {
        Ok(()) => {
            assert_eq!(invariants(&changed), Ok(()));
            Ok(changed)
        }
        Err(illegal) => {
            assert_eq!(&changed, job, "{illegal}");
            assert_eq!(illegal.job, job.id());
            Err(illegal.why)
        }
    }
}

pub(crate) fn reply(job: &Job, outcome: Outcome) -> Result<Job, Why> {
    try_event(job, Event::Replied { ticket: job.counters().calls, outcome })
}

#[test]
fn the_table_has_every_state() {
    let labels: Vec<_> = in_every_state().into_iter().map(|(label, _)| label).collect();
    for row in &TABLE {
        assert!(labels.iter().any(|label| label == row.state), "{} is not reached: {labels:?}", row.state);
    }
    assert_eq!(labels.len(), TABLE.len(), "{labels:?}");
}

#[test]
fn every_state_takes_the_events_of_the_table_and_refuses_all_others() {
    for (label, job) in in_every_state() {
        let row = TABLE.iter().find(|row| row.state == label).expect("the table has every state");
        for event in others() {
            let is_running = !job.state().is_ended() && !job.state().is_parked();
            let expected = match event {
                Event::GaveUp { .. } => is_running,
                Event::AbortRequested => job.state().stage() == Stage::BeforeCommit,
                _ => row.others.contains(&event.name()),
            };
            let name = event.name();
            let found = try_event(&job, event);
            assert_eq!(found.is_ok(), expected, "{label} x {name}: {found:?}");
            match found {
                _ if expected => {}
                Err(Why::NoWayBack { .. }) => assert_eq!(name, "revert requested", "{label}"),
                found => assert_eq!(found, Err(Why::WrongState), "{label} x {name}"),
            }
        }
        let unasked = reply(&job, Outcome::Done(Value::Acknowledged));
        assert_eq!(unasked, Err(Why::NoCallUnderWay), "{label}");
        assert_eq!(started(job).is_some(), !row.call.is_empty(), "{label} x started");
    }
}

#[test]
fn every_call_and_observation_answers_what_the_table_says_and_nothing_else() {
    for (label, job) in in_every_state() {
        let row = TABLE.iter().find(|row| row.state == label).expect("the table has every state");
        let looks = observing(job.clone());
        assert_eq!(looks.is_some(), !row.observation.is_empty(), "{label} has an observation");
        for (job, allowed) in [(sent(job), row.call), (looks, row.observation)] {
            let Some(job) = job else { continue };
            for value in values() {
                let name = value.name();
                let found = reply(&job, Outcome::Done(value));
                let is_allowed = allowed.contains(&name);
                assert_eq!(
                    found.is_ok(),
                    is_allowed,
                    "{label} x {name}, {}: {found:?}",
                    job.attempt().phase.name()
                );
                if !is_allowed {
                    assert_eq!(found, Err(Why::WrongValue { value: name }));
                }
            }
            for outcome in [Outcome::Refused, Outcome::Transient, Outcome::Unknown] {
                let after = reply(&job, outcome(ReasonCode::Rejected.into())).expect("any call may fail");
                assert!(!after.attempt().phase.is_in_flight(), "{label}");
            }
        }
    }
}

#[test]
fn nothing_but_a_reply_and_an_abort_happens_while_a_call_is_under_way() {
    for (label, job) in in_every_state() {
        for job in [sent(job.clone()), observing(job)].into_iter().flatten() {
            let step = next_step(&job, NOW_NANOS + 9, &Limits::default());
            assert_eq!(step, Step::InFlight { ticket: job.counters().calls }, "{label}");
            for event in others() {
                let name = event.name();
                let found = try_event(&job, event);
                let may_abort = name == "abort requested" && job.state().stage() == Stage::BeforeCommit;
                assert_eq!(found.is_ok(), may_abort, "{label} x {name}: {found:?}");
                if let Ok(aborting) = found {
                    assert_eq!(aborting.state(), job.state(), "an abort waits for the reply");
                }
            }
            assert!(started(job.clone()).is_none(), "{label}: one call at a time");
            let ticket = job.counters().calls + 1;
            let other = try_event(&job, Event::reply_lost(ticket));
            assert_eq!(other, Err(Why::OtherTicket { ticket, expected: ticket - 1 }), "{label}");
        }
    }
}

#[test]
fn a_target_is_neither_the_source_nor_an_index() {
    let (_, job) =
        in_every_state().into_iter().find(|(label, _)| label == "admitted").expect("it is reached");
    let management = candid::Principal::management_canister();
    for target in [job.source(), job.indexes()[0], management] {
        assert_eq!(
            try_event(&job, Event::TargetTaken { target, is_new: false }),
            Err(Why::BadTarget { target })
        );
    }
}

#[test]
fn a_job_needs_one_to_eight_different_indexes_and_a_bucket() {
    let job = new_job(decant_engine::Retention::None, 8);
    let (source, plan) = (job.source(), *job.plan());
    let make = |indexes: &[candid::Principal]| Job::new(1, source, indexes.to_vec(), plan, 0);
    assert!(make(&[]).is_err());
    assert!(make(&(10..19).map(canister).collect::<Vec<_>>()).is_err());
    assert!(make(&[canister(10), canister(10)]).is_err());
    assert!(make(&[source]).is_err());
    let plan = decant_engine::PlanEssentials { bucket_pages: 0, ..plan };
    assert!(Job::new(1, source, vec![canister(10)], plan, 0).is_err());
}

#[test]
fn only_an_original_that_would_be_deleted_can_go_to_others() {
    let job = new_job(Retention::None, 1);
    let recycled = PlanEssentials { recycled_with_cycles: Some(1), ..*job.plan() };
    let make = |plan| Job::new(1, job.source(), job.indexes().to_vec(), plan, 0);
    for retention in [Retention::None, Retention::Frozen { seconds: 9 }] {
        make(PlanEssentials { retention, ..recycled }).expect("it would be deleted");
    }
    let tombstone = Retention::Tombstone { module_hash: decant_engine::Digest([3; 32]) };
    let kept = [
        PlanEssentials { retention: tombstone, ..recycled },
        PlanEssentials { strategy: decant_engine::Strategy::Repack, ..recycled },
    ];
    for plan in kept {
        assert!(matches!(make(plan), Err(EnrolmentError::NothingToRecycle { .. })), "{plan:?}");
    }
}

#[test]
fn tries_slices_and_deadlines_end_every_step_before_the_commit_point_and_all_others_wait() {
    let limits = Limits { max_slices: 3, ..Limits::default() };
    for (label, job) in in_every_state() {
        let Some(mut job) = sent(job) else { continue };
        let mut now_nanos = NOW_NANOS + 9;
        let state = job.state().clone();
        for _ in 0..1_000 {
            match next_step(&job, now_nanos, &limits) {
                Step::Call { ticket, .. } => {
                    apply(&mut job, Event::Started { ticket }, now_nanos).expect("next")
                }
                Step::InFlight { ticket } => {
                    let outcome = Outcome::Transient(ReasonCode::OutOfCycles.into());
                    apply(&mut job, Event::Replied { ticket, outcome }, now_nanos)
                        .expect("any call may fail");
                }
                Step::Wait { until_nanos } => now_nanos = until_nanos,
                Step::Record(event) => {
                    assert_eq!(event.name(), "gave up", "{label}");
                    apply(&mut job, event, now_nanos).expect("next");
                    break;
                }
                other => panic!("{label}: {other:?}"),
            }
        }
        if !matches!(state.stage(), Stage::BeforeCommit | Stage::Reverting) {
            assert!(job.waits_for_others() && job.trouble().is_some(), "{label} says what it waits for");
            continue;
        }
        assert_ne!(job.state(), &state, "{label} ends");
        assert!(state.stage() != Stage::Reverting || job.state().stage() == Stage::AfterCommit, "{label}");
        match label.as_str() {
            "offering" | "pre-copying" => assert_eq!(job.state().name(), "provisioned", "on without it"),
            _ => assert!(job.explanation().is_some(), "{label} says why"),
        }
    }
}

#[test]
fn a_source_is_copied_before_the_freeze_if_the_plan_wants_it_and_it_is_large_enough() {
    let names = |min_pages| {
        let job = new_job_with(decant_engine::Retention::None, 1, min_pages);
        let states: Vec<_> = path(job).iter().map(|job| job.state().name()).collect();
        let installed = states.iter().position(|name| *name == "installed").expect("it is reached");
        states[installed + 1..installed + 4].to_vec()
    };
    for min_pages in [Some(0), Some(1), Some(4)] {
        assert_eq!(names(min_pages), ["offering", "pre-copying", "provisioned"]);
    }
    for min_pages in [None, Some(5)] {
        assert_eq!(names(min_pages), ["provisioned", "frozen", "stopped"]);
    }
}

#[test]
fn whatever_is_refused_in_a_pre_copy_the_job_goes_on_without_unless_somebody_is_gone() {
    for label in ["offering", "pre-copying"] {
        let (_, job) = in_every_state().into_iter().find(|(known, _)| known == label).expect("it is reached");
        let refused = |code: ReasonCode| {
            let after = reply(&sent(job.clone()).expect("it is sent"), Outcome::Refused(code.into()));
            after.expect("any call may fail").state().name()
        };
        for code in [ReasonCode::HeldByOther, ReasonCode::Unreadable, ReasonCode::NoKit, ReasonCode::Trapped]
        {
            assert_eq!(refused(code), "provisioned", "{label}");
        }
        assert_eq!(refused(ReasonCode::Gone), "rolling back", "{label}");
    }
}

/// The job after its sliced step answered that it works, so many times, each with progress or all without.
fn sliced(label: &str, slices: u64, has_progress: bool) -> Job {
    let (_, mut job) = in_every_state().into_iter().find(|(known, _)| known == label).expect("it is reached");
    for slice in 1..=slices {
        let done_bytes = if has_progress { slice } else { 0 };
        job = reply(&sent(job).expect("it is sliced"), Outcome::Done(Value::Working { done_bytes }))
            .expect("working");
    }
    job
}

#[test]
fn a_sliced_step_is_bounded_by_slices_if_it_progresses_and_by_tries_if_it_does_not() {
    let limits = Limits { max_slices: 50, ..Limits::default() };
    let gives_up =
        |job: &Job| matches!(next_step(job, NOW_NANOS + 10, &limits), Step::Record(Event::GaveUp { .. }));
    for label in
        ["restarted", "pulled", "target verified", "target restarted", "target unchanged", "draining"]
    {
        assert!(!gives_up(&sliced(label, 49, true)), "{label}");
        assert!(gives_up(&sliced(label, 50, true)), "{label}");
        assert_eq!(gives_up(&sliced(label, 24, false)), label != "draining", "{label}");
    }
}

#[test]
fn nobody_waits_longer_than_the_limit_however_well_it_goes() {
    let limits = Limits::default();
    let of_move =
        ["frozen", "stopped", "restarted", "sealed", "pulled", "target verified", "switching", "committed"];
    let of_revert = [
        "reverting",
        "target frozen",
        "target stopped",
        "target restarted",
        "target unchanged",
        "source unchanged",
        "nothing owned",
    ];
    for label in of_move.into_iter().chain(of_revert) {
        let (_, job) = in_every_state().into_iter().find(|(known, _)| known == label).expect("it is reached");
        let fenced_nanos = job.times().fenced_nanos.expect("it is fenced");
        let step = |after_nanos| next_step(&job, fenced_nanos + after_nanos, &limits);
        assert!(matches!(step(TWO_HOURS_NANOS - 1), Step::Call { .. }), "{label}");
        let is_over = matches!(step(TWO_HOURS_NANOS), Step::Record(Event::GaveUp { .. }));
        assert_eq!(is_over, label != "committed", "{label}");
    }
}

const TWO_HOURS_NANOS: u64 = 7_200_000_000_000;

#[test]
fn nobody_waits_longer_than_the_plan_allows_where_that_is_less() {
    for (max_wait_seconds, allowed_nanos) in [(600, 600_000_000_000), (u32::MAX, TWO_HOURS_NANOS)] {
        let job = new_job(Retention::None, 1);
        let plan = PlanEssentials { max_wait_seconds: Some(max_wait_seconds), ..*job.plan() };
        let job = Job::new(1, job.source(), job.indexes().to_vec(), plan, NOW_NANOS).expect("a job");
        let sealed = path(job).into_iter().find(|it| it.state().name() == "sealed").expect("it is sealed");
        let fenced_nanos = sealed.times().fenced_nanos.expect("it is fenced");
        let step = |after_nanos| next_step(&sealed, fenced_nanos + after_nanos, &Limits::default());
        assert!(matches!(step(allowed_nanos - 1), Step::Call { .. }), "{max_wait_seconds}");
        assert!(matches!(step(allowed_nanos), Step::Record(Event::GaveUp { .. })), "{max_wait_seconds}");
    }
}

/// S11: what would only be found out by the fence's end is refused before anything is stopped.
#[test]
fn a_state_that_can_not_pass_while_the_source_may_be_fenced_is_refused_before_it_is() {
    const GIB_PAGES: u64 = 16_384;
    let ended = |precopy_min_pages: Option<u64>, used_pages: u64| {
        let job = new_job_with(Retention::None, 1, precopy_min_pages);
        let inspected = path(job).into_iter().find(|job| matches!(job.state(), State::Inspected { .. }));
        let mut job = inspected.expect("it is reached");
        let ticket = job.counters().calls + 1;
        apply(&mut job, Event::Started { ticket }, NOW_NANOS).expect("it looks");
        let layout = LayoutView::Managed { memories: 1, used_pages };
        let view = KitView {
            kit_version: 1,
            fence: FenceView::Open,
            layout,
            stable_pages: used_pages + 128,
            has_root: false,
        };
        let outcome = Outcome::Done(Value::Kit(view));
        apply(&mut job, Event::Replied { ticket, outcome }, NOW_NANOS).expect("a kit's status");
        job
    };
    let refused = ended(None, 64 * GIB_PAGES);
    assert_eq!(refused.times().fenced_nanos, None);
    let told = refused.explanation().expect("it is refused");
    assert!(told.contains("pages pass in ") && told.contains("7200 s at most"), "{told}");
    assert_eq!(refused.reason_code(), Some(ReasonCode::TooLarge));
    let is_admitted = |job: &Job| matches!(job.state(), State::Admitted { .. });
    assert!(is_admitted(&ended(None, GIB_PAGES)), "a gibibyte passes");
    assert!(is_admitted(&ended(Some(1), 64 * GIB_PAGES)), "what is copied before does not pass in the fence");
}

#[test]
fn a_retired_source_that_holds_something_else_is_kept_and_looked_at_by_an_operator() {
    let mut draining = 0;
    for (label, job) in in_every_state().into_iter().filter(|(label, _)| label == "draining") {
        draining += 1;
        let mut job = sent(job).expect(&label);
        let ticket = job.counters().calls;
        let outcome = Outcome::Refused(ReasonCode::ChangedAfterSeal.into());
        apply(&mut job, Event::Replied { ticket, outcome }, NOW_NANOS + 3).expect(&label);
        let mut job =
            reply(&sent(job).expect("it raises"), Outcome::Done(Value::Acknowledged)).expect(&label);
        assert!(job.state().is_parked(), "{:?}", job.state());
        let explanation = job.explanation().expect("a parked job says why");
        for part in ["wrote after the seal", "nothing is deleted", "delete it yourself", "decant_retry("] {
            assert!(explanation.contains(part), "{explanation}");
        }
        // An operator moves it on: it looks again, and a source that he deleted is done with.
        apply(&mut job, Event::Retried, NOW_NANOS + 4).expect("it is parked");
        assert_eq!(job.state().name(), "confirming", "at the target first: it waited for long");
        let seen = Outcome::Done(kit(FenceView::Open));
        let job = reply(&sent(job).expect("it looks"), seen).expect("it is seen");
        assert_eq!(job.state().name(), "lowering");
        let mut job = sent(job).expect("it looks again");
        let ticket = job.counters().calls;
        let gone = Outcome::Refused(ReasonCode::Gone.into());
        apply(&mut job, Event::Replied { ticket, outcome: gone }, NOW_NANOS + 5).expect("it is answered");
        assert_eq!(job.state().name(), "done");
    }
    assert!(draining > 0);
}

/// What a job does to the freezing threshold of its source, the look before it left out.
fn thresholds(job: Job) -> Vec<u64> {
    let calls =
        path(job).into_iter().filter_map(|job| match next_step(&job, NOW_NANOS + 1, &Limits::default()) {
            Step::Call {
                effect: Effect::SetFreezingThreshold { seconds, .. },
                is_observation: false,
                ..
            } => Some(seconds),
            _ => None,
        });
    calls.collect()
}

#[test]
fn what_a_source_reserves_is_drained_too_and_reserved_again_where_it_is_not_drained() {
    for retention in [decant_engine::Retention::None, decant_engine::Retention::Frozen { seconds: 60 }] {
        assert_eq!(thresholds(new_job(retention, 1)), [0], "lowered once, and only before it is drained");
    }
    let (_, job) =
        in_every_state().into_iter().find(|(label, _)| label == "draining").expect("it is reached");
    let refused =
        |code: ReasonCode| reply(&sent(job.clone()).expect("it is sent"), Outcome::Refused(code.into()));
    let changed = refused(ReasonCode::ChangedAfterSeal).expect("any call may fail");
    let gave_up = try_event(&job, gave_up()).expect("it can be given up");
    let skipped = try_event(&job, Event::Skipped).expect("it can be skipped");
    for (undrained, end) in [(changed, "parked"), (gave_up, "parked"), (skipped, "done")] {
        assert_eq!(thresholds(undrained.clone()), [2_592_000], "as it was: {:?}", undrained.state());
        assert_eq!(path(undrained).last().map(|job| job.state().name()), Some(end));
    }
}

#[test]
fn a_job_that_an_earlier_build_left_draining_lowers_what_is_reserved_first() {
    let (_, job) =
        in_every_state().into_iter().find(|(label, _)| label == "draining").expect("it is reached");
    let job = with_state(&job, "25");
    let names: Vec<_> = path(job.clone()).iter().map(|job| job.state().name()).collect();
    assert_eq!(names[0], "draining");
    assert_eq!(thresholds(job), [0], "{names:?}");
    assert_eq!(names.last(), Some(&"done"), "{names:?}");
}
