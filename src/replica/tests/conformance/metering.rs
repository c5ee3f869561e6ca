//! Metering: what work costs. The specification leaves prices to the implementation ("Cycles"); cited are
//! cycle costs of the developer docs for a subnet of 13 nodes, and the sections on counters.

use std::time::Duration;

use candid::Principal;
use pocket_ic::PocketIc;

use crate::support::canisters::{OWNER, install_universal, number, numbers, run, slot, try_run};
use crate::support::engine;
use crate::support::management;
use crate::support::script::{Call, Script, script};
use crate::support::wait::until;

/// What `action` costs `canister`.
fn cost_of<T>(pic: &PocketIc, canister: Principal, action: impl FnOnce() -> T) -> (u128, T) {
    let before = pic.cycle_balance(canister);
    let result = action();
    (before - pic.cycle_balance(canister), result)
}

fn work(turns: u64) -> Script {
    script().spin(turns).counter(0).append_int().reply()
}

/// Asserts that `measured` is `expected`, give or take one in a hundred.
#[track_caller]
fn assert_near(measured: u128, expected: u128) {
    assert!(measured.abs_diff(expected) * 100 <= expected, "{measured}, not {expected}");
}

/// "Performance counter", type 0: instructions "since the beginning of the current message execution",
/// growing with the work.
#[test]
fn the_counter_grows_with_the_work() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let counts = [0, 1_000, 1_001_000].map(|turns| number(&run(&pic, canister, work(turns))));
    assert!(counts[0] > 0 && counts[1] > counts[0], "{counts:?}");
    assert_near(u128::from(counts[2] - counts[1]), u128::from(counts[1] - counts[0]) * 1_000);
}

/// "Performance counter": "a deterministic monotonically increasing integer".
#[test]
fn the_counter_is_deterministic_and_monotonic() {
    let pic = engine::pic();
    let [one, two] = [(); 2].map(|()| install_universal(&pic));
    let twice = || script().counter(0).append_int().spin(10).counter(0).append_int().reply();
    let [first, second] = numbers(&run(&pic, one, twice()));
    assert!(second > first);
    assert_eq!(numbers(&run(&pic, two, twice())), [first, second]);
}

/// "Performance counter", type 1: instructions of the whole call context, over all its messages.
#[test]
fn the_call_context_counter_adds_up() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let both = || script().counter(0).append_int().counter(1).append_int();
    let outgoing = Call::run(callee, script().spin(200_000).reply()).on_reply(both().reply());
    let before = script().spin(100_000).counter(1).set(0).call(outgoing);
    let [message, context] = numbers(&run(&pic, caller, before));
    let spent_before = slot(&pic, caller, 0);
    assert!(message < spent_before, "the counter of the message starts anew");
    assert!(context >= spent_before + message, "{context}, {spent_before} and {message}");
    assert!(context < 2 * spent_before, "the callee's instructions are not counted");
}

/// Cycle costs: a message is paid for by its instructions, one cycle each.
#[test]
fn the_balance_falls_by_the_instructions() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, work(1));
    let [(little, few), (much, many)] = [1_000, 10_001_000]
        .map(|turns| cost_of(&pic, canister, || number(&run(&pic, canister, work(turns)))));
    assert_near(much - little, u128::from(many - few));
}

/// Cycle costs: who traps pays for what it did.
#[test]
fn a_trap_is_paid_for() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let failing = |turns| {
        let script = script().spin(turns).trap(b"no");
        cost_of(&pic, canister, || try_run(&pic, canister, script).expect_err("it traps")).0
    };
    let (little, much) = (failing(1_000), failing(1_001_000));
    let instructions =
        number(&run(&pic, canister, work(1_001_000))) - number(&run(&pic, canister, work(1_000)));
    assert_near(much - little, u128::from(instructions));
}

/// Cycle costs: ingress is paid for by the receiving canister, 2,000 cycles a byte.
#[test]
fn a_longer_message_costs_more() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let sending = |bytes: usize| {
        let script = script().blob(&vec![0; bytes]).length().append_int().reply();
        cost_of(&pic, canister, || run(&pic, canister, script)).0
    };
    sending(100_000);
    let (short, long) = (sending(10_000), sending(110_000));
    let by_the_byte = 2_000 * 100_000;
    assert!(long - short >= by_the_byte, "{}", long - short);
    assert!(long - short < by_the_byte + by_the_byte / 10, "{}", long - short);
}

/// Cycle costs: a call between canisters is paid for by the caller, 1,000 cycles a byte, request and
/// response.
#[test]
fn a_caller_pays_for_the_bytes_of_request_and_response() {
    let pic = engine::pic();
    let (caller, callee) = (install_universal(&pic), install_universal(&pic));
    let call = |request: u32, response: u64| {
        let answer = script().forget().zeros(response).append().reply();
        let call = Call::new(callee, "run")
            .arg(&script().begin_blob(request).bytes())
            .arg_of(script().zeros(request.into()))
            .arg(&answer.bytes())
            .on_reply(script().reply());
        cost_of(&pic, caller, || run(&pic, caller, script().call(call))).0
    };
    call(500_000, 500_000);
    let (none, request, response) = (call(0, 0), call(500_000, 0), call(0, 500_000));
    for dearer in [request, response] {
        let bytes = dearer - none;
        assert!((500_000_000..600_000_000).contains(&bytes), "{bytes} for 500,000 bytes");
    }
}

/// Cycle costs, storage: as time passes a canister pays for its memory what `canister_status` tells
/// (`idle_cycles_burned_per_day`), and more memory costs more.
#[test]
fn memory_is_paid_for_as_time_passes() {
    let pic = engine::pic();
    let [small, large] = [(); 2].map(|()| install_universal(&pic));
    run(&pic, large, script().stable_grow(20_000).forget().reply());
    let daily = [small, large].map(|id| {
        let status = management::status(&pic, OWNER, id).expect("the controller may ask");
        u128::try_from(status.idle_cycles_burned_per_day.0).expect("a number of cycles")
    });
    assert!(daily[1] > 10 * daily[0], "{daily:?}");
    let before = [small, large].map(|id| pic.cycle_balance(id));
    pic.advance_time(Duration::from_secs(24 * 60 * 60));
    until(&pic, "the charge", |pic| (pic.cycle_balance(large) < before[1]).then_some(()));
    assert_near(before[1] - pic.cycle_balance(large), daily[1]);
    assert!(before[0] - pic.cycle_balance(small) < daily[1] / 10);
}

/// Canister interface, "Cycle cost calculation": longer names and arguments cost more.
#[test]
fn the_cost_of_a_call_grows_with_its_size() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let costs = [(0, 0), (10, 0), (0, 1_000), (10, 1_000)]
        .into_iter()
        .fold(script(), |all, (name, payload)| all.cost_call(name, payload).append_int());
    let [base, name, payload, both] = numbers(&run(&pic, canister, costs.reply()));
    assert!(name > base && payload > name && both > payload);
    assert_eq!(both - payload, name - base, "bytes cost the same wherever they are");
}

/// "Stable memory" and "Performance counter": touching more bytes takes more instructions.
#[test]
fn moving_bytes_takes_instructions() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, script().stable_grow(32).forget().reply());
    let counted = |script: Script| number(&run(&pic, canister, script.counter(0).append_int().reply()));
    let read = |bytes| counted(script().stable_read(0, bytes).forget());
    let write = |bytes| counted(script().int(0).zeros(bytes).stable_store());
    assert!(read(1_000_000) > read(1_000) + 900_000);
    assert!(write(1_000_000) > write(1_000) + 900_000);
}
