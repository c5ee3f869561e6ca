//! What the documents tell an operator to type.

use candid::{CandidType, Principal};
use decant_api::assess::AssessArgs;
use decant_api::jobs::{Command, JobsArgs, Pause, Which};
use decant_cli::candid_text::{self, Node};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Methods of the coordinator, and whether they are queries.
fn methods() -> BTreeMap<String, bool> {
    let interface = root().join("canisters/coordinator/coordinator.did");
    let interface = fs::read_to_string(interface).expect("the interface is there");
    interface
        .lines()
        .filter_map(|line| {
            line.trim().split_once(" : (").map(|(name, rest)| (name.to_owned(), rest.ends_with("query;")))
        })
        .filter(|(name, _)| name.starts_with("decant_"))
        .collect()
}

/// A call of the coordinator that a document has: where, which method, with what, asked as a query or not.
struct Call {
    at: String,
    method: String,
    argument: String,
    is_query: bool,
}

fn calls() -> Vec<Call> {
    let mut documents = vec![root().join("README.md")];
    let folder = fs::read_dir(root().join("docs")).expect("there are documents");
    documents.extend(folder.map(|entry| entry.expect("it can be read").path()));
    let mut calls = Vec::new();
    for document in
        documents.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md"))
    {
        // A command may go on in the next line. Of a placeholder any canister will do.
        let text = fs::read_to_string(document).expect("it is text");
        let text = text.replace(" \\\n", " ").replace("\"CANISTER\"", "\"aaaaa-aa\"");
        for (number, line) in text.lines().enumerate() {
            for part in line.split("icp canister call COORDINATOR ").skip(1) {
                let command = part.split('`').next().unwrap_or(part);
                let (method, rest) = command.split_once(' ').expect("an argument follows the method");
                let argument = rest.split('\'').nth(1).expect("an argument stands in quotes");
                calls.push(Call {
                    at: format!("{}:{}", document.display(), number + 1),
                    method: method.to_owned(),
                    argument: argument.to_owned(),
                    is_query: command.contains("--query"),
                });
            }
        }
    }
    calls
}

fn assert_is<T: CandidType + DeserializeOwned>(value: &Node, at: &str) {
    if let Err(wrong) = value.to::<T>() {
        panic!("{at}: {value:?} is not what the method takes: {wrong}");
    }
}

#[test]
fn every_call_in_the_documents_is_one_that_the_coordinator_takes() {
    let methods = methods();
    let calls = calls();
    assert!(calls.len() >= 10, "the runbooks have calls");
    for Call { at, method, argument, is_query } in calls {
        assert_eq!(methods.get(&method), Some(&is_query), "{at}: {method}, and --query for queries alone");
        let values = candid_text::read(&argument).unwrap_or_else(|wrong| panic!("{at}: {wrong}"));
        match (method.as_str(), values.as_slice()) {
            ("decant_summary", []) => {}
            ("decant_job" | "decant_retry" | "decant_abort" | "decant_skip" | "decant_revert", [job]) => {
                assert_is::<u64>(job, &at)
            }
            ("decant_job_of", [canister]) => assert_is::<Principal>(canister, &at),
            ("decant_jobs", [jobs]) => assert_is::<JobsArgs>(jobs, &at),
            ("decant_assess", [assess]) => assert_is::<AssessArgs>(assess, &at),
            ("decant_pause", [pause]) => assert_is::<Pause>(pause, &at),
            ("decant_all", [command, which]) => {
                assert_is::<Command>(command, &at);
                assert_is::<Which>(which, &at);
            }
            (method, values) => panic!("{at}: {method} with {values:?} has no check here: add one"),
        }
    }
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    for folder in ["", "docs"] {
        let folder = root().join(folder);
        for entry in fs::read_dir(&folder).expect("it can be read") {
            let path = entry.expect("it can be read").path();
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let text = fs::read_to_string(&path).expect("it is text");
            for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let file = target.split('#').next().unwrap_or(target);
                let is_elsewhere = file.starts_with("http") || file.is_empty();
                assert!(is_elsewhere || folder.join(file).exists(), "{}: {target}", path.display());
            }
        }
    }
}
