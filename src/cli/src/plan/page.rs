//! The plan as one page.

use super::advice::{Advice, Question};
use super::fleet::Fleet;
use crate::html::Page;
use crate::text::{self, seconds, years};

/// Upper bounds of the classes of the histogram, in bytes that a canister gives back.
const CLASSES_BYTES: [u64; 6] = [1 << 20, 8 << 20, 16 << 20, 64 << 20, 512 << 20, u64::MAX];
const COLUMNS: [&str; 8] =
    ["way", "worth it", "gives back", "costs", "saves a year", "pays back in", "takes", "users wait"];

/// The page.
pub(super) fn page(fleet: &Fleet, question: &Question, advice: &Advice) -> String {
    let (freed, stable) = (text::bytes(advice.freed_bytes), text::bytes(advice.stable_bytes));
    let mut page = Page::new(&format!("Decant: a plan for {} canisters", advice.canisters));
    page.text("h1", "", &format!("{freed} of {stable} would come free"));
    let prices = &question.prices;
    let basis = format!(
        "{} canisters; prices of {} on {} nodes; {} jobs at a time",
        advice.canisters, prices.list.name, prices.nodes, question.pace.in_flight
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
    histogram(&mut page, fleet);
    page.list("Not worth it", &advice.not_worth_it);
    page.list("Rows that were left out", &advice.left_out);
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

fn histogram(page: &mut Page, fleet: &Fleet) {
    let mut classes = CLASSES_BYTES.map(|_| 0_u64);
    for canister in &fleet.canisters {
        let class = CLASSES_BYTES.iter().position(|most| canister.freed_bytes() <= *most);
        if let Some(count) = class.and_then(|class| classes.get_mut(class)) {
            *count += 1;
        }
    }
    let name = |most: u64| match most {
        u64::MAX => "more".to_owned(),
        most => format!("up to {}", text::bytes(most)),
    };
    let bars: Vec<_> = CLASSES_BYTES
        .into_iter()
        .zip(classes)
        .filter(|(_, count)| *count > 0)
        .map(|(most, count)| (name(most), count as f64, count.to_string()))
        .collect();
    page.chart("Canisters by what they give back", &bars);
}
