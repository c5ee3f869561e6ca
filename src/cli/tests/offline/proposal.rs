//! `decant proposal`: the examples that ship, what people get wrong in them, and what voters are told of a payload.

use crate::common::{Ended, MODULE, Temporary, decant};
use candid::CandidType;
use decant_api::govern::{Decision, Roles};
use decant_api::plan::{ModuleRef, Plan, Relocation, Strategy};
use decant_cli::candid_text::read_as;
use serde::Deserialize;
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use std::fs;

const EXAMPLES: [&str; 7] = ["repack", "relocate", "relocate-vessel", "change", "end", "name", "pay"];

/// A directory with the example plans, as the command prints them.
fn examples() -> Temporary {
    let directory = Temporary::new();
    for example in EXAMPLES {
        let printed = proposal(&directory, &["example", example]);
        fs::write(directory.path(&format!("{example}.txt")), printed.output).expect("it is written");
    }
    directory
}

fn proposal(directory: &Temporary, arguments: &[&str]) -> Ended {
    decant(&directory.path(""), &[&["proposal"], arguments].concat())
}

fn read(directory: &Temporary, name: &str) -> String {
    fs::read_to_string(directory.path(name)).expect("it is there")
}

fn decision(directory: &Temporary, name: &str) -> Decision {
    read_as(&read(directory, name)).expect("it is a decision")
}

#[test]
fn what_is_rendered_encoded_and_decoded_is_the_same_in_the_words_of_the_validator() {
    let directory = examples();
    for example in EXAMPLES {
        let file = format!("{example}.txt");
        let words = decant_words::text(&decision(&directory, &file), None) + "\n";
        let rendered = proposal(&directory, &["render", &file]);
        assert_eq!((rendered.code, rendered.output), (Some(0), words.clone()), "{}", rendered.errors);
        let encoded = proposal(&directory, &["encode", &file, "--out", "out"]);
        assert_eq!(encoded.code, Some(0), "{}", encoded.errors);
        let payload = fs::read(directory.path("out/payload.bin")).expect("it is there");
        let shown = format!("Payload sha256  {}\n", hex::encode(Sha256::digest(&payload)));
        assert!(encoded.output.contains(&shown), "{}", encoded.output);
        assert!(encoded.output.ends_with(&format!("\n{}\n", hex::encode(&payload))), "{}", encoded.output);
        assert_eq!(candid::decode_one::<Decision>(&payload).ok(), Some(decision(&directory, &file)));
        // What other tools are given is the same.
        assert_eq!(decision(&directory, "out/decision.txt"), decision(&directory, &file));
        for payload in ["out/payload.bin", "out/payload.hex", read(&directory, "out/payload.hex").trim()] {
            let decoded = proposal(&directory, &["decode", payload]);
            assert_eq!(decoded.code, Some(0), "{}", decoded.errors);
            assert!(decoded.output.starts_with(words.trim_end()), "{}", decoded.output);
            assert!(decoded.output.contains(&read(&directory, "out/decision.txt")), "{}", decoded.output);
        }
    }
}

#[test]
fn every_decision_can_be_written_down_and_told() {
    let directory = examples();
    for (text, words) in [
        ("(variant { End = record { plan = 3; title = \"Old\" } })", "# End plan 3"),
        (
            "(variant { Name = record { was = record { operators = vec {}; observers = vec {} };
              now = record { operators = vec { principal \"bkyz2-fmaaa-aaaaa-qaaaq-cai\" }; observers = vec {} } } })",
            "# Name who operates",
        ),
        (
            "(variant { Pay = record { cycles = 5; to = variant { Canister = principal \"bkyz2-fmaaa-aaaaa-qaaaq-cai\" } } })",
            "# Pay cycles out",
        ),
    ] {
        fs::write(directory.path("other.txt"), text).expect("it is written");
        let rendered = proposal(&directory, &["render", "other.txt"]);
        assert!(rendered.code == Some(0) && rendered.output.starts_with(words), "{}", rendered.errors);
    }
}

#[test]
fn what_is_wrong_in_a_plan_is_said_with_its_file_and_line() {
    let directory = examples();
    let plan = read(&directory, "repack.txt");
    let line_of = |words: &str| plan.lines().position(|line| line.contains(words)).expect("it is there") + 1;
    for (from, to, words) in [
        ("growth_percent = 100", "growth_procent = 100", "there is no field growth_procent here, but "),
        ("growth_percent = 100", "growth_percent = 100.5", "growth_percent: 100.5 is no nat32"),
        ("bucket_pages = 1;", "bucket_pages = 70_000;", "bucket_pages: 70000 is no nat16: it is too large"),
        ("bucket_pages = 1;", "bucket_pages = 1", "\";\" or \"}\" is missing"),
        ("routes = null", "routes = vec {}", "routes: opt vec principal is expected: write `opt`"),
        ("may_drop_tail = false", "may_drop_tail = 0", "may_drop_tail: a number where bool is expected"),
    ] {
        fs::write(directory.path("wrong.txt"), plan.replacen(from, to, 1)).expect("it is written");
        let refused = proposal(&directory, &["encode", "wrong.txt"]);
        assert_eq!((refused.code, refused.output.as_str()), (Some(3), ""), "{to}");
        // What is missing at the end of a line is missed in the next one that is not a comment.
        let line = if to == "bucket_pages = 1" { line_of("min_reclaimed_pages") } else { line_of(from) };
        assert!(refused.errors.contains(&format!("wrong.txt: line {line}: ")), "{to}: {}", refused.errors);
        assert!(refused.errors.contains(words), "{to}: {}", refused.errors);
    }
    fs::write(directory.path("wrong.txt"), plan.replacen("Repack the", "Repack **the**", 1))
        .expect("it is written");
    let refused = proposal(&directory, &["render", "wrong.txt"]);
    assert!(
        refused.code == Some(3) && refused.errors.contains("title: U+002A is not taken"),
        "{}",
        refused.errors
    );
}

#[test]
fn what_a_coordinator_refuses_for_what_it_says_is_neither_rendered_encoded_nor_decoded() {
    let directory = examples();
    let plan = read(&directory, "repack.txt");
    for (from, to, words) in [
        ("max_canisters = 1_000", "max_canisters = 0", "max_canisters is 0 and must be from 1"),
        (
            "max_in_flight = 10",
            "max_in_flight = 1_000_000",
            "max_in_flight is 1000000 and must be from 1 to 200",
        ),
        ("indexes = vec { principal \"bkyz2-fmaaa-aaaaa-qaaaq-cai\" }", "indexes = vec {}", "indexes is 0"),
        ("title = \"Repack the user canisters\"", "title = \"\"", "title (bytes) is 0"),
        ("seconds = 604_800", "seconds = 999_999_999_999", "retention (seconds) is 999999999999"),
        (
            "chunk_hashes = vec { blob \"\\93",
            "chunk_hashes = vec { blob \"\\93\\93",
            "a hash must have 32 bytes",
        ),
        ("jobs = 10; soak", "jobs = 0; soak", "canaries (jobs) is 0"),
    ] {
        assert!(plan.contains(from), "{from}");
        let text = plan.replacen(from, to, 1);
        fs::write(directory.path("wrong.txt"), &text).expect("it is written");
        let decision: Decision = read_as(&text).expect("it is a decision");
        let payload = hex::encode(candid::encode_one(decision).expect("it encodes"));
        for arguments in
            [&["render", "wrong.txt"][..], &["encode", "wrong.txt", "--out", "out"], &["decode", &payload]]
        {
            let refused = proposal(&directory, arguments);
            assert_eq!((refused.code, refused.output.as_str()), (Some(3), ""), "{arguments:?}");
            assert!(refused.errors.contains(words), "{words:?} is not in {}", refused.errors);
        }
        assert!(!directory.path("out").exists(), "nothing is written");
    }
}

#[test]
fn nothing_is_encoded_for_other_modules_than_those_that_are_named() {
    let directory = examples();
    fs::write(directory.path("other.wasm"), b"\0asm other").expect("it is written");
    let arguments = ["--function-id", "1000", "--title", "Repack", "--out", "out", "--module", "other.wasm"];
    let refused = proposal(&directory, &[&["encode", "repack.txt"][..], &arguments].concat());
    assert_eq!((refused.code, refused.output.as_str()), (Some(1), ""), "{}", refused.errors);
    assert!(
        refused.errors.ends_with("nothing was written: mend the hashes, or leave --module out\n"),
        "{}",
        refused.errors
    );
    assert!(!directory.path("out").exists());
}

#[test]
fn a_payload_that_this_build_does_not_know_is_not_explained() {
    #[derive(CandidType)]
    enum Later {
        Name { was: Roles, now: Roles, may_delete_everything: bool },
    }
    let directory = examples();
    let roles = Roles::default();
    let later = Later::Name { was: roles.clone(), now: roles, may_delete_everything: true };
    let payload = hex::encode(candid::encode_one(later).expect("it encodes"));
    let refused = proposal(&directory, &["decode", &payload]);
    assert_eq!(refused.code, Some(3), "{}", refused.output);
    assert!(refused.errors.contains("can't tell what it will do"), "{}", refused.errors);
    proposal(&directory, &["encode", "repack.txt", "--out", "out"]);
    let whole = read(&directory, "out/payload.hex");
    let cut = &whole[..whole.len() / 2 - whole.len() / 2 % 2];
    fs::write(directory.path("words.txt"), "words").expect("it is written");
    for (payload, words) in [
        ("4449444c", "it ends early, or is no Candid"),
        (cut, "it ends early, or is no Candid"),
        ("nowhere.hex", "nowhere.hex: there is no file of that name, and it is no hexadecimal"),
        ("zz", "zz: there is no file of that name, and it is no hexadecimal"),
        ("words.txt", "words.txt holds no payload: neither Candid nor hexadecimal"),
    ] {
        let refused = proposal(&directory, &["decode", payload]);
        assert_eq!(refused.code, Some(3), "{payload}");
        assert!(refused.errors.contains(words), "{words:?} is not in {}", refused.errors);
    }
}

#[test]
fn hashes_are_those_of_the_modules_on_disk_or_the_difference_is_named() {
    let directory = examples();
    let hash = |bytes: &[u8]| ByteBuf::from(Sha256::digest(bytes).to_vec());
    let large = vec![7; (1 << 20) + 1];
    fs::write(directory.path("large.wasm"), &large).expect("it is written");
    fs::write(directory.path("other.wasm"), MODULE).expect("it is written");
    let Decision::Approve { plan, .. } = decision(&directory, "relocate.txt") else { panic!("it approves") };
    let write = |name: &str, chunk_hashes: Vec<ByteBuf>| {
        let Strategy::Relocate(relocation) = plan.strategy.clone() else { panic!("it relocates") };
        let module = ModuleRef { hash: hash(&large), chunk_hashes };
        let strategy = Strategy::Relocate(Relocation { module, ..relocation });
        let decision = Decision::Approve { plan: Plan { strategy, ..plan.clone() }, pace: None };
        let text = decant_cli::candid_text::write(&decision).expect("it is written");
        fs::write(directory.path(name), text).expect("it is written");
    };
    write("right.txt", vec![hash(&large[..1 << 20]), hash(&large[1 << 20..])]);
    write("whole.txt", vec![hash(&large)]);
    for (file, modules, code, words) in [
        ("right.txt", &["--module", "large.wasm"][..], 0, ""),
        ("whole.txt", &["--module", "large.wasm"], 1, "large.wasm is in other chunks"),
        ("right.txt", &["--module", "other.wasm"], 1, "no file is the module"),
        ("right.txt", &["--module", "large.wasm", "--module", "other.wasm"], 1, "other.wasm has the SHA-256"),
        ("right.txt", &["--module", "nowhere"], 3, "reading nowhere"),
    ] {
        let checked = proposal(&directory, &[&["render", file], modules].concat());
        assert_eq!(checked.code, Some(code), "{file}, {modules:?}: {}", checked.errors);
        assert!(checked.errors.contains(words), "{file}, {modules:?}: {}", checked.errors);
    }
}

/// The interface of an SNS, as far as quill sends it (dfinity/ic, `rs/sns/governance/canister/governance.did`).
#[derive(CandidType, Deserialize)]
struct SnsProposal {
    url: String,
    title: String,
    action: Option<SnsAction>,
    summary: String,
}

#[derive(CandidType, Deserialize)]
enum SnsAction {
    ExecuteGenericNervousSystemFunction(SnsExecution),
}

#[derive(CandidType, Deserialize)]
struct SnsExecution {
    function_id: u64,
    payload: ByteBuf,
}

#[test]
fn quill_gets_a_proposal_that_executes_the_payload() {
    let directory = examples();
    let arguments =
        ["encode", "repack.txt", "--out", "out", "--function-id", "1000", "--title", "Repack \"all\""];
    let written = |more: &[&str]| -> SnsProposal {
        assert_eq!(proposal(&directory, &[&arguments, more].concat()).code, Some(0));
        read_as(&read(&directory, "out/proposal.txt")).expect("it is a proposal")
    };
    assert_eq!(written(&["--url", "https://forum.dfinity.org/t/1"]).url, "https://forum.dfinity.org/t/1");
    let written = written(&[]);
    assert_eq!((written.title.as_str(), written.url.as_str()), ("Repack \"all\"", ""));
    assert!(!written.summary.is_empty());
    let Some(SnsAction::ExecuteGenericNervousSystemFunction(execution)) = written.action else {
        panic!("it has an action")
    };
    let payload = fs::read(directory.path("out/payload.bin")).expect("it is there");
    assert_eq!((execution.function_id, execution.payload.as_slice()), (1_000, payload.as_slice()));
    for (arguments, code) in [
        (&["encode", "repack.txt", "--out", "out", "--function-id", "999", "--title", "No"][..], 2),
        (&["encode", "repack.txt", "--function-id", "1000", "--title", "No"], 2),
        (&["encode", "repack.txt", "--out", "repack.txt"], 3),
    ] {
        assert_eq!(proposal(&directory, arguments).code, Some(code), "{arguments:?}");
    }
}
