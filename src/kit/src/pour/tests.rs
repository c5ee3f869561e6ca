use std::collections::BTreeMap;

use decant_layout::{Layout, copies};
use proptest::prelude::*;

use super::*;

/// Sizes in pages by id, and bucket sizes of an image and of its compact one.
fn images() -> impl Strategy<Value = (BTreeMap<u8, u64>, u32, u32)> {
    (prop::collection::btree_map(0..=254_u8, 1..150_u64, 0..5), 1..130_u32, 1..20_u32)
}

/// Whether a page is zero, by a seed: long stretches of either kind, and single pages.
fn is_zero(seed: u64, memory: u8, page: u64) -> bool {
    let mixed = (page / (1 + seed % 70) + u64::from(memory)).wrapping_mul(seed | 1);
    mixed.rotate_left(17).is_multiple_of(3)
}

/// All slices, asked for so many at a time.
fn all(source: &Layout, target: &Layout, limit: usize, seed: u64) -> Vec<Slice> {
    let (mut all, mut from_page) = (Vec::new(), 0);
    loop {
        let runs = copies(source, target).expect("both have the same memories");
        let window = slices(runs, from_page, limit, |memory, page| is_zero(seed, memory, page));
        let is_last = window.len() < limit;
        from_page = window.last().map_or(from_page, Slice::end_page);
        all.extend(window);
        if is_last {
            return all;
        }
    }
}

proptest! {
    #[test]
    fn every_page_that_is_not_zero_goes_once_to_its_place_and_no_other_page_does(
        (sizes, bucket_pages, compact_pages) in images(), limit in 1..9_usize, seed in any::<u64>(),
    ) {
        let source = Layout::planned(sizes.clone(), bucket_pages).expect("it fits");
        let target = source.compact(compact_pages).expect("it fits");
        let mut expected = BTreeMap::new();
        for (&memory, &size_pages) in &sizes {
            for page in (0..size_pages).filter(|&page| !is_zero(seed, memory, page)) {
                expected.insert(target.physical_page(memory, page), source.physical_page(memory, page));
            }
        }
        let mut found = BTreeMap::new();
        for slice in all(&source, &target, limit, seed) {
            let mut target_page = slice.target_page;
            for piece in &slice.pieces {
                for source_page in piece.source_page..piece.source_page + piece.pages {
                    prop_assert_eq!(found.insert(Some(target_page), Some(source_page)), None, "twice");
                    target_page += 1;
                }
            }
            prop_assert_eq!(target_page, slice.end_page());
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn slices_ascend_are_no_longer_than_a_call_carries_and_no_two_could_be_one(
        (sizes, bucket_pages, compact_pages) in images(), limit in 1..9_usize, seed in any::<u64>(),
    ) {
        let source = Layout::planned(sizes, bucket_pages).expect("it fits");
        let target = source.compact(compact_pages).expect("it fits");
        let all = all(&source, &target, limit, seed);
        for slice in &all {
            prop_assert!((1..=SLICE_PAGES).contains(&slice.pages()));
            for (left, right) in slice.pieces.iter().zip(&slice.pieces[1..]) {
                prop_assert!(left.source_page + left.pages != right.source_page, "pieces that follow each other");
            }
        }
        for (left, right) in all.iter().zip(all.iter().skip(1)) {
            let follows = left.end_page() == right.target_page;
            prop_assert!(left.end_page() < right.target_page || follows && left.pages() == SLICE_PAGES);
        }
    }
}

#[test]
fn a_slice_goes_on_over_the_end_of_a_memory_and_over_places_in_the_image() {
    // Memory 0 in buckets 0 and 1, memory 3 in bucket 2, of 2 pages each; in the compact image they touch.
    let source = Layout::planned([(0, 3), (3, 2)], 2).expect("it fits");
    let target = source.compact(1).expect("it fits");
    let runs = copies(&source, &target).expect("both have the same memories");
    let pieces = vec![Piece { source_page: 1, pages: 3 }, Piece { source_page: 5, pages: 2 }];
    assert_eq!(slices(runs, 0, 9, |_, _| false), vec![Slice { target_page: 1, pieces }]);
}

#[test]
fn an_image_of_zeros_has_no_slices() {
    let source = Layout::planned([(0, 3)], 128).expect("it fits");
    let target = source.compact(1).expect("it fits");
    assert_eq!(slices(copies(&source, &target).expect("the same"), 0, 9, |_, _| true), Vec::new());
}
