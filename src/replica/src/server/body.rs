//! Reading requests and writing answers.
use super::error::ApiError;
use super::limits::{BODIES_LIMIT_BYTES, BODY_SILENCE, DISCARD_LIMIT_BYTES};
use axum::body::{Body, HttpBody};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::poll_fn;
use std::pin::Pin;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Room for bodies, in KiB.
static ROOM: Semaphore = Semaphore::const_new((BODIES_LIMIT_BYTES / KIB) as usize);
const KIB: u64 = 1 << 10;

/// A body, with the room that it takes.
pub(crate) struct Received {
    /// What was sent.
    pub(crate) bytes: Vec<u8>,
    _room: SemaphorePermit<'static>,
}

impl std::ops::Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The whole body, when there is room for it. Errors if it is larger than the limit, or if the client hung up.
pub(crate) async fn read(mut body: Body, limit_bytes: u64) -> Result<Received, ApiError> {
    let mut bytes = Vec::new();
    let hint = HttpBody::size_hint(&body);
    let announced_bytes = hint.lower();
    let most_bytes = hint.upper().unwrap_or(limit_bytes).min(limit_bytes);
    let room = ROOM.acquire_many(u32::try_from(most_bytes.div_ceil(KIB)).unwrap_or(u32::MAX)).await;
    let room = room.map_err(|error| ApiError::internal(format!("no room for the request: {error}")))?;
    if announced_bytes <= limit_bytes {
        // What cannot be reserved now is tried again, and fails, when the bytes are there.
        let _ = bytes.try_reserve_exact(usize::try_from(announced_bytes).unwrap_or(0));
    }
    let mut received_bytes = 0_u64;
    loop {
        let next =
            tokio::time::timeout(BODY_SILENCE, poll_fn(|context| Pin::new(&mut body).poll_frame(context)));
        let frame = next.await.map_err(|_| {
            let seconds = BODY_SILENCE.as_secs();
            ApiError::bad_request(format!("the request broke off: nothing of it came for {seconds} s"))
        })?;
        let Some(frame) = frame else { break };
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
    Ok(Received { bytes, _room: room })
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime;

    #[test]
    fn a_body_for_which_there_is_no_room_waits_and_is_read_then() {
        let runtime = runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let all = ROOM.acquire_many((BODIES_LIMIT_BYTES / KIB) as u32).await.expect("all the room");
            let mut reading = std::pin::pin!(read(Body::from("a body"), 64));
            let polled =
                poll_fn(|context| std::task::Poll::Ready(reading.as_mut().poll(context).is_pending()));
            assert!(polled.await, "it waits");
            drop(all);
            let Ok(received) = reading.await else { panic!("it is read") };
            assert_eq!(&*received, b"a body");
        });
    }

    #[test]
    fn a_body_beyond_its_limit_takes_no_more_room_than_that() {
        let runtime = runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let Err(error) = read(Body::from("a body"), 5).await else { panic!("it is too large") };
            assert!(error.message.contains("5 bytes"), "{}", error.message);
        });
    }
}
