//! The fence as a state machine: the one function that says what may happen when.

use candid::Principal;
use decant_api::source::{Fence, Hold};
use decant_api::{JobId, KitError, Refusal, TimeNanos};

use crate::limits::RETRY_AFTER_SECONDS;

#[cfg(test)]
mod tests;

/// Who asks: a job is known by its number at its coordinator, which is the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asker {
    /// The job.
    pub(crate) job: JobId,
    /// Its coordinator.
    pub(crate) coordinator: Principal,
}

impl Asker {
    pub(crate) fn holds(&self, hold: &Hold) -> bool {
        hold.job == self.job && hold.coordinator == self.coordinator
    }

    pub(crate) fn hold(&self, peer: Principal, since_nanos: TimeNanos) -> Hold {
        Hold { job: self.job, coordinator: self.coordinator, peer, since_nanos }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Let a target read while the fence is open.
    Offer,
    /// Close the fence of a source.
    Freeze { reader: Principal, now_nanos: TimeNanos },
    /// Save and hash.
    Seal,
    /// All is hashed.
    FinishSeal,
    /// Hash again.
    Recheck,
    /// Write the compact image into a snapshot.
    Pour,
    /// Open the fence of a source.
    Thaw,
    /// Say where the state is now.
    Retire { to: Principal },
    /// Take that back: the state is here.
    Reinstate { to: Principal },
    /// Send the cycles away.
    Drain,
    /// Close the fence of a target.
    Begin { source: Principal, now_nanos: TimeNanos },
    /// Read and verify.
    Import,
    /// Open the fence of a target.
    Activate,
}

impl Act {
    /// What it needs, for an error message.
    fn wanted(&self) -> &'static str {
        match self {
            Self::Offer => "an open canister",
            Self::Freeze { .. } => "an open canister, or one frozen by the same job for the same reader",
            Self::Seal | Self::FinishSeal | Self::Thaw => "a canister frozen by this job",
            Self::Recheck => "a canister sealed by this job, or retired",
            Self::Pour => "a canister sealed by this job",
            Self::Retire { .. } => {
                "a canister sealed by this job, and its registered reader as the place to move to"
            }
            Self::Reinstate { .. } => "a canister whose state this job moved to that place",
            Self::Drain => "a canister whose state has moved: retire it first",
            Self::Begin { .. } => {
                "an open canister, or one that imports for the same job from the same source"
            }
            Self::Import | Self::Activate => "a canister that imports for this job",
        }
    }
}

/// Where an act leads: `None` if it is allowed and the fence stays as it is, as for every repetition.
///
/// # Errors
/// [`KitError::HeldByOther`] if another job, or the same number at another coordinator, closed the fence;
/// [`KitError::WrongFence`] if it is not the time for it.
pub(crate) fn next(fence: &Fence, act: &Act, asker: &Asker) -> Result<Option<Fence>, KitError> {
    if let Some(hold) = hold(fence).filter(|hold| !asker.holds(hold)) {
        let (holder, coordinator) = (hold.job, hold.coordinator);
        return Err(KitError::HeldByOther { holder, coordinator, asked: asker.job });
    }
    match (fence, act) {
        (Fence::Open, Act::Freeze { reader, now_nanos }) => {
            Ok(Some(Fence::Frozen(asker.hold(*reader, *now_nanos))))
        }
        (Fence::Open, Act::Begin { source, now_nanos }) => {
            Ok(Some(Fence::Importing(asker.hold(*source, *now_nanos))))
        }
        (Fence::Open, Act::Offer | Act::Thaw | Act::Activate) => Ok(None),

        (Fence::Frozen(hold) | Fence::Sealed(hold), Act::Freeze { reader, .. }) if *reader == hold.peer => {
            Ok(None)
        }
        (Fence::Frozen(_), Act::Seal) => Ok(None),
        (Fence::Frozen(hold), Act::FinishSeal) => Ok(Some(Fence::Sealed(hold.clone()))),
        (Fence::Frozen(_) | Fence::Sealed(_), Act::Thaw) => Ok(Some(Fence::Open)),

        (Fence::Sealed(_), Act::Seal | Act::FinishSeal | Act::Recheck | Act::Pour) => Ok(None),
        (Fence::Sealed(hold), Act::Retire { to }) if *to == hold.peer => {
            Ok(Some(Fence::Moved { hold: hold.clone(), to: *to }))
        }

        (Fence::Sealed(hold), Act::Reinstate { to }) if *to == hold.peer => Ok(None),

        (Fence::Moved { to: moved_to, .. }, Act::Retire { to }) if to == moved_to => Ok(None),
        (Fence::Moved { hold, to: moved_to }, Act::Reinstate { to }) if to == moved_to => {
            Ok(Some(Fence::Sealed(hold.clone())))
        }
        (Fence::Moved { .. }, Act::Drain | Act::Recheck) => Ok(None),

        (Fence::Importing(hold), Act::Begin { source, .. }) if *source == hold.peer => Ok(None),
        (Fence::Importing(_), Act::Import) => Ok(None),
        (Fence::Importing(_), Act::Activate) => Ok(Some(Fence::Open)),

        (
            Fence::Open,
            Act::Seal
            | Act::FinishSeal
            | Act::Recheck
            | Act::Pour
            | Act::Retire { .. }
            | Act::Reinstate { .. }
            | Act::Drain
            | Act::Import,
        )
        | (
            Fence::Frozen(_) | Fence::Sealed(_),
            Act::Offer | Act::Freeze { .. } | Act::Begin { .. } | Act::Import | Act::Activate | Act::Drain,
        )
        | (Fence::Frozen(_), Act::Recheck | Act::Pour | Act::Retire { .. } | Act::Reinstate { .. })
        | (Fence::Sealed(_), Act::Retire { .. } | Act::Reinstate { .. })
        | (
            Fence::Importing(_),
            Act::Offer
            | Act::Freeze { .. }
            | Act::Seal
            | Act::FinishSeal
            | Act::Recheck
            | Act::Pour
            | Act::Thaw
            | Act::Retire { .. }
            | Act::Reinstate { .. }
            | Act::Drain
            | Act::Begin { .. },
        )
        | (
            Fence::Moved { .. },
            Act::Offer
            | Act::Freeze { .. }
            | Act::Seal
            | Act::FinishSeal
            | Act::Pour
            | Act::Thaw
            | Act::Retire { .. }
            | Act::Reinstate { .. }
            | Act::Begin { .. }
            | Act::Import
            | Act::Activate,
        ) => Err(KitError::WrongFence { fence: Box::new(fence.clone()), wanted: act.wanted().to_owned() }),
    }
}

/// Where a fence leads whose coordinator is lost for good: open. `has_control`: that coordinator still is a
/// controller; it could then go on at any moment, and two canisters would take updates.
///
/// # Errors
/// [`KitError::WrongFence`] while it has control, and unless the canister is a source that has not moved.
pub(crate) fn released(fence: &Fence, has_control: bool) -> Result<Option<Fence>, KitError> {
    let wanted = match fence {
        Fence::Open => return Ok(None),
        Fence::Frozen(_) | Fence::Sealed(_) if !has_control => return Ok(Some(Fence::Open)),
        Fence::Frozen(_) | Fence::Sealed(_) => {
            "a coordinator that is no controller any more: take the control from it first"
        }
        Fence::Importing(_) | Fence::Moved { .. } => "a source whose state has not moved",
    };
    Err(KitError::WrongFence { fence: Box::new(fence.clone()), wanted: wanted.to_owned() })
}

/// Whether a caller may read frames of a job now.
///
/// # Errors
/// [`KitError::NotAuthorised`] for anybody but the reader of that job and the controllers; then as [`next`].
pub(crate) fn check_read(
    fence: &Fence,
    job: JobId,
    caller: Principal,
    is_controller: bool,
) -> Result<(), KitError> {
    let held = hold(fence);
    let is_reader = held.is_some_and(|hold| hold.job == job && hold.peer == caller);
    match (fence, held) {
        _ if !is_reader && !is_controller => Err(KitError::NotAuthorised { caller }),
        (_, Some(hold)) if hold.job != job => {
            let (holder, coordinator) = (hold.job, hold.coordinator);
            Err(KitError::HeldByOther { holder, coordinator, asked: job })
        }
        (Fence::Sealed(_), _) => Ok(()),
        _ => Err(KitError::WrongFence {
            fence: Box::new(fence.clone()),
            wanted: "a canister sealed by this job".to_owned(),
        }),
    }
}

/// Whether a caller may read an open canister for a job.
///
/// # Errors
/// [`KitError::NotAuthorised`] for anybody but the reader that the job was offered for and the controllers;
/// [`KitError::HeldByOther`] if another job was offered it; [`KitError::WrongFence`] unless it is open and offered.
pub(crate) fn check_precopy(
    fence: &Fence,
    offer: Option<&Hold>,
    job: JobId,
    caller: Principal,
    is_controller: bool,
) -> Result<(), KitError> {
    let is_reader = offer.is_some_and(|offer| offer.job == job && offer.peer == caller);
    match (fence, offer) {
        _ if !is_reader && !is_controller => Err(KitError::NotAuthorised { caller }),
        (Fence::Open, Some(offer)) if offer.job == job => Ok(()),
        (Fence::Open, Some(offer)) => {
            let (holder, coordinator) = (offer.job, offer.coordinator);
            Err(KitError::HeldByOther { holder, coordinator, asked: job })
        }
        _ => Err(KitError::WrongFence {
            fence: Box::new(fence.clone()),
            wanted: "an open canister that is offered to this job".to_owned(),
        }),
    }
}

/// Who holds the fence closed.
pub(crate) fn hold(fence: &Fence) -> Option<&Hold> {
    match fence {
        Fence::Open => None,
        Fence::Frozen(hold) | Fence::Sealed(hold) | Fence::Importing(hold) | Fence::Moved { hold, .. } => {
            Some(hold)
        }
    }
}

/// Why an application's update is not taken now, if it isn't.
pub(crate) fn refusal(fence: &Fence) -> Option<Refusal> {
    match fence {
        Fence::Open => None,
        Fence::Frozen(hold) | Fence::Sealed(hold) => Some(Refusal::Busy {
            job: hold.job,
            coordinator: hold.coordinator,
            since_nanos: hold.since_nanos,
            retry_after_seconds: RETRY_AFTER_SECONDS,
        }),
        Fence::Importing(hold) => Some(Refusal::Importing { job: hold.job, source_id: hold.peer }),
        Fence::Moved { to, .. } => Some(Refusal::Moved { to: *to }),
    }
}

/// Why an application's query is not taken now, if it isn't.
pub(crate) fn query_refusal(fence: &Fence) -> Option<Refusal> {
    refusal(fence).filter(|refusal| !matches!(refusal, Refusal::Busy { .. }))
}
