//! What is left over can be taken out.
//!
//! ```candid
//! decant_delete_pooled   : (principal) -> (variant { Ok; Err : text });
//! ```
//! Operators delete canisters of its pool, whose cycles come to the coordinator; governance alone pays
//! cycles of the coordinator out, by [`Decision::Pay`](crate::govern::Decision::Pay).

use candid::{CandidType, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// Cycles of the coordinator that somebody gets.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Payout {
    /// How many.
    pub cycles: u128,
    /// Who gets them.
    pub to: Payee,
}

/// Who gets cycles.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub enum Payee {
    /// A canister.
    Canister(Principal),
    /// An account at a cycles ledger.
    Account {
        /// The ledger: um5iw-rqaaa-aaaaq-qaaba-cai on the mainnet.
        ledger: Principal,
        /// Whose account.
        owner: Principal,
        /// Which; 32 bytes.
        subaccount: Option<ByteBuf>,
    },
}
