//! What holds of every job between two events.

use crate::{
    Job, MAX_DETAIL_BYTES, MAX_FINGERPRINT_BYTES, MAX_INDEXES, MAX_SETTINGS_BYTES, Phase, Reason, Retention,
    RevertState, Reverting, Stage, State, Undo, VesselState,
};

/// What doesn't hold. The stored job is damaged, or the engine has a bug: stop driving it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A job has a target from the pool's gift to its return.
    #[error("the job has a target where it must have none, or none where it must have one")]
    Target,
    /// Source, target and indexes are different canisters.
    #[error("source, target and indexes are not different canisters")]
    Canisters,
    /// An index position names an index.
    #[error("index {position} of {count} doesn't exist")]
    Index {
        /// The position.
        position: u16,
        /// How many there are.
        count: usize,
    },
    /// Times are set when what they tell of has happened, in order.
    #[error("a time is missing, or early, or tells of what has not happened")]
    Times,
    /// A call is under way, or to be observed, where there is none.
    #[error("the phase is '{phase}' in a state without a call")]
    Phase {
        /// Its name.
        phase: &'static str,
    },
    /// Undos are done from the newest to the oldest, each once.
    #[error("the undos are none, or not in order")]
    Undos,
    /// A parked job goes on in a state that goes on.
    #[error("a parked job would go on as '{resume}'")]
    Resume {
        /// Name of the state.
        resume: &'static str,
    },
    /// The state belongs to another end of the source.
    #[error("the state is of another retention than the plan's, or of a plan that recycles, or does not")]
    Retention,
    /// A snapshot that the state needs is not known, or one is left when the job has ended.
    #[error("a snapshot is unknown where it is needed, or left where the job has ended")]
    Held,
    /// Something is larger than a job can hold.
    #[error("{what} is larger than a job can hold")]
    TooLarge {
        /// What.
        what: &'static str,
    },
    /// Cycles are burned by deletion only, which comes last; an abort is over when the job goes back.
    #[error("a figure or a request is set that the state doesn't allow")]
    Leftover,
}

/// Checks a job.
///
/// # Errors
/// The first invariant that doesn't hold.
pub fn invariants(job: &Job) -> Result<(), Broken> {
    if job.is_of_old_build() {
        return Ok(());
    }
    canisters(job)?;
    target(job)?;
    times(job)?;
    phase(job)?;
    held(job)?;
    sizes(job)?;
    contents(job, &job.state)?;
    let is_burned = job.counters.burned_cycles > 0;
    if is_burned && !matches!(job.state, State::Done { .. }) {
        return Err(Broken::Leftover);
    }
    let is_abort_over = !job.attempt.phase.is_in_flight() || job.state.stage() != Stage::BeforeCommit;
    if job.is_abort_requested && is_abort_over { Err(Broken::Leftover) } else { Ok(()) }
}

fn canisters(job: &Job) -> Result<(), Broken> {
    let mut all = job.indexes.clone();
    all.push(job.source);
    all.extend(job.target);
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    if all.len() == count && (1..=MAX_INDEXES).contains(&job.indexes.len()) {
        Ok(())
    } else {
        Err(Broken::Canisters)
    }
}

fn target(job: &Job) -> Result<(), Broken> {
    let wants_one = match innermost(&job.state) {
        State::Queued | State::Inspected { .. } | State::Admitted { .. } | State::RolledBack { .. } => false,
        State::RollingBack { undo, .. } => undo.iter().any(Undo::names_target),
        // A target is reserved when the source is known to be worth it.
        State::Vessel(at) => job.plan.strategy.has_target() && at.tag() >= VesselState::Hiring.tag(),
        _ => job.plan.strategy.has_target(),
    };
    if job.target.is_some() == wants_one { Ok(()) } else { Err(Broken::Target) }
}

fn times(job: &Job) -> Result<(), Broken> {
    let times = &job.times;
    let state = innermost(&job.state);
    let is_reverting = matches!(state, State::Reverting(_));
    let is_after_commit =
        is_reverting || state.stage() == Stage::AfterCommit || matches!(state, State::Done { .. });
    let is_past_fence = match state {
        State::Vessel(at) => at.is_fenced(),
        State::Offering | State::Precopying => false,
        other => other.tag() >= State::Frozen.tag(),
    };
    let is_fenced = is_after_commit || (state.stage() == Stage::BeforeCommit && is_past_fence);
    let is_waiting = matches!(
        state,
        State::Committed { .. }
            | State::Retired { .. }
            | State::Reverting(_)
            | State::Vessel(VesselState::Starting { .. })
    );
    let is_served = is_after_commit && !is_waiting;
    let holds = times.committed_nanos.is_some() == is_after_commit
        && (times.fenced_nanos.is_some() || !is_fenced)
        && (times.fenced_nanos.is_none() || is_fenced || is_back(state))
        && (times.served_nanos.is_some() == is_served
            || is_back(state)
            || matches!(state, State::Retired { .. } | State::Vessel(VesselState::Starting { .. })))
        && times.before_revert.is_some() == is_reverting
        && times.ended_nanos.is_some() == state.is_ended();
    if holds { Ok(()) } else { Err(Broken::Times) }
}

fn is_back(state: &State) -> bool {
    matches!(state, State::RollingBack { .. } | State::RolledBack { .. })
}

fn phase(job: &Job) -> Result<(), Broken> {
    let phase = &job.attempt.phase;
    let has_call = match &job.state {
        State::Admitted { .. }
        | State::Retaining { .. }
        | State::Handing { .. }
        | State::Vessel(VesselState::Retaining { .. })
        | State::Done { .. }
        | State::RolledBack { .. } => false,
        // What was to be observed when it parked is to be observed when it goes on.
        State::Parked { .. } => !phase.is_in_flight(),
        State::RollingBack { undo, .. } => undo.last() != Some(&Undo::ReturnTarget),
        _ => true,
    };
    if has_call || *phase == Phase::Ready { Ok(()) } else { Err(Broken::Phase { phase: phase.name() }) }
}

/// A job by vessels knows the snapshots that its state needs, and forgets none that is left.
fn held(job: &Job) -> Result<(), Broken> {
    let state = innermost(&job.state);
    let Some(held) = &job.held else {
        let needs_none = !matches!(state, State::Vessel(_));
        return if needs_none { Ok(()) } else { Err(Broken::Held) };
    };
    let root = crate::Digest([0; 32]);
    let holds = match state {
        State::Vessel(at) => {
            let between =
                |first: VesselState, last: VesselState| (first.tag()..=last.tag()).contains(&at.tag());
            let needs_saved = between(VesselState::Saved, VesselState::DroppingSaved { root });
            let needs_uploaded = job.target.is_none()
                && between(VesselState::Furnishing { root }, VesselState::DroppingUploaded { root });
            (held.saved.is_some() || !needs_saved) && (held.uploaded.is_some() || !needs_uploaded)
        }
        State::Sealed { .. }
        | State::Pulled { .. }
        | State::TargetVerified { .. }
        | State::Switching { .. }
        | State::Committed { .. }
        | State::Retired { .. } => held.saved.is_some(),
        State::Done { .. } | State::RolledBack { .. } => false,
        _ => true,
    };
    if holds { Ok(()) } else { Err(Broken::Held) }
}

fn sizes(job: &Job) -> Result<(), Broken> {
    let fits = |reason: &Reason| reason.detail().len() <= MAX_DETAIL_BYTES;
    if !job.attempt.last_reason.as_ref().is_none_or(fits) {
        return Err(Broken::TooLarge { what: "a reason" });
    }
    Ok(())
}

/// What the state carries.
fn contents(job: &Job, state: &State) -> Result<(), Broken> {
    let too_long = |reason: &Reason| reason.detail().len() > MAX_DETAIL_BYTES;
    let is_tombstone = matches!(job.plan.retention, Retention::Tombstone { .. });
    match state {
        State::Inspected { settings }
        | State::Admitted { settings }
        | State::Reserved { settings }
        | State::Vessel(
            VesselState::Listing { settings }
            | VesselState::Recalling { settings }
            | VesselState::Surveying { settings }
            | VesselState::Surveyed { settings }
            | VesselState::Learning { settings },
        ) if settings.others.len() > MAX_SETTINGS_BYTES => {
            Err(Broken::TooLarge { what: "a record of settings" })
        }
        State::Sealed { seal } | State::Pulled { seal } | State::TargetVerified { seal }
            if seal.fingerprint.len() > MAX_FINGERPRINT_BYTES =>
        {
            Err(Broken::TooLarge { what: "a fingerprint" })
        }
        State::Switching { next, .. } => index(job, *next),
        State::Retaining { .. } if !matches!(job.plan.retention, Retention::Frozen { .. }) => {
            Err(Broken::Retention)
        }
        State::Confirming { then: Some(then), .. }
            if !then.takes_source() && !matches!(**then, State::Retaining { .. }) =>
        {
            Err(Broken::Resume { resume: then.name() })
        }
        State::Reverting(_) if !matches!(job.plan.retention, Retention::Frozen { .. }) => {
            Err(Broken::Retention)
        }
        State::Reverting(Reverting { at: RevertState::TargetUnchanged { fingerprint }, .. })
            if fingerprint.len() > MAX_FINGERPRINT_BYTES =>
        {
            Err(Broken::TooLarge { what: "a fingerprint" })
        }
        State::Reverting(reverting) if reverting.at.reason().is_some_and(too_long) => {
            Err(Broken::TooLarge { what: "a reason" })
        }
        State::Raising { reason: Some(reason), .. } if too_long(reason) => {
            Err(Broken::TooLarge { what: "a reason" })
        }
        State::Entombing { .. } if !is_tombstone => Err(Broken::Retention),
        State::Stopping { .. } | State::Checking { .. } | State::Deleting { .. } if is_tombstone => {
            Err(Broken::Retention)
        }
        State::Emptying { .. } | State::Clearing { .. } | State::Waking { .. } | State::Handing { .. }
            if job.plan.recycled_with_cycles.is_none() =>
        {
            Err(Broken::Retention)
        }
        State::RollingBack { undo, reason } => {
            // Earlier builds had the indexes at the top.
            let rest: Vec<_> = undo.iter().filter(|it| !matches!(it, Undo::SwapBack { .. })).collect();
            let is_in_order = rest.iter().zip(rest.iter().skip(1)).all(|(below, above)| below < above);
            if undo.is_empty() || !is_in_order {
                return Err(Broken::Undos);
            }
            if let Some(Undo::SwapBack { index: position }) = undo.last() {
                index(job, *position)?;
            }
            if too_long(reason) { Err(Broken::TooLarge { what: "a reason" }) } else { Ok(()) }
        }
        State::RolledBack { reason } if too_long(reason) => Err(Broken::TooLarge { what: "a reason" }),
        State::Parked { reason, resume } => {
            if resume.is_ended() || resume.is_parked() || resume.stage().can_fail() {
                return Err(Broken::Resume { resume: resume.name() });
            }
            if too_long(reason) {
                return Err(Broken::TooLarge { what: "a reason" });
            }
            contents(job, resume)
        }
        _ => Ok(()),
    }
}

fn index(job: &Job, position: u16) -> Result<(), Broken> {
    let count = job.indexes.len();
    if usize::from(position) < count { Ok(()) } else { Err(Broken::Index { position, count }) }
}

/// The state, or where a parked one goes on.
fn innermost(state: &State) -> &State {
    match state {
        State::Parked { resume, .. } => resume,
        other => other,
    }
}
