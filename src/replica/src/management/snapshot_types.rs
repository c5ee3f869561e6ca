//! What the methods that read and write snapshots take and answer (spec 0.66). Written as JSON the metadata is what
//! icp-cli and dfx keep beside a downloaded snapshot.

use super::arguments::ChunkHash;
use candid::{CandidType, Nat, Principal, Reserved};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Where a snapshot comes from.
#[derive(CandidType, Serialize, Deserialize)]
pub(crate) enum Source {
    #[serde(rename = "taken_from_canister")]
    TakenFromCanister(Reserved),
    #[serde(rename = "metadata_upload")]
    MetadataUpload(Reserved),
}

/// A global variable of a module.
#[derive(CandidType, Serialize, Deserialize)]
pub(crate) enum Global {
    #[serde(rename = "i32")]
    I32(i32),
    #[serde(rename = "i64")]
    I64(i64),
    #[serde(rename = "f32")]
    F32(f32),
    #[serde(rename = "f64")]
    F64(f64),
    #[serde(rename = "v128")]
    V128(Nat),
}

/// The global timer.
#[derive(CandidType, Serialize, Deserialize)]
pub(crate) enum Timer {
    #[serde(rename = "inactive")]
    Inactive,
    #[serde(rename = "active")]
    Active(u64),
}

/// The hook of a heap that is low on memory.
#[derive(CandidType, Serialize, Deserialize)]
pub(crate) enum Hook {
    #[serde(rename = "condition_not_satisfied")]
    ConditionNotSatisfied,
    #[serde(rename = "ready")]
    Ready,
    #[serde(rename = "executed")]
    Executed,
}

/// What a snapshot says of itself.
#[derive(CandidType, Serialize, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) source: Option<Source>,
    pub(crate) taken_at_timestamp: u64,
    pub(crate) wasm_module_size: u64,
    pub(crate) globals: Vec<Option<Global>>,
    pub(crate) wasm_memory_size: u64,
    pub(crate) stable_memory_size: u64,
    pub(crate) wasm_chunk_store: Vec<ChunkHash>,
    pub(crate) canister_version: u64,
    pub(crate) certified_data: ByteBuf,
    pub(crate) global_timer: Option<Timer>,
    pub(crate) on_low_wasm_memory_hook_status: Option<Hook>,
}

/// A part to read.
#[derive(CandidType, Serialize, Deserialize)]
pub(crate) enum Slice {
    #[serde(rename = "wasm_module")]
    WasmModule { offset: u64, size: u64 },
    #[serde(rename = "wasm_memory")]
    WasmMemory { offset: u64, size: u64 },
    #[serde(rename = "stable_memory")]
    StableMemory { offset: u64, size: u64 },
    #[serde(rename = "wasm_chunk")]
    WasmChunk { hash: ByteBuf },
}

/// Names a part to read.
#[derive(CandidType, Serialize, Deserialize)]
pub(crate) struct ReadArg {
    pub(crate) canister_id: Principal,
    pub(crate) snapshot_id: ByteBuf,
    pub(crate) kind: Slice,
}

/// What was read.
#[derive(CandidType, Serialize, Deserialize)]
pub(crate) struct Chunk {
    pub(crate) chunk: ByteBuf,
}

/// Begins an upload.
#[derive(CandidType, Serialize, Deserialize)]
pub(crate) struct UploadMetadataArg {
    pub(crate) canister_id: Principal,
    pub(crate) replace_snapshot: Option<ByteBuf>,
    pub(crate) wasm_module_size: u64,
    pub(crate) globals: Vec<Global>,
    pub(crate) wasm_memory_size: u64,
    pub(crate) stable_memory_size: u64,
    pub(crate) certified_data: ByteBuf,
    pub(crate) global_timer: Option<Timer>,
    pub(crate) on_low_wasm_memory_hook_status: Option<Hook>,
}

/// Where a part is written.
#[derive(CandidType, Serialize, Deserialize)]
pub(crate) enum Place {
    #[serde(rename = "wasm_module")]
    WasmModule { offset: u64 },
    #[serde(rename = "wasm_memory")]
    WasmMemory { offset: u64 },
    #[serde(rename = "stable_memory")]
    StableMemory { offset: u64 },
    #[serde(rename = "wasm_chunk")]
    WasmChunk,
}

/// A part to write.
#[derive(CandidType, Serialize, Deserialize)]
pub(crate) struct UploadArg {
    pub(crate) canister_id: Principal,
    pub(crate) snapshot_id: ByteBuf,
    pub(crate) kind: Place,
    pub(crate) chunk: ByteBuf,
}

/// The snapshot that an upload began.
#[derive(CandidType, Serialize, Deserialize)]
pub(crate) struct Uploaded {
    pub(crate) snapshot_id: ByteBuf,
}
