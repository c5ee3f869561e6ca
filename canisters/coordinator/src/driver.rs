//! Drives jobs: asks the engine what comes next, does it, and tells the engine how it ended.
//!
//! Every change is stored with its event before the next effect starts, since a canister's state is committed
//! at every `await`. What is under way lives on the heap only: after an upgrade, or a trapped callback, a job
//! that waits for a reply finds nobody driving it, and observes.
//!
//! Each job is driven in a message of its own, and so is each creation: a trap cancels all tasks of its message, and
//! nothing else. One timer wakes the coordinator when the next job is due, and none when nothing is.

use crate::money::{self, Account, Prices, Short};
use crate::store::{self, Pause};
use crate::{notices, pace, platform, pool, put_back, surveys, trial};
use decant_api::JobId;
use decant_api::jobs::{Batch, Which};
use decant_engine::{
    Entry, Event, Job, Limits, Load, Place, Reason, ReasonCode, Stage, State, Step, TimeNanos, WATCH_NANOS,
    apply, next_step,
};
use ic_cdk::api::CanisterStatusCode;
use ic_cdk_timers::TimerId;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

/// Open jobs that a command to many looks at in one message.
const COMMANDED: usize = 1_000;
/// Steps of one job without a call in between: more would be a loop.
const STEPS_WITHOUT_CALL: u32 = 16;
/// Jobs that are driven at a time, of all plans together. The library that keeps timers has 250 messages of its own
/// open at most, and retries in every round when it has to.
const DRIVEN_AT_A_TIME: usize = 200;
/// Shortest and longest time until the timer wakes the coordinator. What a stop swallows comes again after that.
const SLEEP: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
/// Jobs in line that end in one message because their plan is spent.
const ENDED_AT_A_TIME: usize = 200;
/// Time between two looks whether there are cycles for those in line.
const SHORT_NANOS: u64 = 600_000_000_000;
/// Time after which a reply that a canister gives itself has arrived.
const OWN_REPLY_NANOS: u64 = 2_000_000_000;

thread_local! {
    /// Jobs that a task of this heap drives.
    static DRIVEN: RefCell<BTreeSet<JobId>> = const { RefCell::new(BTreeSet::new()) };
    /// Messages that are to come, or are not through.
    static MESSAGES: Cell<u32> = const { Cell::new(0) };
    /// When the last of them was.
    static LAST_NANOS: Cell<TimeNanos> = const { Cell::new(0) };
    /// Since when one of them is to look.
    static WOKEN_NANOS: Cell<Option<TimeNanos>> = const { Cell::new(None) };
    /// What jobs in line wait for, if it is cycles.
    static SHORT: RefCell<Option<Short>> = const { RefCell::new(None) };
    /// The timer, and for when it is set.
    static TIMER: Cell<Option<(TimerId, TimeNanos)>> = const { Cell::new(None) };
}

/// Runs when it is dropped: when its task ends, in the cleanup of a callback that trapped, and when the message of its
/// task never came because the canister was stopped.
struct Finally<F: FnMut()>(F);

impl<F: FnMut()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Holds a job for one task, if it is free.
fn hold(id: JobId) -> Option<Finally<impl FnMut()>> {
    // Made only then: its drop would free a job that another task drives.
    DRIVEN.with_borrow_mut(|driven| driven.insert(id)).then(|| {
        Finally(move || {
            DRIVEN.with_borrow_mut(|driven| driven.remove(&id));
        })
    })
}

/// Runs a task soon, in a message of its own.
pub(crate) fn in_message(task: impl Future<Output = ()> + 'static) {
    MESSAGES.set(MESSAGES.get() + 1);
    let counted = Finally(|| {
        MESSAGES.set(MESSAGES.get().saturating_sub(1));
        LAST_NANOS.set(now());
    });
    ic_cdk_timers::set_timer(Duration::ZERO, async move {
        let _counted = counted;
        task.await;
    });
}

/// Looks at the jobs soon, unless the coordinator was put back from a snapshot.
pub(crate) fn wake() {
    if put_back::is_put_back() {
        return;
    }
    // Should a stop swallow the message, the timer looks.
    sleep_until(now().saturating_add(WATCH_NANOS));
    // One that did not come for so long does not: a snapshot of the coordinator was loaded.
    if WOKEN_NANOS.get().is_none_or(|at_nanos| at_nanos.saturating_add(WATCH_NANOS) < now()) {
        WOKEN_NANOS.set(Some(now()));
        let woken = Finally(|| WOKEN_NANOS.set(None));
        in_message(async move {
            drop(woken);
            look();
        });
    }
}

/// Whether nothing is under way that an upgrade would tear from its reply.
pub(crate) fn is_quiet() -> bool {
    let is_over = |at_nanos: TimeNanos| at_nanos.saturating_add(OWN_REPLY_NANOS) < now();
    MESSAGES.get() == 0
        && !money::has_open_calls()
        && is_over(LAST_NANOS.get())
        && TIMER.get().is_none_or(|(_, at_nanos)| at_nanos > now())
}

/// Whether calls may be made: a canister that is being stopped waits for each of them.
pub(crate) fn is_running() -> bool {
    ic_cdk::api::canister_status() == CanisterStatusCode::Running
}

/// Looks, and counts what that costs.
fn look() {
    money::in_look(look_at_jobs);
}

/// Starts queued jobs within the limits, and drives every job that is due and that nobody drives.
fn look_at_jobs() {
    LAST_NANOS.set(now());
    WOKEN_NANOS.set(None);
    if let Some((timer, _)) = TIMER.take() {
        ic_cdk_timers::clear_timer(timer);
    }
    if put_back::is_put_back() {
        return;
    }
    // It looks in the message that finds it out: by the next one, on a slow subnet, that would be late news again.
    if !put_back::is_whole(look) {
        return sleep_until(now().saturating_add(WATCH_NANOS));
    }
    let mut notices_due = None;
    if is_running() {
        start_queued();
        notices_due = notices::look(now());
        let free = DRIVEN_AT_A_TIME.saturating_sub(DRIVEN.with_borrow(BTreeSet::len));
        let is_driven = |id| DRIVEN.with_borrow(|driven| driven.contains(&id));
        for id in store::board(|board| board.take_due(now(), is_driven, free)) {
            in_message(drive(id));
        }
    }
    if let Some(due_nanos) = store::board(|board| board.first_due()) {
        sleep_until(due_nanos);
    }
    if let Some(due_nanos) = notices_due {
        sleep_until(due_nanos);
    }
    if let Some(due_nanos) = pace::first_due() {
        sleep_until(due_nanos);
    }
    if let Some(due_nanos) = store::first_out_of_quarantine(now()) {
        sleep_until(due_nanos);
    }
    if let Some(Short::Coordinator(_) | Short::Plan(_)) = short() {
        // Nobody tells a canister that it was topped up; and a look at the pool may have failed.
        sleep_until(now().saturating_add(SHORT_NANOS));
    }
}

/// Sets the timer for then, unless it is set for an earlier time. It is one that repeats: a message that a stop
/// swallows comes again.
fn sleep_until(due_nanos: TimeNanos) {
    // One whose time is over long since is none: a snapshot of the coordinator was loaded.
    let is_alive = |at_nanos: TimeNanos| at_nanos.saturating_add(WATCH_NANOS) > now();
    if TIMER.get().is_some_and(|(_, at_nanos)| at_nanos <= due_nanos && is_alive(at_nanos)) {
        return;
    }
    if let Some((timer, _)) = TIMER.take() {
        ic_cdk_timers::clear_timer(timer);
    }
    let delay = Duration::from_nanos(due_nanos.saturating_sub(now())).clamp(*SLEEP.start(), *SLEEP.end());
    let timer = ic_cdk_timers::set_timer_interval(delay, || async { look() });
    let at_nanos = now().saturating_add(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX));
    TIMER.set(Some((timer, at_nanos)));
}

/// Starts jobs within the limits of their plans, and within what these may spend and the coordinator has.
fn start_queued() {
    SHORT.set(None);
    pace::begin();
    if store::pause() != Pause::Running || store::count(Place::Queued) == 0 {
        return;
    }
    let (prices, liquid) = (Prices::now(), ic_cdk::api::canister_liquid_cycle_balance());
    let mut over = Vec::new();
    let (mut working, mut promised) = (pace::driven(), money::promised(prices));
    let may_start = |plan_id, load: Load| {
        if let Err(wait) = pace::may_start(plan_id, load, now()) {
            if wait == pace::Wait::Ended {
                over.push((plan_id, ReasonCode::Aborted, wait.text()));
            }
            return false;
        }
        if load.in_slots >= store::terms(plan_id).max_in_flight {
            return false;
        }
        if working >= DRIVEN_AT_A_TIME as u64 {
            pace::note_wait(plan_id, pace::Wait::Places);
            return false;
        }
        let supply = pool::supply(plan_id, load);
        if let Some(supply) = supply
            && load.lacking >= supply.ready + supply.room
        {
            SHORT.set(Some(Short::Canisters(waits_for_canisters(plan_id))));
            return false;
        }
        match Account::of(plan_id, load).may_start(prices, liquid, promised) {
            Ok(one) => {
                working += 1;
                promised = promised.saturating_add(one);
                true
            }
            Err(short) => {
                // Nothing that is under way could give anything back, and no canister comes that would cost nothing.
                let is_over = load.open == 0 && supply.is_none_or(|supply| supply.coming == 0);
                if matches!(short, Short::Plan(_)) && is_over {
                    over.push((plan_id, ReasonCode::OutOfCycles, short.text().to_owned()));
                }
                SHORT.set(Some(short));
                false
            }
        }
    };
    store::start(may_start, now());
    for (plan_id, code, why) in over {
        // What the pool has may be enough.
        if code != ReasonCode::OutOfCycles || !pool::look_over(plan_id) {
            end_line(plan_id, code, &why);
        }
    }
    if money::wants_idle(now()) {
        in_message(money::for_all(money::ask_idle()));
    }
}

/// Why no job of a plan that recycles is started, for people.
fn waits_for_canisters(plan_id: u64) -> String {
    let next = match store::first_out_of_quarantine(now()) {
        Some(until_nanos) => {
            format!("the next one is out of it in {} s", until_nanos.saturating_sub(now()) / 1_000_000_000)
        }
        None => "none is in quarantine".to_owned(),
    };
    format!("the canisters of plan {plan_id} are with its jobs, or in quarantine: {next}")
}

/// A plan is over, or may not spend what one more job takes: those in its line end, some at a time.
fn end_line(plan_id: u64, code: ReasonCode, why: &str) {
    let first = store::board(|board| board.line(plan_id, ENDED_AT_A_TIME));
    if first.len() == ENDED_AT_A_TIME {
        wake();
    }
    for mut job in first.into_iter().filter_map(store::job) {
        record(&mut job, Event::GaveUp { reason: Reason::new(code, why) });
    }
}

/// What jobs in line wait for, if it is cycles.
pub(crate) fn short() -> Option<Short> {
    SHORT.with_borrow(Clone::clone)
}

/// Drives a job until it waits, ends or parks.
async fn drive(id: JobId) {
    let Some(held) = hold(id) else { return };
    let Some(plan_id) = store::board(|board| board.plan_of(id)) else { return };
    let was_working = store::board(|board| board.place(id)) == Some(Place::Working);
    let due_nanos = money::for_plan(plan_id, steps(id)).await;
    drop(held);
    let is_working = store::board(|board| {
        board.due_at(id, due_nanos);
        board.place(id) == Some(Place::Working)
    });
    let is_held = pace::note_held(plan_id, id);
    if was_working && (!is_working || is_held) {
        // Another one may have its place.
        wake();
    } else if let Some(due_nanos) = due_nanos {
        sleep_until(due_nanos);
    }
}

/// Takes steps; answers when there will be more to do.
async fn steps(id: JobId) -> Option<TimeNanos> {
    let limits = Limits::default();
    let mut without_call = 0;
    // A call that is under way now was sent by a task that is gone.
    let mut may_be_lost = true;
    while let Some(mut job) = store::job(id) {
        let later = Some(now().saturating_add(WATCH_NANOS));
        if without_call > STEPS_WITHOUT_CALL || !is_running() {
            return later;
        }
        without_call += 1;
        let step = next_step(&job, now(), &limits);
        if (is_on_hold(&job) || pace::is_held(&job))
            && !matches!(step, Step::Record(_) | Step::InFlight { .. })
        {
            return limits.gives_up_nanos(&job);
        }
        match step {
            Step::Record(event) => {
                if !record(&mut job, event) {
                    return later;
                }
            }
            Step::TakeFromPool => {
                let goes_on = match trial::refusal(job.plan().plan_id) {
                    Some(reason) => record(&mut job, Event::GaveUp { reason }),
                    None => take_from_pool(&mut job),
                };
                if !goes_on {
                    return later;
                }
            }
            Step::ReturnToPool { target } => {
                if !record(&mut job, Event::TargetReturned) {
                    return later;
                }
                pool::give_back(&job, target);
            }
            Step::HandToPool { source } => {
                if !record(&mut job, Event::SourceHandedOver) {
                    return later;
                }
                pool::take_over(&job, source);
            }
            Step::Call { ticket, effect, .. } => {
                if !record(&mut job, Event::Started { ticket }) {
                    return later;
                }
                without_call = 0;
                may_be_lost = false;
                let outcome = money::affordable(&job, platform::perform(&job, effect).await).bounded();
                let mut job = store::job(id)?;
                // A reply that makes no sense is as good as none.
                if !record(&mut job, Event::Replied { ticket, outcome }) {
                    record(&mut job, Event::reply_lost(ticket));
                }
            }
            Step::InFlight { ticket } if may_be_lost => {
                if !record(&mut job, Event::reply_lost(ticket)) {
                    return later;
                }
            }
            Step::InFlight { .. } => return later,
            Step::Wait { until_nanos } => return Some(surveys::due_nanos(&job, until_nanos)),
            Step::Parked | Step::Finished => return None,
        }
    }
    None
}

/// Whether a job may come no nearer to its commit point now.
fn is_on_hold(job: &Job) -> bool {
    job.state().stage() == Stage::BeforeCommit && store::pause() == Pause::Hold
}

/// Gives a job a canister of the pool, or begins to create what is needed. False if the event does not fit.
fn take_from_pool(job: &mut Job) -> bool {
    let Some(target) = pool::take(job) else { return record(job, Event::PoolEmpty) };
    let is_new = pool::is_new(target);
    let is_taken = record(job, Event::TargetTaken { target, is_new });
    if !is_taken {
        pool::give_back(job, target);
    }
    is_taken
}

/// Applies an event, stores the job and journals the event. False if the event does not fit.
fn record(job: &mut Job, event: Event) -> bool {
    let at_nanos = now();
    let is_on_trial = matches!(job.state(), State::Installed);
    match apply(job, event.clone(), at_nanos) {
        Ok(()) => {
            store::record(job, &Entry { at_nanos, event });
            if is_on_trial && !matches!(job.state(), State::Installed) && trial::told(job) {
                pool::refill(job);
            }
            true
        }
        Err(illegal) => {
            ic_cdk::api::debug_print(illegal.to_string());
            false
        }
    }
}

/// Applies what an operator wants of a job.
pub(crate) fn apply_for_operator(id: JobId, event: Event) -> Result<(), String> {
    let job = store::job(id).ok_or_else(|| format!("there is no job {id} that can be read"))?;
    change(job, event, now())?;
    wake();
    Ok(())
}

/// Applies what somebody wants of a job, and keeps it; whoever calls this wakes the driver.
pub(crate) fn change(mut job: Job, event: Event, at_nanos: TimeNanos) -> Result<(), String> {
    apply(&mut job, event.clone(), at_nanos).map_err(|error| error.to_string())?;
    store::record(&job, &Entry { at_nanos, event });
    store::board(|board| board.due_at(job.id(), Some(at_nanos)));
    Ok(())
}

/// Applies it to all open jobs of that kind, as many as one message takes.
pub(crate) fn apply_to_all(event: &Event, which: &Which) -> Batch {
    let next_of = |after| store::board(|board| board.open_after(after).take(COMMANDED).collect::<Vec<_>>());
    let open = next_of(which.after);
    let is_of_plan = |plan_id| which.plan.is_none_or(|wanted| wanted == plan_id);
    let is_of_code = |id| {
        store::job(id).is_some_and(|job| match which.code {
            Some(_) => crate::views::code(&job) == which.code,
            // Somebody decides there who has looked: for all of them only where they are meant.
            None => *event != Event::Retried || !is_parked_for_people(&job),
        })
    };
    // What goes on by itself is skipped one by one, by whoever has looked at it.
    let is_of_kind = |place| *event != Event::Skipped || place == Place::Parked;
    let mut taken = 0;
    for (id, plan_id, place) in &open {
        let is_wanted = is_of_kind(*place) && is_of_plan(*plan_id) && is_of_code(*id);
        taken += u64::from(is_wanted && apply_for_operator(*id, event.clone()).is_ok());
    }
    let next = open.last().filter(|_| open.len() == COMMANDED).map(|(id, _, _)| *id);
    Batch { taken, next }
}

/// Whether the job is parked since somebody else acted, or users may have written: a retry says that it may go on.
fn is_parked_for_people(job: &Job) -> bool {
    let is_theirs = matches!(job.reason_code(), Some(ReasonCode::OthersActed | ReasonCode::WrittenSince));
    is_theirs && job.state().is_parked()
}

/// Says what jobs may do from now on, also where the coordinator was put back from a snapshot: nothing that was under way
/// when that was taken is.
pub(crate) fn set_pause(pause: Pause) {
    store::set_pause(pause);
    if pause == Pause::Running && put_back::is_put_back() {
        put_back::begin_anew();
        DRIVEN.with_borrow_mut(BTreeSet::clear);
        MESSAGES.set(0);
        WOKEN_NANOS.set(None);
        pool::forget_creations();
        notices::forget_calls();
        money::forget_calls();
    }
    go_on();
}

/// What waited for an operator may not wait for one any more.
pub(crate) fn go_on() {
    pace::forget_held();
    store::board(|board| board.wake_working(now()));
    wake();
}

fn now() -> TimeNanos {
    ic_cdk::api::time()
}
