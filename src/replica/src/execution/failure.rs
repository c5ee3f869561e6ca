//! The words that the platform finds for failed messages.

use crate::error::{ErrorCode, UserError};
use crate::system_api::host::HostError;
use candid::Principal;

/// Where the platform's error messages send their readers.
const DOCS: &str =
    "See documentation: https://internetcomputer.org/docs/current/references/execution-errors#";

/// The error of a message of `canister` that failed with `error`.
pub(crate) fn user_error(canister: Principal, error: &HostError) -> UserError {
    let (code, end, advice) = match error {
        HostError::CalledTrap(_) => (
            ErrorCode::CanisterCalledTrap,
            ".",
            format!(
                "Consider gracefully handling failures from this canister or altering the canister to handle \
                 exceptions. {DOCS}trapped-explicitly"
            ),
        ),
        HostError::Trapped(what) => (
            ErrorCode::CanisterTrapped,
            // The platform continues these two with a backtrace instead of a full stop.
            if matches!(*what, "stable memory out of bounds" | "stack overflow") { "" } else { "." },
            format!(
                "Consider gracefully handling failures from this canister or altering the canister to handle \
                 exceptions. {DOCS}trapped"
            ),
        ),
        HostError::ContractViolation(_) => (
            ErrorCode::CanisterContractViolation,
            ".",
            "The canister uses the system API against its rules: check the version of the CDK that it was \
             built with."
                .to_owned(),
        ),
        HostError::OutOfInstructions(_) => (
            ErrorCode::CanisterInstructionLimitExceeded,
            ".",
            format!(
                "Try optimizing this method to consume fewer instructions or split the work across multiple \
                 messages. {DOCS}instruction-limit-exceeded"
            ),
        ),
        HostError::OutOfCycles { .. } => {
            (ErrorCode::InsufficientCyclesInCall, ".", "Top up the canister.".to_owned())
        }
        HostError::CannotGrow(_) => {
            (ErrorCode::InsufficientCyclesInMemoryGrow, "", "Top up the canister.".to_owned())
        }
        HostError::StableAccess(_) => (
            ErrorCode::CanisterMemoryAccessLimitExceeded,
            "",
            "Try accessing less of stable memory in a message, or split the work across several.".to_owned(),
        ),
        HostError::WasmMemoryLimit(_) => (
            ErrorCode::CanisterWasmMemoryLimitExceeded,
            ".",
            "Raise its wasm_memory_limit, or let it use less heap.".to_owned(),
        ),
        HostError::Engine(_) => (ErrorCode::CanisterWasmEngineError, ".", String::new()),
    };
    UserError::new(code, format!("Error from Canister {canister}: {error}{end}\n{advice}"))
}

/// There is no such method.
pub(crate) fn method_not_found(canister: Principal, kind: &str, method: &str) -> UserError {
    UserError::new(
        ErrorCode::CanisterMethodNotFound,
        format!(
            "Error from Canister {canister}: Canister has no {kind} method '{method}'..\nCheck that the method \
             being called is exported by the target canister. {DOCS}method-not-found"
        ),
    )
}

/// There is no code.
pub(crate) fn no_module(canister: Principal) -> UserError {
    UserError::new(
        ErrorCode::CanisterWasmModuleNotFound,
        format!(
            "Error from Canister {canister}: Attempted to execute a message, but the canister contains no Wasm \
             module..\nPlease install code to this canister before calling it. {DOCS}wasm-module-not-found"
        ),
    )
}

/// A module that is not taken.
pub(crate) fn invalid_module(canister: Principal, error: &crate::wasm::WasmError) -> UserError {
    UserError::new(
        ErrorCode::CanisterInvalidWasm,
        format!(
            "Error from Canister {canister}: Canister's Wasm module is not valid: {error}.\nIf you are running \
             this canister in a test environment (e.g., dfx), make sure the test environment is up to date. \
             Otherwise, this is likely an error with the compiler/CDK toolchain being used to build the canister."
        ),
    )
}

/// The message was executed and nobody answered it.
pub(crate) fn did_not_reply(canister: Principal) -> UserError {
    UserError::new(ErrorCode::CanisterDidNotReply, format!("Canister {canister} did not reply to the call"))
}

/// Calls that a canister took and then was stopped before it executed them (measured; code:
/// `validate_canister`).
pub(crate) fn stopped_meanwhile(canister: Principal, is_stopping: bool) -> UserError {
    let code = if is_stopping { ErrorCode::CanisterStopping } else { ErrorCode::CanisterStopped };
    UserError::new(code, format!("Canister {canister} is not running"))
}

/// Calls to a canister that takes none.
pub(crate) fn not_running(canister: Principal, is_stopping: bool) -> UserError {
    if is_stopping {
        UserError::new(ErrorCode::CanisterStopping, format!("Canister {canister} is stopping"))
    } else {
        UserError::new(ErrorCode::CanisterStopped, format!("Canister {canister} is stopped"))
    }
}

/// The canister is not there.
pub(crate) fn canister_not_found(id: Principal) -> UserError {
    UserError::new(ErrorCode::CanisterNotFound, format!("Canister {id} not found."))
}
