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
use super::page_states::{Fault, PageState, PageStates, Run};
use super::pages::{PAGE_BYTES, Page, PageMap, shared};
use rustix::mm::MprotectFlags;
use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// Regions of the process. Each reserves what wasm can address, some 4 GiB, and a process has 128 TiB (x86-64, 47 bits).
static REGIONS: AtomicUsize = AtomicUsize::new(0);
/// Regions from which on none is kept for the next message of its canister: a quarter of the address space.
const MANY_REGIONS: usize = 8_192;

/// Whether the process has so many regions that what can be made anew should go.
pub(crate) fn are_many() -> bool {
    REGIONS.load(Ordering::Relaxed) >= MANY_REGIONS
}

/// Mappings of all regions, at most: the kernel allows a process 65,530 (Linux: `vm.max_map_count`), and others
/// need some too. Every change of protection may add two, where it divides a mapping.
static MAPPINGS: AtomicUsize = AtomicUsize::new(0);
/// Mappings from which on a region that has divided much begins anew after its message.
const MANY_MAPPINGS: usize = 20_000;
/// Mappings from which on a message gets its whole heap at once, without telling pages apart any more.
const MOST_MAPPINGS: usize = 40_000;
/// Mappings of one region that are not worth beginning anew.
const FEW_MAPPINGS: usize = 256;

/// Reserved address space with the pages of one heap.
pub(crate) struct Region {
    /// Where it begins; there until the region is dropped.
    base: *mut u8,
    capacity_bytes: usize,
    inner: RefCell<Inner>,
}

struct Inner {
    base: *mut u8,
    /// There until the region is dropped.
    mapping: Option<Mapping>,
    /// Bytes that wasm may address now.
    size_bytes: usize,
    states: PageStates,
    source: PageMap,
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
        REGIONS.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            base: mapping.base(),
            capacity_bytes,
            inner: RefCell::new(Inner {
                base: mapping.base(),
                mapping: Some(mapping),
                size_bytes: 0,
                states: PageStates::new(),
                source: PageMap::default(),
                handles_fault: false,
                mappings: 0,
            }),
        })
    }

    /// Lets wasm address that many bytes. Errors if they are not reserved.
    fn grow(&self, size_bytes: usize) -> Result<(), String> {
        if size_bytes > self.capacity_bytes {
            return Err(format!("a heap of {size_bytes} bytes exceeds {}", self.capacity_bytes));
        }
        self.inner.borrow_mut().grow(size_bytes);
        Ok(())
    }

    /// Makes `source` what the region shows, and forgets everything before.
    pub(crate) fn load(&self, source: PageMap) {
        let mut inner = self.inner.borrow_mut();
        inner.forget_all();
        inner.source = source;
    }

    /// Size in bytes that wasm can address.
    pub(crate) fn size_bytes(&self) -> usize {
        self.inner.borrow().size_bytes
    }

    /// Handles a fault at `address`: true if the access can be repeated.
    pub(crate) fn handle_fault(&self, address: usize) -> bool {
        // Nothing that has borrowed it touches a page that is not accessible: such a fault is not of the canister.
        let Ok(mut inner) = self.inner.try_borrow_mut() else { return false };
        inner.handles_fault = true;
        let is_handled = inner.handle_fault(address);
        inner.handles_fault = false;
        is_handled
    }

    /// Lends bytes of the heap to `reader`, which must not use the region; `None` if the range is out of bounds.
    pub(crate) fn read<R>(&self, offset: u64, length: usize, reader: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let mut inner = self.inner.borrow_mut();
        let (start, end) = inner.bounds(offset, length)?;
        inner.make_readable(start, end);
        // SAFETY: the range lies within the accessible part of the mapping and was made readable; no code of the
        // canister runs while it is lent, and the reader leaves the region alone.
        Some(reader(unsafe { std::slice::from_raw_parts(inner.base.add(start), length) }))
    }

    /// Lends bytes of the heap to `writer`, as [`Region::read`] does.
    pub(crate) fn write(&self, offset: u64, length: usize, writer: impl FnOnce(&mut [u8])) -> Option<()> {
        let mut inner = self.inner.borrow_mut();
        let (start, end) = inner.bounds(offset, length)?;
        inner.make_writable(start, end);
        // SAFETY: as above, and the range was made writable.
        writer(unsafe { std::slice::from_raw_parts_mut(inner.base.add(start), length) });
        Some(())
    }

    /// Finds which pages the message changed; answers how many. Pages that were made writable but hold what they held
    /// before are not among them.
    pub(crate) fn find_changed(&self) -> u64 {
        let mut inner = self.inner.borrow_mut();
        inner.age();
        inner.states.changed().count() as u64
    }

    /// The pages that [`Region::find_changed`] found, with their bytes.
    pub(crate) fn changed_pages(&self) -> Vec<(u64, Arc<Page>)> {
        let inner = self.inner.borrow();
        let page = |index| (u64::from(index), shared(inner.page(index as usize)));
        inner.states.changed().map(page).collect()
    }

    /// Accepts what the message wrote: the pages that [`Region::find_changed`] found are written to `heap`, which must
    /// be what was loaded.
    pub(crate) fn commit(&self, heap: &mut PageMap) {
        let mut inner = self.inner.borrow_mut();
        // With a handle of its own, nothing could be written in place.
        inner.source = PageMap::default();
        for index in inner.states.changed() {
            heap.set(u64::from(index), inner.page(index as usize));
        }
        inner.source = heap.clone();
        inner.settle();
        inner.begin_anew_if_divided();
    }

    /// Discards what the message wrote. Growth stays, since wasmtime remembers it: a heap that grew must
    /// be dropped with its instance instead.
    pub(crate) fn roll_back(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.restore_changed();
        inner.settle();
        inner.begin_anew_if_divided();
    }
}

impl Inner {
    fn page(&self, index: usize) -> &Page {
        // SAFETY: callers name pages that are readable, and nothing writes to them while they are borrowed.
        unsafe { page_at(self.base, index) }
    }

    fn bounds(&self, offset: u64, length: usize) -> Option<(usize, usize)> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(length)?;
        (end <= self.size_bytes).then_some((start, end))
    }

    fn protect(&mut self, Run { first, count }: Run, flags: MprotectFlags) {
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
        match self.states.on_fault(index) {
            Fault::BringIn(run) => self.bring_in(run),
            Fault::MakeWritable(run) => self.make_writable_run(run),
            Fault::Foreign => return false,
        }
        true
    }

    /// Copies absent pages from the source and makes them readable.
    fn bring_in(&mut self, run: Run) {
        let Run { first, count } = run;
        let range = first as u64..(first + count) as u64;
        let is_used = self.mapping.as_ref().is_some_and(|mapping| mapping.is_used(first, count));
        if is_used || self.source.range(range).next().is_some() {
            self.protect(run, MprotectFlags::READ | MprotectFlags::WRITE);
            self.fill(run);
        }
        self.protect(run, MprotectFlags::READ);
        self.states.brought_in(run);
        if let Some(mapping) = &mut self.mapping {
            mapping.use_pages(first, count);
        }
    }

    /// Gives absent pages, which must be writable, their bytes.
    fn fill(&mut self, Run { first, count }: Run) {
        let Some(mapping) = &self.mapping else { return };
        let mut pages = self.source.range(first as u64..(first + count) as u64).peekable();
        for index in first..first + count {
            let page = pages.next_if(|(next, _)| *next == index as u64);
            if !self.states.is_absent(index) {
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

    fn make_writable_run(&mut self, run: Run) {
        self.protect(run, MprotectFlags::READ | MprotectFlags::WRITE);
        self.states.made_writable(run);
    }

    /// Every page.
    fn all(&self) -> Run {
        Run { first: 0, count: self.states.len() }
    }

    /// Makes every page writable, in one mapping. What the message really changed is found by comparing.
    fn open_all(&mut self) {
        let all = self.all();
        self.protect(all, MprotectFlags::READ | MprotectFlags::WRITE);
        self.fill(all);
        if let Some(mapping) = &mut self.mapping {
            mapping.use_pages(0, all.count);
        }
        self.states.opened();
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
            let divisions = self.states.divisions();
            MAPPINGS.fetch_add(divisions, Ordering::Relaxed);
            MAPPINGS.fetch_sub(std::mem::replace(&mut self.mappings, divisions), Ordering::Relaxed);
        }
        is_suspect(self.mappings)
    }

    fn make_readable(&mut self, start: usize, end: usize) {
        while let Some(run) = self.next_run(start, end, PageState::Absent) {
            self.bring_in(run);
        }
    }

    fn make_writable(&mut self, start: usize, end: usize) {
        self.make_readable(start, end);
        while let Some(run) = self.next_run(start, end, PageState::Clean) {
            self.make_writable_run(run);
        }
    }

    fn next_run(&self, start: usize, end: usize, state: PageState) -> Option<Run> {
        self.states.next_run(start / PAGE_BYTES, end.div_ceil(PAGE_BYTES), state)
    }

    /// Finds which of the writable pages the message changed.
    fn age(&mut self) {
        let base = self.base;
        let source = &self.source;
        // SAFETY: what is asked for is writable, and belongs to this region.
        let page = |index: u32| unsafe { page_at(base, index as usize) };
        self.states.age(|index| !source.holds(u64::from(index), page(index)));
    }

    fn restore_changed(&mut self) {
        self.age();
        for index in self.states.changed() {
            let target = index as usize * PAGE_BYTES;
            // SAFETY: changed pages are writable and belong to this region.
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

    /// Ends a message, after which every page holds what the source holds.
    fn settle(&mut self) {
        for run in self.states.settle() {
            self.protect(run, MprotectFlags::READ);
        }
    }

    /// Makes everything absent again.
    fn forget_all(&mut self) {
        if self.states.forget_all() {
            self.protect(self.all(), MprotectFlags::empty());
        }
    }

    fn grow(&mut self, size_bytes: usize) {
        let pages = size_bytes / PAGE_BYTES;
        self.states.grow(pages);
        if let Some(mapping) = &mut self.mapping {
            mapping.prepare(pages);
        }
        self.size_bytes = size_bytes;
    }
}

/// A page of a heap.
///
/// # Safety
/// It lies within the mapping that begins at `base`, is readable, and nothing writes to it while it is lent.
unsafe fn page_at<'a>(base: *mut u8, index: usize) -> &'a Page {
    // SAFETY: the caller vouches for it.
    unsafe { &*base.add(index * PAGE_BYTES).cast() }
}

impl Drop for Region {
    fn drop(&mut self) {
        let inner = self.inner.get_mut();
        inner.forget_all();
        REGIONS.fetch_sub(1, Ordering::Relaxed);
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
        self.region.capacity_bytes
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        self.region.grow(new_size).map_err(wasmtime::Error::msg)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.region.base
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
        region.grow(minimum)?;
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
        region.grow(PAGES * PAGE_BYTES).expect("it grows");
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
        second.inner.borrow_mut().open_all();
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
