//! Images of many shapes, repacked in place and used on by the code that made them.

use candid::Principal;
use decant_api::jobs::Outcome;
use decant_api::plan::Plan;
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::query;
use decant_cli::rehearsal::world::World;
use decant_shapes_model::{Kind, Size, Spec, StructureSpec};
use decant_tests::repack::{
    digest, grow, install_shapes, nothing, one_of_each, repack, shapes_plan, snapshots, status, wasm,
};
use decant_tests::{engine, modules};

fn world() -> World {
    World::new(engine(), modules(), &Options::default()).expect("the world is made")
}

/// Pages that an image has when it has no bucket more than it needs.
fn compact_pages(world: &World, canister: Principal, bucket_pages: u16) -> u64 {
    let sizes: Vec<Size> = query(&world.pic, canister, "sizes", ()).expect("the canister answers");
    1 + sizes.iter().map(|size| size.pages.next_multiple_of(bucket_pages.into())).sum::<u64>()
}

/// Repacks one of two twins; afterwards both are used in the same way, and must stay equal.
fn assert_goes_on_as_its_twin(world: &World, spec: &Spec, planned: &[u16], operations: u64) {
    let twin = install_shapes(world, spec);
    let repacked: Vec<Principal> = planned.iter().map(|_| install_shapes(world, spec)).collect();
    let grow_all = |seed: u64| {
        grow(world, twin, seed, operations);
        repacked.iter().for_each(|canister| grow(world, *canister, seed, operations));
    };
    (1..=2).for_each(grow_all);
    let before = digest(world, twin);
    for (canister, bucket_pages) in repacked.iter().zip(planned) {
        assert_eq!(digest(world, *canister), before);
        let plan = Plan { bucket_pages: *bucket_pages, ..shapes_plan(world) };
        let jobs = repack(world, &plan, &[*canister]);
        let what = format!("from buckets of {} pages to {bucket_pages}: {:?}", spec.bucket_pages, jobs[0]);
        assert_eq!(jobs[0].outcome, Outcome::Done, "{what}");
        assert_eq!(digest(world, *canister), before, "{what}");
        let expected = compact_pages(world, *canister, *bucket_pages);
        assert_eq!(status(world, *canister).stable_pages(), expected, "promise 7, {what}");
        assert!(snapshots(world, *canister).is_empty(), "{what}");
    }
    for seed in 3..=5 {
        grow_all(seed);
        for canister in repacked.iter().chain([&twin]) {
            let upgraded =
                world.pic.upgrade_canister(*canister, wasm("shapes"), nothing(), Some(world.operator));
            upgraded.expect("it upgrades");
        }
        let expected = digest(world, twin);
        for (canister, bucket_pages) in repacked.iter().zip(planned) {
            assert_eq!(digest(world, *canister), expected, "round {seed}, buckets of {bucket_pages} pages");
            let compact = compact_pages(world, *canister, *bucket_pages);
            assert_eq!(status(world, *canister).stable_pages(), compact, "it grows in its own buckets");
        }
    }
}

#[test]
fn images_with_buckets_of_any_size_are_repacked_and_used_on() {
    let world = world();
    for (bucket_pages, planned) in
        [(128, &[1, 4, 16][..]), (1_024, &[1, 4, 16]), (16, &[1, 4]), (7, &[1]), (100, &[3, 16]), (513, &[1])]
    {
        assert_goes_on_as_its_twin(&world, &one_of_each(bucket_pages), planned, 500);
    }
}

/// A structure on each of the 254 memories that there are besides the one with the specification.
fn every_memory(bucket_pages: u16) -> Spec {
    let kinds = [Kind::BTreeMap, Kind::Vec, Kind::Heap, Kind::Cell];
    let structure = |id: u8| StructureSpec { id, second: None, kind: kinds[usize::from(id) % kinds.len()] };
    let log = StructureSpec { id: 254, second: Some(253), kind: Kind::Log };
    let memories = (1..=252).map(structure).chain([log]).collect();
    Spec { bucket_pages, memories, timer_at_nanos: None }
}

#[test]
fn an_image_in_which_all_255_memories_are_in_use_is_repacked() {
    assert_goes_on_as_its_twin(&world(), &every_memory(128), &[1, 16], 20);
}

#[test]
fn sixteen_gib_of_buckets_with_little_in_them_are_repacked() {
    assert_goes_on_as_its_twin(&world(), &every_memory(1_024), &[4], 20);
}
