//! The fleet: a canister a user, and a model of each outside of the canisters.

use super::calls::{stable_bytes, update};
use super::world::World;
use super::{Generation, Modules, Options, Progress};
use anyhow::anyhow;
use candid::{CandidType, Principal};
use decant_user_model::{self as model, UserState};
use pocket_ic::CanisterSettings;

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
    pub model: UserState,
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
        let mut users = Vec::new();
        for number in 0..u64::from(options.canisters) {
            users.push(create_user(world, modules, options, number)?);
            progress.done(1);
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
        _options: &Options,
        progress: &mut dyn Progress,
    ) -> anyhow::Result<()> {
        progress.phase("the upgrade that bloats", self.users.len() as u64);
        for user in &self.users {
            let stages: &[&[u8]] = match user.generation {
                Generation::Raw => &[],
                Generation::Structures => &[&modules.structures],
                _ => &[&modules.managed_stage_one, &modules.managed],
            };
            for stage in stages {
                upgrade(world, user.original, stage)?;
            }
            progress.done(1);
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
        for user in &self.users {
            upgrade(world, user.original, &modules.kit)?;
            progress.done(1);
        }
        Ok(())
    }

    /// Bytes of stable memory of all originals.
    pub fn stable_bytes(&self, world: &World) -> anyhow::Result<u64> {
        self.users.iter().map(|user| stable_bytes(&world.pic, user.original, world.operator)).sum()
    }

    /// Bytes of state in all models, in CBOR.
    pub fn state_bytes(&self) -> anyhow::Result<u64> {
        let mut total = 0;
        for user in &self.users {
            let mut bytes = Vec::new();
            ciborium::into_writer(&user.model, &mut bytes)?;
            total += bytes.len() as u64;
        }
        Ok(total)
    }
}

fn create_user(world: &World, modules: &Modules, options: &Options, number: u64) -> anyhow::Result<User> {
    let controllers = Some(vec![world.index, world.operator]);
    let settings = CanisterSettings { controllers, ..CanisterSettings::default() };
    let pic = &world.pic;
    let original = pic.create_canister_with_settings(Some(world.operator), Some(settings));
    let balance = pic.cycle_balance(original);
    pic.add_cycles(original, USER_CYCLES.saturating_sub(balance));
    pic.install_canister(original, modules.raw.clone(), candid::encode_args(())?, Some(world.operator));
    let mut state = UserState::default();
    let (mut left, mut part) = (options.state_kib, 0);
    while left > 0 {
        let kib = left.min(FILL_KIB);
        let seed = options.seed ^ (number << 20) ^ part;
        let added: u64 = update(pic, original, world.operator, "fill", (seed, kib))?;
        let expected = model::actions::fill(&mut state, seed, kib);
        anyhow::ensure!(
            added == expected,
            "user {number}: the canister added {added} items, the model {expected}"
        );
        left -= kib;
        part += 1;
    }
    // The state of a raw canister is on the heap until an upgrade saves it.
    upgrade(world, original, &modules.raw)?;
    Ok(User { number, original, generation: options.generation_of(number), model: state })
}

fn upgrade(world: &World, canister: Principal, module: &[u8]) -> anyhow::Result<()> {
    world
        .pic
        .upgrade_canister(canister, module.to_vec(), candid::encode_args(())?, Some(world.operator))
        .map_err(|error| anyhow!("upgrading {canister}: {error}"))
}
