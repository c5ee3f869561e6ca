//! Originals that are not deleted: emptied, kept for a while, and given to others. What that saves, and that nothing of the one
//! who had an id before is ever read under it.

use candid::{CandidType, Nat, Principal};
use decant_api::events::{Event, Evidence, Happened};
use decant_api::govern::PlanView;
use decant_api::jobs::{JobView, Outcome, PoolView, Summary};
use decant_api::plan::{self, Plan, Recycling};
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::{Options, world::World};
use decant_tests::repack::{RunState, manage_at};
use decant_tests::{
    assert_serves, delete_pooled, enrol, fleet, hand_over, job_of, jobs, modules, restart, route, settle_with,
};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// The shortest quarantine.
const QUARANTINE_SECONDS: u64 = 600;
/// Rounds in which something must come about.
const ROUNDS: u32 = 2_000;
/// Cycles of the coordinator that a job may take besides creations (the aim is a repack's price; measured: see the page).
const MOST_CYCLES_A_JOB: u128 = 2_000_000_000;

fn recycling(world: &World, options: &Options) -> Plan {
    let plan = world.plan(modules(), options).expect("the modules are uploaded");
    Plan { recycling: Some(Recycling { quarantine_seconds: QUARANTINE_SECONDS }), ..plan }
}

fn summary(world: &World) -> Summary {
    query(&world.pic, world.coordinator, "decant_summary", ()).expect("the coordinator answers")
}

fn pool(world: &World) -> Vec<PoolView> {
    query(&world.pic, world.coordinator, "decant_pool", ()).expect("the coordinator answers")
}

fn tick_until(world: &World, what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..ROUNDS {
        if is_so() {
            return;
        }
        world.pic.advance_time(Duration::from_secs(1));
        world.pic.tick();
    }
    panic!("{what} did not come about in {ROUNDS} rounds: {:#?}", jobs(world));
}

/// Where an index, or the coordinator, leads from an id; why nowhere.
fn resolve(world: &World, at: Principal, id: Principal) -> Result<Principal, String> {
    query(&world.pic, at, "decant_resolve", (id,)).map_err(|error| error.to_string())
}

/// A number from the environment, for the figures of a large fleet: DECANT_RECYCLED=canisters,jobs at a time.
fn size() -> (u32, u32) {
    let text = std::env::var("DECANT_RECYCLED").unwrap_or_else(|_| "40,5".to_owned());
    let (canisters, in_flight) = text.split_once(',').expect("two numbers");
    (canisters.parse().expect("a number"), in_flight.parse().expect("a number"))
}

#[test]
fn a_fleet_needs_no_more_creations_than_jobs_at_a_time_and_a_job_costs_what_its_calls_do() {
    let (canisters, in_flight) = size();
    let options = Options { canisters, in_flight, state_kib: 8, ..Options::default() };
    let (world, mut users) = fleet(&options, &modules().kit);
    let plan = recycling(&world, &options);
    // With room for the creations and the calls, and for what those that come back may lack of the plan's cycles.
    let a_target = 500_000_000_000 + plan.cycles_per_target;
    let calls = u128::from(canisters) * 3_000_000_000;
    let max_cycles = u128::from(in_flight) * a_target + calls + plan.cycles_per_target;
    let plan = Plan { max_cycles, ..plan };
    world.propose(&plan).expect("the plan is approved");
    let held = |ids: &BTreeSet<Principal>| ids.iter().map(|id| world.pic.cycle_balance(*id)).sum::<u128>();
    let originals: BTreeSet<Principal> = users.originals().into_iter().collect();
    let before = (world.pic.cycle_balance(world.coordinator), held(&originals));
    enrol(&world, &users).expect("the index enrols");
    let ended = settle_with(&world, |_| skip_quarantine(&world));
    assert!(ended.iter().all(|job| job.outcome == Outcome::Done), "{ended:#?}");
    let targets: BTreeSet<Principal> = ended.iter().filter_map(|job| job.target).collect();
    assert_eq!(targets.len(), canisters as usize, "no two users share one");
    let pooled: BTreeSet<Principal> = pool(&world).into_iter().map(|it| it.canister).collect();
    assert!(pooled.is_disjoint(&targets));
    let all: BTreeSet<Principal> = targets.union(&pooled).copied().collect();
    assert!(originals.is_subset(&all), "each original serves again, or is in the pool");
    let created = all.len() - originals.len();
    assert!(created <= in_flight as usize, "{created} were created, for {in_flight} jobs at a time");
    let spent = summary(&world).cycles_spent;
    let jobs = u128::from(canisters);
    let creations = a_target * created as u128;
    let fees = 500_000_000_000 * created as u128;
    let after = (world.pic.cycle_balance(world.coordinator), held(&all));
    let burned = (before.0 + before.1).saturating_sub(after.0 + after.1);
    println!(
        "{canisters} canisters, {in_flight} at a time: {created} created; a job, in M cycles: {} without creations, {} with \
         their fees; {} burned by all canisters together, creations and days of storage included",
        (spent - creations) / jobs / 1_000_000,
        (spent - creations + fees) / jobs / 1_000_000,
        burned / jobs / 1_000_000,
    );
    let a_job = (spent - creations) / jobs;
    assert!(a_job <= MOST_CYCLES_A_JOB, "{a_job} cycles a job besides creations");
    let view: Option<PlanView> =
        query(&world.pic, world.coordinator, "decant_plan", (1_u64,)).expect("it answers");
    assert!(view.is_some_and(|view| view.spent_cycles <= max_cycles), "promise 13");
    for position in 0..users.users.len() {
        let job = job_at(&ended, users.users[position].original);
        assert_serves(&world, &mut users, position, job.target.expect("it moved"));
    }
    assert_told(&world, &ended, &originals);
    // What nobody needs is taken out, as of any pool.
    let (canister, before) = (pooled.first().copied(), world.pic.cycle_balance(world.coordinator));
    delete_pooled(&world, canister.expect("the last originals are nobody's"));
    assert!(world.pic.cycle_balance(world.coordinator) > before + plan.cycles_per_target / 2);
}

/// While nothing runs, and all there are are in quarantine, time passes at once.
fn skip_quarantine(world: &World) {
    if summary(world).running > 0 {
        return;
    }
    let now_nanos = world.pic.get_time().as_nanos_since_unix_epoch();
    let first_nanos = pool(world).iter().map(|it| it.quarantined_until_nanos.unwrap_or(0)).min();
    if let Some(wait_nanos) = first_nanos.and_then(|at_nanos| at_nanos.checked_sub(now_nanos)) {
        world.pic.advance_time(Duration::from_nanos(wait_nanos));
    }
}

fn job_at(jobs: &[JobView], source: Principal) -> &JobView {
    jobs.iter().find(|job| job.source == source).expect("it has a job")
}

/// Events and evidence say whose each canister was.
fn assert_told(world: &World, jobs: &[JobView], originals: &BTreeSet<Principal>) {
    let events: Vec<Event> =
        query(&world.pic, world.coordinator, "decant_events", (0_u64, 1_000_u32)).expect("it tells");
    let recycled: BTreeSet<Principal> = events
        .iter()
        .filter_map(|event| match &event.happened {
            Happened::Recycled { source, root, .. } if root.is_some() => Some(*source),
            _ => None,
        })
        .collect();
    assert_eq!(&recycled, originals, "each was emptied, and none deleted");
    for job in jobs {
        let evidence: Option<Evidence> =
            query(&world.pic, world.coordinator, "decant_evidence", (job.id,)).expect("it tells");
        let from = evidence.expect("it has evidence").recycled_from;
        let target = job.target.expect("it moved");
        let whose = originals.contains(&target).then(|| job_at(jobs, target).id);
        assert_eq!(from, whose, "{job:?}");
    }
}

#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
enum Visibility {
    #[serde(rename = "controllers")]
    Controllers,
    #[serde(rename = "public")]
    Public,
}

#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
struct Variable {
    name: String,
    value: String,
}

/// All settings but the controllers.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
struct Settings {
    compute_allocation: Option<Nat>,
    memory_allocation: Option<Nat>,
    freezing_threshold: Option<Nat>,
    reserved_cycles_limit: Option<Nat>,
    log_visibility: Option<Visibility>,
    log_memory_limit: Option<Nat>,
    snapshot_visibility: Option<Visibility>,
    status_visibility: Option<Visibility>,
    minimum_incoming_canister_call_cycles: Option<Nat>,
    wasm_memory_limit: Option<Nat>,
    wasm_memory_threshold: Option<Nat>,
    environment_variables: Option<Vec<Variable>>,
}

#[derive(CandidType)]
struct UpdateSettings {
    canister_id: Principal,
    settings: Settings,
}

#[derive(CandidType)]
struct OfCanister {
    canister_id: Principal,
}

#[derive(Debug, CandidType, Deserialize)]
struct Metrics {
    stable_memory_size: Nat,
    snapshots_size: Nat,
    wasm_memory_size: Nat,
    wasm_chunk_store_size: Nat,
}

#[derive(Debug, CandidType, Deserialize)]
struct Stands {
    status: RunState,
    module_hash: Option<serde_bytes::ByteBuf>,
    settings: Settings,
    memory_metrics: Metrics,
}

fn stands(world: &World, canister: Principal, sender: Principal) -> Stands {
    manage_at(&world.pic, sender, canister, "canister_status", &OfCanister { canister_id: canister })
}

fn logs(world: &World, canister: Principal, sender: Principal) -> usize {
    world.pic.fetch_canister_logs(canister, sender).expect("who controls it reads its log").len()
}

/// Settings in which each lets somebody in, or costs.
fn own_settings(of_fresh: &Settings) -> Settings {
    Settings {
        freezing_threshold: Some(Nat::from(1_234_567_u32)),
        reserved_cycles_limit: Some(Nat::from(7_000_000_000_000_u64)),
        log_visibility: Some(Visibility::Public),
        wasm_memory_limit: Some(Nat::from(1_u32 << 30)),
        wasm_memory_threshold: Some(Nat::from(1_u32 << 20)),
        environment_variables: Some(vec![Variable { name: "OWNER".to_owned(), value: "ada".to_owned() }]),
        ..of_fresh.clone()
    }
}

/// Two users with the first one's original in retention, and the second one in line behind it.
fn two_users() -> (World, Fleet, Settings) {
    let options = Options { canisters: 2, in_flight: 1, state_kib: 200, ..Options::default() };
    let (world, users) = fleet(&options, &modules().kit);
    let fresh = world.pic.create_canister();
    let of_fresh = stands(&world, fresh, Principal::anonymous()).settings;
    let original = users.users[0].original;
    let settings = own_settings(&of_fresh);
    manage_at::<()>(
        &world.pic,
        world.operator,
        original,
        "update_settings",
        &UpdateSettings { canister_id: original, settings: settings.clone() },
    );
    assert_eq!(stands(&world, original, world.operator).settings, settings);
    // A call that traps leaves its line.
    world.pic.update_call(original, world.operator, "post", b"no candid".to_vec()).expect_err("it traps");
    assert!(logs(&world, original, world.operator) > 0, "it has a log");
    let retention = plan::Retention::Frozen { seconds: 60 };
    world.propose(&Plan { retention, ..recycling(&world, &options) }).expect("the plan is approved");
    enrol(&world, &users).expect("the index enrols");
    tick_until(&world, "the retention", || state_of(&world, original) == "retaining");
    (world, users, of_fresh)
}

fn state_of(world: &World, original: Principal) -> String {
    job_of(world, original).map(|job| job.state).unwrap_or_default()
}

#[test]
fn nothing_of_a_user_is_ever_read_under_an_id_that_now_serves_another() {
    let (world, mut users, of_fresh) = two_users();
    let [first, second] = [0, 1].map(|position: usize| users.users[position].original);
    let moved_to = job_of(&world, first).and_then(|job| job.target).expect("it moved");
    // A snapshot that its controller takes would be the next user's to load.
    let taken = world.pic.take_canister_snapshot(first, Some(world.operator), None).expect("it is taken");
    tick_until(&world, "a parked job", || state_of(&world, first) == "parked");
    let parked = job_of(&world, first).expect("it has a job");
    assert_eq!(parked.code.as_deref(), Some("HasSnapshots"), "{parked:?}");
    world.pic.delete_canister_snapshot(first, Some(world.operator), taken.id).expect("it is deleted");
    let retried: Result<(), String> =
        update(&world.pic, world.coordinator, world.operator, "decant_retry", (parked.id,))
            .expect("it answers");
    retried.expect("it is parked");
    tick_until(&world, "the emptied original", || pool(&world).iter().any(|it| it.canister == first));
    // In quarantine: the coordinator's alone, as a fresh canister is.
    assert_eq!(world.pic.get_controllers(first), [world.coordinator]);
    let emptied = stands(&world, first, world.coordinator);
    assert_eq!((emptied.module_hash.as_ref(), emptied.status), (None, RunState::Running), "{emptied:?}");
    assert_eq!(emptied.settings, of_fresh, "no setting of the first user's is left");
    let Metrics { stable_memory_size, snapshots_size, wasm_memory_size, wasm_chunk_store_size } =
        &emptied.memory_metrics;
    for bytes in [stable_memory_size, snapshots_size, wasm_memory_size, wasm_chunk_store_size] {
        assert_eq!(*bytes, Nat::from(0u8), "{emptied:?}");
    }
    assert_eq!(logs(&world, first, world.coordinator), 0, "its log is gone");
    world.pic.fetch_canister_logs(first, world.operator).expect_err("and it is not public");
    let stranded: Result<u64, _> = update(&world.pic, first, world.operator, "post", ("to ada".to_owned(),));
    stranded.expect_err("it is nobody's");
    for at in [world.index, world.coordinator] {
        assert_eq!(resolve(&world, at, first), Ok(moved_to), "until it is another's the old id leads on");
    }
    // The second user waits for it, across an upgrade, and gets it when the quarantine is over, not before.
    let out_nanos = pool(&world)[0].quarantined_until_nanos.expect("it is in quarantine");
    let now_nanos = || world.pic.get_time().as_nanos_since_unix_epoch();
    assert!(out_nanos > now_nanos() + 500_000_000_000);
    assert_eq!(state_of(&world, second), "queued", "none is created for it");
    let why = summary(&world).waits_for.expect("it says what it waits for");
    assert!(why.contains("in quarantine"), "{why}");
    restart(&world);
    tick_until(&world, "a target", || job_of(&world, second).is_some_and(|job| job.target.is_some()));
    assert!(now_nanos() >= out_nanos, "nobody has it before");
    assert_eq!(job_of(&world, second).and_then(|job| job.target), Some(first));
    tick_until(&world, "the switch", || route(&world, 1) == first);
    tick_until(&world, "the second retention", || state_of(&world, second) == "retaining");
    assert_eq!(stands(&world, first, world.operator).settings, of_fresh, "the second one's settings");
    assert_serves(&world, &mut users, 1, first);
    assert_serves(&world, &mut users, 0, moved_to);
    for at in [world.index, world.coordinator] {
        let why = resolve(&world, at, first).expect_err("whose is it?");
        assert!(why.contains("another's"), "{why}");
        assert_eq!(resolve(&world, at, second), Ok(first));
        assert_eq!(resolve(&world, at, moved_to), Ok(moved_to));
    }
    assert_eq!(job_of(&world, first).map(|job| job.source), Some(second), "its job is the latest");
    let again = hand_over(&world, vec![first]).expect_err("all of the plan are enrolled");
    assert!(again.contains("of the plan are enrolled"), "{again}");
}

#[test]
fn a_job_that_goes_back_returns_its_recycled_canister_to_those_of_its_plan() {
    let (world, mut users, _) = two_users();
    let [first, second] = [0, 1].map(|position: usize| users.users[position].original);
    tick_until(&world, "a target", || job_of(&world, second).is_some_and(|job| job.target.is_some()));
    let job = job_of(&world, second).expect("it has a job");
    assert_eq!(job.target, Some(first));
    let aborted: Result<(), String> =
        update(&world.pic, world.coordinator, world.operator, "decant_abort", (job.id,)).expect("it answers");
    aborted.expect("it is not committed");
    settle_with(&world, |_| ());
    let pooled = pool(&world);
    let emptier = job_of(&world, first).map(|job| job.id);
    assert_eq!(pooled.len(), 1, "{pooled:?}");
    assert_eq!((pooled[0].canister, pooled[0].emptied_by), (first, emptier));
    assert_serves(&world, &mut users, 1, second);
}
