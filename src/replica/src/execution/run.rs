//! What requests, responses, tasks, installations and queries share: running code of a canister, and settling
//! what was paid for it.

use super::environment::{self, Invocation};
use super::runner::{Entry, Keep};
use crate::accounts::Prepaid;
use crate::instance::Instance;
use crate::memory::pages::PAGE_BYTES;
use crate::state::Canister;
use crate::state::long::{Finished, Long, Ran, Work};
use crate::system_api::host::{Answer, Effects, HostError};
use crate::trace::Event;
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
        let (root_key, room) = (self.root_key.clone(), self.subnets[subnet].call_room(&id));
        let Some(mut guard) = self.subnets[subnet].canister_mut(&id) else {
            let effects = Effects::new(Default::default(), 0, 0, 0);
            return Finished::unrun(Err(HostError::Engine("the canister is gone".to_owned())), effects);
        };
        let canister: &mut Canister = &mut guard;
        let mut effects = environment::effects(canister, available);
        if invocation.is_answered {
            effects.answer = Answer::Closed;
        }
        let mut env = environment::env(canister, subnet_id, self.time_nanos, root_key, profile, invocation);
        env.room = room;
        let Some(code) = canister.code.as_mut() else {
            let error = HostError::Engine("the canister contains no Wasm module".to_owned());
            return Finished::unrun(Err(error), effects);
        };
        self.runner.run(code, &mut canister.stable, env, effects, entry, keep)
    }

    /// Ends a message that ran, or withholds what it did for the rounds that it takes. Answers the instructions
    /// of this round.
    pub(super) fn end_or_withhold(&mut self, subnet: usize, id: Principal, ran: Ran) -> u64 {
        let instructions = ran.finished.instructions;
        let slice = self.profile(subnet).limits.slice;
        if instructions <= slice {
            self.end_message(subnet, id, ran);
            return instructions;
        }
        if let Some(mut canister) = self.subnets[subnet].canister_mut(&id) {
            canister.long = Some(Box::new(Long::begin(instructions, slice, Work::Message(Box::new(ran)))));
        }
        slice
    }

    /// Applies what a message did, and settles what was paid for it.
    pub(crate) fn end_message(&mut self, subnet: usize, id: Principal, ran: Ran) {
        let Ran { context_id, balance_before, prepaid, mut finished, event } = ran;
        self.keep_withheld(subnet, id, &mut finished);
        self.settle_prepayment(subnet, id, &finished, prepaid);
        if let Some(event) = event {
            let balance = self.subnets[subnet].canister(&id).map_or(0, |canister| canister.cycles);
            let (round, instructions) = (self.round, finished.instructions);
            let response_bytes = answer_bytes(&finished.effects);
            let cycles = balance_before.saturating_sub(balance);
            self.trace.record(|| Event { round, instructions, cycles, response_bytes, ..event });
        }
        self.conclude(subnet, id, Some(context_id), finished);
    }

    fn keep_withheld(&mut self, subnet: usize, id: Principal, finished: &mut Finished) {
        let Some(withheld) = finished.withheld.take() else { return };
        let generation = self.runner.new_generation();
        let Some(mut guard) = self.subnets[subnet].canister_mut(&id) else { return };
        let canister: &mut Canister = &mut guard;
        if let Some(code) = &mut canister.code {
            self.runner.forget(code.generation);
            withheld.keep(code, generation);
        }
        std::mem::take(&mut finished.effects.stable).commit(&mut canister.stable);
    }

    /// What the trace will say of a message, if there is a trace.
    pub(super) fn traced(&self, event: impl FnOnce() -> Event) -> Option<Event> {
        self.trace.is_on().then(event)
    }

    /// Returns what was prepaid for execution and not used, and notes how much memory changed.
    fn settle_prepayment(&mut self, subnet: usize, id: Principal, finished: &Finished, prepaid: Prepaid) {
        let (profile, round) = (self.subnets[subnet].profile.clone(), self.round);
        let Some(mut canister) = self.subnets[subnet].canister_mut(&id) else { return };
        if finished.result.is_ok() {
            canister.settle_effects(&finished.effects);
        }
        canister.settle(prepaid, &profile, finished.instructions);
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
