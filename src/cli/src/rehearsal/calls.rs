//! Calls through the client, with records of only the fields that are used.

use anyhow::{Context, anyhow};
use candid::{CandidType, Nat, Principal};
use pocket_ic::PocketIc;
use pocket_ic::common::rest::RawEffectivePrincipal;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Calls an update and decodes its one result.
pub fn update<R: CandidType + DeserializeOwned>(
    pic: &PocketIc,
    canister: Principal,
    sender: Principal,
    method: &str,
    args: impl candid::utils::ArgumentEncoder,
) -> anyhow::Result<R> {
    let args = candid::encode_args(args)?;
    let reply = pic
        .update_call(canister, sender, method, args)
        .map_err(|error| anyhow!("{method} of {canister}: {error}"))?;
    candid::decode_one(&reply).with_context(|| format!("{method} of {canister} answers something else"))
}

/// Calls a query and decodes its one result.
pub fn query<R: CandidType + DeserializeOwned>(
    pic: &PocketIc,
    canister: Principal,
    method: &str,
    args: impl candid::utils::ArgumentEncoder,
) -> anyhow::Result<R> {
    let args = candid::encode_args(args)?;
    let reply = pic
        .query_call(canister, Principal::anonymous(), method, args)
        .map_err(|error| anyhow!("{method} of {canister}: {error}"))?;
    candid::decode_one(&reply).with_context(|| format!("{method} of {canister} answers something else"))
}

#[derive(CandidType, Deserialize)]
struct OfCanister {
    canister_id: Principal,
}

#[derive(CandidType, Deserialize)]
struct Status {
    memory_metrics: MemoryMetrics,
}

#[derive(CandidType, Deserialize)]
struct MemoryMetrics {
    stable_memory_size: Nat,
}

/// Bytes of stable memory, as the management canister tells a controller.
pub fn stable_bytes(pic: &PocketIc, canister: Principal, controller: Principal) -> anyhow::Result<u64> {
    let reply = pic
        .update_call_with_effective_principal(
            Principal::management_canister(),
            RawEffectivePrincipal::CanisterId(canister.as_slice().to_vec()),
            controller,
            "canister_status",
            candid::encode_one(OfCanister { canister_id: canister })?,
        )
        .map_err(|error| anyhow!("the status of {canister}: {error}"))?;
    let status: Status = candid::decode_one(&reply)?;
    u64::try_from(status.memory_metrics.stable_memory_size.0).context("stable memory exceeds 64 bits")
}
