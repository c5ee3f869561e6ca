//! Why an image is left as it is: one verdict for canisters and for the command.

use crate::{Layout, Leftover, Tail};

/// What somebody who knows the canister's code accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    /// What lies behind the last bucket may be dropped.
    pub tail_is_dropped: bool,
    /// Free buckets are there for another reason than a live heap that knows another order.
    pub free_buckets: bool,
}

/// Why an image is not moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// Something lies behind the last bucket. Whoever reads it does so by its page number, so no image that is
    /// smaller can hold it.
    #[error("{0}")]
    Tail(Leftover),
    /// Only ic-stable-structures 0.7.1 frees buckets, and its heap may know another order than the table.
    #[error(
        "{free_buckets} buckets are free, as only ic-stable-structures 0.7.1 leaves them: a canister that still runs it may \
         know another order of its buckets than stable memory holds, and any upgrade, or a copy, scrambles its state. What \
         runs another version since then, and was looked at, is as its header says"
    )]
    FreeBuckets {
        /// How many.
        free_buckets: u16,
    },
    /// What is in a memory of another manager moves with that one: its header would go on to claim pages that are gone.
    #[error(
        "page {manager_page} lies inside of the MemoryManager at page {outer_page}, which ends at page {end_page}: what is in one \
         of its memories can't be repacked by itself"
    )]
    Inside {
        /// Where the manager is that is to be moved.
        manager_page: u32,
        /// Where the other one begins.
        outer_page: u32,
        /// The page after its last bucket.
        end_page: u64,
    },
}

impl Layout {
    /// Whether what this layout and its tail hold can be moved to a compact image without losing a byte that is not
    /// known to be dead. Canisters and the command ask this, and nothing else, once they have looked at the tail.
    ///
    /// # Errors
    /// The first [`Obstacle`] that is not accepted.
    pub fn check(&self, tail: &Tail, accepted: Accepted) -> Result<(), Obstacle> {
        if let Tail::InUse(leftover) = tail
            && !accepted.tail_is_dropped
        {
            return Err(Obstacle::Tail(leftover.clone()));
        }
        self.check_buckets(accepted)
    }

    /// Whether a manager that begins at that page behind this one is none of its memories' business.
    ///
    /// # Errors
    /// [`Obstacle::Inside`].
    pub fn check_apart(&self, manager_page: u32) -> Result<(), Obstacle> {
        let end_page = self.buckets_end_pages().min(self.stable_size_pages());
        match self.manager_page() < manager_page && u64::from(manager_page) < end_page {
            true => Err(Obstacle::Inside { manager_page, outer_page: self.manager_page(), end_page }),
            false => Ok(()),
        }
    }

    /// As [`check`](Layout::check), as far as it can be said before the tail was looked at.
    ///
    /// # Errors
    /// [`Obstacle::FreeBuckets`].
    pub fn check_buckets(&self, accepted: Accepted) -> Result<(), Obstacle> {
        match self.usage().free_buckets {
            0 => Ok(()),
            _ if accepted.free_buckets => Ok(()),
            free_buckets => Err(Obstacle::FreeBuckets { free_buckets }),
        }
    }
}
