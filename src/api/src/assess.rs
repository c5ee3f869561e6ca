//! What a fleet is like before there is any plan: who would be refused and why, what it costs, and when that is back.
//!
//! ```candid
//! decant_assess : (AssessArgs) -> (vec Assessment) composite_query;
//! ```
//! It changes nothing and costs nothing. It tells figures that only controllers may read, so it is for operators and
//! observers.

use candid::{CandidType, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::JobId;

/// What is assessed.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct AssessArgs {
    /// Which canisters; the coordinator has its own limit.
    pub canisters: Vec<Principal>,
    /// Pages of 64 KiB in a bucket that the plan would have.
    pub bucket_pages: u16,
}

/// A canister.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Assessment {
    /// Which.
    pub canister: Principal,
    /// Its latest job.
    pub job: Option<JobId>,
    /// What a job would be refused for, as far as it can be told from outside.
    pub refusals: Vec<Refusal>,
    /// SHA-256 of its module.
    pub module: Option<ByteBuf>,
    /// Whether the coordinator has read that module out of a snapshot before.
    pub is_known_build: bool,
    /// Whether it embeds the kit.
    pub has_kit: bool,
    /// Its stable memory, in pages of 64 KiB.
    pub stable_pages: Option<u64>,
    /// What that would be at most, if it embeds the kit; of others only a snapshot tells.
    pub compact_pages: Option<u64>,
    /// A repack in place.
    pub in_place: Price,
    /// A relocation to a fresh canister, without what that is given.
    pub fresh: Price,
}

/// Why a job would be refused.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Refusal {
    /// For machines.
    pub code: String,
    /// For people.
    pub text: String,
    /// Whether only relocations are refused for it.
    pub only_fresh: bool,
}

/// What it costs.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Price {
    /// Cycles that the coordinator spends at most.
    pub cycles: u128,
    /// Days in which the memory that is given back saves as much; without a figure where nobody can tell, or nothing is
    /// given back.
    pub payback_days: Option<u64>,
}
