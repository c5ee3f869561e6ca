//! What follows when a job's snapshots are gone.

use super::RepackState;
use crate::{Job, Retention, State, TimeNanos};

/// What follows when the image serves its users.
pub(super) fn after_served(job: &Job, root: crate::Digest) -> State {
    let has_copy = job.held.as_ref().is_some_and(|held| held.copy.is_some());
    State::Repack(match has_copy {
        true => RepackState::DroppingCopy { root },
        false => RepackState::DroppingUploaded { root },
    })
}

/// What follows when the uploaded snapshot is gone.
pub(super) fn after_upload_dropped(job: &Job, root: crate::Digest, now_nanos: TimeNanos) -> State {
    State::Repack(match job.plan.retention {
        Retention::Frozen { seconds } => {
            let kept_nanos = seconds.saturating_mul(1_000_000_000);
            RepackState::Retaining { root, until_nanos: now_nanos.saturating_add(kept_nanos) }
        }
        Retention::Tombstone { .. } | Retention::None => RepackState::DroppingSaved { root },
    })
}

/// What follows when nothing of the job is left in the source.
pub(super) fn after_saved_dropped(job: &mut Job, root: crate::Digest) -> State {
    if !job.plan.strategy.has_target() {
        job.held = None;
        return State::Done { root };
    }
    match job.plan.has_asset_checks {
        true => State::Assessing { root },
        false => State::Repack(RepackState::Emptying { root }),
    }
}
