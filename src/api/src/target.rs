//! A target: the fresh canister that will hold the state. Embedded by `decant-kit`, in the same wasm.
//!
//! ```candid
//! decant_import_begin  : (BeginArgs) -> (variant { Ok : KitStatus; Err : KitError });
//! decant_import_precopy : (PrecopyPullArgs) -> (variant { Ok : PullProgress; Err : KitError });
//! decant_import_pull   : (PullArgs) -> (variant { Ok : PullProgress; Err : KitError });
//! decant_import_verify : (JobArgs) -> (variant { Ok : SealProgress; Err : KitError });
//! decant_activate      : (JobArgs) -> (variant { Ok : KitStatus; Err : KitError });
//! ```
//! For controllers only.

use candid::{CandidType, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::JobId;
use crate::source::Seal;

/// Makes an empty canister a target.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct BeginArgs {
    /// The job.
    pub job: JobId,
    /// The source.
    pub source: Principal,
    /// Pages of 64 KiB in a bucket of the new image.
    pub bucket_pages: u16,
}

/// Lets the target read what the source holds while that still serves: every chunk once.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct PrecopyPullArgs {
    /// The job.
    pub job: JobId,
    /// Most batches of frames that this call may read.
    pub max_batches: u32,
}

/// Lets the target read frames from the source.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct PullArgs {
    /// The job.
    pub job: JobId,
    /// The sealed root that the manifest must have, 32 bytes.
    pub root: ByteBuf,
    /// Most batches of frames that this call may read.
    pub max_batches: u32,
}

/// How far reading is.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct PullProgress {
    /// Whether every digest of the manifest is met and the header page is written; of a pre-copy whether every
    /// chunk was read once.
    pub is_complete: bool,
    /// Bytes of state written.
    pub done_bytes: u64,
    /// Bytes of state in the manifest; of a pre-copy in the source, as it was last seen.
    pub total_bytes: u64,
    /// Bytes of replies read over the wire, those of a pre-copy included.
    pub wire_bytes: u64,
    /// Calls to the source that were answered.
    pub calls: u64,
    /// What a verify would answer, where the message that wrote the last of it had room for that too. Older targets, and a
    /// pre-copy, answer nothing.
    pub verified: Option<Seal>,
}
