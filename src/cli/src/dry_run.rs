//! `decant dry-run`: a rehearsal with a progress bar on a terminal, a table, and JSON for machines.

use crate::engine::{Engine, Kind};
use crate::faulty;
use crate::files::Whole;
use crate::rehearsal::theirs::{self, Theirs};
use crate::rehearsal::world::World;
use crate::rehearsal::{self, Modules, Options, Progress, Report, Strategy};
use crate::schedules;
use crate::text;
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use decant_replica::Compilation;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where `scripts/build` leaves the modules.
const MODULES: &str = "target/canisters";

/// Arguments of the command.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  decant dry-run --strategy both                              the incident, relocated and repacked, side by side
  decant dry-run --fleet snapshots --ask ask.txt              your canisters, as they were downloaded
  decant dry-run --wasm app.wasm --init '(5 : nat64)' --copies 10 --strategy both --html report.html

Exits 0 if all is well, 1 if something was lost or not given back; see decant --help. docs/rehearsal.md has more.")]
pub struct DryRun {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    theirs: Theirs,
    /// How the memory is given back. By default the fleet of the incident is relocated, and canisters of yours are repacked;
    /// `both` does one and the other, yours through vessels.
    #[arg(long, value_enum)]
    strategy: Option<Choice>,
    /// What it runs on. A PocketIC server is the one at POCKET_IC_URL, otherwise one that POCKET_IC_BIN starts.
    #[arg(long, value_enum, default_value_t = Kind::Embedded)]
    engine: Kind,
    /// Writes the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes a page with charts to this file, which needs nothing else to be shown.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Rehearses under every schedule seed from A up to B, B excluded, and prints how the fences were distributed.
    #[arg(long, value_name = "A..B", value_parser = seeds, conflicts_with_all = ["schedule_seed", "json", "html", "whose"])]
    schedule_seeds: Option<Range<u64>>,
    /// Rehearses with each kind of fault once, at a call in the middle of the jobs: embedded replica only.
    #[arg(long, conflicts_with_all = ["schedule_seeds", "json", "html", "serve", "whose"])]
    faults: bool,
    /// Keeps the coordinator's dashboard open in the end, for a browser, until it is interrupted; of the last strategy.
    #[arg(long, conflicts_with = "schedule_seeds")]
    serve: bool,
    /// Prints every figure, and of canisters of yours every event of what failed.
    #[arg(long)]
    verbose: bool,
    /// Where the modules are.
    #[arg(long, value_name = "DIRECTORY", default_value = MODULES)]
    modules: PathBuf,
}

impl DryRun {
    /// What is rehearsed by a strategy. What a browser shows in the end begins now: a gateway sets the clock to that, and all
    /// would be long ago.
    fn options_of(&self, strategy: Strategy) -> Options {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_nanos() as u64);
        let begins_nanos = if self.serve { now() } else { None };
        Options { strategy, begins_nanos, ..self.options.clone() }
    }

    /// How the modules are compiled: what a few small canisters of ours run does not make up for optimisation.
    fn compilation(&self) -> Compilation {
        const FEW: u32 = 100;
        const SMALL_KIB: u32 = 1_024;
        let is_small = self.options.canisters <= FEW && self.options.state_kib <= SMALL_KIB;
        match is_small && self.schedule_seeds.is_none() && !self.theirs.are_meant() {
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
    arguments.theirs.check()?;
    let modules = Modules::read(&arguments.modules)?;
    if arguments.theirs.are_meant() {
        return run_theirs(arguments, &modules);
    }
    let strategies = arguments.strategy.unwrap_or(Choice::Relocate).strategies();
    let options = |strategy| arguments.options_of(strategy);
    strategies.iter().try_for_each(|strategy| options(*strategy).check())?;
    let files = Files::open(arguments)?;
    let engine = Engine::start_as(arguments.engine, arguments.compilation())?;
    let all_options = || -> Vec<Options> { strategies.iter().map(|strategy| options(*strategy)).collect() };
    if let Some(seeds) = &arguments.schedule_seeds {
        return schedules::run(&engine, &modules, &all_options(), seeds.clone());
    }
    if arguments.faults {
        return faulty::run(&engine, &modules, &all_options());
    }
    let mut bar = Bar::new();
    let (mut reports, mut world) = (Vec::new(), None);
    for strategy in strategies {
        let (report, left) = rehearsal::rehearse(&engine, &modules, &options(*strategy), &mut bar)?;
        reports.push(report);
        world = Some(left);
    }
    bar.finish();
    let by_strategy = reports.iter().map(|report| (report.strategy.as_str(), report)).collect();
    let is_well = reports.iter().all(Report::is_well);
    tell(&figures(&reports, arguments.verbose), if is_well { WELL } else { NOT_WELL })?;
    files.put(by_strategy, || rehearsal::page(&reports))?;
    serve(arguments, &engine, world)?;
    Ok(is_well)
}

/// The same with canisters of somebody.
fn run_theirs(arguments: &DryRun, modules: &Modules) -> anyhow::Result<bool> {
    let strategies: &[Strategy] = match arguments.strategy {
        None | Some(Choice::Repack) => &[Strategy::Repack],
        Some(Choice::RelocateVessel) => &[Strategy::RelocateVessel],
        Some(Choice::Both) => &[Strategy::Repack, Strategy::RelocateVessel],
        Some(Choice::Relocate) => bail!(
            "a relocation needs a build with the kit on both sides; canisters as they are go through vessels: --strategy \
             repack, relocate-vessel or both"
        ),
    };
    // What can't be read or written is said before anything is started.
    arguments.theirs.read()?;
    let files = Files::open(arguments)?;
    let engine = Engine::start_as(arguments.engine, Compilation::default())?;
    let mut bar = Bar::new();
    let (mut reports, mut world) = (Vec::new(), None);
    for strategy in strategies {
        let options = arguments.options_of(*strategy);
        let (report, left) = theirs::run(&engine, modules, &options, &arguments.theirs, &mut bar)?;
        reports.push(report);
        world = Some(left);
    }
    bar.finish();
    let by_strategy = reports.iter().map(|report| (report.strategy, report)).collect();
    let figures: Vec<String> = reports.iter().map(|report| report.text(arguments.verbose)).collect();
    let verdict = theirs::Verdict::of(&reports);
    tell(&figures.join("\n"), verdict.text())?;
    files.put(by_strategy, || theirs::page(&reports))?;
    serve(arguments, &engine, world)?;
    Ok(verdict != theirs::Verdict::NotWell)
}

/// The files that were asked for, which can be written.
struct Files {
    json: Option<Whole>,
    html: Option<Whole>,
}

impl Files {
    /// Before anything is rehearsed whose figures would be for nothing.
    fn open(arguments: &DryRun) -> anyhow::Result<Self> {
        let open = |path: &Option<PathBuf>| path.as_deref().map(Whole::open).transpose();
        Ok(Self { json: open(&arguments.json)?, html: open(&arguments.html)? })
    }

    /// Reports by their strategies, and a page.
    fn put(
        self,
        by_strategy: BTreeMap<&str, &impl Serialize>,
        page: impl Fn() -> String,
    ) -> anyhow::Result<()> {
        if let Some(file) = self.json {
            let one = by_strategy.values().next().filter(|_| by_strategy.len() == 1);
            let json = match one {
                Some(report) => serde_json::to_string_pretty(report)?,
                None => serde_json::to_string_pretty(&by_strategy)?,
            };
            file.put((json + "\n").as_bytes())?;
        }
        match self.html {
            Some(file) => file.put(page().as_bytes()),
            None => Ok(()),
        }
    }
}

/// What is said in the end.
const WELL: &str = "All is well: nothing was lost.";
const NOT_WELL: &str = "NOT all is well: see above.";

/// Prints figures, and whether all is well.
fn tell(figures: &str, verdict: &str) -> anyhow::Result<()> {
    crate::print(&format!("{figures}\n{verdict}\n"))?;
    Ok(())
}

/// Keeps the last world open for browsers, if that is asked for.
fn serve(arguments: &DryRun, engine: &Engine, world: Option<World>) -> anyhow::Result<()> {
    let Some(mut world) = world.filter(|_| arguments.serve) else { return Ok(()) };
    let gateway = world.pic.make_live(None);
    let port = gateway.port().context("the gateway has no port")?;
    crate::print(&format!("http://{}.localhost:{port}/\n", world.coordinator))?;
    eprintln!(
        "The coordinator's dashboard, until this is interrupted (Ctrl-C); /metrics and /logs are beside it."
    );
    engine.wait()
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
