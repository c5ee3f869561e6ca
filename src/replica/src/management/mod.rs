//! The management canister (spec, "The IC management canister").

mod access;
mod arguments;
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

use crate::error::{ErrorCode, UserError};
use crate::execution::message::canister_not_found;
use crate::instance::Instance;
use crate::state::history::Author;
use crate::state::{Canister, Request};
use candid::{CandidType, Principal};

/// What a call to the management canister did.
pub(crate) enum Answered {
    /// The reply, in Candid.
    Now(Vec<u8>),
    /// `stop_canister`: it is answered when the canister has drained.
    Later,
}

/// A call while it is executed.
pub(crate) struct Call<'a> {
    pub(crate) instance: &'a mut Instance,
    /// Index of the subnet that executes it.
    pub(crate) subnet: usize,
    pub(crate) sender: Principal,
    pub(crate) request: &'a Request,
    /// Cycles attached and not used yet.
    pub(crate) cycles: &'a mut u128,
}

type Outcome = Result<Answered, UserError>;

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

impl Call<'_> {
    /// An existing canister of this subnet.
    fn canister(&mut self, id: Principal) -> Result<&mut Canister, UserError> {
        self.instance.subnets[self.subnet].canisters.get_mut(&id).ok_or_else(|| canister_not_found(id))
    }

    /// A canister of this subnet that the sender controls.
    fn controlled(&mut self, id: Principal) -> Result<&mut Canister, UserError> {
        let sender = self.sender;
        let method = self.request.method.clone();
        let canister = self.canister(id)?;
        if canister.is_controller(&sender) {
            Ok(canister)
        } else {
            Err(access::not_controller(canister, sender, &method))
        }
    }

    /// Who makes the changes of this call, for the history.
    fn author(&self, by_version: Option<u64>) -> Author {
        Author { time_nanos: self.instance.time_nanos, by: self.sender, by_version }
    }

    /// Takes the price of instructions that the platform itself executes for a canister, base fee included.
    fn charge(&mut self, id: Principal, instructions: u64) -> Result<(), UserError> {
        let price = crate::costs::execution_cycles(instructions, false);
        self.canister(id)?
            .withdraw(price)
            .map_err(|error| UserError::new(ErrorCode::CanisterOutOfCycles, error.to_string()))
    }

    /// Brings the subnet's indices up to date.
    fn changed(&mut self, id: Principal) {
        self.instance.subnets[self.subnet].reindex(id);
    }
}

/// A reply with one value.
fn reply(value: &impl CandidType) -> Outcome {
    encode(value).map(Answered::Now)
}

fn encode(value: &impl CandidType) -> Result<Vec<u8>, UserError> {
    candid::encode_one(value).map_err(|error| {
        UserError::new(ErrorCode::CanisterRejectedMessage, format!("the reply cannot be encoded: {error}"))
    })
}

/// The reply `()`.
fn done() -> Outcome {
    Ok(Answered::Now(crate::rounds::EMPTY_REPLY.to_vec()))
}
