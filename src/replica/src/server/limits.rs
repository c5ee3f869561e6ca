//! What the server accepts at most, and how long it waits.
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// Body of a JSON request, in bytes. The platform takes calls of up to 3.5 MiB, which base64 makes 4.7 MiB;
/// the rest is room for calls beyond the platform's limit, which the replica has to refuse in its own words.
pub(crate) const JSON_BODY_LIMIT_BYTES: u64 = 64 * MIB;

/// A blob, in bytes, both as sent and decompressed: a stable memory of 1 GiB and 64 MiB for what its layout
/// adds (headers, bucket slack). Blobs are held in memory.
pub(crate) const BLOB_LIMIT_BYTES: u64 = 1088 * MIB;

/// All blobs together, in bytes: two of the largest. The protocol has no way to delete a blob, so the ones
/// that were stored first make room.
pub(crate) const BLOB_STORE_LIMIT_BYTES: u64 = 2 * BLOB_LIMIT_BYTES;

/// Bodies that are read or wait for their turn, all together, in bytes: two of the largest blobs, and requests besides.
/// Those for which there is no room wait.
pub(crate) const BODIES_LIMIT_BYTES: u64 = 2 * BLOB_LIMIT_BYTES + 8 * JSON_BODY_LIMIT_BYTES;

/// How long a client may send nothing of a body that it began.
pub(crate) const BODY_SILENCE: Duration = Duration::from_secs(60);

/// How many bytes beyond a limit are read and thrown away. A client that is still sending does not look at
/// the answer, so hanging up at once would hide the reason from it.
pub(crate) const DISCARD_LIMIT_BYTES: u64 = 256 * MIB;

/// Subnets of one instance; the mainnet has about half as many.
pub(crate) const SUBNETS_LIMIT: usize = 100;

/// Shortest pause between two rounds of an instance that makes progress by itself.
pub(crate) const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// How long a server that is being stopped waits for operations that are still running.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Body of a request to a page of a canister or to `/api`, in bytes: a call takes no more (code:
/// `MAX_REQUEST_BODY_SIZE`).
pub(crate) const PAGE_REQUEST_LIMIT_BYTES: u64 = 4 * MIB;

/// A page of a canister with all that its streaming callback adds, in bytes (ours). It is held in memory.
pub(crate) const PAGE_LIMIT_BYTES: usize = 256 << 20;
