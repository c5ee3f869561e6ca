//! A job: one source, on its way.

use candid::Principal;
use serde::{Deserialize, Serialize};

use crate::{
    Digest, EnrolmentError, Held, JobId, Left, MAX_INDEXES, PlanEssentials, Reason, ReasonCode, Retention,
    Stage, State, Strategy, TimeNanos,
};

/// Where the one call of a state is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It can be sent.
    #[default]
    #[serde(rename = "r")]
    Ready,
    /// It is under way.
    #[serde(rename = "s")]
    Sent,
    /// Nobody knows what became of it: the observation can be sent.
    #[serde(rename = "o")]
    Observe {
        /// A repetition was refused with this, maybe because the first try had been done.
        #[serde(rename = "f")]
        refusal: Option<Reason>,
    },
    /// It was looked: the call goes out in this message, or it is looked again.
    #[serde(rename = "l")]
    Looked {
        /// Time of the message that received the look.
        #[serde(rename = "n")]
        at_nanos: TimeNanos,
    },
    /// The observation is under way.
    #[serde(rename = "w")]
    ObserveSent {
        /// As before.
        #[serde(rename = "f")]
        refusal: Option<Reason>,
    },
}

impl Phase {
    /// Whether a reply is awaited.
    pub fn is_in_flight(&self) -> bool {
        matches!(self, Self::Sent | Self::ObserveSent { .. })
    }

    /// For messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Sent => "sent",
            Self::Observe { .. } => "to observe",
            Self::Looked { .. } => "looked",
            Self::ObserveSent { .. } => "observing",
        }
    }
}

/// The tries of the present state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Where its call is.
    #[serde(rename = "p")]
    pub phase: Phase,
    /// Calls since the state was entered or last made progress.
    #[serde(rename = "t")]
    pub tries: u32,
    /// Calls that made progress without finishing.
    #[serde(rename = "s")]
    pub slices: u32,
    /// Whether a try ended unknown: it may have had, or still have, its effect.
    #[serde(rename = "u")]
    pub is_unsure: bool,
    /// Whether the call of the state was sent, not only a look before it.
    #[serde(rename = "c", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_sent: bool,
    /// Calls besides that were not tried: they could not be sent, or the platform put them off.
    #[serde(rename = "i", default, skip_serializing_if = "is_default")]
    pub idles: u32,
    /// How many of the tries were refused.
    #[serde(rename = "r", default, skip_serializing_if = "is_default")]
    pub refusals: u32,
    /// When the call of the state was sent last.
    #[serde(rename = "n", default, skip_serializing_if = "is_default")]
    pub sent_nanos: TimeNanos,
    /// Time of the first of the tries.
    #[serde(rename = "f")]
    pub first_nanos: TimeNanos,
    /// Time of the last one.
    #[serde(rename = "l")]
    pub last_nanos: TimeNanos,
    /// Bytes done, in states that are sliced.
    #[serde(rename = "d")]
    pub done_bytes: u64,
    /// Why the last try did not do it.
    #[serde(rename = "w")]
    pub last_reason: Option<Reason>,
}

/// Waits from which on a job counts as one that waits for others: some two minutes each.
const LONG_WAITS: u32 = 8;

impl Attempt {
    /// How often in a row it waited, or will.
    pub fn waits(&self) -> u32 {
        self.tries.saturating_add(self.idles)
    }
}

/// What a job counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Calls sent; the ticket of the last one.
    #[serde(rename = "c")]
    pub calls: u32,
    /// Bytes over the wire.
    #[serde(rename = "w")]
    pub wire_bytes: u64,
    /// Stable memory of the source at admission, in pages of 64 KiB.
    #[serde(rename = "s")]
    pub source_pages: u64,
    /// Pages in use: by virtual memories at admission, then as sealed.
    #[serde(rename = "u")]
    pub used_pages: u64,
    /// Cycles that the source sent to the target.
    #[serde(rename = "d")]
    pub drained_cycles: u128,
    /// Cycles that its deletion burned.
    #[serde(rename = "b")]
    pub burned_cycles: u128,
    /// Pages that managers inside of virtual memories hold and do not use: they came along.
    #[serde(rename = "n", default, skip_serializing_if = "is_default")]
    pub nested_pages: u64,
}

/// When what happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// When it was enrolled.
    #[serde(rename = "e")]
    pub enrolled_nanos: TimeNanos,
    /// When the source was known to be fenced.
    #[serde(rename = "f")]
    pub fenced_nanos: Option<TimeNanos>,
    /// When the job was committed.
    #[serde(rename = "c")]
    pub committed_nanos: Option<TimeNanos>,
    /// When users were served again: the target activated, or the source thawed.
    #[serde(rename = "s")]
    pub served_nanos: Option<TimeNanos>,
    /// When it ended.
    #[serde(rename = "z")]
    pub ended_nanos: Option<TimeNanos>,
    /// While users wait for a revert: when they waited for the move, and were served after it.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub before_revert: Option<(TimeNanos, TimeNanos)>,
    /// When the timer was due that the source had armed, and has no more.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub timer_lost_nanos: Option<TimeNanos>,
}

impl Times {
    /// Users wait again, for a revert.
    pub(crate) fn wait_again(&mut self, now_nanos: TimeNanos) {
        self.before_revert = self.fenced_nanos.zip(self.served_nanos);
        (self.fenced_nanos, self.served_nanos) = (Some(now_nanos), None);
    }

    /// They are served again, as they were since the move.
    pub(crate) fn serve_as_before(&mut self) {
        (self.fenced_nanos, self.served_nanos) = self.before_revert.take().unzip();
    }
}

/// A job. It changes by [`apply`](crate::apply) alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    #[serde(rename = "i")]
    pub(crate) id: JobId,
    #[serde(rename = "o")]
    pub(crate) source: Principal,
    #[serde(rename = "t")]
    pub(crate) target: Option<Principal>,
    #[serde(rename = "x")]
    pub(crate) indexes: Vec<Principal>,
    #[serde(rename = "p")]
    pub(crate) plan: PlanEssentials,
    #[serde(rename = "c")]
    pub(crate) counters: Counters,
    #[serde(rename = "m")]
    pub(crate) times: Times,
    #[serde(rename = "a", default, skip_serializing_if = "is_default")]
    pub(crate) attempt: Attempt,
    #[serde(rename = "b", default, skip_serializing_if = "is_default")]
    pub(crate) is_abort_requested: bool,
    /// The source as this job left it.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub(crate) source_left: Option<Left>,
    /// The target as this job left it.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub(crate) target_left: Option<Left>,
    /// Who controlled the source when the target was given its settings.
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    pub(crate) given: Option<Vec<Principal>>,
    // "h" was what a job of an earlier build held.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub(crate) held: Option<Held>,
    #[serde(rename = "s")]
    pub(crate) state: State,
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Job {
    /// A new job, queued. `indexes` are those whose routes name the source; they are swapped in this order.
    ///
    /// # Errors
    /// Whatever would make it a job that cannot be done: see [`EnrolmentError`].
    pub fn new(
        id: JobId,
        source: Principal,
        indexes: Vec<Principal>,
        plan: PlanEssentials,
        now_nanos: TimeNanos,
    ) -> Result<Self, EnrolmentError> {
        if indexes.is_empty() || indexes.len() > MAX_INDEXES {
            return Err(EnrolmentError::IndexCount { source_id: source, count: indexes.len() });
        }
        for (position, index) in indexes.iter().enumerate() {
            if *index == source {
                return Err(EnrolmentError::IndexIsSource { source_id: source });
            }
            if indexes.iter().take(position).any(|earlier| earlier == index) {
                return Err(EnrolmentError::IndexTwice { index: *index });
            }
        }
        if plan.bucket_pages == 0 {
            return Err(EnrolmentError::NoBucket { plan_id: plan.plan_id });
        }
        if plan.strategy.is_old() {
            return Err(EnrolmentError::OldStrategy { plan_id: plan.plan_id });
        }
        if plan.strategy == Strategy::Repack && matches!(plan.retention, Retention::Tombstone { .. }) {
            return Err(EnrolmentError::NothingToEntomb { plan_id: plan.plan_id });
        }
        let is_deleted = plan.strategy.has_target() && !matches!(plan.retention, Retention::Tombstone { .. });
        if plan.recycled_with_cycles.is_some() && !is_deleted {
            return Err(EnrolmentError::NothingToRecycle { plan_id: plan.plan_id });
        }
        let times = Times { enrolled_nanos: now_nanos, ..Times::default() };
        Ok(Self {
            id,
            source,
            target: None,
            indexes,
            plan,
            counters: Counters::default(),
            times,
            attempt: Attempt::default(),
            is_abort_requested: false,
            source_left: None,
            target_left: None,
            given: None,
            held: None,
            state: State::Queued,
        })
    }

    /// Its number.
    pub fn id(&self) -> JobId {
        self.id
    }

    /// The canister that holds the state when the job begins.
    pub fn source(&self) -> Principal {
        self.source
    }

    /// The canister that will hold it, while the job owns or has handed over one.
    pub fn target(&self) -> Option<Principal> {
        self.target
    }

    /// The canister that gets the compact image: the target, or the source itself.
    pub fn image(&self) -> Principal {
        self.target.unwrap_or(self.source)
    }

    /// What a job by vessels knows of its source, and left there.
    pub fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// Whether an earlier build began it, and only that can move it on.
    pub fn is_of_old_build(&self) -> bool {
        self.plan.strategy.is_old() && !self.state.is_ended()
    }

    /// The source as this job left it.
    pub fn source_left(&self) -> Option<&Left> {
        self.source_left.as_ref()
    }

    /// The module that the source of a job by vessels runs, and will run again.
    pub fn own_module(&self) -> Option<Digest> {
        self.held.as_ref().map(|held| held.module_hash)
    }

    /// The indexes whose routes are swapped, in order; the first one enrolled the source.
    pub fn indexes(&self) -> &[Principal] {
        &self.indexes
    }

    /// What it knows of its plan.
    pub fn plan(&self) -> &PlanEssentials {
        &self.plan
    }

    /// What it counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// When what happened.
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// The tries of the present state.
    pub fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// Where it is.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The root that the source and what took its place both had, once it is proven.
    pub fn root(&self) -> Option<Digest> {
        match &self.state {
            State::Done { root } => Some(*root),
            State::Parked { resume, .. } => resume.root(),
            state => state.root(),
        }
    }

    /// Whether it goes back, or is committed, and has long been waiting for others: it takes no place of other jobs unless
    /// users wait for it, goes on by itself when they are mended, and says what it waits for.
    pub fn waits_for_others(&self) -> bool {
        let is_settled = matches!(self.state.stage(), Stage::RollingBack | Stage::AfterCommit);
        is_settled && !self.state.is_parked() && self.attempt.waits() >= LONG_WAITS
    }

    /// Whether its users can't write, and wait for it.
    pub fn keeps_users(&self) -> bool {
        let is_fenced = self.times.fenced_nanos.is_some() && self.times.served_nanos.is_none();
        is_fenced && !self.state.is_ended()
    }

    /// What the last try of the present step met with.
    pub fn trouble(&self) -> Option<&Reason> {
        self.attempt.last_reason.as_ref()
    }

    /// The code of why it ended, parked or goes back, or of what it met with.
    pub fn reason_code(&self) -> Option<ReasonCode> {
        match &self.state {
            State::RollingBack { reason, .. }
            | State::RolledBack { reason }
            | State::Parked { reason, .. } => Some(reason.code()),
            State::Reverting(reverting) if self.attempt.last_reason.is_none() => {
                reverting.at.reason().map(Reason::code)
            }
            _ => self.trouble().map(Reason::code),
        }
    }

    /// Why it ended, parked, goes back or was not reverted; for a parked job with the command that moves it on.
    pub fn explanation(&self) -> Option<String> {
        if self.is_of_old_build() {
            return Some(ReasonCode::OldBuild.text().to_owned());
        }
        match &self.state {
            State::RollingBack { reason, .. } | State::RolledBack { reason } => Some(reason.to_string()),
            State::Parked { reason, resume } => {
                Some(format!("{}: {reason}; then call decant_retry({})", resume.name(), self.id))
            }
            State::Reverting(reverting) => reverting.at.reason().map(ToString::to_string),
            // Why it was not reverted.
            State::Retaining { .. } => self.trouble().map(ToString::to_string),
            _ => None,
        }
    }
}
