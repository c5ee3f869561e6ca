//! The words of the interface, and how they are stored.

use std::borrow::Cow;

use candid::{CandidType, Principal};
use ic_stable_structures::storable::{Bound, Storable};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Argument of an installation or of an upgrade.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) enum LedgerArgument {
    /// At installation.
    Init(InitArguments),
    /// At every upgrade.
    Upgrade(Option<UpgradeArguments>),
}

/// How a ledger begins.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct InitArguments {
    pub(crate) name: String,
    pub(crate) minter: Principal,
    pub(crate) initial_supply: u128,
}

/// What an upgrade changes.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct UpgradeArguments {
    pub(crate) name: Option<String>,
}

/// Why tokens were not moved.
#[derive(Debug, Clone, PartialEq, Eq, CandidType)]
pub(crate) enum TransferError {
    /// Nothing, or the account itself.
    BadRequest {
        reason: String,
    },
    InsufficientFunds {
        balance: u128,
    },
    /// It was done already.
    Duplicate {
        of_block: u64,
    },
}

/// Why tokens were not made.
#[derive(Debug, Clone, PartialEq, Eq, CandidType)]
pub(crate) enum MintError {
    NotMinter { minter: Principal },
    TooMany { total_supply: u128 },
}

/// What happened once.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub(crate) struct Block {
    /// Hash of the block before.
    pub(crate) parent: ByteBuf,
    /// `None`: they were made.
    pub(crate) from: Option<Principal>,
    pub(crate) to: Principal,
    pub(crate) amount: u128,
    pub(crate) created_at: Option<u64>,
    pub(crate) timestamp_nanos: u64,
}

/// What the subnet signs.
#[derive(Debug, Clone, CandidType)]
pub(crate) struct CertifiedTip {
    pub(crate) index: u64,
    pub(crate) hash: ByteBuf,
    pub(crate) certificate: Option<ByteBuf>,
}

/// Configuration, in a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    pub(crate) name: String,
    pub(crate) minter: Principal,
    pub(crate) upgrades: u64,
}

/// Configuration and figures.
#[derive(Debug, Clone, CandidType)]
pub(crate) struct Info {
    pub(crate) name: String,
    pub(crate) minter: Principal,
    pub(crate) upgrades: u64,
    /// Transactions that are remembered on the heap.
    pub(crate) recent: u64,
}

/// An account as a key: at most 29 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Account(pub(crate) Principal);

impl Storable for Account {
    const BOUND: Bound = Bound::Bounded { max_size: 29, is_fixed_size: false };

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.0.as_slice())
    }

    fn into_bytes(self) -> Vec<u8> {
        self.0.as_slice().to_vec()
    }

    fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
        Self(Principal::from_slice(&bytes))
    }
}

/// A block, as CBOR.
impl Storable for Block {
    // Names and numbers of all fields, two principals and a hash take less than 240 bytes.
    const BOUND: Bound = Bound::Bounded { max_size: 256, is_fixed_size: false };

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Owned(to_cbor(self))
    }

    fn into_bytes(self) -> Vec<u8> {
        to_cbor(&self)
    }

    fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
        from_cbor(&bytes)
    }
}

impl Storable for Config {
    const BOUND: Bound = Bound::Unbounded;

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Owned(to_cbor(self))
    }

    fn into_bytes(self) -> Vec<u8> {
        to_cbor(&self)
    }

    fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
        from_cbor(&bytes)
    }
}

pub(crate) fn to_cbor(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("a vector takes everything");
    bytes
}

pub(crate) fn from_cbor<T: DeserializeOwned>(bytes: &[u8]) -> T {
    ciborium::from_reader(bytes).expect("only to_cbor writes it")
}
