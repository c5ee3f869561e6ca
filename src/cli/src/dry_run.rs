//! `decant dry-run`: a rehearsal with a progress bar on a terminal, a table, and JSON for machines.

use crate::engine::Engine;
use crate::rehearsal::{self, Modules, Options, Progress, Report, Strategy};
use crate::schedules;
use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

/// Where `scripts/build` leaves the modules.
const MODULES: &str = "target/canisters";

/// Arguments of the command.
#[derive(Debug, Clone, Args)]
pub struct DryRun {
    #[command(flatten)]
    options: Options,
    /// How the memory is given back; `both` relocates one fleet and repacks an equal one.
    #[arg(long, value_enum, default_value_t = Choice::Relocate)]
    strategy: Choice,
    /// Writes the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Rehearses under every schedule seed from A up to B, B excluded, and prints how the fences were distributed.
    #[arg(long, value_name = "A..B", value_parser = seeds, conflicts_with_all = ["schedule_seed", "json"])]
    schedule_seeds: Option<Range<u64>>,
    /// Where the modules are.
    #[arg(long, value_name = "DIRECTORY", default_value = MODULES)]
    modules: PathBuf,
}

/// Which strategies are rehearsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// Each canister gets the kit and moves to a fresh one.
    Relocate,
    /// Each canister is repacked in place, through a vessel.
    Repack,
    /// Each canister moves to a fresh one, through a vessel on both sides.
    RelocateVessel,
    /// Relocate and repack, side by side.
    Both,
}

impl Choice {
    fn strategies(self) -> &'static [Strategy] {
        match self {
            Self::Relocate => &[Strategy::Relocate],
            Self::Repack => &[Strategy::Repack],
            Self::RelocateVessel => &[Strategy::RelocateVessel],
            Self::Both => &[Strategy::Relocate, Strategy::Repack],
        }
    }
}

/// Runs the rehearsal; answers whether all is well.
///
/// # Errors
/// It could not be run to its end, or the figures could not be written.
pub fn run(arguments: &DryRun) -> anyhow::Result<bool> {
    let modules = Modules::read(&arguments.modules)?;
    let engine = Engine::start()?;
    let strategies = arguments.strategy.strategies();
    let options = |strategy| Options { strategy, ..arguments.options.clone() };
    strategies.iter().try_for_each(|strategy| options(*strategy).check())?;
    if let Some(seeds) = &arguments.schedule_seeds {
        let options: Vec<Options> = strategies.iter().map(|strategy| options(*strategy)).collect();
        return schedules::run(&engine, &modules, &options, seeds.clone());
    }
    let mut bar = Bar::new();
    let mut reports = Vec::new();
    for strategy in strategies {
        reports.push(rehearsal::run(&engine, &modules, &options(*strategy), &mut bar)?);
    }
    bar.finish();
    if let Some(path) = &arguments.json {
        let json = match reports.as_slice() {
            [report] => serde_json::to_string_pretty(report)?,
            several => {
                let by_strategy: BTreeMap<&str, &Report> =
                    several.iter().map(|report| (report.strategy.as_str(), report)).collect();
                serde_json::to_string_pretty(&by_strategy)?
            }
        };
        std::fs::write(path, json + "\n").with_context(|| format!("writing {}", path.display()))?;
    }
    let figures = match reports.as_slice() {
        [relocate, repack] => side_by_side(relocate, repack),
        reports => reports.iter().map(Report::to_string).collect(),
    };
    let is_well = reports.iter().all(Report::is_well);
    let verdict = if is_well { "All is well: nothing was lost." } else { "NOT all is well: see above." };
    crate::print(&format!("{figures}\n{verdict}\n"))?;
    Ok(is_well)
}

/// A range of seeds, such as `0..200`.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wanted = || format!("{text:?} is no range of seeds such as 0..200");
    let (from, to) = text.split_once("..").ok_or_else(wanted)?;
    let range = from.parse().map_err(|_| wanted())?..to.parse().map_err(|_| wanted())?;
    if range.is_empty() { Err(wanted()) } else { Ok(range) }
}

/// Two reports in one table.
fn side_by_side(one: &Report, other: &Report) -> String {
    let mut table = String::new();
    for ((name, left), (_, right)) in one.rows().into_iter().zip(other.rows()) {
        table += &format!("  {name:<26} {left:>16} {right:>16}\n");
    }
    let share = other.cycles_per_job as f64 / one.cycles_per_job.max(1) as f64;
    table += &format!(
        "  {:<26} {:>16} {:>16}\n",
        "cycles, of a relocation's",
        "",
        format!("{:.2} %", 100.0 * share)
    );
    for complaint in one.complaints.iter().chain(&other.complaints).take(20) {
        table += &format!("  ! {complaint}\n");
    }
    table
}

/// A bar on a terminal, and a line a phase elsewhere: both on standard error, beside the figures.
struct Bar {
    bar: Option<ProgressBar>,
    begun: Instant,
}

impl Bar {
    fn new() -> Self {
        Self { bar: None, begun: Instant::now() }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Bar {
    fn phase(&mut self, name: &str, steps: u64) {
        self.finish();
        if !std::io::stderr().is_terminal() {
            eprintln!("[{} s] {name}: {steps}", self.begun.elapsed().as_secs());
            return;
        }
        let bar = ProgressBar::new(steps);
        if let Ok(style) = ProgressStyle::with_template("{msg:<28} {wide_bar} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        bar.set_message(name.to_owned());
        self.bar = Some(bar);
    }

    fn done(&mut self, steps: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(steps);
        }
    }
}
