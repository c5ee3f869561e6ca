//! Errors: what happened, to what, and what to do.

use candid::{CandidType, Principal};
use serde::Deserialize;

use crate::source::Fence;
use crate::{JobId, TimeNanos};

/// Why a source or target did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize, thiserror::Error)]
pub enum KitError {
    /// The caller may not do this.
    #[error("{caller} may not do this: ask from a controller or the registered reader")]
    NotAuthorised {
        /// Who asked.
        caller: Principal,
    },
    /// The fence does not allow it now.
    #[error("the canister is {fence:?}, and this needs {wanted}")]
    WrongFence {
        /// Where it stands; in a box, because errors travel through every call.
        fence: Box<Fence>,
        /// What is needed.
        wanted: String,
    },
    /// Another job holds the canister.
    #[error("job {holder} of {coordinator} holds the canister, not job {asked}")]
    HeldByOther {
        /// The job that holds it.
        holder: JobId,
        /// The coordinator of that job.
        coordinator: Principal,
        /// The job that asked.
        asked: JobId,
    },
    /// A target must be empty.
    #[error(
        "init of the module touches stable memory, as opening a structure there does, which it must leave to load; or the \
         target is no fresh canister: it holds {stable_pages} pages"
    )]
    NotEmpty {
        /// Its stable memory in pages of 64 KiB.
        stable_pages: u64,
    },
    /// Stable memory cannot be read as an image.
    #[error("stable memory is not an image that can be moved: {reason}")]
    Layout {
        /// Why.
        reason: String,
    },
    /// A frame, manifest or digest is not what it should be.
    #[error("the transfer does not hold together: {reason}")]
    Transfer {
        /// Why.
        reason: String,
    },
    /// The state changed between two looks at it.
    #[error("the root is {found} and was {sealed} when sealed: something wrote after the seal")]
    RootChanged {
        /// Hex of the root now.
        found: String,
        /// Hex of the sealed root.
        sealed: String,
    },
    /// Not all is hashed yet, and nothing else was done: call again.
    #[error("{done_bytes} of {total_bytes} bytes are hashed: call again")]
    Hashing {
        /// Bytes hashed.
        done_bytes: u64,
        /// Bytes in all.
        total_bytes: u64,
    },
    /// The dapp's save and load do not do together what an upgrade does. Nothing has happened.
    #[error(
        "{idiom}; nothing was done: repack it, or relocate it through vessels, where its code sees one ordinary upgrade"
    )]
    NotAPair {
        /// What they do.
        idiom: Idiom,
    },
    /// A call to another canister failed; nothing was lost.
    #[error("the call of {method} on {canister} failed: {reason}")]
    CallFailed {
        /// The callee.
        canister: Principal,
        /// The method.
        method: String,
        /// Reject code and message.
        reason: String,
        /// Whether the outcome is unknown.
        is_unknown: bool,
    },
}

/// What hooks do that are no pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize, thiserror::Error)]
pub enum Idiom {
    /// The fingerprint after save and load is not the one from before.
    #[error("load does not bring back all that save takes")]
    HeapTaken,
    /// What load has read is not what was saved any more.
    #[error("load changes or erases what it reads")]
    ImageChanged,
}

/// What an application caller gets to read at a fenced canister, as the message of a reject.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// Relocation is under way; queries still work.
    #[error(
        "DECANT-BUSY: this canister is being relocated by job {job} of {coordinator} since {since_nanos} ns; \
         queries still answer, retry updates in {retry_after_seconds} s"
    )]
    Busy {
        /// The job.
        job: JobId,
        /// Its coordinator.
        coordinator: Principal,
        /// When the fence closed.
        since_nanos: TimeNanos,
        /// When to try again.
        retry_after_seconds: u64,
    },
    /// The canister is not in use yet.
    #[error("DECANT-IMPORTING: this canister is still receiving the state of {source_id} for job {job}")]
    Importing {
        /// The job.
        job: JobId,
        /// Where the state comes from.
        source_id: Principal,
    },
    /// The state is elsewhere.
    #[error("DECANT-MOVED: the state of this canister moved to {to}")]
    Moved {
        /// Where to.
        to: Principal,
    },
}
