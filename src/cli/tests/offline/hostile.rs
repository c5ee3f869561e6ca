//! Directories that are not what they should be: each is refused with the file and what to do, and nothing is
//! left that a tool would take for a snapshot.

use crate::common::{
    MODULE, PAGE, Temporary, image, managed, read_metadata, write_metadata, write_running, write_snapshot,
};
use decant_cli::repack::{Options, rewrite};
use ic_stable_structures::Memory;
use ic_stable_structures::memory_manager::MemoryId;
use serde_json::json;
use std::fs;
use std::path::Path;

const OPTIONS: Options = Options::in_buckets_of(1);

/// Spoils a good directory; the refusal contains all the words, and no metadata.json is left.
fn assert_refused(words: &[&str], spoil: impl FnOnce(&Path)) {
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_running(&source, &image());
    spoil(&source);
    let refused = rewrite(&source, &out, &OPTIONS).expect_err("it must be refused");
    let text = format!("{refused:#}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
    assert!(!out.join("metadata.json").exists());
}

fn with_field(source: &Path, field: &str, value: serde_json::Value) {
    let mut metadata = read_metadata(source);
    metadata[field] = value;
    write_metadata(source, &metadata);
}

fn with_image(source: &Path, image: &[u8]) {
    write_snapshot(source, image);
}

fn truncate(path: &Path, bytes: u64) {
    let file = fs::File::options().write(true).open(path).expect("the file is there");
    file.set_len(bytes).expect("it is cut");
}

#[test]
fn a_missing_file_is_named() {
    for name in ["metadata.json", "wasm_module.bin", "wasm_memory.bin", "stable_memory.bin"] {
        assert_refused(&[name, "is missing", "again"], |source| {
            fs::remove_file(source.join(name)).expect("it is removed");
        });
    }
    assert_refused(&["wasm_chunk_store", ".bin is missing", "again"], |source| {
        fs::remove_dir_all(source.join("wasm_chunk_store")).expect("it is removed");
    });
}

#[test]
fn a_file_that_is_too_short_or_too_long_is_named_with_both_sizes() {
    for name in ["wasm_module.bin", "wasm_memory.bin", "stable_memory.bin"] {
        assert_refused(&[name, "has 3 bytes", "metadata.json says", "again"], |source| {
            truncate(&source.join(name), 3);
        });
        assert_refused(&[name, "has 9999999 bytes", "again"], |source| {
            truncate(&source.join(name), 9_999_999);
        });
    }
}

#[test]
fn a_damaged_chunk_is_named() {
    assert_refused(&["wasm_chunk_store", "does not have the hash in its name"], |source| {
        let chunk = fs::read_dir(source.join("wasm_chunk_store")).expect("it is there").next();
        fs::write(chunk.expect("a chunk").expect("an entry").path(), b"other").expect("it is written");
    });
}

#[test]
fn a_download_that_was_interrupted_is_refused() {
    for name in [".download_progress.json", ".download_progress.json.tmp"] {
        assert_refused(&[name, "not complete", "--resume"], |source| {
            fs::write(source.join(name), b"{}").expect("it is written");
        });
    }
}

#[test]
fn metadata_that_can_not_be_understood_are_refused() {
    for text in ["", "{", "[]", "null", "\u{0}"] {
        assert_refused(&["metadata.json", "again"], |source| {
            fs::write(source.join("metadata.json"), text).expect("it is written");
        });
    }
    for (field, value) in [
        ("stable_memory_size", json!("8 MiB")),
        ("stable_memory_size", json!(-65_536)),
        ("stable_memory_size", json!(1.5)),
        ("wasm_module_size", json!(null)),
        ("wasm_memory_size", json!([])),
        ("globals", json!({})),
        ("certified_data", json!([256])),
        ("wasm_chunk_store", json!("none")),
        ("wasm_chunk_store", json!([{ "hash": "../../somewhere" }])),
    ] {
        let word = if value == json!([{ "hash": "../../somewhere" }]) { "hash" } else { field };
        assert_refused(&["metadata.json", word, "again"], |source| with_field(source, field, value));
    }
}

#[test]
fn stable_memory_that_is_no_whole_number_of_pages_is_refused() {
    assert_refused(&["stable_memory_size is 100000", "whole number of pages"], |source| {
        truncate(&source.join("stable_memory.bin"), 100_000);
        with_field(source, "stable_memory_size", json!(100_000));
    });
}

#[test]
fn a_module_of_zeros_as_an_interrupted_download_leaves_it_is_refused() {
    assert_refused(&["wasm_module.bin", "no WebAssembly module"], |source| {
        fs::write(source.join("wasm_module.bin"), [0; MODULE.len()]).expect("it is written");
    });
}

#[test]
fn an_empty_a_raw_and_a_compact_image_are_refused_with_the_reason() {
    assert_refused(&["stable_memory.bin is empty", "nothing to repack"], |source| with_image(source, &[]));
    assert_refused(&["stable_memory.bin is raw", "2 pages", "MemoryManager at page 0"], |source| {
        with_image(source, &[7; 2 * PAGE]);
    });
    let (memory, manager) = managed(1);
    manager.get(MemoryId::new(5)).grow(9);
    let figures = "10 pages in buckets of 1, of which 9 are used, 9 allocated and 0 wasted";
    assert_refused(&["compact already", figures], |source| with_image(source, &memory.borrow()));
}

#[test]
fn a_damaged_header_page_is_refused() {
    let image = image();
    for (offset, byte) in [(3, 9), (4, 255), (6, 0), (9, 1), (40, 99), (2_080, 3), (34_847, 1)] {
        assert_refused(&["stable_memory.bin can't be trusted"], |source| {
            let mut image = image.clone();
            image[offset] = byte;
            with_image(source, &image);
        });
    }
}

#[test]
fn a_bucket_size_of_zero_or_past_the_header_is_refused() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &image());
    for bucket_pages in [0, 65_536] {
        let refused = rewrite(&source, &out, &Options { bucket_pages, ..OPTIONS }).expect_err("impossible");
        let text = format!("{refused:#}");
        assert!(text.contains(&format!("a bucket of {bucket_pages} pages is not possible")), "{text}");
    }
    assert!(!out.exists());
}

#[test]
fn bytes_behind_the_last_bucket_are_given_up_only_when_told() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    let mut image = image();
    image.resize(image.len() + 30 * PAGE, 0);
    let page = image.len() / PAGE - 2;
    image[page * PAGE + 12] = 1;
    write_snapshot(&source, &image);
    let text = format!("{:#}", rewrite(&source, &out, &OPTIONS).expect_err("something would be lost"));
    assert!(text.contains(&format!("page {page} is not zero")) && text.contains("--drop-tail"), "{text}");
    rewrite(&source, &out, &Options { drop_tail: true, ..OPTIONS }).expect("it was told to");
}

#[test]
fn a_directory_that_is_not_empty_is_never_written_to() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &image());
    fs::create_dir(&out).expect("it is made");
    fs::write(out.join("mine"), b"something").expect("it is written");
    let text = format!("{:#}", rewrite(&source, &out, &OPTIONS).expect_err("it is not empty"));
    assert!(text.contains("is not empty"), "{text}");
    assert_eq!(fs::read_dir(&out).expect("it is there").count(), 1);
    let text = format!("{:#}", rewrite(&source, &source, &OPTIONS).expect_err("it is not empty"));
    assert!(text.contains("is not empty"), "{text}");
}

#[test]
fn a_snapshot_that_was_taken_the_old_way_is_refused_with_what_to_do() {
    let words = ["had its own code, a module of 50 bytes", "Upgrade the canister to nothing.wasm", "--steps"];
    assert_refused(&words, |_| {});
}

#[test]
fn a_heap_beside_the_module_of_nothing_is_refused() {
    assert_refused(&["holds a heap of 65536 bytes", "that of nothing"], |source| {
        write_snapshot(source, &image());
        fs::write(source.join("wasm_memory.bin"), [0; PAGE]).expect("it is written");
        with_field(source, "wasm_memory_size", json!(PAGE));
    });
}
