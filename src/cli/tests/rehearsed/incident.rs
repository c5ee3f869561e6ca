//! `decant dry-run` of the incident, as a process: what each flag changes, and what an interrupted run leaves.

use crate::common::{Fleet, command, decant, text};
use serde_json::{Map, Value};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

const SIGINT: i32 = 2;

/// The figures of three small canisters.
struct Figures(Map<String, Value>);

impl Figures {
    fn of(fleet: &Fleet, flags: &[&str]) -> Self {
        let small = ["--canisters", "3", "--state-kib", "20", "--json", "report.json"];
        let ended = decant(fleet, &small, flags);
        assert_eq!(ended.status.code(), Some(0), "{flags:?}: {}{}", text(&ended.stdout), text(&ended.stderr));
        let json: Value = serde_json::from_str(&fleet.read("report.json")).expect("it is JSON");
        Self(json.as_object().expect("it has fields").clone())
    }

    fn number(&self, field: &str) -> f64 {
        self.0[field].as_f64().expect(field)
    }

    fn passes(&self, state: &str) -> bool {
        self.0["states"].as_array().expect("states").iter().any(|passed| passed["name"] == state)
    }

    /// All but how long this machine took.
    fn without_times(mut self) -> Map<String, Value> {
        for field in ["wall_seconds", "phases"] {
            assert!(self.0.remove(field).is_some(), "{field}");
        }
        self.0
    }
}

#[test]
fn a_seed_decides_all_that_is_random_and_nothing_else_does() {
    let fleet = Fleet::of_modules();
    let [first, again, other] =
        ["7", "7", "8"].map(|seed| Figures::of(&fleet, &["--seed", seed, "--schedule-seed", "3"]));
    assert_ne!(first.number("state_bytes"), other.number("state_bytes"), "other users");
    assert_eq!(first.without_times(), again.without_times(), "the same users, to the cycle");
}

#[test]
fn every_order_that_is_asked_for_is_rehearsed() {
    let fleet = Fleet::of_modules();
    let small = ["--canisters", "1", "--state-kib", "1", "--strategy", "repack"];
    let ended = decant(&fleet, &small, &["--schedule-seeds", "4..6"]);
    let output = text(&ended.stdout);
    assert_eq!(ended.status.code(), Some(0), "{output}{}", text(&ended.stderr));
    assert!(output.starts_with("repack: 1 canisters under 2 schedules, 2 of them well\n"), "{output}");
    assert!(output.ends_with("All is well under every schedule.\n"), "{output}");
}

#[test]
fn each_layout_is_given_back_and_originals_are_kept_entombed_or_deleted_as_is_said() {
    let fleet = Fleet::of_modules();
    let [raw, mixed, structures, copied] = [
        &["raw", "--retention", "frozen"][..],
        &["mixed", "--retention", "tombstone"],
        &["structures", "--retention", "none"],
        &["structures", "--precopy"],
    ]
    .map(|flags| Figures::of(&fleet, &[&["--generation"], flags].concat()));
    let page = 65_536.0;
    let bytes = |figures: &Figures| figures.number("stable_bytes_bloated");
    // A page of state; a memory in a bucket of 128 pages; several of these.
    let managed = 3.0 * 129.0 * page;
    assert_eq!(bytes(&raw), 3.0 * page);
    assert!(bytes(&structures) >= 3.0 * 257.0 * page, "{} bytes", bytes(&structures));
    assert_eq!(bytes(&mixed), (bytes(&raw) + managed + bytes(&structures)) / 3.0, "one of each");

    for (figures, is_kept, is_entombed) in
        [(&raw, true, false), (&mixed, false, true), (&structures, false, false)]
    {
        assert_eq!((figures.passes("retaining"), figures.passes("entombing")), (is_kept, is_entombed));
        assert_eq!(figures.number("originals_deleted"), if is_entombed { 0.0 } else { 3.0 });
    }

    // Before the freeze: the offer, and the reads, two calls at least.
    let messages = |figures: &Figures| figures.number("update_messages_per_job");
    assert!(messages(&copied) >= messages(&structures) + 2.0, "{} messages", messages(&copied));
}

#[test]
fn the_snapshot_from_before_a_repack_is_kept_for_a_while_if_that_is_said() {
    let fleet = Fleet::of_modules();
    let figures = Figures::of(&fleet, &["--strategy", "repack", "--retention", "frozen"]);
    assert!(figures.passes("retaining saved"));
    assert_eq!(figures.number("snapshots_left"), 0.0, "it is gone in the end");
}

#[test]
fn a_rehearsal_that_is_interrupted_leaves_the_page_and_the_figures_that_were_there() {
    let fleet = Fleet::of_modules();
    let before = fleet.names();
    fleet.write("report.html", "the page of yesterday");
    let mut run = command(&fleet)
        .args(["--canisters", "3", "--json", "report.json", "--html", "report.html"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("decant runs");
    let mut progress = BufReader::new(run.stderr.take().expect("it is piped")).lines();
    let phase = progress.next().expect("it says how far it is").expect("it is text");
    assert!(phase.starts_with('['), "{phase}");
    let sent = Command::new("kill").args(["-INT", &run.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    let ended = run.wait().expect("it ends");
    assert_eq!(ended.signal(), Some(SIGINT), "it was not under way any more: {ended:?}");
    assert_eq!(fleet.names(), [&before[..], &["report.html".to_owned()]].concat());
    assert_eq!(fleet.read("report.html"), "the page of yesterday");
}
