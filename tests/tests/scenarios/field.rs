//! Code as it is in the field, which nobody changes for us, through vessels: each canister sees one ordinary upgrade and
//! nothing else. Design, section 6, promise 10.

use candid::Principal;
use decant_api::jobs::{JobView, Outcome};
use decant_cli::rehearsal::world::World;
use decant_tests::dapps::{
    Flavour, POSTS, Way, contents, enrolled, flavours, post, posts, runs, saying, serving, world,
};
use decant_tests::keeper::{Keeper, bump, bumped, peek};
use decant_tests::repack::{install, job, nothing, plan, refusal, repack, snapshots, status, used, wasm};
use decant_tests::settle;
use decant_tests::vessel::upgrade;

/// Where the state of a job that is done is.
fn place(world: &World, id: u64) -> Principal {
    let job = job(world, id);
    assert_eq!(job.outcome, Outcome::Done, "{job:?}");
    job.target.unwrap_or(job.source)
}

/// It has every post, takes one more, and keeps all over an upgrade.
fn assert_goes_on(world: &World, canister: Principal, module: &[u8], what: &str) {
    assert_eq!(posts(world, canister), POSTS, "{what}");
    assert_eq!(post(world, canister, "four"), 4, "{what}");
    upgrade(world, canister, module, nothing());
    assert_eq!(posts(world, canister).len(), 4, "{what}: after one more upgrade");
    assert!(snapshots(world, canister).is_empty(), "{what}");
}

#[test]
fn code_that_takes_its_state_off_the_heap_to_save_it_is_moved_whole() {
    let (world, module) = (world(), wasm("taker"));
    for (first_user, way) in [(0, Way::Repack), (100, Way::Relocate)] {
        let flavours: Vec<Flavour> = flavours().collect();
        let argument = |flavour: &Flavour| candid::encode_one(Some(flavour)).expect("a flavour encodes");
        let canisters: Vec<Principal> = flavours
            .iter()
            .zip(first_user..)
            .map(|(flavour, user)| serving(&world, user, &module, argument(flavour)))
            .collect();
        world.propose(&way.plan(&world, vec![used(&module, nothing())])).expect("the plan is approved");
        let ids = enrolled(&world, &canisters);
        settle(&world);
        for (flavour, id) in flavours.iter().zip(ids) {
            assert_goes_on(&world, place(&world, id), &module, &format!("{way:?}, {flavour:?}"));
        }
    }
}

#[test]
fn code_that_erases_what_it_has_read_is_moved_whole_and_each_hook_runs_once() {
    let (world, module) = (world(), wasm("eraser"));
    for (user, way) in [(1, Way::Repack), (2, Way::Relocate)] {
        let canister = serving(&world, user, &module, nothing());
        let (before_saves, before_loads) = runs(&world, canister);
        world.propose(&way.plan(&world, vec![used(&module, nothing())])).expect("the plan is approved");
        let id = enrolled(&world, &[canister])[0];
        settle(&world);
        let place = place(&world, id);
        assert_eq!(runs(&world, place), (before_saves + 1, before_loads + 1), "{way:?}");
        assert_goes_on(&world, place, &module, &format!("{way:?}"));
    }
}

#[test]
fn code_that_formats_stable_memory_anew_is_refused_by_name_and_moved_whole_when_the_plan_drops_what_it_left()
{
    let (world, module) = (world(), wasm("eraser"));
    for (user, way) in [(1, Way::Repack), (2, Way::Relocate)] {
        let formats = candid::encode_one(Some(true)).expect("a flag encodes");
        let canister = serving(&world, user, &module, formats);
        let careful = way.plan(&world, vec![used(&module, nothing())]);
        world.propose(&careful).expect("the plan is approved");
        let id = enrolled(&world, &[canister])[0];
        settle(&world);
        let refused = job(&world, id);
        assert!(refusal(&refused).contains("something lies behind the last bucket"), "{refused:?}");
        assert!(refusal(&refused).contains("page 1 is not zero"), "{refused:?}");
        assert_eq!(refused.fenced_nanos, None, "it was never stopped");
        let told = saying(careful, |by| by.may_drop_tail = true);
        world.propose(&told).expect("the plan is approved");
        let id = enrolled(&world, &[canister])[0];
        settle(&world);
        let place = place(&world, id);
        assert!(status(&world, place).stable_pages() < 129, "it had a bucket of 128 pages");
        assert_goes_on(&world, place, &module, &format!("{way:?}"));
    }
}

#[test]
fn a_canister_whose_post_upgrade_traps_on_the_compact_image_is_bit_for_bit_what_it_was() {
    let (world, keeper) = (world(), Keeper { least_pages: 100, ..Keeper::default() });
    let canister = install(&world, &keeper.module(), nothing());
    (0..4).for_each(|_| bump(&world, canister));
    let before = contents(&world, canister);
    let [job] = <[JobView; 1]>::try_from(repack(
        &world,
        &plan(&world, vec![used(&keeper.module(), nothing())]),
        &[canister],
    ))
    .expect("one job");
    assert!(refusal(&job).contains("trapped"), "{job:?}");
    assert_eq!(contents(&world, canister), before);
    assert_eq!(peek(&world, canister), bumped(4));
}
