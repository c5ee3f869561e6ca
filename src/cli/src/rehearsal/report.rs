//! What a rehearsal measured.

use super::account::{Findings, deletes_originals};
use super::drive::Driven;
use super::log::Passage;
use super::world::target_cycles;
use super::{Generation, Options, Phase, Retention, Strategy};
use crate::text;
use decant_api::JobId;
use decant_api::jobs::{JobView, Outcome};
use serde::Serialize;
use std::fmt;

/// The figures of a rehearsal, all of them measured on the engine.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// `embedded` or `pocket-ic`.
    pub engine: String,
    /// `relocate`, `repack` or `relocate-vessel`.
    pub strategy: String,
    /// Canisters of the fleet.
    pub canisters: u32,
    /// Bytes of all users' state as CBOR.
    pub state_bytes: u64,
    /// Stable memory of the raw fleet.
    pub stable_bytes_before: u64,
    /// Stable memory after the upgrade that bloats.
    pub stable_bytes_bloated: u64,
    /// Stable memory of users' canisters, and of originals that are kept, in the end.
    pub stable_bytes_after: u64,
    /// Jobs that are done.
    pub relocated: u64,
    /// Jobs that were rolled back.
    pub rolled_back: u64,
    /// Jobs that wait for somebody.
    pub parked: u64,
    /// Users whose canister holds, field by field, what the model expects.
    pub verified: u64,
    /// Users of whom something is missing or different.
    pub lost: u64,
    /// Originals that do not exist any more.
    pub originals_deleted: u64,
    /// Canisters that nobody owns.
    pub orphans: u64,
    /// Routes and old ids that do not lead to the state.
    pub routes_wrong: u64,
    /// Cycles that all canisters together have less, by job.
    pub cycles_per_job: u128,
    /// Cycles that originals sent to their targets.
    pub cycles_drained: u128,
    /// Cycles that the deletion of originals burned.
    pub cycles_burned_by_deletion: u128,
    /// Calls by coordinator and targets, by job.
    pub update_messages_per_job: f64,
    /// Bytes of frames by byte of state.
    pub wire_bytes_per_state_byte: f64,
    /// Most rounds that a user's canister took no updates.
    pub fenced_rounds_max: u64,
    /// Rounds that each job's canister took no updates.
    #[serde(skip)]
    pub fenced_rounds: Vec<u64>,
    /// The job that took as long as half of them, part by part.
    pub typical_job: Vec<Part>,
    /// A job in the middle of those whose whole way the coordinator's log has, state by state.
    pub states: Vec<Part>,
    /// Cycles that the coordinator spent by job on creations and calls, what targets got not counted.
    pub coordinator_cycles_per_job: u128,
    /// Writes that met a fence.
    pub write_attempts_while_fenced: u64,
    /// Pages beyond what promise 7 allows.
    pub compact_excess_pages: u64,
    /// Snapshots that users' canisters still have.
    pub snapshots_left: u64,
    /// Days until the memory that came free has saved what a job cost, by what idle canisters burn; nothing if
    /// none came free.
    pub payback_days: Option<f64>,
    /// Rounds of the relocation.
    pub rounds: u64,
    /// Time of the whole rehearsal.
    pub wall_seconds: f64,
    /// Where the time went.
    pub phases: Vec<Phase>,
    /// What is not well, in words.
    pub complaints: Vec<String>,
    #[serde(skip)]
    pub(crate) must_delete: bool,
    #[serde(skip)]
    pub(crate) may_grow: bool,
}

/// A part of a job, in the time of the network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// What happens in it.
    pub name: String,
    /// How long it takes.
    pub seconds: f64,
}

/// Of the job whose time from enrolment to its end is the median, the parts that it has.
fn typical_job(jobs: &[JobView]) -> Vec<Part> {
    let mut ended: Vec<(u64, &JobView)> = jobs
        .iter()
        .filter_map(|job| Some((job.ended_nanos?.saturating_sub(job.enrolled_nanos), job)))
        .collect();
    ended.sort_by_key(|(nanos, job)| (*nanos, job.id));
    let Some((_, job)) = ended.get(ended.len() / 2) else { return Vec::new() };
    let moments = [
        ("in line, target made ready", Some(job.enrolled_nanos)),
        ("users can't write", job.fenced_nanos),
        ("users write again, clean-up", job.served_nanos),
        ("", job.ended_nanos),
    ];
    let moments: Vec<(&str, u64)> =
        moments.into_iter().filter_map(|(name, nanos)| Some((name, nanos?))).collect();
    moments
        .windows(2)
        .map(|pair| Part {
            name: pair[0].0.to_owned(),
            seconds: pair[1].1.saturating_sub(pair[0].1) as f64 / 1e9,
        })
        .collect()
}

/// Of a job in the middle of those whose whole way is there, how long it was in each state.
fn states(log: &[Passage]) -> Vec<Part> {
    let begun: Vec<JobId> =
        log.iter().filter(|passage| passage.from == "queued").map(|passage| passage.job).collect();
    let Some(job) = begun.get(begun.len() / 2) else { return Vec::new() };
    durations(&log.iter().filter(|passage| passage.job == *job).collect::<Vec<_>>())
}

/// How long a job was in each state that took it any time.
pub(super) fn durations(passed: &[&Passage]) -> Vec<Part> {
    let parts = passed.windows(2).map(|pair| Part {
        name: pair[0].to.clone(),
        seconds: pair[1].at_nanos.saturating_sub(pair[0].at_nanos) as f64 / 1e9,
    });
    parts.filter(|part| part.seconds > 0.0).collect()
}

impl Report {
    pub(super) fn note_states(&mut self, log: &[Passage]) {
        self.states = states(log);
    }

    /// Of what the coordinator has less, each target has got some.
    pub(super) fn settle_coordinator(&mut self, spent: u128, driven: &Driven, options: &Options) {
        let targets = super::account::canisters_now(driven).len() as u128;
        let jobs = driven.jobs.len().max(1) as u128;
        self.coordinator_cycles_per_job = spent.saturating_sub(targets * target_cycles(options)) / jobs;
    }

    pub(crate) fn begin(options: &Options, driven: &Driven) -> Self {
        let count = |wanted: fn(&Outcome) -> bool| {
            driven.jobs.iter().filter(|job| wanted(&job.outcome)).count() as u64
        };
        let jobs = driven.jobs.len().max(1) as u64;
        let complaints = driven
            .jobs
            .iter()
            .filter_map(|job| match &job.outcome {
                Outcome::RolledBack { reason } | Outcome::Parked { reason } => {
                    Some(format!("job {} of {}: {reason}", job.id, job.source))
                }
                Outcome::Running | Outcome::Done => None,
            })
            .collect();
        let strategy = match options.strategy {
            Strategy::Relocate => "relocate",
            Strategy::Repack => "repack",
            Strategy::RelocateVessel => "relocate-vessel",
        };
        Self {
            strategy: strategy.to_owned(),
            canisters: options.canisters,
            relocated: count(|outcome| *outcome == Outcome::Done),
            rolled_back: count(|outcome| matches!(outcome, Outcome::RolledBack { .. })),
            parked: count(|outcome| matches!(outcome, Outcome::Parked { .. })),
            cycles_drained: driven.jobs.iter().map(|job| job.drained_cycles).sum(),
            cycles_burned_by_deletion: driven.jobs.iter().map(|job| job.burned_cycles).sum(),
            update_messages_per_job: (driven.summary.calls + driven.summary.target_calls) as f64
                / jobs as f64,
            fenced_rounds_max: driven.fenced_rounds.iter().copied().max().unwrap_or(0),
            fenced_rounds: driven.fenced_rounds.clone(),
            typical_job: typical_job(&driven.jobs),
            write_attempts_while_fenced: driven.write_attempts_while_fenced,
            rounds: driven.rounds,
            complaints,
            must_delete: deletes_originals(options),
            may_grow: options.generation == Generation::Raw || options.retention == Retention::Tombstone,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, findings: Findings) {
        if findings.is_verified {
            self.verified += 1;
        } else {
            self.lost += 1;
        }
        self.state_bytes += findings.state_bytes;
        self.routes_wrong += findings.routes_wrong;
        self.stable_bytes_after += findings.stable_bytes;
        self.originals_deleted += u64::from(findings.is_original_deleted);
        self.compact_excess_pages += findings.excess_pages;
        self.snapshots_left += findings.snapshots_left;
        self.complaints.extend(findings.complaint);
    }

    pub(super) fn settle_wire(&mut self, driven: &Driven) {
        let wire: u64 = driven.jobs.iter().map(|job| job.wire_bytes).sum();
        self.wire_bytes_per_state_byte = wire as f64 / self.state_bytes.max(1) as f64;
    }

    pub(crate) fn settle_cycles(&mut self, before: u128, after: u128) {
        self.cycles_per_job = before.saturating_sub(after) / u128::from(self.relocated.max(1));
    }

    pub(crate) fn settle_payback(&mut self, idle_before_a_day: u128, idle_after_a_day: u128) {
        let saved_a_day = idle_before_a_day.saturating_sub(idle_after_a_day);
        let spent = self.cycles_per_job.saturating_mul(self.relocated.into());
        self.payback_days = (saved_a_day > 0).then(|| spent as f64 / saved_a_day as f64);
    }

    /// Whether everybody kept everything, also those whose jobs went back.
    pub fn has_kept_all(&self) -> bool {
        self.verified == u64::from(self.canisters)
            && self.lost == 0
            && self.parked == 0
            && self.routes_wrong == 0
            && self.snapshots_left == 0
    }

    /// Whether everybody kept everything, every original is gone that was to go, and no page too much is held.
    pub fn is_well(&self) -> bool {
        let users = u64::from(self.canisters);
        let originals_as_planned =
            if self.must_delete { self.originals_deleted == users } else { self.originals_deleted == 0 };
        let shrank = self.may_grow || self.stable_bytes_after <= self.stable_bytes_bloated;
        self.relocated == users
            && self.verified == users
            && self.lost == 0
            && self.orphans == 0
            && self.routes_wrong == 0
            && self.compact_excess_pages == 0
            && self.snapshots_left == 0
            && originals_as_planned
            && shrank
    }
}

impl Report {
    /// What a person wants to know first.
    pub fn headline(&self) -> Vec<(&'static str, String)> {
        let rounds =
            |rounds: u64| if rounds == 1 { "1 round".to_owned() } else { format!("{rounds} rounds") };
        let payback = self.payback_days.map_or_else(|| "never".to_owned(), |days| text::years(days / 365.25));
        vec![
            ("", self.strategy.clone()),
            ("users read back as they were", format!("{} of {}", self.verified, self.canisters)),
            ("lost", self.lost.to_string()),
            ("cycles a canister", text::cycles(self.cycles_per_job as f64)),
            ("pays back in", payback),
            ("users waited at most", rounds(self.fenced_rounds_max)),
        ]
    }

    /// Stable memory of the fleet by its phases.
    fn memory(&self) -> [(&'static str, u64); 3] {
        [
            ("before the upgrade", self.stable_bytes_before),
            ("bloated by it", self.stable_bytes_bloated),
            ("given back to", self.stable_bytes_after),
        ]
    }

    /// All figures as people read them.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / 1_048_576.0);
        let billions = |cycles: u128| format!("{:.2} B", cycles as f64 / 1e9);
        let years = |days: f64| format!("{:.2} years", days / 365.25);
        vec![
            ("engine", self.engine.clone()),
            ("strategy", self.strategy.clone()),
            ("canisters", self.canisters.to_string()),
            ("state", mib(self.state_bytes)),
            ("stable memory before", mib(self.stable_bytes_before)),
            ("stable memory bloated", mib(self.stable_bytes_bloated)),
            ("stable memory after", mib(self.stable_bytes_after)),
            ("jobs done", self.relocated.to_string()),
            ("rolled back, parked", format!("{}, {}", self.rolled_back, self.parked)),
            ("verified field by field", self.verified.to_string()),
            ("lost", self.lost.to_string()),
            ("originals deleted", self.originals_deleted.to_string()),
            ("orphans", self.orphans.to_string()),
            ("routes wrong", self.routes_wrong.to_string()),
            ("snapshots left", self.snapshots_left.to_string()),
            ("cycles a job", billions(self.cycles_per_job)),
            ("cycles drained", billions(self.cycles_drained)),
            ("cycles burned by deletion", billions(self.cycles_burned_by_deletion)),
            ("pays back in", self.payback_days.map_or_else(|| "never".to_owned(), years)),
            ("update messages a job", format!("{:.1}", self.update_messages_per_job)),
            ("wire bytes a state byte", format!("{:.3}", self.wire_bytes_per_state_byte)),
            ("fenced rounds, most", self.fenced_rounds_max.to_string()),
            ("writes that met a fence", self.write_attempts_while_fenced.to_string()),
            ("pages too many", self.compact_excess_pages.to_string()),
            ("wall time", format!("{:.1} s", self.wall_seconds)),
        ]
    }
}

/// Stable memory of the fleets: what is the same for all of them once, the rest with the strategy of each.
pub fn memory(reports: &[Report]) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for row in 0..3 {
        let of = |report: &Report| report.memory()[row];
        let is_given_back = row == 2;
        let is_same =
            reports.iter().all(|report| reports.first().is_some_and(|first| of(first) == of(report)));
        if reports.len() == 1 || (is_same && !is_given_back) {
            all.extend(reports.first().map(of).map(|(name, bytes)| (name.to_owned(), bytes)));
            continue;
        }
        all.extend(reports.iter().map(|report| {
            let (name, bytes) = of(report);
            (format!("{name}, {}", report.strategy), bytes)
        }));
    }
    all
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.rows() {
            writeln!(f, "  {name:<26} {value:>16}")?;
        }
        for complaint in self.complaints.iter().take(20) {
            writeln!(f, "  ! {complaint}")?;
        }
        Ok(())
    }
}
