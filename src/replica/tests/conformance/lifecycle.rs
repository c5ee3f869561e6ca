//! The life of a canister: installed, upgraded, reinstalled, uninstalled; woken by heartbeats and timers;
//! inspecting messages. Canister interface, "Entry points"; management canister, `install_code`.

use std::io::Write;
use std::time::Duration;

use candid::Principal;
use flate2::Compression;
use flate2::write::GzEncoder;
use pocket_ic::{ErrorCode, PocketIc, RejectCode, RejectResponse};
use sha2::{Digest, Sha256};

use crate::support::canisters::{
    OWNER, ask, assert_reject_code, assert_rejected, install, install_universal, number, run, slot, stranger,
    try_run, universal, universal_exporting, wat,
};
use crate::support::engine;
use crate::support::management::{self, Mode, UPGRADE_SKIPPING_PRE_UPGRADE, install_code};
use crate::support::script::{Call, Hook, Script, script};
use crate::support::wait::until;

const SECOND_NANOS: u64 = 1_000_000_000;
const MINUTE: Duration = Duration::from_secs(60);

fn upgrade(pic: &PocketIc, canister: Principal, arg: Script) -> Result<(), RejectResponse> {
    pic.upgrade_canister(canister, universal().to_vec(), arg.bytes(), Some(OWNER))
}

/// A script that writes `text` to the beginning of stable memory.
fn note(text: &[u8]) -> Script {
    script().stable_grow(1).forget().stable_write(0, text)
}

/// Stores `body` as what `canister_pre_upgrade` runs.
fn before_upgrade(pic: &PocketIc, canister: Principal, body: Script) {
    run(pic, canister, script().hook(Hook::PreUpgrade, body).reply());
}

/// "Canister initialization": `canister_init` runs at installation, with the argument of `install_code`.
#[test]
fn init_runs_once_with_its_argument() {
    let pic = engine::pic();
    let init = script().bump(0).arg().length().set(1).caller().equals(OWNER.as_slice()).set(2);
    let size = init.clone().bytes().len() as u64;
    let canister = install(&pic, universal(), &init.bytes());
    assert_eq!([0, 1, 2].map(|n| slot(&pic, canister, n)), [1, size, 1]);
}

/// "Canister initialization": "If the `canister_init` method entry point traps, then canister installation
/// has failed, and the canister is reverted to its previous state".
#[test]
fn a_trapping_init_leaves_the_canister_empty() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    let trapping = note(b"left over").trap(b"no").bytes();
    let outcome = install_code(&pic, OWNER, canister, Mode::Install, universal(), &trapping);
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterCalledTrap);
    let status = management::status(&pic, OWNER, canister).expect("the controller may ask");
    assert_eq!(status.module_hash, None);
    assert_eq!(status.memory_metrics.stable_memory_size, 0_u64);
    install_code(&pic, OWNER, canister, Mode::Install, universal(), &[]).expect("it is still empty");
}

/// "WebAssembly module requirements": a module "may have a `(start)` function"; few system calls are
/// available to it.
#[test]
fn the_start_function_runs_at_installation() {
    let pic = engine::pic();
    let starting = |body: &str| {
        wat(&format!(
            r#"(module
                (import "ic0" "msg_reply" (func $reply))
                (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
                (import "ic0" "time" (func $time (result i64)))
                (import "ic0" "performance_counter" (func $counter (param i32) (result i64)))
                (memory 1)
                (func $start {body})
                (start $start)
                (func (export "canister_query read")
                    (call $append (i32.const 0) (i32.const 8)) (call $reply)))"#
        ))
    };
    let storing = "(drop (call $counter (i32.const 0))) (i64.store (i32.const 0) (i64.const 5))";
    let canister = install(&pic, &starting(storing), &[]);
    assert_eq!(number(&pic.query_call(canister, OWNER, "read", vec![]).expect("a reply")), 5);

    let asking_for_time = starting("(drop (call $time))");
    let outcome = install_code(&pic, OWNER, pic.create_canister(), Mode::Install, &asking_for_time, &[]);
    assert_reject_code(outcome, RejectCode::CanisterError);
}

/// "Canister module format": a gzip-compressed module is a module; its hash is that of what was uploaded.
#[test]
fn a_module_may_be_compressed_with_gzip() {
    let pic = engine::pic();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(universal()).expect("it compresses");
    let compressed = gzip.finish().expect("it compresses");
    let canister = install(&pic, &compressed, &[]);
    run(&pic, canister, script().bump(0).reply());
    assert_eq!(slot(&pic, canister, 0), 1);
    let status = management::status(&pic, OWNER, canister).expect("the controller may ask");
    assert_eq!(status.module_hash, Some(Sha256::digest(&compressed).to_vec()));
}

/// `install_code`, mode `install`: "the canister must be empty before".
#[test]
fn a_canister_with_code_is_not_installed_again() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, script().bump(0).reply());
    let outcome = install_code(&pic, OWNER, canister, Mode::Install, universal(), &[]);
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterNonEmpty);
    assert_eq!(slot(&pic, canister, 0), 1);
}

/// `install_code`, mode `reinstall`: "its existing code and state (including stable memory) is removed".
#[test]
fn a_reinstall_removes_everything_but_the_canister() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, note(b"old").bump(0).reply());
    before_upgrade(&pic, canister, script().trap(b"pre_upgrade is not for reinstalls"));
    pic.reinstall_canister(canister, universal().to_vec(), script().bump(1).bytes(), Some(OWNER))
        .expect("it is reinstalled");
    assert_eq!([0, 1].map(|n| slot(&pic, canister, n)), [0, 1], "init ran on a fresh heap");
    assert_eq!(pic.get_stable_memory(canister), b"");
}

/// "Canister initialization": a reinstall whose `canister_init` traps leaves "whatever it was".
#[test]
fn a_failed_reinstall_changes_nothing() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, note(b"old").bump(0).reply());
    let outcome =
        install_code(&pic, OWNER, canister, Mode::Reinstall, universal(), &script().unreachable().bytes());
    assert_reject_code(outcome, RejectCode::CanisterError);
    assert_eq!(slot(&pic, canister, 0), 1);
    assert_eq!(&pic.get_stable_memory(canister)[..4], b"old\0");
}

/// "Canister upgrades": "The stable memory is preserved throughout the process; the WebAssembly memory is
/// discarded".
#[test]
fn an_upgrade_keeps_stable_memory_and_discards_the_heap() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, note(b"kept").bump(0).reply());
    upgrade(&pic, canister, script()).expect("it upgrades");
    assert_eq!(slot(&pic, canister, 0), 0);
    assert_eq!(&pic.get_stable_memory(canister)[..5], b"kept\0");
}

/// "Canister upgrades": `canister_pre_upgrade` runs on the old instance, `canister_post_upgrade` on the new
/// one with the argument, `canister_init` not at all.
#[test]
fn the_upgrade_hooks_hand_over_through_stable_memory() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, script().int(77).set(0).stable_grow(1).forget().reply());
    let save_marker = script().stable_write(0, &77_u64.to_le_bytes()).stable_write(8, b"from pre_upgrade");
    before_upgrade(&pic, canister, save_marker);
    let restore =
        script().stable_read(0, 8).first_int().set(0).stable_write(24, b" and post_upgrade").bump(1);
    upgrade(&pic, canister, restore).expect("it upgrades");
    assert_eq!([0, 1].map(|n| slot(&pic, canister, n)), [77, 1]);
    assert_eq!(&pic.get_stable_memory(canister)[8..41], b"from pre_upgrade and post_upgrade");
}

/// "Canister upgrades": "If `canister_pre_upgrade` or `canister_post_upgrade` trap, the upgrade has failed,
/// and the canister is reverted to the previous state."
#[test]
fn an_upgrade_is_atomic() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, note(b"old").bump(0).reply());
    before_upgrade(&pic, canister, script().stable_write(0, b"new").trap(b"in pre_upgrade"));
    let reject = assert_reject_code(upgrade(&pic, canister, script()), RejectCode::CanisterError);
    assert!(reject.reject_message.contains("in pre_upgrade"), "{reject}");

    before_upgrade(&pic, canister, script().stable_write(0, b"new"));
    let outcome = upgrade(&pic, canister, script().stable_write(0, b"newer").trap(b"in post_upgrade"));
    let reject = assert_reject_code(outcome, RejectCode::CanisterError);
    assert!(reject.reject_message.contains("in post_upgrade"), "{reject}");

    assert_eq!(slot(&pic, canister, 0), 1);
    assert_eq!(&pic.get_stable_memory(canister)[..4], b"old\0");
}

/// `install_code`: "If `skip_pre_upgrade = opt true`, then the `canister_pre_upgrade` method … is not
/// executed."
#[test]
fn skip_pre_upgrade_gets_past_a_trapping_hook() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, note(b"kept").reply());
    before_upgrade(&pic, canister, script().stable_write(0, b"lost").trap(b"for ever"));
    assert_reject_code(upgrade(&pic, canister, script()), RejectCode::CanisterError);
    let arg = script().bump(1).bytes();
    install_code(&pic, OWNER, canister, UPGRADE_SKIPPING_PRE_UPGRADE, universal(), &arg)
        .expect("it upgrades");
    assert_eq!(slot(&pic, canister, 1), 1);
    assert_eq!(&pic.get_stable_memory(canister)[..4], b"kept");
}

/// `install_code`, mode `upgrade`: an upgrade of "a non-empty canister".
#[test]
fn an_empty_canister_can_not_be_upgraded() {
    let pic = engine::pic();
    let outcome = install_code(&pic, OWNER, pic.create_canister(), Mode::Upgrade(None), universal(), &[]);
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterWasmModuleNotFound);
}

/// `install_code`: "Only controllers of the canister can install code."
#[test]
fn only_controllers_install_code() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let outcome = install_code(&pic, stranger(), canister, Mode::Reinstall, universal(), &[]);
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterInvalidController);
}

/// "Canister status": an upgrade of a stopped canister sees status 3, one of a running canister status 1.
#[test]
fn post_upgrade_sees_whether_the_canister_was_stopped() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    upgrade(&pic, canister, script().status().set(0)).expect("it upgrades");
    assert_eq!(slot(&pic, canister, 0), 1);
    pic.stop_canister(canister, Some(OWNER)).expect("it stops");
    upgrade(&pic, canister, script().status().set(0)).expect("a stopped canister upgrades");
    pic.start_canister(canister, Some(OWNER)).expect("it starts");
    assert_eq!(slot(&pic, canister, 0), 3);
}

/// `uninstall_code`: removes code and state, retains cycles and controllers.
#[test]
fn an_uninstalled_canister_is_empty_and_keeps_its_cycles_and_controllers() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, note(b"old").reply());
    let before = pic.cycle_balance(canister);
    pic.uninstall_canister(canister, Some(OWNER)).expect("it is uninstalled");
    let outcome = try_run(&pic, canister, script().reply());
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterWasmModuleNotFound);
    let status = management::status(&pic, OWNER, canister).expect("the controller may ask");
    assert_eq!(status.module_hash, None);
    assert_eq!(status.memory_metrics.stable_memory_size, 0_u64);
    assert_eq!(pic.get_controllers(canister), [OWNER]);
    assert!(before - pic.cycle_balance(canister) < 1_000_000_000);
    pic.install_canister(canister, universal().to_vec(), vec![], Some(OWNER));
    assert_eq!(pic.get_stable_memory(canister), b"");
}

/// "Heartbeat": "triggered by the IC", and can make calls; the caller is the management canister ("Method
/// arguments").
#[test]
fn heartbeats_come_by_themselves_and_can_call() {
    let pic = engine::pic();
    let callee = install_universal(&pic);
    let beat = script()
        .bump(0)
        .caller()
        .equals(Principal::management_canister().as_slice())
        .set(1)
        .call(Call::run(callee, script().bump(0).reply()).on_reply(script().bump(2)));
    let init = script().hook(Hook::Heartbeat, beat);
    let canister = install(&pic, &universal_exporting(&["canister_heartbeat"]), &init.bytes());
    until(&pic, "three heartbeats", |pic| (slot(pic, canister, 0) >= 3).then_some(()));
    assert_eq!(slot(&pic, canister, 1), 1);
    until(&pic, "replies to heartbeats", |pic| (slot(pic, canister, 2) >= 3).then_some(()));
    assert!(slot(&pic, callee, 0) >= 3);
}

/// "Entry points": a heartbeat that traps has no effect, and the next one comes nevertheless.
#[test]
fn a_trapping_heartbeat_harms_nobody() {
    let pic = engine::pic();
    let trapping = script().bump(0).print(b"beat").trap(b"no");
    let init = script().hook(Hook::Heartbeat, trapping);
    let canister = install(&pic, &universal_exporting(&["canister_heartbeat"]), &init.bytes());
    until(&pic, "two heartbeats in the log", |pic| {
        let logs = pic.fetch_canister_logs(canister, OWNER).expect("the controller may read them");
        (logs.iter().filter(|record| record.content == b"beat").count() >= 2).then_some(())
    });
    assert_eq!(number(&run(&pic, canister, script().get(0).append_int().reply())), 0);
}

/// Arms the global timer `seconds` from now.
fn arm(seconds: u64) -> Script {
    script().time().plus(seconds * SECOND_NANOS).set_timer().forget()
}

/// Executes messages, and with them rounds, in which a timer that is due would have fired.
fn let_timers_fire(pic: &PocketIc, canister: Principal) {
    for _ in 0..3 {
        run(pic, canister, script().reply());
    }
}

/// "Global timer": called once "the current time … has passed the value of the global timer", then
/// deactivated.
#[test]
fn the_global_timer_fires_once_when_its_time_has_come() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let fire = script().bump(0).caller().equals(Principal::management_canister().as_slice()).set(1);
    run(&pic, canister, script().hook(Hook::GlobalTimer, fire).then(arm(60)).reply());
    let_timers_fire(&pic, canister);
    assert_eq!(slot(&pic, canister, 0), 0, "not before its time");
    pic.advance_time(MINUTE);
    until(&pic, "the timer", |pic| (slot(pic, canister, 0) == 1).then_some(()));
    pic.advance_time(MINUTE);
    let_timers_fire(&pic, canister);
    assert_eq!([0, 1].map(|n| slot(&pic, canister, n)), [1, 1]);
    let previous = number(&run(&pic, canister, script().int(0).set_timer().append_int().reply()));
    assert_eq!(previous, 0, "the timer is deactivated");
}

/// "Global timer": the canister may set the timer again, from the timer itself, and call others from it.
#[test]
fn a_timer_rearms_itself_and_calls() {
    let pic = engine::pic();
    let (canister, callee) = (install_universal(&pic), install_universal(&pic));
    let note = Call::run(callee, script().bump(0).reply()).on_reply(script().bump(1));
    let fire = script().bump(0).call(note).then(arm(10));
    run(&pic, canister, script().hook(Hook::GlobalTimer, fire).then(arm(10)).reply());
    for expected in 1..=3 {
        pic.advance_time(Duration::from_secs(11));
        until(&pic, "the timer", |pic| (slot(pic, canister, 0) == expected).then_some(()));
    }
    until(&pic, "the replies", |pic| (slot(pic, canister, 1) == 3).then_some(()));
    assert_eq!(slot(&pic, callee, 0), 3);
}

/// "Global timer": setting returns the previous value; "Passing zero as an argument to the function
/// deactivates the timer".
#[test]
fn a_timer_that_was_set_to_zero_does_not_fire() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, script().hook(Hook::GlobalTimer, script().bump(0)).reply());
    let set = |value: u64| number(&run(&pic, canister, script().int(value).set_timer().append_int().reply()));
    let soon = pic.get_time().as_nanos_since_unix_epoch() + 100 * SECOND_NANOS;
    assert_eq!(set(soon), 0);
    assert_eq!(set(soon + 1), soon);
    assert_eq!(set(0), soon + 1);
    pic.advance_time(10 * MINUTE);
    let_timers_fire(&pic, canister);
    assert_eq!(slot(&pic, canister, 0), 0);
}

/// "Global timer": "also deactivated upon changes to the canister's Wasm module".
#[test]
fn an_upgrade_deactivates_the_timer() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, arm(60).reply());
    upgrade(&pic, canister, script().hook(Hook::GlobalTimer, script().bump(0))).expect("it upgrades");
    pic.advance_time(10 * MINUTE);
    let_timers_fire(&pic, canister);
    assert_eq!(slot(&pic, canister, 0), 0);
    assert_eq!(number(&run(&pic, canister, script().int(0).set_timer().append_int().reply())), 0);
}

/// "Ingress message inspection": accepted if `canister_inspect_message` calls `accept_message`, denied
/// otherwise or on a trap; not invoked for queries and calls between canisters.
#[test]
fn a_canister_inspects_ingress_messages_only() {
    let pic = engine::pic();
    let accept_runs = script().method_name().equals(b"run").when(script().accept_message());
    let init = script().hook(Hook::InspectMessage, accept_runs);
    let picky = install(&pic, &universal_exporting(&["canister_inspect_message"]), &init.bytes());
    run(&pic, picky, script().bump(0).reply());
    assert_eq!(slot(&pic, picky, 0), 1, "queries are not inspected");

    let denied = pic.update_call(picky, OWNER, "ask", script().reply().bytes());
    let reject = assert_reject_code(denied, RejectCode::CanisterReject);
    assert_eq!(reject.error_code, ErrorCode::CanisterRejectedMessage);

    let other = install_universal(&pic);
    let call = Call::new(picky, "ask").arg(&script().int(4).append_int().reply().bytes());
    assert_eq!(
        number(&run(&pic, other, script().call(call))),
        4,
        "calls between canisters are not inspected"
    );
    pic.upgrade_canister(picky, universal().to_vec(), vec![], Some(OWNER))
        .expect("calls to the management canister are not inspected");
}

/// "Ingress message inspection": "If the canister traps in `canister_inspect_message` … then the access is
/// denied"; nothing that inspection does to the canister stays; it knows sender and argument.
#[test]
fn inspection_sees_sender_and_argument_and_changes_nothing() {
    let pic = engine::pic();
    let friend = stranger();
    let inspect = script()
        .bump(0)
        .arg()
        .equals(&script().reply().bytes())
        .negated()
        .when(script().trap(b"strange argument"))
        .caller()
        .equals(friend.as_slice())
        .when(script().accept_message());
    let init = script().hook(Hook::InspectMessage, inspect);
    let picky = install(&pic, &universal_exporting(&["canister_inspect_message"]), &init.bytes());
    pic.update_call(picky, friend, "run", script().reply().bytes()).expect("a friend gets in");
    pic.update_call(picky, OWNER, "run", script().reply().bytes()).expect_err("others do not");
    let strange = pic.update_call(picky, friend, "run", script().bump(1).reply().bytes());
    assert_rejected(strange, RejectCode::CanisterError, ErrorCode::CanisterCalledTrap);
    let slots = script().get(0).append_int().get(1).append_int().reply();
    assert_eq!(ask(&pic, picky, slots), vec![0; 16]);
}
