//! From the bytes that a user uploads to a module that can be run: decode, check, transform, compile.

pub(crate) mod complexity;
pub(crate) mod decode;
pub(crate) mod inspect;
mod kept;
pub(crate) mod module;
pub(crate) mod transform;

pub use module::Compilation;
pub(crate) use module::{Module, ModuleCache, WasmError};

/// What a module asks of an upgrade that takes it off a canister.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpgradeTraits {
    /// Whether it exports `canister_pre_upgrade`.
    pub has_pre_upgrade: bool,
    /// Whether its state is on its heap and has to be kept there: enhanced orthogonal persistence.
    pub keeps_heap: bool,
}

/// Reads a module, gzipped or not.
///
/// # Errors
/// The platform would not install it, in its words.
pub fn upgrade_traits(module: &[u8]) -> Result<UpgradeTraits, String> {
    let inspect = || inspect::inspect(&decode::decode(module)?);
    let found = inspect().map_err(|refused| refused.to_string())?;
    Ok(UpgradeTraits {
        has_pre_upgrade: found.system_functions.contains("canister_pre_upgrade"),
        keeps_heap: found.has_orthogonal_persistence(),
    })
}
