//! Records of what was are read for ever, and a finished job takes little, its evidence kept.

use super::*;
use crate::store::records::Record;
use crate::store::{Course, census, change_course, course, enqueue, events, evidence, log, record, tallies};
use crate::tests::canister;
use decant_engine::{
    CanisterView, Entry, Event, FenceView, Job, KIT_VERSION, KitView, LayoutView, Outcome, RunState, Seal,
    Settings, Value,
};

/// Written in this format. New lines are appended by `DECANT_WRITE_GOLDEN=1`; none ever changes.
const GOLDEN: &str = "golden/kept-1.txt";
/// A job that is done, as the engine keeps it.
const RELOCATED: &str = include_str!("../../../../../src/engine/tests/golden/relocate.txt");

fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}

/// As large as it gets.
pub(super) fn evidence_of_all() -> Evidence {
    Evidence {
        source_module: Some(digest(7)),
        fingerprint: ByteBuf::from([9; 32]),
        fingerprint_bytes: 40,
        pages_after: 400,
    }
}

/// Each kind of record, with a name.
fn records() -> Vec<(&'static str, Vec<u8>)> {
    let tally = Tally {
        title: "Title".to_owned(),
        strategy: "repack".to_owned(),
        max_canisters: 9,
        done: 3,
        rolled_back: 1,
        pages_before: 387,
        pages_after: 12,
        wire_bytes: 5,
    };
    let evidence = evidence_of_all();
    let line = Line {
        at_nanos: 5,
        level: Level::Error,
        job: Some(7),
        code: Some("HasAssets".to_owned()),
        text: "parked".to_owned(),
    };
    let mut all = vec![("tally", tally.encode()), ("evidence", evidence.encode()), ("line", line.encode())];
    all.extend(happened().into_iter().map(|(name, happened)| {
        let by = Some(canister(9));
        (name, Noted { at_nanos: 5, by, happened }.encode())
    }));
    let by_itself = |happened| Noted { at_nanos: 1_790_000_000_000_000_000, by: None, happened }.encode();
    let evidence = evidence_of_all();
    all.push(("moved by itself", by_itself(Happened::Moved { job: 300 })));
    all.push(("ended by itself", by_itself(Happened::Ended { job: 1, evidence: Evidence::default() })));
    all.push(("deleted by itself", by_itself(Happened::Deleted { job: 1, evidence: evidence.clone() })));
    all.push(("entombed by itself", by_itself(Happened::Entombed { job: 1, evidence: evidence.clone() })));
    all.push(("recycled by itself", by_itself(Happened::Recycled { job: 1, evidence })));
    for (name, label) in [("end of one that is done", "done"), ("end of one that went back", "rolled back")] {
        let happened = Happened::Ended { job: 1, evidence: evidence_of_all() };
        let noted = Noted { at_nanos: 1_790_000_000_000_000_000, by: None, happened };
        let packed = Packed { noted, end: ended(label, 1, |_| ()).end() };
        all.push((name, packed::write(&packed).expect("it is one of a job")));
    }
    all
}

fn happened() -> Vec<(&'static str, Happened)> {
    vec![
        ("moved", Happened::Moved { job: 1 }),
        ("ended", Happened::Ended { job: 1, evidence: Evidence::default() }),
        ("deleted", Happened::Deleted { job: 1, evidence: evidence_of_all() }),
        ("entombed", Happened::Entombed { job: 1, evidence: evidence_of_all() }),
        ("recycled", Happened::Recycled { job: 1, evidence: evidence_of_all() }),
        ("approved", Happened::PlanApproved { plan: 1, hash: digest(3) }),
        ("enrolled", Happened::Enrolled { plan: 1, first: 2, count: 3 }),
        ("withdrawn", Happened::Withdrawn { jobs: vec![1, 2] }),
        (
            "commanded",
            Happened::Commanded {
                command: "retry".to_owned(),
                job: None,
                plan: Some(1),
                code: Some("HasAssets".to_owned()),
                taken: 4,
            },
        ),
        ("paused", Happened::Paused { pause: Pause::Hold }),
        ("pool deleted", Happened::PoolDeleted { canister: canister(4) }),
        ("paid out", Happened::PaidOut { cycles: 5, to: canister(4) }),
        ("upgraded", Happened::Upgraded),
        ("decided", Happened::Decided { what: "plan 1 is ended".to_owned() }),
    ]
}

pub(super) fn hex_bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("hex"));
    digits.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}

fn hex(bytes: &[u8]) -> String {
    decant_words::hex(bytes)
}

#[test]
fn what_was_kept_once_is_read_for_ever() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    let mut text = std::fs::read_to_string(&path).unwrap_or_default();
    for (name, bytes) in records() {
        let line = format!("{name}\t{}\n", hex(&bytes));
        match text.lines().find(|line| line.split('\t').next() == Some(name)) {
            Some(known) => {
                assert_eq!(format!("{known}\n"), line, "{name} is written as it was, and so is read")
            }
            None => {
                assert!(std::env::var_os("DECANT_WRITE_GOLDEN").is_some(), "no '{name}': append it");
                text.push_str(&line);
                std::fs::write(&path, &text).expect("the file can be written");
            }
        }
    }
    for (name, bytes) in records() {
        let is_read = match name {
            "tally" => Tally::decode(&bytes).map(|read| read.encode()),
            "evidence" => Evidence::decode(&bytes).map(|read| read.encode()),
            "line" => Line::decode(&bytes).map(|read| read.encode()),
            name if name.starts_with("end of") => {
                packed::read(&bytes).map(|read| packed::write(&read).unwrap_or_default())
            }
            _ => Noted::decode(&bytes).map(|read| read.encode()),
        };
        assert_eq!(is_read, Ok(bytes), "{name}");
    }
    for damaged in [&b""[..], b"\x02", b"\x02\x01\x05", b"\x02\x01\x05\x01\x00", b"\x01", b"DIDL"] {
        assert!(Noted::decode(damaged).is_err() && Tally::decode(damaged).is_err(), "{damaged:?}");
    }
}

/// A field of a record.
fn field<'a>(record: &'a mut ciborium::Value, name: &str) -> &'a mut ciborium::Value {
    let map = record.as_map_mut().expect("a map");
    let found = map.iter_mut().find(|(key, _)| key.as_text() == Some(name));
    &mut found.expect("it has the field").1
}

/// A job that ended so, of that number, with a change.
fn ended(label: &str, id: u64, change: impl Fn(&mut ciborium::Value)) -> Job {
    let start = format!("job\t{label}\t");
    let line = RELOCATED.lines().find(|line| line.starts_with(&start)).expect("one ended so");
    let hex = line.rsplit('\t').next().expect("bytes");
    let mut value: ciborium::Value = ciborium::from_reader(hex_bytes(hex).as_slice()).expect("CBOR");
    let numbered = |kind: u8| {
        let mut bytes = id.to_be_bytes().to_vec();
        bytes.extend([kind, 1]);
        ciborium::Value::Bytes(bytes)
    };
    *field(&mut value, "i") = id.into();
    *field(&mut value, "o") = numbered(1);
    if label == "done" {
        *field(&mut value, "t") = numbered(2);
    }
    change(&mut value);
    let mut bytes = vec![1, 1];
    ciborium::into_writer(&value, &mut bytes).expect("it is written");
    Job::decode(&bytes).expect("a job")
}

/// A job that is done, of that number.
fn done(id: u64) -> Job {
    ended("done", id, |_| ())
}

fn replied(value: Value) -> Event {
    Event::Replied { ticket: 1, outcome: Outcome::Done(value) }
}

/// Ends a job that told all that it can tell.
fn end(id: u64) {
    let job = done(id);
    enqueue(&job);
    super::super::evidence::keep(id, &evidence_of_all());
    record(&job, &Entry { at_nanos: 1, event: replied(Value::Acknowledged) });
}

#[test]
fn a_job_that_ended_is_told_as_moved_and_ended_and_counted_for_its_plan() {
    end(1);
    let told: Vec<Happened> =
        events::events_after(0, 10).into_iter().map(|(_, noted)| noted.happened).collect();
    let evidence = evidence_of_all();
    assert_eq!(told, [Happened::Moved { job: 1 }, Happened::Ended { job: 1, evidence }]);
    assert_eq!(events::events_after(1, 10).len(), 1, "those after a number");
    let plan_id = done(1).plan().plan_id;
    let tally = tallies::tally(plan_id);
    assert_eq!((tally.done, tally.pages_before), (1, done(1).counters().source_pages));
    assert_eq!(tallies::history(4, 10).last().map(|(at, tally)| (*at, tally.done)), Some((10, 1)));
}

#[test]
fn evidence_is_learnt_from_what_a_job_is_answered() {
    let job = done(3);
    let seal = Seal { root: digest(1), used_pages: 3, fingerprint: ByteBuf::from([5; 40]) };
    super::super::evidence::learn(&job, false, &replied(Value::Hashed(seal)));
    let learnt = evidence(3);
    assert_eq!((learnt.fingerprint.len(), learnt.fingerprint_bytes), (32, 40), "a long one by its digest");
}

/// Takes an event, and keeps what it tells.
fn take(job: &mut Job, event: Event) {
    decant_engine::apply(job, event.clone(), 20).expect("it takes it");
    record(job, &Entry { at_nanos: 20, event });
}

/// Sends the call of its state, of which no reply comes.
fn lose_call(job: &mut Job) {
    let ticket = job.counters().calls + 1;
    take(job, Event::Started { ticket });
    take(job, Event::reply_lost(ticket));
}

/// Sends the call, or the look, of its state, which is answered so.
fn answer(job: &mut Job, value: Value) {
    let ticket = job.counters().calls + 1;
    take(job, Event::Started { ticket });
    take(job, Event::Replied { ticket, outcome: Outcome::Done(value) });
}

#[test]
fn what_a_source_ran_is_known_though_the_first_reply_was_lost() {
    let mut job = ended("queued", 4, |_| ());
    enqueue(&job);
    lose_call(&mut job);
    let view = CanisterView {
        run_state: RunState::Running,
        module_hash: Some(digest(7)),
        settings: Settings { controllers: Vec::new(), others: ByteBuf::new() },
        balance_cycles: 1,
        snapshots_bytes: 0,
        memory_bytes: 0,
        stable_pages: 300,
        freezing_cycles: 0,
        freezing_seconds: 0,
        is_planned: true,
        minimum_call_cycles: 0,
        heap_limit_bytes: None,
        has_public_snapshots: false,
        version: None,
        chunk_store_bytes: 0,
        acted: None,
        emptied: None,
    };
    answer(&mut job, Value::Canister(view));
    assert_eq!((job.state().name(), evidence(4).source_module), ("inspected", Some(digest(7))));
}

#[test]
fn what_a_target_says_after_a_lost_reply_is_not_what_comes_of_its_source() {
    let kit = |layout| {
        let fence = FenceView::Open;
        Value::Kit(KitView { kit_version: KIT_VERSION, fence, layout, stable_pages: 500, has_root: false })
    };
    let mut source = ended("inspected", 5, |job| {
        *field(field(job, "p"), "b") = 4.into();
        *field(field(job, "p"), "r") = 1.into();
    });
    enqueue(&source);
    answer(&mut source, kit(LayoutView::Managed { memories: 1, used_pages: 7 }));
    assert_eq!(source.state().name(), "admitted");
    assert_eq!(evidence(5).pages_after, 1 + 7 + 3, "at most one bucket of four pages is not full");
    let mut importing = ended("installed", 5, |_| ());
    enqueue(&importing);
    lose_call(&mut importing);
    answer(&mut importing, kit(LayoutView::Empty));
    assert_eq!(evidence(5).pages_after, 1 + 7 + 3);
}

#[test]
fn a_job_that_reverts_has_users_who_wait_and_tells_and_proves_what_moved_as_before() {
    let mut job = ended("retaining", 1, |_| ());
    enqueue(&job);
    record(&job, &Entry { at_nanos: 1, event: replied(Value::Acknowledged) });
    super::super::evidence::keep(1, &evidence_of_all());
    take(&mut job, Event::RevertRequested);
    assert_eq!(census(|census| census.fenced()), (Some((20, 1)), 1));
    let ticket = job.counters().calls + 1;
    take(&mut job, Event::Started { ticket });
    let refused = Outcome::Refused(decant_engine::ReasonCode::NotAuthorised.into());
    take(&mut job, Event::Replied { ticket, outcome: refused });
    assert_eq!(job.state().name(), "retaining");
    assert_eq!(census(|census| census.fenced()), (None, 0));
    let lines = log::latest(Level::Warn, 0, 1);
    assert!(lines[0].1.text.contains("reverting → retaining: not authorised"), "{}", lines[0].1.text);
    let told: Vec<Happened> =
        events::events_after(0, 10).into_iter().map(|(_, noted)| noted.happened).collect();
    assert_eq!(told, [Happened::Moved { job: 1 }], "it moved once");
    // What the target says of itself now proves nothing of what moved.
    let other = Seal { root: digest(1), used_pages: 3, fingerprint: ByteBuf::from([5; 8]) };
    for label in ["target unchanged", "thawing target"] {
        let reverting = ended(label, 1, |_| ());
        super::super::evidence::learn(&reverting, false, &replied(Value::Hashed(other.clone())));
    }
    assert_eq!(evidence(1), evidence_of_all());
}

#[test]
fn the_log_keeps_the_latest_lines_of_each_level_and_no_more() {
    for number in 0..5_000 {
        let level = if number % 100 == 0 { Level::Error } else { Level::Info };
        let text = "x".repeat(1_000);
        log::append(Line { at_nanos: number, level, job: None, code: None, text });
    }
    assert_eq!(log::latest(Level::Info, 0, usize::MAX).len(), 4_096);
    let errors = log::latest(Level::Error, 0, usize::MAX);
    assert_eq!((errors.len(), errors[0].1.at_nanos), (40, 4_900));
    assert_eq!(log::latest(Level::Info, 4_990, usize::MAX).len(), 10, "since then");
    assert_eq!(log::latest(Level::Info, 0, 1)[0].1.text.len(), 240, "a line is bounded");
}

/// How a job that ended changes the course of its plan: what started, what failed, and whether it is no canary that is through.
fn course_after(label: &str, change: impl Fn(&mut ciborium::Value)) -> (u64, u32, bool) {
    let job = ended(label, 1, change);
    let plan_id = job.plan().plan_id;
    change_course(plan_id, |course| {
        *course = Course::default();
        course.started = 5;
    });
    // Of another job of that number in the same state nothing would be new.
    census(|census| census.forget(1));
    enqueue(&job);
    record(&job, &Entry { at_nanos: 1, event: replied(Value::Acknowledged) });
    let course = course(plan_id);
    (course.started, course.failures_of_last(128), course.has_turned)
}

#[test]
fn a_pace_counts_those_whose_users_waited_and_nothing_that_was_refused_or_taken_back() {
    let fenced = |job: &mut ciborium::Value| *field(field(job, "m"), "f") = 5.into();
    let refused = |job: &mut ciborium::Value| *field(field(job, "m"), "f") = ciborium::Value::Null;
    let aborted = |job: &mut ciborium::Value| {
        fenced(job);
        *field(field(field(field(job, "s"), "40"), "w"), "c") = "20".into();
    };
    let reverted = |job: &mut ciborium::Value| {
        fenced(job);
        *field(field(field(field(job, "s"), "40"), "w"), "c") = "46".into();
    };
    let in_line = |job: &mut ciborium::Value| {
        refused(job);
        *field(field(job, "c"), "c") = 0.into();
    };
    assert_eq!(course_after("done", |_| ()), (5, 0, false));
    let back = "rolling back: Some(ThawSource)";
    assert_eq!(course_after(back, fenced), (5, 1, true), "before anybody knows how long it goes back");
    assert_eq!(course_after(back, refused), (5, 0, false));
    assert_eq!(course_after(back, aborted), (5, 0, true));
    assert_eq!(course_after(back, reverted), (5, 0, true));
    assert_eq!(course_after("rolled back", fenced), (5, 0, false), "it was counted");
    assert_eq!(course_after("rolled back", refused), (4, 0, false), "another goes in its place");
    assert_eq!(course_after("rolled back", in_line), (5, 0, false), "it was not started");
}
