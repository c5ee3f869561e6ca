//! Sending cycles away before a canister is deleted: what is left is burned.

use candid::{CandidType, Principal};
use decant_api::KitError;
use ic_cdk::api::canister_liquid_cycle_balance;
use ic_cdk::call::Call;

use crate::limits::DRAIN_HEADROOM_CYCLES;
use crate::target::call_failed;

const DEPOSIT: &str = "deposit_cycles";

#[derive(CandidType)]
struct DepositArgs {
    canister_id: Principal,
}

/// Sends all cycles to a canister, but for `keep`, the freezing reserve and what the call itself may cost;
/// answers how many. What the call reserves for its reply comes back afterwards and stays: nothing can be
/// sent without it.
///
/// # Errors
/// [`KitError::CallFailed`], and the cycles are still here. Cycles travel in a call without deadline, so the
/// outcome is always known.
pub async fn send_all_but(keep: u128, to: Principal) -> Result<u128, KitError> {
    let management = Principal::management_canister();
    let call = Call::unbounded_wait(management, DEPOSIT).with_arg(DepositArgs { canister_id: to });
    let reserved = keep.saturating_add(call.get_cost()).saturating_add(DRAIN_HEADROOM_CYCLES);
    let amount = canister_liquid_cycle_balance().saturating_sub(reserved);
    if amount == 0 {
        return Ok(0);
    }
    match call.with_cycles(amount).await {
        Ok(_) => Ok(amount),
        Err(error) => Err(call_failed(management, DEPOSIT, &error)),
    }
}
