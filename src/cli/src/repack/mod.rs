//! `decant repack`: a downloaded snapshot, rewritten with small buckets, without a network.
//!
//! The directory is the one that `icp canister snapshot download` leaves and `icp canister snapshot upload`
//! reads. What is written holds the same virtual memories and neither module nor heap of the canister: the heap
//! knows the old buckets by heart and must never run on the new image. `docs/offline-repack.md` is the page
//! for operators.

mod check;
mod report;
mod rewrite;
mod snapshot_dir;
mod steps;
mod survey;

use anyhow::bail;
use clap::Args;
use std::path::PathBuf;

pub use check::{Comparison, Known, check, check_knowing};
pub use rewrite::{Options, Rewritten, rewrite};
pub(crate) use snapshot_dir::is_module;
pub use snapshot_dir::{EMPTY_MODULE, SnapshotDir, UPGRADE_MODULE};

/// Arguments of the command.
#[derive(Debug, Clone, Args)]
pub struct Repack {
    /// What `icp canister snapshot download` left.
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
    #[arg(long, conflicts_with = "bucket_pages")]
    check: bool,
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
    let Some(bucket_pages) = arguments.bucket_pages else {
        bail!("--bucket-pages is missing: pages of a bucket in the new image");
    };
    let options = Options {
        bucket_pages,
        growth_pages: arguments.growth_pages,
        manager_page: arguments.manager_page,
        drop_tail: arguments.drop_tail,
        free_buckets: arguments.free_buckets,
        drop_memories: arguments.drop_memory.clone(),
    };
    let rewritten = rewrite(&arguments.snapshot_dir, &arguments.out_dir, &options)?;
    let steps = steps::next_steps(&arguments.snapshot_dir, &arguments.out_dir, &rewritten);
    crate::print(&format!("{rewritten}{steps}"))?;
    Ok(true)
}
