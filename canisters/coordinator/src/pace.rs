//! Whether a job of a plan may be started now, and go on to its fence: by the pace that governance gave the plan, and by what
//! operators say.

use crate::driver;
use crate::store::{self, Course};
use decant_api::JobId;
use decant_api::govern::{Hours, Release};
use decant_engine::{Job, Load, Phase, Place, State, TimeNanos, VesselState};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;

const SECOND_NANOS: u64 = 1_000_000_000;
const MINUTE_NANOS: u64 = 60 * SECOND_NANOS;
const DAY_MINUTES: u64 = 1_440;

thread_local! {
    /// Why no job of a plan was started when one was in line, at the last look.
    static WAITS: RefCell<BTreeMap<u64, Wait>> = const { RefCell::new(BTreeMap::new()) };
    /// Jobs that wait for an operator, when they were last looked at.
    static HELD: RefCell<BTreeSet<JobId>> = const { RefCell::new(BTreeSet::new()) };
}

/// Why no job of a plan is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Governance ended it.
    Ended,
    /// Operators let none run.
    Tempo,
    /// The canaries are on their way.
    Canaries,
    /// They are through, and are watched until then.
    Soak(TimeNanos),
    /// They are through, and an operator is to say so.
    Release,
    /// So many went back.
    Broken { failures: u32, of_last: u32 },
    /// It is not its time of the day until then.
    Hours(TimeNanos),
    /// Jobs of all plans take the places that there are.
    Places,
}

impl Wait {
    /// For people.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Ended => "governance ended the plan".to_owned(),
            Self::Tempo => "its tempo is 0".to_owned(),
            Self::Canaries => "its canaries are not through".to_owned(),
            Self::Soak(_) => "its canaries are through, and are watched".to_owned(),
            Self::Release => "its canaries are through: look at them, and release the others".to_owned(),
            Self::Broken { failures, of_last } => {
                format!("{failures} of its last {of_last} jobs went back: look why, and release the others")
            }
            Self::Hours(_) => "it is not its time of the day".to_owned(),
            Self::Places => "as many jobs of all plans run as may at a time".to_owned(),
        }
    }

    /// Until when, if it ends by itself.
    pub(crate) fn until_nanos(self) -> Option<TimeNanos> {
        match self {
            Self::Soak(until_nanos) | Self::Hours(until_nanos) => Some(until_nanos),
            Self::Ended
            | Self::Tempo
            | Self::Canaries
            | Self::Release
            | Self::Broken { .. }
            | Self::Places => None,
        }
    }
}

/// Begins to look at all plans.
pub(crate) fn begin() {
    WAITS.with_borrow_mut(BTreeMap::clear);
}

/// Whether one more job of a plan may be started.
pub(crate) fn may_start(plan_id: u64, load: Load, now_nanos: TimeNanos) -> Result<(), Wait> {
    let mut course = store::course(plan_id);
    let before = course;
    let decided = decide(&mut course, load, now_nanos);
    if course != before {
        store::change_course(plan_id, |there| *there = course);
    }
    if let Err(wait) = decided {
        note_wait(plan_id, wait);
    }
    decided
}

/// Why no job of a plan is started now.
pub(crate) fn note_wait(plan_id: u64, wait: Wait) {
    WAITS.with_borrow_mut(|waits| waits.insert(plan_id, wait));
}

/// The same, of the course alone, which remembers when the canaries were through.
fn decide(course: &mut Course, load: Load, now_nanos: TimeNanos) -> Result<(), Wait> {
    let pace = course.pace();
    if course.has_ended {
        return Err(Wait::Ended);
    }
    if course.tempo == Some(0) {
        return Err(Wait::Tempo);
    }
    if let Some(breaker) = pace.breaker
        && course.failures_of_last(breaker.of_last) >= breaker.failures
    {
        return Err(Wait::Broken { failures: breaker.failures, of_last: breaker.of_last });
    }
    if let Some(hours) = pace.hours
        && let Some(until_nanos) = begins_nanos(hours, now_nanos)
    {
        return Err(Wait::Hours(until_nanos));
    }
    let Some(canaries) = pace.canaries else { return Ok(()) };
    // One that works may not have made its first call, so that it does not count as started yet.
    if course.are_canaries_released || course.started.saturating_add(load.working) < canaries.jobs {
        return Ok(());
    }
    // None works, is parked, waits for somebody who does not answer, or can't be read.
    let are_through = load.working == 0 && load.stuck == 0 && load.unsettled == 0;
    if !are_through {
        return Err(Wait::Canaries);
    }
    let from_nanos = *course.soaked_from_nanos.get_or_insert(now_nanos);
    match canaries.soak_seconds {
        Some(seconds) if !course.has_turned && course.failures_of_last(store::LOOKS_BACK) == 0 => {
            let until_nanos = from_nanos.saturating_add(seconds.saturating_mul(SECOND_NANOS));
            if now_nanos < until_nanos {
                return Err(Wait::Soak(until_nanos));
            }
            course.are_canaries_released = true;
            Ok(())
        }
        _ => Err(Wait::Release),
    }
}

/// When these hours begin next, if it is not within them now.
fn begins_nanos(hours: Hours, now_nanos: TimeNanos) -> Option<TimeNanos> {
    let minutes = now_nanos / MINUTE_NANOS;
    let (now, from, to) = (minutes % DAY_MINUTES, u64::from(hours.from_minute), u64::from(hours.to_minute));
    let is_within = match from < to {
        true => (from..to).contains(&now),
        false => now >= from || now < to,
    };
    let wait = (from + DAY_MINUTES - now) % DAY_MINUTES;
    (!is_within).then(|| (minutes + wait) * MINUTE_NANOS)
}

/// When the first plan that waits for a time is to be looked at.
pub(crate) fn first_due() -> Option<TimeNanos> {
    WAITS.with_borrow(|waits| waits.values().filter_map(|wait| wait.until_nanos()).min())
}

/// Why no job of a plan is started, if any is in line.
pub(crate) fn waits_for(plan_id: u64) -> Option<Wait> {
    WAITS.with_borrow(|waits| waits.get(&plan_id).copied())
}

/// Whether a job waits for an operator before its users can't write any more.
pub(crate) fn is_held(job: &Job) -> bool {
    store::course(job.plan().plan_id).pace().holds_before_fence
        && is_at_fence(job)
        && !store::may_pass(job.id())
}

/// Whether the next call takes users' writes away, and none went out yet.
fn is_at_fence(job: &Job) -> bool {
    let attempt = job.attempt();
    matches!(job.state(), State::Provisioned | State::Vessel(VesselState::Ready))
        && attempt.phase == Phase::Ready
        && attempt.waits() == 0
        && !attempt.is_unsure
}

/// The jobs of a plan that wait there.
pub(crate) fn held(plan_id: u64) -> Vec<JobId> {
    if !store::course(plan_id).pace().holds_before_fence {
        return Vec::new();
    }
    let working = store::board(|board| board.working(plan_id));
    working.into_iter().filter(|id| store::job(*id).is_some_and(|job| is_held(&job))).collect()
}

/// Notes whether a job waits for an operator, now that nobody drives it. Answers it.
pub(crate) fn note_held(plan_id: u64, id: JobId) -> bool {
    let may_be = store::course(plan_id).pace().holds_before_fence;
    let is_held = may_be && store::job(id).is_some_and(|job| is_held(&job));
    HELD.with_borrow_mut(|held| if is_held { held.insert(id) } else { held.remove(&id) });
    is_held
}

/// They may all go on: which do not is noted when they were looked at.
pub(crate) fn forget_held() {
    HELD.with_borrow_mut(BTreeSet::clear);
}

/// An operator lets a job pass.
fn let_pass(id: JobId, now_nanos: TimeNanos) {
    store::let_pass(id);
    HELD.with_borrow_mut(|held| held.remove(&id));
    store::board(|board| board.due_at(id, Some(now_nanos)));
}

/// Jobs of all plans that are driven, or will be without an operator.
pub(crate) fn driven() -> u64 {
    let held = HELD.with_borrow_mut(|held| {
        store::board(|board| held.retain(|id| board.place(*id) == Some(Place::Working)));
        held.len() as u64
    });
    store::count(Place::Working).saturating_sub(held)
}

/// Sets how many jobs of a plan run at a time, within what was approved.
pub(crate) fn set_tempo(plan_id: u64, tempo: u32) -> Result<(), String> {
    let plan =
        store::plan(plan_id).ok_or_else(|| format!("there is no plan {plan_id} that can be read"))?.plan;
    let most = store::course(plan_id).terms(&plan).max_in_flight;
    if tempo > most {
        return Err(format!("{tempo} at a time: governance approved {most}"));
    }
    store::change_course(plan_id, |course| course.tempo = Some(tempo));
    store::forget_terms(plan_id);
    driver::wake();
    Ok(())
}

/// Lets go on what waits for an operator.
pub(crate) fn release(plan_id: u64, release: Release) -> Result<(), String> {
    store::plan(plan_id).ok_or_else(|| format!("there is no plan {plan_id} that can be read"))?;
    match release {
        Release::Canaries => store::change_course(plan_id, |course| course.are_canaries_released = true),
        Release::Breaker => store::change_course(plan_id, Course::forgive),
        Release::Held(count) => {
            let now_nanos = ic_cdk::api::time();
            let first = held(plan_id).into_iter().take(count as usize);
            first.for_each(|id| let_pass(id, now_nanos));
        }
    }
    driver::wake();
    Ok(())
}
