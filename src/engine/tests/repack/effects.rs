//! What each call does to the world.

use candid::Principal;
use decant_engine::{
    CanisterView, Digest, Effect, ImageKind, ImageView, ModuleRole, Outcome, Reason, ReasonCode, RunState,
    Settings, SnapshotId, SnapshotPair, Stage, Value, Walk,
};
use serde_bytes::ByteBuf;

use crate::canister::{
    Heap, Image, Layout, MAX_SNAPSHOTS, Maker, Module, STATE_PAGES, Snapshot, Stable, Upload, mix,
};
use crate::prng::Prng;
use crate::world::{REARMED, Timers, Trouble, World};

/// What every change by the management canister costs the canister.
const FEE_CYCLES: u128 = 1_000;
/// Pages that a call reads and uploads, or compares.
const PAGES_PER_CALL: u64 = 3;

/// Why a call is not done.
#[derive(Debug)]
enum No {
    Refused(ReasonCode),
    Transient(ReasonCode),
}

type Answer = Result<Value, No>;

pub(crate) fn execute(world: &mut World, effect: &Effect, prng: &mut Prng) -> Outcome {
    match answer(world, effect, prng) {
        Ok(value) => Outcome::Done(value),
        Err(No::Refused(code)) => Outcome::Refused(Reason::new(code, "simulated")),
        Err(No::Transient(code)) => Outcome::Transient(Reason::new(code, "simulated")),
    }
}

fn answer(world: &mut World, effect: &Effect, prng: &mut Prng) -> Answer {
    if let Effect::Swap { index, from, to } = effect {
        return world.swap(*index, *from, *to).map(|()| Value::Acknowledged).map_err(No::Refused);
    }
    let id = effect.subject();
    let Some(canister) = world.canisters.get_mut(&id) else {
        return match effect {
            Effect::CanisterStatus { .. } => Ok(Value::Gone),
            _ => Err(No::Refused(ReasonCode::Gone)),
        };
    };
    if !canister.is_controlled {
        return Err(No::Refused(ReasonCode::NotAuthorised));
    }
    let is_free = matches!(
        effect,
        Effect::CanisterStatus { .. } | Effect::ListSnapshots { .. } | Effect::Delete { .. }
    );
    if !is_free {
        canister.cycles -= FEE_CYCLES;
        world.fees_cycles += FEE_CYCLES;
    }
    match effect {
        Effect::CanisterStatus { .. } => status(world, id),
        Effect::UpdateSettings { settings, .. } => {
            world.canister_mut(id).settings = settings.clone();
            Ok(Value::Acknowledged)
        }
        Effect::ResetSettings { .. } => {
            let controllers = vec![world.coordinator];
            world.canister_mut(id).settings = Settings { controllers, others: ByteBuf::new() };
            Ok(Value::Acknowledged)
        }
        Effect::Install { role: ModuleRole::Tombstone, .. } => {
            if world.canister(id).image.module == Some(Module::Own) {
                assert_may_go(world, id);
            }
            let image = Image { module: Some(Module::Tombstone), ..Image::NOTHING };
            let canister = world.canister_mut(id);
            (canister.image, canister.timer) = (image, None);
            Ok(Value::Acknowledged)
        }
        Effect::Uninstall { .. } => {
            assert_ne!(id, world.source, "promise 2: only targets are uninstalled");
            let canister = world.canister_mut(id);
            (canister.image, canister.timer) = (Image::NOTHING, None);
            Ok(Value::Acknowledged)
        }
        Effect::Stop { .. } => stop(world, id, prng),
        Effect::Start { .. } => {
            let canister = world.canister_mut(id);
            canister.run_state = RunState::Running;
            Ok(Value::Acknowledged)
        }
        Effect::Delete { .. } => delete(world, id),
        Effect::Drain { to, keep_cycles, .. } => drain(world, id, *to, *keep_cycles),
        Effect::ListSnapshots { .. } => {
            Ok(Value::Snapshots(world.canister(id).snapshots.iter().map(|it| it.id.clone()).collect()))
        }
        Effect::TakeSnapshot { replaced, .. } => take(world, id, replaced.as_ref()),
        Effect::ReadImage { snapshot, .. } => {
            let snapshot = find(world, id, snapshot)?;
            Ok(Value::Image(view(world.trouble, snapshot.image.stable, snapshot.timer)))
        }
        Effect::KeepModule { snapshot, module_hash, .. } => {
            let module = find(world, id, snapshot)?.image.module.map(Module::hash);
            assert_eq!(module, Some(*module_hash), "the module that is kept is the one that ran");
            let lacks_hook = matches!(world.trouble, Trouble::NoPreUpgrade | Trouble::NoPreUpgradeButConsent);
            let may_lose_heap = world.trouble == Trouble::NoPreUpgradeButConsent;
            let keeps_timer = matches!(world.timers, Timers::Kept | Timers::Rearmed);
            Ok(Value::Module { has_pre_upgrade: !lacks_hook, may_lose_heap, keeps_timer })
        }
        Effect::Upgrade { module_hash, skips_pre_upgrade, .. } => {
            assert_eq!(*module_hash, Module::Own.hash(), "a canister gets back what it ran");
            upgrade(world, id, *skips_pre_upgrade)
        }
        Effect::UploadMetadata { canister, saved, to, pages } => {
            let timer = find(world, *canister, saved)?.timer;
            assert_eq!(*pages, Layout::Compact.pages());
            let upload =
                Upload { pages: vec![None; STATE_PAGES as usize], has_header: false, was_loaded: false };
            let image = Image { module: Some(Module::Empty), ..Image::NOTHING };
            add_snapshot(world, *to, image, timer, Some(upload))
        }
        Effect::CopyMetadata { base, timer_nanos, .. } => {
            let base = find(world, id, base)?;
            assert_eq!(base.maker, Maker::Job, "a stranger's snapshot is never copied");
            let upload =
                Upload { pages: vec![None; STATE_PAGES as usize], has_header: false, was_loaded: false };
            add_snapshot(world, id, Image::NOTHING, Some(*timer_nanos), Some(upload))
        }
        Effect::CopyPages { base, copy, walk, .. } => copy_pages(world, id, base, copy, *walk),
        Effect::UploadPages { pair, walk } => upload_pages(world, pair, *walk),
        Effect::ComparePages { pair, walk } => compare(world, pair, *walk),
        Effect::LoadSnapshot { snapshot, .. } => load(world, id, snapshot),
        Effect::DeleteSnapshot { snapshot, .. } => delete_snapshot(world, id, snapshot),
        Effect::CheckAssets { .. } => Ok(Value::Assets(None)),
        other => panic!("{other:?} is not of a job by snapshots"),
    }
}

fn status(world: &World, id: Principal) -> Answer {
    let canister = world.canister(id);
    let snapshots_bytes = canister.snapshots.len() as u64 * 1_000_000;
    let stable_pages = canister.image.stable.layout.pages();
    Ok(Value::Canister(CanisterView {
        run_state: canister.run_state,
        module_hash: canister.image.module.map(Module::hash),
        settings: canister.settings.clone(),
        balance_cycles: canister.cycles,
        snapshots_bytes,
        memory_bytes: snapshots_bytes + stable_pages * 65_536,
        stable_pages,
        freezing_cycles: 1_000_000,
    }))
}

/// Promise 2: a source loses its code only when the target serves all of its state and every route names it.
fn assert_may_go(world: &World, source: Principal) {
    assert_eq!(source, world.source, "promise 2: only sources are entombed");
    assert_eq!(world.stage, Stage::AfterCommit, "promise 2: and only after the commit point");
    for to in world.routes.values() {
        let target = world.canister(*to);
        assert!(
            *to != source && target.accepts_writes(),
            "promise 2: every route names a target that serves"
        );
        assert!(target.image.is_whole(world.model), "promise 2: which holds all of the state");
    }
}

fn stop(world: &mut World, id: Principal, prng: &mut Prng) -> Answer {
    let is_never = world.trouble == Trouble::NeverStops && id == world.source;
    let is_slow = !world.canister(id).open_calls.is_empty() && prng.permille(world.slowness);
    if is_never || is_slow {
        world.canister_mut(id).run_state = RunState::Stopping;
        return Err(No::Transient(ReasonCode::StopTimedOut));
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
    assert_eq!(canister.image.module, Some(Module::Tombstone), "promise 2: nothing but a tombstone goes");
    assert!(canister.snapshots.is_empty(), "no snapshot dies with its canister");
    assert_may_go(world, id);
    world.burned_cycles += world.canister(id).cycles;
    world.canisters.remove(&id);
    Ok(Value::Acknowledged)
}

fn drain(world: &mut World, id: Principal, to: Principal, keep_cycles: u128) -> Answer {
    let canister = world.canister_mut(id);
    if canister.run_state != RunState::Running {
        return Err(No::Transient(ReasonCode::NotRunning));
    }
    assert_eq!(canister.image.module, Some(Module::Tombstone), "only a tombstone is asked for cycles");
    let sent = canister.cycles.saturating_sub(keep_cycles);
    canister.cycles -= sent;
    canister.drained_cycles += sent;
    let total_cycles = canister.drained_cycles;
    world.canister_mut(to).cycles += sent;
    Ok(Value::Drained { total_cycles })
}

fn find<'a>(world: &'a World, id: Principal, snapshot: &SnapshotId) -> Result<&'a Snapshot, No> {
    let canister = world.canisters.get(&id).ok_or(No::Refused(ReasonCode::Gone))?;
    canister.snapshot(snapshot).ok_or(No::Refused(ReasonCode::NoSnapshot))
}

fn add_snapshot(
    world: &mut World,
    id: Principal,
    image: Image,
    timer: Option<u64>,
    upload: Option<Upload>,
) -> Answer {
    if world.canister(id).snapshots.len() >= MAX_SNAPSHOTS {
        return Err(No::Refused(ReasonCode::NoSlot));
    }
    let snapshot = Snapshot { id: world.next_snapshot_id(), maker: Maker::Job, image, timer, upload };
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
    let (image, timer) = (canister.image, canister.timer);
    add_snapshot(world, id, image, timer, None)
}

fn view(trouble: Trouble, stable: Stable, timer_nanos: Option<u64>) -> ImageView {
    let kind = match (trouble, stable.layout) {
        (_, Layout::Nothing) => ImageKind::Empty,
        (_, Layout::Raw) => ImageKind::Raw,
        (_, Layout::Unreadable) => ImageKind::Unreadable { reason: "version 9".to_owned() },
        (Trouble::BucketTooSmall, _) => ImageKind::DoesNotFit { reason: "4 pages would do".to_owned() },
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
    };
    ImageView { stable_pages: stable.layout.pages(), kind, timer_nanos }
}

fn upgrade(world: &mut World, id: Principal, skips_pre_upgrade: bool) -> Answer {
    let (trouble, model) = (world.trouble, world.model);
    let has_hook = !matches!(trouble, Trouble::NoPreUpgrade | Trouble::NoPreUpgradeButConsent);
    let mut image = world.canister(id).image;
    assert!(image.module.is_some(), "nothing is upgraded that is not there");
    if skips_pre_upgrade {
        let is_early = world.canister(id).run_state == RunState::Running && !world.was_started;
        assert!(!is_early, "nothing may run on it yet");
        let loses = image.heap.is_some_and(|heap| heap.counted != image.stable.saved);
        assert!(!loses, "promise 2: no heap is skipped that holds more than stable memory");
    } else if let Some(heap) = image.heap {
        assert_eq!(heap.layout, image.stable.layout, "a heap never runs on an image of another layout");
        if trouble == Trouble::PreUpgradeTraps {
            return Err(No::Refused(ReasonCode::Trapped));
        }
        if has_hook {
            image.stable.saved = heap.counted;
        }
    }
    if trouble == Trouble::PostUpgradeTraps && image.stable.is_repacked {
        return Err(No::Refused(ReasonCode::Trapped));
    }
    if trouble == Trouble::PostUpgradeGrows && image.stable.is_repacked {
        image.stable.layout = Layout::Grown;
    }
    image.module = Some(Module::Own);
    image.heap = Some(Heap { counted: image.stable.saved, layout: image.stable.layout });
    if !has_hook && !skips_pre_upgrade {
        assert_eq!(trouble, Trouble::NoPreUpgradeButConsent, "no heap is lost without the plan's consent");
        world.model.counted = image.stable.saved;
    } else if !skips_pre_upgrade {
        assert_eq!(image.stable.saved, model.counted, "promise 2: the flush saves all");
    }
    // An upgrade disarms the timer, then runs `post_upgrade` (interface specification, "Global timer").
    let timer = (world.timers == Timers::Rearmed).then_some(REARMED);
    let canister = world.canister_mut(id);
    (canister.image, canister.timer) = (image, timer);
    Ok(Value::Acknowledged)
}

fn copy_pages(
    world: &mut World,
    id: Principal,
    base: &SnapshotId,
    copy: &SnapshotId,
    mut walk: Walk,
) -> Answer {
    let base = find(world, id, base)?.image;
    find(world, id, copy)?;
    let is_corrupt = world.trouble == Trouble::CorruptCopy && base.stable.is_repacked;
    let snapshot = world.canister_mut(id).snapshot_mut(copy).expect("just found");
    let upload = snapshot.upload.as_mut().expect("nothing is uploaded to a snapshot that was taken");
    if upload.was_loaded || (is_corrupt && walk.next_page > 0) {
        return Err(No::Refused(ReasonCode::RootMismatch));
    }
    let end = (walk.next_page + PAGES_PER_CALL).min(STATE_PAGES);
    let wire_bytes = (end - walk.next_page) * 3;
    for page in walk.next_page..end {
        upload.pages[page as usize] = Some(base.stable.page(page));
    }
    let is_complete = end == STATE_PAGES;
    if is_complete {
        upload.has_header = true;
        snapshot.image = base;
    }
    walk.next_page = end;
    Ok(Value::Uploaded { walk, is_complete, wire_bytes })
}

fn upload_pages(world: &mut World, pair: &SnapshotPair, mut walk: Walk) -> Answer {
    let trouble = world.trouble;
    let saved = find(world, pair.source, &pair.saved)?.image.stable;
    find(world, pair.image, &pair.uploaded)?;
    let snapshot = world.canister_mut(pair.image).snapshot_mut(&pair.uploaded).expect("just found");
    let upload = snapshot.upload.as_mut().expect("nothing is uploaded to a snapshot that was taken");
    if upload.was_loaded {
        return Err(No::Refused(ReasonCode::Rejected));
    }
    let end = (walk.next_page + PAGES_PER_CALL).min(STATE_PAGES);
    let wire_bytes = (end - walk.next_page) * 2;
    for page in walk.next_page..end {
        let flipped = u64::from(trouble == Trouble::CorruptUpload && page == 4);
        walk.digest = digest(walk.digest, saved.page(page));
        upload.pages[page as usize] = Some(saved.page(page) ^ flipped);
    }
    let is_complete = end == STATE_PAGES;
    if is_complete {
        upload.has_header = true;
        snapshot.image.stable = Stable { layout: Layout::Compact, is_repacked: true, ..saved };
    }
    walk.next_page = end;
    Ok(Value::Uploaded { walk, is_complete, wire_bytes })
}

fn digest(before: Digest, page: u64) -> Digest {
    let seed = u64::from_le_bytes(before.0[..8].try_into().expect("8 bytes"));
    let mut after = [1; 32];
    after[..8].copy_from_slice(&mix(seed, page).to_le_bytes());
    Digest(after)
}

fn compare(world: &World, pair: &SnapshotPair, mut walk: Walk) -> Answer {
    let uploaded = find(world, pair.image, &pair.uploaded)?.upload.clone();
    let pages = uploaded.expect("it was uploaded").pages;
    let end = (walk.next_page + PAGES_PER_CALL).min(STATE_PAGES);
    for page in walk.next_page..end {
        walk.digest = digest(walk.digest, pages[page as usize].unwrap_or_default());
    }
    let wire_bytes = end - walk.next_page;
    walk.next_page = end;
    Ok(Value::Compared { walk, is_complete: end == STATE_PAGES, wire_bytes })
}

fn load(world: &mut World, id: Principal, name: &SnapshotId) -> Answer {
    let snapshot = find(world, id, name)?.clone();
    assert_eq!(snapshot.maker, Maker::Job, "a stranger's snapshot is never loaded");
    assert_ne!(world.stage, Stage::AfterCommit, "nothing is loaded after the commit point");
    let run_state = world.canister(id).run_state;
    if let Some(upload) = &snapshot.upload {
        let is_whole = upload.has_header && upload.pages.iter().all(Option::is_some);
        assert!(is_whole, "a half-written image is never loaded");
        assert_eq!(run_state, RunState::Stopped, "no image is loaded below a canister that may run");
    }
    let canister = world.canister_mut(id);
    canister.image = snapshot.image;
    // Loading a snapshot that was taken leaves the timer alone.
    if snapshot.upload.is_some() {
        canister.timer = snapshot.timer;
    }
    if let Some(upload) = canister.snapshot_mut(name).and_then(|it| it.upload.as_mut()) {
        upload.was_loaded = true;
    }
    Ok(Value::Acknowledged)
}

fn delete_snapshot(world: &mut World, id: Principal, name: &SnapshotId) -> Answer {
    let snapshot = find(world, id, name)?;
    assert_eq!(snapshot.maker, Maker::Job, "a stranger's snapshot is never deleted");
    if snapshot.upload.is_none() {
        // Promise 2: the way back goes when nobody needs it.
        let is_served =
            world.canisters.values().any(|it| it.accepts_writes() && it.image.is_whole(world.model));
        assert!(is_served, "promise 2: what was saved is deleted only when the state is served");
    }
    world.canister_mut(id).snapshots.retain(|it| it.id != *name);
    Ok(Value::Acknowledged)
}
