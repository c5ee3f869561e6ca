//! What an ended job holds besides what it was enrolled with: a driver may keep the two apart, in its own bytes.

use candid::Principal;

use crate::{Counters, Digest, Job, Reason, State, Times};

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The canister that holds the state, if it is another than the source.
    pub target: Option<Principal>,
    /// What it counted.
    pub counters: Counters,
    /// When what happened.
    pub times: Times,
    /// Whether an abort came that it did not follow.
    pub is_abort_requested: bool,
    /// The root of both sides; or why it was rolled back.
    pub outcome: Result<Digest, Reason>,
}

impl Job {
    /// How it ended, if it did.
    pub fn end(&self) -> Option<End> {
        let outcome = match &self.state {
            State::Done { root } => Ok(*root),
            State::RolledBack { reason } => Err(reason.clone()),
            _ => return None,
        };
        Some(End {
            target: self.target,
            counters: self.counters,
            times: self.times,
            is_abort_requested: self.is_abort_requested,
            outcome,
        })
    }

    /// A job, as it was enrolled, that ended so.
    pub fn ended(enrolled: Self, end: End) -> Self {
        let End { target, counters, times, is_abort_requested, outcome } = end;
        let state = match outcome {
            Ok(root) => State::Done { root },
            Err(reason) => State::RolledBack { reason },
        };
        Self { target, counters, times, is_abort_requested, state, ..enrolled }
    }
}
