//! The address space in which a wasm heap lives while its canister runs.
//!
//! A region reserves the whole range that wasm can address, inaccessible. The first touch of a page
//! faults; the fault handler copies the page from the canister's [`PageMap`] and makes it readable. The
//! first write to it faults again and marks it dirty. So a message costs what it touches: nothing is
//! copied ahead of it, and what it wrote is known exactly, for the commit and for the rollback.
//!
//! The handler runs only for faults of the thread that executes the region's own instance (wasmtime
//! calls it for the store at hand), so that a region is never used by two threads at once.
#![expect(unsafe_code, reason = "mapping, protecting and copying raw memory is this module's purpose")]

use super::mapping::Mapping;
use super::pages::{PAGE_BYTES, Page, PageMap, shared};
use rustix::mm::MprotectFlags;
use std::cell::{RefCell, UnsafeCell};
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// Pages that a first touch brings in, itself included: neighbours are likely to follow, and a fault
/// costs more than copying a page.
const READ_AHEAD_PAGES: usize = 32;
/// Pages that a run of consecutive first writes makes writable at once, at most.
const WRITE_AHEAD_PAGES: usize = 64;

/// Pages that stay writable after a message, whether it changed them or not. The next message of a canister writes most
/// of what the latest ones wrote (stack, allocator, hot data), and comparing such a page takes a fiftieth of the fault
/// that it saves.
const WARM_PAGES: usize = 64;
/// Messages that leave a page alone after which it is not writable any more, if there are more than those.
const COLD_MESSAGES: u8 = 8;
/// Pages that stay writable at all, at most.
const HOT_PAGES: usize = 2_048;

/// Mappings of all regions, at most: the kernel allows a process 65,530 (Linux: `vm.max_map_count`), and others
/// need some too. Every change of protection may add two, where it divides a mapping.
static MAPPINGS: AtomicUsize = AtomicUsize::new(0);
/// Mappings from which on a region that has divided much begins anew after its message.
const MANY_MAPPINGS: usize = 20_000;
/// Mappings from which on a message gets its whole heap at once, without telling pages apart any more.
const MOST_MAPPINGS: usize = 40_000;
/// Mappings of one region that are not worth beginning anew.
const FEW_MAPPINGS: usize = 256;

#[derive(Clone, Copy, PartialEq, Eq)]
enum PageState {
    /// Inaccessible; not yet copied.
    Absent,
    /// Equal to the canister's page; readable.
    Clean,
    /// Perhaps changed by the running message, or by one not long ago; writable.
    Dirty,
}

/// A page that is writable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Written {
    index: u32,
    /// Messages that left it as it was since one changed it.
    age: u8,
}

/// Reserved address space with the pages of one heap.
pub(crate) struct Region {
    inner: UnsafeCell<Inner>,
}

struct Inner {
    base: *mut u8,
    /// There until the region is dropped.
    mapping: Option<Mapping>,
    /// Bytes that wasm may address now.
    size_bytes: usize,
    capacity_bytes: usize,
    states: Vec<PageState>,
    dirty: Vec<Written>,
    source: PageMap,
    last_written: usize,
    write_ahead: usize,
    /// Whether a fault is being handled: a signal handler must not panic.
    handles_fault: bool,
    /// Its share of [`MAPPINGS`], at most; counted exactly when there are too many.
    mappings: usize,
}

// SAFETY: a region is reached from its store (one thread at a time, as wasmtime's `&mut Store` ensures)
// and from the fault handler of that store, which runs on the thread that executes it.
unsafe impl Send for Region {}
// SAFETY: as above; no two threads use one region at the same time.
unsafe impl Sync for Region {}

impl Region {
    /// Reserves `capacity_bytes` and a guard behind it.
    fn reserve(capacity_bytes: usize, guard_bytes: usize) -> Result<Self, String> {
        let mapping = Mapping::reserve(capacity_bytes + guard_bytes)?;
        Ok(Self {
            inner: UnsafeCell::new(Inner {
                base: mapping.base(),
                mapping: Some(mapping),
                size_bytes: 0,
                capacity_bytes,
                states: Vec::new(),
                dirty: Vec::new(),
                source: PageMap::default(),
                last_written: usize::MAX,
                write_ahead: 1,
                handles_fault: false,
                mappings: 0,
            }),
        })
    }

    #[expect(clippy::mut_from_ref, reason = "one thread at a time, see the module's documentation")]
    fn inner(&self) -> &mut Inner {
        // SAFETY: the region is used by one thread at a time, and no reference outlives a method.
        unsafe { &mut *self.inner.get() }
    }

    /// Makes `source` what the region shows, and forgets everything before.
    pub(crate) fn load(&self, source: PageMap) {
        let inner = self.inner();
        inner.forget_all();
        inner.source = source;
    }

    /// Size in bytes that wasm can address.
    pub(crate) fn size_bytes(&self) -> usize {
        self.inner().size_bytes
    }

    /// Handles a fault at `address`: true if the access can be repeated.
    pub(crate) fn handle_fault(&self, address: usize) -> bool {
        let inner = self.inner();
        inner.handles_fault = true;
        let is_handled = inner.handle_fault(address);
        inner.handles_fault = false;
        is_handled
    }

    /// Lends bytes of the heap to `reader`, which must not use the region; `None` if the range is out of bounds.
    pub(crate) fn read<R>(&self, offset: u64, length: usize, reader: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let inner = self.inner();
        let (start, end) = inner.bounds(offset, length)?;
        inner.make_readable(start, end);
        // SAFETY: the range lies within the accessible part of the mapping and was made readable; no code of the
        // canister runs while it is lent, and the reader leaves the region alone.
        Some(reader(unsafe { std::slice::from_raw_parts(inner.base.add(start), length) }))
    }

    /// Lends bytes of the heap to `writer`, as [`Region::read`] does.
    pub(crate) fn write(&self, offset: u64, length: usize, writer: impl FnOnce(&mut [u8])) -> Option<()> {
        let inner = self.inner();
        let (start, end) = inner.bounds(offset, length)?;
        inner.make_writable(start, end);
        // SAFETY: as above, and the range was made writable.
        writer(unsafe { std::slice::from_raw_parts_mut(inner.base.add(start), length) });
        Some(())
    }

    /// Finds which pages the message changed; answers how many. Pages that were made writable but hold what they held
    /// before are not among them.
    pub(crate) fn find_changed(&self) -> u64 {
        let inner = self.inner();
        inner.age();
        inner.changed().count() as u64
    }

    /// The pages that [`Region::find_changed`] found, with their bytes.
    pub(crate) fn changed_pages(&self) -> Vec<(u64, Arc<Page>)> {
        let inner = self.inner();
        inner.changed().map(|index| (u64::from(index), shared(inner.page(index as usize)))).collect()
    }

    /// Accepts what the message wrote: the pages that [`Region::find_changed`] found are written to `heap`, which must
    /// be what was loaded.
    pub(crate) fn commit(&self, heap: &mut PageMap) {
        let inner = self.inner();
        // With a handle of its own, nothing could be written in place.
        inner.source = PageMap::default();
        inner.dirty.sort_unstable();
        for index in inner.changed() {
            heap.set(u64::from(index), inner.page(index as usize));
        }
        inner.source = heap.clone();
        inner.settle();
        inner.begin_anew_if_divided();
    }

    /// Discards what the message wrote. Growth stays, since wasmtime remembers it: a heap that grew must
    /// be dropped with its instance instead.
    pub(crate) fn roll_back(&self) {
        let inner = self.inner();
        inner.restore_dirty();
        inner.settle();
        inner.begin_anew_if_divided();
    }
}

impl Inner {
    fn page(&self, index: usize) -> &Page {
        // SAFETY: callers name pages below `states.len()` that are readable.
        unsafe { &*self.base.add(index * PAGE_BYTES).cast() }
    }

    fn bounds(&self, offset: u64, length: usize) -> Option<(usize, usize)> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(length)?;
        (end <= self.size_bytes).then_some((start, end))
    }

    fn protect(&mut self, first: usize, count: usize, flags: MprotectFlags) {
        if first == 0 && count == self.states.len() {
            // The whole heap: whatever was divided is one mapping again.
            MAPPINGS.fetch_sub(self.mappings, Ordering::Relaxed);
            self.mappings = 0;
        } else {
            MAPPINGS.fetch_add(2, Ordering::Relaxed);
            self.mappings += 2;
        }
        // SAFETY: the pages lie within the mapping, which this region owns.
        let result = unsafe {
            rustix::mm::mprotect(
                self.base.add(first * PAGE_BYTES).cast::<c_void>(),
                count * PAGE_BYTES,
                flags,
            )
        };
        // The mappings are bounded; a kernel that refuses all the same leaves nothing to do in a fault handler,
        // and going on would corrupt the heap. Elsewhere only the instance is lost.
        if let Err(error) = result {
            if self.handles_fault {
                std::process::abort();
            }
            panic!("the host refuses to protect {count} pages of a heap: {error}");
        }
    }

    fn handle_fault(&mut self, address: usize) -> bool {
        let Some(offset) = address.checked_sub(self.base as usize) else { return false };
        if offset >= self.size_bytes {
            return false;
        }
        let index = offset / PAGE_BYTES;
        if self.is_among_too_many(MOST_MAPPINGS) {
            self.open_all();
            return true;
        }
        match self.states[index] {
            PageState::Absent => {
                let end = (index + READ_AHEAD_PAGES).min(self.states.len());
                let count =
                    self.states[index..end].iter().take_while(|state| **state == PageState::Absent).count();
                self.bring_in(index, count);
                true
            }
            PageState::Clean => {
                // A run of first writes is likely to go on: make ever more pages writable at once.
                let follows = self.last_written.wrapping_add(1) == index;
                self.write_ahead = if follows { (self.write_ahead * 2).min(WRITE_AHEAD_PAGES) } else { 1 };
                let end = (index + self.write_ahead).min(self.states.len());
                let count =
                    self.states[index..end].iter().take_while(|state| **state == PageState::Clean).count();
                self.mark_dirty(index, count);
                self.last_written = index + count - 1;
                true
            }
            // Writable, and yet a fault: not ours.
            PageState::Dirty => false,
        }
    }

    /// Copies absent pages from the source and makes them readable.
    fn bring_in(&mut self, first: usize, count: usize) {
        let range = first as u64..(first + count) as u64;
        let is_used = self.mapping.as_ref().is_some_and(|mapping| mapping.is_used(first, count));
        if is_used || self.source.range(range).next().is_some() {
            self.protect(first, count, MprotectFlags::READ | MprotectFlags::WRITE);
            self.fill(first, count);
        }
        self.protect(first, count, MprotectFlags::READ);
        self.states[first..first + count].fill(PageState::Clean);
        if let Some(mapping) = &mut self.mapping {
            mapping.use_pages(first, count);
        }
    }

    /// Gives absent pages, which must be writable, their bytes.
    fn fill(&mut self, first: usize, count: usize) {
        let Some(mapping) = &self.mapping else { return };
        let mut pages = self.source.range(first as u64..(first + count) as u64).peekable();
        for index in first..first + count {
            let page = pages.next_if(|(next, _)| *next == index as u64);
            if self.states[index] != PageState::Absent {
                continue;
            }
            // SAFETY: the page is writable and belongs to this region.
            unsafe {
                let target = self.base.add(index * PAGE_BYTES);
                match page {
                    Some((_, page)) => ptr::copy_nonoverlapping(page.as_ptr(), target, PAGE_BYTES),
                    None if mapping.is_used(index, 1) => ptr::write_bytes(target, 0, PAGE_BYTES),
                    None => {}
                }
            }
        }
    }

    fn mark_dirty(&mut self, first: usize, count: usize) {
        self.protect(first, count, MprotectFlags::READ | MprotectFlags::WRITE);
        self.states[first..first + count].fill(PageState::Dirty);
        // Capacity was reserved when the heap grew: a fault handler must not allocate.
        self.dirty.extend((first..first + count).map(|index| Written { index: index as u32, age: 0 }));
    }

    /// Makes every page writable, in one mapping. What the message really changed is found by comparing.
    fn open_all(&mut self) {
        let count = self.states.len();
        self.protect(0, count, MprotectFlags::READ | MprotectFlags::WRITE);
        self.fill(0, count);
        if let Some(mapping) = &mut self.mapping {
            mapping.use_pages(0, count);
        }
        self.states.fill(PageState::Dirty);
        // Capacity was reserved when the heap grew.
        self.dirty.clear();
        self.dirty.extend((0..count as u32).map(|index| Written { index, age: 0 }));
    }

    /// Gives a region one mapping again when there are many; its pages come back when they are touched.
    fn begin_anew_if_divided(&mut self) {
        if self.is_among_too_many(MANY_MAPPINGS) {
            self.forget_all();
        }
    }

    /// Whether it has divided much, and all regions together more than `most`.
    fn is_among_too_many(&mut self, most: usize) -> bool {
        let is_suspect = |own: usize| own > FEW_MAPPINGS && MAPPINGS.load(Ordering::Relaxed) > most;
        if is_suspect(self.mappings) {
            // Every change of protection was taken to divide; most of them joined what others had divided.
            let divisions = self.states.windows(2).filter(|pair| pair[0] != pair[1]).count();
            MAPPINGS.fetch_add(divisions, Ordering::Relaxed);
            MAPPINGS.fetch_sub(std::mem::replace(&mut self.mappings, divisions), Ordering::Relaxed);
        }
        is_suspect(self.mappings)
    }

    fn make_readable(&mut self, start: usize, end: usize) {
        self.for_runs(start, end, |state| state == PageState::Absent, Self::bring_in);
    }

    fn make_writable(&mut self, start: usize, end: usize) {
        self.make_readable(start, end);
        self.for_runs(start, end, |state| state == PageState::Clean, Self::mark_dirty);
    }

    fn for_runs(
        &mut self,
        start: usize,
        end: usize,
        wanted: impl Fn(PageState) -> bool,
        act: impl Fn(&mut Self, usize, usize),
    ) {
        let mut index = start / PAGE_BYTES;
        let last = end.div_ceil(PAGE_BYTES);
        while index < last {
            let count = self.states[index..last].iter().take_while(|state| wanted(**state)).count();
            if count > 0 {
                act(self, index, count);
            }
            index += count.max(1);
        }
    }

    fn is_changed(&self, index: u32) -> bool {
        !self.source.holds(u64::from(index), self.page(index as usize))
    }

    /// The pages that were found to have changed.
    fn changed(&self) -> impl Iterator<Item = u32> {
        self.dirty.iter().filter(|page| page.age == 0).map(|page| page.index)
    }

    /// Finds which of the writable pages the message changed.
    fn age(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for page in &mut dirty {
            page.age = if self.is_changed(page.index) { 0 } else { page.age.saturating_add(1) };
        }
        self.dirty = dirty;
    }

    fn restore_dirty(&mut self) {
        self.age();
        for index in self.changed() {
            let target = index as usize * PAGE_BYTES;
            // SAFETY: dirty pages are writable and belong to this region.
            unsafe {
                match self.source.page(u64::from(index)) {
                    Some(page) => {
                        ptr::copy_nonoverlapping(page.as_ptr(), self.base.add(target), PAGE_BYTES);
                    }
                    None => ptr::write_bytes(self.base.add(target), 0, PAGE_BYTES),
                }
            }
        }
    }

    /// Ends a message, after which every page holds what the source holds: pages that no message changed for a while
    /// become clean, the others stay writable.
    fn settle(&mut self) {
        self.last_written = usize::MAX;
        self.write_ahead = 1;
        if self.dirty.len() <= WARM_PAGES {
            return;
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        let is_hot = |page: &Written| page.age < COLD_MESSAGES;
        let keeps_hot = dirty.iter().filter(|page| is_hot(page)).count() <= HOT_PAGES;
        let stays = |page: &Written| keeps_hot && is_hot(page);
        let cold: Vec<u32> = dirty.iter().filter(|page| !stays(page)).map(|page| page.index).collect();
        dirty.retain(stays);
        self.dirty = dirty;
        let mut rest = cold.as_slice();
        while let Some(first) = rest.first() {
            let count = rest.iter().enumerate().take_while(|(i, index)| **index == first + *i as u32).count();
            self.protect(*first as usize, count, MprotectFlags::READ);
            self.states[*first as usize..*first as usize + count].fill(PageState::Clean);
            rest = &rest[count..];
        }
    }

    /// Makes everything absent again.
    fn forget_all(&mut self) {
        let count = self.states.len();
        if self.states.iter().any(|state| *state != PageState::Absent) {
            self.protect(0, count, MprotectFlags::empty());
        }
        self.states.fill(PageState::Absent);
        self.dirty.clear();
        self.last_written = usize::MAX;
        self.write_ahead = 1;
    }

    fn grow(&mut self, size_bytes: usize) -> Result<(), String> {
        if size_bytes > self.capacity_bytes {
            return Err(format!("a heap of {size_bytes} bytes exceeds {}", self.capacity_bytes));
        }
        let pages = size_bytes / PAGE_BYTES;
        self.states.resize(pages, PageState::Absent);
        self.dirty.reserve(pages - self.dirty.len().min(pages));
        if let Some(mapping) = &mut self.mapping {
            mapping.prepare(pages);
        }
        self.size_bytes = size_bytes;
        Ok(())
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        let inner = self.inner.get_mut();
        inner.forget_all();
        MAPPINGS.fetch_sub(inner.mappings, Ordering::Relaxed);
        if let Some(mapping) = inner.mapping.take() {
            mapping.recycle();
        }
    }
}

/// Hands regions to wasmtime.
#[derive(Default)]
pub(crate) struct Regions;

thread_local! {
    /// The region of the latest instantiation on this thread: wasmtime does not hand it out again.
    static LATEST: RefCell<Option<Arc<Region>>> = const { RefCell::new(None) };
}

impl Regions {
    /// The region that the latest instantiation on this thread got, if its module has a memory.
    pub(crate) fn take_latest() -> Option<Arc<Region>> {
        LATEST.take()
    }
}

/// The side of a region that wasmtime owns.
struct WasmHeap {
    region: Arc<Region>,
}

// SAFETY: the pointer stays valid and in place for the life of the region, pages below `byte_size` are
// accessible through the fault handler, and everything behind the capacity is a guard.
unsafe impl LinearMemory for WasmHeap {
    fn byte_size(&self) -> usize {
        self.region.size_bytes()
    }

    fn byte_capacity(&self) -> usize {
        self.region.inner().capacity_bytes
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        self.region.inner().grow(new_size).map_err(wasmtime::Error::msg)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.region.inner().base
    }
}

/// Bytes behind a heap that stay inaccessible where wasmtime asks for less.
const GUARD_BYTES: usize = 32 << 20;

// SAFETY: see `WasmHeap`; new regions are zero.
unsafe impl MemoryCreator for Regions {
    fn new_memory(
        &self,
        ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let pages = if ty.is_64() {
            crate::costs::limits::WASM64_HEAP_PAGES
        } else {
            crate::costs::limits::WASM32_HEAP_PAGES
        };
        let capacity = (pages * crate::costs::WASM_PAGE_BYTES) as usize;
        let region = Region::reserve(
            capacity.max(reserved_size_in_bytes.unwrap_or(0)),
            guard_size_in_bytes.max(GUARD_BYTES),
        );
        // An error would look like one of the canister, and a test would take it for what the mainnet does.
        let region = region.unwrap_or_else(|error| {
            panic!(
                "the host has no address space for another heap: {error}; delete instances that are not used, or raise \
                 the limit of virtual memory"
            )
        });
        region.inner().grow(minimum)?;
        let region = Arc::new(region);
        LATEST.set(Some(region.clone()));
        Ok(Box::new(WasmHeap { region }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES: usize = 300;

    /// A region of a size that no other test has.
    fn region() -> Region {
        let region = Region::reserve(PAGES * PAGE_BYTES, 7 * PAGE_BYTES).expect("it is reserved");
        region.inner().grow(PAGES * PAGE_BYTES).expect("it grows");
        region
    }

    fn bytes(region: &Region) -> Vec<u8> {
        region.read(0, PAGES * PAGE_BYTES, <[u8]>::to_vec).expect("it is within")
    }

    #[test]
    fn a_heap_holds_nothing_of_the_one_that_had_its_place() {
        let first = region();
        first.write(0, PAGES * PAGE_BYTES, |bytes| bytes.fill(7)).expect("it is within");
        drop(first);
        let mut source = PageMap::default();
        source.set(3, &[5; PAGE_BYTES]);
        let second = region();
        second.load(source.clone());
        assert_eq!(bytes(&second)[3 * PAGE_BYTES..4 * PAGE_BYTES], [5; PAGE_BYTES]);
        assert!(bytes(&second).iter().enumerate().all(|(at, byte)| at / PAGE_BYTES == 3 || *byte == 0));
        second.write(0, PAGES * PAGE_BYTES, |bytes| bytes.fill(7)).expect("it is within");
        second.load(PageMap::default());
        assert!(bytes(&second).iter().all(|byte| *byte == 0));
        second.write(0, PAGES * PAGE_BYTES, |bytes| bytes.fill(7)).expect("it is within");
        second.load(source);
        second.inner().open_all();
        assert_eq!(bytes(&second)[3 * PAGE_BYTES..4 * PAGE_BYTES], [5; PAGE_BYTES]);
        assert!(bytes(&second).iter().enumerate().all(|(at, byte)| at / PAGE_BYTES == 3 || *byte == 0));
    }

    #[test]
    fn what_a_message_changed_is_known_and_can_be_taken_back() {
        let region = region();
        region.write(5 * PAGE_BYTES as u64 - 1, 2, |bytes| bytes.fill(1)).expect("it is within");
        region.write(9 * PAGE_BYTES as u64, 1, |bytes| bytes.fill(0)).expect("it is within");
        assert_eq!(region.find_changed(), 2);
        let changed: Vec<u64> = region.changed_pages().iter().map(|(index, _)| *index).collect();
        assert_eq!(changed, [4, 5]);
        region.roll_back();
        assert_eq!(region.find_changed(), 0);
        assert!(bytes(&region).iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_a_message_changed_is_written_to_the_heap_that_was_loaded() {
        let region = region();
        let mut heap = PageMap::default();
        heap.set(3, &[5; PAGE_BYTES]);
        heap.set(4, &[6; PAGE_BYTES]);
        region.load(heap.clone());
        let taken = heap.clone();
        region.write(3 * PAGE_BYTES as u64, 1, |bytes| bytes.fill(7)).expect("it is within");
        region.write(4 * PAGE_BYTES as u64, PAGE_BYTES, |bytes| bytes.fill(0)).expect("it is within");
        assert_eq!(region.find_changed(), 2);
        region.commit(&mut heap);
        let first = |heap: &PageMap, index| heap.page(index).map(|page| (page[0], page[1]));
        assert_eq!([first(&heap, 3), first(&heap, 4)], [Some((7, 5)), None]);
        assert_eq!([first(&taken, 3), first(&taken, 4)], [Some((5, 5)), Some((6, 6))], "a copy stays");
        assert_eq!(region.find_changed(), 0);
    }
}
