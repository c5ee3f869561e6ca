//! Runs that are interrupted, as by Ctrl-C: what they were writing is no whole file, and what was there before is there still.

use crate::common::{CANISTER, MODULE, PAGE, Temporary, decant, managed, write_snapshot};
use ic_stable_structures::Memory;
use ic_stable_structures::memory_manager::MemoryId;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SIGINT: i32 = 2;
/// Longest wait for what the command does at once.
const PATIENCE: Duration = Duration::from_secs(60);

fn begin(directory: &Temporary, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_decant"))
        .args(arguments)
        .current_dir(directory.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts")
}

/// Interrupts what runs, and is not over by then.
fn interrupt(mut run: Child) {
    let sent = Command::new("kill").args(["-INT", &run.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    let ended = run.wait().expect("it ends");
    assert_eq!(ended.signal(), Some(SIGINT), "it was not under way any more: {ended:?}");
}

/// A file that whoever reads it waits for.
fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo runs").success());
}

/// Opens it for writing, which waits until somebody reads it.
fn await_reader(path: &Path) -> File {
    File::options().write(true).open(path).expect("somebody reads it")
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it is there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("it is read").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_plan_that_is_interrupted_leaves_the_page_that_was_there() {
    let directory = Temporary::new();
    let fleet = directory.path("fleet.csv");
    pipe(&fleet);
    fs::write(directory.path("plan.html"), "the page of yesterday").expect("it is written");
    let run = begin(&directory, &["plan", "fleet.csv", "--html", "plan.html"]);
    let _open = await_reader(&fleet);
    interrupt(run);
    assert_eq!(names(&directory.path("")), ["fleet.csv", "plan.html"]);
    let page = fs::read_to_string(directory.path("plan.html")).expect("it is there");
    assert_eq!(page, "the page of yesterday");
}

#[test]
fn steps_that_are_interrupted_leave_no_module_of_nothing() {
    let directory = Temporary::new();
    let module = directory.path("own.wasm");
    pipe(&module);
    let arguments = ["repack", "--steps", "before", "after", "--bucket-pages", "1", "--canister", CANISTER];
    let run = begin(&directory, &[&arguments[..], &["--module", "own.wasm"]].concat());
    let _open = await_reader(&module);
    interrupt(run);
    assert_eq!(names(&directory.path("")), ["own.wasm"]);
}

#[test]
fn a_repack_that_is_interrupted_leaves_no_snapshot_to_any_tool() {
    const PAGES: u64 = 1_024;
    let directory = Temporary::new();
    let (memory, manager) = managed(2_048);
    let large = manager.get(MemoryId::new(0));
    large.grow(PAGES);
    for page in 0..PAGES {
        large.write(page * PAGE as u64, &page.to_le_bytes().repeat(PAGE / 8));
    }
    write_snapshot(&directory.path("before"), &memory.borrow());
    fs::write(directory.path("own.wasm"), MODULE).expect("it is written");
    let flags = ["--bucket-pages", "1", "--canister", CANISTER, "--module", "own.wasm"];
    let repack = [&["repack", "before", "after"][..], &flags].concat();
    let run = begin(&directory, &repack);
    let begun = Instant::now();
    while !directory.path("after/stable_memory.bin").exists() {
        assert!(begun.elapsed() < PATIENCE, "it writes nothing");
        std::thread::park_timeout(Duration::from_millis(1));
    }
    interrupt(run);
    let left = names(&directory.path("after"));
    assert!(left.iter().all(|name| !name.starts_with("metadata.json")), "{left:?}");
    for (arguments, code) in
        [(&["inspect", "after"][..], 1), (&["repack", "--check", "before", "after"], 3), (&repack, 3)]
    {
        let ended = decant(&directory.path(""), arguments);
        assert_eq!((ended.code, ended.output.as_str()), (Some(code), ""), "{arguments:?}: {}", ended.errors);
        assert!(ended.errors.contains("after"), "{arguments:?}: {}", ended.errors);
    }
    // What was there before can be repacked all the same.
    fs::remove_dir_all(directory.path("after")).expect("it is deleted, as the error says");
    assert_eq!(decant(&directory.path(""), &repack).code, Some(0));
}
