//! Cycles taken in advance for instructions that a message may use.

use crate::profile::SubnetProfile;

/// What was taken. Dropping it burns it: whoever gets one settles it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what was prepaid and not used goes back to the canister"]
pub(crate) struct Prepaid {
    cycles: u128,
    instructions: u64,
    is_wasm64: bool,
}

impl Prepaid {
    /// `cycles` for at most `instructions` and a base fee.
    pub(crate) fn new(cycles: u128, instructions: u64, is_wasm64: bool) -> Self {
        Self { cycles, instructions, is_wasm64 }
    }

    /// All of it.
    pub(crate) fn cycles(&self) -> u128 {
        self.cycles
    }

    /// What `used` instructions leave of it; the base fee is spent (code: `refund_unused_execution_cycles`).
    pub(crate) fn unused(self, profile: &SubnetProfile, used: u64) -> u128 {
        let unused = profile.instruction_cycles(self.instructions.saturating_sub(used), self.is_wasm64);
        unused.min(self.cycles)
    }
}
