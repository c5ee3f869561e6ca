//! A canister's history, for other canisters (spec, "IC method canister_info").

use super::call::{Call, Outcome, decode, reply};
use crate::state::history::{Change, ChangeKind, InstallMode};
use candid::{CandidType, Principal, Reserved};
use serde::Deserialize;
use serde_bytes::ByteBuf;

#[derive(CandidType)]
struct InfoReply {
    total_num_changes: u64,
    recent_changes: Vec<ChangeReply>,
    module_hash: Option<ByteBuf>,
    controllers: Vec<Principal>,
}

#[derive(CandidType)]
struct ChangeReply {
    timestamp_nanos: u64,
    canister_version: u64,
    origin: Origin,
    /// Optional on the wire, so that details which a client does not know do not keep it from decoding.
    details: Option<Details>,
}

#[derive(CandidType, Deserialize)]
enum Origin {
    #[serde(rename = "from_user")]
    FromUser { user_id: Principal },
    #[serde(rename = "from_canister")]
    FromCanister { canister_id: Principal, canister_version: Option<u64> },
}

#[derive(CandidType, Deserialize)]
enum Mode {
    #[serde(rename = "install")]
    Install,
    #[serde(rename = "reinstall")]
    Reinstall,
    #[serde(rename = "upgrade")]
    Upgrade,
}

#[derive(CandidType, Deserialize)]
enum Source {
    #[serde(rename = "taken_from_canister")]
    TakenFromCanister(Reserved),
    #[serde(rename = "metadata_upload")]
    MetadataUpload(Reserved),
}

#[derive(CandidType, Deserialize)]
enum Details {
    #[serde(rename = "creation")]
    Creation { controllers: Vec<Principal>, environment_variables_hash: Option<ByteBuf> },
    #[serde(rename = "code_uninstall")]
    CodeUninstall,
    #[serde(rename = "code_deployment")]
    CodeDeployment { mode: Mode, module_hash: ByteBuf },
    #[serde(rename = "load_snapshot")]
    LoadSnapshot {
        from_canister_id: Option<Principal>,
        snapshot_id: ByteBuf,
        canister_version: u64,
        taken_at_timestamp: u64,
        source: Source,
    },
    #[serde(rename = "controllers_change")]
    ControllersChange { controllers: Vec<Principal> },
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
    reply(&InfoReply {
        total_num_changes: canister.history.total,
        recent_changes: changes.iter().skip(changes.len().saturating_sub(wanted)).map(change).collect(),
        module_hash: canister.code.as_ref().map(|code| ByteBuf::from(code.module.hash.to_vec())),
        controllers: canister.settings.controllers.iter().copied().collect(),
    })
}

fn change(change: &Change) -> ChangeReply {
    ChangeReply {
        timestamp_nanos: change.time_nanos,
        canister_version: change.canister_version,
        origin: if change.is_by_canister {
            Origin::FromCanister { canister_id: change.by, canister_version: change.by_version }
        } else {
            Origin::FromUser { user_id: change.by }
        },
        details: Some(details(&change.kind)),
    }
}

fn details(kind: &ChangeKind) -> Details {
    match kind {
        ChangeKind::Creation { controllers, environment_hash } => Details::Creation {
            controllers: controllers.clone(),
            environment_variables_hash: environment_hash.map(|hash| ByteBuf::from(hash.to_vec())),
        },
        ChangeKind::CodeUninstall => Details::CodeUninstall,
        ChangeKind::CodeDeployment(mode, hash) => Details::CodeDeployment {
            mode: match mode {
                InstallMode::Install => Mode::Install,
                InstallMode::Reinstall => Mode::Reinstall,
                InstallMode::Upgrade => Mode::Upgrade,
            },
            module_hash: ByteBuf::from(hash.to_vec()),
        },
        ChangeKind::LoadSnapshot { from, snapshot_id, canister_version, taken_at_nanos, is_uploaded } => {
            Details::LoadSnapshot {
                from_canister_id: *from,
                snapshot_id: ByteBuf::from(snapshot_id.clone()),
                canister_version: *canister_version,
                taken_at_timestamp: *taken_at_nanos,
                source: if *is_uploaded {
                    Source::MetadataUpload(Reserved)
                } else {
                    Source::TakenFromCanister(Reserved)
                },
            }
        }
        ChangeKind::ControllersChange(controllers) => {
            Details::ControllersChange { controllers: controllers.clone() }
        }
    }
}
