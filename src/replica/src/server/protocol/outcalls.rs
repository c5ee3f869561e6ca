//! HTTP outcalls that wait, and what a test answers.
use super::bytes::Base64Bytes;
use super::calls::SubnetId;
use crate::api::{HttpHeader, HttpResponse, OutcallView};
use serde::{Deserialize, Serialize};

/// An outcall that waits.
#[derive(Debug, Serialize)]
pub(crate) struct CanisterHttpRequest {
    subnet_id: SubnetId,
    request_id: u64,
    http_method: &'static str,
    url: String,
    headers: Vec<HttpHeader>,
    body: Base64Bytes,
    max_response_bytes: Option<u64>,
    replication: &'static str,
    pricing_version: &'static str,
}

impl From<OutcallView> for CanisterHttpRequest {
    fn from(outcall: OutcallView) -> Self {
        Self {
            subnet_id: outcall.subnet.into(),
            request_id: outcall.id,
            http_method: outcall.http.method.name(),
            url: outcall.http.url,
            headers: outcall.http.headers,
            body: Base64Bytes(outcall.http.body),
            max_response_bytes: outcall.http.max_response_bytes,
            replication: if outcall.http.is_replicated { "FullyReplicated" } else { "NonReplicated" },
            pricing_version: "Legacy",
        }
    }
}

/// The answer to one: the same for all nodes, or one for each.
#[derive(Debug, Deserialize)]
pub(crate) struct MockCanisterHttpResponse {
    pub(crate) subnet_id: SubnetId,
    pub(crate) request_id: u64,
    pub(crate) response: CanisterHttpResponse,
    #[serde(default)]
    pub(crate) additional_responses: Vec<CanisterHttpResponse>,
}

/// What a node gets.
#[derive(Debug, Deserialize)]
pub(crate) enum CanisterHttpResponse {
    CanisterHttpReply { status: u16, headers: Vec<HttpHeader>, body: Base64Bytes },
    CanisterHttpReject { reject_code: u64, message: String },
}

impl From<CanisterHttpResponse> for HttpResponse {
    fn from(response: CanisterHttpResponse) -> Self {
        match response {
            CanisterHttpResponse::CanisterHttpReply { status, headers, body } => {
                Self::Reply { status, headers, body: body.0 }
            }
            CanisterHttpResponse::CanisterHttpReject { reject_code, message } => {
                Self::Reject { code: reject_code, message }
            }
        }
    }
}
