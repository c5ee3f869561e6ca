//! A canister with a gibibyte of state is repacked.

use decant_api::jobs::Outcome;
use decant_api::plan::Plan;
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::update;
use decant_cli::rehearsal::world::World;
use decant_shapes_model::{Size, SplitMix, hash_of_page, page_bytes};
use decant_tests::repack::{
    digest, grow, install_shapes, nothing, one_of_each, repack, shapes_plan, snapshots, status, wasm,
};
use decant_tests::{engine, modules};
use serde_bytes::ByteBuf;
use std::time::Instant;

/// Pages of a gibibyte.
const PAGES: u64 = 16_384;
/// Pages that one call writes, within the instructions of a message.
const BATCH: u64 = 2_048;
/// The memory with the pages.
const MEMORY: u8 = 200;
/// Decides what the pages hold.
const SEED: u64 = 7;
/// Pages of the new buckets: with one page, twice a gibibyte would not fit.
const BUCKET_PAGES: u16 = 4;
/// Pages that are compared one by one.
const SAMPLES: u64 = 64;

#[test]
fn a_canister_with_a_gibibyte_in_use_is_repacked() {
    let world = World::new(engine(), modules(), &Options::default()).expect("the world is made");
    let canister = install_shapes(&world, &one_of_each(1_024));
    grow(&world, canister, 1, 400);
    let begun = Instant::now();
    for filled in (BATCH..=PAGES).step_by(BATCH as usize) {
        let pages: u64 = update(&world.pic, canister, world.operator, "fill_pages", (MEMORY, BATCH, SEED))
            .expect("there is room");
        assert_eq!(pages, filled);
    }
    let sizes = || -> Vec<Size> {
        let reply = world.pic.query_call(canister, world.operator, "sizes", nothing());
        candid::decode_one(&reply.expect("the canister answers")).expect("sizes decode")
    };
    let (content, pages_before, sizes_before) =
        (digest(&world, canister), status(&world, canister).stable_pages(), sizes());
    println!("{pages_before} pages made in {:?}", begun.elapsed());

    let begun = Instant::now();
    let plan = Plan { bucket_pages: BUCKET_PAGES, ..shapes_plan(&world) };
    let job = repack(&world, &plan, &[canister]).remove(0);
    println!("repacked in {:?}: {job:?}", begun.elapsed());
    assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    assert_eq!(sizes(), sizes_before);
    let used: u64 = sizes_before.iter().map(|size| size.pages).sum();
    let in_buckets = sizes_before.iter().map(|size| size.pages.next_multiple_of(BUCKET_PAGES.into()));
    let compact_pages = 1 + in_buckets.sum::<u64>();
    assert_eq!((job.source_pages, job.used_pages), (pages_before, used));
    assert_eq!(status(&world, canister).stable_pages(), compact_pages, "promise 7");
    assert!(snapshots(&world, canister).is_empty());
    assert_eq!(digest(&world, canister), content);

    let mut random = SplitMix::new(3);
    let samples = (0..SAMPLES).map(|_| random.below(PAGES)).chain([0, PAGES - 1]);
    for page in samples {
        let arguments = candid::encode_args((MEMORY, page, 1_u64)).expect("the arguments encode");
        let reply = world.pic.query_call(canister, world.operator, "page_hash", arguments);
        let (hash, count): (ByteBuf, u64) =
            candid::decode_args(&reply.expect("the canister answers")).expect("a hash decodes");
        let expected = hash_of_page(&page_bytes(SEED, page));
        assert_eq!((hash, count), (ByteBuf::from(expected), 1), "page {page}");
    }
    world
        .pic
        .upgrade_canister(canister, wasm("shapes"), nothing(), Some(world.operator))
        .expect("it upgrades again");
    assert_eq!(status(&world, canister).stable_pages(), compact_pages, "and does not grow");
}
