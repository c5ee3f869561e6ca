//! Decides what comes next.

use candid::Principal;

use crate::apply::rules;
use crate::{
    Effect, Event, Job, Limits, Phase, Reason, ReasonCode, Stage, State, TimeNanos, Undo, VesselState,
};

/// What a driver does next for a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Apply [`Event::Started`] with this ticket, call, and apply [`Event::Replied`] with how it ended.
    Call {
        /// Number of the call in its job.
        ticket: u32,
        /// What to call.
        effect: Effect,
        /// Whether it only looks for what an earlier call of unknown outcome did.
        is_observation: bool,
    },
    /// Apply this.
    Record(Event),
    /// Nothing before that.
    Wait {
        /// When to come back.
        until_nanos: TimeNanos,
    },
    /// A reply is awaited; if it isn't, apply [`Event::reply_lost`].
    InFlight {
        /// Number of the call in its job.
        ticket: u32,
    },
    /// Take a canister from the pool and apply [`Event::TargetTaken`], or [`Event::PoolEmpty`], in one message.
    TakeFromPool,
    /// Give the canister to the pool and apply [`Event::TargetReturned`], in one message.
    ReturnToPool {
        /// The canister; it is empty, and only the coordinator controls it.
        target: Principal,
    },
    /// Give the source to the pool and apply [`Event::SourceHandedOver`], in one message.
    HandToPool {
        /// The canister; it is empty, and only the coordinator controls it. It was somebody's: nobody has it at once.
        source: Principal,
    },
    /// Nothing, ever: the job is done or rolled back.
    Finished,
    /// Nothing before an operator applies [`Event::Retried`].
    Parked,
}

/// The next step of a job.
pub fn next_step(job: &Job, now_nanos: TimeNanos, limits: &Limits) -> Step {
    match &job.state {
        State::Done { .. } | State::RolledBack { .. } => return Step::Finished,
        _ if job.is_of_old_build() => return Step::Parked,
        State::Parked { .. } => return Step::Parked,
        State::Retaining { until_nanos, .. } | State::Vessel(VesselState::Retaining { until_nanos, .. }) => {
            return match now_nanos < *until_nanos {
                true => Step::Wait { until_nanos: *until_nanos },
                false => Step::Record(Event::RetentionElapsed),
            };
        }
        _ => {}
    }
    if job.attempt.phase.is_in_flight() {
        return Step::InFlight { ticket: job.counters.calls };
    }
    // What was looked at in this message is acted upon in this message.
    let is_looked = job.attempt.phase == Phase::Looked { at_nanos: now_nanos };
    if !is_looked {
        if let Some(reason) = limit_reached(job, now_nanos, limits) {
            return Step::Record(Event::GaveUp { reason });
        }
        let until_nanos = limits.not_before_nanos(job);
        if now_nanos < until_nanos {
            return Step::Wait { until_nanos };
        }
    }
    match (&job.state, job.target) {
        (State::Admitted { .. }, _) => return Step::TakeFromPool,
        (State::Handing { .. }, _) => return Step::HandToPool { source: job.source },
        (State::RollingBack { undo, .. }, Some(target)) if undo.last() == Some(&Undo::ReturnTarget) => {
            return Step::ReturnToPool { target };
        }
        _ => {}
    }
    let rules = rules(job, now_nanos, limits);
    let is_observation = match job.attempt.phase {
        Phase::Observe { .. } => rules.look.is_some(),
        _ => rules.looks_before() && !is_looked,
    };
    let effect = if is_observation { rules.look.map(|look| look.effect) } else { rules.call };
    match effect {
        Some(effect) => Step::Call { ticket: job.counters.calls.saturating_add(1), effect, is_observation },
        // No job that keeps its invariants comes here; one that doesn't must not hang.
        None => Step::Record(Event::GaveUp {
            reason: Reason::new(
                ReasonCode::Contradiction,
                format!("nothing to call when {}", job.state.name()),
            ),
        }),
    }
}

/// Why the job must not go on trying, if so.
fn limit_reached(job: &Job, now_nanos: TimeNanos, limits: &Limits) -> Option<Reason> {
    let attempt = &job.attempt;
    let state = job.state.name();
    let last = attempt.last_reason.as_ref();
    let because = last.map(|reason| format!(": {reason}")).unwrap_or_default();
    if attempt.slices >= limits.max_slices {
        let detail = format!("{} slices when {state}", attempt.slices);
        return Some(Reason::new(ReasonCode::TriedTooOften, detail));
    }
    let too_often = |times: u32| {
        let detail = format!("{times} times when {state}{because}");
        Some(Reason::new(ReasonCode::TriedTooOften, detail))
    };
    match job.state.stage() {
        Stage::BeforeCommit | Stage::Reverting => {}
        // The same is asked, and refused, as often as it makes sense: a person decides.
        Stage::AfterCommit if attempt.refusals >= limits.max_refusals_settled => {
            return too_often(attempt.refusals);
        }
        // All else is mended by others, and then goes on: users wait, or what they left is cleared away.
        Stage::RollingBack | Stage::AfterCommit | Stage::Ended => return None,
    }
    if attempt.tries >= limits.max_tries(&job.state) {
        return too_often(attempt.tries);
    }
    let age_nanos = now_nanos.saturating_sub(attempt.first_nanos);
    if attempt.waits() > 0 && age_nanos >= limits.deadline_nanos(&job.state) {
        let code = match job.state {
            State::Admitted { .. } => ReasonCode::PoolEmpty,
            _ => ReasonCode::Overdue,
        };
        return Some(Reason::new(code, format!("{} s when {state}{because}", age_nanos / 1_000_000_000)));
    }
    (now_nanos >= limits.fence_ends_nanos(job)?).then(|| {
        let fenced_for_nanos = now_nanos.saturating_sub(job.times.fenced_nanos.unwrap_or(now_nanos));
        let detail = format!("fenced for {} s, now {state}", fenced_for_nanos / 1_000_000_000);
        Reason::new(ReasonCode::Overdue, detail)
    })
}
