//! The pages of a coordinator in the middle of a campaign, through a gateway, as browsers and Prometheus get them.

use candid::Principal;
use decant_api::jobs::{Pause, Summary};
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::query;
use decant_cli::rehearsal::world::World;
use decant_tests::prometheus::{self, Samples};
use decant_tests::{enrolled_with_ward, pause};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Canisters of the campaign.
const CANISTERS: u32 = 8;
/// Rounds in which it must come to its middle.
const ROUNDS: u32 = 2_000;

/// A campaign in which something is done, something parked, something under way and something in line.
fn in_the_middle() -> World {
    let options = Options { canisters: CANISTERS, state_kib: 20, in_flight: 2, ..Options::default() };
    let (world, _) = enrolled_with_ward(&options);
    for _ in 0..ROUNDS {
        let now: Summary =
            query(&world.pic, world.coordinator, "decant_summary", ()).expect("the coordinator answers");
        if now.parked > 0 && now.done > 0 && now.running > 0 && now.queued > 0 {
            pause(&world, Pause::Hold);
            return world;
        }
        world.pic.advance_time(Duration::from_secs(1));
        world.pic.tick();
    }
    panic!("there is no middle of it");
}

/// What a gateway answers: its head in small letters, and its body.
fn get(port: u16, canister: Principal, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the gateway listens");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {canister}.raw.localhost:{port}\r\nConnection: close\r\n\r\n"
    )
    .expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
    assert!(!head.contains("transfer-encoding"), "in one piece: {head}");
    (head, body.to_owned())
}

fn value(samples: &Samples, name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let key = (name.to_owned(), labels);
    *samples.get(&key).unwrap_or_else(|| panic!("{key:?} in {samples:#?}"))
}

#[test]
fn prometheus_takes_the_metrics_of_a_campaign_in_the_middle_and_they_are_what_the_coordinator_says() {
    let mut world = in_the_middle();
    let port = world.pic.make_live(None).port().expect("a port");
    world.pic.stop_progress();
    let coordinator = world.coordinator;
    let (head, body) = get(port, coordinator, "/metrics");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    let samples = prometheus::parse(&body).unwrap_or_else(|error| panic!("{error:#}:\n{body}"));
    let now: Summary = query(&world.pic, coordinator, "decant_summary", ()).expect("it answers");
    let at = |place| value(&samples, "decant_open_jobs", &[("place", place)]);
    assert_eq!(at("in line"), now.queued as f64);
    assert_eq!(at("parked"), now.parked as f64);
    assert_eq!(at("working") + at("waiting"), now.running as f64);
    assert_eq!(value(&samples, "decant_jobs_ended_total", &[("outcome", "done")]), now.done as f64);
    let parked = [("reason", "HasAssets"), ("standing", "parked")];
    assert_eq!(value(&samples, "decant_jobs_with_reason", &parked), 1.0);
    assert_eq!(value(&samples, "decant_pause", &[]), 2.0);
    assert!(value(&samples, "decant_given_back_bytes_total", &[]) >= 65_536.0);
    let asked: f64 =
        samples.iter().filter(|((name, _), _)| name == "decant_asks").map(|(_, value)| value).sum();
    assert!(asked >= 2.0, "of the parked job, and of the pause: {samples:#?}");

    let (_, page) = get(port, coordinator, "/dashboard");
    // What is asked comes before every figure, and nothing of the page comes from elsewhere.
    let asked = page.find("asked of you").expect("it says what is asked");
    let first_figure = page.find("<h2").expect("it has sections");
    assert!(page.contains("decant_all") && page.contains("decant_pause"), "{page}");
    assert!(asked < first_figure, "{page}");
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("@import"), "{page}");
    let (head, log) = get(port, coordinator, "/logs?level=error");
    let log: serde_json::Value = serde_json::from_str(&log).expect("JSON");
    assert!(
        head.contains("application/json") && log["lines"].as_array().is_some_and(|it| it.len() == 1),
        "{log}"
    );
}
