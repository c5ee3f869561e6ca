//! Arguments of the management canister: records with only the fields that are used, so that clients of
//! any age are understood.

use crate::error::{ErrorCode, UserError};
use candid::{CandidType, Nat, Principal};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

/// Names a canister.
#[derive(Debug, CandidType, Deserialize)]
pub(super) struct OfCanister {
    pub(super) canister_id: Principal,
}

/// Names a snapshot.
#[derive(Debug, CandidType, Deserialize)]
pub(super) struct OfSnapshot {
    pub(super) canister_id: Principal,
    pub(super) snapshot_id: ByteBuf,
    pub(super) sender_canister_version: Option<u64>,
}

/// How code is installed.
#[derive(Debug, CandidType, Deserialize)]
pub(super) enum Mode {
    #[serde(rename = "install")]
    Install,
    #[serde(rename = "reinstall")]
    Reinstall,
    #[serde(rename = "upgrade")]
    Upgrade(Option<UpgradeFlags>),
}

/// Options of an upgrade.
#[derive(Debug, CandidType, Deserialize)]
pub(super) struct UpgradeFlags {
    pub(super) skip_pre_upgrade: Option<bool>,
    pub(super) wasm_memory_persistence: Option<Persistence>,
}

/// What becomes of the heap.
#[derive(Debug, CandidType, Deserialize)]
pub(super) enum Persistence {
    #[serde(rename = "keep")]
    Keep,
    #[serde(rename = "replace")]
    Replace,
}

/// `install_code`
#[derive(Debug, CandidType, Deserialize)]
pub(super) struct InstallCode {
    pub(super) mode: Mode,
    pub(super) canister_id: Principal,
    pub(super) wasm_module: ByteBuf,
    pub(super) arg: ByteBuf,
    pub(super) sender_canister_version: Option<u64>,
}

/// The hash of a chunk.
#[derive(Debug, CandidType, Deserialize)]
pub(super) struct ChunkHash {
    pub(super) hash: ByteBuf,
}

/// `install_chunked_code`
#[derive(Debug, CandidType, Deserialize)]
pub(super) struct InstallChunkedCode {
    pub(super) mode: Mode,
    pub(super) target_canister: Principal,
    pub(super) store_canister: Option<Principal>,
    pub(super) chunk_hashes_list: Vec<ChunkHash>,
    pub(super) wasm_module_hash: ByteBuf,
    pub(super) arg: ByteBuf,
    pub(super) sender_canister_version: Option<u64>,
}

/// `upload_chunk`
#[derive(Debug, CandidType, Deserialize)]
pub(super) struct UploadChunk {
    pub(super) canister_id: Principal,
    pub(super) chunk: ByteBuf,
}

/// Who may read logs or snapshots.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(super) enum Visibility {
    #[serde(rename = "controllers")]
    Controllers,
    #[serde(rename = "public")]
    Public,
    #[serde(rename = "allowed_viewers")]
    AllowedViewers(Vec<Principal>),
}

/// An environment variable.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(super) struct EnvironmentVariable {
    pub(super) name: String,
    pub(super) value: String,
}

/// Settings to be changed.
#[derive(Debug, Default, CandidType, Deserialize)]
pub(super) struct SettingsArgs {
    pub(super) controllers: Option<Vec<Principal>>,
    pub(super) compute_allocation: Option<Nat>,
    pub(super) memory_allocation: Option<Nat>,
    pub(super) freezing_threshold: Option<Nat>,
    pub(super) reserved_cycles_limit: Option<Nat>,
    pub(super) log_visibility: Option<Visibility>,
    pub(super) snapshot_visibility: Option<Visibility>,
    pub(super) wasm_memory_limit: Option<Nat>,
    pub(super) wasm_memory_threshold: Option<Nat>,
    pub(super) environment_variables: Option<Vec<EnvironmentVariable>>,
}

/// `update_settings`
#[derive(Debug, CandidType, Deserialize)]
pub(super) struct UpdateSettings {
    pub(super) canister_id: Principal,
    pub(super) settings: SettingsArgs,
    pub(super) sender_canister_version: Option<u64>,
}

/// `create_canister`
#[derive(Debug, Default, CandidType, Deserialize)]
pub(super) struct CreateCanister {
    pub(super) settings: Option<SettingsArgs>,
    pub(super) sender_canister_version: Option<u64>,
}

/// `provisional_create_canister_with_cycles`
#[derive(Debug, CandidType, Deserialize)]
pub(super) struct ProvisionalCreate {
    pub(super) amount: Option<Nat>,
    pub(super) settings: Option<SettingsArgs>,
    pub(super) specified_id: Option<Principal>,
    pub(super) sender_canister_version: Option<u64>,
}

/// `provisional_top_up_canister`
#[derive(Debug, CandidType, Deserialize)]
pub(super) struct TopUp {
    pub(super) canister_id: Principal,
    pub(super) amount: Nat,
}

/// The only argument of a call.
pub(super) fn decode_payload<T: DeserializeOwned + CandidType>(
    method: &str,
    payload: &[u8],
) -> Result<T, UserError> {
    candid::decode_one(payload).map_err(|error| undecodable(method, &error))
}

/// The argument is not what the method takes.
pub(super) fn undecodable(_method: &str, error: &candid::Error) -> UserError {
    UserError::new(ErrorCode::InvalidManagementPayload, format!("Error decoding candid: {}", chain(error)))
}

/// Candid's error with its causes, in one line.
fn chain(error: &candid::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
