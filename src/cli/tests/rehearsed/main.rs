//! `decant dry-run` with canisters of somebody else, as a process: their snapshots as directories, their modules as files.

mod common;
mod incident;

use common::{Fleet, command, decant, spawn, text};
use decant_cli::candid_text::encode;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// Argument of a canister with nothing besides its manager.
const PLAIN: &str = "(record { prefix_pages = 0 : nat64; bucket_pages = 128 : nat16; is_nested = false; behind_page = null; \
                     opens_at_init = true })";
/// Numbers change from run to run where jobs meet users; these are those of the layouts.
const MIB: u64 = 1 << 20;

#[test]
fn three_canisters_of_different_code_are_rehearsed_while_their_users_write() {
    let fleet = Fleet::downloaded();
    let ended = decant(
        &fleet,
        &[
            "--copies",
            "2",
            "--strategy",
            "both",
            "--json",
            "report.json",
            "--html",
            "report.html",
            "--upgrade-arg",
        ],
        &["ledger=(variant { Upgrade = null })"],
    );
    let (output, errors) = (text(&ended.stdout), text(&ended.stderr));
    assert_eq!(ended.status.code(), Some(0), "{output}{errors}");
    assert!(output.ends_with("All is well: nothing was lost.\n"), "{output}");
    let json: Value = serde_json::from_str(&fleet.read("report.json")).expect("it is JSON");
    for strategy in ["repack", "relocate-vessel"] {
        let report = &json[strategy];
        let canisters = report["canisters"].as_array().expect("there are figures");
        let names: Vec<&str> = canisters.iter().filter_map(|figures| figures["name"].as_str()).collect();
        assert_eq!(names, ["incident", "ledger", "shapes"], "{report}");
        for figures in canisters {
            let number = |field: &str| figures[field].as_u64().expect(field);
            assert_eq!((number("copies"), number("done")), (2, 2), "{figures}");
            assert!(number("stable_bytes_before") > 2 * 8 * MIB, "{figures}");
            assert!(number("stable_bytes_after") * 8 < number("stable_bytes_before"), "{figures}");
            assert!(number("answers") >= 2 && number("answers") == number("answers_same"), "{figures}");
            assert!(number("written") >= 2, "{figures}");
            assert!(number("fenced_rounds_max") > 0, "{figures}");
            assert!(figures["states"].as_array().is_some_and(|states| states.len() >= 3), "{figures}");
        }
        assert!(
            report["write_attempts_while_fenced"].as_u64() > Some(0),
            "users write while it goes on: {report}"
        );
    }
    let page = fleet.read("report.html");
    assert!(page.contains("How long ledger was in each state, repack"), "{page}");
    assert!(!page.contains("<script") && !page.contains("://"));
}

/// Its post_upgrade traps without an argument.
#[test]
fn a_canister_that_is_broken_is_named_with_the_step_and_the_others_are_given_back() {
    let fleet = Fleet::downloaded();
    let ended = decant(&fleet, &["--json", "report.json"], &[]);
    let (output, errors) = (text(&ended.stdout), text(&ended.stderr));
    assert_eq!(ended.status.code(), Some(1), "{output}{errors}");
    assert!(output.ends_with("NOT all is well: see above.\n"), "{output}");
    assert!(
        output.contains("! ledger (1), not given back, and as it was, at the step \"dressing\""),
        "{output}"
    );
    assert!(output.contains("an ordinary upgrade to the same module fails too"), "{output}");
    assert!(output.contains(": dressing → rolling back"), "the job's events are there: {output}");
    let json: Value = serde_json::from_str(&fleet.read("report.json")).expect("it is JSON");
    let done: Vec<u64> = json["canisters"]
        .as_array()
        .expect("there are figures")
        .iter()
        .filter_map(|figures| figures["done"].as_u64())
        .collect();
    assert_eq!(done, [1, 0, 1], "{json}");
    let failures = json["failures"].as_array().expect("there are failures");
    // What went back answers as if nothing had happened: promise 10 is not broken.
    assert_eq!(failures.len(), 1, "{json}");
    assert_eq!(failures[0]["step"], "dressing");
}

#[test]
fn a_module_is_installed_written_to_and_rehearsed_with() {
    let fleet = Fleet::of_modules();
    let arguments =
        ["--wasm", "regions.wasm", "--init", PLAIN, "--upgrade-arg", PLAIN, "--ask", "regions.txt"];
    let ended = decant(&fleet, &arguments, &["--may-lose-heap"]);
    let output = text(&ended.stdout);
    assert_eq!(ended.status.code(), Some(0), "{output}{}", text(&ended.stderr));
    assert!(output.contains("regions") && output.contains("1 of 1"), "{output}");
}

/// What lies behind the last bucket is somebody's: giving it up is what an operator must not say here.
#[test]
fn what_is_lost_is_told_by_the_twin() {
    let fleet = Fleet::with_state_behind();
    let kept = decant(&fleet, &["--may-lose-heap"], &[]);
    let output = text(&kept.stdout);
    assert_eq!(kept.status.code(), Some(1), "{output}{}", text(&kept.stderr));
    assert!(output.contains("regions (1), not given back, and as it was"), "{output}");
    assert!(output.contains("1 of 1"), "it answers as it did: {output}");
    let dropped = decant(&fleet, &["--may-lose-heap", "--drop-tail"], &[]);
    let output = text(&dropped.stdout);
    assert_eq!(dropped.status.code(), Some(1), "{output}{}", text(&dropped.stderr));
    assert!(output.contains("regions (1), promise 2: `query notes ()`"), "{output}");
    assert!(output.contains("0 of 1"), "{output}");
}

#[test]
fn where_nothing_is_asked_nobody_says_that_nothing_was_lost() {
    let fleet = Fleet::of_modules();
    fleet.write("init.bin", encode(PLAIN).expect("it is Candid"));
    let arguments = ["--wasm", "regions.wasm", "--init-arg-file", "init.bin", "--upgrade-arg", PLAIN];
    let ended = decant(&fleet, &arguments, &["--may-lose-heap", "--html", "report.html"]);
    let output = text(&ended.stdout);
    assert_eq!(ended.status.code(), Some(0), "{output}{}", text(&ended.stderr));
    assert!(output.contains("0 of 0"), "{output}");
    assert!(
        output.ends_with(
            "\nMemory was given back. Nothing was asked, so whether it still answers is not known: add queries with --ask \
             (docs/rehearsal.md).\n"
        ),
        "{output}"
    );
    let page = fleet.read("report.html");
    assert!(page.contains("Nothing was asked") && !page.contains("nothing was lost"), "{page}");
}

#[test]
fn a_file_that_can_not_be_written_is_told_before_anything_is_rehearsed() {
    let fleet = Fleet::of_modules();
    for file in [["--json", "nowhere/x.json"], ["--html", "nowhere/x.html"]] {
        let ended = decant(&fleet, &["--canisters", "1", "--state-kib", "20"], &file);
        let errors = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(3), "{errors}");
        assert!(errors.starts_with(&format!("error: writing {}: ", file[1])), "no phase has begun: {errors}");
    }
}

/// Metadata of a snapshot that can't be one, field by field.
#[test]
fn a_snapshot_that_can_not_be_one_is_refused_and_nothing_panics() {
    let fleet = Fleet::with_state_behind();
    let metadata: Value =
        serde_json::from_str(&fleet.read("snapshots/regions/metadata.json")).expect("it is JSON");
    for (field, wrong) in [
        ("taken_at_timestamp", Value::Null),
        ("taken_at_timestamp", Value::from(u64::MAX)),
        ("source", serde_json::json!({ "found_in_the_street": null })),
        ("wasm_memory_size", Value::from(100)),
        ("certified_data", Value::from(vec![1; 99])),
    ] {
        let mut changed = metadata.clone();
        changed[field] = wrong;
        fleet.write("snapshots/regions/metadata.json", changed.to_string());
        let ended = decant(&fleet, &[], &[]);
        let errors = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(3), "{errors}");
        assert!(errors.contains(&format!("metadata.json: {field} ")), "{errors}");
        assert!(!errors.contains("panicked"), "{errors}");
    }
}

/// One canister on an engine; what the report says of it.
fn engine_of(fleet: &Fleet, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let small = ["--canisters", "1", "--state-kib", "1", "--strategy", "repack", "--json", "report.json"];
    let mut command = command(fleet);
    command.args(small).args(arguments).env_remove("POCKET_IC_BIN").env_remove("POCKET_IC_URL");
    let ended = command.envs(environment.iter().copied()).output().expect("decant runs");
    assert_eq!(ended.status.code(), Some(0), "{}{}", text(&ended.stdout), text(&ended.stderr));
    let json: Value = serde_json::from_str(&fleet.read("report.json")).expect("it is JSON");
    json["engine"].as_str().expect("the report names its engine").to_owned()
}

#[test]
fn a_server_that_is_asked_for_is_started_or_used_where_it_listens() {
    let fleet = Fleet::of_modules();
    let binary = ("POCKET_IC_BIN", env!("CARGO_BIN_EXE_pocket-ic-decant"));
    assert_eq!(engine_of(&fleet, &["--engine", "pocket-ic"], &[binary]), "pocket-ic");
    assert_eq!(
        engine_of(&fleet, &[], &[("POCKET_IC_BIN", "/nonexist")]),
        "embedded",
        "unless it is asked for"
    );

    let mut server = Command::new(env!("CARGO_BIN_EXE_decant"));
    let mut server =
        server.arg("replica").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    let mut url = String::new();
    let mut printed = BufReader::new(server.stdout.take().expect("it is piped"));
    printed.read_line(&mut url).expect("it prints where it listens");
    let there = [("POCKET_IC_URL", url.trim()), ("POCKET_IC_BIN", "/nonexist")];
    let engine = engine_of(&fleet, &["--engine", "pocket-ic"], &there);
    server.kill().expect("it is stopped");
    server.wait().expect("it ends");
    assert_eq!(engine, "pocket-ic");
}

#[test]
fn a_server_that_does_not_run_is_named() {
    let fleet = Fleet::of_modules();
    let refusal = |environment: &[(&str, &str)]| {
        let mut command = command(&fleet);
        command.args(["--canisters", "1", "--engine", "pocket-ic"]);
        command.env_remove("POCKET_IC_BIN").env_remove("POCKET_IC_URL");
        let ended = command.envs(environment.iter().copied()).output().expect("decant runs");
        let errors = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(3), "{errors}");
        errors
    };
    for (environment, words) in [
        (
            vec![],
            "no PocketIC server is named: set POCKET_IC_BIN to the path of its binary, or POCKET_IC_URL",
        ),
        (vec![("POCKET_IC_BIN", "/nonexist")], "POCKET_IC_BIN is /nonexist, which is no PocketIC server"),
        (vec![("POCKET_IC_BIN", "/bin/true")], "POCKET_IC_BIN is /bin/true, which is no PocketIC server"),
        (vec![("POCKET_IC_URL", "http://127.0.0.1:9/")], "POCKET_IC_URL is http://127.0.0.1:9/, where no"),
        (vec![("POCKET_IC_URL", "nowhere")], "POCKET_IC_URL is nowhere, where no PocketIC server listens"),
    ] {
        let errors = refusal(&environment);
        assert!(errors.starts_with(&format!("error: {words}")), "{errors}");
    }
}

#[test]
fn what_can_not_be_rehearsed_is_refused_with_what_to_do() {
    let fleet = Fleet::of_modules();
    fleet.write("no.wasm", "canister,stable_bytes\n");
    fleet.write("wrong.txt", "query notes");
    fleet.write("unknown.txt", "query nothing ()");
    let module = ["--wasm", "regions.wasm", "--init", PLAIN, "--upgrade-arg", PLAIN];
    for (arguments, code, words) in [
        (vec!["--fleet", "nowhere"], 3, "reading nowhere"),
        (vec!["--wasm", "regions.wasm", "--canisters", "2"], 2, "cannot be used with"),
        (vec!["--copies", "2"], 2, "required"),
        (vec!["--canisters", "1", "--init", PLAIN], 3, "--init is of a module: name it with --wasm FILE"),
        (vec!["--canisters", "1", "--copies", "2"], 2, "required"),
        (vec!["--wasm", "no.wasm"], 3, "no.wasm is no WebAssembly module"),
        (vec!["--wasm", "regions.wasm"], 3, "name the argument of its init with --init"),
        (vec!["--wasm", "regions.wasm", "--init", PLAIN], 3, "of its post_upgrade with --upgrade-arg"),
        (vec!["--wasm", "regions.wasm", "--strategy", "relocate"], 3, "--strategy repack"),
        (vec!["--wasm", "regions.wasm", "--init", "(5"], 3, "--init (5: \",\" or \")\" is missing"),
        (vec!["--wasm", "regions.wasm", "--upgrade-arg", "other=()"], 3, "there is no canister of that name"),
        ([&module[..], &["--ask", "wrong.txt"]].concat(), 3, "wrong.txt: line 1: the arguments are missing"),
        (
            [&module[..], &["--ask", "unknown.txt"]].concat(),
            3,
            "line 1 of --ask, `query nothing ()` is rejected",
        ),
    ] {
        let ended = decant(&fleet, &arguments, &[]);
        let errors = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(words), "{arguments:?}: {errors}");
        assert!(ended.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_dashboard_of_a_rehearsal_opens_in_a_browser_until_it_is_interrupted() {
    let fleet = Fleet::of_modules();
    let mut served = spawn(&fleet, &["--canisters", "1", "--state-kib", "20", "--serve"]);
    let output = BufReader::new(served.stdout.take().expect("it is piped"));
    let address =
        output.lines().map(|line| line.expect("it is text")).find(|line| line.starts_with("http://"));
    let address = address.expect("it prints where");
    let host = address.trim_start_matches("http://").trim_end_matches('/');
    let (name, port) = host.rsplit_once(':').expect("it has a port");
    assert!(name.ends_with(".localhost"), "{address}");
    let mut browser =
        TcpStream::connect(("127.0.0.1", port.parse().expect("a number"))).expect("somebody listens");
    write!(browser, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("it is sent");
    let mut page = String::new();
    browser.read_to_string(&mut page).expect("it is answered");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<!doctype html>"), "{page}");
    let id = served.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
    assert_eq!(served.wait().expect("it ends").code(), Some(0));
}

#[test]
fn nothing_is_lost_under_a_fault_of_each_kind() {
    let fleet = Fleet::of_modules();
    let small = ["--canisters", "1", "--state-kib", "20", "--strategy", "both", "--faults"];
    let ended = decant(&fleet, &small, &[]);
    let output = text(&ended.stdout);
    assert_eq!(ended.status.code(), Some(0), "{output}{}", text(&ended.stderr));
    for kind in ["a call is rejected", "a reply is lost", "a callback traps", "it has no cycles"] {
        assert_eq!(output.matches(kind).count(), 2, "{kind} for each strategy: {output}");
    }
    assert!(output.ends_with("All is well: nothing was lost, whatever went wrong.\n"), "{output}");
}
