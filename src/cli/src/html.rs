//! Pages that can be sent around: one file, no script, nothing from elsewhere, readable on a phone and on paper.

use std::fmt::Write;

/// Width of the longest bar; the rest of the line is its figure's.
const BAR_PERCENT: f64 = 70.0;
/// Least width of a bar: what is there is seen.
const LEAST_PERCENT: f64 = 0.5;

/// Items of a list that is seen without being asked for, also on paper.
const SHORT: usize = 20;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5d6776; --paper: #fff; --line: #d5dae1; --bar: #2f6fde }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebf0; --soft: #a3acba; --paper: #14181f; --line: #333b47; --bar: #6d9dff } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
.lead { font-size: 1.15rem } .soft { color: var(--soft); font-size: .9rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .3rem .5rem; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left } th { font-weight: 600; color: var(--soft); font-size: .85rem }
tr.ours td { font-weight: 600 }
.chart { display: grid; grid-template-columns: fit-content(50%) minmax(0, 1fr); gap: .4rem .8rem; align-items: center; margin: 0 }
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

/// A page that grows section by section.
pub(crate) struct Page(String);

/// A bar: its name, its length, and its figure in words.
pub(crate) type Bar = (String, f64, String);

impl Page {
    pub(crate) fn new(title: &str) -> Self {
        Self(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
            escaped(title)
        ))
    }

    /// An element with a text, such as `h1`; `class` may be empty.
    pub(crate) fn text(&mut self, element: &str, class: &str, text: &str) {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        self.add(format_args!("<{element}{class}>{}</{element}>\n", escaped(text)));
    }

    /// Bars with a name before and a figure behind each; nothing if none of them has a length.
    pub(crate) fn chart(&mut self, title: &str, bars: &[Bar]) {
        let most = bars.iter().map(|(_, value, _)| *value).fold(0.0, f64::max);
        if most == 0.0 {
            return;
        }
        self.text("h2", "", title);
        self.add(format_args!("<dl class=\"chart\">\n"));
        for (name, value, figure) in bars {
            let percent = (value / most * BAR_PERCENT).max(LEAST_PERCENT);
            self.add(format_args!(
                "<dt>{}</dt><dd><div class=\"bar\" style=\"width: {percent:.1}%\"></div>{}</dd>\n",
                escaped(name),
                escaped(figure)
            ));
        }
        self.add(format_args!("</dl>\n"));
    }

    /// A table; the row with that index is shown as ours.
    pub(crate) fn table(&mut self, title: &str, columns: &[&str], rows: &[Vec<String>], ours: Option<usize>) {
        self.text("h2", "", title);
        self.add(format_args!("<table>\n<tr>"));
        for column in columns {
            self.add(format_args!("<th>{}</th>", escaped(column)));
        }
        self.add(format_args!("</tr>\n"));
        for (index, row) in rows.iter().enumerate() {
            self.add(format_args!("{}", if ours == Some(index) { "<tr class=\"ours\">" } else { "<tr>" }));
            for (position, (column, cell)) in columns.iter().zip(row).enumerate() {
                let is =
                    if position == 0 { String::new() } else { format!(" data-is=\"{}\"", escaped(column)) };
                self.add(format_args!("<td{is}>{}</td>", escaped(cell)));
            }
            self.add(format_args!("</tr>\n"));
        }
        self.add(format_args!("</table>\n"));
    }

    /// A list, which opens when it is asked to if it is long; nothing if it is empty.
    pub(crate) fn list(&mut self, title: &str, items: &[String]) {
        if items.is_empty() {
            return;
        }
        self.text("h2", "", title);
        let open = if items.len() <= SHORT { " open" } else { "" };
        self.add(format_args!("<details{open}><summary>{} of them</summary>\n<ul>\n", items.len()));
        for item in items {
            self.add(format_args!("<li><code>{}</code></li>\n", escaped(item)));
        }
        self.add(format_args!("</ul>\n</details>\n"));
    }

    pub(crate) fn end(mut self) -> String {
        self.0.push_str("</body>\n</html>\n");
        self.0
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a text does not fail.
        let _ = self.0.write_fmt(text);
    }
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
