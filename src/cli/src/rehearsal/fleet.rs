//! The fleet: a canister a user, and a model of each outside of the canisters.

use super::batch::{BATCH, Update, update_all, update_all_as};
use super::calls::{Kept, kept, update};
use super::world::World;
use super::{Generation, Model, Modules, Options, Progress};
use anyhow::anyhow;
use candid::{CandidType, Nat, Principal};
use decant_api::plan::ModuleRef;
use pocket_ic::{CanisterInstallMode, CanisterSettings};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// Cycles of a user's canister.
const USER_CYCLES: u128 = 10_000_000_000_000;
/// Users in one call to the index.
const REGISTRATION: usize = 1_000;
/// KiB of content that one call makes: within the instructions of a message.
const FILL_KIB: u32 = 16 * 1024;

/// A user.
pub struct User {
    /// The user's number, as the index knows it.
    pub number: u64,
    /// The canister that the user had when the rehearsal began.
    pub original: Principal,
    /// The layout of the canister.
    pub generation: Generation,
    /// What the canister must hold.
    pub model: Model,
}

/// All users.
pub struct Fleet {
    /// The users, by number.
    pub users: Vec<User>,
}

#[derive(CandidType)]
struct Route {
    user: u64,
    canister: Principal,
}

impl Fleet {
    /// Raw canisters with generated users, routed by the index.
    pub fn create(
        world: &World,
        modules: &Modules,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> anyhow::Result<Self> {
        progress.phase("creating the fleet", options.canisters.into());
        let raw = world.deposit(&modules.raw)?;
        let numbers: Vec<u64> = (0..options.canisters.into()).collect();
        let mut users = Vec::with_capacity(numbers.len());
        for batch in numbers.chunks(BATCH) {
            users.extend(create_users(world, &raw, options, batch)?);
            progress.done(batch.len() as u64);
        }
        for batch in users.chunks(REGISTRATION) {
            let routes: Vec<Route> =
                batch.iter().map(|user| Route { user: user.number, canister: user.original }).collect();
            let registered: Result<(), String> =
                update(&world.pic, world.index, world.operator, "register", (routes,))?;
            registered.map_err(|error| anyhow!("the index refused the routes: {error}"))?;
        }
        Ok(Self { users })
    }

    /// The upgrade that bloats: in two stages, as it was rolled out, so that the second one's `pre_upgrade` is
    /// the first one's.
    pub fn bloat(
        &mut self,
        world: &World,
        modules: &Modules,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> anyhow::Result<()> {
        progress.phase("the upgrade that bloats", self.users.len() as u64);
        let structures = if options.generation.has_structures() {
            Some(world.deposit(modules.structures()?)?)
        } else {
            None
        };
        let managed = [world.deposit(&modules.managed_stage_one)?, world.deposit(&modules.managed)?];
        for batch in self.users.chunks(BATCH) {
            let of = |is_wanted: fn(Generation) -> bool| -> Vec<Principal> {
                batch.iter().filter(|user| is_wanted(user.generation)).map(|user| user.original).collect()
            };
            if let Some(module) = &structures {
                upgrade(world, &of(|generation| generation == Generation::Structures), module)?;
            }
            for module in &managed {
                upgrade(world, &of(|generation| generation == Generation::Managed), module)?;
            }
            progress.done(batch.len() as u64);
        }
        Ok(())
    }

    /// The upgrade to the build with the kit.
    pub fn upgrade_to_kit(
        &mut self,
        world: &World,
        modules: &Modules,
        progress: &mut dyn Progress,
    ) -> anyhow::Result<()> {
        progress.phase("the upgrade to the kit", self.users.len() as u64);
        let kit = world.deposit(&modules.kit)?;
        let originals = self.originals();
        for batch in originals.chunks(BATCH) {
            upgrade(world, batch, &kit)?;
            progress.done(batch.len() as u64);
        }
        Ok(())
    }

    /// The canisters that the users had when the rehearsal began.
    pub fn originals(&self) -> Vec<Principal> {
        self.users.iter().map(|user| user.original).collect()
    }

    /// What all originals keep.
    pub fn kept(&self, world: &World) -> anyhow::Result<Kept> {
        kept(&world.pic, world.operator, &self.originals())
    }
}

#[derive(CandidType)]
struct Creation {
    amount: Option<Nat>,
    settings: Option<CanisterSettings>,
    specified_id: Option<Principal>,
}

#[derive(CandidType, Deserialize)]
struct Created {
    canister_id: Principal,
}

fn create_users(
    world: &World,
    raw: &ModuleRef,
    options: &Options,
    numbers: &[u64],
) -> anyhow::Result<Vec<User>> {
    let controllers = Some(vec![world.index, world.operator]);
    let creations = numbers
        .iter()
        .map(|_| {
            let settings =
                CanisterSettings { controllers: controllers.clone(), ..CanisterSettings::default() };
            let creation =
                Creation { amount: Some(USER_CYCLES.into()), settings: Some(settings), specified_id: None };
            Update::management(None, "provisional_create_canister_with_cycles", creation)
        })
        .collect::<anyhow::Result<_>>()?;
    let created: Vec<Created> = update_all_as(&world.pic, world.operator, creations)?;
    let mut users: Vec<User> = numbers
        .iter()
        .zip(created)
        .map(|(number, created)| User {
            number: *number,
            original: created.canister_id,
            generation: options.generation_of(*number),
            model: Model::default(),
        })
        .collect();
    let originals: Vec<Principal> = users.iter().map(|user| user.original).collect();
    install(world, &originals, raw, CanisterInstallMode::Install)?;
    let (mut left, mut part) = (options.state_kib, 0);
    while left > 0 {
        let kib = left.min(FILL_KIB);
        fill(world, &mut users, options, part, kib)?;
        left -= kib;
        part += 1;
    }
    // The state of a raw canister is on the heap until an upgrade saves it.
    upgrade(world, &originals, raw)?;
    Ok(users)
}

fn fill(world: &World, users: &mut [User], options: &Options, part: u64, kib: u32) -> anyhow::Result<()> {
    let seed_of = |number: u64| options.seed ^ (number << 20) ^ part;
    let calls = users
        .iter()
        .map(|user| Update::new(user.original, "fill", (seed_of(user.number), kib)))
        .collect::<anyhow::Result<_>>()?;
    let added: Vec<u64> = update_all_as(&world.pic, world.operator, calls)?;
    for (user, added) in users.iter_mut().zip(added) {
        let (number, expected) = (user.number, user.model.fill(seed_of(user.number), kib));
        anyhow::ensure!(
            added == expected,
            "user {number}: the canister added {added} items, the model {expected}"
        );
    }
    Ok(())
}

#[derive(CandidType)]
struct ChunkHash {
    hash: ByteBuf,
}

#[derive(CandidType)]
struct Installation {
    mode: CanisterInstallMode,
    target_canister: Principal,
    store_canister: Option<Principal>,
    chunk_hashes_list: Vec<ChunkHash>,
    wasm_module_hash: ByteBuf,
    arg: ByteBuf,
}

fn upgrade(world: &World, canisters: &[Principal], module: &ModuleRef) -> anyhow::Result<()> {
    install(world, canisters, module, CanisterInstallMode::Upgrade(None))
}

/// From the depot: a module is sent once, not to every canister.
fn install(
    world: &World,
    canisters: &[Principal],
    module: &ModuleRef,
    mode: CanisterInstallMode,
) -> anyhow::Result<()> {
    let arg = ByteBuf::from(candid::encode_args(())?);
    let calls = canisters
        .iter()
        .map(|id| {
            let installation = Installation {
                mode,
                target_canister: *id,
                store_canister: Some(world.depot),
                chunk_hashes_list: module
                    .chunk_hashes
                    .iter()
                    .map(|hash| ChunkHash { hash: hash.clone() })
                    .collect(),
                wasm_module_hash: module.hash.clone(),
                arg: arg.clone(),
            };
            Update::management(Some(*id), "install_chunked_code", installation)
        })
        .collect::<anyhow::Result<_>>()?;
    update_all(&world.pic, world.operator, calls)?;
    Ok(())
}
