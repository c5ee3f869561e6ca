//! Every form in which an instance says "not now". Told by codes, since the words differ between engines.

use pocket_ic::{ErrorCode, RejectCode, RejectResponse};

/// Whether the call met a canister that takes no updates for a while: fenced by the kit, stopping, stopped, or between two
/// modules.
pub fn is_fence(rejected: &RejectResponse) -> bool {
    let is_halted = matches!(
        rejected.error_code,
        ErrorCode::CanisterStopped | ErrorCode::CanisterStopping | ErrorCode::CanisterWasmModuleNotFound
    );
    is_halted || rejected.reject_message.contains("DECANT-")
}

/// Whether the canister is deleted: the caller's route is older than that.
pub fn is_gone(rejected: &RejectResponse) -> bool {
    rejected.error_code == ErrorCode::CanisterNotFound
}

/// Whether the same call may succeed later though nobody does anything about it: rate limits, full queues, lost replies.
/// Lack of cycles is reported as transient too, but waiting does not help.
pub fn is_transient(rejected: &RejectResponse) -> bool {
    matches!(rejected.reject_code, RejectCode::SysTransient | RejectCode::SysUnknown)
        && rejected.error_code != ErrorCode::CanisterOutOfCycles
        // The chunk store and uploads to snapshots report their rate limit as a fault of the canister.
        || rejected.reject_message.contains("rate limited")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(reject_code: RejectCode, error_code: ErrorCode, message: &str) -> RejectResponse {
        RejectResponse { reject_code, error_code, reject_message: message.to_owned(), certified: true }
    }

    #[test]
    fn a_stopping_canister_is_a_fence_whatever_the_words_are() {
        for message in ["Canister aaaaa-aa is not running", "Canister aaaaa-aa is stopping", ""] {
            assert!(is_fence(&rejected(RejectCode::CanisterError, ErrorCode::CanisterStopping, message)));
        }
        let trapped = rejected(RejectCode::CanisterError, ErrorCode::CanisterCalledTrap, "it is stopped");
        assert!(!is_fence(&trapped), "words of a canister do not count");
    }

    #[test]
    fn rate_limits_pass_and_a_lack_of_cycles_does_not() {
        let limited = ErrorCode::CanisterInstallCodeRateLimited;
        assert!(is_transient(&rejected(RejectCode::SysTransient, limited, "")));
        let text = "Error from Wasm chunk store: Canister is heap delta rate limited.";
        assert!(is_transient(&rejected(
            RejectCode::CanisterError,
            ErrorCode::CanisterContractViolation,
            text
        )));
        assert!(!is_transient(&rejected(RejectCode::SysTransient, ErrorCode::CanisterOutOfCycles, "")));
        assert!(!is_transient(&rejected(RejectCode::CanisterError, ErrorCode::CanisterTrapped, "")));
    }
}
