//! Reading requests and writing answers.
use super::error::ApiError;
use super::limits::DISCARD_LIMIT_BYTES;
use axum::body::{Body, HttpBody};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::poll_fn;
use std::pin::Pin;

/// The whole body. Errors if it is larger than the limit, or if the client hung up.
pub(crate) async fn read(mut body: Body, limit_bytes: u64) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let announced_bytes = HttpBody::size_hint(&body).lower();
    if announced_bytes <= limit_bytes {
        // What cannot be reserved now is tried again, and fails, when the bytes are there.
        let _ = bytes.try_reserve_exact(usize::try_from(announced_bytes).unwrap_or(0));
    }
    let mut received_bytes = 0_u64;
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame =
            frame.map_err(|error| ApiError::bad_request(format!("the request broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        received_bytes += data.len() as u64;
        if received_bytes <= limit_bytes {
            bytes.extend_from_slice(&data);
        } else if received_bytes <= limit_bytes + DISCARD_LIMIT_BYTES {
            bytes = Vec::new();
        } else {
            break;
        }
    }
    if received_bytes > limit_bytes {
        return Err(ApiError::too_large("the request", limit_bytes));
    }
    Ok(bytes)
}

/// A request from JSON, whatever content type the client says it is.
pub(crate) fn parse<Request: DeserializeOwned>(body: &[u8]) -> Result<Request, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("the request cannot be understood: {error}")))
}

/// An answer, as JSON that is not sent yet.
pub(crate) struct JsonAnswer(Vec<u8>);

impl JsonAnswer {
    /// Writes it.
    pub(crate) fn new(answer: &impl Serialize) -> Result<Self, ApiError> {
        serde_json::to_vec(answer)
            .map(Self)
            .map_err(|error| ApiError::internal(format!("the answer cannot be written: {error}")))
    }
}

impl IntoResponse for JsonAnswer {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}
