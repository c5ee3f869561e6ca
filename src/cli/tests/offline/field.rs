//! Images as they are in the field: managers behind other pages, tails, managers inside of memories.

use crate::common::{PAGE, Temporary, bytes, image, managed, open, write_snapshot};
use decant_cli::repack::{Known, Options, check, check_knowing, rewrite};
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager};
use ic_stable_structures::{Memory, RestrictedMemory, StableBTreeMap, StableCell, VectorMemory};
use std::fs;
use std::path::Path;

const OPTIONS: Options = Options::in_buckets_of(1);

/// As an ICRC-1 archive: a cell in page 0, a manager of two memories behind it.
fn archive() -> Vec<u8> {
    let memory = VectorMemory::default();
    StableCell::init(RestrictedMemory::new(memory.clone(), 0..1), b"the configuration".to_vec());
    let manager = MemoryManager::init(RestrictedMemory::new(memory.clone(), 1..1_000_000));
    assert_eq!([0, 1].map(|id| manager.get(MemoryId::new(id)).grow(1)), [0, 0]);
    manager.get(MemoryId::new(1)).write(0, b"a block");
    memory.borrow().clone()
}

fn refusal(source: &Path, out: &Path, options: &Options) -> String {
    let text = format!("{:#}", rewrite(source, out, options).expect_err("it must be refused"));
    assert!(!out.join("metadata.json").exists());
    text
}

fn assert_contains(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

#[test]
fn a_manager_behind_other_pages_is_named_and_repacked_when_it_is_confirmed() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &archive());
    let figures = "page 1, with 2 memories in buckets of 128, 2 pages used and 254 wasted";
    let text = refusal(&source, &out, &OPTIONS);
    assert_contains(&text, &["no MemoryManager begins at page 0", figures, "--manager-page PAGE"]);
    assert!(!text.contains("relocate"), "{text}");
    let elsewhere = refusal(&source, &out, &Options { manager_page: 48, ..OPTIONS });
    assert_contains(
        &elsewhere,
        &["page 48 lies inside of the MemoryManager at page 1, which ends at page 258"],
    );
    let behind_all = refusal(&source, &out, &Options { manager_page: 5_000, ..OPTIONS });
    assert_contains(&behind_all, &["no MemoryManager begins at page 5000", figures]);

    let rewritten = rewrite(&source, &out, &Options { manager_page: 1, ..OPTIONS }).expect("it is confirmed");
    assert_contains(
        &rewritten.to_string(),
        &["before  258 pages", "after   4 pages", "kept    1 pages before"],
    );
    let known = Known { manager_page: 1, ..Known::default() };
    let comparison = check_knowing(&source, &out, &known).expect("both can be read");
    assert!(comparison.is_same(), "{comparison}");
    assert!(comparison.same.contains(&"before the manager: 1 pages".to_owned()), "{comparison}");

    let memory = VectorMemory::default();
    *memory.borrow_mut() = fs::read(out.join("stable_memory.bin")).expect("it is there");
    let config = StableCell::init(RestrictedMemory::new(memory.clone(), 0..1), Vec::new());
    assert_eq!(config.get(), b"the configuration");
    let manager = MemoryManager::init(RestrictedMemory::new(memory, 1..1_000_000));
    let mut bytes = [0; 7];
    manager.get(MemoryId::new(1)).read(0, &mut bytes);
    assert_eq!(&bytes, b"a block");
}

#[test]
fn a_byte_before_the_manager_that_differs_is_a_difference() {
    let directory = Temporary::new();
    let (left, right) = (directory.path("left"), directory.path("right"));
    write_snapshot(&left, &archive());
    let mut other = archive();
    other[100] ^= 1;
    write_snapshot(&right, &other);
    let known = Known { manager_page: 1, ..Known::default() };
    let comparison = check_knowing(&left, &right, &known).expect("both can be read");
    assert_eq!(comparison.differences, ["before the manager: page 0 of 1 differs"]);
}

/// Buckets of 128 pages, then set up anew with buckets of 16 (orbit #474): 336 pages of old state behind it.
fn reset() -> Vec<u8> {
    let memory = VectorMemory::default();
    for bucket_pages in [128, 16] {
        if memory.size() > 0 {
            memory.write(0, &[0; 3]);
        }
        let manager = MemoryManager::init_with_bucket_size(memory.clone(), bucket_pages);
        for id in 0..3 {
            StableBTreeMap::init(manager.get(MemoryId::new(id))).insert(u64::from(bucket_pages), 1_u64);
        }
    }
    memory.borrow().clone()
}

#[test]
fn a_tail_is_shown_with_what_it_looks_like_and_a_comparison_says_what_was_dropped() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &reset());
    let text = refusal(&source, &out, &OPTIONS);
    let facts = ["page 129 is not zero", "StableBTreeMap at page 257", "buckets of 128 pages, set up anew"];
    assert_contains(&text, &facts);
    assert_contains(&text, &["only its code tells", "--drop-tail"]);
    let options = Options { drop_tail: true, ..OPTIONS };
    let rewritten = rewrite(&source, &out, &options).expect("it was told to").to_string();
    assert_contains(&rewritten, &["DROPPED 336 pages behind the last bucket", "page 129 is not zero"]);

    let strict = check(&source, &out).expect("both can be read");
    assert_eq!(strict.differences.len(), 1, "{strict}");
    assert_contains(&strict.to_string(), &["has something behind the manager", "They do NOT hold the same"]);
    let known = Known { tail_is_dropped: true, ..Known::default() };
    let told = check_knowing(&source, &out, &known).expect("both can be read");
    assert!(told.is_same(), "{told}");
    assert_contains(&told.to_string(), &["DROPPED  only", "page 129", "the same, but for what was dropped."]);
    assert!(check(&source, &source).expect("it can be read").is_same());
}

#[test]
fn a_tail_of_zeros_is_no_tail_for_a_repack_and_for_a_comparison() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    let mut image = image();
    image.resize(image.len() + 40 * PAGE, 0);
    write_snapshot(&source, &image);
    let rewritten = rewrite(&source, &out, &OPTIONS).expect("zeros are nothing");
    assert!(!rewritten.to_string().contains("DROPPED"), "{rewritten}");
    let comparison = check(&source, &out).expect("both can be read");
    assert!(comparison.is_same() && comparison.dropped.is_empty(), "{comparison}");
}

#[test]
fn tails_that_differ_are_differences() {
    let directory = Temporary::new();
    let (left, right) = (directory.path("left"), directory.path("right"));
    let with_tail = |pages: usize, byte: u8| {
        let mut image = image();
        let end = image.len();
        image.resize(end + pages * PAGE, 0);
        image[end + 7] = byte;
        image
    };
    write_snapshot(&left, &with_tail(3, 1));
    for (other, difference) in
        [(with_tail(3, 2), "page 81 differs"), (with_tail(4, 1), "3 pages from 81 against 4")]
    {
        write_snapshot(&right, &other);
        let comparison = check(&left, &right).expect("both can be read");
        assert_contains(&comparison.differences.join("\n"), &["behind the manager", difference]);
    }
}

#[test]
fn the_waste_of_a_manager_inside_of_a_memory_is_in_the_report_and_in_the_refusal() {
    let (memory, outer) = managed(16);
    let inner = MemoryManager::init_with_bucket_size(outer.get(MemoryId::new(254)), 16);
    (0..4).for_each(|id| assert_eq!(inner.get(MemoryId::new(id)).grow(1), 0));
    outer.get(MemoryId::new(0)).grow(1);
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &memory.borrow());
    let waste = "memory 254 holds a MemoryManager itself, which uses 4 pages of it and leaves 60 unused";
    let rewritten = rewrite(&source, &out, &OPTIONS).expect("it is repacked").to_string();
    assert_contains(&rewritten, &[waste, "memory 254: 65 pages, MemoryManager", "memory 0: 1 pages\n"]);
    let compact = directory.path("compact");
    write_snapshot(&compact, &fs::read(out.join("stable_memory.bin")).expect("it is there"));
    let text = refusal(&compact, &directory.path("again"), &OPTIONS);
    assert_contains(&text, &["is compact already", waste]);
}

#[test]
fn free_buckets_are_refused_unless_they_are_known_to_be_harmless() {
    let mut image = image();
    // Memory 7 is freed, as `reclaim_memory` of ic-stable-structures 0.7.1 does: size 0, owner 255.
    let table = 2_080..2_080 + 5;
    image[40 + 7 * 8] = 0;
    image[table].iter_mut().filter(|owner| **owner == 7).for_each(|owner| *owner = 255);
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &image);
    let text = refusal(&source, &out, &OPTIONS);
    assert_contains(&text, &["1 buckets are free", "0.7.1", "--free-buckets"]);
    let rewritten =
        rewrite(&source, &out, &Options { free_buckets: true, ..OPTIONS }).expect("it was told to");
    assert_contains(&rewritten.to_string(), &["DROPPED 1 free buckets, 16 pages"]);
}

#[test]
fn a_last_bucket_that_is_cut_short_is_repacked_and_said() {
    let mut image = image();
    // Memory 254 has one page of the last of five buckets.
    image.truncate((1 + 4 * 16 + 1) * PAGE);
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &image);
    let rewritten = rewrite(&source, &out, &OPTIONS).expect("every page in use is there").to_string();
    assert_contains(&rewritten, &["the last bucket was cut short by 15 pages, none of them in use"]);
    assert!(check(&source, &out).expect("both can be read").is_same());
}

#[test]
fn what_only_begins_like_a_manager_is_not_called_damaged_alone() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    let mut image = b"MGReetings from a raw state".to_vec();
    image.resize(2 * PAGE, 7);
    write_snapshot(&source, &image);
    let text = refusal(&source, &out, &OPTIONS);
    assert_contains(&text, &["these are other data that happen to begin with \"MGR\""]);
    assert!(!text.contains("restore") && !text.contains("download"), "{text}");
}

#[test]
fn the_directory_of_another_tool_is_named_as_that() {
    // junobuild/cli ccd0d16: `.snapshots/0x…`.
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    fs::create_dir_all(&source).expect("it is made");
    let metadata =
        r#"{"snapshotId": "0x00", "data": {}, "metadata": {"wasmModuleSize": {"__bigint__": "12"}}}"#;
    fs::write(source.join("metadata.json"), metadata).expect("it is written");
    for name in ["wasm-code.bin", "heap.bin", "stable.bin"] {
        fs::write(source.join(name), b"").expect("it is written");
    }
    let text = refusal(&source, &out, &OPTIONS);
    assert_contains(&text, &["Juno CLI", "icp-cli or dfx"]);
    assert!(!text.contains("again"), "{text}");
}

#[test]
fn a_memory_is_given_up_only_by_name_and_the_comparison_says_so() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &image());
    for (drop_memories, words) in
        [(vec![3], "--drop-memory 3: there is no memory 3"), (vec![0, 7, 254], "nothing would be left")]
    {
        assert_contains(&refusal(&source, &out, &Options { drop_memories, ..OPTIONS }), &[words]);
    }
    let rewritten = rewrite(&source, &out, &Options { drop_memories: vec![7], ..OPTIONS })
        .expect("it was told to")
        .to_string();
    assert_contains(&rewritten, &["2 virtual memories", "DROPPED memory 7: 3 pages"]);
    assert!(!rewritten.contains("free buckets"), "{rewritten}");

    let (memory, manager) = open(&out);
    assert_eq!(memory.size(), 1 + 37 + 1);
    let (_, before) = open(&source);
    for id in [0, 254] {
        assert!(bytes(&manager, id) == bytes(&before, id), "memory {id} is as it was");
    }
    assert_eq!(manager.get(MemoryId::new(7)).size(), 0);
    let strict = check(&source, &out).expect("both can be read");
    assert_eq!(strict.differences, ["memory 7: 3 pages against 0"]);
    let known = Known { dropped_memories: vec![7], ..Known::default() };
    let told = check_knowing(&source, &out, &known).expect("both can be read");
    assert!(told.is_same(), "{told}");
    assert_contains(
        &told.to_string(),
        &["DROPPED  memory 7: 3 pages against 0", "but for what was dropped."],
    );
}
