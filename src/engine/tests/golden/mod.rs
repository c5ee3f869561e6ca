//! Records as they were stored once: they are read for ever. A line has a kind, a label and hex. What is new is appended by
//! `DECANT_WRITE_GOLDEN=1 cargo test -p decant-engine`; a line that is there never changes.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use decant_engine::{Entry, Job};
use serde::Serialize;

/// Checks that each record of the file is still read as it was, and that it has all of these.
pub(crate) fn check<T: Serialize>(file: &str, kind: &str, records: impl IntoIterator<Item = (String, T)>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let mut lines = fs::read_to_string(&path).unwrap_or_default();
    let mut known: BTreeSet<(String, String)> =
        lines.lines().map(split).map(|(kind, label, _)| (kind, label)).collect();
    for (label, record) in records {
        if known.insert((kind.to_owned(), label.clone())) {
            assert!(
                std::env::var_os("DECANT_WRITE_GOLDEN").is_some(),
                "{file} has no {kind} '{label}': see {}",
                file!()
            );
            let hex = bytes(&record).iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").expect("text takes text");
                hex
            });
            writeln!(lines, "{kind}\t{label}\t{hex}").expect("text takes text");
            fs::write(&path, &lines).expect("the file can be written");
        }
    }
    for (kind, label, stored) in lines.lines().map(split) {
        match kind.as_str() {
            "job" => {
                let job: Job = ciborium::from_reader(stored.as_slice()).expect(&label);
                let again: Job = ciborium::from_reader(bytes(&job).as_slice()).expect(&label);
                assert_eq!(again, job, "{label}");
                assert!(label.starts_with(job.state().name()), "{label} is read as {}", job.state().name());
            }
            "entry" => {
                let entry: Entry = ciborium::from_reader(stored.as_slice()).expect(&label);
                assert!(label.starts_with(entry.event.name()), "{label}: {entry:?}");
            }
            other => panic!("{other} is no kind"),
        }
    }
}

fn split(line: &str) -> (String, String, Vec<u8>) {
    let mut parts = line.split('\t');
    let mut next = || parts.next().expect("three parts").to_owned();
    let (kind, label, hex) = (next(), next(), next());
    let bytes =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).expect("hex")).collect();
    (kind, label, bytes)
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("it can be stored");
    bytes
}
