//! The steps of a repack by hand, as the command prints them: a shell runs them as they are, with an `icp` that writes
//! down how it was called.

use crate::common::{CANISTER, Ended, MODULE, PAGE, Temporary, decant, image, write_snapshot};
use decant_cli::repack::EMPTY_MODULE;
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const STEPS: [&str; 8] =
    ["repack", "--steps", "before", "after", "--bucket-pages", "1", "--canister", CANISTER];
const REPACK: [&str; 7] = ["repack", "before", "after", "--bucket-pages", "1", "--canister", CANISTER];
/// Prints the id of what it makes, as icp-cli does with `--quiet`, and has a download ready.
const ICP: &str = "#!/bin/sh
printf '[%s]' \"$@\" >>icp.log
echo >>icp.log
[ \"$(wc -l <icp.log)\" != \"${FAILS_AT-0}\" ] || exit 1
case \"$2 $3\" in
  'snapshot create') echo \"taken$(grep -c 'snapshot..create' icp.log)\" ;;
  'snapshot upload') echo uploaded ;;
  'snapshot download') mv downloaded before ;;
esac
";

fn directory() -> Temporary {
    let directory = Temporary::new();
    fs::create_dir_all(directory.path("")).expect("the directory is made");
    fs::write(directory.path("own.wasm"), MODULE).expect("it is written");
    directory
}

fn run(directory: &Temporary, arguments: &[&str], more: &[&str]) -> Ended {
    decant(&directory.path(""), &[arguments, more].concat())
}

/// Runs what was printed from the first step on, as pasted into a shell, and answers how icp was called; its call of that
/// number fails.
fn typed(directory: &Temporary, steps: &str, fails_at: usize) -> String {
    fs::create_dir_all(directory.path("bin")).expect("it is made");
    let icp = directory.path("bin/icp");
    fs::write(&icp, ICP).expect("it is written");
    fs::set_permissions(&icp, fs::Permissions::from_mode(0o755)).expect("it can be run");
    let decant = Path::new(env!("CARGO_BIN_EXE_decant")).parent().expect("it is in a directory");
    let path = format!("{}:{}:/usr/bin:/bin", directory.path("bin").display(), decant.display());
    let steps = &steps[steps.find("# 1.").expect("there is a first step")..];
    let (steps, back) = steps.split_once("\nThe way back,").expect("there is a way back");
    let back = if fails_at == 0 { back.split_once("\n\n").expect("it has steps").1 } else { "" };
    let ended = Command::new("sh")
        .args(["-c", &format!("{steps}\n{back}")])
        .current_dir(directory.path(""))
        .env("PATH", path)
        .env("FAILS_AT", fails_at.to_string())
        .output()
        .expect("the shell starts");
    assert!(ended.status.success() || fails_at > 0, "{steps}{back}\n{ended:?}");
    fs::read_to_string(directory.path("icp.log")).expect("icp was called")
}

#[test]
fn every_step_names_the_canister_and_the_files_and_can_be_typed() {
    let directory = directory();
    write_snapshot(&directory.path("downloaded"), &image());
    let flags = ["--module", "own.wasm", "--args", "(\"it's\")", "--identity", "me", "--network", "local"];
    let ended = run(&directory, &STEPS, &flags);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert_eq!(fs::read(directory.path("nothing.wasm")).expect("it is written"), EMPTY_MODULE);
    assert!(!directory.path("before").exists() && !directory.path("after").exists());
    let hash = format!("\n0x{}\n", hex::encode(Sha256::digest(MODULE)));
    assert!(ended.output.contains(&hash), "{}", ended.output);
    let place = format!("[{CANISTER}][-n][local][--identity][me]");
    let upgrade = format!("[canister][install]{place}[--mode][upgrade][--wasm]");
    let [stop, start] = ["stop", "start"].map(|what| format!("[canister][{what}]{place}"));
    let snapshot = |what: &str, more: &str| format!("[canister][snapshot][{what}]{place}{more}");
    let expected = [
        stop.clone(),
        snapshot("create", "[--quiet]"),
        format!("{upgrade}[nothing.wasm]"),
        snapshot("create", "[--quiet]"),
        snapshot("download", "[taken2][--output][before]"),
        snapshot("upload", "[--input][after][--quiet]"),
        snapshot("restore", "[uploaded]"),
        format!("{upgrade}[own.wasm][--args][(\"it's\")]"),
        start.clone(),
        stop,
        snapshot("restore", "[taken1]"),
        start,
    ];
    let called = typed(&directory, &ended.output, 0);
    assert_eq!(called.lines().collect::<Vec<_>>(), expected);
    // Nobody deletes the way back by pasting.
    let deleted: Vec<_> = ended.output.lines().filter(|line| line.contains("snapshot delete")).collect();
    assert!(deleted.len() == 3 && deleted.iter().all(|line| line.starts_with("# ")), "{deleted:?}");
}

#[test]
fn whatever_fails_ends_what_was_typed_at_once() {
    for fails_at in 1..=9 {
        let directory = directory();
        write_snapshot(&directory.path("downloaded"), &image());
        let steps = run(&directory, &STEPS, &["--module", "own.wasm"]).output;
        assert_eq!(typed(&directory, &steps, fails_at).lines().count(), fails_at);
    }
}

#[test]
fn the_steps_are_those_of_the_page_for_operators() {
    let printed = run(&directory(), &STEPS, &["--module", "own.wasm"]).output;
    let steps = &printed[printed.find("# 1.").expect("there is a first step")..];
    let steps = &steps[..steps.find("\nThe way back,").expect("there is a way back")];
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/offline-repack.md");
    let page = fs::read_to_string(page).expect("it can be read");
    let steps = steps.replace(&format!("{CANISTER} -n ic"), "CANISTER");
    assert!(page.contains(&format!("```sh\n{steps}```")), "{steps}");
}

#[test]
fn the_printed_repack_and_comparison_know_what_the_steps_were_told() {
    let directory = directory();
    fs::write(directory.path("its own.wasm"), MODULE).expect("it is written");
    let mut image = image();
    image.extend([9; PAGE]);
    write_snapshot(&directory.path("downloaded"), &image);
    let flags = ["--module", "its own.wasm", "--drop-tail", "--drop-memory", "7", "--growth-pages", "10"];
    let printed = run(&directory, &STEPS, &flags).output;
    assert!(typed(&directory, &printed, 0).contains("[--wasm][its own.wasm]"), "{printed}");
    let strict = run(&directory, &["repack", "--check", "before", "after"], &[]);
    assert_eq!(strict.code, Some(1), "{}", strict.output);
}

#[test]
fn buckets_that_do_not_hold_the_growth_that_is_named_are_refused_and_others_tell_the_room_that_is_left() {
    let directory = directory();
    write_snapshot(&directory.path("before"), &image());
    let repack = |growth: &str| run(&directory, &REPACK, &["--module", "own.wasm", "--growth-pages", growth]);
    let refused = repack("32768");
    assert_eq!((refused.code, refused.output.as_str()), (Some(3), ""), "{}", refused.errors);
    let words = "41 pages in use and 32768 pages of growth take 32809 buckets of 1 pages";
    assert!(refused.errors.contains(words), "{}", refused.errors);
    assert!(!directory.path("after").exists());
    let held = repack("32700");
    assert_eq!(held.code, Some(0), "{}", held.errors);
    // 32,768 buckets of a page, of which 41 are in use.
    assert!(held.output.contains("  room    32727 pages "), "{}", held.output);
}

#[test]
fn after_the_repack_the_rest_of_the_steps_is_printed_with_what_is_lost() {
    let directory = directory();
    write_snapshot(&directory.path("before"), &image());
    let ended = run(&directory, &REPACK, &["--module", "own.wasm"]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let every = run(&directory, &STEPS, &["--module", "own.wasm"]).output;
    let rest = &every[every.find("decant repack --check before after &&\n").expect("it is a step")..];
    assert!(ended.output.contains(rest), "{}", ended.output);
    let listed = format!("BACK and SAVED as icp canister snapshot list {CANISTER} -n ic tells them");
    for words in [&listed, "- the global timer", "+ the chunk store (1 chunks) comes back"] {
        assert!(ended.output.contains(words), "{words:?} is not in {}", ended.output);
    }
}

#[test]
fn a_module_that_an_upgrade_would_rob_of_its_state_is_refused_before_anything_is_stopped() {
    let directory = directory();
    let custom = |name: &[u8]| {
        let mut module = MODULE.to_vec();
        module.extend([0, name.len() as u8 + 1, name.len() as u8]);
        module.extend(name);
        module
    };
    let persistent = custom(b"icp:private enhanced-orthogonal-persistence");
    let plain = b"\0asm\x01\0\0\0\0\x02\x01x";
    for (module, words) in [
        (plain.as_slice(), "has no pre_upgrade, so what is on its heap would be lost"),
        (&persistent, "enhanced orthogonal persistence"),
        (&EMPTY_MODULE, "is the module of nothing"),
        (b"\0asm other", "is no module that a canister can run"),
        (b"no module", "is no module that a canister can run"),
    ] {
        fs::write(directory.path("other.wasm"), module).expect("it is written");
        let refused = run(&directory, &STEPS, &["--module", "other.wasm"]);
        assert_eq!(refused.code, Some(3), "{}", refused.output);
        assert!(refused.errors.contains(words), "{words:?} is not in {}", refused.errors);
        assert!(!directory.path("nothing.wasm").exists(), "{words}");
    }
    fs::write(directory.path("other.wasm"), plain).expect("it is written");
    let told = run(&directory, &STEPS, &["--module", "other.wasm", "--may-lose-heap"]);
    assert_eq!(told.code, Some(0), "{}", told.errors);
    assert!(told.output.contains("--module other.wasm --may-lose-heap"), "{}", told.output);
}

#[test]
fn something_else_by_the_name_of_nothing_is_left_alone() {
    let directory = directory();
    fs::write(directory.path("nothing.wasm"), "mine").expect("it is written");
    let refused = run(&directory, &STEPS, &["--module", "own.wasm"]);
    assert_eq!(refused.code, Some(3), "{}", refused.output);
    assert!(refused.errors.contains("nothing.wasm is there and is something else"), "{}", refused.errors);
    assert_eq!(fs::read(directory.path("nothing.wasm")).expect("it is there"), b"mine");
}

#[test]
fn what_the_steps_need_is_asked_for() {
    let directory = directory();
    let own = ["--module", "own.wasm"];
    let missing = |drop: &str| {
        let words = [&STEPS[..], &own].concat();
        let at = words.iter().position(|word| *word == drop).expect("it is there");
        [&words[..at], &words[at + 2..]].concat()
    };
    for flag in ["--bucket-pages", "--canister", "--module"] {
        let refused = run(&directory, &missing(flag), &[]);
        assert_eq!(refused.code, Some(2), "{flag}");
        assert!(refused.errors.contains(flag), "{flag}: {}", refused.errors);
    }
    let wrong = run(&directory, &STEPS[..6], &["--canister", "my-canister", "--module", "own.wasm"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.errors);
}
