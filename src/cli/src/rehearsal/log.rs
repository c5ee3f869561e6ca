//! What the coordinator writes down of jobs: through which states each passed, and when.

use super::world::World;
use anyhow::{Context, anyhow, ensure};
use candid::{CandidType, Principal};
use decant_api::JobId;
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// Lines in one answer, at most (the coordinator's limit); it keeps the last 4,096.
const LINES: usize = 1_000;

/// A job came from one state into another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// The job.
    pub job: JobId,
    /// When.
    pub at_nanos: u64,
    /// Where from.
    pub from: String,
    /// Where to.
    pub to: String,
    /// The line.
    pub text: String,
}

#[derive(CandidType)]
struct HttpRequest {
    method: &'static str,
    url: String,
    headers: Vec<(String, String)>,
    body: ByteBuf,
}

#[derive(CandidType, Deserialize)]
struct HttpResponse {
    status_code: u16,
    body: ByteBuf,
}

#[derive(Deserialize)]
struct Lines {
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    nanos: String,
    job: Option<JobId>,
    text: String,
}

/// The latest passages, oldest first.
///
/// # Errors
/// The coordinator answers something else.
pub fn passages(world: &World) -> anyhow::Result<Vec<Passage>> {
    let url = format!("/logs?limit={LINES}");
    let request = HttpRequest { method: "GET", url, headers: Vec::new(), body: ByteBuf::new() };
    let argument = candid::encode_one(request)?;
    let reply = world
        .pic
        .query_call(world.coordinator, Principal::anonymous(), "http_request", argument)
        .map_err(|rejected| anyhow!("the coordinator's log: {rejected}"))?;
    let HttpResponse { status_code, body } = candid::decode_one(&reply)?;
    ensure!(status_code == 200, "the coordinator's log: status {status_code}");
    let Lines { lines } = serde_json::from_slice(&body).context("the coordinator's log")?;
    Ok(lines.into_iter().rev().filter_map(passage).collect())
}

/// `job 3 of ID: frozen → stopped`, and why if it went back or waits.
fn passage(line: Line) -> Option<Passage> {
    let (_, states) = line.text.split_once(": ")?;
    let (from, to) = states.split_once(" → ")?;
    let to = to.split_once(": ").map_or(to, |(to, _)| to);
    let (from, to) = (from.to_owned(), to.to_owned());
    Some(Passage { job: line.job?, at_nanos: line.nanos.parse().ok()?, from, to, text: line.text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_is_read_out_of_a_line() {
        let line = |text: &str| Line { nanos: "5".to_owned(), job: Some(3), text: text.to_owned() };
        let read =
            passage(line("job 3 of aaaaa-aa: poured → rolling back: it traps: why")).expect("it is one");
        assert_eq!((read.from.as_str(), read.to.as_str(), read.at_nanos), ("poured", "rolling back", 5));
        assert_eq!(passage(line("plan 1 is in force")), None);
    }
}
