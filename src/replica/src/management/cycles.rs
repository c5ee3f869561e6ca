//! Cycles for canisters.

use super::arguments::{OfCanister, TopUp};
use super::call::{Call, Outcome, decode, done};
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
    let amount = settings::number(&arg.amount, "amount")?;
    let mut canister = call.canister_mut(arg.canister_id)?;
    canister.cycles = canister.cycles.saturating_add(amount);
    done()
}
