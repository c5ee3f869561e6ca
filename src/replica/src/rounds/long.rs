//! What takes more than one round goes on by a slice a round.

use crate::execution::lifecycle;
use crate::instance::Instance;
use crate::management::EMPTY_REPLY;
use crate::state::long::Work;
use candid::Principal;

impl Instance {
    /// Goes on with the installation that takes several rounds, if there is one.
    pub(super) fn continue_installation(&mut self, subnet: usize, left: &mut i64) {
        let Some(id) = self.subnets[subnet].installing else { return };
        let Some((spent, work)) = self.spend_slice(subnet, id) else { return };
        // What needs no instructions can still be executed.
        *left = (*left - spent as i64).max(0);
        let Some(work) = work else { return };
        self.subnets[subnet].installing = None;
        if let Work::Installation(installed) = work {
            let (installation, request) = *installed;
            let result = lifecycle::end_installation(self, subnet, installation);
            self.respond(subnet, &request, result.map(|()| EMPTY_REPLY.to_vec()), request.cycles);
        }
    }

    /// Goes on with a message that takes several rounds; answers the instructions of this one.
    pub(super) fn continue_message(&mut self, subnet: usize, id: Principal) -> u64 {
        let Some((spent, work)) = self.spend_slice(subnet, id) else { return 0 };
        if let Some(Work::Message(ran)) = work {
            self.end_message(subnet, id, *ran);
        }
        spent
    }

    /// Spends a slice on what a canister does, and hands it out when it has had its rounds.
    fn spend_slice(&mut self, subnet: usize, id: Principal) -> Option<(u64, Option<Work>)> {
        let mut canister = self.subnets[subnet].canister_mut(&id)?;
        let long = canister.long.as_mut()?;
        let spent = long.spend();
        let work = if long.is_over() { canister.long.take().map(|long| long.work) } else { None };
        Some((spent, work))
    }
}
