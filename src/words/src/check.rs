//! What of a decision can be checked without a coordinator: its validator does, and whoever writes or reads one.

use crate::{check_title, hex};
use candid::Principal;
use decant_api::govern::{Decision, Pace};
use decant_api::payout::{Payee, Payout};
use decant_api::plan::{ModuleRef, Plan, Retention, Strategy};
use decant_engine::Limits;
use serde_bytes::ByteBuf;

/// Chunks of a module (spec: a chunk store has 100).
const CHUNKS: usize = 100;
/// Jobs at a time: each has one call open, so that they fit the queue and the heap.
pub const IN_FLIGHT: u32 = 200;
/// Cycles that a fresh canister needs besides its creation: an installation prepays 300 B instructions and comes back
/// with most of it (code, `MAX_INSTRUCTIONS_PER_INSTALL_CODE`), and 42 B a call that waits.
pub const LEAST_TARGET: u128 = 350_000_000_000;
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
/// Operators, and observers.
const NAMED: usize = 20;
/// Minutes of a day.
const MINUTES_A_DAY: u16 = 1_440;
/// Seconds for which canaries are watched at most: ninety days.
const SOAK_SECONDS: u64 = 7_776_000;
/// Seconds that users wait for any canister: some dozen messages, with room for a subnet that is busy.
const LEAST_WAIT_SECONDS: u128 = 60;
/// Ended jobs that a breaker can look back on.
pub const LOOKS_BACK: u32 = 128;

/// Whether a decision could be executed anywhere: its numbers, names, hashes and bounds. What depends on a coordinator, its
/// cycles, its plans, its chunks and its roles, only that can check.
///
/// # Errors
/// Which field is wrong, and what it may be.
pub fn check(decision: &Decision) -> Result<(), String> {
    match decision {
        Decision::Approve { plan, pace } => {
            check_plan(plan)?;
            check_pace(&pace.unwrap_or_default())
        }
        Decision::End { .. } => Ok(()),
        Decision::Change { was, now, .. } => {
            check_changes(was == now)?;
            check_bounds(now.max_canisters, now.max_in_flight)?;
            check_pace(&now.pace)
        }
        Decision::Name { was, now } => {
            check_changes(was == now)?;
            check_people("operators", &now.operators)?;
            check_people("observers", &now.observers)
        }
        Decision::Pay(payout) => check_payout(payout),
    }
}

fn check_changes(is_same: bool) -> Result<(), String> {
    match is_same {
        true => Err("now: nothing changes".to_owned()),
        false => Ok(()),
    }
}

fn check_bounds(max_canisters: u64, max_in_flight: u32) -> Result<(), String> {
    check_limit("max_canisters", max_canisters.into(), 1, u64::MAX.into())?;
    check_limit("max_in_flight", max_in_flight.into(), 1, IN_FLIGHT.into())
}

/// Whether a plan is one that can be carried out, where there are means for it.
///
/// # Errors
/// Which field is wrong, and what it may be.
pub fn check_plan(plan: &Plan) -> Result<(), String> {
    let limits: [(&str, u128, u128, u128); 6] = [
        ("title (bytes)", plan.title.len() as u128, 1, TITLE_BYTES as u128),
        ("indexes", plan.indexes.len() as u128, 1, decant_engine::MAX_INDEXES as u128),
        ("ledgers", plan.ledgers.len() as u128, 0, CHECKED as u128),
        ("dependents", plan.dependents.len() as u128, 0, CHECKED as u128),
        ("bucket_pages", plan.bucket_pages.into(), 1, u16::MAX.into()),
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
    check_bounds(plan.max_canisters, plan.max_in_flight)?;
    if let Retention::Frozen { seconds } = plan.retention {
        check_limit("retention (seconds)", seconds.into(), 0, RETENTION_SECONDS.into())?;
    }
    check_recycling(plan)?;
    check_title(&plan.title)?;
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

fn check_limit(name: &str, value: u128, min: u128, max: u128) -> Result<(), String> {
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

fn check_pace(pace: &Pace) -> Result<(), String> {
    if let Some(canaries) = &pace.canaries {
        check_limit("canaries (jobs)", canaries.jobs.into(), 1, u64::MAX.into())?;
        let soak_seconds = canaries.soak_seconds.unwrap_or_default();
        check_limit("canaries (soak_seconds)", soak_seconds.into(), 0, SOAK_SECONDS.into())?;
    }
    if let Some(breaker) = &pace.breaker {
        check_limit("breaker (of_last)", breaker.of_last.into(), 1, LOOKS_BACK.into())?;
        check_limit("breaker (failures)", breaker.failures.into(), 1, breaker.of_last.into())?;
    }
    if let Some(seconds) = pace.max_wait_seconds {
        check_limit("max_wait_seconds", seconds.into(), LEAST_WAIT_SECONDS, Limits::FENCE_SECONDS.into())?;
    }
    if let Some(hours) = &pace.hours {
        let last = u128::from(MINUTES_A_DAY - 1);
        check_limit("hours (from_minute)", hours.from_minute.into(), 0, last)?;
        check_limit("hours (to_minute)", hours.to_minute.into(), 0, last)?;
        if hours.from_minute == hours.to_minute {
            return Err("hours: they end when they begin; leave them out for the whole day".to_owned());
        }
    }
    Ok(())
}

/// Whether each of them is somebody, and named once.
///
/// # Errors
/// Who is not.
pub fn check_people(name: &str, named: &[Principal]) -> Result<(), String> {
    check_limit(name, named.len() as u128, 0, NAMED as u128)?;
    let nobody = [Principal::anonymous(), Principal::management_canister()];
    for (position, who) in named.iter().enumerate() {
        if nobody.contains(who) {
            return Err(format!("{name}: {who} is nobody, or everybody"));
        }
        if named.iter().take(position).any(|earlier| earlier == who) {
            return Err(format!("{name}: {who} is named twice"));
        }
    }
    Ok(())
}

fn check_payout(payout: &Payout) -> Result<(), String> {
    if payout.cycles == 0 {
        return Err("cycles: none are paid out".to_owned());
    }
    match &payout.to {
        Payee::Canister(canister) if !is_canister(*canister) => Err(format!("{canister} is no canister")),
        Payee::Account { ledger, .. } if !is_canister(*ledger) => Err(format!("{ledger} is no ledger")),
        Payee::Account { owner, .. } if *owner == Principal::anonymous() => {
            Err("the owner of the account is anonymous: anybody could take them".to_owned())
        }
        Payee::Account { subaccount: Some(subaccount), .. } if subaccount.len() != 32 => {
            Err(format!("a subaccount has 32 bytes, not {}", subaccount.len()))
        }
        Payee::Canister(_) | Payee::Account { .. } => Ok(()),
    }
}

/// Whether an id is of the kind that the system gives to canisters (spec, "Special forms of Principals": those of persons
/// end with 2, anonymous is 4, and what ends with 1 is opaque).
pub fn is_canister(id: Principal) -> bool {
    id != Principal::management_canister() && id.as_slice().last() == Some(&1)
}
