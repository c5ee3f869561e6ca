//! What lies behind the manager is in no digest and moves nowhere: a source that has something there is not sealed.

use super::*;
use crate::sealing::Sealing;
use crate::stable::TestMemory;
use crate::view::{self, Told};
use decant_api::source::LayoutSummary;
use decant_layout::{Accepted, Layout};

const PAGE: usize = PAGE_BYTES as usize;

/// A manager with a memory of three pages in buckets of 2, and pages behind them.
fn managed(pages_behind: usize) -> TestMemory {
    let layout = Layout::planned([(0, 3)], 2).expect("two buckets fit");
    let mut bytes = layout.header_page();
    bytes.resize((layout.stable_size_pages() as usize + pages_behind) * PAGE, 0);
    bytes[PAGE..][..5].copy_from_slice(b"state");
    TestMemory::of(bytes)
}

/// The same with a cell that lives 10 pages behind the manager, where the dapp reaches it by page number.
fn with_cell() -> TestMemory {
    let mut memory = managed(40);
    memory.bytes[(5 + 10) * PAGE..][..8].copy_from_slice(b"SCL\x01\x00\x00\x00\x00");
    memory
}

fn sealed(memory: &TestMemory) -> Result<Sealing, KitError> {
    let mut sealing = Sealing::new(memory, Told::default(), Vec::new())?;
    while let SealProgress::Working { .. } = sealing.run(memory, || false)? {}
    Ok(sealing)
}

fn reason(result: Result<impl Sized, KitError>) -> String {
    match result.err().expect("it is refused") {
        KitError::Layout { reason } => reason,
        other => panic!("{other}"),
    }
}

#[test]
fn live_data_behind_the_manager_refuse_the_seal_with_their_place() {
    let reason = reason(sealed(&with_cell()));
    for words in ["page 15 is not zero", "StableCell at page 15", "among 40 pages, 5 to 44"] {
        assert!(reason.contains(words), "{words:?} is not in {reason:?}");
    }
}

#[test]
fn zeros_behind_the_manager_are_nothing() {
    assert!(sealed(&managed(40)).is_ok());
    let summary = view::summary(&managed(40), Told::default());
    assert!(matches!(summary, LayoutSummary::Managed { used_pages: 3, .. }), "{summary:?}");
}

#[test]
fn whoever_asks_is_told_before_anything_is_frozen() {
    let LayoutSummary::Unreadable { reason } = view::summary(&with_cell(), Told::default()) else {
        panic!("it can't be moved")
    };
    assert!(reason.contains("page 15 is not zero"), "{reason}");
    // Further behind than a summary looks: the seal does.
    let mut memory = managed(200);
    *memory.bytes.last_mut().expect("there are pages") = 1;
    memory.read_bytes.set(0);
    assert!(matches!(view::summary(&memory, Told::default()), LayoutSummary::Managed { .. }));
    assert!(memory.read_bytes.get() < 5 << 20, "{} bytes for a summary", memory.read_bytes.get());
    assert!(self::reason(sealed(&memory)).contains("page 204 is not zero"));
}

#[test]
fn what_is_written_behind_the_manager_after_the_seal_is_found_when_it_is_looked_at_again() {
    let mut memory = managed(2);
    let mut sealing = sealed(&memory).expect("nothing is there");
    *memory.bytes.last_mut().expect("there are pages") = 1;
    let rechecked = sealing.sealed().expect("all is hashed").recheck(&memory, false, || true, &[]);
    assert!(reason(rechecked).contains("page 6 is not zero"));
}

#[test]
fn a_look_behind_the_manager_reads_a_chunk_a_slice() {
    let memory = managed(100);
    let mut hashing = Hashing::new(View::of(&memory).expect("it is an image"));
    let mut slices = 0;
    loop {
        memory.read_bytes.set(0);
        let progress = hashing.run(&memory, || false).expect("nothing is there");
        assert!(memory.read_bytes.get() <= 2 * hashing.chunk_bytes(), "{} bytes", memory.read_bytes.get());
        slices += 1;
        if progress == Slicing::Done {
            break;
        }
    }
    assert!((100..=104).contains(&slices), "{slices} slices");
}

#[test]
fn what_may_be_left_behind_does_not_refuse() {
    let memory = with_cell();
    let accepted = Accepted { tail_is_dropped: true, ..Accepted::default() };
    let mut hashing =
        Hashing::new(View::told(&memory, Told { accepted, manager_page: 0 }).expect("it is an image"));
    assert_eq!(hashing.run(&memory, || true), Ok(Slicing::Done));
}

#[test]
fn a_manager_in_a_memory_of_another_one_is_not_moved_by_itself() {
    let mut memory = managed(0);
    let inner = Layout::planned([(0, 1)], 1).expect("a bucket fits").header_page();
    memory.bytes[PAGE..2 * PAGE].copy_from_slice(&inner);
    let told = Told { manager_page: 1, ..Told::default() };
    let mut sealing = Sealing::new(&memory, told, Vec::new()).expect("a manager begins there");
    let sealed = loop {
        match sealing.run(&memory, || false) {
            Ok(SealProgress::Working { .. }) => {}
            ended => break ended,
        }
    };
    let inside = "page 1 lies inside of the MemoryManager at page 0, which ends at page 5";
    assert!(reason(sealed).contains(inside));
    let LayoutSummary::Unreadable { reason } = view::summary(&memory, told) else {
        panic!("it can't be moved")
    };
    assert!(reason.contains(inside), "{reason}");
}

#[test]
fn free_buckets_refuse_the_seal_because_the_heap_may_know_another_order() {
    let mut memory = managed(0);
    // The memory is freed as `reclaim_memory` of ic-stable-structures 0.7.1 does: size 0, owners 255.
    memory.bytes[40] = 0;
    memory.bytes[2_080..2_082].fill(255);
    assert!(reason(sealed(&memory)).contains("2 buckets are free"));
    assert!(matches!(view::summary(&memory, Told::default()), LayoutSummary::Unreadable { .. }));
}
