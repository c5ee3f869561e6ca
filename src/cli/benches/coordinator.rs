//! Whether a step of the coordinator costs the same, however many jobs it keeps: `scripts/bench coordinator`.
//!
//! The jobs are of canisters that do not exist, so that each ends after its first call, and what is measured is the
//! coordinator's own work: the cycles that it burns a job. A tenth of them is on its way since long: half of these are parked,
//! half wait for the end of their retention. Design, section 9: at most 1.1 times as many cycles with 1,000,000 jobs as with
//! 1,000.

use anyhow::{Context, anyhow, ensure};
use candid::Principal;
use ciborium::Value;
use decant_api::jobs::{Pause, Summary};
use decant_api::plan::Plan;
use decant_api::routes::EnrolError;
use decant_cli::engine::Engine;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::world::World;
use decant_cli::rehearsal::{Modules, Options};
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager};
use ic_stable_structures::{StableBTreeMap, VectorMemory};
use pocket_ic::common::rest::BlobCompression;
use std::path::Path;
use std::time::Duration;

/// Numbers of jobs that are compared, if no others are named.
const JOBS: [u64; 2] = [1_000, 1_000_000];
/// Canisters in one call: the coordinator's limit.
const BATCH: u64 = 1_000;
/// Jobs that are driven while the cycles are counted.
const DRIVEN: u64 = 400;
/// One in so many is parked, or in retention.
const WAITING: u64 = 10;
/// The coordinator's map of jobs by number.
const JOBS_MEMORY: MemoryId = MemoryId::new(2);
/// Jobs in every state, as the engine stores them.
const STATES: &str = include_str!("../../engine/tests/golden/relocate.txt");
/// In how many nanoseconds after 1970 a retention ends that does not end here.
const NEVER_NANOS: u64 = i64::MAX as u64;

fn main() -> anyhow::Result<()> {
    // Cargo adds arguments of its own, such as `--bench`.
    let named: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let jobs = <[u64; 2]>::try_from(named).unwrap_or(JOBS);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/canisters");
    let modules = Modules::read(&directory)?;
    let engine = Engine::start()?;
    let few = measure(&engine, &modules, jobs[0])?;
    let many = measure(&engine, &modules, jobs[1])?;
    println!("{:<28} {:>14} {:>14} {:>7}", "", jobs[0], jobs[1], "ratio");
    let row = |name: &str, few: f64, many: f64| {
        println!("{name:<28} {few:>14.2} {many:>14.2} {:>7.3}", many / few);
    };
    row("million cycles a job driven", few.cycles_a_job / 1e6, many.cycles_a_job / 1e6);
    row("stable bytes a job kept", few.stable_bytes_a_job, many.stable_bytes_a_job);
    Ok(())
}

struct Measured {
    cycles_a_job: f64,
    stable_bytes_a_job: f64,
}

fn measure(engine: &Engine, modules: &Modules, jobs: u64) -> anyhow::Result<Measured> {
    let options = Options::default();
    let world = World::new(engine, modules, &options)?;
    let plan = world.plan(modules, &options)?;
    world.propose(&Plan { indexes: vec![world.operator], max_canisters: jobs, ..plan })?;
    pause(&world, Pause::NoJobs)?;
    let numbers: Vec<u64> = (0..jobs).collect();
    for batch in numbers.chunks(BATCH as usize) {
        enrol(&world, batch)?;
    }
    let stable_bytes = summary(&world)?.stable_pages * 65_536;
    let waiting = let_wait(&world, modules)?;
    let now = summary(&world)?;
    ensure!(now.parked + now.waiting == waiting && now.queued == jobs - waiting, "{now:?}");
    let before = world.pic.cycle_balance(world.coordinator);
    pause(&world, Pause::Running)?;
    let ended = loop {
        world.pic.advance_time(Duration::from_secs(1));
        world.pic.tick();
        let ended = summary(&world)?.rolled_back;
        if ended >= DRIVEN.min(jobs - waiting) {
            break ended;
        }
    };
    let burned = before.saturating_sub(world.pic.cycle_balance(world.coordinator));
    Ok(Measured {
        cycles_a_job: burned as f64 / ended as f64,
        stable_bytes_a_job: stable_bytes as f64 / jobs as f64,
    })
}

/// Lets a tenth of the jobs be parked, or in retention, as if they had come so far, by writing so into the coordinator's
/// memory; answers how many.
fn let_wait(world: &World, modules: &Modules) -> anyhow::Result<u64> {
    let (pic, operator) = (&world.pic, Some(world.operator));
    let failed = |error: pocket_ic::RejectResponse| anyhow!("{error}");
    pic.stop_canister(world.coordinator, operator).map_err(failed)?;
    let stable = VectorMemory::default();
    *stable.borrow_mut() = pic.get_stable_memory(world.coordinator);
    let states = [state("parked")?, state("retaining")?];
    let manager = MemoryManager::init(stable.clone());
    let mut jobs: StableBTreeMap<u64, Vec<u8>, _> = StableBTreeMap::init(manager.get(JOBS_MEMORY));
    let waiting: Vec<u64> = jobs.keys().filter(|id| id % WAITING == 0).collect();
    for (position, id) in waiting.iter().enumerate() {
        let queued = jobs.get(id).context("the job is there")?;
        let changed = with_state(&queued, &states[position % states.len()])?;
        jobs.insert(*id, changed);
    }
    drop(jobs);
    let changed = stable.borrow().clone();
    pic.set_stable_memory(world.coordinator, changed, BlobCompression::NoCompression);
    let no_arg = candid::encode_args(())?;
    // The upgrade reads all of it.
    pic.upgrade_canister(world.coordinator, modules.coordinator.clone(), no_arg, operator).map_err(failed)?;
    pic.start_canister(world.coordinator, operator).map_err(failed)?;
    Ok(waiting.len() as u64)
}

/// A job in that state.
fn state(name: &str) -> anyhow::Result<Value> {
    let line = STATES.lines().find_map(|line| line.strip_prefix(&format!("job\t{name}\t")));
    let bytes = hex::decode(line.with_context(|| format!("no job is {name}"))?)?;
    Ok(ciborium::from_reader(bytes.as_slice())?)
}

/// The job as it is stored, with a version and a word on whether it has ended before it, in the state of another, whose
/// retention does not end.
fn with_state(stored: &[u8], of: &Value) -> anyhow::Result<Vec<u8>> {
    const HEAD: usize = 2;
    let job: Value = ciborium::from_reader(stored.get(HEAD..).context("a record has a head")?)?;
    let own = |key: &Value| ["i", "o", "p"].iter().any(|own| key.as_text() == Some(own));
    let entries = of.as_map().context("a job is a map")?.iter().map(|(key, value)| {
        let kept = job.as_map().into_iter().flatten().find(|(it, _)| it == key).filter(|_| own(key));
        let value = kept.map_or(value, |(_, value)| value).clone();
        (key.clone(), if key.as_text() == Some("s") { without_end(value) } else { value })
    });
    let mut bytes = stored[..HEAD].to_vec();
    ciborium::into_writer(&Value::Map(entries.collect()), &mut bytes)?;
    Ok(bytes)
}

/// The moment until which a state lasts is never.
fn without_end(state: Value) -> Value {
    match state {
        Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| match (key.as_text(), &value) {
                    (Some("u"), Value::Integer(_)) => (key, NEVER_NANOS.into()),
                    _ => (key, without_end(value)),
                })
                .collect(),
        ),
        other => other,
    }
}

fn pause(world: &World, pause: Pause) -> anyhow::Result<()> {
    let paused: Result<(), String> =
        update(&world.pic, world.coordinator, world.operator, "decant_pause", (pause,))?;
    paused.map_err(|refusal| anyhow!("the coordinator refused: {refusal}"))
}

/// Hands over canisters that do not exist.
fn enrol(world: &World, numbers: &[u64]) -> anyhow::Result<()> {
    let canisters: Vec<Principal> = numbers
        .iter()
        .map(|number| {
            // Of the kind that canisters have, far from those of the instance.
            let mut id = [1; 10];
            id[..8].copy_from_slice(&(u64::MAX - number).to_be_bytes());
            Principal::from_slice(&id)
        })
        .collect();
    let answers: Vec<Result<u64, EnrolError>> =
        update(&world.pic, world.coordinator, world.operator, "decant_enrol", (canisters,))?;
    let refusal = answers.into_iter().find_map(Result::err);
    refusal.map_or(Ok(()), |refusal| Err(anyhow!("{refusal}"))).context("enrolling a batch")
}

fn summary(world: &World) -> anyhow::Result<Summary> {
    query(&world.pic, world.coordinator, "decant_summary", ())
}
