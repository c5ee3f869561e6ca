//! Who operates and who observes, besides governance.

use super::records::{Record, in_cbor_alone};
use super::{Memory, memory};
use candid::Principal;
use decant_api::govern::Roles;
use ic_stable_structures::StableCell;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;

thread_local! {
    static ROLES: RefCell<StableCell<Vec<u8>, Memory>> =
        RefCell::new(StableCell::init(memory(26), Vec::new()));
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "o")]
    operators: Vec<Principal>,
    #[serde(rename = "v")]
    observers: Vec<Principal>,
}

in_cbor_alone!(Stored);

/// Who does what; none if nobody ever said so.
pub(crate) fn named_roles() -> Option<Roles> {
    let stored = ROLES.with_borrow(|cell| Stored::decode(cell.get())).ok()?;
    Some(Roles { operators: stored.operators, observers: stored.observers })
}

/// Who does what.
pub(crate) fn roles() -> Roles {
    named_roles().unwrap_or_default()
}

/// Whether governance named somebody as operator.
pub(crate) fn is_operator(who: Principal) -> bool {
    roles().operators.contains(&who)
}

/// The same as observer.
pub(crate) fn is_observer(who: Principal) -> bool {
    roles().observers.contains(&who)
}

/// Says who does what.
pub(crate) fn set_roles(roles: Roles) {
    let stored = Stored { operators: roles.operators, observers: roles.observers };
    ROLES.with_borrow_mut(|cell| cell.set(stored.encode()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::canister;

    #[test]
    fn nobody_has_a_role_until_somebody_says_so_and_what_was_stored_is_read_for_ever() {
        assert_eq!(named_roles(), None);
        let roles = Roles { operators: vec![canister(1)], observers: vec![canister(2), canister(3)] };
        set_roles(roles.clone());
        assert_eq!(super::roles(), roles);
        let written = ROLES.with_borrow(|cell| decant_words::hex(cell.get()));
        assert_eq!(written, GOLDEN);
    }

    const GOLDEN: &str = "01a2616f814a000000000000000101016176824a000000000000000201014a00000000000000030101";
}
