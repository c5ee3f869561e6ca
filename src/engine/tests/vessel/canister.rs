//! A canister of this simulation: module, heap, stable memory, snapshots, and what was done to it.

use candid::Principal;
use decant_engine::{Digest, EMPTY_MODULE, RunState, Settings, SnapshotId, VesselRole};
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
    /// The dapp's next build, which somebody else installs.
    Newer,
    /// What an uploaded snapshot has.
    Empty,
    /// Ours.
    Vessel,
}

impl Module {
    pub(crate) fn hash(self) -> Digest {
        match self {
            Self::Empty => EMPTY_MODULE,
            other => Digest([other as u8 + 1; 32]),
        }
    }

    /// Whether it is code of the dapp, whoever installed it.
    pub(crate) fn is_dapp(self) -> bool {
        matches!(self, Self::Own | Self::Newer)
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
    /// What `pre_upgrade` last saved of the heap; nothing where `post_upgrade` erases what it has read.
    pub(crate) saved: u64,
    /// How often `pre_upgrade` and `post_upgrade` ran.
    pub(crate) runs: (u32, u32),
    /// Whether it came from an uploaded snapshot.
    pub(crate) is_repacked: bool,
}

impl Stable {
    pub(crate) const NOTHING: Self =
        Self { layout: Layout::Nothing, written: 0, saved: 0, runs: (0, 0), is_repacked: false };

    /// The digest over its memories, wherever they lie.
    pub(crate) fn root(self) -> Digest {
        let mut root = [1; 32];
        root[..8].copy_from_slice(&self.written.to_le_bytes());
        root[8..16].copy_from_slice(&self.saved.to_le_bytes());
        root[16] = self.runs.0 as u8;
        root[17] = self.runs.1 as u8;
        Digest(root)
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
        self.module.is_some_and(Module::is_dapp)
            && self.heap == Some(heap)
            && self.stable.written == model.written
    }

    /// Whether an installation of the dapp over what is there would make it so: stable memory has all.
    pub(crate) fn is_safe(&self, model: Model) -> bool {
        let has_no_heap = matches!(self.module, Some(Module::Vessel | Module::Empty));
        has_no_heap && (self.stable.written, self.stable.saved) == (model.written, model.counted)
    }
}

/// Whose doing something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Maker {
    Job,
    Stranger,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) id: SnapshotId,
    pub(crate) maker: Maker,
    pub(crate) image: Image,
    pub(crate) version: u64,
    pub(crate) made_nanos: u64,
    /// When the timer is due.
    pub(crate) timer: Option<u64>,
    /// Pages that are written of an uploaded one, and whether it lacks nothing else; `None`: it was taken.
    pub(crate) upload: Option<(u64, bool)>,
}

/// A write that was accepted: to the heap or to stable memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write {
    pub(crate) id: u64,
    pub(crate) is_to_heap: bool,
}

/// The heap of a vessel: it begins anew with each installation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Vessel {
    pub(crate) role: Option<VesselRole>,
    pub(crate) is_sealed: bool,
    pub(crate) is_complete: bool,
    pub(crate) moved_to: Option<Principal>,
    pub(crate) slices: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Canister {
    pub(crate) is_controlled: bool,
    pub(crate) run_state: RunState,
    pub(crate) image: Image,
    pub(crate) vessel: Vessel,
    pub(crate) settings: Settings,
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) open_calls: Vec<Write>,
    pub(crate) cycles: u128,
    pub(crate) drained_cycles: u128,
    pub(crate) freezing_seconds: u64,
    /// When its global timer is due.
    pub(crate) timer: Option<u64>,
    pub(crate) version: u64,
    /// What somebody else did to its code, and when.
    pub(crate) acts: Vec<(u64, &'static str)>,
    /// When somebody took its state, of which what users write to it since is no part.
    pub(crate) taken_nanos: Option<u64>,
}

impl Canister {
    pub(crate) fn fresh(coordinator: Principal, cycles: u128) -> Self {
        Self {
            is_controlled: true,
            run_state: RunState::Running,
            image: Image::NOTHING,
            vessel: Vessel::default(),
            settings: Settings { controllers: vec![coordinator], others: ByteBuf::new() },
            snapshots: Vec::new(),
            open_calls: Vec::new(),
            cycles,
            drained_cycles: 0,
            freezing_seconds: 2_592_000,
            timer: None,
            version: 1,
            acts: Vec::new(),
            taken_nanos: None,
        }
    }

    /// Another image, whatever was there before.
    pub(crate) fn put(&mut self, image: Image) {
        self.image = image;
        self.vessel = Vessel::default();
        self.version += 1;
    }

    /// Whether it accepts a call that changes its state.
    pub(crate) fn accepts_writes(&self) -> bool {
        self.run_state == RunState::Running
            && self.image.module.is_some_and(Module::is_dapp)
            && self.taken_nanos.is_none()
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
