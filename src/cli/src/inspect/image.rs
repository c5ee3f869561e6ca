//! What one stable memory holds, wastes and could be.

use crate::prices::Prices;
use crate::repack::SnapshotDir;
use crate::stable_file::StableFile;
use anyhow::{Context, ensure};
use decant_layout::{
    Accepted, Image, ImageError, Layout, MAX_BUCKETS, MemoryContents, MemoryUsage, PAGE_BYTES, Structure,
    Tail, choose_bucket_size_pages, find_managers,
};
use serde::Serialize;
use std::path::Path;

/// A stable memory that was read.
#[derive(Debug, Clone, Serialize)]
pub struct Inspected {
    /// The file or directory, as it was named.
    pub input: String,
    /// Its size.
    pub stable_bytes: u64,
    /// What is in it.
    #[serde(flatten)]
    pub found: Found,
}

/// What a stable memory holds, as far as its bytes tell.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Found {
    /// No page at all.
    Empty,
    /// No manager anywhere: nothing here can be repacked.
    Raw {
        /// What its first bytes look like.
        structure: Option<String>,
    },
    /// It begins as a manager does, and can't be read as one.
    Damaged {
        /// Why.
        reason: String,
    },
    /// One manager, or several side by side.
    Managed {
        /// In ascending order of their pages.
        managers: Vec<Manager>,
    },
}

/// A `MemoryManager` and what could become of it.
#[derive(Debug, Clone, Serialize)]
pub struct Manager {
    /// Page at which it begins.
    pub page: u32,
    /// Pages of a bucket.
    pub bucket_pages: u16,
    /// Its virtual memories that have pages, ascending by id.
    pub memories: Vec<Memory>,
    /// Pages in use of all of them.
    pub used_pages: u64,
    /// Pages of their buckets.
    pub allocated_pages: u64,
    /// Pages that a compact image with buckets of one page would give back.
    pub wasted_pages: u64,
    /// Buckets that belong to nobody.
    pub free_buckets: u16,
    /// Pages of the last bucket that are not there.
    pub missing_pages: u64,
    /// What lies behind the last bucket, if it is not zero.
    pub behind: Option<String>,
    /// Why a repack refuses it, if it does.
    pub obstacle: Option<String>,
    /// What a repack would bring; nothing if no bucket size holds the growth.
    pub repacked: Option<Repacked>,
}

/// A virtual memory.
#[derive(Debug, Clone, Serialize)]
pub struct Memory {
    /// Its `MemoryId`.
    pub id: u8,
    /// Pages in use.
    pub used_pages: u64,
    /// Pages of its buckets.
    pub allocated_pages: u64,
    /// Pages of its last bucket that it has not grown into.
    pub wasted_pages: u64,
    /// Pages in use that hold nothing but zeros.
    pub zero_pages: u64,
    /// What its first bytes look like.
    pub structure: Option<String>,
    /// Pages that a manager inside of it wastes: no repack gives them back.
    pub nested_wasted_pages: Option<u64>,
}

/// The image in buckets that were chosen from growth.
#[derive(Debug, Clone, Serialize)]
pub struct Repacked {
    /// Pages of a bucket.
    pub bucket_pages: u16,
    /// Size of stable memory.
    pub stable_bytes: u64,
    /// What is given back.
    pub freed_bytes: u64,
    /// What that costs a year now.
    pub saved_cycles_a_year: f64,
    /// Pages that the memories can still grow by, until all buckets are dealt out.
    pub room_pages: u64,
}

/// How the bucket size is chosen and what memory costs.
#[derive(Debug, Clone)]
pub(super) struct Basis {
    /// By how many percent each memory is going to grow.
    pub(super) growth_percent: u32,
    pub(super) prices: Prices,
}

/// Reads a snapshot directory, or a file that is a stable memory.
pub(super) fn inspect(input: &Path, basis: &Basis) -> anyhow::Result<Inspected> {
    if input.is_dir() {
        let directory = SnapshotDir::open(input)?;
        return inspect_file(input, directory.stable(), directory.stable_pages(), basis);
    }
    let file = StableFile::open(input)?;
    let size_bytes = file.size_bytes()?;
    ensure!(
        size_bytes.is_multiple_of(PAGE_BYTES),
        "{} has {size_bytes} bytes, which is not a whole number of pages of 64 KiB: it is no stable memory, or was cut",
        input.display()
    );
    inspect_file(input, &file, size_bytes / PAGE_BYTES, basis)
}

fn inspect_file(
    input: &Path,
    file: &StableFile,
    size_pages: u64,
    basis: &Basis,
) -> anyhow::Result<Inspected> {
    let found =
        find(file, size_pages, basis).with_context(|| format!("reading {}", file.path().display()))?;
    Ok(Inspected { input: input.display().to_string(), stable_bytes: size_pages * PAGE_BYTES, found })
}

fn find(file: &StableFile, size_pages: u64, basis: &Basis) -> anyhow::Result<Found> {
    match Image::read(size_pages, file.reader()) {
        Ok(Image::Empty) => return Ok(Found::Empty),
        Ok(Image::Raw { .. } | Image::Managed(_)) => {}
        Err(ImageError::Layout(error)) => return Ok(Found::Damaged { reason: error.to_string() }),
        Err(ImageError::Read(error)) => return Err(error.into()),
    }
    let layouts = find_managers(size_pages, file.reader())?;
    if layouts.is_empty() {
        let mut sign = [0; 4];
        file.read_at(0, &mut sign)?;
        return Ok(Found::Raw { structure: Structure::of(&sign).map(|structure| structure.to_string()) });
    }
    let managers =
        layouts.iter().map(|layout| manager(file, layout, basis)).collect::<anyhow::Result<_>>()?;
    Ok(Found::Managed { managers })
}

fn manager(file: &StableFile, layout: &Layout, basis: &Basis) -> anyhow::Result<Manager> {
    let usage = layout.usage();
    let tail = layout.tail(file.reader())?;
    let obstacle = layout.check(&tail, Accepted::default()).err().map(|obstacle| obstacle.to_string());
    let contents = layout.contents(file.reader())?;
    let memories =
        layout.memory_usage().zip(&contents).map(|(usage, contents)| memory(file, layout, usage, contents));
    Ok(Manager {
        page: layout.manager_page(),
        bucket_pages: layout.bucket_size_pages(),
        memories: memories.collect::<anyhow::Result<_>>()?,
        used_pages: usage.used_pages,
        allocated_pages: usage.allocated_pages,
        wasted_pages: usage.reclaimable_pages(),
        free_buckets: usage.free_buckets,
        missing_pages: usage.missing_pages,
        behind: match &tail {
            Tail::Nothing => None,
            Tail::InUse(leftover) => Some(leftover.to_string()),
        },
        obstacle,
        repacked: repacked(layout, basis),
    })
}

fn memory(
    file: &StableFile,
    layout: &Layout,
    usage: MemoryUsage,
    contents: &MemoryContents,
) -> anyhow::Result<Memory> {
    Ok(Memory {
        id: usage.id,
        used_pages: usage.used_pages,
        allocated_pages: usage.allocated_pages,
        wasted_pages: usage.wasted_pages,
        zero_pages: layout.zero_pages(usage.id, file.reader())?,
        structure: contents.structure.map(|structure| structure.to_string()),
        nested_wasted_pages: contents.nested_usage().map(|usage| usage.reclaimable_pages()),
    })
}

/// In the smallest buckets that hold the growth; they are for good.
fn repacked(layout: &Layout, basis: &Basis) -> Option<Repacked> {
    let sizes: Vec<u64> = layout.memories().iter().map(|memory| memory.size_pages()).collect();
    let bucket_pages = choose_bucket_size_pages(&sizes, basis.growth_percent).ok()?;
    let after = layout.compact(bucket_pages.into()).ok()?;
    let freed_pages = layout.stable_size_pages().saturating_sub(after.stable_size_pages());
    let freed_bytes = freed_pages * PAGE_BYTES;
    Some(Repacked {
        bucket_pages,
        stable_bytes: after.stable_size_pages() * PAGE_BYTES,
        freed_bytes,
        saved_cycles_a_year: basis.prices.storage_a_year(freed_bytes),
        room_pages: (MAX_BUCKETS - u64::from(after.allocated_buckets())) * u64::from(bucket_pages),
    })
}

impl Inspected {
    /// The manager that a repack can take, if there is exactly one and nothing stands against it.
    pub(super) fn repackable(&self) -> Option<&Repacked> {
        match &self.found {
            Found::Managed { managers } => match managers.as_slice() {
                [only] if only.obstacle.is_none() => only.repacked.as_ref().filter(|it| it.freed_bytes > 0),
                _ => None,
            },
            _ => None,
        }
    }

    /// Pages in use, or all of them where no manager says.
    pub(super) fn used_bytes(&self) -> u64 {
        match &self.found {
            Found::Managed { managers } => {
                managers.iter().map(|manager| manager.used_pages).sum::<u64>() * PAGE_BYTES
            }
            _ => self.stable_bytes,
        }
    }
}
