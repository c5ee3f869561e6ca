//! Writes a repacked snapshot next to the one it was made from.

use super::check::first_difference;
use super::snapshot_dir::{self as files, EMPTY_MODULE, SnapshotDir};
use super::survey::{Plan, plan};
use crate::stable_file::StableFile;
use anyhow::{Context, anyhow, bail, ensure};
use decant_layout::{
    Image, Layout, Leftover, MAX_BUCKETS, MemoryContents, PAGE_BYTES, Repacked, Usage, VirtualMemory, repack,
};
use serde_json::{Map, Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// How to repack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Pages of a bucket in the new image.
    pub bucket_pages: u32,
    /// Pages by which all memories together are going to grow.
    pub growth_pages: u64,
    /// Page at which the manager begins; those before it are kept as they are.
    pub manager_page: u32,
    /// Whether to give up bytes behind the last bucket.
    pub drop_tail: bool,
    /// Whether free buckets may be there.
    pub free_buckets: bool,
    /// Virtual memories that are given up.
    pub drop_memories: Vec<u8>,
}

impl Options {
    /// Nothing is given up and nothing else is known than the bucket size.
    pub const fn in_buckets_of(bucket_pages: u32) -> Self {
        Self {
            bucket_pages,
            growth_pages: 0,
            manager_page: 0,
            drop_tail: false,
            free_buckets: false,
            drop_memories: Vec::new(),
        }
    }
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Rewritten {
    /// The image as it was.
    pub before: Usage,
    /// The image as it is now.
    pub after: Usage,
    /// Pages of a bucket, before and after.
    pub bucket_pages: (u16, u16),
    /// Virtual memories that have pages: their sizes in pages, and what they hold.
    pub memories: Vec<(u64, MemoryContents)>,
    /// What lay behind the last bucket and was given up.
    pub dropped: Option<Leftover>,
    /// Virtual memories that were given up: their sizes in pages, and what they held.
    pub dropped_memories: Vec<(u64, MemoryContents)>,
    /// What was copied.
    pub repacked: Repacked,
    /// Pages that the memories can still grow by, until all buckets are dealt out.
    pub room_pages: u64,
    /// Chunks in the chunk store.
    pub chunks: usize,
}

/// Repacks the snapshot in `source` into `out`, which is absent or empty. `metadata.json` is written last and
/// after the new image was read back and compared: without it, no tool takes the directory for a snapshot.
///
/// # Errors
/// The source can't be trusted or gains nothing, the bucket size does not hold it, or a file can't be written.
pub fn rewrite(source: &Path, out: &Path, options: &Options) -> anyhow::Result<Rewritten> {
    let source = SnapshotDir::open(source)?;
    let Plan { before, kept, after, contents, dropped } = plan(&source, options)?;
    prepare(out)?;
    let write_all = || {
        write(&out.join(files::MODULE), &EMPTY_MODULE)?;
        write(&out.join(files::HEAP), &[])?;
        copy_chunks(&source, out)?;
        let repacked = write_image(&source, out, &kept, &after)?;
        write_metadata(out, &repacked_metadata(source.metadata(), &after))?;
        Ok::<Repacked, anyhow::Error>(repacked)
    };
    let repacked = write_all()
        .with_context(|| format!("{} is no whole snapshot: delete it and begin again", out.display()))?;
    let free_buckets = MAX_BUCKETS - u64::from(after.allocated_buckets());
    let sizes = before.memories().iter().map(VirtualMemory::size_pages);
    let (memories, dropped_memories) =
        sizes.zip(contents).partition(|(_, contents)| kept.memory(contents.memory).is_some());
    Ok(Rewritten {
        before: before.usage(),
        after: after.usage(),
        bucket_pages: (before.bucket_size_pages(), after.bucket_size_pages()),
        memories,
        dropped,
        dropped_memories,
        repacked,
        room_pages: free_buckets * u64::from(after.bucket_size_pages()),
        chunks: source.chunks().len(),
    })
}

fn prepare(out: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
    let entries = fs::read_dir(out).with_context(|| format!("reading {}", out.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("reading {}", out.display()))?;
        ensure!(
            entry.file_name() == files::LOCK,
            "{} is not empty: name a directory that is absent or empty",
            out.display()
        );
    }
    fs::create_dir(out.join(files::CHUNKS))
        .with_context(|| format!("creating {}", out.join(files::CHUNKS).display()))
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().with_context(|| format!("writing {}", path.display()))
}

fn copy_chunks(source: &SnapshotDir, out: &Path) -> anyhow::Result<()> {
    for hash in source.chunks() {
        let (from, to) = (files::chunk_path(source.path(), hash), files::chunk_path(out, hash));
        fs::copy(&from, &to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

/// Writes the image and reads it back.
fn write_image(
    source: &SnapshotDir,
    out: &Path,
    before: &Layout,
    after: &Layout,
) -> anyhow::Result<Repacked> {
    let target = StableFile::create(&out.join(files::STABLE), after.stable_size_pages() * PAGE_BYTES)?;
    let repacked = repack(before, after, source.stable().reader(), |offset_bytes, bytes| {
        target.write_at(offset_bytes, bytes)
    })
    .map_err(|error| {
        let (from, to) = (source.stable().path().display(), target.path().display());
        anyhow!(error).context(format!("repacking {from} to {to}"))
    })?;
    target.sync()?;
    let path = target.path().display();
    let written = Image::read_at(after.manager_page(), after.stable_size_pages(), target.reader())
        .with_context(|| format!("checking {path}"))?;
    ensure!(
        written == Image::Managed(after.clone()),
        "{path} does not read back as it was written: check the disk, and repack into another directory"
    );
    if let Some(run) = first_difference(source.stable(), before, &target, after)? {
        bail!(
            "page {} of the image was not written as it is: the source changed meanwhile, or the disk fails; repack into \
             another directory",
            run.source_page
        );
    }
    Ok(repacked)
}

/// The metadata with only what must change: the size, and what belongs to a heap.
///
/// The status of the low-memory hook is left out, which keeps it as the canister has it: a load refuses any
/// status that does not fit the heap, and the heap is empty.
fn repacked_metadata(metadata: &Map<String, Value>, after: &Layout) -> Map<String, Value> {
    let mut metadata = metadata.clone();
    let mut set = |field: &str, value: Value| metadata.insert(field.to_owned(), value);
    set(files::STABLE_SIZE, json!(after.stable_size_pages() * PAGE_BYTES));
    set(files::GLOBALS, json!([]));
    set(files::HOOK_STATUS, Value::Null);
    metadata
}

/// Under its own name only when it is whole.
fn write_metadata(out: &Path, metadata: &Map<String, Value>) -> anyhow::Result<()> {
    let (path, partial) = (out.join(files::METADATA), out.join("metadata.json.partial"));
    write(&partial, &serde_json::to_vec_pretty(metadata)?)?;
    fs::rename(&partial, &path).with_context(|| format!("writing {}", path.display()))
}
