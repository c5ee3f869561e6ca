//! Calls by users: checked when they are submitted, executed in rounds, remembered for whoever asks.

use crate::api::{EffectivePrincipal, IngressStatus, MessageId, SubnetKind, UserCall};
use crate::costs::{self, limits};
use crate::error::{ErrorCode, RejectResponse, UserError};
use crate::execution::environment::{self, Invocation};
use crate::execution::failure;
use crate::execution::runner::{Entry, Keep};
use crate::instance::Instance;
use crate::management;
use crate::state::ingress::Submitted;
use crate::state::messages::Message;
use crate::state::{Canister, Origin, Request, Status};
use crate::system_api::host::Context;
use candid::Principal;

/// Bytes of the signed envelope around an ingress message, without canister id, method name and argument (measured: every ingress case of the calibration).
const ENVELOPE_BYTES: u64 = 138;

/// Bytes of an ingress message that the platform charges for.
fn ingress_bytes(call: &UserCall) -> u64 {
    let cbor = |length: usize| {
        length as u64
            + match length {
                0..=23 => 1,
                24..=0xff => 2,
                0x100..=0xffff => 3,
                _ => 5,
            }
    };
    ENVELOPE_BYTES
        + call.canister_id.as_slice().len() as u64
        + cbor(call.method.len())
        + cbor(call.payload.len())
}

impl Instance {
    /// Checks a call and enqueues it for the next round.
    pub fn submit(&mut self, call: UserCall) -> Result<MessageId, RejectResponse> {
        let rejected = |error| RejectResponse::from_error(error, false);
        let subnet = self.check_ingress(&call).map_err(rejected)?;
        let id = self.ingress.next_id(&call);
        let bytes = ingress_bytes(&call);
        self.ingress.submitted.insert(id, Submitted { sender: call.sender, answer: None });
        let request = Request {
            origin: Origin::Ingress(id),
            sender: call.sender,
            receiver: call.canister_id,
            method: call.method,
            payload: call.payload.into(),
            cycles: 0,
        };
        self.ingress.queue.push_back((subnet, request, bytes));
        Ok(id)
    }

    /// Executes rounds until the call is answered.
    ///
    /// Errors with a sentence if the call is unknown, or unanswered after [`limits::AWAIT_ROUNDS`] rounds.
    pub fn await_ingress(&mut self, id: &MessageId) -> Result<Result<Vec<u8>, RejectResponse>, String> {
        for _ in 0..=limits::AWAIT_ROUNDS {
            let submitted = self.ingress.submitted.get(id).ok_or_else(|| {
                format!("UnknownMessage: no call with id {} was submitted", hex::encode(id))
            })?;
            if let Some(answer) = &submitted.answer {
                return Ok(answer.clone().map_err(|error| RejectResponse::from_error(error, true)));
            }
            self.tick();
        }
        Err(format!("PocketIC did not complete the update call within {} rounds", limits::AWAIT_ROUNDS))
    }

    /// What is known of a call; `Forbidden` if `caller` is given and did not send it.
    pub fn ingress_status(&self, id: &MessageId, caller: Option<Principal>) -> IngressStatus {
        let Some(submitted) = self.ingress.submitted.get(id) else { return IngressStatus::Pending };
        if caller.is_some_and(|caller| caller != submitted.sender) {
            return IngressStatus::Forbidden;
        }
        match &submitted.answer {
            None => IngressStatus::Pending,
            Some(answer) => {
                IngressStatus::Done(answer.clone().map_err(|error| RejectResponse::from_error(error, true)))
            }
        }
    }

    /// The subnet that takes the call, or why none does.
    fn check_ingress(&mut self, call: &UserCall) -> Result<usize, UserError> {
        if call.payload.len() as u64 > limits::INTER_CANISTER_PAYLOAD_BYTES {
            return Err(UserError::new(
                ErrorCode::InvalidManagementPayload,
                format!(
                    "Request {} is too large. Message byte size {} is larger than the max allowed {}.",
                    call.method,
                    call.payload.len(),
                    limits::INTER_CANISTER_PAYLOAD_BYTES
                ),
            ));
        }
        if call.canister_id == Principal::management_canister() {
            let subnet = self.management_subnet(call)?;
            management::accepts_ingress(self, subnet, call.sender, &call.method, &call.payload)?;
            return Ok(subnet);
        }
        let subnet =
            self.home(call.canister_id).ok_or_else(|| failure::canister_not_found(call.canister_id))?;
        let Some(canister) = self.subnets[subnet].canister(&call.canister_id) else {
            return Err(failure::canister_not_found(call.canister_id));
        };
        match canister.status {
            Status::Running => {}
            Status::Stopping(_) => return Err(failure::not_running(canister.id, true)),
            Status::Stopped => return Err(failure::not_running(canister.id, false)),
        }
        let Some(code) = &canister.code else {
            return Err(UserError::new(
                ErrorCode::CanisterWasmModuleNotFound,
                "Requested canister has no wasm module",
            ));
        };
        let inspects = code.module.exports("canister_inspect_message");
        let cost = costs::ingress_cycles(ingress_bytes(call));
        let needed = canister.freezing_threshold_cycles() + cost;
        if canister.cycles < needed {
            return Err(UserError::new(
                ErrorCode::CanisterOutOfCycles,
                format!(
                    "Canister {} is out of cycles: please top up the canister with at least {} additional cycles",
                    canister.id,
                    needed - canister.cycles
                ),
            ));
        }
        if inspects {
            self.inspect(subnet, call)?;
        }
        Ok(subnet)
    }

    /// Runs `canister_inspect_message`, which decides whether the call is taken.
    fn inspect(&mut self, subnet: usize, call: &UserCall) -> Result<(), UserError> {
        let invocation = Invocation::plain(
            Context::Inspect,
            call.sender,
            call.payload.as_slice().into(),
            limits::INSPECT_INSTRUCTIONS,
        );
        let subnet_id = self.subnets[subnet].id;
        let root_key = self.root_key.clone();
        let Some(mut guard) = self.subnets[subnet].canister_mut(&call.canister_id) else { return Ok(()) };
        let canister: &mut Canister = &mut guard;
        let mut env = environment::env(canister, subnet_id, self.time_nanos, root_key, invocation);
        env.method.clone_from(&call.method);
        let effects = environment::effects(canister, 0);
        let Some(code) = canister.code.as_mut() else { return Ok(()) };
        let entry = Entry::Export("canister_inspect_message");
        let finished = self.runner.run(code, &mut canister.stable, env, effects, entry, Keep::Nothing);
        match finished.result {
            Err(error) => Err(failure::user_error(call.canister_id, &error)),
            Ok(()) if finished.effects.accepted_message => Ok(()),
            Ok(()) => Err(UserError::new(
                ErrorCode::CanisterRejectedMessage,
                format!("Canister {} rejected the message", call.canister_id),
            )),
        }
    }

    /// Where a user's call to the management canister goes.
    pub(crate) fn management_subnet(&self, call: &UserCall) -> Result<usize, UserError> {
        let about = management::effective_canister_id(&call.method, &call.payload).map_err(|error| {
            if error.code != ErrorCode::InvalidManagementPayload {
                return error;
            }
            let method = &call.method;
            UserError::new(error.code, format!("Failed to parse payload for ic00 method {method}: {error}"))
        })?;
        let found = match (&call.effective_principal, about) {
            (_, Some(canister)) => self.responsible(canister),
            (EffectivePrincipal::Subnet(id), None) => self.subnets.iter().position(|subnet| subnet.id == *id),
            (EffectivePrincipal::Canister(id), None) => self.responsible(*id),
            (EffectivePrincipal::None, None) => Some(self.default_subnet()),
        };
        found.ok_or_else(|| match (&about, &call.effective_principal) {
            (Some(canister), _) | (None, EffectivePrincipal::Canister(canister)) => {
                failure::canister_not_found(*canister)
            }
            (None, other) => {
                UserError::new(ErrorCode::SubnetNotFound, format!("There is no subnet for {other:?}"))
            }
        })
    }

    /// The subnet on which canisters are created when nobody says where.
    fn default_subnet(&self) -> usize {
        self.subnets.iter().position(|subnet| subnet.kind == SubnetKind::Application).unwrap_or(0)
    }

    /// Takes the submitted calls into a subnet's queues and charges for them.
    pub(crate) fn induct_ingress(&mut self) {
        for (subnet, request, bytes) in std::mem::take(&mut self.ingress.queue) {
            let cost = costs::ingress_cycles(bytes);
            let payer = if request.receiver == Principal::management_canister() {
                management::effective_canister_id(&request.method, &request.payload)
                    .ok()
                    .flatten()
                    .filter(|_| !is_free_settings_call(&request))
            } else {
                Some(request.receiver)
            };
            let paid = payer
                .and_then(|payer| self.subnets[subnet].canister_mut(&payer))
                .map_or(Ok(()), |mut payer| payer.withdraw(cost));
            if let Err(error) = paid {
                let error = UserError::new(ErrorCode::CanisterOutOfCycles, error.to_string());
                self.respond(subnet, &request, Err(error), 0);
                continue;
            }
            self.deliver(subnet, Message::Request(request));
        }
    }
}

/// Short calls of `update_settings` are free, so that a frozen canister can be thawed (code:
/// `is_delayed_ingress_induction_cost`).
fn is_free_settings_call(request: &Request) -> bool {
    /// Bytes of the argument up to which the call is free.
    const FREE_BYTES: usize = 267;
    request.method == "update_settings" && request.payload.len() <= FREE_BYTES
}
