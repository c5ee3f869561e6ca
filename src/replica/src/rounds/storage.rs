//! What memory costs.

use crate::costs::limits;
use crate::execution::lifecycle;
use crate::instance::Instance;
use candid::Principal;

impl Instance {
    pub(super) fn charge_for_storage(&mut self) {
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
        if canister.long.is_some() {
            // Its turn comes when it is done (code: `charge_canisters_for_resource_allocation_and_usage`).
            return;
        }
        let seconds = now.saturating_sub(canister.paid_until_nanos) / SECOND_NANOS;
        canister.paid_until_nanos += seconds * SECOND_NANOS;
        if !canister.pay_for_storage(&profile, seconds) {
            drop(canister);
            lifecycle::abandon(self, subnet, id);
        }
    }
}
