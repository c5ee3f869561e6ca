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

thread_local! {
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
