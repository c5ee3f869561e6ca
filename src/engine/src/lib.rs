//! Decisions: how a job goes from one state to the next. No Internet Computer, no clock, no randomness.
//!
//! A [`Job`] moves the state of one source. [`next_step`] looks at it and says what comes next, at most one
//! call; [`apply`] is the only way it changes, by an [`Event`] of its journal; [`replay`] makes the same job
//! of the same journal. Who calls, stores and knows the time is the driver:
//!
//! ```text
//! loop {
//!     match next_step(&job, now, &limits) {
//!         Record(event)               => apply, store                          (one message, no await)
//!         TakeFromPool                => pop the pool, apply TargetTaken or PoolEmpty, store    ( " )
//!         ReturnToPool { target }     => push the pool, apply TargetReturned, store             ( " )
//!         Call { ticket, effect, .. } => apply Started { ticket }, store; call and await;
//!                                        apply Replied { ticket, outcome }, store
//!         InFlight { ticket }         => if no call of this job is awaited: apply reply_lost(ticket), store
//!         Wait { until_nanos }        => come back then
//!         Finished | Parked           => done with it
//!     }
//! }
//! ```
//!
//! A driver that is told [`IllegalTransition`] about a reply drops it if the ticket is an old one, and
//! otherwise, since the reply makes no sense, applies [`Event::reply_lost`]: the job then observes, and stays
//! bounded.
//!
//! | module | what |
//! |---|---|
//! | `states` | where a job can be, and which call follows |
//! | `events` | what can happen: the journal |
//! | `effects` | what a driver is asked to call |
//! | `values` | what calls answer, reduced to what decisions need |
//! | `step` | decides: the next step, limits, back-off |
//! | `apply` | changes: outcomes, observations, giving up |
//! | `next` | what can follow: another state, a try, the way back |
//! | `strategy` | what a strategy must say, and which one is asked |
//! | `relocate` | calls, advances, observations and undos of a relocation |
//! | `repack` | the same where the state travels in snapshots |
//! | `invariants` | what holds of every job between two events |
//!
//! `apply` and `step` know nothing of a strategy: another one is another set of states and a sibling of
//! `relocate`.

mod apply;
mod effects;
mod error;
mod events;
mod invariants;
mod job;
mod journal;
mod limits;
mod next;
mod plan;
mod reason;
mod relocate;
mod repack;
mod states;
mod step;
mod strategy;
mod values;

pub use apply::apply;
pub use effects::{Delivery, Effect, ModuleRole, SnapshotPair};
pub use error::{EnrolmentError, IllegalTransition, Why};
pub use events::{Entry, Event, Outcome};
pub use invariants::{Broken, invariants};
pub use job::{Attempt, Counters, Job, Phase, Times};
pub use journal::{ReplayError, replay};
pub use limits::Limits;
pub use plan::{MAX_INDEXES, PlanEssentials, Retention, Strategy};
pub use reason::{MAX_DETAIL_BYTES, Reason, ReasonCode};
pub use repack::{Held, RepackState, Restoring};
pub use states::{Stage, State, Undo};
pub use step::{Step, next_step};
pub use values::{
    CanisterView, Digest, FenceView, Holder, ImageKind, ImageView, KitView, LayoutView,
    MAX_FINGERPRINT_BYTES, MAX_SETTINGS_BYTES, RunState, Seal, Settings, SnapshotId, Value, Walk,
};

/// Number of a job at its coordinator, from 1; never reused.
pub type JobId = u64;
/// Nanoseconds since the Unix epoch.
pub type TimeNanos = u64;
/// Version of the kit's interface that this engine speaks.
pub const KIT_VERSION: u32 = 1;
