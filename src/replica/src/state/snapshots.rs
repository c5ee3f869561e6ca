//! Snapshots of a canister (spec, "Canister snapshots").

use super::ChunkStore;
use crate::memory::PageMap;
use crate::memory::pages::PAGE_BYTES;
use crate::memory::stable::StableMemory;
use crate::wasm::module::GlobalValue;

/// Canister id followed by a number: opaque to users.
pub(crate) type SnapshotId = Vec<u8>;

/// When the low-memory hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum HookStatus {
    /// Enough memory is left.
    #[default]
    ConditionNotSatisfied,
    /// It runs in the next round.
    Ready,
    /// It ran, and will again when memory was freed in between.
    Executed,
}

/// Bytes that are still being uploaded: a sparse file of a known size.
#[derive(Clone, Default)]
pub(crate) struct SparseBytes {
    pub(crate) pages: PageMap,
    pub(crate) size_bytes: u64,
}

/// A snapshot, taken or uploaded.
#[derive(Clone)]
pub(crate) struct Snapshot {
    /// Whether it came by `upload_canister_snapshot_metadata`.
    pub(crate) is_uploaded: bool,
    pub(crate) taken_at_nanos: u64,
    pub(crate) canister_version: u64,
    pub(crate) module: SparseBytes,
    pub(crate) globals: Vec<GlobalValue>,
    pub(crate) heap: SparseBytes,
    pub(crate) stable: StableMemory,
    pub(crate) chunks: ChunkStore,
    pub(crate) certified_data: Vec<u8>,
    /// Nanoseconds since the epoch, 0 for none; `None` where the upload did not say.
    pub(crate) global_timer: Option<u64>,
    pub(crate) hook_status: Option<HookStatus>,
}

impl Snapshot {
    /// Bytes of heap, stable memory and chunks that the next checkpoint has to write for it (code: `heap_delta`; the
    /// module counts nothing).
    pub(crate) fn changed_bytes(&self) -> u64 {
        let pages =
            self.heap.pages.written_pages() + self.stable.pages.written_pages() + self.chunks.written_pages();
        (pages * PAGE_BYTES) as u64
    }

    /// Bytes that the canister pays for.
    pub(crate) fn size_bytes(&self) -> u64 {
        // A taken snapshot counts the platform's own globals too (measured).
        let counters = if self.is_uploaded { 0 } else { crate::costs::COUNTER_GLOBALS };
        self.module.size_bytes
            + self.heap.size_bytes
            + self.stable.size_bytes()
            + (self.globals.len() as u64 + counters) * GlobalValue::SIZE_BYTES
            + self.certified_data.len() as u64
            + self.chunks.size_bytes()
    }
}
