//! `--check` tells content from form, and the command's exit code tells what it found.

use crate::common::{PAGE, Temporary, image, read_metadata, write_metadata, write_snapshot};
use decant_cli::repack::{Options, check, rewrite};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output};

const OPTIONS: Options = Options::in_buckets_of(1);

fn differences(left: &Path, right: &Path) -> Vec<String> {
    check(left, right).expect("both can be read").differences
}

fn decant(arguments: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_decant")).arg("repack").args(arguments).output().expect("decant runs")
}

#[test]
fn a_flipped_bit_is_found_in_its_page_of_its_memory() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &image());
    rewrite(&source, &out, &OPTIONS).expect("it is repacked");
    let file = fs::File::options().write(true).open(out.join("stable_memory.bin")).expect("it opens");
    // Header page, 37 pages of memory 0, then memory 7: its third page.
    file.write_all_at(&[1], (1 + 37 + 2) * PAGE as u64 + 77).expect("it is written");
    assert_eq!(differences(&source, &out), ["memory 7: page 2 of 3 differs"]);
    assert_eq!(differences(&out, &source), ["memory 7: page 2 of 3 differs"]);
}

#[test]
fn another_module_other_chunks_and_other_metadata_are_differences() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &image());
    rewrite(&source, &out, &OPTIONS).expect("it is repacked");
    fs::write(out.join("wasm_module.bin"), b"\0asm\x01\0\0\0\0\x02\x01y").expect("it is written");
    let mut metadata = read_metadata(&out);
    metadata["wasm_module_size"] = serde_json::json!(12);
    metadata["wasm_chunk_store"] = serde_json::json!([]);
    metadata["certified_data"] = serde_json::json!([1, 2, 3]);
    metadata["a_field_of_the_future"] = serde_json::json!(null);
    metadata["canister_version"] = serde_json::json!(5);
    write_metadata(&out, &metadata);
    let found = differences(&source, &out).join("\n");
    for what in
        ["module: 8 bytes against 12 others", "only one has chunk", "certified_data", "a_field_of_the_future"]
    {
        assert!(found.contains(what), "{what} is not in {found}");
    }
    assert!(!found.contains("canister_version"), "{found}");
}

#[test]
fn memories_that_only_one_has_are_differences() {
    let directory = Temporary::new();
    let (source, other) = (directory.path("source"), directory.path("other"));
    write_snapshot(&source, &image());
    let (memory, manager) = crate::common::managed(1);
    ic_stable_structures::Memory::grow(
        &manager.get(ic_stable_structures::memory_manager::MemoryId::new(9)),
        2,
    );
    write_snapshot(&other, &memory.borrow());
    let found = differences(&source, &other).join("\n");
    assert!(found.contains("memory 7: 3 pages against 0"), "{found}");
    assert!(found.contains("memory 9: 0 pages against 2"), "{found}");
}

#[test]
fn the_exit_code_says_whether_both_hold_the_same() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &image());
    rewrite(&source, &out, &OPTIONS).expect("it is repacked");
    let same = decant(&[Path::new("--check"), &source, &out]);
    assert_eq!(same.status.code(), Some(0), "{}", String::from_utf8_lossy(&same.stdout));
    let mut metadata = read_metadata(&out);
    metadata["certified_data"] = serde_json::json!([]);
    write_metadata(&out, &metadata);
    let different = decant(&[Path::new("--check"), &source, &out]);
    assert_eq!(different.status.code(), Some(1), "{}", String::from_utf8_lossy(&different.stdout));
    assert!(String::from_utf8_lossy(&different.stdout).contains("They do NOT hold the same"));
}
