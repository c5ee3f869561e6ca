//! Which open job is where, and when somebody must look at it. It is not stored: a driver that starts makes it of its jobs,
//! so that it can't say anything else than they do. An ended job is nowhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Job, JobId, Limits, Stage, State, Step, TimeNanos, VesselState, next_step};

const SECOND_NANOS: u64 = 1_000_000_000;
/// Until a job is looked at that somebody drives, or should.
pub const WATCH_NANOS: TimeNanos = 10 * SECOND_NANOS;
/// Longest time between two looks at a job that can't be driven: a message that traps costs what it computed.
const WATCH_CAP_NANOS: u64 = 3_600 * SECOND_NANOS;

/// Where an open job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In line.
    Queued,
    /// On its way, in one of the slots of its plan.
    Working,
    /// In retention, or between tries at something that does not answer: it costs nothing, and has no slot unless users wait
    /// for it.
    Waiting,
    /// Until a person decides.
    Parked,
    /// Its record can't be read: it is reported, and nobody touches it.
    Aside,
}

impl Place {
    /// Where a job is by what it says of itself; an ended one is nowhere.
    fn of(job: &Job) -> Option<Self> {
        Some(match job.state() {
            state if state.is_ended() => return None,
            State::Queued if job.counters().calls == 0 => Self::Queued,
            State::Parked { .. } => Self::Parked,
            State::Retaining { .. } | State::Vessel(VesselState::Retaining { .. }) => Self::Waiting,
            _ if job.waits_for_others() => Self::Waiting,
            _ => Self::Working,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spot {
    place: Place,
    plan_id: u64,
    wants_target: bool,
    lacks_target: bool,
    keeps_users: bool,
    waits_for_others: bool,
    /// Whether its end gives a canister to the pool: its original, or its target where it goes back.
    gives_back: bool,
    due_nanos: Option<TimeNanos>,
    /// Looks in a row after which nothing had become of it.
    idle_looks: u32,
}

/// What jobs of a plan are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Counted {
    In(Place),
    InSlot,
    Unsettled,
    WantsTarget,
    LacksTarget,
    GivesBack,
}

impl Spot {
    fn counted(&self) -> impl Iterator<Item = Counted> + use<> {
        let is_driven = matches!(self.place, Place::Working | Place::Waiting);
        let all = [
            (Counted::In(self.place), true),
            (Counted::InSlot, self.place == Place::Working || self.keeps_users),
            (Counted::Unsettled, self.waits_for_others),
            (Counted::WantsTarget, self.wants_target),
            (Counted::LacksTarget, self.lacks_target && self.place != Place::Queued),
            (Counted::GivesBack, self.gives_back && is_driven),
        ];
        all.into_iter().filter_map(|(counted, is_it)| is_it.then_some(counted))
    }
}

/// All open jobs.
#[derive(Debug, Default)]
pub struct Board {
    spots: BTreeMap<JobId, Spot>,
    queued: BTreeSet<(u64, JobId)>,
    due: BTreeSet<(TimeNanos, JobId)>,
    counts: BTreeMap<(u64, Counted), u64>,
}

/// The jobs of one plan that were started and have not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Those that are driven.
    pub working: u64,
    /// Those that have a slot: they are driven, or keep users waiting, whoever they wait for themselves. What no canister
    /// answers keeps as many users waiting as may be at a time, and not the whole fleet.
    pub in_slots: u64,
    /// Those that wait for somebody who does not answer.
    pub unsettled: u64,
    /// All of them: working, waiting, parked, aside.
    pub open: u64,
    /// Those that nobody drives until a person decides: parked, or aside.
    pub stuck: u64,
    /// Those that will want a canister of the pool, and have none yet.
    pub lacking: u64,
    /// Those whose end, which nobody has to bring about, gives a canister to the pool.
    pub giving: u64,
}

impl Board {
    /// The only way in, out, and from place to place: what the job says of itself.
    pub fn put(&mut self, job: &Job) {
        let before = self.take(job.id());
        let Some(place) = Place::of(job) else { return };
        let (plan_id, wants_target) = (job.plan().plan_id, matches!(job.state(), State::Admitted { .. }));
        let lacks_target = job.plan().strategy.has_target()
            && job.target().is_none()
            && job.state().stage() == Stage::BeforeCommit;
        let keeps_users = job.keeps_users();
        let waits_for_others = place == Place::Waiting && job.waits_for_others();
        let recycles = job.plan().recycled_with_cycles.is_some();
        let gives_back = recycles && job.target().is_some() && !job.waits_for_others();
        let kept = before.filter(|spot| spot.place == place).and_then(|spot| spot.due_nanos);
        let due_nanos = match place {
            Place::Queued | Place::Parked | Place::Aside => None,
            Place::Working | Place::Waiting => kept.or_else(|| Some(due_nanos(job))),
        };
        // It was started, and is still as it was in line.
        let is_started = place == Place::Queued && before.is_some_and(|spot| spot.place == Place::Working);
        let (place, due_nanos) = match is_started {
            true => (Place::Working, before.and_then(|spot| spot.due_nanos)),
            false => (place, due_nanos),
        };
        let spot = Spot {
            place,
            plan_id,
            wants_target,
            lacks_target,
            keeps_users,
            waits_for_others,
            due_nanos,
            gives_back,
            idle_looks: 0,
        };
        self.set(job.id(), spot);
    }

    /// A job whose record can't be read.
    pub fn set_aside(&mut self, id: JobId) {
        let plan_id = self.take(id).map_or(0, |spot| spot.plan_id);
        let spot = Spot {
            place: Place::Aside,
            plan_id,
            wants_target: false,
            lacks_target: false,
            keeps_users: false,
            waits_for_others: false,
            gives_back: false,
            due_nanos: None,
            idle_looks: 0,
        };
        self.set(id, spot);
    }

    /// Starts the first job of each plan's line while `may_start` says so of its plan and the jobs that it has under way.
    pub fn start(&mut self, mut may_start: impl FnMut(u64, Load) -> bool, now_nanos: TimeNanos) {
        let mut plan_id = 0;
        while let Some((next, id)) = self.queued.range((plan_id, 0)..).next().copied() {
            if may_start(next, self.load(next)) {
                plan_id = next;
                self.change(id, |spot| {
                    (spot.place, spot.due_nanos) = (Place::Working, Some(now_nanos));
                });
            } else {
                plan_id = next.saturating_add(1);
            }
        }
    }

    /// Jobs that are due, at most so many, in the order in which they became so. They are looked at again later, unless
    /// whoever drives them says when: a message that traps can't say anything.
    pub fn take_due(
        &mut self,
        now_nanos: TimeNanos,
        is_driven: impl Fn(JobId) -> bool,
        limit: usize,
    ) -> Vec<JobId> {
        let due: Vec<JobId> = self.due.range(..=(now_nanos, JobId::MAX)).map(|(_, id)| *id).collect();
        let mut taken = Vec::new();
        for id in due {
            if taken.len() >= limit {
                break;
            }
            if is_driven(id) {
                self.due_at(id, Some(now_nanos.saturating_add(WATCH_NANOS)));
            } else {
                self.change(id, |spot| {
                    let factor = 1_u64.checked_shl(spot.idle_looks).unwrap_or(u64::MAX);
                    let wait_nanos = WATCH_NANOS.saturating_mul(factor).min(WATCH_CAP_NANOS);
                    spot.due_nanos = Some(now_nanos.saturating_add(wait_nanos));
                    spot.idle_looks = spot.idle_looks.saturating_add(1);
                });
                taken.push(id);
            }
        }
        taken
    }

    /// Says when a job that works or waits is to be looked at.
    pub fn due_at(&mut self, id: JobId, due_nanos: Option<TimeNanos>) {
        self.change(id, |spot| {
            if matches!(spot.place, Place::Working | Place::Waiting) {
                (spot.due_nanos, spot.idle_looks) = (due_nanos, 0);
            }
        });
    }

    /// All jobs that work are to be looked at.
    pub fn wake_working(&mut self, now_nanos: TimeNanos) {
        let working: Vec<JobId> =
            self.spots.iter().filter(|(_, spot)| spot.place == Place::Working).map(|(id, _)| *id).collect();
        for id in working {
            self.due_at(id, Some(now_nanos));
        }
    }

    /// When the next job is due.
    pub fn first_due(&self) -> Option<TimeNanos> {
        self.due.first().map(|(due_nanos, _)| *due_nanos)
    }

    /// Where a job is.
    pub fn place(&self, id: JobId) -> Option<Place> {
        self.spots.get(&id).map(|spot| spot.place)
    }

    /// The plan of an open job.
    pub fn plan_of(&self, id: JobId) -> Option<u64> {
        self.spots.get(&id).map(|spot| spot.plan_id)
    }

    /// What a plan has under way.
    pub fn load(&self, plan_id: u64) -> Load {
        let started = [Place::Working, Place::Waiting, Place::Parked, Place::Aside];
        Load {
            working: self.count(plan_id, Place::Working),
            in_slots: self.counted(plan_id, Counted::InSlot),
            unsettled: self.counted(plan_id, Counted::Unsettled),
            open: started.iter().map(|place| self.count(plan_id, *place)).sum(),
            stuck: self.count(plan_id, Place::Parked) + self.count(plan_id, Place::Aside),
            lacking: self.counted(plan_id, Counted::LacksTarget),
            giving: self.counted(plan_id, Counted::GivesBack),
        }
    }

    /// The first jobs in the line of a plan.
    pub fn line(&self, plan_id: u64, limit: usize) -> Vec<JobId> {
        self.queued.range((plan_id, 0)..=(plan_id, JobId::MAX)).take(limit).map(|(_, id)| *id).collect()
    }

    /// Plans with open jobs.
    pub fn plans(&self) -> BTreeSet<u64> {
        self.counts.keys().map(|(plan_id, _)| *plan_id).collect()
    }

    /// Open jobs in a place, of one plan.
    pub fn count(&self, plan_id: u64, place: Place) -> u64 {
        self.counted(plan_id, Counted::In(place))
    }

    /// Open jobs in a place.
    pub fn count_all(&self, place: Place) -> u64 {
        self.counts.iter().filter(|((_, of), _)| *of == Counted::In(place)).map(|(_, count)| count).sum()
    }

    /// Jobs of a plan that wait for a canister of the pool.
    pub fn wanting(&self, plan_id: u64) -> usize {
        usize::try_from(self.counted(plan_id, Counted::WantsTarget)).unwrap_or(usize::MAX)
    }

    /// Jobs of a plan that work.
    pub fn working(&self, plan_id: u64) -> Vec<JobId> {
        let is_it = |spot: &Spot| spot.place == Place::Working && spot.plan_id == plan_id;
        self.spots.iter().filter(|(_, spot)| is_it(spot)).map(|(id, _)| *id).collect()
    }

    /// Open jobs, after one, in order.
    pub fn open_after(&self, after: JobId) -> impl Iterator<Item = (JobId, u64, Place)> + '_ {
        let range = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        self.spots.range(range).map(|(id, spot)| (*id, spot.plan_id, spot.place))
    }

    fn counted(&self, plan_id: u64, counted: Counted) -> u64 {
        self.counts.get(&(plan_id, counted)).copied().unwrap_or_default()
    }

    fn change(&mut self, id: JobId, change: impl FnOnce(&mut Spot)) {
        if let Some(mut spot) = self.take(id) {
            change(&mut spot);
            self.set(id, spot);
        }
    }

    fn take(&mut self, id: JobId) -> Option<Spot> {
        let spot = self.spots.remove(&id)?;
        self.queued.remove(&(spot.plan_id, id));
        if let Some(due_nanos) = spot.due_nanos {
            self.due.remove(&(due_nanos, id));
        }
        for counted in spot.counted() {
            let key = (spot.plan_id, counted);
            match self.counted(key.0, key.1).saturating_sub(1) {
                0 => self.counts.remove(&key),
                count => self.counts.insert(key, count),
            };
        }
        Some(spot)
    }

    fn set(&mut self, id: JobId, spot: Spot) {
        if spot.place == Place::Queued {
            self.queued.insert((spot.plan_id, id));
        }
        if let Some(due_nanos) = spot.due_nanos {
            self.due.insert((due_nanos, id));
        }
        for counted in spot.counted() {
            *self.counts.entry((spot.plan_id, counted)).or_default() += 1;
        }
        self.spots.insert(id, spot);
    }
}

/// When a job says that it is to be looked at: when it was kept, or waited, long enough, and otherwise at once.
fn due_nanos(job: &Job) -> TimeNanos {
    match next_step(job, 0, &Limits::default()) {
        Step::Wait { until_nanos } => until_nanos,
        _ => 0,
    }
}
