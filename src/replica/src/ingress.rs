//! Calls by users: checked when they are submitted, executed in rounds, remembered for whoever asks.

use crate::accounts::OutOfCycles;
use crate::api::{IngressStatus, MessageId, UserCall};
use crate::costs::limits;
use crate::error::{ErrorCode, RejectResponse, UserError};
use crate::execution::environment::{self, Invocation};
use crate::execution::failure;
use crate::execution::runner::{Entry, Keep};
use crate::instance::Instance;
use crate::management;
use crate::routing::Unroutable;
use crate::state::inbox::Source;
use crate::state::ingress::{INGRESS_NANOS, Submitted};
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
    ///
    /// Errors with a sentence if the call goes nowhere.
    pub fn submit(&mut self, call: UserCall) -> Result<Result<MessageId, RejectResponse>, String> {
        let bytes = ingress_bytes(&call);
        let rejected = |error| Ok(Err(RejectResponse::from_error(error, false)));
        let subnet = match self.route_call(&call) {
            Ok(subnet) => subnet,
            Err(Unroutable::BadRequest(why)) => return Err(why),
            Err(Unroutable::Rejected(error)) => return rejected(error),
        };
        if bytes > limits::INTER_CANISTER_PAYLOAD_BYTES {
            return Err(format!(
                "Request {} is too large. Message byte size {bytes} is larger than the max allowed {}.",
                call.method,
                limits::INTER_CANISTER_PAYLOAD_BYTES
            ));
        }
        if let Err(error) = self.check_ingress(subnet, &call, bytes) {
            return rejected(error);
        }
        let id = self.ingress.next_id();
        let submitted = Submitted {
            sender: call.sender,
            expires_nanos: self.clock_nanos().saturating_add(INGRESS_NANOS),
            is_inducted: false,
            answer: None,
        };
        self.ingress.submitted.insert(id, submitted);
        let request = Request {
            origin: Origin::Ingress(id),
            sender: call.sender,
            receiver: call.canister_id,
            method: call.method,
            payload: call.payload.into(),
            cycles: 0,
        };
        self.ingress.queue.push_back((subnet, request, bytes));
        Ok(Ok(id))
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
        Err(format!(
            "PocketIC did not complete the update call within {} rounds{}",
            limits::AWAIT_ROUNDS,
            self.waiting_outcalls()
        ))
    }

    /// What is known of a call; `Forbidden` if `caller` is given and did not send it.
    pub fn ingress_status(&self, id: &MessageId, caller: Option<Principal>) -> IngressStatus {
        let Some(submitted) = self.ingress.submitted.get(id).filter(|submitted| submitted.is_inducted) else {
            return IngressStatus::Pending;
        };
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

    /// Whether the subnet takes the call, or why not.
    fn check_ingress(&mut self, subnet: usize, call: &UserCall, bytes: u64) -> Result<(), UserError> {
        if call.canister_id == Principal::management_canister() {
            management::accepts_ingress(self, subnet, call.sender, &call.method, &call.payload)?;
            let payer = management_payer(&call.method, &call.payload);
            return payer.map_or(Ok(()), |payer| self.check_payer(subnet, payer, bytes));
        }
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
        self.check_payer(subnet, call.canister_id, bytes)?;
        if inspects { self.inspect(subnet, call) } else { Ok(()) }
    }

    /// Whether `payer` can pay for an ingress message of that many bytes.
    fn check_payer(&self, subnet: usize, payer: Principal, bytes: u64) -> Result<(), UserError> {
        let profile = self.profile(subnet);
        let canister =
            self.subnets[subnet].canister(&payer).ok_or_else(|| failure::canister_not_found(payer))?;
        canister
            .affords(profile, profile.ingress_cycles(bytes))
            .map_err(|error| error.user_error(OutOfCycles::to_string))
    }

    /// Runs `canister_inspect_message`, which decides whether the call is taken.
    fn inspect(&mut self, subnet: usize, call: &UserCall) -> Result<(), UserError> {
        let invocation = Invocation::plain(
            Context::Inspect,
            call.sender,
            call.payload.as_slice().into(),
            self.profile(subnet).limits.inspect,
        );
        let (subnet_id, profile) = (self.subnets[subnet].id, self.subnets[subnet].profile.clone());
        let root_key = self.root_key.clone();
        let Some(mut guard) = self.subnets[subnet].canister_mut(&call.canister_id) else { return Ok(()) };
        let canister: &mut Canister = &mut guard;
        let mut env = environment::env(canister, subnet_id, self.time_nanos, root_key, profile, invocation);
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
                format!("Error from Canister {}: Canister rejected the message.", call.canister_id),
            )),
        }
    }

    /// Takes the submitted calls into a subnet's queues and charges for them. What expired before a round could
    /// take it is never heard of again.
    pub(crate) fn induct_ingress(&mut self) {
        for (subnet, request, bytes) in std::mem::take(&mut self.ingress.queue) {
            if let Origin::Ingress(id) = &request.origin {
                if self.ingress.is_expired(id) {
                    self.ingress.submitted.remove(id);
                    continue;
                }
                if let Some(submitted) = self.ingress.submitted.get_mut(id) {
                    submitted.is_inducted = true;
                }
            }
            let profile = self.subnets[subnet].profile.clone();
            let payer = if request.receiver == Principal::management_canister() {
                management_payer(&request.method, &request.payload)
            } else {
                Some(request.receiver)
            };
            let paid = payer
                .and_then(|payer| self.subnets[subnet].canister_mut(&payer))
                .map_or(Ok(()), |mut payer| payer.withdraw(&profile, profile.ingress_cycles(bytes)));
            if let Err(error) = paid {
                let error = error.user_error(OutOfCycles::to_string);
                self.respond(subnet, &request, Err(error), 0);
                continue;
            }
            self.deliver(subnet, Source::Ingress, Message::Request(request));
        }
    }
}

/// The canister that pays for a management call by ingress when it is taken in.
fn management_payer(method: &str, payload: &[u8]) -> Option<Principal> {
    if management::is_paid_later(method, payload) {
        return None;
    }
    management::payer(method, payload)
}
