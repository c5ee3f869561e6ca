//! Checkpoints: what was written since the last one cannot be taken over by another canister, and what was compiled
//! since is compiled for less.

use crate::api::SubnetKind;
use crate::costs::limits;
use crate::instance::Instance;
use candid::Principal;

impl Instance {
    /// Makes checkpoints every so many rounds on all subnets; 0: never. Without it they are made as often as
    /// PocketIC makes them, every 500 rounds, or 200 on system subnets.
    pub fn set_checkpoint_rounds(&mut self, rounds: u64) {
        self.checkpoint_rounds = Some(rounds);
    }

    /// Makes the checkpoints that are due at the end of a round.
    pub(crate) fn make_checkpoints(&mut self) {
        for subnet in 0..self.subnets.len() {
            let rounds = self.checkpoint_rounds.unwrap_or(usual_rounds(self.subnets[subnet].kind));
            if rounds != 0 && self.round.is_multiple_of(rounds) {
                self.make_checkpoint(subnet);
            }
        }
    }

    fn make_checkpoint(&mut self, subnet: usize) {
        self.subnets[subnet].compiled.clear();
        let ids: Vec<Principal> = self.subnets[subnet].canister_ids().copied().collect();
        for id in ids {
            let Some(mut canister) = self.subnets[subnet].canister_mut(&id) else { continue };
            canister.stable.pages.checkpoint();
            canister.chunk_store.checkpoint();
            if let Some(code) = &mut canister.code {
                code.heap.checkpoint();
            }
            for snapshot in canister.snapshots.values_mut() {
                snapshot.heap.pages.checkpoint();
                snapshot.stable.pages.checkpoint();
                snapshot.chunks.checkpoint();
            }
        }
    }
}

fn usual_rounds(kind: SubnetKind) -> u64 {
    use SubnetKind::{Bitcoin, Ii, Nns, System};
    match kind {
        Bitcoin | Ii | Nns | System => limits::SYSTEM_CHECKPOINT_ROUNDS,
        _ => limits::CHECKPOINT_ROUNDS,
    }
}
