//! Who may call what.

use crate::STATE;
use candid::Principal;
use decant_kit::access::Rule;
use ic_cdk::api::{in_replicated_execution, is_controller};

/// Those who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Everybody, also from a canister: it looks one thing up.
    Anybody,
    /// Everybody as a query that one node answers; what the subnet executes, for controllers alone.
    AnybodyAsQuery,
    /// Controllers of this index.
    Controller,
    /// The coordinator that it knows.
    Coordinator,
}

/// Bytes of the argument of a method that takes a few numbers and ids.
const FEW: usize = 1_000;
/// Bytes of a thousand ids.
const IDS: usize = 64_000;
/// Bytes of a message between subnets.
const MANY: usize = 2 << 20;

decant_kit::methods! { Who;
    update register: Controller, MANY;
    update relocate: Controller, IDS;
    update reroute: Controller, FEW;
    update decant_swap: Coordinator, FEW;
    update decant_ended: Coordinator, MANY;
    query ended: AnybodyAsQuery, FEW;
    query decant_resolve: Anybody, FEW;
    query route: Anybody, FEW;
    query routes: AnybodyAsQuery, FEW;
}

impl Rule for Who {
    fn allows(self, caller: Principal) -> Result<(), String> {
        let is_allowed = match self {
            Self::Anybody => true,
            Self::AnybodyAsQuery => !in_replicated_execution() || is_controller(&caller),
            Self::Controller => is_controller(&caller),
            Self::Coordinator => STATE.with_borrow(|state| state.coordinator == caller),
        };
        match (is_allowed, self) {
            (true, _) => Ok(()),
            (false, Self::Coordinator) => Err(format!("{caller} is not the coordinator of this index")),
            (false, Self::AnybodyAsQuery) => Err(format!("{caller} is no controller: ask it as a query")),
            (false, _) => Err(format!("{caller} is no controller of this index")),
        }
    }

    fn may_send(caller: Principal) -> Result<(), String> {
        Self::Controller.allows(caller)
    }
}

/// For `inspect_message`.
pub(crate) fn inspect() {
    decant_kit::access::inspect(METHODS);
}
