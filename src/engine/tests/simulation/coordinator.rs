//! The driver of a coordinator: what `canisters/coordinator` does, with a network that misbehaves.

use candid::Principal;
use decant_engine::{
    Board, Delivery, Digest, Effect, Entry, Event, Job, JobId, Limits, Outcome, Phase, PlanEssentials,
    Reason, ReasonCode, Retention, State, Step, Strategy, apply, next_step,
};

use crate::canister::Module;
use crate::prng::Prng;
use crate::world::{CANISTER_CYCLES, Trouble, World, principal};

pub(crate) const SECOND_NANOS: u64 = 1_000_000_000;

/// How long an emptied original is nobody's.
const QUARANTINE_NANOS: u64 = 600 * SECOND_NANOS;

/// How the network misbehaves, in a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Chaos {
    pub(crate) reject: u64,
    pub(crate) lose: u64,
    pub(crate) crash: u64,
    pub(crate) abort: u64,
    pub(crate) revert: u64,
}

/// A call on its way. Those to the same callee are executed in the order in which they were sent.
struct Message {
    job: JobId,
    ticket: u32,
    effect: Effect,
    outcome: Option<Outcome>,
    /// Nobody waits for the reply any more.
    is_forgotten: bool,
}

pub(crate) struct Tracked {
    pub(crate) enrolled: Job,
    pub(crate) job: Job,
    pub(crate) journal: Vec<Entry>,
    /// The job after each entry, if that is wanted.
    pub(crate) history: Vec<Job>,
}

pub(crate) struct Coordinator {
    pub(crate) jobs: Vec<Tracked>,
    pub(crate) pool: Vec<Principal>,
    /// Emptied originals, and until when nobody gets them.
    pub(crate) quarantined: Vec<(Principal, u64)>,
    /// Canisters that were created.
    pub(crate) created: usize,
    /// Jobs at a time.
    pub(crate) in_flight: usize,
    pub(crate) limits: Limits,
    pub(crate) now_nanos: u64,
    pub(crate) has_history: bool,
    messages: Vec<Message>,
    stale: Vec<(JobId, u32, Outcome)>,
    has_no_cycles: bool,
    /// Whether it goes on for however long jobs wait for others.
    pub(crate) is_patient: bool,
    /// Which job is where.
    pub(crate) board: Board,
}

/// A failing run tells its seed's history.
impl Drop for Coordinator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for tracked in &self.jobs {
                println!("job {}, {:?}", tracked.job.id(), tracked.job.state());
                for Entry { at_nanos, event } in &tracked.journal {
                    let event = format!("{event:?}");
                    println!("{at_nanos:>18} {}", event.get(..200).unwrap_or(&event));
                }
            }
        }
    }
}

pub(crate) fn plan(retention: Retention) -> PlanEssentials {
    PlanEssentials {
        plan_id: 1,
        strategy: Strategy::Relocate { module_hash: Module::Compact.hash(), precopy_min_pages: None },
        bucket_pages: 1,
        min_reclaimed_pages: 64,
        retention,
        has_asset_checks: false,
        rolls_back_on_lost_timer: false,
        recycled_with_cycles: None,
        max_wait_seconds: None,
    }
}

/// The plan, which recycles.
pub(crate) fn recycling(plan: PlanEssentials) -> PlanEssentials {
    PlanEssentials { recycled_with_cycles: Some(CANISTER_CYCLES / 2), ..plan }
}

/// The plan, with pre-copy.
pub(crate) fn precopied(plan: PlanEssentials) -> PlanEssentials {
    let strategy = Strategy::Relocate { module_hash: Module::Compact.hash(), precopy_min_pages: Some(1) };
    PlanEssentials { strategy, ..plan }
}

pub(crate) fn tombstone_hash() -> Digest {
    Module::Tombstone.hash()
}

impl Coordinator {
    pub(crate) fn new(world: &World, plan: PlanEssentials) -> Self {
        let now_nanos = 1_000 * SECOND_NANOS;
        let indexes: Vec<_> = world.routes.keys().copied().collect();
        let enrol = |(number, source)| {
            let enrolled =
                Job::new(number as u64 + 1, source, indexes.clone(), plan, now_nanos).expect("a job");
            Tracked { job: enrolled.clone(), enrolled, journal: Vec::new(), history: Vec::new() }
        };
        let mut board = Board::default();
        let jobs: Vec<Tracked> = world.users.iter().map(|user| user.source).enumerate().map(enrol).collect();
        jobs.iter().for_each(|tracked| board.put(&tracked.job));
        Self {
            jobs,
            board,
            pool: Vec::new(),
            quarantined: Vec::new(),
            created: 0,
            in_flight: usize::MAX,
            limits: Limits::default(),
            now_nanos,
            has_history: false,
            messages: Vec::new(),
            stale: Vec::new(),
            has_no_cycles: false,
            is_patient: false,
        }
    }

    pub(crate) fn record(&mut self, position: usize, event: Event) {
        let tracked = &mut self.jobs[position];
        apply(&mut tracked.job, event.clone(), self.now_nanos)
            .expect("the driver applies what next_step says");
        self.board.put(&tracked.job);
        tracked.journal.push(Entry { at_nanos: self.now_nanos, event });
        if self.has_history {
            tracked.history.push(tracked.job.clone());
        }
    }

    pub(crate) fn is_at_rest(&self) -> bool {
        self.jobs.iter().all(|it| {
            let state = it.job.state();
            state.is_ended() || state.is_parked() || (is_stuck(&it.job) && !self.is_patient)
        })
    }

    fn is_under_way(&self, position: usize) -> bool {
        let job = &self.jobs[position].job;
        job.counters().calls > 0 && !job.state().is_ended() && !job.state().is_parked() && !is_stuck(job)
    }

    /// A canister for a job: one that comes out of quarantine before one that is created, and none more than there are jobs
    /// at a time.
    fn hire(&mut self, position: usize, world: &mut World) -> Event {
        let now_nanos = self.now_nanos;
        let is_due = |(_, until_nanos): &(Principal, u64)| *until_nanos <= now_nanos;
        if let Some(due) = self.quarantined.iter().position(is_due) {
            self.pool.push(self.quarantined.remove(due).0);
        }
        let plan = self.jobs[position].job.plan();
        let giving = self.board.load(plan.plan_id).giving as usize;
        let may_create = match plan.recycled_with_cycles {
            None => true,
            Some(_) => self.quarantined.len() + giving < self.in_flight,
        };
        let is_new = self.pool.is_empty() && may_create;
        if is_new {
            self.pool.extend(world.create_canister());
            self.created += self.pool.len();
        }
        match self.pool.pop() {
            Some(target) => Event::TargetTaken { target, is_new },
            None => Event::PoolEmpty,
        }
    }

    /// A turn of the timer for one job.
    pub(crate) fn drive(&mut self, position: usize, world: &mut World) -> Option<u64> {
        let is_in_line =
            self.jobs[position].job.counters().calls == 0 && !self.jobs[position].job.state().is_ended();
        let under_way = (0..self.jobs.len()).filter(|other| self.is_under_way(*other)).count();
        if is_in_line && under_way >= self.in_flight {
            return None;
        }
        match next_step(&self.jobs[position].job, self.now_nanos, &self.limits) {
            Step::Call { ticket, effect, .. } => {
                self.record(position, Event::Started { ticket });
                let job = self.jobs[position].job.id();
                self.messages.push(Message { job, ticket, effect, outcome: None, is_forgotten: false });
            }
            Step::Record(event) => self.record(position, event),
            Step::InFlight { ticket } => {
                let job = self.jobs[position].job.id();
                let is_awaited =
                    self.messages.iter().any(|it| it.job == job && it.ticket == ticket && !it.is_forgotten);
                if !is_awaited {
                    self.record(position, Event::reply_lost(ticket));
                }
            }
            Step::TakeFromPool => {
                let event = self.hire(position, world);
                self.record(position, event);
            }
            Step::HandToPool { source } => {
                self.quarantined.push((source, self.now_nanos + QUARANTINE_NANOS));
                self.record(position, Event::SourceHandedOver);
            }
            Step::ReturnToPool { target } => {
                self.pool.push(target);
                self.record(position, Event::TargetReturned);
            }
            Step::Wait { until_nanos } => return Some(until_nanos),
            Step::Finished | Step::Parked => return None,
        }
        Some(self.now_nanos)
    }

    /// A call is executed, or its reply arrives, or neither.
    pub(crate) fn network(&mut self, world: &mut World, chaos: Chaos, prng: &mut Prng) {
        if self.messages.is_empty() {
            return;
        }
        let position = prng.below(self.messages.len());
        if let Some(outcome) = self.messages[position].outcome.clone() {
            let message = self.messages.remove(position);
            if message.is_forgotten {
                self.stale.push((message.job, message.ticket, outcome));
            } else {
                self.reply(&message, outcome, world);
            }
            return;
        }
        let message = &self.messages[position];
        let is_best_effort = message.effect.delivery() == Delivery::BestEffort;
        if world.trouble == Trouble::NoCycles && self.jobs.iter().any(|it| it.job.state().tag() >= 10) {
            self.has_no_cycles = true;
        }
        let has_no_cycles = self.has_no_cycles && world.trouble == Trouble::NoCycles;
        if !message.is_forgotten && (has_no_cycles || prng.permille(chaos.reject)) {
            let code = if has_no_cycles { ReasonCode::NotSent } else { ReasonCode::Rejected };
            self.messages[position].outcome = Some(Outcome::Transient(code.into()));
        } else if is_best_effort && prng.permille(chaos.lose) {
            // Nobody knows: it may be dropped, done, or still be done later.
            let unknown = Outcome::Unknown(Reason::new(ReasonCode::ReplyLost, "simulated"));
            match prng.below(3) {
                0 => {
                    let message = self.messages.remove(position);
                    if !message.is_forgotten {
                        self.reply(&message, unknown, world);
                    }
                }
                1 => {
                    self.execute(position, world, prng);
                    if !self.messages[position].is_forgotten {
                        self.messages[position].outcome = Some(unknown);
                    }
                }
                _ if !self.messages[position].is_forgotten => {
                    let (job, ticket) = (self.messages[position].job, self.messages[position].ticket);
                    self.messages[position].is_forgotten = true;
                    self.settle(job, ticket, unknown, world);
                }
                _ => {}
            }
        } else {
            self.execute(position, world, prng);
        }
    }

    /// Executes a message, and before it those to the same callee that were sent earlier.
    fn execute(&mut self, position: usize, world: &mut World, prng: &mut Prng) {
        let callee = self.messages[position].effect.callee();
        for earlier in 0..=position {
            let message = &mut self.messages[earlier];
            if message.effect.callee() == callee && message.outcome.is_none() {
                message.outcome = Some(world.execute(message.job, &message.effect, prng));
            }
        }
    }

    /// What is still on its way arrives.
    pub(crate) fn flush(&mut self, world: &mut World, prng: &mut Prng) {
        for position in 0..self.messages.len() {
            self.execute(position, world, prng);
        }
        self.messages.clear();
    }

    fn reply(&mut self, message: &Message, outcome: Outcome, world: &mut World) {
        self.settle(message.job, message.ticket, outcome, world);
    }

    /// A reply, and in the same message what follows of a look.
    fn settle(&mut self, job: JobId, ticket: u32, outcome: Outcome, world: &mut World) {
        let position = job as usize - 1;
        self.record(position, Event::Replied { ticket, outcome });
        if let Phase::Looked { .. } = self.jobs[position].job.attempt().phase {
            self.drive(position, world);
        }
    }

    /// The coordinator is upgraded, or a callback traps: what it awaited is forgotten, not undone.
    pub(crate) fn crash(&mut self, prng: &mut Prng) {
        for message in &mut self.messages {
            message.is_forgotten = true;
        }
        self.messages.retain(|it| it.effect.delivery() == Delivery::Guaranteed || !prng.permille(300));
        for tracked in &mut self.jobs {
            let mut bytes = Vec::new();
            ciborium::into_writer(&tracked.job, &mut bytes).expect("a job can be stored");
            let stored: Job = ciborium::from_reader(bytes.as_slice()).expect("a stored job can be read");
            assert_eq!(stored, tracked.job);
            tracked.job = stored;
        }
    }

    /// Promise 4: a reply that comes after it was given up changes nothing.
    pub(crate) fn deliver_stale(&mut self) {
        for (job, ticket, outcome) in std::mem::take(&mut self.stale) {
            let tracked = &mut self.jobs[job as usize - 1];
            let is_under_way =
                tracked.job.attempt().phase.is_in_flight() && tracked.job.counters().calls == ticket;
            if !is_under_way {
                let before = tracked.job.clone();
                apply(&mut tracked.job, Event::Replied { ticket, outcome }, self.now_nanos)
                    .expect_err("promise 4: a late reply is refused");
                assert_eq!(before, tracked.job);
            }
        }
    }

    /// An operator wants something of a job, which takes it or says why not.
    pub(crate) fn command(&mut self, event: Event, prng: &mut Prng) {
        let position = prng.below(self.jobs.len());
        let mut asked = self.jobs[position].job.clone();
        if apply(&mut asked, event.clone(), self.now_nanos).is_ok() {
            self.record(position, event);
        }
    }

    /// Whether a call is on its way that takes the canister, its code, or its fence; or an answer to a look at it, after which such a call
    /// is sent at once.
    pub(crate) fn is_about_to_take(&self, canister: Principal) -> bool {
        self.messages.iter().filter(|it| it.effect.subject() == canister).any(|it| match it.effect {
            Effect::Delete { .. }
            | Effect::Uninstall { .. }
            | Effect::Install { .. }
            | Effect::Thaw { .. } => it.outcome.is_none(),
            Effect::CanisterStatus { .. } | Effect::Look { .. } => it.outcome.is_some(),
            _ => false,
        })
    }

    /// What is broken is mended; the operator calls `decant_retry` for what is parked.
    pub(crate) fn retry(&mut self) {
        (self.has_no_cycles, self.is_patient) = (false, true);
        for position in 0..self.jobs.len() {
            if let State::Parked { reason, .. } = self.jobs[position].job.state()
                && reason.code() != ReasonCode::ChangedAfterSeal
            {
                self.record(position, Event::Retried);
            }
        }
    }
}

/// Whether it has waited for others for so long that it does until they are mended.
pub(crate) fn is_stuck(job: &Job) -> bool {
    job.waits_for_others() && job.attempt().waits() >= 30
}

/// The index of that number.
pub(crate) fn index(number: u64) -> Principal {
    principal(2, number)
}
