//! What is in a snapshot, what it would be in other buckets, and why it is left as it is.

use super::rewrite::Options;
use super::snapshot_dir::SnapshotDir;
use anyhow::{Context, anyhow, bail, ensure};
use decant_layout::{
    Accepted, Image, Layout, Leftover, MemoryContents, Obstacle, Tail, buckets_needed,
    ensure_bucket_size_holds,
};

/// The layout that is there, the one that will be, and what else there is to say.
pub(super) struct Plan {
    pub(super) before: Layout,
    /// The layout that is there, without the memories that are given up.
    pub(super) kept: Layout,
    pub(super) after: Layout,
    pub(super) contents: Vec<MemoryContents>,
    /// What is behind the last bucket, if it is given up.
    pub(super) dropped: Option<Leftover>,
}

/// Plans a repack; an error if there is nothing to gain or something to lose.
pub(super) fn plan(source: &SnapshotDir, options: &Options) -> anyhow::Result<Plan> {
    ensure!(
        source.has_no_code(),
        "{} was taken while the canister had its own code, a module of {} bytes: what was on the heap may be missing, and \
         its post_upgrade would run on what it has read already. Upgrade the canister to nothing.wasm, which its own \
         pre_upgrade runs for, and take the snapshot then: `decant repack --steps` prints every step",
        source.path().display(),
        source.module().len()
    );
    ensure!(
        source.heap_bytes() == 0,
        "{} holds a heap of {} bytes though its module is that of nothing: download the snapshot again",
        source.path().display(),
        source.heap_bytes()
    );
    let file = source.stable().path().display();
    let before = manager(source, options.manager_page)?;
    ensure_there(&before, &options.drop_memories).with_context(|| file.to_string())?;
    let kept = before.without(&options.drop_memories);
    let after = compact(&kept, options)?;
    let contents = source.contents(&before)?;
    let usage = before.usage();
    ensure!(
        after.stable_size_pages() < before.stable_size_pages(),
        "{file} is compact already: {} pages in buckets of {}, of which {} are used, {} allocated and {} wasted; \
         with buckets of {} it would take {}{}",
        usage.stable_pages,
        before.bucket_size_pages(),
        usage.used_pages,
        usage.allocated_pages,
        usage.reclaimable_pages(),
        after.bucket_size_pages(),
        after.stable_size_pages(),
        contents.iter().filter_map(nested).map(|note| format!("; {note}")).collect::<String>()
    );
    let tail = source.tail(&before)?;
    let accepted = Accepted { tail_is_dropped: options.drop_tail, free_buckets: options.free_buckets };
    before.check(&tail, accepted).map_err(|obstacle| {
        let flag = match obstacle {
            Obstacle::Tail(_) => "--drop-tail",
            Obstacle::FreeBuckets { .. } => "--free-buckets",
            Obstacle::Inside { .. } => return anyhow!("{file}: {obstacle}"),
        };
        anyhow!("{file}: {obstacle}. Only if it is known to be of no use, or harmless, add {flag}")
    })?;
    let dropped = match tail {
        Tail::InUse(leftover) => Some(leftover),
        Tail::Nothing => None,
    };
    Ok(Plan { before, kept, after, contents, dropped })
}

/// What is given up must be there, and not be all.
fn ensure_there(before: &Layout, drop_memories: &[u8]) -> anyhow::Result<()> {
    for memory in drop_memories {
        ensure!(
            before.memory(*memory).is_some(),
            "--drop-memory {memory}: there is no memory {memory} that has pages; `decant inspect` lists them"
        );
    }
    ensure!(
        !before.without(drop_memories).memories().is_empty() || drop_memories.is_empty(),
        "--drop-memory names every memory: nothing would be left to repack"
    );
    Ok(())
}

/// The layout by the manager at a page. What others may be there is said, and not guessed.
fn manager(source: &SnapshotDir, manager_page: u32) -> anyhow::Result<Layout> {
    let file = source.stable().path().display();
    source.check_place(manager_page)?.map_err(|inside| anyhow!("{file}: {inside}"))?;
    let size_pages = match source.image(manager_page)? {
        Image::Managed(layout) => return Ok(layout),
        Image::Empty => bail!("{file} is empty: there is nothing to repack"),
        Image::Raw { size_pages } => size_pages,
    };
    let found: Vec<String> = source.managers()?.iter().map(named).collect();
    ensure!(
        found.is_empty(),
        "{file}: no MemoryManager begins at page {manager_page}, but {}. If the canister's code says the same \
         (RestrictedMemory::new(memory, PAGE..)), add --manager-page PAGE: what lies before it is kept byte for byte",
        found.join(", and ")
    );
    ensure!(
        manager_page == 0,
        "{file}: no MemoryManager begins at page {manager_page}, nor was one found elsewhere"
    );
    let structure = source.first_structure()?.map(|structure| format!(" and begin with a {structure}"));
    bail!(
        "{file} is raw: its {size_pages} pages hold no MemoryManager at page 0, at the 256 pages behind it or at powers of \
         two{}, so there are no buckets to repack",
        structure.unwrap_or_default()
    )
}

fn named(layout: &Layout) -> String {
    let usage = layout.usage();
    format!(
        "one begins at page {}, with {} memories in buckets of {}, {} pages used and {} wasted",
        layout.manager_page(),
        layout.memories().len(),
        layout.bucket_size_pages(),
        usage.used_pages,
        usage.reclaimable_pages()
    )
}

/// The layout in the new buckets, which hold the growth too.
fn compact(before: &Layout, options: &Options) -> anyhow::Result<Layout> {
    let after = before.compact(options.bucket_pages).context("--bucket-pages")?;
    let sizes_pages = before.memories().iter().map(|memory| memory.size_pages());
    let projected: Vec<u64> = sizes_pages.chain([options.growth_pages]).collect();
    let bucket_pages = after.bucket_size_pages();
    ensure_bucket_size_holds(&projected, 0, bucket_pages).with_context(|| {
        format!(
            "{} pages in use and {} pages of growth take {} buckets of {bucket_pages} pages",
            before.usage().used_pages,
            options.growth_pages,
            buckets_needed(projected.iter().copied(), bucket_pages)
        )
    })?;
    Ok(after)
}

/// What a manager inside of a memory wastes: no repack from outside gives that back.
pub(super) fn nested(contents: &MemoryContents) -> Option<String> {
    let usage = contents.nested_usage()?;
    Some(format!(
        "memory {} holds a MemoryManager itself, which uses {} pages of it and leaves {} unused; what is inside of a memory \
         is moved as it is",
        contents.memory,
        usage.used_pages,
        usage.reclaimable_pages()
    ))
}
