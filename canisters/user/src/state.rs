//! The state of the canister, and how it comes and goes.

use std::cell::RefCell;

use decant_user_model::storage::{Layout, StorageError};

use crate::Backing;
use crate::generation::GENERATION;

thread_local! {
    /// Does not touch stable memory until the state is loaded or saved.
    static STATE: RefCell<Backing> = RefCell::new(Backing::empty(Layout::Managed));
}

/// Looks at the state.
pub(crate) fn look<R>(look: impl FnOnce(&Backing) -> R) -> R {
    STATE.with_borrow(look)
}

/// Changes the state.
pub(crate) fn change<R>(change: impl FnOnce(&mut Backing) -> R) -> R {
    STATE.with_borrow_mut(change)
}

/// Begins with an empty state.
pub(crate) fn start() {
    #[cfg(feature = "rehearsal-faults")]
    crate::faults::dirty_if_told();
    put(GENERATION.fresh());
}

/// The body of `pre_upgrade`.
pub(crate) fn save() {
    #[cfg(feature = "rehearsal-faults")]
    crate::faults::trap_in(crate::faults::Hook::Save);
    change(|state| GENERATION.save(state)).unwrap_or_else(|error| fail(&error));
}

/// The body of `post_upgrade`.
pub(crate) fn load() {
    #[cfg(feature = "rehearsal-faults")]
    crate::faults::trap_in(crate::faults::Hook::Load);
    put(GENERATION.load());
}

/// Counts and sums of the state.
#[cfg(feature = "kit")]
pub(crate) fn fingerprint() -> Vec<u8> {
    #[cfg(feature = "rehearsal-faults")]
    crate::faults::change_if_told();
    look(decant_user_model::fingerprint)
}

fn put(state: Result<Backing, StorageError>) {
    match state {
        Ok(state) => STATE.set(state),
        Err(error) => fail(&error),
    }
}

/// Without its state a canister must not run: the upgrade is taken back.
fn fail(error: &StorageError) -> ! {
    ic_cdk::trap(error.to_string())
}
