//! Images that no manager of today writes and that are there nevertheless: each is read, or refused with a sentence that
//! is true and advice that can do no harm.

use crate::common::SparseMemory;
use crate::common::history::{assert_same_state, histories, manager};
use decant_layout::{
    Accepted, Image, Layout, LayoutError, Obstacle, PAGE_BYTES, Structure, Tail, check_place, find_managers,
    repack,
};
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager};
use ic_stable_structures::{Memory, StableBTreeMap, StableCell};
use proptest::prelude::*;

fn layout_of(memory: &SparseMemory) -> Layout {
    match Image::read(memory.size(), memory.reader()).expect("it is sound") {
        Image::Managed(layout) => layout,
        other => panic!("a managed image was taken for {other:?}"),
    }
}

fn repacked(source: &SparseMemory, bucket_size_pages: u32) -> SparseMemory {
    let layout = layout_of(source);
    let plan = layout.compact(bucket_size_pages).expect("these images are small");
    let target = SparseMemory::with_pages(plan.stable_size_pages());
    repack(&layout, &plan, source.reader(), target.writer()).expect("nothing fails here");
    target
}

#[test]
fn a_manager_in_the_only_memory_of_another_one_is_not_moved_by_itself() {
    let memory = SparseMemory::default();
    let outer = MemoryManager::init(memory.clone());
    let inner = MemoryManager::init_with_bucket_size(outer.get(MemoryId::new(0)), 16);
    assert_eq!(inner.get(MemoryId::new(5)).grow(1), 0);
    // It begins where the outer one has its first bucket.
    let Ok(Image::Managed(layout)) = Image::read_at(1, memory.size(), memory.reader()) else {
        panic!("a manager begins at page 1")
    };
    let place = |page| check_place(page, memory.size(), memory.reader()).expect("nothing fails here");
    let inside = Obstacle::Inside { manager_page: layout.manager_page(), outer_page: 0, end_page: 129 };
    assert_eq!(place(1), Err(inside));
    assert!(matches!(place(128), Err(Obstacle::Inside { .. })));
    assert_eq!([place(0), place(129)], [Ok(()), Ok(())], "the outer one, and what is behind it");
}

#[test]
fn a_manager_inside_a_virtual_memory_is_found_with_its_waste_and_moves_as_it_is() {
    // As stable-fs and Azle have it: an outer manager, and one of ten memories inside memory 254 (field.md 7).
    let memory = SparseMemory::default();
    let outer = MemoryManager::init(memory.clone());
    let mut map = StableBTreeMap::<u64, u64, _>::init(outer.get(MemoryId::new(3)));
    map.insert(1, 2);
    let inner = MemoryManager::init(outer.get(MemoryId::new(254)));
    for id in 0..10 {
        StableCell::init(inner.get(MemoryId::new(id)), vec![id; 10]);
    }
    outer.get(MemoryId::new(7)).grow(1);
    let layout = layout_of(&memory);
    assert_eq!(layout.memory_size_pages(254), 1 + 10 * 128);
    let contents = layout.contents(memory.reader()).expect("nothing fails here");
    let found: Vec<_> = contents.iter().map(|it| (it.memory, it.structure)).collect();
    let expected = [(3, Some(Structure::BTreeMap)), (7, None), (254, Some(Structure::Manager))];
    assert_eq!(found, expected);
    let nested = contents[2].nested_usage().expect("it is sound");
    assert_eq!((nested.used_pages, nested.reclaimable_pages()), (10, 1_270));
    assert_eq!((contents[0].nested_usage(), contents[1].nested_usage()), (None, None));
    assert_eq!(
        find_managers(memory.size(), memory.reader()),
        Ok(vec![layout]),
        "it is inside of the buckets"
    );

    let target = repacked(&memory, 1);
    assert_same_state(&memory, &target);
    let inner = MemoryManager::init(MemoryManager::init(target.clone()).get(MemoryId::new(254)));
    for id in 0..10 {
        let mut cell = StableCell::init(inner.get(MemoryId::new(id)), Vec::new());
        assert_eq!(cell.get(), &vec![id; 10]);
        cell.set(vec![id; 300_000]);
    }
    inner.get(MemoryId::new(11)).grow(200);
    assert_eq!(StableCell::init(inner.get(MemoryId::new(9)), Vec::new()).get(), &vec![9; 300_000]);
}

#[test]
fn a_damaged_manager_inside_a_memory_is_bytes_like_any_others() {
    let memory = SparseMemory::default();
    let outer = manager(&memory, 2).get(MemoryId::new(0));
    outer.grow(2);
    outer.write(0, b"MGR\x01 but what follows is text, which is no header");
    let contents = layout_of(&memory).contents(memory.reader()).expect("nothing fails here");
    assert_eq!((contents[0].structure, &contents[0].nested), (Some(Structure::Manager), &None));
}

fn refused(header: &[u8]) -> String {
    let mut page = header.to_vec();
    page.resize(PAGE_BYTES as usize, 0);
    Image::parse(&page, 300).expect_err("it is no layout").to_string()
}

#[test]
fn nobody_is_told_to_restore_or_to_give_up_what_only_happens_to_begin_like_a_manager() {
    let text = refused(b"MGReetings, dear reader, this is the raw state of a canister that serves well");
    assert!(text.contains("another MemoryManager wrote it, or these are other data"), "{text}");
    // ic-stable-structures #236 has a version 2 with bucket ids in the header.
    let text = refused(b"MGR\x02\x05\x00\x80\x00");
    assert!(text.contains("layout version 2 is not known") && !text.contains("damaged"), "{text}");
    let reserved = refused(b"MGR\x01\x00\x00\x80\x00\x01");
    assert!(reserved.contains("reserved byte at offset 8") && !reserved.contains("damaged"), "{reserved}");
    for bytes in [&b"MGR\x01\x00\x00\x00\x00"[..], b"MGR\x01\xff\xff\x80\x00", b"MGR\x01\x00\x00\x01\x00"] {
        let text = refused(bytes);
        assert!(text.contains("if the canister serves well, leave it as it is"), "{text}");
        assert!(!text.contains("restore") && !text.contains("again"), "{text}");
    }
}

#[test]
fn free_buckets_are_an_obstacle_unless_somebody_looked() {
    let mut header = Layout::planned([(0, 2), (1, 2)], 1).expect("four buckets fit").header_page();
    // Memory 0 is freed, as `reclaim_memory` of version 0.7.1 does: size 0, owner 255.
    header[40] = 0;
    header[2_080..2_082].fill(255);
    let layout = Layout::parse(&header, 5).expect("it is sound");
    let obstacle = layout.check(&Tail::Nothing, Accepted::default());
    assert_eq!(obstacle, Err(Obstacle::FreeBuckets { free_buckets: 2 }));
    assert_eq!(layout.check_buckets(Accepted::default()), Err(Obstacle::FreeBuckets { free_buckets: 2 }));
    let text = obstacle.expect_err("it is refused").to_string();
    assert!(text.contains("0.7.1") && text.contains("scrambles"), "{text}");
    let looked = Accepted { free_buckets: true, ..Accepted::default() };
    assert_eq!(layout.check(&Tail::Nothing, looked), Ok(()));
}

#[test]
fn a_header_that_was_made_by_hand_over_a_last_bucket_that_is_cut_short_is_read() {
    // As Internet Identity #1566 has it: three buckets said to be allocated, pages only as far as they are used.
    let mut header = Layout::planned([(0, 100), (2, 130)], 128).expect("three buckets fit").header_page();
    let layout = Layout::parse(&header, 1 + 2 * 128 + 2).expect("every page in use is there");
    let usage = layout.usage();
    assert_eq!((usage.missing_pages, usage.wasted_pages, usage.reclaimable_pages()), (126, 28 + 126, 28));
    let one_less = Layout::parse(&header, 1 + 2 * 128 + 1);
    assert_eq!(one_less, Err(LayoutError::OutOfBounds { end_pages: 385, stable_size_pages: 258 }));
    // With 129 pages one page of the last bucket is enough. A fourth bucket, of which nothing is there, is damage.
    header[40 + 2 * 8] = 129;
    assert!(Layout::parse(&header, 258).is_ok());
    header[4] = 4;
    let a_bucket_too_many = Layout::parse(&header, 385);
    assert_eq!(a_bucket_too_many, Err(LayoutError::OutOfBounds { end_pages: 513, stable_size_pages: 385 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_image_cut_behind_its_last_page_in_use_is_repacked_and_used_on_as_if_it_were_whole(
        first in histories(),
        then in histories(),
        bucket_size_pages in 1..6_u32,
        cut in any::<u16>(),
    ) {
        let whole = first.live();
        let layout = layout_of(&whole);
        let ends = layout.memories().iter().flat_map(|memory| layout.runs(memory.id()));
        let used_end = ends.map(|run| run.physical_page + run.length_pages).fold(1, u64::max);
        let size_pages = used_end + (whole.size() - used_end) * u64::from(cut) / 65_536;
        let cut = SparseMemory::with_pages(size_pages);
        for page in 0..size_pages {
            let mut bytes = vec![0; PAGE_BYTES as usize];
            whole.read(page * PAGE_BYTES, &mut bytes);
            cut.write(page * PAGE_BYTES, &bytes);
        }
        let target = repacked(&cut, bucket_size_pages);
        assert_same_state(&whole, &target);
        let (usage, plan) = (layout_of(&cut).usage(), layout_of(&target).usage());
        prop_assert_eq!(plan.missing_pages, 0);
        let compact = layout.compact(1).expect("these images are small");
        prop_assert_eq!(usage.reclaimable_pages(), size_pages - compact.stable_size_pages());
        // The manager itself grows what is missing.
        then.live_on(&cut);
        then.live_on(&target);
        let sizes = |memory: &SparseMemory| -> Vec<u64> {
            (0..255).map(|id| layout_of(memory).memory_size_pages(id)).collect()
        };
        prop_assert_eq!(sizes(&cut), sizes(&target));
    }

    #[test]
    fn no_bytes_make_a_search_or_a_look_panic_or_hold_much(
        pages in proptest::collection::vec(
            (0..600_u64, prop_oneof![Just(true), any::<bool>()], proptest::collection::vec(any::<u8>(), 0..200)),
            0..20,
        ),
        size_pages in prop_oneof![0..3_u64, 0..700_u64, Just(1 << 33), any::<u64>()],
    ) {
        let memory = SparseMemory::with_pages(1_000_000);
        for (page, is_manager, bytes) in &pages {
            memory.write(page * PAGE_BYTES + if *is_manager { 4 } else { 0 }, bytes);
            if *is_manager {
                memory.write(page * PAGE_BYTES, b"MGR\x01");
            }
        }
        let mut read_bytes = 0;
        let read = |offset: u64, buffer: &mut [u8]| {
            read_bytes += buffer.len();
            let is_there = offset / PAGE_BYTES < 1_000_000;
            if is_there { memory.read(offset, buffer) } else { buffer.fill(0) }
            Ok::<(), std::convert::Infallible>(())
        };
        let found = find_managers(size_pages, read).expect("nothing fails here");
        prop_assert!(found.len() <= 8);
        prop_assert!(read_bytes <= 300 * 4 + 20 * 34_848, "{read_bytes} bytes were read");
        for layout in &found {
            prop_assert!(u64::from(layout.manager_page()) < size_pages);
            for memory in layout.memories() {
                let ends = layout.runs(memory.id()).map(|run| run.physical_page + run.length_pages);
                prop_assert!(ends.max() <= Some(size_pages));
            }
            let _ = decant_layout::TailScan::new(layout).wants(u64::MAX);
        }
    }
}
