//! `http_request`: what a canister may ask for (spec, "IC method http_request"; code: `canister_http.rs`). Nothing is
//! sent: the call waits until somebody says what the answer is (`outcalls.rs`).

use super::call::{Answered, Call, Outcome, decode};
use crate::api::{HttpHeader, HttpMethod, HttpRequest, Transform};
use crate::error::{ErrorCode, UserError};
use crate::state::Request;
use crate::state::outcalls::Outcall;
use candid::{CandidType, Deserialize, Principal};
use serde_bytes::ByteBuf;

/// Bytes of a request, and of a response, with headers and body (spec).
pub(crate) const MESSAGE_BYTES: u64 = 2_000_000;

/// Bytes of a URL (spec).
const URL_BYTES: usize = 8_192;

/// Headers of a request or response (spec).
const HEADERS: usize = 64;

/// Bytes of a header's name, and of its value (spec: 8 KiB).
const HEADER_BYTES: usize = 8 << 10;

/// Bytes of all headers (spec: 48 KiB).
const HEADERS_BYTES: usize = 48 << 10;

/// Outcalls of a subnet that wait for their answer (code: `MAX_CANISTER_HTTP_REQUESTS_IN_FLIGHT`).
const OPEN_OUTCALLS: usize = 3_000;

#[derive(CandidType, Deserialize)]
struct Arg {
    url: String,
    max_response_bytes: Option<u64>,
    method: HttpMethod,
    headers: Vec<HttpHeader>,
    body: Option<ByteBuf>,
    transform: Option<TransformArg>,
    is_replicated: Option<bool>,
}

#[derive(CandidType, Deserialize)]
struct TransformArg {
    function: TransformFunction,
    context: ByteBuf,
}

candid::define_function!(TransformFunction : (TransformArgs) -> (HttpResult) query);

/// What a transform function gets.
#[derive(CandidType, Deserialize)]
pub(crate) struct TransformArgs {
    pub(crate) response: HttpResult,
    pub(crate) context: ByteBuf,
}

/// A response as canisters get it.
#[derive(CandidType, Deserialize)]
pub(crate) struct HttpResult {
    pub(crate) status: u128,
    pub(crate) headers: Vec<HttpHeader>,
    pub(crate) body: ByteBuf,
}

fn refused(text: String) -> UserError {
    UserError::new(ErrorCode::CanisterRejectedMessage, text)
}

pub(super) fn http_request(call: &mut Call<'_>) -> Outcome {
    let http = checked(decode(call)?, call.sender)?;
    let price = call
        .profile()
        .http_request_cycles(http.variable_bytes(), http.max_response_bytes.unwrap_or(MESSAGE_BYTES));
    let subnet = &mut call.instance.subnets[call.subnet];
    let outcalls = &mut subnet.outcalls;
    if outcalls.open.len() >= OPEN_OUTCALLS {
        return Err(refused(format!("max number ({OPEN_OUTCALLS}) of http requests in-flight reached.")));
    }
    if *call.cycles < price {
        return Err(refused(format!(
            "http_request request sent with {} cycles, but {price} cycles are required.",
            call.cycles
        )));
    }
    *call.cycles -= price;
    subnet.consumed_cycles += price;
    outcalls.insert(Outcall {
        // Its argument is kept in `http` alone.
        request: Request { cycles: *call.cycles, payload: [].into(), ..call.request.clone() },
        since_nanos: call.instance.time_nanos,
        http,
        answer: None,
    });
    Ok(Answered::Later)
}

fn checked(arg: Arg, sender: Principal) -> Result<HttpRequest, UserError> {
    let transform = arg.transform.map(|transform| {
        let function = transform.function.0;
        if function.principal != sender {
            return Err(refused(format!(
                "transform principal id expected to be {sender}, got {}",
                function.principal
            )));
        }
        Ok(Transform { method: function.method, context: transform.context.into_vec() })
    });
    let is_replicated = arg.is_replicated != Some(false);
    let request = HttpRequest {
        url: arg.url,
        method: arg.method,
        headers: arg.headers,
        body: arg.body.unwrap_or_default().into_vec(),
        max_response_bytes: arg.max_response_bytes,
        transform: transform.transpose()?,
        is_replicated,
    };
    if let Some(given) = request.max_response_bytes.filter(|bytes| *bytes > MESSAGE_BYTES) {
        return Err(refused(format!(
            "max_response_bytes expected to be in the range [0..{MESSAGE_BYTES}], got {given}"
        )));
    }
    if request.url.len() > URL_BYTES {
        return Err(refused(format!("url size {} exceeds {URL_BYTES}", request.url.len())));
    }
    // Spec, "PUT, DELETE, and PATCH are restricted to non-replicated mode".
    if is_replicated && matches!(request.method, HttpMethod::Put | HttpMethod::Delete | HttpMethod::Patch) {
        return Err(refused(format!(
            "{} is supported in non-replicated mode only: set is_replicated to false",
            request.method.name()
        )));
    }
    check_message(&request.headers, &request.body).map_err(refused)?;
    Ok(request)
}

/// Checks the limits of a request or response; errors with the platform's sentence.
pub(crate) fn check_message(headers: &[HttpHeader], body: &[u8]) -> Result<(), String> {
    let longest = |part: fn(&HttpHeader) -> &str| headers.iter().map(|header| part(header).len()).max();
    let headers_bytes: usize = headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    let total = headers_bytes + body.len();
    if headers.len() > HEADERS {
        return Err(format!("number of all http headers {} exceeds {HEADERS}", headers.len()));
    }
    for (part, bytes) in
        [("name", longest(|header| &header.name)), ("value", longest(|header| &header.value))]
    {
        if let Some(bytes) = bytes.filter(|bytes| *bytes > HEADER_BYTES) {
            return Err(format!(
                "number of bytes to represent some http header {part} {bytes} exceeds {HEADER_BYTES}"
            ));
        }
    }
    if headers_bytes > HEADERS_BYTES {
        return Err(format!(
            "total number of bytes to represent all http header names and values {headers_bytes} exceeds \
             {HEADERS_BYTES}"
        ));
    }
    if total as u64 > MESSAGE_BYTES {
        return Err(format!(
            "total number of bytes to represent all http header names and values and http body {total} exceeds \
             {MESSAGE_BYTES}"
        ));
    }
    Ok(())
}
