//! Reject codes, error codes and the messages that canisters and users get to see.
use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($name:ident = $number:literal),* $(,)?) => {
        /// Error codes of the platform. The hundreds digit is the reject code
        /// (interface specification, "Reject codes" and "Error codes").
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "the names are the platform's own")]
        pub enum ErrorCode { $($name = $number),* }
    };
}

error_codes! {
    SubnetOversubscribed = 101,
    MaxNumberOfCanistersReached = 102,
    CanisterQueueFull = 201,
    IngressMessageTimeout = 202,
    CanisterQueueNotEmpty = 203,
    CanisterIdAlreadyExists = 205,
    StopCanisterRequestTimeout = 206,
    CanisterOutOfCycles = 207,
    CanisterInstallCodeRateLimited = 209,
    CanisterHeapDeltaRateLimited = 210,
    CanisterNotFound = 301,
    CanisterSnapshotNotFound = 305,
    InsufficientMemoryAllocation = 402,
    InsufficientCyclesForCreateCanister = 403,
    SubnetNotFound = 404,
    CanisterNotHostedBySubnet = 405,
    CanisterRejectedMessage = 406,
    UnknownManagementMessage = 407,
    InvalidManagementPayload = 408,
    CanisterSnapshotImmutable = 409,
    CanisterTrapped = 502,
    CanisterCalledTrap = 503,
    CanisterContractViolation = 504,
    CanisterInvalidWasm = 505,
    CanisterDidNotReply = 506,
    CanisterOutOfMemory = 507,
    CanisterStopped = 508,
    CanisterStopping = 509,
    CanisterNotStopped = 510,
    CanisterStoppingCancelled = 511,
    CanisterInvalidController = 512,
    CanisterFunctionNotFound = 513,
    CanisterNonEmpty = 514,
    QueryCallGraphLoopDetected = 517,
    InsufficientCyclesInCall = 520,
    CanisterWasmEngineError = 521,
    CanisterInstructionLimitExceeded = 522,
    CanisterMemoryAccessLimitExceeded = 524,
    QueryCallGraphTooDeep = 525,
    QueryCallGraphTotalInstructionLimitExceeded = 526,
    CompositeQueryCalledInReplicatedMode = 527,
    InsufficientCyclesInComputeAllocation = 530,
    InsufficientCyclesInMemoryAllocation = 531,
    InsufficientCyclesInMemoryGrow = 532,
    CanisterMethodNotFound = 536,
    CanisterWasmModuleNotFound = 537,
    CanisterWasmMemoryLimitExceeded = 539,
    DeadlineExpired = 601,
    ResponseDropped = 602,
}

/// Reject codes (interface specification, "Reject codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the specification's own")]
pub enum RejectCode {
    SysFatal = 1,
    SysTransient = 2,
    DestinationInvalid = 3,
    CanisterReject = 4,
    CanisterError = 5,
    SysUnknown = 6,
}

impl From<ErrorCode> for RejectCode {
    fn from(code: ErrorCode) -> Self {
        match code as u32 / 100 {
            1 => Self::SysFatal,
            2 => Self::SysTransient,
            3 => Self::DestinationInvalid,
            4 => Self::CanisterReject,
            5 => Self::CanisterError,
            _ => Self::SysUnknown,
        }
    }
}

/// An error with the platform's code and a sentence, as a user sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("IC{:04}: {description}", *code as u32)]
pub struct UserError {
    /// The code.
    pub code: ErrorCode,
    /// What happened, to what, and what to do.
    pub description: String,
}

impl UserError {
    /// An error of the given code.
    pub fn new(code: ErrorCode, description: impl Into<String>) -> Self {
        Self { code, description: description.into() }
    }
}

impl UserError {
    /// What a calling canister gets of a message that another one executed, or should have: the platform's own
    /// errors carry their code in the message, what the canister said itself does not (measured: cases `call …`).
    pub(crate) fn into_reject(self) -> Reject {
        match self.code {
            ErrorCode::CanisterRejectedMessage => self.into_system_reject(),
            ErrorCode::CanisterDidNotReply => {
                Reject { code: RejectCode::CanisterError, message: "No response".to_owned() }
            }
            _ => Reject { code: self.code.into(), message: self.to_string() },
        }
    }

    /// What a calling canister gets of the management canister, and of a canister that did not take the message:
    /// no code in the message (measured; code: `From<UserError> for RejectContext`).
    pub(crate) fn into_system_reject(self) -> Reject {
        Reject { code: self.code.into(), message: self.description }
    }
}

/// A reject as a calling canister gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The reject code.
    pub code: RejectCode,
    /// The message; begins with `IC` and the error code where the platform made it.
    pub message: String,
}

/// A reject as the `pocket_ic` client shows it to a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectResponse {
    /// The reject code.
    pub reject_code: RejectCode,
    /// The message, without the code.
    pub reject_message: String,
    /// The error code.
    pub error_code: ErrorCode,
    /// Whether the answer came through a certified state; queries are not certified.
    pub certified: bool,
}

impl RejectResponse {
    /// The response to an error of the platform.
    pub fn from_error(error: UserError, certified: bool) -> Self {
        Self {
            reject_code: error.code.into(),
            reject_message: error.description,
            error_code: error.code,
            certified,
        }
    }
}
