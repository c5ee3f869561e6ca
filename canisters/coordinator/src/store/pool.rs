//! The pool: canisters of the coordinator's own that no job has. One is handed out only when somebody has just looked at
//! it, and what a route ever named serves its first source or nobody.

use super::records::{Pooled, Record};
use super::{Memory, Set, memory};
use candid::Principal;
use decant_engine::TimeNanos;
use ic_stable_structures::StableBTreeMap;
use std::cell::RefCell;

thread_local! {
    /// Up to commit 1c49434: ids alone.
    static OLD_POOL: RefCell<Set<Principal>> = RefCell::new(StableBTreeMap::init(memory(7)));
    static POOL: RefCell<StableBTreeMap<Principal, Vec<u8>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(13)));
    /// Canisters that an index was told to route to.
    static NAMED: RefCell<Set<Principal>> = RefCell::new(StableBTreeMap::init(memory(14)));
}

/// The pool.
pub(crate) fn pool() -> Vec<(Principal, Pooled)> {
    POOL.with_borrow(|pool| {
        pool.iter().map(|entry| (*entry.key(), Pooled::decode(&entry.value()).unwrap_or_default())).collect()
    })
}

/// Canisters in the pool.
pub(crate) fn pool_len() -> u64 {
    POOL.with_borrow(StableBTreeMap::len)
}

/// What is known of a canister of the pool.
pub(crate) fn pooled(canister: Principal) -> Option<Pooled> {
    let bytes = POOL.with_borrow(|pool| pool.get(&canister))?;
    Some(Pooled::decode(&bytes).unwrap_or_default())
}

/// Puts a canister into the pool, or keeps what is known of it now.
pub(crate) fn put_in_pool(canister: Principal, pooled: &Pooled) {
    POOL.with_borrow_mut(|pool| pool.insert(canister, pooled.encode()));
}

/// Takes a canister out of the pool that is fit for a source, and that somebody has looked at since then.
pub(crate) fn take_from_pool(source: Principal, since_nanos: TimeNanos) -> Option<Principal> {
    let fit = |kept: bool| {
        move |(_, pooled): &(Principal, Pooled)| {
            pooled.aside.is_none()
                && pooled.kept_for == kept.then_some(source)
                && pooled.looked_nanos.is_some_and(|at_nanos| at_nanos >= since_nanos)
        }
    };
    let all = pool();
    let (canister, _) =
        all.iter().find(|it| fit(true)(it)).or_else(|| all.iter().find(|it| fit(false)(it)))?;
    remove_from_pool(*canister);
    Some(*canister)
}

/// Removes a canister from the pool.
pub(crate) fn remove_from_pool(canister: Principal) {
    POOL.with_borrow_mut(|pool| pool.remove(&canister));
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
        assert_eq!(take_from_pool(SOURCE, 100), None);
        put_in_pool(canister(4), &looked(100));
        assert_eq!(take_from_pool(SOURCE, 100), Some(canister(4)));
        assert_eq!(take_from_pool(SOURCE, 100), None, "it is taken");
    }

    #[test]
    fn what_a_route_named_serves_its_own_source_first_and_nobody_else() {
        put_in_pool(canister(1), &Pooled { kept_for: Some(SOURCE), ..looked(100) });
        assert_eq!(take_from_pool(OTHER, 100), None);
        put_in_pool(canister(0), &looked(100));
        assert_eq!(take_from_pool(SOURCE, 100), Some(canister(1)));
        assert_eq!(take_from_pool(OTHER, 100), Some(canister(0)));
    }

    #[test]
    fn ids_that_earlier_builds_kept_are_looked_at_before_they_are_used() {
        OLD_POOL.with_borrow_mut(|pool| pool.insert(canister(8), ()));
        rebuild();
        assert_eq!(pool(), [(canister(8), Pooled::default())]);
        assert_eq!(take_from_pool(SOURCE, 0), None);
    }
}
