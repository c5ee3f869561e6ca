//! Whether a rehearsal costs the same for each canister, however large the fleet: `scripts/bench rehearsal`.
//!
//! Seconds depend on the machine; the ratio in the last column does not, and must stay near 1.

use anyhow::Context;
use decant_cli::engine::Engine;
use decant_cli::rehearsal::{self, Modules, Options, Report, Silent};
use std::path::Path;

/// Fleets that are compared, if no others are named.
const FLEETS: [u32; 2] = [200, 2_000];

fn main() -> anyhow::Result<()> {
    // Cargo adds arguments of its own, such as `--bench`.
    let named: Vec<u32> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let fleets = <[u32; 2]>::try_from(named).unwrap_or(FLEETS);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/canisters");
    let modules = Modules::read(&directory)?;
    let engine = Engine::start()?;
    let rehearse = |canisters: u32| -> anyhow::Result<Report> {
        let options = Options { canisters, ..Options::default() };
        let report = rehearsal::run(&engine, &modules, &options, &mut Silent)?;
        anyhow::ensure!(report.is_well(), "not all is well with {canisters} canisters:\n{report}");
        Ok(report)
    };
    // The engine compiles every module once, which is nobody's share.
    rehearse(1).context("the rehearsal before the measured ones")?;
    let [small, large] = [rehearse(fleets[0])?, rehearse(fleets[1])?];
    println!("{:<22} {:>10} {:>10} {:>14}", "seconds", fleets[0], fleets[1], "ratio/canister");
    let row = |name: &str, few: f64, many: f64| {
        let ratio = many / f64::from(fleets[1]) / (few / f64::from(fleets[0]));
        println!("{name:<22} {few:>10.2} {many:>10.2} {ratio:>14.2}");
    };
    for (few, many) in small.phases.iter().zip(&large.phases) {
        row(few.name, few.seconds, many.seconds);
    }
    row("all", small.wall_seconds, large.wall_seconds);
    Ok(())
}
