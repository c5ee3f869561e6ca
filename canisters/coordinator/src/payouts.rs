//! What is left over is taken out: canisters of the pool into the coordinator, by whoever operates it; cycles out of the
//! coordinator, by governance alone.

use crate::management::{self, OfCanister, RunState};
use crate::money::{self, FLOOR_CYCLES, Prices};
use crate::outcomes::is_gone;
use crate::platform::TIMEOUT_SECONDS;
use crate::{carried, pool, replies, vessels};
use candid::{CandidType, Nat, Principal};
use decant_api::KitError;
use decant_api::payout::{Payee, Payout};
use decant_api::source::DrainArgs;
use decant_engine::{Digest, Outcome};
use ic_cdk::api::canister_liquid_cycle_balance;
use ic_cdk::call::Call;
use serde::Deserialize;
use serde_bytes::ByteBuf;

#[cfg(test)]
mod tests;

/// Cycles that a canister keeps for the messages up to its deletion.
const KEPT_CYCLES: u128 = 1_000_000_000;
/// Cycles that a canister may have left once the vessel has sent what it has: what its last message and its call prepaid comes
/// back afterwards, 83 B on 13 nodes. Another drain would not pay for itself.
const DRAINED_CYCLES: u128 = 100_000_000_000;

/// Deletes a canister of the pool, after a look, and takes its cycles: it runs the vessel for a moment, which sends them. It
/// may be repeated: the look tells how far it came.
///
/// # Errors
/// Why it is left as it is.
pub(crate) async fn delete_pooled(canister: Principal) -> Result<(), String> {
    let held = pool::hold_for_deletion(canister)?;
    let deleted = empty_and_delete(canister).await;
    held.ended(&deleted);
    deleted
}

async fn empty_and_delete(canister: Principal) -> Result<(), String> {
    let Some(status) = pool::status(canister).await? else { return Ok(()) };
    if let Some(why) = pool::shared(&status) {
        return Err(why);
    }
    let module = status.module_hash.as_ref();
    let is_vessel = |hash: &[u8]| hash.try_into().is_ok_and(|hash| carried::is_vessel(&Digest(hash)));
    if let Some(hash) = module.filter(|hash| !is_vessel(hash)) {
        return Err(format!("it runs a module, {}", decant_words::hex(hash)));
    }
    if pool::cycles(&status) > Prices::now().here(DRAINED_CYCLES) {
        if !matches!(status.status, RunState::Running) {
            manage("start_canister", canister).await?;
        }
        if module.is_none() {
            lend_vessel(canister).await?;
        }
        drain(canister).await?;
    }
    manage("stop_canister", canister).await?;
    manage("delete_canister", canister).await
}

async fn lend_vessel(canister: Principal) -> Result<(), String> {
    match vessels::lend(canister).await {
        Outcome::Done(_) => Ok(()),
        other => Err(format!("the vessel is not installed: {other:?}: repeat it")),
    }
}

/// The canister, a vessel, sends what it has. Where it does not say so in time it is asked again by whoever repeats the deletion.
async fn drain(canister: Principal) -> Result<(), String> {
    let args = DrainArgs { job: 0, to: ic_cdk::api::canister_self(), keep: KEPT_CYCLES };
    let call = Call::bounded_wait(canister, "decant_drain").change_timeout(TIMEOUT_SECONDS);
    let drained =
        money::send(call.with_arg(&args)).await.map_err(|error| format!("decant_drain: {error}"))?;
    replies::told::<Result<Nat, KitError>>(drained)?.map_err(|error| error.to_string())?;
    Ok(())
}

/// One that is gone has all that is asked of it behind it.
async fn manage(method: &str, canister: Principal) -> Result<(), String> {
    match management::call(method, &OfCanister { canister_id: canister }).await {
        Ok(_) => Ok(()),
        Err(error) if is_gone(&error) => Ok(()),
        Err(error) => Err(format!("{method}: {error}")),
    }
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

/// Pays out. Cycles that are not taken come back. It waits for the payee, however long: a call that does not may lose them. Until a
/// ledger answers the coordinator can't be stopped, which voters read.
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
