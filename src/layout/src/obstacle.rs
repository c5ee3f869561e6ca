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
