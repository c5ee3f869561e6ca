//! Routes users to their canisters, controls them, and asks the coordinator to relocate them.

mod access;
mod control;

use candid::{CandidType, Principal};
use decant_api::JobId;
use decant_api::routes::{Ended, EnrolError, SwapArgs, SwapError};
use decant_kit::routes::Routes;
use futures_util::future::join_all;
use ic_cdk::call::Call;
use serde::Deserialize;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Routes in one answer.
const PAGE: usize = 1_000;
/// What became of jobs: the last ones.
const ENDED: usize = 1_000;
/// Canisters that are shared at a time: a tenth of the 500 messages that a queue between two canisters holds.
const SHARED_AT_ONCE: usize = 50;

/// What an index is told when it is installed.
#[derive(Debug, Clone, CandidType, Deserialize)]
struct InitArgs {
    coordinator: Principal,
}

/// A user's route.
#[derive(Debug, Clone, CandidType, Deserialize)]
struct Route {
    user: u64,
    canister: Principal,
}

/// Everything that an index knows.
#[derive(Debug, Clone, CandidType, Deserialize)]
struct State {
    coordinator: Principal,
    routes: Routes<u64>,
    /// What became of the last jobs. Earlier builds lack it.
    ended: Option<BTreeMap<JobId, Ended>>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::new(State {
        coordinator: Principal::management_canister(),
        routes: Routes::default(),
        ended: None,
    });
}

#[ic_cdk::init]
fn init(args: InitArgs) {
    STATE.with_borrow_mut(|state| state.coordinator = args.coordinator);
}

#[ic_cdk::pre_upgrade]
fn pre_upgrade() {
    let saved = STATE.with_borrow(|state| ic_cdk::storage::stable_save((state,)));
    if let Err(error) = saved {
        ic_cdk::trap(format!("the routes cannot be saved: {error}"));
    }
}

#[ic_cdk::post_upgrade]
fn post_upgrade() {
    match ic_cdk::storage::stable_restore::<(State,)>() {
        Ok((state,)) => STATE.set(state),
        Err(error) => ic_cdk::trap(format!("the routes cannot be read: {error}")),
    }
}

#[ic_cdk::inspect_message]
fn inspect() {
    access::inspect();
}

#[ic_cdk::update(guard = "access::register")]
fn register(routes: Vec<Route>) -> Result<(), String> {
    STATE.with_borrow_mut(|state| {
        let mut next = state.routes.clone();
        for route in routes {
            next.register(route.user, route.canister).map_err(|error| error.to_string())?;
        }
        state.routes = next;
        Ok(())
    })
}

/// Shares control of each canister with the coordinator, and enrols those; answers for each. What failed, and what is not
/// known, may be asked again: a canister that is enrolled answers with its job.
#[ic_cdk::update(guard = "access::relocate")]
async fn relocate(canisters: Vec<Principal>) -> Vec<Result<u64, String>> {
    let coordinator = STATE.with_borrow(|state| state.coordinator);
    let mut shared = Vec::new();
    for some in canisters.chunks(SHARED_AT_ONCE) {
        shared.extend(join_all(some.iter().map(|canister| control::share(*canister, coordinator))).await);
    }
    let mut answers = enrol(coordinator, &canisters, &shared).await.into_iter();
    // One that is not shared was not enrolled, so there is an answer for each that was.
    let no_answer = || Err("the coordinator did not answer for it".to_owned());
    shared.into_iter().map(|shared| shared.and_then(|()| answers.next().unwrap_or_else(no_answer))).collect()
}

/// Enrols the canisters that are shared; answers for each of these.
async fn enrol(
    coordinator: Principal,
    canisters: &[Principal],
    shared: &[Result<(), String>],
) -> Vec<Result<u64, String>> {
    let shared = canisters.iter().zip(shared).filter(|(_, shared)| shared.is_ok());
    let canisters: Vec<Principal> = shared.map(|(canister, _)| *canister).collect();
    let answered = Call::bounded_wait(coordinator, "decant_enrol").with_arg(&canisters).await;
    let answered = answered.map_err(|error| error.to_string());
    let answers: Result<Vec<Result<u64, EnrolError>>, String> =
        answered.and_then(|response| response.candid().map_err(|error| error.to_string()));
    match answers {
        Ok(answers) => answers.into_iter().map(|it| it.map_err(|error| error.to_string())).collect(),
        Err(error) => {
            let error = format!("the coordinator {coordinator} did not enrol: {error}");
            canisters.iter().map(|_| Err(error.clone())).collect()
        }
    }
}

#[ic_cdk::update(guard = "access::reroute")]
fn reroute(from: Principal, to: Principal) -> Result<(), SwapError> {
    STATE.with_borrow_mut(|state| state.routes.swap(from, to))
}

#[ic_cdk::update(guard = "access::decant_swap")]
fn decant_swap(args: SwapArgs) -> Result<(), SwapError> {
    STATE.with_borrow_mut(|state| match args.is_recycled {
        Some(true) => state.routes.swap_recycled(args.from, args.to),
        _ => state.routes.swap(args.from, args.to),
    })
}

#[ic_cdk::update(guard = "access::decant_ended")]
fn decant_ended(batch: Vec<Ended>) {
    STATE.with_borrow_mut(|state| {
        let ended = state.ended.get_or_insert_default();
        // It may be told twice.
        ended.extend(batch.into_iter().map(|it| (it.job, it)));
        while ended.len() > ENDED {
            ended.pop_first();
        }
    });
}

/// What became of the last jobs.
#[ic_cdk::query(guard = "access::ended")]
fn ended() -> Vec<Ended> {
    STATE.with_borrow(|state| state.ended.iter().flat_map(|ended| ended.values().cloned()).collect())
}

#[ic_cdk::query(guard = "access::decant_resolve")]
fn decant_resolve(canister: Principal) -> Principal {
    STATE.with_borrow(|state| {
        if state.routes.changed_owner(canister) {
            ic_cdk::trap(format!("{canister} was one user's canister, and is or was another's: ask by user"));
        }
        state.routes.resolve(canister).unwrap_or(canister)
    })
}

#[ic_cdk::query(guard = "access::route")]
fn route(user: u64) -> Option<Principal> {
    STATE.with_borrow(|state| state.routes.canister_of(&user))
}

#[ic_cdk::query(guard = "access::routes")]
fn routes(from: u64, limit: u32) -> Vec<Route> {
    let limit = usize::try_from(limit).unwrap_or(PAGE).min(PAGE);
    STATE.with_borrow(|state| {
        state
            .routes
            .iter()
            .filter(|(user, _)| **user >= from)
            .take(limit)
            .map(|(user, canister)| Route { user: *user, canister })
            .collect()
    })
}

#[cfg(test)]
mod tests;

// The interface as text, for the test of the interface file. It must stand after all methods.
#[cfg(test)]
candid::export_service!();
