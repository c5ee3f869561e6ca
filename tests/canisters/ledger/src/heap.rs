//! What the ledger keeps on its heap, and how it gets through an upgrade: a length and CBOR, at the beginning
//! of a memory of its own.

use std::collections::{BTreeMap, VecDeque};

use ic_stable_structures::Memory;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::types::{from_cbor, to_cbor};

/// Transactions that are remembered.
const RECENT: usize = 1_000;
/// Bytes of a page.
const PAGE_BYTES: u64 = 65_536;
/// Bytes of the length.
const LENGTH_BYTES: u64 = 8;

/// The heap's part of the state.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct HeapState {
    pub(crate) total_supply: u128,
    /// Hash of the last block.
    pub(crate) tip: ByteBuf,
    /// Blocks of recent transactions, by hash.
    recent: BTreeMap<ByteBuf, u64>,
    /// The same hashes, oldest first.
    order: VecDeque<ByteBuf>,
}

impl HeapState {
    /// The block of a transaction, if it was recent.
    pub(crate) fn block_of(&self, transaction: &ByteBuf) -> Option<u64> {
        self.recent.get(transaction).copied()
    }

    pub(crate) fn remember(&mut self, transaction: ByteBuf, block: u64) {
        self.order.push_back(transaction.clone());
        self.recent.insert(transaction, block);
        if self.order.len() > RECENT
            && let Some(oldest) = self.order.pop_front()
        {
            self.recent.remove(&oldest);
        }
    }

    pub(crate) fn recent(&self) -> u64 {
        self.recent.len() as u64
    }

    pub(crate) fn save(&self, memory: &impl Memory) {
        let bytes = to_cbor(self);
        let needed_pages = (LENGTH_BYTES + bytes.len() as u64).div_ceil(PAGE_BYTES);
        let missing_pages = needed_pages.saturating_sub(memory.size());
        assert_ne!(memory.grow(missing_pages), -1, "stable memory grows by {missing_pages} pages");
        memory.write(0, &(bytes.len() as u64).to_le_bytes());
        memory.write(LENGTH_BYTES, &bytes);
    }

    pub(crate) fn load(memory: &impl Memory) -> Self {
        let mut length = [0; LENGTH_BYTES as usize];
        memory.read(0, &mut length);
        let mut bytes = vec![0; u64::from_le_bytes(length) as usize];
        memory.read(LENGTH_BYTES, &mut bytes);
        from_cbor(&bytes)
    }
}
