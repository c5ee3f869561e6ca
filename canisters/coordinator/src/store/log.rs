//! The latest changes of jobs, for people and their tools: a ring in stable memory. The platform's own log gets the same
//! lines, a change each, never a look.

use super::kept::{Level, Line};
use super::records::Record;
use super::{Memory, memory};
use ic_stable_structures::{StableBTreeMap, StableCell};
use std::cell::RefCell;

/// Lines that are kept.
const LINES: u64 = 4_096;
/// Bytes of a line's text: the platform keeps 4 KiB of all lines together by default.
const TEXT_BYTES: usize = 240;

thread_local! {
    static RING: RefCell<StableBTreeMap<u64, Vec<u8>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(19)));
    static NEXT: RefCell<StableCell<u64, Memory>> = RefCell::new(StableCell::init(memory(22), 1));
}

/// Keeps a line, and tells it the platform's log.
pub(crate) fn append(mut line: Line) {
    line.text.truncate(line.text.floor_char_boundary(TEXT_BYTES));
    ic_cdk::println!("{} {}", line.level.name(), line.text);
    let number = NEXT.with_borrow(|next| *next.get());
    RING.with_borrow_mut(|ring| ring.insert(number % LINES, line.encode()));
    NEXT.with_borrow_mut(|next| next.set(number + 1));
}

/// The latest lines of a level or above since then, newest first.
pub(crate) fn latest(level: Level, since_nanos: u64, limit: usize) -> Vec<(u64, Line)> {
    let next = NEXT.with_borrow(|next| *next.get());
    let read = |number: u64| {
        let bytes = RING.with_borrow(|ring| ring.get(&(number % LINES)))?;
        Some((number, Line::decode(&bytes).ok()?))
    };
    (next.saturating_sub(LINES).max(1)..next)
        .rev()
        .filter_map(read)
        .take_while(|(_, line)| line.at_nanos >= since_nanos)
        .filter(|(_, line)| line.level >= level)
        .take(limit)
        .collect()
}
