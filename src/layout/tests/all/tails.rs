//! What lies behind the last bucket: seen, named, and never dropped unasked.

use crate::common::SparseMemory;
use crate::common::history::manager;
use decant_layout::{
    Accepted, Image, Layout, Leftover, Obstacle, PAGE_BYTES, Sign, Structure, Tail, TailScan, find_managers,
};
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager};
use ic_stable_structures::{Memory, RestrictedMemory, StableBTreeMap, StableCell};
use proptest::prelude::*;

fn layout_of(memory: &SparseMemory) -> Layout {
    match Image::read(memory.size(), memory.reader()).expect("it is sound") {
        Image::Managed(layout) => layout,
        other => panic!("a managed image was taken for {other:?}"),
    }
}

fn tail_of(memory: &SparseMemory, layout: &Layout) -> Tail {
    layout.tail(memory.reader()).expect("nothing fails here")
}

fn leftover(memory: &SparseMemory) -> Leftover {
    match tail_of(memory, &layout_of(memory)) {
        Tail::InUse(leftover) => leftover,
        Tail::Nothing => panic!("something is there"),
    }
}

#[test]
fn pages_that_are_skipped_are_told_by_the_structures_that_begin_at_borders_and_by_nothing_else() {
    let layout = Layout::planned([(0, 3)], 1).expect("three buckets fit");
    let mut image = layout.header_page();
    image.resize(300 * PAGE_BYTES as usize, 0);
    let header = image[..40_000].to_vec();
    let skipped = |image: &[u8]| {
        let layout = Layout::parse(&header, 300).expect("it is sound");
        let mut scan = TailScan::new(&layout);
        let mut read_bytes = 0;
        while let Some((offset, length)) = scan.wants(4) {
            scan.saw(&image[offset as usize..][..length]);
            scan.skip_to_signs();
            read_bytes += length;
        }
        assert!(read_bytes < 5 * PAGE_BYTES as usize, "{read_bytes} bytes");
        scan.tail()
    };
    assert_eq!(skipped(&image), None, "nobody looked at all of it");
    // Where an earlier manager with buckets of 128 pages had its second one.
    image[129 * PAGE_BYTES as usize..][..4].copy_from_slice(b"BTR\x01");
    let Some(Tail::InUse(leftover)) = skipped(&image) else { panic!("a structure begins there") };
    assert_eq!((leftover.first_page_in_use, leftover.signs.len()), (129, 1), "{leftover}");
}

#[test]
fn a_tail_of_zeros_is_no_tail() {
    let memory = SparseMemory::default();
    manager(&memory, 4).get(MemoryId::new(0)).grow(1);
    assert_eq!(tail_of(&memory, &layout_of(&memory)), Tail::Nothing, "nothing is behind it");
    memory.grow(1_000);
    let layout = layout_of(&memory);
    assert_eq!(layout.usage().tail_pages, 1_000);
    let tail = tail_of(&memory, &layout);
    assert_eq!(tail, Tail::Nothing);
    assert_eq!(layout.check(&tail, Accepted::default()), Ok(()));
    memory.write(1_005 * PAGE_BYTES - 1, &[1]);
    assert_eq!(leftover(&memory).first_page_in_use, 1_004, "a single byte, the last one");
}

#[test]
fn data_that_live_behind_a_restricted_manager_are_named_and_not_dropped() {
    // field.md 4: a manager over pages 0 to 1,024, a cell in 1,025 to 1,039.
    let memory = SparseMemory::default();
    let manager = MemoryManager::init(RestrictedMemory::new(memory.clone(), 0..1_025));
    StableCell::init(RestrictedMemory::new(memory.clone(), 1_025..1_040), vec![1_u8; 1_024]);
    manager.get(MemoryId::new(0)).grow(1);
    let leftover = leftover(&memory);
    assert_eq!((leftover.pages.clone(), leftover.first_page_in_use), (129..1_026, 1_025));
    assert_eq!(leftover.signs, [Sign { page: 1_025, structure: Structure::Cell }]);
    let layout = layout_of(&memory);
    let obstacle = layout.check(&Tail::InUse(leftover.clone()), Accepted::default());
    assert_eq!(obstacle, Err(Obstacle::Tail(leftover.clone())));
    let text = obstacle.expect_err("it is refused").to_string();
    for words in
        ["page 1025 is not zero", "StableCell at page 1025", "897 pages, 129 to 1025", "only its code tells"]
    {
        assert!(text.contains(words), "{words:?} is not in {text:?}");
    }
    let known = Accepted { tail_is_dropped: true, ..Accepted::default() };
    assert_eq!(layout.check(&Tail::InUse(leftover), known), Ok(()), "whoever knows better says so");
}

#[test]
fn what_an_earlier_manager_left_is_shown_as_that() {
    // field.md 5: orbit #474, open-chat #4601: the magic is overwritten and the manager set up with smaller buckets.
    let memory = SparseMemory::default();
    let open = |bucket_size_pages| -> Vec<StableBTreeMap<u64, Vec<u8>, _>> {
        let manager = manager(&memory, bucket_size_pages);
        (0..3).map(|id| StableBTreeMap::init(manager.get(MemoryId::new(id)))).collect()
    };
    open(128).iter_mut().for_each(|map| assert_eq!(map.insert(1, vec![5; 100]), None));
    assert_eq!(memory.size(), 385);
    memory.write(0, &[0; 3]);
    open(16).iter_mut().for_each(|map| assert_eq!(map.insert(2, vec![6; 100]), None));
    let leftover = leftover(&memory);
    assert_eq!((leftover.pages.clone(), leftover.first_page_in_use), (49..385, 129));
    let map = |page| Sign { page, structure: Structure::BTreeMap };
    assert_eq!(leftover.signs, [map(129), map(257)]);
    assert_eq!(leftover.earlier_bucket_pages, Some(128));
    assert!(leftover.to_string().contains("a MemoryManager with buckets of 128 pages"), "{leftover}");
}

#[test]
fn what_a_larger_raw_image_left_has_no_signs() {
    let memory = SparseMemory::with_pages(40);
    (0..40).for_each(|page| memory.write(page * PAGE_BYTES, &[0xA5; 100]));
    manager(&memory, 4).get(MemoryId::new(0)).grow(1);
    let leftover = leftover(&memory);
    assert_eq!((leftover.pages, leftover.first_page_in_use), (5..40, 5));
    assert_eq!((leftover.signs, leftover.earlier_bucket_pages), (vec![], None));
}

#[test]
fn a_second_manager_behind_the_first_is_a_tail_of_it_and_the_first_is_a_prefix_of_the_second() {
    let memory = SparseMemory::default();
    manager(&RestrictedMemory::new(memory.clone(), 0..64), 16).get(MemoryId::new(0)).grow(2);
    memory.grow(64 - memory.size());
    manager(&RestrictedMemory::new(memory.clone(), 64..1_000), 128).get(MemoryId::new(0)).grow(1);
    assert_eq!(leftover(&memory).signs.first(), Some(&Sign { page: 64, structure: Structure::Manager }));
    let found = find_managers(memory.size(), memory.reader()).expect("nothing fails here");
    let [first, second] = &found[..] else { panic!("{found:?}") };
    assert_eq!(first, &layout_of(&memory));
    assert_eq!((second.manager_page(), tail_of(&memory, second)), (64, Tail::Nothing));
}

/// As a coordinator does it: by calls, with slices of its own, some of them cut short.
fn scanned_through_calls(memory: &SparseMemory, layout: &Layout, slice_pages: u64, is_cut: bool) -> Tail {
    let mut scan = TailScan::new(layout);
    let mut calls = 0;
    while let Some((offset, length)) = scan.wants(slice_pages) {
        let mut bytes = vec![0; length];
        memory.read(offset, &mut bytes);
        calls += 1;
        if is_cut && calls % 2 == 0 && length > PAGE_BYTES as usize {
            bytes.truncate(length - 1);
        }
        scan.saw(&bytes);
    }
    assert!(calls <= 60 + layout.usage().tail_pages * 2, "{calls} calls");
    scan.tail().expect("nothing is wanted any more")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_way_to_look_finds_the_first_page_that_is_not_zero(
        tail_pages in 0..300_u64,
        used in proptest::collection::vec((0..300_u64, 0..PAGE_BYTES, 1..=255_u8), 0..3),
        signs in proptest::collection::vec((0..300_u64, prop_oneof![Just(b"BTR\x02"), Just(b"SCL\x01"), Just(b"MGR\x01")]), 0..3),
        manager_page in prop_oneof![Just(0), 1..60_u32],
        slice_pages in 0..40_u64,
        is_cut in any::<bool>(),
    ) {
        let layout = Layout::planned_at(manager_page, [(0, 3)], 2).expect("two buckets fit");
        let begin = layout.stable_size_pages();
        let memory = SparseMemory::with_pages(begin + tail_pages);
        // Garbage in the buckets is not looked at.
        memory.write((begin - 1) * PAGE_BYTES, &[1; 100]);
        memory.write(layout.header_offset_bytes(), &layout.header_page());
        for &(page, offset, byte) in used.iter().filter(|(page, ..)| *page < tail_pages) {
            memory.write((begin + page) * PAGE_BYTES + offset, &[byte]);
        }
        for &(page, sign) in signs.iter().filter(|(page, _)| *page < tail_pages) {
            memory.write((begin + page) * PAGE_BYTES, sign);
        }
        let Ok(Image::Managed(layout)) = Image::read_at(manager_page, memory.size(), memory.reader()) else {
            panic!("it was just written");
        };
        let first = used.iter().map(|(page, ..)| *page).chain(signs.iter().map(|(page, _)| *page))
            .filter(|&page| page < tail_pages).min();
        let tail = tail_of(&memory, &layout);
        match &tail {
            Tail::Nothing => prop_assert_eq!(first, None),
            Tail::InUse(leftover) => {
                prop_assert_eq!(first.map(|page| begin + page), Some(leftover.first_page_in_use));
                prop_assert_eq!(&leftover.pages, &(begin..begin + tail_pages));
                prop_assert!(leftover.signs.iter().all(|sign| leftover.pages.contains(&sign.page)));
                prop_assert!(leftover.signs.is_sorted_by_key(|sign| sign.page));
            }
        }
        prop_assert_eq!(scanned_through_calls(&memory, &layout, slice_pages, is_cut), tail.clone());
        // Interrupted after each read.
        let mut scan = TailScan::new(&layout);
        let interrupted = loop {
            if let Some(tail) = scan.run(slice_pages, memory.reader(), || false).expect("nothing fails here") {
                break tail;
            }
        };
        prop_assert_eq!(interrupted, tail);
    }
}
