//! What governance approves: shown to voters when it is proposed, checked again when it is executed.

use crate::enrolment::is_canister;
use crate::money::{self, Prices};
use crate::{management, store};
use candid::Principal;
use decant_api::plan::{ByVessel, ModuleRef, ModuleUse, Plan, Retention, Strategy};
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
/// Percent of growth that a plan can expect: 100 times.
const GROWTH_PERCENT: u32 = 10_000;

/// Renders a plan for people, or says why it is none. Whether its chunks are stored is only known to a call.
pub(crate) fn render(plan: &Plan) -> Result<String, String> {
    check(plan)?;
    check_means(plan)?;
    Ok(text(plan))
}

/// Renders a plan for voters, or says why it cannot be executed.
pub(crate) async fn validate(plan: &Plan) -> Result<String, String> {
    let rendered = render(plan)?;
    check_chunks(plan).await?;
    Ok(rendered)
}

async fn check_chunks(plan: &Plan) -> Result<(), String> {
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

/// Keeps a plan, from now on in force; answers its number. The world has moved since it was validated: everything is checked again.
pub(crate) async fn execute(plan: Plan) -> Result<u64, String> {
    check(&plan)?;
    check_means(&plan)?;
    check_chunks(&plan).await?;
    if store::plan_count() >= PLANS {
        return Err(format!("there are {PLANS} plans already"));
    }
    Ok(store::add_plan(plan))
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
    check_parties(plan)?;
    check_strategy(plan)?;
    match &plan.tombstone {
        Some(tombstone) => check_module("tombstone", tombstone),
        None => Ok(()),
    }
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

fn text(plan: &Plan) -> String {
    let (heading, work, proof) = match &plan.strategy {
        Strategy::Relocate(relocation) => (
            "Relocate canisters",
            format!(
                "each to a fresh canister with buckets of {} pages of 64 KiB that runs the module {}{}{}",
                plan.bucket_pages,
                hex(&relocation.module.hash),
                render_sources(relocation.sources.as_deref()),
                render_precopy(relocation.precopy_min_pages)
            ),
            MOVED_PROOF,
        ),
        Strategy::RelocateVessel(by) | Strategy::RelocateSnapshot(by) => (
            "Relocate canisters through vessels",
            format!(
                "each to a fresh canister with buckets of {} pages of 64 KiB that runs the same module: {}",
                plan.bucket_pages,
                render_modules(by)
            ),
            MOVED_PROOF,
        ),
        Strategy::Repack(by) => (
            "Repack canisters in place",
            format!(
                "each in the same canister, which is stopped meanwhile, into buckets of {} pages of 64 KiB, and \
                 upgrades each to the module that it runs: {}",
                plan.bucket_pages,
                render_modules(by)
            ),
            "No canister is created or deleted and no id changes. Each is upgraded to a vessel, a module that holds the \
             state and nothing else, and back, which is one ordinary upgrade for its code. Until it runs its own module \
             again, on an image that is compared with the one before, every failure loads the snapshot from before. An \
             upgrade rebuilds the heap and disarms the global timer: what post_upgrade does not restore is not there \
             afterwards.",
        ),
    };
    format!(
        "# {heading}: {}\n\n\
         Moves the state of at most {} canisters, {} at a time, {work}. Only canisters that {} enrol, and only where \
         at least {} pages come free.{}\n\n\
         {}\n\n\
         {proof} {}",
        plan.title,
        plan.max_canisters,
        plan.max_in_flight,
        listed(&plan.indexes),
        plan.min_reclaimed_pages,
        render_routes(plan),
        render_cost(plan),
        render_end(plan),
    )
}

fn listed(ids: &[Principal]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn render_routes(plan: &Plan) -> String {
    let swapped = match (&plan.strategy, &plan.routes) {
        (Strategy::Repack(_), _) => String::new(),
        (_, Some(routes)) => format!(" Routes are swapped in {}, in each of them.", listed(routes)),
        (_, None) => " Routes are swapped in the index that enrols a canister, and in NO OTHER.".to_owned(),
    };
    match plan.subscribers.as_deref() {
        Some(subscribers) if !subscribers.is_empty() => {
            format!("{swapped} {} are told what became of each.", listed(subscribers))
        }
        _ => swapped,
    }
}

fn render_sources(sources: Option<&[ByteBuf]>) -> String {
    match sources {
        Some(sources) => {
            let named: Vec<String> = sources.iter().map(|hash| hex(hash)).collect();
            format!(", from ones that run {}", named.join(" or "))
        }
        None => ", from ones that run ANY MODULE, also a newer one".to_owned(),
    }
}

fn render_precopy(min_pages: Option<u64>) -> String {
    match min_pages {
        Some(min_pages) => format!(
            ", which copies those of at least {min_pages} pages while they still serve and then only what changed"
        ),
        None => String::new(),
    }
}

const MOVED_PROOF: &str = "Nothing is deleted before the new canister holds what the original held, by a digest over all \
                           of it, and these routes name it.";

fn render_modules(by: &ByVessel) -> String {
    let modules: Vec<String> = by
        .modules
        .iter()
        .map(|module| {
            let heap = if module.may_lose_heap { ", whose heap may be LOST" } else { "" };
            format!("{} with the argument {}{heap}", hex(&module.hash), hex(&module.upgrade_arg))
        })
        .collect();
    let tail = if by.may_drop_tail { "; what is behind the last bucket is DROPPED" } else { "" };
    let timer = match by.rolls_back_on_lost_timer {
        Some(true) => "; one whose timer is disarmed goes back",
        _ => "",
    };
    let manager = match by.manager_page {
        Some(page) => format!("; the MemoryManager begins at page {page}, and what lies before it is kept"),
        None => String::new(),
    };
    format!("{}; memories may grow by {} %{tail}{timer}{manager}", modules.join(", "), by.growth_percent)
}

fn render_cost(plan: &Plan) -> String {
    let spends = format!(
        "Spends at most {} cycles in all, creations and calls: no job is started that could exceed them. One that is on its \
         way is finished or undone, whatever that takes.",
        plan.max_cycles
    );
    match plan.per_target() {
        Some(cycles) => {
            format!("{spends} A fresh canister gets {cycles} cycles besides its creation.")
        }
        None => format!("{spends} Each canister pays for its own snapshots and upgrades besides."),
    }
}

fn render_end(plan: &Plan) -> String {
    match (&plan.strategy, plan.retention) {
        (Strategy::Repack(_), Retention::Frozen { seconds }) => {
            format!("The snapshot from before is kept for {seconds} seconds and then deleted.")
        }
        (Strategy::Repack(_), _) => "The snapshot from before is deleted at once.".to_owned(),
        (_, Retention::Frozen { seconds }) => format!(
            "Each original stays, out of use, for {seconds} seconds; then its cycles go to the new canister and it is \
             DELETED, which cannot be undone."
        ),
        (_, Retention::Tombstone) => {
            "Each original gives its cycles to the new canister and becomes a tombstone, which \
                                      cannot be undone."
                .to_owned()
        }
        (_, Retention::None) => {
            "Each original gives its cycles to the new canister and is DELETED at once, which \
                                 cannot be undone."
                .to_owned()
        }
    }
}

/// Bytes as voters compare them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
