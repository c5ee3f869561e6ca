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
            let is_about_module = text.contains("chunk") || text.contains("Wasm module");
            if is_about_module && not_now(&text).is_none() {
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
            Ok(code @ (RejectCode::SysTransient | RejectCode::CanisterError))
                if code == RejectCode::SysTransient || not_now(&text).is_some() =>
            {
                let code = not_now(&text).unwrap_or(ReasonCode::Rejected);
                Outcome::Transient(Reason::new(code, text))
            }
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

/// Why the platform puts a call off that may well be taken later: balances are topped up, and debits of a
/// rate limit decay with every round. Several of these come as errors of the canister (code, `ic-error-types`:
/// IC0504 of the chunk store and of snapshot data, IC0530 to IC0532), and none names its code to a canister.
fn not_now(text: &str) -> Option<ReasonCode> {
    let is_poor = text.contains("out of cycles") || text.contains("due to insufficient cycles");
    let is_rate_limited = text.contains("rate limited");
    is_poor.then_some(ReasonCode::OutOfCycles).or(is_rate_limited.then_some(ReasonCode::Rejected))
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
        // The target asked the source, and only the journey failed.
        KitError::CallFailed { .. } => {
            return Outcome::Transient(Reason::new(ReasonCode::Rejected, error.to_string()));
        }
        #[expect(unreachable_patterns, reason = "errors that a newer kit adds")]
        _ => ReasonCode::Rejected,
    };
    Outcome::Refused(Reason::new(code, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ic_cdk::call::CallRejected;

    const SYS_TRANSIENT: u32 = 2;
    const CANISTER_ERROR: u32 = 5;

    fn outcome(code: u32, message: &str) -> Outcome {
        failed(&CallFailed::CallRejected(CallRejected::with_rejection(code, message.to_owned())))
    }

    #[track_caller]
    fn assert_transient(outcome: Outcome, code: ReasonCode) {
        let Outcome::Transient(reason) = outcome else { panic!("{outcome:?} is not transient") };
        assert_eq!(reason.code(), code);
    }

    #[test]
    fn memory_that_would_freeze_the_canister_is_refused_until_it_is_topped_up() {
        let text = "Canister cannot grow memory by 8454144 bytes due to insufficient cycles. At least 1 additional \
                    cycles are required.";
        assert_transient(outcome(CANISTER_ERROR, text), ReasonCode::OutOfCycles);
        assert_transient(outcome(CANISTER_ERROR, &format!("IC0532: {text}")), ReasonCode::OutOfCycles);
        let charge = "Error from Wasm chunk store: Error charging for 'upload_chunk': Canister aaaaa-aa is out of cycles.";
        assert_transient(outcome(CANISTER_ERROR, charge), ReasonCode::OutOfCycles);
    }

    #[test]
    fn rate_limits_are_transient_whatever_their_reject_code() {
        let chunk = "Error from Wasm chunk store: Canister is heap delta rate limited. Current delta debit: 78643201, \
                     limit: 78643200.";
        assert_transient(outcome(CANISTER_ERROR, chunk), ReasonCode::Rejected);
        let snapshot = "Canister aaaaa-aa is heap delta rate limited: current delta debit is 78643201, but limit is \
                        78643200.";
        assert_transient(outcome(SYS_TRANSIENT, snapshot), ReasonCode::Rejected);
        let install = "Canister aaaaa-aa is rate limited because it executed too many instructions in the previous \
                       install_code messages. Please retry installation after several minutes.";
        let rejected = CallRejected::with_rejection(SYS_TRANSIENT, install.to_owned());
        assert_transient(installed(Err(CallFailed::CallRejected(rejected))), ReasonCode::Rejected);
    }

    #[test]
    fn a_chunk_that_is_not_there_is_still_a_wrong_module() {
        let text = "Error from Wasm chunk store: Chunk hash 00 was not found in the store of aaaaa-aa.";
        let rejected = CallRejected::with_rejection(CANISTER_ERROR, text.to_owned());
        let Outcome::Refused(reason) = installed(Err(CallFailed::CallRejected(rejected))) else {
            panic!("it is not refused")
        };
        assert_eq!(reason.code(), ReasonCode::WrongModule);
    }
}
