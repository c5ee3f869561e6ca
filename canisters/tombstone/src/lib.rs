//! What stays of a source whose id must go on answering: where its state is now, and nothing else. Every
//! other call is rejected because there is no such method.
//!
//! Install it with mode `reinstall`, which gives the stable memory back. It has none itself: what it knows
//! comes with the argument, at an upgrade too. It speaks Candid by hand (`wire`) and has a small stack,
//! because all of its memory is paid for as long as it stands.

use std::cell::Cell;

use candid::Principal;
use ic_cdk::api::{canister_liquid_cycle_balance, is_controller, msg_caller, time};
use ic_cdk::call::{Call, CallFailed};
use ic_cdk::{init, post_upgrade, query, update};

mod wire;

#[cfg(test)]
mod tests;

use wire::{Field, Value, decode, encode, field_id};

/// Version of the kit's interface, as far as it is kept.
const KIT_VERSION: u32 = 1;
/// Cycles that a drain leaves besides what it is told and what its own call may cost; as in the kit.
const DRAIN_HEADROOM_CYCLES: u128 = 1_000_000_000;
/// Reject code of a call whose outcome is unknown (interface specification, "Reject codes").
const SYS_UNKNOWN: u32 = 6;
const DEPOSIT: &str = "deposit_cycles";

/// What a tombstone is installed with, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moved {
    to: Principal,
    job: u64,
    coordinator: Principal,
    since_nanos: u64,
}

/// What a drain is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Drain {
    job: u64,
    to: Principal,
    keep: u128,
}

thread_local! {
    static MOVED: Cell<Option<Moved>> = const { Cell::new(None) };
}

#[init(decode_with = "moved_now")]
fn init(moved: Moved) {
    MOVED.set(Some(moved));
}

#[post_upgrade(decode_with = "moved_now")]
fn post_upgrade(moved: Moved) {
    MOVED.set(Some(moved));
}

#[query(hidden = true, encode_with = "encoded")]
fn decant_moved_to() -> Vec<u8> {
    encode(&Value::Principal(moved().to))
}

#[query(hidden = true, encode_with = "encoded")]
fn decant_status() -> Vec<u8> {
    status(&moved())
}

#[update(hidden = true, decode_with = "drain_args", encode_with = "encoded")]
async fn decant_drain(args: Drain) -> Vec<u8> {
    let (caller, held) = (msg_caller(), moved());
    if !is_controller(&caller) {
        return refused("NotAuthorised", vec![("caller", Value::Principal(caller))]);
    }
    if (held.job, held.coordinator) != (args.job, caller) {
        let coordinator = Value::Principal(held.coordinator);
        let jobs = [("holder", Value::Nat64(held.job)), ("asked", Value::Nat64(args.job))];
        return refused("HeldByOther", [("coordinator", coordinator)].into_iter().chain(jobs).collect());
    }
    match send_all_but(args.keep, args.to).await {
        Ok(amount) => encode(&Value::Variant("Ok", Box::new(Value::Nat(amount)))),
        Err(error) => call_failed(&error),
    }
}

/// Sends all cycles away, but for `keep` and what the call itself may cost. In a call without deadline, so
/// that the outcome is always known; safe to repeat.
async fn send_all_but(keep: u128, to: Principal) -> Result<u128, CallFailed> {
    let args = encode(&Value::Record(vec![("canister_id", Value::Principal(to))]));
    let call = Call::unbounded_wait(Principal::management_canister(), DEPOSIT).with_raw_args(&args);
    let reserved = keep.saturating_add(call.get_cost()).saturating_add(DRAIN_HEADROOM_CYCLES);
    let amount = canister_liquid_cycle_balance().saturating_sub(reserved);
    if amount > 0 {
        call.with_cycles(amount).await?;
    }
    Ok(amount)
}

/// As a retired source answers it.
fn status(moved: &Moved) -> Vec<u8> {
    let hold = Value::Record(vec![
        ("job", Value::Nat64(moved.job)),
        ("coordinator", Value::Principal(moved.coordinator)),
        ("peer", Value::Principal(moved.to)),
        ("since_nanos", Value::Nat64(moved.since_nanos)),
    ]);
    let fence = Value::Record(vec![("hold", hold), ("to", Value::Principal(moved.to))]);
    encode(&Value::Record(vec![
        ("kit_version", Value::Nat32(KIT_VERSION)),
        ("fence", Value::Variant("Moved", Box::new(fence))),
        ("layout", Value::Variant("Empty", Box::new(Value::Null))),
        ("stable_pages", Value::Nat64(0)),
        ("bytes_done", Value::Nat64(0)),
    ]))
}

fn call_failed(error: &CallFailed) -> Vec<u8> {
    let (reason, is_unknown) = match error {
        CallFailed::InsufficientLiquidCycleBalance(_) => ("there are not enough cycles for the call", false),
        CallFailed::CallPerformFailed(_) => ("the call could not be made", false),
        CallFailed::CallRejected(rejected) => {
            (rejected.reject_message(), rejected.raw_reject_code() == SYS_UNKNOWN)
        }
    };
    refused(
        "CallFailed",
        vec![
            ("canister", Value::Principal(Principal::management_canister())),
            ("method", Value::Text(DEPOSIT)),
            ("reason", Value::Text(reason)),
            ("is_unknown", Value::Bool(is_unknown)),
        ],
    )
}

fn refused(name: &'static str, fields: Vec<(&'static str, Value<'_>)>) -> Vec<u8> {
    let error = Value::Variant(name, Box::new(Value::Record(fields)));
    encode(&Value::Variant("Err", Box::new(error)))
}

/// The argument of `init`, from the message.
fn moved_now(message: Vec<u8>) -> Moved {
    parse_moved(&message, time()).unwrap_or_else(|reason| ic_cdk::trap(reason))
}

/// The argument of a drain, from the message.
fn drain_args(message: Vec<u8>) -> Drain {
    parse_drain(&message).unwrap_or_else(|reason| ic_cdk::trap(reason))
}

fn parse_moved(message: &[u8], since_nanos: u64) -> Result<Moved, &'static str> {
    let fields = decode(message)?;
    let (to, coordinator) = (principal(&fields, "moved_to")?, principal(&fields, "coordinator")?);
    Ok(Moved { to, coordinator, job: job(&fields)?, since_nanos })
}

fn parse_drain(message: &[u8]) -> Result<Drain, &'static str> {
    let fields = decode(message)?;
    Ok(Drain { job: job(&fields)?, to: principal(&fields, "to")?, keep: number(&fields, "keep")? })
}

fn job(fields: &[(u32, Field)]) -> Result<u64, &'static str> {
    u64::try_from(number(fields, "job")?).map_err(|_| "a job has 64 bits")
}

fn number(fields: &[(u32, Field)], name: &str) -> Result<u128, &'static str> {
    match find(fields, name) {
        Some(Field::Nat(number)) => Ok(number),
        _ => Err("a number is missing in the argument: see the interface file"),
    }
}

fn principal(fields: &[(u32, Field)], name: &str) -> Result<Principal, &'static str> {
    match find(fields, name) {
        Some(Field::Principal(principal)) => Ok(principal),
        _ => Err("a principal is missing in the argument: see the interface file"),
    }
}

fn find(fields: &[(u32, Field)], name: &str) -> Option<Field> {
    fields.iter().find(|(id, _)| *id == field_id(name)).map(|(_, field)| *field)
}

fn encoded(message: Vec<u8>) -> Vec<u8> {
    message
}

fn moved() -> Moved {
    // Without an argument `init` traps, and nothing is installed.
    MOVED.get().unwrap_or_else(|| ic_cdk::trap("the tombstone was not set up"))
}
