//! Rate limits. dfinity/ic, `subnet_config.rs`: a canister that changed 75 MiB of memory in a round pauses until the
//! rounds have taken its debit below that, one that installed for 2 billion instructions is not installed until they have
//! taken it to 0. On by default, off by `IcpConfig::canister_execution_rate_limiting`. Error codes: IC0209, IC0210, and
//! IC0504 for chunks.

use candid::Principal;
use pocket_ic::common::rest::{IcpConfig, IcpConfigFlag};
use pocket_ic::{ErrorCode, PocketIc, RejectCode, RejectResponse};

use crate::support::canisters::{OWNER, assert_rejected, install, install_universal, run, slot, wat};
use crate::support::engine;
use crate::support::management::{
    Mode, OfCanister, OfSnapshot, Place, Snapshot, SnapshotId, UploadData, UploadMetadata, decode,
    install_code, manage, upload_metadata, upload_snapshot_data,
};
use crate::support::script::{Call, script};
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
      (func (export "canister_update correct")
        (call $write (i64.const 0) (i64.const 0) (i64.const 8)) (call $reply))
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

/// Code, `CanisterSnapshot::heap_delta` and `CanisterState::heap_delta`: a snapshot is taken and loaded with the pages
/// that were written since the last checkpoint, and these count.
#[test]
fn taking_and_loading_a_snapshot_count_what_was_written_since_the_checkpoint() {
    let pic = engine::pic();
    let canister = writer(&pic);
    write(&pic, canister);
    let first: Snapshot =
        decode(&until(&pic, "the debit of the message to be forgiven", |pic| take(pic, canister).ok()));
    assert_in_debt(take(&pic, canister));
    let load = |pic: &PocketIc| {
        let args = OfSnapshot { canister_id: canister, snapshot_id: first.id.clone() };
        manage(pic, OWNER, canister, "load_canister_snapshot", (args,))
    };
    until(&pic, "the debit of the snapshot to be forgiven", |pic| load(pic).ok());
    assert_in_debt(load(&pic));
    // PocketIC makes a checkpoint every 500 rounds.
    for _ in 0..500 {
        pic.tick();
    }
    pic.update_call(canister, OWNER, "correct", vec![]).expect("it writes a page of stable memory");
    for _ in 0..3 {
        load(&pic).expect("next to nothing was written since");
        take(&pic, canister).expect("next to nothing was written since");
    }
}

/// Code, `create_snapshot_from_metadata`: its memory has no pages yet.
#[test]
fn the_metadata_of_a_large_snapshot_count_nothing() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let metadata = UploadMetadata::new(canister, 8, 1 << 30);
    for _ in 0..2 {
        upload_metadata(&pic, OWNER, &metadata).expect("nothing is written");
    }
}

/// Code, `write_snapshot_data`: `heap_delta_debit += bytes_written`.
#[test]
fn slices_of_a_snapshot_count_their_bytes() {
    /// Bytes of a slice: ten are more than 75 MiB.
    const SLICE: usize = 8 << 20;
    let pic = engine::pic();
    let (canister, hand) = (install_universal(&pic), install_universal(&pic));
    pic.set_controllers(canister, Some(OWNER), vec![OWNER, hand]).expect("the controller may");
    let metadata = UploadMetadata::new(canister, 8, 1 << 30);
    let SnapshotId { snapshot_id } = decode(&upload_metadata(&pic, OWNER, &metadata).expect("it is made"));
    let kind = Place::StableMemory { offset: 0 };
    let args = UploadData { canister_id: canister, snapshot_id, kind, chunk: vec![0; SLICE] };
    let arg = candid::encode_one(&args).expect("arguments encode");
    let zeros =
        arg.windows(SLICE).position(|window| window.iter().all(|byte| *byte == 0)).expect("the chunk");
    let call = Call::new(Principal::management_canister(), "upload_canister_snapshot_data")
        .arg(&arg[..zeros])
        .arg_of(script().zeros(SLICE as u64))
        .arg(&arg[zeros + SLICE..])
        .on_reply(script().bump(0))
        .on_reject(script().bump(1));
    // All of them are executed in one round.
    run(&pic, hand, (0..12).fold(script(), |all, _| all.call(call.clone())).reply());
    until(&pic, "twelve answers", |pic| (slot(pic, hand, 0) + slot(pic, hand, 1) == 12).then_some(()));
    assert_eq!([slot(&pic, hand, 0), slot(&pic, hand, 1)], [10, 2]);
}

#[track_caller]
fn assert_in_debt(outcome: Result<Vec<u8>, RejectResponse>) {
    assert_rejected(outcome, RejectCode::SysTransient, ErrorCode::CanisterHeapDeltaRateLimited);
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
    assert_in_debt(take(&pic, canister));
    assert_in_debt(upload_metadata(&pic, OWNER, &metadata));
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
