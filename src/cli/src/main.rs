//! The `decant` command.

use anyhow::Context;
use clap::{Parser, Subcommand};
use decant_cli::dry_run::{self, DryRun};
use decant_cli::inspect::{self, Inspect};
use decant_cli::plan::{self, Plan};
use decant_cli::repack::{self, Repack};
use decant_replica::Replica;
use std::process::ExitCode;

/// Gives back the stable memory that a fleet of canisters holds and does not use.
#[derive(Debug, Parser)]
#[command(name = "decant", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replays the incident and relocates the fleet, all in this process. Exits 0 only if all is well.
    DryRun(DryRun),
    /// Shows what stable memories hold, what they waste and what giving it back would bring. Changes nothing.
    Inspect(Inspect),
    /// Says what each way of giving memory back costs, when it pays back, and whether to do it at all.
    Plan(Plan),
    /// Rewrites a downloaded snapshot with small buckets, or compares two. Exits 0 only if all is well.
    Repack(Repack),
    /// Serves an embedded Internet Computer to `pocket_ic` clients on 127.0.0.1 until it is interrupted.
    Replica {
        /// The port; 0 for any that is free.
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Answers whether all is well.
fn run(arguments: Arguments) -> anyhow::Result<bool> {
    match arguments.command {
        Command::DryRun(arguments) => dry_run::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Repack(arguments) => repack::run(&arguments),
        Command::Replica { port } => {
            let replica =
                Replica::start_on(port).with_context(|| format!("listening on 127.0.0.1:{port}"))?;
            println!("{}", replica.url());
            loop {
                std::thread::park();
            }
        }
    }
}
