//! Records as they were stored once are read for ever; one that can't be read stops nothing else.

use super::records::{Record, Used, has_ended};
use super::*;
use crate::tests::canister;
use decant_api::plan::{ByVessel, ModuleRef, ModuleUse, Plan, Recycling, Relocation, Retention, Strategy};
use decant_engine::{Entry, Event, Job, Place, PlanEssentials};
use serde_bytes::ByteBuf;

/// Written at commit 1c49434, by its own code.
const FIRST_FORMAT: &str = include_str!("../../golden/1c49434.txt");
/// Written in the format of this build. New lines are appended by `DECANT_WRITE_GOLDEN=1`; none ever changes.
const THIS_FORMAT: &str = "golden/1.txt";
/// Jobs and entries in every state, which the engine keeps.
const JOBS: [&str; 2] = [
    include_str!("../../../../src/engine/tests/golden/relocate.txt"),
    include_str!("../../../../src/engine/tests/golden/vessel.txt"),
];

/// Kind, label, bytes.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str, Vec<u8>)> {
    text.lines().map(|line| {
        let mut parts = line.split('\t');
        let mut next = || parts.next().expect("three parts");
        let (kind, label, hex) = (next(), next(), next());
        let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("hex"));
        (kind, label, digits.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect())
    })
}

fn config() -> Config {
    Config {
        governance: canister(9),
        pause: Pause::NoJobs,
        next_job: 7,
        next_plan: 3,
        done: 4,
        rolled_back: 2,
        cycles_spent: 5_000_000_000_000,
        calls: 321,
        target_calls: 12,
        whole_nanos: None,
        put_back_nanos: None,
    }
}

fn bytes(byte: u8) -> ByteBuf {
    ByteBuf::from(vec![byte; 32])
}

fn plan(title: &str, strategy: Strategy) -> PlanRecord {
    let plan = Plan {
        title: title.to_owned(),
        strategy,
        indexes: vec![canister(5)],
        routes: None,
        subscribers: None,
        tombstone: Some(ModuleRef { hash: bytes(1), chunk_hashes: vec![bytes(2)] }),
        bucket_pages: 4,
        min_reclaimed_pages: 16,
        recycling: None,
        retention: Retention::Frozen { seconds: 604_800 },
        ledgers: vec![canister(6)],
        dependents: vec![canister(7)],
        max_canisters: 1_000,
        max_in_flight: 10,
        max_cycles: 3_000_000_000_000_000,
        cycles_per_target: 500_000_000_000,
    };
    PlanRecord { plan, used: Used { enrolled: 3, cycles: 9, fits: None } }
}

fn recycling(record: PlanRecord) -> PlanRecord {
    let recycling = Some(Recycling { quarantine_seconds: 86_400 });
    PlanRecord { plan: Plan { recycling, ..record.plan }, used: record.used }
}

fn plans() -> [PlanRecord; 5] {
    let module = ModuleRef { hash: bytes(1), chunk_hashes: vec![bytes(2)] };
    let by = ByVessel {
        modules: vec![ModuleUse {
            hash: bytes(3),
            chunk_hashes: Vec::new(),
            upgrade_arg: ByteBuf::from(b"DIDL\0\0".to_vec()),
            may_lose_heap: true,
        }],
        growth_percent: 50,
        may_drop_tail: true,
        rolls_back_on_lost_timer: None,
        manager_page: None,
    };
    let relocation = Relocation {
        module,
        init_arg: ByteBuf::from(b"DIDL\0\0".to_vec()),
        precopy_min_pages: Some(64),
        sources: None,
    };
    [
        plan("relocate", Strategy::Relocate(relocation)),
        plan("repack", Strategy::Repack(by.clone())),
        plan("relocate_snapshot", Strategy::RelocateSnapshot(by.clone())),
        plan("relocate vessel", Strategy::RelocateVessel(by.clone())),
        recycling(plan("relocate and recycle", Strategy::RelocateVessel(by))),
    ]
}

fn known_module() -> KnownModule {
    KnownModule { chunk_hashes: vec![bytes(2)], has_pre_upgrade: true, is_wasm64: None, surveyed: Vec::new() }
}

/// Canisters of the pool, by what is known of them.
fn pooled() -> [(&'static str, Pooled); 3] {
    let emptied = Some(Emptied { job: 7, plan: 3, until_nanos: 1_790_000_000_000_000_000 });
    let kept = Pooled { looked_nanos: Some(5), kept_for: Some(canister(4)), ..Pooled::default() };
    let quarantined = Pooled { aside: Some("it has snapshots".to_owned()), emptied, ..Pooled::default() };
    let filled = Pooled { looked_nanos: Some(5), cycles: Some(400_000_000_000), ..Pooled::default() };
    [("kept", kept), ("quarantined", quarantined), ("filled", filled)]
}

/// Reads a line and compares it with what was written into it.
fn assert_read(kind: &str, label: &str, stored: &[u8]) {
    match kind {
        "config" => assert_eq!(Config::decode(stored), Ok(config()), "{label}"),
        "module" => assert_eq!(KnownModule::decode(stored), Ok(known_module()), "{label}"),
        "pooled" => {
            let expected = pooled().into_iter().find(|(known, _)| *known == label).map(|(_, pooled)| pooled);
            assert_eq!(Pooled::decode(stored).ok(), expected, "{label}");
        }
        "plan" => {
            let read = PlanRecord::decode(stored).expect(label);
            let expected = plans()
                .into_iter()
                .find(|record| record.plan.title.replace('_', " ") == label.replace('_', " "));
            assert_eq!(Some(read), expected, "{label}");
        }
        "job" => {
            let job = Job::decode(stored).expect(label);
            assert_eq!(has_ended(stored), job.state().is_ended(), "{label}");
            assert_eq!(Job::decode(&job.encode()), Ok(job), "{label}");
        }
        "entry" => {
            let entry = Entry::decode(stored).expect(label);
            assert!(label.starts_with(entry.event.name()), "{label}");
        }
        other => panic!("{other} is no kind"),
    }
}

#[test]
fn what_the_first_format_stored_is_read() {
    let mut kinds = std::collections::BTreeMap::new();
    for (kind, label, stored) in lines(FIRST_FORMAT) {
        assert_read(kind, label, &stored);
        *kinds.entry(kind).or_insert(0) += 1;
    }
    assert_eq!((kinds["config"], kinds["plan"], kinds["module"], kinds["entry"]), (1, 3, 1, 9));
    assert!(kinds["job"] > 70, "jobs in every state: {kinds:?}");
}

#[test]
fn what_this_format_stores_is_read_for_ever() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(THIS_FORMAT);
    let mut text = std::fs::read_to_string(&path).unwrap_or_default();
    let mut written = vec![("config", "paused".to_owned(), config().encode())];
    written.push(("module", "known".to_owned(), known_module().encode()));
    written.extend(pooled().map(|(label, pooled)| ("pooled", label.to_owned(), pooled.encode())));
    written.extend(plans().iter().map(|record| ("plan", record.plan.title.clone(), record.encode())));
    for (kind, label, stored) in written {
        assert_read(kind, &label, &stored);
        if !lines(&text).any(|(known_kind, known, _)| (known_kind, known) == (kind, &label)) {
            assert!(std::env::var_os("DECANT_WRITE_GOLDEN").is_some(), "no {kind} '{label}': append it");
            let hex: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
            text.push_str(&format!("{kind}\t{label}\t{hex}\n"));
            std::fs::write(&path, &text).expect("the file can be written");
        }
    }
    for (kind, label, stored) in lines(&text) {
        assert_read(kind, label, &stored);
    }
}

#[test]
fn a_job_is_stored_in_every_state_and_says_whether_it_has_ended() {
    for (kind, label, body) in JOBS.into_iter().flat_map(lines) {
        let head: &[u8] = match (kind, label) {
            ("job", "done" | "rolled back") => &[1, 1],
            ("job", _) => &[1, 0],
            _ => &[1],
        };
        assert_read(kind, label, &[head, &body].concat());
    }
}

#[test]
fn bytes_of_no_format_are_told_and_nothing_traps() {
    for stored in [&b""[..], b"\x02", b"\x01", b"\x01\x00", b"DIDL", b"\xa1", b"\x00\x00"] {
        assert!(Config::decode(stored).is_err(), "{stored:?}");
        assert!(PlanRecord::decode(stored).is_err(), "{stored:?}");
        assert!(KnownModule::decode(stored).is_err(), "{stored:?}");
        assert!(Job::decode(stored).is_err(), "{stored:?}");
        assert!(Entry::decode(stored).is_err(), "{stored:?}");
    }
    let mut longer = config().encode();
    longer.push(0);
    assert_eq!(Config::decode(&longer), Err(Damaged("1 bytes behind the record".to_owned())));
}

fn new_job(plan_id: u64) -> Job {
    let plan = PlanEssentials {
        plan_id,
        strategy: decant_engine::Strategy::Repack,
        bucket_pages: 1,
        min_reclaimed_pages: 0,
        retention: decant_engine::Retention::None,
        has_asset_checks: false,
        rolls_back_on_lost_timer: false,
        recycled_with_cycles: None,
        max_wait_seconds: None,
    };
    let id = next_job_id();
    Job::new(id, canister(100 + id as u8), vec![canister(5)], plan, 1).expect("a job that can be done")
}

fn enqueued() -> Job {
    let job = new_job(1);
    enqueue(&job);
    job
}

#[test]
fn a_job_that_is_aborted_in_line_is_in_no_queue_and_never_starts() {
    let (mut job, other) = (enqueued(), enqueued());
    taken(&mut job, Event::AbortRequested);
    assert_eq!(count(Place::Queued), 1);
    start(|_, load| load.working < 5, 3);
    let taken = board(|board| board.take_due(3, |_| false, 10));
    assert_eq!(taken, [other.id()]);
    assert_eq!(board(|board| board.place(job.id())), None);
    assert_eq!(super::config().rolled_back, 1);
}

fn taken(job: &mut Job, event: Event) {
    decant_engine::apply(job, event.clone(), 2).expect("it takes it");
    record(job, &Entry { at_nanos: 2, event });
}

#[test]
fn a_job_counts_as_started_from_its_first_call_on_and_not_when_an_upgrade_or_somebody_was_faster() {
    let (mut first, mut second) = (enqueued(), enqueued());
    let started = || course(1).started;
    start(|_, _| true, 2);
    assert_eq!((started(), count(Place::Working)), (0, 2));
    assert_eq!(restore(), Ok(()));
    assert_eq!((started(), count(Place::Queued)), (0, 2), "back in line");
    start(|_, _| true, 2);
    taken(&mut second, Event::AbortRequested);
    assert_eq!(started(), 0, "it made no call");
    taken(&mut first, Event::Started { ticket: 1 });
    assert_eq!(started(), 1);
    taken(&mut first, Event::reply_lost(1));
    taken(&mut first, Event::Started { ticket: 2 });
    assert_eq!(started(), 1, "once");
    assert_eq!((restore(), started(), count(Place::Working)), (Ok(()), 1, 1));
}

#[test]
fn a_record_that_cannot_be_read_is_set_aside_and_stops_no_other() {
    let (damaged, other) = (enqueued(), enqueued());
    jobs::write_raw(damaged.id(), b"\x01\x00nonsense");
    assert_eq!(job(damaged.id()), None);
    assert_eq!(aside(10), [damaged.id()]);
    start(|_, _| true, 3);
    assert_eq!(board(|board| board.take_due(3, |_| false, 10)), [other.id()]);
    // An upgrade is accepted that does not read it either, since it is known.
    assert_eq!(restore(), Ok(()));
    assert_eq!(board(|board| board.place(damaged.id())), Some(Place::Aside));
    // A build comes that reads it.
    jobs::write_raw(damaged.id(), &damaged.encode());
    assert_eq!(restore(), Ok(()));
    assert_eq!(aside(10), Vec::<u64>::new());
    assert_eq!(count(Place::Queued), 2);
}

#[test]
fn an_upgrade_that_cannot_read_a_job_is_refused_unless_that_has_ended() {
    let mut job = enqueued();
    jobs::write_raw(job.id(), b"\x01\x00nonsense");
    let why = restore().expect_err("it can't be read");
    assert!(why.contains(&format!("job {}", job.id())) && why.contains("decant_retry"), "{why}");
    jobs::write_raw(job.id(), b"\x01\x01nonsense");
    assert_eq!(restore(), Ok(()), "nobody needs an ended job to go on");
    decant_engine::apply(&mut job, Event::AbortRequested, 2).expect("a queued job can be aborted");
}

#[test]
fn an_upgrade_is_refused_while_a_job_is_on_its_way_by_snapshots() {
    for (kind, label, stored) in lines(FIRST_FORMAT) {
        let is_refused = kind == "job"
            && label.starts_with("snapshot ")
            && label != "snapshot done"
            && label != "snapshot rolled back";
        if kind == "job" {
            jobs::write_raw(1, &stored);
            assert_eq!(restore().is_err(), is_refused, "{label}");
        }
    }
}

#[test]
fn a_journal_keeps_its_last_thousand_entries_and_goes_with_its_job() {
    let mut job = enqueued();
    for at_nanos in 0..1_500 {
        record(&job, &Entry { at_nanos, event: Event::PoolEmpty });
    }
    let kept = jobs::journal(job.id());
    assert_eq!(kept.len(), 1_000);
    assert_eq!((kept[0].at_nanos, kept[999].at_nanos), (500, 1_499));
    taken(&mut job, Event::AbortRequested);
    assert_eq!(jobs::journal(job.id()), []);
}
