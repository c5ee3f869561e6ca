//! Bounded waiting: tests wait for a condition, never for a number of rounds.

use candid::Principal;
use pocket_ic::common::rest::RawMessageId;
use pocket_ic::{PocketIc, RejectResponse};

use super::canisters::OWNER;
use super::script::Script;

/// Rounds after which a condition is given up.
const MAX_ROUNDS: usize = 200;

/// Ticks until `condition` gives a value.
#[track_caller]
pub(crate) fn until<T>(pic: &PocketIc, what: &str, mut condition: impl FnMut(&PocketIc) -> Option<T>) -> T {
    for _ in 0..MAX_ROUNDS {
        if let Some(value) = condition(pic) {
            return value;
        }
        pic.tick();
    }
    panic!("after {MAX_ROUNDS} rounds still waiting for {what}");
}

/// Submits a script to the universal canister without executing a round.
pub(crate) fn submit(pic: &PocketIc, canister: Principal, script: Script) -> RawMessageId {
    pic.submit_call(canister, OWNER, "run", script.bytes()).expect("the message is accepted")
}

/// Ticks until the message is answered.
#[track_caller]
pub(crate) fn answer(pic: &PocketIc, message: &RawMessageId) -> Result<Vec<u8>, RejectResponse> {
    until(pic, "the answer", |pic| pic.ingress_status(message.clone()))
}

/// Ticks until the message is answered and counts the rounds that took.
#[track_caller]
pub(crate) fn rounds_until_answered(pic: &PocketIc, message: &RawMessageId) -> usize {
    let mut asked = 0;
    until(pic, "the answer", |pic| {
        asked += 1;
        pic.ingress_status(message.clone())
    })
    .expect("a reply");
    asked - 1
}
