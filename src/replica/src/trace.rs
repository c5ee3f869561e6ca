//! A record of executed messages, for tests and benchmarks.

use crate::error::RejectCode;
use candid::Principal;

/// Messages that a trace holds at most: about 200 MiB.
pub const TRACE_EVENTS: usize = 1_000_000;

/// What was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A call from a user or canister to a canister.
    Request,
    /// A call to the management canister.
    Management,
    /// A callback with a reply.
    Reply,
    /// A callback with a reject.
    Reject(RejectCode),
    /// Heartbeat, timer or hook.
    Task,
}

/// An executed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The round in which it ran.
    pub round: u64,
    /// What it was.
    pub kind: EventKind,
    /// Who sent it: for callbacks, who answered.
    pub caller: Principal,
    /// Who executed it.
    pub callee: Principal,
    /// The method; for callbacks that of the call that was answered.
    pub method: String,
    /// Bytes of method name and argument, or of the response that a callback handled.
    pub request_bytes: u64,
    /// Bytes that this message answered with.
    pub response_bytes: u64,
    /// Instructions it used.
    pub instructions: u64,
    /// Cycles that its execution took from the balance, calls made and refunds received included.
    pub cycles: u128,
}

/// Executed messages, oldest first.
#[derive(Debug, Default)]
pub struct Trace {
    is_on: bool,
    events: Vec<Event>,
    dropped: u64,
}

impl Trace {
    /// Records from now on; what was recorded before is forgotten.
    pub fn start(&mut self) {
        *self = Self { is_on: true, ..Self::default() };
    }

    /// Stops recording and answers what was recorded.
    pub fn stop(&mut self) -> Vec<Event> {
        std::mem::take(self).events
    }

    /// Whether it records.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// What was recorded so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Messages that came after the trace was full ([`TRACE_EVENTS`]).
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn record(&mut self, event: impl FnOnce() -> Event) {
        if !self.is_on {
        } else if self.events.len() < TRACE_EVENTS {
            self.events.push(event());
        } else {
            self.dropped += 1;
        }
    }
}
