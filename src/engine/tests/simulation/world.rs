//! The world outside the coordinator: canisters, indexes, users, and what each call does to them.

use std::collections::{BTreeMap, BTreeSet};

use candid::Principal;
use decant_engine::{
    CanisterView, Effect, FenceView, Holder, JobId, KitView, LayoutView, ModuleRole, Outcome, Reason,
    ReasonCode, RunState, Seal, Settings, Value,
};
use serde_bytes::ByteBuf;

use crate::canister::{Canister, Content, FREEZING_SECONDS, Module};
use crate::coordinator::SECOND_NANOS;
use crate::people::Others;
use crate::prng::Prng;

pub(crate) const FEE_CYCLES: u128 = 1_000;
pub(crate) const CANISTER_CYCLES: u128 = 3_000_000_000_000;

/// What is wrong in a world, besides the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Trouble {
    Nothing,
    NotControlled,
    WrongModule,
    DirtyTarget,
    HookTraps,
    WritesAfterSeal,
    RouteConflict,
    UnknownRoute,
    CorruptTarget,
    WrongFingerprint,
    Unreadable,
    HeldByOther,
    NotWorthIt,
    HasSnapshots,
    SourceStopped,
    NeverStops,
    NoCycles,
    EmptyPool,
}

pub(crate) struct User {
    pub(crate) source: Principal,
    /// What every acknowledged write adds up to.
    pub(crate) model: Content,
    pub(crate) refused_writes: u32,
}

pub(crate) struct World {
    pub(crate) canisters: BTreeMap<Principal, Canister>,
    /// index → user → canister
    pub(crate) routes: BTreeMap<Principal, BTreeMap<usize, Principal>>,
    /// index → old id → new id
    pub(crate) moved: BTreeMap<Principal, BTreeMap<Principal, Principal>>,
    pub(crate) users: Vec<User>,
    pub(crate) trouble: Trouble,
    /// Whether the sources served before any job began.
    pub(crate) was_serving: bool,
    pub(crate) coordinator: Principal,
    pub(crate) coordinator_cycles: u128,
    pub(crate) fees_cycles: u128,
    pub(crate) burned_cycles: BTreeMap<Principal, u128>,
    pub(crate) targets_ever: BTreeSet<Principal>,
    /// index → old ids that were routed to for another user than theirs: nobody is led anywhere from there any more
    pub(crate) anothers: BTreeMap<Principal, BTreeSet<Principal>>,
    /// Originals that were emptied for others: the id is nobody's, or another user's.
    pub(crate) emptied: BTreeSet<Principal>,
    /// Those that came with something in them.
    pub(crate) dirty: BTreeSet<Principal>,
    /// How often stops time out and hashing takes another slice, in a thousand.
    pub(crate) slowness: u64,
    /// Whether users write seldom: an operator who goes back does so before they did.
    pub(crate) is_quiet: bool,
    pub(crate) now_nanos: u64,
    /// What others did to canisters.
    pub(crate) others: Others,
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

fn refused(code: ReasonCode) -> Outcome {
    Outcome::Refused(Reason::new(code, "simulated"))
}

fn transient(code: ReasonCode) -> Outcome {
    Outcome::Transient(Reason::new(code, "simulated"))
}

fn done() -> Outcome {
    Outcome::Done(Value::Acknowledged)
}

impl World {
    pub(crate) fn new(users: usize, indexes: usize, trouble: Trouble, slowness: u64) -> Self {
        let coordinator = principal(9, 0);
        let mut world = Self {
            canisters: BTreeMap::new(),
            routes: BTreeMap::new(),
            moved: BTreeMap::new(),
            users: Vec::new(),
            trouble,
            was_serving: !matches!(trouble, Trouble::HeldByOther | Trouble::SourceStopped),
            coordinator,
            coordinator_cycles: 100 * CANISTER_CYCLES,
            fees_cycles: 0,
            burned_cycles: BTreeMap::new(),
            targets_ever: BTreeSet::new(),
            anothers: BTreeMap::new(),
            emptied: BTreeSet::new(),
            dirty: BTreeSet::new(),
            slowness,
            is_quiet: false,
            now_nanos: 0,
            others: Others::default(),
            next_id: 1,
            next_write: 1,
        };
        for user in 0..users {
            let source = principal(1, user as u64);
            let mut canister = Canister::fresh(coordinator, CANISTER_CYCLES);
            canister.module = Some(Module::Kit);
            canister.settings.controllers.push(principal(8, 0));
            canister.settings.others = ByteBuf::from(vec![user as u8; 40]);
            canister.is_controlled = trouble != Trouble::NotControlled;
            if trouble == Trouble::HeldByOther {
                canister.fence = FenceView::Frozen(Holder { job: user as u64 + 1, is_own: false });
            }
            if trouble == Trouble::SourceStopped {
                canister.run_state = RunState::Stopped;
            }
            if trouble == Trouble::HasSnapshots {
                canister.snapshots_bytes = 77;
            }
            let mut model = Content::default();
            model.write(user as u64 + 1_000_000);
            canister.content = model;
            world.canisters.insert(source, canister);
            world.users.push(User { source, model, refused_writes: 0 });
        }
        for index in 0..indexes {
            let id = principal(2, index as u64);
            let routes = world.users.iter().enumerate().map(|(user, it)| (user, it.source)).collect();
            world.routes.insert(id, routes);
            world.moved.insert(id, BTreeMap::new());
        }
        world
    }

    /// The coordinator creates a canister for its pool: outside of jobs, so that it can't be lost.
    pub(crate) fn create_canister(&mut self) -> Option<Principal> {
        if matches!(self.trouble, Trouble::EmptyPool) || self.coordinator_cycles < CANISTER_CYCLES {
            return None;
        }
        let id = principal(3, self.next_id);
        self.next_id += 1;
        self.coordinator_cycles -= CANISTER_CYCLES;
        let mut canister = Canister::fresh(self.coordinator, CANISTER_CYCLES - FEE_CYCLES);
        self.fees_cycles += FEE_CYCLES;
        if self.trouble == Trouble::DirtyTarget {
            canister.content.write(13);
            canister.module = self.next_id.is_multiple_of(2).then_some(Module::Foreign);
            self.dirty.insert(id);
        }
        self.canisters.insert(id, canister);
        self.targets_ever.insert(id);
        Some(id)
    }

    /// A user writes where some index says.
    pub(crate) fn write(&mut self, prng: &mut Prng) {
        if self.is_quiet && !prng.permille(30) {
            return;
        }
        let user = prng.below(self.users.len());
        let index = principal(2, prng.below(self.routes.len()) as u64);
        let canister_id = self.routes[&index][&user];
        let id = self.next_write;
        self.next_write += 1;
        let Some(canister) = self.canisters.get_mut(&canister_id) else {
            return assert!(self.others.took(canister_id), "promise 3: a route names a canister that exists");
        };
        if !canister.accepts_writes() {
            self.users[user].refused_writes += 1;
        } else if prng.permille(300) {
            canister.open_calls.push(id);
        } else {
            self.apply_write(canister_id, user, id);
        }
    }

    /// What users write to a canister whose state somebody took is no part of that.
    fn apply_write(&mut self, id: Principal, user: usize, write: u64) {
        self.canisters.get_mut(&id).expect("it is there").content.write(write);
        if !self.others.took(id) {
            self.users[user].model.write(write);
        }
    }

    /// What users of that canister wrote so far counts for nothing any more.
    pub(crate) fn forget(&mut self, id: Principal) {
        let routed = self.routes.values().flatten().find(|(_, route)| **route == id).map(|(user, _)| *user);
        if let Some(user) = routed {
            self.users[user].model = Content::default();
        }
    }

    /// It runs, and where it takes writes its users write.
    pub(crate) fn serve(&mut self, id: Principal) {
        let routed = self.routes.values().flatten().find(|(_, route)| **route == id).map(|(user, _)| *user);
        let write = self.next_write;
        self.next_write += 1;
        let canister = self.canisters.get_mut(&id).expect("checked by the caller");
        canister.run_state = RunState::Running;
        if let Some(user) = routed.filter(|_| canister.accepts_writes()) {
            self.apply_write(id, user, write);
        }
    }

    /// What a canister has open is closed.
    pub(crate) fn close_calls(&mut self, id: Principal) {
        let owner = self.owner(id);
        for _ in 0..self.canisters[&id].open_calls.len() {
            self.close_call(id, owner.expect("users write to their canisters only"));
        }
    }

    /// A call that was accepted before the fence closed goes on, unless it was stopped.
    pub(crate) fn finish_open_call(&mut self, prng: &mut Prng) {
        let user = prng.below(self.users.len());
        let holders: Vec<_> =
            self.canisters.iter().filter(|(_, it)| !it.open_calls.is_empty()).map(|(id, _)| *id).collect();
        for id in holders {
            if self.owner(id) == Some(user) {
                self.close_call(id, user);
            }
        }
    }

    fn close_call(&mut self, id: Principal, user: usize) {
        let canister = self.canisters.get_mut(&id).expect("it was just found");
        if let Some(write) = canister.open_calls.pop() {
            self.apply_write(id, user, write);
        }
    }

    /// A heartbeat writes to a sealed source: no fence stops it.
    pub(crate) fn beat(&mut self, prng: &mut Prng) {
        let user = prng.below(self.users.len());
        let source = self.users[user].source;
        if self.trouble == Trouble::WritesAfterSeal
            && let Some(canister) = self.canisters.get_mut(&source)
            && canister.run_state == RunState::Running
            && canister.sealed.is_some()
        {
            canister.content.beats += 1;
        }
    }

    fn owner(&self, canister: Principal) -> Option<usize> {
        let of_source = self.users.iter().position(|user| user.source == canister);
        of_source.filter(|_| !self.emptied.contains(&canister)).or_else(|| {
            let routes = self.routes.values().flatten();
            routes.filter(|(_, routed)| **routed == canister).map(|(user, _)| *user).next()
        })
    }

    /// What a call does, and answers.
    pub(crate) fn execute(&mut self, job: JobId, effect: &Effect, prng: &mut Prng) -> Outcome {
        if let Effect::Swap { index, from, to } = effect {
            return self.swap(*index, *from, *to);
        }
        let subject = effect.subject();
        if !self.canisters.contains_key(&subject) {
            return match effect {
                Effect::CanisterStatus { .. } | Effect::Look { .. } | Effect::KitStatus { .. } => {
                    Outcome::Done(Value::Gone)
                }
                _ => refused(ReasonCode::Gone),
            };
        }
        if effect.callee() == Principal::management_canister() {
            self.manage(effect, subject, prng)
        } else {
            self.ask_kit(job, effect, subject, prng)
        }
    }

    fn swap(&mut self, index: Principal, from: Principal, to: Principal) -> Outcome {
        match self.trouble {
            Trouble::RouteConflict if index != principal(2, 0) || self.routes.len() == 1 => {
                return refused(ReasonCode::RouteConflict);
            }
            Trouble::UnknownRoute => return refused(ReasonCode::NoRoute),
            _ => {}
        }
        let routes = self.routes.get_mut(&index).expect("jobs name indexes that exist");
        if let Some((user, route)) = routes.iter_mut().find(|(_, route)| **route == from) {
            *route = to;
            let whose = self.users.iter().position(|user| user.source == to);
            let anothers = self.anothers.entry(index).or_default();
            if whose.is_some_and(|whose| whose != *user) {
                assert!(self.emptied.contains(&to), "promise 2: {to} is another user's");
                anothers.insert(to);
            }
            let moved = self.moved.get_mut(&index).expect("an index has both");
            moved.remove(&to);
            if !anothers.contains(&from) {
                moved.insert(from, to);
            }
            done()
        } else if routes.values().any(|route| *route == to) {
            done()
        } else {
            refused(ReasonCode::NoRoute)
        }
    }

    fn manage(&mut self, effect: &Effect, subject: Principal, prng: &mut Prng) -> Outcome {
        let open_calls = self.canisters[&subject].open_calls.len();
        let slowness = self.slowness;
        let trouble = self.trouble;
        let coordinator = self.coordinator;
        let canister = self.canisters.get_mut(&subject).expect("checked by the caller");
        if !canister.is_controlled {
            return refused(ReasonCode::NotAuthorised);
        }
        match effect {
            Effect::CanisterStatus { .. } | Effect::Look { .. } => {
                let (acted, emptied) = match effect {
                    Effect::Look { since_nanos, .. } => canister.acted(*since_nanos),
                    _ => (None, None),
                };
                return Outcome::Done(Value::Canister(CanisterView {
                    run_state: canister.run_state,
                    module_hash: canister.module.map(Module::hash),
                    settings: canister.settings.clone(),
                    balance_cycles: canister.cycles,
                    snapshots_bytes: canister.snapshots_bytes,
                    memory_bytes: 0,
                    stable_pages: canister.stable_pages(),
                    freezing_cycles: 0,
                    freezing_seconds: canister.freezing_seconds,
                    is_planned: canister.module == Some(Module::Kit),
                    chunk_store_bytes: 0,
                    minimum_call_cycles: 0,
                    heap_limit_bytes: None,
                    has_public_snapshots: false,
                    version: None,
                    acted,
                    emptied,
                }));
            }
            Effect::CheckAssets { .. } => return Outcome::Done(Value::Assets(None)),
            Effect::UpdateSettings { settings, .. } => canister.settings = settings.clone(),
            Effect::ResetSettings { .. } => {
                canister.freezing_seconds = FREEZING_SECONDS;
                canister.settings = Settings { controllers: vec![coordinator], others: ByteBuf::new() };
            }
            Effect::Install { role: ModuleRole::Compact, .. } if trouble == Trouble::WrongModule => {
                return refused(ReasonCode::WrongModule);
            }
            Effect::Install { role: ModuleRole::Compact, .. } if canister.module.is_some() => {
                return refused(ReasonCode::NotEmpty);
            }
            Effect::Install { role: ModuleRole::Compact, .. } => canister.module = Some(Module::Compact),
            Effect::Install { role: ModuleRole::Tombstone, .. } => {
                if canister.module != Some(Module::Tombstone) {
                    self.assert_may_go(subject);
                }
                let canister = self.canisters.get_mut(&subject).expect("checked by the caller");
                canister.reinstall(Some(Module::Tombstone));
            }
            Effect::Uninstall { .. } => {
                if !self.targets_ever.contains(&subject) {
                    assert_eq!(canister.run_state, RunState::Stopped, "promise 11: as its job left it");
                    assert_eq!(canister.snapshots_bytes, 0, "promise 12: somebody's snapshot");
                    self.assert_may_go(subject);
                    self.targets_ever.insert(subject);
                    self.emptied.insert(subject);
                } else if canister.is_complete {
                    let content = canister.content;
                    let mut holds = self.users.iter().filter(|user| content.same_writes(user.model));
                    let is_last = holds.any(|user| self.others.took_fenced(user.source));
                    assert!(!is_last, "promise 2: {subject} holds the last copy");
                }
                let canister = self.canisters.get_mut(&subject).expect("checked by the caller");
                canister.reinstall(None);
            }
            Effect::Stop { .. } => {
                let is_never = trouble == Trouble::NeverStops && canister.fence != FenceView::Open;
                if is_never || (open_calls > 0 && prng.permille(slowness)) {
                    canister.run_state = RunState::Stopping;
                    return Outcome::Unknown(Reason::new(ReasonCode::StopTimedOut, "simulated"));
                }
                canister.run_state = RunState::Stopped;
                self.close_calls(subject);
            }
            Effect::Start { .. } => canister.run_state = RunState::Running,
            Effect::SetFreezingThreshold { seconds, .. } => canister.freezing_seconds = *seconds,
            Effect::Delete { .. } => {
                if canister.run_state != RunState::Stopped {
                    return transient(ReasonCode::Rejected);
                }
                assert_eq!(canister.snapshots_bytes, 0, "promise 12: somebody's snapshot");
                self.assert_may_go(subject);
                let gone = self.canisters.remove(&subject).expect("checked by the caller");
                assert_eq!(
                    gone.reserved_cycles(),
                    0,
                    "promise 5: nothing is burned that could have been drained"
                );
                self.burned_cycles.insert(subject, gone.cycles);
            }
            other => panic!("{other:?} is not for the management canister"),
        }
        done()
    }

    /// Promise 2: a source goes only when a target is active that held all of it, and every route names it.
    fn assert_may_go(&self, source: Principal) {
        let gone = &self.canisters[&source];
        let FenceView::Moved { to, holder } = gone.fence else {
            panic!("promise 2: {source} goes with its fence {:?}", gone.fence);
        };
        if let Some(taken_nanos) = self.others.took_nanos(to) {
            // Whoever looked within ten minutes does not look again.
            let since_nanos = self.now_nanos.saturating_sub(taken_nanos);
            return assert!(since_nanos < 700 * SECOND_NANOS, "promise 2: {source} holds the last copy");
        }
        let (job, held) = self.canisters[&to].activated.expect("promise 2: the target is active");
        assert_eq!(job, holder.job, "promise 2: it was activated by the job that retired the source");
        assert!(held.same_writes(gone.content), "promise 2: the target held every write");
        if gone.rechecked == Some(gone.content) || self.trouble != Trouble::WritesAfterSeal {
            assert_eq!(held, gone.content, "promise 2: and every beat");
        }
        let user = self.users.iter().position(|user| user.source == source).expect("sources belong to users");
        for (index, routes) in &self.routes {
            assert_eq!(routes[&user], to, "promise 2: {index} names the target");
        }
    }

    fn ask_kit(&mut self, job: JobId, effect: &Effect, subject: Principal, prng: &mut Prng) -> Outcome {
        let trouble = self.trouble;
        let more = prng.permille(self.slowness);
        let holder = Holder { job, is_own: true };
        let canister = self.canisters.get_mut(&subject).expect("checked by the caller");
        if canister.run_state != RunState::Running {
            return transient(ReasonCode::NotRunning);
        }
        if !canister.has_kit() {
            return refused(ReasonCode::NoKit);
        }
        let is_held = canister.fence.holder().is_some_and(|by| by.is_job(job));
        let is_other = canister.fence.holder().is_some_and(|by| !by.is_job(job));
        if is_other && !matches!(effect, Effect::KitStatus { .. }) {
            return refused(ReasonCode::HeldByOther);
        }
        match (effect, canister.fence) {
            (Effect::KitStatus { .. }, fence) => {
                let layout = match trouble {
                    Trouble::Unreadable => LayoutView::Unreadable { reason: "simulated".into() },
                    Trouble::NotWorthIt => LayoutView::Managed { memories: 1, used_pages: 128 },
                    _ => LayoutView::Managed { memories: 1, used_pages: 1 },
                };
                return Outcome::Done(Value::Kit(KitView {
                    kit_version: 1,
                    fence,
                    layout,
                    stable_pages: canister.stable_pages(),
                    has_root: canister.sealed.is_some() || canister.activated.is_some(),
                }));
            }
            (Effect::Offer { reader, .. }, FenceView::Open) => canister.offer = Some((job, *reader)),
            (Effect::Freeze { reader, .. }, FenceView::Open) => {
                canister.fence = FenceView::Frozen(holder);
                canister.offer = None;
                canister.reader = Some(*reader);
            }
            (Effect::Freeze { .. }, FenceView::Frozen(_) | FenceView::Sealed(_)) => {}
            (Effect::Seal { .. }, FenceView::Frozen(_)) => {
                if trouble == Trouble::HookTraps {
                    return refused(ReasonCode::Trapped);
                }
                if more {
                    canister.slices += 1;
                    return Outcome::Done(Value::Working { done_bytes: canister.slices });
                }
                canister.fence = FenceView::Sealed(holder);
                canister.sealed = Some(canister.content.seal());
                canister.slices = 0;
                return Outcome::Done(Value::Hashed(canister.content.seal()));
            }
            (Effect::Seal { .. }, FenceView::Sealed(_)) => {
                return Outcome::Done(Value::Hashed(canister.sealed.clone().expect("sealed")));
            }
            (Effect::Recheck { .. }, FenceView::Sealed(_) | FenceView::Moved { .. }) => {
                if more {
                    canister.slices += 1;
                    return Outcome::Done(Value::Working { done_bytes: canister.slices });
                }
                // As the kit says it; the roots themselves may tell it as well.
                if canister.sealed.as_ref() != Some(&canister.content.seal()) && prng.permille(500) {
                    return refused(ReasonCode::ChangedAfterSeal);
                }
                canister.rechecked = Some(canister.content);
                return Outcome::Done(Value::Hashed(canister.content.seal()));
            }
            (Effect::Thaw { .. }, FenceView::Frozen(_) | FenceView::Sealed(_) | FenceView::Open) => {
                canister.fence = FenceView::Open;
                canister.sealed = None;
                canister.offer = canister.offer.filter(|(by, _)| *by != job);
            }
            (Effect::Retire { to, .. }, FenceView::Sealed(_)) => {
                canister.fence = FenceView::Moved { holder, to: *to }
            }
            (Effect::Retire { .. }, FenceView::Moved { .. }) => {}
            (Effect::Reinstate { to, .. }, FenceView::Moved { to: at, .. }) if *to == at => {
                canister.fence = FenceView::Sealed(holder);
            }
            (Effect::Reinstate { .. }, FenceView::Sealed(_)) => {}
            (Effect::Drain { to, keep_cycles, .. }, FenceView::Moved { .. }) => {
                // What is hashed once is not hashed again.
                if more && canister.rechecked != Some(canister.content) {
                    canister.slices += 1;
                    return Outcome::Done(Value::Working { done_bytes: canister.slices });
                }
                if canister.sealed.as_ref() != Some(&canister.content.seal()) {
                    return refused(ReasonCode::ChangedAfterSeal);
                }
                canister.rechecked = Some(canister.content);
                let kept = *keep_cycles + FEE_CYCLES + canister.reserved_cycles();
                let sent = canister.cycles.saturating_sub(kept);
                let total_cycles = canister.drained.get(&job).copied().unwrap_or_default() + sent;
                if sent > 0 && !self.canisters.contains_key(to) {
                    assert!(self.others.took(*to), "promise 2: the target exists");
                    // What the kit says of a deposit that was rejected.
                    return Outcome::Refused(Reason::new(ReasonCode::Rejected, ReasonCode::Gone.text()));
                }
                let canister = self.canisters.get_mut(&subject).expect("checked by the caller");
                *canister.drained.entry(job).or_default() = total_cycles;
                if sent > 0 {
                    canister.cycles -= sent + FEE_CYCLES;
                    self.fees_cycles += FEE_CYCLES;
                    self.canisters.get_mut(to).expect("it was there").cycles += sent;
                }
                return Outcome::Done(Value::Drained { total_cycles });
            }
            (Effect::ImportBegin { .. }, FenceView::Open) => {
                if canister.content != Content::default() {
                    return refused(ReasonCode::NotEmpty);
                }
                canister.fence = FenceView::Importing(holder);
            }
            (Effect::ImportBegin { .. }, FenceView::Importing(_)) => {}
            (Effect::Precopy { .. }, FenceView::Importing(_)) => return self.precopy(job, subject, more),
            (Effect::Pull { root, .. }, FenceView::Importing(_)) => {
                return self.pull(job, subject, root, (more, prng.permille(500)));
            }
            (Effect::Verify { .. }, FenceView::Importing(_)) if canister.is_complete => {
                if more {
                    canister.slices += 1;
                    return Outcome::Done(Value::Working { done_bytes: canister.slices });
                }
                return Outcome::Done(Value::Hashed(seal_of(canister.content, trouble)));
            }
            (Effect::Activate { .. }, FenceView::Importing(_)) if canister.is_complete => {
                canister.fence = FenceView::Open;
                canister.activated = Some((job, canister.content));
            }
            (Effect::Activate { .. }, FenceView::Open)
                if canister.activated.is_some_and(|(by, _)| by == job) => {}
            (Effect::Activate { .. }, FenceView::Open) => return refused(ReasonCode::Contradiction),
            (_, _) if is_held || canister.fence == FenceView::Open => return refused(ReasonCode::Rejected),
            (other, fence) => panic!("{other:?} met {fence:?}"),
        }
        done()
    }

    /// What the source holds now is copied, whole or in part; the seal decides what of it counts.
    fn precopy(&mut self, job: JobId, target: Principal, more: bool) -> Outcome {
        let mut sources = self.users.iter().filter_map(|user| self.canisters.get(&user.source));
        if !sources.any(|it| it.accepts_writes() && it.offer == Some((job, target))) {
            return refused(ReasonCode::Rejected);
        }
        let canister = self.canisters.get_mut(&target).expect("checked by the caller");
        canister.slices += 1;
        let done_bytes = canister.slices;
        let wire_bytes = done_bytes * 100;
        Outcome::Done(Value::Pulled { is_complete: !more, done_bytes, wire_bytes, verified: None })
    }

    fn pull(
        &mut self,
        job: JobId,
        target: Principal,
        root: &decant_engine::Digest,
        (more, verifies): (bool, bool),
    ) -> Outcome {
        let source_id = self.users.iter().map(|user| user.source).find(|source| {
            let fence = self.canisters.get(source).map(|source| source.fence);
            matches!(fence, Some(FenceView::Sealed(holder)) if holder.is_job(job))
        });
        let Some(source) = source_id.and_then(|source| self.canisters.get(&source)) else {
            return refused(ReasonCode::Rejected);
        };
        if source.reader != Some(target) {
            return refused(ReasonCode::NotAuthorised);
        }
        if source.sealed.as_ref().map(|seal| seal.root) != Some(*root) || source.content.seal().root != *root
        {
            return refused(ReasonCode::RootMismatch);
        }
        let mut content = source.content;
        if self.trouble == Trouble::CorruptTarget {
            content.hash ^= 1;
        }
        let canister = self.canisters.get_mut(&target).expect("checked by the caller");
        canister.slices += 1;
        if !more {
            canister.content = content;
            canister.is_complete = true;
        }
        let (done_bytes, wire_bytes) = (canister.slices, canister.slices * 100);
        let verified = (!more && verifies).then(|| seal_of(content, self.trouble));
        Outcome::Done(Value::Pulled { is_complete: !more, done_bytes, wire_bytes, verified })
    }
}

/// What a target answers that has verified what it wrote.
fn seal_of(content: Content, trouble: Trouble) -> Seal {
    let mut seal = content.seal();
    if trouble == Trouble::WrongFingerprint {
        seal.fingerprint = ByteBuf::from(b"other".to_vec());
    }
    seal
}
