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
    let call = Update::new(canister, method, args)?;
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

/// What canisters keep, and what it costs them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Bytes of stable memory.
    pub stable_bytes: u64,
    /// Cycles that they burn in a day without doing anything.
    pub idle_cycles_a_day: u128,
}

/// What all these canisters keep, as the management canister tells a controller.
pub fn kept(pic: &PocketIc, controller: Principal, canisters: &[Principal]) -> anyhow::Result<Kept> {
    let mut sum = Kept::default();
    for id in canisters {
        let Status { idle_cycles_burned_per_day, memory_metrics } = status(pic, controller, *id)?;
        let bytes = u64::try_from(memory_metrics.stable_memory_size.0);
        sum.stable_bytes += bytes.context("stable memory exceeds 64 bits")?;
        let cycles = u128::try_from(idle_cycles_burned_per_day.0);
        sum.idle_cycles_a_day += cycles.context("idle cycles exceed 128 bits")?;
    }
    Ok(sum)
}

/// Asked by a query: nothing has to be executed for it.
fn status(pic: &PocketIc, controller: Principal, id: Principal) -> anyhow::Result<Status> {
    let effective = RawEffectivePrincipal::CanisterId(id.as_slice().to_vec());
    let argument = candid::encode_one(OfCanister { canister_id: id })?;
    let management = Principal::management_canister();
    let reply = pic
        .query_call_with_effective_principal(management, effective, controller, "canister_status", argument)
        .map_err(|error| anyhow!("canister_status of {id}: {error}"))?;
    candid::decode_one(&reply).context("canister_status answers something else")
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
