//! What the answers to calls mean for a job, where they are no values.
//!
//! The reject code decides. Within one code there are texts of the platform that say what it means; tests of the
//! replica hold them. Rejects of the management canister carry no "IC0512: " before their text and those of other
//! canisters do, so nothing rests on it. A canister that traps, or rejects, writes a text too: nothing of that decides. What
//! it said when it trapped stands behind words of the platform, so that a text says something by its beginning.

use decant_api::error::KitError;
use decant_engine::{Outcome, Reason, ReasonCode, Value};
use ic_cdk::call::{CallFailed, RejectCode, Response};

/// What the answer to an installation means.
pub(crate) fn installed(response: Result<Response, CallFailed>) -> Outcome {
    match response {
        Ok(_) => Outcome::Done(Value::Acknowledged),
        Err(error) => {
            let text = plain(&error);
            let is_about_module = text.contains("chunk") || text.contains("Wasm module");
            if is_about_module && !has_trapped(&text) && not_now(&text).is_none() {
                Outcome::Refused(Reason::new(ReasonCode::WrongModule, text))
            } else {
                failed(&error)
            }
        }
    }
}

/// What a failed call to another canister means that changes something there. Its code ran, unless the platform says that it
/// did not: whatever it ended with, nobody knows what it did before.
pub(crate) fn failed_effect(error: &CallFailed) -> Outcome {
    not_taken(error).unwrap_or_else(|| Outcome::Unknown(ended(error)))
}

/// What a failed call to another canister means of which nothing rests on what it did there: a question, or a try that its
/// state undoes anyway.
pub(crate) fn failed_question(error: &CallFailed) -> Outcome {
    not_taken(error).unwrap_or_else(|| match ended(error) {
        reason if reason.code() == ReasonCode::OutOfCycles => Outcome::Transient(reason),
        reason => Outcome::Refused(reason),
    })
}

/// What a failed call to another canister means whose code did not run; also where no reply came. No canister can reject with
/// the codes of the system, nor write the beginning of the text of an error (spec, "Reject codes").
fn not_taken(error: &CallFailed) -> Option<Outcome> {
    let CallFailed::CallRejected(rejected) = error else { return Some(failed(error)) };
    let text = plain(error);
    match rejected.reject_code() {
        Ok(RejectCode::SysTransient | RejectCode::DestinationInvalid | RejectCode::SysUnknown) => {
            Some(failed(error))
        }
        Ok(RejectCode::CanisterError) if is_not_running(&text) => {
            Some(Outcome::Transient(Reason::new(ReasonCode::NotRunning, text)))
        }
        Ok(RejectCode::CanisterError) if has_no_method(&text) => {
            Some(Outcome::Refused(Reason::new(ReasonCode::NoKit, text)))
        }
        _ => None,
    }
}

/// How the code of another canister ended.
fn ended(error: &CallFailed) -> Reason {
    let text = plain(error);
    let is_error = matches!(error, CallFailed::CallRejected(rejected)
        if rejected.reject_code() == Ok(RejectCode::CanisterError));
    match is_error {
        true if has_trapped(&text) => Reason::new(ReasonCode::Trapped, said(&text)),
        true if text.starts_with("Canister cannot grow memory") => Reason::new(ReasonCode::OutOfCycles, text),
        _ => Reason::new(ReasonCode::Rejected, text),
    }
}

/// What a failed call to the management canister means (spec, "Reject codes").
pub(crate) fn failed(error: &CallFailed) -> Outcome {
    let text = plain(error);
    match error {
        CallFailed::InsufficientLiquidCycleBalance(_) | CallFailed::CallPerformFailed(_) => {
            Outcome::Transient(Reason::new(ReasonCode::NotSent, text))
        }
        CallFailed::CallRejected(rejected) => match rejected.reject_code() {
            Ok(RejectCode::SysUnknown) => Outcome::Unknown(Reason::new(ReasonCode::ReplyLost, text)),
            // First: what the code of a canister says that is installed, or upgraded, is about itself.
            Ok(RejectCode::CanisterError) if has_trapped(&text) => {
                Outcome::Refused(Reason::new(ReasonCode::Trapped, said(&text)))
            }
            Ok(
                code @ (RejectCode::SysTransient | RejectCode::CanisterError | RejectCode::CanisterReject),
            ) if code == RejectCode::SysTransient || not_now(&text).is_some() => {
                let code = not_now(&text).unwrap_or(ReasonCode::Rejected);
                Outcome::Transient(Reason::new(code, text))
            }
            // A snapshot that is not there is a destination that is not there.
            Ok(RejectCode::DestinationInvalid) if is_about_snapshot(&text) => {
                Outcome::Refused(Reason::new(ReasonCode::NoSnapshot, text))
            }
            Ok(RejectCode::DestinationInvalid) => Outcome::Refused(Reason::new(ReasonCode::Gone, text)),
            Ok(RejectCode::CanisterError) if is_forbidden(&text) => {
                Outcome::Refused(Reason::new(ReasonCode::NotAuthorised, text))
            }
            // A stopped canister runs again in a while, or the job times out.
            Ok(RejectCode::CanisterError) if is_not_running(&text) => {
                Outcome::Transient(Reason::new(ReasonCode::NotRunning, text))
            }
            _ => Outcome::Refused(Reason::new(ReasonCode::Rejected, text)),
        },
    }
}

/// What a failure says, without what is put around every one: a job holds only so much of it.
fn plain(error: &CallFailed) -> String {
    let CallFailed::CallRejected(rejected) = error else { return error.to_string() };
    let text = without_code(rejected.reject_message());
    let text = text.strip_prefix("Error from Canister ").map_or(text, |rest| {
        // "CANISTER: what happened".
        rest.split_once(": ").map_or(rest, |(_, what)| what)
    });
    let behind = ["\nCanister Backtrace", "\nConsider gracefully", "\nCheck the error message"];
    let end = behind.iter().filter_map(|it| text.find(it)).min().unwrap_or(text.len());
    text.get(..end).unwrap_or(text).trim_end().to_owned()
}

/// Without the "IC0502: " before what other canisters are told of.
fn without_code(text: &str) -> &str {
    let is_code = |code: &str| {
        code.strip_prefix("IC").is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
    };
    text.split_once(": ").filter(|(code, _)| is_code(code)).map_or(text, |(_, rest)| rest)
}

/// What a canister said when it trapped, without what the platform puts around it: a reason is short.
fn said(text: &str) -> &str {
    let said =
        text.split_once("with message: '").and_then(|(_, said)| said.lines().next()).unwrap_or_default();
    let said = said.strip_suffix("'.").or(said.strip_suffix('\'')).unwrap_or(said);
    if said.is_empty() { text } else { said }
}

/// Why the platform puts a call off that may well be taken later: balances are topped up, debits of a rate limit
/// decay with every round, and a snapshot of another canister waits for a checkpoint. Several of these come as
/// errors of the canister (code, `ic-error-types`: IC0504 of the chunk store and of snapshot data, IC0530 to
/// IC0532) or as its reject (IC0406), and none names its code to a canister.
fn not_now(text: &str) -> Option<ReasonCode> {
    let is_poor = text.contains("out of cycles") || text.contains("due to insufficient cycles");
    let is_early = text.contains("rate limited") || text.contains("not currently loadable");
    is_poor.then_some(ReasonCode::OutOfCycles).or(is_early.then_some(ReasonCode::RateLimited))
}

fn is_forbidden(text: &str) -> bool {
    text.contains("Only the controllers of")
}

/// "is stopped", "is stopping", and "is not running" where it was stopped after it had taken the message.
fn is_not_running(text: &str) -> bool {
    let behind_id = text.strip_prefix("Canister ").and_then(|rest| rest.split_once(' '));
    behind_id.is_some_and(|(_, how)| how.starts_with("is stopp") || how.starts_with("is not running"))
}

/// The canister has no such method, or no code.
fn has_no_method(text: &str) -> bool {
    let is_without_code = || {
        let first = text.lines().next().unwrap_or_default();
        first.starts_with("Attempted to execute a message") && first.contains("no Wasm module")
    };
    text.starts_with("Canister has no ") || is_without_code()
}

fn has_trapped(text: &str) -> bool {
    text.starts_with("Canister trapped") || text.starts_with("Canister called `ic0.trap`")
}

fn is_about_snapshot(text: &str) -> bool {
    text.contains("snapshot")
}

pub(crate) fn is_gone(error: &CallFailed) -> bool {
    matches!(error, CallFailed::CallRejected(rejected)
        if rejected.reject_code() == Ok(RejectCode::DestinationInvalid))
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
        KitError::Hashing { done_bytes, .. } => {
            return Outcome::Done(Value::Working { done_bytes: *done_bytes });
        }
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
    const DESTINATION_INVALID: u32 = 3;
    const CANISTER_REJECT: u32 = 4;
    const CANISTER_ERROR: u32 = 5;
    const SYS_UNKNOWN: u32 = 6;

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
        assert_transient(outcome(CANISTER_ERROR, chunk), ReasonCode::RateLimited);
        let snapshot = "Canister aaaaa-aa is heap delta rate limited: current delta debit is 78643201, but limit is \
                        78643200.";
        assert_transient(outcome(SYS_TRANSIENT, snapshot), ReasonCode::RateLimited);
        let install = "Canister aaaaa-aa is rate limited because it executed too many instructions in the previous \
                       install_code messages. Please retry installation after several minutes.";
        let rejected = CallRejected::with_rejection(SYS_TRANSIENT, install.to_owned());
        assert_transient(installed(Err(CallFailed::CallRejected(rejected))), ReasonCode::RateLimited);
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

    #[test]
    fn a_trap_that_speaks_of_chunks_is_a_trap() {
        // A9
        let text = "Error from Canister aaaaa-aa: Canister called `ic0.trap` with message: 'no chunk of a Wasm module'.";
        let rejected = CallRejected::with_rejection(CANISTER_ERROR, text.to_owned());
        let Outcome::Refused(reason) = installed(Err(CallFailed::CallRejected(rejected))) else {
            panic!("it is not refused")
        };
        assert_eq!(reason.code(), ReasonCode::Trapped);
    }

    /// As the management canister tells it, and as another canister's reject would.
    #[track_caller]
    fn assert_refused(code: u32, message: &str, expected: ReasonCode) {
        for text in [message.to_owned(), format!("IC0999: {message}")] {
            let Outcome::Refused(reason) = outcome(code, &text) else { panic!("{text} is not refused") };
            assert_eq!(reason.code(), expected, "{text}");
        }
    }

    #[test]
    fn a_canister_that_the_coordinator_does_not_control_is_not_authorised() {
        let text = "Only the controllers of the canister aaaaa-aa can control it.\nCanister's controllers: ";
        assert_refused(CANISTER_ERROR, text, ReasonCode::NotAuthorised);
    }

    #[test]
    fn code_that_traps_has_trapped_whoever_tells_it() {
        let called = "Error from Canister aaaaa-aa: Canister called `ic0.trap` with message: 'no'.";
        assert_refused(CANISTER_ERROR, called, ReasonCode::Trapped);
        let trapped = "Error from Canister aaaaa-aa: Canister trapped: unreachable.";
        assert_refused(CANISTER_ERROR, trapped, ReasonCode::Trapped);
    }

    #[test]
    fn every_form_of_not_running_is_waited_for() {
        for text in ["Canister a is stopped", "Canister a is stopping", "IC0509: Canister a is not running"] {
            assert_transient(outcome(CANISTER_ERROR, text), ReasonCode::NotRunning);
        }
    }

    #[test]
    fn a_snapshot_that_waits_for_a_checkpoint_is_tried_again() {
        let text = "Snapshot a is not currently loadable on the specified canister a. Try again later.";
        assert_transient(outcome(CANISTER_REJECT, text), ReasonCode::RateLimited);
        assert_refused(CANISTER_REJECT, "the canister says no", ReasonCode::Rejected);
    }

    /// What a canister may say: words of the platform about another one.
    const QUOTES: [&str; 8] = [
        "Only the controllers of the canister aaaaa-aa can control it.",
        "Canister aaaaa-aa is out of cycles",
        "Canister aaaaa-aa is rate limited because it executed too many instructions",
        "Canister has no update method 'decant_swap'",
        "Attempted to execute a message, but the canister contains no Wasm module",
        "Canister aaaaa-aa is stopped",
        "Canister aaaaa-aa is not running",
        "IC0537: Error from Canister aaaaa-aa: Canister has no update method 'decant_swap'",
    ];

    #[test]
    fn whatever_a_canister_says_of_others_nobody_knows_what_it_did_before() {
        for quote in QUOTES {
            let trap = format!(
                "IC0503: Error from Canister aaaaa-aa: Canister called `ic0.trap` with message: '{quote}'.\nConsider"
            );
            for (code, text, expected) in [
                (CANISTER_REJECT, quote, ReasonCode::Rejected),
                (CANISTER_ERROR, trap.as_str(), ReasonCode::Trapped),
            ] {
                let rejected = CallRejected::with_rejection(code, text.to_owned());
                let error = CallFailed::CallRejected(rejected);
                let Outcome::Unknown(reason) = failed_effect(&error) else { panic!("{code}: {text}") };
                assert_eq!(reason.code(), expected, "{text}");
                let Outcome::Refused(reason) = failed_question(&error) else { panic!("{code}: {text}") };
                assert_eq!(reason.code(), expected, "{text}");
            }
            // What an installation runs is undone with it.
            let Outcome::Refused(reason) = outcome(CANISTER_ERROR, &trap) else { panic!("{trap}") };
            assert_eq!(reason.code(), ReasonCode::Trapped, "{trap}");
        }
        let silent = CallRejected::with_rejection(CANISTER_ERROR, "No response".to_owned());
        assert!(matches!(failed_effect(&CallFailed::CallRejected(silent)), Outcome::Unknown(_)));
    }

    #[test]
    fn what_the_platform_says_of_a_message_that_no_code_took_is_believed() {
        let effect = |code, text: &str| {
            failed_effect(&CallFailed::CallRejected(CallRejected::with_rejection(code, text.to_owned())))
        };
        for text in
            ["Canister a is stopped", "IC0509: Canister a is stopping", "IC0508: Canister a is not running"]
        {
            assert_transient(effect(CANISTER_ERROR, text), ReasonCode::NotRunning);
        }
        for text in [
            "IC0536: Error from Canister a: Canister has no update method 'decant_swap'..\nCheck that",
            "IC0537: Error from Canister a: Attempted to execute a message, but the canister contains no Wasm \
             module..\nPlease install",
        ] {
            let Outcome::Refused(reason) = effect(CANISTER_ERROR, text) else { panic!("{text}") };
            assert_eq!(reason.code(), ReasonCode::NoKit, "{text}");
        }
        assert_transient(effect(SYS_TRANSIENT, "Canister a is out of cycles"), ReasonCode::OutOfCycles);
        assert!(matches!(effect(SYS_UNKNOWN, "Call deadline has expired."), Outcome::Unknown(_)));
        let gone = effect(DESTINATION_INVALID, "Canister a not found.");
        assert!(matches!(gone, Outcome::Refused(reason) if reason.code() == ReasonCode::Gone));
    }

    #[test]
    fn what_is_not_there_is_gone() {
        assert_refused(DESTINATION_INVALID, "No route to canister a", ReasonCode::Gone);
        assert_refused(DESTINATION_INVALID, "Could not find the snapshot ID a", ReasonCode::NoSnapshot);
    }

    #[test]
    fn a_lost_reply_is_unknown() {
        let outcome = outcome(SYS_UNKNOWN, "Call deadline has expired.");
        assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    }

    #[test]
    fn what_a_canister_said_when_it_trapped_stands_alone() {
        let around =
            "call rejected: 5 - Error from Canister aaaaa-aa: Canister called `ic0.trap` with message: 'no";
        for behind in ["'", "'.", "'.\nCanister Backtrace:\nf\n", "'\nConsider gracefully handling failures"]
        {
            assert_eq!(said(&format!("{around} pair{behind}")), "no pair");
        }
        let other = "call rejected: 5 - Canister trapped: heap out of bounds";
        assert_eq!(said(other), other);
    }

    #[test]
    fn a_call_that_was_not_sent_is_no_refusal_of_anybody() {
        let poor = failed(&CallFailed::CallPerformFailed(ic_cdk::call::CallPerformFailed));
        assert_transient(poor, ReasonCode::NotSent);
    }

    #[test]
    fn a_reason_tells_what_happened_and_not_what_is_put_around_it() {
        let text = "Error from Canister aaaaa-aa: Canister trapped: heap out of bounds\nCanister Backtrace:\nf\ng\n\
                    Consider gracefully handling failures";
        for text in [text.to_owned(), format!("IC0502: {text}")] {
            let Outcome::Refused(reason) = outcome(CANISTER_ERROR, &text) else { panic!("it is refused") };
            assert_eq!(reason.detail(), "Canister trapped: heap out of bounds");
        }
        let Outcome::Refused(reason) = outcome(CANISTER_REJECT, "no route names it") else {
            panic!("refused")
        };
        assert_eq!(reason.detail(), "no route names it");
    }
}
