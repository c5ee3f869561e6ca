//! What the tests of this crate share: random sparse states, and a target that is filled from them.

use decant_transfer::{
    ChunkId, DigestSet, Frame, FrameEncoder, Kind, MemoryShape, PAGE_BYTES, RAW_MEMORY, Scan, Shape, Slicing,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::convert::Infallible;

pub(crate) const PAGE: usize = PAGE_BYTES as usize;

/// Memories by id, their bytes a whole number of pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) kind: Kind,
    pub(crate) memories: BTreeMap<u8, Vec<u8>>,
}

impl State {
    pub(crate) fn managed(memories: impl IntoIterator<Item = (u8, Vec<u8>)>) -> Self {
        Self { kind: Kind::Managed, memories: memories.into_iter().collect() }
    }

    /// Memories of the same sizes that hold nothing.
    pub(crate) fn zeroed(&self) -> Self {
        let memories = self.memories.iter().map(|(&id, bytes)| (id, vec![0; bytes.len()])).collect();
        Self { kind: self.kind, memories }
    }

    pub(crate) fn shape(&self, chunk_pages: u32) -> Shape {
        let memories = self
            .memories
            .iter()
            .map(|(&id, bytes)| MemoryShape { id, size_pages: bytes.len() as u64 / PAGE_BYTES });
        Shape::new(self.kind, chunk_pages, memories).expect("the states of the tests are small")
    }

    pub(crate) fn reader(&self) -> impl FnMut(u8, u64, &mut [u8]) -> Result<(), Infallible> {
        |memory, offset, buffer| {
            let offset = offset as usize;
            buffer.copy_from_slice(&self.memories[&memory][offset..offset + buffer.len()]);
            Ok(())
        }
    }

    pub(crate) fn write(&mut self, memory: u8, offset: u64, bytes: &[u8]) {
        let offset = offset as usize;
        let target = self.memories.get_mut(&memory).expect("the shape lists the memory");
        target[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn content(&self, shape: &Shape, chunk: ChunkId) -> Vec<u8> {
        let pages = shape.pages(chunk).expect("the chunk exists");
        let memory = &self.memories[&chunk.memory];
        memory[(pages.start * PAGE_BYTES) as usize..(pages.end * PAGE_BYTES) as usize].to_vec()
    }

    pub(crate) fn digests(&self, chunk_pages: u32) -> DigestSet {
        let mut scan = Scan::new(self.shape(chunk_pages));
        assert_eq!(scan.run(self.reader(), || true), Ok(Slicing::Done));
        scan.finish().expect("the scan is done")
    }

    pub(crate) fn frame(&self, shape: &Shape, chunk: ChunkId) -> Frame {
        let content = self.content(shape, chunk);
        FrameEncoder::new().encode(shape, chunk, &content, None).expect("the chunk exists")
    }
}

/// Pages as states have them: nothing, much repetition, no repetition, a little of something.
fn pages() -> impl Strategy<Value = Vec<u8>> {
    let start = (any::<u64>(), 0..=PAGE).prop_map(|(seed, length)| page(seed, length));
    prop_oneof![
        2 => Just(vec![0; PAGE]),
        2 => any::<u64>().prop_map(|seed| page(seed, PAGE)),
        2 => start,
        2 => (any::<u8>(), 1..40_usize).prop_map(|(seed, period)| {
            (0..PAGE).map(|index| seed.wrapping_add((index % period) as u8)).collect()
        }),
        1 => (0..PAGE, 1..=255_u8).prop_map(|(at, byte)| {
            let mut page = vec![0; PAGE];
            page[at] = byte;
            page
        }),
    ]
}

/// Incompressible bytes, `length` of them, then zeros.
pub(crate) fn page(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut page = vec![0; PAGE];
    for byte in &mut page[..length] {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = (state >> 32) as u8;
    }
    page
}

fn memory() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(pages(), 1..5).prop_map(|pages| pages.concat())
}

/// Random states: raw or managed, empty or of up to 16 pages.
pub(crate) fn states() -> impl Strategy<Value = State> {
    prop_oneof![
        4 => proptest::collection::btree_map(0..RAW_MEMORY, memory(), 0..5).prop_map(State::managed),
        1 => memory().prop_map(|bytes| State { kind: Kind::Raw, memories: [(RAW_MEMORY, bytes)].into() }),
    ]
}
