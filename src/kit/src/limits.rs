//! Limits, each with its reason. Sources: developer docs, "Resource limits".

/// Instructions after which a slice of hashing ends: half of the 40 B of a message. The other half is for the
/// hook and the last chunk.
pub(crate) const SLICE_INSTRUCTIONS: u64 = 20_000_000_000;
/// Bytes of stable memory after which a slice of hashing ends: half of the 2 GiB that a message may read.
pub(crate) const SLICE_BYTES: u64 = 1 << 30;
/// Instructions after which a read ends: a query has 5 B, and well compressible pages could use them all.
pub(crate) const READ_INSTRUCTIONS: u64 = 2_000_000_000;
/// Instructions that may be used up when a target's load hook starts: it gets nearly all of its message, as
/// in an upgrade. Otherwise it starts in the next message.
pub(crate) const BEFORE_LOAD_INSTRUCTIONS: u64 = 2_000_000_000;

/// Bytes of a reply: the 2 MiB that a canister may answer to another, without 16 KiB for the Candid type
/// table of the wrapper (measured: below 1 KiB).
pub(crate) const REPLY_BYTES: usize = 2 * 1024 * 1024 - 16 * 1024;
/// Bytes of a manifest as Candid at most, from its documentation.
pub(crate) const MANIFEST_BYTES: usize = 16 * 1024;
/// Bytes of a page of digests: 32,766 digests, which stand for 2 GiB in chunks of a page.
pub(crate) const DIGESTS_BYTES: usize = 1024 * 1024;
/// Bytes of the digests in an opening: 8,190 digests, so that states up to 512 MiB start with frames.
pub(crate) const OPENING_DIGESTS_BYTES: usize = 256 * 1024;

/// Pages of state up to which a chunk is one page: 64 GiB. Chunks of 16 pages above keep the digests of any
/// state below 32 MiB of heap on either side.
pub(crate) const FINE_STATE_PAGES: u64 = 1 << 20;

/// Runs of chunks in a request, about 10 bytes each: what is scattered more is asked for in several requests.
pub(crate) const REQUEST_RUNS: usize = 2_000;
/// Requests that one call of `pull` makes at most, whatever it is told: 128 MiB. The caller waits for it.
pub(crate) const PULL_REQUESTS: u32 = 64;
/// Seconds that a read from the source may take. It may be repeated, so it travels with a deadline.
pub(crate) const READ_TIMEOUT_SECONDS: u32 = 60;

/// Slices that one call of `pour` writes at most, whatever it is told: 240 MiB. The caller waits for it.
pub(crate) const POUR_CALLS: u32 = 128;
/// Slices under way at a time: each prepays a response and is held on the heap. Measured on a real server: as many are
/// taken within a canister's limit of changed memory.
pub(crate) const POUR_TOGETHER: usize = 16;

/// Bytes of stable memory that are looked at on either side of a load hook: two looks, the hooks and the first slice of
/// hashing have 2 GiB together.
pub(crate) const WITNESS_BYTES: u64 = 1 << 29;
/// Instructions that the hooks and the looks may use up before hashing begins in the same message: reading costs one a
/// byte, so that the slice's 1 GiB is left of what a message may read.
pub(crate) const BEFORE_SLICE_INSTRUCTIONS: u64 = 1_000_000_000;

/// Seconds after which a refused caller should try again: a small canister is fenced for less.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 30;

/// Cycles that a drain leaves besides what it is told and what its own call may cost: the message under way
/// may still use up a few million instructions, and a drain that fails for want of cycles would have to be
/// repeated by hand.
pub(crate) const DRAIN_HEADROOM_CYCLES: u128 = 1_000_000_000;
