//! What requests, responses, tasks, installations and queries share: running code of a canister, and settling
//! what was paid for it.

use super::environment::{self, Invocation};
use super::runner::{Entry, Finished, Keep};
use crate::accounts::Prepaid;
use crate::instance::Instance;
use crate::memory::pages::PAGE_BYTES;
use crate::state::Canister;
use crate::system_api::host::{Answer, Effects, HostError};
use candid::Principal;

impl Instance {
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
        let (subnet_id, profile) = (self.subnets[subnet].id, self.subnets[subnet].profile.clone());
        let root_key = self.root_key.clone();
        let Some(mut guard) = self.subnets[subnet].canister_mut(&id) else {
            let effects = Effects::new(Default::default(), 0, 0, 0);
            return Finished::unrun(Err(HostError::Engine("the canister is gone".to_owned())), effects);
        };
        let canister: &mut Canister = &mut guard;
        let mut effects = environment::effects(canister, available);
        if invocation.is_answered {
            effects.answer = Answer::Closed;
        }
        let env = environment::env(canister, subnet_id, self.time_nanos, root_key, profile, invocation);
        let Some(code) = canister.code.as_mut() else {
            let error = HostError::Engine("the canister contains no Wasm module".to_owned());
            return Finished::unrun(Err(error), effects);
        };
        self.runner.run(code, &mut canister.stable, env, effects, entry, keep)
    }

    /// Returns what was prepaid for execution and not used, and notes how much memory changed.
    pub(super) fn settle_prepayment(
        &mut self,
        subnet: usize,
        id: Principal,
        finished: &Finished,
        prepaid: Prepaid,
    ) {
        let (profile, round) = (self.subnets[subnet].profile.clone(), self.round);
        let Some(mut canister) = self.subnets[subnet].canister_mut(&id) else { return };
        if finished.result.is_ok() {
            // A call that was begun and never made gives its cycles back.
            let begun = finished.effects.building.as_ref().map_or(0, |call| call.cycles);
            canister.cycles = finished.effects.balance.saturating_add(begun);
        }
        prepaid.settle(&mut canister.cycles, &profile, finished.instructions);
        let changed_bytes = finished.heap_delta_pages * PAGE_BYTES as u64;
        canister.debits.add_heap_delta(profile.rates, round, changed_bytes);
    }
}

impl Canister {
    /// Applies effects that need no other canister.
    pub(super) fn apply(&mut self, effects: &Effects) {
        if let Some(data) = &effects.certified_data {
            self.certified_data.clone_from(data);
        }
        self.global_timer = effects.global_timer;
    }
}

/// Bytes of the answer, if there is one.
pub(super) fn answer_bytes(effects: &Effects) -> u64 {
    match &effects.answer {
        Answer::Open(_) | Answer::Closed => 0,
        Answer::Reply(reply) => reply.len() as u64,
        Answer::Reject(message) => message.len() as u64,
    }
}
