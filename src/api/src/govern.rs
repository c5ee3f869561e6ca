//! What governance decides, one thing at a time.
//!
//! ```candid
//! decant_render   : (Decision) -> (variant { Ok : text; Err : text }) query;
//! decant_validate : (Decision) -> (variant { Ok : text; Err : text });
//! decant_execute  : (Decision) -> ();
//! decant_roles    : () -> (Roles) query;
//! decant_plan     : (nat64) -> (opt PlanView) query;
//! decant_tempo    : (nat64, nat32) -> (variant { Ok; Err : text });
//! decant_release  : (nat64, Release) -> (variant { Ok; Err : text });
//! ```
//! Anybody may render a decision. The validator, for governance and whom it named, renders it for voters and looks whether
//! modules are stored. The execution checks everything again, and that what voters read is still true: a decision that
//! changes something says what it changes, and is refused if that is not what is there any more. It traps on a refusal,
//! because governance counts any reply as executed.

use candid::{CandidType, Principal};
use serde::Deserialize;

use crate::TimeNanos;
use crate::payout::Payout;
use crate::plan::Plan;

/// What is decided.
#[expect(clippy::large_enum_variant, reason = "one is there at a time")]
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub enum Decision {
    /// A plan comes into force.
    Approve {
        /// The plan.
        plan: Plan,
        /// How it is gone about; none: as the plan alone says.
        pace: Option<Pace>,
    },
    /// A plan ends: nothing is enrolled any more, what is in line is taken out, and what is on its way is finished.
    End {
        /// Its number.
        plan: u64,
        /// Its title, so that no other ends.
        title: String,
    },
    /// The bounds and the pace of a plan change.
    Change {
        /// Its number.
        plan: u64,
        /// What they are.
        was: Terms,
        /// What they are to be.
        now: Terms,
    },
    /// Others operate and observe.
    Name {
        /// Those who do.
        was: Roles,
        /// Those who will.
        now: Roles,
    },
    /// Cycles of the coordinator go to somebody.
    Pay(Payout),
}

/// What a plan may do in all, and how it is gone about.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct Terms {
    /// Most canisters in all.
    pub max_canisters: u64,
    /// Most cycles that the coordinator may spend in all.
    pub max_cycles: u128,
    /// Most jobs at a time.
    pub max_in_flight: u32,
    /// How it is gone about.
    pub pace: Pace,
}

/// How a plan is gone about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, CandidType, Deserialize)]
pub struct Pace {
    /// Jobs that go first; no other is started until they are through.
    pub canaries: Option<Canaries>,
    /// Whether each job stops before users can't write any more, until an operator releases those that wait there.
    pub holds_before_fence: bool,
    /// When too many fail no job is started.
    pub breaker: Option<Breaker>,
    /// The part of each day in which jobs are started.
    pub hours: Option<Hours>,
    /// Most seconds that users of a canister wait before it is committed: then its job goes back, and a state that would take
    /// longer is refused before they wait. At least 60, and two hours if left out. It holds for canisters that are enrolled
    /// after it was said.
    pub max_wait_seconds: Option<u32>,
}

/// Jobs that go first. One that is refused before its users wait is none: another goes in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
pub struct Canaries {
    /// How many.
    pub jobs: u64,
    /// Seconds for which they are watched when the last one is through; then others are started. None, or where one of them
    /// went back after its users had waited, whoever wanted it: an operator releases them.
    pub soak_seconds: Option<u64>,
}

/// Failures after which no job is started until an operator has looked: jobs that went back after their users had waited, and
/// that nobody aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
pub struct Breaker {
    /// So many that failed
    pub failures: u32,
    /// among the last so many that ended: equal to the failures, they are in a row. At most 128.
    pub of_last: u32,
}

/// A part of each day, in minutes after midnight UTC. It goes over midnight if it ends before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
pub struct Hours {
    /// The first minute.
    pub from_minute: u16,
    /// The first one after.
    pub to_minute: u16,
}

/// Who may do what besides governance. Being a controller of the coordinator gives none of these rights.
#[derive(Debug, Clone, Default, PartialEq, Eq, CandidType, Deserialize)]
pub struct Roles {
    /// They pause, set the tempo within what was approved, release, retry, abort, skip, revert, and delete what is in the pool.
    pub operators: Vec<Principal>,
    /// They may have any query executed by the subnet, which the coordinator pays for and which certifies the answer.
    pub observers: Vec<Principal>,
}

/// What an operator lets go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Deserialize)]
pub enum Release {
    /// The jobs behind the canaries.
    Canaries,
    /// Those behind the failures that stopped it; they are not counted any more.
    Breaker,
    /// So many of those that wait before their fence.
    Held(u32),
}

/// A plan, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Deserialize)]
pub struct PlanView {
    /// What was approved.
    pub plan: Plan,
    /// Its bounds and its pace now.
    pub terms: Terms,
    /// Jobs at a time that operators allow now, within these.
    pub tempo: u32,
    /// Whether governance ended it.
    pub has_ended: bool,
    /// Canisters that were enrolled.
    pub enrolled: u64,
    /// Jobs that were started, less those that were refused before their users waited.
    pub started: u64,
    /// Cycles that were spent.
    pub spent_cycles: u128,
    /// Why no job of it is started, if any is in line, and until when.
    pub waits_for: Option<String>,
    /// Until when, if that is known.
    pub waits_until_nanos: Option<TimeNanos>,
    /// Jobs that wait before their fence.
    pub held: u64,
}
