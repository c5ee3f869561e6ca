//! Who may call what.

use crate::store;
use candid::Principal;
use decant_kit::access::Rule;
use ic_cdk::api::in_replicated_execution;

/// Those who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Everybody, also from a canister: it looks one thing up.
    Anybody,
    /// Everybody as a query that one node answers; what the subnet executes, and this canister pays, for those alone
    /// who are known here.
    AnybodyAsQuery,
    /// Everybody, of one node: the subnet executes it for nobody.
    OneNode,
    /// Whom a plan names as index.
    Index,
    /// Whom governance named for it, and governance. Being a controller is none of it.
    Operator,
    /// The same, and whom governance named to observe.
    Observer,
    /// Whose proposals are executed.
    Governance,
}

/// Bytes of the argument of a method that takes a few numbers and ids.
const FEW: usize = 1_000;
/// Bytes of a thousand ids.
const IDS: usize = 64_000;
/// Bytes of what a gateway passes on of a browser: its headers.
const HEADERS: usize = 64_000;
/// Bytes of a plan: what a message between subnets may have.
const PLAN: usize = 2 << 20;

decant_kit::methods! { Who;
    query decant_render: AnybodyAsQuery, PLAN;
    update decant_validate: Operator, PLAN;
    update decant_execute: Governance, PLAN;
    query decant_roles: AnybodyAsQuery, FEW;
    query decant_assess: Observer, IDS;
    query decant_plan: AnybodyAsQuery, FEW;
    update decant_tempo: Operator, FEW;
    update decant_release: Operator, FEW;
    update decant_delete_pooled: Operator, FEW;
    update decant_enrol: Index, IDS;
    update decant_withdraw: Index, IDS;
    update decant_pause: Operator, FEW;
    update decant_retry: Operator, FEW;
    update decant_abort: Operator, FEW;
    update decant_skip: Operator, FEW;
    update decant_revert: Operator, FEW;
    update decant_all: Operator, FEW;
    query decant_summary: AnybodyAsQuery, FEW;
    query decant_jobs: AnybodyAsQuery, FEW;
    query decant_pool: AnybodyAsQuery, FEW;
    query decant_job: Anybody, FEW;
    query decant_job_of: Anybody, FEW;
    query decant_resolve: Anybody, FEW;
    query decant_events: AnybodyAsQuery, FEW;
    query decant_evidence: Anybody, FEW;
    query http_request: OneNode, HEADERS;
}

impl Rule for Who {
    fn allows(self, caller: Principal) -> Result<(), String> {
        match self {
            Self::Anybody => Ok(()),
            Self::AnybodyAsQuery if !in_replicated_execution() => Ok(()),
            Self::AnybodyAsQuery => Self::may_send(caller),
            Self::OneNode if !in_replicated_execution() => Ok(()),
            Self::OneNode => {
                Err("it is answered by one node, as a query: the subnet executes it for nobody".to_owned())
            }
            Self::Index if store::is_index(caller) => Ok(()),
            Self::Index => Err(format!("{caller} is no index of an approved plan")),
            Self::Operator if caller == store::governance() || store::is_operator(caller) => Ok(()),
            Self::Operator => {
                Err(format!("{caller} may not operate this coordinator: governance names who may"))
            }
            Self::Observer if store::is_observer(caller) => Ok(()),
            Self::Observer => Self::Operator.allows(caller),
            Self::Governance => {
                let governance = store::governance();
                match caller == governance {
                    true => Ok(()),
                    false => Err(format!("{caller} may execute nothing: propose it to {governance}")),
                }
            }
        }
    }

    fn may_send(caller: Principal) -> Result<(), String> {
        Self::Operator
            .allows(caller)
            .or_else(|_| Self::Index.allows(caller))
            .or_else(|_| Self::Observer.allows(caller))
            .map_err(|_| format!("{caller} is not known here: ask it as a query"))
    }
}

/// For `inspect_message`.
pub(crate) fn inspect() {
    decant_kit::access::inspect(METHODS);
}
