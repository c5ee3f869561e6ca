//! What outlasts an upgrade. Buckets of one page: Decant does not bloat its own memory.
//!
//! | memory | map |
//! |---|---|
//! | 0 | configuration |
//! | 1 | plans by number |
//! | 2 | jobs by number, those that are on their way, and what earlier builds kept |
//! | 3 | journals of jobs that are not ended, by job and position |
//! | 4, 5 | sets of commit 1c49434: jobs in line, and on their way. Not read |
//! | 6, 11 | the latest job of a source, and of a target, as far as earlier builds kept them |
//! | 7 | the pool up to commit 1c49434 |
//! | 8 | modules that were read out of snapshots, by hash |
//! | 9 | jobs that are set aside |
//! | 10 | the latest plan that names an index |
//! | 12 | what was used of a plan |
//! | 13 | the pool |
//! | 14 | canisters that an index was told to route to |
//! | 15, 32 | jobs in the order in which they ended: as earlier builds kept them, and those after |
//! | 16 | how far those are told who are told of that |
//! | 17 | what ended of each plan, and of all (0) |
//! | 18 | what had ended, hour by hour |
//! | 19, 22 | the latest lines of the log, and the number of the next |
//! | 20, 23 | events, for ever |
//! | 21 | what jobs proved that have not ended |
//! | 24 | the event that ended a job, by its number |
//! | 25 | what governance and operators said of plans since, and how far they are |
//! | 26 | who operates and who observes |
//! | 27 | jobs that an operator let pass |
//! | 28 | what many records say alike |
//! | 29 | what jobs were enrolled with, by number |
//! | 30, 31 | which jobs a canister has as their source, and as their target |
//! | 33 | emptied originals by when they are out of quarantine |

mod census;
mod course;
mod ended;
pub(crate) mod events;
mod evidence;
mod jobs;
mod kept;
mod line;
pub(crate) mod log;
mod names;
mod packed;
mod passes;
mod plans;
mod pool;
mod records;
mod roles;
mod shared;
pub(crate) mod tallies;
#[cfg(test)]
mod tests;

use candid::Principal;
use decant_engine::Digest;
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager, VirtualMemory};
use ic_stable_structures::{DefaultMemoryImpl, StableBTreeMap, StableCell};
use std::cell::RefCell;

pub(crate) use census::Standing;
pub(crate) use course::{Bounds, Course, LOOKS_BACK, change_course, course};
pub(crate) use ended::{behind, ended_count, ended_from, set_told};
pub(crate) use evidence::evidence;
pub(crate) use jobs::{
    aside, board, census, count, emptied_by, enqueue, job, job_of, job_to, jobs_after, next_job_of, record,
    start,
};
pub(crate) use kept::{Happened, Level, Line, Noted, Tally};
pub(crate) use passes::{let_pass, may_pass};
pub(crate) use plans::{
    Terms, add_plan, change_used, forget_terms, is_index, is_subscriber, plan, plan_count, plan_of, terms,
    used,
};
pub(crate) use pool::{
    first_out_of_quarantine, name_route, of_pool, pool, pool_len, pooled, put_in_pool, remove_from_pool,
    take_from_pool, was_named,
};
pub(crate) use records::{Config, Damaged, Emptied, KnownModule, Pause, PlanRecord, Pooled, Record};
pub(crate) use roles::{is_observer, is_operator, named_roles, roles, set_roles};

type Memory = VirtualMemory<DefaultMemoryImpl>;
/// Maps to nothing: a set.
type Set<K> = StableBTreeMap<K, (), Memory>;

/// Pages of 64 KiB in a bucket of the coordinator's own memory.
const BUCKET_PAGES: u16 = 1;

thread_local! {
    static MEMORY: MemoryManager<DefaultMemoryImpl> =
        MemoryManager::init_with_bucket_size(DefaultMemoryImpl::default(), BUCKET_PAGES);
    static CONFIG: RefCell<StableCell<Vec<u8>, Memory>> =
        RefCell::new(StableCell::init(memory(0), Config::default().encode()));
    /// What the configuration says, once it was read: every message of every job counts in it.
    static READ: RefCell<Option<Config>> = const { RefCell::new(None) };
    static MODULES: RefCell<StableBTreeMap<[u8; 32], Vec<u8>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(8)));
}

fn memory(id: u8) -> Memory {
    MEMORY.with(|manager| manager.get(MemoryId::new(id)))
}

/// Reads all that this build will need, as an upgrade must before it is accepted: one that traps is refused, and the
/// build that was there goes on.
///
/// # Errors
/// What it can't go on with, and what to do.
pub(crate) fn restore() -> Result<(), String> {
    let config = CONFIG.with_borrow(|cell| Config::decode(cell.get()));
    if let Err(Damaged(why)) = config {
        return Err(format!("this build can't read the configuration: {why}"));
    }
    plans::rebuild()?;
    pool::rebuild();
    jobs::rebuild()
}

/// The configuration now.
pub(crate) fn config() -> Config {
    let read = || {
        CONFIG.with_borrow(|cell| Config::decode(cell.get())).unwrap_or_else(|Damaged(why)| {
            // Every upgrade has read it.
            ic_cdk::trap(format!("the coordinator's configuration is damaged: {why}"))
        })
    };
    READ.with_borrow_mut(|known| known.get_or_insert_with(read).clone())
}

fn change_config<R>(change: impl FnOnce(&mut Config) -> R) -> R {
    let mut config = config();
    let result = change(&mut config);
    CONFIG.with_borrow_mut(|cell| cell.set(config.encode()));
    READ.set(Some(config));
    result
}

/// Whose proposals are executed.
pub(crate) fn governance() -> Principal {
    config().governance
}

/// Sets whose proposals are executed.
pub(crate) fn set_governance(governance: Principal) {
    change_config(|config| config.governance = governance);
}

/// What jobs may do.
pub(crate) fn pause() -> Pause {
    config().pause
}

/// Says what jobs may do.
pub(crate) fn set_pause(pause: Pause) {
    change_config(|config| config.pause = pause);
}

/// Remembers when the coordinator was put back from a snapshot, if it was, and when it was last known to be whole.
pub(crate) fn set_put_back(put_back_nanos: Option<u64>, whole_nanos: u64) {
    change_config(|config| {
        (config.put_back_nanos, config.whole_nanos) = (put_back_nanos, Some(whole_nanos));
    });
}

/// Counts calls that the coordinator made.
pub(crate) fn count_call() {
    change_config(|config| config.calls += 1);
}

/// Counts calls that a target made to its source.
pub(crate) fn count_target_calls(calls: u64) {
    change_config(|config| config.target_calls = config.target_calls.saturating_add(calls));
}

/// Counts cycles that were spent, for a plan.
pub(crate) fn count_cycles(plan_id: u64, cycles: u128) {
    change_config(|config| config.cycles_spent = config.cycles_spent.saturating_add(cycles));
    change_used(plan_id, |used| used.cycles = used.cycles.saturating_add(cycles));
}

/// Takes back what was counted, because it came back.
pub(crate) fn give_back(plan_id: u64, cycles: u128) {
    change_config(|config| config.cycles_spent = config.cycles_spent.saturating_sub(cycles));
    change_used(plan_id, |used| used.cycles = used.cycles.saturating_sub(cycles));
}

/// The number that the next job gets.
pub(crate) fn next_job_id() -> decant_api::JobId {
    change_config(|config| {
        let id = config.next_job;
        config.next_job += 1;
        id
    })
}

/// A module that was read out of a snapshot. One whose record can't be read is read anew.
pub(crate) fn module(hash: &Digest) -> Option<KnownModule> {
    let bytes = MODULES.with_borrow(|modules| modules.get(&hash.0))?;
    KnownModule::decode(&bytes).ok()
}

/// Keeps what is known of a module.
pub(crate) fn keep_module(hash: &Digest, module: &KnownModule) {
    MODULES.with_borrow_mut(|modules| modules.insert(hash.0, module.encode()));
}
