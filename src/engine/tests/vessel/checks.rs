//! The promises, as they are checked: some at every moment, some at rest.

use decant_engine::{Event, RunState, Stage, State, Why, apply, invariants, replay};

use crate::canister::{Layout, Maker, Module};
use crate::run::Run;
use crate::world::Trouble;

/// At every moment.
pub(crate) fn always(run: &Run) {
    let (job, world) = (&run.job, &run.world);
    assert_eq!(invariants(job), Ok(()), "{job:?}");
    // Promise 11: whoever asks, nothing that ran is gone back behind without the kit.
    let asked = apply(&mut job.clone(), Event::RevertRequested, world.now_nanos);
    assert!(matches!(asked.map_err(|illegal| illegal.why), Err(Why::NoWayBack { .. })), "{job:?}");
    let stage = world.stage;
    let source = world.canisters.get(&world.source);
    let target = job.target().or(world.kept).and_then(|target| world.canisters.get(&target));
    // Promise 1: no two canisters accept writes; whatever has the dapp's code and runs does.
    let accepting = world.canisters.values().filter(|it| it.accepts_writes()).count();
    assert!(accepting <= 1 || world.is_disturbed, "promise 1: single writer: {job:?}");
    for (id, canister) in &world.canisters {
        let (image, is_running) = (&canister.image, canister.run_state == RunState::Running);
        if let Some(heap) = image.heap.filter(|_| is_running) {
            assert_eq!(heap.layout, image.stable.layout, "{id} runs a heap of another layout: {job:?}");
        }
        let is_early = stage != Stage::AfterCommit && !run.is_done();
        let runs_early = image.stable.is_repacked && canister.accepts_writes() && is_early;
        assert!(
            !runs_early || world.is_disturbed,
            "{id} serves a loaded image before the commit point: {job:?}"
        );
    }
    // What somebody took is lost by whoever took it, unless it was whole elsewhere.
    let is_taken = world.canisters.values().any(|it| it.taken_nanos.is_some());
    assert!(!world.has_last_copy || world.holds_copy(), "promise 12: the last copy: {job:?}");
    // Promise 2: until the commit point the source or what was saved of it is whole, after it the image is.
    let is_committed = stage == Stage::AfterCommit || run.is_done();
    if is_committed {
        let holder = if job.plan().strategy.has_target() { target } else { source };
        if let Some(held) = holder {
            let is_whole = held.image.is_whole(world.model);
            assert!(is_whole || held.taken_nanos.is_some(), "promise 2: no loss: {job:?} {:?}", held.image);
        }
        assert!(holder.is_some() || world.is_disturbed, "promise 2: the image's canister exists");
    } else if let Some(source) = source.filter(|_| world.was_serving && !is_taken) {
        let image = &source.image;
        let mut saved = source.snapshots.iter().filter(|it| it.upload.is_none());
        let is_held = image.is_whole(world.model)
            || image.is_safe(world.model)
            || saved.any(|it| it.image.is_whole(world.model));
        // Somebody started a target to which the first of its routes leads: users write there.
        let is_ahead = target.is_some_and(|it| it.image.is_whole(world.model));
        // An image that was poured wrong is lost with the way back by whoever deleted that.
        let is_their_loss = world.is_way_back_gone && image.stable.is_repacked;
        assert!(
            is_held || is_ahead || is_their_loss || world.is_split,
            "promise 2: no loss: {job:?} {image:?} {:?}",
            world.model
        );
    }
    // Promise 3: every route names a canister that holds, or is about to hold, the state.
    for route in world.routes.values() {
        let is_known = *route == world.source || Some(*route) == job.target() || Some(*route) == world.kept;
        let exists = world.canisters.contains_key(route);
        assert!(is_known && (exists || world.is_disturbed), "promise 3: routes: {job:?}");
    }
    // Strangers' snapshots stay as they are.
    for (id, snapshot) in &world.strangers {
        let Some(canister) = world.canisters.get(id) else { continue };
        assert_eq!(canister.snapshot(&snapshot.id), Some(snapshot), "a stranger's snapshot stays: {job:?}");
    }
    // Promise 5: cycles in equal cycles out plus fees.
    let held: u128 = world.canisters.values().map(|it| it.cycles).sum();
    let all = held + world.pool_cycles + world.fees_cycles + world.burned_cycles;
    assert_eq!(all, world.begun_cycles, "promise 5: conservation");
}

/// When the job is done, rolled back or parked.
pub(crate) fn at_rest(run: &Run) {
    always(run);
    let (job, world) = (&run.job, &run.world);
    for id in &run.pool {
        let canister = world.canister(*id);
        assert_eq!(canister.image.module, None, "promise 5: a canister comes back to the pool as it went");
        assert_eq!(canister.image.stable.layout, Layout::Nothing);
        assert_eq!(canister.run_state, RunState::Running, "running");
        assert!(canister.snapshots.is_empty(), "without snapshots");
        assert_eq!(canister.settings.controllers, [world.coordinator]);
    }
    for id in world.canisters.keys() {
        let is_owned = *id == world.source || Some(*id) == job.target() || run.pool.contains(id);
        assert!(is_owned || world.is_disturbed, "promise 5: {id} is an orphan: {job:?}");
    }
    let is_taken = world.canisters.values().any(|it| it.taken_nanos.is_some());
    match job.state() {
        State::Done { .. } | State::RolledBack { .. } if is_taken => {}
        State::Done { .. } => done(run),
        State::RolledBack { .. } => rolled_back(run),
        State::Parked { reason, .. } => {
            assert!(job.explanation().is_some_and(|why| why.contains("decant_retry")), "it says what to do");
            assert!(!reason.to_string().is_empty());
        }
        _ if run.is_stuck() => assert!(job.trouble().is_some(), "it says what it waits for: {job:?}"),
        other => panic!("promise 8: termination: {other:?}"),
    }
    let strangers = world.canisters.values().flat_map(|it| &it.snapshots);
    let strangers = strangers.filter(|it| it.maker == Maker::Stranger).count();
    let expected = world.strangers.iter().filter(|(id, _)| world.canisters.contains_key(id)).count();
    assert_eq!(strangers, expected, "strangers' snapshots are untouched");
    // Promise 4: the journal makes the job.
    let replayed = replay(run.enrolled.clone(), &*run.journal).expect("promise 4: a journal replays");
    assert_eq!(replayed, run.job, "promise 4: to the same job");
}

fn own_snapshots(run: &Run) -> usize {
    run.world.canisters.values().flat_map(|it| it.own_snapshots()).count()
}

fn done(run: &Run) {
    let (job, world) = (&run.job, &run.world);
    assert_eq!(own_snapshots(run), 0, "no snapshot of the job is left: {job:?}");
    assert_eq!(job.held(), None);
    let Some(canister) = world.canisters.get(&job.image()) else {
        return assert!(world.is_disturbed, "promise 2: the image's canister exists");
    };
    assert!(canister.image.is_whole(world.model), "promise 2: it holds all");
    let has_route = world.routes.values().all(|route| *route == job.image());
    assert!(has_route, "promise 3: {:?}", world.routes);
    assert_eq!(canister.settings.others.len(), 40, "with its settings");
    assert!(!canister.settings.controllers.contains(&world.source), "and controllers: {job:?}");
    if world.is_disturbed {
        return;
    }
    assert_eq!(job.counters().burned_cycles, world.burned_cycles, "promise 5: burned as counted");
    assert!(canister.accepts_writes(), "it serves: {job:?}");
    // Promise 10: one upgrade.
    let has_hook = world.trouble != Trouble::NoPreUpgradeButConsent;
    let expected = (u32::from(has_hook), 1);
    assert!(canister.image.stable.runs == expected || !has_hook, "promise 10: {:?}", canister.image);
    let is_grown = world.trouble == Trouble::PostUpgradeGrows;
    assert!(canister.image.stable.layout == Layout::Compact || is_grown, "promise 7: compact");
    let is_kept = job.target().is_some() && !run.pool.contains(&world.source);
    if let Some(source) = world.canisters.get(&world.source).filter(|_| is_kept) {
        assert_eq!(source.image.module, Some(Module::Vessel), "the old id answers where to");
        assert_eq!(source.image.stable.layout, Layout::Nothing, "without stable memory");
        assert_eq!(source.drained_cycles, job.counters().drained_cycles);
    }
}

fn rolled_back(run: &Run) {
    let (job, world) = (&run.job, &run.world);
    assert_eq!((job.target(), job.held()), (None, None));
    if let Some(kept) = world.kept {
        assert!(
            job.explanation().is_some_and(|why| why.contains(&kept.to_text())),
            "it names the target: {job:?}"
        );
        let kept = world.canisters.get(&kept);
        return assert!(
            kept.is_none_or(|it| it.image.is_whole(world.model)),
            "promise 2: it has all: {job:?}"
        );
    }
    assert!(world.routes.values().all(|route| *route == world.source), "promise 3");
    let Some(source) = world.canisters.get(&world.source) else {
        return assert!(world.is_disturbed, "promise 2: the source exists");
    };
    // The one from before stays where somebody began anew.
    let is_anew = source.acts.iter().any(|(_, what)| what.contains("installed"));
    assert!(own_snapshots(run) == 0 || is_anew, "no snapshot of the job is left: {job:?}");
    assert!(!source.settings.controllers.contains(&world.source), "controllers as they were: {job:?}");
    if world.was_serving {
        let is_whole = source.image.is_whole(world.model);
        assert!(is_whole || world.is_split, "promise 2: with all of its state: {job:?}");
    }
    if world.is_disturbed {
        return;
    }
    assert_eq!(source.accepts_writes(), world.was_serving, "the source serves: {job:?}");
    assert!(!source.image.stable.is_repacked, "as it was");
    assert_eq!(source.image.stable.runs, (0, 0), "promise 10: no hook ran");
}
