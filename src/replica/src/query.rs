//! Queries by users: nothing that they do is kept.

use crate::api::{EffectivePrincipal, UserCall};
use crate::costs::limits;
use crate::error::{ErrorCode, Reject, RejectCode, RejectResponse, UserError};
use crate::execution::environment::{self, Invocation};
use crate::execution::failure;
use crate::execution::runner::{Entry, Keep, export_name};
use crate::instance::Instance;
use crate::management;
use crate::memory::stable::StableMemory;
use crate::routing::Unroutable;
use crate::state::long::Finished;
use crate::state::{Code, Status};
use crate::system_api::host::{Answer, Closure, Context, Effects, OutgoingCall};
use crate::wasm::inspect::MethodKind;
use candid::Principal;
use std::collections::VecDeque;

/// What the queries of one user's call share.
struct Graph {
    /// Canisters on the way from the user to the query that runs.
    path: Vec<Principal>,
    /// Instructions left for all of them.
    left: u64,
}

impl Graph {
    fn spend(&mut self, instructions: u64) {
        self.left = self.left.saturating_sub(instructions);
    }

    /// What a query counts besides its instructions, if another one called it.
    fn spend_on_call(&mut self, is_called: bool) {
        self.spend(if is_called { limits::QUERY_CALL_OVERHEAD } else { 0 });
    }

    /// Whether the query on top of the path may go on with its calls: if not, the user's whole query ends (code:
    /// `evaluate_query_call_graph`).
    fn check(&self) -> Result<(), Failed> {
        let error = if self.path.len() > limits::QUERY_GRAPH_DEPTH {
            UserError::new(
                ErrorCode::QueryCallGraphTooDeep,
                "Composite query calls exceeded the maximum call depth.",
            )
        } else if self.left == 0 {
            UserError::new(
                ErrorCode::QueryCallGraphTotalInstructionLimitExceeded,
                "Composite query calls exceeded the instruction limit.",
            )
        } else {
            return Ok(());
        };
        Err(Failed::Graph(error))
    }
}

/// Why a query has no reply.
enum Failed {
    /// Its caller is told.
    Query(UserError),
    /// The user is told, whoever called it.
    Graph(UserError),
}

impl From<UserError> for Failed {
    fn from(error: UserError) -> Self {
        Self::Query(error)
    }
}

/// A query call to one canister.
struct QueryCall<'a> {
    callee: Principal,
    caller: Principal,
    method: &'a str,
    payload: &'a [u8],
}

/// A composite query's own copy of its canister's memory: it lasts until the query is answered.
struct Working {
    code: Code,
    stable: StableMemory,
}

impl Instance {
    /// Executes a query, or a composite query with all the queries that it makes.
    ///
    /// Errors with a sentence if the call goes nowhere.
    pub fn query(&mut self, call: UserCall) -> Result<Result<Vec<u8>, RejectResponse>, String> {
        let subnet = match self.route_call(&call) {
            Ok(subnet) => subnet,
            Err(Unroutable::BadRequest(why)) => return Err(why),
            Err(Unroutable::Rejected(error)) => return Ok(Err(RejectResponse::from_error(error, false))),
        };
        let result = if call.canister_id == Principal::management_canister() {
            management::query(self, subnet, &call)
        } else {
            let left = self.home(call.canister_id).map_or(0, |home| self.profile(home).limits.query_graph);
            let mut graph = Graph { path: Vec::new(), left };
            let query = QueryCall {
                callee: call.canister_id,
                caller: call.sender,
                method: &call.method,
                payload: &call.payload,
            };
            self.evaluate(&query, &mut graph).map_err(|(Failed::Query(error) | Failed::Graph(error))| error)
        };
        Ok(result.map_err(|error| RejectResponse::from_error(error, false)))
    }

    fn evaluate(&mut self, call: &QueryCall<'_>, graph: &mut Graph) -> Result<Vec<u8>, Failed> {
        let id = call.callee;
        let subnet = self.home(id).ok_or_else(|| failure::canister_not_found(id))?;
        let canister = self.subnets[subnet].canister(&id).ok_or_else(|| failure::canister_not_found(id))?;
        if !matches!(canister.status, Status::Running) {
            let status = if matches!(canister.status, Status::Stopped) { "stopped" } else { "stopping" };
            let code =
                if status == "stopped" { ErrorCode::CanisterStopped } else { ErrorCode::CanisterStopping };
            let text = format!("Canister {id} is {status} and therefore does not have a CallContextManager");
            return Err(UserError::new(code, text).into());
        }
        let code = canister.code.as_ref().ok_or_else(|| failure::no_module(id))?;
        if canister.affords(self.profile(subnet), 0).is_err() {
            let text = format!(
                "Canister {id} is unable to process query calls because it's frozen. Please top up the canister with \
                 cycles and try again."
            );
            return Err(UserError::new(ErrorCode::CanisterOutOfCycles, text).into());
        }
        let entry = export_name(&code.module, call.method);
        match (code.module.method(call.method), entry) {
            (Some(MethodKind::Query), Some(entry)) => self.plain_query(subnet, call, &entry, graph),
            (Some(MethodKind::CompositeQuery), Some(entry)) => {
                self.composite_query(subnet, call, &entry, graph)
            }
            _ => Err(failure::method_not_found(id, "query", call.method).into()),
        }
    }

    fn plain_query(
        &mut self,
        subnet: usize,
        call: &QueryCall<'_>,
        entry: &str,
        graph: &mut Graph,
    ) -> Result<Vec<u8>, Failed> {
        let limit = self.profile(subnet).limits.query.min(graph.left);
        let invocation = Invocation::plain(Context::Query, call.caller, call.payload.into(), limit);
        let finished = self.run_on(subnet, call.callee, invocation, 0, Entry::Export(entry), Keep::Nothing);
        graph.spend(finished.instructions);
        graph.spend_on_call(!graph.path.is_empty());
        self.count_query(subnet, call, &finished);
        finished.result.map_err(|error| failure::user_error(call.callee, &error))?;
        Ok(answer(call.callee, finished.effects.answer)?)
    }

    fn composite_query(
        &mut self,
        subnet: usize,
        call: &QueryCall<'_>,
        entry: &str,
        graph: &mut Graph,
    ) -> Result<Vec<u8>, Failed> {
        if graph.path.contains(&call.callee) {
            let text = format!("Loop inside query call graph: {} is already on the way", call.callee);
            return Err(UserError::new(ErrorCode::QueryCallGraphLoopDetected, text).into());
        }
        let generation = self.runner.new_generation();
        let Some(canister) = self.subnets[subnet].canister(&call.callee) else {
            return Err(failure::canister_not_found(call.callee).into());
        };
        let Some(code) = &canister.code else { return Err(failure::no_module(call.callee).into()) };
        let mut working =
            Working { code: Code { generation, ..code.clone() }, stable: canister.stable.clone() };
        graph.path.push(call.callee);
        let result = self.run_composite(subnet, call, entry, graph, &mut working);
        graph.path.pop();
        self.runner.forget(generation);
        result
    }

    fn run_composite(
        &mut self,
        subnet: usize,
        call: &QueryCall<'_>,
        entry: &str,
        graph: &mut Graph,
        working: &mut Working,
    ) -> Result<Vec<u8>, Failed> {
        let id = call.callee;
        let limit = self.profile(subnet).limits.query.min(graph.left);
        let invocation = Invocation::plain(Context::CompositeQuery, call.caller, call.payload.into(), limit);
        let finished = self.run_working(subnet, id, invocation, Entry::Export(entry), working, graph);
        graph.spend_on_call(graph.path.len() > 1);
        self.count_query(subnet, call, &finished);
        finished.result.map_err(|error| failure::user_error(id, &error))?;
        let mut answered = finished.effects.answer;
        let mut open: VecDeque<OutgoingCall> = finished.effects.calls.into();
        let mut failed = None;
        // An answer discards the calls that are left: they can't change it any more.
        while matches!(answered, Answer::Open(_))
            && let Some(outgoing) = open.pop_front()
        {
            graph.check()?;
            let response = self.call_out(subnet, id, &outgoing, graph)?;
            graph.check()?;
            let finished = self.run_callback(subnet, call, &outgoing, response, working, graph);
            failed = match finished.result {
                Ok(()) => {
                    open.extend(finished.effects.calls);
                    answered = finished.effects.answer;
                    None
                }
                Err(error) => Some(failure::user_error(id, &error)),
            };
        }
        match (answered, failed) {
            (Answer::Open(_), Some(error)) => Err(error.into()),
            (answered, _) => Ok(answer(id, answered)?),
        }
    }

    /// The response to a call that a composite query makes: only canisters of its own subnet answer.
    fn call_out(
        &mut self,
        subnet: usize,
        caller: Principal,
        outgoing: &OutgoingCall,
        graph: &mut Graph,
    ) -> Result<Result<Vec<u8>, Reject>, Failed> {
        if outgoing.callee == Principal::management_canister() {
            // Spec 0.66: the query methods, on the caller's subnet, with the calling canister as the caller.
            let call = UserCall {
                sender: caller,
                canister_id: outgoing.callee,
                effective_principal: EffectivePrincipal::None,
                method: outgoing.method.clone(),
                payload: outgoing.payload.clone(),
            };
            return Ok(management::query(self, subnet, &call).map_err(UserError::into_system_reject));
        }
        if self.home(outgoing.callee) != Some(subnet) {
            return Ok(Err(Reject {
                code: RejectCode::DestinationInvalid,
                message: format!(
                    "Composite query calls reach canisters of the same subnet only, and {} is none of them",
                    outgoing.callee
                ),
            }));
        }
        let query = QueryCall {
            callee: outgoing.callee,
            caller,
            method: &outgoing.method,
            payload: &outgoing.payload,
        };
        match self.evaluate(&query, graph) {
            Ok(reply) => Ok(Ok(reply)),
            Err(Failed::Query(error)) => Ok(Err(error.into_reject())),
            Err(failed @ Failed::Graph(_)) => Err(failed),
        }
    }

    fn run_callback(
        &mut self,
        subnet: usize,
        call: &QueryCall<'_>,
        outgoing: &OutgoingCall,
        response: Result<Vec<u8>, Reject>,
        working: &mut Working,
        graph: &mut Graph,
    ) -> Finished {
        let id = call.callee;
        let limit = self.profile(subnet).limits.query.min(graph.left);
        let plain = |context, arg: &[u8]| Invocation::plain(context, call.caller, arg.into(), limit);
        let (closure, invocation): (Closure, Invocation) = match &response {
            Ok(reply) => (outgoing.on_reply, plain(Context::CompositeReply, reply)),
            Err(reject) => {
                let mut invocation = plain(Context::CompositeReject, &[]);
                invocation.reject = Some((reject.code as u32, reject.message.clone()));
                (outgoing.on_reject, invocation)
            }
        };
        let finished = self.run_working(subnet, id, invocation, Entry::Closure(closure), working, graph);
        if finished.result.is_err()
            && let Some(cleanup) = outgoing.on_cleanup
        {
            let mut invocation = plain(Context::CompositeCleanup, &[]);
            invocation.instruction_limit = limit.saturating_sub(finished.instructions);
            self.run_working(subnet, id, invocation, Entry::Closure(cleanup), working, graph);
        }
        finished
    }

    fn run_working(
        &mut self,
        subnet: usize,
        id: Principal,
        invocation: Invocation,
        entry: Entry<'_>,
        working: &mut Working,
        graph: &mut Graph,
    ) -> Finished {
        let Some(canister) = self.subnets[subnet].canister(&id) else {
            let effects = Effects::new(Default::default(), 0, 0, 0);
            return Finished::unrun(Ok(()), effects);
        };
        let mut effects = environment::effects(canister, 0);
        effects.stable = crate::memory::stable::StableView::new(&working.stable);
        let env = environment::env(
            canister,
            self.subnets[subnet].id,
            self.time_nanos,
            self.root_key.clone(),
            self.subnets[subnet].profile.clone(),
            invocation,
        );
        let finished =
            self.runner.run(&mut working.code, &mut working.stable, env, effects, entry, Keep::OnSuccess);
        graph.spend(finished.instructions);
        finished
    }

    fn count_query(&mut self, subnet: usize, call: &QueryCall<'_>, finished: &Finished) {
        let Some(mut canister) = self.subnets[subnet].canister_mut(&call.callee) else { return };
        let response = match &finished.effects.answer {
            Answer::Open(_) | Answer::Closed => 0,
            Answer::Reply(reply) => reply.len(),
            Answer::Reject(message) => message.len(),
        };
        let counted = [1, finished.instructions.into(), call.payload.len() as u128, response as u128];
        for (sum, value) in canister.query_stats.iter_mut().zip(counted) {
            *sum += value;
        }
    }
}

fn answer(id: Principal, answer: Answer) -> Result<Vec<u8>, UserError> {
    match answer {
        Answer::Reply(reply) => Ok(reply),
        Answer::Reject(message) => Err(UserError::new(ErrorCode::CanisterRejectedMessage, message)),
        Answer::Open(_) | Answer::Closed => Err(failure::did_not_reply(id)),
    }
}
