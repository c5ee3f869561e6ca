//! The only way a job changes. It knows no strategy: what follows is what the state's [`Rules`] say.

use crate::rules::{Look, Next, Rules, Verdict, When};
use crate::{
    Attempt, Event, IllegalTransition, Job, Left, Limits, MAX_ENDED_DETAIL_BYTES, Outcome, Phase, Reason,
    ReasonCode, Stage, State, TimeNanos, Undo, Value, VesselState, Why, back, invariants, relocate, vessel,
};

/// Time for which it is known that a target serves: within it nobody looks again before the source goes.
const SEEN_NANOS: TimeNanos = 600_000_000_000;

/// What the job's state says of itself.
pub(crate) fn rules(job: &Job, now_nanos: TimeNanos, limits: &Limits) -> Rules {
    let rules = match &job.state {
        State::Vessel(_) => vessel::rules(job, now_nanos, limits),
        State::Queued if job.plan.strategy.is_by_vessel() => Some(vessel::queued(job)),
        State::RollingBack { undo, .. } => undo.last().and_then(|undo| back::rules(job, *undo)),
        State::OfOldBuild(_) => None,
        _ => relocate::rules(job, now_nanos, limits),
    };
    // No job that keeps its invariants lacks them; one that does must not hang.
    rules.unwrap_or_else(Rules::none)
}

/// The same, for what changes the job: limits decide which calls are made, not what follows.
fn rules_of(job: &Job, now_nanos: TimeNanos) -> Rules {
    rules(job, now_nanos, &Limits::default())
}

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
    if job.is_of_old_build() {
        return Err(Why::OldBuild);
    }
    match event {
        Event::Started { ticket } => started(job, ticket, now_nanos),
        Event::Replied { ticket, outcome } => replied(job, ticket, outcome, now_nanos),
        Event::TargetTaken { target, is_new } => target_taken(job, target, is_new, now_nanos),
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
        Event::SourceHandedOver => match job.state {
            State::Handing { root } => {
                enter(job, State::Done { root }, now_nanos);
                Ok(())
            }
            _ => Err(Why::WrongState),
        },
        Event::RetentionElapsed => match job.state {
            State::Retaining { root, .. } => {
                enter(job, State::Confirming { root, then: None }, now_nanos);
                Ok(())
            }
            State::Vessel(VesselState::Retaining { root, .. }) => {
                enter(job, State::Vessel(VesselState::DroppingSaved { root }), now_nanos);
                Ok(())
            }
            _ => Err(Why::WrongState),
        },
        Event::GaveUp { reason } => gave_up(job, reason, now_nanos),
        Event::AbortRequested => abort_requested(job, now_nanos),
        Event::Retried => retried(job, now_nanos),
        Event::Skipped => skipped(job, now_nanos),
        Event::RevertRequested => {
            enter(job, relocate::revert::begun(job)?, now_nanos);
            Ok(())
        }
    }
}

fn started(job: &mut Job, ticket: u32, now_nanos: TimeNanos) -> Result<(), Why> {
    let expected = job.counters.calls.saturating_add(1);
    let rules = rules_of(job, now_nanos);
    if rules.call.is_none() && rules.look.is_none() {
        return Err(Why::WrongState);
    }
    let (phase, is_call) = match std::mem::take(&mut job.attempt.phase) {
        Phase::Looked { at_nanos } if at_nanos == now_nanos => (Phase::Sent, true),
        Phase::Ready | Phase::Looked { .. } if rules.looks_before() => {
            (Phase::ObserveSent { refusal: None }, false)
        }
        Phase::Ready | Phase::Looked { .. } => (Phase::Sent, true),
        Phase::Observe { refusal } => (Phase::ObserveSent { refusal }, false),
        Phase::Sent | Phase::ObserveSent { .. } => return Err(Why::CallUnderWay),
    };
    if ticket != expected {
        return Err(Why::OtherTicket { ticket, expected });
    }
    // A look and the call that follows it at once are one try.
    if !(is_call && rules.looks_before()) || job.attempt.tries == 0 {
        count_try(job, now_nanos);
    }
    job.attempt.phase = phase;
    if is_call {
        (job.attempt.is_sent, job.attempt.sent_nanos) = (true, now_nanos);
    }
    job.counters.calls = ticket;
    Ok(())
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
        Phase::ObserveSent { refusal } => settle_look(job, refusal, outcome, now_nanos)?,
        _ => settle_call(job, outcome, now_nanos)?,
    }
    if job.is_abort_requested && job.state.stage() == Stage::BeforeCommit {
        roll_back(job, ReasonCode::Aborted.into(), now_nanos);
    }
    Ok(())
}

/// The call of the state ended.
fn settle_call(job: &mut Job, outcome: Outcome, now_nanos: TimeNanos) -> Result<(), Why> {
    let rules = rules_of(job, now_nanos);
    match outcome {
        Outcome::Done(value) => {
            let next = (rules.done)(job, value)?;
            follow(job, next, now_nanos);
        }
        Outcome::Refused(reason) => match (rules.refused)(job, reason.code()) {
            Some(next) => follow(job, next, now_nanos),
            None if !job.state.stage().can_fail() => {
                refused(job, reason);
                look_if_stuck(job, rules.look.as_ref());
            }
            None if job.attempt.is_unsure && rules.look.is_some() => {
                job.attempt.phase = Phase::Observe { refusal: Some(reason) };
            }
            None => {
                let is_untouched = !job.attempt.is_unsure;
                fail(job, reason, is_untouched, now_nanos);
            }
        },
        Outcome::Transient(reason) => {
            put_off(job, reason);
            look_if_stuck(job, rules.look.as_ref());
        }
        Outcome::Unknown(reason) => {
            match reason.code() {
                // It is an answer all the same: nobody waits for ever for another one.
                ReasonCode::Trapped | ReasonCode::Rejected | ReasonCode::NoKit => refused(job, reason),
                _ => job.attempt.last_reason = Some(reason),
            }
            job.attempt.is_unsure = true;
            if rules.look.is_some() {
                job.attempt.phase = Phase::Observe { refusal: None };
            }
        }
    }
    Ok(())
}

/// The look of the state ended: before its call, or after a reply that never came.
fn settle_look(
    job: &mut Job,
    refusal: Option<Reason>,
    outcome: Outcome,
    now_nanos: TimeNanos,
) -> Result<(), Why> {
    let rules = rules_of(job, now_nanos);
    // An earlier build looked in this state: what it asked for is asked again.
    let Some(look) = rules.look else { return Ok(()) };
    let is_untouched = !job.attempt.is_unsure;
    match outcome {
        Outcome::Done(value) => match (look.verdict)(job, &value)? {
            Verdict::Happened => {
                let next = (rules.done)(job, Value::Acknowledged)?;
                follow(job, next, now_nanos);
            }
            Verdict::Answered(value) => {
                let next = (rules.done)(job, value)?;
                follow(job, next, now_nanos);
            }
            Verdict::Follow(next) => follow(job, next, now_nanos),
            Verdict::NotYet => match refusal {
                Some(reason) => fail(job, reason, false, now_nanos),
                None => {
                    let waited = has_waited(job, now_nanos);
                    let first = relocate::end::confirmed_first(job, job.state.clone(), waited);
                    if first != job.state {
                        enter(job, first, now_nanos);
                    } else if look.when == When::AfterLost {
                        job.attempt.phase = Phase::Ready;
                    } else {
                        job.attempt.phase = Phase::Looked { at_nanos: now_nanos };
                    }
                }
            },
            Verdict::Yield(reason) => match job.state.stage() {
                Stage::BeforeCommit | Stage::Reverting => fail(job, reason, is_untouched, now_nanos),
                Stage::RollingBack | Stage::AfterCommit | Stage::Ended => park(job, reason, now_nanos),
            },
        },
        Outcome::Refused(reason) => match (rules.refused)(job, reason.code()) {
            Some(next) => follow(job, next, now_nanos),
            None if job.state.stage().can_fail() => fail(job, reason, is_untouched, now_nanos),
            None => {
                refused(job, reason);
                job.attempt.phase = Phase::Observe { refusal };
            }
        },
        Outcome::Transient(reason) => {
            put_off(job, reason);
            job.attempt.phase = Phase::Observe { refusal };
        }
        Outcome::Unknown(reason) => {
            job.attempt.last_reason = Some(reason);
            job.attempt.phase = Phase::Observe { refusal };
        }
    }
    Ok(())
}

/// A refusal on the way back, or after the commit point: it is asked again.
fn refused(job: &mut Job, reason: Reason) {
    job.attempt.refusals = job.attempt.refusals.saturating_add(1);
    job.attempt.last_reason = Some(reason);
}

/// What does not answer for long after the commit point is looked at before it is asked again: it may be why.
fn look_if_stuck(job: &mut Job, look: Option<&Look>) {
    let looks_when_lost = look.is_some_and(|look| look.when == When::AfterLost);
    if looks_when_lost && job.waits_for_others() && job.state.stage() == Stage::AfterCommit {
        job.attempt.phase = Phase::Observe { refusal: None };
    }
}

/// It may work later. What was not tried at all is no try, but is waited after as one.
fn put_off(job: &mut Job, reason: Reason) {
    if reason.code().is_no_try() {
        job.attempt.tries = job.attempt.tries.saturating_sub(1);
        job.attempt.idles = job.attempt.idles.saturating_add(1);
    }
    job.attempt.last_reason = Some(reason);
}

fn target_taken(
    job: &mut Job,
    target: candid::Principal,
    is_new: bool,
    now_nanos: TimeNanos,
) -> Result<(), Why> {
    let State::Admitted { settings } = &job.state else { return Err(Why::WrongState) };
    let is_taken = target == job.source || job.indexes.contains(&target);
    if is_taken || target == candid::Principal::management_canister() {
        return Err(Why::BadTarget { target });
    }
    let settings = settings.clone();
    job.target = Some(target);
    enter(job, State::Reserved { settings }, now_nanos);
    if is_new {
        job.target_left = Some(Left { module: None, since_nanos: now_nanos, version: None });
        job.attempt.phase = Phase::Looked { at_nanos: now_nanos };
    }
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
        Stage::BeforeCommit | Stage::Reverting => roll_back(job, reason, now_nanos),
        Stage::RollingBack | Stage::AfterCommit => {
            match relocate::end::undrained(&job.state, Some(reason.clone())) {
                Some(state) => enter(job, state, now_nanos),
                None => park(job, reason, now_nanos),
            }
        }
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

fn retried(job: &mut Job, now_nanos: TimeNanos) -> Result<(), Why> {
    let resume = match &job.state {
        State::Parked { resume, .. } => (**resume).clone(),
        _ if job.attempt.phase.is_in_flight() => return Err(Why::CallUnderWay),
        state if state.is_ended() || job.attempt.waits() == 0 => return Err(Why::WrongState),
        state => state.clone(),
    };
    job.state = resume.clone();
    // What may have been done is settled first; then the target is looked at all the same.
    let is_settled_first = job.attempt.is_unsure && rules_of(job, now_nanos).look.is_some();
    let first = relocate::end::confirmed_first(job, resume.clone(), !is_settled_first);
    if first != resume {
        enter(job, first, now_nanos);
        return Ok(());
    }
    // Whatever was unsure still is: the phase stays, the count begins again.
    job.attempt = Attempt {
        phase: job.attempt.phase.clone(),
        is_unsure: job.attempt.is_unsure,
        is_sent: job.attempt.is_sent,
        sent_nanos: job.attempt.sent_nanos,
        first_nanos: if is_settled_first && resume.takes_source() { job.attempt.first_nanos } else { 0 },
        ..Attempt::default()
    };
    Ok(())
}

/// What the job can't do is left undone. Before the commit point there is nothing to be left, nor where users wait for it;
/// and of the way back only what does not get on.
fn skipped(job: &mut Job, now_nanos: TimeNanos) -> Result<(), Why> {
    if job.attempt.phase.is_in_flight() {
        return Err(Why::CallUnderWay);
    }
    let state = match &job.state {
        State::Parked { resume, .. } => (**resume).clone(),
        other => other.clone(),
    };
    // What others made of a canister before it served is theirs: a source keeps what was moved, and of a repacked one that is
    // gone there is nothing to be kept.
    let is_theirs = matches!(state, State::Retired { .. } | State::Vessel(VesselState::Starting { .. }))
        && job.state.is_parked()
        && matches!(job.reason_code(), Some(ReasonCode::OthersActed | ReasonCode::Gone | ReasonCode::NoKit));
    match (&state, state.root()) {
        (State::RollingBack { undo, .. }, _)
            if undo.last() != Some(&Undo::ReturnTarget)
                && (job.state.is_parked() || job.waits_for_others()) =>
        {
            let why = job.reason_code().filter(|_| job.state.is_parked());
            job.state = state;
            back::skip(job, why);
            undone(job, now_nanos);
        }
        // The pool takes it at once, and nobody else has it.
        (State::Handing { .. }, _) => return Err(Why::WrongState),
        // What is left of the source stays as it is: fenced, stopped, or empty.
        (_, Some(root))
            if state.stage() == Stage::AfterCommit && (job.times.served_nanos.is_some() || is_theirs) =>
        {
            let next = relocate::end::undrained(&state, None).unwrap_or(State::Done { root });
            job.state = state;
            enter(job, next, now_nanos);
        }
        _ => return Err(Why::WrongState),
    }
    Ok(())
}

fn count_try(job: &mut Job, now_nanos: TimeNanos) {
    if job.attempt.first_nanos == 0 {
        job.attempt.first_nanos = now_nanos;
    }
    job.attempt.tries = job.attempt.tries.saturating_add(1);
    job.attempt.last_nanos = now_nanos;
}

/// What a reply leads to.
fn follow(job: &mut Job, next: Next, now_nanos: TimeNanos) {
    match next {
        Next::Enter(State::Committed { root }) if job.is_abort_requested => {
            // The abort came while the last swap was under way: every index is swapped, nothing is committed.
            let next = u16::try_from(job.indexes.len()).unwrap_or(u16::MAX);
            job.state = State::Switching { root, next };
            fail(job, ReasonCode::Aborted.into(), true, now_nanos);
        }
        // The abort came while the last look before the commit point was under way.
        Next::Enter(State::Vessel(VesselState::Starting { .. }))
            if job.is_abort_requested && job.state.stage() == Stage::BeforeCommit =>
        {
            fail(job, ReasonCode::Aborted.into(), true, now_nanos);
        }
        Next::Enter(state) => {
            let is_confirmed = matches!(job.state, State::Confirming { .. });
            let state =
                relocate::end::confirmed_first(job, state, has_waited(job, now_nanos) && !is_confirmed);
            enter(job, state, now_nanos);
            fresh(job, now_nanos);
        }
        Next::Again { done_bytes } => again(job, done_bytes),
        Next::Undone => {
            undone(job, now_nanos);
            fresh(job, now_nanos);
        }
        Next::Fail(reason) => fail(job, reason, true, now_nanos),
        Next::Park { reason, resume } => {
            enter(job, resume, now_nanos);
            park(job, reason, now_nanos);
        }
    }
}

/// Whether the job has been in its state for longer than anybody knows of its target.
fn has_waited(job: &Job, now_nanos: TimeNanos) -> bool {
    job.attempt.first_nanos > 0 && now_nanos.saturating_sub(job.attempt.first_nanos) > SEEN_NANOS
}

/// The state was entered by a reply: that is look enough for the states that say so.
fn fresh(job: &mut Job, now_nanos: TimeNanos) {
    let is_enough = rules_of(job, now_nanos).look.is_some_and(|look| look.when == When::IfStale);
    if is_enough && job.attempt.phase == Phase::Ready {
        job.attempt.phase = Phase::Looked { at_nanos: now_nanos };
    }
}

/// The same state; its tries begin again if it got on.
fn again(job: &mut Job, done_bytes: u64) {
    let attempt = &mut job.attempt;
    attempt.slices = attempt.slices.saturating_add(1);
    if done_bytes > attempt.done_bytes {
        attempt.done_bytes = done_bytes;
        (attempt.tries, attempt.idles, attempt.refusals, attempt.first_nanos) = (0, 0, 0, 0);
        attempt.last_reason = None;
    }
}

/// Back, from wherever no call is under way.
fn roll_back(job: &mut Job, reason: Reason, now_nanos: TimeNanos) {
    // No try since the state was entered or made progress: a sliced state leaves no trace of its own. Nor does a look.
    let attempt = &job.attempt;
    let only_looked = !attempt.is_sent && rules_of(job, now_nanos).looks_before();
    let is_untouched = attempt.tries == 0 && !attempt.is_unsure || only_looked;
    fail(job, reason, is_untouched, now_nanos);
}

fn fail(job: &mut Job, reason: Reason, is_untouched: bool, now_nanos: TimeNanos) {
    if let State::Reverting(reverting) = job.state.clone() {
        let is_untouched = is_untouched && job.attempt.slices == 0;
        for state in reverting.taken_back(reason, is_untouched) {
            enter(job, state, now_nanos);
        }
        return;
    }
    let rules = rules_of(job, now_nanos);
    job.is_abort_requested = false;
    let mut undo = rules.undo;
    if !is_untouched {
        undo.extend(rules.undo_call);
        // A call that is put off made none: what is new is somebody else's.
        if let (true, Some(held), Some(sought)) = (job.attempt.is_unsure, &mut job.held, rules.makes_snapshot)
        {
            (held.is_unsure, held.sought) = (true, Some(sought));
        }
    }
    undo.sort_unstable();
    undo.dedup();
    // The last index is the one that may not answer: those before it name the source first.
    let is_swap = |it: &Undo| matches!(it, Undo::SwapBack { .. });
    if let Some(first) = undo.iter().position(is_swap) {
        let count = undo.iter().filter(|it| is_swap(it)).count();
        undo[first..first + count].reverse();
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
        Some(Undo::ThawSource) => job.times.served_nanos = Some(now_nanos),
        Some(Undo::StartSource) if job.plan.strategy.is_by_vessel() => {
            job.times.served_nanos = Some(now_nanos);
        }
        _ => {}
    }
    // What is not returned is left alone.
    if !undo.iter().any(Undo::names_target) {
        job.target = None;
    }
    let is_asked = undo.last() == Some(&Undo::Ask);
    if is_asked {
        undo.pop();
        // Where nothing else is left to be undone it is asked all the same.
        if undo.is_empty() {
            undo.push(Undo::StartSource);
        }
    }
    if undo.is_empty() {
        enter(job, State::RolledBack { reason }, now_nanos);
    } else {
        enter(job, State::RollingBack { reason: reason.clone(), undo }, now_nanos);
        if is_asked {
            park(job, reason, now_nanos);
        }
    }
}

fn park(job: &mut Job, reason: Reason, now_nanos: TimeNanos) {
    let resume = Box::new(job.state.clone());
    job.state = State::Parked { reason, resume };
    job.attempt.last_nanos = now_nanos;
    // What was seen is stale when it goes on.
    if let Phase::Looked { .. } = job.attempt.phase {
        job.attempt.phase = Phase::Ready;
    }
}

/// The only place where a state becomes another one: its tries begin at none.
fn enter(job: &mut Job, state: State, now_nanos: TimeNanos) {
    let why_retained = match (&job.state, &state) {
        (State::Reverting(reverting), State::Retaining { .. }) => reverting.at.reason().cloned(),
        _ => None,
    };
    match (&job.state, &state) {
        (State::Retaining { .. }, State::Reverting(_)) => job.times.wait_again(now_nanos),
        (State::Reverting(_), State::Retaining { .. }) => job.times.serve_as_before(),
        (State::Reverting(_), State::RollingBack { .. }) => {
            (job.times.before_revert, job.times.committed_nanos) = (None, None);
        }
        (_, State::Frozen) => job.times.fenced_nanos = Some(now_nanos),
        (_, State::Vessel(VesselState::Still)) => job.times.fenced_nanos = Some(now_nanos),
        (_, State::Committed { .. } | State::Vessel(VesselState::Starting { .. })) => {
            job.times.committed_nanos.get_or_insert(now_nanos);
        }
        (State::Retired { .. } | State::Vessel(VesselState::Starting { .. }), _)
            if job.times.served_nanos.is_none() =>
        {
            job.times.served_nanos = Some(now_nanos);
        }
        (_, State::RolledBack { .. }) => job.target = None,
        _ => {}
    }
    if state.is_ended() {
        job.times.ended_nanos = Some(now_nanos);
        (job.held, job.source_left, job.target_left, job.given) = (None, None, None, None);
    }
    job.state = match state {
        State::RolledBack { reason } => State::RolledBack { reason: reason.cut(MAX_ENDED_DETAIL_BYTES) },
        state => state,
    };
    job.attempt = Attempt { last_reason: why_retained, ..Attempt::default() };
}
