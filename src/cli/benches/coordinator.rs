//! Whether a step of the coordinator costs the same, however many jobs it keeps: `scripts/bench coordinator`.
//!
//! The jobs are of canisters that do not exist, so that each ends after its first call, and what is measured is the
//! coordinator's own work: the cycles that it burns a job. Design, section 9: at most 1.3 times as many with 1,000,000
//! jobs as with 1,000.

use anyhow::{Context, anyhow};
use candid::Principal;
use decant_api::jobs::{Pause, Summary};
use decant_api::plan::Plan;
use decant_api::routes::EnrolError;
use decant_cli::engine::Engine;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::world::World;
use decant_cli::rehearsal::{Modules, Options};
use std::path::Path;
use std::time::Duration;

/// Numbers of jobs that are compared, if no others are named.
const JOBS: [u64; 2] = [1_000, 1_000_000];
/// Canisters in one call: the coordinator's limit.
const BATCH: u64 = 1_000;
/// Jobs that are driven while the cycles are counted.
const DRIVEN: u64 = 400;

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
    let before = world.pic.cycle_balance(world.coordinator);
    pause(&world, Pause::Running)?;
    let ended = loop {
        world.pic.advance_time(Duration::from_secs(1));
        world.pic.tick();
        let ended = summary(&world)?.rolled_back;
        if ended >= DRIVEN.min(jobs) {
            break ended;
        }
    };
    let burned = before.saturating_sub(world.pic.cycle_balance(world.coordinator));
    Ok(Measured {
        cycles_a_job: burned as f64 / ended as f64,
        stable_bytes_a_job: stable_bytes as f64 / jobs as f64,
    })
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
