//! What is said by hand is what the `candid` crate and the kit's types say.

use candid::{CandidType, decode_one, encode_one};
use decant_api::KitError;
use decant_api::source::{DrainArgs, Fence, Hold, KitStatus, LayoutSummary};
use ic_cdk::call::{CallPerformFailed, CallRejected};

use super::*;

const TO: Principal = Principal::from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 1, 1]);
const COORDINATOR: Principal = Principal::from_slice(&[9; 29]);
const MOVED: Moved = Moved { to: TO, job: 300, coordinator: COORDINATOR, since_nanos: 5 };

#[derive(CandidType)]
struct TombstoneArgs {
    moved_to: Principal,
    job: u64,
    coordinator: Principal,
}

fn bytes(value: impl CandidType) -> Vec<u8> {
    encode_one(value).expect("it encodes")
}

#[test]
fn the_argument_is_read_as_any_client_writes_it() {
    let message = bytes(TombstoneArgs { moved_to: TO, job: 300, coordinator: COORDINATOR });
    assert_eq!(parse_moved(&message, 5), Ok(MOVED));
    for length in 0..message.len() {
        assert!(parse_moved(&message[..length], 5).is_err(), "cut off at {length}");
    }
}

#[test]
fn a_drain_is_read_with_every_amount() {
    for keep in [0, 127, 128, u128::from(u64::MAX), u128::MAX] {
        let message = bytes(DrainArgs { job: u64::MAX, to: COORDINATOR, keep });
        assert_eq!(parse_drain(&message), Ok(Drain { job: u64::MAX, to: COORDINATOR, keep }));
    }
}

#[test]
fn an_argument_that_is_something_else_is_refused() {
    assert!(parse_moved(b"", 0).is_err());
    assert!(parse_moved(b"DIDL\0\0", 0).is_err());
    assert!(parse_moved(&bytes("text"), 0).is_err());
    assert!(parse_moved(&bytes(Some(1_u64)), 0).is_err());
    assert!(parse_moved(&bytes(DrainArgs { job: 1, to: TO, keep: 2 }), 0).is_err());
    assert!(parse_drain(&bytes(TombstoneArgs { moved_to: TO, job: 300, coordinator: COORDINATOR })).is_err());
}

#[test]
fn the_place_is_written_as_candid_writes_it() {
    assert_eq!(encode(&Value::Principal(TO)), bytes(TO));
}

#[test]
fn the_status_is_that_of_a_retired_source() {
    let hold = Hold { job: 300, coordinator: COORDINATOR, peer: TO, since_nanos: 5 };
    let expected = KitStatus {
        kit_version: 1,
        fence: Fence::Moved { hold, to: TO },
        layout: LayoutSummary::Empty,
        stable_pages: 0,
        root: None,
        bytes_done: 0,
    };
    assert_eq!(decode_one::<KitStatus>(&status(&MOVED)).expect("it decodes"), expected);
}

#[test]
fn answers_to_a_drain_are_those_of_the_kit() {
    let read = |message: &[u8]| decode_one::<Result<u128, KitError>>(message).expect("it decodes");
    for amount in [0, 300, u128::MAX] {
        assert_eq!(read(&encode(&Value::Variant("Ok", Box::new(Value::Nat(amount))))), Ok(amount));
    }
    let message = refused("NotAuthorised", vec![("caller", Value::Principal(TO))]);
    assert_eq!(read(&message), Err(KitError::NotAuthorised { caller: TO }));
    let (canister, method) = (Principal::management_canister(), DEPOSIT.to_owned());
    let rejected = CallRejected::with_rejection(SYS_UNKNOWN, "lost".to_owned());
    let expected = KitError::CallFailed { canister, method, reason: "lost".to_owned(), is_unknown: true };
    assert_eq!(read(&call_failed(&rejected.into())), Err(expected));
    let failed = read(&call_failed(&CallPerformFailed.into()));
    assert!(matches!(failed, Err(KitError::CallFailed { is_unknown: false, .. })));
}
