//! Cycles for canisters.

use super::arguments::{OfCanister, TopUp};
use super::call::{Call, Outcome, decode, done};
use super::creation::DEFAULT_PROVISIONAL_CYCLES;
use super::settings;

pub(super) fn deposit(call: &mut Call<'_>) -> Outcome {
    let arg: OfCanister = decode(call)?;
    call.canister(arg.canister_id)?;
    let amount = std::mem::take(call.cycles);
    let mut canister = call.canister_mut(arg.canister_id)?;
    canister.cycles = canister.cycles.saturating_add(amount);
    done()
}

pub(super) fn provisional_top_up(call: &mut Call<'_>) -> Outcome {
    let arg: TopUp = decode(call)?;
    let amount = match &arg.amount {
        Some(amount) => settings::number(amount, "amount")?,
        None => DEFAULT_PROVISIONAL_CYCLES,
    };
    let mut canister = call.canister_mut(arg.canister_id)?;
    canister.cycles = canister.cycles.saturating_add(amount);
    done()
}
