//! Which bucket size holds how much.

use crate::{BucketSizeError, MAX_BUCKETS};

/// The largest bucket size that is a power of two and that the header can hold.
const LARGEST_POWER_PAGES: u16 = 1 << 15;

/// Pages of virtual memory that buckets of this size can hold at most, when no bucket is used in part.
pub fn max_managed_pages(bucket_size_pages: u16) -> u64 {
    MAX_BUCKETS * u64::from(bucket_size_pages)
}

/// Buckets that virtual memories of these sizes take. A bucket size of 0 counts as 1; a sum past `u64::MAX`
/// answers `u64::MAX`.
pub fn buckets_needed(sizes_pages: impl IntoIterator<Item = u64>, bucket_size_pages: u16) -> u64 {
    let bucket_size_pages = u64::from(bucket_size_pages.max(1));
    let buckets = sizes_pages.into_iter().map(|size_pages| size_pages.div_ceil(bucket_size_pages));
    buckets.fold(0, u64::saturating_add)
}

/// The smallest bucket size, a power of two, whose 32,768 buckets hold the projected sizes of all memories,
/// each grown by `headroom_percent`.
///
/// Choose from projected growth, not from least waste: once formatted, a bucket size is for good, and past
/// its last bucket `grow` answers -1.
///
/// # Errors
/// [`BucketSizeError::None`], with the figure, if not even buckets of 32,768 pages hold it.
pub fn choose_bucket_size_pages(
    projected_sizes_pages: &[u64],
    headroom_percent: u32,
) -> Result<u16, BucketSizeError> {
    let grown =
        || projected_sizes_pages.iter().map(|&size_pages| with_headroom(size_pages, headroom_percent));
    smallest_that_holds(grown)
}

/// Checks that 32,768 buckets of this size hold the projected sizes of all memories, each grown by
/// `headroom_percent`.
///
/// # Errors
/// [`BucketSizeError::TooSmall`] with the buckets that would be needed and the smallest bucket size that
/// would do, or [`BucketSizeError::None`] if none would. A bucket size of 0 counts as 1.
pub fn ensure_bucket_size_holds(
    projected_sizes_pages: &[u64],
    headroom_percent: u32,
    bucket_size_pages: u16,
) -> Result<(), BucketSizeError> {
    let grown = projected_sizes_pages.iter().map(|&size_pages| with_headroom(size_pages, headroom_percent));
    ensure_holds(grown, bucket_size_pages).map(|_| ())
}

/// Buckets of this size that the sizes take, if there are as many.
pub(crate) fn ensure_holds(
    sizes_pages: impl Iterator<Item = u64> + Clone,
    bucket_size_pages: u16,
) -> Result<u16, BucketSizeError> {
    let needed_buckets = buckets_needed(sizes_pages.clone(), bucket_size_pages);
    match u16::try_from(needed_buckets) {
        Ok(buckets) if needed_buckets <= MAX_BUCKETS => Ok(buckets),
        _ => Err(BucketSizeError::TooSmall {
            bucket_size_pages,
            needed_buckets,
            smallest_bucket_size_pages: smallest_that_holds(|| sizes_pages.clone())?,
        }),
    }
}

fn smallest_that_holds<I: Iterator<Item = u64>>(sizes_pages: impl Fn() -> I) -> Result<u16, BucketSizeError> {
    let mut bucket_size_pages = 1_u16;
    loop {
        let needed_buckets = buckets_needed(sizes_pages(), bucket_size_pages);
        if needed_buckets <= MAX_BUCKETS {
            return Ok(bucket_size_pages);
        }
        if bucket_size_pages == LARGEST_POWER_PAGES {
            return Err(BucketSizeError::None { needed_buckets });
        }
        bucket_size_pages *= 2;
    }
}

fn with_headroom(size_pages: u64, headroom_percent: u32) -> u64 {
    let grown = (u128::from(size_pages) * (100 + u128::from(headroom_percent))).div_ceil(100);
    u64::try_from(grown).unwrap_or(u64::MAX)
}
