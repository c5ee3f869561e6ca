//! Images that were written once and must be read, and written, the same for ever: see `golden/README.md`.

use crate::common::history::manager;
use crate::common::{SparseMemory, dump};
use decant_layout::{Image, Layout, PAGE_BYTES, repack};
use ic_stable_structures::Memory;
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager};
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn golden(name: &str) -> SparseMemory {
    let text = std::fs::read_to_string(path(name)).expect("the golden image is there");
    let image = dump::from_text(&text);
    assert!(dump::to_text(&image) == text, "the dump of {name} is read as it was written");
    let memory = SparseMemory::with_pages(image.len() as u64 / PAGE_BYTES);
    for (page, bytes) in (0..).zip(image.chunks(PAGE_BYTES as usize)) {
        if bytes.iter().any(|&byte| byte != 0) {
            memory.write(page * PAGE_BYTES, bytes);
        }
    }
    memory
}

fn layout_of(memory: &SparseMemory) -> Layout {
    match Image::read(memory.size(), memory.reader()) {
        Ok(Image::Managed(layout)) => layout,
        other => panic!("a golden image was taken for {other:?}"),
    }
}

fn buckets(layout: &Layout) -> Vec<(u8, u64, &[u16])> {
    layout.memories().iter().map(|memory| (memory.id(), memory.size_pages(), memory.buckets())).collect()
}

fn text_at(memory: &SparseMemory, id: u8, offset: u64, length: usize) -> String {
    let mut bytes = vec![0; length];
    layout_of(memory).read(id, offset, &mut bytes, memory.reader()).expect("the range lies within");
    String::from_utf8(bytes).expect("the golden images hold text")
}

/// Asserts the bytes that the writer of the golden images left, without memory 7.
fn assert_two_memories(memory: &SparseMemory) {
    assert_eq!(text_at(memory, 0, 2 * PAGE_BYTES - 10, 18), "across two buckets");
    assert_eq!(text_at(memory, 254, PAGE_BYTES - 9, 9), "last page");
}

#[test]
fn the_image_of_versions_0_4_to_0_7_is_read() {
    let memory = golden("interleaved_by_0.7.2.txt");
    let layout = layout_of(&memory);
    assert_eq!((layout.bucket_size_pages(), layout.stable_size_pages()), (2, 9));
    assert_eq!(buckets(&layout), [(0, 3, &[0, 2][..]), (7, 1, &[1]), (254, 1, &[3])]);
    assert_two_memories(&memory);
    assert_eq!(text_at(&memory, 7, 0, 23), "first bytes of memory 7");
}

#[test]
fn the_newest_version_still_writes_that_image() {
    let memory = SparseMemory::default();
    let manager = MemoryManager::init_with_bucket_size(memory.clone(), 2);
    for (id, pages) in [(0, 1), (7, 1), (0, 2), (254, 1)] {
        manager.get(MemoryId::new(id)).grow(pages);
    }
    manager.get(MemoryId::new(0)).write(2 * PAGE_BYTES - 10, b"across two buckets");
    manager.get(MemoryId::new(7)).write(0, b"first bytes of memory 7");
    manager.get(MemoryId::new(254)).write(PAGE_BYTES - 9, b"last page");
    let mut image = vec![0; (memory.size() * PAGE_BYTES) as usize];
    memory.read(0, &mut image);
    let text = std::fs::read_to_string(path("interleaved_by_0.7.2.txt")).expect("it is there");
    assert!(dump::to_text(&image) == text);
}

#[test]
fn the_image_of_version_0_3_with_its_large_buckets_is_read() {
    let memory = golden("default_by_0.3.0.txt");
    let layout = layout_of(&memory);
    assert_eq!((layout.bucket_size_pages(), layout.stable_size_pages()), (1_024, 1_025));
    assert_eq!(layout.usage().reclaimable_pages(), 1_023);
    assert_eq!(text_at(&memory, 7, 0, 23), "first bytes of memory 7");
}

#[test]
fn the_free_bucket_that_version_0_7_1_leaves_is_seen_and_not_copied() {
    let memory = golden("reclaimed_by_0.7.1.txt");
    let layout = layout_of(&memory);
    assert_eq!(buckets(&layout), [(0, 3, &[0, 2][..]), (254, 1, &[3])]);
    assert_eq!((layout.usage().free_buckets, layout.usage().free_pages), (1, 2));
    assert_two_memories(&memory);
    let plan = layout.compact(2).expect("three buckets fit");
    assert_eq!((plan.usage().free_buckets, plan.stable_size_pages()), (0, 7));
}

#[test]
fn the_compact_image_is_the_one_that_was_always_written() {
    let source = golden("interleaved_by_0.7.2.txt");
    let layout = layout_of(&source);
    let plan = layout.compact(1).expect("five buckets fit");
    let target = SparseMemory::with_pages(plan.stable_size_pages());
    repack(&layout, &plan, source.reader(), target.writer()).expect("nothing fails here");
    let mut image = vec![0; (target.size() * PAGE_BYTES) as usize];
    target.read(0, &mut image);
    let name = "compact_by_decant.txt";
    if !path(name).exists() {
        std::fs::write(path(name), dump::to_text(&image)).expect("the golden file can be written");
        panic!("{name} was missing and has been written: look at it, commit it, run again");
    }
    let golden = golden(name);
    assert!(dump::to_text(&image) == std::fs::read_to_string(path(name)).expect("it is there"));
    assert_two_memories(&golden);
    let manager = manager(&golden, 128);
    let sizes = [0, 7, 254].map(|id| manager.get(MemoryId::new(id)).size());
    assert_eq!((sizes, golden.size()), ([3, 1, 1], 6));
}
