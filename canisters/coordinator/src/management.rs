//! The management canister, with records of only the fields that are used: replicas of any age understand and
//! are understood.

use crate::money;
use crate::platform::TIMEOUT_SECONDS;
use crate::replies::{self, DATA_BYTES};
use candid::{CandidType, Nat, Principal};
use ic_cdk::call::{Call, CallFailed, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

/// Who may read logs, snapshots or the status.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) enum Visibility {
    #[serde(rename = "controllers")]
    Controllers,
    #[serde(rename = "public")]
    Public,
    #[serde(rename = "allowed_viewers")]
    AllowedViewers(Vec<Principal>),
}

/// An environment variable.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct EnvironmentVariable {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// Settings as `canister_status` tells them. Fields that a replica does not know are `None`.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct KnownSettings {
    pub(crate) controllers: Vec<Principal>,
    pub(crate) compute_allocation: Option<Nat>,
    pub(crate) memory_allocation: Option<Nat>,
    pub(crate) freezing_threshold: Option<Nat>,
    pub(crate) reserved_cycles_limit: Option<Nat>,
    pub(crate) log_visibility: Option<Visibility>,
    pub(crate) log_memory_limit: Option<Nat>,
    pub(crate) snapshot_visibility: Option<Visibility>,
    pub(crate) status_visibility: Option<Visibility>,
    pub(crate) minimum_incoming_canister_call_cycles: Option<Nat>,
    pub(crate) wasm_memory_limit: Option<Nat>,
    pub(crate) wasm_memory_threshold: Option<Nat>,
    pub(crate) environment_variables: Option<Vec<EnvironmentVariable>>,
}

/// The same without the controllers, as jobs keep them: [`NewSettings`] reads it.
#[derive(Debug, CandidType)]
pub(crate) struct OtherSettings<'a> {
    compute_allocation: &'a Option<Nat>,
    memory_allocation: &'a Option<Nat>,
    freezing_threshold: &'a Option<Nat>,
    reserved_cycles_limit: &'a Option<Nat>,
    log_visibility: &'a Option<Visibility>,
    log_memory_limit: &'a Option<Nat>,
    snapshot_visibility: &'a Option<Visibility>,
    status_visibility: &'a Option<Visibility>,
    minimum_incoming_canister_call_cycles: &'a Option<Nat>,
    wasm_memory_limit: &'a Option<Nat>,
    wasm_memory_threshold: &'a Option<Nat>,
    environment_variables: &'a Option<Vec<EnvironmentVariable>>,
}

impl KnownSettings {
    /// Those that a target takes over, the controllers apart.
    pub(crate) fn others(&self) -> OtherSettings<'_> {
        OtherSettings {
            compute_allocation: &self.compute_allocation,
            memory_allocation: &self.memory_allocation,
            freezing_threshold: &self.freezing_threshold,
            reserved_cycles_limit: &self.reserved_cycles_limit,
            log_visibility: &self.log_visibility,
            log_memory_limit: &self.log_memory_limit,
            snapshot_visibility: &self.snapshot_visibility,
            status_visibility: &self.status_visibility,
            minimum_incoming_canister_call_cycles: &self.minimum_incoming_canister_call_cycles,
            wasm_memory_limit: &self.wasm_memory_limit,
            wasm_memory_threshold: &self.wasm_memory_threshold,
            environment_variables: &self.environment_variables,
        }
    }
}

/// Whether a canister runs.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) enum RunState {
    #[serde(rename = "running")]
    Running,
    #[serde(rename = "stopping")]
    Stopping,
    #[serde(rename = "stopped")]
    Stopped,
}

#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct MemoryMetrics {
    pub(crate) snapshots_size: Option<Nat>,
    pub(crate) stable_memory_size: Option<Nat>,
    pub(crate) wasm_chunk_store_size: Option<Nat>,
}

/// `canister_status`.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct Status {
    pub(crate) status: RunState,
    pub(crate) settings: KnownSettings,
    pub(crate) module_hash: Option<ByteBuf>,
    pub(crate) cycles: Nat,
    pub(crate) memory_size: Option<Nat>,
    pub(crate) idle_cycles_burned_per_day: Option<Nat>,
    pub(crate) version: Option<u64>,
    pub(crate) memory_metrics: Option<MemoryMetrics>,
}

#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct OfCanister {
    pub(crate) canister_id: Principal,
}

/// Settings to be set.
#[derive(Debug, Clone, Default, CandidType, Deserialize)]
pub(crate) struct NewSettings {
    pub(crate) controllers: Option<Vec<Principal>>,
    pub(crate) compute_allocation: Option<Nat>,
    pub(crate) memory_allocation: Option<Nat>,
    pub(crate) freezing_threshold: Option<Nat>,
    pub(crate) reserved_cycles_limit: Option<Nat>,
    pub(crate) log_visibility: Option<Visibility>,
    pub(crate) log_memory_limit: Option<Nat>,
    pub(crate) snapshot_visibility: Option<Visibility>,
    pub(crate) status_visibility: Option<Visibility>,
    pub(crate) minimum_incoming_canister_call_cycles: Option<Nat>,
    pub(crate) wasm_memory_limit: Option<Nat>,
    pub(crate) wasm_memory_threshold: Option<Nat>,
    pub(crate) environment_variables: Option<Vec<EnvironmentVariable>>,
}

#[derive(Debug, Clone, CandidType)]
pub(crate) struct UpdateSettings {
    pub(crate) canister_id: Principal,
    pub(crate) settings: NewSettings,
}

/// How code is installed.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) enum InstallMode {
    #[serde(rename = "install")]
    Install,
    #[serde(rename = "reinstall")]
    Reinstall,
    #[serde(rename = "upgrade")]
    Upgrade(Option<UpgradeOptions>),
}

/// How code is upgraded: as ever.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct UpgradeOptions {}

/// The hash of a chunk.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct ChunkHash {
    pub(crate) hash: ByteBuf,
}

#[derive(Debug, Clone, CandidType)]
pub(crate) struct InstallChunkedCode {
    pub(crate) mode: InstallMode,
    pub(crate) target_canister: Principal,
    pub(crate) store_canister: Option<Principal>,
    pub(crate) chunk_hashes_list: Vec<ChunkHash>,
    pub(crate) wasm_module_hash: ByteBuf,
    pub(crate) arg: ByteBuf,
}

/// Calls a method with an unbounded wait: its effect is never unknown. Only where no code of somebody else can hold it up.
pub(crate) async fn call(method: &str, arg: &impl CandidType) -> Result<Response, CallFailed> {
    money::send(Call::unbounded_wait(Principal::management_canister(), method).with_arg(arg)).await
}

/// Calls a method with a bounded wait: it may have its effect though nobody knows. What it is about runs code of others, which
/// may install for minutes, and keep all that is asked about it waiting.
pub(crate) async fn ask_for(
    seconds: u32,
    method: &str,
    arg: &impl CandidType,
) -> Result<Response, CallFailed> {
    let call = Call::bounded_wait(Principal::management_canister(), method).change_timeout(seconds);
    money::send(call.with_arg(arg)).await
}

/// Creates a canister of this subnet that the coordinator controls, with so many cycles.
pub(crate) async fn create_canister(cycles: u128) -> Result<Principal, String> {
    #[derive(CandidType)]
    struct Arg {
        settings: Option<NewSettings>,
    }
    let call = Call::unbounded_wait(Principal::management_canister(), "create_canister")
        .with_arg(Arg { settings: None });
    let response = money::send_with(call, cycles).await.map_err(|error| error.to_string())?;
    let created: OfCanister = replies::told(response)?;
    Ok(created.canister_id)
}

/// Gives cycles to a canister.
pub(crate) async fn deposit(canister: Principal, cycles: u128) -> Result<(), CallFailed> {
    let call = Call::unbounded_wait(Principal::management_canister(), "deposit_cycles")
        .with_arg(OfCanister { canister_id: canister });
    money::send_with(call, cycles).await.map(|_| ())
}

/// Who changed a canister.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) enum Origin {
    #[serde(rename = "from_user")]
    User { user_id: Principal },
    #[serde(rename = "from_canister")]
    Canister { canister_id: Principal },
}

/// What somebody did to the code of a canister; all else is none.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) enum Change {
    #[serde(rename = "code_uninstall")]
    Uninstall,
    #[serde(rename = "code_deployment")]
    Deployment { mode: DeploymentMode, module_hash: ByteBuf },
    #[serde(rename = "load_snapshot")]
    Load {},
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
pub(crate) enum DeploymentMode {
    #[serde(rename = "install")]
    Install,
    #[serde(rename = "reinstall")]
    Reinstall,
    #[serde(rename = "upgrade")]
    Upgrade,
}

#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct ChangeRecord {
    pub(crate) timestamp_nanos: u64,
    /// Version of the canister after it.
    pub(crate) canister_version: u64,
    pub(crate) origin: Origin,
    /// Candid reads a kind that is not listed above as none.
    pub(crate) details: Option<Change>,
}

/// `canister_info`.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct Info {
    pub(crate) recent_changes: Vec<ChangeRecord>,
}

/// The last changes of a canister, as many as are kept (spec: at least 20).
pub(crate) async fn history(canister: Principal) -> Result<Response, CallFailed> {
    #[derive(CandidType)]
    struct Arg {
        canister_id: Principal,
        num_requested_changes: Option<u64>,
    }
    let arg = Arg { canister_id: canister, num_requested_changes: Some(20) };
    ask_for(TIMEOUT_SECONDS, "canister_info", &arg).await
}

/// Instructions that the platform charges a canister for a chunk that it puts into its store (code, `upload_chunk`).
const UPLOAD_INSTRUCTIONS: u128 = 200_000_000;

/// Puts a chunk of at most 1 MiB into the coordinator's own chunk store; answers its hash.
pub(crate) async fn keep_chunk(chunk: &[u8]) -> Result<ByteBuf, CallFailed> {
    #[derive(CandidType)]
    struct Arg {
        canister_id: Principal,
        chunk: ByteBuf,
    }
    let hash = ByteBuf::from(Sha256::digest(chunk).to_vec());
    let arg = Arg { canister_id: ic_cdk::api::canister_self(), chunk: ByteBuf::from(chunk.to_vec()) };
    money::count_instructions(UPLOAD_INSTRUCTIONS);
    call("upload_chunk", &arg).await?;
    Ok(hash)
}

/// Why a call about snapshots brought nothing.
pub(crate) enum Failure {
    /// It was rejected, or not sent.
    Call(CallFailed),
    /// Its reply is something else.
    Reply(String),
}

impl From<CallFailed> for Failure {
    fn from(error: CallFailed) -> Self {
        Self::Call(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Call(error) => error.fmt(f),
            Self::Reply(reason) => reason.fmt(f),
        }
    }
}

/// Calls a method of the management canister as [`ask_for`] does, and decodes its reply.
pub(crate) async fn ask<R: CandidType + DeserializeOwned>(
    method: &str,
    arg: &impl CandidType,
) -> Result<R, Failure> {
    told(method, ask_for(TIMEOUT_SECONDS, method, arg).await?)
}

/// The same as [`call`] does.
pub(crate) async fn make<R: CandidType + DeserializeOwned>(
    method: &str,
    arg: &impl CandidType,
) -> Result<R, Failure> {
    told(method, call(method, arg).await?)
}

fn told<R: CandidType + DeserializeOwned>(method: &str, response: Response) -> Result<R, Failure> {
    replies::decoded(&response.into_bytes(), DATA_BYTES)
        .map_err(|why| Failure::Reply(format!("{method}: {why}")))
}

/// Hashes of the chunks in the coordinator's own chunk store.
pub(crate) async fn stored_chunks() -> Result<Vec<ByteBuf>, Failure> {
    let own = OfCanister { canister_id: ic_cdk::api::canister_self() };
    let chunks: Vec<ChunkHash> = make("stored_chunks", &own).await?;
    Ok(chunks.into_iter().map(|chunk| chunk.hash).collect())
}
