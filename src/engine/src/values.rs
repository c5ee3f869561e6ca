//! What calls answer, reduced to what decisions need.

use candid::Principal;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{JobId, MAX_DETAIL_BYTES, TimeNanos};

/// Bytes of a fingerprint that a job can hold.
pub const MAX_FINGERPRINT_BYTES: usize = 256;
/// Bytes of settings, the controllers not counted, that a job can hold.
pub const MAX_SETTINGS_BYTES: usize = 16_384;

/// Most controllers, and most snapshots, that are read of a list; the platform allows ten of each.
const MAX_LISTED: usize = 100;
/// Bytes of a snapshot's name that are read; the platform's have fewer.
const MAX_SNAPSHOT_ID_BYTES: usize = 64;

/// Cut between characters, as a reason is.
fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(MAX_DETAIL_BYTES));
}

/// 32 bytes: a root, or the hash of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest(#[serde(with = "serde_bytes")] pub [u8; 32]);

/// The settings of a canister. The engine copies and compares them, and looks into none but the controllers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Controllers, sorted; the coordinator is one of them.
    #[serde(rename = "c")]
    pub controllers: Vec<Principal>,
    /// All others, as the driver encodes them: equal settings are equal bytes.
    #[serde(rename = "o")]
    pub others: ByteBuf,
}

/// Whether a canister runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunState {
    /// It takes calls.
    #[serde(rename = "r")]
    Running,
    /// It waits for its open calls.
    #[serde(rename = "s")]
    Stopping,
    /// It is stopped.
    #[serde(rename = "d")]
    Stopped,
}

/// What the management canister tells of a canister.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanisterView {
    /// Whether it runs.
    #[serde(rename = "r")]
    pub run_state: RunState,
    /// Hash of its module, if it has one.
    #[serde(rename = "m")]
    pub module_hash: Option<Digest>,
    /// Its settings.
    #[serde(rename = "s")]
    pub settings: Settings,
    /// Its cycles.
    #[serde(rename = "c")]
    pub balance_cycles: u128,
    /// Bytes of its snapshots; 0 where the replica doesn't tell.
    #[serde(rename = "n")]
    pub snapshots_bytes: u64,
    /// Bytes of all that it holds, as it is charged for.
    #[serde(rename = "b", default)]
    pub memory_bytes: u64,
    /// Pages of 64 KiB of its stable memory; 0 where the replica doesn't tell.
    #[serde(rename = "p", default)]
    pub stable_pages: u64,
    /// Cycles below which it is frozen.
    #[serde(rename = "f", default)]
    pub freezing_cycles: u128,
    /// Seconds of its freezing threshold.
    #[serde(rename = "d", default)]
    pub freezing_seconds: u64,
    /// Whether the plan names its module among those that canisters may run.
    #[serde(rename = "l", default)]
    pub is_planned: bool,
    /// Cycles that a call of a canister to it must carry.
    #[serde(rename = "i", default)]
    pub minimum_call_cycles: u128,
    /// Bytes that its heap may have, where that is limited.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub heap_limit_bytes: Option<u64>,
    /// Whether everybody may read its snapshots.
    #[serde(rename = "u", default)]
    pub has_public_snapshots: bool,
    /// Its version, where the replica tells it. An installation counts as one change, and so does each message that it
    /// executes.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Bytes of its chunk store; 0 where the replica doesn't tell.
    #[serde(rename = "k", default, skip_serializing_if = "is_none")]
    pub chunk_store_bytes: u64,
    /// What somebody else did to its code since the time that the look names: the last such change, for people.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub acted: Option<String>,
    /// The same, where it took stable memory away, or put another in its place.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub emptied: Option<String>,
}

fn is_none(bytes: &u64) -> bool {
    *bytes == 0
}

/// Names a snapshot at its canister.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotId(pub ByteBuf);

/// A snapshot in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Its name.
    #[serde(rename = "i")]
    pub id: SnapshotId,
    /// When it was made.
    #[serde(rename = "t")]
    pub made_nanos: TimeNanos,
    /// Version of its canister when it was made, where the replica tells it; of one that was asked for as unknown.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Whether it was uploaded; of one that was asked for as unknown.
    #[serde(rename = "u", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_uploaded: bool,
}

/// The stable memory in a snapshot, and what it would be in the plan's buckets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageView {
    /// Its size in pages of 64 KiB.
    #[serde(rename = "p")]
    pub stable_pages: u64,
    /// What it holds.
    #[serde(rename = "k")]
    pub kind: ImageKind,
    /// When the canister's global timer is due, if it is armed.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub timer_nanos: Option<TimeNanos>,
    /// Version of the canister when it was taken, where the replica tells it.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Pages that managers inside of virtual memories waste, where that was looked at.
    #[serde(rename = "n", default)]
    pub nested_pages: u64,
}

/// What a stable memory holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageKind {
    /// Nothing.
    #[serde(rename = "e")]
    Empty,
    /// No manager.
    #[serde(rename = "r")]
    Raw,
    /// A manager, at another page than where the plan says.
    #[serde(rename = "p")]
    Elsewhere {
        /// Where.
        #[serde(rename = "p")]
        manager_page: u32,
    },
    /// A manager, whose memories fit the plan's buckets.
    #[serde(rename = "m")]
    Managed {
        /// Pages of a bucket now.
        #[serde(rename = "b")]
        bucket_pages: u16,
        /// Pages that virtual memories use.
        #[serde(rename = "u")]
        used_pages: u64,
        /// Pages of the compact image, header page included.
        #[serde(rename = "c")]
        compact_pages: u64,
    },
    /// A manager, and pages behind its last bucket that belong to none of its memories.
    #[serde(rename = "t")]
    Tailed {
        /// How many.
        #[serde(rename = "p")]
        tail_pages: u64,
        /// What was seen there.
        #[serde(rename = "s", default, skip_serializing_if = "String::is_empty")]
        signs: String,
    },
    /// A manager, whose memories, grown as the plan expects, do not fit the plan's buckets.
    #[serde(rename = "f")]
    DoesNotFit {
        /// Which bucket size would do.
        #[serde(rename = "r")]
        reason: String,
    },
    /// Something that cannot be repacked.
    #[serde(rename = "x")]
    Unreadable {
        /// Why.
        #[serde(rename = "r")]
        reason: String,
    },
}

/// Who holds a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The job.
    #[serde(rename = "j")]
    pub job: JobId,
    /// Whether it is a job of the coordinator that asks; job numbers of two coordinators mean nothing.
    #[serde(rename = "o")]
    pub is_own: bool,
}

impl Holder {
    /// Whether it is that job of this coordinator.
    pub fn is_job(self, job: JobId) -> bool {
        self.is_own && self.job == job
    }
}

/// Where a fence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FenceView {
    /// All calls pass.
    #[serde(rename = "o")]
    Open,
    /// Queries only.
    #[serde(rename = "f")]
    Frozen(Holder),
    /// Queries only, and the state doesn't change.
    #[serde(rename = "s")]
    Sealed(Holder),
    /// A target on the way.
    #[serde(rename = "i")]
    Importing(Holder),
    /// Answers where the state is now.
    #[serde(rename = "m")]
    Moved {
        /// Whose doing.
        #[serde(rename = "h")]
        holder: Holder,
        /// Where to.
        #[serde(rename = "t")]
        to: Principal,
    },
}

impl FenceView {
    /// Who holds it; nobody holds an open one.
    pub fn holder(self) -> Option<Holder> {
        match self {
            Self::Open => None,
            Self::Frozen(holder) | Self::Sealed(holder) | Self::Importing(holder) => Some(holder),
            Self::Moved { holder, .. } => Some(holder),
        }
    }
}

/// How stable memory is laid out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LayoutView {
    /// There is none.
    #[serde(rename = "e")]
    Empty,
    /// State from offset 0 on, no manager.
    #[serde(rename = "r")]
    Raw,
    /// A manager.
    #[serde(rename = "m")]
    Managed {
        /// Virtual memories in use.
        #[serde(rename = "m")]
        memories: u16,
        /// Pages of 64 KiB that they use.
        #[serde(rename = "u")]
        used_pages: u64,
    },
    /// Something that cannot be moved.
    #[serde(rename = "x")]
    Unreadable {
        /// Why.
        #[serde(rename = "r")]
        reason: String,
    },
}

/// What a canister with the kit tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KitView {
    /// Version of the kit's interface.
    #[serde(rename = "v")]
    pub kit_version: u32,
    /// Its fence.
    #[serde(rename = "f")]
    pub fence: FenceView,
    /// Its layout.
    #[serde(rename = "l")]
    pub layout: LayoutView,
    /// Its stable memory in pages of 64 KiB.
    #[serde(rename = "p")]
    pub stable_pages: u64,
    /// Whether it has the root of a state: one that was sealed there, or brought there.
    #[serde(rename = "r", default)]
    pub has_root: bool,
}

/// What is sealed, or what was written, or what is there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The digest over everything.
    #[serde(rename = "r")]
    pub root: Digest,
    /// Pages of 64 KiB in use.
    #[serde(rename = "u")]
    pub used_pages: u64,
    /// The dapp's own counts and sums.
    #[serde(rename = "f")]
    pub fingerprint: ByteBuf,
}

/// What a call answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// It is done; there is nothing to tell.
    #[serde(rename = "1")]
    Acknowledged,
    /// Answers `CanisterStatus` and `Look`.
    #[serde(rename = "2")]
    Canister(CanisterView),
    /// Answers `CanisterStatus`, `Look` and `KitStatus` of a canister that does not exist.
    #[serde(rename = "3")]
    Gone,
    /// Answers `KitStatus`.
    #[serde(rename = "4")]
    Kit(KitView),
    /// Answers `Seal`, `Verify` and `Recheck` as long as there is more to hash.
    #[serde(rename = "5")]
    Working {
        /// Bytes hashed.
        #[serde(rename = "d")]
        done_bytes: u64,
    },
    /// Answers `Seal`, `Verify` and `Recheck` in the end.
    #[serde(rename = "6")]
    Hashed(Seal),
    /// Answers `Pull` and `Precopy`.
    #[serde(rename = "7")]
    Pulled {
        /// Whether everything arrived; of a pre-copy, whether every chunk was read once.
        #[serde(rename = "c")]
        is_complete: bool,
        /// Bytes of state written so far.
        #[serde(rename = "d")]
        done_bytes: u64,
        /// Bytes over the wire so far.
        #[serde(rename = "w")]
        wire_bytes: u64,
        /// What `Verify` would answer, where the target has verified it already.
        #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
        verified: Option<Seal>,
    },
    /// Answers `Drain`.
    #[serde(rename = "8")]
    Drained {
        /// Cycles that this job has drained in all, earlier calls included.
        #[serde(rename = "t")]
        total_cycles: u128,
    },
    /// Answers `ListSnapshots`.
    #[serde(rename = "9")]
    Snapshots(Vec<SnapshotId>),
    /// Answers `TakeSnapshot` and `UploadMetadata`.
    #[serde(rename = "10")]
    Snapshot(SnapshotId),
    /// Answers `ReadImage` and `Measure`.
    #[serde(rename = "11")]
    Image(ImageView),
    // 12, 13 and 14 answered what earlier builds asked.
    /// Answers `CheckAssets`: what the canister owns or controls, if it does.
    #[serde(rename = "15")]
    Assets(Option<String>),
    /// Answers `Recall` and `KeepModule`: what is known of the module that the source runs; nothing if it must be read.
    #[serde(rename = "16")]
    Known(Option<Known>),
    /// Answers `Pour`.
    #[serde(rename = "17")]
    Poured {
        /// The page of the compact image from which on nothing is written yet.
        #[serde(rename = "n")]
        next_page: u64,
        /// Whether all of it is written, its header page last.
        #[serde(rename = "c")]
        is_complete: bool,
        /// Bytes written so far.
        #[serde(rename = "w")]
        wire_bytes: u64,
    },
    /// Answers `FindSnapshots`.
    #[serde(rename = "18")]
    Found(Vec<Found>),
}

/// What is known of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Whether an upgrade calls its `canister_pre_upgrade`.
    #[serde(rename = "p")]
    pub has_pre_upgrade: bool,
    /// Whether the plan accepts that there is none.
    #[serde(rename = "l")]
    pub may_lose_heap: bool,
    /// Cycles that its installation prepays.
    #[serde(rename = "c")]
    pub prepaid_cycles: u128,
    /// SHA-256 of the vessel that the coordinator carries.
    #[serde(rename = "v")]
    pub vessel_hash: Digest,
}

impl Value {
    /// See [`Outcome::bounded`](crate::Outcome::bounded).
    pub(crate) fn bounded(mut self) -> Self {
        match &mut self {
            Self::Canister(view) => {
                view.settings.others.truncate(MAX_SETTINGS_BYTES + 1);
                view.settings.controllers.truncate(MAX_LISTED);
                view.acted.iter_mut().chain(&mut view.emptied).for_each(cut);
            }
            Self::Kit(KitView { layout: LayoutView::Unreadable { reason }, .. }) => cut(reason),
            Self::Hashed(seal) | Self::Pulled { verified: Some(seal), .. } => {
                seal.fingerprint.truncate(MAX_FINGERPRINT_BYTES + 1)
            }
            Self::Image(ImageView {
                kind: ImageKind::DoesNotFit { reason } | ImageKind::Unreadable { reason },
                ..
            })
            | Self::Assets(Some(reason)) => cut(reason),
            Self::Snapshots(all) => {
                all.truncate(MAX_LISTED);
                all.iter_mut().for_each(|id| id.0.truncate(MAX_SNAPSHOT_ID_BYTES));
            }
            Self::Found(all) => {
                all.truncate(MAX_LISTED);
                all.iter_mut().for_each(|it| it.id.0.truncate(MAX_SNAPSHOT_ID_BYTES));
            }
            Self::Snapshot(id) => id.0.truncate(MAX_SNAPSHOT_ID_BYTES),
            Self::Acknowledged
            | Self::Gone
            | Self::Kit(_)
            | Self::Working { .. }
            | Self::Pulled { verified: None, .. }
            | Self::Drained { .. }
            | Self::Image(_)
            | Self::Assets(None)
            | Self::Known(_)
            | Self::Poured { .. } => {}
        }
        self
    }

    /// For messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Canister(_) => "canister status",
            Self::Gone => "gone",
            Self::Kit(_) => "kit status",
            Self::Working { .. } => "working",
            Self::Hashed(_) => "hashed",
            Self::Pulled { .. } => "pulled",
            Self::Drained { .. } => "drained",
            Self::Snapshots(_) => "snapshots",
            Self::Snapshot(_) => "snapshot",
            Self::Image(_) => "image",
            Self::Assets(_) => "assets",
            Self::Known(_) => "known",
            Self::Poured { .. } => "poured",
            Self::Found(_) => "found",
        }
    }
}
