//! Which jobs a canister has, as their source and as their target: a set of numbers, since a map of ids takes three times
//! as much. A number is 24 bits of the id's hash before 40 of the job's; who finds one asks the job whether it is meant.

use super::{Memory, Set, memory};
use candid::Principal;
use decant_api::JobId;
use ic_stable_structures::StableBTreeMap;
use std::cell::RefCell;

/// Bits of a job's number: no coordinator has room for so many jobs.
const JOB_BITS: u32 = 40;
const JOB_MASK: u64 = (1 << JOB_BITS) - 1;

thread_local! {
    static SOURCES: RefCell<Set<u64>> = RefCell::new(StableBTreeMap::<u64, (), Memory>::init(memory(30)));
    static TARGETS: RefCell<Set<u64>> = RefCell::new(StableBTreeMap::<u64, (), Memory>::init(memory(31)));
}

/// What a canister is to a job.
#[derive(Clone, Copy)]
pub(super) enum Role {
    Source,
    Target,
}

fn set<R>(role: Role, ask: impl FnOnce(&mut Set<u64>) -> R) -> R {
    match role {
        Role::Source => SOURCES.with_borrow_mut(ask),
        Role::Target => TARGETS.with_borrow_mut(ask),
    }
}

/// 24 bits of FNV-1a (64 bits), before where a job's number stands.
fn head(canister: Principal) -> u64 {
    let hash = canister.as_slice().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash & !JOB_MASK
}

/// A canister has that job.
pub(super) fn name(role: Role, canister: Principal, job: JobId) {
    let number = head(canister) | (job & JOB_MASK);
    set(role, |set| {
        if !set.contains_key(&number) {
            set.insert(number, ());
        }
    });
}

/// The latest job that a canister has so, if `is_it`.
pub(super) fn latest(role: Role, canister: Principal, is_it: impl Fn(JobId) -> bool) -> Option<JobId> {
    jobs(role, canister).into_iter().rev().find(|job| is_it(*job))
}

/// Jobs that a canister may have so, in their order.
pub(super) fn jobs(role: Role, canister: Principal) -> Vec<JobId> {
    let head = head(canister);
    set(role, |set| set.keys_range(head..=(head | JOB_MASK)).map(|number| number & JOB_MASK).collect())
}

/// Whether no job has a target.
pub(super) fn has_no_target() -> bool {
    set(Role::Target, |set| set.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_canisters_of_one_hash_are_told_apart_and_the_latest_job_is_found() {
        // 24 bits: among some thousands two are alike. The factor spreads numbers over 64 bits.
        let id = |number: u64| {
            let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            Principal::from_slice(&[&spread[..], &[1, 1]].concat())
        };
        let mut heads = std::collections::BTreeMap::new();
        let (one, other) = (0..100_000)
            .find_map(|number| {
                heads.insert(head(id(number)), number).map(|earlier| (id(earlier), id(number)))
            })
            .expect("two of them");
        for (job, canister) in [(1, one), (2, other), (3, one)] {
            name(Role::Source, canister, job);
        }
        let of_one = |job| job != 2;
        assert_eq!(latest(Role::Source, one, of_one), Some(3));
        assert_eq!(latest(Role::Source, other, |job| !of_one(job)), Some(2));
        assert_eq!(latest(Role::Target, one, of_one), None);
    }
}
