//! Requests and responses.

use crate::api::MessageId;
use crate::error::Reject;
use candid::Principal;
use std::sync::Arc;

/// Who gets the answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A user, through the ingress history.
    Ingress(MessageId),
    /// A canister's callback.
    Canister {
        /// The callback's id in that canister.
        callback: u64,
        /// Nanoseconds since the epoch at which a best-effort call gives up.
        deadline_nanos: Option<u64>,
    },
    /// Nobody: the heartbeat, timer or hook of the canister itself.
    Task,
}

/// A call on its way to a canister or to the management canister.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) origin: Origin,
    pub(crate) sender: Principal,
    pub(crate) receiver: Principal,
    pub(crate) method: String,
    pub(crate) payload: Arc<[u8]>,
    /// Cycles attached.
    pub(crate) cycles: u128,
}

/// Nanoseconds of a second, in which deadlines are counted.
const SECOND_NANOS: u64 = 1_000_000_000;

/// The deadline of a best-effort call that is made now: a whole second (code: `CoarseTime::floor`).
pub(crate) fn deadline_nanos(now_nanos: u64, timeout_seconds: u32) -> u64 {
    let deadline = now_nanos.saturating_add(u64::from(timeout_seconds) * SECOND_NANOS);
    deadline - deadline % SECOND_NANOS
}

/// Whether a deadline is over: the second that it names has passed (code: `MessagePool::expire_messages`).
pub(crate) fn is_past(deadline_nanos: u64, now_nanos: u64) -> bool {
    deadline_nanos / SECOND_NANOS < now_nanos / SECOND_NANOS
}

impl Request {
    /// Whether it is a best-effort call whose caller has stopped waiting: nobody executes it any more.
    pub(crate) fn is_expired(&self, now_nanos: u64) -> bool {
        matches!(self.origin, Origin::Canister { deadline_nanos: Some(deadline), .. } if is_past(deadline, now_nanos))
    }

    /// The response to this request, unless nobody waits for one.
    pub(crate) fn response(&self, payload: Result<Vec<u8>, Reject>, refund: u128) -> Option<Response> {
        let Origin::Canister { callback, .. } = self.origin else { return None };
        Some(Response { originator: self.sender, respondent: self.receiver, callback, payload, refund })
    }
}

/// An answer on its way to the callback of a canister.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) originator: Principal,
    pub(crate) respondent: Principal,
    pub(crate) callback: u64,
    pub(crate) payload: Result<Vec<u8>, Reject>,
    /// Cycles that the callee did not accept.
    pub(crate) refund: u128,
}

impl Response {
    /// Bytes that the platform charges for it.
    pub(crate) fn payload_bytes(&self) -> u64 {
        match &self.payload {
            Ok(reply) => reply.len() as u64,
            Err(reject) => reject.message.len() as u64,
        }
    }
}

/// What waits to be executed by a canister.
#[derive(Debug, Clone)]
pub(crate) enum Inbound {
    /// A call.
    Request(Request),
    /// An answer.
    Response(Response),
}

/// A message on its way.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// To a canister, or to the management canister of the subnet.
    Request(Request),
    /// To a canister.
    Response(Response),
}

impl Message {
    /// The canister or user that it comes from.
    pub(crate) fn sender(&self) -> Principal {
        match self {
            Self::Request(request) => request.sender,
            Self::Response(response) => response.respondent,
        }
    }

    /// The canister that it goes to.
    pub(crate) fn receiver(&self) -> Principal {
        match self {
            Self::Request(request) => request.receiver,
            Self::Response(response) => response.originator,
        }
    }
}

/// A call to the management canister that waits.
#[derive(Debug, Clone)]
pub(crate) struct ManagementCall {
    pub(crate) request: Request,
    /// The canister that it is about.
    pub(crate) about: Option<Principal>,
}
