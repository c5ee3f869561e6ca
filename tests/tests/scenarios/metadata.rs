//! Every module says what it is: its interface, of which commit it was built, its version.

use decant_tests::repack::wasm;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use wasmparser::{Parser, Payload};

/// Modules with the kit in them.
const WITH_KIT: [&str; 5] = ["eraser", "regions", "taker", "user-kit", "user-kit-with-faults"];

/// What is built, and so the commit that a module says; as `scripts/build` has it.
const SOURCES: [&str; 7] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "scripts/build",
    "src",
    "canisters",
    "tests/canisters",
];

/// Every module of the table in `scripts/build`.
fn modules() -> Vec<String> {
    let script = std::fs::read_to_string(root().join("scripts/build")).expect("it is read");
    let table = script.split("\nmodules='\n").nth(1).and_then(|rest| rest.split("\n'\n").next());
    let names = table.expect("it has a table").lines().filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What git answers, if there is a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).current_dir(root()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What a module says of itself.
#[derive(Default)]
struct Described {
    metadata: BTreeMap<String, String>,
    /// Names of exported methods.
    methods: BTreeSet<String>,
    names_functions: bool,
}

fn describe(module: &[u8]) -> Described {
    let mut described = Described::default();
    for payload in Parser::new(0).parse_all(module) {
        match payload.expect("the module is read") {
            Payload::CustomSection(section) if section.name() == "name" => described.names_functions = true,
            Payload::CustomSection(section) => {
                let text = String::from_utf8_lossy(section.data()).into_owned();
                assert!(
                    described.metadata.insert(section.name().to_owned(), text).is_none(),
                    "written twice"
                );
            }
            Payload::ExportSection(exports) => {
                let exports = exports.into_iter().map(|export| export.expect("an export is read").name);
                let methods = exports.filter_map(|export| {
                    ["canister_update ", "canister_query ", "canister_composite_query "]
                        .iter()
                        .find_map(|kind| export.strip_prefix(kind))
                });
                // What the SDK exports for its timers, and what breaks a canister in a rehearsal, is in no interface.
                let is_internal =
                    |method: &&str| method.starts_with("<ic-cdk internal>") || method.starts_with("debug_");
                let methods = methods.filter(|method| !is_internal(method));
                described.methods.extend(methods.map(str::to_owned));
            }
            _ => {}
        }
    }
    described
}

/// The methods of an interface file: what follows `service`, a line each.
fn methods_of(interface: &str) -> BTreeSet<String> {
    let service = interface.split("service :").nth(1).expect("an interface has a service");
    let lines = service.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    let methods = lines.filter_map(|line| line.split_once(" : (")).map(|(name, _)| name.trim_matches('"'));
    methods.map(str::to_owned).collect()
}

#[test]
fn every_module_says_its_interface_its_commit_and_its_version() {
    let head = git(&["rev-parse", "HEAD"]);
    let changes = git(&[["status", "--porcelain", "--"].as_slice(), SOURCES.as_slice()].concat());
    // Never a wrong one: of what is not committed nobody knows it.
    let built_of =
        head.filter(|_| changes.is_some_and(|changes| changes.is_empty())).unwrap_or("unknown".to_owned());
    let modules = modules();
    assert!(WITH_KIT.iter().all(|name| modules.iter().any(|module| module == name)), "{modules:?}");
    for name in &modules {
        let has_kit = WITH_KIT.contains(&name.as_str());
        let described = describe(&wasm(name));
        let metadata = |key: &str| described.metadata.get(&format!("icp:public {key}"));
        let interface = metadata("candid:service").unwrap_or_else(|| panic!("{name} has no interface"));
        assert_eq!(methods_of(interface), described.methods, "{name} exports what its interface says");
        let commit = metadata("git_commit_id").unwrap_or_else(|| panic!("{name} has no commit"));
        assert_eq!(*commit, built_of, "{name}");
        assert_eq!(metadata("decant:version").map(String::as_str), Some(env!("CARGO_PKG_VERSION")), "{name}");
        assert_eq!(metadata("decant:kit").map(String::as_str), has_kit.then_some("1"), "{name}");
    }
}

#[test]
fn the_coordinator_names_its_functions_so_that_a_trap_tells_where() {
    assert!(describe(&wasm("coordinator")).names_functions);
    assert!(!describe(&wasm("vessel")).names_functions, "what is paid for by the byte does not");
}

#[test]
fn no_module_has_a_path_of_who_built_it() {
    // With what follows it: a home such as `/root` is a part of other words.
    let home = format!("{}/", std::env::var("HOME").expect("there is a home"));
    let root = root().canonicalize().expect("it is there");
    let root = root.to_str().expect("the path is text").to_owned();
    for name in &modules() {
        let module = wasm(name);
        for path in [home.as_str(), root.as_str(), ".cargo", "registry/src", "/home/", "/Users/"] {
            // A root of few letters, such as `/`, is in every module and says nothing.
            let found = path.len() > 3 && module.windows(path.len()).any(|bytes| bytes == path.as_bytes());
            assert!(!found, "{name} has {path} in it");
        }
    }
}
