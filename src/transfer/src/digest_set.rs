//! The digest of every chunk of a shape.

use crate::{ChunkId, Digest, Manifest, Shape, digest};

/// The digest of every chunk of a shape; or what is known of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestSet {
    shape: Shape,
    /// By ordinal; `NOTHING_KNOWN` where nothing is known.
    digests: Vec<Digest>,
}

/// Stands for a chunk that may hold anything. No content has it: nobody can find a preimage of zero.
const NOTHING_KNOWN: [u8; Digest::BYTES] = [0; Digest::BYTES];

impl DigestSet {
    /// The digests of memories that hold nothing but zeros, as a fresh target does. Costs a short hash a
    /// chunk.
    pub fn of_zeros(shape: Shape) -> Self {
        let chunks = shape.chunks_and_pages();
        let digests = chunks.map(|(chunk, pages)| digest::of_zeros(chunk.memory, &pages)).collect();
        Self { shape, digests }
    }

    /// A set of which nothing is known yet: every chunk differs from every other.
    pub fn of_nothing(shape: Shape) -> Self {
        let digests = vec![Digest::new(NOTHING_KNOWN); shape.chunk_count()];
        Self { shape, digests }
    }

    /// The set of these digests; the caller has one for each chunk.
    pub(crate) fn new(shape: Shape, digests: Vec<Digest>) -> Self {
        debug_assert_eq!(digests.len(), shape.chunk_count(), "one digest a chunk");
        Self { shape, digests }
    }

    /// The shape whose chunks these are.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The digests in the order of the chunks.
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// The digest of a chunk; `None` if the shape has no such chunk.
    pub fn get(&self, chunk: ChunkId) -> Option<&Digest> {
        self.digests.get(self.shape.ordinal(chunk)?)
    }

    /// Records what a chunk holds now. Answers whether the shape has such a chunk.
    pub fn set(&mut self, chunk: ChunkId, digest: Digest) -> bool {
        match self.shape.ordinal(chunk) {
            Some(ordinal) => {
                self.digests[ordinal] = digest;
                true
            }
            None => false,
        }
    }

    /// What is known when the same memories are looked at in another shape: chunks keep their digest, chunks of
    /// pages that did not exist are zeros. A chunk that has become longer keeps the digest of the shorter one,
    /// which is no digest of the longer: it counts as different.
    ///
    /// For a target whose source has grown since pre-copy: its memories grow too, by zeros. Between a raw and a
    /// managed shape, and between chunks of different sizes, nothing is carried.
    pub fn carried_to(&self, shape: Shape) -> Self {
        let mut carried = Self::of_nothing(shape);
        if !self.is_cut_alike(&carried.shape) {
            return carried;
        }
        for ((chunk, pages), digest) in carried.shape.chunks_and_pages().zip(&mut carried.digests) {
            let memory = self.shape.memories().iter().find(|memory| memory.id == chunk.memory);
            if memory.is_none_or(|memory| memory.size_pages <= pages.start) {
                *digest = digest::of_zeros(chunk.memory, &pages);
            } else if let Some(known) = self.get(chunk) {
                *digest = *known;
            }
        }
        carried
    }

    /// Whether chunks of the same name begin at the same page in that shape.
    pub(crate) fn is_cut_alike(&self, shape: &Shape) -> bool {
        self.shape.kind() == shape.kind() && self.shape.chunk_pages() == shape.chunk_pages()
    }

    /// Records what the chunk of an ordinal holds.
    pub(crate) fn set_at(&mut self, ordinal: usize, digest: Digest) {
        self.digests[ordinal] = digest;
    }

    /// Nothing is known of the chunk of an ordinal any more.
    pub(crate) fn forget_at(&mut self, ordinal: usize) {
        self.digests[ordinal] = Digest::new(NOTHING_KNOWN);
    }

    /// The manifest of memories with these digests. Hashes 32 bytes a chunk.
    pub fn manifest(&self) -> Manifest {
        let mut rest = self.digests.as_slice();
        let mut digests = Vec::with_capacity(self.shape.memories().len());
        for memory in self.shape.memories() {
            let (chunks, behind) = rest.split_at(self.shape.chunks_of(memory) as usize);
            digests.push(digest::of_memory(memory, self.shape.chunk_pages(), chunks));
            rest = behind;
        }
        Manifest::of(self.shape.clone(), digests)
    }
}
