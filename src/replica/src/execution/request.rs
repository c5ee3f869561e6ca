//! Calls: the method that is called runs as a whole, or leaves nothing but its price.

use super::environment::Invocation;
use super::failure;
use super::runner::{Entry, Keep, export_name};
use crate::accounts::OutOfCycles;
use crate::costs::WASM_PAGE_BYTES;
use crate::error::{ErrorCode, UserError};
use crate::faults::CallView;
use crate::instance::Instance;
use crate::state::calls::CallContext;
use crate::state::long::Ran;
use crate::state::{Canister, Inbound, Origin, Request, Status};
use crate::system_api::host::{Context, HostError};
use crate::trace::{Event, EventKind};
use crate::wasm::inspect::MethodKind;
use candid::Principal;

impl Instance {
    /// Executes the next message in the inbox of a canister; answers the instructions that it used of this round.
    pub(crate) fn execute_next(&mut self, subnet: usize, id: Principal) -> Option<u64> {
        let message = self.subnets[subnet].canister_mut(&id)?.inbox.pop(&mut self.schedule)?;
        Some(match message {
            Inbound::Request(request) if request.is_expired(self.time_nanos) => {
                self.drop_expired(subnet, &request);
                0
            }
            Inbound::Request(request) => self.execute_request(subnet, &request),
            Inbound::Response(response) => self.execute_response(subnet, &response),
        })
    }

    /// Drops a best-effort call whose deadline is over. Its caller has its answer from its own subnet; only the
    /// cycles that came with it go back.
    pub(crate) fn drop_expired(&mut self, subnet: usize, request: &Request) {
        let error = UserError::new(ErrorCode::DeadlineExpired, "Call deadline has expired.");
        self.respond(subnet, request, Err(error), request.cycles);
    }

    fn execute_request(&mut self, subnet: usize, request: &Request) -> u64 {
        let round = self.round;
        self.run_hook(|| CallView::of_request(request, round));
        let id = request.receiver;
        let profile = self.subnets[subnet].profile.clone();
        let Some(mut canister) = self.subnets[subnet].canister_mut(&id) else {
            self.respond(subnet, request, Err(failure::canister_not_found(id)), request.cycles);
            return 0;
        };
        if let Origin::Ingress(message) = &request.origin
            && self.ingress.is_expired(message)
        {
            drop(canister);
            let error = UserError::new(
                ErrorCode::IngressMessageTimeout,
                format!("Ingress message {} timed out waiting to start executing.", hex::encode(message)),
            );
            self.respond(subnet, request, Err(error), request.cycles);
            return 0;
        }
        let before = canister.cycles;
        let (entry, context) = match prepare(&canister, &request.method) {
            Ok(prepared) => prepared,
            Err((error, is_charged)) => {
                // A message that finds nothing to run costs its base fee (measured: `call unknown method`).
                if is_charged {
                    canister.pay(profile.execution_cycles(0, false));
                }
                let cycles = before.saturating_sub(canister.cycles);
                drop(canister);
                let round = self.round;
                self.trace.record(|| Event { cycles, ..event(request, round) });
                self.respond(subnet, request, Err(error), request.cycles);
                return 0;
            }
        };
        let is_query = context == Context::ReplicatedQuery;
        let limit = if is_query { profile.limits.replicated_query } else { profile.limits.message };
        let is_wasm64 = canister.is_wasm64();
        let prepaid = match canister.prepay(&profile, limit, is_wasm64) {
            Ok(prepaid) => prepaid,
            Err(error) => {
                drop(canister);
                let error = error.user_error(OutOfCycles::to_string);
                self.respond(subnet, request, Err(error), request.cycles);
                return 0;
            }
        };
        let context_id = canister.calls.open(CallContext {
            origin: request.origin.clone(),
            caller: request.sender,
            is_answered: false,
            available: request.cycles,
            instructions: 0,
            open_calls: 0,
        });
        drop(canister);
        let mut invocation = Invocation::plain(context, request.sender, request.payload.clone(), limit);
        if let Origin::Canister { deadline_nanos: Some(deadline), .. } = request.origin {
            invocation.deadline_nanos = deadline;
        }
        let keep = if is_query { Keep::Nothing } else { Keep::WhenDue };
        let finished = self.run_on(subnet, id, invocation, request.cycles, Entry::Export(&entry), keep);
        let event = self.traced(|| event(request, self.round));
        let ran = Ran { context_id, balance_before: before, prepaid, finished, event };
        if is_query {
            // Queries are not cut into slices.
            let instructions = ran.finished.instructions;
            self.end_message(subnet, id, ran);
            return instructions;
        }
        self.end_or_withhold(subnet, id, ran)
    }
}

/// A request in the trace, without figures of its execution.
fn event(request: &Request, round: u64) -> Event {
    Event {
        round,
        kind: EventKind::Request,
        caller: request.sender,
        callee: request.receiver,
        method: request.method.clone(),
        request_bytes: (request.method.len() + request.payload.len()) as u64,
        response_bytes: 0,
        instructions: 0,
        cycles: 0,
    }
}

/// The export that a request runs, or why there is none and whether finding that out is charged.
fn prepare(canister: &Canister, method: &str) -> Result<(String, Context), (UserError, bool)> {
    match canister.status {
        Status::Running => {}
        Status::Stopping(_) => return Err((failure::stopped_meanwhile(canister.id, true), false)),
        Status::Stopped => return Err((failure::stopped_meanwhile(canister.id, false), false)),
    }
    let Some(code) = &canister.code else { return Err((failure::no_module(canister.id), true)) };
    let context = match code.module.method(method) {
        Some(MethodKind::Update) => Context::Update,
        Some(MethodKind::Query) => Context::ReplicatedQuery,
        Some(MethodKind::CompositeQuery) => {
            let error = UserError::new(
                ErrorCode::CompositeQueryCalledInReplicatedMode,
                format!(
                    "Error from Canister {}: Composite query cannot be called in replicated mode",
                    canister.id
                ),
            );
            return Err((error, true));
        }
        None => return Err((failure::method_not_found(canister.id, "update", method), true)),
    };
    // No update begins on a heap that is too large already (spec, `wasm_memory_limit`).
    if context == Context::Update
        && let Some(limit) = canister.settings.exceeded_heap_limit(code.heap_pages * WASM_PAGE_BYTES)
    {
        return Err((failure::user_error(canister.id, &HostError::WasmMemoryLimit(limit)), true));
    }
    let entry = export_name(&code.module, method).unwrap_or_default();
    Ok((entry, context))
}
