//! How a job left a canister that is not its alone, and whether it still is so: looked at before every load,
//! installation, start, stop and deletion (promises 11 and 12).

use serde::{Deserialize, Serialize};

use crate::{CanisterView, Digest, Job, Reason, ReasonCode, RunState, TimeNanos};

/// How this job left a canister.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The module that it runs.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub module: Option<Digest>,
    /// When this job looked first: what others did to its code since is theirs.
    #[serde(rename = "s")]
    pub since_nanos: TimeNanos,
    /// Its version when it was last looked at; it says whether code ran since on a canister that is stopped.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

impl Left {
    /// As it is seen now.
    pub(crate) fn of(view: &CanisterView, since_nanos: TimeNanos) -> Self {
        Self { module: view.module_hash, since_nanos, version: view.version }
    }
}

/// Whether the canister runs what the job left there, and nobody else did something to its code.
pub(crate) fn module_as_left(left: Option<&Left>, view: &CanisterView) -> Result<(), Reason> {
    let Some(left) = left else { return Ok(()) };
    if let Some(what) = &view.acted {
        return Err(Reason::new(ReasonCode::OthersActed, what));
    }
    if view.module_hash == left.module {
        return Ok(());
    }
    let detail = format!("it runs {}, not {}", name(view.module_hash), name(left.module));
    Err(Reason::new(ReasonCode::OthersActed, detail))
}

/// Whether a call that put this module there had its effect, though its reply never came.
pub(crate) fn has_now(job: &Job, view: &CanisterView, module: Digest) -> bool {
    job.attempt.is_unsure && view.acted.is_none() && view.module_hash == Some(module)
}

/// Whether it is as [`module_as_left`] says, and stopped.
pub(crate) fn stopped_as_left(left: Option<&Left>, view: &CanisterView) -> Result<(), Reason> {
    module_as_left(left, view)?;
    run_state_is(RunState::Stopped, view)
}

/// Whether it is running, or stopped, as the job left it.
pub(crate) fn run_state_is(wanted: RunState, view: &CanisterView) -> Result<(), Reason> {
    if view.run_state == wanted {
        return Ok(());
    }
    let detail = format!("it is {:?}, and was left {wanted:?}", view.run_state);
    Err(Reason::new(ReasonCode::OthersActed, detail))
}

/// Whether a canister of the pool is as it came: the coordinator's alone, without code and snapshots. One that a pool
/// names which was put back from a snapshot may serve somebody long since.
pub(crate) fn fresh_target(job: &Job, view: &CanisterView) -> Result<(), Reason> {
    let controllers = view.settings.controllers.len();
    if view.module_hash.is_none() && view.snapshots_bytes == 0 && controllers <= 1 {
        return Ok(());
    }
    let target = job.target.map(|target| target.to_text()).unwrap_or_default();
    let detail = format!(
        "{target} of the pool has {controllers} controllers and runs {}: it is left alone",
        name(view.module_hash)
    );
    Err(Reason::new(ReasonCode::NotEmpty, detail))
}

/// The first bytes of a digest, for people.
pub(crate) fn short(digest: Digest) -> String {
    hex(&digest.0[..6])
}

/// Bytes, for people.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A module, for people.
fn name(module: Option<Digest>) -> String {
    match module {
        Some(hash) => short(hash),
        None => "no module".to_owned(),
    }
}
