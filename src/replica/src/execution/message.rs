//! Requests, responses and tasks: each is executed as a whole, or leaves nothing but its price.

use super::environment::{self, Invocation, MESSAGE_LIMIT};
use super::failure;
use super::runner::{Entry, Finished, Keep, export_name};
use crate::costs;
use crate::error::{Reject, RejectCode, UserError};
use crate::instance::Instance;
use crate::state::calls::{CallContext, Callback};
use crate::state::messages::Message;
use crate::state::{Canister, Inbound, Origin, Request, Response, Settings, Status};
use crate::system_api::host::{Answer, Closure, Context, Effects, HostError, OutgoingCall};
use crate::trace::{Event, EventKind};
use crate::wasm::inspect::MethodKind;
use candid::Principal;
use std::sync::Arc;

/// Work that a canister begins by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// `canister_heartbeat`
    Heartbeat,
    /// `canister_global_timer`
    Timer,
    /// `canister_on_low_wasm_memory`
    LowMemoryHook,
}

impl Task {
    /// The function that it runs.
    pub(crate) fn export(self) -> &'static str {
        match self {
            Self::Heartbeat => "canister_heartbeat",
            Self::Timer => "canister_global_timer",
            Self::LowMemoryHook => "canister_on_low_wasm_memory",
        }
    }
}

/// How an answer leaves a call context.
enum Ending {
    /// The message ran; its effects count.
    Done(Box<Effects>),
    /// The message failed.
    Failed(UserError),
}

impl Instance {
    /// Executes the oldest message in the inbox of a canister; answers the instructions it used.
    pub(crate) fn execute_next(&mut self, subnet: usize, id: Principal) -> u64 {
        let Some(message) =
            self.subnets[subnet].canisters.get_mut(&id).and_then(|canister| canister.inbox.pop_front())
        else {
            return 0;
        };
        let instructions = match message {
            Inbound::Request(request) => self.execute_request(subnet, &request),
            Inbound::Response(response) => self.execute_response(subnet, &response),
        };
        self.subnets[subnet].reindex(id);
        instructions
    }

    fn execute_request(&mut self, subnet: usize, request: &Request) -> u64 {
        self.run_hook(&crate::faults::CallView::of_request(request, self.round));
        let Some(canister) = self.subnets[subnet].canisters.get_mut(&request.receiver) else {
            self.respond(subnet, request, Err(canister_not_found(request.receiver)), request.cycles);
            return 0;
        };
        let before = canister.cycles;
        let prepared = prepare_request(canister, &request.method);
        let (entry, context) = match prepared {
            Ok(prepared) => prepared,
            Err((error, is_charged)) => {
                // A message that finds nothing to run costs its base fee (measured: `call unknown method`).
                if is_charged {
                    canister.cycles = canister.cycles.saturating_sub(costs::prices::MESSAGE_EXECUTION);
                }
                let cycles = before.saturating_sub(canister.cycles);
                self.record(EventKind::Request, request, 0, cycles, 0);
                self.respond(subnet, request, Err(error), request.cycles);
                return 0;
            }
        };
        let is_wasm64 = is_wasm64(canister);
        let prepaid = costs::execution_cycles(MESSAGE_LIMIT, is_wasm64);
        if let Err(error) = canister.withdraw(prepaid) {
            let error = UserError::new(crate::error::ErrorCode::CanisterOutOfCycles, error.to_string());
            self.respond(subnet, request, Err(error), request.cycles);
            return 0;
        }
        let context_id = canister.calls.open(CallContext {
            origin: request.origin.clone(),
            caller: request.sender,
            is_answered: false,
            available: request.cycles,
            instructions: 0,
            open_calls: 0,
        });
        let mut invocation =
            Invocation::plain(context, request.sender, request.payload.clone(), MESSAGE_LIMIT);
        if let Origin::Canister { deadline_nanos: Some(deadline), .. } = request.origin {
            invocation.deadline_nanos = deadline;
        }
        let keep = if context == Context::ReplicatedQuery { Keep::Nothing } else { Keep::OnSuccess };
        let finished =
            self.run_on(subnet, request.receiver, invocation, request.cycles, Entry::Export(&entry), keep);
        let instructions = finished.instructions;
        self.settle_prepayment(subnet, request.receiver, &finished, prepaid, is_wasm64);
        let cycles = before.saturating_sub(
            self.subnets[subnet].canisters.get(&request.receiver).map_or(0, |canister| canister.cycles),
        );
        let bytes = answer_bytes(&finished.effects);
        self.record(EventKind::Request, request, instructions, cycles, bytes);
        self.conclude(subnet, request.receiver, Some(context_id), finished);
        instructions
    }

    fn execute_response(&mut self, subnet: usize, response: &Response) -> u64 {
        let id = response.originator;
        let Some(callback) = self.subnets[subnet]
            .canisters
            .get(&id)
            .and_then(|c| c.calls.callbacks.get(&response.callback))
            .cloned()
        else {
            // Late: the call was answered before, by its deadline. Only its refund is left to return.
            if let Some(canister) = self.subnets[subnet].canisters.get_mut(&id) {
                canister.cycles = canister.cycles.saturating_add(response.refund);
            }
            return 0;
        };
        let view = crate::faults::CallView::of_response(response, &callback, self.round);
        self.run_hook(&view);
        let traps = self.faults.traps_callback(&view);
        let Some(canister) = self.subnets[subnet].canisters.get_mut(&id) else { return 0 };
        if canister.calls.take(response.callback).is_none() {
            return 0;
        }
        if let Some(deadline) = callback.deadline_nanos {
            self.subnets[subnet].deadlines.remove(&(deadline, id, response.callback));
        }
        let Some(canister) = self.subnets[subnet].canisters.get_mut(&id) else { return 0 };
        let before = canister.cycles;
        let transmission = u128::from(response.payload_bytes()) * costs::prices::CALL_BYTE;
        canister.cycles = canister
            .cycles
            .saturating_add(response.refund.min(callback.cycles))
            .saturating_add(callback.prepaid_transmission.saturating_sub(transmission));
        let Some(context) = canister.calls.contexts.get(&callback.context).cloned() else {
            canister.cycles = canister.cycles.saturating_add(callback.prepaid_execution);
            return 0;
        };
        let is_wasm64 = is_wasm64(canister);
        let (closure, invocation) = callback_invocation(&callback, &context, response);
        let finished = if traps {
            Finished {
                instructions: 0,
                result: Err(HostError::Trapped("fault injected into a callback")),
                effects: environment::effects(canister, context.available),
            }
        } else {
            self.run_on(subnet, id, invocation, context.available, Entry::Closure(closure), Keep::OnSuccess)
        };
        let finished = self.clean_up(subnet, &callback, &context, response, finished);
        let instructions = finished.instructions;
        self.settle_prepayment(subnet, id, &finished, callback.prepaid_execution, is_wasm64);
        let after = self.subnets[subnet].canisters.get(&id).map_or(0, |canister| canister.cycles);
        self.trace.record(|| Event {
            round: self.round,
            kind: match &response.payload {
                Ok(_) => EventKind::Reply,
                Err(reject) => EventKind::Reject(reject.code),
            },
            caller: response.respondent,
            callee: id,
            method: callback.method.clone(),
            request_bytes: response.payload_bytes(),
            response_bytes: answer_bytes(&finished.effects),
            instructions,
            cycles: before.saturating_sub(after),
        });
        self.conclude(subnet, id, Some(callback.context), finished);
        instructions
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
        let limit = MESSAGE_LIMIT.saturating_sub(failed.instructions).max(CLEANUP_INSTRUCTIONS);
        let mut invocation = Invocation::plain(Context::Cleanup, context.caller, Arc::from([]), limit);
        invocation.reject = response.payload.as_ref().err().map(|reject| (reject.code as u32, String::new()));
        let cleaned =
            self.run_on(subnet, id, invocation, context.available, Entry::Closure(closure), Keep::OnSuccess);
        let error = match &cleaned.result {
            Ok(()) => {
                if let Some(canister) = self.subnets[subnet].canisters.get_mut(&id) {
                    canister.version += 1;
                    apply_plain_effects(canister, &cleaned.effects);
                }
                error.clone()
            }
            Err(cleanup) => HostError::Engine(format!("{error}; its call_on_cleanup also failed: {cleanup}")),
        };
        Finished {
            instructions: (failed.instructions + cleaned.instructions).min(MESSAGE_LIMIT),
            result: Err(error),
            effects: failed.effects,
        }
    }

    /// Executes a task of a canister that is due.
    pub(crate) fn execute_task(&mut self, subnet: usize, id: Principal, task: Task) -> u64 {
        let Some(canister) = self.subnets[subnet].canisters.get_mut(&id) else { return 0 };
        let exports = canister.code.as_ref().is_some_and(|code| code.module.exports(task.export()));
        if !exports {
            // A timer without a function to run is spent.
            if task == Task::Timer {
                canister.global_timer = 0;
            }
            self.subnets[subnet].reindex(id);
            return 0;
        }
        let is_wasm64 = is_wasm64(canister);
        let prepaid = costs::execution_cycles(MESSAGE_LIMIT, is_wasm64);
        let before = canister.cycles;
        if canister.withdraw(prepaid).is_err() {
            // Frozen: the task waits for cycles.
            return 0;
        }
        match task {
            Task::Timer => canister.global_timer = 0,
            Task::LowMemoryHook => canister.hook_status = crate::state::snapshots::HookStatus::Executed,
            Task::Heartbeat => {}
        }
        let system = Principal::management_canister();
        let context_id = canister.calls.open(CallContext {
            origin: Origin::Task,
            caller: system,
            is_answered: true,
            available: 0,
            instructions: 0,
            open_calls: 0,
        });
        let invocation = Invocation::plain(Context::Task, system, Arc::from([]), MESSAGE_LIMIT);
        let finished = self.run_on(subnet, id, invocation, 0, Entry::Export(task.export()), Keep::OnSuccess);
        let instructions = finished.instructions;
        self.settle_prepayment(subnet, id, &finished, prepaid, is_wasm64);
        let after = self.subnets[subnet].canisters.get(&id).map_or(0, |canister| canister.cycles);
        self.trace.record(|| Event {
            round: self.round,
            kind: EventKind::Task,
            caller: system,
            callee: id,
            method: task.export().to_owned(),
            request_bytes: 0,
            response_bytes: 0,
            instructions,
            cycles: before.saturating_sub(after),
        });
        self.conclude(subnet, id, Some(context_id), finished);
        self.subnets[subnet].reindex(id);
        instructions
    }

    /// Runs code of a canister. Balance and effects other than memory are the caller's to settle.
    pub(crate) fn run_on(
        &mut self,
        subnet: usize,
        id: Principal,
        invocation: Invocation,
        available: u128,
        entry: Entry<'_>,
        keep: Keep,
    ) -> Finished {
        let subnet_id = self.subnets[subnet].id;
        let root_key = self.root_key.clone();
        let Some(canister) = self.subnets[subnet].canisters.get_mut(&id) else {
            let effects = Effects::new(Default::default(), 0, 0, 0);
            return Finished {
                instructions: 0,
                result: Err(HostError::Engine("the canister is gone".to_owned())),
                effects,
            };
        };
        let mut effects = environment::effects(canister, available);
        if invocation.is_answered {
            effects.answer = Answer::Closed;
        }
        let env = environment::env(canister, subnet_id, self.time_nanos, root_key, invocation);
        let Some(code) = canister.code.as_mut() else {
            let error = HostError::Engine("the canister contains no Wasm module".to_owned());
            return Finished { instructions: 0, result: Err(error), effects };
        };
        self.runner.run(code, &mut canister.stable, env, effects, entry, keep)
    }

    /// Returns what was prepaid for execution and not used. Log lines last even if the message failed.
    fn settle_prepayment(
        &mut self,
        subnet: usize,
        id: Principal,
        finished: &Finished,
        prepaid: u128,
        is_wasm64: bool,
    ) {
        let Some(canister) = self.subnets[subnet].canisters.get_mut(&id) else { return };
        if finished.result.is_ok() {
            // A call that was begun and never made gives its cycles back.
            let begun = finished.effects.building.as_ref().map_or(0, |call| call.cycles);
            canister.cycles = finished.effects.balance.saturating_add(begun);
        }
        let used = costs::execution_cycles(finished.instructions, is_wasm64);
        canister.cycles = canister.cycles.saturating_add(prepaid.saturating_sub(used));
    }

    /// Applies the effects of a message other than memory and balance, and answers its call context.
    fn conclude(&mut self, subnet: usize, id: Principal, context_id: Option<u64>, finished: Finished) {
        let Some(canister) = self.subnets[subnet].canisters.get_mut(&id) else { return };
        for line in &finished.effects.log {
            canister.log.push(line.clone());
        }
        let ending = match finished.result {
            Ok(()) => {
                canister.version += 1;
                apply_plain_effects(canister, &finished.effects);
                check_low_memory(canister);
                Ending::Done(Box::new(finished.effects))
            }
            Err(error) => {
                let error_text = failure::user_error(id, &error);
                if !matches!(error, HostError::CalledTrap(_)) {
                    canister.log.push(crate::system_api::host::LogLine {
                        time_nanos: self.time_nanos,
                        content: format!("[TRAP]: {error}").into_bytes(),
                    });
                }
                Ending::Failed(error_text)
            }
        };
        let Some(context_id) = context_id else { return };
        if let Some(context) = canister.calls.contexts.get_mut(&context_id) {
            context.instructions += finished.instructions;
        }
        match ending {
            Ending::Done(effects) => {
                if let Some(context) = canister.calls.contexts.get_mut(&context_id) {
                    context.available = context.available.saturating_sub(effects.accepted);
                }
                for call in effects.calls {
                    self.make_call(subnet, id, context_id, call);
                }
                match effects.answer {
                    Answer::Open(_) | Answer::Closed => {}
                    Answer::Reply(reply) => self.answer(subnet, id, context_id, Ok(reply)),
                    Answer::Reject(message) => {
                        let error = UserError::new(crate::error::ErrorCode::CanisterRejectedMessage, message);
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
        let Some(canister) = self.subnets[subnet].canisters.get_mut(&id) else { return };
        let is_wasm64 = is_wasm64(canister);
        let deadline_nanos = call.timeout_seconds.map(|seconds| now + u64::from(seconds) * 1_000_000_000);
        let callback = canister.calls.register(Callback {
            context,
            callee: call.callee,
            method: call.method.clone(),
            on_reply: call.on_reply,
            on_reject: call.on_reject,
            on_cleanup: call.on_cleanup,
            cycles: call.cycles,
            prepaid_execution: costs::execution_cycles(MESSAGE_LIMIT, is_wasm64),
            prepaid_transmission: costs::RESPONSE_TRANSMISSION_PREPAYMENT,
            deadline_nanos,
        });
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
        let Some(context) = self.subnets[subnet]
            .canisters
            .get_mut(&id)
            .and_then(|canister| canister.calls.contexts.get_mut(&context_id))
        else {
            return;
        };
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
        self.respond(subnet, &request, result, refund);
    }

    /// Ends a call context that has no open calls; one that was never answered is rejected.
    fn close_context(&mut self, subnet: usize, id: Principal, context_id: u64, error: Option<UserError>) {
        let Some(canister) = self.subnets[subnet].canisters.get_mut(&id) else { return };
        let Some(context) = canister.calls.contexts.get(&context_id) else { return };
        if context.open_calls > 0 {
            return;
        }
        if !context.is_answered {
            let error = error.unwrap_or_else(|| failure::did_not_reply(id));
            self.answer(subnet, id, context_id, Err(error));
        }
        if let Some(canister) = self.subnets[subnet].canisters.get_mut(&id) {
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
                let payload = result.map_err(to_reject);
                if let Some(response) = request.response(payload, refund) {
                    self.send(subnet, Message::Response(response));
                }
            }
            Origin::Task => {}
        }
    }

    /// Rejects every open call of a canister whose code goes away (spec, "IC method uninstall_code").
    pub(crate) fn reject_open_calls(&mut self, subnet: usize, id: Principal, error: &UserError) {
        let Some(canister) = self.subnets[subnet].canisters.get_mut(&id) else { return };
        let contexts: Vec<u64> = canister.calls.contexts.keys().copied().collect();
        for context in contexts {
            self.answer(subnet, id, context, Err(error.clone()));
            // Its calls come back to nobody: the callbacks stay until then, the context does not.
            if let Some(canister) = self.subnets[subnet].canisters.get_mut(&id) {
                canister.calls.contexts.remove(&context);
            }
        }
    }

    fn record(&mut self, kind: EventKind, request: &Request, instructions: u64, cycles: u128, bytes: u64) {
        let round = self.round;
        self.trace.record(|| Event {
            round,
            kind,
            caller: request.sender,
            callee: request.receiver,
            method: request.method.clone(),
            request_bytes: (request.method.len() + request.payload.len()) as u64,
            response_bytes: bytes,
            instructions,
            cycles,
        });
    }
}

/// Instructions that a cleanup callback can use in any case (code: `RESERVED_INSTRUCTIONS_FOR_CLEANUP`).
const CLEANUP_INSTRUCTIONS: u64 = 10_000_000;

/// The export that a request runs, or why there is none and whether finding that out is charged.
fn prepare_request(canister: &Canister, method: &str) -> Result<(String, Context), (UserError, bool)> {
    match canister.status {
        Status::Running => {}
        Status::Stopping(_) => return Err((failure::not_running(canister.id, true), false)),
        Status::Stopped => return Err((failure::not_running(canister.id, false), false)),
    }
    let Some(code) = &canister.code else { return Err((failure::no_module(canister.id), true)) };
    let context = match code.module.method(method) {
        Some(MethodKind::Update) => Context::Update,
        Some(MethodKind::Query) => Context::ReplicatedQuery,
        Some(MethodKind::CompositeQuery) => {
            let error = UserError::new(
                crate::error::ErrorCode::CompositeQueryCalledInReplicatedMode,
                format!(
                    "Error from Canister {}: Composite query cannot be called in replicated mode",
                    canister.id
                ),
            );
            return Err((error, true));
        }
        None => return Err((failure::method_not_found(canister.id, "update", method), true)),
    };
    let entry = export_name(&code.module, method).unwrap_or_default();
    Ok((entry, context))
}

fn callback_invocation(
    callback: &Callback,
    context: &CallContext,
    response: &Response,
) -> (Closure, Invocation) {
    let (closure, kind, arg, reject) = match &response.payload {
        Ok(reply) => (callback.on_reply, Context::Reply, reply.as_slice(), None),
        Err(reject) => {
            let reject = Some((reject.code as u32, reject.message.clone()));
            (callback.on_reject, Context::Reject, &[][..], reject)
        }
    };
    let mut invocation = Invocation::plain(kind, context.caller, arg.into(), MESSAGE_LIMIT);
    invocation.reject = reject;
    invocation.refunded = response.refund.min(callback.cycles);
    invocation.context_instructions = context.instructions;
    invocation.is_answered = context.is_answered;
    if let Origin::Canister { deadline_nanos: Some(deadline), .. } = context.origin {
        invocation.deadline_nanos = deadline;
    }
    (closure, invocation)
}

/// Effects that need no other canister.
fn apply_plain_effects(canister: &mut Canister, effects: &Effects) {
    if let Some(data) = &effects.certified_data {
        canister.certified_data.clone_from(data);
    }
    canister.global_timer = effects.global_timer;
}

/// Schedules the low-memory hook when little heap is left (spec, "On low Wasm memory").
fn check_low_memory(canister: &mut Canister) {
    use crate::state::snapshots::HookStatus;
    let Some(code) = &canister.code else { return };
    let is_low = is_memory_low(&canister.settings, code.heap_pages * costs::WASM_PAGE_BYTES);
    canister.hook_status = match (is_low, canister.hook_status) {
        (false, _) => HookStatus::ConditionNotSatisfied,
        (true, HookStatus::ConditionNotSatisfied) => HookStatus::Ready,
        (true, status) => status,
    };
}

/// Whether a heap of that size leaves less than the threshold of the settings.
pub(crate) fn is_memory_low(settings: &Settings, heap_bytes: u64) -> bool {
    let capacity_bytes = if settings.wasm_memory_limit == 0 {
        costs::limits::WASM32_HEAP_PAGES * costs::WASM_PAGE_BYTES
    } else {
        settings.wasm_memory_limit
    };
    capacity_bytes.saturating_sub(heap_bytes) < settings.wasm_memory_threshold
}

fn is_wasm64(canister: &Canister) -> bool {
    canister.code.as_ref().is_some_and(|code| code.module.inspection.is_wasm64)
}

fn answer_bytes(effects: &Effects) -> u64 {
    match &effects.answer {
        Answer::Open(_) | Answer::Closed => 0,
        Answer::Reply(reply) => reply.len() as u64,
        Answer::Reject(message) => message.len() as u64,
    }
}

/// The canister is not there.
pub(crate) fn canister_not_found(id: Principal) -> UserError {
    UserError::new(crate::error::ErrorCode::CanisterNotFound, format!("Canister {id} not found."))
}

/// What a calling canister gets: the platform's own errors carry their code in the message, what the
/// canister said itself and the state of the canister do not (measured: cases `call …`).
fn to_reject(error: UserError) -> Reject {
    use crate::error::ErrorCode;
    match error.code {
        ErrorCode::CanisterRejectedMessage | ErrorCode::InsufficientCyclesForCreateCanister => {
            Reject { code: RejectCode::CanisterReject, message: error.description }
        }
        ErrorCode::CanisterDidNotReply => {
            Reject { code: RejectCode::CanisterError, message: "No response".to_owned() }
        }
        ErrorCode::CanisterStopped | ErrorCode::CanisterStopping => {
            Reject { code: error.code.into(), message: error.description }
        }
        _ => error.into(),
    }
}
