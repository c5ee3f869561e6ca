//! The world outside the coordinator: one dapp's canister, fresh ones, indexes, users and strangers.

use std::collections::BTreeMap;

use candid::Principal;
use decant_engine::{Effect, JobId, ReasonCode, RunState, SnapshotId, Stage};
use serde_bytes::ByteBuf;

use crate::canister::{Canister, Heap, Image, Layout, Maker, Model, Module, Snapshot, Stable, Write, mix};
use crate::prng::Prng;

pub(crate) const CANISTER_CYCLES: u128 = 3_000_000_000_000;

/// What is wrong in a world, besides the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Trouble {
    Nothing,
    NotControlled,
    SourceStopped,
    NoModule,
    NoStableMemory,
    Raw,
    Unreadable,
    AlreadyCompact,
    SmallAndCompact,
    NotWorthIt,
    BucketTooSmall,
    NoPreUpgrade,
    NoPreUpgradeButConsent,
    NoSlot,
    FewCycles,
    PreUpgradeTraps,
    PostUpgradeTraps,
    CorruptUpload,
    CorruptCopy,
    PostUpgradeGrows,
    NeverStops,
    EmptyPool,
    RouteConflict,
}

/// What the dapp does with its global timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Timers {
    /// Its module has no import to arm it.
    Never,
    /// Calls of users arm and disarm it.
    Kept,
    /// The same, and `post_upgrade` arms it.
    Rearmed,
    /// As `Kept`, and the plan says that it may go.
    MayGo,
}

/// When the timer is due that `post_upgrade` arms.
pub(crate) const REARMED: u64 = 999;

pub(crate) struct World {
    pub(crate) canisters: BTreeMap<Principal, Canister>,
    /// index → where its users are sent
    pub(crate) routes: BTreeMap<Principal, Principal>,
    pub(crate) source: Principal,
    pub(crate) coordinator: Principal,
    /// What every accepted write adds up to.
    pub(crate) model: Model,
    pub(crate) trouble: Trouble,
    pub(crate) timers: Timers,
    /// When users last said that the timer is due.
    pub(crate) timer: Option<u64>,
    /// Whether the source served before the job began.
    pub(crate) was_serving: bool,
    /// Strangers' snapshots, as they must stay.
    pub(crate) strangers: Vec<(Principal, Snapshot)>,
    /// Where the job is: only for what must not happen there.
    pub(crate) stage: Stage,
    pub(crate) pool_cycles: u128,
    pub(crate) begun_cycles: u128,
    pub(crate) fees_cycles: u128,
    pub(crate) burned_cycles: u128,
    /// How often a stop times out when calls are open, in a thousand.
    pub(crate) slowness: u64,
    pub(crate) accepted_writes: u32,
    /// Whether somebody else started what the job had stopped.
    pub(crate) was_started: bool,
    next_id: u64,
    next_write: u64,
}

pub(crate) fn principal(kind: u8, number: u64) -> Principal {
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes[8] = kind;
    bytes[9] = 1;
    Principal::from_slice(&bytes)
}

pub(crate) fn indexes() -> Vec<Principal> {
    vec![principal(2, 0), principal(2, 1)]
}

impl World {
    pub(crate) fn new(trouble: Trouble, foreign: usize, slowness: u64) -> Self {
        let (source, coordinator) = (principal(1, 0), principal(9, 0));
        let model = Model { written: 11, counted: 13 };
        let layout = match trouble {
            Trouble::NoStableMemory => Layout::Nothing,
            Trouble::Raw => Layout::Raw,
            Trouble::Unreadable => Layout::Unreadable,
            Trouble::SmallAndCompact => Layout::Compact,
            _ => Layout::Bloated,
        };
        let mut canister = Canister::fresh(coordinator, CANISTER_CYCLES);
        canister.image = Image {
            module: Some(Module::Own),
            heap: Some(Heap { counted: model.counted, layout }),
            // What an earlier upgrade saved: the heap has moved on since.
            stable: Stable { layout, written: model.written, saved: 12, is_repacked: false },
        };
        canister.settings.controllers.push(principal(8, 0));
        canister.settings.others = ByteBuf::from(vec![7; 40]);
        canister.is_controlled = trouble != Trouble::NotControlled;
        match trouble {
            Trouble::SourceStopped => canister.run_state = RunState::Stopped,
            Trouble::NoModule => canister.image = Image::NOTHING,
            // Enough for what the calls charge, too little for what an upgrade prepays.
            Trouble::FewCycles => canister.cycles = 599_000_000_000,
            _ => {}
        }
        let begun_cycles = canister.cycles + 10 * CANISTER_CYCLES;
        let mut world = Self {
            canisters: BTreeMap::from([(source, canister)]),
            routes: indexes().into_iter().map(|index| (index, source)).collect(),
            source,
            coordinator,
            model,
            trouble,
            timers: Timers::Never,
            timer: None,
            was_serving: !matches!(trouble, Trouble::SourceStopped | Trouble::NoModule),
            strangers: Vec::new(),
            stage: Stage::BeforeCommit,
            pool_cycles: 10 * CANISTER_CYCLES,
            begun_cycles,
            fees_cycles: 0,
            burned_cycles: 0,
            slowness,
            accepted_writes: 0,
            was_started: false,
            next_id: 1,
            next_write: 1,
        };
        let foreign = if trouble == Trouble::NoSlot { 9 } else { foreign };
        for _ in 0..foreign {
            world.stranger_takes();
        }
        world
    }

    pub(crate) fn canister(&self, id: Principal) -> &Canister {
        self.canisters.get(&id).expect("the canister exists")
    }

    pub(crate) fn canister_mut(&mut self, id: Principal) -> &mut Canister {
        self.canisters.get_mut(&id).expect("the canister exists")
    }

    pub(crate) fn next_snapshot_id(&mut self) -> SnapshotId {
        self.next_id += 1;
        SnapshotId(ByteBuf::from([vec![0xcc; 16], self.next_id.to_be_bytes().to_vec()].concat()))
    }

    /// Somebody else takes a snapshot of the source.
    pub(crate) fn stranger_takes(&mut self) {
        let id = self.next_snapshot_id();
        let source = self.source;
        let canister = self.canister(source);
        let (image, timer) = (canister.image, canister.timer);
        let snapshot = Snapshot { id, maker: Maker::Stranger, image, timer, upload: None };
        self.canister_mut(source).snapshots.push(snapshot.clone());
        self.strangers.push((source, snapshot));
    }

    /// The coordinator creates a canister for its pool.
    pub(crate) fn create_canister(&mut self) -> Option<Principal> {
        if self.trouble == Trouble::EmptyPool || self.pool_cycles < CANISTER_CYCLES {
            return None;
        }
        let id = principal(3, self.next_id);
        self.next_id += 1;
        self.pool_cycles -= CANISTER_CYCLES;
        let canister = Canister::fresh(self.coordinator, CANISTER_CYCLES);
        self.canisters.insert(id, canister);
        Some(id)
    }

    /// A user writes where some index says.
    pub(crate) fn write(&mut self, prng: &mut Prng) {
        let routes: Vec<_> = self.routes.values().copied().collect();
        let id = routes[prng.below(routes.len())];
        let write = Write { id: self.next_write, is_to_heap: prng.permille(500) };
        self.next_write += 1;
        let is_open = prng.permille(300);
        let canister = self.canisters.get_mut(&id).expect("promise 3: a route names a canister that exists");
        if !canister.accepts_writes() {
            return;
        }
        self.accepted_writes += 1;
        if is_open {
            canister.open_calls.push(write);
        } else {
            self.apply_write(id, write);
        }
    }

    /// A call that was accepted goes on, unless the canister is stopped.
    pub(crate) fn finish_open_call(&mut self) {
        let open = self.canisters.iter().find(|(_, it)| !it.open_calls.is_empty()).map(|(id, _)| *id);
        if let Some(id) = open
            && let Some(write) = self.canister_mut(id).open_calls.pop()
        {
            self.apply_write(id, write);
        }
    }

    /// The dapp's code runs on its heap and its stable memory.
    pub(crate) fn apply_write(&mut self, id: Principal, write: Write) {
        self.set_timer(id, write);
        let image = &mut self.canister_mut(id).image;
        let heap = image.heap.as_mut().expect("code runs on a heap");
        assert_eq!(heap.layout, image.stable.layout, "a heap never runs on an image of another layout");
        if write.is_to_heap {
            heap.counted = mix(heap.counted, write.id);
            self.model.counted = mix(self.model.counted, write.id);
        } else {
            image.stable.written = mix(image.stable.written, write.id);
            self.model.written = mix(self.model.written, write.id);
        }
    }

    /// Users arm the timer, or disarm it.
    fn set_timer(&mut self, id: Principal, write: Write) {
        if self.timers != Timers::Never {
            self.timer = (!write.id.is_multiple_of(4)).then_some(write.id);
            self.canister_mut(id).timer = self.timer;
        }
    }

    /// What a call does, and answers.
    pub(crate) fn execute(
        &mut self,
        _job: JobId,
        effect: &Effect,
        prng: &mut Prng,
    ) -> decant_engine::Outcome {
        crate::effects::execute(self, effect, prng)
    }

    pub(crate) fn swap(
        &mut self,
        index: Principal,
        from: Principal,
        to: Principal,
    ) -> Result<(), ReasonCode> {
        if self.trouble == Trouble::RouteConflict && index == principal(2, 1) {
            return Err(ReasonCode::RouteConflict);
        }
        let route = self.routes.get_mut(&index).expect("jobs name indexes that exist");
        if *route == from || *route == to {
            *route = to;
            return Ok(());
        }
        Err(ReasonCode::NoRoute)
    }
}
