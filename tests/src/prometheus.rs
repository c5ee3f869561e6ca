//! Prometheus text, read as strictly as `promtool check metrics` does: its format, and what it asks of names.

use anyhow::{Context, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};

/// Samples by name and labels.
pub type Samples = BTreeMap<(String, Vec<(String, String)>), f64>;

/// Reads a page.
///
/// # Errors
/// The line that Prometheus would not take, or that `promtool` would complain of.
pub fn parse(text: &str) -> anyhow::Result<Samples> {
    ensure!(text.ends_with('\n'), "the last line does not end");
    let (mut samples, mut known) = (Samples::new(), BTreeSet::new());
    let mut family: Option<(String, bool)> = None;
    let mut helped: Option<String> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').with_context(|| format!("no help text: {line}"))?;
            ensure!(!help.trim().is_empty() && help.trim() == help, "help text: {line}");
            ensure!(known.insert(name.to_owned()), "{name} comes twice, or not in one piece");
            (helped, family) = (Some(name.to_owned()), None);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').with_context(|| format!("no type: {line}"))?;
            ensure!(helped.as_deref() == Some(name), "{name} has no help text before its type");
            check_name(name, kind)?;
            family = Some((name.to_owned(), kind == "counter"));
        } else if line.starts_with('#') || line.is_empty() {
            bail!("neither help, type nor sample: {line:?}");
        } else {
            let (name, labels, value) = sample(line).with_context(|| format!("no sample: {line}"))?;
            let Some((of, is_counter)) = &family else { bail!("a sample without a type: {line}") };
            ensure!(*of == name, "a sample of {name} among those of {of}");
            ensure!(!is_counter || value >= 0.0, "a counter below 0: {line}");
            ensure!(samples.insert((name, labels), value).is_none(), "twice: {line}");
        }
    }
    Ok(samples)
}

/// Names: their characters, `_total` for what only rises, and no unit but the base ones.
fn check_name(name: &str, kind: &str) -> anyhow::Result<()> {
    ensure!(is_name(name), "{name} is no name");
    ensure!(matches!(kind, "counter" | "gauge"), "{name} is a {kind}");
    ensure!((kind == "counter") == name.ends_with("_total"), "{name} is a {kind}");
    let others = [
        "milliseconds",
        "nanoseconds",
        "nanos",
        "minutes",
        "hours",
        "kilobytes",
        "megabytes",
        "kib",
        "mib",
        "percent",
    ];
    let unit = name.split('_').find(|part| others.contains(part));
    ensure!(unit.is_none(), "{name} counts in {unit:?}");
    let is_said = name.split('_').any(|part| matches!(part, "gauge" | "counter"));
    ensure!(!is_said, "{name} says its type");
    Ok(())
}

fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|it| it.is_ascii_alphanumeric() || it == '_')
}

type Sample = (String, Vec<(String, String)>, f64);

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            let is_new = labels.iter().all(|(known, _)| known != label);
            (is_name(label) && !label.starts_with("__") && !matches!(label, "le" | "quantile") && is_new)
                .then_some(())?;
            labels.push((label.to_owned(), value));
            match after.strip_prefix(',') {
                Some(more) => rest = more,
                None => {
                    rest = after.strip_prefix('}')?;
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ')?.parse::<f64>().ok().filter(|value| value.is_finite())?;
    labels.sort();
    is_name(name).then(|| (name.to_owned(), labels, value))
}

/// A value up to its closing quotation mark, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, it)) = characters.next() {
        match it {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                _ => return None,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_prometheus_takes_is_read_and_everything_else_is_refused() {
        let good = "# HELP a_total All.\n# TYPE a_total counter\na_total{x=\"1\\\"\\n\\\\\",y=\"}\"} 3\na_total 4e2\n";
        let samples = parse(good).expect("it is well-formed");
        assert_eq!(samples.values().copied().collect::<Vec<_>>(), [400.0, 3.0]);
        for (was, is) in [
            ("4e2\n", "4e2"),
            ("4e2", "NaN"),
            ("4e2", "-1"),
            ("a_total 4e2", "b_total 4e2"),
            ("a_total 4e2", "a_total{y=\"}\",x=\"1\\\"\\n\\\\\"} 4"),
            ("y=\"}\"", "x=\"2\""),
            ("y=\"}\"", "le=\"2\""),
            ("y=\"}\"", "y=\"\\a\""),
            ("counter", "gauge"),
            ("# TYPE a_total counter\n", ""),
            ("# HELP a_total All.\n", ""),
            ("All.", " "),
            ("a_total 4e2\n", "a_total 4e2\n\n"),
            ("a_total 4e2\n", "a_total 4e2\n# HELP a_total Again.\n"),
        ] {
            let bad = good.replacen(was, is, 1);
            assert!(bad != good && parse(&bad).is_err(), "{bad}");
        }
        assert!(parse(&good.replace("a_total", "a_nanos_total")).is_err());
    }
}
