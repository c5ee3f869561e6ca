//! The test ledger, as scenarios speak to it, and a model of it outside of any canister.

use crate::repack::wasm;
use candid::{CandidType, Principal};
use decant_cli::rehearsal::calls::{query, update};
use pocket_ic::common::rest::RawMessageId;
use pocket_ic::{PocketIc, RejectResponse};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;

/// Tokens of all accounts.
pub const SUPPLY: u128 = 1_000_000;

/// Argument of an installation or of an upgrade.
#[derive(Debug, Clone, CandidType)]
pub enum LedgerArgument {
    /// At installation.
    Init {
        /// What it is called.
        name: String,
        /// Who has all tokens.
        minter: Principal,
        /// How many.
        initial_supply: u128,
    },
    /// At every upgrade.
    Upgrade(Option<LedgerUpgrade>),
}

/// What an upgrade changes.
#[derive(Debug, Clone, CandidType)]
pub struct LedgerUpgrade {
    /// The name from then on.
    pub name: Option<String>,
}

/// Why tokens were not moved.
#[derive(Debug, PartialEq, Eq, CandidType, Deserialize)]
pub enum TransferError {
    /// Nothing, or the account itself.
    BadRequest {
        /// Which.
        reason: String,
    },
    /// Not enough.
    InsufficientFunds {
        /// So many there are.
        balance: u128,
    },
    /// It was done already.
    Duplicate {
        /// Then.
        of_block: u64,
    },
}

/// What happened once.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Block {
    /// Hash of the block before.
    pub parent: ByteBuf,
    /// Who paid; nobody if they were made.
    pub from: Option<Principal>,
    /// Who was paid.
    pub to: Principal,
    /// How much.
    pub amount: u128,
}

/// Configuration and figures.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Info {
    /// What it is called.
    pub name: String,
    /// Who makes tokens.
    pub minter: Principal,
    /// How often it was upgraded.
    pub upgrades: u64,
    /// Transactions that are remembered on the heap.
    pub recent: u64,
}

/// What the subnet signs.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub struct CertifiedTip {
    /// The last block.
    pub index: u64,
    /// Its hash.
    pub hash: ByteBuf,
}

/// Everything that a ledger answers, the number of upgrades aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// The blocks.
    pub blocks: Vec<Block>,
    /// How many they are.
    pub count: u64,
    /// Tokens of all accounts.
    pub total_supply: u128,
    /// Tokens of each account.
    pub balances: Vec<u128>,
    /// Hash of the last block.
    pub tip: ByteBuf,
    /// Configuration; no upgrades.
    pub info: Info,
}

/// A user.
pub fn user(number: u8) -> Principal {
    Principal::self_authenticating([number, 1, 2])
}

/// Everybody who has an account.
const USERS: [u8; 5] = [9, 1, 2, 3, 4];

/// The argument of an installation: everything belongs to user 9.
pub fn init() -> LedgerArgument {
    LedgerArgument::Init { name: "Test".to_owned(), minter: user(9), initial_supply: SUPPLY }
}

/// The argument of an upgrade that changes nothing.
pub fn upgrade() -> Vec<u8> {
    candid::encode_one(LedgerArgument::Upgrade(None)).expect("the argument encodes")
}

/// The module.
pub fn module() -> Vec<u8> {
    wasm("ledger")
}

/// A query of a ledger.
pub fn ask<R: CandidType + DeserializeOwned>(
    pic: &PocketIc,
    ledger: Principal,
    method: &str,
    arguments: impl candid::utils::ArgumentEncoder,
) -> R {
    query(pic, ledger, method, arguments).expect("the ledger answers")
}

/// What a ledger must hold.
#[derive(Debug, Clone)]
pub struct Model {
    /// Tokens of each account.
    pub balances: BTreeMap<Principal, u128>,
    /// Who paid whom how much; first all tokens were made.
    pub transfers: Vec<(Option<Principal>, Principal, u128)>,
}

impl Default for Model {
    fn default() -> Self {
        Self { balances: BTreeMap::from([(user(9), SUPPLY)]), transfers: vec![(None, user(9), SUPPLY)] }
    }
}

impl Model {
    /// Random transfers, on the ledger and on the model; then both are compared.
    pub fn transact(&mut self, pic: &PocketIc, ledger: Principal, seed: u64, count: u64) {
        let mut random = decant_shapes_model::SplitMix::new(seed);
        for _ in 0..count {
            let [from, to] = [0; 2].map(|_| user(USERS[random.below(USERS.len() as u64) as usize]));
            let amount = u128::from(random.below(SUPPLY as u64 / 4));
            let result: Result<u64, TransferError> =
                update(pic, ledger, from, "transfer", (to, amount, None::<u64>)).expect("the ledger answers");
            self.expect(from, to, amount, result);
        }
        self.compare(pic, ledger);
    }

    /// Sends one small transfer, of an account that has enough.
    pub fn submit_one(&self, pic: &PocketIc, ledger: Principal) -> Result<RawMessageId, RejectResponse> {
        let arguments = candid::encode_args((user(8), 1_u128, None::<u64>)).expect("the arguments encode");
        pic.submit_call(ledger, self.richest(), "transfer", arguments)
    }

    /// The replies to all small transfers that were not rejected: in the order of their blocks they follow
    /// each other.
    pub fn expect_all(&mut self, replies: &[Vec<u8>]) {
        let from = self.richest();
        let mut indexes: Vec<u64> = replies
            .iter()
            .map(|reply| {
                let result: Result<u64, TransferError> =
                    candid::decode_one(reply).expect("the reply decodes");
                result.expect("the account has enough")
            })
            .collect();
        indexes.sort_unstable();
        for index in indexes {
            self.expect(from, user(8), 1, Ok(index));
        }
    }

    /// Who can pay for all small transfers of a test.
    fn richest(&self) -> Principal {
        let richest = self.balances.iter().max_by_key(|(_, balance)| **balance);
        *richest.expect("somebody has the tokens").0
    }

    fn expect(&mut self, from: Principal, to: Principal, amount: u128, result: Result<u64, TransferError>) {
        let balance = self.balances.get(&from).copied().unwrap_or_default();
        match result {
            Ok(index) => {
                assert!(from != to && amount > 0 && amount <= balance);
                assert_eq!(index, self.transfers.len() as u64);
                self.balances.insert(from, balance - amount);
                *self.balances.entry(to).or_default() += amount;
                self.transfers.push((Some(from), to, amount));
            }
            Err(TransferError::BadRequest { .. }) => assert!(from == to || amount == 0),
            Err(error) => {
                assert!(amount > balance);
                assert_eq!(error, TransferError::InsufficientFunds { balance });
            }
        }
    }

    /// Checks every balance and every block.
    pub fn compare(&self, pic: &PocketIc, ledger: Principal) {
        for (account, balance) in &self.balances {
            assert_eq!(ask::<u128>(pic, ledger, "balance_of", (*account,)), *balance);
        }
        let blocks: Vec<Block> = ask(pic, ledger, "blocks", (0_u64, u64::MAX));
        let transfers: Vec<_> = blocks.iter().map(|block| (block.from, block.to, block.amount)).collect();
        assert_eq!(transfers, self.transfers);
        assert_eq!(ask::<u128>(pic, ledger, "total_supply", ()), SUPPLY);
    }
}

/// Everything that a ledger answers.
pub fn answers(pic: &PocketIc, ledger: Principal) -> Answers {
    let tip: CertifiedTip = ask(pic, ledger, "certified_tip", ());
    let count: u64 = ask(pic, ledger, "block_count", ());
    assert_eq!(tip.index + 1, count);
    Answers {
        blocks: ask(pic, ledger, "blocks", (0_u64, u64::MAX)),
        count,
        total_supply: ask(pic, ledger, "total_supply", ()),
        balances: USERS.map(|number| ask(pic, ledger, "balance_of", (user(number),))).to_vec(),
        tip: tip.hash,
        info: Info { upgrades: 0, ..ask(pic, ledger, "info", ()) },
    }
}
