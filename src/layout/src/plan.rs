//! The compact layout of given virtual memories.

use crate::bucket_size::ensure_holds;
use crate::format::FREE;
use crate::layout::end_pages;
use crate::{ExtendError, Layout, PlanError, VirtualMemory};

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
        Self::planned_at(0, sizes_pages, bucket_size_pages)
    }

    /// Like [`planned`](Layout::planned), behind as many pages that are others'.
    ///
    /// # Errors
    /// As [`planned`](Layout::planned).
    pub fn planned_at(
        manager_page: u32,
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
        let stable_size_pages = end_pages(manager_page, allocated_buckets, bucket_size_pages);
        Ok(Self { manager_page, bucket_size_pages, allocated_buckets, stable_size_pages, memories })
    }

    /// The compact layout of the same virtual memories behind the same pages; see [`Layout::planned`].
    ///
    /// # Errors
    /// Any [`PlanError`], except those about ids, which a layout can't cause.
    pub fn compact(&self, bucket_size_pages: u32) -> Result<Self, PlanError> {
        let sizes_pages = self.memories.iter().map(|memory| (memory.id, memory.size_pages));
        Self::planned_at(self.manager_page, sizes_pages, bucket_size_pages)
    }

    /// This layout when its virtual memories have grown to these sizes in pages, and new ones may have come:
    /// no page moves, what is needed besides is appended behind, memory by memory in ascending id. For an image
    /// that was written in part when its source grew.
    ///
    /// Of a planned layout it takes exactly as much as [`Layout::planned`] of the same sizes would, and the
    /// buckets of each memory ascend, as a manager wants them.
    ///
    /// # Errors
    /// [`ExtendError::Shrunk`] if a memory is smaller or gone; any [`PlanError`].
    pub fn extended(&self, sizes_pages: impl IntoIterator<Item = (u8, u64)>) -> Result<Self, ExtendError> {
        let sizes_pages = distinct_sizes(sizes_pages)?;
        for memory in &self.memories {
            let size_pages = sizes_pages.get(usize::from(memory.id)).copied().unwrap_or_default();
            if size_pages < memory.size_pages {
                let had_pages = memory.size_pages;
                return Err(ExtendError::Shrunk { memory: memory.id, had_pages, size_pages });
            }
        }
        let bucket_pages = u64::from(self.bucket_size_pages);
        // A layout that was read may have buckets that no memory uses: they stay so.
        let used_buckets: u64 = self.memories.iter().map(|memory| memory.buckets.len() as u64).sum();
        let free_pages = (u64::from(self.allocated_buckets) - used_buckets) * bucket_pages;
        let held_pages = sizes_pages.iter().copied().chain([free_pages]);
        let allocated_buckets = ensure_holds(held_pages, self.bucket_size_pages).map_err(PlanError::from)?;
        let mut extended = self.clone();
        let mut next_buckets = self.allocated_buckets..allocated_buckets;
        for (id, size_pages) in (0..FREE).zip(sizes_pages) {
            if self.memory_size_pages(id) == size_pages {
                continue;
            }
            let position = match extended.memories.binary_search_by_key(&id, |memory| memory.id) {
                Ok(position) => position,
                Err(position) => {
                    extended.memories.insert(position, VirtualMemory { id, size_pages, buckets: Vec::new() });
                    position
                }
            };
            let Some(memory) = extended.memories.get_mut(position) else { continue };
            let missing = size_pages.div_ceil(bucket_pages) - memory.buckets.len() as u64;
            memory.buckets.extend(next_buckets.by_ref().take(missing as usize));
            memory.size_pages = size_pages;
        }
        extended.allocated_buckets = allocated_buckets;
        extended.stable_size_pages = self.stable_size_pages.max(extended.buckets_end_pages());
        Ok(extended)
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
