//! Repacks that do not begin: each ends rolled back, with a reason that names the figure, before the canister was
//! stopped.

use candid::{CandidType, Principal};
use decant_api::jobs::{JobView, Outcome, Summary};
use decant_api::plan::{ByVessel, ModuleUse, Plan, Strategy};
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::world::World;
use decant_tests::keeper::{Keeper, bump, bumped, burn_to, peek};
use decant_tests::repack::{
    RunState, create, digest, enrol_with, grow, install, install_shapes, nothing, one_of_each, plan, refusal,
    repack, repack_with, shapes_plan, snapshots, status, used, wasm,
};
use decant_tests::{engine, modules};

/// Calls of users before each round: more than the calls of a job that is refused.
const CALLS_A_ROUND: u32 = 20;

fn world() -> World {
    World::new(engine(), modules(), &Options::default()).expect("the world is made")
}

/// The job is refused for a reason that contains `why`. All the while the canister takes the update `method`, and
/// it is as it was afterwards.
fn assert_refused(world: &World, plan: &Plan, canister: Principal, method: &str, why: &[&str]) -> JobView {
    let before = (status(world, canister), snapshots(world, canister));
    let arguments = match method {
        "grow" => candid::encode_args((0_u64, 0_u64)).expect("numbers encode"),
        _ => nothing(),
    };
    // They meet the job at each of its calls.
    let mut messages = Vec::new();
    let jobs = repack_with(world, plan, &[canister], || {
        messages.extend((0..CALLS_A_ROUND).map(|_| {
            let submitted = world.pic.submit_call(canister, world.operator, method, arguments.clone());
            submitted.expect("the canister runs")
        }));
    });
    for message in messages {
        world.pic.await_call(message).expect("a canister that is not repacked serves");
    }
    let [job] = <[JobView; 1]>::try_from(jobs).expect("one job");
    let reason = refusal(&job);
    for part in why {
        assert!(reason.contains(part), "{reason:?} does not tell {part:?}");
    }
    assert_eq!(job.fenced_nanos, None, "{reason}");
    let after = status(world, canister);
    assert_eq!((after.module_hash, after.settings), (before.0.module_hash, before.0.settings));
    assert_eq!(after.memory_metrics.stable_memory_size, before.0.memory_metrics.stable_memory_size);
    assert_eq!((after.status, snapshots(world, canister)), (RunState::Running, before.1));
    job
}

/// A canister of shapes with something in it.
fn shapes(world: &World, bucket_pages: u16) -> Principal {
    let canister = install_shapes(world, &one_of_each(bucket_pages));
    grow(world, canister, 1, 200);
    canister
}

#[test]
fn a_raw_image_is_refused() {
    let world = world();
    let raw = install(&world, &modules().raw, nothing());
    let post = |text: &str| -> u64 {
        update(&world.pic, raw, world.operator, "post", (text.to_owned(),)).expect("it is posted")
    };
    let first = post(&"hello ".repeat(50_000));
    // Only an upgrade brings the state to stable memory.
    world
        .pic
        .upgrade_canister(raw, modules().raw.clone(), nothing(), Some(world.operator))
        .expect("upgraded");
    let pages = status(&world, raw).stable_pages();
    assert!(pages > 1);
    let jobs = repack(&world, &plan(&world, vec![used(&modules().raw, nothing())]), &[raw]);
    let figure = format!("{pages} pages of {raw} are raw");
    assert!(refusal(&jobs[0]).contains(&figure), "{:?}", jobs[0]);
    assert_eq!((jobs[0].fenced_nanos, snapshots(&world, raw).len()), (None, 0));
    assert_eq!(post("again"), first + 1);
}

#[test]
fn a_canister_without_stable_memory_is_refused_and_keeps_its_heap() {
    let world = world();
    let counter = install(&world, &wasm("heap-only"), nothing());
    let mut module = used(&wasm("heap-only"), nothing());
    for may_lose_heap in [false, true] {
        module.may_lose_heap = may_lose_heap;
        let plan = plan(&world, vec![module.clone()]);
        let before: u64 = update(&world.pic, counter, world.operator, "increment", ()).expect("it counts");
        assert_refused(&world, &plan, counter, "increment", &["has no stable memory"]);
        let after: u64 = update(&world.pic, counter, world.operator, "increment", ()).expect("it counts");
        assert!(after > before + 1, "it lost its heap: {before}, {after}");
    }
}

#[test]
fn a_canister_without_code_is_refused() {
    let world = world();
    let empty = create(&world);
    let jobs = repack(&world, &shapes_plan(&world), &[empty]);
    assert!(refusal(&jobs[0]).contains("is empty"), "{:?}", jobs[0]);
    assert_eq!(jobs[0].fenced_nanos, None);
}

#[test]
fn what_is_compact_already_is_refused_whatever_the_plans_buckets() {
    let world = world();
    for (bucket_pages, planned) in [(1, 1), (16, 16), (1, 4), (4, 16), (16, 128), (128, 1_024)] {
        let canister = shapes(&world, bucket_pages);
        let (before, pages) = (digest(&world, canister), status(&world, canister).stable_pages());
        let plan = Plan { bucket_pages: planned, ..shapes_plan(&world) };
        let figure = format!("holds {pages} pages");
        assert_refused(&world, &plan, canister, "grow", &["already compact", &figure]);
        assert_eq!(digest(&world, canister), before);
    }
}

#[test]
fn what_gives_back_less_than_the_plan_wants_is_refused() {
    let world = world();
    let canister = shapes(&world, 16);
    let pages = status(&world, canister).stable_pages();
    // At once, and only when the image was looked at.
    for min_reclaimed_pages in [1_000_000, pages - 2] {
        let plan = Plan { min_reclaimed_pages, ..shapes_plan(&world) };
        let (figure, wanted) = (format!("of {pages} pages"), format!("the plan wants {min_reclaimed_pages}"));
        assert_refused(&world, &plan, canister, "grow", &["too little memory", &figure, &wanted]);
    }
}

#[test]
fn buckets_that_could_not_hold_the_projected_growth_are_refused() {
    let world = world();
    let canister = shapes(&world, 128);
    let pages: u64 = update(&world.pic, canister, world.operator, "fill_pages", (50_u8, 400_u64, 1_u64))
        .expect("there is room");
    assert_eq!(pages, 400);
    // 101 times 400 pages do not fit into 32,768 buckets of a page.
    let by = ByVessel {
        modules: vec![used(&wasm("shapes"), nothing())],
        growth_percent: 10_000,
        may_drop_tail: false,
        rolls_back_on_lost_timer: None,
        manager_page: None,
    };
    let plan = Plan { strategy: Strategy::Repack(by), ..shapes_plan(&world) };
    assert_refused(&world, &plan, canister, "grow", &["32768 exist", "use buckets of at least 2 pages"]);
    let larger = Plan { bucket_pages: 2, ..plan };
    let jobs = repack(&world, &larger, &[canister]);
    assert_eq!(jobs[0].outcome, Outcome::Done, "{:?}", jobs[0]);
}

#[test]
fn a_module_without_pre_upgrade_is_refused_unless_the_plan_gives_up_its_heap() {
    let world = world();
    let keeper = Keeper { has_pre_upgrade: false, ..Keeper::default() };
    let canister = install(&world, &keeper.module(), nothing());
    let mut module = used(&keeper.module(), nothing());
    let refused = plan(&world, vec![module.clone()]);
    assert_refused(&world, &refused, canister, "bump", &["no pre_upgrade", &canister.to_text()]);
    let before = peek(&world, canister);
    assert!(before[0] > 0);

    module.may_lose_heap = true;
    let jobs = repack(&world, &plan(&world, vec![module]), &[canister]);
    assert_eq!(jobs[0].outcome, Outcome::Done, "{:?}", jobs[0]);
    assert_eq!(status(&world, canister).stable_pages(), 3);
    assert_eq!(peek(&world, canister), before, "it saves after every change");
    bump(&world, canister);
    assert_eq!(peek(&world, canister), bumped(before[0] + 1));
}

#[test]
fn a_canister_with_nine_snapshots_is_refused_and_keeps_them() {
    let world = world();
    let canister = shapes(&world, 128);
    for _ in 0..9 {
        let taken = world.pic.take_canister_snapshot(canister, Some(world.operator), None);
        taken.expect("there is room for ten");
    }
    assert_refused(&world, &shapes_plan(&world), canister, "grow", &["9 of 10", "delete some"]);
    let first = snapshots(&world, canister).remove(0);
    world.pic.delete_canister_snapshot(canister, Some(world.operator), first).expect("it is deleted");
    let foreign = snapshots(&world, canister);
    let before = digest(&world, canister);
    let jobs = repack(&world, &shapes_plan(&world), &[canister]);
    assert_eq!(jobs[0].outcome, Outcome::Done, "eight leave room for two: {:?}", jobs[0]);
    assert_eq!((snapshots(&world, canister), digest(&world, canister)), (foreign, before));
}

#[derive(CandidType, Default)]
struct Settings {
    controllers: Option<Vec<Principal>>,
    freezing_threshold: Option<candid::Nat>,
    minimum_incoming_canister_call_cycles: Option<candid::Nat>,
    snapshot_visibility: Option<Visibility>,
}

#[derive(CandidType, serde::Deserialize)]
enum Visibility {
    #[serde(rename = "public")]
    Public,
}

#[derive(CandidType)]
struct UpdateSettings {
    canister_id: Principal,
    settings: Settings,
}

fn set(world: &World, canister_id: Principal, settings: Settings) {
    let argument = candid::encode_one(UpdateSettings { canister_id, settings }).expect("settings encode");
    let effective =
        pocket_ic::common::rest::RawEffectivePrincipal::CanisterId(canister_id.as_slice().to_vec());
    let management = Principal::management_canister();
    let called = world.pic.update_call_with_effective_principal(
        management,
        effective,
        world.operator,
        "update_settings",
        argument,
    );
    called.expect("the operator is a controller");
}

/// What a plan for one repack of a build that nobody uploaded may spend at the least, on 13 nodes.
const LEAST_CYCLES: u128 = 53_000_000_000;

fn cycles_spent(world: &World) -> u128 {
    let summary: Summary =
        query(&world.pic, world.coordinator, "decant_summary", ()).expect("the coordinator answers");
    summary.cycles_spent
}

#[test]
fn a_chunk_store_is_not_carried_and_its_size_and_what_to_do_are_said() {
    let world = world();
    let canister = shapes(&world, 128);
    for chunk in 0..50_u8 {
        world.pic.upload_chunk(canister, Some(world.operator), vec![chunk; 1 << 20]).expect("it is stored");
    }
    let plan = Plan { max_cycles: LEAST_CYCLES, ..shapes_plan(&world) };
    assert_refused(&world, &plan, canister, "grow", &["52428800 bytes", "clear_chunk_store"]);
    assert!(cycles_spent(&world) < LEAST_CYCLES, "promise 13: {} cycles", cycles_spent(&world));
    world.pic.clear_chunk_store(canister, Some(world.operator)).expect("it is cleared");
    let jobs = repack(&world, &plan, &[canister]);
    assert_eq!(jobs[0].outcome, Outcome::Done, "{jobs:?}");
    assert!(cycles_spent(&world) < 2 * LEAST_CYCLES, "promise 13: {} cycles", cycles_spent(&world));
}

/// S10: the plan's module was uploaded, or was learned from the first canister.
#[test]
fn a_chunk_store_of_the_coordinator_that_is_cleared_between_two_repacks_stops_no_canister_in_vain() {
    for is_uploaded in [true, false] {
        let world = world();
        let canisters = [shapes(&world, 128), shapes(&world, 128)];
        let chunk_hashes = match is_uploaded {
            true => world.upload(&wasm("shapes")).expect("the module is uploaded").chunk_hashes,
            false => Vec::new(),
        };
        let module = ModuleUse { chunk_hashes, ..used(&wasm("shapes"), nothing()) };
        let jobs = repack(&world, &plan(&world, vec![module]), &canisters[..1]);
        assert_eq!(jobs[0].outcome, Outcome::Done, "{jobs:?}");
        let cleared = world.pic.clear_chunk_store(world.coordinator, Some(world.operator));
        cleared.expect("the operator controls the coordinator");
        let before = digest(&world, canisters[1]);
        let [job] = <[JobView; 1]>::try_from(enrol_with(&world, &canisters[1..], || ())).expect("one job");
        println!("uploaded {is_uploaded}: {:?}", job.outcome);
        let is_refused = matches!(job.outcome, Outcome::RolledBack { .. }) && job.fenced_nanos.is_none();
        assert!(job.outcome == Outcome::Done || is_refused, "uploaded {is_uploaded}: {job:?}");
        let stands = status(&world, canisters[1]);
        assert_eq!((stands.status, digest(&world, canisters[1])), (RunState::Running, before));
        assert!(snapshots(&world, canisters[1]).is_empty());
    }
}

#[test]
fn zeros_behind_the_last_bucket_cost_no_more_than_a_job_may_take() {
    const ZERO_PAGES: u64 = 200;
    let (world, module) = (world(), Keeper { zero_pages: ZERO_PAGES, ..Keeper::default() }.module());
    let canister = install(&world, &module, nothing());
    bump(&world, canister);
    let chunks = world.upload(&module).expect("the module is uploaded");
    let of_plan = ModuleUse { chunk_hashes: chunks.chunk_hashes, ..used(&module, nothing()) };
    let before = cycles_spent(&world);
    let jobs = repack(&world, &plan(&world, vec![of_plan]), &[canister]);
    assert_eq!(jobs[0].outcome, Outcome::Done, "{jobs:?}");
    assert_eq!((peek(&world, canister), status(&world, canister).stable_pages()), (bumped(1), 3));
    let spent = cycles_spent(&world) - before;
    println!("{spent} cycles of the coordinator for a repack with {ZERO_PAGES} pages of zeros behind it");
    assert!(spent <= 3_000_000_000, "promise 13: {spent} cycles");
}

#[test]
fn a_canister_that_could_not_pay_for_its_snapshots_is_refused() {
    let world = world();
    let canister = shapes(&world, 128);
    // Twice what freezes it: its snapshots would triple what it burns.
    let burned: u128 = status(&world, canister).idle_cycles_burned_per_day.0.try_into().expect("it fits");
    let seconds = world.pic.cycle_balance(canister) / 2 / (burned / 86_400);
    set(&world, canister, Settings { freezing_threshold: Some(seconds.into()), ..Settings::default() });
    assert_refused(&world, &shapes_plan(&world), canister, "grow", &["cycles and needs", "top up"]);
}

/// M5: an upgrade prepays 300 B, 600 B with 64-bit memory. Half of that is more than all that is charged.
#[test]
fn a_canister_that_could_not_prepay_an_upgrade_is_refused_before_it_is_stopped() {
    for (is_64_bit, left) in [(false, 150_000_000_000_u64), (true, 450_000_000_000)] {
        let world = world();
        let module = Keeper { is_64_bit, ..Keeper::default() }.module();
        let canister = install(&world, &module, nothing());
        bump(&world, canister);
        burn_to(&world, canister, left);
        let held = world.pic.cycle_balance(canister);
        assert!((u128::from(left)..2 * u128::from(left)).contains(&held), "{held}");
        let plan = plan(&world, vec![used(&module, nothing())]);
        assert_refused(&world, &plan, canister, "bump", &["cycles and needs", "top up"]);
        // Nothing else was in the way.
        world.pic.add_cycles(canister, 2_000_000_000_000);
        let jobs = repack(&world, &plan, &[canister]);
        assert_eq!(jobs[0].outcome, Outcome::Done, "{is_64_bit}: {jobs:?}");
    }
}

#[test]
fn a_canister_that_wants_cycles_with_each_call_or_shows_its_snapshots_to_all_is_refused() {
    let world = world();
    let (wants, shows) = (shapes(&world, 128), shapes(&world, 128));
    let minimum_incoming_canister_call_cycles = Some(1_000_000_u32.into());
    set(&world, wants, Settings { minimum_incoming_canister_call_cycles, ..Settings::default() });
    set(&world, shows, Settings { snapshot_visibility: Some(Visibility::Public), ..Settings::default() });
    let plan = shapes_plan(&world);
    assert_refused(&world, &plan, wants, "grow", &["wants 1000000 cycles with each call"]);
    assert_refused(&world, &plan, shows, "grow", &["everybody reads its snapshots", &shows.to_text()]);
}

#[test]
fn a_module_that_the_plan_does_not_name_is_refused() {
    let world = world();
    let canister = shapes(&world, 128);
    let hash = hex::encode(used(&wasm("shapes"), nothing()).hash);
    let plan = plan(&world, vec![used(&wasm("ledger"), nothing())]);
    assert_refused(&world, &plan, canister, "grow", &["does not name", &hash]);
}

#[test]
fn a_canister_that_the_coordinator_does_not_control_is_refused() {
    let world = world();
    let canister = shapes(&world, 128);
    let controllers = Some(vec![world.operator]);
    set(&world, canister, Settings { controllers, ..Settings::default() });
    assert_refused(&world, &shapes_plan(&world), canister, "grow", &["make the coordinator a controller"]);
}

#[test]
fn a_stopped_canister_is_refused_and_stays_as_it_is() {
    let world = world();
    let canister = shapes(&world, 128);
    let before = digest(&world, canister);
    world.pic.stop_canister(canister, Some(world.operator)).expect("it stops");
    let jobs = repack(&world, &shapes_plan(&world), &[canister]);
    let reason = refusal(&jobs[0]);
    assert!(reason.contains("Stopped") && reason.contains("not running"), "{reason}");
    assert_eq!(status(&world, canister).status, RunState::Stopped, "whoever stopped it starts it");
    assert!(snapshots(&world, canister).is_empty());
    world.pic.start_canister(canister, Some(world.operator)).expect("it starts");
    assert_eq!(digest(&world, canister), before);
}
