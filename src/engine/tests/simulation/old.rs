//! Jobs as a coordinator of commit 1c49434 stored them: in a world as they left it each goes to its end.

use decant_engine::{
    Digest, Effect, Event, FenceView, Holder, Job, Limits, Outcome, Retention, RunState, Seal, State, Step,
    Undo, Value, apply, next_step,
};

use crate::canister::{Canister, Module};
use crate::prng::Prng;
use crate::world::{CANISTER_CYCLES, Trouble, World, principal};

const STORED: &str = include_str!("../../../../canisters/coordinator/golden/1c49434.txt");

/// The jobs of that build that are not by snapshots, with their labels.
fn jobs() -> impl Iterator<Item = (&'static str, Job)> {
    STORED.lines().filter_map(|line| {
        let mut parts = line.split('\t');
        let (kind, label, hex) = (parts.next()?, parts.next()?, parts.next()?);
        if kind != "job" || label.starts_with("snapshot ") {
            return None;
        }
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).expect("hex"))
            .collect();
        Some((label, ciborium::from_reader(bytes.as_slice()).expect(label)))
    })
}

/// Where the job is, or goes on from when it is retried.
fn place(job: &Job) -> &State {
    match job.state() {
        State::Parked { resume, .. } => resume,
        state => state,
    }
}

/// The tag of the state on the way there that the world is brought to; of what goes back that whose undos are left.
fn reached(state: &State) -> u8 {
    let State::RollingBack { undo, .. } = state else { return state.tag() };
    match undo.last().expect("it is never empty") {
        Undo::SwapBack { .. } => 14,
        Undo::ThawSource | Undo::StartSource => 11,
        Undo::UninstallTarget => 6,
        Undo::ResetTarget => 5,
        _ => 4,
    }
}

/// A world as the job left it: its source, its target and its routes.
fn world(job: &Job) -> World {
    let mut world = World::new(1, 1, Trouble::Nothing, 0);
    let (source, at) = (job.source(), reached(place(job)));
    let holder = Holder { job: job.id(), is_own: true };
    let mut original = world.canisters.remove(&principal(1, 0)).expect("the source");
    world.users[0].source = source;
    if let State::Inspected { settings } | State::Admitted { settings } | State::Reserved { settings } =
        place(job)
    {
        original.settings = settings.clone();
    }
    // Tags grow with the way, but for the pre-copy's two and those that end it.
    let has_passed = |tag: u8| at >= tag && !matches!(at, 15 | 16);
    original.fence = match () {
        () if has_passed(21) => FenceView::Moved { holder, to: job.target().expect("a target") },
        () if has_passed(11) => FenceView::Sealed(holder),
        () if has_passed(8) => FenceView::Frozen(holder),
        () => FenceView::Open,
    };
    let sealed = original.content.seal();
    original.sealed = has_passed(11).then_some(sealed);
    original.reader = job.target().filter(|_| has_passed(8));
    original.offer = job.target().filter(|_| at == 16).map(|target| (job.id(), target));
    // What is stopped, and what earlier builds drained without lowering its threshold, which this world would not burn.
    let is_stopped = matches!(at, 9 | 28 | 29);
    if is_stopped
        || matches!(place(job), State::RollingBack { undo, .. } if undo.contains(&Undo::StartSource))
    {
        original.run_state = RunState::Stopped;
    }
    if matches!(at, 27..=29) {
        original.freezing_seconds = 0;
    }
    if let Some(target) = job.target() {
        let mut it = Canister::fresh(world.coordinator, CANISTER_CYCLES);
        if at >= 5 {
            it.settings = original.settings.clone();
        }
        it.module = (at >= 6).then_some(Module::Compact);
        if has_passed(7) || matches!(at, 15 | 16) {
            it.fence = FenceView::Importing(holder);
        }
        if has_passed(12) {
            (it.content, it.is_complete) = (original.content, true);
        }
        if has_passed(22) {
            it.fence = FenceView::Open;
            it.activated = Some((job.id(), it.content));
        }
        world.canisters.insert(target, it);
        world.targets_ever.insert(target);
    }
    let next = match place(job) {
        State::Switching { next, .. } => usize::from(*next),
        State::RollingBack { undo, .. } => {
            undo.iter().filter(|it| matches!(it, Undo::SwapBack { .. })).count()
        }
        state if state.tag() >= 20 => usize::MAX,
        _ => 0,
    };
    world.routes.clear();
    for (position, index) in job.indexes().iter().enumerate() {
        let is_swapped = position < next;
        let route = if is_swapped { job.target().expect("a target") } else { source };
        world.routes.insert(*index, [(0, route)].into());
        let moved = is_swapped.then_some((source, route));
        world.moved.insert(*index, moved.into_iter().collect());
    }
    world.canisters.insert(source, original);
    world
}

/// The names that the job has for what the world names otherwise: modules, and what was sealed.
struct Names {
    sealed: Option<Seal>,
    ours: Seal,
    compact: Option<Digest>,
    tombstone: Option<Digest>,
}

impl Names {
    fn of(job: &Job, world: &World) -> Self {
        let sealed = match place(job) {
            State::Sealed { seal } | State::Pulled { seal } | State::TargetVerified { seal } => {
                Some(seal.clone())
            }
            _ => job.root().map(|root| Seal { root, ..world.users[0].model.seal() }),
        };
        let tombstone = match job.plan().retention {
            Retention::Tombstone { module_hash } => Some(module_hash),
            _ => None,
        };
        let compact = match job.plan().strategy {
            decant_engine::Strategy::Relocate { module_hash, .. } => Some(module_hash),
            _ => None,
        };
        Self { sealed, ours: world.users[0].model.seal(), compact, tombstone }
    }

    fn asked(&self, mut effect: Effect) -> Effect {
        if let Effect::Pull { root, .. } = &mut effect {
            *root = self.ours.root;
        }
        effect
    }

    fn told(&self, mut outcome: Outcome) -> Outcome {
        match &mut outcome {
            Outcome::Done(Value::Hashed(seal) | Value::Pulled { verified: Some(seal), .. })
                if *seal == self.ours =>
            {
                *seal = self.sealed.clone().unwrap_or_else(|| seal.clone());
            }
            Outcome::Done(Value::Canister(view)) => {
                view.module_hash = match view.module_hash {
                    Some(hash) if hash == Module::Compact.hash() => self.compact,
                    Some(hash) if hash == Module::Tombstone.hash() => self.tombstone,
                    other => other,
                };
            }
            _ => {}
        }
        outcome
    }
}

/// Drives it to its end.
fn ended(label: &str, mut job: Job, world: &mut World) -> Job {
    let (names, mut prng) = (Names::of(&job, world), Prng::new(1));
    let mut now_nanos = job.times().enrolled_nanos + 1_000_000_000_000;
    let record = |job: &mut Job, event: Event, now_nanos| {
        apply(job, event, now_nanos).unwrap_or_else(|error| panic!("{label}: {error}"));
    };
    if job.state().is_parked() {
        record(&mut job, Event::Retried, now_nanos);
    }
    for _ in 0..400 {
        let id = job.id();
        match next_step(&job, now_nanos, &Limits::default()) {
            Step::Call { ticket, effect, .. } => {
                record(&mut job, Event::Started { ticket }, now_nanos);
                let outcome = names.told(world.execute(id, &names.asked(effect), &mut prng));
                record(&mut job, Event::Replied { ticket, outcome }, now_nanos);
            }
            // The upgrade of the coordinator forgot what was under way.
            Step::InFlight { ticket } => record(&mut job, Event::reply_lost(ticket), now_nanos),
            Step::Record(event) => record(&mut job, event, now_nanos),
            Step::TakeFromPool => {
                let target = world.create_canister().expect("a canister");
                record(&mut job, Event::TargetTaken { target, is_new: true }, now_nanos);
            }
            Step::ReturnToPool { .. } => record(&mut job, Event::TargetReturned, now_nanos),
            Step::HandToPool { .. } => panic!("{label}: that build knew no recycling"),
            Step::Wait { until_nanos } => now_nanos = until_nanos,
            Step::Finished | Step::Parked => return job,
        }
        if !matches!(job.attempt().phase, decant_engine::Phase::Looked { .. }) {
            now_nanos += 1;
        }
    }
    panic!("{label}: it does not end: {job:?}");
}

#[test]
fn every_job_of_a_coordinator_of_the_first_format_goes_to_its_end_and_loses_nothing() {
    let mut ends = std::collections::BTreeMap::new();
    for (label, stored) in jobs() {
        if stored.state().is_ended() {
            continue;
        }
        let mut world = world(&stored);
        let committed = place(&stored).tag() >= 20 && !matches!(place(&stored), State::RollingBack { .. });
        let goes_back = matches!(place(&stored), State::RollingBack { .. });
        let job = ended(label, stored, &mut world);
        *ends.entry(job.state().name()).or_insert(0) += 1;
        let holder = match job.state() {
            State::Done { .. } if !goes_back => job.target().expect(label),
            State::RolledBack { .. } if !committed => job.source(),
            other => panic!("{label}: {other:?}"),
        };
        assert!(goes_back || matches!(job.state(), State::Done { .. }), "{label}: {:?}", job.state());
        let canister = &world.canisters[&holder];
        assert!(canister.accepts_writes(), "{label}: it serves: {canister:?}");
        assert!(canister.content.same_writes(world.users[0].model), "{label}: {canister:?}");
        assert!(world.routes.values().all(|routes| routes[&0] == holder), "{label}: {:?}", world.routes);
    }
    assert!(ends["done"] >= 25 && ends["rolled back"] >= 6, "{ends:?}");
}
