//! Where a job that works by vessels can be, and what it knows of its source.

use serde::{Deserialize, Serialize};

use crate::{Digest, Found, Job, Settings, SnapshotId, Stage, TimeNanos};

/// The states of the strategies Repack and RelocateVessel. States are stored: their tags are never reused.
///
/// | tag | state | next |
/// |---|---|---|
/// | 101 | Listing | `list_canister_snapshots` |
/// | 102 | Recalling | nothing: the coordinator remembers |
/// | 103 | Surveying | `take_canister_snapshot` |
/// | 104 | Surveyed | read its header page |
/// | 105 | Learning | read its module |
/// | 106 | Hiring | the vessel onto the target |
/// | 107 | Ready | a look, then `stop_canister` |
/// | 108 | Still | a look, then `take_canister_snapshot` in place of the survey: the way back |
/// | 109 | Saved | read what it says |
/// | 110 | Undressing | a look, then upgrade to the vessel: its `pre_upgrade` runs, once |
/// | 111 | Undressed | a look, then `start_canister` |
/// | 112 | Sealing | `decant_seal`; with a target, Sealed and so on follow |
/// | 113 | Measuring | its manifest: how large is the compact image? |
/// | 114 | Owning | a look, then `update_settings`: the source controls itself |
/// | 115 | Planned | `upload_canister_snapshot_metadata` |
/// | 116 | Furnishing | the chunk store and an empty module into it |
/// | 117 | Pouring | `decant_pour`, until complete |
/// | 118 | Disowning | a look, then `update_settings`: as it was |
/// | 119 | Halting | a look, then `stop_canister` |
/// | 120 | Halted | a look, then `load_canister_snapshot` |
/// | 121 | Loaded | a look, then the vessel over it |
/// | 122 | Revived | a look, then `start_canister` |
/// | 123 | Proving | `decant_seal`: is it what was sealed? |
/// | 124 | Resting | a look, then `stop_canister` of it |
/// | 125 | Dressing | a look, then upgrade to its own module: its `post_upgrade` runs, once |
/// | 126 | Dressed | a look; with a target, Switching and so on follow |
/// | 127 | Timing | `take_canister_snapshot` in place of the uploaded one |
/// | 128 | Timed | read what it says |
/// | 129 | Starting | a look, then `start_canister` |
/// | 130 | Serving | a look |
/// | 131 | DroppingUploaded | `delete_canister_snapshot` |
/// | 132 | Retaining | wait |
/// | 133 | DroppingSaved | `delete_canister_snapshot`; with a target, Lowering follows |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VesselState {
    /// The coordinator controls the source, which runs a module of the plan. Has it room for two snapshots?
    #[serde(rename = "101")]
    Listing {
        /// Settings of the source.
        #[serde(rename = "s")]
        settings: Settings,
    },
    /// It has. Is the layout of this build and size known, and its module?
    #[serde(rename = "102")]
    Recalling {
        /// Settings of the source.
        #[serde(rename = "s")]
        settings: Settings,
    },
    /// It is not: a look at the running canister.
    #[serde(rename = "103")]
    Surveying {
        /// Settings of the source.
        #[serde(rename = "s")]
        settings: Settings,
    },
    /// There is a snapshot to look at.
    #[serde(rename = "104")]
    Surveyed {
        /// Settings of the source.
        #[serde(rename = "s")]
        settings: Settings,
    },
    /// It is worth it.
    #[serde(rename = "105")]
    Learning {
        /// Settings of the source.
        #[serde(rename = "s")]
        settings: Settings,
    },
    /// The target has the settings of the source.
    #[serde(rename = "106")]
    Hiring,
    /// Whatever can be refused is refused by now, and was never stopped.
    #[serde(rename = "107")]
    Ready,
    /// The source takes no calls, and none is open.
    #[serde(rename = "108")]
    Still,
    /// Whatever happens now, there is a way back.
    #[serde(rename = "109")]
    Saved,
    /// It can be moved.
    #[serde(rename = "110")]
    Undressing,
    /// No code of the dapp runs any more, whoever starts the canister.
    #[serde(rename = "111")]
    Undressed,
    /// The vessel runs.
    #[serde(rename = "112")]
    Sealing,
    /// The source is sealed.
    #[serde(rename = "113")]
    Measuring {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// It is worth it.
    #[serde(rename = "114")]
    Owning {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The vessel may write to a snapshot of its own canister.
    #[serde(rename = "115")]
    Planned {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// There is an empty snapshot of the right size.
    #[serde(rename = "116")]
    Furnishing {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// It lacks nothing but pages.
    #[serde(rename = "117")]
    Pouring {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The compact image is in it.
    #[serde(rename = "118")]
    Disowning {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The source controls itself no more.
    #[serde(rename = "119")]
    Halting {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The vessel is stopped.
    #[serde(rename = "120")]
    Halted {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The image is in place, below no code at all.
    #[serde(rename = "121")]
    Loaded {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The vessel is there again.
    #[serde(rename = "122")]
    Revived {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// It runs.
    #[serde(rename = "123")]
    Proving {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The image is what was sealed: that of the source, or of the target.
    #[serde(rename = "124")]
    Resting {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// It is stopped.
    #[serde(rename = "125")]
    Dressing {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// It runs its own module, and has not been started yet.
    #[serde(rename = "126")]
    Dressed {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// It had a timer armed.
    #[serde(rename = "127")]
    Timing {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// There is a snapshot that says whether it has.
    #[serde(rename = "128")]
    Timed {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The commit point of a repack: only forward.
    #[serde(rename = "129")]
    Starting {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// It takes calls again.
    #[serde(rename = "130")]
    Serving {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// It serves.
    #[serde(rename = "131")]
    DroppingUploaded {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// What was saved is kept for a while.
    #[serde(rename = "132")]
    Retaining {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
        /// Until when.
        #[serde(rename = "u")]
        until_nanos: TimeNanos,
    },
    /// It is not needed any more.
    #[serde(rename = "133")]
    DroppingSaved {
        /// The root that was sealed.
        #[serde(rename = "r")]
        root: Digest,
    },
}

impl VesselState {
    /// The stored tag, and the name for people.
    const fn facts(&self) -> (u8, &'static str) {
        match self {
            Self::Listing { .. } => (101, "listing"),
            Self::Recalling { .. } => (102, "recalling"),
            Self::Surveying { .. } => (103, "surveying"),
            Self::Surveyed { .. } => (104, "surveyed"),
            Self::Learning { .. } => (105, "learning"),
            Self::Hiring => (106, "hiring"),
            Self::Ready => (107, "ready"),
            Self::Still => (108, "still"),
            Self::Saved => (109, "saved"),
            Self::Undressing => (110, "undressing"),
            Self::Undressed => (111, "undressed"),
            Self::Sealing => (112, "sealing"),
            Self::Measuring { .. } => (113, "measuring"),
            Self::Owning { .. } => (114, "owning"),
            Self::Planned { .. } => (115, "planned"),
            Self::Furnishing { .. } => (116, "furnishing"),
            Self::Pouring { .. } => (117, "pouring"),
            Self::Disowning { .. } => (118, "disowning"),
            Self::Halting { .. } => (119, "halting"),
            Self::Halted { .. } => (120, "halted"),
            Self::Loaded { .. } => (121, "loaded"),
            Self::Revived { .. } => (122, "revived"),
            Self::Proving { .. } => (123, "proving"),
            Self::Resting { .. } => (124, "resting"),
            Self::Dressing { .. } => (125, "dressing"),
            Self::Dressed { .. } => (126, "dressed"),
            Self::Timing { .. } => (127, "timing"),
            Self::Timed { .. } => (128, "timed"),
            Self::Starting { .. } => (129, "starting"),
            Self::Serving { .. } => (130, "serving"),
            Self::DroppingUploaded { .. } => (131, "dropping uploaded"),
            Self::Retaining { .. } => (132, "retaining saved"),
            Self::DroppingSaved { .. } => (133, "dropping saved"),
        }
    }

    /// The stored tag.
    pub fn tag(&self) -> u8 {
        self.facts().0
    }

    /// For people.
    pub fn name(&self) -> &'static str {
        self.facts().1
    }

    /// Which way it can go.
    pub fn stage(&self) -> Stage {
        if self.tag() < Self::COMMIT { Stage::BeforeCommit } else { Stage::AfterCommit }
    }

    /// Whether users are kept waiting.
    pub(crate) fn is_fenced(&self) -> bool {
        self.tag() >= Self::Still.tag()
    }

    /// The first state that only goes forward: Starting.
    const COMMIT: u8 = 129;
}

/// What a job by vessels knows of its source, and what it must not leave behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// SHA-256 of the module that the source runs, and will run again.
    #[serde(rename = "m")]
    pub module_hash: Digest,
    /// SHA-256 of the vessel that this job uses.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub vessel_hash: Option<Digest>,
    /// Cycles that the dearest installation prepays.
    #[serde(rename = "p", default)]
    pub prepaid_cycles: u128,
    /// Snapshots of the source that are somebody else's.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<SnapshotId>,
    /// The taken snapshot of the source: the survey, then the way back.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<SnapshotId>,
    /// Version of the source when the way back was taken.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub saved_version: Option<u64>,
    /// When the timer was due that the upgrade disarms.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub timer_nanos: Option<TimeNanos>,
    /// The snapshot of the source with the compact image.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub uploaded: Option<SnapshotId>,
    /// Pages that the compact image has.
    #[serde(rename = "c", default)]
    pub compact_pages: u64,
    /// Whether the dapp's code is gone: its `pre_upgrade` ran.
    #[serde(rename = "g", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_undressed: bool,
    /// The root that was sealed, once it is known.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Digest>,
    /// Controllers of the source, as they were last seen without the source itself.
    #[serde(rename = "o", default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<candid::Principal>,
    /// Whether the source was its own controller when the job began.
    #[serde(rename = "b", default, skip_serializing_if = "std::ops::Not::not")]
    pub owns_itself: bool,
    /// The snapshot that is being deleted on the way back.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub dropping: Option<SnapshotId>,
    /// Whether the job went back while nobody knew if a snapshot had been made.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unsure: bool,
    /// That snapshot. None in jobs of earlier builds: any that is new.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub sought: Option<Sought>,
}

/// What tells a snapshot that this job made, or not, from one that somebody else made meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sought {
    /// When it was asked for: an earlier one is not it.
    #[serde(rename = "s")]
    pub since_nanos: TimeNanos,
    /// Version that the canister had then, if it was stopped: what has another one is another state.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Whether it is uploaded, not taken.
    #[serde(rename = "u", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_uploaded: bool,
}

impl Sought {
    /// What the call of a state makes that was sent last.
    pub(super) fn taken(job: &Job, version: Option<u64>) -> Self {
        Self { since_nanos: job.attempt.sent_nanos, version, is_uploaded: false }
    }

    /// The same.
    pub(super) fn uploaded(job: &Job) -> Self {
        Self { is_uploaded: true, ..Self::taken(job, None) }
    }

    fn is(&self, found: &Found) -> bool {
        let is_of_version = match (self.version, found.version) {
            (Some(wanted), Some(version)) => wanted == version,
            // The replica does not tell, or the canister ran on.
            _ => true,
        };
        found.made_nanos >= self.since_nanos && found.is_uploaded == self.is_uploaded && is_of_version
    }
}

impl Held {
    /// The snapshots that are somebody else's, and those of this job that it knows.
    pub(crate) fn known(&self) -> Vec<SnapshotId> {
        self.foreign.iter().chain(&self.saved).chain(&self.uploaded).cloned().collect()
    }

    /// Of a list, those that this job may have made.
    pub(crate) fn made(&self, all: &[Found], sought: Option<&Sought>) -> Vec<SnapshotId> {
        let known = self.known();
        let is_new = |it: &&Found| !known.contains(&it.id) && sought.is_none_or(|sought| sought.is(it));
        all.iter().filter(is_new).map(|it| it.id.clone()).collect()
    }

    /// Nothing but the module is known.
    pub(crate) fn new(module_hash: Digest) -> Self {
        Self {
            module_hash,
            vessel_hash: None,
            prepaid_cycles: 0,
            foreign: Vec::new(),
            saved: None,
            saved_version: None,
            timer_nanos: None,
            uploaded: None,
            compact_pages: 0,
            is_undressed: false,
            root: None,
            owners: Vec::new(),
            owns_itself: false,
            dropping: None,
            is_unsure: false,
            sought: None,
        }
    }
}
