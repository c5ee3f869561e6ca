//! A job in every state, reached by the events that lead there.

use candid::Principal;
use decant_engine::{
    CanisterView, Digest, Effect, Event, FenceView, Holder, Job, KitView, LayoutView, Limits, Outcome, Phase,
    PlanEssentials, Reason, ReasonCode, Retention, RevertState, RunState, Seal, Settings, State, Step,
    Strategy, Undo, Value, apply, next_step,
};
use serde_bytes::ByteBuf;

pub(crate) const NOW_NANOS: u64 = 1_700_000_000_000_000_000;

pub(crate) fn canister(number: u8) -> Principal {
    Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, number, 1, 1])
}

pub(crate) fn settings() -> Settings {
    Settings { controllers: vec![canister(90), canister(91)], others: ByteBuf::from(vec![7; 300]) }
}

pub(crate) fn seal() -> Seal {
    Seal { root: Digest([5; 32]), used_pages: 4, fingerprint: ByteBuf::from(vec![9; 64]) }
}

pub(crate) fn view(run_state: RunState) -> Value {
    Value::Canister(status(run_state, Some(1)))
}

/// The status of a canister that runs the module of that byte.
pub(crate) fn status(run_state: RunState, module: Option<u8>) -> CanisterView {
    CanisterView {
        run_state,
        module_hash: module.map(|byte| Digest([byte; 32])),
        settings: settings(),
        balance_cycles: 20_000_000_000,
        snapshots_bytes: 0,
        memory_bytes: 10_000_000,
        stable_pages: 257,
        freezing_cycles: 0,
        freezing_seconds: 2_592_000,
        is_planned: true,
        chunk_store_bytes: 0,
        minimum_call_cycles: 0,
        heap_limit_bytes: None,
        has_public_snapshots: false,
        version: None,
        acted: None,
        emptied: None,
    }
}

/// A canister as the pool has it.
pub(crate) fn fresh() -> Value {
    let controllers = vec![canister(90)];
    let settings = Settings { controllers, others: ByteBuf::new() };
    Value::Canister(CanisterView { settings, stable_pages: 0, ..status(RunState::Running, None) })
}

/// A source that was emptied, controlled by the coordinator and so many others.
pub(crate) fn emptied(run_state: RunState, controllers: u8) -> Value {
    let controllers = (90..90 + controllers).map(canister).collect();
    let settings = Settings { controllers, ..settings() };
    Value::Canister(CanisterView { settings, stable_pages: 0, ..status(run_state, None) })
}

pub(crate) fn kit(fence: FenceView) -> Value {
    let layout = LayoutView::Managed { memories: 2, used_pages: 4 };
    Value::Kit(KitView { kit_version: 1, fence, layout, stable_pages: 257, has_root: true })
}

pub(crate) fn pulled(is_complete: bool) -> Value {
    Value::Pulled { is_complete, done_bytes: 100, wire_bytes: 120, verified: None }
}

pub(crate) fn new_job(retention: Retention, indexes: u8) -> Job {
    new_job_with(retention, indexes, None)
}

/// A job of a plan that wants pre-copy from so many pages on; the source has 4.
pub(crate) fn new_job_with(retention: Retention, indexes: u8, precopy_min_pages: Option<u64>) -> Job {
    let plan = PlanEssentials {
        plan_id: u64::MAX,
        strategy: Strategy::Relocate { module_hash: Digest([0xff; 32]), precopy_min_pages },
        bucket_pages: u16::MAX,
        min_reclaimed_pages: 0,
        retention,
        has_asset_checks: true,
        rolls_back_on_lost_timer: false,
        recycled_with_cycles: None,
        max_wait_seconds: None,
    };
    let indexes = (0..indexes).map(|number| canister(50 + number)).collect();
    Job::new(u64::MAX, canister(1), indexes, plan, NOW_NANOS).expect("a job that can be done")
}

/// A job of a plan that recycles.
pub(crate) fn recycling_job(retention: Retention, indexes: u8) -> Job {
    let job = new_job(retention, indexes);
    let plan = PlanEssentials { recycled_with_cycles: Some(u128::from(u64::MAX)), ..*job.plan() };
    Job::new(job.id(), job.source(), job.indexes().to_vec(), plan, NOW_NANOS).expect("a job that can be done")
}

/// What a healthy world answers.
fn answer(job: &Job, effect: &Effect) -> Value {
    match effect {
        Effect::CanisterStatus { .. } | Effect::Look { .. } => match job.state() {
            State::Reserved { .. } => fresh(),
            State::Reverting(reverting) => {
                let stops = reverting.at == RevertState::TargetStopped;
                let run_state = if stops { RunState::Stopped } else { RunState::Running };
                Value::Canister(status(run_state, Some(0xff)))
            }
            State::Stopped | State::Checking { .. } | State::Deleting { .. } | State::Emptying { .. } => {
                view(RunState::Stopped)
            }
            State::Clearing { .. } => emptied(RunState::Stopped, 2),
            State::Waking { .. } => emptied(RunState::Stopped, 1),
            State::RollingBack { undo, .. } => match undo.last() {
                Some(Undo::UninstallTarget) => Value::Canister(status(RunState::Running, Some(0xff))),
                Some(Undo::ResetTarget) => fresh(),
                _ => view(RunState::Stopped),
            },
            _ => view(RunState::Running),
        },
        Effect::KitStatus { .. } => match job.state() {
            State::Reverting(_) => kit(FenceView::Sealed(holder())),
            State::RollingBack { .. } if job.reason_code() == Some(ReasonCode::Reverted) => {
                kit(FenceView::Sealed(holder()))
            }
            State::RollingBack { .. } | State::Retired { .. } => kit(FenceView::Importing(holder())),
            _ => kit(FenceView::Open),
        },
        Effect::Seal { .. } | Effect::Verify { .. } | Effect::Recheck { .. } => Value::Hashed(seal()),
        Effect::CheckAssets { .. } => Value::Assets(None),
        Effect::Pull { .. } | Effect::Precopy { .. } => pulled(true),
        Effect::Drain { .. } => Value::Drained { total_cycles: u128::from(u64::MAX) * 3 },
        _ => Value::Acknowledged,
    }
}

/// The job after its next step in a healthy world; `None`: it is at rest.
fn healthy(mut job: Job, now_nanos: u64) -> Option<Job> {
    let event = match next_step(&job, now_nanos, &Limits::default()) {
        Step::Call { ticket, effect, .. } => {
            apply(&mut job, Event::Started { ticket }, now_nanos).expect("a healthy world");
            Event::Replied { ticket, outcome: Outcome::Done(answer(&job, &effect)) }
        }
        Step::Record(recorded) => recorded,
        Step::TakeFromPool => Event::TargetTaken { target: canister(2), is_new: false },
        Step::ReturnToPool { .. } => Event::TargetReturned,
        Step::HandToPool { .. } => Event::SourceHandedOver,
        Step::Wait { until_nanos } => return healthy(job, until_nanos),
        Step::InFlight { .. } | Step::Finished | Step::Parked => return None,
    };
    apply(&mut job, event, now_nanos).expect("a healthy world");
    Some(job)
}

/// The job and all that it becomes in a healthy world.
pub(crate) fn path(job: Job) -> Vec<Job> {
    std::iter::successors(Some(job), |job| healthy(job.clone(), NOW_NANOS + 1)).collect()
}

pub(crate) fn gave_up() -> Event {
    Event::GaveUp { reason: Reason::new(ReasonCode::TriedTooOften, "é".repeat(60)) }
}

/// The job after a call is started, or a look.
pub(crate) fn started(mut job: Job) -> Option<Job> {
    let ticket = job.counters().calls + 1;
    apply(&mut job, Event::Started { ticket }, NOW_NANOS + 2).ok().map(|()| job)
}

/// The job after the call of its state is started, after the look before it if there is one.
pub(crate) fn sent(job: Job) -> Option<Job> {
    let later_nanos = NOW_NANOS + 1_000_000_000_000;
    let Step::Call { effect, .. } = next_step(&job, later_nanos, &Limits::default()) else {
        return started(job).filter(|job| job.attempt().phase == Phase::Sent);
    };
    let mut looks = started(job)?;
    if looks.attempt().phase == Phase::Sent {
        return Some(looks);
    }
    let (ticket, seen) = (looks.counters().calls, answer(&looks, &effect));
    let outcome = Outcome::Done(seen);
    apply(&mut looks, Event::Replied { ticket, outcome }, NOW_NANOS + 2).expect("it is seen");
    let job = started(looks)?;
    (job.attempt().phase == Phase::Sent).then_some(job)
}

/// The job that has to observe what became of its call, and does.
pub(crate) fn observing(job: Job) -> Option<Job> {
    let mut job = sent(job)?;
    let ticket = job.counters().calls;
    apply(&mut job, Event::reply_lost(ticket), NOW_NANOS + 3).expect("a reply can be lost");
    matches!(job.attempt().phase, Phase::Observe { .. }).then(|| started(job).expect("to be observed"))
}

/// The job after that event, if it takes it.
pub(crate) fn applied(mut job: Job, event: Event) -> Option<Job> {
    apply(&mut job, event, NOW_NANOS + 4).ok().map(|()| job)
}

/// A job that retains, after an operator wanted its source back.
pub(crate) fn reverting(job: Job) -> Job {
    applied(job, Event::RevertRequested).expect("it is retained")
}

pub(crate) fn is_reverting(job: &Job) -> bool {
    matches!(job.state(), State::Reverting(_))
}

/// A job that reverts and is given up when nobody knows what became of its call.
fn lost(job: Job) -> Option<Job> {
    let job = sent(job).filter(is_reverting)?;
    let ticket = job.counters().calls;
    applied(applied(job, Event::reply_lost(ticket))?, gave_up())
}

/// A job in every state, and going back in every way: each with its label.
pub(crate) fn in_every_state() -> Vec<(String, Job)> {
    let retentions = [
        Retention::Frozen { seconds: 60 },
        Retention::Tombstone { module_hash: Digest([3; 32]) },
        Retention::None,
    ];
    let mut jobs: Vec<(String, Job)> = Vec::new();
    let mut add = |job: &Job| {
        let label = match job.state() {
            State::RollingBack { undo, .. } => format!("rolling back: {:?}", undo.last()),
            other => other.name().to_owned(),
        };
        if jobs.iter().all(|(known, _)| *known != label) {
            jobs.push((label, job.clone()));
        }
    };
    for retention in retentions {
        for job in path(new_job(retention, 1)) {
            add(&job);
            if matches!(job.state(), State::Retaining { .. }) {
                for reverting in path(reverting(job.clone())) {
                    add(&reverting);
                    let back = applied(reverting.clone(), gave_up()).filter(|_| is_reverting(&reverting));
                    back.into_iter().chain(lost(reverting)).flat_map(path).for_each(|job| add(&job));
                }
            }
            if matches!(job.state(), State::Switching { .. }) {
                // It may have been swapped: the longest way back.
                let mut back = sent(job).expect("a swap can be sent");
                let ticket = back.counters().calls;
                apply(&mut back, Event::reply_lost(ticket), NOW_NANOS + 3).expect("a reply can be lost");
                apply(&mut back, gave_up(), NOW_NANOS + 4).expect("it can be given up");
                let mut parked = back.clone();
                path(back).iter().for_each(&mut add);
                apply(&mut parked, gave_up(), NOW_NANOS + 5).expect("a rollback can be parked");
                add(&parked);
            }
        }
    }
    path(new_job_with(Retention::None, 1, Some(4))).iter().for_each(&mut add);
    path(recycling_job(Retention::None, 1)).iter().for_each(&mut add);
    let (_, deleting) = jobs.iter().find(|(label, _)| label == "deleting").expect("it is reached").clone();
    jobs.push(("checking".to_owned(), with_state(&deleting, "28")));
    let (_, draining) = jobs.iter().find(|(label, _)| label == "draining").expect("it is reached").clone();
    let mut raising = sent(draining).expect("a drain can be sent");
    let outcome = Outcome::Refused(ReasonCode::ChangedAfterSeal.into());
    let ticket = raising.counters().calls;
    apply(&mut raising, Event::Replied { ticket, outcome }, NOW_NANOS + 3).expect("a drain can be refused");
    jobs.push(("raising".to_owned(), raising));
    let (_, draining) = jobs.iter().find(|(label, _)| label == "draining").expect("it is reached").clone();
    jobs.push(("telling".to_owned(), with_state(&draining, "33")));
    jobs
}

/// The job in the state of that tag, which carries a root alone: as an earlier build may have stored it.
pub(crate) fn with_state(job: &Job, tag: &str) -> Job {
    let mut bytes = Vec::new();
    ciborium::into_writer(job, &mut bytes).expect("it can be stored");
    let mut stored: ciborium::Value = ciborium::from_reader(bytes.as_slice()).expect("it can be read");
    let fields = stored.as_map_mut().expect("a map");
    let (_, state) = fields.iter_mut().find(|(name, _)| name.as_text() == Some("s")).expect("a state");
    let root = (ciborium::Value::Text("r".to_owned()), ciborium::Value::Bytes(vec![5; 32]));
    *state =
        ciborium::Value::Map(vec![(ciborium::Value::Text(tag.to_owned()), ciborium::Value::Map(vec![root]))]);
    let mut bytes = Vec::new();
    ciborium::into_writer(&stored, &mut bytes).expect("it can be stored");
    ciborium::from_reader(bytes.as_slice()).expect("it can be read")
}

pub(crate) fn holder() -> Holder {
    Holder { job: u64::MAX, is_own: true }
}
