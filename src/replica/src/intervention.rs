//! What tests do to canisters behind everybody's back.

use crate::execution::lifecycle::{self, Install, Mode, Upload};
use crate::execution::persistence::HeapWish;
use crate::faults::CallView;
use crate::instance::Instance;
use candid::Principal;

impl Instance {
    /// Takes the cycles of a canister but for 1 B, which freezes it if it reserves more, and lets it live for a while: one
    /// that can't pay for its memory loses its code. Answers how many were taken.
    ///
    /// Errors with a sentence if there is no such canister.
    pub fn freeze(&mut self, id: Principal) -> Result<u128, String> {
        const LEFT_CYCLES: u128 = 1_000_000_000;
        let before = self.cycles(id)?;
        let left = before.min(LEFT_CYCLES);
        if let Some(mut canister) = self.canister_mut(id) {
            canister.pay(before - left);
        }
        Ok(before - left)
    }

    /// Upgrades a canister at once, whatever it is waiting for.
    ///
    /// Errors with the platform's message if the upgrade fails; the canister is then as before.
    pub fn upgrade(&mut self, id: Principal, module: &[u8], arg: &[u8]) -> Result<(), String> {
        let subnet = self.home(id).ok_or_else(|| format!("there is no canister {id}"))?;
        let sender = self.controllers(id)?.first().copied().unwrap_or(id);
        let install = Install {
            canister_id: id,
            mode: Mode::Upgrade { skip_pre_upgrade: false, heap: HeapWish::Unsaid },
            module: Ok(Upload::Bytes(module.into())),
            assembly_instructions: 0,
            arg: arg.into(),
            sender,
            sender_version: None,
        };
        if self.subnets[subnet].canister(&id).is_some_and(|canister| canister.long.is_some()) {
            return Err(format!("canister {id} is in the middle of a message that takes several rounds"));
        }
        lifecycle::run_installation(self, subnet, &install)
            .and_then(|installation| lifecycle::end_installation(self, subnet, installation))
            .map_err(|error| error.to_string())
    }

    pub(crate) fn run_hook(&mut self, view: impl FnOnce() -> CallView) {
        let Some(mut hook) = self.faults.hook.take() else { return };
        hook(self, &view());
        // The hook may have cleared or replaced itself.
        self.faults.hook.get_or_insert(hook);
    }
}
