//! A source: the canister that holds the state now. Embedded by `decant-kit`.
//!
//! ```candid
//! decant_status : () -> (KitStatus) query;
//! decant_offer  : (OfferArgs) -> (variant { Ok : KitStatus; Err : KitError });
//! decant_precopy : (PrecopyArgs) -> (variant { Ok : PrecopyBatch; Err : KitError }) query;
//! decant_freeze : (FreezeArgs) -> (variant { Ok : KitStatus; Err : KitError });
//! decant_seal   : (JobArgs) -> (variant { Ok : SealProgress; Err : KitError });
//! decant_open   : (OpenArgs) -> (variant { Ok : Opening; Err : KitError });
//! decant_manifest : (JobArgs) -> (variant { Ok : Manifest; Err : KitError }) query;
//! decant_digests : (DigestsArgs) -> (variant { Ok : DigestPage; Err : KitError });
//! decant_frames : (FramesArgs) -> (variant { Ok : Batch; Err : KitError });
//! decant_recheck : (JobArgs) -> (variant { Ok : SealProgress; Err : KitError });
//! decant_thaw   : (JobArgs) -> (variant { Ok : KitStatus; Err : KitError });
//! decant_release : () -> (variant { Ok : KitStatus; Err : KitError });
//! decant_retire : (RetireArgs) -> (variant { Ok : KitStatus; Err : KitError });
//! decant_reinstate : (RetireArgs) -> (variant { Ok : KitStatus; Err : KitError });
//! decant_drain  : (DrainArgs) -> (variant { Ok : nat; Err : KitError });
//! ```
//! All but `decant_status` are for controllers; `decant_open`, `decant_manifest`, `decant_digests` and
//! `decant_frames` also for the reader that `decant_freeze` registered, `decant_precopy` for the one that
//! `decant_offer` named. Each may be repeated: a repetition
//! answers as the first call did. What a reader calls of a sealed source are updates, because the platform counts
//! queries of other canisters too, and only updates can count along: see `decant-kit`. `decant_release` is for the people behind the canister, when the coordinator
//! is lost for good and no controller any more.

use candid::{CandidType, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::{JobId, TimeNanos};
pub use decant_transfer::{Batch, ChunkId, DigestPage, Frame, Manifest, Shape, Wanted};

/// What a canister takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, CandidType, Deserialize)]
pub enum Fence {
    /// All calls.
    #[default]
    Open,
    /// Queries only; the application's own messages drain.
    Frozen(Hold),
    /// Queries only; the state is in stable memory and does not change.
    Sealed(Hold),
    /// Nothing: a target on the way.
    Importing(Hold),
    /// Nothing: answers where the state is now.
    Moved {
        /// The job that moved it.
        hold: Hold,
        /// Where it is.
        to: Principal,
    },
}

/// Who holds the fence closed.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Hold {
    /// The job.
    pub job: JobId,
    /// Its coordinator: the caller that closed the fence.
    pub coordinator: Principal,
    /// Who else may read frames: the target, or for a target the source it reads from.
    pub peer: Principal,
    /// When.
    pub since_nanos: TimeNanos,
}

/// How stable memory is laid out.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub enum LayoutSummary {
    /// No stable memory.
    Empty,
    /// No `MemoryManager`: state from offset 0 on.
    Raw,
    /// A `MemoryManager`.
    Managed {
        /// Pages of 64 KiB in a bucket.
        bucket_pages: u16,
        /// Virtual memories in use.
        memories: u16,
        /// Pages in use by all of them.
        used_pages: u64,
    },
    /// Something that cannot be moved.
    Unreadable {
        /// Why.
        reason: String,
    },
}

/// What a canister with the kit tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct KitStatus {
    /// Version of this interface: 1.
    pub kit_version: u32,
    /// The fence.
    pub fence: Fence,
    /// The layout of its stable memory now (before a seal: without what is still on the heap).
    pub layout: LayoutSummary,
    /// Stable memory in pages of 64 KiB.
    pub stable_pages: u64,
    /// The sealed, or on a target the written and verified root.
    pub root: Option<ByteBuf>,
    /// Bytes moved so far.
    pub bytes_done: u64,
}

/// Lets a target read what stable memory holds while the canister still serves. A later offer takes the place of
/// an earlier one; it ends when the canister is frozen, and with `decant_thaw`.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct OfferArgs {
    /// The job.
    pub job: JobId,
    /// The target, which may read.
    pub reader: Principal,
}

/// Asks an open canister for what it holds now.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct PrecopyArgs {
    /// The job.
    pub job: JobId,
    /// The first chunk, in the order of ids and indexes; it need not exist.
    pub from: ChunkId,
}

/// What an open canister holds now: no promise for later.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct PrecopyBatch {
    /// Its memories now.
    pub shape: Shape,
    /// Chunks of that shape, from the one asked for on.
    pub frames: Vec<Frame>,
    /// The chunk to ask from next; nothing after the last one.
    pub next: Option<ChunkId>,
}

/// Closes the fence for a job.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct FreezeArgs {
    /// The job.
    pub job: JobId,
    /// The target, which may read frames.
    pub reader: Principal,
}

/// Names the job that an endpoint acts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
pub struct JobArgs {
    /// The job.
    pub job: JobId,
}

/// Asks for what a reader needs first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
pub struct OpenArgs {
    /// The job.
    pub job: JobId,
    /// Whether the reader has a copy from before the seal: it needs digests first, and frames only of what differs.
    pub has_copy: Option<bool>,
}

/// How far hashing is.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub enum SealProgress {
    /// Call again: that many bytes of so many are hashed.
    Working {
        /// Bytes hashed.
        done_bytes: u64,
        /// Bytes in all.
        total_bytes: u64,
    },
    /// Done.
    Done(Seal),
}

/// What is sealed.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Seal {
    /// The root, 32 bytes.
    pub root: ByteBuf,
    /// Pages in use that will be moved.
    pub used_pages: u64,
    /// The application's own counts and sums.
    pub fingerprint: ByteBuf,
}

/// What a reader needs first. For a small state it is all that it needs: one call instead of three.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Opening {
    /// The manifest.
    pub manifest: Manifest,
    /// The first page of digests; nothing if there are no chunks.
    pub digests: Option<DigestPage>,
    /// The frames of those chunks that are not all zero, from position 0 on, if the page has every digest and the
    /// reader has no copy.
    pub batch: Option<Batch>,
}

/// Asks for digests.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct DigestsArgs {
    /// The job.
    pub job: JobId,
    /// Ordinal of the first chunk, as [`decant_transfer::DigestCollector::next`] says.
    pub first: u64,
}

/// Asks for frames.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct FramesArgs {
    /// The job.
    pub job: JobId,
    /// The chunks, and how far they were served.
    pub wanted: Wanted,
}

/// Tells a source where its state is now.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct RetireArgs {
    /// The job.
    pub job: JobId,
    /// Where to.
    pub to: Principal,
}

/// Sends the cycles away.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct DrainArgs {
    /// The job.
    pub job: JobId,
    /// Who gets them.
    pub to: Principal,
    /// Cycles that stay for the messages that follow.
    pub keep: u128,
}
