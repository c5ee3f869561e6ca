//! What the answers to calls mean for a job, where they are no values.

use decant_api::error::KitError;
use decant_engine::{Outcome, Reason, ReasonCode, Value};
use ic_cdk::call::{CallFailed, RejectCode, Response};

/// What the answer to an installation means.
pub(crate) fn installed(response: Result<Response, CallFailed>) -> Outcome {
    match response {
        Ok(_) => Outcome::Done(Value::Acknowledged),
        Err(error) => {
            let text = error.to_string();
            if text.contains("chunk") || text.contains("Wasm module") {
                Outcome::Refused(Reason::new(ReasonCode::WrongModule, text))
            } else {
                failed(&error)
            }
        }
    }
}

/// What a failed call means (spec, "Reject codes").
pub(crate) fn failed(error: &CallFailed) -> Outcome {
    let text = error.to_string();
    match error {
        CallFailed::InsufficientLiquidCycleBalance(_) => {
            Outcome::Transient(Reason::new(ReasonCode::OutOfCycles, text))
        }
        CallFailed::CallPerformFailed(_) => Outcome::Transient(Reason::new(ReasonCode::Rejected, text)),
        CallFailed::CallRejected(rejected) => match rejected.reject_code() {
            Ok(RejectCode::SysUnknown) => Outcome::Unknown(Reason::new(ReasonCode::ReplyLost, text)),
            Ok(RejectCode::SysTransient) if text.contains("out of cycles") => {
                Outcome::Transient(Reason::new(ReasonCode::OutOfCycles, text))
            }
            Ok(RejectCode::SysTransient) => Outcome::Transient(Reason::new(ReasonCode::Rejected, text)),
            // A snapshot that is not there is a destination that is not there.
            Ok(RejectCode::DestinationInvalid) if is_about_snapshot(&text) => {
                Outcome::Refused(Reason::new(ReasonCode::NoSnapshot, text))
            }
            Ok(RejectCode::DestinationInvalid) => Outcome::Refused(Reason::new(ReasonCode::Gone, text)),
            Ok(RejectCode::CanisterError) if names(error, &["IC0512"]) => {
                Outcome::Refused(Reason::new(ReasonCode::NotAuthorised, text))
            }
            Ok(RejectCode::CanisterError) if names(error, &["IC0502", "IC0503"]) => {
                Outcome::Refused(Reason::new(ReasonCode::Trapped, text))
            }
            // A stopped canister runs again in a while, or the job times out.
            Ok(RejectCode::CanisterError) if text.contains("is stop") => {
                Outcome::Transient(Reason::new(ReasonCode::NotRunning, text))
            }
            _ => Outcome::Refused(Reason::new(ReasonCode::Rejected, text)),
        },
    }
}

fn is_about_snapshot(text: &str) -> bool {
    text.contains("snapshot")
}

pub(crate) fn is_gone(error: &CallFailed) -> bool {
    matches!(error, CallFailed::CallRejected(rejected)
        if rejected.reject_code() == Ok(RejectCode::DestinationInvalid))
}

pub(crate) fn names(error: &CallFailed, codes: &[&str]) -> bool {
    matches!(error, CallFailed::CallRejected(rejected)
        if codes.iter().any(|code| rejected.reject_message().contains(code)))
}

/// `stop_canister` that gave up is a transient reject of the system.
pub(crate) fn is_time_out(error: &CallFailed) -> bool {
    matches!(error, CallFailed::CallRejected(rejected)
        if rejected.reject_code() == Ok(RejectCode::SysTransient) && rejected.reject_message().contains("timed out"))
}

/// What a refusal by the kit means for a job.
pub(crate) fn refused(error: &KitError) -> Outcome {
    let code = match error {
        KitError::NotAuthorised { .. } => ReasonCode::NotAuthorised,
        KitError::WrongFence { .. } => ReasonCode::Contradiction,
        KitError::HeldByOther { .. } => ReasonCode::HeldByOther,
        KitError::NotEmpty { .. } => ReasonCode::NotEmpty,
        KitError::Layout { .. } => ReasonCode::Unreadable,
        KitError::Transfer { .. } => ReasonCode::RootMismatch,
        KitError::RootChanged { .. } => ReasonCode::ChangedAfterSeal,
        KitError::NotAPair { .. } => ReasonCode::Rejected,
        // The target asked the source, and only the journey failed.
        KitError::CallFailed { .. } => {
            return Outcome::Transient(Reason::new(ReasonCode::Rejected, error.to_string()));
        }
        #[expect(unreachable_patterns, reason = "errors that a newer kit adds")]
        _ => ReasonCode::Rejected,
    };
    Outcome::Refused(Reason::new(code, error.to_string()))
}
