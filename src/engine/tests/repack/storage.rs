//! What is stored: small, and the same tags for ever.

use std::collections::BTreeSet;

use decant_engine::{
    Event, Held, Job, MAX_INDEXES, PlanEssentials, Reason, ReasonCode, RepackState, Restoring, Retention,
    State, Step, Strategy, Value, apply, next_step,
};
use serde::Serialize;

use crate::run::{Fault, Run, plans, relocates};
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
        for at in 0..34 {
            for (fault, timers) in [
                (Fault::Refused, Timers::Never),
                (Fault::AbortLost, Timers::Never),
                (Fault::Refused, Timers::Kept),
                (Fault::AbortLost, Timers::Kept),
            ] {
                let mut run = Run::new(plan, Trouble::Nothing, 7);
                run.world.timers = timers;
                run.run_beside(&mut |run| jobs.push(run.job.clone()), &mut |ticket, _, _| {
                    if ticket == at { fault } else { Fault::Nothing }
                });
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
fn the_tags_of_the_states_by_snapshot_never_change() {
    let mut found = BTreeSet::new();
    for job in jobs() {
        if let State::Repack(at) = job.state() {
            let outer = stored(job.state());
            assert_eq!(tag(&outer), "60", "the strategy's");
            assert_eq!(tag(&content(outer)), at.tag().to_string());
            assert_eq!(job.state().tag(), at.tag());
            found.insert((at.tag(), at.name()));
        }
    }
    let golden = [
        (60, "inspected, by snapshot"),
        (61, "listed"),
        (62, "surveyed"),
        (63, "learning"),
        (64, "ready"),
        (65, "stopped, by snapshot"),
        (66, "flushed"),
        (67, "saved"),
        (68, "halting"),
        (69, "planned"),
        (70, "uploading"),
        (71, "comparing"),
        (72, "compared"),
        (73, "loaded"),
        (74, "reinstalled"),
        (75, "checked"),
        (76, "serving"),
        (77, "dropping uploaded"),
        (78, "retaining saved"),
        (79, "dropping saved"),
        (80, "emptying"),
        (81, "reopening"),
        (82, "guarding"),
        (83, "still"),
        (84, "timing"),
        (85, "rebuilt"),
        (86, "rearming"),
        (87, "copying"),
        (88, "copied"),
        (89, "dropping copy"),
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
        ("11", "RestoreTimer"),
        ("12", "DropRestored"),
        ("13", "DropCopy"),
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
    assert_eq!(tag(&stored(&Strategy::Repack)), "2");
    assert_eq!(tag(&stored(&relocates())), "3");
    let fields: BTreeSet<_> = jobs()
        .iter()
        .filter_map(Job::held)
        .flat_map(|held: &Held| stored(held).into_map().expect("a map"))
        .map(|(name, _)| name.into_text().expect("a name"))
        .collect();
    let golden = ["c", "d", "f", "k", "m", "s", "t", "u", "w", "x", "y"];
    assert_eq!(fields, golden.map(str::to_owned).into());
    let restoring = [
        ("1", Restoring::Copying(decant_engine::Walk::BEGIN)),
        ("2", Restoring::Copied),
        ("3", Restoring::Guarded),
    ];
    for (golden, restoring) in restoring {
        assert_eq!(tag(&stored(&restoring)), golden);
    }
}

#[test]
fn the_tags_of_values_and_reasons_by_snapshot_never_change() {
    let id = decant_engine::SnapshotId(vec![1, 2].into());
    let kind = decant_engine::ImageKind::Raw;
    let image = decant_engine::ImageView { stable_pages: 1, kind, timer_nanos: Some(5) };
    let values = [
        ("9", Value::Snapshots(vec![id.clone()])),
        ("10", Value::Snapshot(id)),
        ("11", Value::Image(image)),
        ("12", Value::Module { has_pre_upgrade: true, may_lose_heap: false, keeps_timer: true }),
        ("13", Value::Uploaded { walk: decant_engine::Walk::BEGIN, is_complete: true, wire_bytes: 1 }),
        ("14", Value::Compared { walk: decant_engine::Walk::BEGIN, is_complete: true, wire_bytes: 1 }),
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
    ];
    for (golden, code) in codes {
        assert_eq!(tag(&stored(&code)), golden);
    }
}

#[test]
fn a_finished_job_takes_at_most_512_bytes() {
    let mut largest = 0;
    let mut rolled_back = 0;
    for (strategy, retention) in plans() {
        for refused in 0..40 {
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
                has_final_recheck: true,
                has_asset_checks: true,
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
            let reason = Reason::new(ReasonCode::TriedTooOften, "é".repeat(200));
            let now_nanos = run.now_nanos;
            if back.attempt().phase.is_in_flight() {
                let ticket = back.counters().calls;
                apply(&mut back, Event::reply_lost(ticket), now_nanos).expect("a reply can be lost");
            }
            if apply(&mut back, Event::GaveUp { reason }, now_nanos).is_ok() {
                let back = ended(back, now_nanos, &run);
                // A parked job is not finished: it carries where it goes on.
                if back.state().is_ended() {
                    largest = largest.max(bytes(&back).len());
                    rolled_back += 1;
                }
            }
        }
    }
    println!("largest finished job by snapshots: {largest} bytes");
    assert!(rolled_back > 50, "{rolled_back}");
    assert!(largest <= 512, "design section 9: {largest} bytes");
}

/// The job when it is back, in a world that acknowledges all.
fn ended(mut job: Job, now_nanos: u64, run: &Run) -> Job {
    while !job.state().is_ended() && !job.state().is_parked() {
        let event = match next_step(&job, now_nanos, &run.limits) {
            Step::Call { ticket, effect, .. } => {
                apply(&mut job, Event::Started { ticket }, now_nanos).expect("it can be sent");
                let value = match effect {
                    decant_engine::Effect::ListSnapshots { .. } => Value::Snapshots(Vec::new()),
                    _ => Value::Acknowledged,
                };
                Event::Replied { ticket, outcome: decant_engine::Outcome::Done(value) }
            }
            Step::ReturnToPool { .. } => Event::TargetReturned,
            other => panic!("{other:?}"),
        };
        apply(&mut job, event, now_nanos).expect("it goes back");
    }
    job
}

#[test]
fn every_state_by_snapshot_is_reached_and_none_of_them_is_an_end() {
    let reached: BTreeSet<_> = jobs().iter().map(|job| job.state().tag()).collect();
    let root = decant_engine::Digest([0; 32]);
    for at in [RepackState::Ready, RepackState::Guarding { root }, RepackState::Reopening { root }] {
        assert!(reached.contains(&at.tag()));
        assert!(!State::Repack(at).is_ended());
    }
    assert!(reached.contains(&50) && reached.contains(&51));
}
