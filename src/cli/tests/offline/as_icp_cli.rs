//! What icp-cli itself wrote and took, see `golden/README.md`.

use crate::common::{PAGE, Temporary, managed, read_metadata, write_metadata};
use decant_cli::repack::{EMPTY_MODULE, Options, check, rewrite};
use ic_stable_structures::Memory;
use ic_stable_structures::memory_manager::MemoryId;
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;

const DOWNLOADED: &str = include_str!("golden/icp-cli-1.5.0.downloaded.json");
const UPLOADED: &str = include_str!("golden/icp-cli-1.5.0.uploaded.json");
/// The chunk whose hash the metadata has.
const CHUNK: &[u8] = b"\0\x01\x02abd";
const CHUNK_HASH: &str = "4f2ba922d77ac396d0aef656e9d28305521116455ce2776ea8d1c9d4ee0245da";

fn parse(json: &str) -> Value {
    serde_json::from_str(json).expect("it is JSON")
}

/// The metadata as they are once the canister has no code.
fn without_code() -> Value {
    let mut metadata = parse(DOWNLOADED);
    metadata["wasm_module_size"] = EMPTY_MODULE.len().into();
    metadata["wasm_memory_size"] = 0.into();
    metadata["globals"] = serde_json::json!([]);
    metadata
}

/// A directory with the files beside the metadata, of the sizes that they say.
fn write_directory(directory: &Path, metadata: &Value) {
    let (memory, manager) = managed(128);
    for id in [0, 1, 2, 3, 254] {
        manager.get(MemoryId::new(id)).grow(1);
    }
    manager.get(MemoryId::new(254)).write(7, b"the page of memory 254");
    fs::create_dir_all(directory.join("wasm_chunk_store")).expect("the directory is made");
    let file =
        |name: &str, bytes: &[u8]| fs::write(directory.join(name), bytes).expect("the file is written");
    file(&format!("wasm_chunk_store/{CHUNK_HASH}.bin"), CHUNK);
    file("stable_memory.bin", &memory.borrow());
    file("wasm_module.bin", b"\0asm\x01\0\0\0");
    file("wasm_memory.bin", b"");
    file(".lock", b"");
    write_metadata(directory, metadata);
    for (name, size) in [("wasm_module.bin", "wasm_module_size"), ("wasm_memory.bin", "wasm_memory_size")] {
        let file = File::options().write(true).open(directory.join(name)).expect("the file is there");
        file.set_len(metadata[size].as_u64().expect("a size")).expect("the file is padded");
    }
}

#[test]
fn a_snapshot_of_a_canister_without_code_becomes_the_one_that_icp_cli_uploaded() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("before"), directory.path("after"));
    write_directory(&source, &without_code());

    let options = Options::in_buckets_of(1);
    let rewritten = rewrite(&source, &out, &options).expect("it is repacked");
    assert_eq!((rewritten.before.stable_pages, rewritten.after.stable_pages), (641, 6));
    assert_eq!(read_metadata(&out), parse(UPLOADED));
    assert_eq!(fs::metadata(out.join("stable_memory.bin")).expect("it is there").len(), 6 * PAGE as u64);
    assert!(check(&source, &out).expect("both can be read").is_same());
}

#[test]
fn a_snapshot_as_icp_cli_downloaded_it_of_a_canister_with_its_code_is_read_and_not_repacked() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("before"), directory.path("after"));
    write_directory(&source, &parse(DOWNLOADED));
    assert!(check(&source, &source).expect("it can be read").is_same());
    let refused = rewrite(&source, &out, &Options::in_buckets_of(1)).expect_err("it has its code");
    assert!(format!("{refused:#}").contains("a module of 760338 bytes"), "{refused:#}");
    assert!(!out.exists());
}

#[test]
fn a_lock_that_a_failed_upload_left_does_not_make_a_directory_full() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("before"), directory.path("after"));
    write_directory(&source, &without_code());
    fs::create_dir(&out).expect("the directory is made");
    fs::write(out.join(".lock"), b"").expect("the file is written");
    let options = Options::in_buckets_of(1);
    rewrite(&source, &out, &options).expect("it is repacked");
    let refused = format!("{:#}", rewrite(&source, &out, &options).expect_err("it is full now"));
    assert!(refused.contains("is not empty"), "{refused}");
}
