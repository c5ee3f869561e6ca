//! `/metrics`: text that Prometheus scrapes. A name says its unit; labels have few values. Reasons and states that no job has
//! now are left out: absent is none.

use super::asks::asks;
use super::escape::label;
use super::picture::Picture;
use crate::store::Pause;
use std::fmt::Write;

const SECOND_NANOS: u64 = 1_000_000_000;
/// Bytes of a page of stable memory.
const PAGE_BYTES: u64 = 65_536;

/// The text.
pub(super) fn text(now: &Picture) -> String {
    let mut page = Page::default();
    on_call(&mut page, now);
    jobs(&mut page, now);
    work(&mut page, now);
    means(&mut page, now);
    page.0
}

/// What pages somebody.
fn on_call(page: &mut Page, now: &Picture) {
    let mut kinds: Vec<(&str, u128)> = Vec::new();
    for ask in asks(now) {
        match kinds.iter_mut().find(|(kind, _)| *kind == ask.kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((ask.kind, 1)),
        }
    }
    let asked: Vec<_> = kinds.iter().map(|(kind, count)| (labels(&[("kind", kind)]), *count)).collect();
    page.family(
        "decant_asks",
        Gauge,
        "What is asked of an operator now, by kind; the dashboard has the commands.",
        &asked,
    );
    page.one("decant_parked", Gauge, "Jobs that wait until a person decides.", now.parked.into());
    page.one("decant_aside", Gauge, "Jobs whose records this build can't read.", now.aside.len() as u128);
    let fenced_nanos = now.oldest_fenced.map_or(0, |(since, _)| now.now_nanos.saturating_sub(since));
    let help = "Time for which users of a canister have waited longest now; 0: nobody waits.";
    page.one("decant_oldest_fenced_seconds", Gauge, help, (fenced_nanos / SECOND_NANOS).into());
    page.one(
        "decant_fenced",
        Gauge,
        "Canisters that take no updates because of their job.",
        now.fenced.into(),
    );
    let progress_nanos = now.progress_nanos.map_or(0, |at| now.now_nanos.saturating_sub(at));
    let help = "Time since a job last changed its state; 0: none did since the last upgrade.";
    page.one("decant_last_progress_seconds", Gauge, help, (progress_nanos / SECOND_NANOS).into());
    let runway = now.runway_days.map(|days| (String::new(), u128::from(days)));
    let help = "Days until the coordinator freezes if it does nothing; absent until it has asked.";
    page.family("decant_runway_days", Gauge, help, runway.as_slice());
    let help = "1 if jobs in line wait for cycles.";
    page.one("decant_waits_for_cycles", Gauge, help, now.waits_for.is_some().into());
    let help = "1 if the coordinator was put back from a snapshot, and leaves all jobs alone.";
    page.one("decant_put_back", Gauge, help, now.put_back_nanos.is_some().into());
    let pause = match now.pause {
        Pause::Running => 0,
        Pause::NoJobs => 1,
        Pause::Hold => 2,
    };
    page.one("decant_pause", Gauge, "0: all goes on; 1: no job is started; 2: nor does one commit.", pause);
}

fn jobs(page: &mut Page, now: &Picture) {
    let places =
        [("in line", now.queued), ("working", now.working), ("waiting", now.waiting), ("parked", now.parked)];
    let samples = places.map(|(place, count)| (labels(&[("place", place)]), u128::from(count)));
    page.family("decant_open_jobs", Gauge, "Jobs that have not ended, by place.", &samples);
    let samples: Vec<_> = now
        .states
        .iter()
        .map(|(strategy, state, count)| {
            (labels(&[("state", state), ("strategy", strategy)]), u128::from(*count))
        })
        .collect();
    page.family("decant_jobs", Gauge, "Jobs that were started and have not ended, by state.", &samples);
    let samples: Vec<_> = now
        .groups
        .iter()
        .map(|group| {
            let pairs = [("reason", group.code.as_str()), ("standing", group.standing.name())];
            (labels(&pairs), u128::from(group.count))
        })
        .collect();
    page.family(
        "decant_jobs_with_reason",
        Gauge,
        "The same that have a reason, by it and how they stand.",
        &samples,
    );
    let ended = [("done", now.all.done), ("rolled back", now.all.rolled_back)];
    let samples = ended.map(|(outcome, count)| (labels(&[("outcome", outcome)]), u128::from(count)));
    page.family("decant_jobs_ended_total", Counter, "Jobs that ended, by outcome.", &samples);
}

fn work(page: &mut Page, now: &Picture) {
    let given_back = u128::from(now.all.pages_given_back()) * u128::from(PAGE_BYTES);
    let help = "Stable memory that was given back, at least.";
    page.one("decant_given_back_bytes_total", Counter, help, given_back);
    page.one("decant_wire_bytes_total", Counter, "Bytes of state over the wire.", now.all.wire_bytes.into());
    let callers = [("coordinator", now.calls), ("target", now.target_calls)];
    let samples = callers.map(|(caller, count)| (labels(&[("caller", caller)]), u128::from(count)));
    page.family("decant_calls_total", Counter, "Calls that were made for jobs, by caller.", &samples);
    let plans: Vec<_> =
        now.plans.iter().map(|plan| (labels(&[("plan", &plan.id.to_string())]), plan.spent_cycles)).collect();
    page.family(
        "decant_plan_spent_cycles_total",
        Counter,
        "Cycles that the coordinator spent, of the latest plans; canisters pay for snapshots and upgrades themselves.",
        &plans,
    );
    let plans: Vec<_> =
        now.plans.iter().map(|plan| (labels(&[("plan", &plan.id.to_string())]), plan.max_cycles)).collect();
    page.family("decant_plan_max_cycles", Gauge, "Cycles that the latest plans may spend.", &plans);
}

fn means(page: &mut Page, now: &Picture) {
    let help = "Cycles that the coordinator spent for all plans; canisters pay for snapshots and upgrades themselves.";
    page.one("decant_spent_cycles_total", Counter, help, now.spent_cycles);
    let help = "Cycles that the coordinator can spend before it freezes.";
    page.one("decant_liquid_cycles", Gauge, help, now.liquid_cycles);
    page.one("decant_balance_cycles", Gauge, "Cycles that the coordinator has.", now.balance_cycles);
    page.one("decant_floor_cycles", Gauge, "Cycles below which no job is started.", now.floor_cycles);
    page.one("decant_pool", Gauge, "Canisters of the coordinator's own that no job has.", now.pool.into());
    page.one("decant_heap_bytes", Gauge, "Heap of the coordinator.", now.heap_bytes.into());
    page.one("decant_stable_bytes", Gauge, "Stable memory of the coordinator.", now.stable_bytes.into());
}

/// Whether a value can fall.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
}
use Kind::{Counter, Gauge};

#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn one(&mut self, name: &str, kind: Kind, help: &str, value: u128) {
        self.family(name, kind, help, &[(String::new(), value)]);
    }

    /// A name, and its samples by their labels.
    fn family(&mut self, name: &str, kind: Kind, help: &str, samples: &[(String, u128)]) {
        let kind = match kind {
            Gauge => "gauge",
            Counter => "counter",
        };
        // Writing into a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }
}

fn labels(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", label(value))).collect();
    format!("{{{}}}", pairs.join(","))
}
