//! Rehearsals under many schedules: whatever the order of turns, all must be well. Prints how long fences lasted and how
//! often users met them.

use crate::engine::Engine;
use crate::rehearsal::{self, Modules, Options, Report, Silent};
use anyhow::anyhow;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Rehearses every strategy under every seed; answers whether all is well. What is not well is printed with its seed.
///
/// # Errors
/// A rehearsal could not be run to its end.
pub fn run(
    engine: &Engine,
    modules: &Modules,
    strategies: &[Options],
    seeds: Range<u64>,
) -> anyhow::Result<bool> {
    let mut is_well = true;
    for options in strategies {
        let reports = rehearse(engine, modules, options, seeds.clone())?;
        is_well &= reports.iter().all(Report::is_well);
        crate::print(&table(&reports))?;
    }
    crate::print(if is_well {
        "All is well under every schedule.\n"
    } else {
        "NOT all is well: see above.\n"
    })?;
    Ok(is_well)
}

/// A rehearsal under every seed, as many at a time as there are processors: each has an instance of its own. What is not
/// well is printed at once.
fn rehearse(
    engine: &Engine,
    modules: &Modules,
    options: &Options,
    seeds: Range<u64>,
) -> anyhow::Result<Vec<Report>> {
    let lanes = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let next = Mutex::new(seeds);
    let lane = || -> anyhow::Result<Vec<Report>> {
        let mut reports = Vec::new();
        loop {
            let seed = next.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(seed) = seed else { return Ok(reports) };
            let options = Options { schedule_seed: Some(seed), ..options.clone() };
            let report = rehearsal::run(engine, modules, &options, &mut Silent)
                .map_err(|error| error.context(format!("under schedule seed {seed}")))?;
            if !report.is_well() {
                crate::print(&format!("under schedule seed {seed}:\n{report}\n"))?;
            }
            reports.push(report);
        }
    };
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        let mut reports = Vec::new();
        for lane in lanes {
            reports.extend(lane.join().map_err(|_| anyhow!("a thread that rehearses panicked"))??);
        }
        Ok(reports)
    })
}

fn table(reports: &[Report]) -> String {
    let Some(first) = reports.first() else { return String::new() };
    let well = reports.iter().filter(|report| report.is_well()).count();
    let fenced = reports.iter().flat_map(|report| report.fenced_rounds.iter().copied()).collect();
    let writes = reports.iter().map(|report| report.write_attempts_while_fenced).collect();
    let rounds = reports.iter().map(|report| report.rounds).collect();
    let cycles = reports.iter().map(|report| (report.cycles_per_job / 1_000_000) as u64).collect();
    let mut table = format!(
        "{}: {} canisters under {} schedules, {well} of them well\n",
        first.strategy,
        first.canisters,
        reports.len()
    );
    table += &format!("  {:<32}{:>9}{:>9}{:>9}{:>9}\n", "", "least", "median", "9 of 10", "most");
    for (name, figures) in [
        ("rounds that a job was fenced", fenced),
        ("writes that met a fence", writes),
        ("rounds in all", rounds),
        ("million cycles a job", cycles),
    ] {
        let [least, median, most_of, most] = quantiles(figures);
        table += &format!("  {name:<32}{least:>9}{median:>9}{most_of:>9}{most:>9}\n");
    }
    table
}

/// The least, the median, what nine of ten do not exceed, and the most.
fn quantiles(mut figures: Vec<u64>) -> [u64; 4] {
    figures.sort_unstable();
    let last = figures.len().saturating_sub(1);
    [0, last / 2, last * 9 / 10, last].map(|place| figures.get(place).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::quantiles;

    #[test]
    fn quantiles_are_figures_that_occurred() {
        assert_eq!(quantiles((1..=11).rev().collect()), [1, 6, 10, 11]);
        assert_eq!(quantiles(vec![5]), [5; 4]);
        assert_eq!(quantiles(Vec::new()), [0; 4]);
    }
}
