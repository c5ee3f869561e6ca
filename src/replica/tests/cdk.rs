//! A canister written with the current `ic-cdk`, `ic-cdk-timers` and `ic-stable-structures` works, on whatever
//! engine answers.

#[expect(dead_code, reason = "other test targets use the rest")]
#[path = "support/engine.rs"]
mod engine;
#[path = "support/notes.rs"]
mod notes;

use std::time::Duration;

use candid::{Principal, encode_args, encode_one};
use pocket_ic::{PocketIc, update_candid};

/// Two fresh canisters of one subnet with the notes installed.
fn two_canisters(pic: &PocketIc) -> [Principal; 2] {
    std::array::from_fn(|_| {
        let id = pic.create_canister();
        pic.add_cycles(id, 100_000_000_000_000);
        pic.install_canister(id, notes::wasm(), encode_args(()).expect("encodes"), None);
        id
    })
}

fn add(pic: &PocketIc, id: Principal, text: &str) -> u64 {
    let (index,): (u64,) = update_candid(pic, id, "add", (text,)).expect("a note is taken");
    index
}

fn note(pic: &PocketIc, id: Principal, index: u64) -> Option<String> {
    let (found,) = pocket_ic::query_candid(pic, id, "note", (index,)).expect("a query answers");
    found
}

#[test]
fn stable_structures_keep_their_content_over_an_upgrade() {
    let pic = engine::pic();
    let [id, _] = two_canisters(&pic);
    assert_eq!(add(&pic, id, "first"), 0);
    assert_eq!(add(&pic, id, "second"), 1);
    pic.upgrade_canister(id, notes::wasm(), encode_args(()).expect("encodes"), None).expect("it upgrades");
    assert_eq!(note(&pic, id, 0).as_deref(), Some("first"));
    assert_eq!(note(&pic, id, 1).as_deref(), Some("second"));
    assert_eq!(note(&pic, id, 2), None);
}

#[test]
fn a_trap_takes_back_what_the_message_wrote() {
    let pic = engine::pic();
    let [id, _] = two_canisters(&pic);
    let rejected = pic
        .update_call(id, Principal::anonymous(), "add_then_trap", encode_one("lost").expect("encodes"))
        .expect_err("the canister traps");
    assert!(rejected.reject_message.contains("no note today"), "{rejected}");
    assert_eq!(note(&pic, id, 0), None);
    assert_eq!(add(&pic, id, "kept"), 0);
}

#[test]
fn canisters_call_each_other_with_and_without_a_deadline() {
    let pic = engine::pic();
    let [one, other] = two_canisters(&pic);
    add(&pic, other, "over there");
    let (fetched,): (Result<u64, String>,) =
        update_candid(&pic, one, "fetch", (other, 0u64)).expect("the call is answered");
    assert_eq!(fetched, Ok(0));
    let (fetched,): (Result<u64, String>,) =
        update_candid(&pic, one, "fetch_in_time", (other, 0u64, 60u32)).expect("the call is answered");
    assert_eq!(fetched, Ok(1));
    assert_eq!(note(&pic, one, 0).as_deref(), Some("over there"));
    let (missing,): (Result<u64, String>,) =
        update_candid(&pic, one, "fetch", (other, 7u64)).expect("the call is answered");
    assert!(missing.expect_err("there is no such note").contains("has no note 7"));
}

#[test]
fn a_composite_query_asks_another_canister() {
    let pic = engine::pic();
    let [one, other] = two_canisters(&pic);
    add(&pic, other, "over there");
    let (found,): (Option<String>,) =
        pocket_ic::query_candid(&pic, one, "look", (other, 0u64)).expect("the query answers");
    assert_eq!(found.as_deref(), Some("over there"));
}

#[test]
fn a_timer_fires_when_its_time_has_come() {
    let pic = engine::pic();
    let [id, _] = two_canisters(&pic);
    let ticks = || -> u64 {
        let (ticks,) = pocket_ic::query_candid(&pic, id, "ticks", ()).expect("a query answers");
        ticks
    };
    assert_eq!(ticks(), 0);
    for expected in 1..=3 {
        pic.advance_time(Duration::from_secs(61));
        for _ in 0..20 {
            if ticks() >= expected {
                break;
            }
            pic.tick();
        }
        assert_eq!(ticks(), expected);
    }
}
