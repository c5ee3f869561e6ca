//! Memory that was freed goes back to the system. The allocator keeps small pieces for the next who wants some, and the
//! pages of heaps and stable memories are small pieces: a server would keep what its largest instance ever took.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

/// Resident bytes below which nothing is given back (ours): to look for it costs time.
const LEAST_BYTES: u64 = 512 << 20;

/// Resident bytes after the last time.
static RESIDENT_BYTES: AtomicU64 = AtomicU64::new(0);

/// Gives it back if the process has grown to more than twice of what it needed before.
pub(crate) fn give_back() {
    let Some(resident) = resident_bytes() else { return };
    if resident > LEAST_BYTES.saturating_add(2 * RESIDENT_BYTES.load(Ordering::Relaxed)) {
        trim();
        RESIDENT_BYTES.store(resident_bytes().unwrap_or(resident), Ordering::Relaxed);
    }
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library alone can do this")]
fn trim() {
    unsafe extern "C" {
        fn malloc_trim(pad: usize) -> i32;
    }
    // SAFETY: it touches only memory that nobody holds, and may be called at any time on any thread (`malloc_trim(3)`).
    unsafe {
        malloc_trim(0);
    }
}

#[cfg(not(target_env = "gnu"))]
fn trim() {}

/// Of this process (`proc(5)`, `statm`: the second number, in pages).
fn resident_bytes() -> Option<u64> {
    let pages: u64 = fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_env = "gnu")]
    fn freed_pages_go_back_to_the_system() {
        const BYTES: usize = 768 << 20;
        let pages: Vec<Box<[u8; 4096]>> =
            (0..BYTES / 4096).map(|page| Box::new([page as u8 | 1; 4096])).collect();
        let with = resident_bytes().expect("the system tells");
        // One that stays, at the end, keeps all others from going back by themselves.
        let last = pages.into_iter().next_back();
        give_back();
        let without = resident_bytes().expect("the system tells");
        assert!(without + BYTES as u64 / 2 < with, "{with} bytes before, {without} after");
        drop(last);
    }
}
