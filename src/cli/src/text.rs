//! Figures as people read them.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};

const KIB: f64 = 1_024.0;

/// Bytes with a unit: `200.0 KiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let mut figure = bytes as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB"] {
        if figure < KIB {
            return if unit == "bytes" { format!("{bytes} bytes") } else { format!("{figure:.1} {unit}") };
        }
        figure /= KIB;
    }
    format!("{figure:.1} TiB")
}

/// Cycles with a unit: `0.5 B`, `1.25 T`.
pub(crate) fn cycles(cycles: f64) -> String {
    let billions = cycles / 1e9;
    match billions.abs() {
        thousands if thousands >= 1_000.0 => format!("{:.2} T", billions / 1e3),
        _ => format!("{billions:.2} B"),
    }
}

/// A time in the unit that people would use.
pub(crate) fn years(years: f64) -> String {
    let days = years * 365.25;
    match days {
        days if days < 1.5 => "a day".to_owned(),
        days if days < 60.0 => format!("{days:.0} days"),
        days if days < 730.5 => format!("{:.0} months", days / 30.44),
        _ => format!("{years:.1} years"),
    }
}

/// A time in the unit that people would use.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        short if short < 120.0 => format!("{short:.0} s"),
        short if short < 7_200.0 => format!("{:.0} min", short / 60.0),
        long if long < 172_800.0 => format!("{:.0} h", long / 3_600.0),
        long => format!("{:.0} days", long / 86_400.0),
    }
}

/// A number of things: `1 canister`, `2 canisters`.
pub(crate) fn counted(count: usize, of_what: &str) -> String {
    format!("{count} {of_what}{}", if count == 1 { "" } else { "s" })
}

/// Some of many, and how many more there are.
pub(crate) fn some_of(all: &[String], most: usize, between: &str) -> String {
    let listed = all[..all.len().min(most)].join(between);
    match all.len().saturating_sub(most) {
        0 => listed,
        more => format!("{listed}{between}and {more} more"),
    }
}

/// Text that can't steer a terminal, whoever chose the names in it.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t')).collect()
}

/// Prints to standard output, as plain text. Whoever stops reading, as `head` does, has read enough: that is no error.
///
/// # Errors
/// The output can't be written, as on a full disk.
pub fn print(text: &str) -> io::Result<()> {
    let text = plain(text);
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Prints a line to standard error, as plain text.
pub fn complain(text: &str) {
    eprintln!("{}", plain(text));
}

/// A number above 0, of an argument.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("a number above 0 is needed".to_owned()),
    }
}

/// Whether progress is for somebody who looks: a terminal, without NO_COLOR in the environment.
pub(crate) fn is_for_people() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The end of a text that does not fit.
pub(crate) fn tail_of(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let skipped = length - width.saturating_sub(1);
    format!("…{}", text.chars().skip(skipped).collect::<String>())
}

/// The beginning of a text of many lines, as one of at most so many letters.
pub(crate) fn line_of(text: &str, letters: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A paragraph in lines of so many columns.
pub(crate) fn indented(
    f: &mut fmt::Formatter<'_>,
    paragraph: &str,
    indent: usize,
    columns: usize,
) -> fmt::Result {
    let mut line = String::new();
    for word in paragraph.split(' ') {
        if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > columns {
            writeln!(f, "{:indent$}{line}", "")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(f, "{:indent$}{line}", "")
}

/// A bar for a share of a whole, in blocks.
pub(crate) fn bar(part: u64, whole: u64, width: usize) -> String {
    let filled = (part as f64 / whole.max(1) as f64 * width as f64).round() as usize;
    // What is there is seen.
    "█".repeat(filled.clamp(usize::from(part > 0), width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_unit_that_leaves_few_digits() {
        assert_eq!([0, 1_023, 1_024, 8_454_144].map(bytes), ["0 bytes", "1023 bytes", "1.0 KiB", "8.1 MiB"]);
        assert_eq!([bytes(78 << 30), bytes(5 << 40)], ["78.0 GiB", "5.0 TiB"]);
        assert_eq!([0.0, 9.23e9, 603.74e9, 1.25e12].map(cycles), ["0.00 B", "9.23 B", "603.74 B", "1.25 T"]);
    }

    #[test]
    fn a_long_name_keeps_its_end_and_a_bar_shows_whatever_is_there() {
        assert_eq!([tail_of("snapshots/a", 11), tail_of("snapshots/a", 6)], ["snapshots/a", "…ots/a"]);
        assert_eq!([line_of("a\n  b", 3), line_of("é\nb c", 3)], ["a b", "é b…"]);
        assert_eq!(some_of(&["a", "b", "c"].map(str::to_owned), 2, "; "), "a; b; and 1 more");
        assert_eq!(plain("a\u{1b}[2J\tb\n\u{9b}"), "a[2J\tb\n");
        assert_eq!([bar(0, 10, 4), bar(1, 1_000, 4), bar(5, 10, 4)], ["", "█", "██"]);
    }
}
