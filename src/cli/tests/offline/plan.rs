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
(waits: how long the users of the largest canister can't write)
Repack 98 of 100 canisters: it pays back in 35 days, and ids, routes and cycles stay.
A relocation creates a canister for each, and pays back in 7.9 years for all 100 canisters: choose
it only if users can't wait 75 s, or if fresh canisters are wanted for another reason.
Leave 2 canisters as they are: what they would give back does not pay for any way within 2.0 years.
Not worth it: compact empty
";
    assert_eq!((ended.output.as_str(), ended.errors.as_str(), ended.code), (expected, "", Some(0)));
}

#[test]
fn where_nothing_pays_the_advice_is_to_do_nothing() {
    let directory = with("fleet.csv", "canister,stable_bytes,used_bytes\na,1048576,524288\nb,131072,65536\n");
    let ended = decant(&directory.path(""), &["plan", "fleet.csv"]);
    assert!(
        ended.output.contains("Do nothing: no way pays back within 2.0 years. The cheapest, repack, takes "),
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
                huge,99999999999999999,0\n\
                good,8454144,0\n";
    let directory = with("fleet.csv", rows);
    let ended = decant(&directory.path(""), &["plan", "fleet.csv"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.output.starts_with("1 canister, 8.1 MiB"), "{}", ended.output);
    for line in [
        "line 3 (words): stable_bytes is \"much\", not a number of bytes",
        "line 4 (upside-down): used_bytes is 8454144, more than stable_bytes",
        "line 5 (short): used_bytes is missing",
        "line 6: the canister has no name",
        "line 7 (negative): stable_bytes is \"-1\", not a number of bytes",
        "line 8 (huge): stable_bytes is 99999999999999999, more than a canister can have",
        "line 9 (good): it is in line 2 already",
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
    let printed =
        decant(&directory.path(""), &["inspect", "shapes", "raw.bin", "tail.bin", "nowhere", "--json"])
            .output;
    fs::write(directory.path("fleet.json"), printed).expect("the file is written");
    let ended = decant(&directory.path(""), &["plan", "fleet.json", "--json"]);
    let plan: Value = serde_json::from_str(&ended.output).expect("it prints JSON");
    assert_eq!(
        (plan["schema"].as_str(), plan["advice"]["canisters"].as_u64()),
        (Some("decant.plan/1"), Some(1))
    );
    // 81 pages, of which 41 are in use: 42 stay.
    assert_eq!(plan["advice"]["freed_bytes"].as_u64(), Some(39 * 65_536));
    for words in [
        "raw.bin: there is not exactly one MemoryManager",
        "tail.bin: a repack refuses it: page 81",
        "nowhere: inspect could not read it: reading nowhere: ",
    ] {
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

/// Measured with one canister of 62,586,880 bytes in use: 80, 14 and 44 rounds.
#[test]
fn a_large_state_takes_and_waits_longer_and_the_largest_canister_says_how_long() {
    let rows = "canister,stable_bytes,used_bytes\nsmall,8454144,65536\nlarge,1073741824,62586880\n";
    let directory = with("fleet.csv", rows);
    let ended = decant(&directory.path(""), &["plan", "fleet.csv", "--json", "--horizon-years", "50"]);
    let plan: Value = serde_json::from_str(&ended.output).expect("it prints JSON");
    let ways = plan["advice"]["ways"].as_array().expect("there are ways");
    for (way, measured_waits) in ways.iter().zip([80.0, 14.0, 44.0]) {
        let figure = |field: &str| way[field].as_f64().expect("a figure");
        assert!((figure("wait_seconds") - measured_waits).abs() <= 2.0, "{way}");
        assert!(figure("duration_seconds") > figure("wait_seconds"), "{way}");
    }
}

#[test]
fn what_the_coordinator_refuses_since_users_would_wait_too_long_is_left_out_of_that_way() {
    let gib = |count: u64| (count << 30).to_string();
    let rows = format!(
        "canister,stable_bytes,used_bytes\nsmall,8454144,65536\nbig,{},{}\nhuge,{},{}\n",
        gib(16),
        gib(8),
        gib(100),
        gib(40)
    );
    let directory = with("fleet.csv", &rows);
    let ended = decant(&directory.path(""), &["plan", "fleet.csv"]);
    let output = ended.output.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(output.contains("Repack 2 of 3 canisters"), "{output}");
    // 8 GiB at 800,000 bytes a second, 40 GiB at 4,000,000.
    for words in [
        "Left out of repack: huge: 40.0 GiB pass in 3 h at worst, and users may wait for 2 h Left out of",
        "Left out of relocate: big: 8.0 GiB pass in 3 h at worst, and users may wait for 2 h: plan with precopy_min_pages; huge: ",
        "Left out of relocate, vessels: big: 8.0 GiB pass in 3 h at worst, and users may wait for 2 h; huge: ",
    ] {
        assert!(output.contains(words), "{words:?} is not in {output}");
    }
    assert_eq!(ended.errors, "left out: huge: 40.0 GiB pass in 3 h at worst, and users may wait for 2 h\n");
    assert_eq!(ended.code, Some(1));
    let only =
        with("fleet.csv", &format!("canister,stable_bytes,used_bytes\nhuge,{},{}\n", gib(100), gib(40)));
    let ended = decant(&only.path(""), &["plan", "fleet.csv"]);
    assert!(ended.output.contains("Do nothing: every canister is too large"), "{}", ended.output);
}

#[test]
fn what_pays_back_by_a_relocation_alone_is_relocated() {
    let rows = "canister,stable_bytes,used_bytes\nbig,5368709120,2147483648\n";
    let directory = with("fleet.csv", rows);
    let plan =
        |horizon: &str| decant(&directory.path(""), &["plan", "fleet.csv", "--horizon-years", horizon]);
    let ended = plan("0.07");
    assert!(ended.output.contains("Relocate 1 of 1 canister: it pays back in "), "{}", ended.output);
    assert!(ended.output.contains("\nA repack pays back in "), "{}", ended.output);
    let none = plan("0.01").output.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(none.contains("The cheapest, relocate, takes"), "{none}");
}

#[test]
fn a_fleet_of_which_no_row_can_be_read_has_no_advice() {
    let directory = with("fleet.csv", "canister,stable_bytes,used_bytes\na,much,1\nb,1,2\n");
    let ended = decant(&directory.path(""), &["plan", "fleet.csv"]);
    assert_eq!(
        (ended.code, ended.output.as_str(), ended.errors.as_str()),
        (
            Some(3),
            "",
            "error: fleet.csv: no row could be read: line 2 (a): stable_bytes is \"much\", not a number of bytes; line 3 (b): \
             used_bytes is 2, more than stable_bytes, 1\n"
        )
    );
}

#[test]
fn lines_are_those_of_an_editor_whatever_ends_them() {
    for end in ["\n", "\r\n"] {
        let rows = [
            "canister,stable_bytes,used_bytes",
            "a,8454144,65536",
            "",
            "b,xx,0",
            "",
            "",
            "\"c",
            "c\",xx,0",
            "d,xx,0",
        ];
        let directory = with("fleet.csv", &rows.join(end));
        let ended = decant(&directory.path(""), &["plan", "fleet.csv"]);
        for line in ["line 4 (b): ", "line 7 (c", "line 9 (d): "] {
            assert!(ended.errors.contains(line), "{line:?} is not in {:?}", ended.errors);
        }
    }
}

#[test]
fn a_name_can_not_steer_a_terminal() {
    let evil = "evil\u{1b}[2J";
    let rows =
        format!("canister,stable_bytes,used_bytes\n{evil},131072,131072\nb,8454144,65536\n{evil}2,x,0\n");
    let directory = with("fleet.csv", &rows);
    let ended = decant(&directory.path(""), &["plan", "fleet.csv"]);
    assert!(
        ended.output.contains("Not worth it: evil[2J") && ended.errors.contains("(evil[2J2)"),
        "{}",
        ended.output
    );
    assert!(!(ended.output + &ended.errors).contains('\u{1b}'));
}

#[test]
fn buckets_are_those_that_inspect_chose_and_hold_what_is_used() {
    let directory = with("any", "");
    write_snapshot(&directory.path("shapes"), &image());
    let plan = |growth: &str| {
        let arguments = ["inspect", "shapes", "--json", "--growth", growth];
        let printed = decant(&directory.path(""), &arguments).output;
        let chosen: Value = serde_json::from_str(&printed).expect("it prints JSON");
        fs::write(directory.path("fleet.json"), printed).expect("the file is written");
        let planned = decant(&directory.path(""), &["plan", "fleet.json", "--json"]).output;
        let planned: Value = serde_json::from_str(&planned).expect("it prints JSON");
        let freed = planned["advice"]["freed_bytes"].as_u64().expect("a figure");
        let repacked = &chosen["images"][0]["managers"][0]["repacked"];
        (freed, repacked["freed_bytes"].as_u64().expect("a figure"), repacked["bucket_pages"].as_u64())
    };
    let (small, large) = (plan("0"), plan("500000"));
    assert!(small.0 == small.1 && large.0 == large.1 && small.0 > large.0, "{small:?} {large:?}");
    assert!(large.2 > Some(1), "{large:?}");
    // 65,537 pages are more than 32,768 buckets of 2 pages hold.
    let rows =
        format!("canister,stable_bytes,used_bytes\na,{},{}\n", 80_000_u64 * 65_536, 65_537_u64 * 65_536);
    fs::write(directory.path("fleet.csv"), rows).expect("the file is written");
    let planned = decant(&directory.path(""), &["plan", "fleet.csv", "--json"]).output;
    let planned: Value = serde_json::from_str(&planned).expect("it prints JSON");
    assert_eq!(planned["advice"]["freed_bytes"].as_u64(), Some((80_000 - 65_540 - 1) * 65_536));
}

#[test]
fn a_page_that_can_not_be_written_leaves_the_one_before() {
    let directory = with("fleet.csv", &fleet());
    fs::write(directory.path("plan.html"), "before").expect("the file is written");
    let ended = decant(&directory.path(""), &["plan", "fleet.csv", "--html", "plan.html"]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let left = fs::read_dir(directory.path("")).expect("it is there").count();
    assert_eq!(left, 2, "nothing but the fleet and the page is left");
    // Linux has a device that is always full.
    if fs::exists("/dev/full").is_ok_and(|is_there| is_there) {
        let ended = decant(&directory.path(""), &["plan", "fleet.csv", "--html", "/dev/full"]);
        assert!(ended.errors.contains("writing /dev/full: "), "{}", ended.errors);
        assert_eq!(ended.code, Some(3));
    }
}
