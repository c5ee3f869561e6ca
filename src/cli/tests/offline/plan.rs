//! `decant plan`, run as a process.

use crate::common::{Temporary, decant, image, write_snapshot};
use serde_json::Value;
use std::fs;

fn with(name: &str, text: &str) -> Temporary {
    let directory = Temporary::new();
    fs::create_dir_all(directory.path("")).expect("the directory is made");
    fs::write(directory.path(name), text).expect("the file is written");
    directory
}

/// A fleet as the incident's: most of 8 MiB, two that are compact.
fn fleet() -> String {
    let mut text = "canister,note,stable_bytes,used_bytes\n".to_owned();
    for index in 0..98 {
        text += &format!("user-{index},a note,8454144,262144\n");
    }
    text + "compact,,131072,65536\nempty,,0,0\n"
}

#[test]
fn a_fleet_of_the_incident_is_told_to_repack_and_what_that_costs_and_brings() {
    let directory = with("fleet.csv", &fleet());
    let ended = decant(&directory.path(""), &["plan", "fleet.csv"]);
    let expected = "\
100 canisters, 790.2 MiB; 759.5 MiB of it would come free
way                worth it  gives back       costs  saves/year  pays back     takes    waits
repack                   98   759.5 MiB    718.51 B      7.43 T    35 days    18 min     75 s
relocate                  0           -           -           -          -         -      6 s
relocate, vessels         0           -           -           -          -         -     40 s
(waits: how long the users of one canister can't write)
Repack 98 of 100 canisters: it pays back in 35 days, and ids, routes and cycles stay.
A relocation creates a canister for each, and pays back in 7.9 years: choose it only if users can't
wait 75 s, or if fresh canisters are wanted for another reason.
Leave 2 canisters as they are: what they would give back does not pay for a repack within 2.0 years.
Not worth it: compact empty
";
    assert_eq!((ended.output.as_str(), ended.errors.as_str(), ended.code), (expected, "", Some(0)));
}

#[test]
fn where_nothing_pays_the_advice_is_to_do_nothing() {
    let directory = with("fleet.csv", "canister,stable_bytes,used_bytes\na,1048576,524288\nb,131072,65536\n");
    let ended = decant(&directory.path(""), &["plan", "fleet.csv"]);
    assert!(
        ended.output.contains("Do nothing: not even a repack, the cheapest way, pays back within"),
        "{}",
        ended.output
    );
    let compact = with("fleet.csv", "canister,stable_bytes,used_bytes\nb,131072,65536\n");
    let ended = decant(&compact.path(""), &["plan", "fleet.csv"]);
    assert!(ended.output.contains("Do nothing: no canister has anything to give back."), "{}", ended.output);
}

#[test]
fn rows_that_are_wrong_are_named_and_the_rest_is_planned() {
    let rows = "canister,stable_bytes,used_bytes\n\
                good,8454144,65536\n\
                words,much,65536\n\
                upside-down,65536,8454144\n\
                short,8454144\n\
                ,8454144,65536\n\
                negative,-1,0\n\
                huge,99999999999999999,0\n";
    let directory = with("fleet.csv", rows);
    let ended = decant(&directory.path(""), &["plan", "fleet.csv"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.output.starts_with("1 canisters, 8.1 MiB"), "{}", ended.output);
    for line in [
        "line 3: ",
        "line 4: used_bytes is 8454144, more than stable_bytes",
        "line 5: ",
        "line 6: the canister has no name",
        "line 7: ",
        "line 8: ",
    ] {
        assert!(ended.errors.contains(&format!("left out: {line}")), "{line:?} is not in {}", ended.errors);
    }
    let none = with("fleet.csv", "canister,bytes\na,1\n");
    let ended = decant(&none.path(""), &["plan", "fleet.csv"]);
    assert!(ended.errors.contains("fleet.csv: there is no column stable_bytes"), "{}", ended.errors);
    assert_eq!(ended.code, Some(3));
}

#[test]
fn what_inspect_prints_is_planned_and_what_can_not_be_repacked_is_left_out_with_the_reason() {
    let directory = with("raw.bin", "");
    fs::write(directory.path("raw.bin"), vec![7; 65_536]).expect("the file is written");
    let mut tail = image();
    tail.extend(vec![1; 65_536]);
    fs::write(directory.path("tail.bin"), tail).expect("the file is written");
    write_snapshot(&directory.path("shapes"), &image());
    let printed = decant(&directory.path(""), &["inspect", "shapes", "raw.bin", "tail.bin", "--json"]).output;
    fs::write(directory.path("fleet.json"), printed).expect("the file is written");
    let ended = decant(&directory.path(""), &["plan", "fleet.json", "--json"]);
    let plan: Value = serde_json::from_str(&ended.output).expect("it prints JSON");
    assert_eq!(
        (plan["schema"].as_str(), plan["advice"]["canisters"].as_u64()),
        (Some("decant.plan/1"), Some(1))
    );
    // 81 pages, of which 41 are in use: 42 stay.
    assert_eq!(plan["advice"]["freed_bytes"].as_u64(), Some(39 * 65_536));
    for words in ["raw.bin: there is not exactly one MemoryManager", "tail.bin: a repack refuses it: page 81"]
    {
        assert!(ended.errors.contains(words), "{words:?} is not in {}", ended.errors);
    }
    assert_eq!(ended.code, Some(1));
    fs::write(directory.path("other.json"), "{\"schema\":\"other\"}").expect("the file is written");
    let ended = decant(&directory.path(""), &["plan", "other.json"]);
    assert!(ended.errors.contains("not what `decant inspect --json` prints"), "{}", ended.errors);
}

#[test]
fn costs_grow_with_the_nodes_and_the_pace_shortens_what_it_takes() {
    let directory = with("fleet.csv", &fleet());
    let plan = |arguments: &[&str]| -> Value {
        let ended = decant(&directory.path(""), &[&["plan", "fleet.csv", "--json"], arguments].concat());
        serde_json::from_str(&ended.output).expect("it prints JSON")
    };
    let figure = |plan: &Value, field: &str| plan["advice"]["ways"][0][field].as_f64().expect("a figure");
    let (base, large, fast) =
        (plan(&[]), plan(&["--nodes", "26"]), plan(&["--in-flight", "50", "--round-seconds", "0.5"]));
    assert!((figure(&large, "cost_cycles") / figure(&base, "cost_cycles") - 2.0).abs() < 1e-9);
    assert_eq!((figure(&base, "duration_seconds"), figure(&fast, "duration_seconds")), (1_090.0, 109.0));
    assert_eq!(figure(&fast, "wait_seconds"), 37.5);
    for wrong in [["--in-flight", "0"], ["--round-seconds", "-1"], ["--horizon-years", "nan"]] {
        let ended = decant(&directory.path(""), &[&["plan", "fleet.csv"], wrong.as_slice()].concat());
        assert_eq!(ended.code, Some(2), "{wrong:?}");
    }
}

#[test]
fn the_page_needs_nothing_else_and_a_name_can_not_become_markup() {
    let evil = "<script>alert(1)</script>&\"'";
    let rows = format!(
        "canister,stable_bytes,used_bytes\n\"{}\",131072,65536\nb,8454144,65536\n",
        evil.replace('"', "\"\"")
    );
    let directory = with("fleet.csv", &rows);
    let ended = decant(&directory.path(""), &["plan", "fleet.csv", "--html", "plan.html"]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let page = fs::read_to_string(directory.path("plan.html")).expect("the page is there");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;"));
    for forbidden in ["<script", "http://", "https://", "src=", "url("] {
        assert!(!page.contains(forbidden), "{forbidden:?} is in the page");
    }
    assert_eq!(page.matches("class=\"chart\"").count(), 3);
    let ended = decant(&directory.path(""), &["plan", "fleet.csv", "--html", "nowhere/plan.html"]);
    assert!(ended.errors.contains("writing nowhere/plan.html"), "{}", ended.errors);
}
