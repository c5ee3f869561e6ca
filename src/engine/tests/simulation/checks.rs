//! The promises, as they are checked: some at every moment, some at rest.

use std::collections::{BTreeMap, BTreeSet};

use candid::Principal;
use decant_engine::{FenceView, Job, Place, RunState, Stage, State, invariants, replay};

use crate::canister::{Content, FREEZING_SECONDS};
use crate::coordinator::{Coordinator, index, is_stuck};
use crate::world::World;

/// At every moment.
pub(crate) fn always(world: &World, coordinator: &Coordinator) {
    for (position, tracked) in coordinator.jobs.iter().enumerate() {
        let job = &tracked.job;
        assert_eq!(invariants(job), Ok(()), "{job:?}");
        let user = &world.users[position];
        // An original that was emptied is the user's no more.
        let source = world.canisters.get(&user.source).filter(|_| !world.emptied.contains(&user.source));
        // Promise 1: no two canisters accept writes. A target that has the code but no state is not yet one.
        // One that was emptied, and that somebody gave code again, has no state and no route.
        let is_source_open = source.is_some_and(|it| it.accepts_writes() && it.content != Content::default());
        let target = job.target().and_then(|target| world.canisters.get(&target));
        let is_routed = (0..world.routes.len() as u64)
            .any(|number| Some(world.routes[&index(number)][&position]) == job.target());
        let is_target_open =
            target.is_some_and(|it| it.accepts_writes() && (it.activated.is_some() || is_routed));
        // What somebody took, and whoever installed it anew, is no part of that.
        let is_anew = job.target().into_iter().chain([user.source]).any(|id| world.others.took(id));
        assert!(!(is_source_open && is_target_open) || is_anew, "promise 1: single writer: {job:?}");
        // Nor could a source be opened beside a target that serves: it has moved, whatever was tried since.
        let fence = source.filter(|it| it.has_kit()).map(|it| it.fence);
        // One that somebody stopped when it was to be told is closed all the same; one that somebody emptied has no state.
        let is_mute = world.others.took(user.source)
            || world.others.touched(user.source) && matches!(fence, Some(FenceView::Sealed(_)));
        let is_retired = is_mute || matches!(fence, None | Some(FenceView::Moved { .. }));
        assert!(is_retired || !matches!(job.state(), State::Retaining { .. }), "promise 1: {job:?}");
        // Promise 2: before the commit point the source is whole, after it the target is.
        let stage = job.state().stage();
        let holder = match stage {
            Stage::BeforeCommit | Stage::RollingBack => source,
            Stage::AfterCommit | Stage::Reverting => target,
            Stage::Ended if matches!(job.state(), State::Done { .. }) => target,
            Stage::Ended => source,
        };
        let is_after = matches!(stage, Stage::AfterCommit | Stage::Reverting)
            || matches!(job.state(), State::Done { .. });
        let holder_id = if is_after { job.target() } else { Some(user.source) };
        // What somebody took is lost by whoever took it; so is what users write to a target that he emptied under their routes.
        let is_target_taken = job.target().is_some_and(|id| world.others.took(id));
        if !is_target_taken && !holder_id.is_some_and(|id| world.others.took(id)) {
            let held = holder.expect("promise 2: the canister that holds the state exists").content;
            assert!(held.same_writes(user.model), "promise 2: no loss: {job:?}");
        }
        // What somebody took from a fenced source is whole in its target: nobody empties that.
        if let Some(copy) = world.others.last_copy(user.source) {
            let held = world.canisters.get(&copy).map(|it| it.content);
            assert!(held.is_some_and(|it| it != Content::default()), "promise 12: the last copy: {job:?}");
        }
        // Promise 3: every route names a canister that holds the whole state. On the way back users have theirs before an
        // index that does not answer: until it does its route names a target that takes nothing.
        for routes in world.routes.values() {
            if is_target_taken || world.others.took(routes[&position]) {
                continue;
            }
            let routed = world.canisters.get(&routes[&position]).expect("promise 3: a route resolves");
            let is_closed = stage == Stage::RollingBack && matches!(routed.fence, FenceView::Importing(_));
            assert!(
                is_closed || routed.content.same_writes(user.model),
                "promise 3: routes: {routed:?} {:?} {job:?}",
                user.model
            );
        }
    }
    board(coordinator);
    // Promise 5: no canister has two owners.
    let mut owned: Vec<Principal> = coordinator.pool.clone();
    owned.extend(coordinator.quarantined.iter().map(|(canister, _)| *canister));
    owned.extend(coordinator.jobs.iter().filter_map(|it| it.job.target()));
    let sources = world.users.iter().map(|user| user.source);
    owned.extend(sources.filter(|source| !world.emptied.contains(source)));
    let count = owned.len();
    let distinct: BTreeSet<_> = owned.into_iter().collect();
    assert_eq!(distinct.len(), count, "promise 5: a target has one owner");
}

/// Each open job is where it says that it is, and one that works or waits is due at some time; an ended one is nowhere.
fn board(coordinator: &Coordinator) {
    let board = &coordinator.board;
    let mut counts = BTreeMap::new();
    for tracked in &coordinator.jobs {
        let job = &tracked.job;
        let place = board.place(job.id());
        *counts.entry(place).or_insert(0) += 1;
        let expected = match job.state() {
            state if state.is_ended() => None,
            State::Parked { .. } => Some(Place::Parked),
            State::Retaining { .. } => Some(Place::Waiting),
            State::Queued if job.counters().calls == 0 => Some(Place::Queued),
            _ if job.waits_for_others() => Some(Place::Waiting),
            _ => Some(Place::Working),
        };
        assert_eq!(place, expected, "{job:?}");
    }
    for place in [Place::Queued, Place::Working, Place::Waiting, Place::Parked, Place::Aside] {
        assert_eq!(
            board.count_all(place),
            counts.get(&Some(place)).copied().unwrap_or_default(),
            "{place:?}"
        );
    }
    let is_in_slot = |job: &Job| {
        let place = board.place(job.id());
        place == Some(Place::Working) || place.is_some() && job.keeps_users()
    };
    let is_unsettled = |job: &Job| board.place(job.id()) == Some(Place::Waiting) && job.waits_for_others();
    for plan_id in board.plans() {
        let of_plan =
            || coordinator.jobs.iter().map(|it| &it.job).filter(|job| job.plan().plan_id == plan_id);
        let load = board.load(plan_id);
        let in_slots = of_plan().filter(|job| is_in_slot(job)).count() as u64;
        assert_eq!(load.in_slots, in_slots, "whose users wait has a slot: {load:?}");
        let unsettled = of_plan().filter(|job| is_unsettled(job)).count() as u64;
        assert_eq!(load.unsettled, unsettled, "{load:?}");
    }
    let gives = |job: &Job| {
        let place = board.place(job.id());
        let is_driven = matches!(place, Some(Place::Working | Place::Waiting)) && !job.waits_for_others();
        job.plan().recycled_with_cycles.is_some() && job.target().is_some() && is_driven
    };
    let giving = coordinator.jobs.iter().filter(|it| gives(&it.job)).count() as u64;
    assert_eq!(board.load(1).giving, giving, "whose end gives a canister to the pool");
    let driven = board.count_all(Place::Working) + board.count_all(Place::Waiting);
    assert_eq!(board.first_due().is_some(), driven > 0, "who works or waits is looked at, and nobody else");
}

/// When every job is done, rolled back or parked.
pub(crate) fn at_rest(world: &World, coordinator: &Coordinator) {
    always(world, coordinator);
    // Promise 5: every canister belongs to a user, the pool or a job.
    let quarantined = coordinator.quarantined.iter().map(|(canister, _)| canister);
    let pool: Vec<Principal> = coordinator.pool.iter().chain(quarantined).copied().collect();
    let mut owned: BTreeSet<Principal> = pool.iter().copied().collect();
    owned.extend(coordinator.jobs.iter().filter_map(|it| it.job.target()));
    for id in world.canisters.keys() {
        let is_source = world.users.iter().any(|user| user.source == *id) && !world.emptied.contains(id);
        // One that a parked job has emptied waits for an operator.
        let is_source = is_source || coordinator.jobs.iter().any(|it| is_held(&it.job, *id));
        // What was somebody else's when the pool gave it is left alone.
        let is_named = |job: &Job| job.explanation().is_some_and(|why| why.contains(&id.to_text()));
        let is_kept = coordinator.jobs.iter().any(|it| is_named(&it.job));
        let is_left = world.dirty.contains(id) || world.others.touched(*id) || is_kept;
        let is_known = is_source || owned.contains(id) || is_left;
        assert!(is_known, "promise 5: {id} is an orphan");
    }
    for id in &pool {
        // What somebody did between the last look and the message that follows it is found before the pool gives it away.
        let Some(canister) = world.canisters.get(id).filter(|_| !world.others.touched(*id)) else {
            assert!(world.others.touched(*id), "promise 5: {id} of the pool exists");
            continue;
        };
        assert_eq!(canister.module, None, "promise 5: a canister comes back to the pool as it went");
        assert_eq!(canister.settings.controllers, [world.coordinator]);
        assert_eq!(canister.fence, FenceView::Open);
        let is_empty = canister.content == Content::default() && canister.snapshots_bytes == 0;
        assert!(is_empty || world.dirty.contains(id), "nothing of a user: {canister:?}");
        assert_eq!((canister.run_state, canister.freezing_seconds), (RunState::Running, FREEZING_SECONDS));
    }
    // Promise 5: cycles in equal cycles out plus fees.
    let held: u128 = world.canisters.values().map(|it| it.cycles).sum();
    let burned: u128 = world.burned_cycles.values().sum();
    let begun = (100 + world.users.len() as u128) * crate::world::CANISTER_CYCLES;
    assert_eq!(
        held + burned + world.others.burned_cycles + world.coordinator_cycles + world.fees_cycles,
        begun,
        "promise 5: conservation"
    );
    // Promise 12: what somebody upgraded a canister to is there.
    for (id, module) in world.others.upgraded.iter().filter(|(id, _)| !world.others.took(**id)) {
        assert_eq!(world.canisters.get(id).and_then(|it| it.module), Some(*module), "promise 12: {id}");
    }
    // And it is not moved: whoever upgraded it before it was fenced goes on with it.
    for job in coordinator.jobs.iter().map(|it| &it.job) {
        let is_theirs = world.others.upgraded.contains_key(&job.source()) && !world.others.took(job.source());
        assert!(!is_theirs || job.times().committed_nanos.is_none(), "promise 12: {job:?}");
    }
    for (position, tracked) in coordinator.jobs.iter().enumerate() {
        let job = &tracked.job;
        let user = &world.users[position];
        let routed: BTreeSet<_> = world.routes.values().map(|routes| routes[&position]).collect();
        match job.state() {
            State::Done { root } => {
                let target = job.target().expect("a job that is done has a target");
                if !world.others.took(target) {
                    let canister = &world.canisters[&target];
                    assert!(canister.accepts_writes() || world.others.shut(target), "the target serves");
                    assert_eq!(
                        canister.settings.others.first(),
                        Some(&(position as u8)),
                        "with the source's settings"
                    );
                    let (by, held) = canister.activated.expect("it was activated");
                    assert_eq!((by, held.seal().root), (job.id(), *root), "the evidence is what it held");
                }
                assert_eq!(routed, BTreeSet::from([target]), "promise 3: every route names the target");
                for (index, moved) in &world.moved {
                    // Once its id was another user's nobody is led there, or on, as if it were still this one's.
                    let anothers = world.anothers.get(index);
                    let is_anothers = anothers.is_some_and(|ids| ids.contains(&user.source));
                    let resolves = (!is_anothers).then_some(&target);
                    assert_eq!(moved.get(&user.source), resolves, "promise 3: the old id resolves");
                }
                let burned = world.burned_cycles.get(&user.source).copied().unwrap_or_default();
                // Where somebody else deleted it meanwhile the job counts what it saw that there was.
                let is_counted = job.counters().burned_cycles == burned || world.others.took(user.source);
                assert!(is_counted, "promise 5: burned as counted: {job:?}");
                let source =
                    world.canisters.get(&user.source).filter(|_| !world.emptied.contains(&user.source));
                let drained = source.and_then(|it| it.drained.get(&job.id()));
                assert!(drained.is_none_or(|drained| *drained == job.counters().drained_cycles));
                let is_drained = job.counters().drained_cycles > 0 || world.others.took(user.source);
                assert!(is_drained, "promise 5: drained before it was deleted: {job:?}");
            }
            State::RolledBack { .. } => {
                let Some(source) = world.canisters.get(&user.source) else {
                    assert!(world.others.took(user.source), "the source exists: {job:?}");
                    continue;
                };
                let is_shut = !world.was_serving || world.others.shut(user.source);
                assert!(source.accepts_writes() || is_shut, "the source serves: {source:?} {job:?}");
                assert_eq!(routed, BTreeSet::from([user.source]), "promise 3: every route names the source");
                assert_eq!(job.target(), None);
                assert_eq!(source.offer, None, "promise 9: nobody may read it any more: {job:?}");
            }
            State::Parked { .. } => {
                let is_undrained = job.explanation().is_some_and(|why| why.starts_with("lowering"));
                if let Some(source) =
                    world.canisters.get(&user.source).filter(|it| is_undrained && it.is_controlled)
                {
                    assert_eq!(
                        source.freezing_seconds, FREEZING_SECONDS,
                        "what stays is kept alive: {job:?}"
                    );
                }
                assert!(job.explanation().is_some_and(|why| why.contains("decant_retry")))
            }
            _ if is_stuck(job) => assert!(job.trouble().is_some(), "it says what it waits for: {job:?}"),
            other => panic!("promise 8: termination: {other:?}"),
        }
        replays(coordinator, position);
    }
}

/// Whether a job that has not ended has that source.
fn is_held(job: &Job, source: Principal) -> bool {
    !job.state().is_ended() && job.source() == source
}

/// Promise 4: the journal makes the job, wherever it is cut.
fn replays(coordinator: &Coordinator, position: usize) {
    let tracked = &coordinator.jobs[position];
    let replayed = replay(tracked.enrolled.clone(), &tracked.journal).expect("promise 4: a journal replays");
    assert_eq!(replayed, tracked.job, "promise 4: to the same job");
    for (length, then) in tracked.history.iter().enumerate() {
        let recovered = replay(tracked.enrolled.clone(), &tracked.journal[..=length]).expect("promise 4");
        assert_eq!(&recovered, then, "promise 4: cut after {length}");
    }
}
