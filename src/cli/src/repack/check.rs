//! Compares two snapshot directories by what they hold, not by how it is laid out.

use super::snapshot_dir::{self as files, SnapshotDir};
use crate::stable_file::StableFile;
use anyhow::Context;
use decant_layout::{CopyRun, Image, Layout, Leftover, PAGE_BYTES, PREFIX, Tail, copies};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// Pages compared at a time.
const BUFFER_PAGES: u64 = 16;
/// Metadata that tell how and when a snapshot came to be, or belong to module and heap: they may differ.
const MAY_DIFFER: [&str; 8] = [
    "source",
    "taken_at_timestamp",
    "canister_version",
    files::MODULE_SIZE,
    files::HEAP_SIZE,
    files::STABLE_SIZE,
    files::GLOBALS,
    files::HOOK_STATUS,
];

/// What whoever compares knows of both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// Page at which the manager begins.
    pub manager_page: u32,
    /// What lay behind the last bucket was given up on purpose.
    pub tail_is_dropped: bool,
    /// Virtual memories that were given up on purpose.
    pub dropped_memories: Vec<u8>,
}

/// What two directories have in common.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// What is the same.
    pub same: Vec<String>,
    /// What differs and may: it is no content.
    pub notes: Vec<String>,
    /// What only one holds, and was given up on purpose.
    pub dropped: Vec<String>,
    /// What differs and must not.
    pub differences: Vec<String>,
}

impl Comparison {
    /// Whether both hold the same, but for what was given up on purpose.
    pub fn is_same(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Compares virtual memory by virtual memory, the module, the chunk store and the metadata.
///
/// # Errors
/// One of them is no snapshot directory, or its image is damaged.
pub fn check(left: &Path, right: &Path) -> anyhow::Result<Comparison> {
    check_knowing(left, right, &Known::default())
}

/// As [`check`], by somebody who knows more.
///
/// # Errors
/// As [`check`].
pub fn check_knowing(left: &Path, right: &Path, known: &Known) -> anyhow::Result<Comparison> {
    let (left, right) = (SnapshotDir::open(left)?, SnapshotDir::open(right)?);
    let mut comparison = Comparison::default();
    compare_images(&left, &right, known, &mut comparison)?;
    compare_modules(&left, &right, &mut comparison);
    compare_chunks(&left, &right, &mut comparison);
    compare_metadata(&left, &right, &mut comparison);
    Ok(comparison)
}

/// The first page that two images of the same virtual memories do not have in common; a run of one page.
pub(super) fn first_difference(
    left: &StableFile,
    left_layout: &Layout,
    right: &StableFile,
    right_layout: &Layout,
) -> anyhow::Result<Option<CopyRun>> {
    for run in copies(left_layout, right_layout)? {
        if let Some(page) =
            first_different_page(left, run.source_page, right, run.target_page, run.length_pages)?
        {
            return Ok(Some(CopyRun {
                memory: run.memory,
                virtual_page: run.virtual_page + page,
                source_page: run.source_page + page,
                target_page: run.target_page + page,
                length_pages: 1,
            }));
        }
    }
    Ok(None)
}

/// Counted from the first pages given.
fn first_different_page(
    left: &StableFile,
    left_page: u64,
    right: &StableFile,
    right_page: u64,
    length_pages: u64,
) -> anyhow::Result<Option<u64>> {
    let mut buffers =
        [vec![0; (BUFFER_PAGES * PAGE_BYTES) as usize], vec![0; (BUFFER_PAGES * PAGE_BYTES) as usize]];
    for done_pages in (0..length_pages).step_by(BUFFER_PAGES as usize) {
        let length = (BUFFER_PAGES.min(length_pages - done_pages) * PAGE_BYTES) as usize;
        let [ours, theirs] = buffers.each_mut().map(|buffer| &mut buffer[..length]);
        for (file, page, buffer) in [(left, left_page, &mut *ours), (right, right_page, &mut *theirs)] {
            let page = page + done_pages;
            file.read_at(page * PAGE_BYTES, buffer)
                .with_context(|| format!("reading page {page} of {}", file.path().display()))?;
        }
        if ours != theirs {
            let mut pages = ours.chunks(PAGE_BYTES as usize).zip(theirs.chunks(PAGE_BYTES as usize));
            return Ok(pages.position(|(ours, theirs)| ours != theirs).map(|page| done_pages + page as u64));
        }
    }
    Ok(None)
}

fn compare_images(
    left: &SnapshotDir,
    right: &SnapshotDir,
    known: &Known,
    into: &mut Comparison,
) -> anyhow::Result<()> {
    match (left.image(known.manager_page)?, right.image(known.manager_page)?) {
        (Image::Managed(ours), Image::Managed(theirs)) => {
            let dropped = known.dropped_memories.as_slice();
            compare_managed((left.stable(), &ours), (right.stable(), &theirs), dropped, into)?;
            compare_tails((left, &ours), (right, &theirs), known.tail_is_dropped, into)
        }
        (Image::Empty, Image::Empty) => {
            into.same.push("stable memory: none".to_owned());
            Ok(())
        }
        (Image::Raw { size_pages: ours }, Image::Raw { size_pages: theirs }) if ours == theirs => {
            match first_different_page(left.stable(), 0, right.stable(), 0, ours)? {
                Some(page) => into.differences.push(format!("stable memory: page {page} differs")),
                None => into.same.push(format!("stable memory: {ours} raw pages")),
            }
            Ok(())
        }
        (ours, theirs) => {
            let (ours, theirs) = (kind(&ours), kind(&theirs));
            into.differences.push(format!("stable memory: {ours} against {theirs}"));
            Ok(())
        }
    }
}

fn kind(image: &Image) -> String {
    match image {
        Image::Empty => "none".to_owned(),
        Image::Raw { size_pages } => format!("{size_pages} raw pages"),
        Image::Managed(layout) => format!("{} managed memories", layout.memories().len()),
    }
}

fn compare_managed(
    (left, ours): (&StableFile, &Layout),
    (right, theirs): (&StableFile, &Layout),
    dropped: &[u8],
    into: &mut Comparison,
) -> anyhow::Result<()> {
    into.notes.push(format!(
        "layout: {} pages in buckets of {} against {} pages in buckets of {}",
        ours.stable_size_pages(),
        ours.bucket_size_pages(),
        theirs.stable_size_pages(),
        theirs.bucket_size_pages()
    ));
    let has_prefix = ours.manager_page() > 0 || theirs.manager_page() > 0;
    let memories = ours.memories().iter().chain(theirs.memories()).map(|memory| memory.id());
    let ids: BTreeSet<u8> = memories.chain(has_prefix.then_some(PREFIX)).collect();
    for id in ids {
        let name = match id {
            PREFIX => "before the manager".to_owned(),
            id => format!("memory {id}"),
        };
        let (our_pages, their_pages) = (ours.memory_size_pages(id), theirs.memory_size_pages(id));
        if dropped.contains(&id) && (our_pages == 0) != (their_pages == 0) {
            into.dropped.push(format!("{name}: {our_pages} pages against {their_pages}"));
            continue;
        }
        if our_pages != their_pages {
            into.differences.push(format!("{name}: {our_pages} pages against {their_pages}"));
            continue;
        }
        match first_different_page_of(id, (left, ours), (right, theirs))? {
            Some(page) => into.differences.push(format!("{name}: page {page} of {our_pages} differs")),
            None => into.same.push(format!("{name}: {our_pages} pages")),
        }
    }
    Ok(())
}

/// What lies behind the last buckets: zeros are nothing.
fn compare_tails(
    (left, ours): (&SnapshotDir, &Layout),
    (right, theirs): (&SnapshotDir, &Layout),
    is_dropped: bool,
    into: &mut Comparison,
) -> anyhow::Result<()> {
    let only_in = |side: &SnapshotDir, leftover: &Leftover| {
        format!("only {} has something behind the manager: {leftover}", side.path().display())
    };
    let only = match (left.tail(ours)?, right.tail(theirs)?) {
        (Tail::Nothing, Tail::Nothing) => return Ok(()),
        (Tail::InUse(ours), Tail::Nothing) => only_in(left, &ours),
        (Tail::Nothing, Tail::InUse(theirs)) => only_in(right, &theirs),
        (Tail::InUse(ours), Tail::InUse(theirs)) if ours.pages == theirs.pages => {
            let (first, pages) = (ours.pages.start, ours.size_pages());
            match first_different_page(left.stable(), first, right.stable(), first, pages)? {
                Some(page) => {
                    into.differences.push(format!("behind the manager: page {} differs", first + page));
                }
                None => into.same.push(format!("behind the manager: {pages} pages")),
            }
            return Ok(());
        }
        (Tail::InUse(ours), Tail::InUse(theirs)) => {
            into.differences.push(format!(
                "behind the manager: {} pages from {} against {} from {}",
                ours.size_pages(),
                ours.pages.start,
                theirs.size_pages(),
                theirs.pages.start
            ));
            return Ok(());
        }
    };
    match is_dropped {
        true => into.dropped.push(only),
        false => into.differences.push(only),
    }
    Ok(())
}

/// In one virtual memory that has the same size in both.
fn first_different_page_of(
    memory: u8,
    (left, ours): (&StableFile, &Layout),
    (right, theirs): (&StableFile, &Layout),
) -> anyhow::Result<Option<u64>> {
    for run in ours.runs(memory) {
        for part in theirs.runs_within(memory, run.virtual_page..run.virtual_page + run.length_pages) {
            let our_page = run.physical_page + (part.virtual_page - run.virtual_page);
            let page = first_different_page(left, our_page, right, part.physical_page, part.length_pages)?;
            if let Some(page) = page {
                return Ok(Some(part.virtual_page + page));
            }
        }
    }
    Ok(None)
}

fn compare_modules(left: &SnapshotDir, right: &SnapshotDir, into: &mut Comparison) {
    let (ours, theirs) = (left.module(), right.module());
    match ours == theirs {
        true => into.same.push(format!("module: {} bytes", ours.len())),
        false => {
            into.differences.push(format!("module: {} bytes against {} others", ours.len(), theirs.len()))
        }
    }
    for side in [left, right].into_iter().filter(|side| side.has_no_code() && side.heap_bytes() > 0) {
        into.differences.push(format!(
            "{}: holds a heap of {} bytes though its module is that of nothing",
            side.path().display(),
            side.heap_bytes()
        ));
    }
}

fn compare_chunks(left: &SnapshotDir, right: &SnapshotDir, into: &mut Comparison) {
    let differences: Vec<_> = left.chunks().symmetric_difference(right.chunks()).collect();
    for hash in &differences {
        into.differences.push(format!("chunk store: only one has chunk {hash}"));
    }
    if differences.is_empty() {
        into.same.push(format!("chunk store: {} chunks", left.chunks().len()));
    }
}

fn compare_metadata(left: &SnapshotDir, right: &SnapshotDir, into: &mut Comparison) {
    let fields: BTreeSet<&String> = left.metadata().keys().chain(right.metadata().keys()).collect();
    for field in fields {
        let (ours, theirs) = (left.metadata().get(field), right.metadata().get(field));
        // The chunks were compared already, and their order means nothing.
        if ours == theirs || field == files::CHUNKS {
            continue;
        }
        let text =
            |value: Option<&serde_json::Value>| value.map_or("nothing".to_owned(), |value| value.to_string());
        let line = format!("metadata, {field}: {} against {}", text(ours), text(theirs));
        match MAY_DIFFER.contains(&field.as_str()) {
            true => into.notes.push(line),
            false => into.differences.push(line),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, lines) in [
            ("same   ", &self.same),
            ("note   ", &self.notes),
            ("DROPPED", &self.dropped),
            ("DIFFERS", &self.differences),
        ] {
            for line in lines {
                writeln!(formatter, "{word}  {line}")?;
            }
        }
        let verdict = match self.differences.len() {
            0 if self.dropped.is_empty() => "Both hold the same.".to_owned(),
            0 => "Both hold the same, but for what was dropped.".to_owned(),
            count => format!("They do NOT hold the same: {count} differences."),
        };
        writeln!(formatter, "{verdict}")
    }
}
