//! What each way would bring, and what we would do.

use super::cost::{Pace, WAYS, Way};
use super::fleet::{Canister, Fleet};
use crate::prices::Prices;
use crate::text::{self, seconds, years};
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
    /// Each way, the cheapest first.
    pub ways: Vec<Outlook>,
    /// What we would do.
    pub recommended: Option<Way>,
    /// And why.
    pub reasons: Vec<String>,
    /// Canisters that are not worth it in any way.
    pub not_worth_it: Vec<String>,
    /// Rows that are left out, in words.
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
    /// How long users of one canister can't write.
    pub wait_seconds: f64,
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
        let ways: Vec<Outlook> = WAYS.into_iter().map(|way| Outlook::of(way, canisters, question)).collect();
        // The cheapest way is worth it wherever another is.
        let cheapest = WAYS[0];
        let not_worth_it =
            canisters.iter().filter(|canister| !is_worth_it(cheapest, canister, canisters.len(), question));
        let mut advice = Self {
            canisters: canisters.len(),
            stable_bytes: canisters.iter().map(|canister| canister.stable_bytes).sum(),
            freed_bytes: canisters.iter().map(Canister::freed_bytes).sum(),
            not_worth_it: not_worth_it.map(|canister| canister.canister.clone()).collect(),
            left_out: fleet.left_out.clone(),
            recommended: None,
            reasons: Vec::new(),
            ways,
        };
        advice.recommend(question);
        advice
    }

    fn recommend(&mut self, question: &Question) {
        let horizon = years(question.horizon_years);
        let Some(repack) = self.ways.iter().find(|outlook| outlook.way == Way::Repack) else { return };
        let worth_it = repack.worth_it;
        if worth_it == 0 {
            self.reasons.push(match repack.all.payback_years {
                None => "Do nothing: no canister has anything to give back.".to_owned(),
                Some(payback) => format!(
                    "Do nothing: not even a repack, the cheapest way, pays back within {horizon}; for the whole fleet it takes {}.",
                    years(payback)
                ),
            });
            return;
        }
        self.recommended = Some(Way::Repack);
        let payback = repack.payback_years.map_or_else(|| "never".to_owned(), years);
        self.reasons.push(format!(
            "Repack {worth_it} of {} canisters: it pays back in {payback}, and ids, routes and cycles stay.",
            self.canisters
        ));
        for outlook in self.ways.iter().filter(|outlook| outlook.way == Way::Relocate) {
            let payback = outlook.all.payback_years.map_or_else(|| "never".to_owned(), years);
            self.reasons.push(format!(
                "A relocation creates a canister for each, and pays back in {payback}: choose it only if users can't wait {:.0} s, \
                 or if fresh canisters are wanted for another reason.",
                repack.wait_seconds
            ));
        }
        if !self.not_worth_it.is_empty() {
            self.reasons.push(format!(
                "Leave {} canisters as they are: what they would give back does not pay for a repack within {horizon}.",
                self.not_worth_it.len()
            ));
        }
    }
}

impl Outlook {
    fn of(way: Way, canisters: &[Canister], question: &Question) -> Self {
        let count = canisters.len();
        let worth_it: Vec<&Canister> =
            canisters.iter().filter(|canister| is_worth_it(way, canister, count, question)).collect();
        let (cost_cycles, saved) = totals(way, &worth_it, question);
        let (cost_of_all, saved_by_all) = totals(way, &canisters.iter().collect::<Vec<_>>(), question);
        Self {
            way,
            worth_it: worth_it.len(),
            freed_bytes: worth_it.iter().map(|canister| canister.freed_bytes()).sum(),
            cost_cycles,
            saved_cycles_a_year: saved,
            payback_years: payback_years(cost_cycles, saved),
            all: All { cost_cycles: cost_of_all, payback_years: payback_years(cost_of_all, saved_by_all) },
            duration_seconds: way.duration_seconds(worth_it.len() as u64, question.pace),
            wait_seconds: way.wait_seconds(question.pace),
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
