//! The relocation, while users keep writing.

use super::calls::{query, update};
use super::fleet::Fleet;
use super::not_now::{is_fence, is_gone, is_transient};
use super::random::Random;
use super::world::World;
use super::{Options, Progress};
use anyhow::{anyhow, bail};
use candid::Principal;
use decant_api::jobs::{JobView, JobsArgs, Summary};
use pocket_ic::RejectResponse;
use pocket_ic::common::rest::RawMessageId;
use std::time::Duration;

/// Originals that one call hands to the index.
const ENROLMENT: usize = 200;
/// Users that write at a time.
const WRITERS: u64 = 4;
/// Canisters of a fleet for each round between two times that users write: a large fleet takes many rounds.
const CANISTERS_BETWEEN_WRITES: u64 = 500;
/// Canisters of a fleet for each round between two looks at the coordinator's figures, which cost it as much as a step
/// of every job under way.
const CANISTERS_BETWEEN_LOOKS: u64 = 100;
/// Rounds between two looks, at most.
const ROUNDS_BETWEEN_LOOKS: u64 = 10;
/// Rounds without any progress after which the rehearsal gives up.
pub(super) const IDLE_ROUNDS: u64 = 3_000;
/// Jobs in one answer of the coordinator.
const PAGE: u32 = 1_000;
/// By how much the clock goes on in a round: about as much as on the platform.
pub(super) const ROUND: Duration = Duration::from_secs(1);

/// What came of the relocation.
pub struct Driven {
    /// Every job, as it ended.
    pub jobs: Vec<JobView>,
    /// The coordinator's own figures in the end.
    pub summary: Summary,
    /// Writes that met a fence.
    pub write_attempts_while_fenced: u64,
    /// Rounds that each job's canister took no updates.
    pub fenced_rounds: Vec<u64>,
    /// Rounds of the relocation.
    pub rounds: u64,
}

/// A write on its way.
struct Write {
    user: usize,
    message: RawMessageId,
    text: String,
}

/// Enrols the fleet and ticks until every job has ended or is parked. Every round is one tick; between rounds users
/// write.
pub fn relocate(
    world: &World,
    fleet: &mut Fleet,
    options: &Options,
    progress: &mut dyn Progress,
    others: Option<Others<'_>>,
) -> anyhow::Result<Driven> {
    enrol(world, &fleet.originals())?;
    until_ended(world, fleet, options, progress, others)
}

/// What others do before a round, by its number; whether they have nothing more to do.
pub type Others<'a> = &'a mut dyn FnMut(u64) -> anyhow::Result<bool>;

/// Ticks until every job has ended or is parked and `others` have nothing more to do. Every round is one tick; between
/// rounds users write.
///
/// # Errors
/// No job ends any more; a write failed for another reason than a fence; or what `others` say.
pub fn until_ended(
    world: &World,
    fleet: &mut Fleet,
    options: &Options,
    progress: &mut dyn Progress,
    mut others: Option<Others<'_>>,
) -> anyhow::Result<Driven> {
    let phase = if options.strategy.moves() { "relocating" } else { "repacking" };
    progress.phase(phase, fleet.users.len() as u64);
    let mut random = Random::new(options.seed ^ 0x5eed);
    let mut writes: Vec<Write> = Vec::new();
    let write_every = 1 + u64::from(options.canisters) / CANISTERS_BETWEEN_WRITES;
    let look_every = (1 + u64::from(options.canisters) / CANISTERS_BETWEEN_LOOKS).min(ROUNDS_BETWEEN_LOOKS);
    let has_others = others.is_some();
    // Before each round, and before anybody looks at what the one before left: the coordinator may be unable to answer.
    let mut act = |rounds| others.as_mut().map_or(Ok(true), |others| others(rounds));
    let mut are_others_done = act(0)?;
    let mut now = world.pic.get_time();
    let mut attempts = 0;
    let (mut rounds, mut idle, mut ended) = (0, 0, 0);
    loop {
        if rounds % write_every == 0 {
            attempts += submit_writes(world, fleet, &mut random, &mut writes, rounds)?;
        }
        // The clock is known, so it is not asked.
        now = now + ROUND;
        world.pic.set_time(now);
        world.pic.tick();
        rounds += 1;
        // Hours may pass while others act, and answers to users are kept for minutes.
        attempts += finish_writes(world, fleet, &mut writes)?;
        if has_others {
            are_others_done = act(rounds)?;
            now = world.pic.get_time();
        }
        if rounds % look_every != 0 {
            continue;
        }
        let summary: Summary = query(&world.pic, world.coordinator, "decant_summary", ())?;
        let now_ended = summary.done + summary.rolled_back + summary.parked;
        idle = if now_ended == ended { idle + look_every } else { 0 };
        progress.done(now_ended.saturating_sub(ended));
        ended = now_ended;
        if are_others_done && summary.queued == 0 && summary.running == 0 {
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
    let jobs = all_jobs(world)?;
    Ok(Driven {
        summary: query(&world.pic, world.coordinator, "decant_summary", ())?,
        write_attempts_while_fenced: attempts,
        fenced_rounds: jobs.iter().filter_map(fenced_rounds).collect(),
        jobs,
        rounds,
    })
}

/// Hands canisters to the index, which enrols them.
pub(super) fn enrol(world: &World, canisters: &[Principal]) -> anyhow::Result<()> {
    for batch in canisters.chunks(ENROLMENT) {
        let answers: Vec<Result<u64, String>> =
            update(&world.pic, world.index, world.operator, "relocate", (batch.to_vec(),))?;
        for (canister, answer) in batch.iter().zip(answers) {
            answer.map_err(|error| anyhow!("the index could not enrol {canister}: {error}"))?;
        }
    }
    Ok(())
}

/// Some users ask the index where their canister is, and write to it; answers how many met a fence at once.
fn submit_writes(
    world: &World,
    fleet: &Fleet,
    random: &mut Random,
    writes: &mut Vec<Write>,
    round: u64,
) -> anyhow::Result<u64> {
    let mut fenced = 0;
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
        match world.pic.submit_call(canister, world.operator, "post", arg) {
            Ok(message) => writes.push(Write { user, message, text }),
            // The user tries again later.
            Err(rejected) => fenced += meets_fence(&rejected)?,
        }
    }
    Ok(fenced)
}

/// Counts a refused write that met a fence. A write may be late or come too often; it must not fail for another reason.
fn meets_fence(rejected: &RejectResponse) -> anyhow::Result<u64> {
    if is_fence(rejected) {
        return Ok(1);
    }
    if is_gone(rejected) || is_transient(rejected) {
        return Ok(0);
    }
    bail!("a write failed for another reason than the fence: {rejected}")
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
            Some(Err(rejected)) => fenced += meets_fence(&rejected)?,
        }
    }
    *writes = open;
    Ok(fenced)
}

/// Rounds from the fence to the first that served users again; nothing if there was no fence.
pub(super) fn fenced_rounds(job: &JobView) -> Option<u64> {
    let nanos = job.served_nanos.or(job.ended_nanos)?.saturating_sub(job.fenced_nanos?);
    // A fence that closed and opened within one round was closed for a round.
    Some(nanos.div_ceil(ROUND.as_nanos() as u64).max(1))
}

/// Every job of the coordinator.
pub(super) fn all_jobs(world: &World) -> anyhow::Result<Vec<JobView>> {
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
