//! Users of somebody's canisters, who write while these are repacked.

use super::super::Progress;
use super::super::calls::query;
use super::super::drive::{Driven, IDLE_ROUNDS, ROUND, all_jobs, enrol, fenced_rounds};
use super::super::not_now::{is_fence, is_gone, is_transient};
use super::super::world::World;
use super::ask::Ask;
use super::canisters::Pair;
use super::{Asks, Original};
use anyhow::ensure;
use candid::Principal;
use decant_api::jobs::Summary;
use pocket_ic::RejectResponse;

/// An update that the canister's own code answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    /// When.
    pub(super) at_nanos: u64,
    /// Whether it was taken; otherwise that code rejected it.
    pub(super) is_taken: bool,
}

/// Refusals in a row after which a user of a canister whose job is over gives up: it is parked, and takes nothing.
const PATIENCE: u32 = 20;

/// Enrols the canisters and ticks until every job has ended or is parked, while users write, each of them all that they have
/// to write at least once. Every round is one tick.
pub(super) fn give_back(
    world: &World,
    asks: &Asks,
    originals: &[Original],
    copies: &mut [Pair],
    progress: &mut dyn Progress,
) -> anyhow::Result<Driven> {
    progress.phase("giving memory back", copies.len() as u64);
    let canisters: Vec<Principal> = copies.iter().map(|copy| copy.canister).collect();
    enrol(world, &canisters)?;
    let updates: Vec<Vec<&Ask>> =
        originals.iter().map(|original| asks.updates(&original.name).collect()).collect();
    let (mut rounds, mut idle, mut ended) = (0, 0, 0);
    let summary = loop {
        let summary: Summary = query(&world.pic, world.coordinator, "decant_summary", ())?;
        let now_ended = summary.done + summary.rolled_back + summary.parked;
        idle = if now_ended == ended { idle + 1 } else { 0 };
        progress.done(now_ended.saturating_sub(ended));
        ended = now_ended;
        let is_over = summary.queued == 0 && summary.running == 0;
        let mut do_all_rest = true;
        for copy in copies.iter_mut() {
            do_all_rest &= write(world, copy, &updates[copy.original], is_over)?;
        }
        if is_over && do_all_rest {
            break summary;
        }
        ensure!(idle <= IDLE_ROUNDS, "no job has ended for {IDLE_ROUNDS} rounds: {summary:?}");
        world.pic.advance_time(ROUND);
        world.pic.tick();
        rounds += 1;
    };
    let jobs = all_jobs(world)?;
    Ok(Driven {
        summary,
        write_attempts_while_fenced: copies.iter().map(|copy| copy.met_a_fence).sum(),
        fenced_rounds: jobs.iter().filter_map(fenced_rounds).collect(),
        jobs,
        rounds,
    })
}

/// What the user of a canister does in a round; whether that rests.
fn write(world: &World, copy: &mut Pair, asked: &[&Ask], is_over: bool) -> anyhow::Result<bool> {
    finish(world, copy);
    let is_done = copy.written.len() >= asked.len() || copy.refused_in_a_row > PATIENCE;
    if copy.open.is_none() && !asked.is_empty() && !(is_over && is_done) {
        submit(world, copy, asked[copy.written.len() % asked.len()])?;
    }
    Ok(is_done && copy.open.is_none())
}

fn submit(world: &World, copy: &mut Pair, ask: &Ask) -> anyhow::Result<()> {
    let routed: Option<Principal> = query(&world.pic, world.index, "route", (copy.user,))?;
    let Some(canister) = routed else { return Ok(()) };
    match world.pic.submit_call(canister, ask.sender, &ask.method, ask.argument.clone()) {
        Ok(message) => copy.open = Some(message),
        Err(rejected) => copy.rejected(world, &rejected),
    }
    Ok(())
}

fn finish(world: &World, copy: &mut Pair) {
    let Some(message) = copy.open.take() else { return };
    match world.pic.ingress_status(message.clone()) {
        None => copy.open = Some(message),
        Some(Ok(_)) => copy.answered(world, true),
        Some(Err(rejected)) => copy.rejected(world, &rejected),
    }
}

impl Pair {
    fn answered(&mut self, world: &World, is_taken: bool) {
        let at_nanos = world.pic.get_time().as_nanos_since_unix_epoch();
        self.written.push(Written { at_nanos, is_taken });
        self.refused_in_a_row = 0;
    }

    /// A write that meets a fence comes again.
    fn rejected(&mut self, world: &World, rejected: &RejectResponse) {
        if is_fence(rejected) {
            self.met_a_fence += 1;
            self.refused_in_a_row += 1;
        } else if !is_gone(rejected) && !is_transient(rejected) {
            self.answered(world, false);
        }
    }
}
