//! What an original owns or controls would be lost with it: tokens at ledgers, control of canisters.

use crate::outcomes::failed;
use crate::{management, money, replies, store};
use candid::{CandidType, Nat, Principal};
use decant_engine::{Job, Outcome, Reason, ReasonCode, Value};
use ic_cdk::call::{Call, CallFailed, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

/// Seconds that a ledger may take.
const TIMEOUT_SECONDS: u32 = 60;

/// Asks the ledgers and the canisters that the plan names.
pub(crate) async fn check(job: &Job, canister: Principal) -> Outcome {
    let Some(plan) = store::plan(job.plan().plan_id).map(|record| record.plan) else {
        return Outcome::Refused(Reason::new(ReasonCode::Rejected, "the plan is gone"));
    };
    for ledger in plan.ledgers {
        match balance(ledger, canister).await {
            Ok(balance) if balance == 0u8 => {}
            Ok(balance) => return found(format!("{canister} holds {balance} at {ledger}")),
            Err(outcome) => return *outcome,
        }
    }
    for dependent in plan.dependents {
        match controllers(dependent).await {
            Ok(controllers) if !controllers.contains(&canister) => {}
            Ok(_) => return found(format!("{canister} controls {dependent}")),
            Err(outcome) => return *outcome,
        }
    }
    Outcome::Done(Value::Assets(None))
}

fn found(what: String) -> Outcome {
    Outcome::Done(Value::Assets(Some(what)))
}

/// Tokens of a canister's default account (ICRC-1).
async fn balance(ledger: Principal, owner: Principal) -> Result<Nat, Box<Outcome>> {
    #[derive(CandidType)]
    struct Account {
        owner: Principal,
        subaccount: Option<ByteBuf>,
    }
    let account = Account { owner, subaccount: None };
    let call = Call::bounded_wait(ledger, "icrc1_balance_of").change_timeout(TIMEOUT_SECONDS);
    decoded(money::send(call.with_arg(account)).await)
}

async fn controllers(canister: Principal) -> Result<Vec<Principal>, Box<Outcome>> {
    #[derive(CandidType)]
    struct Arg {
        canister_id: Principal,
        num_requested_changes: Option<u64>,
    }
    #[derive(CandidType, Deserialize)]
    struct Info {
        controllers: Vec<Principal>,
    }
    let arg = Arg { canister_id: canister, num_requested_changes: Some(0) };
    decoded(management::ask_for(TIMEOUT_SECONDS, "canister_info", &arg).await)
        .map(|info: Info| info.controllers)
}

fn decoded<R: CandidType + DeserializeOwned>(
    response: Result<Response, CallFailed>,
) -> Result<R, Box<Outcome>> {
    let response = response.map_err(|error| match failed(&error) {
        // A ledger that does not answer is no ledger that holds nothing.
        Outcome::Refused(reason) => Box::new(Outcome::Transient(reason)),
        other => Box::new(other),
    })?;
    replies::told(response)
        .map_err(|why| Box::new(Outcome::Transient(Reason::new(ReasonCode::Rejected, why))))
}
