//! The ledger itself.

use std::cell::RefCell;

use candid::Principal;
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager, VirtualMemory};
use ic_stable_structures::{DefaultMemoryImpl, StableBTreeMap, StableCell, StableVec};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

use crate::heap::HeapState;
use crate::types::{
    Account, Block, CertifiedTip, Config, Info, InitArguments, MintError, TransferError, UpgradeArguments,
    to_cbor,
};

type Memory = VirtualMemory<DefaultMemoryImpl>;

const CONFIG: MemoryId = MemoryId::new(0);
const ACCOUNTS: MemoryId = MemoryId::new(1);
const BLOCKS: MemoryId = MemoryId::new(2);
const UPGRADES: MemoryId = MemoryId::new(3);

/// Blocks that one reply carries: 2 MiB at 256 bytes each, with room to spare.
const PAGE: u64 = 2_000;

thread_local! {
    static LEDGER: RefCell<Option<Ledger>> = const { RefCell::new(None) };
}

/// Everything.
pub(crate) struct Ledger {
    config: StableCell<Config, Memory>,
    accounts: StableBTreeMap<Account, u128, Memory>,
    blocks: StableVec<Block, Memory>,
    upgrades: Memory,
    heap: HeapState,
}

/// Looks at the ledger.
pub(crate) fn look<R>(look: impl FnOnce(&Ledger) -> R) -> R {
    LEDGER.with_borrow(|ledger| look(ledger.as_ref().expect("init or post_upgrade made it")))
}

/// Changes the ledger.
pub(crate) fn change<R>(change: impl FnOnce(&mut Ledger) -> R) -> R {
    LEDGER.with_borrow_mut(|ledger| change(ledger.as_mut().expect("init or post_upgrade made it")))
}

/// Begins. The upgrade memory is written at once, so that it never holds less than a state.
pub(crate) fn create(arguments: InitArguments) {
    let InitArguments { name, minter, initial_supply } = arguments;
    let mut ledger = Ledger::open(Config { name, minter, upgrades: 0 });
    if initial_supply > 0
        && let Err(error) = ledger.mint(minter, minter, initial_supply)
    {
        ic_cdk::trap(format!("the initial supply: {error:?}"));
    }
    ledger.save();
    LEDGER.set(Some(ledger));
}

/// Goes on after an upgrade.
pub(crate) fn restore(arguments: Option<UpgradeArguments>) {
    let nobody = Config { name: String::new(), minter: Principal::anonymous(), upgrades: 0 };
    let mut ledger = Ledger::open(nobody);
    ledger.heap = HeapState::load(&ledger.upgrades);
    let mut config = ledger.config.get().clone();
    config.upgrades += 1;
    if let Some(name) = arguments.and_then(|arguments| arguments.name) {
        config.name = name;
    }
    ledger.config.set(config);
    LEDGER.set(Some(ledger));
}

impl Ledger {
    /// What stable memory holds; with that configuration if it holds none.
    fn open(config: Config) -> Self {
        let manager = MemoryManager::init(DefaultMemoryImpl::default());
        Self {
            config: StableCell::init(manager.get(CONFIG), config),
            accounts: StableBTreeMap::init(manager.get(ACCOUNTS)),
            blocks: StableVec::init(manager.get(BLOCKS)),
            upgrades: manager.get(UPGRADES),
            heap: HeapState::default(),
        }
    }

    /// The body of `pre_upgrade`.
    pub(crate) fn save(&mut self) {
        self.heap.save(&self.upgrades);
    }

    pub(crate) fn transfer(
        &mut self,
        from: Principal,
        to: Principal,
        amount: u128,
        created_at: Option<u64>,
    ) -> Result<u64, TransferError> {
        let bad_request = |reason: &str| Err(TransferError::BadRequest { reason: reason.to_owned() });
        if amount == 0 {
            return bad_request("nothing is not an amount");
        }
        if from == to {
            return bad_request("an account can't pay itself");
        }
        let transaction = created_at.map(|created_at| {
            ByteBuf::from(Sha256::digest(to_cbor(&(from, to, amount, created_at))).to_vec())
        });
        if let Some(of_block) = transaction.as_ref().and_then(|transaction| self.heap.block_of(transaction)) {
            return Err(TransferError::Duplicate { of_block });
        }
        let balance = self.balance_of(from);
        let Some(left) = balance.checked_sub(amount) else {
            return Err(TransferError::InsufficientFunds { balance });
        };
        self.set_balance(from, left);
        // The total supply fits, so does each balance.
        self.set_balance(to, self.balance_of(to) + amount);
        let block = self.append(Some(from), to, amount, created_at);
        if let Some(transaction) = transaction {
            self.heap.remember(transaction, block);
        }
        Ok(block)
    }

    pub(crate) fn mint(&mut self, caller: Principal, to: Principal, amount: u128) -> Result<u64, MintError> {
        let minter = self.config.get().minter;
        if caller != minter {
            return Err(MintError::NotMinter { minter });
        }
        let total_supply = self.heap.total_supply;
        self.heap.total_supply =
            total_supply.checked_add(amount).ok_or(MintError::TooMany { total_supply })?;
        self.set_balance(to, self.balance_of(to) + amount);
        Ok(self.append(None, to, amount, None))
    }

    pub(crate) fn balance_of(&self, account: Principal) -> u128 {
        self.accounts.get(&Account(account)).unwrap_or_default()
    }

    pub(crate) fn total_supply(&self) -> u128 {
        self.heap.total_supply
    }

    pub(crate) fn blocks(&self, from: u64, count: u64) -> Vec<Block> {
        let end = from.saturating_add(count.min(PAGE)).min(self.blocks.len());
        (from..end).filter_map(|index| self.blocks.get(index)).collect()
    }

    pub(crate) fn block_count(&self) -> u64 {
        self.blocks.len()
    }

    pub(crate) fn certified_tip(&self) -> CertifiedTip {
        CertifiedTip {
            index: self.blocks.len().saturating_sub(1),
            hash: self.heap.tip.clone(),
            certificate: ic_cdk::api::data_certificate().map(ByteBuf::from),
        }
    }

    pub(crate) fn info(&self) -> Info {
        let Config { name, minter, upgrades } = self.config.get().clone();
        Info { name, minter, upgrades, recent: self.heap.recent() }
    }

    fn set_balance(&mut self, account: Principal, balance: u128) {
        match balance {
            0 => self.accounts.remove(&Account(account)),
            _ => self.accounts.insert(Account(account), balance),
        };
    }

    fn append(
        &mut self,
        from: Option<Principal>,
        to: Principal,
        amount: u128,
        created_at: Option<u64>,
    ) -> u64 {
        let timestamp_nanos = ic_cdk::api::time();
        let block = Block { parent: self.heap.tip.clone(), from, to, amount, created_at, timestamp_nanos };
        let hash = Sha256::digest(to_cbor(&block));
        ic_cdk::api::certified_data_set(hash);
        self.heap.tip = ByteBuf::from(hash.to_vec());
        self.blocks.push(&block);
        self.blocks.len() - 1
    }
}
