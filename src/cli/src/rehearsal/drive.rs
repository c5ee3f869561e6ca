//! The relocation, while users keep writing.

use super::calls::{query, update};
use super::fleet::Fleet;
use super::random::Random;
use super::world::World;
use super::{Options, Progress};
use anyhow::{anyhow, bail};
use candid::Principal;
use decant_api::jobs::{JobView, JobsArgs, Outcome, Summary};
use pocket_ic::common::rest::RawMessageId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Originals that one call hands to the index.
const ENROLMENT: usize = 200;
/// Users that write in a round.
const WRITERS: u64 = 4;
/// Rounds without any progress after which the rehearsal gives up.
const IDLE_ROUNDS: u32 = 3_000;
/// Jobs in one answer of the coordinator.
const PAGE: u32 = 1_000;
/// Jobs in one answer while the relocation runs: about as many as are on their way.
const WINDOW: u32 = 32;
/// States in which a source or target takes no updates.
const FENCED: [&str; 31] = [
    "frozen",
    "stopped",
    "restarted",
    "sealed",
    "pulled",
    "target verified",
    "switching",
    "committed",
    "retired",
    "still",
    "saved",
    "undressing",
    "undressed",
    "sealing",
    "measuring",
    "owning",
    "planned",
    "furnishing",
    "pouring",
    "disowning",
    "halting",
    "halted",
    "loaded",
    "revived",
    "proving",
    "resting",
    "dressing",
    "dressed",
    "timing",
    "timed",
    "starting",
];

/// What came of the relocation.
pub struct Driven {
    /// Every job, as it ended.
    pub jobs: Vec<JobView>,
    /// The coordinator's own figures in the end.
    pub summary: Summary,
    /// Writes that met a fence.
    pub write_attempts_while_fenced: u64,
    /// Most rounds that a job's canister took no updates.
    pub fenced_rounds_max: u64,
    /// Rounds of the relocation.
    pub rounds: u64,
}

/// A write on its way.
struct Write {
    user: usize,
    message: RawMessageId,
    text: String,
}

/// Enrols the fleet and ticks until every job has ended or is parked. Every round is one tick, and in every round
/// some users write.
pub fn relocate(
    world: &World,
    fleet: &mut Fleet,
    options: &Options,
    progress: &mut dyn Progress,
) -> anyhow::Result<Driven> {
    enrol(world, fleet)?;
    progress.phase("relocating", fleet.users.len() as u64);
    let mut random = Random::new(options.seed ^ 0x5eed);
    let mut writes: Vec<Write> = Vec::new();
    let mut first_open = 0;
    let mut fenced_rounds: BTreeMap<u64, u64> = BTreeMap::new();
    let mut attempts = 0;
    let (mut rounds, mut idle, mut ended) = (0, 0, 0);
    loop {
        submit_writes(world, fleet, &mut random, &mut writes, rounds)?;
        world.pic.advance_time(Duration::from_secs(1));
        world.pic.tick();
        rounds += 1;
        attempts += finish_writes(world, fleet, &mut writes)?;
        let summary: Summary = query(&world.pic, world.coordinator, "decant_summary", ())?;
        let now_ended = summary.done + summary.rolled_back + summary.parked;
        for job in running(world, &mut first_open)? {
            if FENCED.contains(&job.state.as_str()) {
                *fenced_rounds.entry(job.id).or_default() += 1;
            }
        }
        idle = if now_ended == ended { idle + 1 } else { 0 };
        progress.done(now_ended.saturating_sub(ended));
        ended = now_ended;
        if summary.queued == 0 && summary.running == 0 {
            break;
        }
        if idle > IDLE_ROUNDS {
            bail!("no job has ended for {IDLE_ROUNDS} rounds: {summary:?}");
        }
    }
    for _ in 0..IDLE_ROUNDS {
        if writes.is_empty() {
            break;
        }
        world.pic.tick();
        attempts += finish_writes(world, fleet, &mut writes)?;
    }
    Ok(Driven {
        jobs: all_jobs(world)?,
        summary: query(&world.pic, world.coordinator, "decant_summary", ())?,
        write_attempts_while_fenced: attempts,
        // A fence that closed and opened within one round was closed for a round.
        fenced_rounds_max: fenced_rounds.values().copied().max().unwrap_or(1),
        rounds,
    })
}

fn enrol(world: &World, fleet: &Fleet) -> anyhow::Result<()> {
    let originals: Vec<Principal> = fleet.users.iter().map(|user| user.original).collect();
    for batch in originals.chunks(ENROLMENT) {
        let enrolled: Result<Vec<u64>, String> =
            update(&world.pic, world.index, world.operator, "relocate", (batch.to_vec(),))?;
        enrolled.map_err(|error| anyhow!("the index could not enrol: {error}"))?;
    }
    Ok(())
}

/// Some users ask the index where their canister is, and write to it.
fn submit_writes(
    world: &World,
    fleet: &Fleet,
    random: &mut Random,
    writes: &mut Vec<Write>,
    round: u64,
) -> anyhow::Result<()> {
    for _ in 0..WRITERS.min(fleet.users.len() as u64) {
        let user = random.below(fleet.users.len() as u64) as usize;
        // One write at a time: the model must know in which order they took effect.
        if writes.iter().any(|write| write.user == user) {
            continue;
        }
        let routed: Option<Principal> = query(&world.pic, world.index, "route", (fleet.users[user].number,))?;
        let Some(canister) = routed else { continue };
        let text = format!("written in round {round} by user {user}, number {}", random.below(1_000_000));
        let arg = candid::encode_one(&text)?;
        // A canister that is stopped for a moment takes no call at all: the user tries again later.
        if let Ok(message) = world.pic.submit_call(canister, world.operator, "post", arg) {
            writes.push(Write { user, message, text });
        }
    }
    Ok(())
}

/// Applies to the models what the canisters took; answers how many writes met a fence.
fn finish_writes(world: &World, fleet: &mut Fleet, writes: &mut Vec<Write>) -> anyhow::Result<u64> {
    let mut fenced = 0;
    let mut open = Vec::new();
    for write in std::mem::take(writes) {
        match world.pic.ingress_status(write.message.clone()) {
            None => open.push(write),
            Some(Ok(_)) => {
                fleet.users[write.user].model.took_post(write.text);
            }
            Some(Err(rejected)) => {
                let message = &rejected.reject_message;
                let is_expected = message.contains("DECANT-")
                    || message.contains("is stopped")
                    || message.contains("is stopping")
                    || message.contains("not found");
                if !is_expected {
                    bail!("a write failed for another reason than the fence: {rejected}");
                }
                fenced += 1;
            }
        }
    }
    *writes = open;
    Ok(fenced)
}

/// The jobs on their way. All up to `after` have ended, and the answer moves it on: the coordinator works through
/// its queue in order, so that only a window of the jobs is read in every round, however many there are.
fn running(world: &World, after: &mut u64) -> anyhow::Result<Vec<JobView>> {
    let mut jobs: Vec<JobView> = Vec::new();
    let mut from = *after;
    loop {
        let args = JobsArgs { after: from, limit: WINDOW };
        let page: Vec<JobView> = query(&world.pic, world.coordinator, "decant_jobs", (args,))?;
        let Some(last) = page.last() else { return Ok(jobs) };
        from = last.id;
        let has_more = page.len() == WINDOW as usize && page.iter().any(|job| job.state != "queued");
        for job in page {
            if job.outcome != Outcome::Running && jobs.is_empty() {
                *after = job.id;
            } else if job.outcome == Outcome::Running && job.state != "queued" {
                jobs.push(job);
            }
        }
        if !has_more {
            return Ok(jobs);
        }
    }
}

fn all_jobs(world: &World) -> anyhow::Result<Vec<JobView>> {
    let mut jobs: Vec<JobView> = Vec::new();
    loop {
        let after = jobs.last().map_or(0, |job| job.id);
        let page: Vec<JobView> =
            query(&world.pic, world.coordinator, "decant_jobs", (JobsArgs { after, limit: PAGE },))?;
        if page.is_empty() {
            return Ok(jobs);
        }
        jobs.extend(page);
    }
}
