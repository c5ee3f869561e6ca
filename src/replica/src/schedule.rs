//! What the specification leaves open: in which order canisters, senders and responses have their turn.

/// Decides it. Without a seed always in the same way, as the platform does when nothing disturbs it; with one
/// by chance, and by the same chance in every run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schedule {
    /// State of the generator; `None`: no chance.
    state: Option<u64>,
}

impl Schedule {
    /// A schedule by the seed, if there is one.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self { state: seed }
    }

    /// Whether it is by chance.
    pub(crate) fn is_seeded(&self) -> bool {
        self.state.is_some()
    }

    /// A number below `end`; 0 without a seed.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        // The bias of a remainder does not matter: every order has its chance.
        self.next().map_or(0, |bits| (bits % end.max(1) as u64) as usize)
    }

    /// Permutes; without a seed leaves the order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        if self.is_seeded() {
            for last in (1..items.len()).rev() {
                items.swap(last, self.below(last + 1));
            }
        }
    }

    /// Whether a canister with work has no turn in this round: nobody is promised one. Never without a seed.
    pub(crate) fn passes_over(&mut self) -> bool {
        /// One in so many.
        const ODDS: usize = 8;
        self.is_seeded() && self.below(ODDS) == 0
    }

    /// SplitMix64.
    fn next(&mut self) -> Option<u64> {
        let state = self.state.as_mut()?;
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = *state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(bits ^ (bits >> 31))
    }
}
