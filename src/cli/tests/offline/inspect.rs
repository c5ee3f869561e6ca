//! `decant inspect`, run as a process.

use crate::common::{Ended, PAGE, Temporary, decant, image, managed, write_snapshot};
use crate::schema::violation;
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager};
use ic_stable_structures::{Memory, RestrictedMemory, StableBTreeMap, StableCell, VectorMemory};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn inspect(directory: &Path, arguments: &[&str]) -> Ended {
    decant(directory, &[&["inspect"], arguments].concat())
}

/// What the incident left: a map in a bucket of 128 pages, of which it uses one.
fn bloated() -> Vec<u8> {
    let (memory, manager) = managed(128);
    StableBTreeMap::init(manager.get(MemoryId::new(0))).insert(1_u64, 2_u64);
    memory.borrow().clone()
}

/// As an ICRC-1 archive: a cell in page 0, a manager behind it.
fn archive() -> Vec<u8> {
    let memory = VectorMemory::default();
    StableCell::init(RestrictedMemory::new(memory.clone(), 0..1), b"the configuration".to_vec());
    let manager = MemoryManager::init(RestrictedMemory::new(memory.clone(), 1..1_000_000));
    manager.get(MemoryId::new(1)).grow(3);
    manager.get(MemoryId::new(1)).write(PAGE as u64, b"the middle one of three pages");
    memory.borrow().clone()
}

/// A directory with one image of each kind.
fn of_each_kind() -> Temporary {
    let directory = Temporary::new();
    fs::create_dir_all(directory.path("")).expect("the directory is made");
    write_snapshot(&directory.path("bloated"), &bloated());
    write_snapshot(&directory.path("shapes"), &image());
    let raw = |name: &str, bytes: &[u8]| fs::write(directory.path(name), bytes).expect("the file is written");
    raw("archive.bin", &archive());
    raw("raw.bin", &vec![7; 2 * PAGE]);
    raw("empty.bin", &[]);
    let mut damaged = bloated();
    damaged[3] = 2;
    raw("damaged.bin", &damaged);
    let mut tail = image();
    tail.extend(vec![0; 40 * PAGE]);
    let last = tail.len() - 1;
    tail[last] = 1;
    raw("tail.bin", &tail);
    directory
}

const ALL: [&str; 7] =
    ["bloated", "shapes", "archive.bin", "raw.bin", "empty.bin", "damaged.bin", "tail.bin"];

#[test]
fn one_image_is_shown_memory_by_memory_with_what_it_would_give_back() {
    let directory = of_each_kind();
    let ended = inspect(&directory.path(""), &["bloated"]);
    let expected = "\
bloated
  MemoryManager at page 0, buckets of 128 pages (8.0 MiB); stable memory 8.1 MiB
  memory         used    allocated       wasted         zero  holds
       0            1          128          127            0  StableBTreeMap
     all            1          128          127            0  pages of 64 KiB
  in buckets of 1 page: 128.0 KiB; gives back 7.9 MiB, 77.67 B cycles a year,
  and leaves room for 2.0 GiB more
";
    assert_eq!((ended.output.as_str(), ended.errors.as_str(), ended.code), (expected, "", Some(0)));
}

#[test]
fn a_manager_behind_other_pages_is_found_and_its_pages_of_zeros_are_counted() {
    let directory = of_each_kind();
    let ended = inspect(&directory.path(""), &["archive.bin", "--growth", "0"]);
    assert!(ended.output.contains("MemoryManager at page 1, buckets of 128 pages"), "{}", ended.output);
    assert!(
        ended.output.contains("1            3          128          125            2"),
        "{}",
        ended.output
    );
    assert!(ended.output.contains("(--manager-page 1)"), "{}", ended.output);
}

#[test]
fn a_fleet_is_a_line_each_a_summary_and_a_histogram() {
    let directory = of_each_kind();
    let ended = inspect(&directory.path(""), &ALL);
    let expected = "\
image                                          stable       in use   gives back buckets  note
bloated                                       8.1 MiB     64.0 KiB      7.9 MiB       1
shapes                                        5.1 MiB      2.6 MiB      2.4 MiB       1
archive.bin                                   8.1 MiB    192.0 KiB      7.8 MiB       1  page 1
raw.bin                                     128.0 KiB    128.0 KiB      0 bytes          raw
empty.bin                                     0 bytes      0 bytes      0 bytes          empty
damaged.bin                                   8.1 MiB      8.1 MiB      0 bytes          damaged
tail.bin                                      7.6 MiB      2.6 MiB      0 bytes          refused
7 images, 37.0 MiB, of which 13.6 MiB are in use
3 of them can be repacked and give back 18.2 MiB, 177.96 B cycles a year
images by what they give back:
           nothing       4  ████████████████████████████████████████
     up to 8.0 MiB       3  ██████████████████████████████
";
    assert_eq!((ended.output.as_str(), ended.errors.as_str(), ended.code), (expected, "", Some(0)));
}

#[test]
fn every_line_fits_a_hundred_columns_whatever_is_found() {
    let directory = of_each_kind();
    let long = "a".repeat(120);
    fs::copy(directory.path("archive.bin"), directory.path(&long)).expect("the file is copied");
    let inputs = ALL.into_iter().chain([long.as_str(), "--verbose"]).collect::<Vec<_>>();
    let ended = inspect(&directory.path(""), &inputs);
    let too_long: Vec<&str> = ended.output.lines().filter(|line| line.chars().count() > 100).collect();
    assert_eq!((too_long, ended.code), (vec![], Some(0)));
    for words in ["page 120 is not zero", "version 2", "No MemoryManager was found", "stable memory is empty"]
    {
        assert!(ended.output.contains(words), "{words:?} is not in {}", ended.output);
    }
}

#[test]
fn json_is_what_the_schema_says() {
    let directory = of_each_kind();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/inspect.schema.json");
    let schema: Value =
        serde_json::from_slice(&fs::read(schema).expect("the schema is there")).expect("it is JSON");
    let inputs = ALL.into_iter().chain(["nowhere", "--json"]).collect::<Vec<_>>();
    let ended = inspect(&directory.path(""), &inputs);
    let printed: Value = serde_json::from_str(&ended.output).expect("it prints JSON");
    assert_eq!(violation(&schema, &printed), None);
    assert_eq!((printed["unread"][0]["input"].as_str(), ended.code), (Some("nowhere"), Some(1)));
    assert!(ended.errors.contains("error: reading nowhere: "), "{}", ended.errors);
    assert_eq!(printed["images"].as_array().map(Vec::len), Some(7));
    assert_eq!(printed["images"][0]["managers"][0]["memories"][0]["structure"], "StableBTreeMap");
    let mut wrong = printed;
    wrong["images"][0]["managers"][0]["page"] = Value::Null;
    assert!(violation(&schema, &wrong).is_some(), "the check of the schema notices what is wrong");
}

#[test]
fn an_input_that_can_not_be_read_is_named_and_the_others_are_shown() {
    let directory = of_each_kind();
    fs::write(directory.path("cut.bin"), [0; 100]).expect("the file is written");
    fs::create_dir_all(directory.path("nothing")).expect("the directory is made");
    let ended = inspect(&directory.path(""), &["nowhere", "cut.bin", "nothing", "bloated"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.output.contains("gives back 7.9 MiB"), "{}", ended.output);
    for words in ["reading nowhere", "cut.bin has 100 bytes", "nothing/metadata.json is missing"] {
        assert!(ended.errors.contains(words), "{words:?} is not in {}", ended.errors);
    }
    let around = inspect(&directory.path(".."), &[&directory.path("").display().to_string()]);
    assert!(
        around.errors.contains("holds directories of snapshots: name one of them, or all, as in"),
        "{}",
        around.errors
    );
    assert_eq!(inspect(&directory.path(""), &[]).code, Some(2));
}

#[test]
fn a_name_can_not_steer_a_terminal() {
    let directory = of_each_kind();
    let evil = "evil\u{1b}[2J\u{9b}1m";
    fs::write(directory.path(evil), bloated()).expect("the file is written");
    for arguments in [vec![evil], vec![evil, "bloated"], vec![evil, "nowhere\u{1b}[2J"]] {
        let ended = inspect(&directory.path(""), &arguments);
        let printed = ended.output + &ended.errors;
        assert!(printed.contains("evil[2J"), "{printed:?}");
        assert!(!printed.contains(['\u{1b}', '\u{9b}']), "{printed:?}");
    }
}

#[test]
fn prices_come_from_a_year_or_a_file_and_grow_with_the_nodes() {
    let directory = of_each_kind();
    let list = r#"{"name":"ours","gib_second":635000,"canister_second":0}"#;
    fs::write(directory.path("prices.json"), list).expect("the file is written");
    let saved = |arguments: &[&str]| {
        let ended = inspect(&directory.path(""), &[&["bloated", "--json"], arguments].concat());
        let printed: Value = serde_json::from_str(&ended.output).expect("it prints JSON");
        printed["fleet"]["saved_cycles_a_year"].as_f64().expect("a figure")
    };
    let of_2026 = saved(&[]);
    // What --json prints is taken as it is.
    let printed = inspect(&directory.path(""), &["bloated", "--json", "--nodes", "34"]).output;
    let printed: Value = serde_json::from_str(&printed).expect("it prints JSON");
    fs::write(directory.path("printed.json"), printed["prices"].to_string()).expect("the file is written");
    for (arguments, factor) in [
        (vec!["--prices", "2025"], 127_000.0 / 317_500.0),
        (vec!["--prices", "prices.json"], 2.0),
        (vec!["--nodes", "34"], 34.0 / 13.0),
        (vec!["--prices", "printed.json"], 34.0 / 13.0),
        (vec!["--prices", "printed.json", "--nodes", "13"], 1.0),
    ] {
        assert!((saved(&arguments) / of_2026 - factor).abs() < 1e-9, "{arguments:?}");
    }
    let ended = inspect(&directory.path(""), &["bloated", "--prices", "2031"]);
    assert!(ended.errors.contains("2031 is neither 2025, 2026 nor a file"), "{}", ended.errors);
    assert_eq!(ended.code, Some(3));
}
