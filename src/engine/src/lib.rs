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
//!         HandToPool { source }       => put it into the pool, apply SourceHandedOver, store    ( " )
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
//! Read it as a story: a state has one place, where its call, what each outcome leads to, the look before it or after a
//! lost reply, and its undo stand together, in the order in which a job passes the states.
//!
//! | module | what |
//! |---|---|
//! | `relocate` | a relocation of a dapp with the kit, from its first state to its last; and back behind the commit point |
//! | `vessel` | a repack, and a relocation of code that nobody can change |
//! | `back` | the way back, undo by undo |
//! | `rules` | the form in which a state says all that |
//! | `left` | how a job left a canister, and whether it still is so |
//! | `states` | where a job can be, and its undos, as they are stored |
//! | `events` | what can happen: the journal |
//! | `effects` | what a driver is asked to call |
//! | `values` | what calls answer, reduced to what decisions need |
//! | `step` | decides: the next step, limits, back-off |
//! | `apply` | changes: outcomes, looks, giving up |
//! | `ended` | what is left of a job that ended |
//! | `board` | which open job is where, and when it is due |
//! | `invariants` | what holds of every job between two events |
//!
//! `apply` and `step` know no strategy. A new state is a variant with its tag, and a function in its place.

mod apply;
mod back;
mod board;
mod effects;
mod ended;
mod error;
mod events;
mod invariants;
mod job;
mod journal;
mod left;
mod limits;
#[cfg(test)]
mod page;
mod plan;
mod reason;
mod relocate;
mod rules;
mod states;
mod step;
mod values;
mod vessel;

pub use apply::apply;
pub use board::{Board, Load, Place, WATCH_NANOS};
pub use effects::{Delivery, Effect, ModuleRole, VesselRole};
pub use ended::End;
pub use error::{EnrolmentError, IllegalTransition, Why};
pub use events::{Entry, Event, Outcome};
pub use invariants::{Broken, invariants};
pub use job::{Attempt, Counters, Job, Phase, Times};
pub use journal::{ReplayError, replay};
pub use left::Left;
pub use limits::Limits;
pub use plan::{MAX_INDEXES, PlanEssentials, Retention, Strategy};
pub use reason::{MAX_DETAIL_BYTES, MAX_ENDED_DETAIL_BYTES, Reason, ReasonCode};
pub use relocate::{RevertState, Reverting};
pub use states::{OfOldBuild, Stage, State, Undo};
pub use step::{Step, next_step};
pub use values::{
    CanisterView, Digest, FenceView, Found, Holder, ImageKind, ImageView, KitView, Known, LayoutView,
    MAX_FINGERPRINT_BYTES, MAX_SETTINGS_BYTES, RunState, Seal, Settings, SnapshotId, Value,
};
pub use vessel::{EMPTY_MODULE, Held, Sought, VesselState};

/// Number of a job at its coordinator, from 1; never reused.
pub type JobId = u64;
/// Nanoseconds since the Unix epoch.
pub type TimeNanos = u64;
/// Version of the kit's interface that this engine speaks.
pub const KIT_VERSION: u32 = 1;
