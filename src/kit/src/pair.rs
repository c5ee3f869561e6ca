//! Save and load as the pair that they are in an upgrade.

use decant_api::{Idiom, KitError};

use crate::hooks::Hooks;
use crate::stable::Stable;
use crate::witness::Witness;

#[cfg(test)]
mod tests;

/// Lets the dapp save, and load at once what it saved. In an upgrade nothing runs on the old heap after `pre_upgrade`,
/// so many dapps move their state out of it; here queries go on, and it may have to serve again. Answers the
/// fingerprint.
///
/// # Errors
/// [`KitError::NotAPair`] if the fingerprint is another one then, or if stable memory is: what a target would load is not
/// what was saved. The heap and stable memory are those of a dapp that was upgraded; a caller that traps takes that back.
pub(crate) fn save_and_load(hooks: &Hooks, stable: &impl Stable) -> Result<Vec<u8>, KitError> {
    let before = (hooks.fingerprint)();
    (hooks.save)();
    let saved = Witness::of(stable);
    (hooks.load)();
    if Witness::of(stable) != saved {
        return Err(KitError::NotAPair { idiom: Idiom::ImageChanged });
    }
    match (hooks.fingerprint)() {
        fingerprint if fingerprint == before => Ok(fingerprint),
        _ => Err(KitError::NotAPair { idiom: Idiom::HeapTaken }),
    }
}
