//! Back behind the commit point: while the source is retained, and only if nothing was written since it moved.

use decant_engine::{
    CanisterView, Digest, Event, FenceView, Job, KitView, Limits, Outcome, ReasonCode, Retention, RunState,
    Seal, State, Step, Undo, Value, Why, next_step,
};
use serde_bytes::ByteBuf;

use crate::common::{
    NOW_NANOS, applied, holder, in_every_state, is_reverting, kit, new_job, observing, path, reverting, seal,
    sent, started, status,
};
use crate::transitions::{reply, try_event};

fn find(label: &str) -> Job {
    in_every_state().into_iter().find(|(known, _)| known == label).expect("it is reached").1
}

/// A job whose source is retained, of two indexes.
fn retained() -> Job {
    let jobs = path(new_job(Retention::Frozen { seconds: 60 }, 2));
    jobs.into_iter().find(|job| job.state().name() == "retaining").expect("it is reached")
}

/// The methods that a job calls in a healthy world, looks included.
fn methods(job: Job) -> Vec<&'static str> {
    let call = |job: Job| match next_step(&job, NOW_NANOS + 1, &Limits::default()) {
        Step::Call { effect, .. } => Some(effect.method()),
        _ => None,
    };
    path(job).into_iter().filter_map(call).collect()
}

/// The state that the job comes to at last, with why.
fn told(job: &Job) -> (&'static str, Option<ReasonCode>) {
    (job.state().name(), job.reason_code())
}

/// The job after a look at its target that answers this.
fn looked(job: Job, seen: Value) -> Job {
    reply(&started(job).expect("it looks"), Outcome::Done(seen)).expect("it is seen")
}

/// The job after the call of its state is refused.
fn refused(label: &str, code: ReasonCode) -> Job {
    reply(&sent(find(label)).expect("it is sent"), Outcome::Refused(code.into())).expect("it is refused")
}

fn hashed(label: &str, found: Seal) -> Job {
    reply(&sent(find(label)).expect("it is sent"), Outcome::Done(Value::Hashed(found))).expect("it is hashed")
}

#[test]
fn an_untouched_target_is_sealed_before_the_source_opens_and_given_back_after_it() {
    let expected = [
        // Promise 1: the target takes no write from here on.
        "canister_status",
        "decant_freeze",
        "stop_canister",
        "canister_status",
        "start_canister",
        "decant_seal",
        "decant_recheck",
        "icrc1_balance_of",
        "decant_status",
        "decant_reinstate",
        // Promise 3: then the routes, and only then the source.
        "decant_swap",
        "decant_swap",
        "start_canister",
        "decant_status",
        // Promise 12: nobody took what the target holds.
        "canister_status",
        "decant_thaw",
        "decant_status",
        "canister_status",
        "uninstall_code",
        "canister_status",
        "update_settings",
    ];
    let job = reverting(retained());
    assert_eq!(methods(job.clone()), expected);
    let end = path(job).pop().expect("it ends");
    assert_eq!(told(&end), ("rolled back", Some(ReasonCode::Reverted)));
    assert_eq!((end.target(), end.times().committed_nanos), (None, None));
    let asked_nanos = reverting(retained()).times().fenced_nanos;
    assert_eq!(end.times().fenced_nanos, asked_nanos, "what users waited for the way back is told");
    assert!(end.times().served_nanos.is_some() && asked_nanos > retained().times().fenced_nanos);
}

#[test]
fn a_target_that_was_written_to_serves_on_and_the_source_is_kept_for_the_rest_of_the_time() {
    let before = find("retaining");
    let other = [
        ("target restarted", Seal { root: Digest([6; 32]), ..seal() }),
        ("target unchanged", Seal { fingerprint: ByteBuf::from(vec![1]), ..seal() }),
    ];
    for (label, found) in other {
        let job = hashed(label, found);
        assert_eq!(told(&job), ("thawing target", Some(ReasonCode::WrittenSince)), "{label}");
        let thawed =
            reply(&sent(job).expect("it thaws"), Outcome::Done(Value::Acknowledged)).expect("thawed");
        assert_eq!(thawed.state(), before.state(), "{label}: until the same moment");
        assert_eq!(thawed.times(), before.times(), "{label}: what users waited for the move is still told");
        assert_eq!(told(&thawed), ("retaining", Some(ReasonCode::WrittenSince)));
        let why = thawed.explanation().expect("it says why it was not reverted");
        assert!(why.contains("users wrote to the target"), "{why}");
        assert_eq!(told(&path(thawed).pop().expect("it ends")).0, "done");
    }
}

#[test]
fn what_the_target_owns_by_now_or_the_source_does_not_hold_keeps_it_from_going_back() {
    let asked = sent(find("source unchanged")).expect("it asks");
    let owns =
        reply(&asked, Outcome::Done(Value::Assets(Some("7 of a ledger".to_owned())))).expect("it is told");
    assert_eq!(told(&owns), ("thawing target", Some(ReasonCode::HasAssets)));
    let beaten = hashed("target unchanged", Seal { root: Digest([6; 32]), ..seal() });
    assert_eq!(told(&beaten), ("thawing target", Some(ReasonCode::ChangedAfterSeal)));
}

#[test]
fn promise_12_a_target_that_others_upgraded_or_stopped_is_not_touched() {
    let view = status(RunState::Running, Some(0xff));
    let seen = [
        (CanisterView { acted: Some("upgraded by x".to_owned()), ..view.clone() }, ReasonCode::OthersActed),
        (CanisterView { module_hash: Some(Digest([1; 32])), ..view.clone() }, ReasonCode::OthersActed),
        (CanisterView { run_state: RunState::Stopped, ..view }, ReasonCode::NotRunning),
    ];
    for (view, code) in seen {
        let job = looked(find("reverting"), Value::Canister(view));
        assert_eq!(told(&job), ("retaining", Some(code)), "nothing was called but the look");
    }
}

#[test]
fn promise_2_a_target_that_is_gone_leaves_the_source_to_a_person() {
    let mut gone = vec![looked(find("reverting"), Value::Gone)];
    gone.extend(["starting target", "thawing target"].map(|label| refused(label, ReasonCode::Gone)));
    let thawing = observing(find("thawing target")).expect("it is looked after");
    gone.push(reply(&thawing, Outcome::Done(Value::Gone)).expect("it is seen"));
    for job in gone {
        assert_eq!(told(&job), ("parked", Some(ReasonCode::Gone)));
        let why = job.explanation().expect("it says why");
        assert!(why.starts_with("retaining") && why.contains("last copy"), "{why}");
    }
}

#[test]
fn whatever_fails_is_taken_back_so_far_as_it_may_have_been_done() {
    for (label, next) in [
        ("target frozen", "starting target"),
        ("target stopped", "starting target"),
        ("target restarted", "thawing target"),
        ("target unchanged", "thawing target"),
        ("source unchanged", "thawing target"),
        ("nothing owned", "thawing target"),
    ] {
        assert_eq!(
            told(&refused(label, ReasonCode::Rejected)),
            (next, Some(ReasonCode::Rejected)),
            "{label}"
        );
    }
    // Nobody knows whether the source is retired still: it is again, before the target takes writes.
    let lost = sent(find("nothing owned")).expect("it is sent");
    let ticket = lost.counters().calls;
    let lost = applied(lost, Event::reply_lost(ticket)).expect("a reply can be lost");
    let given_up = try_event(&lost, crate::common::gave_up()).expect("it can be given up");
    assert_eq!(
        methods(given_up.clone()),
        ["decant_retire", "decant_thaw"].into_iter().chain(end()).collect::<Vec<_>>()
    );
    // What it has half hashed is no look: it forgets that when it is retired again.
    let half = reply(
        &sent(find("target unchanged")).expect("it is sent"),
        Outcome::Done(Value::Working { done_bytes: 1 }),
    );
    let half = try_event(&half.expect("it works"), crate::common::gave_up()).expect("it can be given up");
    assert_eq!(told(&half).0, "retiring again");
}

/// The job that looks at its target before its source is opened, with every route swapped back.
fn before_thaw() -> Job {
    let is_next = |job: &Job| matches!(job.state(), State::RollingBack { undo, .. } if undo.last() == Some(&Undo::CheckSealed));
    path(reverting(retained())).into_iter().find(is_next).expect("it is reached")
}

/// The job after what it asked is answered so.
fn answered(job: Job, outcome: Outcome) -> Job {
    reply(&sent(job).expect("it asks"), outcome).expect("it is answered")
}

/// Whether the source is what is to be opened next.
fn opens(job: &Job) -> bool {
    matches!(job.state(), State::RollingBack { undo, .. } if undo.last() == Some(&Undo::ThawSource))
}

#[test]
fn promise_1_a_target_that_somebody_opened_since_it_was_compared_keeps_the_source_shut() {
    for fence in [FenceView::Open, FenceView::Frozen(holder())] {
        let job = looked(find("nothing owned"), kit(fence));
        assert_eq!(
            told(&job),
            ("thawing target", Some(ReasonCode::WrittenSince)),
            "{fence:?}: nothing is swapped"
        );
        // While the routes were swapped back: an operator decides which of the two goes on.
        let parked = answered(before_thaw(), Outcome::Done(kit(fence)));
        assert_eq!(told(&parked), ("parked", Some(ReasonCode::WrittenSince)), "{fence:?}");
        let opened = applied(parked, Event::Retried).and_then(sent).expect("the operator wants the source");
        let opened = reply(&opened, Outcome::Done(Value::Acknowledged)).expect("it is opened");
        // It says nothing of a root when somebody released it.
        let Value::Kit(view) = kit(fence) else { panic!("it is a kit's") };
        let seen = Value::Kit(KitView { has_root: false, ..view });
        let left =
            reply(&sent(opened).expect("it looks at the target"), Outcome::Done(seen)).expect("it is seen");
        assert_eq!((told(&left).0, left.target()), ("rolled back", None), "{fence:?}");
        assert!(left.explanation().is_some_and(|why| why.contains("left alone")), "{left:?}");
    }
}

#[test]
fn the_source_opens_though_the_target_is_gone_or_does_not_run_any_more() {
    assert!(opens(&answered(before_thaw(), Outcome::Done(Value::Gone))));
    assert!(opens(&answered(before_thaw(), Outcome::Refused(ReasonCode::NoKit.into()))));
    let unanswered_for_long = |mut job: Job| {
        for _ in 0..8 {
            job = answered(job, Outcome::Transient(ReasonCode::NotRunning.into()));
        }
        job
    };
    let job = unanswered_for_long(before_thaw());
    for (run_state, module) in [(RunState::Stopped, 0xff), (RunState::Running, 9)] {
        let seen = Value::Canister(status(run_state, Some(module)));
        assert!(opens(&answered(job.clone(), Outcome::Done(seen))), "{run_state:?}");
    }
    // It may be the coordinator that could not ask: it asks once more before it says that users may have written.
    let runs = |job| answered(job, Outcome::Done(Value::Canister(status(RunState::Running, Some(0xff)))));
    let asked_again = runs(job);
    assert!(opens(&answered(asked_again.clone(), Outcome::Done(kit(FenceView::Sealed(holder()))))));
    let parked = runs(unanswered_for_long(asked_again));
    assert!(parked.state().is_parked(), "it may hold what users wrote: {parked:?}");
}

#[test]
fn a_source_that_does_not_answer_any_more_does_not_keep_users_from_the_target() {
    let mut job = find("target unchanged");
    job = try_event(&sent(job).map(|job| unanswered(&job)).expect("it is sent"), crate::common::gave_up())
        .expect("it is given up");
    assert_eq!(told(&job).0, "retiring again");
    for _ in 0..8 {
        job = unanswered(&sent(job).expect("it is told"));
    }
    for (run_state, module) in
        [(RunState::Stopped, Some(1)), (RunState::Running, None), (RunState::Running, Some(9))]
    {
        let seen = looked(job.clone(), Value::Canister(status(run_state, module)));
        assert_eq!(told(&seen).0, "thawing target", "{run_state:?}, {module:?}");
    }
}

/// The job whose call was not answered, since its callee does not run.
fn unanswered(job: &Job) -> Job {
    reply(job, Outcome::Transient(ReasonCode::NotRunning.into())).expect("it is waited for")
}

/// What a job calls that is retained, until it is done.
fn end() -> impl Iterator<Item = &'static str> {
    let mut retained = path(find("retaining")).into_iter();
    let elapsed = retained.nth(1).expect("the time is over");
    methods(elapsed).into_iter()
}

#[test]
fn promise_11_what_is_uninstalled_is_sealed_by_this_job_and_by_nobody_else() {
    let check = path(reverting(retained())).into_iter().find(|job| {
        let State::RollingBack { undo, .. } = job.state() else { return false };
        undo.last() == Some(&Undo::CheckTarget)
    });
    let check = sent(check.expect("it is looked at")).expect("it is sent");
    let own = crate::common::holder();
    for (fence, is_left) in [
        (FenceView::Sealed(own), false),
        (FenceView::Open, true),
        (FenceView::Frozen(own), true),
        (FenceView::Sealed(decant_engine::Holder { is_own: false, ..own }), true),
    ] {
        let Value::Kit(view) = kit(fence) else { panic!("it is a kit's") };
        // A canister that was released tells of no root.
        let view = Value::Kit(decant_engine::KitView { has_root: false, ..view });
        let job = reply(&check, Outcome::Done(view)).expect("it is seen");
        assert_eq!(job.target().is_none(), is_left, "{fence:?}");
    }
}

#[test]
fn it_is_refused_with_the_reason_where_it_can_t_be_done() {
    let why = |job: &Job| match try_event(job, Event::RevertRequested) {
        Err(Why::NoWayBack { why }) => why,
        other => panic!("{}: {other:?}", job.state().name()),
    };
    for (label, part) in [
        ("queued", "decant_abort"),
        ("switching", "decant_abort"),
        ("committed", "does not serve yet"),
        ("retired", "does not serve yet"),
        ("confirming", "not any more"),
        ("draining", "not any more"),
        ("done", "not any more"),
        ("rolled back", "already"),
        ("rolling back: Some(ThawSource)", "already"),
        ("parked", "decant_retry"),
    ] {
        let told = why(&find(label));
        assert!(told.contains(part), "{label}: {told}");
    }
    for (label, job) in in_every_state().into_iter().filter(|(_, job)| is_reverting(job)) {
        assert!(why(&job).contains("already"), "{label}");
    }
}

#[test]
fn a_job_without_the_kit_is_refused_since_nothing_tells_whether_users_wrote() {
    let golden = include_str!("../golden/vessel.txt");
    for label in ["retaining", "retaining saved", "confirming", "serving", "done"] {
        let line =
            golden.lines().find(|line| line.starts_with(&format!("job\t{label}\t"))).expect("it is there");
        let hex = line.rsplit('\t').next().expect("bytes").as_bytes();
        let digits = hex.chunks(2).map(|two| std::str::from_utf8(two).expect("text"));
        let bytes: Vec<u8> = digits.map(|two| u8::from_str_radix(two, 16).expect("hex")).collect();
        let job: Job = ciborium::from_reader(bytes.as_slice()).expect("a job");
        let refused = try_event(&job, Event::RevertRequested);
        let Err(Why::NoWayBack { why }) = refused else { panic!("{label}: {refused:?}") };
        assert!(why.contains("without the kit") && why.contains("runbooks"), "{label}: {why}");
    }
}

#[test]
fn it_can_t_be_skipped_or_aborted_while_users_wait() {
    for (label, job) in in_every_state().into_iter().filter(|(_, job)| is_reverting(job)) {
        for event in [Event::Skipped, Event::AbortRequested] {
            assert_eq!(try_event(&job, event), Err(Why::WrongState), "{label}");
        }
        assert!(matches!(job.state(), State::Reverting(_)));
    }
}
