//! What many records say alike, once: they have its number. Of what is never removed nothing is made room for.

use super::{Memory, memory};
use ic_stable_structures::StableBTreeMap;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Most that is shared: what comes after it stands where it is used. It is kept on the heap too.
const MOST: u32 = 4_096;

thread_local! {
    static SHARED: RefCell<StableBTreeMap<u32, Vec<u8>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(28)));
    /// The same by number, and by what it is.
    static KNOWN: RefCell<Known> = RefCell::new(Known::read());
}

#[derive(Default)]
struct Known {
    by_number: Vec<Vec<u8>>,
    numbers: BTreeMap<Vec<u8>, u32>,
}

impl Known {
    fn read() -> Self {
        let mut known = Self::default();
        SHARED.with_borrow(|shared| shared.values().for_each(|bytes| known.add(bytes)));
        known
    }

    fn add(&mut self, bytes: Vec<u8>) {
        let number = u32::try_from(self.by_number.len()).unwrap_or(MOST);
        self.numbers.insert(bytes.clone(), number);
        self.by_number.push(bytes);
    }
}

/// The number of these bytes, which they get if there is room.
pub(super) fn number_of(bytes: &[u8]) -> Option<u32> {
    KNOWN.with_borrow_mut(|known| {
        if let Some(number) = known.numbers.get(bytes) {
            return Some(*number);
        }
        let number = u32::try_from(known.by_number.len()).ok().filter(|number| *number < MOST)?;
        SHARED.with_borrow_mut(|shared| shared.insert(number, bytes.to_vec()));
        known.add(bytes.to_vec());
        Some(number)
    })
}

/// What has a number.
pub(super) fn of_number<R>(number: u32, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
    KNOWN.with_borrow(|known| known.by_number.get(usize::try_from(number).ok()?).map(|bytes| read(bytes)))
}
