//! Sharing control of a canister: the coordinator needs it to relocate, and the index keeps it.

use candid::{CandidType, Principal};
use ic_cdk::call::Call;
use serde::Deserialize;

#[derive(Debug, Clone, CandidType, Deserialize)]
struct OfCanister {
    canister_id: Principal,
}

#[derive(Debug, Clone, CandidType, Deserialize)]
struct Status {
    settings: Controllers,
}

#[derive(Debug, Clone, CandidType, Deserialize)]
struct Controllers {
    controllers: Vec<Principal>,
}

#[derive(Debug, Clone, CandidType)]
struct NewControllers {
    controllers: Option<Vec<Principal>>,
}

#[derive(Debug, Clone, CandidType)]
struct UpdateSettings {
    canister_id: Principal,
    settings: NewControllers,
}

/// Adds `other` to the controllers of `canister`, if it is none of them.
pub(crate) async fn share(canister: Principal, other: Principal) -> Result<(), String> {
    let management = Principal::management_canister();
    let response = Call::unbounded_wait(management, "canister_status")
        .with_arg(OfCanister { canister_id: canister })
        .await
        .map_err(|error| format!("this index does not control {canister}: {error}"))?;
    let status: Status = response.candid().map_err(|error| error.to_string())?;
    let mut controllers = status.settings.controllers;
    if controllers.contains(&other) {
        return Ok(());
    }
    controllers.push(other);
    let settings = NewControllers { controllers: Some(controllers) };
    Call::unbounded_wait(management, "update_settings")
        .with_arg(UpdateSettings { canister_id: canister, settings })
        .await
        .map_err(|error| format!("{other} could not be made a controller of {canister}: {error}"))?;
    Ok(())
}
