//! Root: it controls the dapp, lends it, takes it back, and upgrades it.

use crate::management;
use candid::{CandidType, Principal};
use ic_cdk::api::canister_self;
use ic_cdk::trap;
use serde::Deserialize;
use serde_bytes::ByteBuf;
use std::cell::RefCell;

/// Canisters that can be registered (`DAPP_AND_EXTENSION_CANISTER_REGISTRATION_LIMIT`).
const MAX_DAPPS: usize = 100;

#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct RegisterDapps {
    pub(crate) canister_ids: Vec<Principal>,
}

#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct Ids {
    pub(crate) canister_ids: Vec<Principal>,
}

#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct SetControllers {
    pub(crate) canister_ids: Option<Ids>,
    pub(crate) controller_principal_ids: Vec<Principal>,
}

#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct Failed {
    dapp_canister_id: Option<Principal>,
    err: Option<String>,
}

#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct Updates {
    pub(crate) failed_updates: Vec<Failed>,
}

#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct ChangeCanister {
    pub(crate) canister_id: Principal,
    pub(crate) wasm_module: ByteBuf,
    pub(crate) arg: ByteBuf,
}

thread_local! {
    static DAPPS: RefCell<Vec<Principal>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn dapps() -> Vec<Principal> {
    DAPPS.with_borrow(Clone::clone)
}

/// From now on root is the only controller. With one that is registered nothing is done, whoever controls it.
pub(crate) async fn register(args: RegisterDapps) {
    for canister in args.canister_ids {
        if dapps().contains(&canister) {
            continue;
        }
        if dapps().len() >= MAX_DAPPS {
            trap(format!("Canister registration limit of {MAX_DAPPS} was reached."));
        }
        check_control(canister).await;
        if let Err(why) = management::set_controllers(canister, vec![canister_self()]).await {
            trap(format!("Registering dapp canisters failed. {canister}: {why}"));
        }
        DAPPS.with_borrow_mut(|dapps| dapps.push(canister));
    }
}

/// All are looked at first: nothing has changed if one of them is refused. Those that root still controls stay registered.
pub(crate) async fn set_controllers(args: SetControllers) -> Updates {
    let Some(Ids { canister_ids }) = args.canister_ids else {
        trap("Only the swap canister is authorized to set all dapp controllers");
    };
    for canister in &canister_ids {
        check_control(*canister).await;
    }
    let mut failed_updates = Vec::new();
    for canister in canister_ids {
        match management::set_controllers(canister, args.controller_principal_ids.clone()).await {
            Err(why) => {
                failed_updates.push(Failed { dapp_canister_id: Some(canister), err: Some(why) });
            }
            Ok(()) if args.controller_principal_ids.contains(&canister_self()) => {}
            Ok(()) => DAPPS.with_borrow_mut(|dapps| dapps.retain(|dapp| *dapp != canister)),
        }
    }
    Updates { failed_updates }
}

async fn check_control(canister: Principal) {
    match management::controllers(canister).await {
        Ok(controllers) if controllers.contains(&canister_self()) => {}
        _ => {
            trap(format!("Could not get the status of canister: {canister}.  Root may not be a controller."))
        }
    }
}

pub(crate) async fn change(args: ChangeCanister) {
    if !dapps().contains(&args.canister_id) {
        trap(
            "UpgradeSnsControlledCanister can only upgrade dapp canisters that are registered with the SNS root",
        );
    }
    if let Err(why) = management::upgrade(args.canister_id, args.wasm_module, args.arg).await {
        trap(why);
    }
}
