//! Sparse memory of 4 KiB pages, cheap to clone and to share.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Bytes of a page: what the platform counts as dirty, and the unit of sharing.
pub(crate) const PAGE_BYTES: usize = 4096;

/// The contents of one page.
pub(crate) type Page = [u8; PAGE_BYTES];

/// A page of zeros, which no map holds.
static ZEROS: Page = [0; PAGE_BYTES];

/// A page of its own, copied once.
pub(crate) fn shared(page: &Page) -> Arc<Page> {
    // A slice is copied into its place, an array by way of the stack. The lengths agree.
    Arc::<[u8]>::from(page.as_slice()).try_into().unwrap_or_else(|_| Arc::new(*page))
}

/// Bytes by page; pages that are not present are zero.
///
/// Cloning copies one pointer. The table is copied on the first write after a clone, a page never.
#[derive(Clone, Default)]
pub(crate) struct PageMap {
    pages: Arc<BTreeMap<u64, Arc<Page>>>,
    /// Indexes of the pages that were written since the last checkpoint, those that became zero too.
    written: Arc<BTreeSet<u64>>,
}

impl PageMap {
    /// The page at `index`, or `None` where it is all zero.
    pub(crate) fn page(&self, index: u64) -> Option<&Arc<Page>> {
        self.pages.get(&index)
    }

    /// Sets a page; an all-zero page takes no space. A page that nobody shares is written in its place.
    pub(crate) fn set(&mut self, index: u64, page: &Page) {
        if *page == ZEROS {
            return self.clear(index);
        }
        self.note(index);
        match Arc::make_mut(&mut self.pages).entry(index) {
            Entry::Vacant(place) => _ = place.insert(shared(page)),
            Entry::Occupied(mut place) => match Arc::get_mut(place.get_mut()) {
                Some(own) => own.copy_from_slice(page),
                None => _ = place.insert(shared(page)),
            },
        }
    }

    /// As [`PageMap::set`], with a page that can be shared.
    pub(crate) fn put(&mut self, index: u64, page: Arc<Page>) {
        if *page == ZEROS { self.clear(index) } else { self.insert(index, page) }
    }

    fn insert(&mut self, index: u64, page: Arc<Page>) {
        self.note(index);
        Arc::make_mut(&mut self.pages).insert(index, page);
    }

    fn clear(&mut self, index: u64) {
        self.note(index);
        if self.pages.contains_key(&index) {
            Arc::make_mut(&mut self.pages).remove(&index);
        }
    }

    /// Takes note that a page is written.
    fn note(&mut self, index: u64) {
        // Most pages are written again and again: no copy of the set for what it has.
        if !self.written.contains(&index) {
            Arc::make_mut(&mut self.written).insert(index);
        }
    }

    /// The pages of a range that are not all zero.
    pub(crate) fn range(&self, range: std::ops::Range<u64>) -> impl Iterator<Item = (u64, &Arc<Page>)> {
        self.pages.range(range).map(|(index, page)| (*index, page))
    }

    /// Whether no page was written since the last checkpoint (code: `PageMap::clean_copy`).
    pub(crate) fn is_checkpointed(&self) -> bool {
        self.written.is_empty()
    }

    /// Pages that were written since the last checkpoint (code: `PageMap::num_delta_pages`).
    pub(crate) fn written_pages(&self) -> usize {
        self.written.len()
    }

    /// A checkpoint has all pages.
    pub(crate) fn checkpoint(&mut self) {
        if !self.is_checkpointed() {
            self.written = Arc::default();
        }
    }

    /// Whether the page at `index` holds exactly these bytes.
    pub(crate) fn holds(&self, index: u64, page: &Page) -> bool {
        match self.pages.get(&index) {
            Some(own) => **own == *page,
            None => *page == ZEROS,
        }
    }

    /// Copies `buffer.len()` bytes from `offset` on.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) {
        for (index, start, range) in page_runs(offset, buffer.len()) {
            match self.pages.get(&index) {
                Some(page) => buffer[range.clone()].copy_from_slice(&page[start..start + range.len()]),
                None => buffer[range].fill(0),
            }
        }
    }

    /// Writes `bytes` at `offset`.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) {
        for (index, start, range) in page_runs(offset, bytes.len()) {
            let mut page = match self.pages.get(&index) {
                Some(page) => **page,
                None => [0; PAGE_BYTES],
            };
            page[start..start + range.len()].copy_from_slice(&bytes[range]);
            self.set(index, &page);
        }
    }

    /// Number of pages that take space.
    #[cfg(test)]
    pub(crate) fn resident_pages(&self) -> usize {
        self.pages.len()
    }
}

/// Cuts a byte range into pages: (page index, start within the page, range within the buffer).
pub(crate) fn page_runs(
    offset: u64,
    length: usize,
) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let position = offset + done as u64;
        let start = (position % PAGE_BYTES as u64) as usize;
        let size = (PAGE_BYTES - start).min(length - done);
        let range = done..done + size;
        done += size;
        Some((position / PAGE_BYTES as u64, start, range))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_across_pages_is_read_back() {
        let mut map = PageMap::default();
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i % 251) as u8).collect();
        map.write(4_000, &bytes);
        let mut back = vec![0; 10_000];
        map.read(4_000, &mut back);
        assert_eq!(back, bytes);
        let mut before = [1u8; 4_000];
        map.read(0, &mut before);
        assert_eq!(before, [0; 4_000]);
    }

    #[test]
    fn a_page_of_zeros_takes_no_space() {
        let mut map = PageMap::default();
        map.write(0, &[7; PAGE_BYTES]);
        assert_eq!(map.resident_pages(), 1);
        map.write(0, &[0; PAGE_BYTES]);
        assert_eq!(map.resident_pages(), 0);
    }

    #[test]
    fn a_page_counts_as_written_once_until_a_checkpoint_has_it() {
        let mut map = PageMap::default();
        map.write(0, &[7; 2 * PAGE_BYTES]);
        map.write(0, &[8; PAGE_BYTES]);
        let before = map.clone();
        map.write(5 * PAGE_BYTES as u64, &[0; 10]);
        assert_eq!((before.written_pages(), map.written_pages()), (2, 3), "a page of zeros counts");
        map.checkpoint();
        assert!(map.is_checkpointed() && !before.is_checkpointed());
        map.write(0, &[9; 10]);
        assert_eq!(map.written_pages(), 1);
    }

    #[test]
    fn a_page_that_nobody_shares_is_written_in_its_place() {
        let mut map = PageMap::default();
        map.set(3, &[7; PAGE_BYTES]);
        let place = |map: &PageMap| map.page(3).map(|page| page.as_ptr());
        let before = place(&map);
        map.set(3, &[8; PAGE_BYTES]);
        assert_eq!(place(&map), before);
        let clone = map.clone();
        map.set(3, &[9; PAGE_BYTES]);
        assert_eq!((clone.page(3).map(|page| page[0]), map.page(3).map(|page| page[0])), (Some(8), Some(9)));
    }

    #[test]
    fn a_clone_keeps_its_bytes_when_the_original_is_written() {
        let mut map = PageMap::default();
        map.write(0, &[7; 10]);
        let clone = map.clone();
        map.write(0, &[8; 10]);
        let mut back = [0; 10];
        clone.read(0, &mut back);
        assert_eq!(back, [7; 10]);
    }
}
