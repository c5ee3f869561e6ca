//! Jobs, as their coordinator shows them.
//!
//! ```candid
//! decant_summary : () -> (Summary) query;
//! decant_jobs    : (JobsArgs) -> (vec JobView) query;
//! decant_job     : (nat64) -> (opt JobView) query;
//! decant_job_of  : (principal) -> (opt JobView) query;
//! decant_pool    : () -> (vec PoolView) query;
//! decant_resolve : (principal) -> (principal) query;
//! decant_pause   : (Pause) -> (variant { Ok; Err : text });
//! decant_retry   : (nat64) -> (variant { Ok; Err : text });
//! decant_abort   : (nat64) -> (variant { Ok; Err : text });
//! decant_skip    : (nat64) -> (variant { Ok; Err : text });
//! decant_revert  : (nat64) -> (variant { Ok; Err : text });
//! decant_all     : (Command, Which) -> (variant { Ok : Batch; Err : text });
//! ```

use candid::{CandidType, Principal};
use serde::Deserialize;

use crate::{JobId, TimeNanos};

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub enum Outcome {
    /// On its way.
    Running,
    /// The state is in the target, the source is gone or a tombstone.
    Done,
    /// The source serves as if nothing had happened.
    RolledBack {
        /// Why.
        reason: String,
    },
    /// It waits for somebody.
    Parked {
        /// Why, and the command that moves it on.
        reason: String,
    },
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct JobView {
    /// Its number.
    pub id: JobId,
    /// The canister that is relocated.
    pub source: Principal,
    /// Where to, once it has a target.
    pub target: Option<Principal>,
    /// The first of the indexes whose routes are swapped; of a repack who enrolled it.
    pub index: Principal,
    /// Name of its state.
    pub state: String,
    /// How it stands.
    pub outcome: Outcome,
    /// When it was enrolled.
    pub enrolled_nanos: TimeNanos,
    /// When the source was fenced.
    pub fenced_nanos: Option<TimeNanos>,
    /// When the job passed the commit point: from then on the state is in the target.
    pub committed_nanos: Option<TimeNanos>,
    /// When users were served again.
    pub served_nanos: Option<TimeNanos>,
    /// When the job ended.
    pub ended_nanos: Option<TimeNanos>,
    /// Tries of the present step.
    pub attempts: u32,
    /// Code of why it ended, parked or goes back, or of what its present step met with.
    pub code: Option<String>,
    /// What its present step met with at its last try.
    pub trouble: Option<String>,
    /// Calls that the coordinator made for it.
    pub calls: u32,
    /// Bytes over the wire.
    pub wire_bytes: u64,
    /// Stable memory of the source when the job began, in pages of 64 KiB.
    pub source_pages: u64,
    /// Pages in use, as sealed.
    pub used_pages: u64,
    /// Cycles that the source sent to the target.
    pub drained_cycles: u128,
    /// Cycles that its deletion burned.
    pub burned_cycles: u128,
    /// When the global timer was due that was armed before, and is not any more.
    pub timer_lost_nanos: Option<TimeNanos>,
    /// Pages that managers inside of virtual memories hold and do not use, where a repacked canister has some: no bucket size
    /// of the plan gives them back, only its own code.
    pub nested_pages: Option<u64>,
}

/// What an operator wants of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
pub enum Command {
    /// Those that are parked go on, and those that wait between tries do so at once.
    Retry,
    /// Those that are not committed roll back.
    Abort,
    /// What they can't do is left undone: the topmost step of the way back; after the commit point the end of the original,
    /// which stays as it is. Of many only those that are parked; one that goes back by itself is skipped alone, once it waits for long.
    Skip,
    /// Those whose original is retained, with the kit, go back to it, if nothing was written since they were committed;
    /// otherwise they retain it as before, and say why.
    Revert,
}

/// Open jobs to which a command goes.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Which {
    /// Of this plan; none: of all.
    pub plan: Option<u64>,
    /// With this reason code, as `JobView` shows it; none: with any.
    pub code: Option<String>,
    /// After this one.
    pub after: JobId,
}

/// What became of a command to many jobs.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Batch {
    /// Jobs that took it; all others can't.
    pub taken: u64,
    /// Ask again with this as `after`: more jobs may be behind it.
    pub next: Option<JobId>,
}

/// Which jobs to list.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct JobsArgs {
    /// Jobs after this one.
    pub after: JobId,
    /// At most that many; the coordinator has its own limit.
    pub limit: u32,
}

/// What jobs may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
pub enum Pause {
    /// All.
    Running,
    /// No job is started; those on their way go on.
    NoJobs,
    /// Nor does a job come nearer to its commit point. Ways back go on, a source that is fenced for too long goes back, and
    /// what is committed is finished.
    Hold,
}

/// A coordinator and all its jobs in numbers.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Summary {
    /// Whose proposals it executes; for good.
    pub governance: Principal,
    /// Waiting for their turn.
    pub queued: u64,
    /// On their way.
    pub running: u64,
    /// Of these, in retention or between tries at something that does not answer: they take no place of others.
    pub waiting: u64,
    /// Done.
    pub done: u64,
    /// Rolled back.
    pub rolled_back: u64,
    /// Parked.
    pub parked: u64,
    /// Jobs whose record this build can't read: nobody touches them.
    pub aside: Vec<JobId>,
    /// Canisters of its own that no job has.
    pub pool: Vec<Principal>,
    /// What jobs in line wait for, if it is cycles: of their plan, or of the coordinator.
    pub waits_for: Option<String>,
    /// Days until the coordinator freezes if it does nothing, by what it burned a day when it last asked.
    pub runway_days: Option<u64>,
    /// What jobs may do.
    pub pause: Pause,
    /// When the coordinator was put back from a snapshot. It leaves all jobs alone until an operator lets it go on
    /// (`decant_pause(variant { Running })`): what it remembers is older than what is.
    pub put_back_nanos: Option<TimeNanos>,
    /// Cycles spent, creations included.
    pub cycles_spent: u128,
    /// Calls that the coordinator made, those for the pool included.
    pub calls: u64,
    /// Calls that targets made to their sources.
    pub target_calls: u64,
    /// Stable memory of the coordinator in pages of 64 KiB.
    pub stable_pages: u64,
}

/// A canister that no job has.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct PoolView {
    /// It.
    pub canister: Principal,
    /// The only source that it may serve: an index may remember that it was that one's.
    pub kept_for: Option<Principal>,
    /// Why it serves nobody.
    pub aside: Option<String>,
    /// The job whose original it was, which emptied it; it serves later jobs of the same plan.
    pub emptied_by: Option<JobId>,
    /// Until when it is nobody's.
    pub quarantined_until_nanos: Option<TimeNanos>,
}
