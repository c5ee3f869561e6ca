//! The plan as one page.

use super::advice::{Advice, Question};
use super::fleet::{Canister, Fleet};
use crate::html::Page;
use crate::inspect::histogram;
use crate::text::{self, counted, seconds, years};

/// Upper bounds of the classes of the histogram, in bytes that a canister gives back; what is larger is in one more.
const CLASSES_BYTES: [u64; 5] = [1 << 20, 8 << 20, 16 << 20, 64 << 20, 512 << 20];
const COLUMNS: [&str; 8] =
    ["way", "worth it", "gives back", "costs", "saves a year", "pays back in", "takes", "users wait"];

/// The page.
pub(super) fn page(fleet: &Fleet, question: &Question, advice: &Advice) -> String {
    let (freed, stable) = (text::bytes(advice.freed_bytes), text::bytes(advice.stable_bytes));
    let mut page = Page::new(&format!("Decant: a plan for {}", counted(advice.canisters, "canister")));
    page.text("h1", "", &format!("{freed} of {stable} would come free"));
    let prices = &question.prices;
    let basis = format!(
        "{}; prices of {} on {} nodes; {} jobs at a time",
        counted(advice.canisters, "canister"),
        prices.list.name,
        prices.nodes,
        question.pace.in_flight
    );
    page.text("p", "soft", &basis);
    for (index, reason) in advice.reasons.iter().enumerate() {
        page.text("p", if index == 0 { "lead" } else { "" }, reason);
    }
    let after = advice.stable_bytes - advice.freed_bytes;
    let memory = [("now", advice.stable_bytes), ("after", after)];
    page.chart(
        "Stable memory",
        &memory.map(|(name, bytes)| (name.to_owned(), bytes as f64, text::bytes(bytes))),
    );
    ways(&mut page, advice);
    by_freed_bytes(&mut page, fleet);
    page.list("Not worth it", &advice.not_worth_it);
    for outlook in &advice.ways {
        page.list(&format!("Too large for {}", outlook.way.name()), &outlook.too_large);
    }
    page.list("Left out", &advice.left_out);
    page.end()
}

fn ways(page: &mut Page, advice: &Advice) {
    let rows: Vec<Vec<String>> = advice
        .ways
        .iter()
        .map(|outlook| {
            let mut row = vec![outlook.way.name().to_owned(), outlook.worth_it.to_string()];
            row.extend(outlook.columns());
            row.push(seconds(outlook.wait_seconds));
            row
        })
        .collect();
    let ours = advice.ways.iter().position(|outlook| advice.recommended == Some(outlook.way));
    page.table("Ways", &COLUMNS, &rows, ours);
    let bars: Vec<_> = advice
        .ways
        .iter()
        .filter_map(|outlook| {
            outlook.all.payback_years.map(|payback| (outlook.way.name().to_owned(), payback, years(payback)))
        })
        .collect();
    page.chart("The whole fleet pays back in", &bars);
}

fn by_freed_bytes(page: &mut Page, fleet: &Fleet) {
    let bars: Vec<_> = histogram(&CLASSES_BYTES, fleet.canisters.iter().map(Canister::freed_bytes))
        .iter()
        .filter(|class| class.images > 0)
        .map(|class| (class.name(), class.images as f64, class.images.to_string()))
        .collect();
    page.chart("Canisters by what they give back", &bars);
}
