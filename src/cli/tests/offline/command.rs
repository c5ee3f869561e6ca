//! The command itself: help, exit codes, what shells and `man` get, outputs that end early.

use crate::common::{Temporary, decant, image, write_snapshot};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

const COMMANDS: [&str; 9] =
    ["dry-run", "inspect", "plan", "proposal", "repack", "watch", "replica", "completions", "man"];

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it prints text")
}

fn snapshots() -> Temporary {
    let directory = Temporary::new();
    fs::create_dir_all(directory.path("")).expect("the directory is made");
    write_snapshot(&directory.path("one"), &image());
    let mut other = image();
    other[5 * 65_536] ^= 1;
    write_snapshot(&directory.path("other"), &other);
    directory
}

#[test]
fn every_exit_code_is_what_the_help_says() {
    let directory = snapshots();
    for (arguments, code) in [
        (vec!["repack", "--check", "one", "one"], 0),
        (vec!["inspect", "one"], 0),
        (vec!["repack", "--check", "one", "other"], 1),
        (vec!["inspect", "one", "nowhere"], 1),
        (vec![], 2),
        (vec!["repack", "one"], 2),
        (vec!["inspect", "--growth", "-1", "one"], 2),
        (vec!["watch", "foo"], 2),
        (vec!["watch", "ftp://foo"], 2),
        (vec!["repack", "--check", "nowhere", "out"], 3),
        (vec!["plan", "nowhere"], 3),
        (vec!["dry-run", "--modules", "nowhere"], 3),
        (vec!["man", "nowhere"], 3),
    ] {
        let ended = decant(&directory.path(""), &arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.errors);
        assert_eq!(code >= 2, ended.output.is_empty(), "{arguments:?}: errors are not among the output");
    }
    let help = decant(&directory.path(""), &["--help"]).output;
    for line in [
        "  0  all is well",
        "  1  it ran, and something is not well",
        "  2  the command line is wrong",
        "  3  it could not be done",
    ] {
        assert!(help.lines().any(|it| it == line), "{help}");
    }
}

#[test]
fn a_port_that_somebody_has_is_named() {
    let directory = Temporary::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it has an address").port().to_string();
    let ended = decant(&directory.path(""), &["replica", "--port", &port]);
    assert_eq!((ended.code, ended.output.as_str()), (Some(3), ""), "{}", ended.errors);
    assert!(ended.errors.contains(&format!("listening on 127.0.0.1:{port}")), "{}", ended.errors);
}

#[test]
fn every_command_has_help_that_fits_a_terminal() {
    let directory = Temporary::new();
    fs::create_dir_all(directory.path("")).expect("the directory is made");
    let help = decant(&directory.path(""), &["--help"]).output;
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in {help}");
        let ended = decant(&directory.path(""), &[command, "--help"]);
        assert_eq!(ended.code, Some(0));
        assert!(ended.output.contains("Usage: decant "), "{command}");
        assert!(ended.output.contains("\nExample"), "{command} has no example");
        // By default a terminal's width is not known here.
        let widest = ended.output.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest <= 100, "{command}: {widest} columns: {}", ended.output);
    }
}

#[test]
fn shells_and_man_get_every_command() {
    let directory = Temporary::new();
    fs::create_dir_all(directory.path("pages")).expect("the directory is made");
    for shell in ["bash", "zsh", "fish"] {
        let completions = decant(&directory.path(""), &["completions", shell]).output;
        for command in COMMANDS {
            assert!(completions.contains(command), "{shell} does not know {command}");
        }
    }
    assert_eq!(decant(&directory.path(""), &["man", "pages"]).code, Some(0));
    for command in COMMANDS {
        let page =
            fs::read_to_string(directory.path(&format!("pages/decant-{command}.1"))).expect("it has a page");
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
}

#[test]
fn a_full_disk_and_a_reader_that_leaves_are_told_apart() {
    let directory = snapshots();
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    // Linux has a device that is always full.
    if let Ok(full) = full {
        let ended = Command::new(env!("CARGO_BIN_EXE_decant"))
            .args(["inspect", "one"])
            .current_dir(directory.path(""))
            .stdout(full)
            .output()
            .expect("the command starts");
        assert_eq!(ended.status.code(), Some(3));
        assert!(text(&ended.stderr).starts_with("error: "), "{}", text(&ended.stderr));
    }
    for arguments in [vec!["inspect", "one"], vec!["repack", "--check", "one", "one"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_decant"))
            .args(&arguments)
            .current_dir(directory.path(""))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("it ends");
        assert_eq!((ended.status.code(), text(&ended.stderr)), (Some(0), String::new()), "{arguments:?}");
    }
}

#[test]
fn nothing_is_coloured_where_nobody_looks() {
    let directory = snapshots();
    for arguments in [
        vec!["inspect", "one"],
        vec!["--help"],
        vec!["repack", "--check", "one", "other"],
        vec!["plan", "nowhere"],
    ] {
        let ended = decant(&directory.path(""), &arguments);
        let printed = ended.output + &ended.errors;
        assert!(!printed.contains('\u{1b}'), "{arguments:?}: {printed:?}");
    }
}

/// Commands in the documents: after `decant ` at the beginning of a line or of what stands between backticks.
fn documented() -> Vec<(String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut documents = vec![root.join("README.md")];
    let folder = fs::read_dir(root.join("docs")).expect("there are documents");
    documents.extend(folder.map(|entry| entry.expect("it can be read").path()));
    let mut commands = Vec::new();
    for path in documents.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let document = fs::read_to_string(path).expect("it is text").replace(" \\\n", " ");
        for (number, line) in document.lines().enumerate() {
            let begins = line.strip_prefix("decant ").into_iter();
            for command in begins.chain(line.split("`decant ").skip(1)) {
                let command = command.split(['`', '#', ';']).next().unwrap_or(command);
                let words = command.split_whitespace().map(ToString::to_string).collect();
                commands.push((format!("{}:{}", path.display(), number + 1), words));
            }
        }
    }
    commands
}

#[test]
fn every_command_in_the_documents_is_there_with_its_flags() {
    let directory = Temporary::new();
    fs::create_dir_all(directory.path("")).expect("the directory is made");
    let mut helps: BTreeMap<Vec<String>, String> = BTreeMap::new();
    let commands = documented();
    assert!(commands.len() > 20, "{} commands", commands.len());
    for (at, words) in commands {
        // A command of a command, too.
        let names: Vec<String> = words
            .iter()
            .take(if words.first().is_some_and(|name| name == "proposal") { 2 } else { 1 })
            .filter(|word| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'))
            .cloned()
            .collect();
        let help = helps.entry(names.clone()).or_insert_with(|| {
            let mut arguments: Vec<&str> = names.iter().map(String::as_str).collect();
            arguments.push("--help");
            let ended = decant(&directory.path(""), &arguments);
            assert_eq!(ended.code, Some(0), "{at}: there is no {names:?}: {}", ended.errors);
            ended.output
        });
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            let flag = flag.split('=').next().unwrap_or(flag).trim_end_matches([',', '.', ')']);
            assert!(
                help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}\n")),
                "{at}: {flag}"
            );
        }
    }
}
