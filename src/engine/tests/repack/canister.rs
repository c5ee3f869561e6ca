//! A canister of this simulation: module, heap, stable memory and snapshots.

use candid::Principal;
use decant_engine::{Digest, RunState, Settings, SnapshotId};
use serde_bytes::ByteBuf;

/// Pages of state that a source has.
pub(crate) const STATE_PAGES: u64 = 5;
/// Snapshots that a canister can have.
pub(crate) const MAX_SNAPSHOTS: usize = 10;

/// What is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Module {
    /// The dapp's own.
    Own,
    /// What an uploaded snapshot has.
    Empty,
    /// Sends the cycles on.
    Tombstone,
}

impl Module {
    pub(crate) fn hash(self) -> Digest {
        Digest([self as u8 + 1; 32])
    }
}

/// How stable memory is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Nothing,
    Raw,
    Unreadable,
    Bloated,
    Compact,
    /// Compact, until the dapp's own `post_upgrade` grew it.
    Grown,
}

impl Layout {
    pub(crate) fn pages(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Raw | Self::Unreadable | Self::Bloated | Self::Grown => 257,
            Self::Compact => 1 + STATE_PAGES,
        }
    }
}

/// Stable memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stable {
    pub(crate) layout: Layout,
    /// What was written to it directly.
    pub(crate) written: u64,
    /// What `pre_upgrade` last saved of the heap.
    pub(crate) saved: u64,
    /// Whether it came from an uploaded snapshot.
    pub(crate) is_repacked: bool,
}

impl Stable {
    pub(crate) const NOTHING: Self =
        Self { layout: Layout::Nothing, written: 0, saved: 0, is_repacked: false };

    /// What a page of it holds.
    pub(crate) fn page(self, number: u64) -> u64 {
        mix(mix(self.written, self.saved), number)
    }
}

/// A heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heap {
    /// What was written to it; in stable memory only after `pre_upgrade`.
    pub(crate) counted: u64,
    /// The layout whose table it has cached.
    pub(crate) layout: Layout,
}

/// What users wrote, all in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) written: u64,
    pub(crate) counted: u64,
}

/// What a canister or a snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) module: Option<Module>,
    pub(crate) heap: Option<Heap>,
    pub(crate) stable: Stable,
}

impl Image {
    pub(crate) const NOTHING: Self = Self { module: None, heap: None, stable: Stable::NOTHING };

    /// Whether the dapp, run on this, would show users all that they wrote.
    pub(crate) fn is_whole(&self, model: Model) -> bool {
        let heap = Heap { counted: model.counted, layout: self.stable.layout };
        self.module == Some(Module::Own) && self.heap == Some(heap) && self.stable.written == model.written
    }

    /// Whether an installation of the dapp would make it so: stable memory has all.
    pub(crate) fn is_whole_in_stable_memory(&self, model: Model) -> bool {
        (self.stable.written, self.stable.saved) == (model.written, model.counted)
    }
}

/// Whose doing a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Maker {
    Job,
    Stranger,
}

/// What was uploaded so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) pages: Vec<Option<u64>>,
    pub(crate) has_header: bool,
    pub(crate) was_loaded: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) id: SnapshotId,
    pub(crate) maker: Maker,
    pub(crate) image: Image,
    /// When the timer is due.
    pub(crate) timer: Option<u64>,
    /// `None`: it was taken.
    pub(crate) upload: Option<Upload>,
}

/// A write that was accepted: to the heap or to stable memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write {
    pub(crate) id: u64,
    pub(crate) is_to_heap: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Canister {
    pub(crate) is_controlled: bool,
    pub(crate) run_state: RunState,
    pub(crate) image: Image,
    pub(crate) settings: Settings,
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) open_calls: Vec<Write>,
    pub(crate) cycles: u128,
    pub(crate) drained_cycles: u128,
    /// When its global timer is due.
    pub(crate) timer: Option<u64>,
}

impl Canister {
    pub(crate) fn fresh(coordinator: Principal, cycles: u128) -> Self {
        Self {
            is_controlled: true,
            run_state: RunState::Running,
            image: Image::NOTHING,
            settings: Settings { controllers: vec![coordinator], others: ByteBuf::new() },
            snapshots: Vec::new(),
            open_calls: Vec::new(),
            cycles,
            drained_cycles: 0,
            timer: None,
        }
    }

    /// Whether it accepts a call that changes its state.
    pub(crate) fn accepts_writes(&self) -> bool {
        self.run_state == RunState::Running && self.image.module == Some(Module::Own)
    }

    pub(crate) fn snapshot(&self, id: &SnapshotId) -> Option<&Snapshot> {
        self.snapshots.iter().find(|it| it.id == *id)
    }

    pub(crate) fn snapshot_mut(&mut self, id: &SnapshotId) -> Option<&mut Snapshot> {
        self.snapshots.iter_mut().find(|it| it.id == *id)
    }

    pub(crate) fn own_snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        self.snapshots.iter().filter(|it| it.maker == Maker::Job)
    }
}

/// Not what it was, in order.
pub(crate) fn mix(before: u64, id: u64) -> u64 {
    (before ^ id).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
}
