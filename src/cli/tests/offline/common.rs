//! Snapshot directories as icp-cli leaves them, with images that ic-stable-structures wrote.

use decant_cli::repack::EMPTY_MODULE;
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager};
use ic_stable_structures::{Memory, VectorMemory};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A module that has a `canister_pre_upgrade`, which does nothing.
pub(crate) const MODULE: &[u8] =
    b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x18\x01\x14canister_pre_upgrade\0\0\
\x0a\x04\x01\x02\0\x0b";
/// A canister's id.
pub(crate) const CANISTER: &str = "ryjl3-tyaaa-aaaaa-aaaba-cai";
/// Bytes of a page.
pub(crate) const PAGE: usize = 65_536;
/// A chunk of the chunk store.
pub(crate) const CHUNK: &[u8] = b"a chunk of some module";

/// A directory that is gone when the test is over.
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("offline-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What is left behind lies below target.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A manager over a fresh memory.
pub(crate) fn managed(bucket_pages: u16) -> (VectorMemory, MemoryManager<VectorMemory>) {
    let memory = VectorMemory::default();
    let manager = MemoryManager::init_with_bucket_size(memory.clone(), bucket_pages);
    (memory, manager)
}

/// An image with three memories of a few pages, in buckets of 16, interleaved.
pub(crate) fn image() -> Vec<u8> {
    let (memory, manager) = managed(16);
    let [first, second, third] = [0, 7, 254].map(|id| manager.get(MemoryId::new(id)));
    first.grow(17);
    second.grow(3);
    first.grow(20);
    third.grow(1);
    first.write(36 * PAGE as u64 + 5, b"the last page of memory 0");
    second.write(0, b"the first page of memory 7");
    third.write(PAGE as u64 - 4, b"last");
    memory.borrow().clone()
}

/// What icp-cli writes to metadata.json, and a field that it may have one day.
fn metadata(stable_bytes: usize, module_bytes: usize, heap_bytes: usize) -> Value {
    json!({
        "source": { "taken_from_canister": null },
        "taken_at_timestamp": 1_700_000_000_000_000_001_u64,
        "wasm_module_size": module_bytes,
        "globals": [{ "i32": 1_048_576 }, { "i64": -7 }, { "f64": 0.5 }],
        "wasm_memory_size": heap_bytes,
        "stable_memory_size": stable_bytes,
        "wasm_chunk_store": [{ "hash": Sha256::digest(CHUNK).as_slice() }],
        "canister_version": 18_446_744_073_709_551_615_u64,
        "certified_data": [1, 2, 255],
        "global_timer": { "active": 1_800_000_000_000_000_000_u64 },
        "on_low_wasm_memory_hook_status": "executed",
        "a_field_of_the_future": { "kept": [true, null, "as it is"] }
    })
}

/// Writes the directory of a snapshot that was taken when the canister had no code.
pub(crate) fn write_snapshot(directory: &Path, image: &[u8]) {
    write_files(directory, image, &EMPTY_MODULE, &[]);
}

/// Writes the directory of a snapshot that was taken while the canister had its own code.
pub(crate) fn write_running(directory: &Path, image: &[u8]) {
    write_files(directory, image, MODULE, &[3; 2 * PAGE]);
}

fn write_files(directory: &Path, image: &[u8], module: &[u8], heap: &[u8]) {
    fs::create_dir_all(directory.join("wasm_chunk_store")).expect("the directory is made");
    let file =
        |name: &str, bytes: &[u8]| fs::write(directory.join(name), bytes).expect("the file is written");
    file("wasm_module.bin", module);
    file("wasm_memory.bin", heap);
    file("stable_memory.bin", image);
    file(&format!("wasm_chunk_store/{}.bin", hex::encode(Sha256::digest(CHUNK))), CHUNK);
    file(".lock", b"");
    write_metadata(directory, &metadata(image.len(), module.len(), heap.len()));
}

pub(crate) fn write_metadata(directory: &Path, metadata: &Value) {
    let json = serde_json::to_string_pretty(metadata).expect("it is JSON");
    fs::write(directory.join("metadata.json"), json).expect("the file is written");
}

pub(crate) fn read_metadata(directory: &Path) -> Value {
    let json = fs::read(directory.join("metadata.json")).expect("the file is there");
    serde_json::from_slice(&json).expect("it is JSON")
}

/// The repacked image, opened as a canister opens it.
pub(crate) fn open(directory: &Path) -> (VectorMemory, MemoryManager<VectorMemory>) {
    let memory = VectorMemory::default();
    *memory.borrow_mut() = fs::read(directory.join("stable_memory.bin")).expect("the file is there");
    (memory.clone(), MemoryManager::init(memory))
}

/// All bytes of a virtual memory.
pub(crate) fn bytes(manager: &MemoryManager<VectorMemory>, id: u8) -> Vec<u8> {
    let memory = manager.get(MemoryId::new(id));
    let mut bytes = vec![0; memory.size() as usize * PAGE];
    memory.read(0, &mut bytes);
    bytes
}

/// What the command printed, and its exit code.
pub(crate) struct Ended {
    pub(crate) output: String,
    pub(crate) errors: String,
    pub(crate) code: Option<i32>,
}

/// Runs the built command in a directory.
pub(crate) fn decant(directory: &Path, arguments: &[&str]) -> Ended {
    let run = Command::new(env!("CARGO_BIN_EXE_decant"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("the command starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
    Ended { output: text(run.stdout), errors: text(run.stderr), code: run.status.code() }
}
