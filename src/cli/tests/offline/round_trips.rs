//! What was in an image is in the repacked one.

use crate::common::{CHUNK, PAGE, Temporary, bytes, image, managed, open, read_metadata, write_snapshot};
use decant_cli::repack::{EMPTY_MODULE, Options, check, rewrite};
use ic_stable_structures::memory_manager::MemoryId;
use ic_stable_structures::{Memory, StableBTreeMap, StableCell, StableLog, StableVec};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;

fn buckets_of(bucket_pages: u32) -> Options {
    Options::in_buckets_of(bucket_pages)
}

#[derive(Debug, Clone)]
struct Change {
    memory: u8,
    grow_pages: u64,
    /// Where in the memory, in thousandths of its size, and what.
    write: (u64, Vec<u8>),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let memory = prop_oneof![Just(0_u8), Just(1), Just(100), Just(254)];
    let write = (0_u64..1000, prop::collection::vec(any::<u8>(), 0..300));
    let change = (memory, 0_u64..12, write).prop_map(|(memory, grow_pages, write)| Change {
        memory,
        grow_pages,
        write,
    });
    prop::collection::vec(change, 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_byte_of_every_memory_is_in_the_repacked_image(
        changes in changes(),
        source_pages in prop_oneof![Just(2_u16), Just(16), Just(33), Just(128)],
        target_pages in prop_oneof![Just(1_u32), Just(2), Just(5), Just(16)],
    ) {
        let (memory, manager) = managed(source_pages);
        for Change { memory, grow_pages, write: (place, bytes) } in &changes {
            let memory = manager.get(MemoryId::new(*memory));
            memory.grow(*grow_pages);
            let size_bytes = memory.size() * PAGE as u64;
            let offset = size_bytes * place / 1000;
            if offset + bytes.len() as u64 <= size_bytes {
                memory.write(offset, bytes);
            }
        }
        let directory = Temporary::new();
        let (source, out) = (directory.path("source"), directory.path("out"));
        write_snapshot(&source, &memory.borrow());
        let used: Vec<(u8, u64)> =
            (0..255).map(|id| (id, manager.get(MemoryId::new(id)).size())).filter(|(_, pages)| *pages > 0).collect();
        let pages_after =
            1 + used.iter().map(|(_, pages)| pages.next_multiple_of(u64::from(target_pages))).sum::<u64>();
        let rewritten = rewrite(&source, &out, &buckets_of(target_pages));
        if pages_after >= memory.size() {
            let refused = format!("{:#}", rewritten.expect_err("there is nothing to gain"));
            prop_assert!(refused.contains("is compact already"), "{}", refused);
            prop_assert!(!out.exists());
            return Ok(());
        }
        rewritten.expect("it is repacked");
        let (repacked, repacked_manager) = open(&out);
        prop_assert_eq!(repacked.size(), pages_after);
        for id in 0..255 {
            prop_assert_eq!(bytes(&manager, id), bytes(&repacked_manager, id), "memory {}", id);
        }
        prop_assert!(check(&source, &out).expect("both can be read").is_same());
    }
}

#[test]
fn structures_open_on_the_repacked_image_and_grow_on() {
    let (memory, manager) = managed(128);
    let at = |id| manager.get(MemoryId::new(id));
    let mut map = StableBTreeMap::init(at(0));
    let list = StableVec::<u64, _>::init(at(1));
    let log = StableLog::<String, _, _>::init(at(2), at(3));
    let mut cell = StableCell::init(at(4), String::new());
    let mut model = BTreeMap::new();
    for number in 0_u64..4_000 {
        map.insert(number * 7 % 4_001, number.to_string());
        model.insert(number * 7 % 4_001, number.to_string());
        list.push(&number);
        log.append(&format!("line {number}")).expect("there is room");
    }
    cell.set("a configuration".to_owned());
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &memory.borrow());
    let rewritten = rewrite(&source, &out, &buckets_of(1)).expect("it is repacked");
    assert_eq!(rewritten.before.stable_pages, 1 + 5 * 128);
    assert_eq!(rewritten.after.stable_pages, 1 + rewritten.before.used_pages);

    let (memory, manager) = open(&out);
    let at = |id| manager.get(MemoryId::new(id));
    let mut map = StableBTreeMap::<u64, String, _>::init(at(0));
    let list = StableVec::<u64, _>::init(at(1));
    let log = StableLog::<String, _, _>::init(at(2), at(3));
    assert_eq!(StableCell::init(at(4), String::new()).get(), "a configuration");
    assert_eq!((list.len(), log.len(), map.len()), (4_000, 4_000, model.len() as u64));
    assert_eq!(log.get(3_999).as_deref(), Some("line 3999"));
    let pages = memory.size();
    for number in 5_000_u64..20_000 {
        map.insert(number, number.to_string());
        model.insert(number, number.to_string());
    }
    assert!(map.iter().map(|entry| entry.into_pair()).eq(model));
    assert!(memory.size() > pages && memory.size() < pages + 128, "it grows by the new bucket size");
}

#[test]
fn only_the_size_and_what_belongs_to_the_heap_change_in_the_metadata() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &image());
    rewrite(&source, &out, &buckets_of(1)).expect("it is repacked");
    let mut expected = read_metadata(&source);
    expected["stable_memory_size"] = ((1 + 37 + 3 + 1) * PAGE).into();
    expected["globals"] = serde_json::json!([]);
    expected["on_low_wasm_memory_hook_status"] = serde_json::Value::Null;
    assert_eq!(read_metadata(&out), expected);
}

#[test]
fn neither_the_module_nor_the_heap_can_run_on_the_new_image() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &image());
    rewrite(&source, &out, &buckets_of(1)).expect("it is repacked");
    let file = |name: &str| fs::read(out.join(name)).expect("the file is there");
    assert_eq!(file("wasm_module.bin"), EMPTY_MODULE);
    assert_eq!(file("wasm_memory.bin"), b"");
    let chunks: Vec<_> = fs::read_dir(out.join("wasm_chunk_store"))
        .expect("the chunk store is there")
        .map(|chunk| fs::read(chunk.expect("an entry").path()).expect("a file"))
        .collect();
    assert_eq!(chunks, [CHUNK]);
}

#[cfg(unix)]
#[test]
fn pages_of_zeros_are_holes_in_the_file() {
    use std::os::unix::fs::MetadataExt;
    let (memory, manager) = managed(128);
    let sparse = manager.get(MemoryId::new(3));
    sparse.grow(1_000);
    sparse.write(999 * PAGE as u64, b"the only page in use");
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &memory.borrow());
    let rewritten = rewrite(&source, &out, &buckets_of(8)).expect("it is repacked");
    assert_eq!((rewritten.repacked.written_pages, rewritten.repacked.zero_pages), (1, 999));
    let file = fs::metadata(out.join("stable_memory.bin")).expect("the file is there");
    assert_eq!(file.len(), 1_001 * PAGE as u64);
    assert!(file.blocks() * 512 <= 4 * PAGE as u64, "{} bytes are on the disk", file.blocks() * 512);
}

#[test]
fn growth_that_the_buckets_do_not_hold_is_refused_with_figures() {
    let directory = Temporary::new();
    let (source, out) = (directory.path("source"), directory.path("out"));
    write_snapshot(&source, &image());
    let options = Options { growth_pages: 32_768, ..buckets_of(1) };
    let refused = format!("{:#}", rewrite(&source, &out, &options).expect_err("too many buckets"));
    assert!(refused.contains("32809 buckets of 1 pages"), "{refused}");
    assert!(refused.contains("use buckets of at least 2 pages"), "{refused}");
    assert!(!out.exists());
    rewrite(&source, &out, &Options { growth_pages: 32_700, ..buckets_of(1) }).expect("it holds that");
}

#[test]
fn what_was_repacked_is_repacked_again_in_other_buckets() {
    let directory = Temporary::new();
    let [source, out, again] = ["source", "out", "again"].map(|name| directory.path(name));
    write_snapshot(&source, &image());
    rewrite(&source, &out, &buckets_of(4)).expect("it is repacked");
    rewrite(&out, &again, &buckets_of(1)).expect("it is repacked");
    assert!(check(&source, &again).expect("both can be read").is_same());
}
