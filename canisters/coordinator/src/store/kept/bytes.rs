//! Stable bytes of a finished job: all of them, in every structure, its evidence and its events included.

use super::tests::{evidence_of_all, hex_bytes};
use crate::store::{enqueue, evidence, job, job_of, job_to, memory, record};
use candid::Principal;
use ciborium::Value;
use decant_engine::{Entry, Event, Job, Outcome};
use ic_stable_structures::Memory;

/// Jobs in every state, which the engine keeps.
const RELOCATIONS: &str = include_str!("../../../../../src/engine/tests/golden/relocate.txt");
const BY_VESSEL: &str = include_str!("../../../../../src/engine/tests/golden/vessel.txt");
/// Most that a finished job may take (design, section 9).
const MOST_BYTES: u64 = 512;
/// Jobs that are measured, and those before them, which fill the log: a ring of 4,096 lines.
const JOBS: u64 = 10_000;
const BEFORE: u64 = 2_100;
/// Memories of 64 KiB pages that the coordinator may use.
const MEMORIES: std::ops::Range<u8> = 0..64;
/// A moment of 2026.
const ENROLLED: u64 = 1_790_000_000_000_000_000;
const HOUR: u64 = 3_600_000_000_000;

/// How jobs end.
#[derive(Clone, Copy)]
struct Kind {
    golden: &'static str,
    /// A state on its way, which is stored whole, and its end.
    way: &'static str,
    end: &'static str,
    /// Bytes of the reason.
    reason_bytes: usize,
}

const KINDS: [Kind; 5] = [
    Kind { golden: RELOCATIONS, way: "retaining", end: "done", reason_bytes: 0 },
    Kind { golden: BY_VESSEL, way: "retaining saved", end: "done", reason_bytes: 0 },
    Kind { golden: RELOCATIONS, way: "target verified", end: "rolled back", reason_bytes: 80 },
    Kind { golden: BY_VESSEL, way: "pouring", end: "rolled back", reason_bytes: 80 },
    Kind {
        golden: RELOCATIONS,
        way: "switching",
        end: "rolled back",
        reason_bytes: decant_engine::MAX_ENDED_DETAIL_BYTES,
    },
];

fn canister_of(number: u64, tail: u8) -> Principal {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend([tail, 1]);
    Principal::from_slice(&bytes)
}

fn value(kind: Kind, label: &str) -> Value {
    let start = format!("job\t{label}\t");
    let line = kind.golden.lines().find(|line| line.starts_with(&start)).expect("it is there");
    let bytes = hex_bytes(line.rsplit('\t').next().expect("bytes"));
    ciborium::from_reader(bytes.as_slice()).expect("CBOR")
}

fn set(record: &mut Value, name: &str, value: Value) {
    let map = record.as_map_mut().expect("a map");
    map.retain(|(key, _)| key.as_text() != Some(name));
    map.push((Value::Text(name.to_owned()), value));
}

fn get<'a>(record: &'a mut Value, name: &str) -> &'a mut Value {
    let map = record.as_map_mut().expect("a map");
    &mut map.iter_mut().find(|(key, _)| key.as_text() == Some(name)).expect("it is there").1
}

/// A job as it is at the label, with ids, figures and times as large as those of a campaign of months.
fn at(kind: Kind, label: &str, id: u64) -> Job {
    let mut job = value(kind, label);
    let bytes = |principal: Principal| Value::Bytes(principal.as_slice().to_vec());
    set(&mut job, "i", id.into());
    set(&mut job, "o", bytes(canister_of(id, 1)));
    set(&mut job, "x", Value::Array(vec![bytes(canister_of(7, 3))]));
    if get(&mut job, "t").is_bytes() {
        set(&mut job, "t", bytes(canister_of(id, 2)));
    }
    set(get(&mut job, "p"), "i", 3.into());
    let counters = get(&mut job, "c");
    for (name, figure) in [("c", 40), ("w", 210_000), ("s", 300), ("u", 130)] {
        set(counters, name, (figure + id % 7).into());
    }
    set(counters, "d", (1_930_000_000_000 + id).into());
    set(counters, "b", (20_000_000_000 + id).into());
    let times = get(&mut job, "m");
    set(times, "e", ENROLLED.into());
    for (name, hours) in [("f", 5), ("c", 6), ("s", 7), ("z", 24 * 60)] {
        if !get(times, name).is_null() {
            set(times, name, (ENROLLED + hours * HOUR + id).into());
        }
    }
    if label == "rolled back" {
        let reason = get(get(get(&mut job, "s"), "51"), "w");
        set(reason, "d", Value::Text("x".repeat(kind.reason_bytes)));
    }
    let mut stored = Vec::new();
    ciborium::into_writer(&job, &mut stored).expect("it is written");
    ciborium::from_reader(stored.as_slice()).expect("a job")
}

/// All that the coordinator holds.
fn pages() -> u64 {
    MEMORIES.map(|id| memory(id).size()).sum()
}

/// As a campaign goes: all are enrolled, each is on its way, and ends.
fn run(kind: Kind, ids: std::ops::RangeInclusive<u64>) {
    let known = at(kind, kind.end, 1);
    for id in ids.clone() {
        let (source, indexes) = (canister_of(id, 1), known.indexes().to_vec());
        enqueue(&Job::new(id, source, indexes, *known.plan(), ENROLLED).expect("a job"));
    }
    for id in ids {
        let reply = Event::Replied { ticket: 1, outcome: Outcome::Done(decant_engine::Value::Acknowledged) };
        record(&at(kind, kind.way, id), &Entry { at_nanos: ENROLLED + 6 * HOUR + id, event: reply.clone() });
        crate::store::evidence::keep(id, &evidence_of_all());
        let ended = at(kind, kind.end, id);
        let at_nanos = ended.times().ended_nanos.expect("it ended");
        record(&ended, &Entry { at_nanos, event: reply });
    }
}

/// Stable bytes that a job of that kind takes. All that it said is still there.
fn measure(kind: Kind) -> u64 {
    run(kind, 1..=BEFORE);
    let before = pages();
    let last = BEFORE + JOBS;
    run(kind, BEFORE + 1..=last);
    let bytes = (pages() - before) * 65_536 / JOBS;
    for id in [1, BEFORE, last] {
        let ended = at(kind, kind.end, id);
        assert_eq!(job(id).as_ref(), Some(&ended));
        assert_eq!(evidence(id), evidence_of_all());
        assert_eq!(job_of(ended.source()), Some(id));
        assert_eq!(ended.target().map(job_to), ended.target().map(|_| Some(id)));
    }
    bytes
}

#[test]
fn a_finished_job_of_any_kind_takes_at_most_512_stable_bytes_its_evidence_and_its_events_included() {
    let measured = KINDS.map(|kind| std::thread::spawn(move || measure(kind)));
    let bytes = measured.map(|kind| kind.join().expect("it is measured"));
    println!("stable bytes a finished job: {bytes:?}");
    assert!(bytes.iter().all(|bytes| *bytes <= MOST_BYTES), "{bytes:?} bytes");
}
