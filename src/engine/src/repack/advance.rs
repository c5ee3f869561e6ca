//! What follows when the call of a state is done.

use super::checks::{guarded, image, image_canister, serves_already, slots, source_canister};
use super::ends::{after_saved_dropped, after_served, after_upload_dropped};
use super::restore::restoring;
use super::undo::{dropped, listed};
use super::{Held, RepackState};
use crate::next::Next;
use crate::{Digest, Job, Reason, ReasonCode, State, TimeNanos, Undo, Value, Walk, Why};

/// What follows when the call of the job's state answered `value`.
pub(crate) fn advance(job: &mut Job, value: Value, now_nanos: TimeNanos) -> Result<Next, Why> {
    match job.state.clone() {
        State::Repack(at) => repacking(job, at, value, now_nanos),
        State::Queued => inspected(job, value),
        State::Committed { root } => match value {
            Value::Acknowledged => Ok(Next::Enter(State::Retired { root })),
            other => Err(Why::WrongValue { value: other.name() }),
        },
        State::Retired { root } => {
            confirmed(job, State::Retired { root }, value, |job| after_served(job, root))
        }
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
                    copy: None,
                    restoring: None,
                    keeps_timer: false,
                    timer_nanos: None,
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
        Checked, Compared, Comparing, Copied, Copying, DroppingCopy, DroppingSaved, DroppingUploaded,
        Emptying, Flushed, Guarding, Halting, Inspected, Learning, Listed, Loaded, Planned, Ready, Rearming,
        Rebuilt, Reinstalled, Reopening, Retaining, Saved, Serving, Still, Stopped, Surveyed, Timing,
        Uploading,
    };
    let has_target = job.plan.strategy.has_target();
    let enter = |at: RepackState| Next::Enter(State::Repack(at));
    let Some(held) = job.held.as_mut() else { return Err(Why::WrongState) };
    let next = match (at, value) {
        (Inspected { settings }, Value::Snapshots(all)) => {
            held.foreign = all;
            match slots(job) {
                Ok(()) => enter(Listed { settings }),
                Err(reason) => Next::Fail(reason),
            }
        }
        (Listed { settings }, Value::Snapshot(id)) => {
            held.saved = Some(id);
            enter(Surveyed { settings })
        }
        (Surveyed { settings }, Value::Image(view)) => match image(job, &view) {
            Ok(_) => enter(Learning { settings }),
            Err(reason) => Next::Fail(reason),
        },
        (Learning { settings }, Value::Module { has_pre_upgrade, may_lose_heap, keeps_timer }) => {
            held.keeps_timer = keeps_timer;
            if !has_pre_upgrade && !may_lose_heap {
                Next::Fail(Reason::new(ReasonCode::LosesHeap, job.source.to_text()))
            } else if let Err(reason) = slots(job) {
                Next::Fail(reason)
            } else if has_target {
                Next::Enter(State::Admitted { settings })
            } else {
                enter(Ready)
            }
        }
        (Ready, Value::Acknowledged) => enter(if held.keeps_timer { Still } else { Stopped }),
        (Still, Value::Snapshot(id)) => {
            held.saved = Some(id);
            enter(Timing)
        }
        (Timing, Value::Image(view)) => {
            held.timer_nanos = view.timer_nanos;
            enter(Stopped)
        }
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
                    // What its `post_upgrade` arms now it arms again when it runs on the compact image.
                    held.timer_nanos = held.timer_nanos.filter(|_| view.timer_nanos.is_none());
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
        (Loaded { root }, Value::Acknowledged) => {
            enter(if held.timer_nanos.is_some() { Rebuilt { root } } else { Reinstalled { root } })
        }
        (Rebuilt { root }, Value::Snapshot(id)) => {
            held.uploaded = Some(id);
            enter(Rearming { root })
        }
        (Rearming { root }, Value::Snapshot(id)) => {
            held.copy = Some(id);
            enter(Copying { root, walk: Walk::BEGIN })
        }
        (Copying { root, walk: before }, Value::Uploaded { walk, is_complete, wire_bytes }) => {
            job.counters.wire_bytes = job.counters.wire_bytes.saturating_add(wire_bytes);
            if is_complete {
                enter(Reinstalled { root })
            } else if walk.next_page > before.next_page {
                enter(Copying { root, walk })
            } else {
                Next::Again { done_bytes: 0 }
            }
        }
        (Reinstalled { root }, Value::Canister(view)) => match image_canister(job, &view) {
            Ok(()) if job.held.as_ref().is_some_and(|held| held.copy.is_some()) => enter(Copied { root }),
            Ok(()) => proven(job, root),
            // What was saved does not have what users wrote since: an abort comes too late.
            Err(_) if serves_already(job, &view) => {
                job.is_abort_requested = false;
                enter(Checked { root })
            }
            Err(reason) => Next::Fail(reason),
        },
        (Reinstalled { .. }, Value::Gone) => gone(job),
        (Copied { root }, Value::Acknowledged) => proven(job, root),
        (Checked { root }, Value::Acknowledged) => enter(Serving { root }),
        (Serving { root }, value @ (Value::Canister(_) | Value::Gone)) => {
            return confirmed(job, State::Repack(Serving { root }), value, |job| after_served(job, root));
        }
        (DroppingCopy { root }, Value::Acknowledged) => {
            held.copy = None;
            enter(DroppingUploaded { root })
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

/// The image is as it must be: the routes are next, or the commit point.
fn proven(job: &Job, root: Digest) -> Next {
    Next::Enter(match job.plan.strategy.has_target() {
        true => State::Switching { root, next: 0 },
        false => State::Repack(RepackState::Checked { root }),
    })
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
        (
            Some(undo @ (Undo::DropSaved | Undo::DropUploaded | Undo::DropCopy | Undo::DropRestored)),
            Value::Snapshots(all),
        ) => Ok(listed(job, undo, &all)),
        (
            Some(Undo::DropSaved | Undo::DropUploaded | Undo::DropCopy | Undo::DropRestored),
            Value::Acknowledged,
        ) => Ok(dropped(job)),
        (Some(Undo::RestoreTimer), value) => restoring(job, value),
        (Some(Undo::LoadSaved | Undo::StartTarget), Value::Acknowledged) => Ok(Next::Undone),
        (_, other) => Err(Why::WrongValue { value: other.name() }),
    }
}

fn gone(job: &Job) -> Next {
    Next::Fail(Reason::new(ReasonCode::Gone, format!("source {}", job.source)))
}
