//! The driver of one job: what `canisters/coordinator` does, with faults at chosen calls.

use candid::Principal;
use decant_engine::{
    Effect, Entry, Event, Job, Limits, Outcome, Phase, PlanEssentials, Reason, ReasonCode, Retention, State,
    Step, Strategy, apply, next_step,
};

use crate::canister::Module;
use crate::checks::{always, at_rest};
use crate::prng::Prng;
use crate::world::{CANISTER_CYCLES, Trouble, World, indexes};

const MAX_STEPS: usize = 2_000;

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// It did nothing, and says that it may later.
    Transient,
    /// It is refused.
    Refused,
    /// It did nothing, and nobody knows.
    LostBefore,
    /// It did it, and nobody knows.
    LostAfter,
    /// The coordinator is upgraded: it will do it, before the next call to the same callee.
    Crash,
    /// It did it twice: only for what the engine repeats without a look.
    Twice,
    /// An operator aborts before it is sent.
    AbortBefore,
    /// An operator aborts while it is under way.
    Abort,
    /// The same, and its reply is lost though it did it.
    AbortLost,
    /// The same, and the coordinator is upgraded.
    AbortCrash,
}

impl Fault {
    /// Those after which the job comes to the same end.
    pub(crate) const HARMLESS: [Self; 5] =
        [Self::Transient, Self::LostBefore, Self::LostAfter, Self::Crash, Self::Twice];
    /// Those after which it may go back.
    pub(crate) const HARMFUL: [Self; 5] =
        [Self::Refused, Self::AbortBefore, Self::Abort, Self::AbortLost, Self::AbortCrash];

    pub(crate) fn all() -> impl Iterator<Item = Self> + Clone {
        Self::HARMLESS.into_iter().chain(Self::HARMFUL)
    }
}

/// What happened. A run that fails prints it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Journal(Vec<Entry>);

impl std::ops::Deref for Journal {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        &self.0
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for Entry { at_nanos, event } in &self.0 {
                let event = format!("{event:?}");
                println!("{at_nanos:>18} {}", event.get(..200).unwrap_or(&event));
            }
        }
    }
}

pub(crate) struct Run {
    pub(crate) world: World,
    pub(crate) enrolled: Job,
    pub(crate) job: Job,
    pub(crate) journal: Journal,
    /// Every call, and whether it was a look.
    pub(crate) calls: Vec<(Effect, bool)>,
    pub(crate) pool: Vec<Principal>,
    pub(crate) limits: Limits,
    pub(crate) now_nanos: u64,
    pub(crate) prng: Prng,
    /// Calls that are still on their way, whose replies nobody awaits.
    late: Vec<Effect>,
    /// How often a user writes between two moments, in a thousand.
    pub(crate) writes: u64,
    /// How often the job may wait for others in a row before the run ends.
    pub(crate) patience: u32,
}

/// Every strategy by vessel with every retention that it can have.
pub(crate) fn plans() -> Vec<(Strategy, Retention)> {
    let frozen = Retention::Frozen { seconds: 9 };
    let tombstone = Retention::Tombstone { module_hash: Module::Vessel.hash() };
    vec![
        (Strategy::Repack, Retention::None),
        (Strategy::Repack, frozen),
        (Strategy::RelocateVessel, Retention::None),
        (Strategy::RelocateVessel, frozen),
        (Strategy::RelocateVessel, tombstone),
    ]
}

impl Run {
    pub(crate) fn new((strategy, retention): (Strategy, Retention), trouble: Trouble, seed: u64) -> Self {
        let mut prng = Prng::new(seed);
        let foreign = if strategy == Strategy::Repack { prng.below(4) } else { 0 };
        let slowness = prng.next() % 600;
        let mut world = World::new(trouble, foreign, slowness);
        world.is_known = seed.is_multiple_of(3);
        // Some of those whose originals would be deleted give them to others.
        let is_deleted = strategy.has_target() && !matches!(retention, Retention::Tombstone { .. });
        let recycled = is_deleted && seed % 5 == 3;
        let plan = PlanEssentials {
            plan_id: 1,
            strategy,
            bucket_pages: 1,
            min_reclaimed_pages: 64,
            retention,
            has_asset_checks: false,
            rolls_back_on_lost_timer: false,
            recycled_with_cycles: recycled.then_some(CANISTER_CYCLES / 2),
            max_wait_seconds: None,
        };
        let enrolled = Job::new(1, world.source, indexes(), plan, 1_000).expect("a job that can be done");
        Self {
            world,
            job: enrolled.clone(),
            enrolled,
            journal: Journal::default(),
            calls: Vec::new(),
            pool: Vec::new(),
            limits: Limits::default(),
            now_nanos: 1_001,
            prng,
            late: Vec::new(),
            writes: 500,
            patience: 30,
        }
    }

    /// The same job, of a plan that goes back where a timer would be lost.
    pub(crate) fn roll_back_on_lost_timer(&mut self) {
        let plan = PlanEssentials { rolls_back_on_lost_timer: true, ..*self.enrolled.plan() };
        self.enrolled =
            Job::new(1, self.world.source, indexes(), plan, 1_000).expect("a job that can be done");
        self.job = self.enrolled.clone();
    }

    pub(crate) fn record(&mut self, event: Event) {
        let before = self.job.state().stage();
        apply(&mut self.job, event.clone(), self.now_nanos).expect("the driver applies what next_step says");
        self.journal.0.push(Entry { at_nanos: self.now_nanos, event });
        self.world.stage = self.job.state().stage();
        self.world.now_nanos = self.now_nanos;
        if before != self.world.stage && self.job.state().is_ended() {
            // What the end is known from: the job's own state, not the world's.
            self.world.stage = before;
        }
        always(self);
    }

    /// Users do what they do between any two moments.
    fn moment(&mut self) {
        for _ in 0..2 {
            if self.prng.permille(self.writes) {
                self.world.write(&mut self.prng);
            }
        }
        if self.prng.permille(self.writes) {
            self.world.finish_open_call();
        }
        self.now_nanos += 1;
        self.world.now_nanos = self.now_nanos;
        always(self);
    }

    /// What is still on its way to that callee arrives.
    fn arrive(&mut self, callee: Option<Principal>) {
        let is_due = |effect: &Effect| callee.is_none_or(|callee| effect.callee() == callee);
        let (due, late) = std::mem::take(&mut self.late).into_iter().partition(is_due);
        self.late = late;
        for effect in &due as &Vec<Effect> {
            self.world.execute(effect, &mut self.prng);
            always(self);
        }
    }

    fn abort(&mut self) -> bool {
        let mut asked = self.job.clone();
        let can = apply(&mut asked, Event::AbortRequested, self.now_nanos).is_ok();
        if can {
            self.record(Event::AbortRequested);
        }
        can
    }

    fn execute(&mut self, effect: &Effect) -> Outcome {
        self.arrive(Some(effect.callee()));
        let outcome = self.world.execute(effect, &mut self.prng);
        always(self);
        outcome
    }

    /// One step; `false`: there is none left. `fault` says what goes wrong with a call.
    pub(crate) fn step(&mut self, fault: &mut dyn FnMut(u32, &Effect, &Job) -> Fault) -> bool {
        // What follows of a look is sent in the message that received it.
        if !self.has_looked() {
            self.moment();
        }
        match next_step(&self.job, self.now_nanos, &self.limits) {
            Step::Call { ticket, effect, is_observation } => {
                let fault = fault(ticket, &effect, &self.job);
                if fault == Fault::AbortBefore && self.abort() {
                    return true;
                }
                self.record(Event::Started { ticket });
                self.calls.push((effect.clone(), is_observation));
                self.moment();
                if matches!(fault, Fault::Abort | Fault::AbortLost | Fault::AbortCrash) {
                    self.abort();
                }
                if let Some(outcome) = self.call(&effect, fault) {
                    self.moment();
                    self.record(Event::Replied { ticket, outcome });
                }
            }
            Step::InFlight { ticket } => self.record(Event::reply_lost(ticket)),
            Step::Record(event) => self.record(event),
            Step::TakeFromPool => {
                let is_new = self.pool.is_empty();
                if is_new {
                    self.pool.extend(self.world.create_canister());
                }
                let event = match self.pool.pop() {
                    Some(target) => Event::TargetTaken { target, is_new },
                    None => Event::PoolEmpty,
                };
                self.record(event);
            }
            Step::ReturnToPool { target } => {
                self.pool.push(target);
                self.record(Event::TargetReturned);
            }
            Step::HandToPool { source } => {
                self.pool.push(source);
                self.record(Event::SourceHandedOver);
            }
            Step::Wait { until_nanos } => self.now_nanos = until_nanos,
            Step::Finished | Step::Parked => return false,
        }
        true
    }

    /// Whether the next call goes out in the message that received a look.
    pub(crate) fn has_looked(&self) -> bool {
        self.job.attempt().phase == Phase::Looked { at_nanos: self.now_nanos }
    }

    /// `None`: nobody waits for the reply any more.
    fn call(&mut self, effect: &Effect, fault: Fault) -> Option<Outcome> {
        let lost = || Outcome::Unknown(ReasonCode::ReplyLost.into());
        Some(match fault {
            Fault::Nothing | Fault::AbortBefore | Fault::Abort => self.execute(effect),
            Fault::Transient => Outcome::Transient(ReasonCode::Rejected.into()),
            Fault::Refused => Outcome::Refused(Reason::new(ReasonCode::Rejected, "once")),
            Fault::LostBefore => lost(),
            Fault::LostAfter | Fault::AbortLost => {
                self.execute(effect);
                lost()
            }
            Fault::Twice if is_repeated(effect) => {
                let first = self.execute(effect);
                match self.execute(effect) {
                    Outcome::Refused(_) => first,
                    second => second,
                }
            }
            Fault::Twice => self.execute(effect),
            Fault::Crash | Fault::AbortCrash => {
                self.late.push(effect.clone());
                let mut bytes = Vec::new();
                ciborium::into_writer(&self.job, &mut bytes).expect("a job can be stored");
                let stored: Job = ciborium::from_reader(bytes.as_slice()).expect("it can be read");
                assert_eq!(stored, self.job);
                return None;
            }
        })
    }

    /// Runs until the job is at rest.
    pub(crate) fn run(&mut self, fault: &mut dyn FnMut(u32, &Effect, &Job) -> Fault) {
        self.run_beside(&mut |_| {}, fault);
    }

    /// The same, and somebody else does something before every step.
    pub(crate) fn run_beside(
        &mut self,
        beside: &mut dyn FnMut(&mut Self),
        fault: &mut dyn FnMut(u32, &Effect, &Job) -> Fault,
    ) {
        for _ in 0..MAX_STEPS {
            if !self.has_looked() {
                beside(self);
            }
            let gives_up = self.is_stuck() && !self.has_looked();
            if gives_up || !self.step(fault) {
                self.arrive(None);
                at_rest(self);
                return;
            }
        }
        panic!("promise 8: termination: {:?}", self.job);
    }

    /// Whether it has waited for others for so long that it does until they are mended.
    pub(crate) fn is_stuck(&self) -> bool {
        self.job.waits_for_others() && self.job.attempt().waits() >= self.patience
    }

    /// What is broken is mended. An operator calls `decant_retry` where the job is parked; it runs to its end.
    fn go_on(&mut self) {
        self.world.trouble = Trouble::Nothing;
        self.patience = 300;
        for _ in 0..4 {
            match self.reason().map(Reason::code).filter(|_| self.job.state().is_parked()) {
                // Two canisters may each hold what the other lacks: the one that users wrote to last goes on.
                Some(ReasonCode::WrittenSince) => self.keep_target(),
                Some(_) => self.record(Event::Retried),
                None => {}
            }
            self.run(&mut |_, _, _| Fault::Nothing);
        }
    }

    /// As the job's reason says: every index names the target, and the rest is skipped.
    pub(crate) fn keep_target(&mut self) {
        let target = self.job.target().expect("it is parked for its target");
        self.world.kept = Some(target);
        self.world.routes.values_mut().for_each(|route| *route = target);
        self.record(Event::Skipped);
    }

    /// It ends.
    pub(crate) fn mend(&mut self) {
        self.go_on();
        assert!(self.job.state().is_ended(), "promise 8: what is parked moves on: {:?}", self.job);
    }

    /// The same, where somebody else may have made it impossible: it ends, or stays parked and says why.
    pub(crate) fn try_to_mend(&mut self) {
        self.go_on();
        let says_why = self.job.explanation().is_some() || self.job.trouble().is_some();
        assert!(self.job.state().is_ended() || says_why, "{:?}", self.job);
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.job.state(), State::Done { .. })
    }

    /// Why it rolled back, or parked.
    pub(crate) fn reason(&self) -> Option<&Reason> {
        match self.job.state() {
            State::RolledBack { reason } | State::Parked { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

/// Whether the engine repeats it without a look: whatever else is sent twice finds out first.
fn is_repeated(effect: &Effect) -> bool {
    !matches!(
        effect,
        Effect::TakeSnapshot { .. }
            | Effect::UploadMetadata { .. }
            | Effect::Upgrade { .. }
            | Effect::InstallVessel { .. }
            | Effect::LoadSnapshot { .. }
    )
}
