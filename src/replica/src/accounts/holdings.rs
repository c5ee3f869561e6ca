//! What a canister keeps, and what it costs to keep it.

use crate::costs::limits;
use crate::profile::SubnetProfile;

/// Seconds of a day.
const DAY_SECONDS: u64 = 24 * 60 * 60;

/// What decides how much a canister pays while nothing happens, and below which balance it is frozen (spec,
/// "Freezing threshold"; code: `idle_cycles_burned_rate`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Holdings {
    /// Heap, stable memory, code, chunks, snapshots, history.
    pub(crate) memory_bytes: u64,
    /// Kept free for responses under way.
    pub(crate) message_bytes: u64,
    /// Bytes paid for in any case.
    pub(crate) allocated_bytes: u64,
    /// Percent.
    pub(crate) compute_percent: u64,
    /// Seconds for which a canister that is not frozen can go on.
    pub(crate) freezing_seconds: u64,
}

impl Holdings {
    /// Bytes that are kept free for the response to a call that waits for as long as it takes (code:
    /// `MAX_RESPONSE_COUNT_BYTES`, the payload alone).
    pub(crate) const RESPONSE_BYTES: u64 = limits::INTER_CANISTER_PAYLOAD_BYTES;

    /// The same with other memory.
    pub(crate) fn with_memory(self, memory_bytes: u64) -> Self {
        Self { memory_bytes, ..self }
    }

    /// The same with room for `count` more responses.
    pub(crate) fn with_more_responses(self, count: u64) -> Self {
        Self { message_bytes: self.message_bytes + count * Self::RESPONSE_BYTES, ..self }
    }

    /// Cycles that they take in a day.
    pub(crate) fn idle_cycles_per_day(&self, profile: &SubnetProfile) -> u128 {
        let kept_bytes = self.memory_bytes.max(self.allocated_bytes);
        let messages_bytes = if profile.counts_messages { self.message_bytes } else { 0 };
        let is_anything = kept_bytes > 0;
        profile.storage_cycles(kept_bytes, DAY_SECONDS)
            + profile.storage_cycles(messages_bytes, DAY_SECONDS)
            + if is_anything { profile.presence_cycles(DAY_SECONDS) } else { 0 }
            + profile.compute_cycles(self.compute_percent, DAY_SECONDS)
    }

    /// Cycles that they take in `seconds`.
    pub(crate) fn idle_cycles(&self, profile: &SubnetProfile, seconds: u64) -> u128 {
        self.idle_cycles_per_day(profile).saturating_mul(u128::from(seconds)) / u128::from(DAY_SECONDS)
    }

    /// The balance below which a canister that has them is frozen.
    pub(crate) fn threshold(&self, profile: &SubnetProfile) -> u128 {
        self.idle_cycles(profile, self.freezing_seconds)
    }
}
