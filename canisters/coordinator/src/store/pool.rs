//! The pool: canisters of the coordinator's own that no job has. One is handed out only when somebody has just looked at
//! it, and what a route ever named serves its first source or nobody. An emptied original is nobody's for a while, and then
//! serves jobs of its plan.

use super::records::{Pooled, Record};
use super::{Memory, Set, memory};
use candid::Principal;
use decant_engine::TimeNanos;
use ic_stable_structures::StableBTreeMap;
use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    /// Up to commit 1c49434: ids alone.
    static OLD_POOL: RefCell<Set<Principal>> = RefCell::new(StableBTreeMap::init(memory(7)));
    static POOL: RefCell<StableBTreeMap<Principal, Vec<u8>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(13)));
    /// The same, once it was read: it is asked for each job that may start.
    static READ: RefCell<Option<BTreeMap<Principal, Pooled>>> = const { RefCell::new(None) };
    /// Canisters that an index was told to route to.
    static NAMED: RefCell<Set<Principal>> = RefCell::new(StableBTreeMap::init(memory(14)));
    /// Emptied originals, by when they are out of quarantine.
    static QUARANTINED: RefCell<Set<(TimeNanos, Principal)>> = RefCell::new(StableBTreeMap::init(memory(33)));
}

/// Asks the pool.
pub(crate) fn of_pool<R>(ask: impl FnOnce(&BTreeMap<Principal, Pooled>) -> R) -> R {
    let read = || {
        let of_entry = |bytes: &[u8]| Pooled::decode(bytes).unwrap_or_default();
        POOL.with_borrow(|pool| pool.iter().map(|entry| (*entry.key(), of_entry(&entry.value()))).collect())
    };
    READ.with_borrow_mut(|known| ask(known.get_or_insert_with(read)))
}

/// The pool.
pub(crate) fn pool() -> Vec<(Principal, Pooled)> {
    of_pool(|pool| pool.iter().map(|(canister, pooled)| (*canister, pooled.clone())).collect())
}

/// Canisters in the pool.
pub(crate) fn pool_len() -> u64 {
    POOL.with_borrow(StableBTreeMap::len)
}

/// What is known of a canister of the pool.
pub(crate) fn pooled(canister: Principal) -> Option<Pooled> {
    of_pool(|pool| pool.get(&canister).cloned())
}

/// Puts a canister into the pool, or keeps what is known of it now.
pub(crate) fn put_in_pool(canister: Principal, pooled: &Pooled) {
    remove_from_pool(canister);
    if let Some(emptied) = pooled.emptied {
        QUARANTINED.with_borrow_mut(|all| all.insert((emptied.until_nanos, canister), ()));
    }
    POOL.with_borrow_mut(|pool| pool.insert(canister, pooled.encode()));
    READ.with_borrow_mut(|known| known.as_mut().map(|known| known.insert(canister, pooled.clone())));
}

/// Takes a canister out of the pool that is fit for a source of a plan, and that somebody has looked at since then: rather one
/// that serves no other, or few.
pub(crate) fn take_from_pool(
    plan: u64,
    source: Principal,
    since_nanos: TimeNanos,
    now_nanos: TimeNanos,
) -> Option<Principal> {
    let is_fit = |pooled: &Pooled| {
        pooled.serves(plan, Some(source), now_nanos)
            && pooled.looked_nanos.is_some_and(|at_nanos| at_nanos >= since_nanos)
    };
    let canister = of_pool(|pool| {
        let fit = pool.iter().filter(|(_, pooled)| is_fit(pooled));
        fit.max_by_key(|(canister, it)| {
            (it.kept_for.is_some(), it.emptied.is_some(), std::cmp::Reverse(**canister))
        })
        .map(|(canister, _)| *canister)
    })?;
    remove_from_pool(canister);
    Some(canister)
}

/// Removes a canister from the pool.
pub(crate) fn remove_from_pool(canister: Principal) {
    if let Some(emptied) = pooled(canister).and_then(|pooled| pooled.emptied) {
        QUARANTINED.with_borrow_mut(|all| all.remove(&(emptied.until_nanos, canister)));
    }
    POOL.with_borrow_mut(|pool| pool.remove(&canister));
    READ.with_borrow_mut(|known| known.as_mut().map(|known| known.remove(&canister)));
}

/// When the next emptied original is out of quarantine, after now.
pub(crate) fn first_out_of_quarantine(now_nanos: TimeNanos) -> Option<TimeNanos> {
    let later = (now_nanos.saturating_add(1), Principal::management_canister())..;
    QUARANTINED.with_borrow(|all| all.keys_range(later).next().map(|(until_nanos, _)| until_nanos))
}

/// An index is about to be told to route to a canister.
pub(crate) fn name_route(canister: Principal) {
    NAMED.with_borrow_mut(|named| named.insert(canister, ()));
}

/// Whether an index was ever told to route to a canister.
pub(crate) fn was_named(canister: Principal) -> bool {
    NAMED.with_borrow(|named| named.contains_key(&canister))
}

/// Takes over what earlier builds kept: nobody has looked at those.
pub(super) fn rebuild() {
    let old: Vec<Principal> = OLD_POOL.with_borrow(|pool| pool.keys().collect());
    for canister in old {
        OLD_POOL.with_borrow_mut(|pool| pool.remove(&canister));
        put_in_pool(canister, &Pooled::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::records::Emptied;

    const SOURCE: Principal = Principal::from_slice(&[1; 10]);
    const OTHER: Principal = Principal::from_slice(&[2; 10]);

    fn canister(number: u8) -> Principal {
        Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, number, 1, 1])
    }

    fn looked(at_nanos: TimeNanos) -> Pooled {
        Pooled { looked_nanos: Some(at_nanos), ..Pooled::default() }
    }

    #[test]
    fn only_what_somebody_has_just_looked_at_and_found_fit_is_handed_out() {
        put_in_pool(canister(1), &Pooled::default());
        put_in_pool(canister(2), &looked(99));
        put_in_pool(canister(3), &Pooled { aside: Some("it runs".to_owned()), ..looked(100) });
        assert_eq!(take_from_pool(1, SOURCE, 100, 0), None);
        put_in_pool(canister(4), &looked(100));
        assert_eq!(take_from_pool(1, SOURCE, 100, 0), Some(canister(4)));
        assert_eq!(take_from_pool(1, SOURCE, 100, 0), None, "it is taken");
    }

    #[test]
    fn what_a_route_named_serves_its_own_source_first_and_nobody_else() {
        put_in_pool(canister(1), &Pooled { kept_for: Some(SOURCE), ..looked(100) });
        assert_eq!(take_from_pool(1, OTHER, 100, 0), None);
        put_in_pool(canister(0), &looked(100));
        assert_eq!(take_from_pool(1, SOURCE, 100, 0), Some(canister(1)));
        assert_eq!(take_from_pool(1, OTHER, 100, 0), Some(canister(0)));
    }

    #[test]
    fn an_emptied_original_serves_jobs_of_its_plan_alone_and_nobody_before_its_quarantine_ends() {
        let emptied = |until_nanos| {
            let emptied = Some(Emptied { job: 3, plan: 7, until_nanos });
            Pooled { emptied, ..looked(100) }
        };
        put_in_pool(canister(5), &emptied(500));
        put_in_pool(canister(6), &emptied(400));
        assert_eq!(first_out_of_quarantine(0), Some(400));
        assert_eq!(first_out_of_quarantine(400), Some(500));
        assert_eq!(take_from_pool(7, SOURCE, 100, 399), None, "nobody's");
        assert_eq!(take_from_pool(8, SOURCE, 100, 400), None, "another plan's");
        put_in_pool(canister(1), &looked(100));
        assert_eq!(take_from_pool(7, SOURCE, 100, 400), Some(canister(6)), "before one that was created");
        assert_eq!(take_from_pool(7, SOURCE, 100, 499), Some(canister(1)));
        put_in_pool(canister(5), &Pooled { looked_nanos: None, ..emptied(500) });
        assert_eq!(take_from_pool(7, SOURCE, 100, 500), None, "nobody looked");
        put_in_pool(canister(5), &Pooled { aside: Some("it runs".to_owned()), ..emptied(500) });
        assert_eq!(take_from_pool(7, SOURCE, 100, 500), None);
        remove_from_pool(canister(5));
        assert_eq!((first_out_of_quarantine(0), pool()), (None, Vec::new()));
    }

    #[test]
    fn ids_that_earlier_builds_kept_are_looked_at_before_they_are_used() {
        OLD_POOL.with_borrow_mut(|pool| pool.insert(canister(8), ()));
        rebuild();
        assert_eq!(pool(), [(canister(8), Pooled::default())]);
        assert_eq!(take_from_pool(1, SOURCE, 0, 0), None);
    }
}
