//! The chunk store: modules too large for one message. Management canister, `upload_chunk`,
//! `clear_chunk_store`, `stored_chunks`, `install_chunked_code`.

use std::collections::BTreeSet;

use pocket_ic::CanisterInstallMode;
use sha2::{Digest, Sha256};

use crate::support::canisters::{OWNER, install_universal, run, slot, stranger, universal};
use crate::support::engine;
use crate::support::management;
use crate::support::script::script;

const MIB: usize = 1 << 20;

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// The universal canister followed by a custom section of `size` bytes.
fn padded(size: usize) -> Vec<u8> {
    fn leb128(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 128 {
            bytes.push((value % 128) as u8 | 128);
            value /= 128;
        }
        bytes.push(value as u8);
        bytes
    }
    let content = [&[3][..], b"pad", &vec![7; size]].concat();
    [universal(), &[0], &leb128(content.len()), &content].concat()
}

/// `upload_chunk`: "returns the hash of the chunk that was stored"; `stored_chunks` lists,
/// `clear_chunk_store` clears.
#[test]
fn chunks_are_stored_by_their_hash_until_they_are_cleared() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    let chunks = [vec![1; 10], vec![2; MIB], Vec::from(*b"three")];
    for chunk in &chunks {
        let hash = pic.upload_chunk(canister, Some(OWNER), chunk.clone()).expect("it is stored");
        assert_eq!(hash, sha256(chunk));
    }
    pic.upload_chunk(canister, Some(OWNER), chunks[0].clone()).expect("again is fine");
    let stored = pic.stored_chunks(canister, Some(OWNER)).expect("the controller may ask");
    assert_eq!(stored.len(), 3);
    assert_eq!(BTreeSet::from_iter(stored), chunks.iter().map(|chunk| sha256(chunk)).collect());
    pic.clear_chunk_store(canister, Some(OWNER)).expect("the controller may clear");
    assert!(pic.stored_chunks(canister, Some(OWNER)).expect("the controller may ask").is_empty());
}

/// `upload_chunk`: "The size of each chunk must be at most 1MiB".
#[test]
fn a_chunk_is_at_most_a_mebibyte() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    pic.upload_chunk(canister, Some(OWNER), vec![0; MIB + 1]).expect_err("too large");
    assert!(pic.stored_chunks(canister, Some(OWNER)).expect("the controller may ask").is_empty());
}

/// `upload_chunk`, `stored_chunks`, `clear_chunk_store`: controllers and the canister itself.
#[test]
fn strangers_have_no_access_to_the_chunk_store() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    pic.upload_chunk(canister, Some(stranger()), vec![1]).expect_err("not a controller");
    pic.stored_chunks(canister, Some(stranger())).expect_err("not a controller");
    pic.clear_chunk_store(canister, Some(stranger())).expect_err("not a controller");
}

/// `install_chunked_code`: the chunks are concatenated and installed as with `install_code`.
#[test]
fn a_module_is_installed_from_chunks() {
    let pic = engine::pic();
    let canister = pic.create_canister();
    let (first, second) = universal().split_at(1_000);
    let hashes = [first, second]
        .map(|chunk| pic.upload_chunk(canister, Some(OWNER), chunk.to_vec()).expect("it is stored"));
    let install = |hashes: Vec<Vec<u8>>, module_hash| {
        pic.install_chunked_canister(
            canister,
            Some(OWNER),
            CanisterInstallMode::Install,
            canister,
            hashes,
            module_hash,
            script().bump(0).bytes(),
        )
    };
    let good = sha256(universal());
    install(hashes.to_vec(), sha256(b"something else")).expect_err("the hash does not match");
    install(vec![hashes[1].clone(), hashes[0].clone()], good.clone()).expect_err("the order is wrong");
    install(vec![hashes[0].clone(), sha256(b"missing")], good.clone()).expect_err("a chunk is missing");
    install(hashes.to_vec(), good.clone()).expect("all is well");
    assert_eq!(slot(&pic, canister, 0), 1);
    let status = management::status(&pic, OWNER, canister).expect("the controller may ask");
    assert_eq!(status.module_hash, Some(good));
}

/// `install_chunked_code`: "The optional `store_canister` specifies the canister in whose chunk storage the
/// chunks are stored"; "the caller must be a controller of the `store_canister`".
#[test]
fn chunks_may_be_stored_in_another_canister() {
    let pic = engine::pic();
    let (target, store) = (pic.create_canister(), pic.create_canister());
    let hash = pic.upload_chunk(store, Some(OWNER), universal().to_vec()).expect("it is stored");
    let install = || {
        pic.install_chunked_canister(
            target,
            Some(OWNER),
            CanisterInstallMode::Install,
            store,
            vec![hash.clone()],
            hash.clone(),
            vec![],
        )
    };
    pic.set_controllers(store, Some(OWNER), vec![stranger()]).expect("the controller may");
    install().expect_err("the store belongs to another");
    pic.set_controllers(store, Some(stranger()), vec![OWNER]).expect("the controller may");
    install().expect("the store is the caller's again");
    run(&pic, target, script().reply());
}

/// `PocketIc::install_canister` sends modules of 2 MB and more in chunks; gaps in nothing: the module runs.
#[test]
fn a_module_larger_than_a_message_is_installed() {
    let pic = engine::pic();
    let module = padded(3 * MIB);
    let canister = pic.create_canister();
    pic.install_canister(canister, module.clone(), script().bump(0).bytes(), Some(OWNER));
    assert_eq!(slot(&pic, canister, 0), 1);
    let status = management::status(&pic, OWNER, canister).expect("the controller may ask");
    assert_eq!(status.module_hash, Some(sha256(&module)));
    assert_eq!(status.memory_metrics.wasm_binary_size, module.len() as u64);
}

/// `canister_status`, "Memory Metrics", `wasm_chunk_store_size`: "The storage cost of each chunk is fixed and
/// corresponds to storing 1MiB of data" (`upload_chunk`).
#[test]
fn every_chunk_counts_as_a_mebibyte() {
    let pic = engine::pic();
    let canister = install_universal(&pic);
    let size = || {
        let status = management::status(&pic, OWNER, canister).expect("the controller may ask");
        status.memory_metrics.wasm_chunk_store_size
    };
    assert_eq!(size(), 0_u64);
    pic.upload_chunk(canister, Some(OWNER), vec![1]).expect("it is stored");
    assert_eq!(size(), MIB as u64);
    pic.upload_chunk(canister, Some(OWNER), vec![2; 1_000]).expect("it is stored");
    assert_eq!(size(), 2 * MIB as u64);
    pic.clear_chunk_store(canister, Some(OWNER)).expect("it is cleared");
    assert_eq!(size(), 0_u64);
}
