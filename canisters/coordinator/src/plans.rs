//! What governance approves: shown to voters when it is proposed, checked again when it is executed.

use crate::enrolment::is_canister;
use crate::money::{self, Prices};
use crate::{management, store};
use candid::Principal;
use decant_api::plan::{ModuleRef, ModuleUse, Plan, Retention, Strategy};
use decant_words::hex;
use serde_bytes::ByteBuf;

#[cfg(test)]
mod tests;

/// Plans that are kept.
const PLANS: u64 = 10_000;
/// Chunks of a module (spec: a chunk store has 100).
const CHUNKS: usize = 100;
/// Jobs at a time: each has one call open, so that they fit the queue and the heap.
const IN_FLIGHT: u32 = 200;
/// Messages that a queue between two canisters holds (docs, "resource limits").
#[cfg(test)]
const QUEUE: u64 = 500;
/// Bytes that a call holds on the heap: a request and a response of 2 MiB, and what is decoded of that.
#[cfg(test)]
const CALL_BYTES: u64 = 3 * (2 << 20);
/// Bytes of the heap of a canister, by default.
#[cfg(test)]
const HEAP_BYTES: u64 = 3 << 30;
/// Cycles that a fresh canister needs besides its creation: an installation prepays 300 B instructions and comes back
/// with most of it (code, `MAX_INSTRUCTIONS_PER_INSTALL_CODE`), and 42 B a call that waits.
const LEAST_TARGET: u128 = 350_000_000_000;
/// Cycles that no fresh canister needs: a thousand times a creation.
const MOST_TARGET: u128 = 500_000_000_000_000;
/// Bytes of a title.
const TITLE_BYTES: usize = 200;
/// Bytes of an argument of `init` or `post_upgrade`.
const ARG_BYTES: usize = 100_000;
/// Ledgers, and canisters, that are asked before an original is deleted: one after the other, for each.
const CHECKED: usize = 20;
/// Modules that a plan can name.
const MODULES: usize = 50;
/// Seconds that originals, or snapshots, are kept at most: ten years.
const RETENTION_SECONDS: u64 = 315_360_000;
/// Seconds for which an emptied original is nobody's: longer than a message that was sent to it before may still arrive (spec:
/// those of users for 5 minutes, best-effort calls for 5), and not so long that a fleet waits for years.
const QUARANTINE_SECONDS: std::ops::RangeInclusive<u64> = 600..=2_592_000;
/// Percent of growth that a plan can expect: 100 times.
const GROWTH_PERCENT: u32 = 10_000;

/// Whether a plan is one that can be carried out. Whether its chunks are stored is only known to a call.
pub(crate) fn check_all(plan: &Plan) -> Result<(), String> {
    check(plan)?;
    check_means(plan)
}

/// Whether its modules are in the chunk store.
pub(crate) async fn check_chunks(plan: &Plan) -> Result<(), String> {
    let stored = management::stored_chunks().await.map_err(|failure| failure.to_string())?;
    for chunk in chunks(plan) {
        if !stored.contains(chunk) {
            return Err(format!(
                "chunk {} is not in the coordinator's chunk store: upload it to {} first",
                hex(chunk),
                ic_cdk::api::canister_self()
            ));
        }
    }
    Ok(())
}

/// Chunks that the plan's modules are made of.
fn chunks(plan: &Plan) -> impl Iterator<Item = &ByteBuf> {
    let tombstone = plan.tombstone.iter().flat_map(|module| &module.chunk_hashes);
    let (module, used): (_, &[ModuleUse]) = match &plan.strategy {
        Strategy::Relocate(relocation) => (Some(&relocation.module), &[]),
        other => (None, other.by_vessel().map_or(&[], |by| &by.modules)),
    };
    let module = module.into_iter().flat_map(|module| &module.chunk_hashes);
    tombstone.chain(module).chain(used.iter().flat_map(|module| &module.chunk_hashes))
}

/// Whether one more plan can be kept.
pub(crate) fn check_room() -> Result<(), String> {
    match store::plan_count() < PLANS {
        true => Ok(()),
        false => Err(format!("there are {PLANS} plans already")),
    }
}

/// Whether it may spend what its first job takes, at the prices of this subnet, and whether the coordinator carries as many
/// jobs at a time as it says.
fn check_means(plan: &Plan) -> Result<(), String> {
    let modules = plan.strategy.by_vessel().map_or(&[][..], |by| &by.modules);
    let to_read = modules.iter().filter(|module| module.chunk_hashes.is_empty()).count();
    let prices = Prices::now();
    let least = money::least(plan.per_target(), to_read, prices);
    check_limit("max_cycles", plan.max_cycles, least, u128::MAX)?;
    let needed = money::needed(plan.per_target(), plan.max_in_flight, prices);
    let liquid = ic_cdk::api::canister_liquid_cycle_balance();
    match liquid >= needed {
        true => Ok(()),
        false => Err(format!(
            "max_in_flight: {} jobs at a time take {needed} cycles of the coordinator, which has {liquid}: top it up, or \
             let fewer run",
            plan.max_in_flight
        )),
    }
}

fn check(plan: &Plan) -> Result<(), String> {
    let limits: [(&str, u128, u128, u128); 8] = [
        ("title (bytes)", plan.title.len() as u128, 1, TITLE_BYTES as u128),
        ("indexes", plan.indexes.len() as u128, 1, decant_engine::MAX_INDEXES as u128),
        ("ledgers", plan.ledgers.len() as u128, 0, CHECKED as u128),
        ("dependents", plan.dependents.len() as u128, 0, CHECKED as u128),
        ("bucket_pages", plan.bucket_pages.into(), 1, u16::MAX.into()),
        ("max_canisters", plan.max_canisters.into(), 1, u64::MAX.into()),
        ("max_in_flight", plan.max_in_flight.into(), 1, IN_FLIGHT.into()),
        (
            "cycles_per_target",
            plan.cycles_per_target,
            plan.per_target().map_or(0, |_| LEAST_TARGET),
            MOST_TARGET,
        ),
    ];
    for (name, value, min, max) in limits {
        check_limit(name, value, min, max)?;
    }
    if let Retention::Frozen { seconds } = plan.retention {
        check_limit("retention (seconds)", seconds.into(), 0, RETENTION_SECONDS.into())?;
    }
    check_recycling(plan)?;
    decant_words::check_title(&plan.title)?;
    check_parties(plan)?;
    check_strategy(plan)?;
    match &plan.tombstone {
        Some(tombstone) => check_module("tombstone", tombstone),
        None => Ok(()),
    }
}

/// Only what would be deleted can go to others.
fn check_recycling(plan: &Plan) -> Result<(), String> {
    let Some(recycling) = plan.recycling else { return Ok(()) };
    if plan.per_target().is_none() || plan.retention == Retention::Tombstone {
        return Err("recycling: only originals that would be deleted go to others: relocate, with the retention Frozen or \
                    None"
            .to_owned());
    }
    let (least, most) = (*QUARANTINE_SECONDS.start(), *QUARANTINE_SECONDS.end());
    check_limit("quarantine_seconds", recycling.quarantine_seconds.into(), least.into(), most.into())
}

/// Who enrols, whose routes are swapped, and who is told.
fn check_parties(plan: &Plan) -> Result<(), String> {
    let nobody = [Principal::anonymous(), Principal::management_canister()];
    if let Some(index) = plan.indexes.iter().find(|index| nobody.contains(index)) {
        return Err(format!("indexes: {index} is nobody, and what everybody may sign as enrols nothing"));
    }
    let most = decant_engine::MAX_INDEXES as u128;
    let subscribers = plan.subscribers.as_deref().unwrap_or_default();
    check_limit("subscribers", subscribers.len() as u128, 0, most)?;
    let is_moved = !matches!(plan.strategy, Strategy::Repack(_));
    let swapped = match &plan.routes {
        Some(_) if !is_moved => {
            return Err("routes: a repacked canister keeps its id, so no route is swapped".to_owned());
        }
        Some(routes) => {
            check_limit("routes", routes.len() as u128, 1, most)?;
            routes
        }
        None if is_moved => &plan.indexes,
        None => return check_canisters("subscribers", subscribers),
    };
    check_canisters("routes", swapped)?;
    check_canisters("subscribers", subscribers)
}

fn check_canisters(name: &str, ids: &[Principal]) -> Result<(), String> {
    for (position, id) in ids.iter().enumerate() {
        if !is_canister(*id) {
            return Err(format!("{name}: {id} is no canister, and is called"));
        }
        if ids.iter().take(position).any(|earlier| earlier == id) {
            return Err(format!("{name}: {id} is named twice"));
        }
    }
    Ok(())
}

pub(crate) fn check_limit(name: &str, value: u128, min: u128, max: u128) -> Result<(), String> {
    match (min..=max).contains(&value) {
        true => Ok(()),
        false => Err(format!("{name} is {value} and must be from {min} to {max}")),
    }
}

fn check_strategy(plan: &Plan) -> Result<(), String> {
    let by = match &plan.strategy {
        Strategy::Relocate(relocation) => {
            let least = relocation.precopy_min_pages.unwrap_or(1);
            check_limit("precopy_min_pages", least.into(), 1, u64::MAX.into())?;
            check_limit("init_arg (bytes)", relocation.init_arg.len() as u128, 0, ARG_BYTES as u128)?;
            let sources = relocation.sources.as_deref().unwrap_or_default();
            check_limit(
                "sources",
                sources.len() as u128,
                relocation.sources.is_some().into(),
                MODULES as u128,
            )?;
            check_hashes("sources", &relocation.module.hash, sources)?;
            return check_module("module", &relocation.module);
        }
        Strategy::Repack(_) if plan.retention == Retention::Tombstone => {
            return Err("a repacked canister lives on: choose the retention Frozen or None".to_owned());
        }
        Strategy::RelocateSnapshot(_) => {
            return Err("relocation by snapshots is one through vessels now: name RelocateVessel".to_owned());
        }
        Strategy::RelocateVessel(by) => by,
        Strategy::Repack(by) => by,
    };
    check_limit("modules", by.modules.len() as u128, 1, MODULES as u128)?;
    check_limit("growth_percent", by.growth_percent.into(), 0, GROWTH_PERCENT.into())?;
    check_limit("manager_page", by.manager_page.unwrap_or_default().into(), 0, u32::MAX.into())?;
    for (position, module) in by.modules.iter().enumerate() {
        check_limit("upgrade_arg (bytes)", module.upgrade_arg.len() as u128, 0, ARG_BYTES as u128)?;
        check_hashes("modules", &module.hash, &module.chunk_hashes)?;
        if by.modules.iter().take(position).any(|earlier| earlier.hash == module.hash) {
            return Err(format!("module {} is named twice", hex(&module.hash)));
        }
    }
    Ok(())
}

fn check_module(name: &str, module: &ModuleRef) -> Result<(), String> {
    if module.chunk_hashes.is_empty() {
        return Err(format!("{name}: no chunks, and there must be 1 to {CHUNKS}"));
    }
    check_hashes(name, &module.hash, &module.chunk_hashes)
}

fn check_hashes(name: &str, hash: &ByteBuf, chunk_hashes: &[ByteBuf]) -> Result<(), String> {
    if hash.len() != 32 || chunk_hashes.iter().any(|hash| hash.len() != 32) {
        return Err(format!("{name}: a hash must have 32 bytes"));
    }
    if chunk_hashes.len() > CHUNKS {
        return Err(format!("{name}: {} chunks, and there must be {CHUNKS} at most", chunk_hashes.len()));
    }
    Ok(())
}
