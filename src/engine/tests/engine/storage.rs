//! What is stored: small, and the same tags for ever.

use decant_engine::{
    Entry, Event, Job, MAX_DETAIL_BYTES, Outcome, Reason, ReasonCode, Retention, State, Value,
};
use serde::Serialize;

use crate::common::{
    NOW_NANOS, canister, gave_up, in_every_state, new_job, new_job_with, path, recycling_job,
};
use crate::golden;

fn bytes(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("it can be stored");
    bytes
}

/// The name of the variant, as it is stored.
fn stored_tag(value: &impl Serialize) -> String {
    let stored: ciborium::Value = ciborium::from_reader(bytes(value).as_slice()).expect("it can be read");
    match stored {
        ciborium::Value::Text(tag) => tag,
        ciborium::Value::Map(entries) => {
            entries.into_iter().next().and_then(|(tag, _)| tag.into_text().ok()).expect("a tag")
        }
        other => panic!("{other:?} has no tag"),
    }
}

#[test]
fn a_job_in_any_state_can_be_stored_and_read() {
    for (label, job) in in_every_state() {
        let read: Job = ciborium::from_reader(bytes(&job).as_slice()).expect("it can be read");
        assert_eq!(read, job, "{label}");
    }
}

#[test]
fn jobs_and_entries_that_were_stored_once_are_read_for_ever() {
    let mut jobs = in_every_state();
    let (_, deleting) = jobs.iter().find(|(label, _)| label == "deleting").expect("it is reached").clone();
    let mut confirming = deleting;
    for event in [gave_up(), Event::Retried] {
        decant_engine::apply(&mut confirming, event, NOW_NANOS + 9).expect("it is parked, and goes on");
    }
    jobs.push(("confirming, then deleting".to_owned(), confirming));
    golden::check("relocate.txt", "job", jobs);
    let outcome = Outcome::Done(Value::Acknowledged);
    let events = [
        Event::Started { ticket: 1 },
        Event::Replied { ticket: 1, outcome },
        Event::TargetTaken { target: canister(1), is_new: true },
        Event::PoolEmpty,
        Event::TargetReturned,
        Event::RetentionElapsed,
        gave_up(),
        Event::AbortRequested,
        Event::Retried,
        Event::Skipped,
        Event::RevertRequested,
        Event::SourceHandedOver,
    ];
    let entries = events.map(|event| (event.name().to_owned(), Entry { at_nanos: NOW_NANOS, event }));
    golden::check("relocate.txt", "entry", entries);
}

#[test]
fn a_job_that_is_done_takes_at_most_512_bytes_and_one_that_rolled_back_its_reason_besides() {
    let retention = Retention::Tombstone { module_hash: decant_engine::Digest([0xff; 32]) };
    let (mut largest, mut largest_back) = (0, 0);
    for retention in [Retention::Frozen { seconds: u64::MAX >> 30 }, retention, Retention::None] {
        let mut jobs = path(new_job(retention, 8));
        if !matches!(retention, Retention::Tombstone { .. }) {
            jobs.extend(path(recycling_job(retention, 8)));
        }
        let mut ends = vec![jobs.last().expect("a path has an end").clone()];
        let wants_precopy = path(new_job_with(retention, 8, Some(u64::MAX)));
        ends.extend(wants_precopy.last().cloned());
        for job in jobs.into_iter().chain(wants_precopy) {
            let mut back = job;
            let reason = Reason::new(ReasonCode::TriedTooOften, "x".repeat(1_000));
            if decant_engine::apply(&mut back, Event::GaveUp { reason }, NOW_NANOS + 2).is_ok() {
                ends.extend(path(back).pop());
            }
        }
        for job in ends.iter().filter(|job| job.state().is_ended()) {
            let of_kind = match job.state() {
                decant_engine::State::Done { .. } => &mut largest,
                _ => &mut largest_back,
            };
            *of_kind = bytes(job).len().max(*of_kind);
        }
    }
    println!(
        "largest job that is done: {largest} bytes, rolled back: {largest_back}; done with one index {}",
        {
            let jobs = path(new_job(Retention::None, 1));
            bytes(jobs.last().expect("a path has an end")).len()
        }
    );
    assert!(largest <= 512, "design section 9: {largest} bytes with 8 indexes");
    let most = 512 + MAX_DETAIL_BYTES;
    assert!(
        largest_back <= most,
        "{largest_back} bytes with 8 indexes and the longest reason, {most} are allowed"
    );
}

#[test]
fn states_are_stored_by_their_tags() {
    for (label, job) in in_every_state() {
        let stored = match job.state() {
            State::Reverting(reverting) => {
                assert_eq!(stored_tag(job.state()), "41", "{label}");
                stored_tag(&reverting.at)
            }
            state => stored_tag(state),
        };
        assert_eq!(stored, job.state().tag().to_string(), "{label}");
    }
}

#[test]
fn the_tags_of_states_never_change() {
    let mut tags: Vec<_> =
        in_every_state().iter().map(|(_, job)| (job.state().tag(), job.state().name())).collect();
    tags.sort_unstable();
    tags.dedup();
    let golden = [
        (1, "queued"),
        (2, "inspected"),
        (3, "admitted"),
        (4, "reserved"),
        (5, "configured"),
        (6, "installed"),
        (7, "provisioned"),
        (8, "frozen"),
        (9, "stopped"),
        (10, "restarted"),
        (11, "sealed"),
        (12, "pulled"),
        (13, "target verified"),
        (14, "switching"),
        (15, "offering"),
        (16, "pre-copying"),
        (20, "committed"),
        (21, "retired"),
        (22, "retaining"),
        (23, "confirming"),
        (25, "draining"),
        (26, "entombing"),
        (27, "stopping"),
        (28, "checking"),
        (29, "deleting"),
        (30, "assessing"),
        (31, "lowering"),
        (32, "raising"),
        (33, "telling"),
        (40, "rolling back"),
        (41, "reverting"),
        (42, "target frozen"),
        (43, "target stopped"),
        (44, "target restarted"),
        (45, "target unchanged"),
        (46, "source unchanged"),
        (47, "starting target"),
        (48, "retiring again"),
        (49, "thawing target"),
        (50, "done"),
        (51, "rolled back"),
        (52, "parked"),
        (53, "emptying"),
        (54, "clearing"),
        (55, "waking"),
        (56, "handing"),
        (57, "nothing owned"),
    ];
    assert_eq!(tags, golden);
}

#[test]
fn the_tags_of_events_never_change() {
    let outcome = Outcome::Done(Value::Acknowledged);
    let events = [
        (1, Event::Started { ticket: 1 }),
        (2, Event::Replied { ticket: 1, outcome }),
        (3, Event::TargetTaken { target: canister(1), is_new: false }),
        (4, Event::PoolEmpty),
        (5, Event::TargetReturned),
        (6, Event::RetentionElapsed),
        (7, gave_up()),
        (8, Event::AbortRequested),
        (9, Event::Retried),
        (10, Event::Skipped),
        (11, Event::RevertRequested),
        (12, Event::SourceHandedOver),
    ];
    for (tag, event) in events {
        assert_eq!(event.tag(), tag);
        assert_eq!(stored_tag(&event), tag.to_string());
        let entry = Entry { at_nanos: NOW_NANOS, event };
        let read: Entry = ciborium::from_reader(bytes(&entry).as_slice()).expect("it can be read");
        assert_eq!(read, entry);
    }
}

#[test]
fn a_reason_is_cut_between_characters() {
    let reason = Reason::new(ReasonCode::Trapped, format!("a{}", "é".repeat(300)));
    assert_eq!(reason.detail().len(), 399);
    assert!(reason.to_string().starts_with("code of the dapp trapped; read the canister's log: aé"));
}
