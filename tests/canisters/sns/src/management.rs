//! The management canister, as far as root needs it.

use candid::{CandidType, Principal};
use ic_cdk::call::Call;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

#[derive(CandidType)]
struct OfCanister {
    canister_id: Principal,
}

#[derive(CandidType, Deserialize)]
pub(crate) struct Settings {
    pub(crate) controllers: Vec<Principal>,
}

#[derive(CandidType, Deserialize)]
struct Status {
    settings: Settings,
}

#[derive(CandidType)]
struct NewSettings {
    controllers: Option<Vec<Principal>>,
}

#[derive(CandidType)]
struct UpdateSettings {
    canister_id: Principal,
    settings: NewSettings,
}

#[derive(CandidType, Deserialize)]
enum Mode {
    #[serde(rename = "upgrade")]
    Upgrade(Option<()>),
}

#[derive(CandidType)]
struct Install {
    mode: Mode,
    canister_id: Principal,
    wasm_module: ByteBuf,
    arg: ByteBuf,
}

async fn call<R: CandidType + DeserializeOwned>(method: &str, args: &impl CandidType) -> Result<R, String> {
    let response = Call::unbounded_wait(Principal::management_canister(), method).with_arg(args).await;
    response.map_err(|error| format!("{method}: {error}"))?.candid().map_err(|error| error.to_string())
}

async fn tell(method: &str, args: &impl CandidType) -> Result<(), String> {
    let response = Call::unbounded_wait(Principal::management_canister(), method).with_arg(args).await;
    response.map(|_| ()).map_err(|error| format!("{method}: {error}"))
}

pub(crate) async fn controllers(canister_id: Principal) -> Result<Vec<Principal>, String> {
    let status: Status = call("canister_status", &OfCanister { canister_id }).await?;
    Ok(status.settings.controllers)
}

pub(crate) async fn set_controllers(
    canister_id: Principal,
    controllers: Vec<Principal>,
) -> Result<(), String> {
    let settings = NewSettings { controllers: Some(controllers) };
    tell("update_settings", &UpdateSettings { canister_id, settings }).await
}

/// Stops a canister, upgrades it, and starts it whatever came of that.
pub(crate) async fn upgrade(
    canister_id: Principal,
    wasm_module: ByteBuf,
    arg: ByteBuf,
) -> Result<(), String> {
    tell("stop_canister", &OfCanister { canister_id }).await?;
    let install = Install { mode: Mode::Upgrade(None), canister_id, wasm_module, arg };
    let upgraded = tell("install_code", &install).await;
    tell("start_canister", &OfCanister { canister_id }).await?;
    upgraded
}
