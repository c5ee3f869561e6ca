//! Of the platform's HTTPS interface (interface specification, "HTTPS Interface") what needs no certificate: whether
//! the network is there, and a subnet's metrics, which clients of PocketIC read without looking at signatures.
use super::error::ApiError;
use super::limits::PAGE_REQUEST_LIMIT_BYTES;
use super::slot::Slot;
use crate::api::{IngressStatus, MessageId};
use crate::instance::Instance;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use candid::Principal;
use ciborium::Value;
use std::sync::Arc;

/// What to do instead of anything else.
pub(crate) const INSTEAD: &str =
    "use the calls of a PocketIC client, which need no agent; there are no certificates and signatures";

/// An answer in CBOR.
pub(crate) struct Cbor(Vec<u8>);

impl IntoResponse for Cbor {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/cbor")], self.0).into_response()
    }
}

/// Answers a request to `/api/PATH`.
pub(crate) async fn answer(
    slot: &Arc<Slot>,
    method: &Method,
    path: &str,
    body: Vec<u8>,
) -> Result<Cbor, ApiError> {
    let unsupported = || ApiError::unsupported(&format!("{method} /api/{path}"), INSTEAD);
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    match (method, parts.as_slice()) {
        (&Method::GET, ["v2", "status"]) => slot.in_turn(|slot| slot.with(status)?).await?,
        (&Method::POST, ["v2" | "v3", "subnet", id, "read_state"]) => {
            let id = principal(id)?;
            slot.in_turn(move |slot| slot.with(|instance| subnet_state(instance, id, &body))?).await?
        }
        (&Method::POST, ["v2" | "v3", "canister", id, "read_state"]) => {
            let (id, unsupported) = (principal(id)?, unsupported());
            slot.in_turn(move |slot| {
                slot.with(|instance| canister_state(instance, id, &body, unsupported))?
            })
            .await?
        }
        _ => Err(unsupported()),
    }
}

/// The platform's words for a body that is too large.
pub(crate) fn too_large(error: ApiError) -> ApiError {
    if error.status != StatusCode::PAYLOAD_TOO_LARGE {
        return error;
    }
    let message = format!(
        "error: payload_too_large\ndetails: Payload is too large: maximum body size is {PAGE_REQUEST_LIMIT_BYTES} bytes."
    );
    ApiError { message, ..error }
}

fn principal(text: &str) -> Result<Principal, ApiError> {
    Principal::from_text(text).map_err(|error| ApiError::bad_request(format!("{text}: {error}")))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// CBOR with the tag by which it describes itself, as the specification wants it.
fn encode(value: Value) -> Result<Cbor, ApiError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(&Value::Tag(SELF_DESCRIBED, value.into()), &mut bytes)
        .map_err(|error| ApiError::internal(format!("the answer cannot be written: {error}")))?;
    Ok(Cbor(bytes))
}

/// RFC 8949, "Self-Described CBOR".
const SELF_DESCRIBED: u64 = 55799;

fn status(instance: &mut Instance) -> Result<Cbor, ApiError> {
    encode(Value::Map(vec![
        (text("replica_health_status"), text("healthy")),
        (text("root_key"), Value::Bytes(instance.root_key().to_vec())),
    ]))
}

/// The metrics of a subnet, if they are asked for, in a tree that nobody has signed.
fn subnet_state(instance: &mut Instance, id: Principal, body: &[u8]) -> Result<Cbor, ApiError> {
    let metrics = instance.subnet_metrics(id).ok_or_else(|| {
        ApiError::bad_request("error: subnet_not_found\ndetails: The specified subnet cannot be found.")
    })?;
    let path = [b"subnet".as_slice(), id.as_slice(), b"metrics"];
    if !paths(body)?.iter().any(|asked| asked.iter().map(Vec::as_slice).eq(path)) {
        return Err(ApiError::unsupported("the state tree of a subnet but for its metrics", INSTEAD));
    }
    // Interface specification, "State tree, Subnet information". Transactions are not counted.
    let (high, low) = (metrics.consumed_cycles >> 64, metrics.consumed_cycles as u64);
    let high = if high == 0 { Value::Null } else { Value::from(high as u64) };
    let metrics = Value::Map(vec![
        (0.into(), metrics.canisters.into()),
        (1.into(), metrics.state_bytes.into()),
        (2.into(), Value::Map(vec![(0.into(), low.into()), (1.into(), high)])),
        (3.into(), 0.into()),
    ]);
    let mut leaf = Vec::new();
    ciborium::into_writer(&metrics, &mut leaf).map_err(|error| ApiError::internal(error.to_string()))?;
    let leaf = Value::Array(vec![3.into(), Value::Bytes(leaf)]);
    let labeled = |tree, label: &&[u8]| Value::Array(vec![2.into(), Value::Bytes(label.to_vec()), tree]);
    let tree = path.iter().rev().fold(leaf, labeled);
    let certificate =
        encode(Value::Map(vec![(text("tree"), tree), (text("signature"), Value::Bytes(Vec::new()))]))?;
    encode(Value::Map(vec![(text("certificate"), Value::Bytes(certificate.0))]))
}

/// Nothing of a canister's state tree is there, but refusals come in the platform's order.
fn canister_state(
    instance: &mut Instance,
    id: Principal,
    body: &[u8],
    unsupported: ApiError,
) -> Result<Cbor, ApiError> {
    if instance.subnet_of(id).is_none() {
        return Err(ApiError::bad_request(
            "error: canister_not_found\ndetails: The specified canister does not exist.",
        ));
    }
    for path in paths(body)? {
        let [label, id] = path.as_slice() else { continue };
        let Ok(id) = MessageId::try_from(id.as_slice()) else { continue };
        let is_anybody_s = || instance.ingress_status(&id, Some(Principal::anonymous()));
        if label == b"request_status" && matches!(is_anybody_s(), IngressStatus::Forbidden) {
            return Err(ApiError::forbidden("The user tries to access Request ID not signed by the caller."));
        }
    }
    Err(unsupported)
}

/// The paths that a request to read the state asks for.
fn paths(body: &[u8]) -> Result<Vec<Vec<Vec<u8>>>, ApiError> {
    let not_understood = || ApiError::bad_request("the request is not an envelope with the paths to read");
    let envelope: Value = ciborium::from_reader(body).map_err(|_| not_understood())?;
    let envelope = match envelope {
        Value::Tag(SELF_DESCRIBED, value) => *value,
        other => other,
    };
    let field = |value: &Value, name: &str| {
        let fields = value.as_map()?;
        fields.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value.clone())
    };
    let found = field(&envelope, "content").and_then(|content| field(&content, "paths"));
    let found = found.as_ref().and_then(Value::as_array).ok_or_else(not_understood)?;
    let path = |path: &Value| path.as_array()?.iter().map(|label| label.as_bytes().cloned()).collect();
    found.iter().map(path).collect::<Option<_>>().ok_or_else(not_understood)
}
