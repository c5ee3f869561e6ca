//! Stored records: a version byte, then CBOR with short field names. Decoding answers and never traps: a record that can't
//! be read concerns what it tells of, and nothing else.
//!
//! | first byte | format |
//! |---|---|
//! | 1 | this one; of a job, the second byte says whether it has ended |
//! | 2 | the events that every job has: see `packed` |
//! | `D` | Candid ("DIDL"): configuration, plans and modules up to commit 1c49434 |
//! | 0xA0 to 0xBF | a CBOR map: jobs and journals up to commit 1c49434 |
//!
//! A field that is added has a default; a field that changes makes a new version.

use candid::{CandidType, Principal};
use decant_api::JobId;
use decant_api::plan::Plan;
use decant_engine::{Entry, Job};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// The format that is written.
pub(super) const VERSION: u8 = 1;
/// First bytes of CBOR maps.
const CBOR_MAPS: std::ops::RangeInclusive<u8> = 0xa0..=0xbf;

/// A record that can't be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damaged(pub(crate) String);

/// Something that is stored.
pub(crate) trait Record: Sized {
    /// As it is stored now.
    fn encode(&self) -> Vec<u8>;

    /// Out of any format that was ever written.
    fn decode(bytes: &[u8]) -> Result<Self, Damaged>;
}

/// What new jobs, and those that are not committed, may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Pause {
    /// All.
    #[default]
    #[serde(rename = "r")]
    Running,
    /// No job is started.
    #[serde(rename = "n")]
    NoJobs,
    /// Nor does one that is on its way come nearer to its commit point.
    #[serde(rename = "h")]
    Hold,
}

/// Counts and switches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    #[serde(rename = "g")]
    pub(crate) governance: Principal,
    #[serde(rename = "h")]
    pub(crate) pause: Pause,
    #[serde(rename = "j")]
    pub(crate) next_job: JobId,
    #[serde(rename = "p")]
    pub(crate) next_plan: u64,
    #[serde(rename = "d")]
    pub(crate) done: u64,
    #[serde(rename = "r")]
    pub(crate) rolled_back: u64,
    #[serde(rename = "s")]
    pub(crate) cycles_spent: u128,
    #[serde(rename = "c")]
    pub(crate) calls: u64,
    #[serde(rename = "t")]
    pub(crate) target_calls: u64,
    /// When the coordinator was last known to remember all that it did.
    #[serde(rename = "w", default)]
    pub(crate) whole_nanos: Option<u64>,
    /// When it was put back from a snapshot, until an operator lets it go on.
    #[serde(rename = "b", default)]
    pub(crate) put_back_nanos: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            governance: Principal::management_canister(),
            pause: Pause::Running,
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

/// A plan, and what was used of it when it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanRecord {
    pub(crate) plan: Plan,
    pub(crate) used: Used,
}

/// What was used of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Used {
    /// Canisters that were enrolled.
    #[serde(rename = "e")]
    pub(crate) enrolled: u64,
    /// Cycles that were spent.
    #[serde(rename = "s")]
    pub(crate) cycles: u128,
    /// Whether its compact build can be a target; unknown before the first one.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub(crate) fits: Option<bool>,
}

/// A canister of the pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pooled {
    /// When somebody looked at it and found it fit; not since it came in, if there is none.
    #[serde(rename = "l", default)]
    pub(crate) looked_nanos: Option<u64>,
    /// The only source that it may serve: an index may remember that it was that one's.
    #[serde(rename = "k", default)]
    pub(crate) kept_for: Option<Principal>,
    /// Why it serves nobody.
    #[serde(rename = "a", default)]
    pub(crate) aside: Option<String>,
    /// Cycles that it had when somebody looked last; nobody knows since it came in, if there is none.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(crate) cycles: Option<u128>,
    /// Of an original that was emptied: it serves later jobs of its plan alone.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub(crate) emptied: Option<Emptied>,
}

/// What is known of an original that was emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Emptied {
    /// The job that emptied it.
    #[serde(rename = "j")]
    pub(crate) job: JobId,
    /// The plan of that.
    #[serde(rename = "p")]
    pub(crate) plan: u64,
    /// Until when it is nobody's.
    #[serde(rename = "u")]
    pub(crate) until_nanos: u64,
}

impl Pooled {
    /// Whether a job of that plan may have it now: any job of the plan if no source is named.
    pub(crate) fn serves(&self, plan: u64, source: Option<Principal>, now_nanos: u64) -> bool {
        let is_free = self.kept_for.is_none_or(|kept_for| Some(kept_for) == source);
        let is_out = self.emptied.is_none_or(|it| it.plan == plan && it.until_nanos <= now_nanos);
        self.aside.is_none() && is_free && is_out
    }
}

/// A module that was read, or the vessel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownModule {
    /// Its chunks in the coordinator's chunk store.
    #[serde(rename = "c")]
    pub(crate) chunk_hashes: Vec<ByteBuf>,
    /// Whether an upgrade calls its `canister_pre_upgrade`.
    #[serde(rename = "p")]
    pub(crate) has_pre_upgrade: bool,
    /// Whether it addresses its heap with 64 bits, so that an upgrade prepays twice as much. Earlier builds did not look.
    #[serde(rename = "w")]
    pub(crate) is_wasm64: Option<bool>,
    /// Plans, and pages of stable memory with which a canister that runs it was found to be one that the plan can move. It is
    /// the plan that says where a manager begins, and what may be dropped.
    #[serde(rename = "y", default)]
    pub(crate) surveyed: Vec<(u64, u64)>,
    // "s" were the pages alone.
}

/// A plan as it is stored: Candid keeps what voters approved readable by builds whose plans have more fields.
#[derive(Serialize, Deserialize)]
struct StoredPlan {
    #[serde(rename = "p")]
    plan: ByteBuf,
    #[serde(rename = "e")]
    enrolled: u64,
    #[serde(rename = "s")]
    cycles_spent: u128,
    #[serde(rename = "f", default)]
    fits: Option<bool>,
}

impl Record for Config {
    fn encode(&self) -> Vec<u8> {
        write(&[VERSION], self)
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        #[derive(CandidType, Deserialize)]
        struct Old {
            governance: Principal,
            is_paused: bool,
            next_job: JobId,
            next_plan: u64,
            done: u64,
            rolled_back: u64,
            cycles_spent: u128,
            calls: u64,
            target_calls: u64,
            whole_nanos: Option<u64>,
            put_back_nanos: Option<u64>,
        }
        let Some(old) = in_candid::<Old>(bytes)? else { return in_cbor(bytes) };
        Ok(Self {
            governance: old.governance,
            pause: if old.is_paused { Pause::NoJobs } else { Pause::Running },
            next_job: old.next_job,
            next_plan: old.next_plan,
            done: old.done,
            rolled_back: old.rolled_back,
            cycles_spent: old.cycles_spent,
            calls: old.calls,
            target_calls: old.target_calls,
            whole_nanos: old.whole_nanos,
            put_back_nanos: old.put_back_nanos,
        })
    }
}

impl Record for PlanRecord {
    fn encode(&self) -> Vec<u8> {
        let plan = candid::encode_one(&self.plan).unwrap_or_else(unwritten);
        let Used { enrolled, cycles: cycles_spent, fits } = self.used;
        write(&[VERSION], &StoredPlan { plan: ByteBuf::from(plan), enrolled, cycles_spent, fits })
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        #[derive(CandidType, Deserialize)]
        struct Old {
            plan: Plan,
            enrolled: u64,
            cycles_spent: u128,
            fits: Option<bool>,
        }
        if let Some(Old { plan, enrolled, cycles_spent, fits }) = in_candid(bytes)? {
            return Ok(Self { plan, used: Used { enrolled, cycles: cycles_spent, fits } });
        }
        let StoredPlan { plan, enrolled, cycles_spent, fits } = in_cbor(bytes)?;
        let plan = candid::decode_one(&plan).map_err(|error| Damaged(error.to_string()))?;
        Ok(Self { plan, used: Used { enrolled, cycles: cycles_spent, fits } })
    }
}

/// Records of the present format alone.
macro_rules! in_cbor_alone {
    ($($record:ty),+) => {
        $(impl $crate::store::records::Record for $record {
            fn encode(&self) -> Vec<u8> {
                $crate::store::records::write(&[$crate::store::records::VERSION], self)
            }

            fn decode(bytes: &[u8]) -> Result<Self, $crate::store::records::Damaged> {
                $crate::store::records::in_cbor(bytes)
            }
        })+
    };
}
pub(super) use in_cbor_alone;

in_cbor_alone!(Used, Pooled);

impl Record for KnownModule {
    fn encode(&self) -> Vec<u8> {
        write(&[VERSION], self)
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        #[derive(CandidType, Deserialize)]
        struct Old {
            chunk_hashes: Vec<ByteBuf>,
            has_pre_upgrade: bool,
            is_wasm64: Option<bool>,
        }
        match in_candid::<Old>(bytes)? {
            Some(Old { chunk_hashes, has_pre_upgrade, is_wasm64 }) => {
                Ok(Self { chunk_hashes, has_pre_upgrade, is_wasm64, surveyed: Vec::new() })
            }
            None => in_cbor(bytes),
        }
    }
}

impl Record for Job {
    fn encode(&self) -> Vec<u8> {
        write(&[VERSION, self.state().is_ended().into()], self)
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        match bytes {
            [VERSION, _, job @ ..] => read(job),
            other => old_map(other),
        }
    }
}

impl Record for Entry {
    fn encode(&self) -> Vec<u8> {
        write(&[VERSION], self)
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        match bytes {
            [VERSION, entry @ ..] => read(entry),
            other => old_map(other),
        }
    }
}

/// Whether the record of a job says that it has ended, without reading all of it where the format allows that.
pub(crate) fn has_ended(bytes: &[u8]) -> bool {
    match bytes {
        [VERSION, has_ended, ..] => *has_ended != 0,
        _ => Job::decode(bytes).is_ok_and(|job| job.state().is_ended()),
    }
}

pub(super) fn write(head: &[u8], value: &impl Serialize) -> Vec<u8> {
    let mut bytes = head.to_vec();
    ciborium::into_writer(value, &mut bytes).unwrap_or_else(unwritten);
    bytes
}

/// A record of the present format without a head of its own.
pub(super) fn in_cbor<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Damaged> {
    match bytes {
        [VERSION, value @ ..] => read(value),
        other => Err(unknown(other)),
    }
}

fn old_map<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Damaged> {
    match bytes.first() {
        Some(first) if CBOR_MAPS.contains(first) => read(bytes),
        _ => Err(unknown(bytes)),
    }
}

/// A record of the format that was Candid.
fn in_candid<T: CandidType + DeserializeOwned>(bytes: &[u8]) -> Result<Option<T>, Damaged> {
    match bytes.starts_with(b"DIDL") {
        true => candid::decode_one(bytes).map(Some).map_err(|error| Damaged(error.to_string())),
        false => Ok(None),
    }
}

fn read<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T, Damaged> {
    let value = ciborium::from_reader(&mut bytes).map_err(|error| Damaged(error.to_string()))?;
    match bytes {
        [] => Ok(value),
        rest => Err(Damaged(format!("{} bytes behind the record", rest.len()))),
    }
}

pub(super) fn unknown(bytes: &[u8]) -> Damaged {
    Damaged(match bytes.first() {
        Some(first) => format!("format {first} is none that this build reads"),
        None => "it is empty".to_owned(),
    })
}

/// Nothing may go on as if it were stored.
fn unwritten<T>(error: impl std::fmt::Display) -> T {
    ic_cdk::trap(format!("a record can't be written: {error}"))
}
