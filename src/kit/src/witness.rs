//! Whether a hook wrote to stable memory.

use decant_transfer::PAGE_BYTES;

use crate::limits::WITNESS_BYTES;
use crate::stable::Stable;
use crate::view::View;

/// Pages that are read at a time.
const BUFFER_PAGES: u64 = 16;
/// An odd number without a pattern: the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// What stable memory held at a moment: enough to see that somebody wrote, not to decide a deletion.
///
/// Of more than 512 MiB only the beginning of each memory is in it. Whoever erases what was read does it there: that is
/// where lengths, magics and the headers of structures are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Witness {
    size_pages: u64,
    /// None if it is no image: its first pages are in the sum then.
    view: Option<View>,
    sum: u64,
}

impl Witness {
    /// What is there now.
    pub(crate) fn of(stable: &impl Stable) -> Self {
        let size_pages = stable.size_pages();
        let view = View::of(stable).ok();
        let mut sum = Sum(0);
        let most_pages = WITNESS_BYTES / PAGE_BYTES;
        match &view {
            Some(view) => {
                let memories = view.shape().memories();
                let share_pages = match view.shape().size_pages() <= most_pages {
                    true => most_pages,
                    false => most_pages / memories.len().max(1) as u64,
                };
                for memory in memories {
                    sum.add(memory.size_pages.min(share_pages), |offset_bytes, buffer| {
                        // Pages of a view can be read.
                        let _ = view.read(stable, memory.id, offset_bytes, buffer);
                    });
                }
            }
            None => {
                sum.add(size_pages.min(most_pages), |offset_bytes, buffer| stable.read(offset_bytes, buffer))
            }
        }
        Self { size_pages, view, sum: sum.0 }
    }
}

/// A sum in which each word counts by its place: a change of one word always changes it.
struct Sum(u64);

impl Sum {
    fn add(&mut self, pages: u64, mut read: impl FnMut(u64, &mut [u8])) {
        let mut buffer = vec![0; (pages.min(BUFFER_PAGES) * PAGE_BYTES) as usize];
        for page in (0..pages).step_by(BUFFER_PAGES as usize) {
            let part = &mut buffer[..((pages - page).min(BUFFER_PAGES) * PAGE_BYTES) as usize];
            read(page * PAGE_BYTES, part);
            let (words, _) = part.as_chunks::<8>();
            for word in words {
                self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
            }
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
}
