//! The words in which an instance is asked and answers.

use crate::error::RejectResponse;
use candid::{CandidType, Deserialize, Principal};
use serde::Serialize;

/// The kinds of subnets that PocketIC knows and the replica accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are PocketIC's own")]
pub enum SubnetKind {
    Application,
    System,
    VerifiedApplication,
    Nns,
    Sns,
    Ii,
    Fiduciary,
    Bitcoin,
    TestThresholdKeys,
}

/// A subnet as the topology shows it.
#[derive(Debug, Clone)]
pub struct SubnetView {
    /// Its id.
    pub id: Principal,
    /// Its kind.
    pub kind: SubnetKind,
    /// Its seed.
    pub seed: [u8; 32],
    /// First and last canister id of each range.
    pub ranges: Vec<(Principal, Principal)>,
}

/// What a subnet says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubnetMetrics {
    /// Its canisters.
    pub canisters: u64,
    /// Bytes that they keep.
    pub state_bytes: u64,
    /// Cycles that they and those before them paid or burned, and those that were left in what was deleted; what calls on their
    /// way have prepaid counts until it comes back.
    pub consumed_cycles: u128,
}

/// Where a call to the management canister is routed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectivePrincipal {
    /// To any subnet.
    None,
    /// To this subnet.
    Subnet(Principal),
    /// To the subnet of this canister.
    Canister(Principal),
}

/// A call by a user.
#[derive(Debug, Clone)]
pub struct UserCall {
    /// Who calls.
    pub sender: Principal,
    /// What is called.
    pub canister_id: Principal,
    /// Where a call to the management canister goes.
    pub effective_principal: EffectivePrincipal,
    /// The method.
    pub method: String,
    /// The argument.
    pub payload: Vec<u8>,
}

/// What a canister may ask a web server for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
#[expect(missing_docs, reason = "the names are HTTP's own")]
pub enum HttpMethod {
    #[serde(rename = "get")]
    Get,
    #[serde(rename = "head")]
    Head,
    #[serde(rename = "post")]
    Post,
    #[serde(rename = "put")]
    Put,
    #[serde(rename = "delete")]
    Delete,
    #[serde(rename = "patch")]
    Patch,
}

impl HttpMethod {
    /// As HTTP spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
        }
    }
}

/// A header of a request or response.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct HttpHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// The function of a canister that makes responses the same for all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transform {
    /// A query of the canister that makes the outcall.
    pub method: String,
    /// What it gets besides the response.
    pub context: Vec<u8>,
}

/// What a canister asks a web server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Where.
    pub url: String,
    /// How.
    pub method: HttpMethod,
    /// Headers.
    pub headers: Vec<HttpHeader>,
    /// Body.
    pub body: Vec<u8>,
    /// Bytes of the response at most.
    pub max_response_bytes: Option<u64>,
    /// What becomes of the response.
    pub transform: Option<Transform>,
    /// Whether all nodes ask.
    pub is_replicated: bool,
}

impl HttpRequest {
    /// Bytes that it is charged for (code: `variable_parts_size`).
    pub(crate) fn variable_bytes(&self) -> u64 {
        let headers: usize = self.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
        let transform =
            self.transform.as_ref().map_or(0, |transform| transform.method.len() + transform.context.len());
        (self.url.len() + headers + self.body.len() + transform) as u64
    }
}

/// An outcall that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcallView {
    /// The subnet that makes it.
    pub subnet: Principal,
    /// Its number on that subnet.
    pub id: u64,
    /// The canister that wants it.
    pub canister: Principal,
    /// What it asks.
    pub http: HttpRequest,
}

/// What a node of a subnet gets in answer to an outcall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpResponse {
    /// A response.
    Reply {
        /// Its status.
        status: u16,
        /// Its headers.
        headers: Vec<HttpHeader>,
        /// Its body.
        body: Vec<u8>,
    },
    /// None, for a reason.
    Reject {
        /// The reject code.
        code: u64,
        /// The reason.
        message: String,
    },
}

/// Names a submitted call.
pub type MessageId = [u8; 32];

/// What is known of a submitted call.
#[derive(Debug, Clone)]
pub enum IngressStatus {
    /// Unknown, or still on its way.
    Pending,
    /// Answered.
    Done(Result<Vec<u8>, RejectResponse>),
    /// Asked for by somebody who did not send it.
    Forbidden,
}
