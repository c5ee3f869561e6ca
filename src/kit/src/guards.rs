//! What a dapp puts in front of its own methods.

use candid::Principal;
use decant_api::source::Fence;
use ic_cdk::api::{accept_message, is_controller, msg_caller, msg_method_name};

use crate::{fence, state};

/// For update methods: refuses while the canister is fenced, with a message that says what is going on, and
/// when to retry or where the state is now. A method that it refuses must return: such a message counts as one that
/// changed nothing (see `watch`). Only a heartbeat's or a timer's never does.
///
/// ```text
/// #[update(guard = "decant_kit::guard")]
/// ```
///
/// # Errors
/// The message of a [`Refusal`](decant_api::Refusal).
pub fn guard() -> Result<(), String> {
    let refused = refuse(fence::refusal);
    // The caller of heartbeats, timers and hooks is the management canister (interface specification, "System API").
    if refused.is_err() && msg_caller() != Principal::management_canister() {
        state::entered();
    }
    refused
}

/// For query methods: they go on answering while a source is fenced, and refuse when the state is not here
/// yet or not here any more.
///
/// # Errors
/// The message of a [`Refusal`](decant_api::Refusal).
pub fn query_guard() -> Result<(), String> {
    refuse(fence::query_refusal)
}

/// The first line of `inspect_message`: whether the message is for one of the kit's own methods, and then accepted. Nobody
/// but controllers sends these as ingress, so that no stranger makes the canister pay for refusing them:
///
/// ```text
/// #[inspect_message]
/// fn inspect() {
///     if !decant_kit::inspect() {
///         ic_cdk::api::accept_message(); // or what the dapp decides for its own methods
///     }
/// }
/// ```
///
/// It traps with the reason if a stranger calls one of the kit's methods.
pub fn inspect() -> bool {
    let method = msg_method_name();
    if !method.starts_with("decant_") {
        return false;
    }
    let caller = msg_caller();
    if !is_controller(&caller) {
        ic_cdk::trap(format!("{caller} is no controller: {method} as ingress is for controllers"));
    }
    accept_message();
    true
}

/// The first line of `pre_upgrade`: traps when the canister is fenced, so that an upgrade does not open the
/// fence.
pub fn refuse_upgrade_when_fenced() {
    if let Err(refusal) = guard() {
        ic_cdk::trap(format!("DECANT-FENCED: no upgrade while the canister is fenced. {refusal}"));
    }
}

fn refuse<R: ToString>(refusal: impl FnOnce(&Fence) -> Option<R>) -> Result<(), String> {
    state::with(|kit| refusal(&kit.fence)).map_or(Ok(()), |refusal| Err(refusal.to_string()))
}
