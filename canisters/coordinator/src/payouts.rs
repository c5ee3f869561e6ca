//! What is left over is taken out: canisters of the pool into the coordinator, by whoever operates it; cycles out of the
//! coordinator, by governance alone.

use crate::management::{self, OfCanister};
use crate::money::{self, FLOOR_CYCLES, Prices};
use crate::outcomes::is_gone;
use crate::{pool, replies, vessels};
use candid::{CandidType, Nat, Principal};
use decant_api::KitError;
use decant_api::payout::{Payee, Payout};
use decant_api::source::DrainArgs;
use decant_engine::Outcome;
use ic_cdk::api::canister_liquid_cycle_balance;
use ic_cdk::call::Call;
use serde::Deserialize;
use serde_bytes::ByteBuf;

#[cfg(test)]
mod tests;

/// Cycles that a canister keeps for the messages up to its deletion.
const KEPT_CYCLES: u128 = 1_000_000_000;

/// Deletes a canister of the pool, after a look, and takes its cycles: it runs the vessel for a moment, which sends them. It
/// may be repeated.
///
/// # Errors
/// Why it is left as it is.
pub(crate) async fn delete_pooled(canister: Principal) -> Result<(), String> {
    let held = pool::hold_for_deletion(canister)?;
    let deleted = match pool::check(canister).await {
        Ok(None) => Ok(()),
        Ok(Some(_)) => empty_and_delete(canister).await,
        Err(why) => Err(why),
    };
    held.ended(&deleted);
    deleted
}

async fn empty_and_delete(canister: Principal) -> Result<(), String> {
    match vessels::lend(canister).await {
        Outcome::Done(_) => {}
        other => return Err(format!("the vessel is not installed: {other:?}")),
    }
    let args = DrainArgs { job: 0, to: ic_cdk::api::canister_self(), keep: KEPT_CYCLES };
    let call = Call::unbounded_wait(canister, "decant_drain").with_arg(&args);
    let drained = money::send(call).await.map_err(|error| error.to_string())?;
    replies::told::<Result<Nat, KitError>>(drained)?.map_err(|error| error.to_string())?;
    for method in ["stop_canister", "delete_canister"] {
        match management::call(method, &OfCanister { canister_id: canister }).await {
            Ok(_) => {}
            Err(error) if is_gone(&error) => return Ok(()),
            Err(error) => return Err(format!("{method}: {error}")),
        }
    }
    Ok(())
}

/// Its jobs have what they may take, and the coordinator its floor.
pub(crate) fn check_means(cycles: u128) -> Result<(), String> {
    let kept = FLOOR_CYCLES.saturating_add(money::promised(Prices::now()));
    let free = canister_liquid_cycle_balance().saturating_sub(kept);
    match cycles <= free {
        true => Ok(()),
        false => {
            Err(format!("{free} cycles are free: {kept} stay for jobs that are on their way, and as a floor"))
        }
    }
}

/// Pays out. Cycles that are not taken come back.
pub(crate) async fn execute(payout: Payout) -> Result<(), String> {
    check_means(payout.cycles)?;
    match payout.to {
        Payee::Canister(canister) => {
            management::deposit(canister, payout.cycles).await.map_err(|error| error.to_string())
        }
        Payee::Account { ledger, owner, subaccount } => {
            #[derive(CandidType)]
            struct Account {
                owner: Principal,
                subaccount: Option<ByteBuf>,
            }
            #[derive(CandidType)]
            struct Deposit {
                to: Account,
                memo: Option<ByteBuf>,
            }
            #[derive(CandidType, Deserialize)]
            struct Deposited {
                block_index: Nat,
            }
            let deposit = Deposit { to: Account { owner, subaccount }, memo: None };
            let call = Call::unbounded_wait(ledger, "deposit").with_arg(deposit);
            let response = money::send_with(call, payout.cycles).await.map_err(|error| error.to_string())?;
            let Deposited { block_index } = replies::told(response)?;
            ic_cdk::api::debug_print(format!("{} cycles paid out: block {block_index}", payout.cycles));
            Ok(())
        }
    }
}
