//! Others act too (promises 11 and 12): whatever somebody does at any moment, nothing that a user wrote is lost but by
//! whoever deleted it, and the canister serves, or the job is parked with a reason that is true.

use candid::Principal;
use decant_engine::{Effect, Event, Job, ReasonCode, Retention, RunState, Stage, State, Strategy};

use crate::canister::{Heap, Image, Layout, Maker, Model, Module, Stable};
use crate::prng::seeds;
use crate::run::{Fault, Run, plans};
use crate::soak::Ends;
use crate::world::{Hooks, Timers, Trouble, World};

const REPACK: (Strategy, Retention) = (Strategy::Repack, Retention::None);

fn healthy(_: u32, _: &Effect, _: &Job) -> Fault {
    Fault::Nothing
}

/// What somebody else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Upgrades to another module; a stopped canister stays so.
    Upgrade,
    /// The same, starts it, and users write.
    UpgradeAndServe,
    /// Starts it, and users write.
    Serve,
    /// The same, and stops it again.
    ServeAndStop,
    Stop,
    /// Takes a snapshot of its own.
    TakeSnapshot,
    /// Deletes the snapshots that the job made.
    DeleteSnapshots,
    /// Takes the controller away, and gives it back when an operator mends.
    TakeControl,
    /// Uninstalls it.
    Empty,
    /// Installs the dapp in it as if it were new.
    Reinstall,
    DeleteCanister,
}

const ACTS: [Act; 11] = [
    Act::Upgrade,
    Act::UpgradeAndServe,
    Act::Serve,
    Act::ServeAndStop,
    Act::Stop,
    Act::TakeSnapshot,
    Act::DeleteSnapshots,
    Act::TakeControl,
    Act::Empty,
    Act::Reinstall,
    Act::DeleteCanister,
];

impl Act {
    /// Does it to the canister.
    fn on(self, world: &mut World, id: Principal) {
        let controllers = world.canisters.get(&id).map(|canister| &canister.settings.controllers);
        // It is gone, or was emptied for others, and nobody else controls it.
        if controllers.is_none_or(|controllers| *controllers == [world.coordinator]) {
            return;
        }
        match self {
            Self::Upgrade => upgrade(world, id),
            Self::UpgradeAndServe => {
                upgrade(world, id);
                serve(world, id);
            }
            Self::Serve => serve(world, id),
            Self::ServeAndStop => {
                serve(world, id);
                world.canister_mut(id).run_state = RunState::Stopped;
            }
            Self::Stop => {
                world.canister_mut(id).open_calls.clear();
                world.canister_mut(id).run_state = RunState::Stopped;
            }
            // It changes nothing of a source; a target that has one does not go to the pool.
            Self::TakeSnapshot => {
                world.is_disturbed |= id != world.source;
                return world.stranger_takes(id);
            }
            Self::DeleteSnapshots => {
                world.is_way_back_gone = true;
                world.canister_mut(id).snapshots.retain(|it| it.maker == Maker::Stranger)
            }
            Self::TakeControl => world.canister_mut(id).is_controlled = false,
            Self::Empty => take(world, id, None),
            Self::Reinstall => take(world, id, Some(Module::Own)),
            Self::DeleteCanister => {
                let gone = world.canisters.remove(&id).expect("it was there");
                world.burned_cycles += gone.cycles;
            }
        }
        world.is_disturbed = true;
    }
}

/// On whose canister.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Source,
    Target,
}

impl Whose {
    /// Does it to the canister of the job, if there is one.
    fn act(self, act: Act, run: &mut Run) {
        let canister = match self {
            Self::Source => Some(run.world.source),
            Self::Target => run.job.target(),
        };
        if let Some(canister) = canister {
            act.on(&mut run.world, canister);
        }
    }
}

/// Its code and its state go, and whatever is installed instead begins anew.
fn take(world: &mut World, id: Principal, module: Option<Module>) {
    let now_nanos = world.now_nanos;
    let (served, is_source) = (world.canister(id).accepts_writes(), id == world.source);
    let canister = world.canister_mut(id);
    canister.open_calls.clear();
    canister.put(match module {
        Some(_) => Image {
            module,
            heap: Some(Heap { counted: 0, layout: Layout::Bloated }),
            stable: Stable { layout: Layout::Bloated, ..Stable::NOTHING },
        },
        None => Image::NOTHING,
    });
    canister.timer = None;
    let what = if module.is_some() { "reinstalled by somebody" } else { "uninstalled by somebody" };
    canister.acts.push((now_nanos, what));
    if served && is_source && module.is_some() {
        // Its users begin anew there.
        world.model = Model::default();
        return;
    }
    canister.taken_nanos = Some(now_nanos);
    world.has_last_copy |= is_source && !served && world.holds_copy();
}

fn upgrade(world: &mut World, id: Principal) {
    let now_nanos = world.now_nanos;
    // What is retired, or still empty, is nobody's to upgrade: the original is gone for users.
    let stable = world.canister(id).image.stable;
    // Nor is an image that was poured wrong, and not yet compared, of which the way back is kept.
    let is_wrong = world.trouble == Trouble::CorruptUpload && stable.is_repacked;
    if stable == crate::canister::Stable::NOTHING || is_wrong {
        return;
    }
    world.canister_mut(id).open_calls.clear();
    world.upgrade(id, Module::Newer).expect("the next build does not trap");
    world.canister_mut(id).acts.push((now_nanos, "upgraded by somebody"));
}

/// It runs, and where it runs the dapp's code users write to it.
fn serve(world: &mut World, id: Principal) {
    world.canister_mut(id).run_state = RunState::Running;
    let has_route = world.routes.values().any(|route| *route == id);
    if world.canister(id).accepts_writes() && has_route {
        for is_to_heap in [true, false] {
            let write = world.next_write(is_to_heap);
            world.apply_write(id, write);
        }
    }
}

/// A job beside which somebody does something once, before its step of that number.
fn beside(
    mut run: Run,
    at_step: usize,
    act: impl Fn(&mut Run),
    fault: &mut dyn FnMut(u32, &Effect, &Job) -> Fault,
) -> Run {
    let mut step = 0;
    run.run_beside(
        &mut |run| {
            step += 1;
            if step == at_step {
                act(run);
            }
        },
        fault,
    );
    run
}

/// Steps of the longest job that are no look-and-call of one message.
const STEPS: usize = 90;

fn served(run: &Run) -> bool {
    let world = &run.world;
    let source = world.canisters.get(&world.source);
    let target = run.job.target().or(world.kept).and_then(|target| world.canisters.get(&target));
    [source, target].into_iter().flatten().any(|it| it.accepts_writes() && it.image.is_whole(world.model))
}

/// The reasons with which a job beside that act may end or park.
fn is_true_reason(act: Act, code: ReasonCode) -> bool {
    use ReasonCode::{
        Aborted, Contradiction, Gone, HasSnapshots, NoKit, NoSnapshot, NotAuthorised, NotRunning,
        NothingToRepack, OthersActed, Overdue, Rejected, TriedTooOften, WrittenSince, WrongModule,
    };
    let any = [TriedTooOften, Overdue, Aborted];
    let allowed: &[ReasonCode] = match act {
        Act::Upgrade | Act::UpgradeAndServe => &[OthersActed, WrongModule, NoKit, WrittenSince],
        Act::Serve | Act::ServeAndStop | Act::Stop => &[OthersActed, NotRunning, WrittenSince],
        Act::TakeSnapshot => &[HasSnapshots],
        Act::DeleteSnapshots => &[NoSnapshot, OthersActed],
        Act::TakeControl => &[NotAuthorised],
        Act::Empty | Act::Reinstall => &[
            OthersActed,
            NoKit,
            Gone,
            NotRunning,
            WrongModule,
            Contradiction,
            NothingToRepack,
            Rejected,
            WrittenSince,
        ],
        Act::DeleteCanister => &[Gone, NoSnapshot],
    };
    allowed.contains(&code) || any.contains(&code)
}

fn swept(whose: Whose) -> Ends {
    let mut ends = Ends::new();
    for act in ACTS {
        for plan in plans().into_iter().filter(|plan| whose == Whose::Source || plan.0.has_target()) {
            for trouble in [Trouble::Nothing, Trouble::CorruptUpload, Trouble::PostUpgradeTraps] {
                // None has a target in its first steps.
                for at_step in if whose == Whose::Source { 1..STEPS } else { 12..STEPS } {
                    let mut run = Run::new(plan, trouble, at_step as u64);
                    run.world.hooks = [Hooks::Plain, Hooks::Eraser][at_step % 2];
                    // The checks of every moment, and at rest, say whether something is lost.
                    let run = beside(run, at_step, |run| whose.act(act, run), &mut healthy);
                    settled((act, whose), trouble, at_step, run, &mut ends);
                }
            }
        }
    }
    println!("{ends:?}");
    ends
}

#[test]
fn promise_12_whatever_somebody_does_at_any_moment_nothing_that_users_wrote_is_lost() {
    assert!(swept(Whose::Source).values().sum::<u64>() > 10_000);
}

#[test]
fn promise_12_whatever_somebody_does_to_a_target_at_any_moment_nothing_that_users_wrote_is_lost() {
    assert!(swept(Whose::Target).values().sum::<u64>() > 6_000);
}

#[test]
fn promise_12_whatever_somebody_does_at_any_moment_before_an_abort_nothing_that_users_wrote_is_lost() {
    let mut ends = Ends::new();
    for (act, whose) in ACTS.into_iter().flat_map(|act| [(act, Whose::Source), (act, Whose::Target)]) {
        for plan in plans().into_iter().filter(|plan| whose == Whose::Source || plan.0.has_target()) {
            for at_step in 12..STEPS {
                let run = Run::new(plan, Trouble::Nothing, at_step as u64);
                let act_then_abort = |run: &mut Run| {
                    whose.act(act, run);
                    if run.job.state().stage() == Stage::BeforeCommit {
                        run.record(Event::AbortRequested);
                    }
                };
                let run = beside(run, at_step, act_then_abort, &mut healthy);
                settled((act, whose), Trouble::CorruptUpload, at_step, run, &mut ends);
            }
        }
    }
    println!("{ends:?}");
    assert!(ends.values().sum::<u64>() > 5_000);
}

/// What must hold when such a job is at rest, and when it is mended.
fn settled((act, whose): (Act, Whose), trouble: Trouble, at_step: usize, mut run: Run, ends: &mut Ends) {
    let label = format!("{act:?} on {whose:?}, {trouble:?} at {at_step}: {:?}", run.job);
    *ends.entry(format!("{act:?} on {whose:?} {}", run.job.state().name())).or_default() += 1;
    let exists = match whose {
        Whose::Source => run.world.canisters.contains_key(&run.world.source),
        Whose::Target => run.job.target().is_none_or(|target| run.world.canisters.contains_key(&target)),
    };
    let is_theirs = matches!(act, Act::Stop | Act::ServeAndStop | Act::Upgrade | Act::Empty | Act::Reinstall);
    if !run.job.state().is_parked() && !run.is_stuck() {
        let has_gone = act == Act::DeleteCanister && !exists;
        assert!(served(&run) || is_theirs || has_gone, "it serves, or the job is parked: {label}");
    }
    if let (Some(reason), Trouble::Nothing) = (run.reason(), trouble) {
        assert!(is_true_reason(act, reason.code()), "{label}");
    }
    // What is gone never answers: nobody waits for that.
    let waits_for = run.job.trouble().filter(|_| run.is_stuck()).map(|reason| reason.code());
    assert!(waits_for != Some(ReasonCode::Gone), "{label}");
    // An operator mends, and says what stands may stay.
    run.world.canisters.values_mut().for_each(|canister| canister.is_controlled = true);
    run.try_to_mend();
}

/// A world of this seed on a bad network with aborts, in which somebody does something at a random moment.
pub(crate) fn acted(seed: u64, ends: &mut Ends) {
    let all = plans();
    let trouble = [Trouble::Nothing, Trouble::Nothing, Trouble::CorruptUpload, Trouble::PostUpgradeTraps];
    let trouble = trouble[(seed / 3) as usize % 4];
    let mut run = Run::new(all[seed as usize % all.len()], trouble, seed);
    run.world.timers = [Timers::Never, Timers::Kept, Timers::Rearmed][(seed / 7) as usize % 3];
    run.world.hooks = [Hooks::Plain, Hooks::Eraser][(seed / 11) as usize % 2];
    let mut dice = crate::prng::Prng::new(seed ^ 0xabcd);
    let act = ACTS[dice.below(ACTS.len())];
    let whose = [Whose::Source, Whose::Target][dice.below(2)];
    let at_step = 1 + dice.below(120);
    let chaos = seed % 100;
    let run = beside(run, at_step, |run| whose.act(act, run), &mut |_, _, _| {
        if !dice.permille(chaos) {
            return Fault::Nothing;
        }
        // Of one that is new since the job asked for its own nobody can tell whose it is when that reply never came.
        let known = if act == Act::TakeSnapshot { 2 } else { 5 };
        // None arrives late: what is under way when somebody acts is one message after the other.
        [Fault::Transient, Fault::AbortBefore, Fault::LostBefore, Fault::LostAfter, Fault::Abort]
            [dice.below(known)]
    });
    settled((act, whose), Trouble::CorruptUpload, at_step, run, ends);
}

#[test]
fn promise_12_on_a_bad_network_with_aborts_and_somebody_who_acts_at_random() {
    let mut ends = Ends::new();
    for seed in seeds(5_000_000, 4_000) {
        acted(seed, &mut ends);
    }
    println!("{ends:?}");
}

/// D1: the team's own upgrade wave reaches the canister between the first look and the stop.
#[test]
fn a_canister_that_is_upgraded_to_another_module_meanwhile_keeps_that_module() {
    // States that a job is seen in between two messages.
    for name in [
        "recalling",
        "surveying",
        "learning",
        "ready",
        "still",
        "saved",
        "undressing",
        "halted",
        "proving",
        "dressing",
    ] {
        let mut run = Run::new(REPACK, Trouble::Nothing, 7);
        let mut is_done = false;
        run.run_beside(
            &mut |run| {
                if run.job.state().name() == name && !std::mem::replace(&mut is_done, true) {
                    Whose::Source.act(Act::Upgrade, run);
                }
            },
            &mut healthy,
        );
        assert!(is_done, "{name} is a state of a repack");
        let source = run.world.canister(run.world.source);
        assert_eq!(source.image.module, Some(Module::Newer), "{name}: {:?}", run.job);
        assert!(source.accepts_writes() && source.image.is_whole(run.world.model), "{name}: {:?}", run.job);
    }
}

/// D2: the way back waits, the team recovers the canister by hand, users write for a day, the job goes on.
#[test]
fn a_way_back_that_waited_loads_nothing_over_what_users_wrote_since() {
    let mut run = Run::new(REPACK, Trouble::PostUpgradeGrows, 7);
    run.run(&mut |_, effect, job| {
        let is_way_back = matches!(job.state(), State::RollingBack { .. });
        if is_way_back && matches!(effect, Effect::LoadSnapshot { .. }) {
            Fault::Transient
        } else {
            Fault::Nothing
        }
    });
    assert!(run.is_stuck(), "{:?}", run.job);
    (run.world.trouble, run.patience) = (Trouble::Nothing, 300);
    Whose::Source.act(Act::Serve, &mut run);
    run.run(&mut healthy);
    let source = run.world.canister(run.world.source);
    assert!(
        source.accepts_writes() && source.image.is_whole(run.world.model),
        "a day of writes: {:?}",
        run.job
    );
}

/// D2: the coordinator is out of cycles for a day; the team puts its module on what is there, and starts it.
#[test]
fn a_coordinator_that_comes_back_after_a_day_changes_nothing_that_serves() {
    for name in ["undressing", "pouring", "halted", "dressing", "dressed"] {
        let mut run = Run::new(REPACK, Trouble::Nothing, 7);
        let mut is_done = false;
        run.run_beside(
            &mut |run| {
                if run.job.state().name() == name && !std::mem::replace(&mut is_done, true) {
                    Whose::Source.act(Act::UpgradeAndServe, run);
                    run.now_nanos += 24 * 3_600 * 1_000_000_000;
                }
            },
            &mut healthy,
        );
        let source = run.world.canister(run.world.source);
        assert!(source.accepts_writes() && source.image.is_whole(run.world.model), "{name}: {:?}", run.job);
        run.try_to_mend();
        assert!(run.job.state().is_ended(), "{name}: {:?}", run.job);
    }
}

/// D3: somebody makes the original serve again in its retention.
#[test]
fn an_original_that_takes_writes_in_its_retention_is_not_emptied() {
    let plan = (Strategy::RelocateVessel, Retention::Frozen { seconds: 9 });
    let mut run = Run::new(plan, Trouble::Nothing, 7);
    let source = run.world.source;
    let mut written = None;
    run.run_beside(
        &mut |run| {
            if run.job.state().name() == "retaining" && written.is_none() {
                Whose::Source.act(Act::Upgrade, run);
                let canister = run.world.canister_mut(source);
                canister.run_state = RunState::Running;
                canister.image.stable.written = 4_711;
                written = Some(canister.image);
                run.world.is_disturbed = true;
            }
        },
        &mut healthy,
    );
    let there = run.world.canisters.get(&source).map(|it| it.image);
    assert_eq!(there, written, "what was written to the original: {:?}", run.job);
    assert!(run.job.state().is_parked(), "{:?}", run.job);
}

/// D3: somebody takes the target for an orphan.
#[test]
fn an_original_stays_where_its_target_was_deleted_in_the_retention() {
    let plan = (Strategy::RelocateVessel, Retention::Frozen { seconds: 9 });
    let mut run = Run::new(plan, Trouble::Nothing, 7);
    run.run_beside(
        &mut |run| {
            let target = run.job.target().filter(|_| run.job.state().name() == "retaining");
            if let Some(gone) = target.and_then(|target| run.world.canisters.remove(&target)) {
                run.world.burned_cycles += gone.cycles;
                run.world.is_disturbed = true;
            }
        },
        &mut healthy,
    );
    assert!(run.job.state().is_parked(), "{:?}", run.job);
    let source = run.world.canister(run.world.source);
    assert_eq!(
        source.image.module,
        Some(Module::Vessel),
        "the last copy of what was moved: {:?}",
        source.image
    );
    assert_eq!(source.image.stable.layout, Layout::Bloated, "{:?}", source.image);
}

#[test]
fn a_snapshot_that_somebody_takes_at_any_moment_survives() {
    for plan in plans() {
        for at_step in 1..STEPS {
            let act = |run: &mut Run| {
                // Between the last look and the deletion nobody can tell: it is one message after the other.
                if run.world.canisters.contains_key(&run.world.source) {
                    run.world.stranger_takes(run.world.source);
                }
            };
            let run = beside(Run::new(plan, Trouble::Nothing, 7), at_step, act, &mut healthy);
            match run.reason() {
                None => assert!(run.is_done(), "{plan:?} at {at_step}: {:?}", run.job),
                // It would die with the original.
                Some(reason) => {
                    assert_eq!(reason.code(), ReasonCode::HasSnapshots, "{plan:?} at {at_step}: {reason}");
                    assert_ne!(plan.0, Strategy::Repack);
                }
            }
        }
    }
}

/// A lost reply to a snapshot that the job makes, and one that somebody else took before it was asked for.
#[test]
fn a_snapshot_that_was_there_before_the_job_asked_for_its_own_is_never_taken_for_it() {
    for plan in plans() {
        for name in ["surveying", "still", "planned", "timing"] {
            for fault in [Fault::LostBefore, Fault::LostAfter, Fault::AbortLost, Fault::AbortCrash] {
                let mut run = Run::new(plan, Trouble::Nothing, 7);
                run.world.timers = Timers::Kept;
                let (mut is_taken, mut is_lost) = (false, false);
                run.run_beside(
                    &mut |run| {
                        if run.job.state().name() == name && !std::mem::replace(&mut is_taken, true) {
                            run.world.stranger_takes(run.world.source);
                        }
                    },
                    &mut |_, effect, job| {
                        let makes =
                            matches!(effect, Effect::TakeSnapshot { .. } | Effect::UploadMetadata { .. });
                        let is_it = makes && job.state().name() == name;
                        match is_it && !std::mem::replace(&mut is_lost, true) {
                            true => fault,
                            false => Fault::Nothing,
                        }
                    },
                );
                // At rest nothing of the job is left, and the stranger's snapshot is untouched: checked there. One that
                // would die with the original is reported.
                let end = run.job.state().name();
                let is_known = run.is_done()
                    || end == "rolled back"
                    || run.reason().is_some_and(|reason| reason.code() == ReasonCode::HasSnapshots);
                assert!(is_known, "{plan:?}, {name}, {fault:?}: {:?}", run.job);
            }
        }
    }
}

#[test]
fn a_snapshot_that_somebody_takes_after_ours_was_put_off_is_not_deleted_when_the_job_is_aborted() {
    // Found by 200,000 seeds: the coordinator's own had not been made, so that the stranger's was the only new one.
    for seed in [120_599, 160_196] {
        acted(seed, &mut Ends::new());
    }
}

/// Somebody starts the target when the first of two routes names it, and users write there; then the job is aborted.
#[test]
fn no_source_opens_beside_a_target_that_users_may_have_written_to() {
    let plan = (Strategy::RelocateVessel, Retention::None);
    for act in [Act::Serve, Act::ServeAndStop, Act::UpgradeAndServe] {
        for keeps_target in [true, false] {
            let mut run = Run::new(plan, Trouble::Nothing, 7);
            let mut is_done = false;
            run.run_beside(
                &mut |run| {
                    let is_between = matches!(run.job.state(), State::Switching { next: 1, .. });
                    if is_between && !std::mem::replace(&mut is_done, true) {
                        Whose::Target.act(act, run);
                        run.record(Event::AbortRequested);
                    }
                },
                &mut healthy,
            );
            let label = format!("{act:?}: {:?}", run.job);
            assert!(is_done, "{label}");
            let reason = run.reason().expect("it is parked");
            assert_eq!(reason.code(), ReasonCode::WrittenSince, "{label}");
            let (source, target) = (run.world.source, run.job.target().expect("it has its target"));
            assert_eq!(run.world.canister(source).run_state, RunState::Stopped, "{label}");
            let held = run.world.canister(target).image;
            assert!(held.is_whole(run.world.model), "{label}");
            match keeps_target {
                true => run.keep_target(),
                false => {
                    run.world.is_split = true;
                    run.record(Event::Retried);
                }
            }
            while run.step(&mut healthy) {}
            assert_eq!(run.job.state().name(), "rolled back", "{label}");
            let wanted = if keeps_target { target } else { source };
            assert!(run.world.routes.values().all(|route| *route == wanted), "{label}");
            let accepts_writes = run.world.canister(source).accepts_writes();
            assert_eq!(accepts_writes, !keeps_target, "{label}");
            // Either way nobody touches what users wrote, and go on writing.
            let left = run.world.canister(target).image;
            assert_eq!((left.module, left.stable.runs), (held.module, held.stable.runs), "{label}");
        }
    }
}

/// The owner deletes it while its start is put off.
#[test]
fn a_job_whose_canister_was_deleted_before_it_served_can_be_left() {
    let mut run = Run::new(REPACK, Trouble::Nothing, 7);
    let is_late = |job: &Job| job.state().name() == "starting" && job.attempt().waits() > 0;
    let mut is_put_off = false;
    run.run_beside(
        &mut |run| {
            if is_late(&run.job) && run.world.canisters.contains_key(&run.world.source) {
                Whose::Source.act(Act::DeleteCanister, run);
            }
        },
        &mut |_, effect, job| match effect {
            Effect::Start { .. }
                if job.state().name() == "starting" && !std::mem::replace(&mut is_put_off, true) =>
            {
                Fault::Transient
            }
            _ => Fault::Nothing,
        },
    );
    assert_eq!(run.reason().map(|reason| reason.code()), Some(ReasonCode::Gone), "{:?}", run.job);
    run.record(Event::Skipped);
    assert!(run.job.state().is_ended(), "{:?}", run.job);
}

/// Somebody uninstalls a canister that a job holds: the snapshot from before is the last copy.
#[test]
fn a_repacked_canister_that_was_emptied_leaves_its_snapshot_and_asks_an_operator() {
    for name in ["saved", "undressing", "halted", "dressing"] {
        let mut run = Run::new(REPACK, Trouble::Nothing, 7);
        let mut is_done = false;
        run.run_beside(
            &mut |run| {
                let is_there =
                    run.job.state().name() == name && run.job.held().is_some_and(|it| it.saved.is_some());
                if is_there && !std::mem::replace(&mut is_done, true) {
                    Whose::Source.act(Act::Empty, run);
                }
            },
            &mut healthy,
        );
        assert!(is_done, "{name} is a state of a repack");
        assert!(run.job.state().is_parked(), "{name}: somebody looks: {:?}", run.job);
        assert_eq!(run.reason().map(|reason| reason.code()), Some(ReasonCode::OthersActed), "{name}");
        run.mend();
        assert_eq!(run.job.state().name(), "rolled back", "{name}: {:?}", run.job);
        assert!(run.world.holds_copy(), "{name}: no retry takes the last copy: {:?}", run.job);
        assert!(run.job.explanation().is_some_and(|why| why.contains("snapshot")), "{name}: {:?}", run.job);
    }
}
