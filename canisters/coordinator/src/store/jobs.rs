//! Jobs and their journals. One function writes a job, and moves it to where it belongs by what it says of itself.

use super::census::Census;
use super::kept::{Level, Line};
use super::names::{self, Role};
use super::records::{self, Damaged, Record};
use super::{Memory, Set, change_config, change_course, memory};
use super::{ended, events, evidence, line, log, passes, tallies};
use candid::Principal;
use decant_api::JobId;
use decant_engine::{Board, Entry, Event, Job, Load, Place, ReasonCode, State, TimeNanos};
use ic_stable_structures::StableBTreeMap;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Entries of a job's journal that are kept, the last ones: it is removed in one message when the job ends, whatever its
/// canisters made it do.
const JOURNAL_ENTRIES: u32 = 1_000;

thread_local! {
    static JOBS: RefCell<StableBTreeMap<JobId, Vec<u8>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(2)));
    static JOURNAL: RefCell<StableBTreeMap<(JobId, u32), Vec<u8>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(3)));
    /// Of earlier builds, as the next one.
    static BY_SOURCE: RefCell<StableBTreeMap<Principal, JobId, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(6)));
    static BY_TARGET: RefCell<StableBTreeMap<Principal, JobId, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(11)));
    static ASIDE: RefCell<Set<JobId>> = RefCell::new(StableBTreeMap::init(memory(9)));
    static BOARD: RefCell<Board> = RefCell::default();
    static CENSUS: RefCell<Census> = RefCell::default();
}

/// Reads or changes who is where.
pub(crate) fn board<R>(ask: impl FnOnce(&mut Board) -> R) -> R {
    BOARD.with_borrow_mut(ask)
}

/// Reads or changes what is counted of those that are on their way.
pub(crate) fn census<R>(ask: impl FnOnce(&mut Census) -> R) -> R {
    CENSUS.with_borrow_mut(ask)
}

/// Keeps a new job and puts it in line.
pub(crate) fn enqueue(job: &Job) {
    names::name(Role::Source, job.source(), job.id());
    put(job);
}

/// The only place where a job is written. What says all of one that is in line, or has ended, is kept for ever anyway.
fn put(job: &Job) {
    line::note(job);
    match is_packed(job) {
        true => JOBS.with_borrow_mut(|jobs| jobs.remove(&job.id())),
        false => JOBS.with_borrow_mut(|jobs| jobs.insert(job.id(), job.encode())),
    };
    name_target(job);
    board(|board| board.put(job));
}

fn is_packed(job: &Job) -> bool {
    let may_be = job.state().is_ended() || job.counters().calls == 0;
    may_be && packed(job.id()).as_ref() == Some(job)
}

/// A job of which nothing is kept but what it was enrolled with, and how it ended.
fn packed(id: JobId) -> Option<Job> {
    if events::has_ended(id) { events::ended(id) } else { line::job(id) }
}

/// A job by number. One that can't be read is set aside, and is none.
pub(crate) fn job(id: JobId) -> Option<Job> {
    let Some(bytes) = JOBS.with_borrow(|jobs| jobs.get(&id)) else { return packed(id) };
    match Job::decode(&bytes) {
        Ok(job) => Some(job),
        Err(Damaged(why)) => {
            set_aside(id, &why);
            None
        }
    }
}

fn set_aside(id: JobId, why: &str) {
    ic_cdk::println!("job {id} can't be read and is set aside: {why}");
    ASIDE.with_borrow_mut(|aside| aside.insert(id, ()));
    board(|board| board.set_aside(id));
    census(|census| census.forget(id));
}

/// Jobs that can't be read: nobody touches them until a build comes that reads them.
pub(crate) fn aside(limit: usize) -> Vec<JobId> {
    ASIDE.with_borrow(|aside| aside.keys().take(limit).collect())
}

/// The latest job of a source.
pub(crate) fn job_of(source: Principal) -> Option<JobId> {
    let is_it = |id| match line::source(id) {
        Some(kept) => kept == source,
        None => job(id).is_some_and(|job| job.source() == source),
    };
    names::latest(Role::Source, source, is_it)
        .or_else(|| BY_SOURCE.with_borrow(|by_source| by_source.get(&source)))
}

/// The latest job whose target a canister is.
pub(crate) fn job_to(target: Principal) -> Option<JobId> {
    let is_it = |id: &JobId| job(*id).is_some_and(|job| job.target() == Some(target));
    names::latest(Role::Target, target, |id| is_it(&id))
        .or_else(|| BY_TARGET.with_borrow(|by_target| by_target.get(&target)).filter(is_it))
}

/// The first job of a source that passed its commit point after that time.
pub(crate) fn next_job_of(source: Principal, after_nanos: TimeNanos) -> Option<Job> {
    let is_later = |job: &Job| job.times().committed_nanos.is_some_and(|at_nanos| at_nanos > after_nanos);
    let named = names::jobs(Role::Source, source).into_iter().filter_map(job);
    let next = named.into_iter().find(|job| job.source() == source && is_later(job));
    let kept = || BY_SOURCE.with_borrow(|by_source| by_source.get(&source)).and_then(job).filter(is_later);
    next.or_else(kept)
}

/// The last job that emptied a canister for others before that time.
pub(crate) fn emptied_by(canister: Principal, before_nanos: TimeNanos) -> Option<Job> {
    let has_emptied = |job: &Job| {
        job.source() == canister
            && job.plan().recycled_with_cycles.is_some()
            && matches!(job.state(), State::Done { .. })
            && job.times().ended_nanos.is_some_and(|at_nanos| at_nanos <= before_nanos)
    };
    names::jobs(Role::Source, canister).into_iter().rev().filter_map(job).find(has_emptied)
}

fn name_target(job: &Job) {
    if let Some(target) = job.target() {
        names::name(Role::Target, target, job.id());
    }
}

/// Jobs after `after`, in order, those that can be read.
pub(crate) fn jobs_after(after: JobId, limit: usize) -> Vec<Job> {
    let last = JOBS.with_borrow(|jobs| jobs.last_key_value().map(|(id, _)| id));
    let end = line::end().max(last.map_or(0, |last| last.saturating_add(1)));
    let read = |id| match JOBS.with_borrow(|jobs| jobs.get(&id)) {
        Some(bytes) => Job::decode(&bytes).ok(),
        None => packed(id),
    };
    (after.saturating_add(1)..end).filter_map(read).take(limit).collect()
}

/// Stores a changed job and journals the event that changed it, in one message: neither is ever seen without
/// the other. The journal of an ended job is dropped; what it proves is in the job.
pub(crate) fn record(job: &Job, entry: &Entry) {
    let id = job.id();
    if matches!(entry.event, Event::Started { .. }) && job.counters().calls == 1 {
        change_course(job.plan().plan_id, |course| course.started += 1);
    }
    let moved = census(|census| census.put(job));
    let was_queued = moved.is_some_and(|moved| moved.from == State::Queued.name());
    evidence::learn(job, was_queued, &entry.event);
    if let Some(moved) = moved {
        events::note_step(moved, job, &entry.event, entry.at_nanos);
        tallies::note_progress(entry.at_nanos);
        log::append(line(moved.from, job, entry.at_nanos));
        if !moved.was_back {
            note_turn(job);
        }
    }
    put(job);
    if job.state().is_ended() {
        drop_journal(id);
        ended::append(id);
        tallies::count(job);
        passes::forget_pass(id);
        note_end(job);
        change_config(|config| match job.state() {
            State::Done { .. } => config.done += 1,
            _ => config.rolled_back += 1,
        });
        return;
    }
    JOURNAL.with_borrow_mut(|journal| {
        let all = (id, 0)..=(id, u32::MAX);
        let next = journal.keys_range(all.clone()).next_back().map_or(0, |(_, last)| last.saturating_add(1));
        journal.insert((id, next), entry.encode());
        let first = journal.keys_range(all).next();
        if let Some(first) = first.filter(|(_, first)| next - first >= JOURNAL_ENTRIES) {
            journal.remove(&first);
        }
    });
}

/// A plan's pace counts those whose users waited, when they turn back: what keeps them on their way back may keep the next
/// ones too. What was refused before is no failure, and no canary either; what somebody took back is no failure, and no
/// canary that is through.
fn note_turn(job: &Job) {
    if let State::RollingBack { reason, .. } = job.state()
        && job.times().fenced_nanos.is_some()
    {
        let is_failure = !matches!(reason.code(), ReasonCode::Aborted | ReasonCode::Reverted);
        change_course(job.plan().plan_id, |course| {
            course.note_end(is_failure);
            course.has_turned = true;
        });
    }
}

/// And those that are done.
fn note_end(job: &Job) {
    let was_fenced = job.times().fenced_nanos.is_some();
    change_course(job.plan().plan_id, |course| match job.state() {
        State::RolledBack { .. } if was_fenced => {}
        State::Done { .. } => course.note_end(false),
        // One that made no call was not started.
        _ if job.counters().calls > 0 => course.started = course.started.saturating_sub(1),
        _ => {}
    });
}

/// What people read when a job comes into another state.
fn line(from: &str, job: &Job, at_nanos: TimeNanos) -> Line {
    let (id, source, to) = (job.id(), job.source(), job.state().name());
    let level = match job.state() {
        State::Parked { .. } => Level::Error,
        State::RollingBack { .. } | State::RolledBack { .. } => Level::Warn,
        // It was to be reverted, and was not.
        State::Retaining { .. } if job.trouble().is_some() => Level::Warn,
        _ => Level::Info,
    };
    let why = job.explanation().map(|why| format!(": {why}")).unwrap_or_default();
    let code = job.reason_code().map(|code| format!("{code:?}"));
    Line { at_nanos, level, job: Some(id), code, text: format!("job {id} of {source}: {from} → {to}{why}") }
}

fn drop_journal(id: JobId) {
    JOURNAL.with_borrow_mut(|journal| {
        let keys: Vec<_> = journal.keys_range((id, 0)..=(id, u32::MAX)).collect();
        for key in keys {
            journal.remove(&key);
        }
    });
}

/// Reads all that has not ended, as an upgrade must before it is accepted, and says anew who is where.
///
/// # Errors
/// What this build can't go on with, and what to do.
pub(crate) fn rebuild() -> Result<(), String> {
    let (mut made, mut counted) = (Board::default(), Census::default());
    let is_tallied = !tallies::is_empty();
    let is_kept = BY_TARGET.with_borrow(|by_target| !by_target.is_empty()) || !names::has_no_target();
    let mut whole = BTreeSet::new();
    JOBS.with_borrow(|jobs| {
        for entry in jobs.iter() {
            let (id, bytes) = entry.into_pair();
            whole.insert(id);
            if records::has_ended(&bytes) {
                // Earlier builds did not keep whose target a canister is, nor what ended of each plan.
                if !(is_kept && is_tallied) && let Ok(job) = Job::decode(&bytes) {
                    name_target(&job);
                    tallies::count(&job);
                }
                continue;
            }
            match Job::decode(&bytes) {
                Ok(job) if job.is_of_old_build() => {
                    return Err(format!(
                        "job {id} is on its way by snapshots, as only the build that is there does it: pause, let it \
                         end, then upgrade"
                    ));
                }
                Ok(job) => {
                    name_target(&job);
                    ASIDE.with_borrow_mut(|aside| aside.remove(&id));
                    made.put(&job);
                    counted.put(&job);
                }
                Err(_) if ASIDE.with_borrow(|aside| aside.contains_key(&id)) => made.set_aside(id),
                Err(Damaged(why)) => {
                    return Err(format!(
                        "this build can't read job {id}: {why}. If the build that is there can't either, call \
                         decant_retry({id}), which sets it aside, and upgrade again"
                    ));
                }
            }
        }
        Ok(())
    })?;
    let in_line = (1..line::end()).filter(|id| !whole.contains(id) && !events::has_ended(*id));
    in_line.filter_map(line::job).for_each(|job| made.put(&job));
    board(|board| *board = made);
    census(|census| *census = counted);
    Ok(())
}

/// A plan's jobs in line and on their way may start while `may_start` says so; those that are due are taken.
pub(crate) fn start(may_start: impl FnMut(u64, Load) -> bool, now_nanos: TimeNanos) {
    board(|board| board.start(may_start, now_nanos));
}

/// Open jobs in a place.
pub(crate) fn count(place: Place) -> u64 {
    board(|board| board.count_all(place))
}

/// Writes bytes as another build, or a fault, may have left them.
#[cfg(test)]
pub(crate) fn write_raw(id: JobId, bytes: &[u8]) {
    JOBS.with_borrow_mut(|jobs| jobs.insert(id, bytes.to_vec()));
}

/// What is kept of a job's journal.
#[cfg(test)]
pub(crate) fn journal(id: JobId) -> Vec<Entry> {
    JOURNAL.with_borrow(|journal| {
        let all = journal.range((id, 0)..=(id, u32::MAX));
        all.map(|entry| Entry::decode(&entry.value()).expect("an entry")).collect()
    })
}
