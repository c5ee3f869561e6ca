//! Where a job that works by snapshots can be, and what it left in canisters on the way.

use serde::{Deserialize, Serialize};

use crate::{Digest, Settings, SnapshotId, Stage, TimeNanos, Walk};

/// The states of the strategies Repack and RelocateSnapshot. *Image* is the canister that gets the compact
/// image: the source itself, or the target. States are stored: their tags are never reused.
///
/// | tag | state | next |
/// |---|---|---|
/// | 60 | Inspected | `list_canister_snapshots` of the source |
/// | 61 | Listed | `take_canister_snapshot` of the running source: the survey |
/// | 62 | Surveyed | read its header page |
/// | 63 | Learning | read its module, if it is not known yet |
/// | 64 | Ready | `stop_canister` of the source |
/// | 83 | Still | if its module can arm a timer: `take_canister_snapshot` in place of the survey |
/// | 84 | Timing | read from it when the timer is due |
/// | 65 | Stopped | upgrade with the module that it runs: its `pre_upgrade` saves the heap |
/// | 66 | Flushed | `take_canister_snapshot` in place of the survey: the way back |
/// | 67 | Saved | read its header page |
/// | 68 | Halting | `stop_canister` of the target, if there is one |
/// | 69 | Planned | `upload_canister_snapshot_metadata` to the image |
/// | 70 | Uploading | read and upload pages, then the header page |
/// | 71 | Comparing | read the upload back, virtual memory by virtual memory |
/// | 82 | Guarding | `canister_status` of the source: nobody started it; with a target after Switching |
/// | 72 | Compared | `load_canister_snapshot` of the image |
/// | 73 | Loaded | upgrade of the image with the source's module, without `pre_upgrade` |
/// | 85 | Rebuilt | if a timer was disarmed: `take_canister_snapshot` of the image in place of the upload |
/// | 86 | Rearming | `upload_canister_snapshot_metadata`: the same, with the timer armed |
/// | 87 | Copying | read, upload and read back module, heap and stable memory |
/// | 74 | Reinstalled | `canister_status` of the image |
/// | 88 | Copied | if a timer was disarmed: `load_canister_snapshot` of the copy |
/// | | | with a target, Switching and so on follow |
/// | | **commit point** | |
/// | 75 | Checked | `start_canister` of the source |
/// | 76 | Serving | `canister_status` of the image |
/// | 89 | DroppingCopy | if there is one: `delete_canister_snapshot` of the image |
/// | 77 | DroppingUploaded | `delete_canister_snapshot` of the image |
/// | 78 | Retaining | wait |
/// | 79 | DroppingSaved | `delete_canister_snapshot` of the source |
/// | 80 | Emptying | the tombstone over the source, with a target |
/// | 81 | Reopening | `start_canister` of the tombstone; Draining and so on follow |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RepackState {
    /// The coordinator controls the source, which runs.
    #[serde(rename = "60")]
    Inspected {
        /// Settings of the source.
        #[serde(rename = "s")]
        settings: Settings,
    },
    /// The source has room for two more snapshots.
    #[serde(rename = "61")]
    Listed {
        /// Settings of the source.
        #[serde(rename = "s")]
        settings: Settings,
    },
    /// There is a snapshot to look at.
    #[serde(rename = "62")]
    Surveyed {
        /// Settings of the source.
        #[serde(rename = "s")]
        settings: Settings,
    },
    /// It is worth it.
    #[serde(rename = "63")]
    Learning {
        /// Settings of the source.
        #[serde(rename = "s")]
        settings: Settings,
    },
    /// Its module is known; the target, if there is one, has its settings.
    #[serde(rename = "64")]
    Ready,
    /// The source takes no calls, and none is open; what its timer says now, it says until the flush.
    #[serde(rename = "83")]
    Still,
    /// There is a snapshot that says it.
    #[serde(rename = "84")]
    Timing,
    /// The source takes no calls, and none is open.
    #[serde(rename = "65")]
    Stopped,
    /// All state is in stable memory.
    #[serde(rename = "66")]
    Flushed,
    /// Whatever happens now, there is a way back.
    #[serde(rename = "67")]
    Saved,
    /// The target must not act before it is committed.
    #[serde(rename = "68")]
    Halting,
    /// The compact image can be made.
    #[serde(rename = "69")]
    Planned,
    /// There is an empty snapshot of the right size.
    #[serde(rename = "70")]
    Uploading {
        /// How far the saved image was read.
        #[serde(rename = "n")]
        walk: Walk,
    },
    /// The compact image is uploaded.
    #[serde(rename = "71")]
    Comparing {
        /// The digest of what was saved.
        #[serde(rename = "s")]
        saved: Digest,
        /// How far what was uploaded was read back.
        #[serde(rename = "p")]
        walk: Walk,
    },
    /// From the next call on, what users write to the source would be lost: does it still stand as saved?
    #[serde(rename = "82")]
    Guarding {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// Both hold the same.
    #[serde(rename = "72")]
    Compared {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The image is in place, below no code at all.
    #[serde(rename = "73")]
    Loaded {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The module runs on it, its timer disarmed by the upgrade.
    #[serde(rename = "85")]
    Rebuilt {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// There is a snapshot of that.
    #[serde(rename = "86")]
    Rearming {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// There is an empty snapshot with the timer armed.
    #[serde(rename = "87")]
    Copying {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
        /// How far it was filled.
        #[serde(rename = "p")]
        walk: Walk,
    },
    /// The module runs on it.
    #[serde(rename = "74")]
    Reinstalled {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// It is as it was, but compact, and its timer is in the copy.
    #[serde(rename = "88")]
    Copied {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// It is as it was, but compact: the commit point of a repack.
    #[serde(rename = "75")]
    Checked {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// It takes calls again.
    #[serde(rename = "76")]
    Serving {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The copy is not needed any more.
    #[serde(rename = "89")]
    DroppingCopy {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// Nor is the uploaded snapshot, or what took its place.
    #[serde(rename = "77")]
    DroppingUploaded {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// What was saved is kept for a while.
    #[serde(rename = "78")]
    Retaining {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
        /// Until when.
        #[serde(rename = "u")]
        until_nanos: TimeNanos,
    },
    /// Nor is what was saved.
    #[serde(rename = "79")]
    DroppingSaved {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The target serves, and the original has only its cycles.
    #[serde(rename = "80")]
    Emptying {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The original is a tombstone.
    #[serde(rename = "81")]
    Reopening {
        /// The digest of both.
        #[serde(rename = "r")]
        root: Digest,
    },
}

impl RepackState {
    /// The stored tag.
    pub fn tag(&self) -> u8 {
        match self {
            Self::Inspected { .. } => 60,
            Self::Listed { .. } => 61,
            Self::Surveyed { .. } => 62,
            Self::Learning { .. } => 63,
            Self::Ready => 64,
            Self::Still => 83,
            Self::Timing => 84,
            Self::Stopped => 65,
            Self::Flushed => 66,
            Self::Saved => 67,
            Self::Halting => 68,
            Self::Planned => 69,
            Self::Uploading { .. } => 70,
            Self::Comparing { .. } => 71,
            Self::Guarding { .. } => 82,
            Self::Compared { .. } => 72,
            Self::Loaded { .. } => 73,
            Self::Rebuilt { .. } => 85,
            Self::Rearming { .. } => 86,
            Self::Copying { .. } => 87,
            Self::Reinstalled { .. } => 74,
            Self::Copied { .. } => 88,
            Self::Checked { .. } => 75,
            Self::Serving { .. } => 76,
            Self::DroppingCopy { .. } => 89,
            Self::DroppingUploaded { .. } => 77,
            Self::Retaining { .. } => 78,
            Self::DroppingSaved { .. } => 79,
            Self::Emptying { .. } => 80,
            Self::Reopening { .. } => 81,
        }
    }

    /// For people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Inspected { .. } => "inspected, by snapshot",
            Self::Listed { .. } => "listed",
            Self::Surveyed { .. } => "surveyed",
            Self::Learning { .. } => "learning",
            Self::Ready => "ready",
            Self::Still => "still",
            Self::Timing => "timing",
            Self::Stopped => "stopped, by snapshot",
            Self::Flushed => "flushed",
            Self::Saved => "saved",
            Self::Halting => "halting",
            Self::Planned => "planned",
            Self::Uploading { .. } => "uploading",
            Self::Comparing { .. } => "comparing",
            Self::Guarding { .. } => "guarding",
            Self::Compared { .. } => "compared",
            Self::Loaded { .. } => "loaded",
            Self::Rebuilt { .. } => "rebuilt",
            Self::Rearming { .. } => "rearming",
            Self::Copying { .. } => "copying",
            Self::Reinstalled { .. } => "reinstalled",
            Self::Copied { .. } => "copied",
            Self::Checked { .. } => "checked",
            Self::Serving { .. } => "serving",
            Self::DroppingCopy { .. } => "dropping copy",
            Self::DroppingUploaded { .. } => "dropping uploaded",
            Self::Retaining { .. } => "retaining saved",
            Self::DroppingSaved { .. } => "dropping saved",
            Self::Emptying { .. } => "emptying",
            Self::Reopening { .. } => "reopening",
        }
    }

    /// How far it is: tags in the order of the way, not of their invention; ten from one of the first states to
    /// the next, and between them what was invented later.
    pub(crate) fn position(&self) -> u16 {
        match self {
            Self::Still => 641,
            Self::Timing => 642,
            Self::Guarding { .. } => 719,
            Self::Rebuilt { .. } => 731,
            Self::Rearming { .. } => 732,
            Self::Copying { .. } => 733,
            Self::Copied { .. } => 741,
            Self::DroppingCopy { .. } => 761,
            other => u16::from(other.tag()) * 10,
        }
    }

    /// Which way it can go.
    pub fn stage(&self) -> Stage {
        if self.position() < Self::COMMIT { Stage::BeforeCommit } else { Stage::AfterCommit }
    }

    /// Whether users are kept waiting: from the stop on.
    pub(crate) fn is_fenced(&self) -> bool {
        self.position() >= Self::Still.position()
    }

    /// Whether the source was upgraded, which disarms its timer.
    pub(crate) fn is_flushed(&self) -> bool {
        self.position() >= Self::Flushed.position()
    }

    /// Whether the call of the state makes a snapshot.
    pub(crate) fn makes_snapshot(&self) -> bool {
        matches!(
            self,
            Self::Listed { .. }
                | Self::Still
                | Self::Flushed
                | Self::Planned
                | Self::Rebuilt { .. }
                | Self::Rearming { .. }
        )
    }

    /// The first state that only goes forward.
    const COMMIT: u16 = 750;
}

/// How far a timer is that is armed again on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restoring {
    /// The copy is being filled, so far.
    #[serde(rename = "1")]
    Copying(Walk),
    /// It is whole; is the source still stopped, so that loading it drops nothing?
    #[serde(rename = "2")]
    Copied,
    /// It is.
    #[serde(rename = "3")]
    Guarded,
}

/// What a job by snapshots knows of its source, and what it must not leave behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// SHA-256 of the module that the source runs, and will run again.
    #[serde(rename = "m")]
    pub module_hash: Digest,
    /// Snapshots of the source that are somebody else's.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<SnapshotId>,
    /// The snapshot of the source: the survey, then what its timer says, then the way back.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<SnapshotId>,
    /// The snapshot of the image with the compact memory; where a timer is to be armed again, then that of the
    /// image with its code.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub uploaded: Option<SnapshotId>,
    /// A copy of one of them, with the timer armed.
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<SnapshotId>,
    /// How far the timer is on the way back, if the copy is made there.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub restoring: Option<Restoring>,
    /// Whether its module can arm the global timer, and the plan wants it kept.
    #[serde(rename = "k", default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_timer: bool,
    /// When the timer is due that the flush disarms and `post_upgrade` does not arm.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub timer_nanos: Option<TimeNanos>,
    /// Pages that the compact image has.
    #[serde(rename = "c")]
    pub compact_pages: u64,
    /// The snapshot that is being deleted on the way back.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub dropping: Option<SnapshotId>,
    /// Whether the job went back while nobody knew if a snapshot had been made.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unsure: bool,
}
