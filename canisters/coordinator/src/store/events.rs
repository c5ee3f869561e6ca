//! What was approved, commanded, moved and deleted, by whom and when: numbered from 1, never changed, never removed. The end
//! of a job tells what it proved.

use super::census::{Moved, is_committed};
use super::kept::{Evidence, Happened, Noted};
use super::packed::{self, Packed};
use super::records::Record;
use super::{Memory, evidence, line, memory};
use candid::Principal;
use decant_api::JobId;
use decant_engine::{Event, Job, TimeNanos};
use ic_stable_structures::{StableLog, StableVec};
use std::cell::RefCell;

thread_local! {
    static EVENTS: StableLog<Vec<u8>, Memory, Memory> = StableLog::init(memory(20), memory(23));
    /// By job: the number of the event that ended it, or 0.
    static ENDS: RefCell<StableVec<u64, Memory>> = RefCell::new(StableVec::init(memory(24)));
}

/// Notes what somebody, or the coordinator itself, did.
pub(crate) fn note(at_nanos: TimeNanos, by: Option<Principal>, happened: Happened) {
    append(&Noted { at_nanos, by, happened }.encode());
}

fn append(event: &Vec<u8>) -> u64 {
    // Only a coordinator without room for one more page comes here: nothing may go on as if it were noted.
    let full = |error| ic_cdk::trap(format!("an event can't be kept: {error:?}"));
    EVENTS.with(|events| events.append(event)).unwrap_or_else(full) + 1
}

/// Events after a number. One that this build can't read is left out; its number is missing.
pub(crate) fn events_after(after: u64, limit: usize) -> Vec<(u64, Noted)> {
    let last = EVENTS.with(StableLog::len);
    let numbers = after.saturating_add(1)..=last.min(after.saturating_add(limit as u64));
    numbers.filter_map(|number| Some((number, event(number)?))).collect()
}

fn event(number: u64) -> Option<Noted> {
    Noted::decode(&bytes(number)?).ok()
}

fn bytes(number: u64) -> Option<Vec<u8>> {
    EVENTS.with(|events| events.get(number.checked_sub(1)?))
}

/// The event that ended a job.
fn end_of(job: JobId) -> Option<u64> {
    ENDS.with_borrow(|ends| ends.get(job)).filter(|number| *number != 0)
}

/// Whether an event ended a job.
pub(super) fn has_ended(job: JobId) -> bool {
    end_of(job).is_some()
}

/// A job that ended, as that event and what it was enrolled with say.
pub(super) fn ended(id: JobId) -> Option<Job> {
    let mut end = packed::read(&bytes(end_of(id)?)?).ok()?.end?;
    let enrolled = line::job(id)?;
    end.times.enrolled_nanos = enrolled.times().enrolled_nanos;
    Some(Job::ended(enrolled, end))
}

/// What a job proved that has ended.
pub(super) fn evidence_of(job: JobId) -> Option<Evidence> {
    match event(end_of(job)?)?.happened {
        Happened::Ended { evidence, .. }
        | Happened::Deleted { evidence, .. }
        | Happened::Entombed { evidence, .. }
        | Happened::Recycled { evidence, .. } => Some(evidence),
        _ => None,
    }
}

/// A job took an event that brought it into another state.
pub(super) fn note_step(moved: Moved, job: &Job, event: &Event, at_nanos: TimeNanos) {
    let id = job.id();
    if is_committed(job) && !moved.was_committed {
        note(at_nanos, None, Happened::Moved { job: id });
    }
    if job.state().is_ended() {
        // One that was not enrolled in few bytes is kept whole.
        let end = job.end().filter(|_| line::source(id).is_some());
        let (job, evidence) = (id, evidence::close(id));
        let happened = match moved.from {
            _ if matches!(event, Event::Skipped) => Happened::Ended { job, evidence },
            "deleting" => Happened::Deleted { job, evidence },
            "entombing" => Happened::Entombed { job, evidence },
            "handing" => Happened::Recycled { job, evidence },
            _ => Happened::Ended { job, evidence },
        };
        let packed = Packed { noted: Noted { at_nanos, by: None, happened }, end };
        let number = append(&packed::write(&packed).unwrap_or_else(|| packed.noted.encode()));
        ENDS.with_borrow_mut(|ends| {
            while ends.len() <= job {
                ends.push(&0);
            }
            ends.set(job, &number);
        });
    }
}
