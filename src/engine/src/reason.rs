//! Why something did not happen.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes of a [`Reason`]'s detail that are kept: what the platform and canisters say, whole, once what is put around every
/// such message is gone. A job that is done holds none.
pub const MAX_DETAIL_BYTES: usize = 400;
/// The same of a job that was rolled back, which is kept for ever: all of it takes at most 512 bytes then (design, section 9).
pub const MAX_ENDED_DETAIL_BYTES: usize = 300;

/// What kind of reason. The tags are stored: they are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ReasonCode {
    /// The caller is no controller, or not the coordinator that is known there.
    #[serde(rename = "1")]
    NotAuthorised,
    /// Another job, or another coordinator, holds the fence.
    #[serde(rename = "2")]
    HeldByOther,
    /// Stable memory has a layout that cannot be moved.
    #[serde(rename = "3")]
    Unreadable,
    /// Too little memory would be given back.
    #[serde(rename = "4")]
    NotWorthIt,
    /// The canister is stopped or stopping, though nobody of ours did it.
    #[serde(rename = "5")]
    NotRunning,
    /// The canister has no module, or one that doesn't speak a known version of the kit.
    #[serde(rename = "6")]
    NoKit,
    /// The canister has snapshots, which would die with it.
    #[serde(rename = "7")]
    HasSnapshots,
    /// The pool stayed empty.
    #[serde(rename = "8")]
    PoolEmpty,
    /// The module is not the approved one.
    #[serde(rename = "9")]
    WrongModule,
    /// The target holds something already.
    #[serde(rename = "10")]
    NotEmpty,
    /// Code of the dapp trapped.
    #[serde(rename = "11")]
    Trapped,
    /// The target's root or fingerprint is not what was sealed.
    #[serde(rename = "12")]
    RootMismatch,
    /// Something wrote to the source after the seal.
    #[serde(rename = "13")]
    ChangedAfterSeal,
    /// A route names another canister than it should.
    #[serde(rename = "14")]
    RouteConflict,
    /// No route names the canister.
    #[serde(rename = "15")]
    NoRoute,
    /// The canister does not exist.
    #[serde(rename = "16")]
    Gone,
    /// Somebody who has to pay cannot.
    #[serde(rename = "17")]
    OutOfCycles,
    /// The step, or the fence, took longer than its limit.
    #[serde(rename = "18")]
    Overdue,
    /// The step was tried as often as its limit allows.
    #[serde(rename = "19")]
    TriedTooOften,
    /// An operator asked for it.
    #[serde(rename = "20")]
    Aborted,
    /// The reply never came.
    #[serde(rename = "21")]
    ReplyLost,
    /// `stop_canister` gave up waiting for open calls; the canister is still stopping.
    #[serde(rename = "22")]
    StopTimedOut,
    /// A reject or an error that has no code of its own.
    #[serde(rename = "23")]
    Rejected,
    /// A value exceeds what a job can hold.
    #[serde(rename = "24")]
    TooLarge,
    /// What is seen contradicts what was acknowledged.
    #[serde(rename = "25")]
    Contradiction,
    /// There is no `MemoryManager` whose memory could be repacked.
    #[serde(rename = "26")]
    NothingToRepack,
    /// The image is as small as it can be.
    #[serde(rename = "27")]
    AlreadyCompact,
    /// The plan's bucket size cannot hold the memories when they have grown.
    #[serde(rename = "28")]
    BucketTooSmall,
    /// The module has no `canister_pre_upgrade`: what is on the heap would be lost.
    #[serde(rename = "29")]
    LosesHeap,
    /// The canister has too many snapshots.
    #[serde(rename = "30")]
    NoSlot,
    /// There is no such snapshot.
    #[serde(rename = "31")]
    NoSnapshot,
    /// The source owns tokens or controls canisters, which would be lost with it.
    #[serde(rename = "32")]
    HasAssets,
    /// Pages behind the last bucket belong to no virtual memory, and a compact image has none.
    #[serde(rename = "33")]
    HasTail,
    /// The global timer was armed, and is not any more.
    #[serde(rename = "34")]
    LosesTimer,
    /// Somebody else did something to the canister meanwhile: it is theirs.
    #[serde(rename = "35")]
    OthersActed,
    /// Calls of canisters to it must carry cycles.
    #[serde(rename = "36")]
    WantsCycles,
    /// Everybody may read its snapshots.
    #[serde(rename = "37")]
    PublicSnapshots,
    /// It has as many controllers as it can have.
    #[serde(rename = "38")]
    TooManyControllers,
    /// Its heap may not be as large as a vessel needs it.
    #[serde(rename = "40")]
    SmallHeapLimit,
    /// The coordinator could not send the call: nothing happened.
    #[serde(rename = "41")]
    NotSent,
    /// The platform puts the call off: so much was done lately.
    #[serde(rename = "42")]
    RateLimited,
    /// Another job looks at its build, and its layout.
    #[serde(rename = "43")]
    LookedAtByOther,
    /// An operator took back what was moved.
    #[serde(rename = "46")]
    Reverted,
    /// The target does not hold what was moved any more.
    #[serde(rename = "47")]
    WrittenSince,
    /// An earlier build of the coordinator began the job.
    #[serde(rename = "39")]
    OldBuild,
}

impl ReasonCode {
    /// Whether nothing was tried at all, so that it counts for no limit of tries.
    pub(crate) fn is_no_try(self) -> bool {
        matches!(self, Self::NotSent | Self::RateLimited | Self::LookedAtByOther)
    }

    /// What happened, and what to do about it.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotAuthorised => "not authorised; make the coordinator a controller",
            Self::HeldByOther => "already being relocated by another job; wait for it",
            Self::Unreadable => "stable memory is not an image that can be moved",
            Self::NotWorthIt => "too little memory would be given back; lower the plan's minimum",
            Self::NotRunning => "not running; start it",
            Self::NoKit => "no module, or one without this kit; upgrade it to a build with the kit",
            Self::HasSnapshots => "has snapshots, which die with it; delete them",
            Self::PoolEmpty => "no fresh canister in the pool; give the coordinator cycles",
            Self::WrongModule => "not the approved module; upload what the plan names",
            Self::NotEmpty => "the target is not empty; use a fresh canister",
            Self::Trapped => "code of the dapp trapped; read the canister's log",
            Self::RootMismatch => "the target's root or fingerprint differs from the sealed one",
            Self::ChangedAfterSeal => "something wrote after the seal; disarm its heartbeat",
            Self::RouteConflict => "a route names another canister; settle it in the index",
            Self::NoRoute => "no route names it; enrol it at the index that routes it",
            Self::Gone => "the canister does not exist",
            Self::OutOfCycles => "out of cycles; top up",
            Self::Overdue => "took longer than allowed",
            Self::TriedTooOften => "tried as often as allowed",
            Self::Aborted => "aborted by an operator",
            Self::ReplyLost => "the reply never came",
            Self::StopTimedOut => "still stopping: calls are open; see what it waits for",
            Self::Rejected => "rejected",
            Self::TooLarge => "larger than a job can hold",
            Self::Contradiction => "what is seen contradicts what was acknowledged",
            Self::NothingToRepack => "no MemoryManager where the plan looks for one, so no buckets to repack",
            Self::AlreadyCompact => "already compact: the plan's buckets give nothing back",
            Self::BucketTooSmall => "the plan's buckets can't hold it; choose a larger bucket size",
            Self::LosesHeap => {
                "no pre_upgrade: fine if all state is in stable structures; then set may_lose_heap"
            }
            Self::NoSlot => "no room for the job's snapshots; delete some",
            Self::NoSnapshot => "the snapshot does not exist",
            Self::HasTail => {
                "something lies behind the last bucket; drop it only if its code reads none of it"
            }
            Self::LosesTimer => {
                "its timer was armed, and post_upgrade arms none; let it, or accept it in the plan"
            }
            Self::OthersActed => "somebody else acts on it",
            Self::WantsCycles => {
                "calls to it must carry cycles; set minimum_incoming_canister_call_cycles to 0"
            }
            Self::PublicSnapshots => "everybody reads its snapshots; set snapshot_visibility to controllers",
            Self::SmallHeapLimit => "wasm_memory_limit leaves a vessel no room; raise it, or set it to 0",
            Self::TooManyControllers => "no room for one more controller, itself; remove one",
            Self::Reverted => "taken back by an operator: nothing was written since it moved",
            Self::WrittenSince => {
                "users wrote to the target since it serves, and going back would lose that; it serves on"
            }
            Self::OldBuild => {
                "an earlier build of the coordinator began it; put that back and drain it first"
            }
            Self::NotSent => "the coordinator could not send the call; top it up",
            Self::LookedAtByOther => "another job looks at its build first; it is tried again",
            Self::RateLimited => "put off by the platform's rate limits; it is tried again",
            Self::HasAssets => "owns or controls something that would be lost with it; move it",
        }
    }
}

/// A reason: its kind, and what it happened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    #[serde(rename = "c")]
    code: ReasonCode,
    #[serde(rename = "d", default, skip_serializing_if = "String::is_empty")]
    detail: String,
}

impl Reason {
    /// A reason; `detail` is cut to [`MAX_DETAIL_BYTES`].
    pub fn new(code: ReasonCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }.cut(MAX_DETAIL_BYTES)
    }

    /// The same with so many bytes of detail at most.
    pub(crate) fn cut(mut self, max_bytes: usize) -> Self {
        self.detail.truncate(self.detail.floor_char_boundary(max_bytes));
        self
    }

    /// What kind.
    pub fn code(&self) -> ReasonCode {
        self.code
    }

    /// To what, in which figures.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<ReasonCode> for Reason {
    fn from(code: ReasonCode) -> Self {
        Self { code, detail: String::new() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.text())?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}
