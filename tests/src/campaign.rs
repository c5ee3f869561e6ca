//! A whole campaign, half of it relocations and half repacks, while users write and people act, under an order of turns by
//! chance; and the account of it: every user, every canister, every cycle.

use crate::dapps::by_vessel;
use crate::people::{Act, People, all_jobs};
use crate::repack::{nothing, plan, used};
use crate::{bloated_on, modules};
use anyhow::{Context, anyhow, bail, ensure};
use candid::Principal;
use decant_api::jobs::{Batch, Command, JobView, Outcome, Summary, Which};
use decant_api::plan::{Plan, Strategy};
use decant_api::routes::EnrolError;
use decant_cli::engine::Engine;
use decant_cli::rehearsal::calls::{kept, query, update};
use decant_cli::rehearsal::drive::{Driven, until_ended};
use decant_cli::rehearsal::fleet::Fleet;
use decant_cli::rehearsal::world::World;
use decant_cli::rehearsal::{Options, Silent, account};
use pocket_ic::common::rest::RawCanisterId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Times that what was rolled back is enrolled again: what people did meanwhile is over.
const WAVES: usize = 5;
/// Rounds a canister in which people begin all that they do.
const ROUNDS_A_CANISTER: u64 = 1;
/// Cycles that an idle coordinator may burn a day beside what every canister pays (design, section 9: 0.001 T).
const IDLE_CYCLES_A_DAY: u128 = 1_000_000_000;
/// Cycles of a message of an operator or of the index, which no plan pays: what a thousand ids take, with room.
const MESSAGE_CYCLES: u128 = 200_000_000;
/// Cycles of a canister of the pool that do not come back when it is deleted: its installation, some 30 B, and what its last
/// message prepaid, 83 B.
const DELETION_CYCLES: u128 = 120_000_000_000;
/// Ids of a subnet that may have been given away.
const MAX_IDS: u64 = 1_000_000;
/// Jobs at a time, of each plan.
const IN_FLIGHT: u32 = 10;

/// What became of a campaign.
#[derive(Debug)]
pub struct Campaign {
    /// Jobs that rolled back, and were enrolled again.
    pub rolled_back: usize,
    /// Jobs in all.
    pub jobs: usize,
    /// Users' writes that met a fence.
    pub fenced_writes: u64,
    /// Rounds, of a second each.
    pub rounds: u64,
    /// Cycles that the coordinator burned in an idle day, and what every canister pays.
    pub idle_day: (u128, u128),
    /// What people had no occasion for.
    pub undone: Vec<Act>,
}

/// A campaign of so many canisters under a seed.
///
/// # Errors
/// Whatever is not as it was promised.
pub fn run(engine: &Engine, canisters: u32, seed: u64) -> anyhow::Result<Campaign> {
    let options = Options {
        canisters,
        state_kib: 8,
        seed,
        in_flight: IN_FLIGHT,
        schedule_seed: Some(seed),
        ..Options::default()
    };
    let (world, mut fleet) = bloated_on(engine, &options);
    let relocated: Vec<Principal> = halves(&world, &mut fleet)?;
    propose(&world, &options)?;
    let all_before = Cycles::of(&world)?;
    let (before, begun) = (world.pic.cycle_balance(world.coordinator), world.pic.get_time());
    let mut messages = enrol(&world, &relocated, fleet.originals())?;
    let mut people = People::new(seed, u64::from(canisters) * ROUNDS_A_CANISTER);
    let mut driven =
        until_ended(&world, &mut fleet, &options, &mut Silent, Some(&mut |round| people.act(&world, round)))?;
    let (mut rounds, mut rolled_back) = (driven.rounds, 0);
    for wave in 0..=WAVES {
        let again: Vec<Principal> = latest(&driven.jobs)
            .values()
            .filter(|job| matches!(job.outcome, Outcome::RolledBack { .. }))
            .map(|job| job.source)
            .collect();
        let parked = driven.jobs.iter().filter(|job| matches!(job.outcome, Outcome::Parked { .. })).count();
        if again.is_empty() && parked == 0 {
            break;
        }
        ensure!(wave < WAVES, "after {WAVES} waves: {:#?}", unfinished(&driven.jobs));
        rolled_back += again.len();
        retry_all(&world)?;
        messages += 1 + enrol(&world, &relocated, again)?;
        let fenced_before = driven.write_attempts_while_fenced;
        driven = until_ended(&world, &mut fleet, &options, &mut Silent, None)?;
        driven.write_attempts_while_fenced += fenced_before;
        rounds += driven.rounds;
    }
    check_account(&world, &fleet, &driven, &options, 0)?;
    let spent =
        Spent { messages: messages + u128::from(people.taken), back_from_pool: people.back_from_pool };
    check_cycles(&world, before, begun.as_nanos_since_unix_epoch(), &spent)?;
    empty_pool(&world)?;
    let idle_day = idle_day(&world)?;
    Cycles::of(&world)?.check_since(all_before)?;
    Ok(Campaign {
        rolled_back,
        jobs: driven.jobs.len(),
        fenced_writes: driven.write_attempts_while_fenced,
        rounds,
        idle_day,
        undone: people.undone(),
    })
}

/// Every other canister gets the kit, and is to be relocated; answers these.
fn halves(world: &World, fleet: &mut Fleet) -> anyhow::Result<Vec<Principal>> {
    let all = std::mem::take(&mut fleet.users);
    let (with_kit, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|user| user.number % 2 == 0);
    let mut half = Fleet { users: with_kit };
    half.upgrade_to_kit(world, modules(), &mut Silent)?;
    let relocated = half.originals();
    fleet.users.extend(half.users);
    fleet.users.extend(rest);
    fleet.users.sort_by_key(|user| user.number);
    Ok(relocated)
}

/// One plan for those that the index enrols, one for those that an operator does.
fn propose(world: &World, options: &Options) -> anyhow::Result<()> {
    let many = |plan: Plan| Plan {
        max_canisters: 1_000_000,
        max_cycles: 1_000_000_000_000_000_000,
        max_in_flight: IN_FLIGHT,
        ..plan
    };
    world.propose(&many(world.plan(modules(), options)?))?;
    let repack = plan(world, vec![used(&modules().managed, nothing())]);
    let by = by_vessel(&repack);
    world.propose(&many(Plan { strategy: Strategy::Repack(by), ..repack }))?;
    Ok(())
}

/// Enrols canisters, each by its plan; answers in how many messages.
pub(crate) fn enrol(
    world: &World,
    relocated: &[Principal],
    canisters: Vec<Principal>,
) -> anyhow::Result<u128> {
    let (moved, stay): (Vec<Principal>, Vec<Principal>) =
        canisters.into_iter().partition(|canister| relocated.contains(canister));
    let mut messages = 0;
    for some in moved.chunks(200) {
        let answers: Vec<Result<u64, String>> =
            update(&world.pic, world.index, world.operator, "relocate", (some.to_vec(),))?;
        answers.into_iter().collect::<Result<Vec<_>, _>>().map_err(|refusal| anyhow!(refusal))?;
        messages += 1;
    }
    for canister in &stay {
        let mut controllers = world.pic.get_controllers(*canister);
        if !controllers.contains(&world.coordinator) {
            controllers.push(world.coordinator);
            let set = world.pic.set_controllers(*canister, Some(world.operator), controllers);
            set.map_err(|error| anyhow!("{error}"))?;
        }
    }
    for some in stay.chunks(200) {
        let answers: Vec<Result<u64, EnrolError>> =
            update(&world.pic, world.coordinator, world.operator, "decant_enrol", (some.to_vec(),))?;
        answers.into_iter().collect::<Result<Vec<_>, _>>().map_err(|refusal| anyhow!("{refusal}"))?;
        messages += 1;
    }
    Ok(messages)
}

fn retry_all(world: &World) -> anyhow::Result<()> {
    let which = Which { plan: None, code: None, after: 0 };
    let batch: Result<Batch, String> =
        update(&world.pic, world.coordinator, world.operator, "decant_all", (Command::Retry, which))?;
    batch.map(|_| ()).map_err(|refusal| anyhow!(refusal))
}

/// The latest job of each source.
pub(crate) fn latest(jobs: &[JobView]) -> BTreeMap<Principal, &JobView> {
    jobs.iter().map(|job| (job.source, job)).collect()
}

fn unfinished(jobs: &[JobView]) -> Vec<&JobView> {
    latest(jobs).into_values().filter(|job| job.outcome != Outcome::Done).collect()
}

/// Every user field by field, every route, every canister of the instance, in which so many are none of the campaign.
pub(crate) fn check_account(
    world: &World,
    fleet: &Fleet,
    driven: &Driven,
    options: &Options,
    strangers: u64,
) -> anyhow::Result<()> {
    let report = account::account(world, fleet, driven, options, &mut Silent)?;
    let users = u64::from(options.canisters);
    let is_whole = (report.verified, report.lost, report.routes_wrong, report.snapshots_left)
        == (users, 0, 0, 0)
        && (report.orphans, report.compact_excess_pages) == (strangers, 0);
    ensure!(is_whole, "{report}\n{:#?}", report.complaints);
    let left = unfinished(&driven.jobs);
    ensure!(left.is_empty(), "{left:#?}");
    for (source, job) in latest(&driven.jobs) {
        let is_gone = !world.pic.canister_exists(source);
        ensure!(is_gone == job.target.is_some(), "the original {source}: {job:?}");
    }
    Ok(())
}

pub(crate) fn summary(world: &World) -> anyhow::Result<Summary> {
    query(&world.pic, world.coordinator, "decant_summary", ())
}

/// What no plan pays.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    /// Messages that the coordinator took.
    pub(crate) messages: u128,
    /// Cycles that were in what was deleted of the pool, and how many canisters those were.
    pub(crate) back_from_pool: (u128, u128),
}

/// Cycles of an instance: in all canisters that there are, and what those that there are or were have paid and burned, those
/// included that were left in what was deleted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cycles {
    held: u128,
    consumed: u128,
}

impl Cycles {
    /// When no call is on its way.
    ///
    /// # Errors
    /// Not all canisters are found.
    pub(crate) fn of(world: &World) -> anyhow::Result<Self> {
        let mut cycles = Self { held: 0, consumed: 0 };
        for (subnet, config) in world.pic.topology().subnet_configs {
            let metrics = world.pic.get_subnet_metrics(subnet).context("a subnet without metrics")?;
            cycles.consumed += metrics.consumed_cycles_total;
            let first = config.canister_ranges.iter().map(|range| World::number(range.start.clone().into()));
            let first = first.collect::<anyhow::Result<Vec<_>>>()?.into_iter().min().unwrap_or_default();
            let mut found = 0;
            // Ids follow each other; those of what was deleted are gaps.
            for number in first..first + MAX_IDS {
                if found == metrics.num_canisters {
                    break;
                }
                let id = id_of(number);
                if world.pic.canister_exists(id) {
                    cycles.held += world.pic.cycle_balance(id);
                    found += 1;
                }
            }
            ensure!(
                found == metrics.num_canisters,
                "{found} of {} canisters of {subnet}",
                metrics.num_canisters
            );
        }
        Ok(cycles)
    }

    /// Whether nothing came out of nothing since, and nothing is gone: to the cycle.
    ///
    /// # Errors
    /// With the figures, if it is not so.
    pub(crate) fn check_since(self, before: Self) -> anyhow::Result<()> {
        let consumed = self.consumed.saturating_sub(before.consumed);
        ensure!(consumed > 0, "nothing was consumed: {before:?}, then {self:?}");
        ensure!(before.held == self.held + consumed, "{before:?}, then {self:?}: {consumed} were consumed");
        Ok(())
    }
}

fn id_of(number: u64) -> Principal {
    let mut bytes = vec![1; 10];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    RawCanisterId { canister_id: bytes }.into()
}

/// What is over its last message is answered; then nothing wakes the coordinator.
pub(crate) fn come_to_rest(world: &World) {
    for _ in 0..20 {
        world.pic.advance_time(Duration::from_secs(2));
        world.pic.tick();
    }
}

/// What the coordinator lost is what its plans have spent, what every canister pays, and what messages to it cost; less
/// what came back out of the pool.
pub(crate) fn check_cycles(
    world: &World,
    before: u128,
    begun_nanos: u64,
    other: &Spent,
) -> anyhow::Result<()> {
    let (held, deleted) = other.back_from_pool;
    let lost = (before + held).saturating_sub(world.pic.cycle_balance(world.coordinator));
    let seconds = (world.pic.get_time().as_nanos_since_unix_epoch() - begun_nanos) / 1_000_000_000;
    let a_day = kept(&world.pic, world.operator, &[world.coordinator])?.idle_cycles_a_day;
    let idle = a_day * u128::from(seconds) / 86_400;
    let spent = summary(world)?.cycles_spent;
    let others = other.messages * MESSAGE_CYCLES + deleted * DELETION_CYCLES;
    if lost > spent + idle + others {
        bail!("lost {lost}, spent {spent}, idle {idle}, messages {others}");
    }
    // Most is creations, which are counted to the cycle; calls are counted with room for what they may take.
    let created = all_jobs(world)?.len() as u128;
    ensure!(
        spent <= lost + created * MESSAGE_CYCLES,
        "counted {spent} of {lost} lost: more than was spent, in {created} jobs"
    );
    Ok(())
}

/// What is left of the pool is deleted, and there is nothing more that the coordinator owns.
pub(crate) fn empty_pool(world: &World) -> anyhow::Result<()> {
    for canister in summary(world)?.pool {
        let deleted: Result<(), String> =
            update(&world.pic, world.coordinator, world.operator, "decant_delete_pooled", (canister,))?;
        deleted.map_err(|refusal| anyhow!("{canister}: {refusal}"))?;
    }
    let left = summary(world)?;
    ensure!(left.pool.is_empty() && left.aside.is_empty(), "{left:?}");
    ensure!(left.queued + left.running + left.parked == 0, "{left:?}");
    Ok(())
}

/// What the coordinator burns in a day in which nobody asks it anything, and what every canister of its size does.
fn idle_day(world: &World) -> anyhow::Result<(u128, u128)> {
    come_to_rest(world);
    let base = kept(&world.pic, world.operator, &[world.coordinator])?.idle_cycles_a_day;
    let before = world.pic.cycle_balance(world.coordinator);
    for _ in 0..24 {
        world.pic.advance_time(Duration::from_secs(3_600));
        world.pic.tick();
    }
    let burned = before - world.pic.cycle_balance(world.coordinator);
    ensure!(burned <= base + IDLE_CYCLES_A_DAY, "{burned} cycles a day, {base} are the base fee");
    Ok((burned, base))
}
