//! Stable memory that keeps only the pages that were written: images of many GiB cost next to nothing.

use decant_layout::PAGE_BYTES;
use ic_stable_structures::Memory;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;

/// A stable memory; clones are the same memory.
#[derive(Clone, Default)]
pub(crate) struct SparseMemory {
    pages: Rc<RefCell<BTreeMap<u64, Vec<u8>>>>,
    size_pages: Rc<RefCell<u64>>,
}

impl SparseMemory {
    /// A memory of that many zero pages.
    pub(crate) fn with_pages(size_pages: u64) -> Self {
        let memory = Self::default();
        memory.grow(size_pages);
        memory
    }

    /// Reads as `Image::read` and `repack` want it.
    pub(crate) fn reader(&self) -> impl FnMut(u64, &mut [u8]) -> Result<(), Infallible> {
        let memory = self.clone();
        move |offset, buffer| {
            memory.read(offset, buffer);
            Ok(())
        }
    }

    /// Writes as `repack` wants it.
    pub(crate) fn writer(&self) -> impl FnMut(u64, &[u8]) -> Result<(), Infallible> {
        let memory = self.clone();
        move |offset, bytes| {
            memory.write(offset, bytes);
            Ok(())
        }
    }

    fn for_each_page(&self, offset: u64, length: usize, mut part: impl FnMut(u64, usize, usize, usize)) {
        // A damaged header may come with any size: 2^64 pages do not fit in a u64 of bytes.
        let end = offset + length as u64;
        assert!(end.div_ceil(PAGE_BYTES) <= self.size(), "access to {offset} + {length} leaves the memory");
        let mut done = 0;
        while done < length {
            let position = offset + done as u64;
            let within = (position % PAGE_BYTES) as usize;
            let count = (PAGE_BYTES as usize - within).min(length - done);
            part(position / PAGE_BYTES, within, done, count);
            done += count;
        }
    }
}

impl Memory for SparseMemory {
    fn size(&self) -> u64 {
        *self.size_pages.borrow()
    }

    fn grow(&self, pages: u64) -> i64 {
        let mut size_pages = self.size_pages.borrow_mut();
        let before = *size_pages;
        *size_pages += pages;
        before as i64
    }

    fn read(&self, offset: u64, dst: &mut [u8]) {
        let pages = self.pages.borrow();
        self.for_each_page(offset, dst.len(), |page, within, done, count| match pages.get(&page) {
            Some(bytes) => dst[done..done + count].copy_from_slice(&bytes[within..within + count]),
            None => dst[done..done + count].fill(0),
        });
    }

    fn write(&self, offset: u64, src: &[u8]) {
        let mut pages = self.pages.borrow_mut();
        self.for_each_page(offset, src.len(), |page, within, done, count| {
            let bytes = pages.entry(page).or_insert_with(|| vec![0; PAGE_BYTES as usize]);
            bytes[within..within + count].copy_from_slice(&src[done..done + count]);
        });
    }
}
