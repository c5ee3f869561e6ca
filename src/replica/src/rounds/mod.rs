//! Rounds: what a subnet executes between two blocks, in the order of the platform (code: `scheduler.rs`).
//!
//! A round takes in what other subnets, the management canister and users sent. Then, in turn: calls to the
//! management canister, within a budget of their own; every canister that has something to do, one after the
//! other, each with all its tasks and messages; and what they sent to each other is delivered. That repeats until
//! nothing is left or the round's instructions are used up. In the end drained canisters stop.
//!
//! | file | what |
//! |---|---|
//! | `arrivals` | what comes in, and what waited too long |
//! | `canisters` | whose turn it is, and what it does then |
//! | `management` | calls to the management canister |
//! | `long` | what takes more than one round |
//! | `routing` | how messages travel |
//! | `storage` | what memory costs |

mod arrivals;
mod canisters;
mod long;
mod management;
mod routing;
mod storage;

use crate::costs;
use crate::instance::Instance;
use canisters::Tasks;

impl Instance {
    /// Executes one round on every subnet, at the time that was set, or a nanosecond later than the last.
    pub fn tick(&mut self) {
        self.round += 1;
        self.advance_clock();
        self.ingress.begin_round(self.time_nanos);
        self.charge_for_storage();
        self.take_arrivals();
        self.induct_ingress();
        for subnet in 0..self.subnets.len() {
            self.expire(subnet);
            self.execute_round(subnet);
            self.finish_stopping(subnet);
            let left: Vec<_> = std::mem::take(&mut self.subnets[subnet].outbox);
            self.subnets[subnet].loopback.extend(left);
        }
        self.make_checkpoints();
    }

    fn execute_round(&mut self, subnet: usize) {
        let limits = self.profile(subnet).limits;
        let mut for_canisters = limits.round as i64;
        let mut for_management = limits.management as i64;
        self.finish_outcalls(subnet);
        self.answer_random(subnet);
        self.continue_installation(subnet, &mut for_management);
        let mut tasks: Option<Tasks> = None;
        loop {
            self.drain_management(subnet, &mut for_management);
            let mut due = tasks.take().unwrap_or_else(|| self.due_tasks(subnet));
            let spent = self.execute_canisters(subnet, &mut due, for_canisters);
            tasks = Some(due);
            let finalization =
                costs::limits::ROUND_CANISTER_FINALIZATION * self.subnets[subnet].canister_ids().len() as u64;
            for_canisters -= (spent + finalization) as i64;
            if spent == 0 || for_canisters <= 0 {
                return;
            }
            self.deliver_within(subnet);
        }
    }
}
