//! Responses: the callback that waits for one runs as a whole, or its cleanup does.

use super::environment::{self, Invocation};
use super::runner::{Entry, Keep};
use crate::accounts::Prepaid;
use crate::faults::CallView;
use crate::instance::Instance;
use crate::state::calls::{CallContext, Callback};
use crate::state::long::{Finished, Ran};
use crate::state::{Origin, Response};
use crate::system_api::host::{Closure, Context, HostError};
use crate::trace::{Event, EventKind};
use std::sync::Arc;

impl Instance {
    /// Executes a response; answers the instructions it used.
    pub(super) fn execute_response(&mut self, subnet: usize, response: &Response) -> u64 {
        let id = response.originator;
        let profile = self.subnets[subnet].profile.clone();
        let Some(mut canister) = self.subnets[subnet].canister_mut(&id) else { return 0 };
        let Some(callback) = canister.calls.callbacks.get(&response.callback).cloned() else {
            // Late: the call was answered before, by its deadline. Only its refund is left to return.
            canister.cycles = canister.cycles.saturating_add(response.refund);
            return 0;
        };
        drop(canister);
        let view = CallView::of_response(response, &callback, self.round);
        self.run_hook(|| view.clone());
        let traps = self.faults.traps_callback(&view);
        let Some(mut canister) = self.subnets[subnet].canister_mut(&id) else { return 0 };
        if canister.calls.take(response.callback).is_none() {
            return 0;
        }
        let before = canister.cycles;
        let transmission = profile.transmission_cycles(response.payload_bytes());
        canister.cycles = canister.cycles.saturating_add(response.refund.min(callback.cycles));
        canister.repay(callback.prepaid_transmission.saturating_sub(transmission));
        let context = canister.calls.contexts.get(&callback.context).cloned();
        if context.is_none() {
            canister.repay(callback.prepaid_execution);
        }
        let is_wasm64 = canister.is_wasm64();
        drop(canister);
        if let Some(deadline) = callback.deadline_nanos {
            self.subnets[subnet].deadlines.remove(&(deadline, id, response.callback));
        }
        let Some(context) = context else { return 0 };
        let finished = self.run_callback_of(subnet, &callback, &context, response, traps);
        let event = self.traced(|| Event {
            round: self.round,
            kind: match &response.payload {
                Ok(_) => EventKind::Reply,
                Err(reject) => EventKind::Reject(reject.code),
            },
            caller: response.respondent,
            callee: id,
            method: callback.method.clone(),
            request_bytes: response.payload_bytes(),
            response_bytes: 0,
            instructions: 0,
            cycles: 0,
        });
        let context_id = callback.context;
        let prepaid = Prepaid::new(callback.prepaid_execution, profile.limits.message, is_wasm64);
        let ran = Ran { context_id, balance_before: before, prepaid, finished, event };
        self.end_or_withhold(subnet, id, ran)
    }

    fn run_callback_of(
        &mut self,
        subnet: usize,
        callback: &Callback,
        context: &CallContext,
        response: &Response,
        traps: bool,
    ) -> Finished {
        let id = response.originator;
        let limits = self.profile(subnet).limits;
        let limit = limits.message - limits.cleanup_reserve();
        let (closure, invocation) = callback_invocation(callback, context, response, limit);
        let injected = self.subnets[subnet].canister(&id).filter(|_| traps).map(|canister| {
            let effects = environment::effects(canister, context.available);
            Finished::unrun(Err(HostError::Trapped("fault injected into a callback")), effects)
        });
        let finished = injected.unwrap_or_else(|| {
            self.run_on(subnet, id, invocation, context.available, Entry::Closure(closure), Keep::WhenDue)
        });
        self.clean_up(subnet, callback, context, response, finished)
    }

    /// Runs the cleanup callback of a callback that failed (spec, `call_on_cleanup`). Its own changes last,
    /// those of the callback do not.
    fn clean_up(
        &mut self,
        subnet: usize,
        callback: &Callback,
        context: &CallContext,
        response: &Response,
        failed: Finished,
    ) -> Finished {
        let (Err(error), Some(closure)) = (&failed.result, callback.on_cleanup) else { return failed };
        let id = response.originator;
        // What the callback left of its limit, and what was kept for this.
        let limit = self.profile(subnet).limits.message.saturating_sub(failed.instructions);
        let mut invocation = Invocation::plain(Context::Cleanup, context.caller, Arc::from([]), limit);
        invocation.reject = response.payload.as_ref().err().map(|reject| (reject.code as u32, String::new()));
        invocation.context_instructions = context.instructions;
        let cleaned =
            self.run_on(subnet, id, invocation, context.available, Entry::Closure(closure), Keep::OnSuccess);
        let error = match &cleaned.result {
            Ok(()) => {
                if let Some(mut canister) = self.subnets[subnet].canister_mut(&id) {
                    canister.version += 1;
                    canister.settle_effects(&cleaned.effects);
                    canister.apply(&cleaned.effects);
                    canister.check_low_memory();
                }
                error.clone()
            }
            Err(cleanup) => HostError::Engine(format!("{error}; its call_on_cleanup also failed: {cleanup}")),
        };
        let mut effects = failed.effects;
        effects.log.append(&cleaned.effects.log);
        Finished {
            instructions: failed.instructions + cleaned.instructions,
            heap_delta_pages: cleaned.heap_delta_pages,
            result: Err(error),
            effects,
            withheld: None,
        }
    }
}

fn callback_invocation(
    callback: &Callback,
    context: &CallContext,
    response: &Response,
    instruction_limit: u64,
) -> (Closure, Invocation) {
    let (closure, kind, arg, reject) = match &response.payload {
        Ok(reply) => (callback.on_reply, Context::Reply, reply.as_slice(), None),
        Err(reject) => {
            let reject = Some((reject.code as u32, reject.message.clone()));
            (callback.on_reject, Context::Reject, &[][..], reject)
        }
    };
    let mut invocation = Invocation::plain(kind, context.caller, arg.into(), instruction_limit);
    invocation.reject = reject;
    invocation.refunded = response.refund.min(callback.cycles);
    invocation.context_instructions = context.instructions;
    invocation.is_answered = context.is_answered;
    if let Origin::Canister { deadline_nanos: Some(deadline), .. } = context.origin {
        invocation.deadline_nanos = deadline;
    }
    (closure, invocation)
}
