//! Random histories of a `MemoryManager`: what a canister may have done to its stable memory.

use super::SparseMemory;
use decant_layout::PAGE_BYTES;
use ic_stable_structures::Memory;
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager};
use proptest::prelude::*;

/// One operation on the virtual memory of this id.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    /// Grow by pages.
    Grow(u8, u64),
    /// Write `length` bytes from `seed` at a fraction (of 65,536) of the memory.
    Write(u8, u16, usize, u8),
    /// Forget the heap and load the manager from memory, as an upgrade does.
    Reload,
}

/// What happened to a stable memory.
#[derive(Debug, Clone)]
pub(crate) struct History {
    /// Pages of garbage that were there before the manager.
    pub(crate) raw_pages: u64,
    /// What the manager was formatted with.
    pub(crate) bucket_size_pages: u16,
    /// What was done.
    pub(crate) operations: Vec<Operation>,
}

impl History {
    /// Lets ic-stable-structures live through it on a new memory.
    pub(crate) fn live(&self) -> SparseMemory {
        let memory = SparseMemory::with_pages(self.raw_pages);
        for page in 0..self.raw_pages {
            memory.write(page * PAGE_BYTES, &vec![0xA5; PAGE_BYTES as usize]);
        }
        self.live_on(&memory);
        memory
    }

    /// Lets ic-stable-structures live through the operations on a memory that is there.
    pub(crate) fn live_on<M: Memory + Clone>(&self, memory: &M) {
        let mut manager = manager(memory, self.bucket_size_pages);
        for operation in &self.operations {
            match *operation {
                Operation::Grow(id, pages) => {
                    manager.get(MemoryId::new(id)).grow(pages);
                }
                Operation::Write(id, fraction, length, seed) => {
                    let virtual_memory = manager.get(MemoryId::new(id));
                    let end = virtual_memory.size() * PAGE_BYTES;
                    let offset = end * u64::from(fraction) / 65_536;
                    let length = length.min((end - offset) as usize);
                    let bytes: Vec<u8> = (0..length).map(|index| seed.wrapping_add(index as u8)).collect();
                    virtual_memory.write(offset, &bytes);
                }
                Operation::Reload => manager = self::manager(memory, self.bucket_size_pages),
            }
        }
    }
}

/// The manager of a memory, formatted with this bucket size if it is new.
pub(crate) fn manager<M: Memory + Clone>(memory: &M, bucket_size_pages: u16) -> MemoryManager<M> {
    MemoryManager::init_with_bucket_size(memory.clone(), bucket_size_pages)
}

/// Asserts that every virtual memory has the same size and bytes in both, as ic-stable-structures reads them.
pub(crate) fn assert_same_state<M: Memory + Clone>(left: &M, right: &M) {
    let (left, right) = (manager(left, 1), manager(right, 1));
    let page_bytes = PAGE_BYTES as usize;
    let (mut left_page, mut right_page) = (vec![0; page_bytes], vec![0; page_bytes]);
    for id in 0..255 {
        let (left, right) = (left.get(MemoryId::new(id)), right.get(MemoryId::new(id)));
        assert_eq!(left.size(), right.size(), "size of memory {id}");
        for page in 0..left.size() {
            left.read(page * PAGE_BYTES, &mut left_page);
            right.read(page * PAGE_BYTES, &mut right_page);
            assert!(left_page == right_page, "page {page} of memory {id} differs");
        }
    }
}

/// Histories with up to 255 memories and buckets of 1 to 1,024 pages, some after a raw image.
pub(crate) fn histories() -> impl Strategy<Value = History> {
    let ids = prop_oneof![
        3 => proptest::collection::vec(0..255_u8, 1..6),
        1 => Just((0..255).collect()),
    ];
    (ids, prop_oneof![4 => 1..9_u16, 1 => Just(128), 1 => 1..1025_u16], prop_oneof![Just(0), 1..40_u64])
        .prop_flat_map(|(ids, bucket_size_pages, raw_pages)| {
            let operation = operations(ids, u64::from(bucket_size_pages));
            proptest::collection::vec(operation, 0..60).prop_map(move |operations| History {
                raw_pages,
                bucket_size_pages,
                operations,
            })
        })
}

fn operations(ids: Vec<u8>, bucket_size_pages: u64) -> impl Strategy<Value = Operation> {
    let id = proptest::sample::select(ids);
    let around_a_bucket = bucket_size_pages.min(50);
    let grow = prop_oneof![4 => 0..4_u64, 1 => around_a_bucket - 1..around_a_bucket + 2];
    prop_oneof![
        4 => (id.clone(), grow).prop_map(|(id, pages)| Operation::Grow(id, pages)),
        4 => (id, any::<u16>(), 1..150_000_usize, any::<u8>())
            .prop_map(|(id, fraction, length, seed)| Operation::Write(id, fraction, length, seed)),
        1 => Just(Operation::Reload),
    ]
}
