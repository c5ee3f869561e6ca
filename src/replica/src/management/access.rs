//! Who may call what, and which canister a call is about.

use super::arguments::{OfCanister, decode_payload};
use crate::error::{ErrorCode, UserError};
use crate::execution::failure::canister_not_found;
use crate::instance::Instance;
use crate::state::Canister;
use candid::{CandidType, Principal};
use serde::Deserialize;

/// How a method names the canister that it is about, and who may call it.
enum Rule {
    /// Field `canister_id`; controllers.
    Controllers,
    /// Field `canister_id`; controllers and the canister itself.
    ControllersAndSelf,
    /// Field `target_canister`; controllers.
    TargetControllers,
    /// Field `canister_id`; everybody.
    Everybody,
    /// Field `canister_id`; canisters only.
    CanistersAbout,
    /// About no canister; canisters only.
    Canisters,
    /// About the canister in `specified_id`, if any; everybody.
    Provisional,
}

fn rule(method: &str) -> Option<Rule> {
    Some(match method {
        "update_settings"
        | "install_code"
        | "uninstall_code"
        | "start_canister"
        | "stop_canister"
        | "delete_canister"
        | "upload_chunk"
        | "clear_chunk_store"
        | "stored_chunks"
        | "take_canister_snapshot"
        | "load_canister_snapshot"
        | "list_canister_snapshots"
        | "delete_canister_snapshot"
        | "read_canister_snapshot_metadata"
        | "read_canister_snapshot_data"
        | "upload_canister_snapshot_metadata"
        | "upload_canister_snapshot_data" => Rule::Controllers,
        "canister_status" => Rule::ControllersAndSelf,
        "install_chunked_code" => Rule::TargetControllers,
        "provisional_top_up_canister" => Rule::Everybody,
        "canister_info" | "deposit_cycles" | "fetch_canister_logs" => Rule::CanistersAbout,
        "create_canister" | "raw_rand" => Rule::Canisters,
        "provisional_create_canister_with_cycles" => Rule::Provisional,
        _ => return None,
    })
}

/// The canister that a call is about: it decides the subnet that executes it, and pays for its ingress.
///
/// Errors: an unknown method, or an argument that does not decode.
pub(crate) fn effective_canister_id(method: &str, payload: &[u8]) -> Result<Option<Principal>, UserError> {
    #[derive(CandidType, Deserialize)]
    struct OfTarget {
        target_canister: Principal,
    }
    #[derive(CandidType, Deserialize)]
    struct Specified {
        specified_id: Option<Principal>,
    }
    match rule(method).ok_or_else(|| unknown_method(method))? {
        Rule::Controllers | Rule::ControllersAndSelf | Rule::Everybody | Rule::CanistersAbout => {
            decode_payload::<OfCanister>(method, payload).map(|arg| Some(arg.canister_id))
        }
        Rule::TargetControllers => {
            decode_payload::<OfTarget>(method, payload).map(|arg| Some(arg.target_canister))
        }
        Rule::Canisters => Ok(None),
        Rule::Provisional => decode_payload::<Specified>(method, payload).map(|arg| arg.specified_id),
    }
}

/// Whether a user's call is taken (spec, "Ingress message inspection": of management calls).
pub(crate) fn accepts_ingress(
    instance: &Instance,
    subnet: usize,
    sender: Principal,
    method: &str,
    payload: &[u8],
) -> Result<(), UserError> {
    let rule = rule(method).ok_or_else(|| unknown_method(method))?;
    let id = effective_canister_id(method, payload)?;
    match rule {
        Rule::Canisters | Rule::CanistersAbout => Err(UserError::new(
            ErrorCode::CanisterRejectedMessage,
            format!("Only canisters can call ic00 method {method}"),
        )),
        Rule::Provisional | Rule::Everybody => Ok(()),
        Rule::Controllers | Rule::ControllersAndSelf | Rule::TargetControllers => {
            let Some(id) = id else { return Ok(()) };
            let canister = instance.subnets[subnet].canister(&id).ok_or_else(|| canister_not_found(id))?;
            if canister.is_controller(&sender) {
                Ok(())
            } else {
                Err(UserError::new(
                    ErrorCode::CanisterInvalidController,
                    format!("Only controllers of canister {id} can call ic00 method {method}"),
                ))
            }
        }
    }
}

/// There is no such method, or it is not offered here.
pub(crate) fn unknown_method(method: &str) -> UserError {
    UserError::new(
        ErrorCode::CanisterMethodNotFound,
        format!("ic00 interface does not expose method {method}"),
    )
}

/// The sender controls nothing here.
pub(super) fn not_controller(canister: &Canister, sender: Principal, method: &str) -> UserError {
    let controllers: Vec<String> = canister.settings.controllers.iter().map(Principal::to_text).collect();
    UserError::new(
        ErrorCode::CanisterInvalidController,
        format!(
            "Only the controllers of the canister {} can control it.\nCanister's controllers: {}\nSender's ID: \
             {sender}\nCall {method} as one of its controllers.",
            canister.id,
            controllers.join(" ")
        ),
    )
}
