//! Routes: who finds a user's canister, and how a route is swapped.
//!
//! ```candid
//! decant_swap    : (SwapArgs) -> (variant { Ok; Err : SwapError });
//! decant_resolve : (principal) -> (principal) query;
//! ```
//! `decant_swap` is for the coordinator that the index knows. Repeating a swap that happened answers `Ok`;
//! swapping back is the same call with the ids exchanged.

use candid::{CandidType, Principal};
use serde::Deserialize;

use crate::JobId;

/// Compare-and-swap: the route named `from` names `to` afterwards.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct SwapArgs {
    /// The job.
    pub job: JobId,
    /// What the route names now.
    pub from: Principal,
    /// What it will name.
    pub to: Principal,
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

/// What a coordinator says to an enrolment.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize, thiserror::Error)]
pub enum EnrolError {
    /// No approved plan names the caller as index.
    #[error("{caller} is no index of an approved plan")]
    NotAuthorised {
        /// Who asked.
        caller: Principal,
    },
    /// More canisters than the plan allows, or than one call may name.
    #[error("{asked} canisters exceed the {left} that are left: {limit}")]
    TooMany {
        /// Canisters asked for.
        asked: u64,
        /// Canisters that can still be enrolled.
        left: u64,
        /// Which limit.
        limit: String,
    },
    /// A canister is enrolled already, in a job that is not finished.
    #[error("{canister} is the source of job {job} already")]
    AlreadyEnrolled {
        /// The canister.
        canister: Principal,
        /// Its job.
        job: JobId,
    },
}
