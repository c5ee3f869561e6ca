//! The global timer of a fenced canister: it must not fire, and nobody may notice afterwards.

use std::num::NonZeroU64;

use ic_cdk::api::global_timer_set;

/// The deadline that was taken away.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ParkedTimer(Option<NonZeroU64>);

impl ParkedTimer {
    /// Disarms the global timer. Of several deadlines that were taken away the first one counts: a timer
    /// library keeps its own queue and arms the timer for whatever comes first.
    pub(crate) fn park(&mut self) {
        self.0 = earliest(self.0, NonZeroU64::new(global_timer_set(0)));
    }

    /// Arms the global timer for the deadline that was taken away, if there was one. A deadline in the past
    /// fires at once, so the library finds everything as if the canister had been busy for a while.
    pub(crate) fn restore(&mut self) {
        self.park();
        if let Some(deadline) = self.0.take() {
            global_timer_set(deadline.get());
        }
    }
}

fn earliest(one: Option<NonZeroU64>, other: Option<NonZeroU64>) -> Option<NonZeroU64> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_of_several_deadlines_is_kept() {
        let [early, late] = [NonZeroU64::new(3), NonZeroU64::new(7)];
        assert_eq!(earliest(None, None), None);
        assert_eq!(earliest(late, None), late);
        assert_eq!(earliest(late, early), early);
        assert_eq!(earliest(early, late), early);
    }
}
