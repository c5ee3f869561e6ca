//! The blob store: how stable memories get to the server.
use super::Server;
use super::body;
use super::error::ApiError;
use super::limits::{BLOB_LIMIT_BYTES, BLOB_STORE_LIMIT_BYTES};
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Semaphore;

/// SHA-256 of the bytes that were sent, compressed or not.
type BlobId = [u8; 32];

/// The blobs, decompressed. When there is no room for another, the oldest go.
pub(crate) struct BlobStore {
    blobs: Mutex<Blobs>,
    limit_bytes: u64,
}

#[derive(Default)]
struct Blobs {
    by_id: HashMap<BlobId, Bytes>,
    /// From the oldest to the newest.
    order: VecDeque<BlobId>,
    size_bytes: u64,
}

impl Blobs {
    fn remove(&mut self, id: &BlobId) {
        if let Some(blob) = self.by_id.remove(id) {
            self.size_bytes -= blob.len() as u64;
            self.order.retain(|other| other != id);
        }
    }
}

impl Default for BlobStore {
    fn default() -> Self {
        Self { blobs: Mutex::default(), limit_bytes: BLOB_STORE_LIMIT_BYTES }
    }
}

impl BlobStore {
    /// Errors with a sentence if nothing of the id is stored, or no longer.
    pub(crate) fn fetch(&self, id: &[u8]) -> Result<Bytes, String> {
        let blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let blob = BlobId::try_from(id).ok().and_then(|id| blobs.by_id.get(&id).cloned());
        blob.ok_or_else(|| {
            format!("there is no blob {}: it was not stored, or newer blobs needed its room", hex::encode(id))
        })
    }

    fn store(&self, id: BlobId, blob: Vec<u8>) {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.remove(&id);
        let size_bytes = blob.len() as u64;
        while blobs.size_bytes + size_bytes > self.limit_bytes
            && let Some(oldest) = blobs.order.front().copied()
        {
            blobs.remove(&oldest);
        }
        blobs.size_bytes += size_bytes;
        blobs.order.push_back(id);
        blobs.by_id.insert(id, Bytes::from(blob));
    }
}

/// A few bytes decompress to a gigabyte: one blob at a time, however many are sent.
static DECOMPRESSION: Semaphore = Semaphore::const_new(1);

/// Stores a blob and answers its id in hexadecimal digits.
pub(crate) async fn post(
    State(server): State<Server>,
    headers: HeaderMap,
    body: Body,
) -> Result<String, ApiError> {
    let is_gzip = match headers.get(CONTENT_ENCODING) {
        None => false,
        Some(encoding) if encoding.as_bytes().eq_ignore_ascii_case(b"gzip") => true,
        Some(_) => return Err(ApiError::bad_request("the only content encoding of a blob is gzip")),
    };
    let sent = body::read(body, BLOB_LIMIT_BYTES).await?;
    let turn = match is_gzip {
        true => Some(DECOMPRESSION.acquire().await.map_err(|error| ApiError::internal(error.to_string()))?),
        false => None,
    };
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let id: BlobId = Sha256::digest(&sent.bytes).into();
        server.blobs.store(id, if is_gzip { decompress(&sent.bytes, BLOB_LIMIT_BYTES)? } else { sent.bytes });
        Ok(hex::encode(id))
    });
    work.await.map_err(|error| ApiError::internal(format!("the blob was not stored: {error}")))?
}

/// Answers a blob, decompressed.
pub(crate) async fn get(
    State(server): State<Server>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(id) = id.map_err(|error| ApiError::bad_request(error.to_string()))?;
    let id =
        hex::decode(&id).map_err(|error| ApiError::bad_request(format!("bad blob id {id:?}: {error}")))?;
    let blob = server.blobs.fetch(&id).map_err(ApiError::not_found)?;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], blob).into_response())
}

fn decompress(sent: &[u8], limit_bytes: u64) -> Result<Vec<u8>, ApiError> {
    let mut blob = Vec::new();
    // One byte more than allowed, to tell a blob at the limit from one beyond it.
    let read = MultiGzDecoder::new(sent).take(limit_bytes + 1).read_to_end(&mut blob);
    read.map_err(|error| ApiError::bad_request(format!("the blob is not valid gzip: {error}")))?;
    if blob.len() as u64 > limit_bytes {
        return Err(ApiError::too_large("the decompressed blob", limit_bytes));
    }
    Ok(blob)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_blob_may_be_as_large_as_the_limit_but_not_larger() {
        let sent = gzip(&[7; 1000]);
        assert_eq!(decompress(&sent, 1000).unwrap(), [7; 1000]);
        assert_eq!(decompress(&sent, 999).unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn bytes_that_are_not_gzip_are_refused() {
        assert_eq!(decompress(b"plain", 1000).unwrap_err().status, StatusCode::BAD_REQUEST);
        let mut cut = gzip(&[7; 1000]);
        cut.pop();
        assert_eq!(decompress(&cut, 1000).unwrap_err().status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn the_oldest_blobs_make_room() {
        let store = BlobStore { limit_bytes: 10, ..BlobStore::default() };
        for id in 0..4 {
            store.store([id; 32], vec![id; 4]);
        }
        assert!(store.fetch(&[1; 32]).unwrap_err().contains("newer blobs"));
        assert_eq!(store.fetch(&[2; 32]).unwrap(), [2; 4].as_slice());
        assert_eq!(store.fetch(&[3; 32]).unwrap(), [3; 4].as_slice());
    }

    #[test]
    fn a_blob_that_is_stored_again_counts_once_and_is_young_again() {
        let store = BlobStore { limit_bytes: 10, ..BlobStore::default() };
        for id in [0, 1, 0, 2] {
            store.store([id; 32], vec![id; 5]);
        }
        assert!(store.fetch(&[0; 32]).is_ok());
        assert!(store.fetch(&[1; 32]).is_err());
        assert!(store.fetch(b"short").is_err());
    }
}
