//! Records of what was: tallies, evidence, events, lines of the log. Stored as `records` says.

use super::packed::{self, Packed};
use super::records::{Damaged, Pause, Record, VERSION, in_cbor, in_cbor_alone, write};
use candid::Principal;
use decant_api::JobId;
use decant_engine::Digest;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

#[cfg(test)]
mod bytes;
#[cfg(test)]
mod tests;

in_cbor_alone!(Tally, Evidence, Line);

impl Record for Noted {
    fn encode(&self) -> Vec<u8> {
        packed::write(&Packed { noted: self.clone(), end: None }).unwrap_or_else(|| write(&[VERSION], self))
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        match bytes.first() {
            Some(&packed::VERSION) => packed::read(bytes).map(|packed| packed.noted),
            _ => in_cbor(bytes),
        }
    }
}

/// What ended of a plan, or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// What the plan is called.
    #[serde(rename = "t", default, skip_serializing_if = "String::is_empty")]
    pub(crate) title: String,
    /// How it gives memory back.
    #[serde(rename = "k", default, skip_serializing_if = "String::is_empty")]
    pub(crate) strategy: String,
    /// Most canisters of the plan.
    #[serde(rename = "m", default)]
    pub(crate) max_canisters: u64,
    /// Jobs that are done.
    #[serde(rename = "d", default)]
    pub(crate) done: u64,
    /// Jobs that were rolled back.
    #[serde(rename = "r", default)]
    pub(crate) rolled_back: u64,
    /// Pages of stable memory that the sources of done jobs had.
    #[serde(rename = "b", default)]
    pub(crate) pages_before: u64,
    /// Pages that their compact images have at most.
    #[serde(rename = "a", default)]
    pub(crate) pages_after: u64,
    /// Bytes over the wire.
    #[serde(rename = "w", default)]
    pub(crate) wire_bytes: u64,
}

impl Tally {
    /// Pages that were given back.
    pub(crate) fn pages_given_back(&self) -> u64 {
        self.pages_before.saturating_sub(self.pages_after)
    }
}

/// What a job proved, besides what it says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    /// SHA-256 of the module that the source ran.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub(crate) source_module: Option<Digest>,
    /// The dapp's own counts and sums, on which both sides agreed; of more than 32 bytes their SHA-256.
    #[serde(rename = "f", default, skip_serializing_if = "is_default")]
    pub(crate) fingerprint: ByteBuf,
    /// Bytes that these had.
    #[serde(rename = "n", default, skip_serializing_if = "is_default")]
    pub(crate) fingerprint_bytes: u32,
    /// Pages that the compact image has at most.
    #[serde(rename = "p", default, skip_serializing_if = "is_default")]
    pub(crate) pages_after: u64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Something that happened, by whom and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noted {
    #[serde(rename = "n")]
    pub(crate) at_nanos: u64,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<Principal>,
    #[serde(rename = "h")]
    pub(crate) happened: Happened,
}

/// What happened. The tags are stored: they are never reused. Of the first four, and of 14, those that a job did are packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Happened {
    /// A job passed its commit point.
    #[serde(rename = "1")]
    Moved {
        #[serde(rename = "j")]
        job: JobId,
    },
    /// It ended, and nothing was deleted with it.
    #[serde(rename = "2")]
    Ended {
        #[serde(rename = "j")]
        job: JobId,
        /// What it proved.
        #[serde(rename = "e")]
        evidence: Evidence,
    },
    /// It ended with the deletion of its original.
    #[serde(rename = "3")]
    Deleted {
        #[serde(rename = "j")]
        job: JobId,
        /// What it proved.
        #[serde(rename = "e")]
        evidence: Evidence,
    },
    /// It ended when its original became a tombstone.
    #[serde(rename = "4")]
    Entombed {
        #[serde(rename = "j")]
        job: JobId,
        /// What it proved.
        #[serde(rename = "e")]
        evidence: Evidence,
    },
    /// It ended when its original was emptied, for a later job.
    #[serde(rename = "14")]
    Recycled {
        #[serde(rename = "j")]
        job: JobId,
        /// What it proved.
        #[serde(rename = "e")]
        evidence: Evidence,
    },
    /// A plan came into force.
    #[serde(rename = "5")]
    PlanApproved {
        #[serde(rename = "p")]
        plan: u64,
        /// SHA-256 of the plan in Candid.
        #[serde(rename = "h")]
        hash: Digest,
    },
    /// Canisters were enrolled.
    #[serde(rename = "6")]
    Enrolled {
        #[serde(rename = "p")]
        plan: u64,
        /// The first of their jobs, which are numbered without a gap.
        #[serde(rename = "f")]
        first: JobId,
        #[serde(rename = "c")]
        count: u64,
    },
    /// Canisters were taken back.
    #[serde(rename = "7")]
    Withdrawn {
        #[serde(rename = "j")]
        jobs: Vec<JobId>,
    },
    /// A command to jobs.
    #[serde(rename = "8")]
    Commanded {
        /// "retry", "abort", "skip" or "revert".
        #[serde(rename = "c")]
        command: String,
        /// To which; to all of a kind, if there is none.
        #[serde(rename = "j", default, skip_serializing_if = "Option::is_none")]
        job: Option<JobId>,
        /// Of which plan, if of one.
        #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
        plan: Option<u64>,
        /// With which reason, if with one.
        #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// How many took it.
        #[serde(rename = "t")]
        taken: u64,
    },
    /// Somebody said what jobs may do.
    #[serde(rename = "9")]
    Paused {
        #[serde(rename = "p")]
        pause: Pause,
    },
    /// A canister of the pool was deleted.
    #[serde(rename = "10")]
    PoolDeleted {
        #[serde(rename = "i")]
        canister: Principal,
    },
    /// Cycles were paid out.
    #[serde(rename = "11")]
    PaidOut {
        #[serde(rename = "c")]
        cycles: u128,
        #[serde(rename = "t")]
        to: Principal,
    },
    /// The coordinator was upgraded.
    #[serde(rename = "12")]
    Upgraded,
    /// Governance, or an operator, decided something else.
    #[serde(rename = "13")]
    Decided {
        #[serde(rename = "w")]
        what: String,
    },
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Level {
    /// As it should be.
    #[serde(rename = "i")]
    Info,
    /// Something went wrong and is dealt with.
    #[serde(rename = "w")]
    Warn,
    /// A person is asked.
    #[serde(rename = "e")]
    Error,
}

impl Level {
    /// For people and tools.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    #[serde(rename = "n")]
    pub(crate) at_nanos: u64,
    #[serde(rename = "l")]
    pub(crate) level: Level,
    #[serde(rename = "j", default, skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<JobId>,
    /// Code of the reason, if there is one.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    #[serde(rename = "t")]
    pub(crate) text: String,
}
