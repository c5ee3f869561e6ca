//! HTTP outcalls that wait for an answer.

use super::messages::Request;
use crate::api::HttpRequest;
use crate::error::Reject;
use std::collections::BTreeMap;

/// Nanoseconds that an outcall waits (code: `CANISTER_HTTP_TIMEOUT_INTERVAL`).
const TIMEOUT_NANOS: u64 = 60 * 1_000_000_000;

/// An outcall.
pub(crate) struct Outcall {
    /// The call of the canister, with the cycles that it gets back.
    pub(crate) request: Request,
    /// When it was made, in nanoseconds since the epoch.
    pub(crate) since_nanos: u64,
    /// What the canister wants to be sent.
    pub(crate) http: HttpRequest,
    /// What the nodes agreed on; the canister gets it in the next round.
    pub(crate) answer: Option<Result<Vec<u8>, Reject>>,
}

/// All outcalls of a subnet by number.
#[derive(Default)]
pub(crate) struct Outcalls {
    pub(crate) open: BTreeMap<u64, Outcall>,
    next: u64,
}

impl Outcalls {
    /// Takes one in.
    pub(crate) fn insert(&mut self, outcall: Outcall) {
        self.open.insert(self.next, outcall);
        self.next += 1;
    }

    /// Takes those out that have an answer, or have waited too long for one.
    pub(crate) fn take_over(&mut self, now_nanos: u64) -> Vec<Outcall> {
        let is_over = |outcall: &Outcall| {
            outcall.answer.is_some() || outcall.since_nanos.saturating_add(TIMEOUT_NANOS) < now_nanos
        };
        self.open.extract_if(.., |_, outcall| is_over(outcall)).map(|(_, outcall)| outcall).collect()
    }

    /// Whether none has an answer that is to be handed on.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.values().all(|outcall| outcall.answer.is_none())
    }
}
