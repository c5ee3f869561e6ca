//! Routes users to their canisters, controls them, and asks the coordinator to relocate them.

mod access;
mod control;

use candid::{CandidType, Principal};
use decant_api::routes::{EnrolError, SwapArgs, SwapError};
use decant_kit::routes::Routes;
use futures_util::future::try_join_all;
use ic_cdk::call::Call;
use serde::Deserialize;
use std::cell::RefCell;

/// Routes in one answer.
const PAGE: usize = 1_000;
/// Canisters in one call of `relocate`: each takes two calls to the management canister.
const BATCH: usize = 500;
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
}

thread_local! {
    static STATE: RefCell<State> =
        RefCell::new(State { coordinator: Principal::management_canister(), routes: Routes::default() });
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

#[ic_cdk::update(guard = "access::relocate")]
async fn relocate(canisters: Vec<Principal>) -> Result<Vec<u64>, String> {
    if canisters.len() > BATCH {
        return Err(format!("{} canisters exceed the {BATCH} that one call may name", canisters.len()));
    }
    let coordinator = STATE.with_borrow(|state| state.coordinator);
    for some in canisters.chunks(SHARED_AT_ONCE) {
        try_join_all(some.iter().map(|canister| control::share(*canister, coordinator))).await?;
    }
    let response = Call::unbounded_wait(coordinator, "decant_enrol")
        .with_arg(&canisters)
        .await
        .map_err(|error| format!("the coordinator {coordinator} did not enrol: {error}"))?;
    let enrolled: Result<Vec<u64>, EnrolError> = response.candid().map_err(|error| error.to_string())?;
    enrolled.map_err(|error| error.to_string())
}

#[ic_cdk::update(guard = "access::reroute")]
fn reroute(from: Principal, to: Principal) -> Result<(), SwapError> {
    STATE.with_borrow_mut(|state| state.routes.swap(from, to))
}

#[ic_cdk::update(guard = "access::decant_swap")]
fn decant_swap(args: SwapArgs) -> Result<(), SwapError> {
    STATE.with_borrow_mut(|state| state.routes.swap(args.from, args.to))
}

#[ic_cdk::query(guard = "access::decant_resolve")]
fn decant_resolve(canister: Principal) -> Principal {
    STATE.with_borrow(|state| state.routes.resolve(canister).unwrap_or(canister))
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
