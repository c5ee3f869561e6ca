//! Call contexts and callbacks of a canister (spec, "Call contexts").

use super::messages::Origin;
use crate::accounts::Holdings;
use crate::profile::CallLimits;
use crate::system_api::host::Closure;
use candid::Principal;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A call that the canister is answering.
#[derive(Debug, Clone)]
pub(crate) struct CallContext {
    pub(crate) origin: Origin,
    pub(crate) caller: Principal,
    /// Whether it was answered; later messages of the context cannot answer again.
    pub(crate) is_answered: bool,
    /// Cycles that can still be accepted.
    pub(crate) available: u128,
    /// Instructions of all messages of the context so far.
    pub(crate) instructions: u64,
    /// Calls made in this context that have no response yet.
    pub(crate) open_calls: usize,
}

/// What a canister does when a response comes.
#[derive(Debug, Clone)]
pub(crate) struct Callback {
    pub(crate) context: u64,
    pub(crate) callee: Principal,
    pub(crate) method: String,
    pub(crate) on_reply: Closure,
    pub(crate) on_reject: Closure,
    pub(crate) on_cleanup: Option<Closure>,
    /// Cycles attached to the call.
    pub(crate) cycles: u128,
    /// Cycles prepaid for executing the response.
    pub(crate) prepaid_execution: u128,
    /// Cycles prepaid for its transmission.
    pub(crate) prepaid_transmission: u128,
    pub(crate) deadline_nanos: Option<u64>,
}

/// Calls under way that were made by a canister, or by all canisters of a subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OpenCalls {
    /// Those without a response.
    pub(crate) all: u64,
    /// Those of them that wait for it as long as it takes: memory is kept free for each response.
    pub(crate) guaranteed: u64,
}

impl OpenCalls {
    /// With those.
    pub(super) fn with(self, more: Self) -> Self {
        Self { all: self.all + more.all, guaranteed: self.guaranteed + more.guaranteed }
    }

    /// Without those, which are among them.
    pub(super) fn without(self, fewer: Self) -> Self {
        Self { all: self.all - fewer.all, guaranteed: self.guaranteed - fewer.guaranteed }
    }
}

/// How many calls a canister may make besides those that are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallRoom {
    /// In all.
    pub(crate) calls: u64,
    /// For whose response there is memory.
    pub(crate) guaranteed: u64,
}

impl CallRoom {
    /// What queries have, whose calls are nobody else's matter.
    pub(crate) const UNLIMITED: Self = Self { calls: u64::MAX, guaranteed: u64::MAX };

    /// What `own` calls of a canister and those `of_all` canisters leave.
    pub(super) fn new(limits: CallLimits, own: OpenCalls, of_all: OpenCalls) -> Self {
        let shared = limits.shared.saturating_sub(of_all.all);
        let in_any_case = limits.guaranteed.saturating_sub(own.all);
        let responses = limits.response_bytes.map(|bytes| bytes / Holdings::RESPONSE_BYTES);
        Self {
            calls: shared.max(in_any_case),
            guaranteed: responses.map_or(u64::MAX, |most| most.saturating_sub(of_all.guaranteed)),
        }
    }
}

/// All open calls of a canister, in and out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls {
    pub(crate) contexts: BTreeMap<u64, CallContext>,
    pub(crate) callbacks: BTreeMap<u64, Callback>,
    /// Requests without a response, by callee.
    pub(crate) outstanding: Arc<BTreeMap<Principal, usize>>,
    /// Requests without a response that wait for it as long as it takes.
    guaranteed: u64,
    next_context: u64,
    next_callback: u64,
}

impl Calls {
    /// Opens a call context.
    pub(crate) fn open(&mut self, context: CallContext) -> u64 {
        let id = self.next_context;
        self.next_context += 1;
        self.contexts.insert(id, context);
        id
    }

    /// Registers what to do with a response.
    pub(crate) fn register(&mut self, callback: Callback) -> u64 {
        let id = self.next_callback;
        self.next_callback += 1;
        if let Some(context) = self.contexts.get_mut(&callback.context) {
            context.open_calls += 1;
        }
        *Arc::make_mut(&mut self.outstanding).entry(callback.callee).or_default() += 1;
        self.guaranteed += u64::from(callback.deadline_nanos.is_none());
        self.callbacks.insert(id, callback);
        id
    }

    /// Takes a callback, when its response is executed. `None` if that already happened: a late response.
    pub(crate) fn take(&mut self, id: u64) -> Option<Callback> {
        let callback = self.callbacks.remove(&id)?;
        self.guaranteed -= u64::from(callback.deadline_nanos.is_none());
        if let Some(context) = self.contexts.get_mut(&callback.context) {
            context.open_calls = context.open_calls.saturating_sub(1);
        }
        let outstanding = Arc::make_mut(&mut self.outstanding);
        if let Some(count) = outstanding.get_mut(&callback.callee) {
            *count -= 1;
            if *count == 0 {
                outstanding.remove(&callback.callee);
            }
        }
        Some(callback)
    }

    /// Responses for which memory is kept free (code: `guaranteed_response_memory_reservations`, of the calls that
    /// the canister makes; those that it has yet to answer are not counted here).
    pub(crate) fn reserved_responses(&self) -> u64 {
        self.guaranteed
    }

    /// Calls that it waits for.
    pub(super) fn under_way(&self) -> OpenCalls {
        OpenCalls { all: self.callbacks.len() as u64, guaranteed: self.guaranteed }
    }

    /// Whether a stopping canister may stop: nothing is open in either direction.
    pub(crate) fn is_idle(&self) -> bool {
        self.contexts.is_empty() && self.callbacks.is_empty()
    }
}
