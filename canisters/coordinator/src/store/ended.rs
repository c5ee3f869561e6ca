//! Jobs in the order in which they ended, and how far each of those who are told has been told: a number for each, however
//! long somebody does not answer.

use super::{Memory, memory};
use candid::Principal;
use decant_api::JobId;
use decant_api::plan::{Plan, Strategy};
use ic_stable_structures::{StableBTreeMap, StableVec};
use std::cell::RefCell;

thread_local! {
    /// The first ones, as earlier builds kept them.
    static FIRST: RefCell<StableBTreeMap<u64, JobId, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(15)));
    /// All after them.
    static ENDED: RefCell<StableVec<JobId, Memory>> = RefCell::new(StableVec::init(memory(32)));
    static TOLD: RefCell<StableBTreeMap<Principal, u64, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(16)));
}

/// The number that the next job to end gets.
pub(crate) fn ended_count() -> u64 {
    first_ones() + ENDED.with_borrow(StableVec::len)
}

fn first_ones() -> u64 {
    FIRST.with_borrow(StableBTreeMap::len)
}

/// A job has ended.
pub(super) fn append(id: JobId) {
    ENDED.with_borrow_mut(|ended| ended.push(&id));
}

/// Jobs in the order in which they ended, from a number on.
pub(crate) fn ended_from(first: u64, limit: usize) -> Vec<JobId> {
    let count = first_ones();
    let of_number = |number: u64| match number.checked_sub(count) {
        Some(later) => ENDED.with_borrow(|ended| ended.get(later)),
        None => FIRST.with_borrow(|ended| ended.get(&number)),
    };
    (first..ended_count()).take(limit).filter_map(of_number).collect()
}

/// Those who are told of a plan's jobs: of what ends from now on.
pub(super) fn subscribe(plan: &Plan) {
    let routes = match (&plan.strategy, &plan.routes) {
        (Strategy::Repack(_), _) => &[][..],
        (_, Some(routes)) => routes,
        (_, None) => &plan.indexes,
    };
    for who in routes.iter().chain(plan.subscribers.iter().flatten()) {
        if TOLD.with_borrow(|told| !told.contains_key(who)) {
            set_told(*who, ended_count());
        }
    }
}

/// Those who were not told of all that ended, with the number of the first that they were not told of.
pub(crate) fn behind() -> Vec<(Principal, u64)> {
    let count = ended_count();
    TOLD.with_borrow(|told| {
        told.iter().map(|entry| entry.into_pair()).filter(|(_, first)| *first < count).collect()
    })
}

/// Somebody was told of all before that number.
pub(crate) fn set_told(who: Principal, before: u64) {
    TOLD.with_borrow_mut(|told| told.insert(who, before));
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: Principal = Principal::from_slice(&[7; 10]);

    #[test]
    fn what_an_earlier_build_kept_comes_first() {
        FIRST.with_borrow_mut(|first| first.insert(0, 7));
        append(4);
        assert_eq!((ended_from(0, 10), ended_from(1, 10)), (vec![7, 4], vec![4]));
    }

    #[test]
    fn somebody_is_behind_from_the_first_job_that_ends_until_told_of_the_last() {
        append(4);
        set_told(WHO, ended_count());
        assert_eq!(behind(), [], "what ended before is nobody's news");
        append(9);
        append(5);
        assert_eq!(behind(), [(WHO, 1)]);
        assert_eq!(ended_from(1, 10), [9, 5], "in the order in which they ended");
        assert_eq!(ended_from(1, 1), [9]);
        set_told(WHO, 2);
        assert_eq!(behind(), [(WHO, 2)]);
        set_told(WHO, 3);
        assert_eq!(behind(), []);
    }
}
