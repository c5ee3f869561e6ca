//! Decisions, as voters read them: all that they say, what they change, what can't be undone, and the means there are now.

use crate::{cycles, cycles_exactly, hash, hex, is_hidden, payout, plan, span};
use candid::Principal;
use decant_api::govern::{Decision, Pace, Roles, Terms};
use decant_api::plan::Plan;
use decant_engine::Limits;

/// Seconds of a year, on the average of the calendar.
const YEAR_SECONDS: u128 = 31_556_952;
/// Cycles a second that storage of a GiB costs on 13 nodes (dfinity/ic #10292, 2026; 127,000 before).
const GIB_SECOND_CYCLES: u128 = 317_500;
/// Pages of 64 KiB in a GiB.
const GIB_PAGES: u128 = 16_384;
/// Cycles that a page of memory costs a year on 13 nodes.
pub const PAGE_YEAR_CYCLES: u128 = GIB_SECOND_CYCLES * YEAR_SECONDS / GIB_PAGES;

/// What the coordinator has, and what things cost now.
#[derive(Debug, Clone, Copy)]
pub struct Hand {
    /// What it has to spend.
    pub liquid_cycles: u128,
    /// Of these, what stays.
    pub floor_cycles: u128,
    /// What one job of a plan takes at least: without a target, and with one that is created, besides what it is given.
    pub job_cycles: u128,
    /// A canister that is created.
    pub creation_cycles: u128,
    /// What a page of memory costs a year.
    pub page_year_cycles: u128,
}

/// The whole decision; without a coordinator nobody knows what that has.
pub fn text(decision: &Decision, hand: Option<&Hand>) -> String {
    match decision {
        Decision::Approve { plan, pace } => {
            let pace = match pace {
                Some(pace) => self::pace(pace),
                None => format!("by default, {}", self::pace(&Pace::default())),
            };
            format!(
                "{}\n\n{}\n\nPace: {pace}.\n\nThe plan has the SHA-256 {}.",
                plan::text(plan),
                hand.map_or_else(|| UNKNOWN_MEANS.to_owned(), |hand| means(plan, hand)),
                hex(&hash(plan))
            )
        }
        Decision::End { plan, title } => format!(
            "# End plan {plan}\n\nIts title is: {}\n\nNothing is enrolled by it any more, and what is in line is taken out. What is \
             on its way is finished or goes back. It can't be put in force again.",
            quoted(title)
        ),
        Decision::Change { plan, was, now } => format!(
            "# Change the terms of plan {plan}\n\nNow: {}.\n\nFrom then on: {}.\n\nJobs that are on their way are finished as they \
             were begun. What operators set of its tempo is set back.",
            terms(was),
            terms(now)
        ),
        Decision::Name { was, now } => format!(
            "# Name who operates and who observes\n\nNow: {}.\n\nFrom then on: {}.\n\nOperators pause, set the tempo within what \
             was approved, release, retry, abort, skip and revert jobs, and delete canisters of the pool; they approve nothing and pay \
             nothing out. Observers may have queries executed by the subnet, which the coordinator pays. Controllers of the \
             coordinator have no right by that, but whoever controls it can install other code on it.",
            roles(was),
            roles(now)
        ),
        Decision::Pay(paid) => payout(paid),
    }
}

const UNKNOWN_MEANS: &str =
    "What the coordinator has and needs, and when that is back, it tells when it renders this itself.";

/// Cycles in hand and needed, and when they are back.
fn means(plan: &Plan, hand: &Hand) -> String {
    let job = match plan.per_target() {
        Some(cycles) => hand.job_cycles.saturating_add(hand.creation_cycles).saturating_add(cycles),
        None => hand.job_cycles,
    };
    let saved = hand.page_year_cycles.saturating_mul(plan.min_reclaimed_pages.into());
    let payback = match job.saturating_mul(365).checked_div(saved) {
        Some(days) => format!("pays back in {days} days at the latest"),
        None => "may give nothing back, so that it never pays".to_owned(),
    };
    format!(
        "The coordinator has {} cycles to spend, of which {} stay as a floor; it needs {} for one canister, a fresh \
         canister's own among them. At {GIB_SECOND_CYCLES} cycles for a GiB and second on 13 nodes one that gives {} pages back \
         {payback}.",
        cycles(hand.liquid_cycles),
        cycles(hand.floor_cycles),
        cycles(job),
        plan.min_reclaimed_pages
    )
}

/// The terms of a plan.
pub fn terms(terms: &Terms) -> String {
    format!(
        "at most {} canisters, {} at a time, and {} cycles in all; {}",
        terms.max_canisters,
        terms.max_in_flight,
        cycles_exactly(terms.max_cycles),
        pace(&terms.pace)
    )
}

fn pace(pace: &Pace) -> String {
    let canaries = match pace.canaries {
        None => "no canaries".to_owned(),
        Some(canaries) => {
            let then = match canaries.soak_seconds {
                Some(seconds) => {
                    format!("{} after the last of them is through, if none went back", span(seconds))
                }
                None => "only when an operator releases them".to_owned(),
            };
            format!("{} canaries first, and others {then}", canaries.jobs)
        }
    };
    let holds = match pace.holds_before_fence {
        true => "each job waits for an operator before its users can't write any more",
        false => "no job waits before its users can't write any more",
    };
    let breaker = match pace.breaker {
        None => "no number of failures stops it".to_owned(),
        Some(breaker) => {
            format!(
                "none is started when {} of the last {} went back after their users had waited, until an operator has looked",
                breaker.failures, breaker.of_last
            )
        }
    };
    let hours = match pace.hours {
        None => "jobs are started at any time of the day".to_owned(),
        Some(hours) => {
            format!("jobs are started from {} to {} UTC", of_day(hours.from_minute), of_day(hours.to_minute))
        }
    };
    let wait = u64::from(pace.max_wait_seconds.unwrap_or(Limits::FENCE_SECONDS as u32));
    let wait = format!("users of a canister wait for {} at most before it goes back", span(wait));
    format!("{canaries}; {holds}; {breaker}; {hours}; {wait}")
}

fn of_day(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Who does what.
pub fn roles(roles: &Roles) -> String {
    format!("{} operate; {} observe", listed(&roles.operators), listed(&roles.observers))
}

fn listed(all: &[Principal]) -> String {
    match all {
        [] => "none".to_owned(),
        all => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// A title of a plan of an earlier build, which took any letters: all that could be taken for a sign is shown by its number.
pub fn quoted(title: &str) -> String {
    title
        .chars()
        .map(|letter| match letter {
            letter if is_hidden(letter) || "<>&*_`[]#|~!\\\"/@".contains(letter) => {
                format!("U+{:04X}", u32::from(letter))
            }
            letter => letter.to_string(),
        })
        .collect()
}
