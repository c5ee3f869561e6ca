//! What comes in when a round begins, and what waited too long when it ends.

use crate::error::{ErrorCode, Reject, RejectCode, UserError};
use crate::instance::Instance;
use crate::management::EMPTY_REPLY;
use crate::state::inbox::Source;
use crate::state::messages;
use crate::state::{Inbound, Response, Status};
use candid::Principal;

impl Instance {
    /// Delivers what was sent in the round before and takes a round to arrive.
    pub(super) fn take_arrivals(&mut self) {
        let arrived: Vec<_> = self
            .subnets
            .iter_mut()
            .map(|subnet| (std::mem::take(&mut subnet.loopback), std::mem::take(&mut subnet.incoming)))
            .collect();
        for (subnet, (own, others)) in arrived.into_iter().enumerate() {
            for message in own {
                self.deliver(subnet, Source::Local, message);
            }
            for message in others {
                self.deliver(subnet, Source::Remote, message);
            }
        }
    }

    /// Answers best-effort calls that waited too long.
    pub(super) fn expire(&mut self, subnet: usize) {
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
            let source = if self.subnets[subnet].has(&respondent) { Source::Local } else { Source::Remote };
            self.enqueue(subnet, id, source, respondent, Inbound::Response(response));
        }
    }

    /// Stops the canisters that have drained, and answers those who waited too long for it.
    pub(super) fn finish_stopping(&mut self, subnet: usize) {
        let now = self.time_nanos;
        let stopping: Vec<Principal> = self.subnets[subnet].index().stopping.iter().copied().collect();
        for id in stopping {
            let Some(mut canister) = self.subnets[subnet].canister_mut(&id) else { continue };
            let has_drained = canister.calls.is_idle();
            let Status::Stopping(requests) = &mut canister.status else { continue };
            let (answered, waiting): (Vec<_>, Vec<_>) = std::mem::take(requests)
                .into_iter()
                .partition(|stop| has_drained || stop.deadline_nanos <= now);
            *requests = waiting;
            if has_drained {
                canister.status = Status::Stopped;
                canister.version += 1;
            }
            drop(canister);
            for stop in answered {
                let cycles = stop.request.cycles;
                let result = if has_drained {
                    Ok(EMPTY_REPLY.to_vec())
                } else {
                    let text = "Stop canister request timed out";
                    Err(UserError::new(ErrorCode::StopCanisterRequestTimeout, text))
                };
                self.respond(subnet, &stop.request, result, cycles);
            }
        }
    }
}
