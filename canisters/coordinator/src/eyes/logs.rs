//! `/logs`: lines of the log as JSON.

use super::escape::json;
use super::words::moment;
use crate::store::{Level, Line, log};

/// Lines in one answer, at most and if nobody says.
const LINES: (usize, usize) = (1_000, 200);

/// Which lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    level: Level,
    since_nanos: u64,
    limit: usize,
}

impl Asked {
    /// By the query of the URL.
    ///
    /// # Errors
    /// What it can't be.
    pub(super) fn of(query: &str) -> Result<Self, String> {
        let mut asked = Self { level: Level::Info, since_nanos: 0, limit: LINES.1 };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number = || value.parse::<u64>().map_err(|_| format!("{name} is a number\n"));
            match (name, value) {
                ("level", "info") => asked.level = Level::Info,
                ("level", "warn") => asked.level = Level::Warn,
                ("level", "error") => asked.level = Level::Error,
                ("level", _) => return Err("level is info, warn or error\n".to_owned()),
                ("since", _) => asked.since_nanos = number()?,
                ("limit", _) => asked.limit = usize::try_from(number()?).unwrap_or(LINES.0).clamp(1, LINES.0),
                _ => return Err("there are level, since (nanoseconds) and limit\n".to_owned()),
            }
        }
        Ok(asked)
    }

    /// Those, newest first.
    pub(super) fn lines(self) -> Vec<(u64, Line)> {
        log::latest(self.level, self.since_nanos, self.limit)
    }
}

/// As JSON.
pub(super) fn text(lines: &[(u64, Line)]) -> String {
    let lines: Vec<String> = lines.iter().map(|(number, line)| one(*number, line)).collect();
    format!("{{\"lines\":[{}]}}\n", lines.join(",\n"))
}

fn one(number: u64, line: &Line) -> String {
    let job = line.job.map_or("null".to_owned(), |job| job.to_string());
    let code = line.code.as_deref().map_or("null".to_owned(), json);
    format!(
        "{{\"number\":{number},\"nanos\":\"{}\",\"at\":{},\"level\":{},\"job\":{job},\"code\":{code},\"text\":{}}}",
        line.at_nanos,
        json(&moment(line.at_nanos)),
        json(line.level.name()),
        json(&line.text)
    )
}
