//! What sources and targets may run, told before anything is spent on them or any of them is fenced.

use candid::Principal;
use decant_api::jobs::{JobView, Outcome, Pause, Summary};
use decant_api::plan::{Plan, Relocation, Retention, Strategy};
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::query;
use decant_cli::rehearsal::world::World;
use decant_tests::dapps::{POSTS, another_build, enrolled, post, posts, routed, world};
use decant_tests::repack::{job, nothing, refusal, status, used, wasm};
use decant_tests::{modules, pause, settle};
use serde_bytes::ByteBuf;
use std::time::Duration;

use super::layouts::{note, noted};

/// A plan to relocate canisters to that build.
pub(crate) fn relocation(
    world: &World,
    module: &[u8],
    init_arg: Vec<u8>,
    change: impl FnOnce(&mut Relocation),
) -> Plan {
    let plan = world.plan(modules(), &Options::default()).expect("the plan is made");
    let Strategy::Relocate(mut relocation) = plan.strategy else { panic!("a rehearsal relocates") };
    relocation.module = world.upload(module).expect("the module is uploaded");
    relocation.init_arg = ByteBuf::from(init_arg);
    change(&mut relocation);
    let strategy = Strategy::Relocate(relocation);
    Plan {
        strategy,
        recycling: None,
        retention: Retention::None,
        max_in_flight: 20,
        max_canisters: 100,
        max_cycles: 1_000_000_000_000_000,
        ..plan
    }
}

fn taker(world: &World, user: u64, module: &[u8]) -> Principal {
    let no_flavour = candid::encode_one(None::<()>).expect("nothing encodes");
    let canister = routed(world, user, module, no_flavour);
    for text in POSTS {
        post(world, canister, text);
    }
    canister
}

fn summary(world: &World) -> Summary {
    query(&world.pic, world.coordinator, "decant_summary", ()).expect("the coordinator answers")
}

#[test]
fn an_init_that_touches_stable_memory_is_found_by_the_first_target_and_no_second_one_is_created() {
    let world = world();
    let module = wasm("taker");
    let canisters: Vec<Principal> = (1..=5).map(|user| taker(&world, user, &module)).collect();
    // As good as any build whose init opens its memories: it says so of itself.
    let opens = wasm("regions");
    let spec = super::layouts::opened_at_init();
    world.propose(&relocation(&world, &opens, spec, |_| ())).expect("the plan is approved");
    for round in 0..2 {
        for id in enrolled(&world, &canisters) {
            settle(&world);
            let refused = job(&world, id);
            assert!(refusal(&refused).contains("touches stable memory"), "{round}: {refused:?}");
            assert_eq!(refused.fenced_nanos, None, "{round}: no source was fenced");
        }
        assert_eq!(summary(&world).pool.len(), 1, "one canister was created to find out");
    }
    for canister in canisters {
        assert_eq!(posts(&world, canister), POSTS);
        assert_eq!(post(&world, canister, "four"), 4);
    }
}

/// Ticks until something holds.
fn until(world: &World, what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        world.pic.advance_time(Duration::from_millis(500));
        world.pic.tick();
    }
    panic!("{what} did not come about");
}

/// Somebody writes to the target of a job as soon as it has a module.
fn written_to_before_it_is_closed(world: &World, source: Principal) -> JobView {
    let id = enrolled(world, &[source])[0];
    until(world, "an installation", || job(world, id).state == "configured");
    pause(world, Pause::Hold);
    let target = job(world, id).target.expect("it has one");
    until(world, "a module", || status(world, target).module_hash.is_some());
    note(world, target, "by a stranger");
    pause(world, Pause::Running);
    settle(world);
    job(world, id)
}

#[test]
fn who_writes_to_a_target_before_it_is_closed_keeps_no_other_job_from_its_end() {
    let module = wasm("regions");
    for is_first in [true, false] {
        let world = world();
        let sources: Vec<Principal> = (1..=3).map(|user| noted(&world, user)).collect();
        let plan = relocation(&world, &module, super::layouts::opened_later(), |_| ());
        world.propose(&plan).expect("the plan is approved");
        let done = |source| {
            let id = enrolled(&world, &[source])[0];
            settle(&world);
            let done = job(&world, id);
            assert_eq!(done.outcome, Outcome::Done, "after it was the first: {is_first}: {done:?}");
        };
        if !is_first {
            done(sources[0]);
        }
        let disturbed = written_to_before_it_is_closed(&world, sources[1]);
        assert!(refusal(&disturbed).contains("was written to before it was closed"), "{disturbed:?}");
        assert_eq!(disturbed.fenced_nanos, None, "its source was never fenced");
        note(&world, sources[1], "three");
        done(sources[1]);
        done(sources[2]);
    }
}

#[test]
fn the_first_target_that_fits_lets_all_others_be_created() {
    let world = world();
    let module = wasm("taker");
    let canisters: Vec<Principal> = (1..=5).map(|user| taker(&world, user, &module)).collect();
    let no_flavour = candid::encode_one(None::<()>).expect("nothing encodes");
    world.propose(&relocation(&world, &module, no_flavour, |_| ())).expect("the plan is approved");
    let ids = enrolled(&world, &canisters);
    settle(&world);
    for id in ids {
        let done = job(&world, id);
        assert_eq!(done.outcome, Outcome::Done, "{done:?}");
        assert_eq!(posts(&world, done.target.expect("it has one")), POSTS);
    }
    assert!(summary(&world).pool.is_empty(), "none was created that nobody needs");
}

#[test]
fn a_source_that_runs_a_newer_build_than_the_plan_names_is_refused_and_never_fenced() {
    let world = world();
    let [planned, newer] = [0, 1].map(|number| another_build(&wasm("taker"), number));
    let canisters = [taker(&world, 1, &planned), taker(&world, 2, &newer)];
    let no_flavour = candid::encode_one(None::<()>).expect("nothing encodes");
    let sources = Some(vec![used(&planned, nothing()).hash]);
    let plan = relocation(&world, &planned, no_flavour, |it| it.sources = sources);
    world.propose(&plan).expect("the plan is approved");
    let ids = enrolled(&world, &canisters);
    settle(&world);
    assert_eq!(job(&world, ids[0]).outcome, Outcome::Done);
    let refused = job(&world, ids[1]);
    assert!(refusal(&refused).contains("not the approved module"), "{refused:?}");
    assert_eq!(refused.fenced_nanos, None);
    assert_eq!(posts(&world, canisters[1]), POSTS);
    assert_eq!(post(&world, canisters[1], "four"), 4);
}

#[test]
fn promise_2_a_target_that_another_controller_installed_again_before_it_opened_keeps_its_source_alive() {
    let module = wasm("taker");
    let no_flavour = || candid::encode_one(None::<()>).expect("nothing encodes");
    for is_written_to in [false, true] {
        let world = world();
        let source = taker(&world, 1, &module);
        world.propose(&relocation(&world, &module, no_flavour(), |_| ())).expect("the plan is approved");
        let id = enrolled(&world, &[source])[0];
        world.pic.stop_canister(world.index, Some(world.operator)).expect("it stops");
        until(&world, "a swap that is not answered", || job(&world, id).state == "switching");
        let target = job(&world, id).target.expect("it has one");
        world
            .pic
            .reinstall_canister(target, module.clone(), no_flavour(), Some(world.operator))
            .expect("the operator controls it too");
        if is_written_to {
            post(&world, target, "one");
        }
        world.pic.start_canister(world.index, Some(world.operator)).expect("it starts");
        settle(&world);
        let parked = job(&world, id);
        let Outcome::Parked { reason } = &parked.outcome else { panic!("{is_written_to}: {parked:?}") };
        assert!(reason.contains(&format!("{} installed", world.operator)), "{reason}");
        assert!(status(&world, source).stable_pages() > 0, "what was moved is there still");
    }
}
