//! What fits into how many buckets, and what is answered if it doesn't.

use decant_layout::{
    BucketSizeError, ExtendError, Layout, MAX_BUCKETS, PlanError, buckets_needed, choose_bucket_size_pages,
    ensure_bucket_size_holds, max_managed_pages,
};
use proptest::prelude::*;

#[test]
fn a_plan_lays_memories_out_in_ascending_id_without_gaps() {
    let plan = Layout::planned([(7, 3), (2, 1), (9, 0), (254, 4)], 2).expect("five buckets fit");
    let buckets: Vec<_> = plan.memories().iter().map(|memory| (memory.id(), memory.buckets())).collect();
    assert_eq!(buckets, [(2, &[0_u16][..]), (7, &[1, 2]), (254, &[3, 4])]);
    assert_eq!(plan.stable_size_pages(), 1 + 5 * 2);
    assert_eq!((plan.physical_page(7, 2), plan.physical_page(7, 3)), (Some(5), None));
    assert_eq!(plan.memory(9), None, "a memory of no pages leaves no trace");
    let usage: Vec<_> = plan.memory_usage().map(|memory| (memory.used_pages, memory.wasted_pages)).collect();
    assert_eq!(usage, [(1, 1), (3, 1), (4, 0)]);
}

#[test]
fn an_extended_plan_appends_what_is_needed_and_moves_nothing() {
    let plan = Layout::planned([(2, 1), (7, 3)], 2).expect("three buckets fit");
    let extended = plan.extended([(0, 1), (2, 2), (7, 7), (9, 0)]).expect("it has grown");
    let buckets: Vec<_> = extended.memories().iter().map(|memory| (memory.id(), memory.buckets())).collect();
    assert_eq!(buckets, [(0, &[3_u16][..]), (2, &[0]), (7, &[1, 2, 4, 5])]);
    assert_eq!((extended.memory_size_pages(2), extended.stable_size_pages()), (2, 1 + 6 * 2));
    assert_eq!(plan.extended([(2, 1), (7, 3)]), Ok(plan.clone()));
}

#[test]
fn a_plan_is_not_extended_to_smaller_memories_nor_past_the_last_bucket() {
    let plan = Layout::planned([(2, 1), (7, 3)], 1).expect("four buckets fit");
    let shrunk = |memory, had_pages, size_pages| Err(ExtendError::Shrunk { memory, had_pages, size_pages });
    assert_eq!(plan.extended([(2, 1), (7, 2)]), shrunk(7, 3, 2));
    assert_eq!(plan.extended([(7, 3)]), shrunk(2, 1, 0));
    assert!(plan.extended([(2, 32_765), (7, 3)]).is_ok());
    let too_many = plan.extended([(2, 32_766), (7, 3)]);
    assert!(matches!(too_many, Err(ExtendError::Plan(PlanError::TooManyBuckets(_)))), "{too_many:?}");
    let twice = plan.extended([(2, 1), (2, 1), (7, 3)]);
    assert_eq!(twice, Err(ExtendError::Plan(PlanError::DuplicateMemory { memory: 2 })));
}

#[test]
fn an_empty_plan_is_one_header_page() {
    let plan = Layout::planned([], 128).expect("nothing fits");
    assert_eq!((plan.stable_size_pages(), plan.memories().len()), (1, 0));
}

#[test]
fn a_plan_of_too_many_buckets_names_the_bucket_size_that_would_do() {
    let exactly = Layout::planned([(0, 32_767), (1, 1)], 1).expect("32,768 buckets exist");
    assert_eq!(u64::from(exactly.allocated_buckets()), MAX_BUCKETS);
    assert_eq!(
        Layout::planned([(0, 32_767), (1, 2)], 1),
        Err(PlanError::TooManyBuckets(BucketSizeError::TooSmall {
            bucket_size_pages: 1,
            needed_buckets: 32_769,
            smallest_bucket_size_pages: 2
        }))
    );
    assert_eq!(
        Layout::planned([(0, u64::MAX), (1, u64::MAX)], 1),
        Err(PlanError::TooManyBuckets(BucketSizeError::None { needed_buckets: 1 << 50 }))
    );
}

#[test]
fn bucket_sizes_that_the_header_cannot_hold_are_refused() {
    for bucket_size_pages in [0, 65_536, u32::MAX] {
        assert_eq!(
            Layout::planned([(0, 1)], bucket_size_pages),
            Err(PlanError::BucketSize { bucket_size_pages })
        );
    }
    let largest = Layout::planned([(0, 1)], 65_535).expect("two bytes hold it");
    assert_eq!(largest.stable_size_pages(), 65_536);
}

#[test]
fn memory_ids_must_exist_once() {
    assert_eq!(Layout::planned([(255, 1)], 1), Err(PlanError::ReservedMemoryId));
    assert_eq!(Layout::planned([(3, 1), (3, 0)], 1), Err(PlanError::DuplicateMemory { memory: 3 }));
}

#[test]
fn the_bucket_size_follows_the_projection() {
    let one_gib_pages = 16_384;
    assert_eq!(choose_bucket_size_pages(&[], 0), Ok(1));
    assert_eq!(choose_bucket_size_pages(&[2 * one_gib_pages], 0), Ok(1), "2 GiB are 32,768 pages");
    assert_eq!(choose_bucket_size_pages(&[2 * one_gib_pages], 1), Ok(2), "with headroom no longer");
    assert_eq!(choose_bucket_size_pages(&[8 * one_gib_pages], 0), Ok(4));
    assert_eq!(choose_bucket_size_pages(&[32 * one_gib_pages], 0), Ok(16));
    assert_eq!(choose_bucket_size_pages(&[256 * one_gib_pages], 0), Ok(128));
    assert_eq!(choose_bucket_size_pages(&[32_768 * 32_768], 0), Ok(32_768));
    assert_eq!(
        choose_bucket_size_pages(&[32_768 * 32_768], 10),
        Err(BucketSizeError::None { needed_buckets: 36_045 })
    );
    assert_eq!(
        choose_bucket_size_pages(&[u64::MAX; 3], u32::MAX),
        Err(BucketSizeError::None { needed_buckets: 3 << 49 })
    );
}

#[test]
fn a_bucket_size_that_growth_would_outgrow_is_refused_with_the_figure() {
    let sizes = [20_000, 1];
    assert_eq!(ensure_bucket_size_holds(&sizes, 50, 1), Ok(()), "30,002 buckets");
    let too_small = |bucket_size_pages, needed_buckets, smallest_bucket_size_pages| {
        Err(BucketSizeError::TooSmall { bucket_size_pages, needed_buckets, smallest_bucket_size_pages })
    };
    assert_eq!(ensure_bucket_size_holds(&sizes, 100, 1), too_small(1, 40_002, 2));
    assert_eq!(ensure_bucket_size_holds(&sizes, 900, 3), too_small(3, 66_671, 8));
    assert_eq!(ensure_bucket_size_holds(&sizes, 900, 7), Ok(()), "28,574 buckets");
}

#[test]
fn every_memory_takes_whole_buckets() {
    assert_eq!(buckets_needed([1, 1, 128, 129, 0], 128), 5);
    assert_eq!(max_managed_pages(1), 32_768);
    assert_eq!(max_managed_pages(128), 256 * 16_384, "256 GiB, as ic-stable-structures says");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_chosen_bucket_size_is_the_smallest_power_of_two_that_holds(
        sizes in proptest::collection::vec(0..500_000_u64, 0..255),
        headroom_percent in 0..300_u32,
    ) {
        let chosen = choose_bucket_size_pages(&sizes, headroom_percent).expect("at most 508 million pages");
        let grown: Vec<u64> =
            sizes.iter().map(|size| (size * (100 + u64::from(headroom_percent))).div_ceil(100)).collect();
        let total_buckets = |bucket: u64| -> u64 { grown.iter().map(|size| size.div_ceil(bucket)).sum() };
        prop_assert!(chosen.is_power_of_two());
        prop_assert!(total_buckets(chosen.into()) <= MAX_BUCKETS);
        prop_assert!(chosen == 1 || total_buckets(u64::from(chosen) / 2) > MAX_BUCKETS);
        let planned = Layout::planned((0..).zip(grown.iter().copied()), chosen.into());
        let planned = planned.expect("it was chosen so");
        prop_assert_eq!(planned.stable_size_pages(), 1 + total_buckets(chosen.into()) * u64::from(chosen));
    }
}
