//! The `decant` command.

use clap::{Parser, Subcommand};
use decant_cli::dry_run::{self, DryRun};
use decant_cli::repack::{self, Repack};
use decant_cli::serve::{Listen, serve};
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
    /// Rewrites a downloaded snapshot with small buckets, or compares two. Exits 0 only if all is well.
    Repack(Repack),
    /// Serves an embedded Internet Computer to clients of PocketIC until it is interrupted.
    Replica(Listen),
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
        Command::Repack(arguments) => repack::run(&arguments),
        Command::Replica(listen) => serve(&listen).map(|()| true),
    }
}
