//! Errors: what happened, to what, and what to do.

use candid::Principal;

use crate::{JobId, MAX_INDEXES};

/// Why a source can't be the source of a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// No index, or too many.
    #[error("{count} indexes route {source_id}; name 1 to {MAX_INDEXES}")]
    IndexCount {
        /// The source.
        source_id: Principal,
        /// How many.
        count: usize,
    },
    /// An index cannot relocate itself.
    #[error("{source_id} is to be the source and an index of its own job; name another index")]
    IndexIsSource {
        /// The source.
        source_id: Principal,
    },
    /// It would be swapped twice.
    #[error("index {index} is named twice; name it once")]
    IndexTwice {
        /// The index.
        index: Principal,
    },
    /// A repacked canister lives on.
    #[error("plan {plan_id} repacks and asks for tombstones; choose another retention")]
    NothingToEntomb {
        /// The plan.
        plan_id: u64,
    },
    /// Only what would be deleted can go to others.
    #[error(
        "plan {plan_id} recycles originals that it does not delete; relocate, with another retention than tombstones"
    )]
    NothingToRecycle {
        /// The plan.
        plan_id: u64,
    },
    /// Earlier builds did that.
    #[error("plan {plan_id} is of an earlier build of the coordinator; propose it again")]
    OldStrategy {
        /// The plan.
        plan_id: u64,
    },
    /// A bucket has at least a page.
    #[error("plan {plan_id} asks for buckets of 0 pages; ask for 1 or more")]
    NoBucket {
        /// The plan.
        plan_id: u64,
    },
}

/// Why an event doesn't fit a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Nothing like it happens in this state.
    #[error("it doesn't happen in this state")]
    WrongState,
    /// A call is under way.
    #[error("a call is under way; wait for its reply, or report it lost")]
    CallUnderWay,
    /// No call is under way.
    #[error("no call is under way; drop the reply")]
    NoCallUnderWay,
    /// Another call's ticket.
    #[error("ticket {ticket} is not {expected}; drop it")]
    OtherTicket {
        /// The event's.
        ticket: u32,
        /// The job's.
        expected: u32,
    },
    /// The call doesn't answer such a value.
    #[error("the call doesn't answer '{value}'; report the reply lost, and mend the driver")]
    WrongValue {
        /// Name of the value.
        value: &'static str,
    },
    /// What was moved can't be taken back, or not now.
    #[error("{why}")]
    NoWayBack {
        /// Why not, and what to do.
        why: &'static str,
    },
    /// Another build of the engine has to do it.
    #[error("an earlier build began it; put that back and drain it first")]
    OldBuild,
    /// The target is the source, an index or the management canister.
    #[error("{target} can't be the target; mend the pool")]
    BadTarget {
        /// What the pool gave.
        target: Principal,
    },
}

/// An event that doesn't fit a job, which is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("job {job} is {state}, {phase}, and can't take the event '{event}': {why}")]
pub struct IllegalTransition {
    /// The job.
    pub job: JobId,
    /// Name of its state.
    pub state: &'static str,
    /// Name of its phase.
    pub phase: &'static str,
    /// Name of the event.
    pub event: &'static str,
    /// Why.
    pub why: Why,
}
