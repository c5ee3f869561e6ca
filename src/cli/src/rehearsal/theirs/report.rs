//! What a rehearsal with somebody's canisters measured.

use super::super::account::{canisters_now, orphans};
use super::super::calls::{Kept, kept};
use super::super::drive::{Driven, fenced_rounds};
use super::super::log::{Passage, passages};
use super::super::report::durations;
use super::super::world::World;
use super::super::{Options, Part, Strategy};
use super::canisters::Pair;
use super::check::Found;
use crate::engine::Engine;
use crate::text;
use candid::Principal;
use decant_api::jobs::{JobView, Outcome};
use serde::Serialize;
use std::fmt::Write;

/// Name of what --json writes; another number when a field changes or goes.
const SCHEMA: &str = "decant.dry-run.theirs/1";
/// Columns of a name, and of each figure.
const COLUMNS: [usize; 2] = [24, 11];

/// All that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    schema: &'static str,
    /// `embedded` or `pocket-ic`.
    pub engine: String,
    /// `repack` or `relocate-vessel`.
    pub strategy: &'static str,
    /// A line for each canister of another name.
    pub canisters: Vec<Figures>,
    /// Cycles that all canisters together have less, by canister; what users' writes cost is among them.
    pub cycles_per_canister: u128,
    /// Days until the memory that came free has saved that; nothing if none came free.
    pub payback_days: Option<f64>,
    /// Writes that met a fence.
    pub write_attempts_while_fenced: u64,
    /// What is not well.
    pub failures: Vec<Failure>,
    #[serde(skip)]
    before: Kept,
    #[serde(skip)]
    users_now: Vec<Principal>,
    #[serde(skip)]
    log: Vec<Passage>,
}

/// Figures of the canisters of a name.
#[derive(Debug, Default, Serialize)]
pub struct Figures {
    /// The name.
    pub name: String,
    /// How many they are.
    pub copies: u64,
    /// Jobs that are done.
    pub done: u64,
    /// Stable memory before, by the pages that the coordinator found.
    pub stable_bytes_before: u64,
    /// The same afterwards.
    pub stable_bytes_after: u64,
    /// Most rounds that users waited.
    pub fenced_rounds_max: u64,
    /// What users wrote, on all of them.
    pub written: u64,
    /// Queries that were answered as by the twin.
    pub answers_same: u64,
    /// Queries that were asked.
    pub answers: u64,
    /// How long the first of them was in each state.
    pub states: Vec<Part>,
}

/// What is not well with one canister.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// Its name.
    pub name: String,
    /// Which of those, from 1.
    pub copy: u32,
    /// The job, if there is one.
    pub job: Option<u64>,
    /// The promise that is broken (`docs/safety.md`); none: it was not given back, and all was kept.
    pub promise: Option<u8>,
    /// The state in which the job went back or was parked.
    pub step: Option<String>,
    /// What happened.
    pub what: String,
    /// What the coordinator wrote down of the job.
    pub events: Vec<String>,
}

impl Report {
    pub(super) fn begin(
        engine: &Engine,
        options: &Options,
        driven: &Driven,
        [cycles_before, cycles_after]: [u128; 2],
        before: Kept,
    ) -> Self {
        let spent = cycles_before.saturating_sub(cycles_after);
        Self {
            schema: SCHEMA,
            engine: engine.name().to_owned(),
            strategy: if options.strategy == Strategy::Repack { "repack" } else { "relocate-vessel" },
            canisters: Vec::new(),
            cycles_per_canister: spent / driven.jobs.len().max(1) as u128,
            payback_days: None,
            write_attempts_while_fenced: driven.write_attempts_while_fenced,
            failures: Vec::new(),
            before,
            users_now: Vec::new(),
            log: Vec::new(),
        }
    }

    pub(super) fn add(
        &mut self,
        name: &str,
        copy: &Pair,
        job: &JobView,
        found: Found,
        world: &World,
    ) -> anyhow::Result<()> {
        if self.log.is_empty() {
            self.log = passages(world)?;
        }
        let passed: Vec<&Passage> = self.log.iter().filter(|passage| passage.job == job.id).collect();
        let states = durations(&passed);
        let position = match self.canisters.iter().position(|figures| figures.name == name) {
            Some(position) => position,
            None => {
                self.canisters.push(Figures { name: name.to_owned(), states, ..Figures::default() });
                self.canisters.len() - 1
            }
        };
        let figures = &mut self.canisters[position];
        figures.copies += 1;
        figures.done += u64::from(job.outcome == Outcome::Done);
        figures.stable_bytes_before += job.source_pages * decant_layout::PAGE_BYTES;
        figures.stable_bytes_after += found.stable_bytes;
        figures.fenced_rounds_max = figures.fenced_rounds_max.max(fenced_rounds(job).unwrap_or_default());
        figures.written += copy.written.len() as u64;
        figures.answers += found.queries;
        figures.answers_same += found.same;
        self.users_now.push(job.target.filter(|_| job.committed_nanos.is_some()).unwrap_or(copy.canister));

        let step = passed
            .iter()
            .find(|passage| ["rolling back", "rolled back", "parked"].contains(&passage.to.as_str()))
            .map(|passage| passage.from.clone());
        let own: String = found.own.iter().map(|own| format!("; {own}")).collect();
        let mut what: Vec<(Option<u8>, String)> = match &job.outcome {
            Outcome::Done => Vec::new(),
            Outcome::RolledBack { reason } => vec![(None, format!("it went back: {reason}{own}"))],
            Outcome::Parked { reason } => vec![(None, format!("it waits for somebody: {reason}{own}"))],
            Outcome::Running => vec![(Some(8), "it did not end".to_owned())],
        };
        what.extend(found.broken.into_iter().map(|(promise, what)| (Some(promise), what)));
        if job.outcome == Outcome::Done && !own.is_empty() {
            what.push((Some(10), format!("it was given back{own}")));
        }
        let events: Vec<String> =
            passed.iter().map(|passage| text::line_of(&passage.text, EVENT_LETTERS)).collect();
        self.failures.extend(what.into_iter().map(|(promise, what)| Failure {
            name: name.to_owned(),
            copy: copy.copy,
            job: Some(job.id),
            promise,
            step: step.clone(),
            what,
            events: events.clone(),
        }));
        Ok(())
    }

    pub(super) fn settle(
        &mut self,
        world: &World,
        owned: impl IntoIterator<Item = Principal>,
        driven: &Driven,
    ) -> anyhow::Result<()> {
        let after = kept(&world.pic, world.operator, &self.users_now)?;
        let saved = self.before.idle_cycles_a_day.saturating_sub(after.idle_cycles_a_day);
        let jobs = driven.jobs.len().max(1) as f64;
        self.payback_days = (saved > 0).then(|| self.cycles_per_canister as f64 / (saved as f64 / jobs));
        let owned = owned.into_iter().chain(canisters_now(driven));
        for orphan in orphans(world, owned)? {
            self.failures.push(Failure {
                name: orphan.to_text(),
                copy: 1,
                job: None,
                promise: Some(5),
                step: None,
                what: "it is nobody's".to_owned(),
                events: Vec::new(),
            });
        }
        Ok(())
    }

    /// Whether everything was given back, and nothing was lost.
    pub fn is_well(&self) -> bool {
        self.failures.is_empty()
    }

    /// Stable memory before and after.
    pub(super) fn memory(&self) -> [(&'static str, u64); 2] {
        let sum = |of: fn(&Figures) -> u64| self.canisters.iter().map(of).sum();
        [
            ("as they are", sum(|figures| figures.stable_bytes_before)),
            ("given back to", sum(|figures| figures.stable_bytes_after)),
        ]
    }

    /// As people read it, with all that the coordinator wrote down of what failed if asked.
    pub fn text(&self, is_verbose: bool) -> String {
        let [name_columns, columns] = COLUMNS;
        let mut shown = String::new();
        let mut line = |cells: [&str; 7]| {
            // Writing to a text does not fail.
            let _ = write!(shown, "  {:<name_columns$}", text::tail_of(cells[0], name_columns));
            cells[1..].iter().for_each(|cell| shown.push_str(&format!("{cell:>columns$}")));
            shown.push('\n');
        };
        line(["", "done", "before", "after", "waited", "written", "answers"]);
        for figures in &self.canisters {
            let Figures { copies, done, written, answers, answers_same, fenced_rounds_max, .. } = figures;
            line([
                &figures.name,
                &format!("{done} of {copies}"),
                &text::bytes(figures.stable_bytes_before),
                &text::bytes(figures.stable_bytes_after),
                &format!("{fenced_rounds_max} rounds"),
                &written.to_string(),
                &format!("{answers_same} of {answers}"),
            ]);
        }
        let payback = match self.payback_days {
            Some(days) => format!("pays back in {}", text::years(days / 365.25)),
            None => "never pays back".to_owned(),
        };
        let _ = writeln!(
            shown,
            "\n  by {}: {} cycles a canister, which {payback}; {} writes met a fence and came again",
            self.strategy,
            text::cycles(self.cycles_per_canister as f64),
            self.write_attempts_while_fenced
        );
        for failure in &self.failures {
            let _ = writeln!(shown, "  ! {failure}");
        }
        let mut told: Vec<u64> = Vec::new();
        for failure in &self.failures {
            let Some(job) = failure.job.filter(|job| !told.contains(job)) else { continue };
            told.push(job);
            let all = failure.events.len();
            let least = if is_verbose { 0 } else { all.saturating_sub(EVENTS) };
            let _ = writeln!(shown, "\n  {} ({}), job {job}:", failure.name, failure.copy);
            if least > 0 {
                let _ = writeln!(shown, "    … {least} more with --verbose");
            }
            failure.events[least..].iter().for_each(|event| {
                let _ = writeln!(shown, "    {event}");
            });
        }
        shown
    }
}

/// What came of rehearsals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Something was lost, or not given back.
    NotWell,
    /// Memory was given back, and nothing was asked.
    NothingAsked,
    /// Whatever was asked is answered as before.
    Well,
}

impl Verdict {
    /// Of all of them.
    pub fn of(reports: &[Report]) -> Self {
        let asks_nothing = |report: &Report| report.canisters.iter().all(|figures| figures.answers == 0);
        match () {
            () if !reports.iter().all(Report::is_well) => Self::NotWell,
            () if reports.iter().any(asks_nothing) => Self::NothingAsked,
            () => Self::Well,
        }
    }

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotWell => "NOT all is well: see above.",
            Self::NothingAsked => {
                "Memory was given back. Nothing was asked, so whether it still answers is not known: add queries with --ask \
                 (docs/rehearsal.md)."
            }
            Self::Well => "All is well: nothing was lost.",
        }
    }
}

/// Events of a job that are shown, and letters of each.
const EVENTS: usize = 6;
const EVENT_LETTERS: usize = 300;

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.copy)?;
        match self.promise {
            Some(promise) => write!(f, ", promise {promise}")?,
            None => write!(f, ", not given back, and as it was")?,
        }
        if let Some(step) = &self.step {
            write!(f, ", at the step \"{step}\"")?;
        }
        write!(f, ": {}", self.what)
    }
}
