//! Routes: who finds a user's canister, how a route is swapped, and how an index hands canisters over.
//!
//! At an index:
//! ```candid
//! decant_swap    : (SwapArgs) -> (variant { Ok; Err : SwapError });
//! decant_ended   : (vec Ended) -> ();
//! decant_resolve : (principal) -> (principal) query;
//! ```
//! The first two are for the coordinator that the index knows. Repeating a swap that happened answers `Ok`; swapping back
//! is the same call with the ids exchanged. Where `is_recycled` is said, an index lets go of what it remembers of `to`, whose
//! id then leads nobody anywhere (`decant_kit::routes`, `swap_recycled`). `decant_ended` tells what became of jobs, at least once; an index that has no
//! such method, or refuses, is told again later and holds nothing up.
//!
//! At a coordinator, for indexes that a plan names:
//! ```candid
//! decant_enrol    : (vec principal) -> (vec variant { Ok : nat64; Err : EnrolError });
//! decant_withdraw : (vec principal) -> (vec variant { Ok : nat64; Err : WithdrawError });
//! ```
//! Both answer for each canister, in order, and may be repeated: a canister with an open job answers with that.

use candid::{CandidType, Principal};
use serde::Deserialize;

use crate::JobId;
use crate::jobs::Outcome;

/// Compare-and-swap: the route named `from` names `to` afterwards.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct SwapArgs {
    /// The job.
    pub job: JobId,
    /// What the route names now.
    pub from: Principal,
    /// What it will name.
    pub to: Principal,
    /// Whether `to` was another user's canister, whose state is elsewhere and of whom nothing is left in it: what the index
    /// remembers of it ends. Builds before this one don't say; an index that does not understand refuses.
    pub is_recycled: Option<bool>,
}

/// Why a route was not swapped. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize, thiserror::Error)]
pub enum SwapError {
    /// The caller is not the coordinator.
    #[error("{caller} is not the coordinator of this index")]
    NotAuthorised {
        /// Who asked.
        caller: Principal,
    },
    /// No route names `from`.
    #[error("no route of this index names {from}")]
    UnknownRoute {
        /// What was asked for.
        from: Principal,
    },
    /// The route names another canister.
    #[error("the route of {from} names {found}")]
    Conflict {
        /// What was asked for.
        from: Principal,
        /// What it names.
        found: Principal,
    },
}

/// Why a canister is not enrolled. Nothing was done with it.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize, thiserror::Error)]
pub enum EnrolError {
    /// The id of a person, of nobody, or of the management canister.
    #[error("it is no canister")]
    NoCanister,
    /// The coordinator: it can't stop itself and go on.
    #[error("it is the coordinator itself")]
    Coordinator,
    /// Whose proposals the coordinator executes.
    #[error("it is the governance canister of the coordinator")]
    Governance,
    /// An index of a plan, or one whose routes this plan swaps.
    #[error("it is an index, which must answer while jobs are on their way")]
    Index,
    /// A fresh canister that waits for a job.
    #[error("it is a canister of the coordinator's pool")]
    Pool,
    /// The target of a job that has not ended.
    #[error("it is the target of job {job}, which has not ended: enrol it afterwards")]
    Target {
        /// That job.
        job: JobId,
    },
    /// Its state is elsewhere.
    #[error("its state moved to {to} with job {job}: enrol that one")]
    Moved {
        /// Where.
        to: Principal,
        /// The job that moved it.
        job: JobId,
    },
    /// Canisters of the plan that can still be enrolled: none.
    #[error("all {max_canisters} canisters of the plan are enrolled")]
    PlanUsedUp {
        /// Of the plan.
        max_canisters: u64,
    },
    /// One call names too many.
    #[error("one call takes {limit} canisters: name it in another")]
    TooMany {
        /// Canisters in one call.
        limit: u64,
    },
    /// The plan that names the index can't be carried out by this build.
    #[error("plan {plan} can't be carried out: {why}; propose it anew")]
    Plan {
        /// Its number.
        plan: u64,
        /// Why not.
        why: String,
    },
}

/// Why a canister is not taken back.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize, thiserror::Error)]
pub enum WithdrawError {
    /// No job has it as source.
    #[error("it was never enrolled")]
    NotEnrolled,
    /// The plan of its job does not name the caller.
    #[error("job {job} is of a plan that names other indexes")]
    OtherIndex {
        /// Its job.
        job: JobId,
    },
    /// The job can't go back any more, or is over.
    #[error("job {job} can't go back: {why}")]
    TooLate {
        /// Its job.
        job: JobId,
        /// Why not.
        why: String,
    },
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Ended {
    /// The job.
    pub job: JobId,
    /// The canister that was enrolled.
    pub old: Principal,
    /// The canister that has its state now: itself, unless it has moved.
    pub new: Principal,
    /// How it ended.
    pub outcome: Outcome,
}
