//! Canister logs. Management canister, `fetch_canister_logs`; canister interface, "Debugging aids".

use candid::Principal;
use pocket_ic::{CanisterLogRecord, ErrorCode, PocketIc, RejectCode};

use crate::support::canisters::{
    OWNER, ask, assert_rejected, install_universal, run, stranger, try_run, universal,
};
use crate::support::engine;
use crate::support::management::{OfCanister, manage};
use crate::support::script::script;

/// "The total size of all returned logs does not exceed 4KiB".
const LOG_BYTES: usize = 4_096;

fn logs(pic: &PocketIc, canister: Principal) -> Vec<CanisterLogRecord> {
    pic.fetch_canister_logs(canister, OWNER).expect("the controller may read them")
}

fn texts(pic: &PocketIc, canister: Principal) -> Vec<String> {
    let text = |record: CanisterLogRecord| String::from_utf8(record.content).expect("text was logged");
    logs(pic, canister).into_iter().map(text).collect()
}

/// `debug_print`: "appends that data to canister logs", each with number and time.
#[test]
fn what_a_canister_prints_is_in_its_log() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    assert!(logs(&pic, canister).is_empty());
    let before = pic.get_time().as_nanos_since_unix_epoch();
    run(&pic, canister, script().print(b"one").print(b"two").reply());
    run(&pic, canister, script().print(b"three").reply());
    assert_eq!(texts(&pic, canister), ["one", "two", "three"]);

    let records = logs(&pic, canister);
    assert!(records.windows(2).all(|pair| pair[0].idx + 1 == pair[1].idx));
    assert!(records.windows(2).all(|pair| pair[0].timestamp_nanos <= pair[1].timestamp_nanos));
    let after = pic.get_time().as_nanos_since_unix_epoch();
    assert!(records.iter().all(|record| (before..=after).contains(&record.timestamp_nanos)));
}

/// `fetch_canister_logs`: "including its trap messages"; what was printed before the trap is there too.
#[test]
fn a_trap_is_in_the_log() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    try_run(&pic, canister, script().print(b"about to fail").trap(b"as expected")).expect_err("it traps");
    let texts = texts(&pic, canister);
    assert_eq!(texts[0], "about to fail");
    assert!(texts.len() == 2 && texts[1].contains("as expected"), "{texts:?}");
}

/// `fetch_canister_logs`: "including its trap messages", those of wasm too, and of code that could not be installed
/// (code, `[TRAP]: {trap_code}`).
#[test]
fn a_trap_of_wasm_is_in_the_log() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    try_run(&pic, canister, script().unreachable()).expect_err("it traps");
    assert_eq!(texts(&pic, canister), ["[TRAP]: unreachable"]);
    pic.upgrade_canister(canister, universal().to_vec(), script().unreachable().bytes(), Some(OWNER))
        .expect_err("it traps");
    assert_eq!(texts(&pic, canister), ["[TRAP]: unreachable", "[TRAP]: unreachable"]);
}

/// `fetch_canister_logs`: "not collected in canister methods running in non-replicated mode".
#[test]
fn queries_leave_no_trace_in_the_log() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    ask(&pic, canister, script().print(b"nobody hears me").reply());
    assert!(logs(&pic, canister).is_empty());
}

/// `fetch_canister_logs`: beyond 4 KiB "the oldest logs will be removed".
#[test]
fn old_records_make_room_for_new_ones() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    for n in 0..20_u8 {
        run(&pic, canister, script().print(&[b'a' + n; 500]).reply());
    }
    let records = logs(&pic, canister);
    let total: usize = records.iter().map(|record| record.content.len()).sum();
    assert!((1_000..=LOG_BYTES).contains(&total), "{total} bytes");
    assert_eq!(records.last().expect("a record").content, [b'a' + 19; 500]);
    assert!(records.windows(2).all(|pair| pair[0].idx + 1 == pair[1].idx));
    assert!(records[0].idx > 0, "the first record is gone");
}

/// `fetch_canister_logs`: 4 KiB hold a number of records, not only of bytes: each counts what describes it (code,
/// `CanisterLogRecord::data_size`: 40 bytes).
#[test]
fn short_lines_are_bounded_too() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, script().repeat(1_000, script().print(b"")).reply());
    let records = logs(&pic, canister);
    assert!((50..=LOG_BYTES / 40).contains(&records.len()), "{} records", records.len());
    assert_eq!(records.last().expect("a record").idx, 999);
}

/// "Debugging aids": a text that is not in the heap does not keep a canister from printing or from trapping.
#[test]
fn texts_outside_of_the_heap_are_replaced() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, script().print_at(0x7FFF_FFF0, 10).int(1).append_int().reply());
    let outcome = try_run(&pic, canister, script().trap_at(0x7FFF_FFF0, 10));
    assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterCalledTrap);
    assert!(texts(&pic, canister)[0].contains("out of memory bounds"));
}

/// "Debugging aids": a long text "can be trimmed", printing "never traps".
#[test]
fn a_text_that_is_too_long_is_trimmed() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, script().print(&[b'x'; 100_000]).reply());
    let records = logs(&pic, canister);
    assert!(records.iter().map(|record| record.content.len()).sum::<usize>() <= LOG_BYTES);
    assert!(records.iter().all(|record| record.content.iter().all(|byte| *byte == b'x')));
}

/// `fetch_canister_logs`: "Logs persist across canister upgrades and they are deleted if the canister is
/// reinstalled or uninstalled."
#[test]
fn a_log_survives_upgrades_but_no_reinstall() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    run(&pic, canister, script().print(b"kept").reply());
    pic.upgrade_canister(
        canister,
        universal().to_vec(),
        script().print(b"and added to").bytes(),
        Some(OWNER),
    )
    .expect("it upgrades");
    assert_eq!(texts(&pic, canister), ["kept", "and added to"]);
    pic.reinstall_canister(canister, universal().to_vec(), vec![], Some(OWNER)).expect("it is reinstalled");
    assert!(logs(&pic, canister).is_empty());
    run(&pic, canister, script().print(b"again").reply());
    pic.uninstall_canister(canister, Some(OWNER)).expect("it is uninstalled");
    assert!(logs(&pic, canister).is_empty());
}

/// `fetch_canister_logs`: by default "only the canister's controllers", and "only … via non-replicated
/// (query) calls".
#[test]
fn logs_are_for_queries_of_controllers() {
    let pic = engine::pic();
    let canister_id = install_universal(&pic);
    run(&pic, canister_id, script().print(b"private").reply());
    pic.fetch_canister_logs(canister_id, stranger()).expect_err("not a controller");
    manage(&pic, OWNER, canister_id, "fetch_canister_logs", (OfCanister { canister_id },))
        .expect_err("not as an update call");
}
