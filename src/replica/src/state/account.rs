//! The account of a canister: its balance, and what is taken from it.

use super::Canister;
use crate::accounts::{CannotGrow, Holdings, OutOfCycles, Prepaid, Unaffordable};
use crate::profile::SubnetProfile;
use crate::system_api::host::Effects;

impl Canister {
    /// What it keeps.
    pub(crate) fn holdings(&self) -> Holdings {
        let settings = &self.settings;
        Holdings {
            memory_bytes: self.memory().total(),
            message_bytes: self.calls.reserved_responses() * Holdings::RESPONSE_BYTES,
            allocated_bytes: settings.memory_allocation,
            compute_percent: settings.compute_allocation,
            freezing_seconds: settings.freezing_threshold_seconds,
        }
    }

    /// The balance below which it is frozen (spec, "Freezing threshold").
    pub(crate) fn threshold(&self, profile: &SubnetProfile) -> u128 {
        self.holdings().threshold(profile)
    }

    /// Why `amount` can't be taken, if it can't: the balance must stay at the threshold or above.
    pub(crate) fn affords(&self, profile: &SubnetProfile, amount: u128) -> Result<(), OutOfCycles> {
        self.affords_above(self.threshold(profile), amount)
    }

    fn affords_above(&self, threshold: u128, amount: u128) -> Result<(), OutOfCycles> {
        if self.cycles >= threshold.saturating_add(amount) {
            return Ok(());
        }
        Err(OutOfCycles { canister_id: self.id, available: self.cycles, requested: amount, threshold })
    }

    /// Takes `amount` if it affords that.
    pub(crate) fn withdraw(&mut self, profile: &SubnetProfile, amount: u128) -> Result<(), OutOfCycles> {
        self.affords(profile, amount)?;
        self.pay(amount);
        Ok(())
    }

    /// Takes `amount`, or what there is.
    pub(crate) fn pay(&mut self, amount: u128) {
        let paid = amount.min(self.cycles);
        self.cycles -= paid;
        self.consumed_cycles = self.consumed_cycles.saturating_add(paid);
    }

    /// Gives back what was paid and is not needed.
    pub(crate) fn repay(&mut self, amount: u128) {
        self.cycles = self.cycles.saturating_add(amount);
        self.consumed_cycles = self.consumed_cycles.saturating_sub(amount);
    }

    /// What a message changed of the balance, and what of that it paid: calls that it made, and what it burned.
    pub(crate) fn settle_effects(&mut self, effects: &Effects) {
        // A call that was begun and never made gives its cycles back.
        let begun = effects.building.as_ref().map_or(0, |call| call.cycles);
        // Others may have changed the balance meanwhile, where the message took several rounds.
        let (before, after) = (effects.balance_at_start, effects.balance.saturating_add(begun));
        self.cycles = self.cycles.saturating_add(after.saturating_sub(before));
        self.cycles = self.cycles.saturating_sub(before.saturating_sub(after));
        self.consumed_cycles = self.consumed_cycles.saturating_add(effects.burned + effects.fees);
    }

    /// Takes `amount` for work after which it keeps `memory_bytes`: more memory must not freeze it (spec,
    /// `take_canister_snapshot` and others: "the canister's balance must have a sufficient amount of cycles so
    /// that the canister does not become frozen"; code: `cycles_and_memory_usage_checks`).
    pub(crate) fn charge_with_growth(
        &mut self,
        profile: &SubnetProfile,
        amount: u128,
        memory_bytes: u64,
    ) -> Result<(), Unaffordable> {
        let before = self.holdings();
        let threshold = before.with_memory(memory_bytes).threshold(profile);
        if self.cycles < threshold {
            let bytes = memory_bytes.saturating_sub(before.memory_bytes);
            return Err(Unaffordable::Memory(CannotGrow { bytes, missing: threshold - self.cycles }));
        }
        self.affords_above(threshold, amount).map_err(Unaffordable::Work)?;
        self.pay(amount);
        Ok(())
    }

    /// Takes what `instructions` may cost.
    pub(crate) fn prepay(
        &mut self,
        profile: &SubnetProfile,
        instructions: u64,
        is_wasm64: bool,
    ) -> Result<Prepaid, OutOfCycles> {
        let prepaid =
            Prepaid::new(profile.execution_cycles(instructions, is_wasm64), instructions, is_wasm64);
        self.withdraw(profile, prepaid.cycles())?;
        Ok(prepaid)
    }

    /// Gives back what `used` instructions leave of what was prepaid.
    pub(crate) fn settle(&mut self, prepaid: Prepaid, profile: &SubnetProfile, used: u64) {
        self.repay(prepaid.unused(profile, used));
    }

    /// Takes the price of what it kept for `seconds`; `false` if it can't pay it.
    pub(crate) fn pay_for_storage(&mut self, profile: &SubnetProfile, seconds: u64) -> bool {
        let price = self.holdings().idle_cycles(profile, seconds);
        let can_pay = self.cycles >= price;
        self.pay(price);
        can_pay
    }
}
