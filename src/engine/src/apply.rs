//! The only way a job changes.

use crate::next::{Next, Tolerated, Verdict};
use crate::relocate::released;
use crate::strategy::{advance, observation, tolerates, undo, verdict};
use crate::{
    Attempt, Event, IllegalTransition, Job, Outcome, Phase, Reason, ReasonCode, RepackState, Stage, State,
    TimeNanos, Undo, Value, Why, invariants,
};

/// Changes the job by an event.
///
/// # Errors
/// If the event doesn't fit, [`IllegalTransition`]; the job is then as it was.
pub fn apply(job: &mut Job, event: Event, now_nanos: TimeNanos) -> Result<(), IllegalTransition> {
    let event_name = event.name();
    let mut changed = job.clone();
    transition(&mut changed, event, now_nanos).map_err(|why| IllegalTransition {
        job: job.id,
        state: job.state.name(),
        phase: job.attempt.phase.name(),
        event: event_name,
        why,
    })?;
    debug_assert_eq!(invariants(&changed), Ok(()), "{event_name} broke a job that was {}", job.state.name());
    *job = changed;
    Ok(())
}

fn transition(job: &mut Job, event: Event, now_nanos: TimeNanos) -> Result<(), Why> {
    match event {
        Event::Started { ticket } => started(job, ticket, now_nanos),
        Event::Replied { ticket, outcome } => replied(job, ticket, outcome, now_nanos),
        Event::TargetTaken { target } => target_taken(job, target, now_nanos),
        Event::PoolEmpty => match job.state {
            State::Admitted { .. } => {
                count_try(job, now_nanos);
                Ok(())
            }
            _ => Err(Why::WrongState),
        },
        Event::TargetReturned => match &job.state {
            State::RollingBack { undo, .. } if undo.last() == Some(&Undo::ReturnTarget) => {
                undone(job, now_nanos);
                Ok(())
            }
            _ => Err(Why::WrongState),
        },
        Event::RetentionElapsed => match job.state {
            State::Retaining { root, .. } => {
                enter(job, released(root), now_nanos);
                Ok(())
            }
            State::Repack(RepackState::Retaining { root, .. }) => {
                enter(job, State::Repack(RepackState::DroppingSaved { root }), now_nanos);
                Ok(())
            }
            _ => Err(Why::WrongState),
        },
        Event::GaveUp { reason } => gave_up(job, reason, now_nanos),
        Event::AbortRequested => abort_requested(job, now_nanos),
        Event::Retried => match &job.state {
            State::Parked { resume, .. } => {
                // Whatever was unsure when it parked still is: the phase stays, the count begins again.
                job.state = (**resume).clone();
                job.attempt = Attempt {
                    phase: job.attempt.phase.clone(),
                    is_unsure: job.attempt.is_unsure,
                    ..Attempt::default()
                };
                Ok(())
            }
            _ => Err(Why::WrongState),
        },
    }
}

fn started(job: &mut Job, ticket: u32, now_nanos: TimeNanos) -> Result<(), Why> {
    let expected = job.counters.calls.saturating_add(1);
    if !has_call(&job.state) {
        return Err(Why::WrongState);
    }
    let phase = match std::mem::take(&mut job.attempt.phase) {
        Phase::Ready => Phase::Sent,
        Phase::Observe { refusal } => Phase::ObserveSent { refusal },
        Phase::Sent | Phase::ObserveSent { .. } => return Err(Why::CallUnderWay),
    };
    if ticket != expected {
        return Err(Why::OtherTicket { ticket, expected });
    }
    job.attempt.phase = phase;
    job.counters.calls = ticket;
    count_try(job, now_nanos);
    Ok(())
}

/// Whether the state is left by a call.
fn has_call(state: &State) -> bool {
    match state {
        State::Admitted { .. }
        | State::Retaining { .. }
        | State::Repack(RepackState::Retaining { .. })
        | State::Done { .. }
        | State::RolledBack { .. }
        | State::Parked { .. } => false,
        State::RollingBack { undo, .. } => undo.last().is_some_and(|undo| *undo != Undo::ReturnTarget),
        _ => true,
    }
}

fn replied(job: &mut Job, ticket: u32, outcome: Outcome, now_nanos: TimeNanos) -> Result<(), Why> {
    if !job.attempt.phase.is_in_flight() {
        return Err(Why::NoCallUnderWay);
    }
    let expected = job.counters.calls;
    if ticket != expected {
        return Err(Why::OtherTicket { ticket, expected });
    }
    job.attempt.last_nanos = now_nanos;
    match std::mem::take(&mut job.attempt.phase) {
        Phase::ObserveSent { refusal } => settle_observation(job, refusal, outcome, now_nanos)?,
        _ => settle_call(job, outcome, now_nanos)?,
    }
    if job.is_abort_requested && job.state.stage() == Stage::BeforeCommit {
        roll_back(job, ReasonCode::Aborted.into(), now_nanos);
    }
    Ok(())
}

/// The call of the state ended.
fn settle_call(job: &mut Job, outcome: Outcome, now_nanos: TimeNanos) -> Result<(), Why> {
    match outcome {
        Outcome::Done(value) => {
            let next = advance(job, value, now_nanos)?;
            follow(job, next, now_nanos);
        }
        Outcome::Refused(reason) => match tolerates(job, reason.code(), now_nanos) {
            Some(Tolerated::Enter(state)) => enter(job, state, now_nanos),
            Some(Tolerated::Undone) => undone(job, now_nanos),
            Some(Tolerated::Again) => progressed(job),
            Some(Tolerated::Park(reason)) => park(job, reason, now_nanos),
            None if job.state.stage() != Stage::BeforeCommit => job.attempt.last_reason = Some(reason),
            None if job.attempt.is_unsure && observation(job).is_some() => {
                job.attempt.phase = Phase::Observe { refusal: Some(reason) };
            }
            None => {
                let is_untouched = !job.attempt.is_unsure;
                fail(job, reason, is_untouched, now_nanos);
            }
        },
        Outcome::Transient(reason) => job.attempt.last_reason = Some(reason),
        Outcome::Unknown(reason) => {
            job.attempt.last_reason = Some(reason);
            job.attempt.is_unsure = true;
            if observation(job).is_some() {
                job.attempt.phase = Phase::Observe { refusal: None };
            }
        }
    }
    Ok(())
}

/// The observation of the state ended.
fn settle_observation(
    job: &mut Job,
    refusal: Option<Reason>,
    outcome: Outcome,
    now_nanos: TimeNanos,
) -> Result<(), Why> {
    match outcome {
        Outcome::Done(value) => match verdict(job, &value)? {
            Verdict::Happened => {
                let next = advance(job, Value::Acknowledged, now_nanos)?;
                follow(job, next, now_nanos);
            }
            Verdict::Answered(value) => {
                let next = advance(job, value, now_nanos)?;
                follow(job, next, now_nanos);
            }
            Verdict::NotYet => match refusal {
                Some(reason) => fail(job, reason, false, now_nanos),
                None => job.attempt.phase = Phase::Ready,
            },
            Verdict::Contradiction(reason) => match job.state.stage() {
                Stage::BeforeCommit => fail(job, reason, false, now_nanos),
                Stage::RollingBack | Stage::AfterCommit | Stage::Ended => park(job, reason, now_nanos),
            },
        },
        Outcome::Refused(reason) => match tolerates(job, reason.code(), now_nanos) {
            Some(Tolerated::Enter(state)) => enter(job, state, now_nanos),
            Some(Tolerated::Undone) => undone(job, now_nanos),
            Some(Tolerated::Again) => progressed(job),
            Some(Tolerated::Park(reason)) => park(job, reason, now_nanos),
            None if job.state.stage() == Stage::BeforeCommit => fail(job, reason, false, now_nanos),
            None => {
                job.attempt.last_reason = Some(reason);
                job.attempt.phase = Phase::Observe { refusal };
            }
        },
        Outcome::Transient(reason) | Outcome::Unknown(reason) => {
            job.attempt.last_reason = Some(reason);
            job.attempt.phase = Phase::Observe { refusal };
        }
    }
    Ok(())
}

fn target_taken(job: &mut Job, target: candid::Principal, now_nanos: TimeNanos) -> Result<(), Why> {
    let State::Admitted { settings } = &job.state else { return Err(Why::WrongState) };
    let is_taken = target == job.source || job.indexes.contains(&target);
    if is_taken || target == candid::Principal::management_canister() {
        return Err(Why::BadTarget { target });
    }
    let settings = settings.clone();
    job.target = Some(target);
    enter(job, State::Reserved { settings }, now_nanos);
    Ok(())
}

fn gave_up(job: &mut Job, reason: Reason, now_nanos: TimeNanos) -> Result<(), Why> {
    if job.attempt.phase.is_in_flight() {
        return Err(Why::CallUnderWay);
    }
    match job.state.stage() {
        _ if job.state.is_parked() => return Err(Why::WrongState),
        // A pre-copy makes the freeze shorter, no more: on without the rest of it.
        _ if matches!(job.state, State::Offering | State::Precopying) => {
            enter(job, State::Provisioned, now_nanos);
        }
        Stage::BeforeCommit => roll_back(job, reason, now_nanos),
        Stage::RollingBack | Stage::AfterCommit => park(job, reason, now_nanos),
        Stage::Ended => return Err(Why::WrongState),
    }
    Ok(())
}

fn abort_requested(job: &mut Job, now_nanos: TimeNanos) -> Result<(), Why> {
    if job.state.stage() != Stage::BeforeCommit {
        return Err(Why::WrongState);
    }
    if job.attempt.phase.is_in_flight() {
        job.is_abort_requested = true;
    } else {
        roll_back(job, ReasonCode::Aborted.into(), now_nanos);
    }
    Ok(())
}

fn count_try(job: &mut Job, now_nanos: TimeNanos) {
    if job.attempt.tries == 0 {
        job.attempt.first_nanos = now_nanos;
    }
    job.attempt.tries = job.attempt.tries.saturating_add(1);
    job.attempt.last_nanos = now_nanos;
}

fn follow(job: &mut Job, next: Next, now_nanos: TimeNanos) {
    match next {
        Next::Enter(State::Committed { root }) if job.is_abort_requested => {
            // The abort came while the last swap was under way: every index is swapped, nothing is committed.
            let next = u16::try_from(job.indexes.len()).unwrap_or(u16::MAX);
            job.state = State::Switching { root, next };
            fail(job, ReasonCode::Aborted.into(), true, now_nanos);
        }
        // The abort came while the last look before the commit point was under way.
        Next::Enter(State::Repack(RepackState::Checked { .. })) if job.is_abort_requested => {
            fail(job, ReasonCode::Aborted.into(), true, now_nanos);
        }
        Next::Enter(state) => enter(job, state, now_nanos),
        Next::Again { done_bytes } => again(job, done_bytes),
        Next::Undone => undone(job, now_nanos),
        Next::Fail(reason) => fail(job, reason, true, now_nanos),
        Next::Park { reason, resume } => {
            enter(job, resume, now_nanos);
            park(job, reason, now_nanos);
        }
    }
}

/// The same state; its tries begin again if it got on.
fn again(job: &mut Job, done_bytes: u64) {
    let attempt = &mut job.attempt;
    attempt.slices = attempt.slices.saturating_add(1);
    if done_bytes > attempt.done_bytes {
        attempt.done_bytes = done_bytes;
        attempt.tries = 0;
        attempt.last_reason = None;
    }
}

/// As [`again`], for a state that does not count bytes.
fn progressed(job: &mut Job) {
    let done_bytes = job.attempt.done_bytes.saturating_add(1);
    again(job, done_bytes);
}

/// Back, from wherever no call is under way.
fn roll_back(job: &mut Job, reason: Reason, now_nanos: TimeNanos) {
    // No try since the state was entered or made progress: a sliced state leaves no trace of its own.
    let is_untouched = job.attempt.tries == 0;
    fail(job, reason, is_untouched, now_nanos);
}

fn fail(job: &mut Job, reason: Reason, is_untouched: bool, now_nanos: TimeNanos) {
    let undo = undo(job, is_untouched);
    job.is_abort_requested = false;
    let makes_snapshot = matches!(&job.state, State::Repack(at) if at.makes_snapshot());
    if let Some(held) = job.held.as_mut().filter(|_| makes_snapshot && !is_untouched) {
        held.is_unsure = true;
    }
    if undo.is_empty() {
        enter(job, State::RolledBack { reason }, now_nanos);
    } else {
        enter(job, State::RollingBack { reason, undo }, now_nanos);
    }
}

/// Takes the topmost undo off.
fn undone(job: &mut Job, now_nanos: TimeNanos) {
    let State::RollingBack { reason, undo } = &job.state else { return };
    let (reason, mut undo) = (reason.clone(), undo.clone());
    match undo.pop() {
        Some(Undo::ReturnTarget) => job.target = None,
        Some(Undo::ThawSource) => job.times.served_nanos = Some(now_nanos),
        Some(Undo::StartSource) if job.plan.strategy.is_by_snapshot() => {
            job.times.served_nanos = Some(now_nanos);
        }
        _ => {}
    }
    if undo.is_empty() {
        enter(job, State::RolledBack { reason }, now_nanos);
    } else {
        enter(job, State::RollingBack { reason, undo }, now_nanos);
    }
}

fn park(job: &mut Job, reason: Reason, now_nanos: TimeNanos) {
    let resume = Box::new(job.state.clone());
    job.state = State::Parked { reason, resume };
    job.attempt.last_nanos = now_nanos;
}

/// The only place where a state becomes another one: its tries begin at none.
fn enter(job: &mut Job, state: State, now_nanos: TimeNanos) {
    match (&job.state, &state) {
        (_, State::Frozen) => job.times.fenced_nanos = Some(now_nanos),
        (_, State::Repack(RepackState::Still | RepackState::Stopped)) => {
            job.times.fenced_nanos.get_or_insert(now_nanos);
        }
        (_, State::Committed { .. } | State::Repack(RepackState::Checked { .. })) => {
            job.times.committed_nanos = Some(now_nanos);
        }
        (State::Retired { .. } | State::Repack(RepackState::Checked { .. }), _)
            if job.times.served_nanos.is_none() =>
        {
            job.times.served_nanos = Some(now_nanos);
        }
        (_, State::Done { .. }) => job.times.ended_nanos = Some(now_nanos),
        (_, State::RolledBack { .. }) => {
            job.times.ended_nanos = Some(now_nanos);
            job.held = None;
        }
        _ => {}
    }
    job.state = state;
    job.attempt = Attempt::default();
}
