//! What stands in front of every method: the kit's guards, or nothing where there is no kit.

#[cfg(feature = "kit")]
pub(crate) use decant_kit::{guard, query_guard, refuse_upgrade_when_fenced as before_upgrade};

#[cfg(not(feature = "kit"))]
mod open {
    pub(crate) fn guard() -> Result<(), String> {
        Ok(())
    }

    pub(crate) fn query_guard() -> Result<(), String> {
        Ok(())
    }

    pub(crate) fn before_upgrade() {}
}

#[cfg(not(feature = "kit"))]
pub(crate) use open::{before_upgrade, guard, query_guard};
