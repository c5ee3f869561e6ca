//! `decant dry-run`: a rehearsal with a progress bar on a terminal, a table, and JSON for machines.

use crate::engine::Engine;
use crate::rehearsal::{self, Modules, Options, Progress, Report, Strategy};
use crate::schedules;
use crate::text;
use anyhow::Context;
use clap::{Args, ValueEnum};
use decant_replica::Compilation;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
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
    /// Writes a page with charts to this file, which needs nothing else to be shown.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Rehearses under every schedule seed from A up to B, B excluded, and prints how the fences were distributed.
    #[arg(long, value_name = "A..B", value_parser = seeds, conflicts_with_all = ["schedule_seed", "json", "html"])]
    schedule_seeds: Option<Range<u64>>,
    /// Prints every figure.
    #[arg(long)]
    verbose: bool,
    /// Where the modules are.
    #[arg(long, value_name = "DIRECTORY", default_value = MODULES)]
    modules: PathBuf,
}

impl DryRun {
    /// How the modules are compiled: what a few canisters run does not make up for optimisation.
    fn compilation(&self) -> Compilation {
        const FEW: u32 = 100;
        match self.schedule_seeds.is_none() && self.options.canisters <= FEW {
            true => Compilation::Quick,
            false => Compilation::Thorough,
        }
    }
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
    let engine = Engine::start_with(arguments.compilation())?;
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
    if let Some(path) = &arguments.html {
        let page = rehearsal::page(&reports);
        std::fs::write(path, page).with_context(|| format!("writing {}", path.display()))?;
    }
    let figures = figures(&reports, arguments.verbose);
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

/// Columns of a name, of a figure, and of the longest bar.
const COLUMNS: [usize; 3] = [30, 16, 32];
/// Complaints that are shown at most.
const MOST_COMPLAINTS: usize = 20;

/// What came of the rehearsals, side by side: first what a person wants to know.
fn figures(reports: &[Report], is_verbose: bool) -> String {
    let mut table = rows(reports.iter().map(Report::headline).collect());
    if let [relocate, repack] = reports {
        let share = repack.cycles_per_job as f64 / relocate.cycles_per_job.max(1) as f64;
        let [name, figure, _] = COLUMNS;
        table += &format!(
            "  {:<name$}{:>figure$}{:>figure$}\n",
            "of a relocation's",
            "",
            format!("{:.2} %", 100.0 * share)
        );
    }
    table += "\n";
    table += &memory(reports);
    if is_verbose {
        table += "\n";
        table += &rows(reports.iter().map(Report::rows).collect());
    }
    let complaints = reports.iter().flat_map(|report| &report.complaints);
    for complaint in complaints.take(MOST_COMPLAINTS) {
        table += &format!("  ! {complaint}\n");
    }
    table
}

/// A line for each figure, a column for each report.
fn rows(columns: Vec<Vec<(&'static str, String)>>) -> String {
    let mut table = String::new();
    let lines = columns.iter().map(Vec::len).min().unwrap_or(0);
    let [name_columns, figure_columns, _] = COLUMNS;
    for line in 0..lines {
        let name = columns.first().map_or("", |column| column[line].0);
        let figures: String =
            columns.iter().map(|column| format!("{:>figure_columns$}", column[line].1)).collect();
        table += &format!("  {name:<name_columns$}{figures}\n");
    }
    table
}

/// Stable memory as bars.
fn memory(reports: &[Report]) -> String {
    let [name_columns, figure_columns, bar_columns] = COLUMNS;
    let rows = rehearsal::memory(reports);
    let most = rows.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
    let line = |(name, bytes): &(String, u64)| {
        let bar = text::bar(*bytes, most, bar_columns);
        format!("  {name:<name_columns$}{:>figure_columns$}  {bar}\n", text::bytes(*bytes))
    };
    rows.iter().map(line).collect()
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
        if !text::is_for_people() {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn report(strategy: &str, cycles_per_job: u128, after: u64) -> Report {
        Report {
            engine: "embedded".to_owned(),
            strategy: strategy.to_owned(),
            canisters: 25,
            verified: 25,
            relocated: 25,
            stable_bytes_before: 6 << 20,
            stable_bytes_bloated: 200 << 20,
            stable_bytes_after: after,
            cycles_per_job,
            payback_days: Some(40.0),
            fenced_rounds_max: 1,
            ..Report::default()
        }
    }

    #[test]
    fn first_comes_what_a_person_wants_to_know_and_every_figure_when_asked() {
        let reports =
            [report("relocate", 600_000_000_000, 8 << 20), report("repack", 9_000_000_000, 16 << 20)];
        let expected = "                                        relocate          repack
  users read back as they were          25 of 25        25 of 25
  lost                                         0               0
  cycles a canister                     600.00 B          9.00 B
  pays back in                           40 days         40 days
  users waited at most                   1 round         1 round
  of a relocation's                                       1.50 %

  before the upgrade                     6.0 MiB  █
  bloated by it                        200.0 MiB  ████████████████████████████████
  given back to, relocate                8.0 MiB  █
  given back to, repack                 16.0 MiB  ███
";
        assert_eq!(figures(&reports, false), expected);
        let all = figures(&reports, true);
        assert!(
            all.starts_with(expected) && all.contains("originals deleted") && all.contains("orphans"),
            "{all}"
        );
        assert!(all.lines().all(|line| line.chars().count() <= 100), "{all}");
        let one = figures(&reports[..1], false);
        assert!(
            one.contains("given back to                          8.0 MiB  █\n") && !one.contains('%'),
            "{one}"
        );
    }

    #[test]
    fn what_is_not_well_is_in_the_output_and_on_the_page() {
        let mut broken = report("repack", 1, 1);
        (broken.lost, broken.verified) = (1, 24);
        broken.complaints.push("user 7: <posts> differs".to_owned());
        assert!(figures(std::slice::from_ref(&broken), false).contains("! user 7: <posts> differs"));
        let page = rehearsal::page(&[broken]);
        assert!(page.contains("NOT all is well") && page.contains("user 7: &lt;posts&gt; differs"));
        assert!(!page.contains("<script") && !page.contains("://"));
    }
}
