//! What voters read of a decision: the coordinator's validator, and whoever looks at a payload without it, say the same.
//!
//! Nothing that a proposer wrote can end, hide or turn round a word of ours ([`is_hidden`], [`check_title`]).

mod check;
mod decision;
mod plan;

pub use check::{IN_FLIGHT, LEAST_TARGET, LOOKS_BACK, check, check_people, check_plan, is_canister};
pub use decision::{Hand, PAGE_YEAR_CYCLES, quoted, roles, terms, text};
pub use plan::{check_title, text as plan_text};

use decant_api::payout::{Payee, Payout};
use decant_api::plan::Plan;
use sha2::{Digest, Sha256};

/// SHA-256 of a plan in Candid.
pub fn hash(plan: &Plan) -> [u8; 32] {
    // Encoding what was decoded does not fail; if it did, no plan has the digest of nothing.
    Sha256::digest(candid::encode_one(plan).unwrap_or_default()).into()
}

/// Bytes as voters compare them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The cycles ledger of the mainnet (docs, "cycles ledger").
const CYCLES_LEDGER: &str = "um5iw-rqaaa-aaaaq-qaaba-cai";

/// Renders a payout for voters.
fn payout(payout: &Payout) -> String {
    let to = match &payout.to {
        Payee::Canister(canister) => format!("the canister {canister}"),
        Payee::Account { ledger, owner, subaccount } => {
            let sub =
                subaccount.as_ref().map(|bytes| format!(", subaccount {}", hex(bytes))).unwrap_or_default();
            format!("the account of {owner}{sub} at the cycles ledger {ledger}")
        }
    };
    // Cycles travel by calls that wait for ever, since those that do not may lose them.
    let waits = match &payout.to {
        Payee::Account { ledger, .. } if ledger.to_text() != CYCLES_LEDGER => format!(
            " THAT IS NOT the cycles ledger of the mainnet, {CYCLES_LEDGER}: the coordinator waits for what it answers, \
             however long that takes, and until then can be neither stopped nor upgraded."
        ),
        Payee::Account { .. } | Payee::Canister(_) => String::new(),
    };
    format!(
        "# Pay cycles out\n\n{} cycles of the coordinator go to {to}, which cannot be undone.{waits}",
        cycles_exactly(payout.cycles)
    )
}

/// Cycles, in T, B or M where there are so many.
pub fn cycles(cycles: u128) -> String {
    let units = [(1_000_000_000_000, "T"), (1_000_000_000, "B"), (1_000_000, "M")];
    match units.iter().find(|(unit, _)| cycles >= *unit) {
        Some((unit, name)) => format!("{} {name}", hundredths(cycles / (unit / 100))),
        None => cycles.to_string(),
    }
}

/// Cycles to the last one, and in T, B or M where there are so many: `4 T (4,000,000,000,000)`.
pub fn cycles_exactly(all: u128) -> String {
    match cycles(all).split_once(' ') {
        Some((number, unit)) => format!("{} {unit} ({})", number.trim_end_matches(".00"), grouped(all)),
        None => grouped(all),
    }
}

/// A number whose digits stand in groups of three.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A time in the largest unit that says it exactly.
fn span(seconds: u64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let unit = units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    let (unit, name) = unit.unwrap_or((1, "second"));
    let count = seconds / unit;
    format!("{} {name}{}", grouped(count.into()), if count == 1 { "" } else { "s" })
}

/// A number of hundredths.
pub fn hundredths(value: u128) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

/// Letters that are not seen, or change how others are: controls, what joins, marks or turns round, tags, and spaces that
/// look like none (Unicode, categories Cc, Cf, Zl, Zp, and those fillers that show nothing).
pub fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{34f}'
                | '\u{600}'..='\u{605}'
                | '\u{61c}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{890}'..='\u{891}'
                | '\u{8e2}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffc}'
                | '\u{110bd}'
                | '\u{110cd}'
                | '\u{13430}'..='\u{1345f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_exact_and_can_be_read() {
        assert_eq!([7, 999_999, 1_000_000].map(cycles_exactly), ["7", "999,999", "1 M (1,000,000)"]);
        assert_eq!(cycles_exactly(4_000_000_000_000), "4 T (4,000,000,000,000)");
        assert_eq!(cycles_exactly(1_509_999_999_999), "1.50 T (1,509,999,999,999)");
        assert_eq!(
            [0, 1, 61, 120, 86_400].map(span),
            ["0 seconds", "1 second", "61 seconds", "2 minutes", "1 day"]
        );
        assert_eq!(span(604_800), "7 days");
    }
}
