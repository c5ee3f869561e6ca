//! The way back of a timer that the flush disarmed: only a snapshot that was uploaded arms one, so that what was
//! saved is copied, with the timer, and loaded. One undo, several calls: the job's [`Held`] says how far it is.

use crate::next::Next;
use crate::{Effect, Held, Job, Reason, ReasonCode, Restoring, State, Undo, Value, Walk, Why};

use super::checks::guarded;
use super::observe::new_ones;
use super::undo::own_among;

/// The next call.
pub(super) fn restore_call(job: &Job) -> Option<Effect> {
    let held = job.held.as_ref()?;
    let (canister, base) = (job.source, held.saved.clone());
    if is_unsure(job, held) {
        return Some(Effect::ListSnapshots { canister });
    }
    let copy = held.copy.clone();
    Some(match held.restoring {
        None => Effect::CopyMetadata { canister, base: base?, timer_nanos: held.timer_nanos? },
        Some(Restoring::Copying(walk)) => Effect::CopyPages { canister, base: base?, copy: copy?, walk },
        Some(Restoring::Copied) => Effect::CanisterStatus { canister },
        Some(Restoring::Guarded) => Effect::LoadSnapshot { canister, snapshot: copy? },
    })
}

/// Whether nobody knows which snapshot of the source is the saved one.
fn is_unsure(job: &Job, held: &Held) -> bool {
    held.is_unsure && (job.target.is_none() || held.compact_pages == 0)
}

/// A second empty copy is not the first one: the list says whether there is one. All else is safe to repeat.
pub(super) fn restore_observation(job: &Job) -> Option<Effect> {
    let held = job.held.as_ref()?;
    let makes_copy = held.restoring.is_none() && !is_unsure(job, held);
    makes_copy.then_some(Effect::ListSnapshots { canister: job.source })
}

/// What follows when the call answered `value`.
pub(super) fn restoring(job: &mut Job, value: Value) -> Result<Next, Why> {
    let done_bytes = job.attempt.done_bytes.saturating_add(1);
    let unknown = match &value {
        Value::Snapshots(all) => new_ones(job, all),
        _ => Vec::new(),
    };
    let resume = job.state.clone();
    let guarded = match &value {
        Value::Canister(view) => guarded(job, view),
        _ => Ok(()),
    };
    let Some(held) = &mut job.held else { return Err(Why::WrongState) };
    match value {
        Value::Snapshots(all) => {
            // As in `listed`: whatever is new in a later one is somebody else's.
            held.is_unsure = false;
            let slot = if held.compact_pages == 0 { &mut held.saved } else { &mut held.uploaded };
            let has_place = slot.as_ref().is_some_and(|id| all.contains(id));
            match own_among(&unknown, has_place) {
                Ok(None) => {}
                Ok(own) => *slot = own,
                Err(reason) => return Ok(Next::Park { reason, resume }),
            }
        }
        Value::Snapshot(id) => {
            held.copy = Some(id);
            held.restoring = Some(Restoring::Copying(Walk::BEGIN));
        }
        Value::Uploaded { is_complete: true, .. } => held.restoring = Some(Restoring::Copied),
        Value::Uploaded { walk, .. } => held.restoring = Some(Restoring::Copying(walk)),
        Value::Canister(_) => match guarded {
            Ok(()) => held.restoring = Some(Restoring::Guarded),
            Err(_) => {
                give_up_timer(job);
                return Ok(Next::Undone);
            }
        },
        Value::Gone | Value::Acknowledged => return Ok(Next::Undone),
        other => return Err(Why::WrongValue { value: other.name() }),
    }
    Ok(Next::Again { done_bytes })
}

/// Somebody deleted a snapshot, or started the source: it is whole, but its timer stays as it is.
pub(super) fn give_up_timer(job: &mut Job) {
    let source = job.source;
    if let State::RollingBack { reason, undo } = &job.state
        && undo.last() == Some(&Undo::RestoreTimer)
    {
        let (reason, undo) = (format!("{source}, after: {reason}"), undo.clone());
        job.state = State::RollingBack { reason: Reason::new(ReasonCode::LosesTimer, reason), undo };
    }
}
