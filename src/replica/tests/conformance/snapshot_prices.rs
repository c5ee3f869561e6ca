//! What snapshots, chunks and modules cost beyond the recorded cases of `calibration`. dfinity/ic,
//! `canister_manager.rs` (`load_canister_snapshot`, `read_snapshot_data`, `write_snapshot_data`), `hypervisor.rs`
//! (`create_execution_state`), `types.rs` (`instructions_to_assemble`).

use candid::Principal;
use pocket_ic::common::rest::RawEffectivePrincipal;
use pocket_ic::{CanisterInstallMode, PocketIc};
use sha2::{Digest, Sha256};

use crate::support::canisters::{OWNER, install, install_universal, universal, wat};
use crate::support::engine;
use crate::support::management::{
    InstallCode, Mode, Place, Slice, SnapshotId, UploadMetadata, decode, install_code, read_snapshot_data,
    upload_metadata, upload_snapshot_data,
};
use crate::support::wait::rounds_until_answered;

const MIB: u128 = 1 << 20;

/// What an ingress message of a few hundred bytes costs at most: 1.2 M, and 2,000 a byte.
const INGRESS: u128 = 3_000_000;

/// What `action` costs `canister`.
fn cost_of<T>(pic: &PocketIc, canister: Principal, action: impl FnOnce() -> T) -> u128 {
    let before = pic.cycle_balance(canister);
    action();
    before - pic.cycle_balance(canister)
}

/// Asserts that `more` is `expected` above `less`, but for a difference of `tolerance`.
#[track_caller]
fn assert_above(more: u128, less: u128, expected: u128, tolerance: u128) {
    let found = more - less;
    assert!(found.abs_diff(expected) <= tolerance, "{found}, not {expected}");
}

/// A module whose `(start)` function grows nothing and whose stable memory grows by 64 MiB a call.
fn growing(address: &str) -> Vec<u8> {
    wat(&format!(
        r#"(module
          (import "ic0" "msg_reply" (func $reply))
          (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
          (memory {address} 1)
          (func (export "canister_update grow") (drop (call $grow (i64.const 1024))) (call $reply)))"#
    ))
}

/// `load_canister_snapshot`: "we need to check if the canister is in wasm64 mode to account for its instruction usage".
#[test]
fn loading_costs_twice_as_much_a_byte_where_addresses_have_64_bits() {
    for (address, factor) in [("", 1), ("i64", 2)] {
        let pic = engine::pic();
        let canister = install(&pic, &growing(address), &[]);
        let take = || pic.take_canister_snapshot(canister, Some(OWNER), None).expect("it is taken").id;
        let small = take();
        pic.update_call(canister, OWNER, "grow", vec![]).expect("it grows");
        let large = take();
        let load = |snapshot: Vec<u8>| {
            cost_of(&pic, canister, || {
                pic.load_canister_snapshot(canister, Some(OWNER), snapshot).expect("it is loaded");
            })
        };
        assert_above(load(large), load(small), factor * 64 * MIB, MIB);
    }
}

/// `take_canister_snapshot`: "it does not matter if this is a Wasm64 or Wasm32 module".
#[test]
fn taking_costs_the_same_a_byte_whatever_the_addresses() {
    for address in ["", "i64"] {
        let pic = engine::pic();
        let canister = install(&pic, &growing(address), &[]);
        let take = || {
            cost_of(&pic, canister, || {
                pic.take_canister_snapshot(canister, Some(OWNER), None).expect("it is taken");
            })
        };
        let small = take();
        pic.update_call(canister, OWNER, "grow", vec![]).expect("it grows");
        assert_above(take(), small, 64 * MIB, MIB);
    }
}

/// `CompilationCostHandling`: a module that was installed on the subnet since the last checkpoint is compiled for a
/// hundredth (`DESERIALIZATION_SPEED_UP_FACTOR`), by an installation and by a snapshot; loading does not make it known.
#[test]
fn a_module_is_compiled_for_less_until_the_next_checkpoint() {
    const OPERATORS: usize = 20_000;
    let full = 6_000 * OPERATORS as u128;
    let pic = engine::pic();
    let module = wat(&format!("(module (func {}))", "nop ".repeat(OPERATORS)));
    let canister = install(&pic, &module, &[]);
    let snapshot = pic.take_canister_snapshot(canister, Some(OWNER), None).expect("it is taken").id;
    let load = || {
        cost_of(&pic, canister, || {
            pic.load_canister_snapshot(canister, Some(OWNER), snapshot.clone()).expect("it is loaded");
        })
    };
    let reinstall = || {
        cost_of(&pic, canister, || {
            install_code(&pic, OWNER, canister, Mode::Reinstall, &module, &[]).expect("it is installed");
        })
    };
    let before = [load(), reinstall()];
    // PocketIC makes a checkpoint every 500 rounds.
    for _ in 0..500 {
        pic.tick();
    }
    let after = [load(), load(), reinstall()];
    let difference = full - full / 100;
    // Time passes too, and what is kept is paid for.
    let tolerance = difference / 20;
    assert_above(after[0], before[0], difference, tolerance);
    assert_above(after[1], before[0], difference, tolerance);
    assert_above(after[2], before[1], difference, tolerance);
    assert_above(load(), before[0], 0, tolerance);
}

/// `create_execution_state` takes from the instructions of the round, not from a slice: only what runs takes rounds.
#[test]
fn the_compilation_of_a_large_module_takes_no_rounds() {
    // A function may have a million operators; a slice is 2 billion instructions, a third of a million operators.
    let large = wat(&format!("(module {})", format!("(func {})", "nop ".repeat(200_000)).repeat(4)));
    let pic = engine::pic();
    let rounds = |module: &[u8]| {
        let canister_id = pic.create_canister();
        let args =
            InstallCode { mode: Mode::Install, canister_id, wasm_module: module.to_vec(), arg: vec![] };
        let message = pic
            .submit_call_with_effective_principal(
                Principal::management_canister(),
                RawEffectivePrincipal::CanisterId(canister_id.as_slice().to_vec()),
                OWNER,
                "install_code",
                candid::encode_one(args).expect("arguments encode"),
            )
            .expect("it is taken");
        rounds_until_answered(&pic, &message)
    };
    assert_eq!(rounds(&large), rounds(&wat("(module)")));
}

/// `write_snapshot_data`: "Cycles should be charged in any case"; a chunk counts 1 MiB, however short and whether the
/// snapshot has it or not.
#[test]
fn a_chunk_of_a_snapshot_is_written_at_the_price_of_a_mebibyte() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let metadata = UploadMetadata::new(canister, 8, 65_536);
    let uploaded = upload_metadata(&pic, OWNER, &metadata).expect("it is made");
    let SnapshotId { snapshot_id } = decode(&uploaded);
    let write = |place: Place| {
        cost_of(&pic, canister, || {
            upload_snapshot_data(&pic, OWNER, canister, &snapshot_id, place, &[7; 100]).expect("it fits");
        })
    };
    let slice = write(Place::StableMemory { offset: 0 });
    for _ in 0..2 {
        assert_above(write(Place::WasmChunk), slice, MIB, INGRESS);
    }
}

/// `read_snapshot_data`: "Charge upfront for the baseline plus the maximum possible size of the returned slice".
#[test]
fn what_is_asked_of_a_snapshot_is_paid_for_whether_it_is_there_or_not() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let chunk = vec![7; 100];
    pic.upload_chunk(canister, Some(OWNER), chunk.clone()).expect("it is stored");
    let snapshot = pic.take_canister_snapshot(canister, Some(OWNER), None).expect("it is taken").id;
    let cost = |is_there: bool, kind: Slice| {
        cost_of(&pic, canister, || {
            let outcome = read_snapshot_data(&pic, OWNER, canister, &snapshot, kind);
            assert_eq!(outcome.is_ok(), is_there, "{outcome:?}");
        })
    };
    let nothing = cost(true, Slice::WasmMemory { offset: 0, size: 0 });
    assert_above(
        cost(false, Slice::StableMemory { offset: 0, size: 1_900_000 }),
        nothing,
        1_900_000,
        INGRESS,
    );
    for (is_there, chunk) in [(true, chunk), (false, vec![8; 100])] {
        let kind = Slice::WasmChunk { hash: Sha256::digest(&chunk).to_vec() };
        assert_above(cost(is_there, kind), nothing, MIB, INGRESS / 10);
    }
}

/// `instructions_to_assemble`: "Charge one instruction per byte, assuming each chunk is the maximum size"; so it is if
/// the chunks are no module.
#[test]
fn every_chunk_of_a_module_is_assembled_at_the_price_of_a_mebibyte() {
    const EMPTY_CHUNKS: usize = 30;
    let pic = engine::pic();
    let canister = pic.create_canister();
    let upload =
        |chunk: &[u8]| pic.upload_chunk(canister, Some(OWNER), chunk.to_vec()).expect("it is stored");
    let (module, nothing) = (upload(universal()), upload(b""));
    let install = |mode, empty_chunks: usize, hash: &[u8], is_installed: bool| {
        cost_of(&pic, canister, || {
            let hashes = [vec![module.clone()], vec![nothing.clone(); empty_chunks]].concat();
            let outcome = pic.install_chunked_canister(
                canister,
                Some(OWNER),
                mode,
                canister,
                hashes,
                hash.to_vec(),
                vec![],
            );
            assert_eq!(outcome.is_ok(), is_installed, "{outcome:?}");
        })
    };
    install(CanisterInstallMode::Install, 0, &module, true);
    let upgrade = CanisterInstallMode::Upgrade(None);
    for (mode, hash, is_installed) in [
        (upgrade, &module, true),
        (CanisterInstallMode::Reinstall, &module, true),
        (CanisterInstallMode::Reinstall, &nothing, false),
        (upgrade, &nothing, false),
    ] {
        let few = install(mode, 0, hash, is_installed);
        let many = install(mode, EMPTY_CHUNKS, hash, is_installed);
        assert_above(many, few, EMPTY_CHUNKS as u128 * MIB, INGRESS);
    }
}

/// `create_execution_state`: "If a wasm instruction has no arguments then it can be represented as a single byte. So
/// taking the length of the wasm source is a conservative estimate of the number of instructions."
#[test]
fn a_module_that_is_none_costs_as_if_each_of_its_bytes_were_an_instruction() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    let refused = |bytes: usize| {
        let module = [b"\0asm\x01\0\0\0", &vec![0xff; bytes][..]].concat();
        cost_of(&pic, canister, || {
            install_code(&pic, OWNER, canister, Mode::Install, &module, &[]).expect_err("it is no module");
        })
    };
    // A byte of an ingress message costs 2,000.
    assert_above(refused(11_000), refused(1_000), 10_000 * 8_000, INGRESS);
}
