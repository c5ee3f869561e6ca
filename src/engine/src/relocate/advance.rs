//! What follows when the call of a state is done.

use super::checks::{equals_seal, fingerprint_fits, left_behind, snapshots, source_canister, source_kit};
use crate::next::Next;
use crate::{
    FenceView, Job, LayoutView, Reason, ReasonCode, RepackState, Retention, RunState, State, TimeNanos, Undo,
    Value, Why,
};

/// What follows when the call of the job's state answered `value`.
pub(crate) fn advance(job: &mut Job, value: Value, now_nanos: TimeNanos) -> Result<Next, Why> {
    use Value::{Acknowledged, Canister, Drained, Gone, Hashed, Kit, Pulled, Working};
    let next = match (job.state.clone(), value) {
        (State::Queued | State::Inspected { .. }, Gone) => Next::Fail(gone(job.source, "source")),
        (State::Queued, Canister(view)) => match source_canister(job, &view) {
            Ok(()) => Next::Enter(State::Inspected { settings: view.settings }),
            Err(reason) => Next::Fail(reason),
        },
        (State::Inspected { settings }, Kit(view)) => {
            job.counters.source_pages = view.stable_pages;
            if let LayoutView::Managed { used_pages, .. } = view.layout {
                job.counters.used_pages = used_pages;
            }
            match source_kit(job, &view) {
                Ok(()) => Next::Enter(State::Admitted { settings }),
                Err(reason) => Next::Fail(reason),
            }
        }
        (State::Reserved { .. }, Acknowledged) => Next::Enter(State::Configured),
        (State::Configured, Acknowledged) => Next::Enter(State::Installed),
        (State::Installed, Acknowledged) => {
            let wants_precopy = job.plan.wants_precopy(job.counters.used_pages);
            Next::Enter(if wants_precopy { State::Offering } else { State::Provisioned })
        }
        (State::Offering, Acknowledged) => Next::Enter(State::Precopying),
        (State::Precopying, Pulled { is_complete, done_bytes, wire_bytes }) => {
            job.counters.wire_bytes = job.counters.wire_bytes.max(wire_bytes);
            if is_complete { Next::Enter(State::Provisioned) } else { Next::Again { done_bytes } }
        }
        (State::Provisioned, Acknowledged) => Next::Enter(State::Frozen),
        (State::Frozen, Acknowledged) => Next::Enter(State::Stopped),
        (State::Stopped, Acknowledged) => Next::Enter(State::Restarted),
        (State::Restarted, Hashed(seal)) => match fingerprint_fits(&seal) {
            Ok(()) => {
                job.counters.used_pages = seal.used_pages;
                Next::Enter(State::Sealed { seal })
            }
            Err(reason) => Next::Fail(reason),
        },
        (State::Sealed { seal }, Pulled { is_complete, done_bytes, wire_bytes }) => {
            job.counters.wire_bytes = job.counters.wire_bytes.max(wire_bytes);
            if is_complete { Next::Enter(State::Pulled { seal }) } else { Next::Again { done_bytes } }
        }
        (State::Pulled { seal }, Hashed(found)) => match equals_seal(&seal, &found, ReasonCode::RootMismatch)
        {
            Ok(()) => Next::Enter(State::TargetVerified { seal }),
            Err(reason) => Next::Fail(reason),
        },
        (State::TargetVerified { seal }, Hashed(found)) => {
            match equals_seal(&seal, &found, ReasonCode::ChangedAfterSeal) {
                Ok(()) => Next::Enter(State::Switching { root: seal.root, next: 0 }),
                Err(reason) => Next::Fail(reason),
            }
        }
        (
            State::Restarted | State::Pulled { .. } | State::TargetVerified { .. } | State::Rechecking { .. },
            Working { done_bytes },
        ) => Next::Again { done_bytes },
        (State::Switching { root, next }, Acknowledged) => {
            let next = next.saturating_add(1);
            if usize::from(next) < job.indexes.len() {
                Next::Enter(State::Switching { root, next })
            } else {
                Next::Enter(State::Committed { root })
            }
        }
        (State::Committed { root }, Acknowledged) => Next::Enter(State::Retired { root }),
        (State::Retired { root }, Acknowledged) => Next::Enter(match job.plan.retention {
            Retention::Frozen { seconds } => {
                let kept_nanos = seconds.saturating_mul(1_000_000_000);
                State::Retaining { root, until_nanos: now_nanos.saturating_add(kept_nanos) }
            }
            Retention::Tombstone { .. } | Retention::None => confirmed(job, root),
        }),
        (State::Confirming { root }, Kit(view)) => match view.fence {
            FenceView::Importing(holder) if holder.is_job(job.id) => Next::Park {
                reason: Reason::new(ReasonCode::Contradiction, "the target is not active; activate it"),
                resume: State::Retired { root },
            },
            _ => Next::Enter(confirmed(job, root)),
        },
        (State::Confirming { root }, Gone) => Next::Park {
            reason: Reason::new(ReasonCode::Gone, "the target: the source holds the last copy of the state"),
            resume: State::Confirming { root },
        },
        (State::Assessing { root }, Value::Assets(None)) => Next::Enter(assessed(job, root)),
        (State::Assessing { root }, Value::Assets(Some(found))) => Next::Park {
            reason: Reason::new(ReasonCode::HasAssets, found),
            resume: State::Assessing { root },
        },
        (State::Rechecking { root }, Hashed(found)) if found.root == root => {
            Next::Enter(State::Draining { root })
        }
        (State::Rechecking { root }, Hashed(_)) => {
            Next::Park { reason: left_behind(), resume: State::Rechecking { root } }
        }
        (State::Draining { root }, Drained { total_cycles }) => {
            job.counters.drained_cycles = job.counters.drained_cycles.max(total_cycles);
            Next::Enter(match job.plan.retention {
                Retention::Tombstone { .. } => State::Entombing { root },
                Retention::Frozen { .. } | Retention::None => State::Stopping { root },
            })
        }
        (State::Entombing { root }, Acknowledged) => Next::Enter(State::Done { root }),
        (State::Stopping { root }, Acknowledged) => Next::Enter(State::Checking { root }),
        (State::Checking { root }, Canister(view)) => {
            if view.run_state != RunState::Stopped {
                let detail = format!("{} was started again by somebody", job.source);
                Next::Park {
                    reason: Reason::new(ReasonCode::Contradiction, detail),
                    resume: State::Stopping { root },
                }
            } else if view.snapshots_bytes > 0 {
                Next::Park { reason: snapshots(job, &view), resume: State::Checking { root } }
            } else {
                Next::Enter(State::Deleting { root, burned_cycles: view.balance_cycles })
            }
        }
        (State::Checking { root }, Gone) => Next::Enter(State::Done { root }),
        (State::Deleting { root, burned_cycles }, Acknowledged) => {
            job.counters.burned_cycles = burned_cycles;
            Next::Enter(State::Done { root })
        }
        (State::RollingBack { undo, .. }, Acknowledged) if undo.last() != Some(&Undo::ReturnTarget) => {
            Next::Undone
        }
        (_, other) => return Err(Why::WrongValue { value: other.name() }),
    };
    Ok(next)
}

/// The state after the source was retained long enough.
pub(crate) fn released(root: crate::Digest) -> State {
    State::Confirming { root }
}

/// The state after the target is known to serve.
fn confirmed(job: &Job, root: crate::Digest) -> State {
    if job.plan.has_asset_checks { State::Assessing { root } } else { assessed(job, root) }
}

/// The state after the source is known to own and control nothing.
fn assessed(job: &Job, root: crate::Digest) -> State {
    if job.plan.strategy.is_by_snapshot() {
        State::Repack(RepackState::Emptying { root })
    } else if job.plan.has_final_recheck {
        State::Rechecking { root }
    } else {
        State::Draining { root }
    }
}

fn gone(canister: candid::Principal, what: &str) -> Reason {
    Reason::new(ReasonCode::Gone, format!("{what} {canister}"))
}
