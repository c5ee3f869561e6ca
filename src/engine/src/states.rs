//! Where a job can be. States are stored: their tags are never reused.

use crate::job::is_default;
use serde::{Deserialize, Serialize};

use crate::{Digest, Reason, Reverting, Seal, Settings, TimeNanos, VesselState};

/// A state says what is done; the call that comes next follows from it, and from what it carries.
///
/// | tag | state | next |
/// |---|---|---|
/// | 1 | Queued | `canister_status` of the source |
/// | 2 | Inspected | `decant_status` of the source |
/// | 3 | Admitted | take a canister from the pool |
/// | 4 | Reserved | a look at the target, then `update_settings` |
/// | 5 | Configured | `install_chunked_code` of the target |
/// | 6 | Installed | `decant_import_begin` |
/// | 15 | Offering | after Installed, if the plan wants pre-copy: `decant_offer` |
/// | 16 | Precopying | `decant_import_precopy`, until every chunk was read once; then Provisioned |
/// | 7 | Provisioned | `decant_freeze` |
/// | 8 | Frozen | `stop_canister` of the source |
/// | 9 | Stopped | a look at the source, then `start_canister` |
/// | 10 | Restarted | `decant_seal`, until hashed |
/// | 11 | Sealed | `decant_import_pull`, until complete; then Pulled, or TargetVerified if that was hashed too |
/// | 12 | Pulled | `decant_import_verify`, until hashed |
/// | 13 | TargetVerified | `decant_recheck`, until hashed |
/// | 14 | Switching | `decant_swap` of one index after the other |
/// | | **commit point** | |
/// | 20 | Committed | `decant_retire` |
/// | 21 | Retired | `decant_activate` |
/// | 22 | Retaining | wait |
/// | 23 | Confirming | `decant_status` of the target, if the source was retained |
/// | 24 | Rechecking | `decant_recheck`, if the plan wants it |
/// | 31 | Lowering | a look at the source, then `update_settings`: its freezing threshold reserves nothing |
/// | 25 | Draining | `decant_drain` |
/// | 33 | Telling | `decant_retire`, where the source could not answer before |
/// | 32 | Raising | `update_settings`: its freezing threshold as it was, where it was not drained |
/// | 26 | Entombing | `install_chunked_code` of the tombstone |
/// | 27 | Stopping | `stop_canister` of the source |
/// | 28 | Checking | `canister_status` of the source: of earlier builds |
/// | 29 | Deleting | a look at the source, then `delete_canister` |
/// | 53 | Emptying | instead of Deleting, if the plan recycles: a look at the source, then `uninstall_code` |
/// | 54 | Clearing | a look at the source, then `update_settings`: those of a fresh canister |
/// | 55 | Waking | a look at the source, then `start_canister` |
/// | 56 | Handing | give the source to the pool |
/// | 30 | Assessing | after Confirming: what the source owns at ledgers and controls, if the plan names some |
/// | | **back behind the commit point**, if nothing was written: [`Reverting`] | |
/// | 41 to 49 | Reverting | as that says; then RollingBack, or Retaining again |
/// | | **the other way** | |
/// | 40 | RollingBack | what is on top of its stack of undos |
/// | | **ends** | |
/// | 50 | Done | |
/// | 51 | RolledBack | |
/// | 52 | Parked | an operator, then the state that it carries |
///
/// Tags from 100 on are [`VesselState`]'s. Tags 60 to 89 were those of the strategies by snapshot of earlier builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Nothing is known yet.
    #[serde(rename = "1")]
    Queued,
    /// The coordinator controls the source, which runs.
    #[serde(rename = "2")]
    Inspected {
        /// Settings of the source.
        #[serde(rename = "s")]
        settings: Settings,
    },
    /// The source can be moved, and it is worth it.
    #[serde(rename = "3")]
    Admitted {
        /// Settings of the source.
        #[serde(rename = "s")]
        settings: Settings,
    },
    /// The job has a target.
    #[serde(rename = "4")]
    Reserved {
        /// Settings of the source.
        #[serde(rename = "s")]
        settings: Settings,
    },
    /// The target has the settings of the source.
    #[serde(rename = "5")]
    Configured,
    /// The target runs the compact build.
    #[serde(rename = "6")]
    Installed,
    /// The target waits for the state.
    #[serde(rename = "7")]
    Provisioned,
    /// The target waits for the state, and may read it before the source is frozen if that lets it.
    #[serde(rename = "15")]
    Offering,
    /// The source lets the target read while it serves.
    #[serde(rename = "16")]
    Precopying,
    /// The source takes queries only.
    #[serde(rename = "8")]
    Frozen,
    /// The calls that the source had open are closed.
    #[serde(rename = "9")]
    Stopped,
    /// The source answers again.
    #[serde(rename = "10")]
    Restarted,
    /// The state of the source is in stable memory, and hashed.
    #[serde(rename = "11")]
    Sealed {
        /// What was sealed.
        #[serde(rename = "s")]
        seal: Seal,
    },
    /// The target has all of it.
    #[serde(rename = "12")]
    Pulled {
        /// What was sealed.
        #[serde(rename = "s")]
        seal: Seal,
    },
    /// What the target wrote is what was sealed.
    #[serde(rename = "13")]
    TargetVerified {
        /// What was sealed.
        #[serde(rename = "s")]
        seal: Seal,
    },
    /// The source has not changed since either; so many indexes are swapped.
    #[serde(rename = "14")]
    Switching {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
        /// Position of the next index.
        #[serde(rename = "n")]
        next: u16,
    },
    /// Every route names the target: the commit point.
    #[serde(rename = "20")]
    Committed {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The source answers where the state is.
    #[serde(rename = "21")]
    Retired {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The target serves; the source is kept for a while.
    #[serde(rename = "22")]
    Retaining {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
        /// Until when.
        #[serde(rename = "u")]
        until_nanos: TimeNanos,
    },
    /// The source is about to go, and nobody has looked at the target for long; is it still there?
    #[serde(rename = "23")]
    Confirming {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
        /// Where it goes on, if it had come further before it waited.
        #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
        then: Option<Box<State>>,
    },
    /// Does the source still hold nothing but what was moved?
    #[serde(rename = "24")]
    Rechecking {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The source may go; its cycles first.
    #[serde(rename = "25")]
    Draining {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
        /// Its freezing threshold in seconds, before it was lowered. None in jobs of earlier builds: nobody knows.
        #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
        freezing_seconds: Option<u64>,
        /// Whether it was told once more where its state is, since it answered that it did not know.
        #[serde(rename = "t", default, skip_serializing_if = "is_default")]
        is_told: bool,
    },
    /// The source becomes a tombstone.
    #[serde(rename = "26")]
    Entombing {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The source is drained.
    #[serde(rename = "27")]
    Stopping {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The source is stopped. Of earlier builds.
    #[serde(rename = "28")]
    Checking {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The source is stopped; what would die with it? Nothing but these cycles.
    #[serde(rename = "29")]
    Deleting {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
        /// Cycles that the deletion burns.
        #[serde(rename = "b")]
        burned_cycles: u128,
    },
    /// The source is stopped, and others will have its id: its code, its state and its logs go.
    #[serde(rename = "53")]
    Emptying {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The source is empty; its settings are still those that it had.
    #[serde(rename = "54")]
    Clearing {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The source is empty, and nobody controls it but the coordinator.
    #[serde(rename = "55")]
    Waking {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The source is what a fresh canister is.
    #[serde(rename = "56")]
    Handing {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The target is known to serve; does the source own or control something?
    #[serde(rename = "30")]
    Assessing {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The source may go, with all of its cycles: what its freezing threshold reserves would be burned with it.
    #[serde(rename = "31")]
    Lowering {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
        /// Its freezing threshold in seconds, once it was seen.
        #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
        freezing_seconds: Option<u64>,
    },
    /// The source was not drained, and stays: its freezing threshold as it was.
    #[serde(rename = "32")]
    Raising {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
        /// Seconds.
        #[serde(rename = "f")]
        freezing_seconds: u64,
        /// Why, for an operator. None: he said that it stays.
        #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
    },
    /// The target serves; the source could not be told where the state is when it was to be.
    #[serde(rename = "33")]
    Telling {
        /// The root of both.
        #[serde(rename = "r")]
        root: Digest,
        /// As when it was draining. None in jobs of earlier builds.
        #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
        freezing_seconds: Option<u64>,
    },
    /// An operator wants to go back behind the commit point.
    #[serde(rename = "41")]
    Reverting(Reverting),
    /// Something went wrong before the commit point, or an operator went back behind it.
    #[serde(rename = "40")]
    RollingBack {
        /// What.
        #[serde(rename = "w")]
        reason: Reason,
        /// What is to be undone, the last one first; never empty.
        #[serde(rename = "u")]
        undo: Vec<Undo>,
    },
    /// The state is in the target, and the source is gone or a tombstone.
    #[serde(rename = "50")]
    Done {
        /// The root that both had: the evidence.
        #[serde(rename = "r")]
        root: Digest,
    },
    /// The source serves as if nothing had happened.
    #[serde(rename = "51")]
    RolledBack {
        /// Why.
        #[serde(rename = "w")]
        reason: Reason,
    },
    /// On its way by vessels.
    #[serde(rename = "100")]
    Vessel(VesselState),
    /// Where only an earlier build can move it on.
    #[serde(rename = "60")]
    OfOldBuild(OfOldBuild),
    /// It waits for an operator.
    #[serde(rename = "52")]
    Parked {
        /// Why.
        #[serde(rename = "w")]
        reason: Reason,
        /// Where it goes on.
        #[serde(rename = "s")]
        resume: Box<State>,
    },
}

/// A state of an earlier build. What it carried is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfOldBuild;

impl Serialize for OfOldBuild {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for OfOldBuild {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// Something to undo. The order here is the order from the bottom of the stack to its top: users come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Undo {
    /// The target goes back to the pool.
    #[serde(rename = "1")]
    ReturnTarget,
    /// Only the coordinator controls the target, which reserves nothing.
    #[serde(rename = "2")]
    ResetTarget,
    /// The target runs, as every canister of the pool; it is empty by then, so that no code of the dapp does.
    #[serde(rename = "9")]
    StartTarget,
    /// The target has no module and no state.
    #[serde(rename = "3")]
    UninstallTarget,
    /// The target is still this job's: it serves nobody.
    #[serde(rename = "14")]
    CheckTarget,
    /// The source has no uploaded snapshot of this job.
    #[serde(rename = "8")]
    DropUploaded,
    /// The source has no taken snapshot of this job.
    #[serde(rename = "7")]
    DropSaved,
    /// An operator says that what somebody else made of the source may stay.
    #[serde(rename = "15")]
    Ask,
    /// The source does not control itself.
    #[serde(rename = "16")]
    Disown,
    /// The route names the source. Users have their canister back by then: an index that does not answer keeps nobody else
    /// waiting, and what its route may name meanwhile takes nothing.
    #[serde(rename = "6")]
    SwapBack {
        /// Position of the index.
        #[serde(rename = "i")]
        index: u16,
    },
    /// The source takes all calls.
    #[serde(rename = "4")]
    ThawSource,
    /// The target of a job that goes back behind its commit point takes no writes.
    #[serde(rename = "18")]
    CheckSealed,
    /// The source runs.
    #[serde(rename = "5")]
    StartSource,
    /// The target of a job by vessels, which a route may name, runs the dapp's own code: nobody started it.
    #[serde(rename = "19")]
    CheckUnserved,
    /// The source holds what it held when it was saved.
    #[serde(rename = "10")]
    LoadSaved,
    /// The source, a vessel, is stopped.
    #[serde(rename = "17")]
    StopSource,
    /// Of an earlier build.
    #[serde(rename = "11", alias = "12", alias = "13")]
    OfOldBuild,
}

impl Undo {
    /// Whether it says what becomes of the target, or of the routes that name it.
    pub(crate) fn names_target(&self) -> bool {
        matches!(self, Self::ReturnTarget | Self::SwapBack { .. })
    }
}

/// Which way a job can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Forward, or back.
    BeforeCommit,
    /// Only back.
    RollingBack,
    /// Only forward.
    AfterCommit,
    /// Behind the commit point: back, or retained again.
    Reverting,
    /// Nowhere.
    Ended,
}

impl Stage {
    /// Whether what goes wrong is undone: users are where they were, or will be.
    pub(crate) fn can_fail(self) -> bool {
        matches!(self, Self::BeforeCommit | Self::Reverting)
    }
}

impl State {
    /// The stored tag.
    pub fn tag(&self) -> u8 {
        match self {
            Self::Queued => 1,
            Self::Inspected { .. } => 2,
            Self::Admitted { .. } => 3,
            Self::Reserved { .. } => 4,
            Self::Configured => 5,
            Self::Installed => 6,
            Self::Provisioned => 7,
            Self::Offering => 15,
            Self::Precopying => 16,
            Self::Frozen => 8,
            Self::Stopped => 9,
            Self::Restarted => 10,
            Self::Sealed { .. } => 11,
            Self::Pulled { .. } => 12,
            Self::TargetVerified { .. } => 13,
            Self::Switching { .. } => 14,
            Self::Committed { .. } => 20,
            Self::Retired { .. } => 21,
            Self::Retaining { .. } => 22,
            Self::Confirming { .. } => 23,
            Self::Rechecking { .. } => 24,
            Self::Draining { .. } => 25,
            Self::Entombing { .. } => 26,
            Self::Stopping { .. } => 27,
            Self::Checking { .. } => 28,
            Self::Deleting { .. } => 29,
            Self::Emptying { .. } => 53,
            Self::Clearing { .. } => 54,
            Self::Waking { .. } => 55,
            Self::Handing { .. } => 56,
            Self::Assessing { .. } => 30,
            Self::Lowering { .. } => 31,
            Self::Raising { .. } => 32,
            Self::Telling { .. } => 33,
            Self::Reverting(reverting) => reverting.at.tag(),
            Self::RollingBack { .. } => 40,
            Self::Done { .. } => 50,
            Self::RolledBack { .. } => 51,
            Self::Parked { .. } => 52,
            Self::Vessel(at) => at.tag(),
            Self::OfOldBuild(_) => 60,
        }
    }

    /// For people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Inspected { .. } => "inspected",
            Self::Admitted { .. } => "admitted",
            Self::Reserved { .. } => "reserved",
            Self::Configured => "configured",
            Self::Installed => "installed",
            Self::Provisioned => "provisioned",
            Self::Offering => "offering",
            Self::Precopying => "pre-copying",
            Self::Frozen => "frozen",
            Self::Stopped => "stopped",
            Self::Restarted => "restarted",
            Self::Sealed { .. } => "sealed",
            Self::Pulled { .. } => "pulled",
            Self::TargetVerified { .. } => "target verified",
            Self::Switching { .. } => "switching",
            Self::Committed { .. } => "committed",
            Self::Retired { .. } => "retired",
            Self::Retaining { .. } => "retaining",
            Self::Confirming { .. } => "confirming",
            Self::Rechecking { .. } => "rechecking",
            Self::Draining { .. } => "draining",
            Self::Entombing { .. } => "entombing",
            Self::Stopping { .. } => "stopping",
            Self::Checking { .. } => "checking",
            Self::Deleting { .. } => "deleting",
            Self::Emptying { .. } => "emptying",
            Self::Clearing { .. } => "clearing",
            Self::Waking { .. } => "waking",
            Self::Handing { .. } => "handing",
            Self::Assessing { .. } => "assessing",
            Self::Lowering { .. } => "lowering",
            Self::Raising { .. } => "raising",
            Self::Telling { .. } => "telling",
            Self::Reverting(reverting) => reverting.at.name(),
            Self::RollingBack { .. } => "rolling back",
            Self::Done { .. } => "done",
            Self::RolledBack { .. } => "rolled back",
            Self::Parked { .. } => "parked",
            Self::Vessel(at) => at.name(),
            Self::OfOldBuild(_) => "of an earlier build",
        }
    }

    /// Which way it can go; a parked job as the state where it goes on.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Queued
            | Self::Inspected { .. }
            | Self::Admitted { .. }
            | Self::Reserved { .. }
            | Self::Configured
            | Self::Installed
            | Self::Provisioned
            | Self::Offering
            | Self::Precopying
            | Self::Frozen
            | Self::Stopped
            | Self::Restarted
            | Self::Sealed { .. }
            | Self::Pulled { .. }
            | Self::TargetVerified { .. }
            | Self::Switching { .. } => Stage::BeforeCommit,
            Self::Committed { .. }
            | Self::Retired { .. }
            | Self::Retaining { .. }
            | Self::Confirming { .. }
            | Self::Rechecking { .. }
            | Self::Draining { .. }
            | Self::Entombing { .. }
            | Self::Stopping { .. }
            | Self::Checking { .. }
            | Self::Deleting { .. }
            | Self::Emptying { .. }
            | Self::Clearing { .. }
            | Self::Waking { .. }
            | Self::Handing { .. }
            | Self::Assessing { .. }
            | Self::Lowering { .. }
            | Self::Raising { .. }
            | Self::Telling { .. } => Stage::AfterCommit,
            Self::Reverting(reverting) => reverting.at.stage(),
            Self::RollingBack { .. } => Stage::RollingBack,
            Self::Done { .. } | Self::RolledBack { .. } => Stage::Ended,
            Self::Parked { resume, .. } => resume.stage(),
            Self::Vessel(at) => at.stage(),
            // It may be before or behind the commit point: nothing here acts on it.
            Self::OfOldBuild(_) => Stage::AfterCommit,
        }
    }

    /// The root that the source and what took its place both had, where the state carries it.
    pub(crate) fn root(&self) -> Option<Digest> {
        match self {
            Self::Committed { root }
            | Self::Retired { root }
            | Self::Retaining { root, .. }
            | Self::Confirming { root, .. }
            | Self::Rechecking { root }
            | Self::Lowering { root, .. }
            | Self::Draining { root, .. }
            | Self::Raising { root, .. }
            | Self::Telling { root, .. }
            | Self::Entombing { root }
            | Self::Stopping { root }
            | Self::Checking { root }
            | Self::Deleting { root, .. }
            | Self::Emptying { root }
            | Self::Clearing { root }
            | Self::Waking { root }
            | Self::Handing { root }
            | Self::Assessing { root }
            | Self::Reverting(Reverting { root, .. })
            | Self::Vessel(
                VesselState::Starting { root }
                | VesselState::Serving { root }
                | VesselState::DroppingUploaded { root }
                | VesselState::Retaining { root, .. }
                | VesselState::DroppingSaved { root },
            ) => Some(*root),
            _ => None,
        }
    }

    /// Whether what follows takes the source, or the snapshot of it, and nobody looks at the target any more.
    pub(crate) fn takes_source(&self) -> bool {
        matches!(
            self,
            Self::Assessing { .. }
                | Self::Rechecking { .. }
                | Self::Lowering { .. }
                | Self::Draining { .. }
                | Self::Telling { .. }
                | Self::Entombing { .. }
                | Self::Stopping { .. }
                | Self::Checking { .. }
                | Self::Deleting { .. }
                | Self::Emptying { .. }
                | Self::Vessel(VesselState::DroppingSaved { .. })
        )
    }

    /// Whether nothing will ever happen to the job again.
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::RolledBack { .. })
    }

    /// Whether an operator has to move it on.
    pub fn is_parked(&self) -> bool {
        matches!(self, Self::Parked { .. })
    }
}
