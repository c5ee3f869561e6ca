//! Who may do what: governance approves, controllers operate.

use crate::store;
use candid::Principal;

/// Whether `caller` is the governance canister.
pub(crate) fn governs(caller: Principal) -> Result<(), String> {
    let governance = store::governance();
    if caller == governance {
        Ok(())
    } else {
        Err(format!("{caller} may not execute plans: propose them to {governance}"))
    }
}

/// Whether `caller` may pause, retry and abort.
pub(crate) fn operates(caller: Principal) -> Result<(), String> {
    if caller == store::governance() || ic_cdk::api::is_controller(&caller) {
        Ok(())
    } else {
        Err(format!("{caller} may not operate this coordinator: ask as a controller of it"))
    }
}
