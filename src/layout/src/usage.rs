//! What is used and what is wasted.

use crate::zeros::is_zero;
use crate::{Layout, PAGE_BYTES, VirtualMemory};

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

/// Pages of a whole image: prefix + header page + allocated + free − missing + tail = stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Size of stable memory.
    pub stable_pages: u64,
    /// Pages before the manager, which are others'.
    pub prefix_pages: u64,
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
    /// Pages of the last buckets that stable memory does not have: none of them is in use, and the manager grows them
    /// when it needs them. It never leaves them out by itself; headers that were made by hand do.
    pub missing_pages: u64,
    /// Pages behind the last bucket, whatever is in them ([`TailScan`](crate::TailScan)): the manager does not know
    /// them. A compact layout drops them.
    pub tail_pages: u64,
}

impl Usage {
    /// Pages that a compact image with buckets of one page would give back.
    pub fn reclaimable_pages(&self) -> u64 {
        self.wasted_pages + self.free_pages + self.tail_pages - self.missing_pages
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
            prefix_pages: u64::from(self.manager_page),
            used_pages: 0,
            allocated_pages: 0,
            wasted_pages: 0,
            free_buckets: self.allocated_buckets,
            free_pages: 0,
            missing_pages: self.buckets_end_pages().saturating_sub(self.stable_size_pages),
            tail_pages: self.stable_size_pages.saturating_sub(self.buckets_end_pages()),
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

    /// Pages in use of a virtual memory that hold nothing but zeros. `read(offset_bytes, buffer)` reads the image, a page
    /// at a time: all pages of that memory.
    ///
    /// # Errors
    /// What `read` says.
    pub fn zero_pages<E>(
        &self,
        memory: u8,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut page = vec![0; PAGE_BYTES as usize];
        let mut zeros = 0;
        for run in self.runs(memory) {
            for index in 0..run.length_pages {
                read((run.physical_page + index) * PAGE_BYTES, &mut page)?;
                zeros += u64::from(is_zero(&page));
            }
        }
        Ok(zeros)
    }
}
