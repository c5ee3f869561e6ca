//! Calls to the management canister within a round.

use crate::faults::CallView;
use crate::instance::Instance;
use crate::management::{self, Answered};
use crate::state::messages::ManagementCall;
use crate::trace::{Event, EventKind};

impl Instance {
    /// Executes the calls of `raw_rand` that the round before put off: whoever called could not know the bytes.
    pub(super) fn answer_random(&mut self, subnet: usize) {
        for request in std::mem::take(&mut self.subnets[subnet].raw_rand) {
            self.execute_management(subnet, &ManagementCall { request, about: None });
        }
    }

    /// Executes calls until none is left that may be executed, or the instructions for them are used up.
    pub(super) fn drain_management(&mut self, subnet: usize, left: &mut i64) {
        while let Some(call) = self.next_management(subnet, *left <= 0) {
            if call.request.method == "raw_rand" {
                self.subnets[subnet].raw_rand.push_back(call.request);
                continue;
            }
            self.execute_management(subnet, &call);
            *left -= std::mem::take(&mut self.subnets[subnet].management_instructions) as i64;
            if *left <= 0 {
                return;
            }
        }
    }

    /// The next call that may be executed (code: `can_execute_subnet_msg`): none about a canister that is in the
    /// middle of something, no second installation beside a long one, and nothing heavy once the instructions are
    /// used up.
    fn next_management(&mut self, subnet: usize, is_used_up: bool) -> Option<ManagementCall> {
        let subnet = &mut self.subnets[subnet];
        if subnet.management.is_empty() {
            return None;
        }
        let mut management = std::mem::take(&mut subnet.management);
        let next = management.pop_if(&mut self.schedule, |call| {
            let method = call.request.method.as_str();
            let about = call.about.and_then(|about| subnet.canister(&about));
            about.is_none_or(|canister| canister.long.is_none())
                && !(is_used_up && management::counts_toward_round(method))
                && !(subnet.installing.is_some() && management::installs_code(method))
        });
        subnet.management = management;
        next
    }

    fn execute_management(&mut self, subnet: usize, call: &ManagementCall) {
        let request = &call.request;
        if request.is_expired(self.time_nanos) {
            return self.drop_expired(subnet, request);
        }
        let round = self.round;
        self.run_hook(|| CallView::of_request(request, round));
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
        if result.is_ok()
            && let Some(mut canister) = call.about.and_then(|id| self.subnets[subnet].canister_mut(&id))
        {
            canister.check_low_memory();
        }
        if is_now {
            self.respond(subnet, request, result, cycles);
        }
    }
}
