//! Starting, stopping and deleting canisters.

use super::arguments::OfCanister;
use super::call::{Answered, Call, Outcome, decode, done};
use crate::costs::limits;
use crate::error::{ErrorCode, UserError};
use crate::state::Status;
use crate::state::canister::StopRequest;

pub(super) fn start(call: &mut Call<'_>) -> Outcome {
    let arg: OfCanister = decode(call)?;
    let mut canister = call.controlled_mut(arg.canister_id)?;
    let before = std::mem::replace(&mut canister.status, Status::Running);
    // Also of one that runs already (spec, "Canister version": "upon every successful [...] call of").
    canister.version += 1;
    drop(canister);
    if let Status::Stopping(waiting) = before {
        for stop in waiting {
            let error = UserError::new(
                ErrorCode::CanisterStoppingCancelled,
                format!("Canister {}'s stop request was cancelled", arg.canister_id),
            );
            let cycles = stop.request.cycles;
            call.instance.respond(call.subnet, &stop.request, Err(error), cycles);
        }
    }
    done()
}

pub(super) fn stop(call: &mut Call<'_>) -> Outcome {
    let arg: OfCanister = decode(call)?;
    let stop = StopRequest {
        request: crate::state::Request { cycles: *call.cycles, ..call.request.clone() },
        deadline_nanos: call.instance.time_nanos + limits::STOP_TIMEOUT_NANOS,
    };
    let mut canister = call.controlled_mut(arg.canister_id)?;
    canister.version += 1;
    match &mut canister.status {
        Status::Stopped => return done(),
        Status::Stopping(waiting) => waiting.push(stop),
        Status::Running => canister.status = Status::Stopping(vec![stop]),
    }
    Ok(Answered::Later)
}

pub(super) fn delete(call: &mut Call<'_>) -> Outcome {
    let arg: OfCanister = decode(call)?;
    let id = arg.canister_id;
    let sender = call.sender;
    let canister = call.controlled(id)?;
    if sender == id {
        return Err(UserError::new(
            ErrorCode::CanisterInvalidController,
            format!("Canister {id} cannot delete itself."),
        ));
    }
    if !matches!(canister.status, Status::Stopped) {
        return Err(UserError::new(
            ErrorCode::CanisterNotStopped,
            format!(
                "Canister {id} must be stopped before it is deleted.\nStop the canister before deleting it."
            ),
        ));
    }
    if !canister.inbox.is_empty() || !canister.calls.is_idle() {
        return Err(UserError::new(
            ErrorCode::CanisterQueueNotEmpty,
            format!(
                "Canister {id} has messages in its queues and cannot be deleted now. Please retry after some time."
            ),
        ));
    }
    // Its cycles are burned, its snapshots die with it.
    let subnet = &mut call.instance.subnets[call.subnet];
    let removed = subnet.remove(&id);
    let consumed = removed.as_ref().map_or(0, |canister| canister.consumed_cycles + canister.cycles);
    subnet.consumed_cycles += consumed;
    if let Some(code) = removed.and_then(|canister| canister.code) {
        call.instance.runner.forget(code.generation);
    }
    done()
}
