//! What an operator asks about open jobs, counted by the one writer, so that no answer walks the jobs. Like the board it is
//! not stored: whoever starts makes it of the jobs. Jobs in line are counted by the board alone.

use decant_api::JobId;
use decant_engine::{Job, ReasonCode, Stage, State, Strategy, TimeNanos};
use std::collections::{BTreeMap, BTreeSet};

/// How it stands with a job that has a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// It waits for a person.
    Parked,
    /// It goes back.
    GoingBack,
    /// It goes on, and its last try met with that.
    Trying,
}

impl Standing {
    /// For people and labels.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::GoingBack => "going back",
            Self::Trying => "trying",
        }
    }
}

/// What was last seen of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    strategy: &'static str,
    state: &'static str,
    reason: Option<(Standing, ReasonCode)>,
    /// Since when its users wait.
    fenced_nanos: Option<TimeNanos>,
    is_committed: bool,
    is_back: bool,
}

/// A job came into another state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Where it was.
    pub(crate) from: &'static str,
    /// Whether it was past its commit point there.
    pub(crate) was_committed: bool,
    /// Whether it was on its way back there.
    pub(crate) was_back: bool,
}

/// All that was started and has not ended.
#[derive(Debug, Default)]
pub(crate) struct Census {
    seen: BTreeMap<JobId, Seen>,
    states: BTreeMap<(&'static str, &'static str), u64>,
    reasons: BTreeMap<(Standing, ReasonCode), BTreeSet<JobId>>,
    fenced: BTreeSet<(TimeNanos, JobId)>,
}

impl Census {
    /// What a job says of itself now; answers whether it came into another state.
    pub(crate) fn put(&mut self, job: &Job) -> Option<Moved> {
        let before = self.take(job.id());
        let from = before.map_or(State::Queued.name(), |seen| seen.state);
        let now = job.state().name();
        if !job.state().is_ended() && *job.state() != State::Queued {
            self.set(job.id(), seen(job));
        }
        let was_committed = before.is_some_and(|seen| seen.is_committed);
        let was_back = before.is_some_and(|seen| seen.is_back);
        (from != now).then_some(Moved { from, was_committed, was_back })
    }

    /// A job that nobody can read any more.
    pub(crate) fn forget(&mut self, id: JobId) {
        self.take(id);
    }

    /// Jobs by strategy and state.
    pub(crate) fn states(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        self.states.iter().map(|((strategy, state), count)| (*strategy, *state, *count))
    }

    /// Jobs by how they stand and why; the first ones of each, and how many there are.
    pub(crate) fn reasons(&self, first: usize) -> Vec<(Standing, ReasonCode, u64, Vec<JobId>)> {
        let one = |((standing, code), jobs): (&(Standing, ReasonCode), &BTreeSet<JobId>)| {
            (*standing, *code, jobs.len() as u64, jobs.iter().take(first).copied().collect())
        };
        self.reasons.iter().map(one).collect()
    }

    /// The job whose users wait longest, and since when; and how many jobs' users wait.
    pub(crate) fn fenced(&self) -> (Option<(TimeNanos, JobId)>, u64) {
        (self.fenced.first().copied(), self.fenced.len() as u64)
    }

    fn set(&mut self, id: JobId, seen: Seen) {
        *self.states.entry((seen.strategy, seen.state)).or_default() += 1;
        if let Some(reason) = seen.reason {
            self.reasons.entry(reason).or_default().insert(id);
        }
        if let Some(fenced_nanos) = seen.fenced_nanos {
            self.fenced.insert((fenced_nanos, id));
        }
        self.seen.insert(id, seen);
    }

    fn take(&mut self, id: JobId) -> Option<Seen> {
        let seen = self.seen.remove(&id)?;
        let key = (seen.strategy, seen.state);
        match self.states.get(&key).copied().unwrap_or_default().saturating_sub(1) {
            0 => self.states.remove(&key),
            count => self.states.insert(key, count),
        };
        if let Some(reason) = seen.reason
            && let Some(jobs) = self.reasons.get_mut(&reason)
        {
            jobs.remove(&id);
            if jobs.is_empty() {
                self.reasons.remove(&reason);
            }
        }
        if let Some(fenced_nanos) = seen.fenced_nanos {
            self.fenced.remove(&(fenced_nanos, id));
        }
        Some(seen)
    }
}

fn seen(job: &Job) -> Seen {
    let standing = match job.state().stage() {
        _ if job.state().is_parked() => Standing::Parked,
        Stage::RollingBack => Standing::GoingBack,
        Stage::BeforeCommit | Stage::AfterCommit | Stage::Reverting | Stage::Ended => Standing::Trying,
    };
    let times = job.times();
    Seen {
        strategy: strategy_name(job.plan().strategy),
        state: job.state().name(),
        reason: job.reason_code().map(|code| (standing, code)),
        fenced_nanos: times.fenced_nanos.filter(|_| job.keeps_users()),
        is_committed: is_committed(job),
        is_back: job.state().stage() == Stage::RollingBack,
    }
}

/// Whether a job is past its commit point.
pub(super) fn is_committed(job: &Job) -> bool {
    job.times().committed_nanos.is_some()
}

/// For labels.
pub(crate) fn strategy_name(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Relocate { .. } => "relocate",
        Strategy::Repack => "repack",
        Strategy::RelocateVessel => "relocate_vessel",
        Strategy::OldRepack | Strategy::OldRelocateSnapshot { .. } => "of_an_earlier_build",
    }
}
