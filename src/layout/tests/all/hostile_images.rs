//! No header, however wrong, makes this crate panic, loop or allocate without bound; and what it accepts is
//! consistent.

use crate::common::SparseMemory;
use crate::common::history::{histories, manager};
use decant_layout::{HEADER_BYTES, Image, Layout, LayoutError, MAX_BUCKETS, PAGE_BYTES, copies};
use ic_stable_structures::Memory;
use ic_stable_structures::memory_manager::MemoryId;
use proptest::prelude::*;

/// Asserts all that a layout promises. Everything it calls is bounded by the number of buckets.
fn assert_consistent(header: &[u8], layout: &Layout) {
    let mut owned_buckets = vec![false; MAX_BUCKETS as usize];
    for memory in layout.memories() {
        for &bucket in memory.buckets() {
            assert!(bucket < layout.allocated_buckets(), "bucket {bucket} was never dealt out");
            assert!(
                !std::mem::replace(&mut owned_buckets[usize::from(bucket)], true),
                "bucket {bucket} twice"
            );
        }
        let mut next_page = 0;
        for run in layout.runs(memory.id()) {
            assert_eq!(run.virtual_page, next_page, "runs leave no gap");
            assert!(run.physical_page + run.length_pages <= layout.stable_size_pages());
            next_page += run.length_pages;
        }
        assert_eq!(next_page, memory.size_pages());
    }
    let usage = layout.usage();
    let accounted_pages = 1 + usage.allocated_pages + usage.free_pages + usage.tail_pages;
    assert_eq!(accounted_pages - usage.missing_pages, usage.stable_pages);
    let written = layout.header_page();
    assert_eq!(written.len() as u64, PAGE_BYTES);
    assert!(written[..HEADER_BYTES] == header[..HEADER_BYTES], "what is read is what would be written");
    if let Ok(plan) = layout.compact(layout.bucket_size_pages().into()) {
        let runs = copies(layout, &plan).expect("the same memories");
        let pages: u64 = runs.map(|run| run.length_pages).sum();
        assert_eq!(pages, usage.used_pages);
        assert_eq!(plan.usage().tail_pages + plan.usage().free_pages, 0);
    }
}

fn assert_loaded_alike(header: &[u8], layout: &Layout) {
    let memory = SparseMemory::with_pages(layout.stable_size_pages());
    memory.write(0, header);
    let manager = manager(&memory, 1);
    for id in 0..255 {
        assert_eq!(manager.get(MemoryId::new(id)).size(), layout.memory_size_pages(id), "memory {id}");
    }
}

fn stable_sizes() -> impl Strategy<Value = u64> {
    prop_oneof![0..3_u64, 0..40_000_u64, Just(u64::MAX), any::<u64>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_are_recognised_or_refused(
        mut header in proptest::collection::vec(any::<u8>(), 0..PAGE_BYTES as usize),
        with_magic in any::<bool>(),
        size_pages in stable_sizes(),
    ) {
        if with_magic && header.len() >= 8 {
            header[..4].copy_from_slice(b"MGR\x01");
        }
        match Image::parse(&header, size_pages) {
            Ok(Image::Empty) => prop_assert_eq!(size_pages, 0),
            Ok(Image::Raw { .. }) => prop_assert!(!header.starts_with(b"MGR")),
            Ok(Image::Managed(layout)) => assert_consistent(&header, &layout),
            Err(error) => prop_assert!(error.to_string().contains(": "), "{error} says what to do"),
        }
    }

    #[test]
    fn a_damaged_header_is_refused_or_still_consistent(
        history in histories(),
        damage in proptest::collection::vec((0..HEADER_BYTES, any::<u8>()), 1..4),
        near_the_front in any::<bool>(),
        size_pages in stable_sizes(),
    ) {
        let memory = history.live();
        let mut header = vec![0; HEADER_BYTES];
        memory.read(0, &mut header);
        for (offset, byte) in damage {
            header[if near_the_front { offset % 2_120 } else { offset }] = byte;
        }
        let size_pages = if near_the_front { memory.size() } else { size_pages };
        if let Ok(Image::Managed(layout)) = Image::parse(&header, size_pages) {
            assert_consistent(&header, &layout);
            assert_loaded_alike(&header, &layout);
        }
    }
}

/// The header page of 3 memories in 7 buckets of 2 pages, and its stable size.
fn sound() -> (Vec<u8>, u64) {
    let layout = Layout::planned([(0, 5), (1, 2), (254, 6)], 2).expect("seven buckets fit");
    (layout.header_page(), layout.stable_size_pages())
}

fn refused_with(offset: usize, bytes: &[u8]) -> LayoutError {
    let (mut header, size_pages) = sound();
    header[offset..offset + bytes.len()].copy_from_slice(bytes);
    Image::parse(&header, size_pages).expect_err("the header is wrong")
}

#[test]
fn every_kind_of_damage_has_its_error() {
    let (header, size_pages) = sound();
    assert_eq!(size_pages, 15);
    assert!(matches!(Image::parse(&header, size_pages), Ok(Image::Managed(_))));
    assert_eq!(
        Image::parse(&header[..HEADER_BYTES - 1], size_pages),
        Err(LayoutError::HeaderTooShort { length_bytes: HEADER_BYTES - 1 })
    );
    assert_eq!(
        Image::parse(&header, 14),
        Err(LayoutError::OutOfBounds { end_pages: 15, stable_size_pages: 14 })
    );
    assert_eq!(refused_with(3, &[2]), LayoutError::UnsupportedVersion { version: 2 });
    assert_eq!(refused_with(39, &[1]), LayoutError::ReservedBytesInUse { offset_bytes: 39 });
    assert_eq!(refused_with(6, &[0, 0]), LayoutError::BucketSizeZero);
    assert_eq!(refused_with(4, &[1, 128]), LayoutError::TooManyBuckets { allocated_buckets: 32_769 });
    assert_eq!(
        refused_with(4, &[6, 0]),
        LayoutError::BucketNotAllocated { bucket: 6, owner: 254, allocated_buckets: 6 }
    );
    assert_eq!(
        refused_with(40, &[7]),
        LayoutError::BucketCount { memory: 0, size_pages: 7, needed_buckets: 4, owned_buckets: 3 }
    );
    assert_eq!(
        refused_with(40, &[4]),
        LayoutError::BucketCount { memory: 0, size_pages: 4, needed_buckets: 2, owned_buckets: 3 }
    );
    assert_eq!(
        refused_with(40 + 254 * 8, &[0xFF; 8]),
        LayoutError::BucketCount {
            memory: 254,
            size_pages: u64::MAX,
            needed_buckets: 1 << 63,
            owned_buckets: 3
        }
    );
    assert_eq!(
        refused_with(2_080, &[254]),
        LayoutError::BucketCount { memory: 0, size_pages: 5, needed_buckets: 3, owned_buckets: 2 }
    );
}

#[test]
fn the_largest_layout_that_a_header_can_hold_is_read_in_bounded_steps() {
    let sizes = (0..255).map(|id| (id, if id < 254 { 128 * 65_535 } else { 256 * 65_535 }));
    let layout = Layout::planned(sizes, 65_535).expect("254 × 128 + 256 = 32,768 buckets");
    assert_eq!(u64::from(layout.allocated_buckets()), MAX_BUCKETS);
    assert_eq!(layout.stable_size_pages(), 1 + 32_768 * 65_535);
    let header = layout.header_page();
    let parsed = Layout::parse(&header, layout.stable_size_pages()).expect("it is sound");
    assert_eq!(parsed, layout);
    assert_consistent(&header, &parsed);
    assert_eq!(layout.runs(254).count(), 1, "neighbouring buckets are one run");
}
