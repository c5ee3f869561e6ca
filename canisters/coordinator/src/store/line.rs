//! What a job was enrolled with, in 23 bytes, for ever: all that there is of one in line, and of one that ended what its end
//! does not say.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | length of the source's id; 0: nothing is kept here |
//! | 10 | the id |
//! | 4 | number of what it shares with others: its plan, and the indexes whose routes are swapped |
//! | 8 | when it was enrolled |

use super::records::{Record, in_cbor_alone};
use super::{Memory, memory, shared};
use candid::Principal;
use decant_api::JobId;
use decant_engine::{Job, PlanEssentials};
use ic_stable_structures::Vec as StableVec;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;

/// Bytes of an id that the system gives to a canister.
const ID_BYTES: usize = 10;
const BYTES: usize = 1 + ID_BYTES + 4 + 8;
/// Of a job that is not kept here.
const NONE: [u8; BYTES] = [0; BYTES];

thread_local! {
    /// By job.
    static LINE: RefCell<StableVec<[u8; BYTES], Memory>> = RefCell::new(StableVec::init(memory(29)));
}

/// What the jobs have in common that one index enrols under one plan.
#[derive(Serialize, Deserialize)]
struct Terms {
    #[serde(rename = "p")]
    plan: PlanEssentials,
    #[serde(rename = "x")]
    indexes: Vec<Principal>,
}
in_cbor_alone!(Terms);

/// Keeps what a job was enrolled with, if there is room for it here and it is not kept yet.
pub(super) fn note(job: &Job) {
    if read(job.id()).is_some() {
        return;
    }
    let Some(record) = record(job) else { return };
    LINE.with_borrow_mut(|line| {
        while line.len() <= job.id() {
            line.push(&NONE);
        }
        line.set(job.id(), &record);
    });
}

fn record(job: &Job) -> Option<[u8; BYTES]> {
    let id = job.source();
    let bytes = id.as_slice();
    let padding = [0; ID_BYTES].get(bytes.len()..)?;
    let terms = Terms { plan: *job.plan(), indexes: job.indexes().to_vec() };
    let number = shared::number_of(&terms.encode())?.to_le_bytes();
    let enrolled = job.times().enrolled_nanos.to_le_bytes();
    let length = [u8::try_from(bytes.len()).ok()?];
    [&length, bytes, padding, &number, &enrolled].concat().try_into().ok()
}

/// A job as it was enrolled, if that is kept here.
pub(super) fn job(id: JobId) -> Option<Job> {
    let record = read(id)?;
    let (number, rest) = record.get(1 + ID_BYTES..)?.split_first_chunk()?;
    let Ok(Terms { plan, indexes }) = shared::of_number(u32::from_le_bytes(*number), Terms::decode)? else {
        return None;
    };
    let enrolled_nanos = u64::from_le_bytes(*rest.first_chunk()?);
    Job::new(id, source_in(&record)?, indexes, plan, enrolled_nanos).ok()
}

/// The source of a job, if that is kept here.
pub(super) fn source(id: JobId) -> Option<Principal> {
    source_in(&read(id)?)
}

fn source_in(record: &[u8; BYTES]) -> Option<Principal> {
    let (length, rest) = record.split_first()?;
    Principal::try_from_slice(rest.get(..usize::from(*length).min(ID_BYTES))?).ok()
}

fn read(id: JobId) -> Option<[u8; BYTES]> {
    LINE.with_borrow(|line| line.get(id)).filter(|record| *record != NONE)
}

/// The number behind the last job that is kept here.
pub(super) fn end() -> JobId {
    LINE.with_borrow(StableVec::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::canister;
    use decant_engine::{Retention, Strategy};

    /// Written once, and read for ever.
    const RECORD: &str = "0a00000000000000030101000000000807060504030201";
    const TERMS: &str = "01a26170a661690161736134616201617200616b61336161f46178814a00000000000000010101";

    #[test]
    fn what_a_job_was_enrolled_with_is_read_for_ever() {
        let plan = PlanEssentials {
            plan_id: 1,
            strategy: Strategy::Repack,
            bucket_pages: 1,
            min_reclaimed_pages: 0,
            retention: Retention::None,
            has_asset_checks: false,
            rolls_back_on_lost_timer: false,
            recycled_with_cycles: None,
            max_wait_seconds: None,
        };
        let enrolled =
            Job::new(5, canister(3), vec![canister(1)], plan, 0x0102_0304_0506_0708).expect("a job");
        note(&enrolled);
        assert_eq!((job(5), source(5), job(4), job(6)), (Some(enrolled), Some(canister(3)), None, None));
        assert_eq!(read(5).map(|record| decant_words::hex(&record)).as_deref(), Some(RECORD));
        let terms = shared::of_number(0, decant_words::hex).expect("it is shared");
        assert_eq!(terms, TERMS);
    }

    #[test]
    fn an_id_that_is_longer_than_those_of_canisters_is_kept_elsewhere() {
        let mut enrolled = job_of(Principal::self_authenticating([1]));
        note(&enrolled);
        assert_eq!(job(7), None);
        enrolled = job_of(canister(3));
        note(&enrolled);
        assert_eq!(job(7), Some(enrolled));
    }

    fn job_of(source: Principal) -> Job {
        let plan = PlanEssentials {
            plan_id: 1,
            strategy: Strategy::RelocateVessel,
            bucket_pages: 1,
            min_reclaimed_pages: 0,
            retention: Retention::Frozen { seconds: 5 },
            has_asset_checks: true,
            rolls_back_on_lost_timer: true,
            recycled_with_cycles: None,
            max_wait_seconds: None,
        };
        Job::new(7, source, vec![canister(1)], plan, 1).expect("a job")
    }
}
