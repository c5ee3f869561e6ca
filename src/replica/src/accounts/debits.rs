//! Rate limits: what a canister changed and installed, of which every round forgives a share.

use crate::profile::RateLimits;

/// What a canister owes. A canister whose changed memory reaches the limit of a round is not scheduled, and one
/// that owes instructions of installations is not installed (code: `heap_delta_debit`, `install_code_debit`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Debits {
    heap_delta_bytes: u64,
    install_instructions: u64,
    /// The round in which they were that high.
    round: u64,
}

impl Debits {
    /// What is left of them in `round`: the end of each round takes a limit's worth off.
    fn in_round(self, rates: RateLimits, round: u64) -> Self {
        let rounds = round.saturating_sub(self.round);
        Self {
            heap_delta_bytes: self
                .heap_delta_bytes
                .saturating_sub(rounds.saturating_mul(rates.heap_delta_bytes)),
            install_instructions: self
                .install_instructions
                .saturating_sub(rounds.saturating_mul(rates.install_instructions)),
            round,
        }
    }

    /// The changed bytes and their limit, if they reach it.
    pub(crate) fn heap_delta_excess(self, rates: Option<RateLimits>, round: u64) -> Option<(u64, u64)> {
        let rates = rates?;
        let debit = self.in_round(rates, round).heap_delta_bytes;
        (debit >= rates.heap_delta_bytes).then_some((debit, rates.heap_delta_bytes))
    }

    /// Whether it owes instructions of installations.
    pub(crate) fn owes_installations(self, rates: Option<RateLimits>, round: u64) -> bool {
        rates.is_some_and(|rates| self.in_round(rates, round).install_instructions > 0)
    }

    /// Adds changed bytes.
    pub(crate) fn add_heap_delta(&mut self, rates: Option<RateLimits>, round: u64, bytes: u64) {
        let Some(rates) = rates else { return };
        *self = self.in_round(rates, round);
        self.heap_delta_bytes = self.heap_delta_bytes.saturating_add(bytes);
    }

    /// Adds instructions of an installation.
    pub(crate) fn add_installation(&mut self, rates: Option<RateLimits>, round: u64, instructions: u64) {
        let Some(rates) = rates else { return };
        *self = self.in_round(rates, round);
        self.install_instructions = self.install_instructions.saturating_add(instructions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: RateLimits = RateLimits { heap_delta_bytes: 100, install_instructions: 10 };

    #[test]
    fn a_debit_pauses_until_rounds_have_taken_it_below_the_limit() {
        let mut debits = Debits::default();
        debits.add_heap_delta(Some(RATES), 5, 60);
        assert_eq!(debits.heap_delta_excess(Some(RATES), 5), None);
        debits.add_heap_delta(Some(RATES), 5, 190);
        assert_eq!(debits.heap_delta_excess(Some(RATES), 5), Some((250, 100)));
        assert_eq!(debits.heap_delta_excess(Some(RATES), 6), Some((150, 100)));
        assert_eq!(debits.heap_delta_excess(Some(RATES), 7), None);
        debits.add_heap_delta(Some(RATES), 7, 50);
        assert_eq!(debits.heap_delta_excess(Some(RATES), 7), Some((100, 100)));
    }

    #[test]
    fn an_installation_pauses_the_next_one_until_nothing_is_owed() {
        let mut debits = Debits::default();
        debits.add_installation(Some(RATES), 1, 25);
        let pauses = [1, 2, 3, 4].map(|round| debits.owes_installations(Some(RATES), round));
        assert_eq!(pauses, [true, true, true, false]);
        assert!(!debits.owes_installations(None, 1));
    }
}
