//! What people and their tools see: `GET /`, `/dashboard`, `/metrics`, `/logs`. A query that one node answers, to be read and
//! not acted upon; the subnet never executes it, so that nobody makes the coordinator pay for it.
//!
//! | path | what |
//! |---|---|
//! | `/`, `/dashboard` | a page: what is asked of an operator, first |
//! | `/metrics` | Prometheus text |
//! | `/logs?level=warn&since=NANOS&limit=N` | lines of the log as JSON, newest first |

mod asks;
mod chart;
mod dashboard;
mod escape;
mod logs;
mod metrics;
mod picture;
mod style;
#[cfg(test)]
mod tests;
mod words;

use candid::CandidType;
use picture::Picture;
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// Bytes of an answer; a query may answer 3 MiB (docs, "resource limits"), and a page is read by people.
const ANSWER_BYTES: usize = 1 << 20;

/// What a gateway asks (docs, "HTTP gateway protocol").
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct HttpRequest {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: ByteBuf,
}

/// What it is answered.
#[derive(Debug, Clone, CandidType, Deserialize)]
pub(crate) struct HttpResponse {
    status_code: u16,
    headers: Vec<(String, String)>,
    body: ByteBuf,
}

/// Answers as the coordinator stands now.
pub(crate) fn answer(request: &HttpRequest) -> HttpResponse {
    answer_with(request, Picture::now)
}

fn answer_with(request: &HttpRequest, picture: impl Fn() -> Picture) -> HttpResponse {
    if request.method != "GET" && request.method != "HEAD" {
        return page(405, "text/plain; charset=utf-8", "only GET is answered\n".to_owned());
    }
    let (path, query) = request.url.split_once('?').unwrap_or((&request.url, ""));
    match path {
        "/" | "/dashboard" => page(200, "text/html; charset=utf-8", dashboard::text(&picture())),
        "/metrics" => page(200, "text/plain; version=0.0.4; charset=utf-8", metrics::text(&picture())),
        "/logs" => match logs::Asked::of(query) {
            Ok(asked) => page(200, "application/json", logs::text(&asked.lines())),
            Err(why) => page(400, "text/plain; charset=utf-8", why),
        },
        _ => page(404, "text/plain; charset=utf-8", "there are /dashboard, /metrics and /logs\n".to_owned()),
    }
}

fn page(status_code: u16, kind: &str, text: String) -> HttpResponse {
    let (status_code, kind, text) = match text.len() <= ANSWER_BYTES {
        true => (status_code, kind, text),
        false => (500, "text/plain; charset=utf-8", format!("the answer exceeds {ANSWER_BYTES} bytes\n")),
    };
    let policy = format!(
        "default-src 'none'; style-src '{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        style::source()
    );
    let headers = [
        ("content-type", kind),
        ("content-security-policy", &policy),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ];
    HttpResponse {
        status_code,
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        body: ByteBuf::from(text),
    }
}
