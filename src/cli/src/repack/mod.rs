//! `decant repack`: a downloaded snapshot, rewritten with small buckets, without a network.
//!
//! The directory is the one that `icp canister snapshot download` leaves and `icp canister snapshot upload`
//! reads. It is taken when the canister's own `pre_upgrade` has run and the canister has no code: neither what is
//! read nor what is written holds a module or a heap of it, which knows the old buckets by heart and must never run on
//! the new image. `docs/offline-repack.md` is the page for operators.

mod check;
mod own;
mod report;
mod rewrite;
mod snapshot_dir;
mod steps;
mod survey;

use anyhow::{Context, ensure};
use candid::Principal;
use clap::Args;
use own::OwnModule;
use std::path::{Path, PathBuf};
use steps::{ByHand, Place};

pub use check::{Comparison, Known, check, check_knowing};
pub use rewrite::{Options, Rewritten, rewrite};
pub(crate) use snapshot_dir::is_module;
pub use snapshot_dir::{EMPTY_MODULE, SnapshotDir};

/// Arguments of the command.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  decant repack --steps before after --bucket-pages 1 --canister ryjl3-tyaaa-aaaaa-aaaba-cai --module own.wasm
      first: writes nothing.wasm and prints every step, this command without --steps among them
  decant repack --check before after
      compares what two directories hold

Exits 0 if all is well, 1 if two directories differ; see decant --help.")]
pub struct Repack {
    /// What `icp canister snapshot download` left, or with --steps will leave, of the canister without code.
    snapshot_dir: PathBuf,
    /// Where the repacked snapshot goes, absent or empty; with --check: the directory to compare with.
    out_dir: PathBuf,
    /// Pages of a bucket in the new image, 1 to 65535: for good, so choose from projected growth.
    #[arg(long, value_name = "N", required_unless_present = "check")]
    bucket_pages: Option<u32>,
    /// Pages by which all memories together will grow: refused if the buckets don't hold them too.
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "check")]
    growth_pages: u64,
    /// Page at which the MemoryManager begins, where it is not page 0: what lies before it is kept byte for byte.
    #[arg(long, value_name = "PAGE", default_value_t = 0)]
    manager_page: u32,
    /// Gives up what lies behind the last bucket even if it is not zero; with --check: that was given up.
    #[arg(long)]
    drop_tail: bool,
    /// Repacks though buckets are free, as version 0.7.1 of ic-stable-structures leaves them.
    #[arg(long, conflicts_with = "check")]
    free_buckets: bool,
    /// Gives up a virtual memory, by its id; may be repeated. With --check: that was given up.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u8).range(..=254))]
    drop_memory: Vec<u8>,
    /// Compares two directories and writes nothing. Exits 0 only if they hold the same.
    #[arg(long, conflicts_with_all = ["bucket_pages", "canister", "module", "steps"])]
    check: bool,
    /// Writes nothing.wasm next to SNAPSHOT_DIR and prints every step, from the first on. Reads no snapshot.
    #[arg(long)]
    steps: bool,
    /// The canister, by its id, for the steps that are printed.
    #[arg(long, value_name = "ID", required_unless_present = "check")]
    canister: Option<Principal>,
    /// The module that the canister runs, and is upgraded to when all is done.
    #[arg(long, value_name = "FILE", required_unless_present = "check")]
    module: Option<PathBuf>,
    /// Goes on though the module has no pre_upgrade: right where all state is in stable structures.
    #[arg(long, conflicts_with = "check")]
    may_lose_heap: bool,
    /// Candid text of the argument that the module's post_upgrade takes, for the steps that are printed.
    #[arg(long, value_name = "TEXT", conflicts_with = "check")]
    args: Option<String>,
    /// The network of icp-cli, for the steps that are printed.
    #[arg(long, value_name = "NAME", default_value = "ic", conflicts_with = "check")]
    network: String,
    /// The identity of icp-cli, for the steps that are printed.
    #[arg(long, value_name = "NAME", conflicts_with = "check")]
    identity: Option<String>,
}

/// Runs the command; answers whether all is well.
///
/// # Errors
/// A directory is not what it should be, or can't be repacked: the error names the file and what to do.
pub fn run(arguments: &Repack) -> anyhow::Result<bool> {
    if arguments.check {
        let known = Known {
            manager_page: arguments.manager_page,
            tail_is_dropped: arguments.drop_tail,
            dropped_memories: arguments.drop_memory.clone(),
        };
        let comparison = check_knowing(&arguments.snapshot_dir, &arguments.out_dir, &known)?;
        crate::print(&comparison.to_string())?;
        return Ok(comparison.is_same());
    }
    let missing = |flag: &str| format!("{flag} is missing: see decant repack --help");
    let options = Options {
        bucket_pages: arguments.bucket_pages.with_context(|| missing("--bucket-pages"))?,
        growth_pages: arguments.growth_pages,
        manager_page: arguments.manager_page,
        drop_tail: arguments.drop_tail,
        free_buckets: arguments.free_buckets,
        drop_memories: arguments.drop_memory.clone(),
    };
    let place = Place {
        canister: arguments.canister.with_context(|| missing("--canister"))?,
        network: arguments.network.clone(),
        identity: arguments.identity.clone(),
        args: arguments.args.clone(),
    };
    let module = arguments.module.as_ref().with_context(|| missing("--module"))?;
    let by_hand = ByHand {
        place: &place,
        own: &OwnModule::read(module, arguments.may_lose_heap)?,
        source: &arguments.snapshot_dir,
        out: &arguments.out_dir,
        options: &options,
    };
    if arguments.steps {
        write_nothing(&steps::nothing_beside(&arguments.snapshot_dir))?;
        crate::print(&by_hand.all_steps())?;
        return Ok(true);
    }
    let rewritten = rewrite(&arguments.snapshot_dir, &arguments.out_dir, &options)?;
    crate::print(&format!("{rewritten}{}", by_hand.next_steps(&rewritten)))?;
    Ok(true)
}

/// The module of nothing, in place of nothing but itself.
fn write_nothing(path: &Path) -> anyhow::Result<()> {
    ensure!(
        !path.exists() || std::fs::read(path).is_ok_and(|bytes| bytes == EMPTY_MODULE),
        "{} is there and is something else: move it away",
        path.display()
    );
    crate::files::write(path, &EMPTY_MODULE)
}
