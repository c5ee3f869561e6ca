//! What a rehearsal measured, as one page.

use super::{Part, Report, memory};
use crate::html::{Bar, Page};
use crate::text;

/// The page of one strategy, or of several side by side.
pub fn page(reports: &[Report]) -> String {
    let is_well = reports.iter().all(Report::is_well);
    let verdict = if is_well { "All is well: nothing was lost" } else { "NOT all is well" };
    let mut page = Page::new(&format!("Decant: a rehearsal. {verdict}"));
    page.text("h1", "", verdict);
    if let Some(report) = reports.first() {
        let fleet = format!(
            "{} canisters with {} of state, rehearsed on the {} engine",
            report.canisters,
            text::bytes(report.state_bytes),
            report.engine
        );
        page.text("p", "soft", &fleet);
    }
    let complaints: Vec<String> = reports.iter().flat_map(|report| report.complaints.clone()).collect();
    page.list("What is not well", &complaints);
    let memory: Vec<Bar> =
        memory(reports).into_iter().map(|(name, bytes)| (name, bytes as f64, text::bytes(bytes))).collect();
    page.chart("Stable memory of the fleet", &memory);
    let bars = |figure: &dyn Fn(&Report) -> (f64, String)| -> Vec<Bar> {
        reports
            .iter()
            .map(|report| {
                let (length, words) = figure(report);
                (report.strategy.clone(), length, words)
            })
            .collect()
    };
    page.chart(
        "Cycles a canister",
        &bars(&|report| (report.cycles_per_job as f64, text::cycles(report.cycles_per_job as f64))),
    );
    page.chart(
        "Pays back in",
        &bars(&|report| {
            let years = report.payback_days.map(|days| days / 365.25);
            (years.unwrap_or(0.0), years.map_or_else(|| "never".to_owned(), text::years))
        }),
    );
    for report in reports {
        purposes(&mut page, report);
        timeline(&mut page, report);
    }
    figures(&mut page, reports);
    page.end()
}

/// What the cycles of a canister went to.
fn purposes(page: &mut Page, report: &Report) {
    let burned = report.cycles_burned_by_deletion / u128::from(report.relocated.max(1));
    let coordinators = report.coordinator_cycles_per_job;
    let own = report.cycles_per_job.saturating_sub(burned + coordinators);
    let by =
        if report.must_delete { "the coordinator: creation and calls" } else { "the coordinator: calls" };
    let bars: Vec<Bar> =
        [(by, coordinators), ("the canister itself", own), ("burned with the original", burned)]
            .into_iter()
            .filter(|(_, cycles)| *cycles > 0)
            .map(|(name, cycles)| (name.to_owned(), cycles as f64, text::cycles(cycles as f64)))
            .collect();
    page.chart(&format!("Where the cycles of a canister went, {}", report.strategy), &bars);
}

/// The job that took as long as half of them, moment by moment, and one of them state by state.
fn timeline(page: &mut Page, report: &Report) {
    page.chart(&format!("A typical job, {}", report.strategy), &bars_of(&report.typical_job));
    page.chart(&format!("A job, state by state, {}", report.strategy), &bars_of(&report.states));
}

/// How long each part takes.
pub(super) fn bars_of(parts: &[Part]) -> Vec<Bar> {
    parts.iter().map(|part| (part.name.clone(), part.seconds, text::seconds(part.seconds))).collect()
}

fn figures(page: &mut Page, reports: &[Report]) {
    let rows: Vec<_> = reports.iter().map(Report::rows).collect();
    let Some(first) = rows.first() else { return };
    let mut columns = vec!["figure"];
    columns.extend(reports.iter().map(|report| report.strategy.as_str()));
    let lines: Vec<Vec<String>> = (0..first.len())
        .map(|line| {
            let name = first[line].0.to_owned();
            std::iter::once(name).chain(rows.iter().map(|row| row[line].1.clone())).collect()
        })
        .collect();
    page.table("All figures", &columns, &lines, None);
}
