//! Rounds: what a subnet executes between two blocks, and how messages travel.
//!
//! A round inducts what other subnets and users sent, runs what is due, and then executes messages one by
//! one, round robin over the canisters, until none is left or the round's instructions are used up.
//! Messages within a subnet are delivered at once; those to another subnet with the next round.

use crate::costs::limits;
use crate::error::{ErrorCode, Reject, RejectCode, UserError};
use crate::execution::failure;
use crate::execution::failure::canister_not_found;
use crate::execution::task::Task;
use crate::faults::CallView;
use crate::instance::Instance;
use crate::management::{self, Answered, EMPTY_REPLY};
use crate::state::messages::{self, Message};
use crate::state::{Inbound, Origin, Request, Response, Status};
use crate::trace::{Event, EventKind};
use candid::Principal;

impl Instance {
    /// Executes one round on every subnet, at the time that was set, or a nanosecond later than the last.
    pub fn tick(&mut self) {
        self.round += 1;
        self.advance_clock();
        self.ingress.begin_round(self.time_nanos);
        self.charge_for_storage();
        let incoming: Vec<_> =
            self.subnets.iter_mut().map(|subnet| std::mem::take(&mut subnet.incoming)).collect();
        for (subnet, messages) in incoming.into_iter().enumerate() {
            for message in messages {
                self.deliver(subnet, message);
            }
        }
        self.induct_ingress();
        for subnet in 0..self.subnets.len() {
            self.expire(subnet);
            self.execute_round(subnet);
        }
        self.make_checkpoints();
    }

    fn execute_round(&mut self, subnet: usize) {
        let mut left = self.profile(subnet).limits.round;
        let mut spend = |instructions: u64| {
            left = left.saturating_sub(instructions + limits::ROUND_MESSAGE_OVERHEAD);
            left > 0
        };
        for (id, task) in self.due_tasks(subnet) {
            if !spend(self.execute_task(subnet, id, task)) {
                return;
            }
        }
        loop {
            self.finish_stopping(subnet);
            let mut is_idle = true;
            while let Some(request) = self.subnets[subnet].management.pop_front() {
                is_idle = false;
                self.execute_management(subnet, &request);
                if !spend(0) {
                    return;
                }
            }
            let ready = self.subnets[subnet].index().ready.iter().copied();
            let ready: Vec<Principal> =
                ready.filter(|id| !self.subnets[subnet].is_paused(id, self.round)).collect();
            for id in ready {
                is_idle = false;
                if !spend(self.execute_next(subnet, id)) {
                    return;
                }
            }
            if is_idle {
                return;
            }
        }
    }

    fn due_tasks(&self, subnet: usize) -> Vec<(Principal, Task)> {
        let subnet = &self.subnets[subnet];
        let now = self.time_nanos;
        let hooks = subnet.index().hooks.iter().map(|id| (*id, Task::LowMemoryHook));
        let timers = subnet
            .index()
            .timers
            .iter()
            .take_while(|(time, _)| *time <= now)
            .map(|(_, id)| (*id, Task::Timer));
        let heartbeats = subnet.index().heartbeats.iter().map(|id| (*id, Task::Heartbeat));
        let due = hooks.chain(timers).chain(heartbeats);
        due.filter(|(id, _)| !subnet.is_paused(id, self.round)).collect()
    }

    fn execute_management(&mut self, subnet: usize, request: &Request) {
        if request.is_expired(self.time_nanos) {
            return self.drop_expired(subnet, request);
        }
        self.run_hook(&CallView::of_request(request, self.round));
        let mut cycles = request.cycles;
        let answered = management::handle(self, subnet, request, &mut cycles);
        let (is_now, result) = match answered {
            Ok(Answered::Now(reply)) => (true, Ok(reply)),
            Ok(Answered::Later) => (false, Ok(Vec::new())),
            Err(error) => (true, Err(error)),
        };
        let (round, response_bytes) = (self.round, result.as_ref().map_or(0, Vec::len) as u64);
        self.trace.record(|| Event {
            round,
            kind: EventKind::Management,
            caller: request.sender,
            callee: request.receiver,
            method: request.method.clone(),
            request_bytes: (request.method.len() + request.payload.len()) as u64,
            response_bytes,
            instructions: 0,
            cycles: request.cycles - cycles,
        });
        if is_now {
            self.respond(subnet, request, result, cycles);
        }
    }

    /// Stops the canisters that have drained.
    fn finish_stopping(&mut self, subnet: usize) {
        let stopping: Vec<Principal> = self.subnets[subnet].index().stopping.iter().copied().collect();
        for id in stopping {
            let Some(mut canister) = self.subnets[subnet].canister_mut(&id) else { continue };
            if !canister.calls.is_idle() {
                continue;
            }
            let Status::Stopping(requests) = std::mem::replace(&mut canister.status, Status::Stopped) else {
                continue;
            };
            canister.version += 1;
            drop(canister);
            for stop in requests {
                let cycles = stop.request.cycles;
                self.respond(subnet, &stop.request, Ok(EMPTY_REPLY.to_vec()), cycles);
            }
        }
    }

    /// Answers what waited too long: best-effort calls, and calls of `stop_canister`.
    fn expire(&mut self, subnet: usize) {
        let now = self.time_nanos;
        let expired: Vec<_> = self.subnets[subnet]
            .deadlines
            .iter()
            .take_while(|(deadline, _, _)| messages::is_past(*deadline, now))
            .copied()
            .collect();
        for (deadline, id, callback) in expired {
            self.subnets[subnet].deadlines.remove(&(deadline, id, callback));
            let Some(respondent) = self.subnets[subnet]
                .canister(&id)
                .and_then(|canister| canister.calls.callbacks.get(&callback))
                .map(|callback| callback.callee)
            else {
                continue;
            };
            let reject =
                Reject { code: RejectCode::SysUnknown, message: "Call deadline has expired.".to_owned() };
            let response = Response { originator: id, respondent, callback, payload: Err(reject), refund: 0 };
            self.enqueue(subnet, id, Inbound::Response(response));
        }
        let stopping: Vec<Principal> = self.subnets[subnet].index().stopping.iter().copied().collect();
        for id in stopping {
            let Some(mut canister) = self.subnets[subnet].canister_mut(&id) else { continue };
            let Status::Stopping(requests) = &mut canister.status else { continue };
            let (late, waiting) =
                std::mem::take(requests).into_iter().partition(|stop| stop.deadline_nanos <= now);
            *requests = waiting;
            let late: Vec<_> = late;
            drop(canister);
            for stop in late {
                let error = UserError::new(
                    ErrorCode::StopCanisterRequestTimeout,
                    "Stop canister request timed out".to_owned(),
                );
                let cycles = stop.request.cycles;
                self.respond(subnet, &stop.request, Err(error), cycles);
            }
        }
    }

    fn charge_for_storage(&mut self) {
        let now = self.time_nanos;
        for subnet in 0..self.subnets.len() {
            let since = now.saturating_sub(self.subnets[subnet].charged_at_nanos);
            if since < limits::STORAGE_CHARGE_NANOS {
                continue;
            }
            self.subnets[subnet].charged_at_nanos = now;
            let ids: Vec<Principal> = self.subnets[subnet].canister_ids().copied().collect();
            for id in ids {
                self.charge_canister(subnet, id);
            }
        }
    }

    /// Takes the price of storage since the last charge. A canister that cannot pay loses its code (spec,
    /// "Out of cycles").
    fn charge_canister(&mut self, subnet: usize, id: Principal) {
        const SECOND_NANOS: u64 = 1_000_000_000;
        let now = self.time_nanos;
        let profile = self.subnets[subnet].profile.clone();
        let Some(mut canister) = self.subnets[subnet].canister_mut(&id) else { return };
        let seconds = now.saturating_sub(canister.paid_until_nanos) / SECOND_NANOS;
        canister.paid_until_nanos += seconds * SECOND_NANOS;
        if !canister.pay_for_storage(&profile, seconds) {
            drop(canister);
            crate::execution::lifecycle::abandon(self, subnet, id);
        }
    }

    /// Sends a message from a canister of `subnet`: within the subnet at once, to another one with the next
    /// round. What cannot be routed comes back as a reject.
    pub(crate) fn send(&mut self, subnet: usize, message: Message) {
        match message {
            Message::Request(request) => self.send_request(subnet, request),
            Message::Response(mut response) => {
                if let Some(home) = self.home(response.originator) {
                    self.apply_lost_reply(&mut response, home);
                    self.forward(subnet, home, Message::Response(response));
                }
            }
        }
    }

    fn send_request(&mut self, subnet: usize, request: Request) {
        if self.faults.rejects(&CallView::of_request(&request, self.round)) {
            let reject = Reject {
                code: RejectCode::SysTransient,
                message: "fault injected: the call could not be delivered".to_owned(),
            };
            return self.bounce(subnet, &request, reject);
        }
        let target = match self.route(subnet, &request) {
            Ok(target) => target,
            Err(reject) => return self.bounce(subnet, &request, reject),
        };
        let limit = if target == subnet {
            limits::SAME_SUBNET_PAYLOAD_BYTES
        } else {
            limits::INTER_CANISTER_PAYLOAD_BYTES
        };
        let bytes = request.payload.len() as u64;
        if bytes > limit {
            let reject = Reject {
                code: RejectCode::CanisterError,
                message: format!(
                    "Canister {} violated contract: attempted to send a message of size {bytes} exceeding the \
                     limit {limit}",
                    request.sender
                ),
            };
            return self.bounce(subnet, &request, reject);
        }
        self.forward(subnet, target, Message::Request(request));
    }

    fn bounce(&mut self, subnet: usize, request: &Request, reject: Reject) {
        if let Some(response) = request.response(Err(reject), request.cycles) {
            self.deliver(subnet, Message::Response(response));
        }
    }

    fn apply_lost_reply(&mut self, response: &mut Response, home: usize) {
        let view = self.subnets[home]
            .canister(&response.originator)
            .and_then(|canister| canister.calls.callbacks.get(&response.callback))
            .map(|callback| CallView::of_response(response, callback, self.round));
        if view.is_some_and(|view| self.faults.loses_reply(&view)) {
            response.payload = Err(Reject {
                code: RejectCode::SysUnknown,
                message: "fault injected: the response was dropped".to_owned(),
            });
            response.refund = 0;
        }
    }

    fn forward(&mut self, from: usize, to: usize, message: Message) {
        if from == to {
            self.deliver(to, message);
        } else {
            self.subnets[to].incoming.push_back(message);
        }
    }

    /// Puts a message into the queue of the subnet's management canister or of one of its canisters.
    pub(crate) fn deliver(&mut self, subnet: usize, message: Message) {
        match message {
            Message::Request(request)
                if request.receiver == Principal::management_canister()
                    || request.receiver == self.subnets[subnet].id =>
            {
                self.subnets[subnet].management.push_back(request);
            }
            Message::Request(request) => match self.takes(subnet, &request) {
                Ok(()) => self.enqueue(subnet, request.receiver, Inbound::Request(request)),
                Err(error) => self.refuse(subnet, &request, error),
            },
            Message::Response(response) => {
                self.enqueue(subnet, response.originator, Inbound::Response(response));
            }
        }
    }

    /// Whether a canister takes a request into its queue.
    fn takes(&self, subnet: usize, request: &Request) -> Result<(), UserError> {
        let id = request.receiver;
        let canister = self.subnets[subnet].canister(&id).ok_or_else(|| canister_not_found(id))?;
        match canister.status {
            Status::Running => {}
            Status::Stopping(_) => return Err(failure::not_running(id, true)),
            Status::Stopped => return Err(failure::not_running(id, false)),
        }
        // Spec, "minimum_incoming_canister_call_cycles": not for users, nor for calls to oneself.
        let minimum = canister.settings.minimum_incoming_cycles;
        let is_of_other = matches!(request.origin, Origin::Canister { .. }) && request.sender != id;
        if is_of_other && request.cycles < minimum {
            return Err(UserError::new(
                ErrorCode::CanisterContractViolation,
                format!(
                    "Canister {id} takes calls of canisters with at least {minimum} cycles, and {} came with this one",
                    request.cycles
                ),
            ));
        }
        Ok(())
    }

    /// Answers a request that no canister took.
    fn refuse(&mut self, subnet: usize, request: &Request, error: UserError) {
        match request.origin {
            Origin::Canister { .. } => {
                if let Some(response) = request.response(Err(error.into_system_reject()), request.cycles) {
                    self.send(subnet, Message::Response(response));
                }
            }
            Origin::Ingress(_) | Origin::Task => self.respond(subnet, request, Err(error), request.cycles),
        }
    }

    fn enqueue(&mut self, subnet: usize, id: Principal, message: Inbound) {
        if let Some(mut canister) = self.subnets[subnet].canister_mut(&id) {
            canister.inbox.push_back(message);
        }
    }

    /// Whether any message waits anywhere.
    pub fn is_idle(&self) -> bool {
        self.ingress.queue.is_empty()
            && self.subnets.iter().all(|subnet| {
                subnet.index().ready.is_empty() && subnet.management.is_empty() && subnet.incoming.is_empty()
            })
    }
}
