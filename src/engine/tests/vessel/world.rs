//! The world outside the coordinator: one dapp's canister, fresh ones, indexes, users and strangers.

use std::collections::BTreeMap;

use candid::Principal;
use decant_engine::{Effect, ReasonCode, RunState, SnapshotId, Stage};
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
    NotPlanned,
    NoStableMemory,
    Raw,
    Unreadable,
    AlreadyCompact,
    SmallAndCompact,
    NotWorthIt,
    BucketTooSmall,
    Tailed,
    Elsewhere,
    NoPreUpgrade,
    NoPreUpgradeButConsent,
    NoSlot,
    FewCycles,
    WantsCycles,
    PublicSnapshots,
    SmallHeapLimit,
    TooManyControllers,
    PreUpgradeTraps,
    PostUpgradeTraps,
    CorruptUpload,
    PostUpgradeGrows,
    NeverStops,
    EmptyPool,
    RouteConflict,
}

/// What the dapp's upgrade hooks are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Hooks {
    /// `pre_upgrade` saves the heap, `post_upgrade` reads it.
    Plain,
    /// `post_upgrade` erases what it has read: it can't run twice.
    Eraser,
}

/// What the dapp does with its global timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Timers {
    /// It has none.
    Never,
    /// Calls of users arm and disarm it.
    Kept,
    /// The same, and `post_upgrade` arms it.
    Rearmed,
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
    pub(crate) hooks: Hooks,
    pub(crate) timers: Timers,
    /// Whether the coordinator knows the layout of the build, so that no survey is needed.
    pub(crate) is_known: bool,
    /// Whether the source served before the job began.
    pub(crate) was_serving: bool,
    /// Strangers' snapshots, as they must stay.
    pub(crate) strangers: Vec<(Principal, Snapshot)>,
    /// Where the job is: only for what must not happen there.
    pub(crate) stage: Stage,
    pub(crate) now_nanos: u64,
    pub(crate) pool_cycles: u128,
    pub(crate) begun_cycles: u128,
    pub(crate) fees_cycles: u128,
    pub(crate) burned_cycles: u128,
    /// How often a stop times out when calls are open, and a vessel works in slices, in a thousand.
    pub(crate) slowness: u64,
    pub(crate) accepted_writes: u32,
    /// Whether somebody else did something to a canister of the job.
    pub(crate) is_disturbed: bool,
    /// Whether somebody else deleted what the job had saved.
    pub(crate) is_way_back_gone: bool,
    /// The target that an operator kept instead of the source, because users may have written to it.
    pub(crate) kept: Option<Principal>,
    /// Whether what somebody took was whole elsewhere: in another canister, or in a snapshot.
    pub(crate) has_last_copy: bool,
    /// Whether an operator opened the source beside such a target: each has what the other lacks.
    pub(crate) is_split: bool,
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
            stable: Stable { layout, written: model.written, saved: 12, ..Stable::NOTHING },
        };
        canister.settings.controllers.push(principal(8, 0));
        canister.settings.others = ByteBuf::from(vec![7; 40]);
        canister.is_controlled = trouble != Trouble::NotControlled;
        match trouble {
            Trouble::SourceStopped => canister.run_state = RunState::Stopped,
            Trouble::NoModule => canister.image = Image::NOTHING,
            // Enough for all that is charged, and not for what an upgrade prepays (M5).
            Trouble::FewCycles => canister.cycles = 250_000_000_000,
            Trouble::TooManyControllers => {
                canister.settings.controllers.extend((0..8).map(|number| principal(8, 1 + number)));
            }
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
            hooks: Hooks::Plain,
            timers: Timers::Never,
            is_known: false,
            was_serving: !matches!(trouble, Trouble::SourceStopped | Trouble::NoModule),
            strangers: Vec::new(),
            stage: Stage::BeforeCommit,
            now_nanos: 0,
            pool_cycles: 10 * CANISTER_CYCLES,
            begun_cycles,
            fees_cycles: 0,
            burned_cycles: 0,
            slowness,
            accepted_writes: 0,
            is_disturbed: false,
            is_way_back_gone: false,
            kept: None,
            is_split: false,
            has_last_copy: false,
            next_id: 1,
            next_write: 1,
        };
        let foreign = if trouble == Trouble::NoSlot { 9 } else { foreign };
        for _ in 0..foreign {
            world.stranger_takes(source);
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

    /// Somebody else takes a snapshot.
    pub(crate) fn stranger_takes(&mut self, taken_of: Principal) {
        let id = self.next_snapshot_id();
        let canister = self.canister(taken_of);
        let (image, timer, version) = (canister.image, canister.timer, canister.version);
        let made_nanos = self.now_nanos;
        let snapshot =
            Snapshot { id, maker: Maker::Stranger, image, version, made_nanos, timer, upload: None };
        self.canister_mut(taken_of).snapshots.push(snapshot.clone());
        self.strangers.push((taken_of, snapshot));
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
        let is_to_heap = prng.permille(500);
        let is_open = prng.permille(300);
        let write = self.next_write(is_to_heap);
        // Somebody may have deleted it.
        let Some(canister) = self.canisters.get_mut(&id) else { return };
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

    /// Whether all that users wrote is somewhere.
    pub(crate) fn holds_copy(&self) -> bool {
        self.canisters.values().any(|it| {
            let images = it.snapshots.iter().filter(|it| it.upload.is_none()).map(|it| &it.image);
            images.chain([&it.image]).any(|it| it.is_whole(self.model) || it.is_safe(self.model))
        })
    }

    pub(crate) fn next_write(&mut self, is_to_heap: bool) -> Write {
        self.next_write += 1;
        Write { id: self.next_write, is_to_heap }
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
        let timers = self.timers;
        let canister = self.canister_mut(id);
        // An upgrade that somebody else made let it go on, or not: what its caller was not told counts for nothing.
        let Some(heap) = canister.image.heap.as_mut() else { return };
        assert_eq!(
            heap.layout, canister.image.stable.layout,
            "a heap never runs on an image of another layout"
        );
        canister.version += 1;
        if timers != Timers::Never {
            canister.timer = (!write.id.is_multiple_of(4)).then_some(write.id);
        }
        if write.is_to_heap {
            heap.counted = mix(heap.counted, write.id);
            self.model.counted = mix(self.model.counted, write.id);
        } else {
            canister.image.stable.written = mix(canister.image.stable.written, write.id);
            self.model.written = mix(self.model.written, write.id);
        }
    }

    /// What a call does, and answers.
    pub(crate) fn execute(&mut self, effect: &Effect, prng: &mut Prng) -> decant_engine::Outcome {
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

    /// An ordinary upgrade of whatever is there to code of the dapp; answers whether a hook trapped.
    pub(crate) fn upgrade(&mut self, id: Principal, module: Module) -> Result<(), ReasonCode> {
        let mut image = self.canister(id).image;
        self.pre_upgrade(&mut image)?;
        let timer = self.post_upgrade(&mut image, module)?;
        let canister = self.canister_mut(id);
        canister.put(image);
        // An upgrade disarms the timer, then runs `post_upgrade` (interface specification, "Global timer").
        canister.timer = timer;
        Ok(())
    }

    /// The hook of the code that is there, if it is the dapp's. It may take the heap for good: nobody asks for it again.
    pub(crate) fn pre_upgrade(&mut self, image: &mut Image) -> Result<(), ReasonCode> {
        let is_dapp = image.module.is_some_and(Module::is_dapp);
        let Some(heap) = image.heap.take().filter(|_| is_dapp) else { return Ok(()) };
        assert_eq!(heap.layout, image.stable.layout, "a heap never runs on an image of another layout");
        match self.trouble {
            Trouble::PreUpgradeTraps => return Err(ReasonCode::Trapped),
            Trouble::NoPreUpgrade => panic!("promise 2: no heap is lost without the plan's consent"),
            Trouble::NoPreUpgradeButConsent => self.model.counted = image.stable.saved,
            _ => image.stable.saved = heap.counted,
        }
        image.stable.runs.0 += 1;
        Ok(())
    }

    /// The hook of the dapp's code; answers when the timer is due that it armed.
    fn post_upgrade(&self, image: &mut Image, module: Module) -> Result<Option<u64>, ReasonCode> {
        let is_repacked = image.stable.is_repacked;
        if self.trouble == Trouble::PostUpgradeTraps && is_repacked && module == Module::Own {
            return Err(ReasonCode::Trapped);
        }
        if self.trouble == Trouble::PostUpgradeGrows && is_repacked {
            image.stable.layout = Layout::Grown;
        }
        image.module = Some(module);
        image.heap = Some(Heap { counted: image.stable.saved, layout: image.stable.layout });
        image.stable.runs.1 += 1;
        if self.hooks == Hooks::Eraser {
            image.stable.saved = 0;
        }
        Ok((self.timers == Timers::Rearmed).then_some(REARMED))
    }
}
