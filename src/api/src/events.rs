//! What was approved, commanded, moved and deleted, and what each job proved: for auditors, for ever.
//!
//! ```candid
//! decant_events   : (nat64, nat32) -> (vec Event) query;
//! decant_evidence : (nat64) -> (opt Evidence) query;
//! ```
//! Events are numbered from 1 without a gap, never changed and never removed: ask for those after the last one known.

use candid::{CandidType, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::jobs::{Command, Outcome, Pause};
use crate::{JobId, TimeNanos};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Event {
    /// Its number.
    pub number: u64,
    /// When.
    pub at_nanos: TimeNanos,
    /// Who did it; nobody: the coordinator itself.
    pub by: Option<Principal>,
    /// What.
    pub happened: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub enum Happened {
    /// A plan came into force.
    PlanApproved {
        /// Its number.
        plan: u64,
        /// SHA-256 of its Candid encoding, as this coordinator writes it.
        hash: ByteBuf,
    },
    /// Canisters were enrolled; their jobs are numbered without a gap.
    Enrolled {
        /// Under which plan.
        plan: u64,
        /// The first of the jobs.
        first: JobId,
        /// How many.
        count: u64,
    },
    /// Canisters were taken back.
    Withdrawn {
        /// Their jobs.
        jobs: Vec<JobId>,
    },
    /// Somebody commanded a job.
    Commanded {
        /// What.
        command: Command,
        /// Which.
        job: JobId,
    },
    /// Somebody commanded all open jobs of a kind.
    CommandedAll {
        /// What.
        command: Command,
        /// Of this plan; none: of all.
        plan: Option<u64>,
        /// With this reason; none: with any.
        code: Option<String>,
        /// How many took it.
        taken: u64,
    },
    /// Somebody said what jobs may do.
    Paused {
        /// What.
        pause: Pause,
    },
    /// A job passed its commit point: the state is where `to` says.
    Moved {
        /// The job.
        job: JobId,
        /// The canister that held the state.
        source: Principal,
        /// The one that holds it, which is the same after a repack.
        to: Principal,
        /// The digest over all of it, equal on both sides.
        root: Option<ByteBuf>,
    },
    /// A job ended, and nothing was deleted with it.
    Ended {
        /// The job.
        job: JobId,
        /// How.
        outcome: Option<Outcome>,
    },
    /// A job ended with the deletion of its original.
    Deleted {
        /// The job.
        job: JobId,
        /// What is gone.
        source: Principal,
        /// The digest over what was moved before.
        root: Option<ByteBuf>,
    },
    /// A job ended when its original became a tombstone.
    Entombed {
        /// The job.
        job: JobId,
        /// What it was.
        source: Principal,
        /// The digest over what was moved before.
        root: Option<ByteBuf>,
    },
    /// A job ended when its original was emptied: a later job of the plan may get it, and its id is another user's then.
    Recycled {
        /// The job.
        job: JobId,
        /// What it was.
        source: Principal,
        /// The digest over what was moved before.
        root: Option<ByteBuf>,
    },
    /// A canister of the pool was deleted.
    PoolDeleted {
        /// It.
        canister: Principal,
    },
    /// Cycles of the coordinator were paid out.
    PaidOut {
        /// How many.
        cycles: u128,
        /// To whom.
        to: Principal,
    },
    /// The coordinator was upgraded.
    Upgraded,
    /// Governance decided something else, or an operator changed how a plan is gone about.
    Decided {
        /// What.
        what: String,
    },
}

/// What a job proved.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Evidence {
    /// The job.
    pub job: JobId,
    /// Its plan.
    pub plan: u64,
    /// The canister that held the state.
    pub source: Principal,
    /// The one that holds it, if it is another.
    pub target: Option<Principal>,
    /// The job whose original the target was before it was emptied, if it was one.
    pub recycled_from: Option<JobId>,
    /// How it stands.
    pub outcome: Outcome,
    /// The code of its reason, for machines.
    pub code: Option<String>,
    /// The digest over all of the state, equal on both sides, once it is.
    pub root: Option<ByteBuf>,
    /// The dapp's own counts and sums, on which both sides agreed; of more than 32 bytes their SHA-256. None: the dapp has
    /// none, or nothing was sealed.
    pub fingerprint: Option<ByteBuf>,
    /// Bytes that these had.
    pub fingerprint_bytes: u32,
    /// SHA-256 of the module that the source ran.
    pub source_module: Option<ByteBuf>,
    /// SHA-256 of the module that runs on the compact image.
    pub image_module: Option<ByteBuf>,
    /// Pages of 64 KiB that the source had.
    pub source_pages: u64,
    /// Pages in use, as sealed.
    pub used_pages: u64,
    /// Pages that the compact image has at most.
    pub image_pages: u64,
    /// When it was enrolled.
    pub enrolled_nanos: TimeNanos,
    /// When the source was fenced.
    pub fenced_nanos: Option<TimeNanos>,
    /// When the job passed the commit point.
    pub committed_nanos: Option<TimeNanos>,
    /// When users were served again.
    pub served_nanos: Option<TimeNanos>,
    /// When it ended.
    pub ended_nanos: Option<TimeNanos>,
    /// Calls that the coordinator made for it.
    pub calls: u32,
    /// Bytes over the wire.
    pub wire_bytes: u64,
    /// Cycles that the source sent to the target.
    pub drained_cycles: u128,
    /// Cycles that its deletion burned.
    pub burned_cycles: u128,
}
