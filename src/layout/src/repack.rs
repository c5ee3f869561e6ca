//! Which pages go where, and moving them.

use crate::zeros::is_zero;
use crate::{Layout, PAGE_BYTES, PREFIX, RepackError, SizesDiffer};

/// Pages moved at a time: 1 MiB, so that a canister's heap stays small and a system call carries much.
const BUFFER_PAGES: u64 = 16;

/// Pages that follow each other in a virtual memory, in the source image and in the target image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyRun {
    /// Id of the virtual memory, or [`PREFIX`].
    pub memory: u8,
    /// First page in the virtual memory.
    pub virtual_page: u64,
    /// First page in the source image.
    pub source_page: u64,
    /// First page in the target image.
    pub target_page: u64,
    /// Pages of the run, at least 1.
    pub length_pages: u64,
}

/// What a repack did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repacked {
    /// Pages that were written, header page not included.
    pub written_pages: u64,
    /// Pages that were all zero and therefore not written.
    pub zero_pages: u64,
}

/// Lists what has to be copied from one image to another of the same virtual memories: every used page once, those
/// before the manager first ([`PREFIX`]), then memory by memory in ascending id and page by page, in runs as long as both
/// layouts allow; [`Layout::copied_pages`] in all. The header page is not among them: write [`Layout::header_page`] of the
/// target when all else is written.
///
/// # Errors
/// [`SizesDiffer`] if the two are not layouts of the same virtual memories.
pub fn copies(source: &Layout, target: &Layout) -> Result<impl Iterator<Item = CopyRun>, SizesDiffer> {
    for memory in ids(source).chain(ids(target)) {
        let (source_size_pages, target_size_pages) =
            (source.memory_size_pages(memory), target.memory_size_pages(memory));
        if source_size_pages != target_size_pages {
            return Err(SizesDiffer { memory, source_size_pages, target_size_pages });
        }
    }
    Ok(ids(source).flat_map(move |memory| {
        source.runs(memory).flat_map(move |run| {
            let pages = run.virtual_page..run.virtual_page + run.length_pages;
            target.runs_within(memory, pages).map(move |part| CopyRun {
                memory,
                virtual_page: part.virtual_page,
                source_page: run.physical_page + (part.virtual_page - run.virtual_page),
                target_page: part.physical_page,
                length_pages: part.length_pages,
            })
        })
    }))
}

/// What is before the manager, and its memories.
fn ids(layout: &Layout) -> impl Iterator<Item = u8> {
    std::iter::once(PREFIX).chain(layout.memories().iter().map(|memory| memory.id))
}

/// Copies every used page of the `source` image to the `target` image, then writes the header page, so that a
/// target that was left half way is not taken for a managed image.
///
/// `read(offset_bytes, buffer)` reads the source, `write(offset_bytes, bytes)` writes the target, which has
/// `target.stable_size_pages()` pages, **all zero**, and is not the source: all-zero pages are not written.
/// One buffer of 1 MiB is allocated.
///
/// # Errors
/// [`RepackError::SizesDiffer`] if the two are not layouts of the same virtual memories, or what `read` and
/// `write` say. Whatever was written by then has no header page.
pub fn repack<E>(
    source: &Layout,
    target: &Layout,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    mut write: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<Repacked, RepackError<E>> {
    let mut repacked = Repacked::default();
    let mut buffer = vec![0; (BUFFER_PAGES * PAGE_BYTES) as usize];
    for run in copies(source, target)? {
        for done_pages in (0..run.length_pages).step_by(BUFFER_PAGES as usize) {
            let part_pages = BUFFER_PAGES.min(run.length_pages - done_pages);
            let part = &mut buffer[..(part_pages * PAGE_BYTES) as usize];
            let physical_page = run.source_page + done_pages;
            read(physical_page * PAGE_BYTES, part)
                .map_err(|error| RepackError::Read { physical_page, error })?;
            let physical_page = run.target_page + done_pages;
            let written_pages = write_pages(physical_page, part, &mut write)?;
            repacked.written_pages += written_pages;
            repacked.zero_pages += part_pages - written_pages;
        }
    }
    let physical_page = u64::from(target.manager_page());
    write(target.header_offset_bytes(), &target.header_page())
        .map_err(|error| RepackError::Write { physical_page, error })?;
    Ok(repacked)
}

/// Writes the pages that hold something, neighbours together. Answers how many.
fn write_pages<E>(
    first_page: u64,
    bytes: &[u8],
    write: &mut impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<u64, RepackError<E>> {
    let mut written_pages = 0;
    let mut physical_page = first_page;
    let holds_nothing: Vec<bool> = bytes.chunks(PAGE_BYTES as usize).map(is_zero).collect();
    let mut rest = bytes;
    for group in holds_nothing.chunk_by(|left, right| left == right) {
        let (pages, behind) = rest.split_at(group.len() * PAGE_BYTES as usize);
        if !group[0] {
            write(physical_page * PAGE_BYTES, pages)
                .map_err(|error| RepackError::Write { physical_page, error })?;
            written_pages += group.len() as u64;
        }
        physical_page += group.len() as u64;
        rest = behind;
    }
    Ok(written_pages)
}
