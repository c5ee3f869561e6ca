//! What a canister is: for its controllers, and for other canisters.

use super::access;
use super::arguments::OfCanister;
use super::call::{Call, Outcome, decode, reply};
use crate::state::Status;
use crate::state::history::{Change, ChangeKind, InstallMode};
use crate::state::settings::Visibility;
use candid::{CandidType, Nat, Principal};
use ic_management_canister_types as types;
use serde::Deserialize;

pub(super) fn status(call: &mut Call<'_>) -> Outcome {
    let arg: OfCanister = decode(call)?;
    let sender = call.sender;
    let method = call.request.method.clone();
    let canister = call.canister(arg.canister_id)?;
    if sender != canister.id && !canister.is_controller(&sender) {
        return Err(access::not_controller(canister, sender, &method));
    }
    let settings = &canister.settings;
    let memory = canister.memory();
    let [calls, instructions, request_bytes, response_bytes] = canister.query_stats.map(Nat::from);
    reply(&types::CanisterStatusResult {
        status: match canister.status {
            Status::Running => types::CanisterStatusType::Running,
            Status::Stopping(_) => types::CanisterStatusType::Stopping,
            Status::Stopped => types::CanisterStatusType::Stopped,
        },
        ready_for_migration: matches!(canister.status, Status::Stopped)
            && canister.inbox.is_empty()
            && canister.calls.is_idle(),
        version: canister.version,
        settings: types::DefiniteCanisterSettings {
            controllers: settings.controllers.iter().copied().collect(),
            compute_allocation: settings.compute_allocation.into(),
            memory_allocation: settings.memory_allocation.into(),
            freezing_threshold: settings.freezing_threshold_seconds.into(),
            reserved_cycles_limit: settings.reserved_cycles_limit.into(),
            log_visibility: log_visibility(&settings.log_visibility),
            log_memory_limit: crate::costs::limits::LOG_BYTES.into(),
            snapshot_visibility: snapshot_visibility(&settings.snapshot_visibility),
            wasm_memory_limit: settings.wasm_memory_limit.into(),
            wasm_memory_threshold: settings.wasm_memory_threshold.into(),
            environment_variables: settings
                .environment_variables
                .iter()
                .map(|(name, value)| types::EnvironmentVariable { name: name.clone(), value: value.clone() })
                .collect(),
        },
        module_hash: canister.code.as_ref().map(|code| code.module.hash.to_vec()),
        memory_size: memory.total().into(),
        memory_metrics: types::MemoryMetrics {
            wasm_memory_size: memory.wasm_memory.into(),
            stable_memory_size: memory.stable_memory.into(),
            global_memory_size: memory.globals.into(),
            wasm_binary_size: memory.wasm_binary.into(),
            custom_sections_size: memory.custom_sections.into(),
            canister_history_size: memory.history.into(),
            wasm_chunk_store_size: memory.chunk_store.into(),
            snapshots_size: memory.snapshots.into(),
            log_memory_store_size: 0u8.into(),
        },
        cycles: canister.cycles.into(),
        reserved_cycles: 0u8.into(),
        idle_cycles_burned_per_day: canister.idle_cycles_per_day().into(),
        query_stats: types::QueryStats {
            num_calls_total: calls,
            num_instructions_total: instructions,
            request_payload_bytes_total: request_bytes,
            response_payload_bytes_total: response_bytes,
        },
    })
}

pub(super) fn info(call: &mut Call<'_>) -> Outcome {
    #[derive(CandidType, Deserialize)]
    struct Arg {
        canister_id: Principal,
        num_requested_changes: Option<u64>,
    }
    let arg: Arg = decode(call)?;
    let canister = call.canister(arg.canister_id)?;
    let changes = &canister.history.changes;
    let wanted = usize::try_from(arg.num_requested_changes.unwrap_or(0)).unwrap_or(usize::MAX);
    reply(&types::CanisterInfoResult {
        total_num_changes: canister.history.total,
        recent_changes: changes.iter().skip(changes.len().saturating_sub(wanted)).map(change).collect(),
        module_hash: canister.code.as_ref().map(|code| code.module.hash.to_vec()),
        controllers: canister.settings.controllers.iter().copied().collect(),
    })
}

fn change(change: &Change) -> types::Change {
    types::Change {
        timestamp_nanos: change.time_nanos,
        canister_version: change.canister_version,
        origin: if change.is_by_canister {
            types::ChangeOrigin::FromCanister(types::FromCanisterRecord {
                canister_id: change.by,
                canister_version: change.by_version,
            })
        } else {
            types::ChangeOrigin::FromUser(types::FromUserRecord { user_id: change.by })
        },
        details: Some(match &change.kind {
            ChangeKind::Creation(controllers) => types::ChangeDetails::Creation(types::CreationRecord {
                controllers: controllers.clone(),
                environment_variables_hash: None,
            }),
            ChangeKind::CodeUninstall => types::ChangeDetails::CodeUninstall,
            ChangeKind::CodeDeployment(mode, hash) => {
                types::ChangeDetails::CodeDeployment(types::CodeDeploymentRecord {
                    mode: match mode {
                        InstallMode::Install => types::CodeDeploymentMode::Install,
                        InstallMode::Reinstall => types::CodeDeploymentMode::Reinstall,
                        InstallMode::Upgrade => types::CodeDeploymentMode::Upgrade,
                    },
                    module_hash: hash.to_vec(),
                })
            }
            ChangeKind::LoadSnapshot { snapshot_id, canister_version, taken_at_nanos, is_uploaded } => {
                types::ChangeDetails::LoadSnapshot(types::LoadSnapshotRecord {
                    from_canister_id: None,
                    snapshot_id: snapshot_id.clone(),
                    canister_version: *canister_version,
                    taken_at_timestamp: *taken_at_nanos,
                    source: if *is_uploaded {
                        types::SnapshotSource::MetadataUpload(candid::Reserved)
                    } else {
                        types::SnapshotSource::TakenFromCanister(candid::Reserved)
                    },
                })
            }
            ChangeKind::ControllersChange(controllers) => {
                types::ChangeDetails::ControllersChange(types::ControllersChangeRecord {
                    controllers: controllers.clone(),
                })
            }
        }),
    }
}

fn log_visibility(visibility: &Visibility) -> types::LogVisibility {
    match visibility {
        Visibility::Controllers => types::LogVisibility::Controllers,
        Visibility::Public => types::LogVisibility::Public,
        Visibility::AllowedViewers(viewers) => types::LogVisibility::AllowedViewers(viewers.clone()),
    }
}

fn snapshot_visibility(visibility: &Visibility) -> types::SnapshotVisibility {
    match visibility {
        Visibility::Controllers => types::SnapshotVisibility::Controllers,
        Visibility::Public => types::SnapshotVisibility::Public,
        Visibility::AllowedViewers(viewers) => types::SnapshotVisibility::AllowedViewers(viewers.clone()),
    }
}
