//! The `decant` command.

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use decant_cli::dry_run::{self, DryRun};
use decant_cli::inspect::{self, Inspect};
use decant_cli::plan::{self, Plan};
use decant_cli::proposal::{self, Proposal};
use decant_cli::repack::{self, Repack};
use decant_cli::serve::{Listen, serve};
use decant_cli::watch::{self, Watch};
use std::path::PathBuf;
use std::process::ExitCode;

/// It could not be done: an input can't be read, an engine does not start, a disk is full.
const COULD_NOT: u8 = 3;

/// Gives back the stable memory that a fleet of canisters holds and does not use.
#[derive(Debug, Parser)]
#[command(
    name = "decant",
    version,
    max_term_width = 100,
    after_help = "\
Where to begin:
  decant inspect snapshots/*       what there is, and what it wastes
  decant plan fleet.json           what giving it back costs, and whether it pays
  scripts/dry-run --strategy both  the whole of it, rehearsed

Exit codes:
  0  all is well
  1  it ran, and something is not well
  2  the command line is wrong
  3  it could not be done"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Rehearses, all in this process: the incident, or canisters of yours. Exits 0 only if all is well.
    DryRun(DryRun),
    /// Shows what stable memories hold, what they waste and what giving it back would bring. Changes nothing.
    Inspect(Inspect),
    /// Says what each way of giving memory back costs, when it pays back, and whether to do it at all.
    Plan(Plan),
    /// Renders, encodes and decodes what governance decides.
    Proposal(Proposal),
    /// Rewrites a downloaded snapshot with small buckets, or compares two. Exits 0 only if all is well.
    Repack(Repack),
    /// Follows a campaign by what its coordinator tells monitoring, until no job is on its way.
    Watch(Watch),
    /// Serves an embedded Internet Computer to clients of PocketIC until it is interrupted.
    #[command(after_help = "Examples:
  decant replica                         on any port that is free; says which, and how clients use it
  decant replica --port 8000 > url.txt   on this one; the URL is all that it prints")]
    Replica(Listen),
    /// Prints what makes a shell complete this command's arguments.
    #[command(
        after_help = "Example:\n  decant completions bash > ~/.local/share/bash-completion/completions/decant"
    )]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Writes manual pages, one a command, into a directory.
    #[command(after_help = "Example:\n  decant man ~/.local/share/man/man1 && man decant")]
    Man {
        /// The directory, which must be there.
        directory: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // What was not foreseen is said by the hook, in its words and with its place; then how to go on.
    match std::panic::catch_unwind(move || run(arguments)) {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false)) => ExitCode::FAILURE,
        Ok(Err(error)) => {
            decant_cli::complain(&format!("error: {error:#}"));
            ExitCode::from(COULD_NOT)
        }
        Err(_) => {
            decant_cli::complain(
                "error: this could not be done, and nobody foresaw why: what is above says where; please report it",
            );
            ExitCode::from(COULD_NOT)
        }
    }
}

/// Answers whether all is well.
fn run(arguments: Arguments) -> anyhow::Result<bool> {
    match arguments.command {
        Command::DryRun(arguments) => dry_run::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Proposal(arguments) => proposal::run(&arguments),
        Command::Repack(arguments) => repack::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
        Command::Replica(listen) => serve(&listen).map(|()| true),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "decant", &mut text);
            decant_cli::print(&String::from_utf8_lossy(&text))?;
            Ok(true)
        }
        Command::Man { directory } => {
            clap_mangen::generate_to(Arguments::command(), &directory)
                .with_context(|| format!("writing manual pages into {}", directory.display()))?;
            Ok(true)
        }
    }
}
