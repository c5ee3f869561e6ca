//! Address space that is used again: its pages are the process's own by then, which a new mapping would have to ask
//! the kernel for, one fault each.
#![expect(unsafe_code, reason = "mapping raw memory is this module's purpose")]

use super::pages::PAGE_BYTES;
use rustix::mm::{MapFlags, ProtFlags};
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// Mappings that wait for their next use, at most.
const SPARE_MAPPINGS: usize = 16;
/// Pages of a mapping that is worth keeping, at most: 16 MiB.
const SPARE_PAGES: usize = 4_096;

static SPARE: Mutex<Vec<Mapping>> = Mutex::new(Vec::new());

/// Reserved address space of one owner.
pub(super) struct Mapping {
    base: *mut u8,
    bytes: usize,
    /// Which pages may hold what an earlier use, or an owner, left there.
    used: Vec<bool>,
}

// SAFETY: it owns its address space, and hands out nothing but the address.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Address space in which nothing is accessible; what its pages hold, [`Mapping::is_used`] tells.
    pub(super) fn reserve(bytes: usize) -> Result<Self, String> {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = spare.iter().position(|mapping| mapping.bytes == bytes) {
            return Ok(spare.swap_remove(place));
        }
        drop(spare);
        // SAFETY: a new private mapping at an address of the kernel's choice aliases nothing.
        let base = unsafe {
            rustix::mm::mmap_anonymous(
                ptr::null_mut(),
                bytes,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }
        .map_err(|error| format!("reserving {bytes} bytes of address space failed: {error}"))?;
        Ok(Self { base: base.cast(), bytes, used: Vec::new() })
    }

    /// Keeps it for the next use. Its owner has made everything inaccessible.
    pub(super) fn recycle(self) {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if self.used.len() <= SPARE_PAGES && spare.len() < SPARE_MAPPINGS {
            spare.push(self);
        }
    }

    /// Its first byte.
    pub(super) fn base(&self) -> *mut u8 {
        self.base
    }

    /// Makes room for notes on so many pages: a fault handler must not allocate.
    pub(super) fn prepare(&mut self, pages: usize) {
        debug_assert!(pages * PAGE_BYTES <= self.bytes);
        self.used.resize(pages.max(self.used.len()), false);
    }

    /// Whether any of these pages may hold something.
    pub(super) fn is_used(&self, first: usize, count: usize) -> bool {
        self.used[first..first + count].contains(&true)
    }

    /// Notes that an owner may write to these pages.
    pub(super) fn use_pages(&mut self, first: usize, count: usize) {
        self.used[first..first + count].fill(true);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is its own, and nobody refers to it any more.
        let _ = unsafe { rustix::mm::munmap(self.base.cast(), self.bytes) };
    }
}
