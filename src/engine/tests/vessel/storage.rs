//! What is stored: small, and the same tags for ever.

use std::cell::RefCell;
use std::collections::BTreeSet;

use decant_engine::{
    Event, Held, Job, Known, MAX_DETAIL_BYTES, MAX_INDEXES, PlanEssentials, Reason, ReasonCode, Retention,
    State, Step, Strategy, Undo, Value, apply, next_step,
};
use serde::Serialize;

use crate::golden;
use crate::run::{Fault, Run, plans};
use crate::world::{Timers, Trouble, principal};

fn bytes(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("it can be stored");
    bytes
}

fn stored(value: &impl Serialize) -> ciborium::Value {
    ciborium::from_reader(bytes(value).as_slice()).expect("it can be read")
}

/// The name of the variant, as it is stored.
fn tag(value: &ciborium::Value) -> String {
    match value {
        ciborium::Value::Text(tag) => tag.clone(),
        ciborium::Value::Map(entries) => entries[0].0.as_text().expect("a tag").to_owned(),
        other => panic!("{other:?} has no tag"),
    }
}

fn content(value: ciborium::Value) -> ciborium::Value {
    value.into_map().expect("a map").remove(0).1
}

/// Every job on the way of every plan; after a refusal or an abort at every call the way back too.
fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for plan in plans() {
        for at in 0..60 {
            for (fault, timers) in [
                (Fault::Refused, Timers::Never),
                (Fault::AbortLost, Timers::Never),
                (Fault::Refused, Timers::Kept),
                (Fault::AbortLost, Timers::Kept),
            ] {
                let mut run = Run::new(plan, Trouble::Nothing, 7);
                run.world.timers = timers;
                // Before every step, and before every call that goes out in the message of a look.
                let called = RefCell::new(Vec::new());
                run.run_beside(
                    &mut |run| called.borrow_mut().push(run.job.clone()),
                    &mut |ticket, _, job| {
                        called.borrow_mut().push(job.clone());
                        if ticket == at { fault } else { Fault::Nothing }
                    },
                );
                jobs.extend(called.into_inner());
                jobs.push(run.job);
            }
        }
    }
    jobs
}

#[test]
fn a_job_in_any_state_can_be_stored_and_read() {
    for job in jobs() {
        let read: Job = ciborium::from_reader(bytes(&job).as_slice()).expect("it can be read");
        assert_eq!(read, job);
    }
}

#[test]
fn jobs_that_were_stored_once_are_read_for_ever() {
    let labelled = jobs().into_iter().map(|job| {
        let undo = match job.state() {
            State::RollingBack { undo, .. } => format!(" {:?}", undo.last()),
            _ => String::new(),
        };
        let is_sought = job.held().is_some_and(|held| held.sought.is_some());
        let sought = if is_sought { ", a snapshot sought" } else { "" };
        (format!("{}{undo}{sought}", job.state().name()), job)
    });
    golden::check("vessel.txt", "job", labelled);
}

#[test]
fn the_tags_of_the_states_by_vessel_never_change() {
    let mut found = BTreeSet::new();
    for job in jobs() {
        if let State::Rechecking { .. } = job.state() {
            assert_eq!(tag(&stored(job.state())), "24", "a state of relocations alone that only these have");
            found.insert((job.state().tag(), job.state().name()));
        }
        if let State::Vessel(at) = job.state() {
            let outer = stored(job.state());
            assert_eq!(tag(&outer), "100", "the strategy's");
            assert_eq!(tag(&content(outer)), at.tag().to_string());
            assert_eq!(job.state().tag(), at.tag());
            found.insert((at.tag(), at.name()));
        }
    }
    let golden = [
        (24, "rechecking"),
        (101, "listing"),
        (102, "recalling"),
        (103, "surveying"),
        (104, "surveyed"),
        (105, "learning"),
        (106, "hiring"),
        (107, "ready"),
        (108, "still"),
        (109, "saved"),
        (110, "undressing"),
        (111, "undressed"),
        (112, "sealing"),
        (113, "measuring"),
        (114, "owning"),
        (115, "planned"),
        (116, "furnishing"),
        (117, "pouring"),
        (118, "disowning"),
        (119, "halting"),
        (120, "halted"),
        (121, "loaded"),
        (122, "revived"),
        (123, "proving"),
        (124, "resting"),
        (125, "dressing"),
        (126, "dressed"),
        (127, "timing"),
        (128, "timed"),
        (129, "starting"),
        (130, "serving"),
        (131, "dropping uploaded"),
        (132, "retaining saved"),
        (133, "dropping saved"),
    ];
    assert_eq!(found.into_iter().collect::<Vec<_>>(), golden);
}

#[test]
fn the_tags_of_undos_strategies_and_held_snapshots_never_change() {
    let mut undos = BTreeSet::new();
    for job in jobs() {
        if let State::RollingBack { undo, .. } = job.state() {
            undos.extend(undo.iter().map(|undo| (tag(&stored(undo)), format!("{undo:?}"))));
        }
    }
    let undos: Vec<_> = undos.iter().map(|(tag, name)| (tag.as_str(), name.as_str())).collect();
    let golden = [
        ("1", "ReturnTarget"),
        ("10", "LoadSaved"),
        ("16", "Disown"),
        ("17", "StopSource"),
        ("19", "CheckUnserved"),
        ("2", "ResetTarget"),
        ("3", "UninstallTarget"),
        ("5", "StartSource"),
        ("6", "SwapBack { index: 0 }"),
        ("6", "SwapBack { index: 1 }"),
        ("7", "DropSaved"),
        ("8", "DropUploaded"),
        ("9", "StartTarget"),
    ];
    assert_eq!(undos, golden);
    assert_eq!(tag(&stored(&Strategy::Repack)), "4");
    assert_eq!(tag(&stored(&Strategy::RelocateVessel)), "5");
    let fields: BTreeSet<_> = jobs()
        .iter()
        .filter_map(Job::held)
        .flat_map(|held: &Held| stored(held).into_map().expect("a map"))
        .map(|(name, _)| name.into_text().expect("a name"))
        .collect();
    let golden = ["c", "d", "f", "g", "k", "m", "n", "o", "p", "r", "s", "t", "u", "v", "x"];
    assert_eq!(fields, golden.map(str::to_owned).into());
}

/// A job as an earlier build stored it: on its way by snapshots.
fn of_old_build(state: ciborium::Value) -> Job {
    let job = Run::new(plans()[0], Trouble::Nothing, 1).job;
    let mut stored = stored(&job);
    let set = |fields: &mut ciborium::Value, name: &str, value: ciborium::Value| {
        let fields = fields.as_map_mut().expect("a map");
        fields.iter_mut().find(|(it, _)| it.as_text() == Some(name)).expect("it has it").1 = value;
    };
    let text = |text: &str| ciborium::Value::Text(text.to_owned());
    let plan = stored.as_map_mut().expect("a map").iter_mut().find(|(it, _)| it.as_text() == Some("p"));
    set(&mut plan.expect("a plan").1, "s", text("2"));
    set(&mut stored, "s", state);
    ciborium::from_reader(bytes(&stored).as_slice()).expect("it can be read")
}

#[test]
fn a_job_of_an_earlier_build_is_shown_and_says_that_it_must_be_drained_there() {
    let text = |text: &str| ciborium::Value::Text(text.to_owned());
    let map = |tag: &str, value| ciborium::Value::Map(vec![(text(tag), value)]);
    let reason = map("c", text("20"));
    let undo = ciborium::Value::Array(vec![text("7"), text("12"), text("5"), text("11")]);
    let back = ciborium::Value::Map(vec![(text("w"), reason), (text("u"), undo)]);
    for state in [map("60", text("65")), map("60", map("70", map("n", text("x")))), map("40", back)] {
        let mut job = of_old_build(state);
        assert!(job.is_of_old_build());
        assert_eq!(next_step(&job, 1, &decant_engine::Limits::default()), Step::Parked);
        assert!(job.explanation().is_some_and(|why| why.contains("drain it first")), "{job:?}");
        apply(&mut job, Event::AbortRequested, 1).expect_err("nothing here moves it");
        let read: Job = ciborium::from_reader(bytes(&job).as_slice()).expect("it can be read");
        assert_eq!(read.is_of_old_build(), job.is_of_old_build());
    }
}

#[test]
fn the_tags_of_values_and_reasons_by_snapshot_never_change() {
    let id = decant_engine::SnapshotId(vec![1, 2].into());
    let kind = decant_engine::ImageKind::Raw;
    let image = decant_engine::ImageView {
        stable_pages: 1,
        kind,
        timer_nanos: Some(5),
        version: Some(3),
        nested_pages: 0,
    };
    let vessel_hash = decant_engine::Digest([1; 32]);
    let known = Known { has_pre_upgrade: true, may_lose_heap: false, prepaid_cycles: 5, vessel_hash };
    let values = [
        ("9", Value::Snapshots(vec![id.clone()])),
        ("10", Value::Snapshot(id)),
        ("11", Value::Image(image)),
        ("16", Value::Known(Some(known))),
        ("17", Value::Poured { next_page: 1, is_complete: true, wire_bytes: 1 }),
        ("18", Value::Found(Vec::new())),
    ];
    for (golden, value) in values {
        assert_eq!(tag(&stored(&value)), golden, "{}", value.name());
        let read: Value = ciborium::from_reader(bytes(&value).as_slice()).expect("it can be read");
        assert_eq!(read, value);
    }
    let codes = [
        ("26", ReasonCode::NothingToRepack),
        ("27", ReasonCode::AlreadyCompact),
        ("28", ReasonCode::BucketTooSmall),
        ("29", ReasonCode::LosesHeap),
        ("30", ReasonCode::NoSlot),
        ("31", ReasonCode::NoSnapshot),
        ("34", ReasonCode::LosesTimer),
        ("35", ReasonCode::OthersActed),
        ("36", ReasonCode::WantsCycles),
        ("37", ReasonCode::PublicSnapshots),
        ("38", ReasonCode::TooManyControllers),
        ("39", ReasonCode::OldBuild),
        ("40", ReasonCode::SmallHeapLimit),
        ("43", ReasonCode::LookedAtByOther),
        ("46", ReasonCode::Reverted),
        ("47", ReasonCode::WrittenSince),
    ];
    for (golden, code) in codes {
        assert_eq!(tag(&stored(&code)), golden);
    }
}

#[test]
fn a_job_that_is_done_takes_at_most_512_bytes_and_one_that_rolled_back_its_reason_besides() {
    let (mut largest, mut largest_back) = (0, 0);
    let mut rolled_back = 0;
    for (strategy, retention) in plans() {
        for refused in 0..60 {
            let mut run = Run::new((strategy, retention), Trouble::Nothing, 3);
            run.world.timers = if refused % 2 == 0 { Timers::Never } else { Timers::Kept };
            // The longest reason, the largest numbers, the most indexes.
            let plan = PlanEssentials {
                plan_id: u64::MAX,
                strategy,
                bucket_pages: u16::MAX,
                min_reclaimed_pages: 64,
                retention: match retention {
                    Retention::Frozen { .. } => Retention::Frozen { seconds: u64::MAX >> 34 },
                    other => other,
                },
                has_asset_checks: true,
                rolls_back_on_lost_timer: true,
                recycled_with_cycles: None,
                max_wait_seconds: None,
            };
            let indexes: Vec<_> = (0..MAX_INDEXES as u64).map(|number| principal(2, number)).collect();
            let source = run.world.source;
            run.world.routes = indexes.iter().map(|index| (*index, source)).collect();
            let enrolled = Job::new(1, source, indexes, plan, 1_700_000_000_000_000_000).expect("a job");
            (run.job, run.enrolled) = (enrolled.clone(), enrolled);
            run.now_nanos = 1_700_000_000_000_000_001;
            run.run(&mut |_, _, _| Fault::Nothing);
            largest = largest.max(bytes(&run.job).len());
            assert!(run.job.state().is_ended());
            // The same, given up at that step.
            let cut = run.journal.iter().take(refused);
            let mut back = decant_engine::replay(run.enrolled.clone(), cut).expect("it replays");
            let reason = Reason::new(ReasonCode::TriedTooOften, "x".repeat(1_000));
            let now_nanos = run.now_nanos;
            if back.attempt().phase.is_in_flight() {
                let ticket = back.counters().calls;
                apply(&mut back, Event::reply_lost(ticket), now_nanos).expect("a reply can be lost");
            }
            if apply(&mut back, Event::GaveUp { reason }, now_nanos).is_ok() {
                let back = ended(back, now_nanos, &run);
                // A parked job is not finished: it carries where it goes on.
                if back.state().is_ended() {
                    largest_back = bytes(&back).len().max(largest_back);
                    rolled_back += 1;
                }
            }
        }
    }
    println!("largest job that is done: {largest} bytes, rolled back: {largest_back}");
    assert!(rolled_back > 50, "{rolled_back}");
    assert!(largest <= 512, "design section 9: {largest} bytes");
    assert!(largest_back <= 512 + MAX_DETAIL_BYTES, "{largest_back} bytes");
}

/// The job when it is back, in a world in which there is nothing to undo.
fn ended(mut job: Job, mut now_nanos: u64, run: &Run) -> Job {
    while !job.state().is_ended() && !job.state().is_parked() {
        let event = match next_step(&job, now_nanos, &run.limits) {
            Step::Call { ticket, effect, .. } => {
                apply(&mut job, Event::Started { ticket }, now_nanos).expect("it can be sent");
                let value = match effect {
                    decant_engine::Effect::ListSnapshots { .. } => Value::Snapshots(Vec::new()),
                    decant_engine::Effect::FindSnapshots { .. } => Value::Found(Vec::new()),
                    decant_engine::Effect::CanisterStatus { .. } | decant_engine::Effect::Look { .. } => {
                        Value::Gone
                    }
                    _ => Value::Acknowledged,
                };
                Event::Replied { ticket, outcome: decant_engine::Outcome::Done(value) }
            }
            Step::ReturnToPool { .. } => Event::TargetReturned,
            Step::Wait { until_nanos } => {
                now_nanos = until_nanos;
                continue;
            }
            other => panic!("{other:?}"),
        };
        apply(&mut job, event, now_nanos).expect("it goes back");
    }
    job
}

#[test]
fn a_skipped_load_leaves_the_snapshots_that_are_all_that_is_left_of_the_source() {
    let mut count = 0;
    for mut job in jobs() {
        let loads =
            matches!(job.state(), State::RollingBack { undo, .. } if undo.last() == Some(&Undo::LoadSaved));
        if !loads || job.attempt().phase.is_in_flight() {
            continue;
        }
        count += 1;
        let reason = Reason::new(ReasonCode::OutOfCycles, "x");
        for event in [Event::GaveUp { reason }, Event::Skipped] {
            apply(&mut job, event, 9).expect("what is parked can be skipped");
        }
        if let State::RollingBack { undo, reason } = job.state() {
            let drops = undo.iter().any(|it| matches!(it, Undo::DropSaved | Undo::DropUploaded));
            assert!(!drops, "promise 2: {undo:?}");
            assert!(reason.to_string().contains("is left"), "{reason}");
        }
    }
    assert!(count > 0, "some load the snapshot");
}
