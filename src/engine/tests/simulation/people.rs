//! Others act too (promises 11 and 12), on sources and on targets: whatever somebody does at any moment, nothing that a
//! user wrote is lost but by whoever took it, and the canister serves, or the job is parked with a reason that is true.

use std::collections::{BTreeMap, BTreeSet};

use candid::Principal;
use decant_engine::{FenceView, PlanEssentials, Reason, ReasonCode, Retention, RunState, State};

use crate::canister::{Content, Module};
use crate::coordinator::{Chaos, Coordinator, is_stuck, plan, precopied, recycling, tombstone_hash};
use crate::prng::{Prng, seeds};
use crate::run::{run, run_beside};
use crate::soak::Ends;
use crate::world::{Trouble, World};

/// What others did, for what follows of it.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Canisters that somebody did something to.
    touched: BTreeSet<Principal>,
    /// Those whose state somebody took, and when.
    taken: BTreeMap<Principal, u64>,
    /// Those of them that no user could write to: their jobs hold copies.
    taken_fenced: BTreeSet<Principal>,
    /// Where the state was that somebody took from a fenced source: in its target, and nowhere else.
    last_copies: BTreeMap<Principal, Principal>,
    /// Those that somebody stopped, or gave code that is not the dapp's.
    shut: BTreeSet<Principal>,
    /// What somebody upgraded a canister to that had a state.
    pub(crate) upgraded: BTreeMap<Principal, Module>,
    /// Cycles of those that somebody deleted.
    pub(crate) burned_cycles: u128,
}

impl Others {
    pub(crate) fn touched(&self, canister: Principal) -> bool {
        self.touched.contains(&canister)
    }

    /// Whether somebody took the state that was in it.
    pub(crate) fn took(&self, canister: Principal) -> bool {
        self.taken.contains_key(&canister)
    }

    /// Whether somebody did while it was fenced.
    pub(crate) fn took_fenced(&self, canister: Principal) -> bool {
        self.taken_fenced.contains(&canister)
    }

    /// When somebody took that.
    pub(crate) fn took_nanos(&self, canister: Principal) -> Option<u64> {
        self.taken.get(&canister).copied()
    }

    /// The canister that held all that somebody took from there, unless he took that too.
    pub(crate) fn last_copy(&self, source: Principal) -> Option<Principal> {
        self.last_copies.get(&source).copied().filter(|it| !self.took(*it))
    }

    /// Whether it does not serve, and that is somebody's doing.
    pub(crate) fn shut(&self, canister: Principal) -> bool {
        self.shut.contains(&canister) || self.took(canister)
    }
}

/// Cycles that an installation prepays: 300 B instructions (code, `MAX_INSTRUCTIONS_PER_INSTALL_CODE`).
const INSTALLATION_CYCLES: u128 = 300_000_000_000;

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Upgrades to the dapp's next build, or installs that where there is none; a stopped canister stays so.
    Upgrade,
    /// The same, to a build without the kit.
    UpgradeWithoutKit,
    /// The first one, starts it, and users write.
    UpgradeAndServe,
    /// Starts it, and users write.
    Serve,
    /// The same, and stops it again.
    ServeAndStop,
    Stop,
    TakeSnapshot,
    DeleteSnapshots,
    /// Takes the controller away, and gives it back when an operator mends.
    TakeControl,
    /// Uninstalls it.
    Empty,
    /// Installs the dapp in it as if it were new: without a fence, and without a state.
    Reinstall,
    DeleteCanister,
}

const ACTS: [Act; 12] = [
    Act::Upgrade,
    Act::UpgradeWithoutKit,
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
    /// Does it, if somebody but the coordinator controls the canister; answers whether.
    fn on(self, world: &mut World, id: Principal) -> bool {
        let controllers = world.canisters.get(&id).map(|canister| &canister.settings.controllers);
        if controllers.is_none_or(|controllers| *controllers == [world.coordinator]) {
            return false;
        }
        // An installation prepays more than is left of what was drained.
        if self == Self::Reinstall && world.canisters[&id].cycles < INSTALLATION_CYCLES {
            return false;
        }
        match self {
            Self::Upgrade => upgrade(world, id, Module::Newer),
            Self::UpgradeWithoutKit => upgrade(world, id, Module::Foreign),
            Self::UpgradeAndServe => {
                upgrade(world, id, Module::Newer);
                world.serve(id);
            }
            Self::Serve => world.serve(id),
            Self::ServeAndStop => {
                world.serve(id);
                stop(world, id);
            }
            Self::Stop => stop(world, id),
            Self::TakeSnapshot => canister(world, id).snapshots_bytes += 1_000,
            Self::DeleteSnapshots => canister(world, id).snapshots_bytes = 0,
            Self::TakeControl => canister(world, id).is_controlled = false,
            Self::Empty => {
                take(world, id, false);
                let now_nanos = world.now_nanos;
                canister(world, id).acts.push((now_nanos, "uninstalled by somebody"));
                canister(world, id).reinstall(None);
                world.others.shut.insert(id);
            }
            Self::Reinstall => {
                let now_nanos = world.now_nanos;
                canister(world, id).acts.push((now_nanos, "reinstalled by somebody"));
                canister(world, id).reinstall(Some(Module::Kit));
                world.others.upgraded.remove(&id);
            }
            Self::DeleteCanister => {
                take(world, id, true);
                let gone = world.canisters.remove(&id).expect("it was there");
                world.others.burned_cycles += gone.cycles;
            }
        }
        world.others.touched.insert(id);
        if world.canisters.get(&id).is_some_and(|it| it.has_kit() && it.run_state == RunState::Running) {
            world.others.shut.remove(&id);
        }
        true
    }

    /// Whether that is why a job ended or waits beside it, on a network that works; one that gave up says after what.
    fn is_true_reason(self, reason: &Reason) -> bool {
        use ReasonCode::{
            Contradiction, Gone, HasSnapshots, NoKit, NotAuthorised, NotEmpty, NotRunning, NotWorthIt,
            OthersActed, Rejected, Reverted, WrittenSince, WrongModule,
        };
        let allowed: &[ReasonCode] = match self {
            Self::Upgrade | Self::UpgradeAndServe => &[OthersActed, WrongModule, NotEmpty, WrittenSince],
            Self::UpgradeWithoutKit => &[OthersActed, WrongModule, NotEmpty, NoKit],
            Self::Serve => &[OthersActed, WrittenSince],
            Self::ServeAndStop | Self::Stop => &[OthersActed, NotRunning, WrittenSince],
            Self::TakeSnapshot => &[HasSnapshots, NotEmpty],
            Self::DeleteSnapshots => &[],
            Self::TakeControl => &[NotAuthorised],
            Self::Reinstall => {
                &[OthersActed, Rejected, NoKit, Gone, NotEmpty, Contradiction, NotWorthIt, WrittenSince]
            }
            Self::Empty => &[OthersActed, NoKit, Gone, NotEmpty, Contradiction],
            Self::DeleteCanister => &[Gone],
        };
        let (code, said) = (reason.code(), reason.to_string());
        let has_given_up = matches!(code, ReasonCode::TriedTooOften | ReasonCode::Overdue);
        let says_one = allowed.iter().any(|it| said.contains(it.text()));
        allowed.contains(&code) || code == Reverted || has_given_up && says_one
    }
}

fn canister(world: &mut World, id: Principal) -> &mut crate::canister::Canister {
    world.canisters.get_mut(&id).expect("it is there")
}

/// The first line of the kit's `pre_upgrade` traps in a canister that is fenced.
fn upgrade(world: &mut World, id: Principal, module: Module) {
    let now_nanos = world.now_nanos;
    let it = canister(world, id);
    if it.has_kit() && it.fence != FenceView::Open {
        return;
    }
    it.module = Some(module);
    let has_state = it.content != Content::default();
    // Nobody reads what has no kit.
    it.offer = it.offer.filter(|_| module == Module::Newer);
    it.acts.push((now_nanos, "upgraded by somebody"));
    if module == Module::Foreign {
        world.others.shut.insert(id);
    }
    if has_state {
        world.others.upgraded.insert(id, module);
    }
}

fn stop(world: &mut World, id: Principal) {
    world.close_calls(id);
    canister(world, id).run_state = RunState::Stopped;
    world.others.shut.insert(id);
}

fn take(world: &mut World, id: Principal, is_deleted: bool) {
    let now_nanos = world.now_nanos;
    if world.canisters[&id].fence != FenceView::Open {
        world.others.taken_fenced.insert(id);
    }
    // One that was deleted does not come back, even if it held nothing; with its code goes its fence.
    let is_fenced = world.canisters[&id].fence != FenceView::Open;
    if is_deleted || is_fenced || world.canisters[&id].content != Content::default() {
        world.others.taken.entry(id).or_insert(now_nanos);
    }
}

/// On whose canister.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Source,
    Target,
}

/// Does it to that canister of a job, if there is one. Between a last look and the call that takes the canister nobody does
/// anything: it is one message after the other, and nothing could see it.
fn act(act: Act, whose: Whose, position: usize, world: &mut World, coordinator: &Coordinator) -> bool {
    let job = &coordinator.jobs[position].job;
    let id = match whose {
        Whose::Source => Some(job.source()),
        Whose::Target => job.target(),
    };
    let copy = job.target().filter(|_| whose == Whose::Source);
    let model = world.users[position].model;
    let holds = |content: Content| content != Content::default() && content.same_writes(model);
    let copy = copy.filter(|it| world.canisters.get(it).is_some_and(|it| holds(it.content)));
    let Some(id) = id.filter(|id| !coordinator.is_about_to_take(*id)) else { return false };
    let is_fenced = world.canisters.get(&id).is_some_and(|it| it.fence != FenceView::Open);
    let is_done = act.on(world, id);
    if is_done && act == Act::Reinstall {
        let has_copy = is_fenced && copy.is_some() || world.others.last_copies.contains_key(&id);
        match whose == Whose::Target || has_copy {
            true => {
                world.others.taken.entry(id).or_insert(world.now_nanos);
                world.others.taken_fenced.extend(is_fenced.then_some(id));
            }
            // Nobody has a copy: its users begin anew there.
            false => {
                world.others.taken.remove(&id);
                world.others.taken_fenced.remove(&id);
                world.forget(id);
            }
        }
    }
    if let Some(copy) = copy.filter(|_| is_done && world.others.took_fenced(id)) {
        world.others.last_copies.entry(id).or_insert(copy);
    }
    is_done
}

/// What must hold when the jobs are at rest, and when an operator has mended what can be mended.
fn settled(label: &str, world: &mut World, coordinator: &mut Coordinator, prng: &mut Prng) {
    for tracked in &coordinator.jobs {
        let job = &tracked.job;
        let holder = match job.state() {
            State::Done { .. } => job.target().expect("a job that is done has a target"),
            State::RolledBack { .. } => job.source(),
            _ => continue,
        };
        let serves = world.canisters.get(&holder).is_some_and(|it| it.accepts_writes());
        assert!(serves || world.others.shut(holder), "it serves, or the job is parked: {label}: {job:?}");
    }
    world.trouble = Trouble::Nothing;
    for canister in world.canisters.values_mut() {
        (canister.is_controlled, canister.snapshots_bytes) = (true, 0);
    }
    for _ in 0..3 {
        if coordinator.jobs.iter().all(|it| it.job.state().is_ended()) {
            return;
        }
        coordinator.retry();
        coordinator.is_patient = false;
        run(world, coordinator, Chaos::default(), prng);
    }
    for tracked in &coordinator.jobs {
        let says_why = tracked.job.explanation().is_some() || tracked.job.trouble().is_some();
        assert!(tracked.job.state().is_ended() || says_why, "{label}: {:?}", tracked.job);
    }
}

/// A plan, what is wrong, and whether an operator goes back behind the commit point.
type Course = (PlanEssentials, Trouble, bool);

/// Ways to each end of a relocation, forth and back.
fn courses() -> Vec<Course> {
    let frozen = plan(Retention::Frozen { seconds: 2_000 });
    let tombstone = plan(Retention::Tombstone { module_hash: tombstone_hash() });
    let ends = [plan(Retention::None), frozen, tombstone, recycling(frozen), precopied(frozen)];
    let mut courses: Vec<Course> = ends.into_iter().map(|plan| (plan, Trouble::Nothing, false)).collect();
    for plan in [plan(Retention::None), precopied(frozen)] {
        courses.extend([(plan, Trouble::CorruptTarget, false), (plan, Trouble::RouteConflict, false)]);
    }
    courses.push((frozen, Trouble::Nothing, true));
    courses
}

/// A world in which somebody does something once, when the journal has so many entries; nothing if it never has.
fn once(
    (plan, trouble, reverts): Course,
    one: Act,
    whose: Whose,
    at_entry: usize,
    ends: &mut Ends,
) -> Option<()> {
    let mut prng = Prng::new(at_entry as u64);
    let mut world = World::new(1, 2, trouble, 0);
    world.is_quiet = reverts;
    let mut coordinator = Coordinator::new(&world, plan);
    let chaos = Chaos { revert: if reverts { 700 } else { 0 }, ..Chaos::default() };
    let (mut is_due, mut is_over) = (false, false);
    run_beside(&mut world, &mut coordinator, chaos, &mut prng, &mut |world, coordinator| {
        let entries = coordinator.jobs[0].journal.len();
        is_due |= entries >= at_entry;
        // At that step, and at no later one: a look and the call that follows it are two.
        let is_done = is_due && !is_over && act(one, whose, 0, world, coordinator);
        is_over |= is_done || entries > at_entry + 2;
        is_done
    });
    let job = &coordinator.jobs[0].job;
    let label = format!("{one:?} on {whose:?} at {at_entry}, {trouble:?}, {reverts}, {plan:?}");
    let reason = match job.state() {
        State::RolledBack { reason } | State::Parked { reason, .. } => Some(reason),
        State::Done { .. } => None,
        _ => job.trouble(),
    };
    if let (Some(reason), Trouble::Nothing) = (reason, trouble) {
        assert!(one.is_true_reason(reason), "{label}: {reason}: {job:?}");
    }
    let end = if is_stuck(job) { "waiting" } else { job.state().name() };
    *ends.entry(format!("{one:?} on {whose:?}: {end}")).or_default() += 1;
    // What is gone never answers: nobody waits for that.
    let waits_for = job.trouble().filter(|_| is_stuck(job)).map(|reason| reason.code());
    assert!(!matches!(waits_for, Some(ReasonCode::Gone | ReasonCode::NoKit)), "{label}: {job:?}");
    let is_reached = coordinator.jobs[0].journal.len() >= at_entry;
    settled(&label, &mut world, &mut coordinator, &mut prng);
    is_reached.then_some(())
}

#[test]
fn promise_12_whatever_somebody_does_to_source_or_target_at_any_step_nothing_that_users_wrote_is_lost() {
    let mut ends = Ends::new();
    for course in courses() {
        for (one, whose) in ACTS.into_iter().flat_map(|it| [(it, Whose::Source), (it, Whose::Target)]) {
            let mut steps = (0..).map_while(|at_entry| once(course, one, whose, at_entry, &mut ends));
            steps.by_ref().for_each(drop);
        }
    }
    println!("{ends:#?}");
    for (one, whose) in ACTS.into_iter().flat_map(|it| [(it, Whose::Source), (it, Whose::Target)]) {
        let steps: u64 = ends
            .iter()
            .filter(|(end, _)| end.starts_with(&format!("{one:?} on {whose:?}:")))
            .map(|(_, times)| times)
            .sum();
        assert!(steps > 300, "{one:?} on {whose:?}: {steps} steps");
    }
}

/// A world of this seed on a bad network with aborts and reverts, in which people act at random moments.
pub(crate) fn acted(seed: u64, ends: &mut Ends) {
    let mut prng = Prng::new(seed ^ 0x9e0b1e);
    let (users, indexes) = (1 + prng.below(3), 1 + prng.below(3));
    let trouble = [Trouble::Nothing, Trouble::Nothing, Trouble::CorruptTarget, Trouble::RouteConflict];
    let mut world = World::new(users, indexes, trouble[prng.below(4)], prng.next() % 600);
    world.is_quiet = prng.permille(300);
    let simple = plan(crate::retention(&mut prng));
    let mut chosen = if prng.permille(500) { simple } else { precopied(simple) };
    if prng.permille(300) && !matches!(chosen.retention, Retention::Tombstone { .. }) {
        chosen = recycling(chosen);
    }
    let mut coordinator = Coordinator::new(&world, chosen);
    let chaos = Chaos {
        reject: seed % 100,
        lose: seed * 7 % 200,
        crash: seed * 3 % 20,
        abort: if seed.is_multiple_of(3) { 3 } else { 0 },
        revert: if seed.is_multiple_of(4) { 300 } else { 0 },
    };
    let mut due: Vec<_> = (0..1 + prng.below(3))
        .map(|_| {
            let whose = [Whose::Source, Whose::Target][prng.below(2)];
            (prng.below(400), ACTS[prng.below(ACTS.len())], whose, prng.below(users))
        })
        .collect();
    let label = format!("{due:?}");
    let mut tick = 0;
    run_beside(&mut world, &mut coordinator, chaos, &mut prng, &mut |world, coordinator| {
        tick += 1;
        let before = due.len();
        due.retain(|(at_tick, one, whose, position)| {
            tick < *at_tick || !act(*one, *whose, *position, world, coordinator)
        });
        due.len() < before
    });
    for tracked in &coordinator.jobs {
        let end = if is_stuck(&tracked.job) { "waiting" } else { tracked.job.state().name() };
        *ends.entry(format!("beside people {end}")).or_default() += 1;
    }
    settled(&label, &mut world, &mut coordinator, &mut prng);
}

#[test]
fn promise_12_on_a_bad_network_with_aborts_reverts_and_people_who_act_at_random() {
    let mut ends = Ends::new();
    for seed in seeds(6_000_000, 4_000) {
        acted(seed, &mut ends);
    }
    println!("{ends:?}");
    assert!(ends["beside people done"] > 1_000 && ends["beside people rolled back"] > 1_000, "{ends:?}");
}
