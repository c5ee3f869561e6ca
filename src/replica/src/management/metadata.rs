//! What modules and subnets tell about themselves.

use super::call::{Call, Outcome, decode, not_controller, reply};
use crate::error::{ErrorCode, UserError};
use candid::{CandidType, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// The registry of an instance never changes.
const REGISTRY_VERSION: u64 = 1;

/// Spec, "IC method canister_metadata": public sections for everybody, private ones for controllers.
pub(super) fn canister_metadata(call: &mut Call<'_>) -> Outcome {
    #[derive(CandidType, Deserialize)]
    struct Arg {
        canister_id: Principal,
        name: String,
    }
    #[derive(CandidType)]
    struct Metadata {
        value: ByteBuf,
    }
    let arg: Arg = decode(call)?;
    let (sender, method) = (call.sender, call.request.method.clone());
    let canister = call.canister(arg.canister_id)?;
    let code = canister.code.as_ref().ok_or_else(|| crate::execution::failure::no_module(arg.canister_id))?;
    let section = code.module.inspection.custom_sections.get(&arg.name).ok_or_else(|| {
        UserError::new(
            ErrorCode::CanisterRejectedMessage,
            format!(
                "The canister {} has no metadata section with the name {}.\nIf you are a controller of the \
                 canister, install a Wasm module containing a metadata section with the given name.",
                arg.canister_id, arg.name
            ),
        )
    })?;
    if !section.is_public && !canister.is_controller(&sender) {
        return Err(not_controller(canister, sender, &method));
    }
    reply(&Metadata { value: ByteBuf::from(section.content.to_vec()) })
}

/// Spec, "IC method subnet_info".
pub(super) fn subnet_info(_: &mut Call<'_>) -> Outcome {
    #[derive(CandidType)]
    struct Info {
        replica_version: String,
        registry_version: u64,
    }
    reply(&Info {
        replica_version: concat!("decant-replica ", env!("CARGO_PKG_VERSION")).to_owned(),
        registry_version: REGISTRY_VERSION,
    })
}

/// Spec, "IC method list_canisters": for subnet admins, and an instance has none.
pub(super) fn list_canisters(call: &mut Call<'_>) -> Outcome {
    Err(UserError::new(
        ErrorCode::CanisterRejectedMessage,
        format!("Caller {} is not a subnet admin: only those can call list_canisters", call.sender),
    ))
}
