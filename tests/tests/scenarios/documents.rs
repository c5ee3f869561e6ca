//! What the documents tell an operator to type.

use candid::{CandidType, Principal};
use decant_api::assess::{AssessArgs, Assessment};
use decant_api::error::KitError;
use decant_api::jobs::{Batch, Command, JobView, JobsArgs, Pause, Summary, Which};
use decant_api::source::{Fence, KitStatus};
use decant_cli::candid_text;
use decant_cli::rehearsal::Options;
use decant_cli::rehearsal::world::World;
use decant_tests::repack::{install, nothing};
use decant_tests::{engine, modules};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Methods of an interface that are ours, and whether they are queries.
fn methods(interface: &str) -> BTreeMap<String, bool> {
    let interface = fs::read_to_string(root().join(interface)).expect("the interface is there");
    interface
        .lines()
        .filter_map(|line| {
            line.trim().split_once(" : (").map(|(name, rest)| (name.to_owned(), rest.ends_with("query;")))
        })
        .filter(|(name, _)| name.starts_with("decant_"))
        .collect()
}

/// Every document, with its name, commands that go on in a next line in one.
fn documents() -> Vec<(String, String)> {
    let mut documents = vec![root().join("README.md")];
    let folder = fs::read_dir(root().join("docs")).expect("there are documents");
    documents.extend(folder.map(|entry| entry.expect("it can be read").path()));
    let are_text = documents.into_iter().filter(|path| path.extension().is_some_and(|it| it == "md"));
    are_text
        .map(|path| {
            let text = fs::read_to_string(&path).expect("it is text").replace(" \\\n", " ");
            (path.file_name().expect("it has a name").to_string_lossy().into_owned(), text)
        })
        .collect()
}

/// A call that a document has: where, of whom, which method, with what, asked as a query or not.
struct Call {
    at: String,
    callee: &'static str,
    method: String,
    argument: String,
    is_query: bool,
}

fn calls() -> Vec<Call> {
    let mut calls = Vec::new();
    for (document, text) in documents() {
        // Of a placeholder any canister will do.
        let text = text.replace("\"CANISTER\"", "\"aaaaa-aa\"");
        for (number, line) in text.lines().enumerate() {
            for callee in ["COORDINATOR", "CANISTER"] {
                for part in line.split(&format!("icp canister call {callee} ")).skip(1) {
                    let command = part.split('`').next().unwrap_or(part);
                    let (method, rest) = command.split_once(' ').expect("an argument follows the method");
                    let argument = rest.split('\'').nth(1).expect("an argument stands in quotes");
                    calls.push(Call {
                        at: format!("{document}:{}", number + 1),
                        callee,
                        method: method.to_owned(),
                        argument: argument.to_owned(),
                        is_query: command.contains("--query"),
                    });
                }
            }
        }
    }
    calls
}

impl Call {
    /// Whether the argument is what the method takes, to the name: of a field that nobody knows a canister says nothing.
    fn assert_argument(&self) {
        let Self { at, argument, .. } = self;
        let values = candid_text::read(argument).unwrap_or_else(|wrong| panic!("{at}: {wrong}"));
        let checked = match (self.method.as_str(), values.as_slice()) {
            ("decant_summary" | "decant_release", []) => Ok(()),
            ("decant_job" | "decant_retry" | "decant_abort" | "decant_skip" | "decant_revert", [job]) => {
                job.to::<u64>().map(|_| ())
            }
            ("decant_job_of", [canister]) => canister.to::<Principal>().map(|_| ()),
            ("decant_jobs", [jobs]) => jobs.to::<JobsArgs>().map(|_| ()),
            ("decant_assess", [assess]) => assess.to::<AssessArgs>().map(|_| ()),
            ("decant_pause", [pause]) => pause.to::<Pause>().map(|_| ()),
            ("decant_all", [command, which]) => {
                command.to::<Command>().and_then(|_| which.to::<Which>()).map(|_| ())
            }
            (method, values) => panic!("{at}: {method} with {values:?} has no check here: add one"),
        };
        checked.unwrap_or_else(|wrong| panic!("{at}: {argument} is not what {} takes: {wrong}", self.method));
    }
}

/// Where calls are sent: jobs and plans there are none.
struct Scene {
    world: World,
    canister: Principal,
}

impl Scene {
    /// What an operator, who controls the canister too, is answered.
    #[track_caller]
    fn answer<T: CandidType + DeserializeOwned>(&self, call: &Call) -> T {
        let Call { at, callee, method, argument, is_query } = call;
        let argument = candid_text::encode(argument).unwrap_or_else(|wrong| panic!("{at}: {wrong}"));
        let callee = if *callee == "CANISTER" { self.canister } else { self.world.coordinator };
        let (pic, operator) = (&self.world.pic, self.world.operator);
        let reply = match is_query {
            true => pic.query_call(callee, operator, method, argument),
            false => pic.update_call(callee, operator, method, argument),
        };
        let reply = reply.unwrap_or_else(|rejected| panic!("{at}: {method} is rejected: {rejected}"));
        candid::decode_one(&reply)
            .unwrap_or_else(|wrong| panic!("{at}: {method} answers something else: {wrong}"))
    }
}

#[test]
fn every_call_in_the_documents_is_answered_when_an_operator_sends_it() {
    let coordinators = methods("canisters/coordinator/coordinator.did");
    let kits = methods("canisters/user/user_kit.did");
    let world = World::new(engine(), modules(), &Options::default()).expect("the world is made");
    let canister = install(&world, &modules().kit, nothing());
    let scene = Scene { world, canister };
    let calls = calls();
    assert!(calls.len() >= 15, "the runbooks have calls");
    for call in calls {
        let Call { at, callee, method, argument, is_query } = &call;
        let methods = if *callee == "CANISTER" { &kits } else { &coordinators };
        assert_eq!(methods.get(method), Some(is_query), "{at}: {method}, and --query for queries alone");
        call.assert_argument();
        match method.as_str() {
            "decant_summary" => {
                assert_eq!(scene.answer::<Summary>(&call).governance, scene.world.governance, "{at}");
            }
            "decant_job" | "decant_job_of" => {
                assert_eq!(scene.answer::<Option<JobView>>(&call), None, "{at}")
            }
            "decant_jobs" => assert_eq!(scene.answer::<Vec<JobView>>(&call), [], "{at}"),
            "decant_assess" => {
                let told = scene.answer::<Vec<Assessment>>(&call);
                assert_eq!(told.len(), 1, "{at}");
            }
            "decant_retry" | "decant_abort" | "decant_skip" | "decant_revert" => {
                let job = argument.trim_matches(['(', ')']).split(' ').next().expect("a number");
                let refused = scene.answer::<Result<(), String>>(&call).expect_err("there is no job");
                assert!(refused.contains(&format!("no job {job} ")), "{at}: {refused}");
            }
            "decant_pause" => assert_eq!(scene.answer::<Result<(), String>>(&call), Ok(()), "{at}"),
            "decant_all" => {
                let nothing = Batch { taken: 0, next: None };
                assert_eq!(scene.answer::<Result<Batch, String>>(&call), Ok(nothing), "{at}");
            }
            "decant_release" => {
                let open = scene.answer::<Result<KitStatus, KitError>>(&call).expect("it was never fenced");
                assert_eq!(open.fence, Fence::Open, "{at}");
            }
            other => panic!("{at}: nobody says here what {other} answers: add it"),
        }
    }
}

#[test]
fn every_command_of_a_runbook_says_on_which_network() {
    let (_, text) =
        documents().into_iter().find(|(name, _)| name == "runbooks.md").expect("there are runbooks");
    let commands: Vec<&str> = text.split('`').filter(|part| part.starts_with("icp ")).collect();
    assert!(commands.len() >= 15, "{commands:?}");
    for command in commands {
        assert!(
            command.ends_with(" -n ic"),
            "{command}: a principal needs a network, or goes to the local one"
        );
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
                let (file, heading) = target.split_once('#').unwrap_or((target, ""));
                if file.starts_with("http") {
                    continue;
                }
                let there = if file.is_empty() { path.clone() } else { folder.join(file) };
                assert!(there.exists(), "{}: {target}", path.display());
                let has_heading = || headings(&there).iter().any(|known| known == heading);
                assert!(heading.is_empty() || has_heading(), "{}: {target}", path.display());
            }
        }
    }
}

/// Headings of a page, as links name them.
fn headings(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).expect("it is text");
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let named = |line: &str| -> String {
        let kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
        line.trim_start_matches('#').trim().to_lowercase().chars().filter(kept).collect()
    };
    headings.map(|line| named(line).replace(' ', "-")).collect()
}
