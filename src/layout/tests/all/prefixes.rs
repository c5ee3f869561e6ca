//! Managers that do not begin at page 0: what lies before them is somebody else's and stays as it is.

use crate::common::SparseMemory;
use crate::common::history::{assert_same_state, histories, manager};
use decant_layout::{Image, Layout, PAGE_BYTES, PREFIX, copies, find_managers, repack};
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager};
use ic_stable_structures::{Memory, RestrictedMemory, StableBTreeMap, StableCell, StableLog};
use proptest::prelude::*;

/// The stable memory behind a page, as canisters with a manager there see it.
fn behind(memory: &SparseMemory, page: u32) -> RestrictedMemory<SparseMemory> {
    RestrictedMemory::new(memory.clone(), u64::from(page)..1 << 32)
}

/// The pages before it.
fn before(memory: &SparseMemory, page: u32) -> RestrictedMemory<SparseMemory> {
    RestrictedMemory::new(memory.clone(), 0..u64::from(page))
}

fn found(memory: &SparseMemory) -> Vec<Layout> {
    find_managers(memory.size(), memory.reader()).expect("nothing fails here")
}

fn only_one(memory: &SparseMemory) -> Layout {
    let [layout] = <[Layout; 1]>::try_from(found(memory)).expect("there is one");
    layout
}

fn repacked(source: &SparseMemory, layout: &Layout, bucket_size_pages: u32) -> SparseMemory {
    let plan = layout.compact(bucket_size_pages).expect("these images are small");
    let target = SparseMemory::with_pages(plan.stable_size_pages());
    let repacked = repack(layout, &plan, source.reader(), target.writer()).expect("nothing fails here");
    assert_eq!(repacked.written_pages + repacked.zero_pages, layout.copied_pages());
    let read = Image::read_at(plan.manager_page(), target.size(), target.reader());
    assert_eq!(read, Ok(Image::Managed(plan)), "the plan is what is read back");
    target
}

fn pages(memory: &SparseMemory, pages: std::ops::Range<u64>) -> Vec<u8> {
    let mut bytes = vec![0; ((pages.end - pages.start) * PAGE_BYTES) as usize];
    memory.read(pages.start * PAGE_BYTES, &mut bytes);
    bytes
}

type Config = StableCell<Vec<u8>, RestrictedMemory<SparseMemory>>;
type Blocks = StableLog<Vec<u8>, Inner, Inner>;
type Inner = ic_stable_structures::memory_manager::VirtualMemory<RestrictedMemory<SparseMemory>>;

/// As the ICRC-1 archive of dfinity/ic (`rs/ledger_suite/icrc1/archive/src/main.rs`): a cell in page 0, a manager of two
/// memories from page 1 on.
fn archive(memory: &SparseMemory) -> (Config, Blocks) {
    let config = StableCell::init(before(memory, 1), b"the configuration".to_vec());
    let manager = MemoryManager::init(behind(memory, 1));
    let blocks = StableLog::init(manager.get(MemoryId::new(0)), manager.get(MemoryId::new(1)));
    (config, blocks)
}

#[test]
fn an_archive_is_found_behind_its_configuration_repacked_and_used_on() {
    let memory = SparseMemory::default();
    archive(&memory).1.append(&b"the first block".to_vec()).expect("memory can grow");
    assert_eq!(memory.size(), 258, "two buckets of 128 pages for one block");
    assert_eq!(Image::read(memory.size(), memory.reader()), Ok(Image::Raw { size_pages: 258 }));

    let layout = only_one(&memory);
    assert_eq!((layout.manager_page(), layout.header_offset_bytes()), (1, PAGE_BYTES));
    let usage = layout.usage();
    assert_eq!((usage.prefix_pages, usage.used_pages, usage.reclaimable_pages()), (1, 2, 254));
    let target = repacked(&memory, &layout, 1);
    assert_eq!(target.size(), 4, "the cell, the header, an index, a block");
    assert_eq!(pages(&target, 0..1), pages(&memory, 0..1));

    let (config, blocks) = archive(&target);
    assert_eq!(config.get(), b"the configuration");
    assert_eq!(blocks.get(0).as_deref(), Some(&b"the first block"[..]));
    let block = |number: u64| vec![number as u8; 1_000];
    for number in 1..500 {
        blocks.append(&block(number)).expect("memory can grow");
    }
    assert!((1..500).all(|number| blocks.get(number) == Some(block(number))));
    assert_eq!(archive(&target).0.get(), b"the configuration", "nothing grew into it");
}

#[test]
fn a_station_is_found_behind_its_forty_eight_pages_repacked_and_used_on() {
    // As Orbit's station: a cell in the first 3 MiB, then a manager with buckets of 16 pages (orbit,
    // `core/station/impl/src/core/memory.rs`).
    let open = |memory: &SparseMemory| {
        let info = StableCell::init(before(memory, 48), vec![7_u8; 200_000]);
        let manager = MemoryManager::init_with_bucket_size(behind(memory, 48), 16);
        let maps: Vec<StableBTreeMap<u64, Vec<u8>, _>> =
            (0..12).map(|id| StableBTreeMap::init(manager.get(MemoryId::new(id)))).collect();
        (info, maps)
    };
    let memory = SparseMemory::with_pages(48);
    for (id, map) in open(&memory).1.iter_mut().enumerate() {
        map.insert(id as u64, vec![id as u8; 2_000]);
    }
    let layout = only_one(&memory);
    assert_eq!((layout.manager_page(), layout.bucket_size_pages(), layout.memories().len()), (48, 16, 12));
    let target = repacked(&memory, &layout, 1);
    assert_eq!((memory.size(), target.size()), (48 + 1 + 12 * 16, 48 + 1 + layout.usage().used_pages));
    assert_eq!(pages(&target, 0..48), pages(&memory, 0..48));

    let (info, mut maps) = open(&target);
    assert_eq!(info.get(), &vec![7; 200_000]);
    for (id, map) in maps.iter_mut().enumerate() {
        assert_eq!(map.get(&(id as u64)), Some(vec![id as u8; 2_000]));
        (100..200).for_each(|key| assert_eq!(map.insert(key, vec![id as u8; 3_000]), None));
    }
    assert!(open(&target).1.iter().all(|map| map.len() == 101));
}

#[test]
fn a_manager_is_found_at_small_pages_and_at_powers_of_two_and_not_inside_of_another() {
    // 32,768: a variant of the ICP ledger, behind 2 GiB of raw upgrade area.
    for page in [0, 1, 2, 47, 48, 255, 256, 512, 32_768, 1 << 20] {
        let memory = SparseMemory::with_pages(page.into());
        manager(&behind(&memory, page), 4).get(MemoryId::new(3)).grow(9);
        assert_eq!(only_one(&memory).manager_page(), page);
    }
    let memory = SparseMemory::with_pages(257);
    manager(&behind(&memory, 257), 4).get(MemoryId::new(3)).grow(9);
    assert_eq!(found(&memory), [], "not everywhere is looked");
    let told = Image::read_at(257, memory.size(), memory.reader());
    assert!(matches!(told, Ok(Image::Managed(_))), "whoever knows the page can say it");

    // One at page 1, which has another one in its memory; and one that follows it.
    let memory = SparseMemory::with_pages(1);
    let outer = manager(&RestrictedMemory::new(memory.clone(), 1..64), 16);
    manager(&outer.get(MemoryId::new(0)), 4).get(MemoryId::new(1)).grow(1);
    memory.grow(64 - memory.size());
    manager(&behind(&memory, 64), 2).get(MemoryId::new(5)).grow(1);
    let pages: Vec<u32> = found(&memory).iter().map(Layout::manager_page).collect();
    assert_eq!(pages, [1, 64]);
}

#[test]
fn what_only_looks_like_a_manager_is_not_found() {
    let memory = SparseMemory::with_pages(300);
    memory.write(PAGE_BYTES, b"MGR\x01 is how a text begins");
    memory.write(2 * PAGE_BYTES, b"MGR\x02\x00\x00\x80\x00");
    memory.write(3 * PAGE_BYTES + 1, &Layout::planned([(0, 1)], 1).expect("one bucket fits").header_page());
    assert_eq!(found(&memory), []);
    assert_eq!(found(&SparseMemory::default()), []);
}

#[test]
fn images_with_other_pages_before_the_manager_are_not_repacked_into_each_other() {
    let [source, target] =
        [1, 2].map(|page| Layout::planned_at(page, [(0, 3)], 1).expect("three buckets fit"));
    assert_eq!((source.stable_size_pages(), target.stable_size_pages()), (5, 6));
    let error = copies(&source, &target).err().expect("a page is missing");
    assert_eq!((error.memory, error.source_size_pages, error.target_size_pages), (PREFIX, 1, 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_image_with_a_prefix_is_repacked_and_lives_on_as_the_original_does(
        first in histories(),
        then in histories(),
        manager_page in prop_oneof![1..4_u32, Just(48), Just(300)],
        bucket_size_pages in prop_oneof![3 => 1..6_u32, 1 => 1..200_u32],
        seed in any::<u8>(),
    ) {
        let source = SparseMemory::with_pages(manager_page.into());
        let prefix: Vec<u8> =
            (0..u64::from(manager_page) * PAGE_BYTES).map(|index| (index / 7) as u8 ^ seed).collect();
        source.write(0, &prefix);
        first.live_on(&behind(&source, manager_page));
        let Ok(Image::Managed(layout)) = Image::read_at(manager_page, source.size(), source.reader()) else {
            panic!("a manager was just there");
        };
        let usage = layout.usage();
        let accounted = usage.prefix_pages + 1 + usage.allocated_pages + usage.free_pages + usage.tail_pages;
        prop_assert_eq!(accounted, usage.stable_pages);
        let target = repacked(&source, &layout, bucket_size_pages);
        let bucket = u64::from(bucket_size_pages);
        let buckets = layout.memories().iter().map(|memory| memory.size_pages().div_ceil(bucket) * bucket);
        prop_assert_eq!(target.size(), u64::from(manager_page) + 1 + buckets.sum::<u64>(), "promise 7");
        assert_same_state(&behind(&source, manager_page), &behind(&target, manager_page));

        then.live_on(&behind(&source, manager_page));
        then.live_on(&behind(&target, manager_page));
        assert_same_state(&behind(&source, manager_page), &behind(&target, manager_page));
        prop_assert!(pages(&target, 0..manager_page.into()) == prefix, "the prefix is as it was");
    }

    #[test]
    fn the_copies_begin_with_the_prefix_and_cover_every_page_once(
        sizes in proptest::collection::btree_map(0..255_u8, 1..9_u64, 0..6),
        manager_page in 0..70_u32,
        buckets in (1..20_u32, 1..20_u32),
    ) {
        let plan = |bucket| Layout::planned_at(manager_page, sizes.clone(), bucket).expect("these are small");
        let (source, target) = (plan(buckets.0), plan(buckets.1));
        let mut listed = Vec::new();
        for run in copies(&source, &target).expect("the same memories") {
            for page in 0..run.length_pages {
                let virtual_page = run.virtual_page + page;
                listed.push((run.memory, virtual_page));
                prop_assert_eq!(source.physical_page(run.memory, virtual_page), Some(run.source_page + page));
                prop_assert_eq!(target.physical_page(run.memory, virtual_page), Some(run.target_page + page));
            }
        }
        let prefix = (0..u64::from(manager_page)).map(|page| (PREFIX, page));
        let memories = sizes.iter().flat_map(|(&id, &size)| (0..size).map(move |page| (id, page)));
        prop_assert_eq!(listed.len() as u64, source.copied_pages());
        prop_assert_eq!(listed, prefix.chain(memories).collect::<Vec<_>>());
    }
}
