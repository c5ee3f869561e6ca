//! Plans: what governance approves, by [`Decision::Approve`](crate::govern::Decision::Approve).

use candid::{CandidType, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// How the memory is given back.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub enum Strategy {
    /// To a fresh canister, which pulls the state itself; both embed the kit.
    Relocate(Relocation),
    /// In the same canister, which is upgraded to a vessel and back: for its code one ordinary upgrade. No route changes.
    Repack(ByVessel),
    /// To a fresh canister, through a vessel on both sides: for code that nobody can change.
    RelocateVessel(ByVessel),
    /// How earlier builds relocated such code. Plans of that kind are still read; none is accepted any more.
    RelocateSnapshot(ByVessel),
}

impl Strategy {
    /// What canisters run, where they are moved through vessels.
    pub fn by_vessel(&self) -> Option<&ByVessel> {
        match self {
            Self::Relocate(_) => None,
            Self::Repack(by) | Self::RelocateVessel(by) | Self::RelocateSnapshot(by) => Some(by),
        }
    }
}

/// What targets are made of.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Relocation {
    /// The compact build.
    pub module: ModuleRef,
    /// Argument of its `init`, which must leave stable memory alone.
    pub init_arg: ByteBuf,
    /// Pages of state from which on a canister is copied while it still serves its users, so that only what
    /// changed meanwhile is sent when it is frozen; none: never. Only state that a `MemoryManager` laid out.
    pub precopy_min_pages: Option<u64>,
    /// SHA-256 of the modules that sources may run; one that runs another is refused. None: any, also one that is newer
    /// than the compact build, whose state that may not understand.
    pub sources: Option<Vec<ByteBuf>>,
}

/// What canisters run, before and after.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct ByVessel {
    /// The modules that canisters may run; one that runs another is refused.
    pub modules: Vec<ModuleUse>,
    /// Percent by which virtual memories are expected to grow: buckets that could not hold that are refused.
    pub growth_percent: u32,
    /// Whether pages behind the last bucket may be dropped. They belong to no virtual memory: mostly what is left of
    /// a raw image, but a canister may keep something there by other means.
    pub may_drop_tail: bool,
    /// Whether a repack goes back if the global timer was armed, and the upgrade left it disarmed: `post_upgrade` arms
    /// none, as timers of ic-cdk do that are set there. Otherwise the job tells when it was due.
    pub rolls_back_on_lost_timer: Option<bool>,
    /// The page at which the `MemoryManager` begins, where that is not the first one; what lies before it is kept, byte for
    /// byte.
    pub manager_page: Option<u64>,
}

/// A module that canisters run, and are upgraded from and to, once.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct ModuleUse {
    /// SHA-256 of the module, as `canister_status` tells it.
    pub hash: ByteBuf,
    /// SHA-256 of its chunks in the coordinator's chunk store, in order; none if nobody uploaded it: the
    /// coordinator then reads it out of a snapshot.
    pub chunk_hashes: Vec<ByteBuf>,
    /// Argument of its `post_upgrade`.
    pub upgrade_arg: ByteBuf,
    /// Whether it may be upgraded though it has no `pre_upgrade`, so that what is on the heap is lost.
    pub may_lose_heap: bool,
}

/// What becomes of a source after the commit point; of a repacked canister its snapshot from before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
pub enum Retention {
    /// It stays, fenced, for that long; then it is deleted.
    Frozen {
        /// Seconds.
        seconds: u64,
    },
    /// A vessel without stable memory that answers where the state went; it is not deleted.
    Tombstone,
    /// It is deleted at once.
    None,
}

/// Originals that are not deleted: emptied, looked at and kept for a while, they become the targets of later jobs of the plan.
/// Their ids change owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
pub struct Recycling {
    /// Seconds for which an emptied original is nobody's.
    pub quarantine_seconds: u64,
}

/// A module in the coordinator's chunk store.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct ModuleRef {
    /// SHA-256 of the module.
    pub hash: ByteBuf,
    /// SHA-256 of its chunks, in order.
    pub chunk_hashes: Vec<ByteBuf>,
}

/// An approved piece of work.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Plan {
    /// A name for people.
    pub title: String,
    /// How.
    pub strategy: Strategy,
    /// Who may enrol canisters: indexes, or people.
    pub indexes: Vec<Principal>,
    /// The indexes whose routes are swapped, all of them for each canister; they are told what became of it. None: the one
    /// alone that enrols it, which must be an index then.
    pub routes: Option<Vec<Principal>>,
    /// Canisters that are told what became of each job, besides those indexes.
    pub subscribers: Option<Vec<Principal>>,
    /// The tombstone of plans for earlier builds; what stays of a source is a vessel now.
    pub tombstone: Option<ModuleRef>,
    /// Pages of 64 KiB in a bucket of the new images.
    pub bucket_pages: u16,
    /// Least pages that a job must give back to be worth it.
    pub min_reclaimed_pages: u64,
    /// What becomes of the originals.
    pub retention: Retention,
    /// Whether originals that would be deleted go to others instead; none: they are deleted.
    pub recycling: Option<Recycling>,
    /// ICRC-1 ledgers at which the default account of an original must hold nothing before it is deleted.
    pub ledgers: Vec<Principal>,
    /// Canisters that an original must not control before it is deleted.
    pub dependents: Vec<Principal>,
    /// Most canisters in all.
    pub max_canisters: u64,
    /// Most jobs at a time.
    pub max_in_flight: u32,
    /// Most cycles that the coordinator may spend in all.
    pub max_cycles: u128,
    /// Cycles that a fresh canister gets, its creation not included.
    pub cycles_per_target: u128,
}

impl Plan {
    /// Cycles that a fresh canister gets besides its creation; none: the plan creates none.
    pub fn per_target(&self) -> Option<u128> {
        match self.strategy {
            Strategy::Repack(_) => None,
            Strategy::Relocate(_) | Strategy::RelocateVessel(_) | Strategy::RelocateSnapshot(_) => {
                Some(self.cycles_per_target)
            }
        }
    }
}
