//! Calls through the client, with records of only the fields that are used.

use super::batch::{Update, update_all, update_all_as};
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
    let argument = candid::encode_args(args)?;
    let call = Update { canister, effective: RawEffectivePrincipal::None, method, argument };
    let replies = update_all(pic, sender, vec![call])?;
    let reply = replies.first().context("a call has a reply")?;
    candid::decode_one(reply).with_context(|| format!("{method} of {canister} answers something else"))
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
    idle_cycles_burned_per_day: Nat,
    memory_metrics: MemoryMetrics,
}

#[derive(CandidType, Deserialize)]
struct MemoryMetrics {
    stable_memory_size: Nat,
}

/// Cycles that all these canisters burn in a day without doing anything: what their memory costs.
pub fn idle_cycles_a_day(
    pic: &PocketIc,
    controller: Principal,
    canisters: &[Principal],
) -> anyhow::Result<u128> {
    let statuses = statuses(pic, controller, canisters)?;
    statuses.into_iter().try_fold(0, |sum, status| {
        let cycles = u128::try_from(status.idle_cycles_burned_per_day.0);
        Ok(sum + cycles.context("idle cycles exceed 128 bits")?)
    })
}

/// Bytes of stable memory of all these canisters, as the management canister tells a controller.
pub fn stable_bytes(pic: &PocketIc, controller: Principal, canisters: &[Principal]) -> anyhow::Result<u64> {
    let statuses = statuses(pic, controller, canisters)?;
    statuses.into_iter().try_fold(0, |sum, status| {
        let bytes = u64::try_from(status.memory_metrics.stable_memory_size.0);
        Ok(sum + bytes.context("stable memory exceeds 64 bits")?)
    })
}

fn statuses(pic: &PocketIc, controller: Principal, canisters: &[Principal]) -> anyhow::Result<Vec<Status>> {
    let calls = canisters
        .iter()
        .map(|id| Update::management(Some(*id), "canister_status", OfCanister { canister_id: *id }))
        .collect::<anyhow::Result<_>>()?;
    update_all_as(pic, controller, calls)
}

/// How many snapshots a canister has.
pub fn snapshot_count(pic: &PocketIc, controller: Principal, canister: Principal) -> anyhow::Result<u64> {
    #[derive(CandidType, Deserialize)]
    struct Listed {}
    let call =
        Update::management(Some(canister), "list_canister_snapshots", OfCanister { canister_id: canister })?;
    let lists: Vec<Vec<Listed>> = update_all_as(pic, controller, vec![call])?;
    Ok(lists.iter().map(|list| list.len() as u64).sum())
}
