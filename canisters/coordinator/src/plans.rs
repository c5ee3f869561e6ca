//! What governance approves: shown to voters when it is proposed, checked again when it is executed.

use crate::money::{self, Prices};
use crate::{management, store};
use decant_api::plan::{ModuleUse, Plan, Strategy};
use decant_words::{LEAST_TARGET, hex};
use serde_bytes::ByteBuf;

#[cfg(test)]
mod tests;

/// Plans that are kept.
const PLANS: u64 = 10_000;
/// Messages that a queue between two canisters holds (docs, "resource limits").
#[cfg(test)]
const QUEUE: u64 = 500;
/// Bytes that a call holds on the heap: a request and a response of 2 MiB, and what is decoded of that.
#[cfg(test)]
const CALL_BYTES: u64 = 3 * (2 << 20);
/// Bytes of the heap of a canister, by default.
#[cfg(test)]
const HEAP_BYTES: u64 = 3 << 30;

/// Whether its modules are in the chunk store.
pub(crate) async fn check_chunks(plan: &Plan) -> Result<(), String> {
    let stored = management::stored_chunks().await.map_err(|failure| failure.to_string())?;
    for chunk in chunks(plan) {
        if !stored.contains(chunk) {
            return Err(format!(
                "chunk {} is not in the coordinator's chunk store: upload it to {} first",
                hex(chunk),
                ic_cdk::api::canister_self()
            ));
        }
    }
    Ok(())
}

/// Chunks that the plan's modules are made of.
fn chunks(plan: &Plan) -> impl Iterator<Item = &ByteBuf> {
    let tombstone = plan.tombstone.iter().flat_map(|module| &module.chunk_hashes);
    let (module, used): (_, &[ModuleUse]) = match &plan.strategy {
        Strategy::Relocate(relocation) => (Some(&relocation.module), &[]),
        other => (None, other.by_vessel().map_or(&[], |by| &by.modules)),
    };
    let module = module.into_iter().flat_map(|module| &module.chunk_hashes);
    tombstone.chain(module).chain(used.iter().flat_map(|module| &module.chunk_hashes))
}

/// Whether one more plan can be kept.
pub(crate) fn check_room() -> Result<(), String> {
    match store::plan_count() < PLANS {
        true => Ok(()),
        false => Err(format!("there are {PLANS} plans already")),
    }
}

/// Whether it may spend what its first job takes, at the prices of this subnet, and whether the coordinator carries as many
/// jobs at a time as it says.
pub(crate) fn check_means(plan: &Plan) -> Result<(), String> {
    let modules = plan.strategy.by_vessel().map_or(&[][..], |by| &by.modules);
    let to_read = modules.iter().filter(|module| module.chunk_hashes.is_empty()).count();
    let prices = Prices::now();
    let least = money::least(plan.per_target(), to_read, prices);
    if plan.max_cycles < least {
        return Err(format!("max_cycles is {} and must be {least} at least", plan.max_cycles));
    }
    money::check_target(plan.per_target(), prices.here(LEAST_TARGET), (0, false), prices)?;
    let needed = money::needed(plan.per_target(), plan.max_in_flight, prices);
    let liquid = ic_cdk::api::canister_liquid_cycle_balance();
    match liquid >= needed {
        true => Ok(()),
        false => Err(format!(
            "max_in_flight: {} jobs at a time take {needed} cycles of the coordinator, which has {liquid}: top it up, or \
             let fewer run",
            plan.max_in_flight
        )),
    }
}
