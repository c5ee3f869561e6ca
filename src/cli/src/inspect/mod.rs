//! `decant inspect`: what stable memories hold, what they waste and what a repack would bring, without a network.

mod fleet;
mod image;
mod table;

use crate::prices::{PriceOptions, Prices};
use clap::Args;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

pub(crate) use fleet::histogram;
pub use fleet::{Class, Fleet};
pub use image::{Found, Inspected, Manager, Memory, Repacked};

/// Name of what --json prints; another number when a field changes or goes.
pub const SCHEMA: &str = "decant.inspect/1";

/// Arguments of the command.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  decant inspect snapshots/aaaaa-aa                      one canister, memory by memory
  decant inspect snapshots/*                             a fleet: a line each, a summary and a histogram
  decant inspect stable_memory.bin --growth 300 --json   a raw image that will be four times as large, for machines

Exits 0 if all inputs were read, 1 if one was not; see decant --help.")]
pub struct Inspect {
    /// Directories that `icp canister snapshot download` left, or files that are a stable memory.
    #[arg(required = true, value_name = "FILE|SNAPSHOT_DIR")]
    inputs: Vec<PathBuf>,
    /// By how many percent every memory will grow: the bucket size is for good.
    #[arg(long, value_name = "PERCENT", default_value_t = 900, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    growth: u32,
    #[command(flatten)]
    prices: PriceOptions,
    /// Prints JSON; docs/inspect.schema.json says what is in it.
    #[arg(long)]
    json: bool,
    /// Shows each image memory by memory, also if there are many.
    #[arg(long, conflicts_with = "json")]
    verbose: bool,
}

/// All that was found.
#[derive(Debug, Serialize)]
pub struct Inspection {
    schema: &'static str,
    growth_percent: u32,
    prices: Prices,
    images: Vec<Inspected>,
    unread: Vec<Unread>,
    fleet: Fleet,
    #[serde(skip)]
    is_verbose: bool,
}

/// An input that could not be read.
#[derive(Debug, Serialize)]
struct Unread {
    input: String,
    error: String,
}

/// Runs the command; answers whether every input was read.
///
/// # Errors
/// The prices can't be read, or the output can't be written. An input that can't be read is named, and the others are
/// inspected all the same.
pub fn run(arguments: &Inspect) -> anyhow::Result<bool> {
    let basis = image::Basis { growth_percent: arguments.growth, prices: arguments.prices.read()? };
    let (mut images, mut unread) = (Vec::new(), Vec::new());
    for input in &arguments.inputs {
        match image::inspect(input, &basis) {
            Ok(image) => images.push(image),
            Err(error) => {
                unread.push(Unread { input: input.display().to_string(), error: format!("{error:#}") });
            }
        }
    }
    let inspection = Inspection {
        schema: SCHEMA,
        growth_percent: basis.growth_percent,
        prices: basis.prices,
        fleet: Fleet::of(&images),
        images,
        unread,
        is_verbose: arguments.verbose,
    };
    if arguments.json {
        crate::print(&(serde_json::to_string_pretty(&inspection)? + "\n"))?;
    } else {
        crate::print(&inspection.to_string())?;
    }
    for unread in &inspection.unread {
        crate::complain(&format!("error: {}", unread.error));
    }
    Ok(inspection.unread.is_empty())
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.images.len() == 1 || self.is_verbose {
            for image in &self.images {
                write!(f, "{image}")?;
            }
        }
        if self.images.len() > 1 {
            fleet::write_lines(f, &self.images)?;
            write!(f, "{}", self.fleet)?;
        }
        Ok(())
    }
}
