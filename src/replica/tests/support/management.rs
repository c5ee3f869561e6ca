//! The management canister in the words of its Candid interface: arguments with long-standing fields only,
//! replies decoded into the fields that tests read, so that older and newer servers understand both.

use candid::utils::ArgumentEncoder;
use candid::{CandidType, Nat, Principal, Reserved};
use pocket_ic::common::rest::RawEffectivePrincipal;
use pocket_ic::{PocketIc, RejectResponse};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Calls `method` of the management canister as `sender`, routed to the subnet of `canister`.
pub(crate) fn manage(
    pic: &PocketIc,
    sender: Principal,
    canister: Principal,
    method: &str,
    args: impl ArgumentEncoder,
) -> Result<Vec<u8>, RejectResponse> {
    manage_raw(pic, sender, canister, method, candid::encode_args(args).expect("arguments encode"))
}

/// As [`manage`], with the argument as bytes.
pub(crate) fn manage_raw(
    pic: &PocketIc,
    sender: Principal,
    canister: Principal,
    method: &str,
    arg: Vec<u8>,
) -> Result<Vec<u8>, RejectResponse> {
    let effective = RawEffectivePrincipal::CanisterId(canister.as_slice().to_vec());
    pic.update_call_with_effective_principal(Principal::management_canister(), effective, sender, method, arg)
}

/// The one value in `reply`, as far as `T` has its fields.
pub(crate) fn decode<T: CandidType + DeserializeOwned>(reply: &[u8]) -> T {
    candid::decode_one(reply).expect("the reply has the fields that the interface promises")
}

/// `record { canister_id }`: the argument of many methods, the reply of `create_canister`.
#[derive(CandidType, Deserialize, Clone, Copy, Debug)]
pub(crate) struct OfCanister {
    pub(crate) canister_id: Principal,
}

/// How code is installed.
#[derive(CandidType, Deserialize, Clone, Copy, Debug)]
pub(crate) enum Mode {
    #[serde(rename = "install")]
    Install,
    #[serde(rename = "reinstall")]
    Reinstall,
    #[serde(rename = "upgrade")]
    Upgrade(Option<UpgradeFlags>),
}

/// The flags of an upgrade.
#[derive(CandidType, Deserialize, Clone, Copy, Debug)]
pub(crate) struct UpgradeFlags {
    pub(crate) skip_pre_upgrade: Option<bool>,
}

/// An upgrade that does not run `canister_pre_upgrade`.
pub(crate) const UPGRADE_SKIPPING_PRE_UPGRADE: Mode =
    Mode::Upgrade(Some(UpgradeFlags { skip_pre_upgrade: Some(true) }));

/// The argument of `install_code`.
#[derive(CandidType, Deserialize)]
pub(crate) struct InstallCode {
    pub(crate) mode: Mode,
    pub(crate) canister_id: Principal,
    pub(crate) wasm_module: Vec<u8>,
    pub(crate) arg: Vec<u8>,
}

/// `install_code` by ingress of `sender`.
pub(crate) fn install_code(
    pic: &PocketIc,
    sender: Principal,
    canister_id: Principal,
    mode: Mode,
    wasm_module: &[u8],
    arg: &[u8],
) -> Result<Vec<u8>, RejectResponse> {
    let args = InstallCode { mode, canister_id, wasm_module: wasm_module.to_vec(), arg: arg.to_vec() };
    manage(pic, sender, canister_id, "install_code", (args,))
}

/// What tests read of the reply of `canister_status`.
#[derive(CandidType, Deserialize, Debug)]
pub(crate) struct Status {
    pub(crate) status: RunState,
    pub(crate) settings: Settings,
    pub(crate) module_hash: Option<Vec<u8>>,
    pub(crate) memory_size: Nat,
    pub(crate) memory_metrics: MemoryMetrics,
    pub(crate) cycles: Nat,
    pub(crate) idle_cycles_burned_per_day: Nat,
}

/// Whether a canister runs.
#[derive(CandidType, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunState {
    #[serde(rename = "running")]
    Running,
    #[serde(rename = "stopping")]
    Stopping,
    #[serde(rename = "stopped")]
    Stopped,
}

/// The settings in effect.
#[derive(CandidType, Deserialize, Debug)]
pub(crate) struct Settings {
    pub(crate) controllers: Vec<Principal>,
    pub(crate) freezing_threshold: Nat,
}

/// What a canister's memory consists of, in bytes.
#[derive(CandidType, Deserialize, Debug)]
pub(crate) struct MemoryMetrics {
    pub(crate) wasm_memory_size: Nat,
    pub(crate) stable_memory_size: Nat,
    pub(crate) global_memory_size: Nat,
    pub(crate) wasm_binary_size: Nat,
    pub(crate) custom_sections_size: Nat,
    pub(crate) canister_history_size: Nat,
    pub(crate) wasm_chunk_store_size: Nat,
    pub(crate) snapshots_size: Nat,
}

/// `canister_status` by ingress of `sender`.
pub(crate) fn status(
    pic: &PocketIc,
    sender: Principal,
    canister_id: Principal,
) -> Result<Status, RejectResponse> {
    manage(pic, sender, canister_id, "canister_status", (OfCanister { canister_id },)).map(|r| decode(&r))
}

/// `record { canister_id; snapshot_id }`.
#[derive(CandidType, Deserialize, Clone, Debug)]
pub(crate) struct OfSnapshot {
    pub(crate) canister_id: Principal,
    pub(crate) snapshot_id: Vec<u8>,
}

/// A snapshot as `take_canister_snapshot` and `list_canister_snapshots` describe it.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) id: Vec<u8>,
    pub(crate) taken_at_timestamp: u64,
    pub(crate) total_size: u64,
}

/// A part of a snapshot, to be read.
#[derive(CandidType, Deserialize, Clone, Debug)]
pub(crate) enum Slice {
    #[serde(rename = "wasm_module")]
    WasmModule { offset: u64, size: u64 },
    #[serde(rename = "wasm_memory")]
    WasmMemory { offset: u64, size: u64 },
    #[serde(rename = "stable_memory")]
    StableMemory { offset: u64, size: u64 },
    #[serde(rename = "wasm_chunk")]
    WasmChunk { hash: Vec<u8> },
}

#[derive(CandidType, Deserialize)]
struct ReadData {
    canister_id: Principal,
    snapshot_id: Vec<u8>,
    kind: Slice,
}

/// `read_canister_snapshot_data` by ingress of `sender`: the reply as it came, a record with a blob.
pub(crate) fn read_snapshot_data(
    pic: &PocketIc,
    sender: Principal,
    canister_id: Principal,
    snapshot_id: &[u8],
    kind: Slice,
) -> Result<Vec<u8>, RejectResponse> {
    let args = ReadData { canister_id, snapshot_id: snapshot_id.to_vec(), kind };
    manage(pic, sender, canister_id, "read_canister_snapshot_data", (args,))
}

/// Where a chunk of a snapshot goes.
#[derive(CandidType, Deserialize, Clone, Debug)]
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

/// A chunk of a snapshot.
#[derive(CandidType, Deserialize)]
pub(crate) struct UploadData {
    pub(crate) canister_id: Principal,
    pub(crate) snapshot_id: Vec<u8>,
    pub(crate) kind: Place,
    pub(crate) chunk: Vec<u8>,
}

/// `upload_canister_snapshot_data` by ingress of `sender`.
pub(crate) fn upload_snapshot_data(
    pic: &PocketIc,
    sender: Principal,
    canister_id: Principal,
    snapshot_id: &[u8],
    kind: Place,
    chunk: &[u8],
) -> Result<Vec<u8>, RejectResponse> {
    let args = UploadData { canister_id, snapshot_id: snapshot_id.to_vec(), kind, chunk: chunk.to_vec() };
    manage(pic, sender, canister_id, "upload_canister_snapshot_data", (args,))
}

/// The value of an exported or mutable global.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
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

/// The global timer in a snapshot.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    #[serde(rename = "inactive")]
    Inactive,
    #[serde(rename = "active")]
    Active(u64),
}

/// The state of the hook on low wasm memory in a snapshot.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) enum LowMemoryHook {
    #[serde(rename = "condition_not_satisfied")]
    ConditionNotSatisfied,
    #[serde(rename = "ready")]
    Ready,
    #[serde(rename = "executed")]
    Executed,
}

/// Where a snapshot comes from.
#[derive(CandidType, Deserialize, Clone, Debug)]
pub(crate) enum Source {
    #[serde(rename = "taken_from_canister")]
    TakenFromCanister(Reserved),
    #[serde(rename = "metadata_upload")]
    MetadataUpload(Reserved),
}

/// What tests read of the reply of `read_canister_snapshot_metadata`.
#[derive(CandidType, Deserialize, Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) source: Option<Source>,
    pub(crate) wasm_module_size: u64,
    pub(crate) globals: Vec<Option<Global>>,
    pub(crate) wasm_memory_size: u64,
    pub(crate) stable_memory_size: u64,
    pub(crate) certified_data: Vec<u8>,
    pub(crate) global_timer: Option<Timer>,
    pub(crate) on_low_wasm_memory_hook_status: Option<LowMemoryHook>,
}

/// The argument of `upload_canister_snapshot_metadata`.
#[derive(CandidType, Deserialize, Clone, Debug)]
pub(crate) struct UploadMetadata {
    pub(crate) canister_id: Principal,
    pub(crate) replace_snapshot: Option<Vec<u8>>,
    pub(crate) wasm_module_size: u64,
    pub(crate) globals: Vec<Global>,
    pub(crate) wasm_memory_size: u64,
    pub(crate) stable_memory_size: u64,
    pub(crate) certified_data: Vec<u8>,
    pub(crate) global_timer: Option<Timer>,
    pub(crate) on_low_wasm_memory_hook_status: Option<LowMemoryHook>,
}

impl UploadMetadata {
    /// A snapshot of a module of `wasm_module_size` bytes and of `stable_memory_size` bytes of stable memory.
    pub(crate) fn new(canister_id: Principal, wasm_module_size: u64, stable_memory_size: u64) -> Self {
        Self {
            canister_id,
            replace_snapshot: None,
            wasm_module_size,
            globals: Vec::new(),
            wasm_memory_size: 0,
            stable_memory_size,
            certified_data: Vec::new(),
            global_timer: None,
            on_low_wasm_memory_hook_status: None,
        }
    }
}

/// The reply of `upload_canister_snapshot_metadata`.
#[derive(CandidType, Deserialize, Clone, Debug)]
pub(crate) struct SnapshotId {
    pub(crate) snapshot_id: Vec<u8>,
}

/// `upload_canister_snapshot_metadata` by ingress of `sender`.
pub(crate) fn upload_metadata(
    pic: &PocketIc,
    sender: Principal,
    metadata: &UploadMetadata,
) -> Result<Vec<u8>, RejectResponse> {
    let canister = metadata.canister_id;
    manage(pic, sender, canister, "upload_canister_snapshot_metadata", (metadata,))
}
