//! People around a campaign: what they do to a coordinator in the middle of it, at moments that a seed decides.

use crate::{modules, restart};
use anyhow::{Context, anyhow, bail};
use candid::Principal;
use decant_api::jobs::{JobView, JobsArgs, Pause, PoolView};
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::world::World;
use decant_shapes_model::SplitMix;
use std::time::Duration;

/// Rounds that what is taken away stays away.
const AWAY: u64 = 15;
/// Messages of nobody in a round, and rounds of them.
const FLOOD: (usize, u64) = (100, 10);
/// What nobody may call.
const FLOODED: [&str; 6] =
    ["decant_enrol", "decant_execute", "decant_all", "decant_pause", "decant_release", "decant_withdraw"];
/// Jobs in one answer of the coordinator.
const PAGE: u32 = 1_000;

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// An operator aborts a job in line.
    AbortQueued,
    /// And one on its way.
    AbortRunning,
    /// Nothing comes nearer to its commit point for a while.
    Hold,
    /// No job begins for a while.
    NoJobs,
    /// The coordinator is stopped, and started a while later.
    Stop,
    /// It is stopped, upgraded, and started.
    Upgrade,
    /// Its chunk store is cleared; a while later somebody uploads the modules of the plans again.
    ClearChunks,
    /// An operator deletes what is in the pool.
    DeletePooled,
    /// A controller of a source, who controls the target too, deletes that before it holds anything.
    DeleteTarget,
    /// The coordinator is no controller of a source any more, for a while.
    TakeControl,
    /// Everybody sends it messages.
    Flood,
}

/// Everything that people do in a campaign.
pub const ACTS: [Act; 16] = [
    Act::AbortQueued,
    Act::AbortQueued,
    Act::AbortRunning,
    Act::AbortRunning,
    Act::AbortRunning,
    Act::Hold,
    Act::NoJobs,
    Act::Stop,
    Act::Stop,
    Act::Upgrade,
    Act::Upgrade,
    Act::ClearChunks,
    Act::DeletePooled,
    Act::DeleteTarget,
    Act::TakeControl,
    Act::Flood,
];

/// What they did is made good in a later round.
enum Later {
    Resume,
    Upload,
    GiveBack(Principal, Vec<Principal>),
}

/// People.
pub struct People {
    random: SplitMix,
    /// What is still to be done, from which round on.
    to_do: Vec<(u64, Act)>,
    later: Vec<(u64, Later)>,
    /// Round after which nobody waits for an occasion any more.
    until: u64,
    is_paused: bool,
    /// Cycles that were in what was deleted of the pool, and how many canisters those were.
    pub back_from_pool: (u128, u128),
    /// Messages that they sent to the coordinator and it took.
    pub taken: u64,
}

impl People {
    /// Those of a seed: all is begun within so many rounds, or as soon as it can be.
    pub fn new(seed: u64, rounds: u64) -> Self {
        let mut random = SplitMix::new(!seed);
        let to_do = ACTS.map(|act| (5 + random.below(rounds), act)).to_vec();
        Self {
            random,
            to_do,
            later: Vec::new(),
            until: 3 * rounds,
            is_paused: false,
            back_from_pool: (0, 0),
            taken: 0,
        }
    }

    /// What they have not done, since there was never anything to do it to.
    pub fn undone(&self) -> Vec<Act> {
        self.to_do.iter().map(|(_, act)| *act).collect()
    }

    /// Does what is due; whether that was all.
    ///
    /// # Errors
    /// The coordinator refuses what it must take.
    pub fn act(&mut self, world: &World, round: u64) -> anyhow::Result<bool> {
        let (due, later) = std::mem::take(&mut self.later).into_iter().partition(|(at, _)| *at <= round);
        self.later = later;
        let due: Vec<(u64, Later)> = due;
        for (_, what) in due {
            self.make_good(world, what)?;
        }
        for (at, act) in std::mem::take(&mut self.to_do) {
            // There is one pause at a time.
            let must_wait = self.is_paused && matches!(act, Act::Hold | Act::NoJobs);
            if at > round || must_wait || !self.try_to(world, act, round)? {
                self.to_do.push((at, act));
            }
        }
        Ok(self.later.is_empty() && (self.to_do.is_empty() || round > self.until))
    }

    fn make_good(&mut self, world: &World, what: Later) -> anyhow::Result<()> {
        match what {
            Later::Resume => {
                self.is_paused = false;
                self.command(world, "decant_pause", Pause::Running)
            }
            Later::Upload => world.upload(&modules().kit).map(|_| ()),
            Later::GiveBack(canister, controllers) => set_controllers(world, canister, controllers),
        }
    }

    /// A command to the coordinator, which takes it.
    fn command(
        &mut self,
        world: &World,
        method: &str,
        argument: impl candid::CandidType,
    ) -> anyhow::Result<()> {
        self.try_command(world, method, argument)?.map_err(|refusal| anyhow!("{method}: {refusal}"))
    }

    fn try_command(
        &mut self,
        world: &World,
        method: &str,
        argument: impl candid::CandidType,
    ) -> anyhow::Result<Result<(), String>> {
        self.taken += 1;
        update(&world.pic, world.coordinator, world.operator, method, (argument,))
    }

    /// Does it, if there is something to do it to.
    fn try_to(&mut self, world: &World, act: Act, round: u64) -> anyhow::Result<bool> {
        let operator = Some(world.operator);
        let later = round + AWAY + self.random.below(AWAY);
        match act {
            Act::AbortQueued | Act::AbortRunning => {
                let is_queued = |job: &JobView| job.state == "queued" && job.attempts == 0;
                let wanted = |job: &JobView| {
                    job.committed_nanos.is_none() && is_queued(job) == (act == Act::AbortQueued)
                };
                let Some(job) = self.some_job(world, wanted)? else { return Ok(false) };
                // It may have passed its commit point since.
                return Ok(self.try_command(world, "decant_abort", job.id)?.is_ok());
            }
            Act::Hold | Act::NoJobs => {
                let pause = if act == Act::Hold { Pause::Hold } else { Pause::NoJobs };
                self.command(world, "decant_pause", pause)?;
                self.is_paused = true;
                self.later.push((later, Later::Resume));
            }
            Act::Stop => {
                world.pic.stop_canister(world.coordinator, operator).map_err(|error| anyhow!("{error}"))?;
                for _ in 0..AWAY {
                    world.pic.advance_time(Duration::from_secs(1));
                    world.pic.tick();
                }
                world.pic.start_canister(world.coordinator, operator).map_err(|error| anyhow!("{error}"))?;
            }
            Act::Upgrade => restart(world),
            Act::ClearChunks => {
                world
                    .pic
                    .clear_chunk_store(world.coordinator, operator)
                    .map_err(|error| anyhow!("{error}"))?;
                self.later.push((later, Later::Upload));
            }
            Act::DeletePooled => return self.delete_pooled(world),
            Act::DeleteTarget => {
                let is_fresh = |job: &JobView| matches!(job.state.as_str(), "configured" | "installed");
                let Some(target) = self.some_job(world, is_fresh)?.and_then(|job| job.target) else {
                    return Ok(false);
                };
                if !world.pic.get_controllers(target).contains(&world.operator) {
                    return Ok(false);
                }
                let stopped = world.pic.stop_canister(target, operator);
                return Ok(stopped.and_then(|()| world.pic.delete_canister(target, operator)).is_ok());
            }
            Act::TakeControl => {
                let is_begun = |job: &JobView| job.state != "queued" && job.committed_nanos.is_none();
                let Some(job) = self.some_job(world, is_begun)? else { return Ok(false) };
                let controllers = world.pic.get_controllers(job.source);
                let others = controllers.iter().copied().filter(|it| *it != world.coordinator).collect();
                set_controllers(world, job.source, others)?;
                self.later.push((later, Later::GiveBack(job.source, controllers)));
            }
            Act::Flood => {
                for number in 0..FLOOD.0 {
                    let argument = vec![b'D'; number * 10_000];
                    let method = FLOODED[number % FLOODED.len()];
                    let anonymous = Principal::anonymous();
                    if world.pic.submit_call(world.coordinator, anonymous, method, argument).is_ok() {
                        bail!("the coordinator takes {method} of nobody");
                    }
                }
                if self.random.below(FLOOD.1) > 0 {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Deletes all of the pool that nobody looks at just now, if there is something.
    fn delete_pooled(&mut self, world: &World) -> anyhow::Result<bool> {
        let pool: Vec<PoolView> = query(&world.pic, world.coordinator, "decant_pool", ())?;
        let mut is_done = false;
        for view in pool {
            let held = world.pic.cycle_balance(view.canister);
            if self.try_command(world, "decant_delete_pooled", view.canister)?.is_ok() {
                is_done = true;
                self.back_from_pool = (self.back_from_pool.0 + held, self.back_from_pool.1 + 1);
            }
        }
        Ok(is_done)
    }

    fn some_job(
        &mut self,
        world: &World,
        is_wanted: impl Fn(&JobView) -> bool,
    ) -> anyhow::Result<Option<JobView>> {
        let mut wanted: Vec<JobView> = all_jobs(world)?;
        wanted.retain(|job| job.ended_nanos.is_none() && is_wanted(job));
        let count = wanted.len() as u64;
        Ok((count > 0).then(|| wanted.swap_remove(self.random.below(count) as usize)))
    }
}

/// All jobs of the coordinator.
///
/// # Errors
/// It does not answer.
pub fn all_jobs(world: &World) -> anyhow::Result<Vec<JobView>> {
    let mut all: Vec<JobView> = Vec::new();
    loop {
        let after = all.last().map_or(0, |job| job.id);
        let args = JobsArgs { after, limit: PAGE };
        let page: Vec<JobView> = query(&world.pic, world.coordinator, "decant_jobs", (args,))?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn set_controllers(world: &World, canister: Principal, controllers: Vec<Principal>) -> anyhow::Result<()> {
    if !world.pic.canister_exists(canister) {
        return Ok(());
    }
    let set = world.pic.set_controllers(canister, Some(world.operator), controllers);
    set.map_err(|error| anyhow!("{error}")).with_context(|| format!("controllers of {canister}"))
}

#[cfg(test)]
mod tests {
    use super::FLOODED;

    #[test]
    fn whoever_floods_calls_methods_that_there_are() {
        let interface = include_str!("../../canisters/coordinator/coordinator.did");
        for method in FLOODED {
            assert!(interface.contains(&format!("\n  {method} : ")), "{method}");
        }
    }
}
