//! Which chunks have to be sent.

use crate::{ChunkId, DigestSet};
use candid::CandidType;
use serde::{Deserialize, Serialize};

/// Consecutive chunks of one memory: what a target asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct ChunkRun {
    /// Id of the memory.
    pub memory: u8,
    /// Index of the first chunk within the memory.
    pub first: u32,
    /// How many chunks, at least 1.
    pub count: u32,
}

impl DigestSet {
    /// The chunks of `wanted` that this set does not hold, in their order and in runs as long as they can be.
    /// Empty if and only if every chunk of `wanted` is held.
    ///
    /// A chunk is held if it has the same digest here: same memory, same pages, same bytes. What only this
    /// set has does not matter: shapes say where memories end.
    pub fn missing_for(&self, wanted: &DigestSet) -> Vec<ChunkRun> {
        let mut runs: Vec<ChunkRun> = Vec::new();
        for (chunk, digest) in wanted.shape().chunks().zip(wanted.digests()) {
            if self.get(chunk) == Some(digest) {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.memory == chunk.memory && run.first + run.count == chunk.index => {
                    run.count += 1;
                }
                _ => runs.push(ChunkRun { memory: chunk.memory, first: chunk.index, count: 1 }),
            }
        }
        runs
    }
}

/// What a target asks for, and how far it has got.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct Wanted {
    /// The chunks, at least those of [`DigestSet::missing_for`].
    pub runs: Vec<ChunkRun>,
    /// Chunks of all runs, counted together, that were served before: 0, then what
    /// [`Batch::next`](crate::Batch::next) says.
    pub position: u64,
}

impl Wanted {
    /// Chunks of all runs together.
    pub fn count(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.count)).sum()
    }

    /// The chunks that were not served yet. Going there is bounded by the number of runs.
    pub(crate) fn remaining(&self) -> impl Iterator<Item = ChunkId> {
        let mut skip = self.position;
        self.runs.iter().flat_map(move |run| {
            let skipped = skip.min(u64::from(run.count));
            skip -= skipped;
            (skipped..u64::from(run.count)).map(|offset| ChunkId {
                memory: run.memory,
                index: u32::try_from(u64::from(run.first) + offset).unwrap_or(u32::MAX),
            })
        })
    }
}
