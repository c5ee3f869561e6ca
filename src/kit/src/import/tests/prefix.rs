//! Managers that begin at another page: what lies before them arrives with the rest.

use super::*;
use crate::view::Told;

/// Noise in the pages before a manager and in those of a virtual memory of three pages in large buckets.
fn behind(manager_page: u32) -> TestMemory {
    let layout = Layout::planned_at(manager_page, [(7, 3)], 128).expect("it fits");
    let mut memory = TestMemory::default();
    assert!(memory.grow(layout.stable_size_pages()));
    memory.write(0, &noise(1, manager_page as usize * PAGE));
    memory.write(layout.header_offset_bytes(), &layout.header_page());
    let first = layout.physical_page(7, 0).expect("the page exists");
    memory.write(first * PAGE_BYTES, &noise(2, 3 * PAGE));
    memory
}

#[test]
fn what_lies_before_a_manager_arrives_byte_for_byte_and_its_memories_behind_it() {
    for manager_page in [1, 48] {
        let source = behind(manager_page);
        let told = Told { manager_page, ..Told::default() };
        let mut sealing = Sealing::new(&source, told, Vec::new()).expect("it is an image");
        while let SealProgress::Working { .. } = sealing.run(&source, || false).expect("it hashes") {}
        let sealed = sealing.sealed().expect("it is sealed");
        let (mut import, mut target) = (Import::new(1), TestMemory::default());
        pull(&mut import, &source, sealed, &mut target);
        // Whether it believes what it wrote, or reads all of it.
        let mut found = import.verify(&target, false, || true);
        while let Ok(Verdict::Working(_)) = found {
            found = import.verify(&target, false, || true);
        }
        assert_eq!(found, Ok(Verdict::Load));
        let before = manager_page as usize * PAGE;
        assert_eq!(target.bytes[..before], source.bytes[..before]);
        assert_eq!(target.size_pages(), u64::from(manager_page) + 1 + 3);
        assert_eq!(target.bytes[before + PAGE..], noise(2, 3 * PAGE));
        assert!(sealed.recheck(&source, false, || true, &[]).is_ok(), "it is found there again");
    }
}

#[test]
fn a_manager_that_nobody_told_of_is_raw_and_arrives_as_it_is() {
    let source = behind(1);
    assert_eq!(moved(&source, 1).bytes, source.bytes);
}
