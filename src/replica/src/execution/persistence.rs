//! What becomes of the heap in an upgrade. A module with enhanced orthogonal persistence has its state there,
//! so losing it must be asked for (code: `determine_main_memory_handling`).

use crate::error::{ErrorCode, UserError};
use crate::wasm::Module;

/// What the caller wants (spec, "IC method install_code": `wasm_memory_persistence`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeapWish {
    /// Nothing was said.
    Unsaid,
    /// Keep it.
    Keep,
    /// Begin with that of the new module.
    Replace,
}

/// Whether the heap is kept.
///
/// Errors where the wish would lose a state by an oversight, or keep a heap that the new module cannot use.
pub(crate) fn keeps_heap(wish: HeapWish, old: Option<&Module>, new: &Module) -> Result<bool, UserError> {
    let is_persistent = |module: &Module| module.inspection.has_orthogonal_persistence();
    match wish {
        HeapWish::Unsaid if old.is_some_and(is_persistent) => Err(UserError::new(
            ErrorCode::CanisterContractViolation,
            "Missing upgrade option: Enhanced orthogonal persistence requires the `wasm_memory_persistence` upgrade \
             option.\nTry resending the message with the required fields included.",
        )),
        HeapWish::Keep if !is_persistent(new) => Err(UserError::new(
            ErrorCode::CanisterContractViolation,
            "Invalid upgrade option: The `wasm_memory_persistence: opt Keep` upgrade option requires that the new \
             canister module supports enhanced orthogonal persistence.\nTry resending the message after omitting or \
             modifying the invalid options.",
        )),
        HeapWish::Keep => Ok(true),
        HeapWish::Unsaid | HeapWish::Replace => Ok(false),
    }
}
