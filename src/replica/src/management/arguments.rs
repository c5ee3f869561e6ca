//! Arguments of the management canister: records with only the fields that are used, so that clients of
//! any age are understood. They are decoded within quotas, as the platform does: a short argument cannot
//! make a long work.

use crate::error::{ErrorCode, UserError};
use crate::state::settings::Visibility;
use candid::{CandidType, DecoderConfig, Nat, Principal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
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
#[derive(Debug, CandidType, Serialize, Deserialize)]
pub(crate) struct ChunkHash {
    pub(crate) hash: ByteBuf,
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
    pub(super) minimum_incoming_canister_call_cycles: Option<Nat>,
    pub(super) log_visibility: Option<Visibility>,
    pub(super) log_memory_limit: Option<Nat>,
    pub(super) snapshot_visibility: Option<Visibility>,
    pub(super) status_visibility: Option<Visibility>,
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
    pub(super) amount: Option<Nat>,
}

/// Work that decoding may do for a byte of the argument, in Candid's units (ours: a hundred times what the
/// largest argument of a method takes).
const DECODING_QUOTA_BYTE: usize = 100;
/// Work that decoding may do in any case.
const DECODING_QUOTA: usize = 1_000_000;
/// Work that skipping unknown fields may do (code: `DEFAULT_SKIPPING_QUOTA`).
const SKIPPING_QUOTA: usize = 10_000;

/// Quotas for an argument of `bytes`, of which all may be skipped or only what no type here names.
pub(super) fn quotas(bytes: usize, skips_all: bool) -> DecoderConfig {
    let of_bytes = bytes.saturating_mul(DECODING_QUOTA_BYTE);
    let mut config = DecoderConfig::new();
    config.set_decoding_quota(DECODING_QUOTA.saturating_add(of_bytes)).set_skipping_quota(if skips_all {
        SKIPPING_QUOTA.saturating_add(of_bytes)
    } else {
        SKIPPING_QUOTA
    });
    config
}

/// The only argument of a call.
pub(super) fn decode_payload<T: DeserializeOwned + CandidType>(payload: &[u8]) -> Result<T, UserError> {
    candid::utils::decode_one_with_config(payload, &quotas(payload.len(), false))
        .map_err(|error| undecodable(&error))
}

/// A few fields of an argument; the others are skipped.
pub(super) fn decode_skipping<T: DeserializeOwned + CandidType>(payload: &[u8]) -> Result<T, UserError> {
    candid::utils::decode_one_with_config(payload, &quotas(payload.len(), true))
        .map_err(|error| undecodable(&error))
}

/// The argument is not what the method takes.
pub(super) fn undecodable(error: &candid::Error) -> UserError {
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
