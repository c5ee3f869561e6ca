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

impl Request {
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

/// A message between subnets.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// To a canister, or to the management canister of the subnet.
    Request(Request),
    /// To a canister.
    Response(Response),
}
