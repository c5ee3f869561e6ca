//! The promises, as they are checked: some at every moment, some at rest.

use decant_engine::{RunState, Stage, State, invariants, replay};

use crate::canister::{Layout, Maker, Module};
use crate::run::Run;
use crate::world::{REARMED, Timers, Trouble};

/// At every moment.
pub(crate) fn always(run: &Run) {
    let (job, world) = (&run.job, &run.world);
    assert_eq!(invariants(job), Ok(()), "{job:?}");
    let stage = world.stage;
    let source = world.canisters.get(&world.source);
    let target = job.target().and_then(|target| world.canisters.get(&target));
    // Promise 1: no two canisters accept writes; whatever has the dapp's code and runs does.
    let accepting = world.canisters.values().filter(|it| it.accepts_writes()).count();
    assert!(accepting <= 1, "promise 1: single writer: {job:?}");
    for (id, canister) in &world.canisters {
        let (image, is_running) = (&canister.image, canister.run_state == RunState::Running);
        if let Some(heap) = image.heap.filter(|_| is_running) {
            assert_eq!(heap.layout, image.stable.layout, "{id} runs a heap of another layout: {job:?}");
        }
        let is_early = stage != Stage::AfterCommit && !run.is_done();
        let runs_early = image.stable.is_repacked && is_running && is_early;
        assert!(
            !runs_early || world.was_started,
            "{id} runs a loaded image before the commit point: {job:?}"
        );
    }
    // Promise 2: until the commit point the source or what was saved of it is whole, after it the image is.
    let is_committed = stage == Stage::AfterCommit || run.is_done();
    if is_committed {
        let holder = if job.plan().strategy.has_target() { target } else { source };
        let held = holder.expect("promise 2: the image's canister exists");
        assert!(held.image.is_whole(world.model), "promise 2: no loss: {job:?} {:?}", held.image);
    } else if world.was_serving {
        let source = source.expect("promise 2: the source exists");
        let mut saved = source.own_snapshots().filter(|it| it.upload.is_none());
        let is_held = source.image.is_whole(world.model) || saved.any(|it| it.image.is_whole(world.model));
        // Unless somebody deletes the way back: then it is in the image that was loaded.
        let is_loaded = run.was_way_back_deleted && source.image.is_whole_in_stable_memory(world.model);
        assert!(is_held || is_loaded, "promise 2: no loss: {job:?} {:?}", source.image);
    }
    // The timer of whatever serves is as users set it, or as `post_upgrade` does.
    let is_disturbed = world.was_started || run.was_way_back_deleted || run.was_tidied;
    for (id, canister) in world.canisters.iter().filter(|(_, it)| it.accepts_writes() && !is_disturbed) {
        let is_as_set = canister.timer == world.timer;
        let holds = match world.timers {
            Timers::Never => canister.timer.is_none(),
            Timers::Kept => is_as_set,
            Timers::Rearmed => is_as_set || canister.timer == Some(REARMED),
            Timers::MayGo => is_as_set || canister.timer.is_none(),
        };
        assert!(holds, "{id} has the timer {:?}, not {:?}: {job:?}", canister.timer, world.timer);
    }
    // Promise 3: every route names a canister that holds, or is about to hold, the state.
    for route in world.routes.values() {
        let is_known = *route == world.source || Some(*route) == job.target();
        assert!(is_known && world.canisters.contains_key(route), "promise 3: routes: {job:?}");
    }
    // Strangers' snapshots stay as they are.
    for (id, snapshot) in &world.strangers {
        let there = world.canisters.get(id).and_then(|it| it.snapshot(&snapshot.id));
        assert_eq!(there, Some(snapshot), "a stranger's snapshot stays: {job:?}");
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
        assert!(is_owned, "promise 5: {id} is an orphan");
    }
    let left: Vec<_> = world.canisters.values().flat_map(|it| it.own_snapshots()).collect();
    match job.state() {
        State::Done { .. } => {
            let canister = world.canister(job.image());
            assert!(canister.accepts_writes() && canister.image.is_whole(world.model), "it serves all");
            let is_grown = world.trouble == Trouble::PostUpgradeGrows;
            assert!(canister.image.stable.layout == Layout::Compact || is_grown, "promise 7: compact");
            assert_eq!(left, Vec::<&crate::canister::Snapshot>::new(), "no snapshot of the job is left");
            assert!(
                world.routes.values().all(|route| *route == job.image()),
                "promise 3: {:?}",
                world.routes
            );
            assert_eq!(canister.settings.others.len(), 40, "with its settings");
            assert_eq!(job.counters().burned_cycles, world.burned_cycles, "promise 5: burned as counted");
            if let Some(source) = world.canisters.get(&world.source).filter(|_| job.target().is_some()) {
                assert_eq!(source.image.module, Some(Module::Tombstone), "the old id answers where to");
                assert_eq!(source.drained_cycles, job.counters().drained_cycles);
            }
            assert_eq!(job.held(), None);
        }
        State::RolledBack { .. } => {
            let source = world.canister(world.source);
            assert_eq!(source.accepts_writes(), world.was_serving, "the source serves: {job:?}");
            if world.was_serving {
                assert!(source.image.is_whole(world.model), "promise 2: with all of its state");
            }
            assert!(!source.image.stable.is_repacked, "as it was");
            assert_eq!(left, Vec::<&crate::canister::Snapshot>::new(), "no snapshot of the job is left");
            assert!(world.routes.values().all(|route| *route == world.source), "promise 3");
            assert_eq!((job.target(), job.held()), (None, None));
        }
        State::Parked { reason, .. } => {
            assert!(job.explanation().is_some_and(|why| why.contains("decant_retry")), "it says what to do");
            assert!(!reason.to_string().is_empty());
        }
        other => panic!("promise 8: termination: {other:?}"),
    }
    let strangers = world.canisters.values().flat_map(|it| &it.snapshots);
    let strangers = strangers.filter(|it| it.maker == Maker::Stranger).count();
    assert_eq!(strangers, world.strangers.len(), "strangers' snapshots are untouched");
    // Promise 4: the journal makes the job.
    let replayed = replay(run.enrolled.clone(), &run.journal).expect("promise 4: a journal replays");
    assert_eq!(replayed, run.job, "promise 4: to the same job");
}
