//! What calls to the management canister take from the canister that they are about: cycles, and its share of the
//! memory that may change in a round.

use super::call::Call;
use super::chunks;
use crate::accounts::{OutOfCycles, Unaffordable};
use crate::costs::limits;
use crate::error::{ErrorCode, UserError};
use crate::profile::SubnetProfile;
use candid::Principal;
use std::sync::Arc;

impl Call<'_> {
    /// What the subnet charges and where it stops.
    pub(super) fn profile(&self) -> Arc<SubnetProfile> {
        self.instance.subnets[self.subnet].profile.clone()
    }

    /// Takes the price of instructions that the platform itself executes for a canister, base fee included.
    pub(super) fn charge(&mut self, id: Principal, instructions: u64) -> Result<(), UserError> {
        let price = self.profile().execution_cycles(instructions, false);
        self.pay(id, price)
    }

    /// Takes `price`.
    pub(super) fn pay(&mut self, id: Principal, price: u128) -> Result<(), UserError> {
        let profile = self.profile();
        let paid = self.canister_mut(id)?.withdraw(&profile, price);
        paid.map_err(|error| error.user_error(snapshotting_failed))
    }

    /// As [`Call::charge`], where the words of the error are the caller's.
    pub(super) fn try_charge(
        &mut self,
        id: Principal,
        instructions: u64,
    ) -> Result<Result<(), OutOfCycles>, UserError> {
        let profile = self.profile();
        let price = profile.execution_cycles(instructions, false);
        Ok(self.canister_mut(id)?.withdraw(&profile, price))
    }

    /// As [`Call::charge`], for work after which the canister keeps `memory_bytes`.
    pub(super) fn charge_with_growth(
        &mut self,
        id: Principal,
        instructions: u64,
        memory_bytes: u64,
    ) -> Result<(), UserError> {
        let price = self.profile().execution_cycles(instructions, false);
        self.pay_with_growth(id, price, memory_bytes)
    }

    /// Takes `price` for work after which the canister keeps `memory_bytes`.
    pub(super) fn pay_with_growth(
        &mut self,
        id: Principal,
        price: u128,
        memory_bytes: u64,
    ) -> Result<(), UserError> {
        let profile = self.profile();
        self.canister_mut(id)?.charge_with_growth(&profile, price, memory_bytes).map_err(to_user_error)
    }

    /// Checks that keeping one more chunk does not freeze the canister.
    pub(super) fn check_memory_of_chunk(&mut self, id: Principal) -> Result<(), UserError> {
        let memory_bytes = self.canister(id)?.memory().total() + limits::CHUNK_BYTES as u64;
        self.pay_with_growth(id, 0, memory_bytes)
    }

    /// Refuses work that changes memory while the canister still owes for what it changed.
    pub(super) fn check_heap_delta(&self, id: Principal) -> Result<(), UserError> {
        let Some((debit, limit)) = self.heap_delta_excess(id)? else { return Ok(()) };
        Err(UserError::new(
            ErrorCode::CanisterHeapDeltaRateLimited,
            format!(
                "Canister {id} is heap delta rate limited: current delta debit is {debit}, but limit is {limit}.\nTry \
                 waiting a few seconds before retrying the operation."
            ),
        ))
    }

    /// The same for chunks, in the words that the platform has for those.
    pub(super) fn check_heap_delta_of_chunk(&self, id: Principal) -> Result<(), UserError> {
        let Some((debit, limit)) = self.heap_delta_excess(id)? else { return Ok(()) };
        Err(chunks::refused(format!(
            "Canister is heap delta rate limited. Current delta debit: {debit}, limit: {limit}"
        )))
    }

    fn heap_delta_excess(&self, id: Principal) -> Result<Option<(u64, u64)>, UserError> {
        Ok(self.canister(id)?.debits.heap_delta_excess(self.profile().rates, self.instance.round))
    }

    /// Notes that the call changed memory of a canister.
    pub(super) fn add_heap_delta(&mut self, id: Principal, bytes: u64) -> Result<(), UserError> {
        let (rates, round) = (self.profile().rates, self.instance.round);
        self.canister_mut(id)?.debits.add_heap_delta(rates, round, bytes);
        Ok(())
    }
}

fn to_user_error(error: Unaffordable) -> UserError {
    match error {
        Unaffordable::Work(error) => error.user_error(snapshotting_failed),
        Unaffordable::Memory(error) => error.user_error(),
    }
}

fn snapshotting_failed(error: &OutOfCycles) -> String {
    format!("Canister snapshotting failed with: `{error}`")
}
