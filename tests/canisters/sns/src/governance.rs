//! Governance: registered functions, and proposals that are executed when their vote is over.

use crate::root::{ChangeCanister, Ids, RegisterDapps, SetControllers, Updates};
use candid::{CandidType, Principal};
use ic_cdk::api::time;
use ic_cdk::call::{Call, Response};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use std::cell::RefCell;

/// The first number that a registered function can have.
const FIRST_FUNCTION: u64 = 1_000;
/// Canisters that one proposal can name (`MAX_NUMBER_OF_DAPPS_TO_MANAGE_PER_PROPOSAL`).
const MAX_DAPPS: usize = 1_000;

/// A method of a canister, and the one that renders or refuses what it would be called with.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct Registered {
    id: u64,
    target: Principal,
    target_method: String,
    validator: Principal,
    validator_method: String,
}

/// What is proposed.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) enum Action {
    ExecuteFunction { id: u64, payload: ByteBuf },
    RegisterDappCanisters { canister_ids: Vec<Principal> },
    DeregisterDappCanisters { canister_ids: Vec<Principal>, new_controllers: Vec<Principal> },
    UpgradeCanister { canister: Principal, module: ByteBuf, argument: ByteBuf },
}

#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) enum Status {
    Open,
    Executed,
    Failed(String),
}

#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct Proposal {
    action: Action,
    /// What voters read.
    rendered: String,
    decided_nanos: u64,
    status: Status,
}

thread_local! {
    static FUNCTIONS: RefCell<Vec<Registered>> = const { RefCell::new(Vec::new()) };
    static PROPOSALS: RefCell<Vec<Proposal>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn add(function: Registered) -> Result<(), String> {
    FUNCTIONS.with_borrow_mut(|functions| {
        if function.id < FIRST_FUNCTION || functions.iter().any(|known| known.id == function.id) {
            return Err(format!("{} is no number for a new function", function.id));
        }
        functions.push(function);
        Ok(())
    })
}

fn function(id: u64) -> Result<Registered, String> {
    let found = FUNCTIONS.with_borrow(|functions| functions.iter().find(|known| known.id == id).cloned());
    found.ok_or_else(|| format!("there is no function {id}"))
}

pub(crate) async fn submit(action: Action, voting_seconds: u64) -> Result<u64, String> {
    let rendered = match &action {
        Action::ExecuteFunction { id, payload } => rendered(&function(*id)?, payload).await?,
        Action::RegisterDappCanisters { canister_ids }
        | Action::DeregisterDappCanisters { canister_ids, .. }
            if canister_ids.len() > MAX_DAPPS =>
        {
            return Err(format!("cannot specify more than {MAX_DAPPS} canister ids"));
        }
        other => format!("{other:?}").chars().take(1_000).collect(),
    };
    let decided_nanos = time() + voting_seconds * 1_000_000_000;
    Ok(PROPOSALS.with_borrow_mut(|proposals| {
        proposals.push(Proposal { action, rendered, decided_nanos, status: Status::Open });
        proposals.len() as u64 - 1
    }))
}

/// What the validator says. Anything but a text that it answers is a refusal.
async fn rendered(function: &Registered, payload: &ByteBuf) -> Result<String, String> {
    let Registered { validator, validator_method, .. } = function;
    let failed = |why: String| format!("the validator {validator_method} of {validator}: {why}");
    let response = Call::unbounded_wait(*validator, validator_method).with_raw_args(payload).await;
    response
        .map_err(|error| failed(error.to_string()))?
        .candid()
        .map_err(|error| failed(error.to_string()))?
}

pub(crate) async fn execute(id: u64, root: Principal) -> Result<Proposal, String> {
    let Proposal { action, decided_nanos, status, .. } =
        proposal(id).ok_or_else(|| format!("there is no proposal {id}"))?;
    if !matches!(status, Status::Open) {
        return Err(format!("proposal {id} was executed before"));
    }
    if time() < decided_nanos {
        return Err(format!("proposal {id} is being voted on"));
    }
    // Marked before the call: it is made once, whatever happens to the reply.
    set_status(id, Status::Failed("no reply yet".to_owned()));
    set_status(id, perform(action, root).await.map_or_else(Status::Failed, |()| Status::Executed));
    proposal(id).ok_or_else(|| format!("there is no proposal {id}"))
}

async fn perform(action: Action, root: Principal) -> Result<(), String> {
    match action {
        Action::ExecuteFunction { id, payload } => {
            let Registered { target, target_method, .. } = function(id)?;
            let response = Call::unbounded_wait(target, &target_method).with_raw_args(&payload).await;
            response.map(|_| ()).map_err(|error| error.to_string())
        }
        Action::RegisterDappCanisters { canister_ids } => {
            tell(root, "register_dapp_canisters", &RegisterDapps { canister_ids }).await.map(|_| ())
        }
        Action::DeregisterDappCanisters { canister_ids, new_controllers } => {
            let args = SetControllers {
                canister_ids: Some(Ids { canister_ids }),
                controller_principal_ids: new_controllers,
            };
            let updates: Updates = tell(root, "set_dapp_controllers", &args)
                .await?
                .candid()
                .map_err(|error| error.to_string())?;
            match updates.failed_updates.as_slice() {
                [] => Ok(()),
                failed => Err(format!("failed to deregister: {failed:?}")),
            }
        }
        Action::UpgradeCanister { canister, module, argument } => {
            let args = ChangeCanister { canister_id: canister, wasm_module: module, arg: argument };
            tell(root, "change_canister", &args).await.map(|_| ())
        }
    }
}

async fn tell(root: Principal, method: &str, args: &impl CandidType) -> Result<Response, String> {
    Call::unbounded_wait(root, method).with_arg(args).await.map_err(|error| error.to_string())
}

fn set_status(id: u64, status: Status) {
    PROPOSALS.with_borrow_mut(|proposals| {
        if let Some(proposal) = usize::try_from(id).ok().and_then(|index| proposals.get_mut(index)) {
            proposal.status = status;
        }
    });
}

pub(crate) fn proposal(id: u64) -> Option<Proposal> {
    let index = usize::try_from(id).ok()?;
    PROPOSALS.with_borrow(|proposals| proposals.get(index).cloned())
}
