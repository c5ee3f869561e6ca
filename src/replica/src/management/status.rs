//! What a canister is, for those who may see its status (spec, "IC method canister_status").

use super::arguments::{EnvironmentVariable, OfCanister};
use super::call::{Call, Outcome, decode, not_controller, reply};
use crate::costs::limits;
use crate::state::settings::Visibility;
use crate::state::{Canister, Settings, Status};
use candid::{CandidType, Nat, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

#[derive(CandidType, Deserialize)]
enum RunState {
    #[serde(rename = "running")]
    Running,
    #[serde(rename = "stopping")]
    Stopping,
    #[serde(rename = "stopped")]
    Stopped,
}

/// `definite_canister_settings`, with the fields that clients between the releases expect.
#[derive(CandidType)]
struct SettingsReply {
    controllers: Vec<Principal>,
    compute_allocation: Nat,
    memory_allocation: Nat,
    freezing_threshold: Nat,
    reserved_cycles_limit: Nat,
    minimum_incoming_canister_call_cycles: Nat,
    log_visibility: Visibility,
    /// Not in the specification; clients of ic-management-canister-types 0.8 insist on it.
    log_memory_limit: Nat,
    snapshot_visibility: Visibility,
    status_visibility: Visibility,
    wasm_memory_limit: Nat,
    wasm_memory_threshold: Nat,
    environment_variables: Vec<EnvironmentVariable>,
}

#[derive(CandidType)]
struct MemoryMetrics {
    wasm_memory_size: Nat,
    stable_memory_size: Nat,
    global_memory_size: Nat,
    wasm_binary_size: Nat,
    custom_sections_size: Nat,
    canister_history_size: Nat,
    wasm_chunk_store_size: Nat,
    snapshots_size: Nat,
    /// As `log_memory_limit`; logs are not charged for.
    log_memory_store_size: Nat,
}

#[derive(CandidType)]
struct QueryStats {
    num_calls_total: Nat,
    num_instructions_total: Nat,
    request_payload_bytes_total: Nat,
    response_payload_bytes_total: Nat,
}

#[derive(CandidType)]
struct StatusReply {
    status: RunState,
    ready_for_migration: bool,
    version: u64,
    settings: SettingsReply,
    module_hash: Option<ByteBuf>,
    memory_size: Nat,
    memory_metrics: MemoryMetrics,
    cycles: Nat,
    reserved_cycles: Nat,
    idle_cycles_burned_per_day: Nat,
    query_stats: QueryStats,
}

pub(super) fn status(call: &mut Call<'_>) -> Outcome {
    let arg: OfCanister = decode(call)?;
    let sender = call.sender;
    let method = call.request.method.clone();
    let profile = call.profile();
    let canister = call.canister(arg.canister_id)?;
    if sender != canister.id && !canister.settings.status_visibility.shows(canister, &sender) {
        return Err(not_controller(canister, sender, &method));
    }
    reply(&StatusReply {
        status: match canister.status {
            Status::Running => RunState::Running,
            Status::Stopping(_) => RunState::Stopping,
            Status::Stopped => RunState::Stopped,
        },
        ready_for_migration: matches!(canister.status, Status::Stopped)
            && canister.inbox.is_empty()
            && canister.calls.is_idle(),
        version: canister.version,
        settings: settings(&canister.settings),
        module_hash: canister.code.as_ref().map(|code| ByteBuf::from(code.module.hash.to_vec())),
        memory_size: canister.memory().total().into(),
        memory_metrics: memory_metrics(canister),
        cycles: canister.cycles.into(),
        reserved_cycles: 0u8.into(),
        idle_cycles_burned_per_day: canister.holdings().idle_cycles_per_day(&profile).into(),
        query_stats: query_stats(canister),
    })
}

fn settings(settings: &Settings) -> SettingsReply {
    SettingsReply {
        controllers: settings.controllers.iter().copied().collect(),
        compute_allocation: settings.compute_allocation.into(),
        memory_allocation: settings.memory_allocation.into(),
        freezing_threshold: settings.freezing_threshold_seconds.into(),
        reserved_cycles_limit: settings.reserved_cycles_limit.into(),
        minimum_incoming_canister_call_cycles: settings.minimum_incoming_cycles.into(),
        log_visibility: settings.log_visibility.clone(),
        log_memory_limit: limits::LOG_BYTES.into(),
        snapshot_visibility: settings.snapshot_visibility.clone(),
        status_visibility: settings.status_visibility.clone(),
        wasm_memory_limit: settings.wasm_memory_limit.into(),
        wasm_memory_threshold: settings.wasm_memory_threshold.into(),
        environment_variables: settings
            .environment_variables
            .iter()
            .map(|(name, value)| EnvironmentVariable { name: name.clone(), value: value.clone() })
            .collect(),
    }
}

fn memory_metrics(canister: &Canister) -> MemoryMetrics {
    let memory = canister.memory();
    MemoryMetrics {
        wasm_memory_size: memory.wasm_memory.into(),
        stable_memory_size: memory.stable_memory.into(),
        global_memory_size: memory.globals.into(),
        wasm_binary_size: memory.wasm_binary.into(),
        custom_sections_size: memory.custom_sections.into(),
        canister_history_size: memory.history.into(),
        wasm_chunk_store_size: memory.chunk_store.into(),
        snapshots_size: memory.snapshots.into(),
        log_memory_store_size: 0u8.into(),
    }
}

fn query_stats(canister: &Canister) -> QueryStats {
    let [calls, instructions, request_bytes, response_bytes] = canister.query_stats.map(Nat::from);
    QueryStats {
        num_calls_total: calls,
        num_instructions_total: instructions,
        request_payload_bytes_total: request_bytes,
        response_payload_bytes_total: response_bytes,
    }
}
