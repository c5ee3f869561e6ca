//! The rehearsal: what happened to Hot or Not, and how it is taken back, with real canisters, real calls between
//! them and measured figures.
//!
//! Only calls of the `pocket_ic` client and specified behaviour are used, so it runs on the embedded replica and
//! on a real server alike.

pub mod account;
pub mod batch;
pub mod calls;
pub mod drive;
pub mod faults;
pub mod fleet;
pub mod log;
mod model;
mod modules;
pub mod not_now;
mod options;
mod page;
mod phases;
mod random;
mod report;
pub mod theirs;
pub mod world;

pub use model::Model;
pub use modules::Modules;
pub use options::{Generation, Options, Retention, Strategy};
pub use page::page;
pub use phases::Phase;
pub use report::{Part, Report, memory};

use crate::engine::Engine;
use calls::kept;
use candid::Principal;
use faults::Fault;
use phases::Stopwatch;
use std::time::Instant;
use world::World;

/// Tells how far a rehearsal is.
pub trait Progress {
    /// A phase begins, with so many steps.
    fn phase(&mut self, name: &str, steps: u64);
    /// So many steps of the phase are done.
    fn done(&mut self, steps: u64);
}

/// Says nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn phase(&mut self, _name: &str, _steps: u64) {}
    fn done(&mut self, _steps: u64) {}
}

/// Replays the incident and takes it back, by one strategy.
///
/// # Errors
/// Something did not go as a healthy network goes: a canister that does not install, a plan that is refused. What
/// a relocation does wrong is no error but in the report.
pub fn run(
    engine: &Engine,
    modules: &Modules,
    options: &Options,
    progress: &mut dyn Progress,
) -> anyhow::Result<Report> {
    rehearse(engine, modules, options, progress).map(|(report, _)| report)
}

/// As [`run`], with the world as it is afterwards.
///
/// # Errors
/// As there.
pub fn rehearse(
    engine: &Engine,
    modules: &Modules,
    options: &Options,
    progress: &mut dyn Progress,
) -> anyhow::Result<(Report, World)> {
    rehearse_through(engine, modules, options, progress, |world, fleet, progress| {
        drive::relocate(world, fleet, options, progress, None)
    })
}

/// As [`run`], with a fault at call number `nth` of the jobs; answers also whether it happened.
///
/// # Errors
/// As there, and that the engine is none that fails on purpose.
pub fn rehearse_with_fault(
    engine: &Engine,
    modules: &Modules,
    options: &Options,
    fault: Fault,
    nth: u32,
    progress: &mut dyn Progress,
) -> anyhow::Result<(Report, bool)> {
    let mut has_happened = false;
    let (report, _) = rehearse_through(engine, modules, options, progress, |world, fleet, progress| {
        let mut armed = faults::arm(engine, world, fault, nth)?;
        let mut act = |_| armed.act_if_due(world, &modules.coordinator).map(|()| true);
        let driven = drive::relocate(world, fleet, options, progress, Some(&mut act));
        has_happened = armed.has_happened();
        faults::disarm(engine, world)?;
        driven
    })?;
    Ok((report, has_happened))
}

/// What a rehearsal goes through between its plan and its account.
fn rehearse_through(
    engine: &Engine,
    modules: &Modules,
    options: &Options,
    progress: &mut dyn Progress,
    relocate: impl FnOnce(&World, &mut fleet::Fleet, &mut dyn Progress) -> anyhow::Result<drive::Driven>,
) -> anyhow::Result<(Report, World)> {
    options.check()?;
    let start = Instant::now();
    let mut stopwatch = Stopwatch::start();
    progress.phase("governance, coordinator and index", 1);
    let mut world = World::new(engine, modules, options)?;
    let mut fleet = fleet::Fleet::create(&world, modules, options, progress)?;
    stopwatch.lap("create");
    let before = fleet.kept(&world)?;
    stopwatch.lap("measure");
    fleet.bloat(&world, modules, options, progress)?;
    stopwatch.lap("bloat");
    if options.strategy.needs_kit() {
        fleet.upgrade_to_kit(&world, modules, progress)?;
        stopwatch.lap("upgrade to the kit");
    }
    let bloated = fleet.kept(&world)?;
    world.approve_plan(modules, options)?;
    let cycles_before = world.total_cycles(fleet.originals(), |_| true);
    let coordinators_before = world.pic.cycle_balance(world.coordinator);
    stopwatch.lap("measure and plan");
    let driven = relocate(&world, &mut fleet, progress)?;
    let coordinators_after = world.pic.cycle_balance(world.coordinator);
    stopwatch.lap("relocate");
    let mut report = account::account(&world, &fleet, &driven, options, progress)?;
    report.settle_coordinator(coordinators_before.saturating_sub(coordinators_after), &driven, options);
    report.note_states(&log::passages(&world)?);
    stopwatch.lap("read back");
    let exists = |id: &Principal| world.pic.canister_exists(*id);
    let now = fleet.originals().into_iter().chain(account::canisters_now(&driven));
    let cycles_after = world.total_cycles(now, exists);
    stopwatch.lap("count cycles");
    report.phases = stopwatch.into_phases();
    report.engine = engine.name().to_owned();
    report.stable_bytes_before = before.stable_bytes;
    report.stable_bytes_bloated = bloated.stable_bytes;
    report.settle_cycles(cycles_before, cycles_after);
    let users_now: Vec<_> = driven.jobs.iter().map(|job| job.target.unwrap_or(job.source)).collect();
    let kept_now = kept(&world.pic, world.operator, &users_now)?;
    report.settle_payback(bloated.idle_cycles_a_day, kept_now.idle_cycles_a_day);
    if !report.is_well() {
        report.complaints.extend(world.coordinator_log());
    }
    report.wall_seconds = start.elapsed().as_secs_f64();
    Ok((report, world))
}
