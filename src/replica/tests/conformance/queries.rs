//! Queries: they see the latest state and change nothing. Abstract behavior, "Query call"; canister
//! interface, "Replicated and Non-Replicated execution mode".

use pocket_ic::{ErrorCode, RejectCode};

use crate::support::canisters::{
    OWNER, ask, assert_reject_code, assert_rejected, install_universal, install_universal_on, number,
    rejection, run, slot, try_ask, try_run,
};
use crate::support::engine;
use crate::support::script::{Call, Script, script};

fn count() -> Script {
    script().bump(0).get(0).append_int().reply()
}

/// "Query call": the state after is the state before but for statistics.
#[test]
fn what_a_query_changes_is_discarded() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    assert_eq!(number(&run(&pic, canister, count())), 1);
    for _ in 0..3 {
        assert_eq!(number(&ask(&pic, canister, count())), 2);
    }
    ask(&pic, canister, script().stable_grow(1).forget().stable_write(0, b"x").reply());
    assert_eq!(number(&run(&pic, canister, count())), 2);
    assert_eq!(pic.get_stable_memory(canister), b"");
}

/// "Query call": a query is not part of a message, so it costs the canister nothing on this platform (cycle
/// costs).
#[test]
fn a_query_leaves_the_balance_alone() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let before = pic.cycle_balance(canister);
    ask(&pic, canister, script().spin(100_000).reply());
    assert_eq!(pic.cycle_balance(canister), before);
}

/// "Replicated execution check": 1 in replicated mode, 0 otherwise; a query method called as an update is
/// replicated.
#[test]
fn a_query_method_knows_whether_it_is_replicated() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let mode = || script().replicated().append_int().reply();
    assert_eq!(number(&run(&pic, canister, mode())), 1);
    assert_eq!(number(&ask(&pic, canister, mode())), 0);
    let replicated = pic.update_call(canister, OWNER, "ask", mode().bytes()).expect("a reply");
    assert_eq!(number(&replicated), 1);
}

/// Canister interface, "Replicated and Non-Replicated execution mode": update methods are not run as queries.
#[test]
fn an_update_method_can_not_be_queried() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let outcome = pic.query_call(canister, OWNER, "run", count().bytes());
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterMethodNotFound);
    assert_eq!(slot(&pic, canister, 0), 0);
}

/// "Query call": rejects and traps reach the user with the codes of "Reject codes".
#[test]
fn rejects_and_traps_of_queries_reach_the_user() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let reject =
        assert_reject_code(try_ask(&pic, canister, script().reject(b"no")), RejectCode::CanisterReject);
    assert_eq!(reject.reject_message, "no");
    let trap = try_ask(&pic, canister, script().trap(b"boom"));
    assert_rejected(trap, RejectCode::CanisterError, ErrorCode::CanisterCalledTrap);
    let silent = try_ask(&pic, canister, script());
    assert_rejected(silent, RejectCode::CanisterError, ErrorCode::CanisterDidNotReply);
}

/// Canister interface, "Overview of imports": `call_new` is not available to queries.
#[test]
fn a_plain_query_can_not_call() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let outcome = try_ask(&pic, caller, script().call(Call::new(callee, "ask").arg(&count().bytes())));
    assert_reject_code(outcome, RejectCode::CanisterError);
}

/// "Query call": composite queries call queries and composite queries of the same subnet.
#[test]
fn a_composite_query_calls_queries() {
    let pic = engine::pic();
    let [top, middle, leaf] = [(); 3].map(|()| install_universal(&pic));
    run(&pic, leaf, script().int(42).set(0).reply());
    let read = script().get(0).append_int().caller().append().reply();
    let relay = script().call(Call::new(leaf, "ask").arg(&read.bytes()));
    let query = script().call(Call::new(middle, "gather").arg(&relay.bytes()));
    let reply = pic.query_call(top, OWNER, "gather", query.bytes()).expect("a reply");
    assert_eq!(number(&reply[..8]), 42);
    assert_eq!(&reply[8..], middle.as_slice(), "the caller is the canister that called");
}

/// "Query call": what the callees of a composite query change is discarded as well, and its callbacks see its
/// heap.
#[test]
fn a_composite_query_keeps_its_heap_for_its_callbacks_only() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let on_reply = script().bump(0).get(0).append_int().arg().append().reply();
    let query =
        script().bump(0).call(Call::new(callee, "ask").arg(&count().bytes()).on_reply(on_reply)).bytes();
    for _ in 0..2 {
        let reply = pic.query_call(caller, OWNER, "gather", query.clone()).expect("a reply");
        assert_eq!((number(&reply[..8]), number(&reply[8..])), (2, 1));
    }
    assert_eq!([slot(&pic, caller, 0), slot(&pic, callee, 0)], [0, 0]);
}

/// "Query call": a reject of a callee is given to the composite query's reject callback.
#[test]
fn a_composite_query_hears_of_rejects() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let refuse = Call::new(callee, "ask").arg(&script().reject(b"not you").bytes());
    let reply = pic.query_call(caller, OWNER, "gather", script().call(refuse).bytes()).expect("a reply");
    let (code, message) = rejection(&reply);
    assert_eq!((code, message.as_str()), (4, "not you"));
}

/// "Query call": "calling to another subnet" rejects.
#[test]
fn a_composite_query_does_not_reach_other_subnets() {
    let (pic, [here, there]) = engine::pic_with_two_subnets();
    let (caller, callee) = (install_universal_on(&pic, here), install_universal_on(&pic, there));
    let far = Call::new(callee, "ask").arg(&script().int(1).append_int().reply().bytes());
    // Whether the query as a whole rejects or its reject callback is told is up to the implementation.
    match pic.query_call(caller, OWNER, "gather", script().call(far).bytes()) {
        Err(reject) => assert_eq!(reject.reject_code, RejectCode::CanisterError, "{reject}"),
        Ok(reply) => assert_ne!(rejection(&reply).0, 0),
    }
}

/// Canister interface, "Replicated and Non-Replicated execution mode": composite queries are never
/// replicated.
#[test]
fn a_composite_query_can_not_be_an_update() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let outcome = pic.update_call(canister, OWNER, "gather", count().bytes());
    assert_reject_code(outcome, RejectCode::CanisterError);
    let inside = Call::new(canister, "gather").arg(&count().bytes());
    let reply = try_run(&pic, canister, script().call(inside)).expect("the reject is reported");
    assert_eq!(rejection(&reply).0, 5);
}

/// "Query call": a query that takes too many instructions rejects (resource limits: 5 billion).
#[test]
fn a_query_that_takes_too_long_rejects() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let outcome = try_ask(&pic, canister, script().spin(u64::MAX).reply());
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterInstructionLimitExceeded);
    assert_eq!(number(&ask(&pic, canister, count())), 1, "and the canister answers the next one");
}
