//! `decant watch`, run as a process against a server that answers what a test says.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Output};

/// What a coordinator answers: jobs in line, working and parked; done, rolled back; and what is asked.
fn metrics(open: [u64; 3], done: u64, rolled_back: u64, asks: &[&str]) -> String {
    let [in_line, working, parked] = open;
    let asks: String = asks.iter().map(|kind| format!("decant_asks{{kind=\"{kind}\"}} 1\n")).collect();
    format!(
        "# HELP decant_asks What is asked.\n# TYPE decant_asks gauge\n{asks}\
         decant_open_jobs{{place=\"in line\"}} {in_line}\n\
         decant_open_jobs{{place=\"working\"}} {working}\n\
         decant_open_jobs{{place=\"waiting\"}} 0\n\
         decant_open_jobs{{place=\"parked\"}} {parked}\n\
         decant_jobs_ended_total{{outcome=\"done\"}} {done}\n\
         decant_jobs_ended_total{{outcome=\"rolled back\"}} {rolled_back}\n\
         decant_given_back_bytes_total {}\n\
         decant_spent_cycles_total {}\n\
         decant_oldest_fenced_seconds 0\n",
        done * (8 << 20),
        done * 9_000_000_000
    )
}

/// Answers one request after the other, then none; watches meanwhile.
fn watch(answers: Vec<(&'static str, String)>, arguments: &[&str]) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("it has an address"));
    let server = std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().expect("somebody asks");
            let lines = BufReader::new(stream.try_clone().expect("it can be read")).lines();
            let request: Vec<String> =
                lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            assert!(request[0].starts_with("GET /metrics "), "{request:?}");
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            // Whoever leaves early has read enough.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        }
    });
    let ended = Command::new(env!("CARGO_BIN_EXE_decant"))
        .args(["watch", &url, "--every", "0.01"])
        .args(arguments)
        .output()
        .expect("the command starts");
    server.join().expect("every answer was asked for");
    ended
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it prints text")
}

const OK: &str = "200 OK";
/// Whose cycles those are, and whose are not among them.
const PRICE: &str = "cycles of the coordinator; canisters paid for their own snapshots and upgrades.";

#[test]
fn a_campaign_is_a_line_a_change_until_all_is_done() {
    let answers = vec![
        (OK, metrics([3, 2, 0], 5, 0, &[])),
        (OK, metrics([3, 2, 0], 5, 0, &[])),
        (OK, metrics([0, 0, 0], 10, 0, &[])),
    ];
    let ended = watch(answers, &[]);
    let output = text(&ended.stdout);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(
        lines[0],
        "5 of 10 ended; in line 3, working 2, waiting 0, parked 0, rolled back 0; 40.0 MiB given back"
    );
    assert!(lines[1].starts_with("10 of 10 ended; ") && lines[1].contains(" a minute, 0 s left"), "{output}");
    assert_eq!(
        lines[2..],
        [format!("10 done, 0 rolled back, 0 parked; 80.0 MiB given back for 90.00 B {PRICE}")]
    );
    assert_eq!((ended.status.code(), text(&ended.stderr)), (Some(0), String::new()));
}

#[test]
fn what_waits_for_an_operator_is_said_and_is_not_well() {
    let ended = watch(vec![(OK, metrics([0, 0, 1], 9, 1, &["parked", "evil\u{1b}[2J"]))], &[]);
    let output = text(&ended.stdout);
    assert!(output.contains("ASKED OF AN OPERATOR: evil[2J, parked"), "{output}");
    assert!(output.ends_with(&format!("9 done, 1 rolled back, 1 parked; 72.0 MiB given back for 81.00 B {PRICE} Asked of an operator: evil[2J, parked; the dashboard has the commands.\n")), "{output}");
    assert_eq!(ended.status.code(), Some(1));
}

#[test]
fn a_look_is_one_line_and_is_well_only_if_all_are_done() {
    for (seen, words, code) in [
        (metrics([4, 0, 0], 1, 0, &[]), "snapshots and upgrades. On their way: 4.\n", 1),
        (metrics([0, 1, 0], 1, 0, &[]), "On their way: 1.\n", 1),
        (metrics([0, 0, 0], 0, 0, &[]), "No job yet.\n", 1),
        (metrics([0, 0, 0], 2, 0, &[]), "2 done, 0 rolled back, 0 parked", 0),
    ] {
        let once = watch(vec![(OK, seen)], &["--once"]);
        let output = text(&once.stdout);
        assert!(output.contains(words), "{output}");
        assert_eq!((output.lines().count(), once.status.code()), (1, Some(code)), "{output}");
    }
}

#[test]
fn a_campaign_that_has_not_begun_is_waited_for() {
    let answers = vec![(OK, metrics([0, 0, 0], 0, 0, &[])), (OK, metrics([0, 0, 0], 1, 0, &[]))];
    let ended = watch(answers, &[]);
    let output = text(&ended.stdout);
    assert!(output.starts_with("no job yet\n1 of 1 ended; "), "{output}");
    assert_eq!(ended.status.code(), Some(0), "{output}");
}

#[test]
fn a_coordinator_that_does_not_answer_for_a_while_is_asked_again_and_something_else_is_named() {
    let answers = vec![("503 Service Unavailable", String::new()), (OK, metrics([0, 0, 0], 1, 0, &[]))];
    let ended = watch(answers, &[]);
    assert!(
        text(&ended.stderr).contains("try 1 of 10: ") && text(&ended.stderr).contains("503"),
        "{}",
        text(&ended.stderr)
    );
    assert_eq!(ended.status.code(), Some(0));
    for (body, words) in [
        ("<html>".to_owned(), "is that a coordinator, of this version?"),
        ("x".repeat((1 << 20) + 1), "more than 1048576 bytes"),
    ] {
        let ended = watch(vec![(OK, body)], &["--once"]);
        assert!(text(&ended.stderr).contains(words), "{words:?} is not in {}", text(&ended.stderr));
        assert_eq!(ended.status.code(), Some(3));
    }
}
