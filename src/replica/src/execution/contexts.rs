//! Call contexts: how a message leaves one, who is answered, and which calls go out.

use super::failure;
use crate::error::{ErrorCode, UserError};
use crate::instance::Instance;
use crate::state::calls::Callback;
use crate::state::long::Finished;
use crate::state::messages::{self, Message};
use crate::state::{Origin, Request};
use crate::system_api::host::{Answer, Effects, OutgoingCall};
use candid::Principal;
use std::sync::Arc;

/// How a message ended.
enum Ending {
    /// It ran; its effects count.
    Done(Box<Effects>),
    /// It failed.
    Failed(UserError),
}

impl Instance {
    /// Applies the effects of a message other than memory and balance, and answers its call context. Log
    /// lines last even if the message failed.
    pub(super) fn conclude(
        &mut self,
        subnet: usize,
        id: Principal,
        context_id: Option<u64>,
        finished: Finished,
    ) {
        let Some(mut canister) = self.subnets[subnet].canister_mut(&id) else { return };
        canister.log.append(&finished.effects.log);
        let ending = match finished.result {
            Ok(()) => {
                canister.version += 1;
                canister.apply(&finished.effects);
                canister.check_low_memory();
                Ending::Done(Box::new(finished.effects))
            }
            Err(error) => Ending::Failed(failure::user_error(id, &error)),
        };
        let Some(context_id) = context_id else { return };
        if let Some(context) = canister.calls.contexts.get_mut(&context_id) {
            context.instructions += finished.instructions;
            if let Ending::Done(effects) = &ending {
                context.available = context.available.saturating_sub(effects.accepted);
            }
        }
        drop(canister);
        match ending {
            Ending::Done(effects) => {
                for call in effects.calls {
                    self.make_call(subnet, id, context_id, call);
                }
                match effects.answer {
                    Answer::Open(_) | Answer::Closed => {}
                    Answer::Reply(reply) => self.answer(subnet, id, context_id, Ok(reply)),
                    Answer::Reject(message) => {
                        let error = UserError::new(ErrorCode::CanisterRejectedMessage, message);
                        self.answer(subnet, id, context_id, Err(error));
                    }
                }
                self.close_context(subnet, id, context_id, None);
            }
            Ending::Failed(error) => self.close_context(subnet, id, context_id, Some(error)),
        }
    }

    /// Registers the callback and sends the request.
    fn make_call(&mut self, subnet: usize, id: Principal, context: u64, call: OutgoingCall) {
        let now = self.time_nanos;
        let profile = self.subnets[subnet].profile.clone();
        let Some(mut canister) = self.subnets[subnet].canister_mut(&id) else { return };
        let is_wasm64 = canister.is_wasm64();
        let deadline_nanos = call.timeout_seconds.map(|seconds| messages::deadline_nanos(now, seconds));
        let callback = canister.calls.register(Callback {
            context,
            callee: call.callee,
            method: call.method.clone(),
            on_reply: call.on_reply,
            on_reject: call.on_reject,
            on_cleanup: call.on_cleanup,
            cycles: call.cycles,
            prepaid_execution: profile.execution_cycles(profile.limits.message, is_wasm64),
            prepaid_transmission: profile.response_prepayment(),
            deadline_nanos,
        });
        drop(canister);
        if let Some(deadline) = deadline_nanos {
            self.subnets[subnet].deadlines.insert((deadline, id, callback));
        }
        let request = Request {
            origin: Origin::Canister { callback, deadline_nanos },
            sender: id,
            receiver: call.callee,
            method: call.method,
            payload: call.payload.into(),
            cycles: call.cycles,
        };
        self.send(subnet, Message::Request(request));
    }

    /// Sends the answer of a call context, once.
    fn answer(&mut self, subnet: usize, id: Principal, context_id: u64, result: Result<Vec<u8>, UserError>) {
        let Some(mut canister) = self.subnets[subnet].canister_mut(&id) else { return };
        let Some(context) = canister.calls.contexts.get_mut(&context_id) else { return };
        if std::mem::replace(&mut context.is_answered, true) {
            return;
        }
        let refund = std::mem::take(&mut context.available);
        let request = Request {
            origin: context.origin.clone(),
            sender: context.caller,
            receiver: id,
            method: String::new(),
            payload: Arc::from([]),
            cycles: 0,
        };
        drop(canister);
        self.respond(subnet, &request, result, refund);
    }

    /// Ends a call context that has no open calls; one that was never answered is rejected.
    fn close_context(&mut self, subnet: usize, id: Principal, context_id: u64, error: Option<UserError>) {
        let canister = self.subnets[subnet].canister(&id);
        let Some(context) = canister.and_then(|canister| canister.calls.contexts.get(&context_id)) else {
            return;
        };
        if context.open_calls > 0 {
            return;
        }
        if !context.is_answered {
            let error = error.unwrap_or_else(|| failure::did_not_reply(id));
            self.answer(subnet, id, context_id, Err(error));
        }
        if let Some(mut canister) = self.subnets[subnet].canister_mut(&id) {
            canister.calls.contexts.remove(&context_id);
        }
    }

    /// Answers a request: to the ingress history, or as a response to the calling canister.
    pub(crate) fn respond(
        &mut self,
        subnet: usize,
        request: &Request,
        result: Result<Vec<u8>, UserError>,
        refund: u128,
    ) {
        match &request.origin {
            Origin::Ingress(id) => self.ingress.finish(id, result),
            Origin::Canister { .. } => {
                let is_management = request.receiver == Principal::management_canister()
                    || self.subnets.iter().any(|subnet| subnet.id == request.receiver);
                let payload = result.map_err(|error| {
                    if is_management { error.into_system_reject() } else { error.into_reject() }
                });
                if let Some(response) = request.response(payload, refund) {
                    self.send(subnet, Message::Response(response));
                }
            }
            Origin::Task => {}
        }
    }

    /// Rejects every open call of a canister whose code goes away (spec, "IC method uninstall_code").
    pub(crate) fn reject_open_calls(&mut self, subnet: usize, id: Principal, error: &UserError) {
        let Some(canister) = self.subnets[subnet].canister(&id) else { return };
        let contexts: Vec<u64> = canister.calls.contexts.keys().copied().collect();
        for context in contexts {
            self.answer(subnet, id, context, Err(error.clone()));
            // Its calls come back to nobody: the callbacks stay until then, the context does not.
            if let Some(mut canister) = self.subnets[subnet].canister_mut(&id) {
                canister.calls.contexts.remove(&context);
            }
        }
    }
}
