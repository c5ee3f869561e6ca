//! Rate limits. dfinity/ic, `subnet_config.rs`: a canister that changed 75 MiB of memory in a round pauses until the
//! rounds have taken its debit below that, one that installed for 2 billion instructions is not installed until they have
//! taken it to 0. On by default, off by `IcpConfig::canister_execution_rate_limiting`. Error codes: IC0209, IC0210, and
//! IC0504 for chunks.

use candid::Principal;
use pocket_ic::common::rest::{IcpConfig, IcpConfigFlag};
use pocket_ic::{ErrorCode, PocketIc, RejectCode, RejectResponse};

use crate::support::canisters::{OWNER, assert_rejected, install, install_universal, wat};
use crate::support::engine;
use crate::support::management::{
    Mode, OfCanister, Place, SnapshotId, UploadMetadata, decode, install_code, manage, upload_metadata,
    upload_snapshot_data,
};
use crate::support::script::script;
use crate::support::wait::{rounds_until_answered, submit, until};

fn unlimited() -> PocketIc {
    let flag = Some(IcpConfigFlag::Disabled);
    let config = IcpConfig { canister_execution_rate_limiting: flag, ..Default::default() };
    engine::builder().with_icp_config(config).with_application_subnet().build()
}

/// Writes 600 MiB of stable memory when it is called.
fn writer(pic: &PocketIc) -> Principal {
    let module = r#"(module
      (import "ic0" "msg_reply" (func $reply))
      (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
      (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
      (memory 1024)
      (func (export "canister_update write") (local $at i64)
        (memory.fill (i32.const 0) (i32.const 7) (i32.const 62914560))
        (drop (call $grow (i64.const 9600)))
        (loop $next
          (call $write (local.get $at) (i64.const 0) (i64.const 62914560))
          (local.set $at (i64.add (local.get $at) (i64.const 62914560)))
          (br_if $next (i64.lt_u (local.get $at) (i64.const 629145600))))
        (call $reply))
      (func (export "canister_update touch") (call $reply)))"#;
    install(pic, &wat(module), &[])
}

fn write(pic: &PocketIc, canister: Principal) {
    pic.update_call(canister, OWNER, "write", vec![]).expect("it writes");
}

fn take(pic: &PocketIc, canister_id: Principal) -> Result<Vec<u8>, RejectResponse> {
    manage(pic, OWNER, canister_id, "take_canister_snapshot", (OfCanister { canister_id },))
}

#[test]
fn a_canister_that_changed_much_memory_pauses() {
    let pic = engine::pic();
    let canister = writer(&pic);
    let touch = |pic: &PocketIc| {
        let message = pic.submit_call(canister, OWNER, "touch", vec![]).expect("it is taken");
        rounds_until_answered(pic, &message)
    };
    let usual = touch(&pic);
    write(&pic, canister);
    let paused = touch(&pic);
    assert!((usual + 4..usual + 12).contains(&paused), "{paused} rounds, {usual} as usual");
    assert!(touch(&pic) <= usual + 1, "and then it goes on");
}

#[test]
fn snapshots_and_chunks_of_a_canister_in_debt_are_refused_for_some_rounds() {
    let pic = engine::pic();
    let canister = writer(&pic);
    let metadata = UploadMetadata::new(canister, 8, 65_536);
    let SnapshotId { snapshot_id } = decode(&upload_metadata(&pic, OWNER, &metadata).expect("no debt yet"));
    let data = || {
        let place = Place::StableMemory { offset: 0 };
        upload_snapshot_data(&pic, OWNER, canister, &snapshot_id, place, &[7; 100])
    };
    write(&pic, canister);
    let outcome = take(&pic, canister);
    assert_rejected(outcome, RejectCode::SysTransient, ErrorCode::CanisterHeapDeltaRateLimited);
    let outcome = upload_metadata(&pic, OWNER, &metadata);
    assert_rejected(outcome, RejectCode::SysTransient, ErrorCode::CanisterHeapDeltaRateLimited);
    for outcome in [data(), pic.upload_chunk(canister, Some(OWNER), vec![7; 100])] {
        let text = outcome.as_ref().expect_err("a reject").reject_message.clone();
        assert_rejected(outcome, RejectCode::CanisterError, ErrorCode::CanisterContractViolation);
        assert!(text.contains("heap delta rate limited"), "{text}");
    }
    until(&pic, "the debit to be forgiven", |_| data().ok());
    take(&pic, canister).expect("and the others are free too");
}

/// A module whose `canister_init` takes about seven billion instructions.
fn laborious() -> Vec<u8> {
    wat(r#"(module (memory 1024)
      (func (export "canister_init") (local $left i32)
        (local.set $left (i32.const 110))
        (loop $next
          (memory.fill (i32.const 0) (i32.const 7) (i32.const 67108864))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br_if $next (local.get $left)))))"#)
}

#[test]
fn an_installation_after_a_long_one_is_refused_for_some_rounds() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    let install = |mode| install_code(&pic, OWNER, canister, mode, &laborious(), &[]);
    install(Mode::Install).expect("the first one is free");
    let outcome = install(Mode::Reinstall);
    let text = outcome.as_ref().expect_err("a reject").reject_message.clone();
    assert_rejected(outcome, RejectCode::SysTransient, ErrorCode::CanisterInstallCodeRateLimited);
    assert!(text.contains("rate limited because it executed too many instructions"), "{text}");
    until(&pic, "the debit to be forgiven", |_| install(Mode::Reinstall).ok());
}

#[test]
fn without_rate_limits_nothing_pauses() {
    let pic = unlimited();
    let canister = writer(&pic);
    write(&pic, canister);
    take(&pic, canister).expect("nothing is owed");
    let installed = pic.create_canister();
    for mode in [Mode::Install, Mode::Reinstall] {
        install_code(&pic, OWNER, installed, mode, &laborious(), &[]).expect("nothing is owed");
    }
    let universal = install_universal(&pic);
    let message = submit(&pic, universal, script().reply());
    rounds_until_answered(&pic, &message);
}
