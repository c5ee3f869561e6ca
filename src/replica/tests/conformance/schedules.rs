//! Rounds: how many a call takes, and what runs in between. The specification fixes the order of requests between
//! two canisters alone ("Ordering guarantees"); the rest is the platform's (dfinity/ic, `scheduler.rs`).

use crate::support::canisters::{
    install, install_universal, number, numbers, run, slot, universal_exporting,
};
use crate::support::engine;
use crate::support::management::OfCanister;
use crate::support::script::{Call, Hook, echo, script};
use crate::support::wait::{answer, rounds_until_answered, submit, until};
use candid::Principal;

/// More than a slice, which are 2 B instructions (code, `MAX_INSTRUCTIONS_PER_SLICE`): a turn has seven operators.
const LONG_SPIN: u64 = 500_000_000;

fn status_of(canister_id: Principal) -> Call {
    Call::management("canister_status", (OfCanister { canister_id },))
}

/// Code, `induct_messages_on_same_subnet`: "Messages sent to the subnet are not handled i.e. they take the slow path
/// through message routing".
#[test]
fn a_call_of_the_management_canister_takes_a_round_each_way() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let message = submit(&pic, canister, script().call(status_of(canister)));
    assert_eq!(rounds_until_answered(&pic, &message), 3);
}

/// Code, `execute_round`, "Execute postponed `raw_rand` subnet messages".
#[test]
fn random_bytes_are_those_of_the_next_round() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let message = submit(&pic, canister, script().call(Call::management("raw_rand", ())));
    assert_eq!(rounds_until_answered(&pic, &message), 4);
}

/// Code, `initialize_inner_round`: a canister begins a round with its timer, its heartbeat or its messages, in turn, as
/// far as it has any; with its messages there is neither timer nor heartbeat.
#[test]
fn a_canister_with_messages_leaves_out_heartbeats_and_others_none() {
    const ROUNDS: u64 = 12;
    // A timer that is due every round is a third besides heartbeats and messages.
    for (has_timer, beats_beside_messages) in [(false, ROUNDS / 2), (true, ROUNDS * 2 / 3)] {
        let pic = engine::pic();
        let arm = || if has_timer { script().int(1).set_timer().forget() } else { script() };
        let init = script()
            .hook(Hook::Heartbeat, script().bump(0))
            .hook(Hook::GlobalTimer, script().bump(2).then(arm()))
            .then(arm());
        let canister = install(&pic, &universal_exporting(&["canister_heartbeat"]), &init.bytes());
        let beats = |with_messages: bool| {
            let before = [0, 2].map(|number| slot(&pic, canister, number));
            for _ in 0..ROUNDS {
                if with_messages {
                    submit(&pic, canister, script().bump(1).reply());
                }
                pic.tick();
            }
            [0, 2].map(|number| slot(&pic, canister, number) - before[usize::from(number == 2)])
        };
        let timers = |beats: u64| if has_timer { beats } else { 0 };
        assert_eq!(beats(false), [ROUNDS, timers(ROUNDS)]);
        assert_eq!(beats(true), [beats_beside_messages, timers(beats_beside_messages)]);
        assert_eq!(slot(&pic, canister, 1), ROUNDS, "no message is left out");
    }
}

/// Code, `inner_round`: "Induct messages on the same subnet" after every iteration.
#[test]
fn a_call_within_a_subnet_is_answered_in_the_round_in_which_it_is_made() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let message = submit(&pic, caller, script().call(Call::run(callee, echo())));
    assert_eq!(rounds_until_answered(&pic, &message), 1);
}

/// The same: whoever waits for the management canister is overtaken by users.
#[test]
fn a_users_message_runs_while_a_canister_waits_for_the_management_canister() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let seen = status_of(canister).on_reply(script().get(0).append_int().reply());
    let waiting = submit(&pic, canister, script().call(seen));
    pic.tick();
    let overtaking = submit(&pic, canister, script().bump(0).reply());
    answer(&pic, &overtaking).expect("a reply");
    assert_eq!(number(&answer(&pic, &waiting).expect("a reply")), 1);
}

/// Code, `process_stopping_canisters`, at the end of a round.
#[test]
fn a_canister_that_has_nothing_open_stops_in_the_round_of_the_call() {
    let pic = engine::pic();
    let (controller, canister) = (install_universal(&pic), install_universal(&pic));
    pic.set_controllers(canister, None, vec![Principal::anonymous(), controller]).expect("the owner may");
    let stop = Call::management("stop_canister", (OfCanister { canister_id: canister },));
    let message = submit(&pic, controller, script().call(stop));
    assert_eq!(rounds_until_answered(&pic, &message), 3);
}

/// Code, `InputSchedule`: "Round-robin schedule for canister inputs, across ingress, local senders and remote senders;
/// as well as within local senders and remote senders".
#[test]
fn senders_take_turns() {
    let pic = engine::pic();
    let [one, other, callee] = [(); 3].map(|()| install_universal(&pic));
    run(&pic, callee, script().stable_grow(1).forget().reply());
    let note = |letter: &[u8]| script().get(0).blob(letter).stable_store().bump(0).reply();
    let calls = |letter: &[u8]| {
        let call = Call::run(callee, note(letter)).on_reply(script()).on_reject(script());
        (0..4).fold(script(), |all, _| all.call(call.clone())).reply()
    };
    let messages = [submit(&pic, one, calls(b"a")), submit(&pic, other, calls(b"b"))];
    for message in &messages {
        answer(&pic, message).expect("a reply");
    }
    until(&pic, "eight calls", |pic| (slot(pic, callee, 0) == 8).then_some(()));
    let notes = pic.get_stable_memory(callee)[..8].to_vec();
    for pair in notes.chunks(2) {
        assert!(pair == b"ab" || pair == b"ba", "{}", String::from_utf8_lossy(&notes));
    }
}

/// Resource limits, "Deterministic time slicing": a message beyond a slice takes several rounds. Meanwhile its canister
/// executes nothing else, and queries see it as it was.
#[test]
fn a_long_message_takes_several_rounds_and_takes_effect_at_its_end() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let long = submit(&pic, canister, script().bump(0).spin(LONG_SPIN).get(0).append_int().reply());
    pic.tick();
    assert_eq!(pic.ingress_status(long.clone()), None);
    assert_eq!(slot(&pic, canister, 0), 0, "nothing of it is to be seen");
    let next = submit(&pic, canister, script().bump(0).get(0).append_int().reply());
    assert_eq!(number(&answer(&pic, &next).expect("a reply")), 2, "the next message comes after it");
    assert_eq!(number(&answer(&pic, &long).expect("a reply")), 1);
}

/// The same: other canisters have their turns, and a call about the busy one waits (code, `can_execute_subnet_msg`).
#[test]
fn a_long_message_holds_up_neither_others_nor_is_it_disturbed() {
    let pic = engine::pic();
    let (busy, other) = (install_universal(&pic), install_universal(&pic));
    let long = submit(&pic, busy, script().bump(0).spin(LONG_SPIN).reply());
    pic.tick();
    let quick = submit(&pic, other, script().reply());
    assert_eq!(rounds_until_answered(&pic, &quick), 1);
    assert_eq!(pic.ingress_status(long.clone()), None);
    pic.uninstall_canister(busy, None).expect("its turn comes after the message");
    answer(&pic, &long).expect("the message was answered first");
}

/// A long message that traps leaves nothing, at its end.
#[test]
fn a_long_message_that_traps_leaves_nothing() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let before = pic.cycle_balance(canister);
    let long = submit(&pic, canister, script().bump(0).stable_grow(1).forget().spin(LONG_SPIN).trap(b"no"));
    assert!(rounds_until_rejected(&pic, &long) > 1);
    assert_eq!(
        numbers(&run(&pic, canister, script().get(0).append_int().stable_size().append_int().reply())),
        [0, 0]
    );
    assert!(pic.cycle_balance(canister) + u128::from(LONG_SPIN) < before, "it is paid for");
}

fn rounds_until_rejected(
    pic: &pocket_ic::PocketIc,
    message: &pocket_ic::common::rest::RawMessageId,
) -> usize {
    let mut asked = 0;
    until(pic, "the answer", |pic| {
        asked += 1;
        pic.ingress_status(message.clone())
    })
    .expect_err("a reject");
    asked - 1
}
