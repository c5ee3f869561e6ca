//! The compact layout of given virtual memories.

use crate::bucket_size::ensure_holds;
use crate::format::FREE;
use crate::layout::end_pages;
use crate::{Layout, PlanError, VirtualMemory};

impl Layout {
    /// The compact layout of virtual memories of these ids and sizes in pages: buckets without gaps, memory
    /// by memory in ascending id, nothing behind them. Memories of 0 pages are left out, as the manager does.
    ///
    /// Its [`stable_size_pages`](Layout::stable_size_pages) is 1 + the sum over all memories of
    /// size / bucket size, rounded up, × bucket size.
    ///
    /// # Errors
    /// Any [`PlanError`]: a bucket size the header can't hold, too many buckets (with the smallest bucket
    /// size that would do), id 255, an id listed twice.
    pub fn planned(
        sizes_pages: impl IntoIterator<Item = (u8, u64)>,
        bucket_size_pages: u32,
    ) -> Result<Self, PlanError> {
        let bucket_size_pages = match u16::try_from(bucket_size_pages) {
            Ok(size_pages) if size_pages > 0 => size_pages,
            _ => return Err(PlanError::BucketSize { bucket_size_pages }),
        };
        let sizes_pages = distinct_sizes(sizes_pages)?;
        let sizes = || sizes_pages.iter().copied();
        let allocated_buckets = ensure_holds(sizes(), bucket_size_pages)?;
        let mut free_buckets = 0..allocated_buckets;
        let mut memories = Vec::new();
        for (id, size_pages) in (0..FREE).zip(sizes()).filter(|&(_, size_pages)| size_pages > 0) {
            let count = size_pages.div_ceil(u64::from(bucket_size_pages));
            let buckets = free_buckets.by_ref().take(count as usize).collect();
            memories.push(VirtualMemory { id, size_pages, buckets });
        }
        let stable_size_pages = end_pages(allocated_buckets, bucket_size_pages);
        Ok(Self { bucket_size_pages, allocated_buckets, stable_size_pages, memories })
    }

    /// The compact layout of the same virtual memories; see [`Layout::planned`].
    ///
    /// # Errors
    /// Any [`PlanError`], except those about ids, which a layout can't cause.
    pub fn compact(&self, bucket_size_pages: u32) -> Result<Self, PlanError> {
        let sizes_pages = self.memories.iter().map(|memory| (memory.id, memory.size_pages));
        Self::planned(sizes_pages, bucket_size_pages)
    }
}

/// Sizes in pages by id.
fn distinct_sizes(sizes_pages: impl IntoIterator<Item = (u8, u64)>) -> Result<Vec<u64>, PlanError> {
    let mut by_id = vec![None; usize::from(FREE)];
    for (memory, size_pages) in sizes_pages {
        let slot = by_id.get_mut(usize::from(memory)).ok_or(PlanError::ReservedMemoryId)?;
        if slot.replace(size_pages).is_some() {
            return Err(PlanError::DuplicateMemory { memory });
        }
    }
    Ok(by_id.into_iter().map(Option::unwrap_or_default).collect())
}
