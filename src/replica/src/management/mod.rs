//! The management canister (spec, "The IC management canister").

mod access;
mod arguments;
mod call;
mod chunks;
mod creation;
mod cycles;
mod install;
mod logs;
mod run_state;
mod settings;
mod snapshot_data;
mod snapshots;
mod status;

pub(crate) use access::{accepts_ingress, effective_canister_id};
pub(crate) use call::{Answered, EMPTY_REPLY};

use crate::error::{ErrorCode, UserError};
use crate::instance::Instance;
use crate::state::Request;
use call::{Call, Outcome, reply};
use candid::Principal;

/// Executes a call. Cycles that it uses are taken from `cycles`.
pub(crate) fn handle(
    instance: &mut Instance,
    subnet: usize,
    request: &Request,
    cycles: &mut u128,
) -> Outcome {
    let call = &mut Call { instance, subnet, sender: request.sender, request, cycles };
    match request.method.as_str() {
        "create_canister" => creation::create_canister(call),
        "provisional_create_canister_with_cycles" => creation::provisional_create(call),
        "provisional_top_up_canister" => cycles::provisional_top_up(call),
        "deposit_cycles" => cycles::deposit(call),
        "update_settings" => settings::update(call),
        "install_code" => install::install_code(call),
        "install_chunked_code" => install::install_chunked_code(call),
        "uninstall_code" => install::uninstall_code(call),
        "upload_chunk" => chunks::upload(call),
        "clear_chunk_store" => chunks::clear(call),
        "stored_chunks" => chunks::list(call),
        "start_canister" => run_state::start(call),
        "stop_canister" => run_state::stop(call),
        "delete_canister" => run_state::delete(call),
        "canister_status" => status::status(call),
        "canister_info" => status::info(call),
        "raw_rand" => raw_rand(call),
        "take_canister_snapshot" => snapshots::take(call),
        "load_canister_snapshot" => snapshots::load(call),
        "list_canister_snapshots" => snapshots::list(call),
        "delete_canister_snapshot" => snapshots::delete(call),
        "read_canister_snapshot_metadata" => snapshot_data::read_metadata(call),
        "read_canister_snapshot_data" => snapshot_data::read(call),
        "upload_canister_snapshot_metadata" => snapshot_data::upload_metadata(call),
        "upload_canister_snapshot_data" => snapshot_data::upload(call),
        "fetch_canister_logs" => logs::fetch(call),
        other => Err(access::unknown_method(other)),
    }
}

/// Executes a query call; only what the specification lists as query is one.
pub(crate) fn query(
    instance: &mut Instance,
    subnet: usize,
    sender: Principal,
    method: &str,
    payload: &[u8],
) -> Result<Vec<u8>, UserError> {
    match method {
        "fetch_canister_logs" => logs::read(instance, subnet, sender, payload),
        _ => Err(UserError::new(
            ErrorCode::CanisterMethodNotFound,
            format!("Query method {method} not found."),
        )),
    }
}

fn raw_rand(call: &mut Call<'_>) -> Outcome {
    candid::decode_args::<()>(&call.request.payload)
        .map_err(|error| arguments::undecodable(&call.request.method, &error))?;
    let bytes = call.instance.random.bytes();
    reply(&serde_bytes::ByteBuf::from(bytes.to_vec()))
}
