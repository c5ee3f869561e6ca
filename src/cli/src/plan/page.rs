//! The plan as one page that can be sent around: no script, nothing from elsewhere.

use super::advice::{Advice, Question, seconds, years};
use super::fleet::Fleet;
use crate::text;
use std::fmt::Write;

/// Upper bounds of the classes of the histogram, in bytes that a canister gives back.
const CLASSES_BYTES: [u64; 6] = [1 << 20, 8 << 20, 16 << 20, 64 << 20, 512 << 20, u64::MAX];
/// Width of the longest bar.
const BAR_PERCENT: f64 = 70.0;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5d6776; --paper: #fff; --line: #d5dae1; --bar: #2f6fde; --other: #9aa4b2 }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebf0; --soft: #a3acba; --paper: #14181f; --line: #333b47; --bar: #6d9dff; --other: #5d6776 } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
.lead { font-size: 1.15rem } .soft { color: var(--soft); font-size: .9rem }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .3rem .5rem; border-bottom: 1px solid var(--line); white-space: nowrap }
th:first-child, td:first-child { text-align: left } th { font-weight: 600; color: var(--soft); font-size: .85rem }
tr.ours td { font-weight: 600 }
.chart { display: grid; grid-template-columns: max-content 1fr; gap: .4rem .8rem; align-items: center; margin: 0 }
.chart dt { text-align: right } .chart dd { margin: 0; display: flex; align-items: center; gap: .5rem; white-space: nowrap }
.bar { background: var(--bar); height: 1.1rem; border-radius: 2px; print-color-adjust: exact; -webkit-print-color-adjust: exact }
li { margin: .3rem 0 } code { overflow-wrap: anywhere }
@media (max-width: 40rem) {
  tr:first-child { display: none } tr, td { display: block } tr { padding: .4rem 0; border-bottom: 1px solid var(--line) }
  td { border: 0; padding: .1rem 0; display: flex; justify-content: space-between } td:first-child { font-weight: 600 }
  td[data-is]::before { content: attr(data-is); color: var(--soft); font-weight: 400 }
}
@media print { body { margin: 0; max-width: none } h2 { break-after: avoid } .chart, table { break-inside: avoid } }
";

/// The page.
pub(super) fn page(fleet: &Fleet, question: &Question, advice: &Advice) -> String {
    let mut page = String::new();
    // Writing to a string can't fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Decant: a plan for {} canisters</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{} of {} would come free</h1>\n\
         <p class=\"soft\">{} canisters; prices of {} on {} nodes; {} jobs at a time</p>\n",
        advice.canisters,
        text::bytes(advice.freed_bytes),
        text::bytes(advice.stable_bytes),
        advice.canisters,
        escaped(&question.prices.list.name),
        question.prices.nodes,
        question.pace.in_flight,
    );
    for (index, reason) in advice.reasons.iter().enumerate() {
        let class = if index == 0 { " class=\"lead\"" } else { "" };
        let _ = writeln!(page, "<p{class}>{}</p>", escaped(reason));
    }
    memory(&mut page, advice);
    ways(&mut page, advice);
    histogram(&mut page, fleet);
    list(&mut page, "Not worth it", &advice.not_worth_it);
    list(&mut page, "Rows that were left out", &advice.left_out);
    page.push_str("</body>\n</html>\n");
    page
}

fn memory(page: &mut String, advice: &Advice) {
    let after = advice.stable_bytes - advice.freed_bytes;
    let rows = [("now", advice.stable_bytes), ("after", after)];
    let rows = rows.map(|(name, bytes)| (name.to_owned(), bytes as f64, text::bytes(bytes)));
    chart(page, "Stable memory", &rows);
}

fn ways(page: &mut String, advice: &Advice) {
    page.push_str(
        "<h2>Ways</h2>\n<div class=\"wide\"><table>\n<tr><th>way</th><th>worth it</th><th>gives back</th><th>costs</th>\
         <th>saves a year</th><th>pays back in</th><th>takes</th><th>users wait</th></tr>\n",
    );
    for outlook in &advice.ways {
        let class = if advice.recommended == Some(outlook.way) { " class=\"ours\"" } else { "" };
        let [gives, costs, saves, pays, takes] = outlook.columns();
        let _ = writeln!(
            page,
            "<tr{class}><td>{}</td><td data-is=\"worth it\">{}</td><td data-is=\"gives back\">{gives}</td>\
             <td data-is=\"costs\">{costs}</td><td data-is=\"saves a year\">{saves}</td><td data-is=\"pays back in\">{pays}</td>\
             <td data-is=\"takes\">{takes}</td><td data-is=\"users wait\">{}</td></tr>",
            outlook.way.name(),
            outlook.worth_it,
            seconds(outlook.wait_seconds)
        );
    }
    page.push_str("</table></div>\n");
    let rows: Vec<_> = advice
        .ways
        .iter()
        .filter_map(|outlook| {
            outlook.all.payback_years.map(|payback| (outlook.way.name().to_owned(), payback, years(payback)))
        })
        .collect();
    chart(page, "The whole fleet pays back in", &rows);
}

fn histogram(page: &mut String, fleet: &Fleet) {
    let mut classes = CLASSES_BYTES.map(|_| 0_u64);
    for canister in &fleet.canisters {
        let class = CLASSES_BYTES.iter().position(|most| canister.freed_bytes() <= *most);
        if let Some(count) = class.and_then(|class| classes.get_mut(class)) {
            *count += 1;
        }
    }
    let name =
        |most: u64| if most == u64::MAX { "more".to_owned() } else { format!("up to {}", text::bytes(most)) };
    let rows: Vec<_> = CLASSES_BYTES
        .into_iter()
        .zip(classes)
        .filter(|(_, count)| *count > 0)
        .map(|(most, count)| (name(most), count as f64, count.to_string()))
        .collect();
    chart(page, "Canisters by what they give back", &rows);
}

/// Bars with a name before and a figure behind each.
fn chart(page: &mut String, title: &str, rows: &[(String, f64, String)]) {
    let most = rows.iter().map(|(_, value, _)| *value).fold(0.0, f64::max);
    if most == 0.0 {
        return;
    }
    let _ = writeln!(page, "<h2>{title}</h2>\n<dl class=\"chart\">");
    for (name, value, figure) in rows {
        // The rest of the line is the figure's.
        let percent = (value / most * BAR_PERCENT).max(0.5);
        let _ = writeln!(
            page,
            "<dt>{}</dt><dd><div class=\"bar\" style=\"width: {percent:.1}%\"></div>{}</dd>",
            escaped(name),
            escaped(figure)
        );
    }
    page.push_str("</dl>\n");
}

fn list(page: &mut String, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let _ = writeln!(page, "<h2>{title}</h2>\n<details><summary>{} of them</summary>\n<ul>", items.len());
    for item in items {
        let _ = writeln!(page, "<li><code>{}</code></li>", escaped(item));
    }
    page.push_str("</ul>\n</details>\n");
}

/// Text that can't become markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
