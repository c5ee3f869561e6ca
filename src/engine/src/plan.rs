//! What a job needs to know of its plan.

use serde::{Deserialize, Serialize};

use crate::{Digest, Limits};

/// Most indexes that a job swaps; a finished job must stay below 512 bytes.
pub const MAX_INDEXES: usize = 8;

/// How the memory is given back. The tags are stored: they are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    /// To a fresh canister, which pulls the state itself.
    #[serde(rename = "1")]
    Relocate {
        /// SHA-256 of the compact build.
        #[serde(rename = "m")]
        module_hash: Digest,
        /// Used pages from which on the source is copied while it still serves; none: never.
        #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
        precopy_min_pages: Option<u64>,
    },
    /// How earlier builds repacked.
    #[serde(rename = "2")]
    OldRepack,
    /// How earlier builds relocated by snapshots.
    #[serde(rename = "3")]
    OldRelocateSnapshot {
        /// SHA-256 of the tombstone.
        #[serde(rename = "t")]
        tombstone_hash: Digest,
    },
    /// In the same canister, through a vessel.
    #[serde(rename = "4")]
    Repack,
    /// To a fresh canister, through vessels: for code that nobody can change.
    #[serde(rename = "5")]
    RelocateVessel,
}

impl Strategy {
    /// Whether the state goes to a fresh canister.
    pub fn has_target(self) -> bool {
        match self {
            Self::Relocate { .. } | Self::OldRelocateSnapshot { .. } | Self::RelocateVessel => true,
            Self::OldRepack | Self::Repack => false,
        }
    }

    /// Whether it is for code that nobody can change.
    pub fn is_by_vessel(self) -> bool {
        match self {
            Self::Relocate { .. } | Self::OldRepack | Self::OldRelocateSnapshot { .. } => false,
            Self::Repack | Self::RelocateVessel => true,
        }
    }

    /// Whether only an earlier build can go on with it.
    pub fn is_old(self) -> bool {
        matches!(self, Self::OldRepack | Self::OldRelocateSnapshot { .. })
    }
}

/// What becomes of a source after the commit point; of a repacked canister its snapshot from before. The tags are stored: they are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retention {
    /// It stays that long, then it is deleted.
    #[serde(rename = "1")]
    Frozen {
        /// Seconds.
        #[serde(rename = "s")]
        seconds: u64,
    },
    /// It becomes a tombstone with this module.
    #[serde(rename = "2")]
    Tombstone {
        /// SHA-256 of the tombstone.
        #[serde(rename = "m")]
        module_hash: Digest,
    },
    /// It is deleted at once.
    #[serde(rename = "3")]
    None,
}

/// The part of a plan that decisions depend on. It is copied into the job: a later plan changes no job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanEssentials {
    /// Number of the plan at its coordinator, which knows the rest by it.
    #[serde(rename = "i")]
    pub plan_id: u64,
    /// How.
    #[serde(rename = "s")]
    pub strategy: Strategy,
    /// Pages of 64 KiB in a bucket of the new image; at least 1.
    #[serde(rename = "b")]
    pub bucket_pages: u16,
    /// Least pages that must come free.
    #[serde(rename = "r")]
    pub min_reclaimed_pages: u64,
    /// What becomes of the source.
    #[serde(rename = "k")]
    pub retention: Retention,
    // "f" was whether the source is hashed once more before it is emptied, in earlier builds: it always is.
    /// Whether the plan names ledgers or canisters at which a source must own or control nothing.
    #[serde(rename = "a", default)]
    pub has_asset_checks: bool,
    /// Whether a repack goes back if the timer that was armed is not any more.
    #[serde(rename = "t", default, skip_serializing_if = "std::ops::Not::not")]
    pub rolls_back_on_lost_timer: bool,
    /// Cycles with which a source, once it is emptied, goes to the pool for later jobs of the plan; none: it is deleted.
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    pub recycled_with_cycles: Option<u128>,
    /// Seconds that users may wait before the commit point; none: as long as they may at most, [`Limits::FENCE_SECONDS`].
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub max_wait_seconds: Option<u32>,
}

impl PlanEssentials {
    /// SHA-256 of the compact build, if targets are installed with one.
    pub fn compact_module(&self) -> Option<Digest> {
        match self.strategy {
            Strategy::Relocate { module_hash, .. } => Some(module_hash),
            _ => None,
        }
    }

    /// Seconds that a source may be fenced before the commit point.
    pub fn fence_seconds(&self) -> u64 {
        self.max_wait_seconds
            .map_or(Limits::FENCE_SECONDS, |seconds| Limits::FENCE_SECONDS.min(seconds.into()))
    }

    /// Whether a source with so many used pages in virtual memories is copied while it still serves.
    pub fn wants_precopy(&self, used_pages: u64) -> bool {
        match self.strategy {
            Strategy::Relocate { precopy_min_pages: Some(min_pages), .. } => used_pages >= min_pages.max(1),
            _ => false,
        }
    }
}
