//! Snapshots at the management canister, with records of only the fields that are used.

use crate::management::{self, ChunkHash, Failure, OfCanister, ask, make};
use crate::platform::TIMEOUT_SECONDS;
use candid::{CandidType, Nat, Principal, Reserved};
use decant_engine::SnapshotId;
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// Whether, and for when, the global timer is armed.
#[derive(Debug, Clone, PartialEq, CandidType, Deserialize)]
pub(crate) enum Timer {
    #[serde(rename = "inactive")]
    Inactive,
    #[serde(rename = "active")]
    Active(u64),
}

/// What a snapshot holds, besides its bytes.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) wasm_module_size: u64,
    pub(crate) stable_memory_size: u64,
    pub(crate) wasm_chunk_store: Vec<ChunkHash>,
    pub(crate) certified_data: ByteBuf,
    pub(crate) global_timer: Option<Timer>,
    /// Version of the canister when it was taken.
    pub(crate) canister_version: Option<u64>,
    pub(crate) source: Option<Source>,
}

/// Where a snapshot came from.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) enum Source {
    #[serde(rename = "taken_from_canister")]
    Taken(Reserved),
    #[serde(rename = "metadata_upload")]
    Uploaded(Reserved),
}

/// A global that is exported or mutable.
#[derive(Debug, Clone, PartialEq, CandidType, Deserialize)]
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

/// Where the low-memory hook stands.
#[derive(Debug, Clone, PartialEq, CandidType, Deserialize)]
pub(crate) enum Hook {
    #[serde(rename = "condition_not_satisfied")]
    ConditionNotSatisfied,
    #[serde(rename = "ready")]
    Ready,
    #[serde(rename = "executed")]
    Executed,
}

/// A hook status that is left out stays as it is: with an empty heap any other than the canister's is refused.
#[derive(Debug, Clone, CandidType)]
pub(crate) struct UploadMetadata {
    pub(crate) canister_id: Principal,
    pub(crate) wasm_module_size: u64,
    pub(crate) globals: Vec<Global>,
    pub(crate) wasm_memory_size: u64,
    pub(crate) stable_memory_size: u64,
    pub(crate) certified_data: ByteBuf,
    pub(crate) global_timer: Option<Timer>,
    pub(crate) on_low_wasm_memory_hook_status: Option<Hook>,
}

#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct Slice {
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// What is read.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) enum ReadKind {
    #[serde(rename = "wasm_module")]
    Module(Slice),
    #[serde(rename = "wasm_memory")]
    Heap(Slice),
    #[serde(rename = "stable_memory")]
    Stable(Slice),
}

#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct Offset {
    pub(crate) offset: u64,
}

/// What is written.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) enum WriteKind {
    #[serde(rename = "wasm_module")]
    Module(Offset),
    #[serde(rename = "wasm_memory")]
    Heap(Offset),
    #[serde(rename = "stable_memory")]
    Stable(Offset),
}

#[derive(Debug, Clone, CandidType)]
struct OfSnapshot {
    canister_id: Principal,
    snapshot_id: ByteBuf,
}

/// A snapshot in a list.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct Listed {
    pub(crate) id: ByteBuf,
    /// Nanoseconds since the epoch.
    pub(crate) taken_at_timestamp: u64,
}

/// All snapshots of a canister.
pub(crate) async fn list(canister: Principal) -> Result<Vec<Listed>, Failure> {
    ask("list_canister_snapshots", &OfCanister { canister_id: canister }).await
}

/// Takes one.
pub(crate) async fn take(canister: Principal, replaced: Option<SnapshotId>) -> Result<SnapshotId, Failure> {
    #[derive(CandidType)]
    struct Arg {
        canister_id: Principal,
        replace_snapshot: Option<ByteBuf>,
    }
    let arg = Arg { canister_id: canister, replace_snapshot: replaced.map(|id| id.0) };
    let taken: Listed = make("take_canister_snapshot", &arg).await?;
    Ok(SnapshotId(taken.id))
}

/// What one holds.
pub(crate) async fn metadata(canister: Principal, snapshot: &SnapshotId) -> Result<Metadata, Failure> {
    let of = OfSnapshot { canister_id: canister, snapshot_id: snapshot.0.clone() };
    ask("read_canister_snapshot_metadata", &of).await
}

/// Bytes of one, at most 2,000,000.
pub(crate) async fn read(
    canister: Principal,
    snapshot: &SnapshotId,
    kind: ReadKind,
) -> Result<ByteBuf, Failure> {
    #[derive(CandidType)]
    struct Arg {
        canister_id: Principal,
        snapshot_id: ByteBuf,
        kind: ReadKind,
    }
    #[derive(CandidType, Deserialize)]
    struct Data {
        chunk: ByteBuf,
    }
    let arg = Arg { canister_id: canister, snapshot_id: snapshot.0.clone(), kind };
    let data: Data = ask("read_canister_snapshot_data", &arg).await?;
    Ok(data.chunk)
}

/// Makes one of zeros, to be written.
pub(crate) async fn upload_metadata(arg: &UploadMetadata) -> Result<SnapshotId, Failure> {
    #[derive(CandidType, Deserialize)]
    struct Made {
        snapshot_id: ByteBuf,
    }
    let made: Made = make("upload_canister_snapshot_metadata", arg).await?;
    Ok(SnapshotId(made.snapshot_id))
}

/// Writes bytes of one.
pub(crate) async fn write(
    canister: Principal,
    snapshot: &SnapshotId,
    kind: WriteKind,
    chunk: ByteBuf,
) -> Result<(), Failure> {
    #[derive(CandidType)]
    struct Arg {
        canister_id: Principal,
        snapshot_id: ByteBuf,
        kind: WriteKind,
        chunk: ByteBuf,
    }
    let arg = Arg { canister_id: canister, snapshot_id: snapshot.0.clone(), kind, chunk };
    management::ask_for(TIMEOUT_SECONDS, "upload_canister_snapshot_data", &arg).await?;
    Ok(())
}

/// Puts a canister back to what one holds.
pub(crate) async fn load(canister: Principal, snapshot: &SnapshotId) -> Result<(), Failure> {
    let of = OfSnapshot { canister_id: canister, snapshot_id: snapshot.0.clone() };
    management::ask_for(TIMEOUT_SECONDS, "load_canister_snapshot", &of).await?;
    Ok(())
}

/// Deletes one.
pub(crate) async fn delete(canister: Principal, snapshot: &SnapshotId) -> Result<(), Failure> {
    let of = OfSnapshot { canister_id: canister, snapshot_id: snapshot.0.clone() };
    management::ask_for(TIMEOUT_SECONDS, "delete_canister_snapshot", &of).await?;
    Ok(())
}
