//! Why a canister can't pay, for work or for memory.

use super::Holdings;
use crate::error::{ErrorCode, UserError};
use crate::profile::SubnetProfile;
use candid::Principal;

/// A canister cannot pay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Canister {canister_id} is out of cycles: please top up the canister with at least {} additional cycles",
    (threshold + requested).saturating_sub(*available)
)]
pub(crate) struct OutOfCycles {
    pub(crate) canister_id: Principal,
    pub(crate) available: u128,
    pub(crate) requested: u128,
    pub(crate) threshold: u128,
}

/// A canister cannot keep more memory: the balance is below what would freeze it then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "Canister cannot grow memory by {bytes} bytes due to insufficient cycles. At least {missing} additional cycles \
     are required."
)]
pub(crate) struct CannotGrow {
    /// Bytes that it would have had more.
    pub(crate) bytes: u64,
    /// Cycles that it lacks.
    pub(crate) missing: u128,
}

impl CannotGrow {
    /// As a user of the management canister sees it.
    pub(crate) fn user_error(&self) -> UserError {
        let message = format!("{self}\nTop up the canister with more cycles.");
        UserError::new(ErrorCode::InsufficientCyclesInMemoryGrow, message)
    }
}

/// Why work that also takes memory is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unaffordable {
    /// The work itself can't be paid for.
    Work(OutOfCycles),
    /// The memory can't be kept.
    Memory(CannotGrow),
}

impl OutOfCycles {
    /// An error in which the platform says that `what` failed for it.
    pub(crate) fn user_error(&self, what: impl FnOnce(&Self) -> String) -> UserError {
        UserError::new(ErrorCode::CanisterOutOfCycles, what(self))
    }
}

/// Whether `balance` suffices to keep `after_bytes` instead of what `before` says. Memory within an allocation
/// is paid for already.
pub(crate) fn check_growth(
    profile: &SubnetProfile,
    before: Holdings,
    after_bytes: u64,
    balance: u128,
) -> Result<(), CannotGrow> {
    if after_bytes <= before.memory_bytes || after_bytes <= before.allocated_bytes {
        return Ok(());
    }
    let needed = before.with_memory(after_bytes).threshold(profile);
    if balance >= needed {
        return Ok(());
    }
    Err(CannotGrow { bytes: after_bytes - before.memory_bytes, missing: needed - balance })
}
