//! A month of one campaign: relocations that keep their originals for a week, an index that is down for an hour, an operator
//! who aborts, pauses and resumes, an upgrade of the coordinator in the middle, and originals with dust at a ledger, which are
//! parked and retried by the code of their reason; and the account of it.

use crate::campaign::{
    Cycles, Spent, check_account, check_cycles, come_to_rest, empty_pool, enrol, latest, summary,
};
use crate::people::all_jobs;
use crate::{fleet_on, modules, restart};
use anyhow::{Context, anyhow, bail, ensure};
use candid::{CandidType, Principal};
use decant_api::events::{Event, Evidence, Happened};
use decant_api::govern::{Breaker, Decision, Pace, Release};
use decant_api::jobs::{Batch, Command, JobView, Outcome, Pause, Summary, Which};
use decant_api::plan::{self, Plan};
use decant_cli::engine::Engine;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::drive::until_ended;
use decant_cli::rehearsal::world::World;
use decant_cli::rehearsal::{Options, Retention, Silent};
use pocket_ic::CanisterSettings;
use std::collections::BTreeMap;
use std::time::Duration;

/// For how long an original is kept.
const RETENTION_SECONDS: u64 = 7 * 86_400;
/// For how long the index is down, in rounds of ten seconds.
const DOWN_ROUNDS: u64 = 360;
/// Rounds between two looks at what is due.
const LOOK_EVERY: u64 = 5;
/// Rounds for which nothing comes nearer to its commit point.
const HOLD_ROUNDS: u64 = 30;
/// Of so many originals, one has dust: about a thousand of the 9,857 of the incident.
const DUST_OF: u8 = 10;
/// Jobs that an operator aborts in line, and as many on their way.
const ABORTS: usize = 2;
/// Without it an index that is down sends the whole line back, a job after the other.
const BREAKER: Breaker = Breaker { failures: 3, of_last: 3 };
/// Times that what was rolled back is enrolled again.
const WAVES: usize = 4;
/// Cycles of an original that may be burned with it: what its last messages prepay (design, M2).
const BURNED_CYCLES: u128 = 120_000_000_000;

/// What became of it.
#[derive(Debug)]
pub struct Month {
    /// Jobs in all.
    pub jobs: usize,
    /// Jobs that rolled back, and whose canisters were enrolled again.
    pub rolled_back: usize,
    /// Jobs that were parked by dust, and went on by a command to their reason's code.
    pub retried: u64,
    /// Users' writes that met a fence.
    pub fenced_writes: u64,
    /// Days from the first enrolment to the last deletion.
    pub days: u64,
    /// Messages of the coordinator a job.
    pub calls_a_job: u64,
    /// Bytes of the coordinator's stable memory a job, all that it has included.
    pub stable_bytes_a_job: u64,
    /// Most cycles that were burned with an original.
    pub burned_cycles: u128,
}

/// What happens once, as soon as so many eighths of the fleet are through.
const COURSE: [(u32, What); 6] = [
    (1, What::Abort),
    (2, What::IndexDown),
    (3, What::NoJobs),
    (4, What::Upgrade),
    (5, What::Hold),
    (6, What::Abort),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// An operator aborts jobs in line, and jobs on their way.
    Abort,
    /// The index is stopped for an hour.
    IndexDown,
    /// No job begins for a while.
    NoJobs,
    /// The coordinator is stopped, upgraded, and started.
    Upgrade,
    /// Nothing comes nearer to its commit point for a while.
    Hold,
}

/// A ledger at which those canisters have dust whose number is a multiple of [`DUST_OF`]; or nobody has.
fn ledger(dust: bool) -> anyhow::Result<Vec<u8>> {
    // The argument ends with the owner's ten bytes, of which the eighth is the lowest of its number, and a subaccount that
    // is none, one byte. The answer is a `nat`.
    let text = format!(
        r#"(module
            (import "ic0" "msg_arg_data_size" (func $size (result i32)))
            (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
            (import "ic0" "msg_reply" (func $reply))
            (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
            (memory 1)
            (data (i32.const 0) "DIDL\00\01\7d\00")
            (func (export "canister_query icrc1_balance_of")
                (call $copy (i32.const 16) (i32.sub (call $size) (i32.const 4)) (i32.const 1))
                (i32.store8 (i32.const 7)
                    (i32.mul (i32.const {})
                        (i32.eqz (i32.rem_u (i32.load8_u (i32.const 16)) (i32.const {DUST_OF})))))
                (call $append (i32.const 0) (i32.const 8))
                (call $reply)))"#,
        u8::from(dust)
    );
    wat::parse_str(text).context("the ledger is well-formed")
}

fn has_dust(canister: Principal) -> anyhow::Result<bool> {
    Ok(World::number(canister)? % 256 % u64::from(DUST_OF) == 0)
}

/// A month of so many canisters.
///
/// # Errors
/// Whatever is not as it was promised.
pub fn run(engine: &Engine, canisters: u32, say: &mut dyn FnMut(&str)) -> anyhow::Result<Month> {
    let in_flight = (canisters / 100).clamp(4, 50);
    let options =
        Options { canisters, state_kib: 8, in_flight, retention: Retention::Frozen, ..Options::default() };
    let (world, mut fleet) = fleet_on(engine, &options, &modules().kit);
    say(&format!("{canisters} canisters have the kit"));
    let token = token(&world)?;
    let pace = Pace { breaker: Some(BREAKER), ..Pace::default() };
    world.decide(&Decision::Approve { plan: plan(&world, &options, token)?, pace: Some(pace) })?;
    let originals = fleet.originals();
    let all_before = Cycles::of(&world)?;
    let (before, begun) = (world.pic.cycle_balance(world.coordinator), world.pic.get_time());
    let mut spent = Spent { messages: enrol(&world, &originals, originals.clone())?, ..Spent::default() };
    let mut operator = Operator { to_do: COURSE.to_vec(), until: None, canisters, messages: 0 };
    let mut in_each_round = |round: u64| operator.act(&world, round, say);
    let mut driven = until_ended(&world, &mut fleet, &options, &mut Silent, Some(&mut in_each_round))?;
    ensure!(operator.to_do.is_empty(), "there was no occasion for {:?}", operator.to_do);
    spent.messages += operator.messages;
    let (mut fenced_writes, mut rolled_back, mut retried) = (driven.write_attempts_while_fenced, 0, 0);
    check_parked(&driven.jobs)?;
    for wave in 0..=WAVES {
        let latest = latest(&driven.jobs);
        let again: Vec<Principal> = latest
            .values()
            .filter(|job| matches!(job.outcome, Outcome::RolledBack { .. }))
            .map(|job| job.source)
            .collect();
        let parked = latest.values().filter(|job| matches!(job.outcome, Outcome::Parked { .. })).count();
        say(&format!(
            "day {}: {} jobs, {} to enrol again, {parked} parked",
            days(&world, begun.as_nanos_since_unix_epoch()),
            driven.jobs.len(),
            again.len()
        ));
        if again.is_empty() && parked == 0 {
            break;
        }
        ensure!(wave < WAVES, "after {WAVES} waves {} rolled back, {parked} are parked", again.len());
        let again_count = again.len();
        rolled_back += again_count;
        spent.messages += enrol(&world, &originals, again)?;
        // Those that were enrolled again meet the dust too, before anybody takes it.
        if again_count == 0 {
            // What was dust is gone: the ledger's owner, or the canister's, took it.
            world
                .pic
                .upgrade_canister(token, ledger(false)?, Vec::new(), Some(world.operator))
                .map_err(|error| anyhow!("{error}"))?;
            let (taken, messages) = retry(&world, "HasAssets")?;
            ensure!(taken >= parked as u64, "{taken} of {parked} went on");
            retried += taken;
            spent.messages += messages;
        }
        let mut skip = |round| skip_quiet_hours(&world, round).map(|()| true);
        driven = until_ended(&world, &mut fleet, &options, &mut Silent, Some(&mut skip))?;
        fenced_writes += driven.write_attempts_while_fenced;
    }
    let dusty = originals.iter().filter(|canister| has_dust(**canister).unwrap_or(false)).count();
    ensure!(dusty > 0 && retried == dusty as u64, "{dusty} originals had dust, {retried} jobs were retried");
    check_account(&world, &fleet, &driven, &options, 1)?;
    check_cycles(&world, before, begun.as_nanos_since_unix_epoch(), &spent)?;
    come_to_rest(&world);
    Cycles::of(&world)?.check_since(all_before)?;
    let burned_cycles = check_evidence(&world, &driven.jobs)?;
    let end = summary(&world)?;
    empty_pool(&world)?;
    let jobs = driven.jobs.len();
    Ok(Month {
        jobs,
        rolled_back,
        retried,
        fenced_writes,
        days: days(&world, begun.as_nanos_since_unix_epoch()),
        calls_a_job: end.calls / jobs as u64,
        stable_bytes_a_job: end.stable_pages * 65_536 / jobs as u64,
        burned_cycles,
    })
}

fn days(world: &World, begun_nanos: u64) -> u64 {
    (world.pic.get_time().as_nanos_since_unix_epoch() - begun_nanos) / 86_400_000_000_000
}

fn token(world: &World) -> anyhow::Result<Principal> {
    let settings =
        CanisterSettings { controllers: Some(vec![world.operator]), ..CanisterSettings::default() };
    let token = world.pic.create_canister_with_settings(Some(world.operator), Some(settings));
    world.pic.add_cycles(token, 1_000_000_000_000_000);
    world.pic.install_canister(token, ledger(true)?, Vec::new(), Some(world.operator));
    Ok(token)
}

fn plan(world: &World, options: &Options, token: Principal) -> anyhow::Result<Plan> {
    Ok(Plan {
        retention: plan::Retention::Frozen { seconds: RETENTION_SECONDS },
        ledgers: vec![token],
        // Those that are aborted are enrolled again.
        max_canisters: 2 * u64::from(options.canisters),
        ..world.plan(modules(), options)?
    })
}

/// An operator, who has a course to follow.
struct Operator {
    to_do: Vec<(u32, What)>,
    /// Until which round jobs are paused.
    until: Option<u64>,
    canisters: u32,
    messages: u128,
}

impl Operator {
    /// Does what is due; whether that was all.
    fn act(&mut self, world: &World, round: u64, say: &mut dyn FnMut(&str)) -> anyhow::Result<bool> {
        if let Some(until) = self.until {
            if round < until {
                return Ok(false);
            }
            self.until = None;
            self.pause(world, Pause::Running)?;
        }
        if !round.is_multiple_of(LOOK_EVERY) {
            return Ok(self.to_do.is_empty());
        }
        let now = summary(world)?;
        let through = now.done + now.rolled_back + now.parked + now.waiting;
        match self.to_do.first().copied() {
            Some((eighths, what)) if through * 8 >= u64::from(eighths) * u64::from(self.canisters) => {
                if self.perform(world, what, round)? {
                    say(&format!("{through} through: {what:?}"));
                    self.to_do.remove(0);
                }
            }
            Some(_) => {}
            None => skip_quiet_hours(world, round)?,
        }
        Ok(self.to_do.is_empty() && self.until.is_none())
    }

    fn perform(&mut self, world: &World, what: What, round: u64) -> anyhow::Result<bool> {
        match what {
            What::Abort => return self.abort(world),
            What::IndexDown => {
                let operator = Some(world.operator);
                world.pic.stop_canister(world.index, operator).map_err(|error| anyhow!("{error}"))?;
                for _ in 0..DOWN_ROUNDS {
                    world.pic.advance_time(Duration::from_secs(10));
                    world.pic.tick();
                }
                world.pic.start_canister(world.index, operator).map_err(|error| anyhow!("{error}"))?;
                let left = summary(world)?.queued;
                ensure!(left > u64::from(self.canisters) / 4, "{left} are in line: the others went back");
                self.messages += 1;
                let released: Result<(), String> = update(
                    &world.pic,
                    world.coordinator,
                    world.operator,
                    "decant_release",
                    (1_u64, Release::Breaker),
                )?;
                released.map_err(|refusal| anyhow!(refusal))?;
            }
            What::Upgrade => restart(world),
            What::NoJobs | What::Hold => {
                let pause = if what == What::Hold { Pause::Hold } else { Pause::NoJobs };
                self.pause(world, pause)?;
                self.until = Some(round + HOLD_ROUNDS);
            }
        }
        Ok(true)
    }

    /// Aborts some in line and some on their way, if there are any.
    fn abort(&mut self, world: &World) -> anyhow::Result<bool> {
        let jobs = all_jobs(world)?;
        let is_queued = |job: &&JobView| job.state == "queued";
        let is_on_its_way = |job: &&JobView| {
            job.state != "queued" && job.committed_nanos.is_none() && job.ended_nanos.is_none()
        };
        let mut some: Vec<u64> = jobs.iter().filter(is_queued).rev().take(ABORTS).map(|job| job.id).collect();
        some.extend(jobs.iter().filter(is_on_its_way).take(ABORTS).map(|job| job.id));
        let mut aborted = 0;
        for job in some {
            self.messages += 1;
            // It may have passed its commit point since.
            let done: Result<(), String> = self.tell(world, "decant_abort", job)?;
            aborted += usize::from(done.is_ok());
        }
        Ok(aborted > 0)
    }

    fn pause(&mut self, world: &World, pause: Pause) -> anyhow::Result<()> {
        self.messages += 1;
        let done: Result<(), String> = self.tell(world, "decant_pause", pause)?;
        done.map_err(|refusal| anyhow!(refusal))
    }

    fn tell(
        &self,
        world: &World,
        method: &str,
        argument: impl CandidType,
    ) -> anyhow::Result<Result<(), String>> {
        update(&world.pic, world.coordinator, world.operator, method, (argument,))
    }
}

/// While all that is on its way only waits, hours pass as rounds.
fn skip_quiet_hours(world: &World, round: u64) -> anyhow::Result<()> {
    if round.is_multiple_of(LOOK_EVERY) {
        let Summary { queued, running, waiting, .. } = summary(world)?;
        if queued == 0 && running == waiting && waiting > 0 {
            world.pic.advance_time(Duration::from_secs(3_600));
        }
    }
    Ok(())
}

/// All open jobs with a reason go on; answers how many, and in how many messages.
fn retry(world: &World, code: &str) -> anyhow::Result<(u64, u128)> {
    let (mut taken, mut messages, mut after) = (0, 0, Some(0));
    while let Some(id) = after {
        let which = Which { plan: None, code: Some(code.to_owned()), after: id };
        let batch: Result<Batch, String> =
            update(&world.pic, world.coordinator, world.operator, "decant_all", (Command::Retry, which))?;
        let batch = batch.map_err(|refusal| anyhow!(refusal))?;
        (taken, messages, after) = (taken + batch.taken, messages + 1, batch.next);
    }
    Ok((taken, messages))
}

/// Those are parked that have dust, and nobody else; their users are served.
fn check_parked(jobs: &[JobView]) -> anyhow::Result<()> {
    for (source, job) in latest(jobs) {
        let is_parked = matches!(job.outcome, Outcome::Parked { .. });
        let is_back = matches!(job.outcome, Outcome::RolledBack { .. });
        ensure!(is_back || is_parked == has_dust(source)?, "{job:?}");
        ensure!(!is_parked || job.served_nanos.is_some(), "users wait: {job:?}");
        ensure!(!is_parked || job.code.as_deref() == Some("HasAssets"), "{job:?}");
    }
    Ok(())
}

/// Every job that is done has its events and its evidence; answers most of the cycles that were burned with an original.
fn check_evidence(world: &World, jobs: &[JobView]) -> anyhow::Result<u128> {
    let mut told: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
    let mut after = 0;
    loop {
        let page: Vec<Event> = query(&world.pic, world.coordinator, "decant_events", (after, 1_000_u32))?;
        let Some(last) = page.last() else { break };
        after = last.number;
        for event in &page {
            match &event.happened {
                Happened::Moved { job, .. } => told.entry(*job).or_default().0 += 1,
                Happened::Deleted { job, .. } => told.entry(*job).or_default().1 += 1,
                _ => {}
            }
        }
    }
    let mut most = 0;
    for job in jobs {
        let is_done = job.outcome == Outcome::Done;
        let events = told.get(&job.id).copied().unwrap_or_default();
        let expected = if is_done { (1, 1) } else { (0, 0) };
        ensure!(events == expected, "{events:?} events tell of its move and its deletion: {job:?}");
        if is_done {
            let evidence: Option<Evidence> =
                query(&world.pic, world.coordinator, "decant_evidence", (job.id,))?;
            let evidence = evidence.with_context(|| format!("job {} has no evidence", job.id))?;
            let is_whole = evidence.root.is_some()
                && evidence.fingerprint.is_some()
                && evidence.source_module.is_some()
                && evidence.target == job.target;
            ensure!(is_whole, "{evidence:?}");
            most = most.max(evidence.burned_cycles);
        }
    }
    if most > BURNED_CYCLES {
        bail!("{most} cycles were burned with an original");
    }
    Ok(most)
}
