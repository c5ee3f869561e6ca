//! The hook on low wasm memory. Canister interface, "On Low Wasm Memory": "scheduled whenever the canister's remaining
//! wasm memory size in bytes falls from at least a threshold `t` to strictly less than `t`"; abstract behavior,
//! "Scheduling on low wasm memory hook": after messages, and after calls to the management canister.

use candid::{Nat, Principal};
use pocket_ic::common::rest::RawEffectivePrincipal;
use pocket_ic::{CanisterSettings, PocketIc};

use crate::support::canisters::{
    OWNER, install, install_universal, run, slot, universal, universal_exporting,
};
use crate::support::engine;
use crate::support::management::{
    LowMemoryHook, Metadata, Mode, OfCanister, OfSnapshot, Snapshot, decode, install_code, manage, status,
};
use crate::support::script::{Call, Hook, Script, script};
use crate::support::wait::until;

/// Bytes of a wasm page.
const PAGE: u64 = 65_536;

/// Pages of the heap when the limit is set in these tests.
const HEAP_PAGES: u64 = 10;

/// Pages that may be added below the limit.
const FREE_PAGES: u64 = 100;

/// Cycles that thaw any canister.
const FORTUNE: u128 = 1_000_000_000_000_000_000;

/// Counts in slot 0 how often the hook ran.
fn counting() -> Script {
    script().hook(Hook::LowWasmMemory, script().bump(0))
}

/// A universal canister of [`HEAP_PAGES`] that counts, and may grow by [`FREE_PAGES`].
fn counter(pic: &PocketIc) -> Principal {
    let canister = install(pic, universal(), &counting().bytes());
    grow_to(pic, canister, HEAP_PAGES);
    set(pic, canister, Some(HEAP_PAGES + FREE_PAGES), None);
    canister
}

/// Grows the heap until it has `pages`.
fn grow_to(pic: &PocketIc, canister: Principal, pages: u64) {
    let heap = status(pic, OWNER, canister).expect("a status").memory_metrics.wasm_memory_size;
    let heap_bytes: u64 = heap.0.try_into().expect("it fits");
    run(pic, canister, script().grow_heap(pages - heap_bytes / PAGE).forget().reply());
}

/// Sets limit and threshold, in pages.
fn set(pic: &PocketIc, canister: Principal, limit: Option<u64>, threshold: Option<u64>) {
    let bytes = |pages: Option<u64>| pages.map(|pages| Nat::from(pages * PAGE));
    let settings = CanisterSettings {
        wasm_memory_limit: bytes(limit),
        wasm_memory_threshold: bytes(threshold),
        ..Default::default()
    };
    pic.update_canister_settings(canister, Some(OWNER), settings).expect("the controller may");
}

fn runs_of_hook(pic: &PocketIc, canister: Principal, expected: u64) {
    until(pic, "the hook", |pic| (slot(pic, canister, 0) == expected).then_some(()));
    // Messages give it every occasion to run once more.
    for _ in 0..3 {
        run(pic, canister, script().reply());
    }
    assert_eq!(slot(pic, canister, 0), expected);
}

/// What a snapshot of the canister says of the hook.
fn hook_status(pic: &PocketIc, canister_id: Principal) -> Option<LowMemoryHook> {
    let of = (OfCanister { canister_id },);
    let taken = manage(pic, OWNER, canister_id, "take_canister_snapshot", of).expect("it is taken");
    let of = (OfSnapshot { canister_id, snapshot_id: decode::<Snapshot>(&taken).id },);
    let described =
        manage(pic, OWNER, canister_id, "read_canister_snapshot_metadata", of).expect("it is read");
    decode::<Metadata>(&described).on_low_wasm_memory_hook_status
}

#[test]
fn the_hook_runs_once_when_less_than_the_threshold_is_left() {
    let pic = engine::pic();
    let canister = counter(&pic);
    set(&pic, canister, None, Some(20));
    grow_to(&pic, canister, HEAP_PAGES + FREE_PAGES - 20);
    runs_of_hook(&pic, canister, 0);
    assert_eq!(hook_status(&pic, canister), Some(LowMemoryHook::ConditionNotSatisfied));
    grow_to(&pic, canister, HEAP_PAGES + FREE_PAGES - 19);
    runs_of_hook(&pic, canister, 1);
    assert_eq!(hook_status(&pic, canister), Some(LowMemoryHook::Executed));
    grow_to(&pic, canister, HEAP_PAGES + FREE_PAGES - 5);
    runs_of_hook(&pic, canister, 1);
}

#[test]
fn the_hook_runs_before_the_next_message() {
    let pic = engine::pic();
    let canister = counter(&pic);
    set(&pic, canister, None, Some(20));
    run(&pic, canister, script().grow_heap(FREE_PAGES - 10).forget().reply());
    let seen = run(&pic, canister, script().get(0).append_int().reply());
    assert_eq!(seen, 1_u64.to_le_bytes());
}

/// `wasm_memory_threshold`, default 0: "the hook is never scheduled".
#[test]
fn without_a_threshold_the_hook_never_runs() {
    let pic = engine::pic();
    let canister = counter(&pic);
    grow_to(&pic, canister, HEAP_PAGES + FREE_PAGES);
    runs_of_hook(&pic, canister, 0);
}

#[test]
fn a_change_of_settings_schedules_the_hook_once_per_crossing() {
    let pic = engine::pic();
    let canister = counter(&pic);
    set(&pic, canister, None, Some(FREE_PAGES + 1));
    runs_of_hook(&pic, canister, 1);
    set(&pic, canister, None, Some(FREE_PAGES + 2));
    runs_of_hook(&pic, canister, 1);
    set(&pic, canister, None, Some(FREE_PAGES));
    runs_of_hook(&pic, canister, 1);
    set(&pic, canister, Some(HEAP_PAGES + FREE_PAGES - 1), None);
    runs_of_hook(&pic, canister, 2);
}

/// Abstract behavior, "Call context creation: On low wasm memory": `canister_status[C] = Running`.
#[test]
fn the_hook_of_a_stopped_canister_waits_until_it_is_started() {
    let pic = engine::pic();
    let canister = counter(&pic);
    pic.stop_canister(canister, Some(OWNER)).expect("it stops");
    set(&pic, canister, None, Some(FREE_PAGES + 1));
    assert_eq!(hook_status(&pic, canister), Some(LowMemoryHook::Ready));
    pic.start_canister(canister, Some(OWNER)).expect("it starts");
    runs_of_hook(&pic, canister, 1);
}

/// "If the canister gets frozen immediately after the function is scheduled for execution, the function will run once
/// the canister is unfrozen".
#[test]
fn the_hook_of_a_frozen_canister_waits_for_cycles() {
    let pic = engine::pic();
    let canister = counter(&pic);
    let settings = CanisterSettings {
        wasm_memory_threshold: Some(Nat::from((FREE_PAGES + 1) * PAGE)),
        freezing_threshold: Some(Nat::from(10_000_000_000_000_u64)),
        ..Default::default()
    };
    pic.update_canister_settings(canister, Some(OWNER), settings).expect("the controller may");
    for _ in 0..5 {
        pic.tick();
    }
    pic.update_call(canister, OWNER, "run", script().reply().bytes()).expect_err("it is frozen");
    pic.add_cycles(canister, FORTUNE);
    runs_of_hook(&pic, canister, 1);
}

/// "In particular, inter-canister response callback messages might still be executed" before the hook.
#[test]
fn a_frozen_canister_whose_hook_waits_takes_responses() {
    let pic = engine::pic();
    let (canister, controller) = (counter(&pic), install_universal(&pic));
    pic.set_controllers(canister, Some(OWNER), vec![OWNER, controller]).expect("the controller may");
    // The callee freezes the caller, before it answers.
    let settings = Update {
        canister_id: canister,
        settings: CanisterSettings {
            wasm_memory_threshold: Some(Nat::from((FREE_PAGES + 1) * PAGE)),
            freezing_threshold: Some(Nat::from(10_000_000_000_000_u64)),
            ..Default::default()
        },
    };
    let freeze = script().call(Call::management("update_settings", (settings,)));
    let call = Call::run(controller, freeze).on_reply(script().bump(1).reply());
    run(&pic, canister, script().call(call));
    pic.add_cycles(canister, FORTUNE);
    assert_eq!([slot(&pic, canister, 0), slot(&pic, canister, 1)], [0, 1]);
    runs_of_hook(&pic, canister, 1);
}

#[derive(candid::CandidType)]
struct Update {
    canister_id: Principal,
    settings: CanisterSettings,
}

/// Abstract behavior, "IC Management Canister: Code upgrade" and "Code reinstallation" leave
/// `on_low_wasm_memory_hook_status` as it is.
#[test]
fn an_installation_does_not_make_the_hook_run_again() {
    let pic = engine::pic();
    let canister = counter(&pic);
    // Whatever module is there, less is left.
    set(&pic, canister, None, Some(HEAP_PAGES + FREE_PAGES));
    runs_of_hook(&pic, canister, 1);
    for mode in [Mode::Upgrade(None), Mode::Reinstall] {
        install_code(&pic, OWNER, canister, mode, universal(), &counting().bytes()).expect("it is installed");
        // The heap is a new one, and so is the counter.
        runs_of_hook(&pic, canister, 0);
        assert_eq!(hook_status(&pic, canister), Some(LowMemoryHook::Executed));
    }
}

#[test]
fn an_installation_that_leaves_little_heap_schedules_the_hook() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    set(&pic, canister, Some(HEAP_PAGES + FREE_PAGES), Some(HEAP_PAGES + FREE_PAGES));
    install_code(&pic, OWNER, canister, Mode::Install, universal(), &counting().bytes())
        .expect("it is installed");
    runs_of_hook(&pic, canister, 1);
}

/// Code, `is_next_method_chosen`: "If the task on the front of the task queue is hook, it must be executed next".
#[test]
fn in_the_round_of_the_hook_there_is_no_heartbeat() {
    let pic = engine::pic();
    let init = counting().hook(Hook::Heartbeat, script().bump(1));
    let canister = install(&pic, &universal_exporting(&["canister_heartbeat"]), &init.bytes());
    let heap = status(&pic, OWNER, canister).expect("a status").memory_metrics.wasm_memory_size;
    let settings = CanisterSettings {
        wasm_memory_limit: Some(heap),
        wasm_memory_threshold: Some(Nat::from(1_u64)),
        ..Default::default()
    };
    let arg = candid::encode_one(Update { canister_id: canister, settings }).expect("arguments encode");
    let effective = RawEffectivePrincipal::CanisterId(canister.as_slice().to_vec());
    let management = Principal::management_canister();
    pic.submit_call_with_effective_principal(management, effective, OWNER, "update_settings", arg)
        .expect("it is taken");
    let mut counted = vec![[0, slot(&pic, canister, 1)]];
    until(&pic, "two heartbeats after the hook", |pic| {
        counted.push([slot(pic, canister, 0), slot(pic, canister, 1)]);
        (counted.iter().filter(|[hooks, _]| *hooks == 1).count() == 3).then_some(())
    });
    for rounds in counted.windows(2).skip(1) {
        let [[hooks, beats], [hooks_later, beats_later]] = [rounds[0], rounds[1]];
        assert_eq!((hooks_later - hooks) + (beats_later - beats), 1, "{counted:?}");
    }
}

/// Abstract behavior, "Load canister snapshot": the status of a snapshot that was taken is not restored, and what its
/// heap leaves is looked at.
#[test]
fn a_loaded_snapshot_is_a_crossing() {
    let pic = engine::pic();
    let canister = counter(&pic);
    let snapshot = pic.take_canister_snapshot(canister, Some(OWNER), None).expect("it is taken").id;
    set(&pic, canister, None, Some(20));
    grow_to(&pic, canister, HEAP_PAGES + FREE_PAGES - 10);
    runs_of_hook(&pic, canister, 1);
    let low = pic.take_canister_snapshot(canister, Some(OWNER), None).expect("it is taken").id;
    pic.load_canister_snapshot(canister, Some(OWNER), snapshot).expect("it is loaded");
    assert_eq!(hook_status(&pic, canister), Some(LowMemoryHook::ConditionNotSatisfied));
    pic.load_canister_snapshot(canister, Some(OWNER), low).expect("it is loaded");
    runs_of_hook(&pic, canister, 2);
}
