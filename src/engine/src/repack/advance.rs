//! What follows when the call of a state is done.

use super::checks::{guarded, image, image_canister, serves_already, slots, source_canister};
use super::ends::{after_saved_dropped, after_upload_dropped};
use super::undo::{dropped, listed};
use super::{Held, RepackState};
use crate::next::Next;
use crate::{Job, Reason, ReasonCode, State, TimeNanos, Undo, Value, Walk, Why};

/// What follows when the call of the job's state answered `value`.
pub(crate) fn advance(job: &mut Job, value: Value, now_nanos: TimeNanos) -> Result<Next, Why> {
    match job.state.clone() {
        State::Repack(at) => repacking(job, at, value, now_nanos),
        State::Queued => inspected(job, value),
        State::Committed { root } => match value {
            Value::Acknowledged => Ok(Next::Enter(State::Retired { root })),
            other => Err(Why::WrongValue { value: other.name() }),
        },
        State::Retired { root } => confirmed(job, State::Retired { root }, value, |_| {
            State::Repack(RepackState::DroppingUploaded { root })
        }),
        State::RollingBack { undo, .. } => undone(job, undo.last().copied(), value),
        _ => Err(Why::WrongState),
    }
}

fn inspected(job: &mut Job, value: Value) -> Result<Next, Why> {
    match value {
        Value::Gone => Ok(gone(job)),
        Value::Canister(view) => Ok(match source_canister(job, &view) {
            Ok(()) => {
                job.held = view.module_hash.map(|module_hash| Held {
                    module_hash,
                    foreign: Vec::new(),
                    saved: None,
                    uploaded: None,
                    compact_pages: 0,
                    dropping: None,
                    is_unsure: false,
                });
                Next::Enter(State::Repack(RepackState::Inspected { settings: view.settings }))
            }
            Err(reason) => Next::Fail(reason),
        }),
        other => Err(Why::WrongValue { value: other.name() }),
    }
}

fn repacking(job: &mut Job, at: RepackState, value: Value, now_nanos: TimeNanos) -> Result<Next, Why> {
    use RepackState::{
        Checked, Compared, Comparing, DroppingSaved, DroppingUploaded, Emptying, Flushed, Guarding, Halting,
        Inspected, Learning, Listed, Loaded, Planned, Ready, Reinstalled, Reopening, Retaining, Saved,
        Serving, Stopped, Surveyed, Uploading,
    };
    let has_target = job.plan.strategy.has_target();
    let enter = |at: RepackState| Next::Enter(State::Repack(at));
    let Some(held) = job.held.as_mut() else { return Err(Why::WrongState) };
    let next = match (at, value) {
        (Inspected { settings }, Value::Snapshots(all)) => {
            held.foreign = all.clone();
            match slots(job, &all) {
                Ok(()) => enter(Listed { settings }),
                Err(reason) => Next::Fail(reason),
            }
        }
        (Listed { settings }, Value::Snapshot(id)) => {
            held.saved = Some(id);
            enter(Surveyed { settings })
        }
        (Surveyed { settings }, Value::Image(view)) => match image(job, &view) {
            Ok(_) if view.loses_timer => {
                Next::Fail(Reason::new(ReasonCode::LosesTimer, job.source.to_text()))
            }
            Ok(_) => enter(Learning { settings }),
            Err(reason) => Next::Fail(reason),
        },
        (Learning { settings }, Value::Module { has_pre_upgrade, may_lose_heap }) => {
            if !has_pre_upgrade && !may_lose_heap {
                Next::Fail(Reason::new(ReasonCode::LosesHeap, job.source.to_text()))
            } else if has_target {
                Next::Enter(State::Admitted { settings })
            } else {
                enter(Ready)
            }
        }
        (Ready, Value::Acknowledged) => enter(Stopped),
        (Stopped, Value::Acknowledged) => enter(Flushed),
        (Flushed, Value::Snapshot(id)) => {
            held.saved = Some(id);
            enter(Saved)
        }
        (Saved, Value::Image(view)) => match image(job, &view) {
            Ok((used_pages, compact_pages)) => {
                (job.counters.source_pages, job.counters.used_pages) = (view.stable_pages, used_pages);
                if let Some(held) = &mut job.held {
                    held.compact_pages = compact_pages;
                }
                enter(if has_target { Halting } else { Planned })
            }
            Err(reason) => Next::Fail(reason),
        },
        (Halting, Value::Acknowledged) => enter(Planned),
        (Planned, Value::Snapshot(id)) => {
            held.uploaded = Some(id);
            enter(Uploading { walk: Walk::BEGIN })
        }
        (Uploading { walk: before }, Value::Uploaded { walk, is_complete, wire_bytes }) => {
            job.counters.wire_bytes = job.counters.wire_bytes.saturating_add(wire_bytes);
            if is_complete {
                enter(Comparing { saved: walk.digest, walk: Walk::BEGIN })
            } else if walk.next_page > before.next_page {
                enter(Uploading { walk })
            } else {
                Next::Again { done_bytes: 0 }
            }
        }
        (Comparing { saved, walk: before }, Value::Compared { walk, is_complete, wire_bytes }) => {
            job.counters.wire_bytes = job.counters.wire_bytes.saturating_add(wire_bytes);
            if is_complete && walk.digest != saved {
                let detail = format!("the uploaded image of {} pages differs", walk.next_page);
                Next::Fail(Reason::new(ReasonCode::RootMismatch, detail))
            } else if is_complete {
                let root = saved;
                enter(if has_target { Compared { root } } else { Guarding { root } })
            } else if walk.next_page > before.next_page {
                enter(Comparing { saved, walk })
            } else {
                Next::Again { done_bytes: 0 }
            }
        }
        (Guarding { root }, Value::Canister(view)) => match guarded(job, &view) {
            Ok(()) if has_target => Next::Enter(State::Committed { root }),
            Ok(()) => enter(Compared { root }),
            Err(reason) => Next::Fail(reason),
        },
        (Guarding { .. }, Value::Gone) => gone(job),
        (Compared { root }, Value::Acknowledged) => enter(Loaded { root }),
        (Loaded { root }, Value::Acknowledged) => enter(Reinstalled { root }),
        (Reinstalled { root }, Value::Canister(view)) => match image_canister(job, &view) {
            Ok(()) if has_target => Next::Enter(State::Switching { root, next: 0 }),
            Ok(()) => enter(Checked { root }),
            // What was saved does not have what users wrote since: an abort comes too late.
            Err(_) if serves_already(job, &view) => {
                job.is_abort_requested = false;
                enter(Checked { root })
            }
            Err(reason) => Next::Fail(reason),
        },
        (Reinstalled { .. }, Value::Gone) => gone(job),
        (Checked { root }, Value::Acknowledged) => enter(Serving { root }),
        (Serving { root }, value @ (Value::Canister(_) | Value::Gone)) => {
            return confirmed(job, State::Repack(Serving { root }), value, |_| {
                State::Repack(DroppingUploaded { root })
            });
        }
        (DroppingUploaded { root }, Value::Acknowledged) => {
            held.uploaded = None;
            Next::Enter(after_upload_dropped(job, root, now_nanos))
        }
        (DroppingSaved { root }, Value::Acknowledged) => {
            held.saved = None;
            Next::Enter(after_saved_dropped(job, root))
        }
        (Emptying { root }, Value::Acknowledged) => enter(Reopening { root }),
        (Reopening { root }, Value::Acknowledged) => {
            job.held = None;
            Next::Enter(State::Draining { root })
        }
        (Retaining { .. }, _) => return Err(Why::WrongState),
        (_, other) => return Err(Why::WrongValue { value: other.name() }),
    };
    Ok(next)
}

/// After the commit point: the image serves, or an operator has to look.
fn confirmed(job: &Job, resume: State, value: Value, next: impl FnOnce(&Job) -> State) -> Result<Next, Why> {
    let reason = match value {
        Value::Canister(view) => match image_canister(job, &view) {
            Ok(()) => return Ok(Next::Enter(next(job))),
            Err(reason) => reason,
        },
        Value::Gone => Reason::new(ReasonCode::Gone, format!("{}; its snapshots too", job.image())),
        other => return Err(Why::WrongValue { value: other.name() }),
    };
    Ok(Next::Park { reason, resume })
}

fn undone(job: &mut Job, undo: Option<Undo>, value: Value) -> Result<Next, Why> {
    match (undo, value) {
        (Some(undo @ (Undo::DropSaved | Undo::DropUploaded)), Value::Snapshots(all)) => {
            Ok(listed(job, undo, &all))
        }
        (Some(Undo::DropSaved | Undo::DropUploaded), Value::Acknowledged) => Ok(dropped(job)),
        (Some(Undo::LoadSaved | Undo::StartTarget), Value::Acknowledged) => Ok(Next::Undone),
        (_, other) => Err(Why::WrongValue { value: other.name() }),
    }
}

fn gone(job: &Job) -> Next {
    Next::Fail(Reason::new(ReasonCode::Gone, format!("source {}", job.source)))
}
