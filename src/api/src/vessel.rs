//! A vessel: a module of ours that holds a state and nothing else. A canister is upgraded to it and back from it.
//!
//! ```candid
//! service : (VesselArgs) -> {
//!   decant_pour     : (PourArgs) -> (variant { Ok : PourProgress; Err : KitError });
//!   decant_moved_to : () -> (principal) query;
//! }
//! ```
//! Besides it speaks as a [`source`](crate::source) or a [`target`](crate::target) of its job does, to the coordinator
//! that installed it.

use candid::{CandidType, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::JobId;

/// What a vessel is told whenever it is installed, also by an upgrade. Its coordinator is whoever installs it.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct VesselArgs {
    /// The job.
    pub job: JobId,
    /// What it is for.
    pub role: VesselRole,
    /// The page at which the manager begins, if it is not the first one: what lies before it stays as it is.
    pub manager_page: Option<u64>,
}

/// What a vessel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
pub enum VesselRole {
    /// The state stays where it is: frozen for the job.
    Source {
        /// Who else may read it: the target, or the canister itself if it is repacked.
        reader: Principal,
        /// Whether what lies behind the last bucket, which no virtual memory has, may be left behind; otherwise a state
        /// with something there is not sealed.
        drops_tail: bool,
    },
    /// An empty canister that will hold the state.
    Target {
        /// Where the state is.
        source: Principal,
        /// Pages of 64 KiB in a bucket of the new image.
        bucket_pages: u16,
    },
    /// What stays of a source, without stable memory: it answers where the state is.
    Moved {
        /// Where.
        to: Principal,
    },
}

/// Lets a sealed vessel write its compact image into a snapshot that was uploaded to its own canister, which must be
/// its own controller meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct PourArgs {
    /// The job.
    pub job: JobId,
    /// The snapshot: as many zeros as [`PourProgress::pages`] says.
    pub snapshot: ByteBuf,
    /// Pages of 64 KiB in a bucket of the compact image.
    pub bucket_pages: u16,
    /// Most slices that this call may write; with 0 it only tells how far it is, whatever the snapshot.
    pub max_calls: u32,
}

/// How far a compact image is.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct PourProgress {
    /// The page of the compact image from which on nothing is written yet; the header page comes last.
    pub next_page: u64,
    /// Pages of the compact image.
    pub pages: u64,
    /// Whether all of it is written.
    pub is_complete: bool,
    /// Bytes written so far.
    pub wire_bytes: u64,
    /// Pages that managers inside of virtual memories hold and do not use, where some do: they come along.
    pub nested_pages: Option<u64>,
}
