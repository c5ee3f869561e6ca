//! Accounts: what is paid for what, and down to which balance. Nothing in here knows a canister; `state` applies it.
//!
//! | module | what it is |
//! |---|---|
//! | [`holdings`] | what a canister keeps, and what follows from it: idle cost and freezing threshold |
//! | [`errors`] | why it can't pay |
//! | [`prepaid`] | cycles taken for instructions that a message may use, to be settled when it has run |
//! | [`debits`] | what a canister changed and installed, of which a round forgives a share |

mod debits;
mod errors;
mod holdings;
mod prepaid;

pub(crate) use debits::Debits;
pub(crate) use errors::{CannotGrow, OutOfCycles, Unaffordable, check_growth};
pub(crate) use holdings::Holdings;
pub(crate) use prepaid::Prepaid;
