//! What a composite query may use with all that it calls. Interface specification, "Query call": the
//! implementation limits depth and instructions of the whole; dfinity/ic, `query_call_graph.rs`: 5 billion
//! instructions, six calls deep, and who exceeds them ends the user's whole query.

use candid::Principal;
use pocket_ic::{ErrorCode, PocketIc, RejectCode, RejectResponse};

use crate::support::canisters::{OWNER, assert_rejected, install_universal, number};
use crate::support::engine;
use crate::support::script::{Call, Script, script};

fn gather(pic: &PocketIc, canister: Principal, query: Script) -> Result<Vec<u8>, RejectResponse> {
    pic.query_call(canister, OWNER, "gather", query.bytes())
}

/// Replies in any case, so that a reject of the callee would be swallowed.
fn swallowing(call: Call) -> Call {
    call.on_reject(script().int(1).append_int().reply())
}

/// About 3.5 billion instructions.
fn long() -> Script {
    script().spin(350_000_000)
}

#[test]
fn all_queries_of_a_composite_query_share_its_instructions() {
    let pic = engine::pic();
    let [top, leaf] = [(); 2].map(|()| install_universal(&pic));
    let call = || Call::new(leaf, "ask").arg(&long().reply().bytes());
    let once = swallowing(call()).on_reply(script().int(2).append_int().reply());
    assert_eq!(number(&gather(&pic, top, script().call(once)).expect("one is affordable")), 2);
    let twice = swallowing(call()).on_reply(script().call(swallowing(call())));
    let outcome = gather(&pic, top, script().call(twice));
    let code = ErrorCode::QueryCallGraphTotalInstructionLimitExceeded;
    assert_rejected(outcome, RejectCode::CanisterError, code);
}

#[test]
fn a_composite_query_that_goes_too_deep_ends_as_a_whole() {
    let pic = engine::pic();
    let canisters: Vec<Principal> = (0..9).map(|_| install_universal(&pic)).collect();
    // Each calls the next one; the last one replies.
    let chain = |calls: usize| {
        canisters[1..=calls].iter().rev().fold(script().int(7).append_int().reply(), |inner, next| {
            script().call(swallowing(Call::new(*next, "gather").arg(&inner.bytes())))
        })
    };
    assert_eq!(number(&gather(&pic, canisters[0], chain(5)).expect("not too deep")), 7);
    let outcome = gather(&pic, canisters[0], chain(8));
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::QueryCallGraphTooDeep);
}

#[test]
fn a_composite_query_that_has_answered_makes_no_more_calls() {
    let pic = engine::pic();
    let [top, leaf] = [(); 2].map(|()| install_universal(&pic));
    let endless = || Call::new(leaf, "ask").arg(&script().spin(u64::MAX).reply().bytes());
    let answered = script().int(5).append_int().reply().call(endless());
    assert_eq!(number(&gather(&pic, top, answered).expect("the answer")), 5);
    let short =
        Call::new(leaf, "ask").arg(&script().reply().bytes()).on_reply(script().int(6).append_int().reply());
    let answering = script().call(short).call(endless().on_reject(script().unreachable()));
    assert_eq!(number(&gather(&pic, top, answering).expect("the answer")), 6);
}
