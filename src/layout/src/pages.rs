//! From pages of a virtual memory to pages of the image, and bytes along them.

use crate::format::{HEADER_PAGES, PREFIX};
use crate::{AccessError, Layout, PAGE_BYTES, VirtualMemory};
use std::ops::Range;

/// Pages that follow each other both in a virtual memory and in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRun {
    /// First page in the virtual memory.
    pub virtual_page: u64,
    /// First page in the image.
    pub physical_page: u64,
    /// Pages of the run, at least 1.
    pub length_pages: u64,
}

/// In all of these [`PREFIX`] is the id of what lies before the manager.
impl Layout {
    /// Page of the image that holds a page of a virtual memory; `None` past its end.
    pub fn physical_page(&self, memory: u8, virtual_page: u64) -> Option<u64> {
        if memory == PREFIX {
            return (virtual_page < u64::from(self.manager_page)).then_some(virtual_page);
        }
        let memory = self.memory(memory).filter(|memory| virtual_page < memory.size_pages)?;
        self.page_of(memory, virtual_page)
    }

    /// The used pages of a virtual memory in ascending order, in runs as long as they can be: at most one a
    /// bucket. No run if there is no such memory.
    pub fn runs(&self, memory: u8) -> impl Iterator<Item = PageRun> {
        self.runs_within(memory, 0..u64::MAX)
    }

    /// Like [`runs`](Layout::runs), for those pages of the virtual memory that lie within `pages`.
    pub fn runs_within(&self, memory: u8, pages: Range<u64>) -> impl Iterator<Item = PageRun> {
        let end = self.memory_size_pages(memory).min(pages.end);
        let before_manager = (memory == PREFIX && pages.start < end).then(|| PageRun {
            virtual_page: pages.start,
            physical_page: pages.start,
            length_pages: end - pages.start,
        });
        let in_buckets = Runs { layout: self, memory: self.memory(memory), next: pages.start, end };
        before_manager.into_iter().chain(in_buckets)
    }

    /// The page in the image, if the memory has a bucket for it.
    fn page_of(&self, memory: &VirtualMemory, virtual_page: u64) -> Option<u64> {
        let bucket_size_pages = u64::from(self.bucket_size_pages);
        let bucket = memory.buckets.get(usize::try_from(virtual_page / bucket_size_pages).ok()?)?;
        let first_bucket = u64::from(self.manager_page) + HEADER_PAGES;
        Some(first_bucket + u64::from(*bucket) * bucket_size_pages + virtual_page % bucket_size_pages)
    }

    /// Reads bytes of a virtual memory. `read(offset_bytes, buffer)` reads the image; it is called once for
    /// each run that the range touches.
    ///
    /// # Errors
    /// [`AccessError::OutOfBounds`] before anything is read, or what `read` says.
    pub fn read<E>(
        &self,
        memory: u8,
        offset_bytes: u64,
        buffer: &mut [u8],
        mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<(), AccessError<E>> {
        self.for_each_part(memory, offset_bytes, buffer.len(), |physical_offset, part| {
            read(physical_offset, &mut buffer[part])
        })
    }

    /// Writes bytes of a virtual memory. `write(offset_bytes, bytes)` writes the image; it is called once for
    /// each run that the range touches.
    ///
    /// # Errors
    /// [`AccessError::OutOfBounds`] before anything is written, or what `write` says.
    pub fn write<E>(
        &self,
        memory: u8,
        offset_bytes: u64,
        bytes: &[u8],
        mut write: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), AccessError<E>> {
        self.for_each_part(memory, offset_bytes, bytes.len(), |physical_offset, part| {
            write(physical_offset, &bytes[part])
        })
    }

    fn for_each_part<E>(
        &self,
        memory: u8,
        offset_bytes: u64,
        length: usize,
        mut access: impl FnMut(u64, Range<usize>) -> Result<(), E>,
    ) -> Result<(), AccessError<E>> {
        let length_bytes = length as u64;
        let size_pages = self.memory_size_pages(memory);
        let end_bytes = match offset_bytes.checked_add(length_bytes) {
            Some(end_bytes) if end_bytes.div_ceil(PAGE_BYTES) <= size_pages => end_bytes,
            _ => return Err(AccessError::OutOfBounds { memory, offset_bytes, length_bytes, size_pages }),
        };
        let mut done = 0;
        let pages = offset_bytes / PAGE_BYTES..end_bytes.div_ceil(PAGE_BYTES);
        for run in self.runs_within(memory, pages) {
            if done == length {
                break;
            }
            let skipped_bytes = (offset_bytes + done as u64) - run.virtual_page * PAGE_BYTES;
            let available_bytes = run.length_pages * PAGE_BYTES - skipped_bytes;
            let part_bytes = available_bytes.min((length - done) as u64) as usize;
            access(run.physical_page * PAGE_BYTES + skipped_bytes, done..done + part_bytes)
                .map_err(|error| AccessError::Image { physical_page: run.physical_page, error })?;
            done += part_bytes;
        }
        Ok(())
    }
}

/// Iterator of [`Layout::runs_within`].
struct Runs<'a> {
    layout: &'a Layout,
    memory: Option<&'a VirtualMemory>,
    next: u64,
    end: u64,
}

impl Iterator for Runs<'_> {
    type Item = PageRun;

    fn next(&mut self) -> Option<PageRun> {
        let memory = self.memory.filter(|_| self.next < self.end)?;
        let bucket_size_pages = u64::from(self.layout.bucket_size_pages);
        let virtual_page = self.next;
        let physical_page = self.layout.page_of(memory, virtual_page)?;
        let mut index = (virtual_page / bucket_size_pages) as usize;
        while let [bucket, following, ..] = memory.buckets[index..]
            && bucket.checked_add(1) == Some(following)
            && (index as u64 + 1) * bucket_size_pages < self.end
        {
            index += 1;
        }
        self.next = self.end.min((index as u64 + 1) * bucket_size_pages);
        Some(PageRun { virtual_page, physical_page, length_pages: self.next - virtual_page })
    }
}
