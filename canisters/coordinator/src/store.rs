//! What outlasts an upgrade. Buckets of one page: Decant does not bloat its own memory.
//!
//! | memory | map |
//! |---|---|
//! | 0 | configuration |
//! | 1 | plans by number |
//! | 2 | jobs by number |
//! | 3 | journals of jobs that are not ended, by job and position |
//! | 4 | jobs that wait for their turn |
//! | 5 | jobs that are on their way or parked |
//! | 6 | the latest job of a source |
//! | 7 | the pool |
//! | 8 | modules that were read out of snapshots, by hash |

use candid::{CandidType, Principal};
use decant_api::JobId;
use decant_api::plan::Plan;
use decant_engine::{Digest, Entry, Job};
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager, VirtualMemory};
use ic_stable_structures::storable::{Bound, Storable};
use ic_stable_structures::{DefaultMemoryImpl, StableBTreeMap, StableCell};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::borrow::Cow;
use std::cell::RefCell;

type Memory = VirtualMemory<DefaultMemoryImpl>;

/// Pages of 64 KiB in a bucket of the coordinator's own memory.
const BUCKET_PAGES: u16 = 1;

/// Counts and switches.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct Config {
    pub(crate) governance: Principal,
    pub(crate) is_paused: bool,
    pub(crate) next_job: JobId,
    pub(crate) next_plan: u64,
    pub(crate) done: u64,
    pub(crate) rolled_back: u64,
    pub(crate) cycles_spent: u128,
    pub(crate) calls: u64,
    pub(crate) target_calls: u64,
    /// When the coordinator was last known to remember all that it did. Records of earlier builds lack it.
    pub(crate) whole_nanos: Option<u64>,
    /// When it was put back from a snapshot, until an operator lets it go on.
    pub(crate) put_back_nanos: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            governance: Principal::management_canister(),
            is_paused: false,
            next_job: 1,
            next_plan: 1,
            done: 0,
            rolled_back: 0,
            cycles_spent: 0,
            calls: 0,
            target_calls: 0,
            whole_nanos: None,
            put_back_nanos: None,
        }
    }
}

/// A plan, and what was used of it.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct PlanRecord {
    pub(crate) plan: Plan,
    pub(crate) enrolled: u64,
    pub(crate) cycles_spent: u128,
    /// Whether its compact build can be a target; unknown before the first one.
    pub(crate) fits: Option<bool>,
}

/// A module that was read, or the vessel.
#[derive(Debug, Clone, Default, CandidType, Deserialize)]
pub(crate) struct KnownModule {
    /// Its chunks in the coordinator's chunk store.
    pub(crate) chunk_hashes: Vec<ByteBuf>,
    /// Whether an upgrade calls its `canister_pre_upgrade`.
    pub(crate) has_pre_upgrade: bool,
    /// Whether it addresses its heap with 64 bits, so that an upgrade prepays twice as much. Records of earlier builds
    /// lack it.
    pub(crate) is_wasm64: Option<bool>,
    /// Pages of stable memory with which a canister that runs it was found to be one that can be moved.
    pub(crate) surveyed_pages: Option<Vec<u64>>,
}

/// Values in Candid.
macro_rules! candid_storable {
    ($($name:ident),*) => {$(
        impl Storable for $name {
            const BOUND: Bound = Bound::Unbounded;

            fn to_bytes(&self) -> Cow<'_, [u8]> {
                Cow::Owned(candid::encode_one(self).unwrap_or_else(|error| damaged(stringify!($name), error)))
            }

            fn into_bytes(self) -> Vec<u8> {
                self.to_bytes().into_owned()
            }

            fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
                candid::decode_one(&bytes).unwrap_or_else(|error| damaged(stringify!($name), error))
            }
        }
    )*};
}

candid_storable!(Config, PlanRecord, KnownModule);

/// A value in CBOR with short field names: a finished job stays below 512 bytes.
#[derive(Debug, Clone)]
struct Cbor<T>(T);

impl<T: Serialize + for<'de> Deserialize<'de>> Storable for Cbor<T> {
    const BOUND: Bound = Bound::Unbounded;

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::new();
        ciborium::into_writer(&self.0, &mut bytes).unwrap_or_else(|error| damaged("record", error));
        Cow::Owned(bytes)
    }

    fn into_bytes(self) -> Vec<u8> {
        self.to_bytes().into_owned()
    }

    fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
        Self(ciborium::from_reader(bytes.as_ref()).unwrap_or_else(|error| damaged("record", error)))
    }
}

/// Own memory that cannot be read or written: nothing may go on as if it could.
fn damaged<T>(what: &str, error: impl std::fmt::Display) -> T {
    ic_cdk::trap(format!("the coordinator's stored {what} is damaged: {error}"))
}

/// Maps to nothing: a set.
type Set<K> = StableBTreeMap<K, (), Memory>;

thread_local! {
    static MEMORY: MemoryManager<DefaultMemoryImpl> =
        MemoryManager::init_with_bucket_size(DefaultMemoryImpl::default(), BUCKET_PAGES);
    static CONFIG: RefCell<StableCell<Config, Memory>> =
        RefCell::new(StableCell::init(memory(0), Config::default()));
    static PLANS: RefCell<StableBTreeMap<u64, PlanRecord, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(1)));
    static JOBS: RefCell<StableBTreeMap<JobId, Cbor<Job>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(2)));
    static JOURNAL: RefCell<StableBTreeMap<(JobId, u32), Cbor<Entry>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(3)));
    static QUEUED: RefCell<Set<JobId>> = RefCell::new(StableBTreeMap::init(memory(4)));
    static ACTIVE: RefCell<Set<JobId>> = RefCell::new(StableBTreeMap::init(memory(5)));
    static BY_SOURCE: RefCell<StableBTreeMap<Principal, JobId, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(6)));
    static POOL: RefCell<Set<Principal>> = RefCell::new(StableBTreeMap::init(memory(7)));
    static MODULES: RefCell<StableBTreeMap<[u8; 32], KnownModule, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(8)));
}

fn memory(id: u8) -> Memory {
    MEMORY.with(|manager| manager.get(MemoryId::new(id)))
}

/// The configuration now.
pub(crate) fn config() -> Config {
    CONFIG.with_borrow(|cell| cell.get().clone())
}

fn change_config<R>(change: impl FnOnce(&mut Config) -> R) -> R {
    CONFIG.with_borrow_mut(|cell| {
        let mut config = cell.get().clone();
        let result = change(&mut config);
        cell.set(config);
        result
    })
}

/// Whose proposals are executed.
pub(crate) fn governance() -> Principal {
    CONFIG.with_borrow(|cell| cell.get().governance)
}

/// Sets whose proposals are executed.
pub(crate) fn set_governance(governance: Principal) {
    change_config(|config| config.governance = governance);
}

/// Stops or lets on the start of new jobs.
pub(crate) fn set_paused(is_paused: bool) {
    change_config(|config| config.is_paused = is_paused);
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

/// Counts cycles that went into a fresh canister, for its plan too.
pub(crate) fn count_cycles(plan_id: u64, cycles: u128) {
    change_config(|config| config.cycles_spent = config.cycles_spent.saturating_add(cycles));
    change_plan(plan_id, |record| record.cycles_spent = record.cycles_spent.saturating_add(cycles));
}

/// Keeps an approved plan; answers its number.
pub(crate) fn add_plan(plan: Plan) -> u64 {
    let id = change_config(|config| {
        let id = config.next_plan;
        config.next_plan += 1;
        id
    });
    PLANS.with_borrow_mut(|plans| {
        plans.insert(id, PlanRecord { plan, enrolled: 0, cycles_spent: 0, fits: None })
    });
    id
}

/// A plan by number.
pub(crate) fn plan(id: u64) -> Option<PlanRecord> {
    PLANS.with_borrow(|plans| plans.get(&id))
}

/// Number of approved plans.
pub(crate) fn plan_count() -> u64 {
    PLANS.with_borrow(StableBTreeMap::len)
}

/// The latest plan that names `index`.
pub(crate) fn plan_for(index: Principal) -> Option<(u64, PlanRecord)> {
    PLANS.with_borrow(|plans| {
        plans
            .iter()
            .rev()
            .map(|entry| entry.into_pair())
            .find(|(_, record)| record.plan.indexes.contains(&index))
    })
}

/// Changes what was used of a plan.
pub(crate) fn change_plan(id: u64, change: impl FnOnce(&mut PlanRecord)) {
    PLANS.with_borrow_mut(|plans| {
        if let Some(mut record) = plans.get(&id) {
            change(&mut record);
            plans.insert(id, record);
        }
    });
}

/// The number that the next job gets.
pub(crate) fn next_job_id() -> JobId {
    change_config(|config| {
        let id = config.next_job;
        config.next_job += 1;
        id
    })
}

/// Keeps a new job and puts it in line.
pub(crate) fn enqueue(job: &Job) {
    JOBS.with_borrow_mut(|jobs| jobs.insert(job.id(), Cbor(job.clone())));
    BY_SOURCE.with_borrow_mut(|by_source| by_source.insert(job.source(), job.id()));
    QUEUED.with_borrow_mut(|queued| queued.insert(job.id(), ()));
}

/// A job by number.
pub(crate) fn job(id: JobId) -> Option<Job> {
    JOBS.with_borrow(|jobs| jobs.get(&id)).map(|Cbor(job)| job)
}

/// The latest job of a source.
pub(crate) fn job_of(source: Principal) -> Option<JobId> {
    BY_SOURCE.with_borrow(|by_source| by_source.get(&source))
}

/// Jobs after `after`, in order.
pub(crate) fn jobs_after(after: JobId, limit: usize) -> Vec<Job> {
    JOBS.with_borrow(|jobs| {
        jobs.range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded))
            .take(limit)
            .map(|entry| entry.into_pair().1.0)
            .collect()
    })
}

/// Stores a changed job and journals the event that changed it, in one message: neither is ever seen without
/// the other. The journal of an ended job is dropped; what it proves is in the job.
pub(crate) fn record(job: &Job, entry: Entry) {
    let id = job.id();
    JOBS.with_borrow_mut(|jobs| jobs.insert(id, Cbor(job.clone())));
    if job.state().is_ended() {
        let keys: Vec<_> =
            JOURNAL.with_borrow(|journal| journal.keys_range((id, 0)..=(id, u32::MAX)).collect());
        JOURNAL.with_borrow_mut(|journal| {
            for key in keys {
                journal.remove(&key);
            }
        });
        ACTIVE.with_borrow_mut(|active| active.remove(&id));
        change_config(|config| match job.state() {
            decant_engine::State::Done { .. } => config.done += 1,
            _ => config.rolled_back += 1,
        });
        return;
    }
    JOURNAL.with_borrow_mut(|journal| {
        let next = journal.keys_range((id, 0)..=(id, u32::MAX)).next_back().map_or(0, |(_, last)| last + 1);
        journal.insert((id, next), Cbor(entry));
    });
}

/// Jobs on their way or parked.
pub(crate) fn active() -> Vec<JobId> {
    ACTIVE.with_borrow(|active| active.keys().collect())
}

/// A job on its way, or in line, that only an earlier build can finish.
pub(crate) fn job_of_old_build() -> Option<JobId> {
    let queued = QUEUED.with_borrow(|queued| queued.keys().collect::<Vec<_>>());
    active().into_iter().chain(queued).find(|id| job(*id).is_some_and(|job| job.is_of_old_build()))
}

/// The job whose turn it is.
pub(crate) fn first_queued() -> Option<JobId> {
    QUEUED.with_borrow(|queued| queued.keys().next())
}

/// Starts a job that was in line.
pub(crate) fn activate(id: JobId) {
    QUEUED.with_borrow_mut(|queued| queued.remove(&id));
    ACTIVE.with_borrow_mut(|active| active.insert(id, ()));
}

/// Jobs in line.
pub(crate) fn queued_count() -> u64 {
    QUEUED.with_borrow(StableBTreeMap::len)
}

/// A module that was read out of a snapshot.
pub(crate) fn module(hash: &Digest) -> Option<KnownModule> {
    MODULES.with_borrow(|modules| modules.get(&hash.0))
}

/// Keeps what is known of a module.
pub(crate) fn keep_module(hash: &Digest, module: &KnownModule) {
    MODULES.with_borrow_mut(|modules| modules.insert(hash.0, module.clone()));
}

/// The pool.
pub(crate) fn pool() -> Vec<Principal> {
    POOL.with_borrow(|pool| pool.keys().collect())
}

/// Puts a fresh canister into the pool.
pub(crate) fn add_to_pool(canister: Principal) {
    POOL.with_borrow_mut(|pool| pool.insert(canister, ()));
}

/// Takes a canister out of the pool.
pub(crate) fn take_from_pool() -> Option<Principal> {
    POOL.with_borrow_mut(|pool| {
        let canister = pool.keys().next()?;
        pool.remove(&canister);
        Some(canister)
    })
}
