//! What is shown, of a coordinator that is new, one in the middle, and one that is through. `DECANT_WRITE_PAGES=DIRECTORY`
//! writes the pages, to be looked at.

use super::picture::{Group, Picture, PlanPicture};
use super::{ANSWER_BYTES, HttpRequest, HttpResponse, answer_with, asks, dashboard, logs, metrics, style};
use crate::pace::Wait;
use crate::store::{Level, Line, Pause, Standing, Tally};
use crate::tests::canister;
use decant_engine::ReasonCode;
use serde_bytes::ByteBuf;
use std::collections::{BTreeMap, BTreeSet};

const HOUR_NANOS: u64 = 3_600_000_000_000;
/// 2026-11-26T00:00:00Z.
const NOW_NANOS: u64 = 1_795_651_200_000_000_000;
/// What somebody might call a plan.
const HOSTILE: &str = "Safe</h3></article><script>alert(1)</script>\u{202e}<!--\n\"'`&\\ {x=\"1\"}";

fn empty() -> Picture {
    Picture {
        own: canister(1),
        governance: canister(9),
        now_nanos: NOW_NANOS,
        pause: Pause::Running,
        put_back_nanos: None,
        aside: Vec::new(),
        queued: 0,
        working: 0,
        waiting: 0,
        parked: 0,
        states: Vec::new(),
        groups: Vec::new(),
        oldest_fenced: None,
        fenced: 0,
        progress_nanos: None,
        all: Tally::default(),
        plans: Vec::new(),
        history: Vec::new(),
        waits_for: None,
        balance_cycles: 20_400_000_000_000,
        liquid_cycles: 20_000_000_000_000,
        floor_cycles: 1_000_000_000_000,
        spent_cycles: 0,
        runway_days: None,
        pool: 0,
        calls: 0,
        target_calls: 0,
        heap_bytes: 5_000_000,
        stable_bytes: 2_000_000,
        lines: Vec::new(),
    }
}

fn tally(done: u64) -> Tally {
    Tally {
        title: "Give the fleet its memory back".to_owned(),
        strategy: "repack".to_owned(),
        max_canisters: 9_857,
        done,
        rolled_back: done / 100,
        pages_before: done * 129,
        pages_after: done * 4,
        wire_bytes: done * 200_000,
    }
}

fn group(standing: Standing, code: ReasonCode, count: u64) -> Group {
    let job = |number: u8| {
        let why =
            format!("assessing: {}: 12 units at a ledger; then call decant_retry({number})", code.text());
        (u64::from(number), canister(number), why)
    };
    let first =
        if standing == Standing::Parked { (1..=count.min(3) as u8).map(job).collect() } else { Vec::new() };
    Group { standing, code: crate::views::code_name(code), text: code.text(), count, first }
}

fn line(number: u64, level: Level, text: &str) -> (u64, Line) {
    let at_nanos = NOW_NANOS - HOUR_NANOS / 2 + number * 1_000_000_000;
    (number, Line { at_nanos, level, job: Some(number), code: None, text: text.to_owned() })
}

fn history(done: u64) -> Vec<(u64, Tally)> {
    (0..=120)
        .map(|point| (NOW_NANOS - (120 - point) * HOUR_NANOS / 5, tally(done * point * point / 14_400)))
        .collect()
}

fn running() -> Picture {
    Picture {
        queued: 5_200,
        working: 10,
        waiting: 240,
        parked: 1_014,
        states: vec![
            ("repack", "parked", 1_014),
            ("repack", "pouring", 4),
            ("repack", "retaining", 240),
            ("repack", "sealing", 6),
        ],
        groups: vec![
            group(Standing::Parked, ReasonCode::HasAssets, 1_012),
            group(Standing::Parked, ReasonCode::ChangedAfterSeal, 2),
            group(Standing::GoingBack, ReasonCode::NotAuthorised, 1),
            group(Standing::Trying, ReasonCode::RateLimited, 3),
        ],
        oldest_fenced: Some((NOW_NANOS - HOUR_NANOS, 77)),
        fenced: 9,
        progress_nanos: Some(NOW_NANOS - 4_000_000_000),
        all: tally(3_400),
        plans: vec![
            PlanPicture {
                id: 2,
                tally: Tally { title: HOSTILE.to_owned(), ..tally(0) },
                enrolled: 0,
                queued: 0,
                working: 0,
                waiting: 0,
                parked: 0,
                spent_cycles: 0,
                max_cycles: 10_000_000_000_000,
                waits: None,
                held: 0,
            },
            PlanPicture {
                id: 1,
                tally: tally(3_400),
                enrolled: 9_857,
                queued: 5_200,
                working: 10,
                waiting: 240,
                parked: 1_014,
                spent_cycles: 31_000_000_000_000,
                max_cycles: 90_000_000_000_000,
                waits: None,
                held: 0,
            },
        ],
        history: history(3_400),
        spent_cycles: 31_000_000_000_000,
        runway_days: Some(612),
        calls: 120_000,
        lines: vec![
            line(3, Level::Error, "job 77 of aaaaa-aa: assessing → parked: owns something"),
            line(2, Level::Warn, "job 12 of aaaaa-aa: ready → rolling back: not running; start it"),
            line(1, Level::Info, HOSTILE),
        ],
        ..empty()
    }
}

fn finished() -> Picture {
    let all = tally(9_760);
    let plan = PlanPicture {
        id: 1,
        tally: all.clone(),
        enrolled: 9_857,
        queued: 0,
        working: 0,
        waiting: 0,
        parked: 0,
        spent_cycles: 88_000_000_000_000,
        max_cycles: 90_000_000_000_000,
        waits: None,
        held: 0,
    };
    Picture {
        all,
        plans: vec![plan],
        history: history(9_760),
        progress_nanos: Some(NOW_NANOS - 40 * HOUR_NANOS),
        spent_cycles: 88_000_000_000_000,
        runway_days: Some(400),
        ..empty()
    }
}

/// Everything that is ever asked, at once.
fn asked() -> Picture {
    Picture {
        pause: Pause::Hold,
        put_back_nanos: Some(NOW_NANOS - HOUR_NANOS),
        aside: vec![5, 6],
        waits_for: Some("the coordinator has 1 cycles to spend and needs 2: top up".to_owned()),
        ..running()
    }
}

fn ask(url: &str) -> HttpResponse {
    let request = HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: ByteBuf::new(),
    };
    answer_with(&request, running)
}

#[test]
fn pages_are_written_to_be_looked_at() {
    let pages = [("empty", empty()), ("running", running()), ("finished", finished()), ("asked", asked())];
    for (name, picture) in pages {
        let text = dashboard::text(&picture);
        assert!(
            text.starts_with("<!doctype html>") && text.len() < ANSWER_BYTES / 10,
            "{name}: {}",
            text.len()
        );
        if let Some(directory) = std::env::var_os("DECANT_WRITE_PAGES") {
            let path = std::path::Path::new(&directory).join(format!("{name}.html"));
            std::fs::write(path, text).expect("the page can be written");
        }
    }
}

#[test]
fn what_is_asked_stands_before_all_else_with_the_command_that_does_it() {
    let page = dashboard::text(&running());
    let parts =
        ["Decant</h1>", "things are asked of you", "decant_all", "given back", "Plans", "Latest changes"];
    let places: Vec<usize> = parts.iter().map(|part| page.find(part).expect(part)).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(page.contains("opt &quot;HasAssets&quot;; after = 0 : nat64"), "{page}");
    assert!(
        page.contains("and 1,009 more") && page.contains("1,012 jobs parked: owns or controls"),
        "{page}"
    );
    assert!(dashboard::text(&empty()).contains("Nothing is asked of you."));
    assert!(dashboard::text(&finished()).contains("Nothing is asked of you."));
}

#[test]
fn each_thing_that_may_be_asked_is_asked_once_and_told_to_tools() {
    let now = Picture { pause: Pause::Running, put_back_nanos: None, waits_for: None, ..asked() };
    let kinds = |picture: &Picture| asks::asks(picture).iter().map(|ask| ask.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&now), ["users_wait", "parked", "parked", "unread"]);
    assert_eq!(kinds(&asked()), ["put_back", "users_wait", "parked", "parked", "unread", "paused", "cycles"]);
    let still = Picture { working: 1, progress_nanos: Some(NOW_NANOS - 2 * HOUR_NANOS), ..empty() };
    assert_eq!(kinds(&still), ["still"]);
    let mut waiting = running();
    (waiting.plans[1].waits, waiting.plans[1].held) = (Some(Wait::Broken { failures: 2, of_last: 5 }), 3);
    assert_eq!(kinds(&waiting), ["users_wait", "parked", "parked", "broken", "held"]);
    let page = dashboard::text(&waiting);
    assert!(
        page.contains("(1 : nat64, variant { Breaker })") && page.contains("variant { Held = 3 : nat32 }"),
        "{page}"
    );
    let dry = Picture { runway_days: Some(29), ..empty() };
    assert_eq!(kinds(&dry), ["cycles"]);
    assert_eq!(
        kinds(&Picture { pause: Pause::NoJobs, ..empty() }),
        Vec::<&str>::new(),
        "nothing waits for it"
    );
    let told = samples(&metrics::text(&asked()));
    assert_eq!(told["decant_asks{kind=\"parked\"}"], 2);
    assert_eq!(told["decant_asks{kind=\"put_back\"}"], 1);
    for ask in asks::asks(&asked()) {
        assert!(!ask.commands.is_empty() && ask.title.len() < 120, "{ask:?}");
    }
}

#[test]
fn nothing_that_others_wrote_can_end_what_it_stands_in() {
    let page = dashboard::text(&running());
    assert!(!page.contains("<script") && !page.contains("<!--") && !page.contains('\u{202e}'), "{page}");
    assert!(page.contains("Safe&lt;/h3&gt;&lt;/article&gt;&lt;script&gt;") && page.contains("U+202E"));
    let lines = logs::text(&running().lines);
    let read: serde_json::Value = serde_json::from_str(&lines).expect("it is JSON");
    assert_eq!(read["lines"][2]["text"], HOSTILE, "whoever reads JSON gets the letters back");
    assert_eq!(read["lines"][0]["at"], "2026-11-25T23:30:03Z");
    let label = super::escape::label("a\"b\\c\nd\u{202e}");
    assert_eq!(label, "a\\\"b\\\\c\\ndU+202E");
}

/// Every sample by its name and labels, read as strictly as `promtool check metrics` does.
fn samples(text: &str) -> BTreeMap<String, u128> {
    let is_name = |name: &str| {
        !name.starts_with(|letter: char| letter.is_ascii_digit())
            && name
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
    };
    let (mut helped, mut kinds, mut samples) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    let mut family = String::new();
    assert!(text.ends_with('\n'), "the last line ends");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a help");
            assert!(is_name(name) && name.starts_with("decant_") && help.ends_with('.'), "{line}");
            assert!(helped.insert(name.to_owned()), "{name} is there twice");
            name.clone_into(&mut family);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a type");
            assert_eq!(name, family, "the type follows its help");
            assert!(kind == "gauge" || kind == "counter", "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            assert_eq!(kinds.insert(name.to_owned(), kind.to_owned()), None);
        } else {
            let (key, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = key.split_once('{').map_or((key, ""), |(name, rest)| (name, rest));
            assert_eq!(name, family, "samples follow their type: {line}");
            assert!(labels.is_empty() || labels.ends_with('}'), "{line}");
            for label in labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()) {
                let (label, value) = label.split_once('=').expect("a label has a value");
                assert!(is_name(label) && value.starts_with('"') && value.ends_with('"'), "{line}");
            }
            let value = value.parse().expect("a number");
            assert_eq!(samples.insert(key.to_owned(), value), None, "{key} is there twice");
        }
    }
    assert_eq!(helped.len(), kinds.len(), "each has help and type");
    samples
}

#[test]
fn metrics_are_such_that_prometheus_takes_them_and_their_names_say_the_unit() {
    for picture in [empty(), running(), finished(), asked()] {
        let told = samples(&metrics::text(&picture));
        assert_eq!(told["decant_parked"], u128::from(picture.parked));
        for (key, _) in told {
            let name = key.split('{').next().unwrap_or_default().trim_end_matches("_total");
            let has_unit = ["_bytes", "_seconds", "_days", "_cycles"].iter().any(|unit| name.ends_with(unit));
            let is_count = [
                "asks", "parked", "aside", "fenced", "put_back", "pause", "jobs", "reason", "ended", "calls",
                "pool",
            ]
            .iter()
            .any(|count| name.ends_with(count));
            assert!(has_unit || is_count || name == "decant_waits_for_cycles", "{name} has no unit");
        }
    }
    let told = samples(&metrics::text(&running()));
    assert_eq!(told["decant_oldest_fenced_seconds"], 3_600);
    assert_eq!(told["decant_last_progress_seconds"], 4);
    assert_eq!(told["decant_runway_days"], 612);
    assert_eq!(told["decant_jobs{state=\"pouring\",strategy=\"repack\"}"], 4);
    assert_eq!(told["decant_jobs_with_reason{reason=\"HasAssets\",standing=\"parked\"}"], 1_012);
    assert_eq!(told["decant_given_back_bytes_total"], 3_400 * 125 * 65_536);
    assert!(
        !samples(&metrics::text(&empty())).contains_key("decant_runway_days"),
        "what is not known is absent"
    );
}

#[test]
fn a_browser_takes_nothing_from_elsewhere_and_runs_nothing() {
    for url in ["/", "/dashboard", "/metrics", "/nowhere", "/logs?level=loud"] {
        let headers: BTreeMap<String, String> = ask(url).headers.into_iter().collect();
        let policy = &headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none'") && policy.contains(&style::source()), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("script"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
    let page = dashboard::text(&running());
    assert!(page.contains(&format!("<style>{}</style>", style::TEXT)), "the policy names just this style");
    assert!(!page.contains("style=\"") && !page.contains("src=") && !page.contains("href=\"http"), "{page}");
}

#[test]
fn what_is_no_page_is_told_so() {
    assert_eq!(ask("/").status_code, 200);
    assert_eq!(ask("/dashboard?x=1").status_code, 200);
    assert_eq!(ask("/../etc").status_code, 404);
    assert_eq!(ask("/logs?level=loud").status_code, 400);
    let post = HttpRequest {
        method: "POST".to_owned(),
        ..HttpRequest {
            method: String::new(),
            url: "/".to_owned(),
            headers: Vec::new(),
            body: ByteBuf::new(),
        }
    };
    assert_eq!(answer_with(&post, running).status_code, 405);
}
