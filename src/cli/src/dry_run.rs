//! `decant dry-run`: a rehearsal with a progress bar on a terminal, a table, and JSON for machines.

use crate::engine::Engine;
use crate::rehearsal::{self, Modules, Options, Progress};
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;

/// Where `scripts/build` leaves the modules.
const MODULES: &str = "target/canisters";

/// Arguments of the command.
#[derive(Debug, Clone, Args)]
pub struct DryRun {
    #[command(flatten)]
    options: Options,
    /// Writes the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where the modules are.
    #[arg(long, value_name = "DIRECTORY", default_value = MODULES)]
    modules: PathBuf,
}

/// Runs the rehearsal; answers whether all is well.
///
/// # Errors
/// It could not be run to its end, or the figures could not be written.
pub fn run(arguments: &DryRun) -> anyhow::Result<bool> {
    let modules = Modules::read(&arguments.modules)?;
    let engine = Engine::start()?;
    let mut bar = Bar::default();
    let report = rehearsal::run(&engine, &modules, &arguments.options, &mut bar)?;
    bar.finish();
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, json + "\n").with_context(|| format!("writing {}", path.display()))?;
    }
    println!("{report}");
    let is_well = report.is_well();
    println!("{}", if is_well { "All is well: nothing was lost." } else { "NOT all is well: see above." });
    Ok(is_well)
}

/// A bar on a terminal; nothing where output goes to a file.
#[derive(Default)]
struct Bar {
    bar: Option<ProgressBar>,
}

impl Bar {
    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Bar {
    fn phase(&mut self, name: &str, steps: u64) {
        self.finish();
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
