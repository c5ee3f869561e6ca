//! What people and tools see of a coordinator, through its own HTTP interface, and what stays for auditors.

use candid::{CandidType, Principal};
use decant_api::events::{Event, Evidence, Happened};
use decant_api::jobs::{Batch, Command, Outcome, Which};
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::calls::{query, update};
use decant_cli::rehearsal::world::World;
use decant_tests::{enrolled_with_ward, modules, restart, settle};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// As a gateway sends it, with what this canister does not ask for.
#[derive(CandidType)]
struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: ByteBuf,
    certificate_version: Option<u16>,
}

#[derive(CandidType, Deserialize)]
struct Response {
    status_code: u16,
    headers: Vec<(String, String)>,
    body: ByteBuf,
}

fn request(url: &str) -> Request {
    let headers = vec![("host".to_owned(), "x.raw.icp0.io".to_owned()); 20];
    Request {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers,
        body: ByteBuf::new(),
        certificate_version: Some(2),
    }
}

fn get(world: &World, url: &str) -> String {
    let response: Response =
        query(&world.pic, world.coordinator, "http_request", (request(url),)).expect("anybody may ask");
    assert_eq!(response.status_code, 200, "{url}");
    assert!(response.headers.iter().any(|(name, _)| name == "content-security-policy"), "{url}");
    String::from_utf8(response.body.into_vec()).expect("it is text")
}

fn events(world: &World, after: u64) -> Vec<Event> {
    query(&world.pic, world.coordinator, "decant_events", (after, 1_000_u32)).expect("it answers")
}

/// Three canisters, of which the second controls another and is parked for it.
fn with_one_parked() -> (World, Principal) {
    let options = Options { canisters: 3, state_kib: 20, ..Options::default() };
    let (world, ward) = enrolled_with_ward(&options);
    settle(&world);
    (world, ward)
}

#[test]
fn what_is_parked_is_asked_for_everywhere_with_the_command_that_moves_it_on() {
    let (world, ward) = with_one_parked();
    let page = get(&world, "/dashboard");
    assert!(
        page.contains("One thing is asked of you") && page.contains("1 job parked: owns or controls"),
        "{page}"
    );
    let command = format!(
        "icp canister call {} decant_all &#39;(variant {{ Retry }}, record {{ plan = null; code = opt &quot;HasAssets&quot;; \
         after = 0 : nat64 }})&#39;",
        world.coordinator
    );
    assert!(page.contains(&command), "{page}");
    let metrics = get(&world, "/metrics");
    for line in ["decant_parked 1\n", "decant_jobs_ended_total{outcome=\"done\"} 2\n", "decant_fenced 0\n"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let log: serde_json::Value = serde_json::from_str(&get(&world, "/logs?level=error")).expect("JSON");
    assert_eq!(log["lines"][0]["job"], 2, "{log}");
    assert_eq!(log["lines"].as_array().map(Vec::len), Some(1), "{log}");

    // What is seen outlasts an upgrade.
    restart(&world);
    assert!(get(&world, "/metrics").contains("decant_parked 1\n"));
    assert!(get(&world, "/").contains("1 job parked"));

    world.pic.set_controllers(ward, Some(world.operator), vec![world.operator]).expect("they are set");
    let which = Which { plan: None, code: Some("HasAssets".to_owned()), after: 0 };
    let batch: Result<Batch, String> =
        update(&world.pic, world.coordinator, world.operator, "decant_all", (Command::Retry, which))
            .expect("it answers");
    assert_eq!(batch.expect("an operator may").taken, 1);
    assert!(settle(&world).iter().all(|job| job.outcome == Outcome::Done));
    let page = get(&world, "/dashboard");
    assert!(page.contains("Nothing is asked of you") && page.contains("<polyline"), "{page}");
    // 8 MiB in one bucket of each of its memories before; a few pages after.
    let given_back = get(&world, "/metrics")
        .lines()
        .find_map(|line| line.strip_prefix("decant_given_back_bytes_total ")?.parse::<u64>().ok())
        .expect("a figure");
    assert!(given_back >= 3 * 120 * 65_536, "{given_back} bytes");
}

#[test]
fn nobody_makes_the_subnet_execute_a_page() {
    let world =
        World::new(decant_tests::engine(), modules(), &Options::default()).expect("the world is made");
    let argument = candid::encode_one(request("/metrics")).expect("it encodes");
    for caller in [world.operator, Principal::anonymous()] {
        let before = world.pic.cycle_balance(world.coordinator);
        let answer = world.pic.update_call(world.coordinator, caller, "http_request", argument.clone());
        assert!(answer.is_err(), "{caller}");
        let spent = before - world.pic.cycle_balance(world.coordinator);
        assert!(spent <= 20_000_000, "{spent} cycles");
    }
    assert!(get(&world, "/metrics").contains("decant_parked 0\n"));
}

#[test]
fn what_was_approved_moved_and_deleted_stays_with_who_did_it_and_its_root() {
    let (world, _) = with_one_parked();
    let told = events(&world, 0);
    assert_eq!(
        told.iter().map(|event| event.number).collect::<Vec<_>>(),
        (1..=told.len() as u64).collect::<Vec<_>>()
    );
    assert!(matches!(told[0].happened, Happened::PlanApproved { plan: 1, .. }), "{told:?}");
    assert_eq!(told[0].by, Some(world.governance));
    assert!(matches!(told[1].happened, Happened::Enrolled { plan: 1, first: 1, count: 3 }), "{told:?}");
    assert_eq!(told[1].by, Some(world.index));
    for job in 1..=3 {
        let evidence: Option<Evidence> =
            query(&world.pic, world.coordinator, "decant_evidence", (job,)).expect("it answers");
        let evidence = evidence.expect("there is such a job");
        assert!(evidence.root.is_some() && evidence.fingerprint.is_some(), "{evidence:?}");
        assert!(evidence.source_module.is_some() && evidence.image_module.is_some(), "{evidence:?}");
        assert!(evidence.image_pages > 0 && evidence.image_pages < evidence.source_pages, "{evidence:?}");
        let moved = told.iter().find_map(|event| match &event.happened {
            Happened::Moved { job: id, source, to, root } if *id == job => {
                Some((*source, Some(*to), root.clone()))
            }
            _ => None,
        });
        assert_eq!(moved, Some((evidence.source, evidence.target, evidence.root.clone())));
        let deleted = told.iter().any(|event| match &event.happened {
            Happened::Deleted { job: id, source, root } => {
                *id == job && *source == evidence.source && *root == evidence.root
            }
            _ => false,
        });
        assert_eq!(deleted, job != 2, "the one that is parked is not deleted: {told:?}");
        assert_eq!(deleted, !world.pic.canister_exists(evidence.source));
    }
    let count = told.len() as u64;
    let refused: Result<(), String> =
        update(&world.pic, world.coordinator, world.operator, "decant_abort", (2_u64,)).expect("it answers");
    assert!(refused.is_err(), "it is past its commit point");
    assert_eq!(events(&world, count), [], "what was refused did not happen");
    let skipped: Result<(), String> =
        update(&world.pic, world.coordinator, world.operator, "decant_skip", (2_u64,)).expect("it answers");
    skipped.expect("what it can't do is left undone");
    settle(&world);
    let later = events(&world, count);
    assert!(
        matches!(later[0].happened, Happened::Ended { job: 2, outcome: Some(Outcome::Done) }),
        "{later:?}"
    );
    assert!(matches!(later[1].happened, Happened::Commanded { command: Command::Skip, job: 2 }), "{later:?}");
    assert_eq!(later[1].by, Some(world.operator));
}

#[derive(serde::Deserialize)]
struct Log {
    lines: Vec<LogLine>,
}

#[derive(serde::Deserialize)]
struct LogLine {
    number: u64,
    nanos: String,
    text: String,
}

fn log(world: &World, query: &str) -> Vec<LogLine> {
    let log: Log = serde_json::from_str(&get(world, &format!("/logs?{query}"))).expect("JSON");
    log.lines
}

#[test]
fn lines_of_the_log_are_asked_for_by_moment_and_number_newest_first() {
    let (world, _) = with_one_parked();
    let all = log(&world, "limit=1000");
    assert!(all.len() > 10, "{} lines", all.len());
    assert!(all.is_sorted_by(|newer, older| newer.number > older.number));
    let nanos = |line: &LogLine| line.nanos.parse::<u64>().expect("a number");
    for limit in [1, 3, all.len()] {
        let some: Vec<u64> = log(&world, &format!("limit={limit}")).iter().map(|line| line.number).collect();
        assert_eq!(some, all[..limit].iter().map(|line| line.number).collect::<Vec<_>>());
    }
    let middle = nanos(&all[all.len() / 2]);
    let since = log(&world, &format!("since={middle}&limit=1000"));
    let expected = all.iter().filter(|line| nanos(line) >= middle).count();
    assert!((1..all.len()).contains(&since.len()), "{} of {} lines", since.len(), all.len());
    assert_eq!(since.len(), expected, "since {middle}");
    assert!(log(&world, &format!("since={}", nanos(&all[0]) + 1)).is_empty());
}

/// Controllers read it where no query of the coordinator answers any more: the last 4 KiB, as the platform keeps them.
#[test]
fn the_platforms_log_gets_a_line_for_each_state_that_a_job_enters() {
    let (world, _) = with_one_parked();
    let mut own = log(&world, "limit=1000");
    own.reverse();
    let own: Vec<String> = own.into_iter().map(|line| line.text).collect();
    let records = world.pic.fetch_canister_logs(world.coordinator, world.operator);
    let platform: Vec<String> = records
        .expect("the operator controls it")
        .into_iter()
        .map(|record| String::from_utf8(record.content).expect("text"))
        .collect();
    assert!(platform.len() > 20, "{platform:#?}");
    let latest = &own[own.len() - platform.len()..];
    for (line, text) in platform.iter().zip(latest) {
        assert_eq!(line.split_once(' ').map(|(_, text)| text), Some(text.as_str()), "{platform:#?}");
    }
    let states = [
        "inspected",
        "admitted",
        "reserved",
        "frozen",
        "sealed",
        "switching",
        "committed",
        "retired",
        "done",
    ];
    for state in states {
        assert!(own.iter().any(|text| text.contains(state)), "{state}: {own:#?}");
    }
}
