//! How messages travel: within a subnet with the canisters' next turn, to the management canister, from it and to
//! another subnet with the next round.

use crate::costs::limits;
use crate::error::{ErrorCode, Reject, RejectCode, UserError};
use crate::execution::failure::{self, canister_not_found};
use crate::faults::CallView;
use crate::instance::Instance;
use crate::management;
use crate::state::inbox::Source;
use crate::state::messages::{ManagementCall, Message};
use crate::state::{Inbound, Origin, Request, Response, Status, Subnet};
use candid::Principal;
use std::collections::BTreeMap;

impl Instance {
    /// Sends a message from a canister of `subnet`, or from its management canister. What cannot be routed comes
    /// back as a reject.
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
        if self.faults.rejects(|| CallView::of_request(&request, self.round)) {
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
            self.subnets[subnet].loopback.push_back(Message::Response(response));
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
        let subnet = &mut self.subnets[to];
        if from != to {
            subnet.incoming.push_back(message);
        } else if subnet.has(&message.sender()) && subnet.has(&message.receiver()) {
            subnet.outbox.push(message);
        } else {
            subnet.loopback.push_back(message);
        }
    }

    /// Delivers what canisters of the subnet sent to each other in this turn.
    pub(super) fn deliver_within(&mut self, subnet: usize) {
        let mut messages = std::mem::take(&mut self.subnets[subnet].outbox);
        // One sender after the other, each with its messages in order.
        messages.sort_by_key(Message::sender);
        if self.schedule.is_seeded() {
            let mut senders: Vec<Principal> = messages.iter().map(Message::sender).collect();
            senders.dedup();
            self.schedule.shuffle(&mut senders);
            let rank: BTreeMap<Principal, usize> =
                senders.into_iter().enumerate().map(|(rank, sender)| (sender, rank)).collect();
            messages.sort_by_key(|message| rank.get(&message.sender()).copied());
        }
        for message in messages {
            self.deliver(subnet, Source::Local, message);
        }
    }

    /// Puts a message into the queue of the subnet's management canister or of one of its canisters.
    pub(crate) fn deliver(&mut self, subnet: usize, source: Source, message: Message) {
        match message {
            Message::Request(request)
                if request.receiver == Principal::management_canister()
                    || request.receiver == self.subnets[subnet].id =>
            {
                let about = management::address(&request.method, &request.payload)
                    .ok()
                    .and_then(|address| address.subject.canister());
                // Users' calls have a queue for each canister that they are about.
                let key = match source {
                    Source::Ingress => about.unwrap_or(request.receiver),
                    Source::Local | Source::Remote => request.sender,
                };
                self.subnets[subnet].management.push(source, key, ManagementCall { request, about });
            }
            Message::Request(request) => match self.takes(subnet, &request) {
                Ok(()) => {
                    let id = request.receiver;
                    let key = if source == Source::Ingress { id } else { request.sender };
                    self.enqueue(subnet, id, source, key, Inbound::Request(request));
                }
                Err(error) => self.refuse(subnet, &request, error),
            },
            Message::Response(response) => {
                let (id, key) = (response.originator, response.respondent);
                self.enqueue(subnet, id, source, key, Inbound::Response(response));
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

    pub(super) fn enqueue(
        &mut self,
        subnet: usize,
        id: Principal,
        source: Source,
        key: Principal,
        message: Inbound,
    ) {
        if let Some(mut canister) = self.subnets[subnet].canister_mut(&id) {
            canister.inbox.push(source, key, message);
        }
    }

    /// Whether any message waits anywhere.
    pub fn is_idle(&self) -> bool {
        self.ingress.queue.is_empty() && self.subnets.iter().all(Subnet::is_idle)
    }
}
