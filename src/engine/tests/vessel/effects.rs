//! What each call does to the world.

use candid::Principal;
use decant_engine::{
    CanisterView, Effect, FenceView, Found, Holder, ImageKind, ImageView, KitView, Known, LayoutView,
    Outcome, Reason, ReasonCode, RunState, Seal, Settings, SnapshotId, Stage, Value, VesselRole,
};
use serde_bytes::ByteBuf;

use crate::canister::{
    Canister, Image, Layout, MAX_SNAPSHOTS, Maker, Module, STATE_PAGES, Snapshot, Stable, Vessel,
};
use crate::prng::Prng;
use crate::world::{Trouble, World};

/// What every change by the management canister costs the canister.
const FEE_CYCLES: u128 = 1_000;
/// Pages that a call pours.
const PAGES_PER_CALL: u64 = 3;

/// Why a call is not done.
#[derive(Debug)]
enum No {
    Refused(ReasonCode),
    Transient(ReasonCode),
    Unknown(ReasonCode),
}

type Answer = Result<Value, No>;

pub(crate) fn execute(world: &mut World, effect: &Effect, prng: &mut Prng) -> Outcome {
    match answer(world, effect, prng) {
        Ok(value) => Outcome::Done(value),
        Err(No::Refused(code)) => Outcome::Refused(Reason::new(code, "simulated")),
        Err(No::Transient(code)) => Outcome::Transient(Reason::new(code, "simulated")),
        Err(No::Unknown(code)) => Outcome::Unknown(Reason::new(code, "simulated")),
    }
}

fn answer(world: &mut World, effect: &Effect, prng: &mut Prng) -> Answer {
    match effect {
        Effect::Swap { index, from, to } => {
            return world.swap(*index, *from, *to).map(|()| Value::Acknowledged).map_err(No::Refused);
        }
        Effect::Recall { .. } => return Ok(Value::Known(world.is_known.then(|| known(world.trouble)))),
        _ => {}
    }
    let id = effect.subject();
    let Some(canister) = world.canisters.get_mut(&id) else {
        return match effect {
            Effect::CanisterStatus { .. } | Effect::Look { .. } | Effect::KitStatus { .. } => Ok(Value::Gone),
            _ => Err(No::Refused(ReasonCode::Gone)),
        };
    };
    if !canister.is_controlled {
        return Err(No::Refused(ReasonCode::NotAuthorised));
    }
    if effect.callee() != Principal::management_canister() {
        return ask(world, id, effect, prng);
    }
    let is_free = matches!(
        effect,
        Effect::CanisterStatus { .. }
            | Effect::Look { .. }
            | Effect::ListSnapshots { .. }
            | Effect::FindSnapshots { .. }
            | Effect::Delete { .. }
    );
    if !is_free {
        canister.cycles -= FEE_CYCLES;
        world.fees_cycles += FEE_CYCLES;
    }
    manage(world, id, effect, prng)
}

fn manage(world: &mut World, id: Principal, effect: &Effect, prng: &mut Prng) -> Answer {
    match effect {
        Effect::CanisterStatus { .. } => return Ok(Value::Canister(status(world, id))),
        Effect::Look { since_nanos, .. } => {
            let mut view = status(world, id);
            let acts = &world.canister(id).acts;
            let acted = acts.iter().rev().find(|(at_nanos, _)| at_nanos > since_nanos);
            view.acted = acted.map(|(_, what)| (*what).to_owned());
            view.emptied = view.acted.clone().filter(|what| what.contains("installed"));
            return Ok(Value::Canister(view));
        }
        Effect::UpdateSettings { settings, .. } => world.canister_mut(id).settings = settings.clone(),
        Effect::ResetSettings { .. } => {
            let is_left = id == world.source && world.canister(id).image.module.is_some();
            assert!(!is_left, "only targets, and what was emptied, go to the pool");
            let controllers = vec![world.coordinator];
            world.canister_mut(id).settings = Settings { controllers, others: ByteBuf::new() };
        }
        Effect::SetControllers { controllers, .. } => {
            assert!(
                controllers.contains(&world.coordinator)
                    && controllers.contains(&crate::world::principal(8, 0))
            );
            world.canister_mut(id).settings.controllers = controllers.clone();
        }
        Effect::SetFreezingThreshold { seconds, .. } => world.canister_mut(id).freezing_seconds = *seconds,
        Effect::Install { .. } => {
            if world.canister(id).vessel.role.is_none_or(|role| matches!(role, VesselRole::Source { .. })) {
                assert_may_go(world, id);
            }
            let canister = world.canister_mut(id);
            let moved_to = canister.vessel.moved_to;
            canister.put(Image { module: Some(Module::Vessel), ..Image::NOTHING });
            canister.vessel.moved_to = moved_to;
        }
        Effect::InstallVessel { role, vessel_hash, .. } => {
            assert_eq!(*vessel_hash, Module::Vessel.hash());
            install_vessel(world, id, *role)?;
        }
        Effect::Upgrade { module_hash, .. } => {
            assert_eq!(*module_hash, Module::Own.hash(), "a canister gets back what it ran");
            let canister = world.canister(id);
            assert_eq!(canister.image.module, Some(Module::Vessel), "promise 11: only a vessel is dressed");
            assert_eq!(canister.run_state, RunState::Stopped, "and not before its time");
            world.upgrade(id, Module::Own).map_err(No::Refused)?;
        }
        Effect::Uninstall { .. } => {
            if id == world.source && world.canister(id).image.module.is_some() {
                assert_may_end(world, id);
            }
            let canister = world.canister_mut(id);
            canister.put(Image::NOTHING);
            canister.timer = None;
        }
        Effect::Stop { .. } => return stop(world, id, prng),
        Effect::Start { .. } => world.canister_mut(id).run_state = RunState::Running,
        Effect::Delete { .. } => return delete(world, id),
        Effect::ListSnapshots { .. } => {
            let all = world.canister(id).snapshots.iter().map(|it| it.id.clone());
            return Ok(Value::Snapshots(all.collect()));
        }
        Effect::FindSnapshots { known, .. } => {
            let found = world.canister(id).snapshots.iter().map(|it| {
                let is_known = known.contains(&it.id);
                Found {
                    id: it.id.clone(),
                    made_nanos: it.made_nanos,
                    version: (!is_known).then_some(it.version),
                    is_uploaded: !is_known && it.upload.is_some(),
                }
            });
            return Ok(Value::Found(found.collect()));
        }
        Effect::TakeSnapshot { replaced, .. } => return take(world, id, replaced.as_ref()),
        Effect::ReadImage { snapshot, .. } => {
            let snapshot = find(world, id, snapshot)?;
            let kind = kind(world.trouble, snapshot.image.stable);
            let stable_pages = snapshot.image.stable.layout.pages();
            let version = Some(snapshot.version);
            return Ok(Value::Image(ImageView {
                stable_pages,
                kind,
                timer_nanos: snapshot.timer,
                version,
                nested_pages: 0,
            }));
        }
        Effect::KeepModule { snapshot, module_hash, .. } => {
            let module = find(world, id, snapshot)?.image.module.map(Module::hash);
            if module != Some(*module_hash) {
                return Err(No::Refused(ReasonCode::WrongModule));
            }
            return Ok(Value::Known(Some(known(world.trouble))));
        }
        Effect::UploadMetadata { saved, pages, .. } => {
            let (timer, version) = (find(world, id, saved)?.timer, 0);
            assert_eq!(*pages, Layout::Compact.pages());
            let image = Image { module: Some(Module::Empty), ..Image::NOTHING };
            return add_snapshot(world, id, image, version, timer, Some((0, false)));
        }
        Effect::UploadRest { saved, uploaded, .. } => {
            find(world, id, saved)?;
            find(world, id, uploaded)?;
        }
        Effect::LoadSnapshot { snapshot, .. } => return load(world, id, snapshot),
        Effect::DeleteSnapshot { snapshot, .. } => return delete_snapshot(world, id, snapshot),
        Effect::CheckAssets { .. } => return Ok(Value::Assets(None)),
        other => panic!("{other:?} is not of a job by vessels"),
    }
    Ok(Value::Acknowledged)
}

fn known(trouble: Trouble) -> Known {
    let lacks_hook = matches!(trouble, Trouble::NoPreUpgrade | Trouble::NoPreUpgradeButConsent);
    Known {
        has_pre_upgrade: !lacks_hook,
        may_lose_heap: trouble == Trouble::NoPreUpgradeButConsent,
        prepaid_cycles: 300_000_000_000,
        vessel_hash: Module::Vessel.hash(),
    }
}

fn status(world: &World, id: Principal) -> CanisterView {
    let (trouble, canister) = (world.trouble, world.canister(id));
    let snapshots_bytes = canister.snapshots.len() as u64 * 1_000_000;
    let stable_pages = canister.image.stable.layout.pages();
    CanisterView {
        run_state: canister.run_state,
        module_hash: canister.image.module.map(Module::hash),
        settings: canister.settings.clone(),
        balance_cycles: canister.cycles,
        snapshots_bytes,
        memory_bytes: snapshots_bytes + stable_pages * 65_536,
        stable_pages,
        freezing_cycles: 1_000_000,
        freezing_seconds: canister.freezing_seconds,
        is_planned: canister.image.module == Some(Module::Own) && trouble != Trouble::NotPlanned,
        chunk_store_bytes: 0,
        minimum_call_cycles: if trouble == Trouble::WantsCycles { 1 } else { 0 },
        heap_limit_bytes: (trouble == Trouble::SmallHeapLimit).then_some(1 << 20),
        has_public_snapshots: trouble == Trouble::PublicSnapshots,
        version: Some(canister.version),
        acted: None,
        emptied: None,
    }
}

/// The vessel, as its role says: over code of the dapp, over no code, onto nothing.
fn install_vessel(world: &mut World, id: Principal, role: VesselRole) -> Result<(), No> {
    let mut image = world.canister(id).image;
    match role {
        VesselRole::Target { .. } if image.module.is_some() => return Err(No::Refused(ReasonCode::NotEmpty)),
        VesselRole::Target { .. } => {}
        VesselRole::Source { .. } => {
            let run_state = world.canister(id).run_state;
            let has_code = image.module.is_some_and(Module::is_dapp);
            assert!(!has_code || run_state == RunState::Stopped, "a dapp is stopped when its code changes");
            assert_ne!(image.module, Some(Module::Newer), "promise 12: what somebody else installed stays");
            world.pre_upgrade(&mut image).map_err(No::Refused)?;
            let is_taken = world.canister(id).taken_nanos.is_some();
            if image.module == Some(Module::Own)
                && !is_taken
                && world.trouble != Trouble::NoPreUpgradeButConsent
            {
                assert_eq!(image.stable.saved, world.model.counted, "promise 2: the upgrade saves all");
            }
        }
    }
    (image.module, image.heap) = (Some(Module::Vessel), None);
    let canister = world.canister_mut(id);
    canister.put(image);
    canister.timer = None;
    canister.vessel = Vessel { role: Some(role), ..Vessel::default() };
    Ok(())
}

/// Promise 2: a source goes only when the target serves all of its state and every route names it.
fn assert_may_go(world: &World, source: Principal) {
    assert_eq!(source, world.source, "promise 2: only sources are entombed");
    assert_eq!(world.stage, Stage::AfterCommit, "promise 2: and only after the commit point");
    assert!(world.canister(source).vessel.moved_to.is_some(), "promise 2: it is retired");
    for to in world.routes.values() {
        // Whoever looked within ten minutes does not look again.
        let Some(target) = world.canisters.get(to) else {
            return assert!(world.is_disturbed, "promise 2: the target exists");
        };
        if let Some(taken_nanos) = target.taken_nanos {
            let since_nanos = world.now_nanos.saturating_sub(taken_nanos);
            return assert!(since_nanos < 700_000_000_000, "promise 2: {source} holds the last copy");
        }
        let serves = *to != source && (target.accepts_writes() || world.is_disturbed);
        assert!(serves, "promise 2: every route names a target that serves");
        assert!(target.image.is_whole(world.model), "promise 2: which holds all of the state");
    }
}

fn stop(world: &mut World, id: Principal, prng: &mut Prng) -> Answer {
    let is_never = world.trouble == Trouble::NeverStops && id == world.source;
    let is_slow = !world.canister(id).open_calls.is_empty() && prng.permille(world.slowness);
    if is_never || is_slow {
        world.canister_mut(id).run_state = RunState::Stopping;
        return Err(No::Unknown(ReasonCode::StopTimedOut));
    }
    while let Some(write) = world.canister_mut(id).open_calls.pop() {
        world.apply_write(id, write);
    }
    world.canister_mut(id).run_state = RunState::Stopped;
    Ok(Value::Acknowledged)
}

fn delete(world: &mut World, id: Principal) -> Answer {
    let canister = world.canister(id);
    if canister.run_state != RunState::Stopped {
        return Err(No::Transient(ReasonCode::Rejected));
    }
    assert_may_end(world, id);
    world.burned_cycles += world.canister(id).cycles;
    world.canisters.remove(&id);
    Ok(Value::Acknowledged)
}

/// The source is deleted, or emptied for others.
fn assert_may_end(world: &World, id: Principal) {
    let canister = world.canister(id);
    assert_eq!(canister.run_state, RunState::Stopped, "promise 11: as its job left it");
    assert_eq!(canister.image.module, Some(Module::Vessel), "promise 2: nothing but a vessel goes");
    assert!(canister.snapshots.is_empty(), "no snapshot goes with its canister, or stays for others");
    assert_may_go(world, id);
}

fn find<'a>(world: &'a World, id: Principal, snapshot: &SnapshotId) -> Result<&'a Snapshot, No> {
    let canister = world.canisters.get(&id).ok_or(No::Refused(ReasonCode::Gone))?;
    canister.snapshot(snapshot).ok_or(No::Refused(ReasonCode::NoSnapshot))
}

fn add_snapshot(
    world: &mut World,
    id: Principal,
    image: Image,
    version: u64,
    timer: Option<u64>,
    upload: Option<(u64, bool)>,
) -> Answer {
    if world.canister(id).snapshots.len() >= MAX_SNAPSHOTS {
        return Err(No::Refused(ReasonCode::NoSlot));
    }
    let (snapshot_id, made_nanos) = (world.next_snapshot_id(), world.now_nanos);
    let snapshot = Snapshot { id: snapshot_id, maker: Maker::Job, image, version, made_nanos, timer, upload };
    let name = snapshot.id.clone();
    world.canister_mut(id).snapshots.push(snapshot);
    Ok(Value::Snapshot(name))
}

fn take(world: &mut World, id: Principal, replaced: Option<&SnapshotId>) -> Answer {
    if let Some(replaced) = replaced {
        assert_eq!(find(world, id, replaced)?.maker, Maker::Job, "a stranger's snapshot is never replaced");
        world.canister_mut(id).snapshots.retain(|it| it.id != *replaced);
    }
    let canister = world.canister(id);
    let (image, timer, version) = (canister.image, canister.timer, canister.version);
    add_snapshot(world, id, image, version, timer, None)
}

fn kind(trouble: Trouble, stable: Stable) -> ImageKind {
    match (trouble, stable.layout) {
        (_, Layout::Nothing) => ImageKind::Empty,
        (_, Layout::Raw) => ImageKind::Raw,
        (_, Layout::Unreadable) => ImageKind::Unreadable { reason: "version 9".to_owned() },
        (Trouble::BucketTooSmall, _) => ImageKind::DoesNotFit { reason: "4 pages would do".to_owned() },
        (Trouble::Elsewhere, _) => ImageKind::Elsewhere { manager_page: 48 },
        (Trouble::Tailed, _) => ImageKind::Tailed { tail_pages: 3, signs: "page 9 is not zero".to_owned() },
        (Trouble::AlreadyCompact, _) => {
            ImageKind::Managed { bucket_pages: 1, used_pages: 256, compact_pages: 257 }
        }
        (Trouble::NotWorthIt, _) => {
            ImageKind::Managed { bucket_pages: 128, used_pages: 240, compact_pages: 241 }
        }
        (_, Layout::Bloated | Layout::Grown | Layout::Compact) => ImageKind::Managed {
            bucket_pages: 128,
            used_pages: STATE_PAGES,
            compact_pages: Layout::Compact.pages(),
        },
    }
}

fn load(world: &mut World, id: Principal, name: &SnapshotId) -> Answer {
    let snapshot = find(world, id, name)?.clone();
    assert_eq!(snapshot.maker, Maker::Job, "a stranger's snapshot is never loaded");
    assert_ne!(world.stage, Stage::AfterCommit, "nothing is loaded after the commit point");
    let there = world.canister(id);
    assert_eq!(there.run_state, RunState::Stopped, "nothing is loaded below a canister that may run");
    assert_ne!(there.image.module, Some(Module::Newer), "promise 12: what somebody else installed stays");
    if let Some((pages, has_header)) = snapshot.upload {
        assert!(has_header && pages == STATE_PAGES, "a half-written image is never loaded");
    }
    if let (Trouble::NoPreUpgradeButConsent, Some(heap)) = (world.trouble, snapshot.image.heap) {
        // What the plan let go is there again.
        world.model.counted = heap.counted;
    }
    let canister = world.canister_mut(id);
    canister.put(snapshot.image);
    // Loading a snapshot that was taken leaves the timer alone.
    if snapshot.upload.is_some() {
        canister.timer = snapshot.timer;
    }
    Ok(Value::Acknowledged)
}

fn delete_snapshot(world: &mut World, id: Principal, name: &SnapshotId) -> Answer {
    let snapshot = find(world, id, name)?;
    assert_eq!(snapshot.maker, Maker::Job, "a stranger's snapshot is never deleted");
    if snapshot.upload.is_none() && !world.is_disturbed {
        // Promise 2: the way back goes when nobody needs it.
        let is_served =
            world.canisters.values().any(|it| it.accepts_writes() && it.image.is_whole(world.model));
        assert!(is_served, "promise 2: what was saved is deleted only when the state is served");
    }
    world.canister_mut(id).snapshots.retain(|it| it.id != *name);
    Ok(Value::Acknowledged)
}

/// A call to the canister itself: a vessel answers as the kit does.
fn ask(world: &mut World, id: Principal, effect: &Effect, prng: &mut Prng) -> Answer {
    let is_slow = prng.permille(world.slowness);
    let canister = world.canister(id);
    if canister.run_state != RunState::Running {
        return Err(No::Transient(ReasonCode::NotRunning));
    }
    if canister.image.module != Some(Module::Vessel) {
        return Err(No::Refused(ReasonCode::NoKit));
    }
    let (image, vessel) = (canister.image, canister.vessel);
    let hashed = Value::Hashed(seal_of(image.stable));
    match effect {
        Effect::KitStatus { .. } => {
            let holder = Holder { job: 1, is_own: true };
            let fence = match (vessel.moved_to, vessel.role) {
                (Some(to), _) => FenceView::Moved { holder, to },
                (None, Some(VesselRole::Target { .. })) => FenceView::Importing(holder),
                (None, _) if vessel.is_sealed => FenceView::Sealed(holder),
                _ => FenceView::Frozen(holder),
            };
            let layout = LayoutView::Managed { memories: 1, used_pages: STATE_PAGES };
            let stable_pages = image.stable.layout.pages();
            Ok(Value::Kit(KitView {
                kit_version: 1,
                fence,
                layout,
                stable_pages,
                has_root: vessel.is_sealed,
            }))
        }
        Effect::Seal { .. } | Effect::Verify { .. } | Effect::Recheck { .. } if is_slow => {
            let vessel = &mut world.canister_mut(id).vessel;
            vessel.slices += 1;
            Ok(Value::Working { done_bytes: vessel.slices })
        }
        Effect::Seal { .. } => {
            world.canister_mut(id).vessel.is_sealed = true;
            Ok(hashed)
        }
        Effect::Recheck { .. } if vessel.is_sealed => Ok(hashed),
        Effect::Verify { .. } if vessel.is_complete => Ok(hashed),
        Effect::Measure { .. } if vessel.is_sealed => {
            let (kind, stable_pages) = (kind(world.trouble, image.stable), image.stable.layout.pages());
            Ok(Value::Image(ImageView {
                stable_pages,
                kind,
                timer_nanos: None,
                version: None,
                nested_pages: 0,
            }))
        }
        Effect::Pour { snapshot, .. } if vessel.is_sealed => pour(world, id, snapshot, image.stable),
        Effect::Pull { .. } => match (pull(world, id, is_slow)?, prng.permille(500)) {
            (Value::Pulled { is_complete: true, done_bytes, wire_bytes, .. }, true) => {
                let verified = Some(seal_of(world.canister(id).image.stable));
                Ok(Value::Pulled { is_complete: true, done_bytes, wire_bytes, verified })
            }
            (pulled, _) => Ok(pulled),
        },
        Effect::Retire { to, .. } if vessel.is_sealed => {
            world.canister_mut(id).vessel.moved_to = Some(*to);
            Ok(Value::Acknowledged)
        }
        Effect::Drain { to, keep_cycles, .. } if vessel.moved_to.is_some() => {
            if !world.canisters.contains_key(to) {
                assert!(world.is_disturbed, "promise 2: the target exists");
                return Err(No::Refused(ReasonCode::Rejected));
            }
            let canister = world.canister_mut(id);
            assert_eq!(canister.freezing_seconds, 0, "promise 5: what is reserved goes too");
            let sent = canister.cycles.saturating_sub(*keep_cycles);
            canister.cycles -= sent;
            canister.drained_cycles += sent;
            let total_cycles = canister.drained_cycles;
            world.canister_mut(*to).cycles += sent;
            Ok(Value::Drained { total_cycles })
        }
        _ => Err(No::Refused(ReasonCode::Rejected)),
    }
}

fn seal_of(stable: Stable) -> Seal {
    Seal { root: stable.root(), used_pages: STATE_PAGES, fingerprint: ByteBuf::new() }
}

/// The vessel writes to a snapshot of its own canister, if it is its own controller.
fn pour(world: &mut World, id: Principal, name: &SnapshotId, stable: Stable) -> Answer {
    let is_corrupt = world.trouble == Trouble::CorruptUpload;
    find(world, id, name)?;
    if !world.canister(id).settings.controllers.contains(&id) {
        return Err(No::Refused(ReasonCode::NotAuthorised));
    }
    let snapshot = world.canister_mut(id).snapshot_mut(name).expect("just found");
    let Some((pages, has_header)) = snapshot.upload.as_mut() else {
        return Err(No::Refused(ReasonCode::Rejected));
    };
    *pages = (*pages + PAGES_PER_CALL).min(STATE_PAGES);
    let next_page = *pages;
    let is_complete = next_page == STATE_PAGES;
    if is_complete {
        *has_header = true;
        let written = stable.written ^ u64::from(is_corrupt);
        snapshot.image.stable = Stable { layout: Layout::Compact, is_repacked: true, written, ..stable };
    }
    Ok(Value::Poured { next_page, is_complete, wire_bytes: next_page * 100 })
}

/// The target reads what the sealed source holds.
fn pull(world: &mut World, id: Principal, is_slow: bool) -> Answer {
    let is_corrupt = world.trouble == Trouble::CorruptUpload;
    let Some(VesselRole::Target { source, .. }) = world.canister(id).vessel.role else {
        return Err(No::Refused(ReasonCode::Rejected));
    };
    let may_read = |it: &Canister| {
        it.run_state == RunState::Running
            && it.vessel.is_sealed
            && it.vessel.role == Some(VesselRole::Source { reader: id })
    };
    let Some(stable) = world.canisters.get(&source).filter(|it| may_read(it)).map(|it| it.image.stable)
    else {
        // The target asked the source, and only the journey failed.
        return Err(No::Transient(ReasonCode::Rejected));
    };
    let target = world.canister_mut(id);
    target.vessel.slices += 1;
    if !is_slow {
        let written = stable.written ^ u64::from(is_corrupt);
        target.image.stable = Stable { layout: Layout::Compact, is_repacked: true, written, ..stable };
        target.vessel.is_complete = true;
    }
    let done_bytes = target.vessel.slices;
    let wire_bytes = done_bytes * 100;
    Ok(Value::Pulled { is_complete: !is_slow, done_bytes, wire_bytes, verified: None })
}
