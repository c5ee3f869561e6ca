//! Somebody's canisters, and their twins.

use super::super::Progress;
use super::super::batch::{ATTEMPTS, Update, update_all};
use super::super::calls::update;
use super::super::not_now::is_transient;
use super::super::world::World;
use super::users::Written;
use super::{Asks, Theirs};
use crate::candid_text;
use crate::repack::{SnapshotDir, is_module};
use anyhow::{Context, anyhow, bail, ensure};
use candid::{CandidType, Principal};
use decant_api::plan::ModuleUse;
use pocket_ic::common::rest::RawMessageId;
use pocket_ic::{CanisterSettings, Time};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Cycles of a canister: it pays for its snapshots itself.
const CYCLES: u128 = 1_000_000_000_000_000;
/// Between when a snapshot was taken and when it is rehearsed, at least.
const AFTER_NANOS: u64 = 1_000_000_000;

/// A canister that is rehearsed with.
#[derive(Debug, Clone)]
pub struct Original {
    /// Its name: that of its directory, or of its module.
    pub name: String,
    source: Source,
    module: Vec<u8>,
    upgrade_arg: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Source {
    Snapshot { directory: PathBuf, taken_nanos: u64 },
    Module { init: Vec<u8> },
}

/// A canister, its twin, and what was written to both.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) original: usize,
    /// Its number, as a user of the index.
    pub(super) user: u64,
    /// The one of those with its name, from 1.
    pub(super) copy: u32,
    pub(super) canister: Principal,
    pub(super) twin: Principal,
    pub(super) written: Vec<Written>,
    pub(super) open: Option<RawMessageId>,
    pub(super) met_a_fence: u64,
    pub(super) refused_in_a_row: u32,
    /// What each query was answered before.
    pub(super) answers: Vec<super::check::Answer>,
}

/// The canisters that are named on the command line.
///
/// # Errors
/// One can't be read: the error names it and what to do.
pub fn originals(theirs: &Theirs) -> anyhow::Result<Vec<Original>> {
    let mut originals = match (&theirs.fleet, &theirs.wasm) {
        (Some(fleet), _) => of_fleet(fleet)?,
        (None, Some(wasm)) => vec![of_module(wasm, theirs)?],
        (None, None) => bail!("name canisters: --fleet DIR or --wasm FILE"),
    };
    for text in &theirs.upgrade_arg {
        let (name, text) = match text.split_once('=') {
            Some((name, text)) if !name.trim_start().starts_with('(') => (Some(name), text),
            _ => (None, text.as_str()),
        };
        let argument =
            candid_text::encode(text).map_err(|wrong| anyhow!("--upgrade-arg {text}: {}", wrong.what))?;
        let mut is_known = false;
        for original in originals.iter_mut().filter(|original| name.is_none_or(|name| name == original.name))
        {
            original.upgrade_arg.clone_from(&argument);
            is_known = true;
        }
        ensure!(
            is_known,
            "--upgrade-arg {}={text}: there is no canister of that name",
            name.unwrap_or_default()
        );
    }
    Ok(originals)
}

fn of_fleet(fleet: &Path) -> anyhow::Result<Vec<Original>> {
    if fleet.join("metadata.json").exists() {
        return Ok(vec![of_snapshot(fleet)?]);
    }
    let entries = std::fs::read_dir(fleet).with_context(|| format!("reading {}", fleet.display()))?;
    let mut directories = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("reading {}", fleet.display()))?.path();
        if path.is_dir() {
            directories.push(path);
        }
    }
    directories.sort();
    ensure!(
        !directories.is_empty(),
        "{} has no directories: name one with those that `icp canister snapshot download` left",
        fleet.display()
    );
    directories.iter().map(|directory| of_snapshot(directory)).collect()
}

fn of_snapshot(directory: &Path) -> anyhow::Result<Original> {
    let snapshot = SnapshotDir::open(directory)?;
    ensure!(
        !snapshot.has_no_code(),
        "{} was taken of a canister without code, or is repacked: rehearse with a snapshot of what it runs",
        directory.display()
    );
    // The engine reads the files, from wherever it runs.
    let directory = directory.canonicalize().with_context(|| format!("reading {}", directory.display()))?;
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned());
    let source = Source::Snapshot { taken_nanos: snapshot.taken_nanos(), directory };
    Ok(Original {
        name: name.unwrap_or_default(),
        source,
        module: snapshot.module().to_vec(),
        upgrade_arg: candid::encode_args(())?,
    })
}

fn of_module(path: &Path, theirs: &Theirs) -> anyhow::Result<Original> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    let init = match (&theirs.init, &theirs.init_arg_file) {
        (Some(text), _) => {
            candid_text::encode(text).map_err(|wrong| anyhow!("--init {text}: {}", wrong.what))?
        }
        (None, Some(file)) => read(file)?,
        (None, None) => candid::encode_args(())?,
    };
    let name = path.file_stem().map(|name| name.to_string_lossy().into_owned());
    let module = read(path)?;
    ensure!(is_module(&module), "{} is no WebAssembly module, gzipped or not", path.display());
    Ok(Original {
        name: name.unwrap_or_default(),
        source: Source::Module { init },
        module,
        upgrade_arg: candid::encode_args(())?,
    })
}

impl Original {
    /// What a plan says of its module.
    pub(super) fn used(&self, may_lose_heap: bool) -> ModuleUse {
        ModuleUse {
            hash: ByteBuf::from(Sha256::digest(&self.module).to_vec()),
            chunk_hashes: Vec::new(),
            upgrade_arg: ByteBuf::from(self.upgrade_arg.clone()),
            may_lose_heap,
        }
    }

    /// One ordinary upgrade to the module that it runs.
    ///
    /// # Errors
    /// What it is rejected with, other than for now.
    pub(super) fn upgrade(&self, world: &World, canister: Principal) -> Result<(), String> {
        let (pic, operator) = (&world.pic, Some(world.operator));
        let mut attempts = 0;
        loop {
            match pic.upgrade_canister(canister, self.module.clone(), self.upgrade_arg.clone(), operator) {
                Err(rejected) if is_transient(&rejected) && attempts < ATTEMPTS => {
                    attempts += 1;
                    pic.tick();
                }
                ended => return ended.map_err(|rejected| rejected.to_string()),
            }
        }
    }

    fn install(&self, world: &World, canister: Principal, asks: &Asks) -> anyhow::Result<()> {
        match &self.source {
            Source::Snapshot { directory, .. } => {
                let (pic, operator) = (&world.pic, world.operator);
                let failed = |what| move |rejected| anyhow!("{what} of {}: {rejected}", directory.display());
                let id = pic.canister_snapshot_upload(canister, operator, None, directory.clone());
                pic.stop_canister(canister, Some(operator)).map_err(failed("stopping the canister"))?;
                let loaded = pic.load_canister_snapshot(canister, Some(operator), id.clone());
                loaded.map_err(failed("loading the snapshot"))?;
                let deleted = pic.delete_canister_snapshot(canister, Some(operator), id);
                deleted.map_err(failed("deleting the snapshot"))?;
                pic.start_canister(canister, Some(operator)).map_err(failed("starting the canister"))
            }
            Source::Module { init } => {
                // As an installation, and it answers what is wrong.
                let module = self.module.clone();
                let installed =
                    world.pic.reinstall_canister(canister, module, init.clone(), Some(world.operator));
                installed.map_err(|rejected| {
                    anyhow!(
                        "it can't be installed: {rejected}; name the argument of its init with --init or --init-arg-file"
                    )
                })?;
                for ask in asks.updates(&self.name) {
                    let call = Update::encoded(canister, &ask.method, ask.argument.clone());
                    update_all(&world.pic, ask.sender, vec![call])
                        .with_context(|| format!("line {} of --ask, `{}`", ask.line, ask.text))?;
                }
                // What the module bloats, it bloats when it saves its state.
                self.upgrade(world, canister).map_err(|rejected| {
                    anyhow!(
                        "it can't be upgraded to its own module: {rejected}; name the argument of its post_upgrade with \
                         --upgrade-arg"
                    )
                })
            }
        }
    }
}

#[derive(CandidType)]
struct Route {
    user: u64,
    canister: Principal,
}

/// Canisters and their twins, which the index routes to and controls.
pub(super) fn create(
    world: &World,
    originals: &[Original],
    asks: &Asks,
    copies: u32,
    progress: &mut dyn Progress,
) -> anyhow::Result<Vec<Pair>> {
    progress.phase("creating canisters and twins", u64::from(copies) * originals.len() as u64);
    // A canister must not find itself before its snapshot was taken.
    let taken = originals.iter().filter_map(|original| match original.source {
        Source::Snapshot { taken_nanos, .. } => Some(taken_nanos.saturating_add(AFTER_NANOS)),
        Source::Module { .. } => None,
    });
    if let Some(taken) = taken.max().map(Time::from_nanos_since_unix_epoch)
        && taken > world.pic.get_time()
    {
        world.pic.set_time(taken);
        world.pic.tick();
    }
    let mut all = Vec::new();
    for (original, it) in originals.iter().enumerate() {
        for copy in 1..=copies {
            let create = |controllers: Vec<Principal>| -> anyhow::Result<Principal> {
                let settings =
                    CanisterSettings { controllers: Some(controllers), ..CanisterSettings::default() };
                let id = world.pic.create_canister_with_settings(Some(world.operator), Some(settings));
                world.pic.add_cycles(id, CYCLES);
                it.install(world, id, asks).with_context(|| it.name.clone())?;
                Ok(id)
            };
            all.push(Pair {
                original,
                user: all.len() as u64,
                copy,
                canister: create(vec![world.operator, world.index])?,
                twin: create(vec![world.operator])?,
                written: Vec::new(),
                open: None,
                met_a_fence: 0,
                refused_in_a_row: 0,
                answers: Vec::new(),
            });
            progress.done(1);
        }
    }
    let routes: Vec<Route> =
        all.iter().map(|copy| Route { user: copy.user, canister: copy.canister }).collect();
    let registered: Result<(), String> =
        update(&world.pic, world.index, world.operator, "register", (routes,))?;
    registered.map_err(|error| anyhow!("the index refused the routes: {error}"))?;
    Ok(all)
}
