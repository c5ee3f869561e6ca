//! A rehearsal with somebody's own canisters: snapshots that they downloaded, or a module that they install.
//!
//! Each canister has a twin. Both are asked and written to alike, in the same order; one is repacked or relocated, the other
//! gets one ordinary upgrade to its own module at the same place in that order. What they answer afterwards must be the same:
//! that is what Decant promises to code that it knows nothing of.

mod ask;
mod canisters;
mod check;
mod page;
mod report;
mod users;

pub use ask::Asks;
pub use canisters::{Original, originals};
pub use page::page;
pub use report::{Failure, Figures, Report, Verdict};

use super::world::World;
use super::{Modules, Options, Progress, Strategy, calls::kept};
use crate::engine::Engine;
use anyhow::ensure;
use candid::Principal;
use clap::Args;
use decant_api::plan::{ByVessel, Plan};
use std::path::PathBuf;

/// Whose canisters are rehearsed with, and how.
#[derive(Debug, Clone, Args)]
pub struct Theirs {
    /// Rehearses with these canisters: a directory of the directories that `icp canister snapshot download` left, or one
    /// of them.
    #[arg(long, value_name = "DIR", group = "whose", conflicts_with = "wasm")]
    fleet: Option<PathBuf>,
    /// Rehearses with canisters that are installed with this module.
    #[arg(long, value_name = "FILE", group = "whose")]
    wasm: Option<PathBuf>,
    /// Argument of its init, as Candid text: `(5 : nat64, "text")`.
    #[arg(long, value_name = "CANDID", requires = "wasm")]
    init: Option<String>,
    /// The same in a file, encoded.
    #[arg(long, value_name = "FILE", requires = "wasm", conflicts_with = "init")]
    init_arg_file: Option<PathBuf>,
    /// So many of each.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "whose", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    copies: u32,
    /// What is asked and written: a line each, `query METHOD (ARGS)` or `update METHOD (ARGS)`. After a line `[NAME]` those
    /// of the canister of that name alone, after `as PRINCIPAL` those of somebody else than nobody.
    #[arg(long, value_name = "FILE", requires = "whose")]
    ask: Option<PathBuf>,
    /// Argument of post_upgrade, as Candid text; of the canister NAME alone if it begins with that. May be repeated.
    #[arg(long, value_name = "[NAME=]CANDID", requires = "whose")]
    upgrade_arg: Vec<String>,
    /// Pages of a bucket of the new image.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "whose", value_parser = clap::value_parser!(u16).range(1..))]
    bucket_pages: u16,
    /// By how many percent memories may grow: buckets that could not hold that are refused.
    #[arg(long, value_name = "PERCENT", default_value_t = 900, requires = "whose")]
    growth: u32,
    /// Page at which the MemoryManager begins, where it is not page 0.
    #[arg(long, value_name = "PAGE", requires = "whose")]
    manager_page: Option<u64>,
    /// Gives up what lies behind the last bucket.
    #[arg(long, requires = "whose")]
    drop_tail: bool,
    /// Also modules without pre_upgrade, whose heap is lost.
    #[arg(long, requires = "whose")]
    may_lose_heap: bool,
}

impl Theirs {
    /// Whether somebody's own canisters are meant.
    pub fn are_meant(&self) -> bool {
        self.fleet.is_some() || self.wasm.is_some()
    }

    /// Whether what is said of a module is said of one. (Clap leaves out that an argument requires another where that is
    /// excluded by a third.)
    ///
    /// # Errors
    /// An argument is about a module that is not named.
    pub fn check(&self) -> anyhow::Result<()> {
        for (name, is_there) in
            [("--init", self.init.is_some()), ("--init-arg-file", self.init_arg_file.is_some())]
        {
            ensure!(!is_there || self.wasm.is_some(), "{name} is of a module: name it with --wasm FILE");
        }
        Ok(())
    }

    /// What the canisters are, and what is asked of them.
    ///
    /// # Errors
    /// A file is not what it should be: the error names it, its line, and what to do.
    pub fn read(&self) -> anyhow::Result<(Vec<Original>, Asks)> {
        let originals = originals(self)?;
        let names: Vec<&str> = originals.iter().map(|original| original.name.as_str()).collect();
        let asks = match &self.ask {
            Some(path) => Asks::read(path, &names)?,
            None => Asks::default(),
        };
        Ok((originals, asks))
    }

    /// The plan for these canisters.
    fn plan(
        &self,
        world: &World,
        modules: &Modules,
        options: &Options,
        originals: &[Original],
    ) -> anyhow::Result<Plan> {
        let mut used = Vec::new();
        for original in originals {
            let module = original.used(self.may_lose_heap);
            match used.iter().find(|earlier: &&decant_api::plan::ModuleUse| earlier.hash == module.hash) {
                Some(earlier) => ensure!(
                    earlier.upgrade_arg == module.upgrade_arg,
                    "{} runs the module of another and has another --upgrade-arg: a plan has one for each module, so \
                     rehearse them one after the other",
                    original.name
                ),
                None => used.push(module),
            }
        }
        let by = ByVessel {
            modules: used,
            growth_percent: self.growth,
            may_drop_tail: self.drop_tail,
            rolls_back_on_lost_timer: None,
            manager_page: self.manager_page,
        };
        let strategy = match options.strategy {
            Strategy::RelocateVessel => decant_api::plan::Strategy::RelocateVessel(by),
            Strategy::Repack | Strategy::Relocate => decant_api::plan::Strategy::Repack(by),
        };
        Ok(Plan { strategy, bucket_pages: self.bucket_pages, ..world.plan(modules, options)? })
    }
}

/// Rehearses with somebody's canisters, by one strategy through vessels; answers also the world as it is afterwards.
///
/// # Errors
/// It could not be begun: a canister does not install, a query is refused before anything was done. What goes wrong
/// afterwards is in the report.
pub fn run(
    engine: &Engine,
    modules: &Modules,
    options: &Options,
    theirs: &Theirs,
    progress: &mut dyn Progress,
) -> anyhow::Result<(Report, World)> {
    let (originals, asks) = theirs.read()?;
    let options = &Options { canisters: originals.len() as u32 * theirs.copies, ..options.clone() };
    options.check()?;
    progress.phase("governance, coordinator and index", 1);
    let world = World::new(engine, modules, options)?;
    let mut copies = canisters::create(&world, &originals, &asks, theirs.copies, progress)?;
    let ids: Vec<Principal> = copies.iter().map(|copy| copy.canister).collect();
    check::ask_before(&world, &originals, &asks, &mut copies)?;
    let before = kept(&world.pic, world.operator, &ids)?;
    world.propose(&theirs.plan(&world, modules, options, &originals)?)?;
    let twins: Vec<Principal> = copies.iter().map(|copy| copy.twin).collect();
    let cycles_before = world.total_cycles(ids.iter().copied(), |_| true);
    let driven = users::give_back(&world, &asks, &originals, &mut copies, progress)?;
    let now = ids.iter().copied().chain(super::account::canisters_now(&driven));
    let cycles_after = world.total_cycles(now, |id| world.pic.canister_exists(*id));
    let mut report = Report::begin(engine, options, &driven, [cycles_before, cycles_after], before);
    progress.phase("the twins' upgrade, and what they answer", copies.len() as u64);
    for (copy, job) in copies.iter().zip(&driven.jobs) {
        let found = check::check(&world, &asks, &originals[copy.original], copy, job, theirs.manager_page)?;
        report.add(&originals[copy.original].name, copy, job, found, &world)?;
        progress.done(1);
    }
    let owned = ids.iter().chain(&twins).copied().chain(super::account::canisters_now(&driven));
    report.settle(&world, owned, &driven)?;
    Ok((report, world))
}
