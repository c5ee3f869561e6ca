//! What is used and what is wasted.

use crate::layout::end_pages;
use crate::{Layout, VirtualMemory};

/// Pages of one virtual memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryUsage {
    /// Its `MemoryId`, 0 to 254.
    pub id: u8,
    /// Its size: pages that may hold data.
    pub used_pages: u64,
    /// Pages of its buckets.
    pub allocated_pages: u64,
    /// Pages of its last bucket that it has not grown into.
    pub wasted_pages: u64,
}

/// Pages of a whole image: header page + allocated + free + tail = stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Size of stable memory.
    pub stable_pages: u64,
    /// Sizes of all virtual memories together.
    pub used_pages: u64,
    /// Pages of all buckets that a virtual memory owns.
    pub allocated_pages: u64,
    /// Allocated pages that no virtual memory has grown into.
    pub wasted_pages: u64,
    /// Buckets that were dealt out and belong to nobody: only `reclaim_memory` of version 0.7.1 leaves them.
    pub free_buckets: u16,
    /// Pages of these free buckets.
    pub free_pages: u64,
    /// Pages behind the last bucket. The manager did not grow them: mostly what is left of a raw image that
    /// was larger, but a canister may keep something there by other means. A compact layout drops them.
    pub tail_pages: u64,
}

impl Usage {
    /// Pages that a compact image with buckets of one page would give back.
    pub fn reclaimable_pages(&self) -> u64 {
        self.wasted_pages + self.free_pages + self.tail_pages
    }
}

impl Layout {
    /// Used, allocated and wasted pages of every virtual memory, ascending by id.
    pub fn memory_usage(&self) -> impl Iterator<Item = MemoryUsage> {
        let bucket_size_pages = u64::from(self.bucket_size_pages);
        self.memories.iter().map(move |VirtualMemory { id, size_pages, buckets }| {
            let allocated_pages = buckets.len() as u64 * bucket_size_pages;
            MemoryUsage {
                id: *id,
                used_pages: *size_pages,
                allocated_pages,
                wasted_pages: allocated_pages - size_pages,
            }
        })
    }

    /// Used, allocated, wasted, free and tail pages of the image.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage {
            stable_pages: self.stable_size_pages,
            used_pages: 0,
            allocated_pages: 0,
            wasted_pages: 0,
            free_buckets: self.allocated_buckets,
            free_pages: 0,
            tail_pages: self.stable_size_pages - end_pages(self.allocated_buckets, self.bucket_size_pages),
        };
        for memory in self.memory_usage() {
            usage.used_pages += memory.used_pages;
            usage.allocated_pages += memory.allocated_pages;
            usage.wasted_pages += memory.wasted_pages;
        }
        for memory in &self.memories {
            usage.free_buckets -= memory.buckets.len() as u16;
        }
        usage.free_pages = u64::from(usage.free_buckets) * u64::from(self.bucket_size_pages);
        usage
    }
}
