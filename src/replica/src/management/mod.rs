//! The management canister (spec, "The IC management canister").

mod access;
mod arguments;
mod call;
mod chunks;
mod creation;
mod cycles;
mod info;
mod install;
mod keys;
mod logs;
mod metadata;
mod methods;
pub(crate) mod outcalls;
mod payment;
mod run_state;
mod settings;
mod snapshot_data;
pub(crate) mod snapshot_types;
mod snapshots;
mod status;

pub(crate) use access::{Subject, accepts_ingress, address, counts_toward_round, installs_code, payer};
pub(crate) use call::{Answered, EMPTY_REPLY};
pub(crate) use keys::unknown_key;
pub(crate) use settings::is_paid_later;

use crate::api::UserCall;
use crate::error::{ErrorCode, UserError};
use crate::instance::Instance;
use crate::state::{Origin, Request};
use call::{Call, Outcome, reply};
use candid::Principal;

/// Executes a call. Cycles that it uses are taken from `cycles`.
pub(crate) fn handle(
    instance: &mut Instance,
    subnet: usize,
    request: &Request,
    cycles: &mut u128,
) -> Outcome {
    let method = access::permitted(instance, subnet, request)?;
    let run = method.run.map_err(|instead| access::not_offered(method.name, instead))?;
    run(&mut Call { instance, subnet, sender: request.sender, request, cycles })
}

/// Executes a query call; only what the specification lists as query is one.
pub(crate) fn query(instance: &mut Instance, subnet: usize, call: &UserCall) -> Result<Vec<u8>, UserError> {
    let no_query = || {
        let message = format!("Query method {} not found.", call.method);
        UserError::new(ErrorCode::CanisterMethodNotFound, message)
    };
    let method = methods::find(&call.method).ok_or_else(no_query)?;
    let run = method.run.map_err(|instead| access::not_offered(method.name, instead))?;
    if !method.is_query {
        return Err(no_query());
    }
    // Nobody waits for it in a queue: the answer is handed back at once.
    let request = Request {
        origin: Origin::Task,
        sender: call.sender,
        receiver: Principal::management_canister(),
        method: call.method.clone(),
        payload: call.payload.as_slice().into(),
        cycles: 0,
    };
    match run(&mut Call { instance, subnet, sender: call.sender, request: &request, cycles: &mut 0 })? {
        Answered::Now(reply) => Ok(reply),
        Answered::Later => Err(no_query()),
    }
}

fn raw_rand(call: &mut Call<'_>) -> Outcome {
    candid::decode_args::<()>(&call.request.payload).map_err(|error| arguments::undecodable(&error))?;
    let bytes = call.instance.random.bytes();
    reply(&serde_bytes::ByteBuf::from(bytes.to_vec()))
}
