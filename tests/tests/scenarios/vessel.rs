//! A vessel does what a coordinator needs, for the job that it was installed for, and nothing else. Design, section 3.

use candid::Principal;
use decant_api::KitError;
use decant_api::source::{DrainArgs, Fence, JobArgs, KitStatus, RetireArgs, SealProgress};
use decant_api::target::{PullArgs, PullProgress};
use decant_api::vessel::VesselRole;
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::world::World;
use decant_shapes_model::Spec;
use decant_tests::repack::{
    PAGE_BYTES, create, digest, grow, install, install_shapes, nothing, one_of_each, status, wasm,
};
use decant_tests::vessel::{
    JOB, argument, ask, dress, kit_status, pour, sealed, set_controllers, undress, upload_zeros,
};
use decant_tests::{engine, modules};
use pocket_ic::RejectResponse;
use serde_bytes::ByteBuf;

fn world() -> World {
    World::new(engine(), modules(), &Options::default()).expect("the world is made")
}

/// A canister of shapes with something in it, and what.
fn shapes(world: &World, spec: &Spec) -> (Principal, ByteBuf) {
    let canister = install_shapes(world, spec);
    grow(world, canister, 3, 2_000);
    (canister, digest(world, canister))
}

fn source(canister: Principal) -> VesselRole {
    VesselRole::Source { reader: canister }
}

/// Repacks a vessel's canister, so many slices a call; answers the pages of its image.
fn repacked(world: &World, canister: Principal, slices: u32) -> u64 {
    undress(world, canister, source(canister));
    let seal = sealed(world, canister, "decant_seal");
    let planned = pour(world, canister, &[], 0).expect("it tells how large the image will be");
    assert_eq!((planned.next_page, planned.is_complete, planned.wire_bytes), (0, false, 0));
    assert_eq!(planned.pages, 1 + seal.used_pages, "promise 7");
    set_controllers(world, canister, vec![world.operator, canister]);
    let snapshot = upload_zeros(world, canister, planned.pages);
    let mut last = pour(world, canister, &snapshot, 1).expect("it pours");
    assert!(!last.is_complete && last.next_page > 0, "{last:?}");
    for _ in 0..1_000 {
        let next = pour(world, canister, &snapshot, slices).expect("it pours");
        assert!(next.next_page >= last.next_page, "it goes on: {last:?}, {next:?}");
        last = next;
        if last.is_complete {
            break;
        }
    }
    assert!(last.is_complete, "{last:?}");
    assert!(last.wire_bytes <= planned.pages * PAGE_BYTES, "no byte goes twice");
    assert_eq!(pour(world, canister, &snapshot, 9), Ok(last), "what is whole is not written again");
    set_controllers(world, canister, vec![world.operator]);
    world.pic.stop_canister(canister, Some(world.operator)).expect("it stops");
    world.pic.load_canister_snapshot(canister, Some(world.operator), snapshot).expect("it is loaded");
    assert_eq!(status(world, canister).stable_pages(), planned.pages);
    undress(world, canister, source(canister));
    assert_eq!(sealed(world, canister, "decant_seal").root, seal.root, "the image is the sealed one");
    dress(world, canister, &wasm("shapes"));
    planned.pages
}

#[test]
fn a_canister_is_repacked_through_a_vessel_that_pours_its_own_snapshot() {
    let world = world();
    let (canister, content) = shapes(&world, &one_of_each(16));
    let before = status(&world, canister).stable_pages();
    repacked(&world, canister, 2);
    assert_eq!(digest(&world, canister), content);
    grow(&world, canister, 4, 2_000);
    assert!(status(&world, canister).stable_pages() < before);
}

/// Design, section 9: a byte crosses once, at most 1,150 cycles; its two hashes and all that goes with it included.
#[test]
fn a_byte_that_is_repacked_costs_what_it_costs_to_write_it_once() {
    let world = world();
    let cost = |pages: u64| {
        let (canister, _) = shapes(&world, &one_of_each(16));
        let filled: u64 = update(&world.pic, canister, world.operator, "fill_pages", (20_u8, pages, 5_u64))
            .expect("it is filled");
        assert_eq!(filled, pages);
        let before = world.pic.cycle_balance(canister);
        repacked(&world, canister, 1_000);
        before - world.pic.cycle_balance(canister)
    };
    let (small, large) = (cost(64), cost(64 + 256));
    let cycles_a_byte = (large - small) as f64 / (256 * PAGE_BYTES) as f64;
    println!("{cycles_a_byte:.0} cycles a byte");
    assert!(cycles_a_byte <= 1_150.0, "{cycles_a_byte}");
}

#[test]
fn pages_of_zeros_are_not_poured_and_another_snapshot_begins_anew() {
    let world = world();
    let canister = install(&world, &wasm("shapes"), candid::encode_one(one_of_each(16)).expect("encodes"));
    undress(&world, canister, source(canister));
    let seal = sealed(&world, canister, "decant_seal");
    set_controllers(&world, canister, vec![world.operator, canister]);
    let pages = pour(&world, canister, &[], 0).expect("it tells").pages;
    let mut wire_bytes = Vec::new();
    for _ in 0..2 {
        let snapshot = upload_zeros(&world, canister, pages);
        let poured = pour(&world, canister, &snapshot, 1_000).expect("it pours");
        assert!(poured.is_complete, "{poured:?}");
        wire_bytes.push(poured.wire_bytes);
    }
    assert_eq!(wire_bytes[0], wire_bytes[1]);
    assert!(wire_bytes[0] < seal.used_pages * PAGE_BYTES, "{wire_bytes:?} of {} pages", seal.used_pages);
}

#[test]
fn a_pour_that_can_not_write_says_so_and_goes_on_when_it_can() {
    let world = world();
    let (canister, _) = shapes(&world, &one_of_each(16));
    undress(&world, canister, source(canister));
    sealed(&world, canister, "decant_seal");
    let pages = pour(&world, canister, &[], 0).expect("it tells").pages;
    let snapshot = upload_zeros(&world, canister, pages);
    let refused = pour(&world, canister, &snapshot, 1_000);
    assert!(
        matches!(refused, Err(KitError::CallFailed { .. })),
        "it is no controller of itself: {refused:?}"
    );
    set_controllers(&world, canister, vec![world.operator, canister]);
    let poured = pour(&world, canister, &snapshot, 1_000).expect("it pours");
    assert!(poured.is_complete, "{poured:?}");
}

#[test]
fn nothing_is_poured_before_the_seal() {
    let world = world();
    let (canister, _) = shapes(&world, &one_of_each(16));
    undress(&world, canister, source(canister));
    let early = pour(&world, canister, &[1], 1);
    assert!(matches!(early, Err(KitError::WrongFence { .. })), "{early:?}");
}

#[test]
fn a_state_goes_from_one_vessel_to_another_and_is_dressed_there() {
    let world = world();
    let (original, content) = shapes(&world, &one_of_each(16));
    let target = create(&world);
    undress(&world, original, VesselRole::Source { reader: target });
    let role = VesselRole::Target { source: original, bucket_pages: 1 };
    world.pic.install_canister(target, wasm("vessel"), argument(role), Some(world.operator));
    let seal = sealed(&world, original, "decant_seal");
    let args = PullArgs { job: JOB, root: seal.root.clone(), max_batches: 64 };
    let early: Result<KitStatus, KitError> = ask(&world, target, "decant_activate", JobArgs { job: JOB });
    assert!(matches!(early, Err(KitError::WrongFence { .. })), "{early:?}");
    while !ask::<PullProgress>(&world, target, "decant_import_pull", args.clone())
        .expect("it pulls")
        .is_complete
    {}
    assert_eq!(sealed(&world, target, "decant_import_verify"), seal);
    let again: SealProgress =
        ask(&world, original, "decant_recheck", JobArgs { job: JOB }).expect("it looks");
    assert_eq!(again, SealProgress::Done(seal.clone()));
    let active: KitStatus =
        ask(&world, target, "decant_activate", JobArgs { job: JOB }).expect("it is whole");
    assert!(matches!(active.fence, Fence::Importing(_)), "it stays fenced: {active:?}");
    assert_eq!(active.root, Some(seal.root));
    assert_eq!(active.stable_pages, 1 + seal.used_pages, "promise 7");
    dress(&world, target, &wasm("shapes"));
    assert_eq!(digest(&world, target), content);

    let retire = RetireArgs { job: JOB, to: target };
    let retired: KitStatus = ask(&world, original, "decant_retire", retire).expect("it is retired");
    assert!(matches!(retired.fence, Fence::Moved { to, .. } if to == target), "{retired:?}");
    let moved_to: Principal = query(&world.pic, original, "decant_moved_to", ()).expect("it answers");
    assert_eq!(moved_to, target);
    assert_eq!(sealed(&world, original, "decant_recheck").used_pages, seal.used_pages);
}

#[test]
fn a_vessel_obeys_the_coordinator_and_the_job_that_put_it_there() {
    let world = world();
    let (canister, _) = shapes(&world, &one_of_each(16));
    undress(&world, canister, source(canister));
    let other = Principal::self_authenticating(b"another controller");
    let stranger = Principal::self_authenticating(b"a stranger");
    set_controllers(&world, canister, vec![world.operator, other]);
    let seal_as = |sender, job| -> Result<Result<SealProgress, KitError>, RejectResponse> {
        let args = candid::encode_one(JobArgs { job }).expect("encodes");
        let reply = world.pic.update_call(canister, sender, "decant_seal", args)?;
        Ok(candid::decode_one(&reply).expect("the vessel answers"))
    };
    assert!(matches!(seal_as(other, JOB), Ok(Err(KitError::HeldByOther { .. }))));
    assert!(matches!(seal_as(world.operator, JOB + 1), Ok(Err(KitError::HeldByOther { .. }))));
    let refused = seal_as(stranger, JOB).expect_err("strangers cost nothing");
    assert!(refused.reject_message.contains("DECANT-BUSY"), "{refused:?}");
    let refused = world.pic.update_call(canister, stranger, "grow", nothing()).expect_err("no user writes");
    assert!(refused.reject_message.contains("DECANT-BUSY"), "{refused:?}");
    let thawed: KitStatus = ask(&world, canister, "decant_thaw", JobArgs { job: JOB }).expect("it answers");
    assert!(matches!(thawed.fence, Fence::Frozen(_)), "it never opens: {thawed:?}");
    assert!(
        world.pic.query_call(canister, stranger, "decant_moved_to", nothing()).is_err(),
        "it has not moved"
    );
}

#[test]
fn a_vessel_that_is_installed_again_begins_anew_with_the_state_as_it_was() {
    let world = world();
    let (canister, content) = shapes(&world, &one_of_each(16));
    undress(&world, canister, source(canister));
    let seal = sealed(&world, canister, "decant_seal");
    undress(&world, canister, source(canister));
    assert!(matches!(kit_status(&world, canister).fence, Fence::Frozen(_)));
    assert_eq!(sealed(&world, canister, "decant_seal"), seal);
    dress(&world, canister, &wasm("shapes"));
    assert_eq!(digest(&world, canister), content);
}

#[test]
fn what_stays_of_a_source_answers_where_the_state_is_and_sends_its_cycles_on() {
    let world = world();
    let (canister, _) = shapes(&world, &one_of_each(16));
    let target = create(&world);
    let role = argument(VesselRole::Moved { to: target });
    let (pic, operator) = (&world.pic, world.operator);
    pic.reinstall_canister(canister, wasm("vessel"), role.clone(), Some(operator)).expect("it is emptied");
    let standing = status(&world, canister);
    assert_eq!(standing.stable_pages(), 0);
    for _ in 0..2 {
        let moved_to: Principal = query(pic, canister, "decant_moved_to", ()).expect("it answers");
        assert_eq!(moved_to, target);
        assert!(matches!(kit_status(&world, canister).fence, Fence::Moved { to, .. } if to == target));
        pic.upgrade_canister(canister, wasm("vessel"), role.clone(), Some(operator)).expect("it is upgraded");
    }
    let refused = pic.update_call(canister, operator, "grow", nothing()).expect_err("it is elsewhere");
    assert!(
        refused
            .reject_message
            .contains(&format!("DECANT-MOVED: the state of this canister moved to {target}")),
        "{refused:?}"
    );
    let before = pic.cycle_balance(target);
    let args = DrainArgs { job: JOB, to: target, keep: 1_000_000_000 };
    let sent: u128 = ask(&world, canister, "decant_drain", args).expect("it sends them");
    assert!(sent > 0);
    assert_eq!(pic.cycle_balance(target), before + sent);
}
