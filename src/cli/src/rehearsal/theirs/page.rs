//! What a rehearsal with somebody's canisters measured, as one page.

use super::super::page::bars_of;
use super::{Report, Verdict};
use crate::html::{Bar, Page};
use crate::text;

/// The page of one strategy, or of several one after the other.
pub fn page(reports: &[Report]) -> String {
    let verdict = match Verdict::of(reports) {
        Verdict::NotWell => "NOT all is well",
        asked_or_not => asked_or_not.text().trim_end_matches('.'),
    };
    let mut page = Page::new(&format!("Decant: a rehearsal with your canisters. {verdict}"));
    page.text("h1", "", verdict);
    page.text(
        "p",
        "soft",
        "Each canister was compared with a twin that got the same writes and one ordinary upgrade to its own module.",
    );
    let failures: Vec<String> =
        reports.iter().flat_map(|report| &report.failures).map(ToString::to_string).collect();
    page.list("What is not well", &failures);
    for report in reports {
        let memory: Vec<Bar> = report
            .memory()
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), bytes as f64, text::bytes(bytes)))
            .collect();
        page.chart(&format!("Stable memory, {}", report.strategy), &memory);
        let columns = ["canister", "done", "before", "after", "waited", "written", "answered as the twin"];
        let rows: Vec<Vec<String>> = report
            .canisters
            .iter()
            .map(|figures| {
                vec![
                    figures.name.clone(),
                    format!("{} of {}", figures.done, figures.copies),
                    text::bytes(figures.stable_bytes_before),
                    text::bytes(figures.stable_bytes_after),
                    format!("{} rounds", figures.fenced_rounds_max),
                    figures.written.to_string(),
                    format!("{} of {}", figures.answers_same, figures.answers),
                ]
            })
            .collect();
        page.table(&format!("The canisters, {}", report.strategy), &columns, &rows, None);
        for figures in &report.canisters {
            let bars = bars_of(&figures.states);
            page.chart(&format!("How long {} was in each state, {}", figures.name, report.strategy), &bars);
        }
        let events: Vec<String> = report.failures.iter().flat_map(|failure| failure.events.clone()).collect();
        page.list(&format!("What the coordinator wrote down of those, {}", report.strategy), &events);
    }
    page.end()
}
