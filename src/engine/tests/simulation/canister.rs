//! A canister of the simulation: sources, targets, pool, tombstones.

use std::collections::BTreeMap;

use candid::Principal;
use decant_engine::{Digest, FenceView, JobId, RunState, Seal, Settings};
use serde_bytes::ByteBuf;

/// What is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Module {
    Kit,
    Compact,
    Tombstone,
    Foreign,
    /// The dapp's next build, with the kit, which somebody else installs.
    Newer,
}

impl Module {
    pub(crate) fn hash(self) -> Digest {
        Digest([self as u8 + 1; 32])
    }

    fn has_kit(self) -> bool {
        matches!(self, Self::Kit | Self::Compact | Self::Newer)
    }
}

/// The state of a dapp: every write changes the hash, in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) hash: u64,
    pub(crate) writes: u32,
    /// Writes of a heartbeat, which no fence stops.
    pub(crate) beats: u32,
}

impl Content {
    pub(crate) fn write(&mut self, id: u64) {
        self.hash = (self.hash ^ id).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        self.writes += 1;
    }

    pub(crate) fn seal(self) -> Seal {
        let mut root = [0; 32];
        root[..8].copy_from_slice(&self.hash.to_le_bytes());
        root[8..12].copy_from_slice(&self.writes.to_le_bytes());
        root[12..16].copy_from_slice(&self.beats.to_le_bytes());
        let fingerprint = ByteBuf::from(self.writes.to_le_bytes().to_vec());
        Seal { root: Digest(root), used_pages: 1, fingerprint }
    }

    /// Whether users see the same.
    pub(crate) fn same_writes(self, other: Self) -> bool {
        (self.hash, self.writes) == (other.hash, other.writes)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Canister {
    pub(crate) is_controlled: bool,
    pub(crate) run_state: RunState,
    pub(crate) module: Option<Module>,
    pub(crate) fence: FenceView,
    pub(crate) reader: Option<Principal>,
    /// The job and the target that may read it while it is open.
    pub(crate) offer: Option<(JobId, Principal)>,
    pub(crate) settings: Settings,
    pub(crate) content: Content,
    /// What it held when it was activated.
    pub(crate) activated: Option<(JobId, Content)>,
    /// What a recheck last saw.
    pub(crate) rechecked: Option<Content>,
    pub(crate) sealed: Option<Seal>,
    /// Slices of hashing or pulling that are done.
    pub(crate) slices: u64,
    pub(crate) is_complete: bool,
    /// Writes that were accepted and are still under way.
    pub(crate) open_calls: Vec<u64>,
    pub(crate) cycles: u128,
    pub(crate) drained: BTreeMap<JobId, u128>,
    pub(crate) snapshots_bytes: u64,
    pub(crate) freezing_seconds: u64,
    /// What others did to its code, and when.
    pub(crate) acts: Vec<(u64, &'static str)>,
}

/// Freezing threshold of a canister, unless somebody sets another one (spec: 30 days).
pub(crate) const FREEZING_SECONDS: u64 = 2_592_000;

impl Canister {
    pub(crate) fn fresh(coordinator: Principal, cycles: u128) -> Self {
        Self {
            is_controlled: true,
            run_state: RunState::Running,
            module: None,
            fence: FenceView::Open,
            reader: None,
            offer: None,
            settings: Settings { controllers: vec![coordinator], others: ByteBuf::new() },
            content: Content::default(),
            activated: None,
            rechecked: None,
            sealed: None,
            slices: 0,
            is_complete: false,
            open_calls: Vec::new(),
            cycles,
            drained: BTreeMap::new(),
            snapshots_bytes: 0,
            freezing_seconds: FREEZING_SECONDS,
            acts: Vec::new(),
        }
    }

    /// Another module, or none: heap and stable memory are gone.
    pub(crate) fn reinstall(&mut self, module: Option<Module>) {
        let kept = (self.settings.clone(), self.run_state, self.cycles, self.is_controlled);
        let (freezing_seconds, snapshots_bytes) = (self.freezing_seconds, self.snapshots_bytes);
        let acts = std::mem::take(&mut self.acts);
        *self = Self { freezing_seconds, snapshots_bytes, acts, ..Self::fresh(Principal::anonymous(), 0) };
        (self.settings, self.run_state, self.cycles, self.is_controlled) = kept;
        self.module = module;
    }

    /// What others did to its code since then, and what of that took its state.
    pub(crate) fn acted(&self, since_nanos: u64) -> (Option<String>, Option<String>) {
        let mut acts = self.acts.iter().rev().filter(|(at_nanos, _)| *at_nanos > since_nanos);
        let acted = acts.clone().next().map(|(_, what)| (*what).to_owned());
        let emptied =
            acts.find(|(_, what)| ["uninstalled", "reinstalled"].iter().any(|it| what.starts_with(it)));
        (acted, emptied.map(|(_, what)| (*what).to_owned()))
    }

    /// Cycles that its freezing threshold keeps it from sending.
    pub(crate) fn reserved_cycles(&self) -> u128 {
        u128::from(self.freezing_seconds) * 100
    }

    pub(crate) fn has_kit(&self) -> bool {
        self.module.is_some_and(Module::has_kit)
    }

    /// Its stable memory, in pages of 64 KiB.
    pub(crate) fn stable_pages(&self) -> u64 {
        if self.content == Content::default() { 0 } else { 129 }
    }

    pub(crate) fn accepts_writes(&self) -> bool {
        self.run_state == RunState::Running && self.has_kit() && self.fence == FenceView::Open
    }
}
