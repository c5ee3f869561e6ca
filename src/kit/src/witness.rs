//! Whether a hook wrote to stable memory.

use decant_transfer::PAGE_BYTES;

use crate::limits::WITNESS_BYTES;
use crate::stable::Stable;
use crate::view::View;

/// Pages that are read at a time.
const BUFFER_PAGES: u64 = 16;
/// An odd number without a pattern: the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Bytes at the beginning of a page that stand for it: what the platform loads at once for a read.
const BEGINNING_BYTES: u64 = 4_096;

/// What stable memory held at a moment: enough to see that somebody wrote, not to decide a deletion.
///
/// Of more than 512 MiB not all is read: two looks and two hooks are one message, so that a trap takes them back together,
/// and a message reads 2 GiB. Half of it is then the beginning of each memory, where lengths, magics and the headers of
/// structures are; the other half the beginning of every page, of more than 4 GiB every second, third or so: whoever erases
/// what was read, wherever that lies, erases some of those.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Witness {
    size_pages: u64,
    /// None if it is no image: its pages as they lie are in the sum then.
    view: Option<View>,
    sum: u64,
}

impl Witness {
    /// What is there now.
    pub(crate) fn of(stable: &impl Stable) -> Self {
        Self::within(stable, WITNESS_BYTES)
    }

    fn within(stable: &impl Stable, most_bytes: u64) -> Self {
        let size_pages = stable.size_pages();
        let view = View::of(stable).ok();
        let mut sum = Sum(0);
        match &view {
            Some(view) => {
                let shape = view.shape();
                let extent = Extent::of(shape.size_pages(), shape.memories().len() as u64, most_bytes);
                for memory in shape.memories() {
                    sum.add(memory.size_pages, &extent, |offset_bytes, buffer| {
                        // Pages of a view can be read.
                        let _ = view.read(stable, memory.id, offset_bytes, buffer);
                    });
                }
            }
            None => {
                let extent = Extent::of(size_pages, 1, most_bytes);
                sum.add(size_pages, &extent, |offset_bytes, buffer| stable.read(offset_bytes, buffer));
            }
        }
        Self { size_pages, view, sum: sum.0 }
    }
}

/// How much of each memory is read.
struct Extent {
    /// So many pages from its start on as a whole.
    whole_pages: u64,
    /// Of the rest the beginning of every so many'th.
    step_pages: usize,
}

impl Extent {
    fn of(size_pages: u64, memories: u64, most_bytes: u64) -> Self {
        if size_pages <= most_bytes / PAGE_BYTES {
            return Self { whole_pages: size_pages, step_pages: 1 };
        }
        let half_bytes = most_bytes / 2;
        let step_pages = size_pages.div_ceil((half_bytes / BEGINNING_BYTES).max(1));
        Self {
            whole_pages: half_bytes / PAGE_BYTES / memories.max(1),
            step_pages: usize::try_from(step_pages).unwrap_or(usize::MAX),
        }
    }
}

/// A sum in which each word counts by its place: a change of one word always changes it.
struct Sum(u64);

impl Sum {
    fn add(&mut self, pages: u64, extent: &Extent, mut read: impl FnMut(u64, &mut [u8])) {
        let whole_pages = pages.min(extent.whole_pages);
        let mut buffer = vec![0; (pages.min(BUFFER_PAGES) * PAGE_BYTES) as usize];
        for page in (0..whole_pages).step_by(BUFFER_PAGES as usize) {
            let part = &mut buffer[..((whole_pages - page).min(BUFFER_PAGES) * PAGE_BYTES) as usize];
            read(page * PAGE_BYTES, part);
            self.take(part);
        }
        for page in (whole_pages..pages).step_by(extent.step_pages) {
            let part = &mut buffer[..BEGINNING_BYTES as usize];
            read(page * PAGE_BYTES, part);
            self.take(part);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let (words, _) = bytes.as_chunks::<8>();
        for word in words {
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stable::TestMemory;

    #[test]
    fn any_byte_that_is_written_shows() {
        let mut memory = TestMemory::of(vec![7; 3 * PAGE_BYTES as usize]);
        let before = Witness::of(&memory);
        for place in [0, 1, 65_535, 65_536, 100_003, 3 * PAGE_BYTES - 1] {
            memory.write(place, &[8]);
            assert_ne!(Witness::of(&memory), before, "at {place}");
            memory.write(place, &[7]);
            assert_eq!(Witness::of(&memory), before, "at {place}");
        }
        assert!(memory.grow(1));
        assert_ne!(Witness::of(&memory), before);
    }

    #[test]
    fn what_can_not_be_read_as_an_image_is_watched_too() {
        let mut damaged = b"MGR\x07".to_vec();
        damaged.resize(PAGE_BYTES as usize, 0);
        let mut memory = TestMemory::of(damaged);
        let before = Witness::of(&memory);
        memory.write(0, &[0, 0, 0]);
        assert_ne!(Witness::of(&memory), before);
    }

    #[test]
    fn an_erased_run_of_pages_shows_wherever_it_lies_in_a_state_that_is_too_large_to_read() {
        const MOST_BYTES: u64 = 8 * PAGE_BYTES;
        for (pages, run_pages) in [(64, 1), (256, 4)] {
            let mut memory = TestMemory::of(vec![7; (pages * PAGE_BYTES) as usize]);
            let before = Witness::within(&memory, MOST_BYTES);
            memory.read_bytes.set(0);
            assert_eq!(Witness::within(&memory, MOST_BYTES), before);
            // Besides the header, which says whether it is an image.
            assert!(
                memory.read_bytes.get() <= MOST_BYTES + 2 * PAGE_BYTES,
                "{} bytes",
                memory.read_bytes.get()
            );
            for first in 0..=pages - run_pages {
                let run = vec![0; (run_pages * PAGE_BYTES) as usize];
                memory.write(first * PAGE_BYTES, &run);
                assert_ne!(
                    Witness::within(&memory, MOST_BYTES),
                    before,
                    "{run_pages} from page {first} of {pages}"
                );
                memory.write(first * PAGE_BYTES, &vec![7; run.len()]);
            }
            assert_eq!(Witness::within(&memory, MOST_BYTES), before);
        }
    }
}
