//! Ways to break things, for rehearsals and tests: none of them is guarded, and none
//! is in the interface file.

use std::cell::Cell;

use candid::CandidType;
use decant_user_model::actions;
use ic_cdk::update;
use serde::Deserialize;

use crate::state::change;

/// A hook that can be made to trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
pub(crate) enum Hook {
    /// Saving the state.
    Save,
    /// Loading the state.
    Load,
}

/// What `init` is told, anywhere in its argument, to leave stable memory behind that a target must not have.
const DIRTY: &[u8] = b"leave stable memory dirty";
/// What the canister posts by itself when it was told to change.
const CHANGE: &str = "written past the fence";

thread_local! {
    /// Looks at the state so far, if it is to change after the first one.
    static LOOKS: Cell<Option<u32>> = const { Cell::new(None) };
    static TRAPS_IN: Cell<Option<Hook>> = const { Cell::new(None) };
}

/// Traps if that hook was made to.
pub(crate) fn trap_in(hook: Hook) {
    if TRAPS_IN.get() == Some(hook) {
        ic_cdk::trap(format!("the {hook:?} hook was made to trap"));
    }
}

/// Makes a hook trap from now on, or none.
#[update(hidden = true)]
fn debug_trap_in(hook: Option<Hook>) {
    TRAPS_IN.set(hook);
}

/// Grows stable memory if the argument of `init` wants it.
pub(crate) fn dirty_if_told() {
    if ic_cdk::api::msg_arg_data().windows(DIRTY.len()).any(|part| part == DIRTY) {
        ic_cdk::api::stable_grow(1);
    }
}

/// Changes the state before it is looked at for the third time and later, if it was told to: a seal looks twice.
pub(crate) fn change_if_told() {
    let Some(looks) = LOOKS.get() else { return };
    LOOKS.set(Some(looks + 1));
    if looks > 1 {
        change(|state| actions::post(state, CHANGE.to_owned()));
    }
}

/// From now on the state changes whenever its fingerprint is taken, but for the seal: as a heartbeat would
/// change it that knows of no fence.
#[update(hidden = true)]
fn debug_change_after_the_seal() {
    LOOKS.set(Some(0));
}

/// Changes a byte of stable memory behind everybody's back.
#[update(hidden = true)]
fn debug_corrupt(offset: u64, byte: u8) {
    ic_cdk::api::stable_write(offset, &[byte]);
}

/// Adds a post past the guard, as code would that forgot it.
#[update(hidden = true)]
fn debug_post(text: String) -> u64 {
    change(|state| actions::post(state, text))
}
