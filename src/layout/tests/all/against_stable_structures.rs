//! Both ways between this crate and ic-stable-structures: what one writes, the other reads.

use crate::common::SparseMemory;
use crate::common::history::{History, Operation, assert_same_state, histories, manager};
use decant_layout::{Image, Layout, PAGE_BYTES, copies, repack};
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager};
use ic_stable_structures::{Memory, StableBTreeMap, StableCell, StableLog, VectorMemory};
use proptest::prelude::*;

fn layout_of(memory: &SparseMemory) -> Layout {
    match Image::read(memory.size(), memory.reader()).expect("ic-stable-structures wrote it") {
        Image::Managed(layout) => layout,
        other => panic!("a managed image was taken for {other:?}"),
    }
}

fn repacked(source: &SparseMemory, bucket_size_pages: u32) -> SparseMemory {
    let layout = layout_of(source);
    let plan = layout.compact(bucket_size_pages).expect("these images are small");
    let target = SparseMemory::with_pages(plan.stable_size_pages());
    repack(&layout, &plan, source.reader(), target.writer()).expect("nothing fails here");
    assert_eq!(layout_of(&target), plan, "the plan is what is read back");
    target
}

/// The same history, in two parts.
fn cut_in_two(history: &History, cut: u16) -> (History, History) {
    let at = history.operations.len() * usize::from(cut) / 65_536;
    let part = |operations: &[Operation]| History { operations: operations.to_vec(), ..history.clone() };
    (part(&history.operations[..at]), part(&history.operations[at..]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_layout_of_an_image_is_what_its_manager_says(history in histories()) {
        let memory = history.live();
        let layout = layout_of(&memory);
        let manager = manager(&memory, 1);
        prop_assert_eq!(layout.bucket_size_pages(), history.bucket_size_pages);
        for id in 0..255 {
            prop_assert_eq!(layout.memory_size_pages(id), manager.get(MemoryId::new(id)).size());
        }
        let usage = layout.usage();
        prop_assert_eq!(usage.stable_pages, memory.size());
        prop_assert_eq!(1 + usage.allocated_pages + usage.free_pages + usage.tail_pages, usage.stable_pages);
        prop_assert_eq!(usage.used_pages + usage.wasted_pages, usage.allocated_pages);
        prop_assert_eq!(usage.free_buckets, 0);
    }

    #[test]
    fn an_image_that_was_begun_before_its_source_grew_is_extended_and_read_back(
        history in histories(),
        cut in any::<u16>(),
        bucket_size_pages in prop_oneof![4 => 1..6_u32, 1 => 1..200_u32],
    ) {
        let (before, after) = cut_in_two(&history, cut);
        let source = before.live();
        let begun = layout_of(&source).compact(bucket_size_pages).expect("these images are small");
        let target = SparseMemory::with_pages(begun.stable_size_pages());
        let write = |plan: &Layout| {
            repack(&layout_of(&source), plan, source.reader(), target.writer()).expect("nothing fails here");
        };
        write(&begun);
        after.live_on(&source);
        let sizes = || layout_of(&source).memories().iter().map(|it| (it.id(), it.size_pages())).collect::<Vec<_>>();
        let extended = begun.extended(sizes()).expect("memories only grow");
        let planned = Layout::planned(sizes(), bucket_size_pages).expect("these images are small");
        prop_assert_eq!(extended.stable_size_pages(), planned.stable_size_pages(), "promise 7");
        for memory in extended.memories() {
            prop_assert!(memory.buckets().is_sorted(), "as a manager deals them out");
            if let Some(begun) = begun.memory(memory.id()) {
                prop_assert!(memory.buckets().starts_with(begun.buckets()), "nothing moves");
            }
        }
        target.grow(extended.stable_size_pages() - target.size());
        write(&extended);
        prop_assert_eq!(layout_of(&target), extended);
        assert_same_state(&source, &target);
    }

    #[test]
    fn every_byte_of_a_virtual_memory_is_read_as_its_manager_reads_it(
        history in histories(),
        fraction in any::<u16>(),
        length in 0..200_000_usize,
    ) {
        let memory = history.live();
        let layout = layout_of(&memory);
        let manager = manager(&memory, 1);
        for id in layout.memories().iter().map(|memory| memory.id()) {
            let virtual_memory = manager.get(MemoryId::new(id));
            let end = virtual_memory.size() * PAGE_BYTES;
            let offset = end * u64::from(fraction) / 65_536;
            let length = length.min((end - offset) as usize);
            let (mut theirs, mut ours) = (vec![0; length], vec![1; length]);
            virtual_memory.read(offset, &mut theirs);
            layout.read(id, offset, &mut ours, memory.reader()).expect("the range lies within the memory");
            prop_assert!(theirs == ours, "memory {id} at {offset}");
            layout.read(id, offset, &mut vec![0; (end - offset) as usize + 1], memory.reader())
                .expect_err("one byte more leaves the memory");
        }
    }

    #[test]
    fn a_repacked_image_holds_the_same_bytes_and_not_a_page_more(
        history in histories(),
        bucket_size_pages in prop_oneof![3 => 1..6_u32, 1 => 1..1025_u32],
    ) {
        let source = history.live();
        let target = repacked(&source, bucket_size_pages);
        assert_same_state(&source, &target);
        let bucket = u64::from(bucket_size_pages);
        let memories = layout_of(&source);
        let pages = memories.memories().iter().map(|memory| memory.size_pages().div_ceil(bucket) * bucket);
        prop_assert_eq!(target.size(), 1 + pages.sum::<u64>());
    }

    #[test]
    fn a_repacked_image_lives_on_as_the_original_does(
        first in histories(),
        then in histories(),
        bucket_size_pages in 1..6_u32,
    ) {
        let source = first.live();
        let target = repacked(&source, bucket_size_pages);
        then.live_on(&source);
        then.live_on(&target);
        assert_same_state_but_for_stale_pages(&source, &target, &then);
    }

    #[test]
    fn the_copies_cover_every_used_page_once(history in histories(), bucket_size_pages in 1..200_u32) {
        let original = layout_of(&history.live());
        let compact = original.compact(bucket_size_pages).expect("these images are small");
        for (source, target) in [(&original, &compact), (&compact, &original)] {
            let mut expected = Vec::new();
            for memory in source.memories() {
                let physical = |layout: &Layout, page| layout.physical_page(memory.id(), page);
                for page in 0..memory.size_pages() {
                    expected.push((memory.id(), page, physical(source, page), physical(target, page)));
                }
                prop_assert_eq!(physical(source, memory.size_pages()), None);
            }
            let mut listed = Vec::new();
            for run in copies(source, target).expect("the same memories") {
                prop_assert!(run.length_pages > 0);
                for page in 0..run.length_pages {
                    let pages = (Some(run.source_page + page), Some(run.target_page + page));
                    listed.push((run.memory, run.virtual_page + page, pages.0, pages.1));
                }
            }
            prop_assert_eq!(listed, expected);
        }
    }

    #[test]
    fn what_we_write_through_a_planned_layout_ic_stable_structures_reads(
        sizes in proptest::collection::btree_map(0..255_u8, 0..9_u64, 0..12),
        bucket_size_pages in 1..20_u32,
        seed in any::<u8>(),
    ) {
        let plan = Layout::planned(sizes.clone(), bucket_size_pages).expect("these memories are small");
        let memory = SparseMemory::with_pages(plan.stable_size_pages());
        let content = |id: u8, size_pages: u64| -> Vec<u8> {
            (0..size_pages * PAGE_BYTES).map(|index| (index % 251) as u8 ^ id ^ seed).collect()
        };
        for (&id, &size_pages) in &sizes {
            plan.write(id, 0, &content(id, size_pages), memory.writer()).expect("it fits exactly");
        }
        memory.write(0, &plan.header_page());
        let manager = manager(&memory, 77);
        for id in 0..255 {
            let virtual_memory = manager.get(MemoryId::new(id));
            let size_pages = sizes.get(&id).copied().unwrap_or(0);
            prop_assert_eq!(virtual_memory.size(), size_pages);
            let mut bytes = vec![0; (size_pages * PAGE_BYTES) as usize];
            virtual_memory.read(0, &mut bytes);
            prop_assert!(bytes == content(id, size_pages), "bytes of memory {id}");
        }
        prop_assert_eq!(memory.size(), plan.stable_size_pages());
    }
}

/// Grown pages may hold what was there before the manager or in a bucket's unused part; only pages that a
/// memory had before, and bytes that were written, must agree. Fresh pages of the repacked image are zero.
fn assert_same_state_but_for_stale_pages(source: &SparseMemory, target: &SparseMemory, then: &History) {
    let sizes_before: Vec<u64> = (0..255).map(|id| layout_of(source).memory_size_pages(id)).collect();
    let sizes_after: Vec<u64> = (0..255).map(|id| layout_of(target).memory_size_pages(id)).collect();
    assert_eq!(sizes_before, sizes_after, "grown alike by {} operations", then.operations.len());
    let (left, right) = (manager(source, 1), manager(target, 1));
    for id in 0..255_u8 {
        let (left, right) = (left.get(MemoryId::new(id)), right.get(MemoryId::new(id)));
        for page in 0..left.size() {
            let (mut theirs, mut ours) = (vec![0; PAGE_BYTES as usize], vec![0; PAGE_BYTES as usize]);
            left.read(page * PAGE_BYTES, &mut theirs);
            right.read(page * PAGE_BYTES, &mut ours);
            let stale = |(theirs, ours): (&u8, &u8)| theirs != ours && !(*theirs == 0xA5 && *ours == 0);
            assert!(!theirs.iter().zip(&ours).any(stale), "page {page} of memory {id} differs");
        }
    }
}

#[test]
fn structures_read_write_and_grow_on_after_a_repack() {
    let source = SparseMemory::default();
    {
        let manager = MemoryManager::init(source.clone());
        let mut map = StableBTreeMap::<u64, Vec<u8>, _>::init(manager.get(MemoryId::new(3)));
        let mut cell = StableCell::init(manager.get(MemoryId::new(200)), 0_u64);
        let log =
            StableLog::<Vec<u8>, _, _>::init(manager.get(MemoryId::new(1)), manager.get(MemoryId::new(0)));
        for key in 0..500 {
            map.insert(key, vec![key as u8; 300]);
            log.append(&vec![key as u8; 100]).expect("memory can grow");
        }
        cell.set(500);
    }
    assert_eq!(source.size(), 1 + 4 * 128);
    let target = repacked(&source, 1);
    assert!(target.size() < 12, "{} pages", target.size());

    let manager = MemoryManager::init(target.clone());
    let mut map = StableBTreeMap::<u64, Vec<u8>, _>::init(manager.get(MemoryId::new(3)));
    let cell = StableCell::init(manager.get(MemoryId::new(200)), 0_u64);
    let log = StableLog::<Vec<u8>, _, _>::init(manager.get(MemoryId::new(1)), manager.get(MemoryId::new(0)));
    assert_eq!((*cell.get(), map.len(), log.len()), (500, 500, 500));
    for key in 500..2_000 {
        map.insert(key, vec![key as u8; 300]);
        log.append(&vec![key as u8; 100]).expect("memory can grow");
    }
    assert!((0..2_000).all(|key| map.get(&key) == Some(vec![key as u8; 300])));
    assert!((0..2_000).all(|index| log.get(index) == Some(vec![index as u8; 100])));
}

#[test]
fn an_image_of_ours_is_loaded_from_a_plain_vector() {
    let plan = Layout::planned([(9, 2), (4, 1)], 1).expect("three pages fit");
    let mut image = plan.header_page();
    image.resize((plan.stable_size_pages() * PAGE_BYTES) as usize, 0);
    image[PAGE_BYTES as usize] = 44;
    image[2 * PAGE_BYTES as usize] = 99;
    let memory = VectorMemory::default();
    memory.replace(image);
    let manager = MemoryManager::init(memory.clone());
    let (four, nine) = (manager.get(MemoryId::new(4)), manager.get(MemoryId::new(9)));
    let mut byte = [0];
    four.read(0, &mut byte);
    assert_eq!(byte, [44]);
    nine.read(0, &mut byte);
    assert_eq!(byte, [99]);
    assert_eq!((four.grow(1), nine.grow(1), memory.size()), (1, 2, 6), "both grow by one bucket of one page");
}
