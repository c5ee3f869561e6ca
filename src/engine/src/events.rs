//! What can happen to a job. Events are journalled: their tags are never reused.

use candid::Principal;
use serde::{Deserialize, Serialize};

use crate::{Reason, ReasonCode, TimeNanos, Value};

/// How a call ended.
#[expect(clippy::large_enum_variant, reason = "one is there at a time")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is done.
    #[serde(rename = "1")]
    Done(Value),
    /// It definitely had no effect, and asking again would be answered the same.
    #[serde(rename = "2")]
    Refused(Reason),
    /// It may work later.
    #[serde(rename = "3")]
    Transient(Reason),
    /// Nobody knows whether it had an effect: the job observes before it repeats.
    #[serde(rename = "4")]
    Unknown(Reason),
}

impl Outcome {
    /// The same, cut where it is larger than a job can hold, so that it is bounded before it is journalled; by so much less
    /// that it is still known to be too large.
    #[must_use]
    pub fn bounded(self) -> Self {
        match self {
            Self::Done(value) => Self::Done(value.bounded()),
            other => other,
        }
    }
}

/// An event. The number in the comment is its tag.
#[expect(clippy::large_enum_variant, reason = "one is there at a time")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// 1: the call of this ticket is about to be sent.
    #[serde(rename = "1")]
    Started {
        /// Number of the call in its job, from 1.
        #[serde(rename = "t")]
        ticket: u32,
    },
    /// 2: the call of this ticket ended.
    #[serde(rename = "2")]
    Replied {
        /// The ticket that [`Event::Started`] named.
        #[serde(rename = "t")]
        ticket: u32,
        /// How.
        #[serde(rename = "o")]
        outcome: Outcome,
    },
    /// 3: the pool gave a canister to the job, and has it no longer.
    #[serde(rename = "3")]
    TargetTaken {
        /// The fresh canister.
        #[serde(rename = "p")]
        target: Principal,
        /// Whether it was created this moment: nobody can have done anything with it, and no look is needed.
        #[serde(rename = "f", default, skip_serializing_if = "std::ops::Not::not")]
        is_new: bool,
    },
    /// 4: the pool had none.
    #[serde(rename = "4")]
    PoolEmpty,
    /// 5: the pool has the target back.
    #[serde(rename = "5")]
    TargetReturned,
    /// 6: the source was kept as long as the plan says.
    #[serde(rename = "6")]
    RetentionElapsed,
    /// 7: a limit is reached: roll back, or park.
    #[serde(rename = "7")]
    GaveUp {
        /// Which.
        #[serde(rename = "r")]
        reason: Reason,
    },
    /// 8: an operator wants the job rolled back.
    #[serde(rename = "8")]
    AbortRequested,
    /// 9: an operator wants a job to go on at once: one that is parked, or one that waits between tries.
    #[serde(rename = "9")]
    Retried,
    /// 10: an operator says that what the job can't do need not be done.
    #[serde(rename = "10")]
    Skipped,
    /// 11: an operator wants the source back that is retained, if nothing was written to the target.
    #[serde(rename = "11")]
    RevertRequested,
    /// 12: the pool has the source, which is empty: a later job may get it.
    #[serde(rename = "12")]
    SourceHandedOver,
}

impl Event {
    /// The reply of a call will never come: the coordinator was upgraded, or its callback trapped.
    pub fn reply_lost(ticket: u32) -> Self {
        Self::Replied { ticket, outcome: Outcome::Unknown(ReasonCode::ReplyLost.into()) }
    }

    /// The stored tag.
    pub fn tag(&self) -> u8 {
        match self {
            Self::Started { .. } => 1,
            Self::Replied { .. } => 2,
            Self::TargetTaken { .. } => 3,
            Self::PoolEmpty => 4,
            Self::TargetReturned => 5,
            Self::RetentionElapsed => 6,
            Self::GaveUp { .. } => 7,
            Self::AbortRequested => 8,
            Self::Retried => 9,
            Self::Skipped => 10,
            Self::RevertRequested => 11,
            Self::SourceHandedOver => 12,
        }
    }

    /// For messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Replied { .. } => "replied",
            Self::TargetTaken { .. } => "target taken",
            Self::PoolEmpty => "pool empty",
            Self::TargetReturned => "target returned",
            Self::RetentionElapsed => "retention elapsed",
            Self::GaveUp { .. } => "gave up",
            Self::AbortRequested => "abort requested",
            Self::Retried => "retried",
            Self::Skipped => "skipped",
            Self::RevertRequested => "revert requested",
            Self::SourceHandedOver => "source handed over",
        }
    }
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    #[serde(rename = "n")]
    pub at_nanos: TimeNanos,
    /// What.
    #[serde(rename = "e")]
    pub event: Event,
}
