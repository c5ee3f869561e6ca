//! Nobody waits for canisters that never close their calls. Design, section 6, promise 8; findings S7 and S9.

use candid::{CandidType, Principal};
use decant_api::jobs::{JobView, Outcome};
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::world::World;
use decant_tests::keeper::{Keeper, bump, bumped, call, peek};
use decant_tests::repack::{
    RunState, digest, grow, install, install_shapes, nothing, one_of_each, plan, refusal, repack_with,
    status, used, wasm,
};
use decant_tests::{engine, job_of, modules};
use pocket_ic::common::rest::RawEffectivePrincipal;
use std::time::Duration;

/// Seconds in which a coordinator is stopped whatever its sources do: the longest that it waits for a stop of its own, and what
/// the calls take that are sent around that.
const STOPPED_WITHIN_SECONDS: u64 = 20;

#[derive(CandidType)]
struct OfCanister {
    canister_id: Principal,
}

/// Stops the coordinator while time passes; answers how many seconds that took.
fn stop(world: &World) -> u64 {
    let begun_nanos = world.pic.get_time().as_nanos_since_unix_epoch();
    let argument = candid::encode_one(OfCanister { canister_id: world.coordinator }).expect("it encodes");
    let stop = world
        .pic
        .submit_call_with_effective_principal(
            Principal::management_canister(),
            RawEffectivePrincipal::CanisterId(world.coordinator.as_slice().to_vec()),
            world.operator,
            "stop_canister",
            argument,
        )
        .expect("it is sent");
    while world.pic.ingress_status(stop.clone()).is_none() {
        world.pic.advance_time(Duration::from_millis(500));
        world.pic.tick();
    }
    world.pic.ingress_status(stop).expect("it is answered").expect("it can be stopped");
    (world.pic.get_time().as_nanos_since_unix_epoch() - begun_nanos) / 1_000_000_000
}

/// Upgrades a coordinator that is stopped to the module that it runs, and starts it.
fn upgrade_and_start(world: &World) {
    let operator = Some(world.operator);
    world
        .pic
        .upgrade_canister(world.coordinator, modules().coordinator.clone(), nothing(), operator)
        .expect("one that is stopped can be upgraded");
    world.pic.start_canister(world.coordinator, operator).expect("it starts");
}

#[test]
fn a_source_whose_calls_never_close_holds_up_neither_the_coordinator_nor_other_jobs_and_serves_again() {
    let world = World::new(engine(), modules(), &Options::default()).expect("the world is made");
    let keeper = Keeper::default();
    let hanging = install(&world, &keeper.module(), nothing());
    bump(&world, hanging);
    world.pic.submit_call(hanging, world.operator, "hang", nothing()).expect("it is sent");
    let healthy = install_shapes(&world, &one_of_each(128));
    grow(&world, healthy, 1, 200);
    let content = digest(&world, healthy);
    let plan = plan(&world, vec![used(&keeper.module(), nothing()), used(&wasm("shapes"), nothing())]);

    let mut stops = Vec::new();
    let jobs = repack_with(&world, &plan, &[hanging, healthy], || {
        // The call that stops the source is under way when it is seen stopping first, and again some time later.
        let waits_again = || job_of(&world, hanging).is_some_and(|job| job.attempts > 3);
        let is_stopping = || status(&world, hanging).status == RunState::Stopping;
        if (stops.is_empty() && is_stopping()) || (stops.len() == 1 && waits_again()) {
            stops.push(stop(&world));
            upgrade_and_start(&world);
        }
    });
    assert_eq!(stops.len(), 2, "it was stopped while it waited for the source");
    println!("stopped within {stops:?} seconds");
    assert!(stops.iter().all(|seconds| *seconds <= STOPPED_WITHIN_SECONDS), "{stops:?} seconds");

    let [hung, done]: [JobView; 2] = jobs.try_into().expect("two jobs");
    assert_eq!(done.outcome, Outcome::Done, "{done:?}");
    assert_eq!(digest(&world, healthy), content);
    assert!(refusal(&hung).contains("still stopping"), "{hung:?}");
    // Its start took the stop back: it serves, with all that it held.
    call(&world, hanging, "bump");
    assert_eq!(peek(&world, hanging), bumped(2));
}
