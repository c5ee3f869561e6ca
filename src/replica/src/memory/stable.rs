//! Stable memory while a message runs: what it wrote lies over what was there before.

use super::pages::{PAGE_BYTES, Page, PageMap, page_runs};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stable memory of a canister between messages.
#[derive(Clone, Default)]
pub(crate) struct StableMemory {
    /// The bytes.
    pub(crate) pages: PageMap,
    /// Size in wasm pages of 64 KiB.
    pub(crate) size_pages: u64,
}

impl StableMemory {
    /// Size in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_pages * crate::costs::WASM_PAGE_BYTES
    }
}

/// A message's view of stable memory. Dropping it is the rollback.
#[derive(Default)]
pub(crate) struct StableView {
    base: StableMemory,
    dirty: BTreeMap<u64, Arc<Page>>,
    /// The pages that were read or written, 64 to a word of bits.
    touched: BTreeMap<u64, u64>,
    touched_pages: u64,
    /// The one page that the latest piece lay in.
    last_touched: Option<u64>,
    /// Size in wasm pages of 64 KiB, as the message sees it.
    pub(crate) size_pages: u64,
}

impl StableView {
    /// A view over `base`; no byte is copied.
    pub(crate) fn new(base: &StableMemory) -> Self {
        Self { base: base.clone(), size_pages: base.size_pages, ..Self::default() }
    }

    /// Whether `length` bytes at `offset` lie within the memory.
    pub(crate) fn contains(&self, offset: u64, length: u64) -> bool {
        offset.checked_add(length).is_some_and(|end| end <= self.size_pages * crate::costs::WASM_PAGE_BYTES)
    }

    /// Copies bytes out; the range must be contained.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) {
        if self.dirty.is_empty() {
            return self.base.pages.read(offset, buffer);
        }
        for (index, start, range) in page_runs(offset, buffer.len()) {
            let size = range.len();
            match self.dirty.get(&index) {
                Some(page) => buffer[range].copy_from_slice(&page[start..start + size]),
                None => self.base.pages.read(offset + range.start as u64, &mut buffer[range]),
            }
        }
    }

    /// Writes bytes; the range must be contained. Answers how many pages became dirty by it.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> u64 {
        let before = self.dirty.len();
        for (index, start, range) in page_runs(offset, bytes.len()) {
            let base = &self.base.pages;
            let page = self
                .dirty
                .entry(index)
                .or_insert_with(|| base.page(index).cloned().unwrap_or_else(|| Arc::new([0; PAGE_BYTES])));
            Arc::make_mut(page)[start..start + range.len()].copy_from_slice(&bytes[range]);
        }
        (self.dirty.len() - before) as u64
    }

    /// Notes that `length` bytes at `offset` are read or written; answers how many pages were so far.
    pub(crate) fn touch(&mut self, offset: u64, length: u64) -> u64 {
        const WORD_PAGES: u64 = u64::BITS as u64;
        if length == 0 {
            return self.touched_pages;
        }
        let (mut page, last) = (offset / PAGE_BYTES as u64, (offset + length - 1) / PAGE_BYTES as u64);
        // Most canisters read and write small pieces, one after the other.
        if page == last && self.last_touched.replace(page) == Some(page) {
            return self.touched_pages;
        }
        while page <= last {
            let (word, first_bit) = (page / WORD_PAGES, page % WORD_PAGES);
            let count = (WORD_PAGES - first_bit).min(last - page + 1);
            let bits = (u64::MAX >> (WORD_PAGES - count)) << first_bit;
            let known = self.touched.entry(word).or_default();
            self.touched_pages += u64::from((bits & !*known).count_ones());
            *known |= bits;
            page += count;
        }
        self.touched_pages
    }

    /// Pages that were written.
    pub(crate) fn dirty_pages(&self) -> u64 {
        self.dirty.len() as u64
    }

    /// Pages that a write of `length` bytes at `offset` would make dirty.
    pub(crate) fn newly_dirty(&self, offset: u64, length: u64) -> u64 {
        if length == 0 {
            return 0;
        }
        let first = offset / PAGE_BYTES as u64;
        let last = (offset + length - 1) / PAGE_BYTES as u64;
        (last - first + 1) - self.dirty.range(first..=last).count() as u64
    }

    /// Writes what the message wrote into `memory`, which must be what the view was made from.
    pub(crate) fn commit(self, memory: &mut StableMemory) {
        drop(self.base);
        for (index, page) in self.dirty {
            memory.pages.put(index, page);
        }
        memory.size_pages = self.size_pages;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_touched_once() {
        let mut view = StableView::default();
        let page = PAGE_BYTES as u64;
        assert_eq!(view.touch(0, 0), 0);
        assert_eq!(view.touch(0, 1), 1);
        assert_eq!(view.touch(page - 1, 2), 2);
        assert_eq!(view.touch(60 * page, 10 * page), 12);
        assert_eq!(view.touch(0, 70 * page), 70);
        assert_eq!(view.touch(1_000 * page, 200 * page), 270);
        assert_eq!(view.touch(999 * page, 202 * page), 272);
    }
}
