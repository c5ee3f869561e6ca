//! `decant plan`: what each way of giving memory back would cost and bring, and what we would do.

mod advice;
mod cost;
mod fleet;
mod page;

use crate::files;
use crate::prices::PriceOptions;
use crate::text::{self, counted, seconds, some_of};
use clap::Args;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

pub use advice::{Advice, Outlook, Question};
pub use cost::{Pace, WAYS, Way};
pub use fleet::{Canister, Fleet, read};

/// Columns of a line at most.
const COLUMNS: usize = 100;
/// Canisters and rows that are listed at most.
const MOST_LISTED: usize = 20;
/// Canisters that are listed at most for which a way takes too long.
const MOST_TOO_LARGE: usize = 3;

/// Arguments of the command.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  decant inspect snapshots/* --json > fleet.json && decant plan fleet.json
  decant plan fleet.csv --in-flight 50 --html plan.html

The CSV names its columns in the first line: canister, stable_bytes, used_bytes; others are ignored.
Exits 0 if a plan was made, 1 if a row or a canister was left out; see decant --help.")]
pub struct Plan {
    /// A CSV file, or what `decant inspect --json` printed.
    #[arg(value_name = "FLEET.csv|ASSESSMENT.json")]
    fleet: PathBuf,
    #[command(flatten)]
    prices: PriceOptions,
    /// Jobs at a time.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=200))]
    in_flight: u32,
    /// Seconds that a round of the subnet takes.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = text::positive)]
    round_seconds: f64,
    /// Years within which it has to pay back.
    #[arg(long, value_name = "YEARS", default_value_t = 2.0, value_parser = text::positive)]
    horizon_years: f64,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// Writes a page with charts to this file, which needs nothing else to be shown.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// What --json prints.
#[derive(Serialize)]
struct Printed<'a> {
    schema: &'static str,
    prices: &'a crate::prices::Prices,
    pace: Pace,
    horizon_years: f64,
    advice: &'a Advice,
}

/// Runs the command; answers whether every row could be read.
///
/// # Errors
/// The fleet or the prices can't be read, or the page can't be written.
pub fn run(arguments: &Plan) -> anyhow::Result<bool> {
    let fleet = read(&arguments.fleet)?;
    let question = Question {
        prices: arguments.prices.read()?,
        pace: Pace { in_flight: arguments.in_flight, round_seconds: arguments.round_seconds },
        horizon_years: arguments.horizon_years,
    };
    let advice = Advice::of(&fleet, &question);
    if let Some(path) = &arguments.html {
        files::write(path, page::page(&fleet, &question, &advice).as_bytes())?;
    }
    if arguments.json {
        let printed = Printed {
            schema: "decant.plan/1",
            prices: &question.prices,
            pace: question.pace,
            horizon_years: question.horizon_years,
            advice: &advice,
        };
        crate::print(&(serde_json::to_string_pretty(&printed)? + "\n"))?;
    } else {
        crate::print(&advice.to_string())?;
    }
    for row in advice.left_out.iter().take(MOST_LISTED) {
        crate::complain(&format!("left out: {row}"));
    }
    if advice.left_out.len() > MOST_LISTED {
        crate::complain(&format!("left out: {} more; --json has all", advice.left_out.len() - MOST_LISTED));
    }
    Ok(advice.left_out.is_empty())
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, {}; {} of it would come free",
            counted(self.canisters, "canister"),
            text::bytes(self.stable_bytes),
            text::bytes(self.freed_bytes)
        )?;
        writeln!(
            f,
            "{:<18} {:>8} {:>11} {:>11} {:>11} {:>10} {:>9} {:>8}",
            "way", "worth it", "gives back", "costs", "saves/year", "pays back", "takes", "waits"
        )?;
        for outlook in &self.ways {
            let [gives, costs, saves, pays, takes] = outlook.columns();
            writeln!(
                f,
                "{:<18} {:>8} {gives:>11} {costs:>11} {saves:>11} {pays:>10} {takes:>9} {:>8}",
                outlook.way.name(),
                outlook.worth_it,
                seconds(outlook.wait_seconds)
            )?;
        }
        writeln!(f, "(waits: how long the users of the largest canister can't write)")?;
        for reason in &self.reasons {
            text::indented(f, reason, 0, COLUMNS)?;
        }
        for outlook in self.ways.iter().filter(|outlook| !outlook.too_large.is_empty()) {
            let listed = some_of(&outlook.too_large, MOST_TOO_LARGE, "; ");
            let left_out = format!("Left out of {}: {listed}", outlook.way.name());
            text::indented(f, &left_out, 0, COLUMNS)?;
        }
        if !self.not_worth_it.is_empty() {
            let listed = some_of(&self.not_worth_it, MOST_LISTED, " ");
            text::indented(f, &format!("Not worth it: {listed}"), 0, COLUMNS)?;
        }
        Ok(())
    }
}
