//! What each way would bring, and what we would do.

use super::MOST_LISTED;
use super::cost::{Pace, WAYS, Way};
use super::fleet::{Canister, Fleet};
use crate::prices::Prices;
use crate::text::{self, counted, seconds, some_of, years};
use decant_engine::Limits;
use serde::Serialize;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// What memory costs.
    pub prices: Prices,
    /// How fast it may go.
    pub pace: Pace,
    /// Years within which it has to pay back.
    pub horizon_years: f64,
}

/// The answer.
#[derive(Debug, Clone, Serialize)]
pub struct Advice {
    /// Canisters that were looked at.
    pub canisters: usize,
    /// Their stable memory.
    pub stable_bytes: u64,
    /// What comes free if all of them are made compact.
    pub freed_bytes: u64,
    /// Each way.
    pub ways: Vec<Outlook>,
    /// What we would do.
    pub recommended: Option<Way>,
    /// And why.
    pub reasons: Vec<String>,
    /// Canisters whose manager begins at another page than the first, each with that page.
    pub at_other_pages: Vec<String>,
    /// Canisters that are not worth it in any way.
    pub not_worth_it: Vec<String>,
    /// Rows that are left out, and canisters that are too large in every way, in words.
    pub left_out: Vec<String>,
}

/// One way for the canisters that are worth it.
#[derive(Debug, Clone, Serialize)]
pub struct Outlook {
    /// Which.
    pub way: Way,
    /// Canisters that pay back in time.
    pub worth_it: usize,
    /// What comes free.
    pub freed_bytes: u64,
    /// What it costs.
    pub cost_cycles: f64,
    /// What it saves a year.
    pub saved_cycles_a_year: f64,
    /// Years until the one has paid for the other; nothing if nothing is saved.
    pub payback_years: Option<f64>,
    /// What it costs and pays back in for all canisters, worth it or not.
    pub all: All,
    /// How long it takes.
    pub duration_seconds: f64,
    /// How long the users of the largest canister can't write; of those that are worth it, if any is.
    pub wait_seconds: f64,
    /// Canisters that this way refuses: their state does not pass for as long as users may wait. In words.
    pub too_large: Vec<String>,
}

/// A way for the whole fleet.
#[derive(Debug, Clone, Serialize)]
pub struct All {
    /// What it costs.
    pub cost_cycles: f64,
    /// Years until it has paid back; nothing if nothing is saved.
    pub payback_years: Option<f64>,
}

impl Advice {
    /// For a fleet.
    pub fn of(fleet: &Fleet, question: &Question) -> Self {
        let canisters = &fleet.canisters;
        let fits = |way: Way| move |canister: &&Canister| way.too_long_seconds(canister.used_bytes).is_none();
        let is_worth_it_in_any = |canister: &&Canister| {
            WAYS.into_iter()
                .filter(|way| fits(*way)(canister))
                .any(|way| is_worth_it(way, canister, canisters.len(), question))
        };
        let fit_any = |canister: &&Canister| WAYS.into_iter().any(|way| fits(way)(canister));
        let not_worth_it = canisters.iter().filter(fit_any).filter(|canister| !is_worth_it_in_any(canister));
        // The way that takes the largest says what is too large for all.
        let left_out = canisters.iter().filter(|canister| !fit_any(canister));
        let left_out = left_out.filter_map(|canister| too_large(Way::Repack, canister));
        let mut advice = Self {
            canisters: canisters.len(),
            stable_bytes: canisters.iter().map(|canister| canister.stable_bytes).sum(),
            freed_bytes: canisters.iter().map(Canister::freed_bytes).sum(),
            at_other_pages: canisters
                .iter()
                .filter(|canister| canister.manager_page > 0)
                .map(|canister| format!("{} (page {})", canister.canister, canister.manager_page))
                .collect(),
            not_worth_it: not_worth_it.map(|canister| canister.canister.clone()).collect(),
            left_out: fleet.left_out.iter().cloned().chain(left_out).collect(),
            recommended: None,
            reasons: Vec::new(),
            ways: WAYS.into_iter().map(|way| Outlook::of(way, canisters, question)).collect(),
        };
        let (recommended, reasons) = advice.recommend(question);
        (advice.recommended, advice.reasons) = (recommended, reasons);
        advice
    }

    /// What we would do, and why.
    fn recommend(&self, question: &Question) -> (Option<Way>, Vec<String>) {
        let horizon = years(question.horizon_years);
        // What takes the most, and of those what costs the least.
        let best = self.ways.iter().filter(|outlook| outlook.worth_it > 0).min_by(|one, other| {
            let by_cost = || one.cost_cycles.total_cmp(&other.cost_cycles);
            other.worth_it.cmp(&one.worth_it).then_with(by_cost)
        });
        let Some(best) = best else { return (None, vec![self.nothing(&horizon)]) };
        let payback = best.payback_years.map_or_else(|| "never".to_owned(), years);
        let (verb, kept) = match best.way {
            Way::Repack => ("Repack", "ids, routes and cycles stay"),
            Way::Relocate => ("Relocate", "ids change, and each is a fresh canister"),
            Way::RelocateVessel => ("Relocate, through vessels,", "ids change, and each is a fresh canister"),
        };
        let mut reasons = vec![format!(
            "{verb} {} of {}: it pays back in {payback}, and {kept}.",
            best.worth_it,
            counted(self.canisters, "canister")
        )];
        let all = |way: Way| {
            let outlook = self.ways.iter().find(|outlook| outlook.way == way)?;
            Some(format!(
                "pays back in {} for all {}",
                years(outlook.all.payback_years?),
                counted(self.canisters - outlook.too_large.len(), "canister")
            ))
        };
        let other = match best.way {
            Way::Repack => all(Way::Relocate).map(|pays| {
                format!(
                    "A relocation creates a canister for each, and {pays}: choose it only if users can't wait {}, or if fresh \
                     canisters are wanted for another reason.",
                    seconds(best.wait_seconds)
                )
            }),
            Way::Relocate | Way::RelocateVessel => all(Way::Repack)
                .map(|pays| format!("A repack {pays}: choose it if ids and routes have to stay.")),
        };
        reasons.extend(other);
        if !self.at_other_pages.is_empty() {
            reasons.push(format!(
                "Their MemoryManager begins at another page, which a plan of their own names as manager_page: {}.",
                some_of(&self.at_other_pages, MOST_LISTED, ", ")
            ));
        }
        if !self.not_worth_it.is_empty() {
            reasons.push(format!(
                "Leave {} as {}: what {} give back does not pay for any way within {horizon}.",
                counted(self.not_worth_it.len(), "canister"),
                if self.not_worth_it.len() == 1 { "it is" } else { "they are" },
                if self.not_worth_it.len() == 1 { "it would" } else { "they would" },
            ));
        }
        (Some(best.way), reasons)
    }

    fn nothing(&self, horizon: &str) -> String {
        let payback = |outlook: &&Outlook| outlook.all.payback_years.unwrap_or(f64::INFINITY);
        let cheapest = self
            .ways
            .iter()
            .min_by(|one, other| payback(one).total_cmp(&payback(other)))
            .filter(|outlook| outlook.all.payback_years.is_some());
        match cheapest {
            Some(cheapest) => format!(
                "Do nothing: no way pays back within {horizon}. The cheapest, {}, takes {} for {}.",
                cheapest.way.name(),
                years(payback(&cheapest)),
                counted(self.canisters - cheapest.too_large.len(), "canister")
            ),
            None if self.ways.iter().all(|outlook| outlook.too_large.len() == self.canisters) => {
                "Do nothing: every canister is too large to pass while users may wait.".to_owned()
            }
            None => "Do nothing: no canister has anything to give back.".to_owned(),
        }
    }
}

/// Why a way refuses a canister, if it does.
fn too_large(way: Way, canister: &Canister) -> Option<String> {
    let takes = way.too_long_seconds(canister.used_bytes)?;
    let instead = match way {
        Way::Relocate => ": plan with precopy_min_pages",
        Way::Repack | Way::RelocateVessel => "",
    };
    Some(format!(
        "{}: {} pass in {} at worst, and users may wait for {}{instead}",
        canister.canister,
        text::bytes(canister.used_bytes),
        seconds(takes as f64),
        seconds(Limits::FENCE_SECONDS as f64)
    ))
}

impl Outlook {
    fn of(way: Way, fleet: &[Canister], question: &Question) -> Self {
        let count = fleet.len();
        let canisters: Vec<&Canister> =
            fleet.iter().filter(|canister| way.too_long_seconds(canister.used_bytes).is_none()).collect();
        let worth_it: Vec<&Canister> = canisters
            .iter()
            .copied()
            .filter(|canister| is_worth_it(way, canister, count, question))
            .collect();
        let (cost_cycles, saved) = totals(way, &worth_it, question);
        let (cost_of_all, saved_by_all) = totals(way, &canisters, question);
        let waiting = if worth_it.is_empty() { &canisters } else { &worth_it };
        let largest = waiting.iter().map(|canister| canister.used_bytes).max().unwrap_or(0);
        Self {
            way,
            worth_it: worth_it.len(),
            freed_bytes: worth_it.iter().map(|canister| canister.freed_bytes()).sum(),
            cost_cycles,
            saved_cycles_a_year: saved,
            payback_years: payback_years(cost_cycles, saved),
            all: All { cost_cycles: cost_of_all, payback_years: payback_years(cost_of_all, saved_by_all) },
            duration_seconds: way
                .duration_seconds(worth_it.iter().map(|canister| canister.used_bytes), question.pace),
            wait_seconds: way.wait_seconds(largest, question.pace),
            too_large: fleet.iter().filter_map(|canister| too_large(way, canister)).collect(),
        }
    }

    /// Gives back, costs, saves a year, pays back in, takes: dashes where no canister is worth it.
    pub(super) fn columns(&self) -> [String; 5] {
        if self.worth_it == 0 {
            return ["-"; 5].map(str::to_owned);
        }
        [
            text::bytes(self.freed_bytes),
            text::cycles(self.cost_cycles),
            text::cycles(self.saved_cycles_a_year),
            self.payback_years.map_or_else(|| "-".to_owned(), years),
            seconds(self.duration_seconds),
        ]
    }
}

fn totals(way: Way, canisters: &[&Canister], question: &Question) -> (f64, f64) {
    let count = canisters.len() as u64;
    canisters.iter().fold((0.0, 0.0), |(cost, saved), canister| {
        (
            cost + way.cycles_a_canister(&question.prices, canister.used_bytes, count),
            saved + question.prices.storage_a_year(canister.freed_bytes()),
        )
    })
}

fn is_worth_it(way: Way, canister: &Canister, count: usize, question: &Question) -> bool {
    let cost = way.cycles_a_canister(&question.prices, canister.used_bytes, count as u64);
    let saved = question.prices.storage_a_year(canister.freed_bytes());
    payback_years(cost, saved).is_some_and(|years| years <= question.horizon_years)
}

fn payback_years(cost: f64, saved_a_year: f64) -> Option<f64> {
    (saved_a_year > 0.0).then(|| cost / saved_a_year)
}
