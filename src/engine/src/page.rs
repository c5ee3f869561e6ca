//! `docs/states.md` has every state with its call, and every reason with its words, and nothing else: both are read out of the
//! code here, so that the page can't lack what is new, nor keep what is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use ciborium::Value;
use serde::de::DeserializeOwned;

use crate::apply::rules;
use crate::{Job, Limits, OfOldBuild, ReasonCode, RevertState, State, VesselState};

const PAGE: &str = include_str!("../../../docs/states.md");
/// Jobs in every state.
const JOBS: [&str; 2] =
    [include_str!("../tests/golden/relocate.txt"), include_str!("../tests/golden/vessel.txt")];
/// The tag around the states by vessel.
const VESSEL: u8 = 100;

/// Numbers and cells of the rows that begin with a number: of the reasons, whose names are code, or of the states.
fn rows(of_reasons: bool) -> BTreeMap<u8, Vec<&'static str>> {
    let mut rows = BTreeMap::new();
    for line in PAGE.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let Ok(number) = cells[0].parse() else { continue };
        if cells[1].starts_with('`') == of_reasons {
            assert!(cells.iter().all(|cell| !cell.is_empty()), "a cell is empty: {line}");
            assert!(rows.insert(number, cells[1..].to_vec()).is_none(), "{number} stands there twice");
        }
    }
    rows
}

/// The tags of a stored enumeration: what is refused for another reason than that nobody knows it.
fn tags<T: DeserializeOwned + Debug>() -> BTreeSet<u8> {
    let is_known = |tag: &u8| {
        let stored = Value::Map(vec![(Value::Text(tag.to_string()), Value::Map(Vec::new()))]);
        stored
            .deserialized::<T>()
            .map_or_else(|error| !error.to_string().contains("unknown variant"), |_| true)
    };
    (0..=u8::MAX).filter(is_known).collect()
}

fn jobs() -> impl Iterator<Item = Job> {
    let lines = JOBS.iter().flat_map(|file| file.lines()).filter(|line| line.starts_with("job\t"));
    lines.map(|line| {
        let hex = line.rsplit('\t').next().expect("a record is its last part");
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("it is hexadecimal");
        let stored: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let mut job: Job = ciborium::from_reader(stored.as_slice()).expect("what was stored once is read");
        // These were stored before that was kept.
        if let State::Draining { freezing_seconds, .. } = &mut job.state {
            freezing_seconds.get_or_insert(1);
        }
        job
    })
}

/// What jobs in a state do.
#[derive(Default)]
struct Seen {
    name: &'static str,
    methods: BTreeSet<&'static str>,
    looks_before: BTreeSet<bool>,
    keeps_users: BTreeSet<bool>,
}

fn seen() -> BTreeMap<u8, Seen> {
    let mut all: BTreeMap<u8, Seen> = BTreeMap::new();
    for job in jobs() {
        let seen = all.entry(job.state.tag()).or_default();
        let rules = rules(&job, 0, &Limits::default());
        seen.name = job.state.name();
        seen.methods.extend(rules.call.as_ref().map(crate::Effect::method).filter(|it| *it != "nothing"));
        seen.looks_before.insert(rules.looks_before());
        seen.keeps_users.insert(job.keeps_users());
    }
    let old = State::OfOldBuild(OfOldBuild);
    all.insert(old.tag(), Seen { name: old.name(), ..Seen::default() });
    all
}

/// Of the words that are code, those that are methods.
fn methods<'a>(cell: &'a str, all: &BTreeSet<&str>) -> BTreeSet<&'a str> {
    cell.split('`').skip(1).step_by(2).filter(|word| all.contains(word)).collect()
}

#[test]
fn the_page_has_every_state_with_its_number_name_and_call_and_no_other() {
    let (rows, seen) = (rows(false), seen());
    let mut known = tags::<State>();
    known.remove(&VESSEL);
    assert!(known.len() >= 40, "{known:?}");
    known.extend(tags::<VesselState>());
    known.extend(tags::<RevertState>());
    assert_eq!(rows.keys().copied().collect::<BTreeSet<_>>(), known, "rows of docs/states.md, and states");
    assert_eq!(seen.keys().copied().collect::<BTreeSet<_>>(), known, "every state has its golden record");
    let all_methods = seen.values().flat_map(|it| it.methods.iter().copied()).collect();
    for (tag, seen) in &seen {
        let [name, call, users] = rows[tag][..] else { panic!("{tag} has other cells than three") };
        assert_eq!(name, seen.name, "{tag}");
        // What is undone is told in words, and a parked job does what it is parked in only later.
        let is_of_one_call = !matches!(name, "rolling back" | "parked");
        if !is_of_one_call {
            continue;
        }
        assert_eq!(methods(call, &all_methods), seen.methods, "{tag} {name}: {call}");
        match seen.looks_before.iter().collect::<Vec<_>>()[..] {
            [true] => assert!(call.contains("a look, then `"), "{tag} {name} looks first: {call}"),
            [false] => assert!(!call.contains("a look, then"), "{tag} {name} does not look first: {call}"),
            _ => {}
        }
        match seen.keeps_users.iter().collect::<Vec<_>>()[..] {
            [true] => assert!(users.starts_with("wait"), "{tag} {name}: users wait, not: {users}"),
            [false] => assert!(!users.starts_with("wait"), "{tag} {name}: nobody waits, not: {users}"),
            _ => {}
        }
    }
}

#[test]
fn the_page_has_every_reason_with_its_number_name_and_words_and_no_other() {
    let rows = rows(true);
    let known = tags::<ReasonCode>();
    assert!(known.len() > 40, "{known:?}");
    assert_eq!(rows.keys().copied().collect::<BTreeSet<_>>(), known, "rows of docs/states.md, and reasons");
    for (tag, cells) in rows {
        let code: ReasonCode = Value::Text(tag.to_string()).deserialized().expect("it is a reason");
        let [name, words, _safe, _unsafe] = cells[..] else { panic!("{tag} has other cells than four") };
        assert_eq!((name, words), (format!("`{code:?}`").as_str(), code.text()), "{tag}");
    }
}
