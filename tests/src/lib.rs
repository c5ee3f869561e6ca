//! What the scenarios share: the modules, the engine, and a small world.

pub mod campaign;
pub mod dapps;
pub mod faults;
pub mod hostile;
pub mod keeper;
pub mod ledger;
pub mod month;
pub mod others;
pub mod people;
pub mod precopy;
pub mod prometheus;
pub mod repack;
pub mod unsteady;
pub mod vessel;

use candid::Principal;
use decant_api::jobs::{JobView, JobsArgs, Pause, Summary};
use decant_cli::engine::Engine;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::world::World;
use decant_cli::rehearsal::{self, Modules, Options, Silent};
use pocket_ic::CanisterSettings;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// Rounds in which every scenario must end.
const ROUNDS: u32 = 5_000;

/// The modules, built once in this process.
pub fn modules() -> &'static Modules {
    static MODULES: OnceLock<Modules> = OnceLock::new();
    MODULES.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let status = Command::new(root.join("scripts/build")).status().expect("scripts/build runs");
        assert!(status.success(), "the canisters build");
        Modules::read(&root.join("target/canisters")).expect("scripts/build leaves every module")
    })
}

/// The engine, started once in this process.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::start().expect("the engine starts"))
}

/// A world with a fleet that was upgraded to `kit`, before any plan.
pub fn fleet(options: &Options, kit: &[u8]) -> (World, Fleet) {
    fleet_on(engine(), options, kit)
}

/// As [`fleet`], on an engine of its own.
pub fn fleet_on(engine: &Engine, options: &Options, kit: &[u8]) -> (World, Fleet) {
    let (world, mut fleet) = bloated_on(engine, options);
    let with_kit = Modules { kit: kit.to_vec(), ..modules().clone() };
    fleet.upgrade_to_kit(&world, &with_kit, &mut Silent).expect("the fleet gets the kit");
    (world, fleet)
}

/// A world with a fleet after the upgrade that bloats: nobody in it knows of Decant.
pub fn bloated_on(engine: &Engine, options: &Options) -> (World, Fleet) {
    let world = World::new(engine, modules(), options).expect("the world is made");
    let mut fleet = Fleet::create(&world, modules(), options, &mut Silent).expect("the fleet is created");
    fleet.bloat(&world, modules(), options, &mut Silent).expect("the fleet is upgraded");
    (world, fleet)
}

/// An enrolled fleet, the second canister of which controls another that the plan names: its job is parked for it.
pub fn enrolled_with_ward(options: &Options) -> (World, Principal) {
    let (world, users) = fleet(options, &modules().kit);
    let controllers = Some(vec![world.operator, users.users[1].original]);
    let settings = CanisterSettings { controllers, ..CanisterSettings::default() };
    let ward = world.pic.create_canister_with_settings(Some(world.operator), Some(settings));
    world.pic.add_cycles(ward, 10_000_000_000_000);
    let mut plan = world.plan(modules(), options).expect("the plan is made");
    plan.dependents = vec![ward];
    world.propose(&plan).expect("the plan is approved");
    enrol(&world, &users).expect("the index enrols");
    (world, ward)
}

/// Hands originals to the index, which enrols them; the first refusal, if there is one.
pub fn enrol(world: &World, fleet: &Fleet) -> Result<Vec<u64>, String> {
    hand_over(world, fleet.users.iter().map(|user| user.original).collect())
}

/// Hands canisters to the index, which enrols them; the first refusal, if there is one.
pub fn hand_over(world: &World, canisters: Vec<Principal>) -> Result<Vec<u64>, String> {
    let answers: Vec<Result<u64, String>> =
        update(&world.pic, world.index, world.operator, "relocate", (canisters,)).expect("the index answers");
    answers.into_iter().collect()
}

/// Ticks until no job is on its way; answers all jobs.
pub fn settle(world: &World) -> Vec<JobView> {
    settle_with(world, |_| ())
}

/// As [`settle`], with something done in every round.
pub fn settle_with(world: &World, mut in_each_round: impl FnMut(u32)) -> Vec<JobView> {
    for round in 0..ROUNDS {
        faults::restart_if_due(world);
        let summary: Summary =
            query(&world.pic, world.coordinator, "decant_summary", ()).expect("the coordinator answers");
        if summary.queued == 0 && summary.running == 0 {
            return jobs(world);
        }
        in_each_round(round);
        world.pic.advance_time(Duration::from_secs(2));
        world.pic.tick();
    }
    panic!("jobs still run after {ROUNDS} rounds: {:?}\n{:#?}", jobs(world), world.coordinator_log());
}

/// Stops the coordinator, upgrades it to the module that it runs, and starts it.
pub fn restart(world: &World) {
    rehearsal::faults::restart(world, &modules().coordinator).expect("it can be, at any time");
}

/// Says as a controller of the coordinator what jobs may do.
pub fn pause(world: &World, pause: Pause) {
    let paused: Result<(), String> =
        update(&world.pic, world.coordinator, world.operator, "decant_pause", (pause,)).expect("it answers");
    paused.expect("a controller may pause");
}

/// Deletes a canister of the coordinator's pool.
pub fn delete_pooled(world: &World, canister: Principal) {
    let deleted: Result<(), String> =
        update(&world.pic, world.coordinator, world.operator, "decant_delete_pooled", (canister,))
            .expect("it answers");
    deleted.expect("it is the coordinator's");
}

/// All jobs.
pub fn jobs(world: &World) -> Vec<JobView> {
    query(&world.pic, world.coordinator, "decant_jobs", (JobsArgs { after: 0, limit: 1_000 },))
        .expect("the coordinator answers")
}

/// The latest job of a canister.
pub fn job_of(world: &World, canister: Principal) -> Option<JobView> {
    query(&world.pic, world.coordinator, "decant_job_of", (canister,)).expect("the coordinator answers")
}

/// The canister that the index names for a user.
pub fn route(world: &World, user: u64) -> Principal {
    let routed: Option<Principal> =
        query(&world.pic, world.index, "route", (user,)).expect("the index answers");
    routed.expect("the user has a route")
}

/// Checks that the user's canister holds what the model says, and takes an update that the model takes too.
pub fn assert_serves(world: &World, fleet: &mut Fleet, position: usize, expected: Principal) {
    let user = &mut fleet.users[position];
    assert_eq!(route(world, user.number), expected, "user {} is routed elsewhere", user.number);
    let id: u64 = update(&world.pic, expected, world.operator, "post", ("still here".to_owned(),))
        .expect("the canister takes updates");
    let own = user.model.post("still here".to_owned());
    assert_eq!(id, own);
    let digest: serde_bytes::ByteBuf =
        query(&world.pic, expected, "digest", ()).expect("the canister answers queries");
    assert_eq!(digest.as_slice(), decant_user_model::digest(&user.model.state()), "user {}", user.number);
}
