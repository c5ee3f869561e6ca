//! Back behind the commit point: an operator wants the source that is retained to serve again. It may, if the target takes
//! no write any more and holds what was moved. Then the way back is the usual one; until then everything is taken back, and
//! the job retains its source for the rest of the time.
//!
//! One canister takes writes at most (promise 1): the target is sealed before the source is reinstated, which leaves that
//! sealed too; the source is opened when every route names it, and the target is not opened any more.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::checks::{fingerprint_fits, gone, left_behind};
use super::end::retire_or_pass;
use super::fence::source_held;
use crate::left::{module_as_left, short};
use crate::rules::{Next, Rules, Verdict, When, happened, not_yet, run_state, wrong};
use crate::vessel::look;
use crate::{
    Digest, Effect, FenceView, Job, Reason, ReasonCode, RunState, Seal, Stage, State, Strategy, TimeNanos,
    Undo, Value, VesselState, Why,
};

/// A job that reverts, and what it needs if it retains again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverting {
    /// The root of what was moved.
    #[serde(rename = "r")]
    pub root: Digest,
    /// Until when the source is kept otherwise.
    #[serde(rename = "u")]
    pub until_nanos: TimeNanos,
    /// How far it is.
    #[serde(rename = "a")]
    pub at: RevertState,
}

/// Where a job that reverts is. Users wait in each. Tags are never reused.
///
/// | tag | state | next |
/// |---|---|---|
/// | 41 | Asked | a look at the target, then `decant_freeze` of it |
/// | 42 | TargetFrozen | `stop_canister` of the target |
/// | 43 | TargetStopped | a look at the target, then `start_canister` |
/// | 44 | TargetRestarted | `decant_seal` of the target, until hashed: does it hold what was moved? |
/// | 45 | TargetUnchanged | `decant_recheck` of the source, until hashed: does that? |
/// | 46 | SourceUnchanged | what the target owns, if the plan names ledgers |
/// | 57 | NothingOwned | a look at the target, then `decant_reinstate` of the source, and RollingBack |
/// | | **it is taken back** | |
/// | 47 | StartingTarget | `start_canister` of the target; then ThawingTarget |
/// | 48 | RetiringAgain | `decant_retire` of the source; then ThawingTarget |
/// | 49 | ThawingTarget | `decant_thaw` of the target; then Retaining |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RevertState {
    /// An operator asked for it.
    #[serde(rename = "41")]
    Asked,
    /// The target takes queries only.
    #[serde(rename = "42")]
    TargetFrozen,
    /// The calls that the target had open are closed.
    #[serde(rename = "43")]
    TargetStopped,
    /// The target answers again.
    #[serde(rename = "44")]
    TargetRestarted,
    /// The target is sealed, and holds what was moved.
    #[serde(rename = "45")]
    TargetUnchanged {
        /// What the dapp says of the target.
        #[serde(rename = "f")]
        fingerprint: ByteBuf,
    },
    /// The source holds it too.
    #[serde(rename = "46")]
    SourceUnchanged,
    /// The target owns nothing that would be lost with it.
    #[serde(rename = "57")]
    NothingOwned,
    /// It fails; the target may be stopped.
    #[serde(rename = "47")]
    StartingTarget {
        /// Why.
        #[serde(rename = "w")]
        reason: Reason,
    },
    /// It fails; the source may be reinstated.
    #[serde(rename = "48")]
    RetiringAgain {
        /// Why.
        #[serde(rename = "w")]
        reason: Reason,
    },
    /// It fails; the target may be fenced.
    #[serde(rename = "49")]
    ThawingTarget {
        /// Why.
        #[serde(rename = "w")]
        reason: Reason,
    },
}

impl RevertState {
    /// The stored tag.
    pub fn tag(&self) -> u8 {
        match self {
            Self::Asked => 41,
            Self::TargetFrozen => 42,
            Self::TargetStopped => 43,
            Self::TargetRestarted => 44,
            Self::TargetUnchanged { .. } => 45,
            Self::SourceUnchanged => 46,
            Self::NothingOwned => 57,
            Self::StartingTarget { .. } => 47,
            Self::RetiringAgain { .. } => 48,
            Self::ThawingTarget { .. } => 49,
        }
    }

    /// For people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Asked => "reverting",
            Self::TargetFrozen => "target frozen",
            Self::TargetStopped => "target stopped",
            Self::TargetRestarted => "target restarted",
            Self::TargetUnchanged { .. } => "target unchanged",
            Self::SourceUnchanged => "source unchanged",
            Self::NothingOwned => "nothing owned",
            Self::StartingTarget { .. } => "starting target",
            Self::RetiringAgain { .. } => "retiring again",
            Self::ThawingTarget { .. } => "thawing target",
        }
    }

    /// Why it is taken back, if it is.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::StartingTarget { reason }
            | Self::RetiringAgain { reason }
            | Self::ThawingTarget { reason } => Some(reason),
            _ => None,
        }
    }

    /// Which way it can go.
    pub(crate) fn stage(&self) -> Stage {
        match self.reason() {
            None => Stage::Reverting,
            Some(_) => Stage::AfterCommit,
        }
    }
}

impl Reverting {
    fn on(&self, at: RevertState) -> State {
        State::Reverting(Self { at, ..self.clone() })
    }

    fn retained(&self) -> State {
        State::Retaining { root: self.root, until_nanos: self.until_nanos }
    }

    /// The states that take back what was done so far. `is_untouched`: the call of this state changed nothing.
    pub(crate) fn taken_back(&self, reason: Reason, is_untouched: bool) -> Vec<State> {
        let thawing = |reason| self.on(RevertState::ThawingTarget { reason });
        match self.at {
            // Nothing was done.
            RevertState::Asked if is_untouched => vec![thawing(reason), self.retained()],
            RevertState::TargetFrozen | RevertState::TargetStopped => {
                vec![self.on(RevertState::StartingTarget { reason })]
            }
            // What the source has half hashed by then is of no use to a later look: it forgets that when it is retired again.
            RevertState::TargetUnchanged { .. }
            | RevertState::SourceUnchanged
            | RevertState::NothingOwned
                if !is_untouched =>
            {
                vec![self.on(RevertState::RetiringAgain { reason })]
            }
            _ => vec![thawing(reason)],
        }
    }
}

/// The first state of a revert.
///
/// # Errors
/// [`Why::NoWayBack`] with the reason, unless the source of a relocation with the kit is retained.
pub(crate) fn begun(job: &Job) -> Result<State, Why> {
    match (&job.state, job.plan.strategy) {
        (State::Retaining { root, until_nanos }, Strategy::Relocate { .. }) => {
            Ok(State::Reverting(Reverting { root: *root, until_nanos: *until_nanos, at: RevertState::Asked }))
        }
        _ => Err(Why::NoWayBack { why: why_not(job) }),
    }
}

fn why_not(job: &Job) -> &'static str {
    match &job.state {
        State::Parked { .. } => "it is parked: settle what it names, then call decant_retry",
        State::RollingBack { .. } | State::RolledBack { .. } => "it goes back already, or has",
        State::Reverting(_) => "it reverts already: wait for what becomes of it",
        state if state.stage() == Stage::BeforeCommit => "it is not committed: call decant_abort",
        _ if job.plan.strategy.is_by_vessel() => {
            "without the kit nothing tells whether a write came since it was committed, and nothing is loaded over a \
             canister that ran: see 'Going back' in the runbooks"
        }
        State::Committed { .. } | State::Retired { .. } => {
            "its target does not serve yet: ask when it is retained"
        }
        State::Vessel(VesselState::Retaining { .. }) | State::Retaining { .. } => "it can't be told",
        _ => "its original is not retained, or not any more: there is no way back",
    }
}

/// What the state says of itself.
pub(super) fn rules(job: &Job, here: Reverting) -> Option<Rules> {
    let target = job.target?;
    Some(match here.at.clone() {
        RevertState::Asked => asked(job, here, target),
        RevertState::TargetFrozen => frozen(here, target),
        RevertState::TargetStopped => stopped(here, target),
        RevertState::TargetRestarted => restarted(here, target),
        RevertState::TargetUnchanged { fingerprint } => target_unchanged(job, here, fingerprint),
        RevertState::SourceUnchanged => source_unchanged(job, here, target),
        RevertState::NothingOwned => nothing_owned(job, &here, target),
        RevertState::StartingTarget { reason } => starting(here, target, reason),
        RevertState::RetiringAgain { reason } => return retiring(job, &here, reason),
        RevertState::ThawingTarget { .. } => thawing(here, target),
    })
}

/// An operator asked for it. A target that somebody upgraded, emptied or stopped is theirs.
fn asked(job: &Job, here: Reverting, target: candid::Principal) -> Rules {
    let looked = look(job.target_left.as_ref(), target);
    let parked = here.clone();
    Rules::call(Effect::Freeze { source: target, reader: job.source })
        .then(move |_| here.on(RevertState::TargetFrozen))
        .look(When::First, looked, move |job, value| match value {
            Value::Canister(view) if view.run_state != RunState::Running => {
                let detail = format!("target {target} is {:?}", view.run_state);
                Ok(Verdict::Yield(Reason::new(ReasonCode::NotRunning, detail)))
            }
            Value::Canister(view) => Ok(not_yet(module_as_left(job.target_left.as_ref(), view))),
            Value::Gone => Ok(Verdict::Follow(last_copy(&parked, target))),
            other => wrong(other),
        })
}

/// The target takes queries only. A stop closes the calls that it has open.
fn frozen(here: Reverting, target: candid::Principal) -> Rules {
    Rules::call(Effect::Stop { canister: target }).then(move |_| here.on(RevertState::TargetStopped)).look_at(
        When::IfStale,
        Effect::CanisterStatus { canister: target },
        move |_| gone(target, "target"),
        |job, view| run_state(module_as_left(job.target_left.as_ref(), view), view, RunState::Stopped),
    )
}

/// It is stopped, and starts.
fn stopped(here: Reverting, target: candid::Principal) -> Rules {
    Rules::call(Effect::Start { canister: target })
        .then(move |_| here.on(RevertState::TargetRestarted))
        .look_at(
            When::First,
            Effect::CanisterStatus { canister: target },
            move |_| gone(target, "target"),
            |job, view| run_state(module_as_left(job.target_left.as_ref(), view), view, RunState::Running),
        )
}

/// It answers again: does it hold what was moved?
fn restarted(here: Reverting, target: candid::Principal) -> Rules {
    Rules::call(Effect::Seal { source: target }).done(move |_, value| match value {
        Value::Working { done_bytes } => Ok(Next::Again { done_bytes }),
        Value::Hashed(seal) => Ok(match fingerprint_fits(&seal).and_then(|()| unwritten(here.root, &seal)) {
            Ok(()) => Next::Enter(here.on(RevertState::TargetUnchanged { fingerprint: seal.fingerprint })),
            Err(reason) => Next::Fail(reason),
        }),
        other => wrong(&other),
    })
}

fn unwritten(moved: Digest, seal: &Seal) -> Result<(), Reason> {
    if seal.root == moved {
        return Ok(());
    }
    let detail = format!("root {} where {} was moved", short(seal.root), short(moved));
    Err(Reason::new(ReasonCode::WrittenSince, detail))
}

/// It does. Does the source, and does the dapp count the same in both?
fn target_unchanged(job: &Job, here: Reverting, fingerprint: ByteBuf) -> Rules {
    Rules::call(Effect::Recheck { source: job.source }).done(move |_, value| match value {
        Value::Working { done_bytes } => Ok(Next::Again { done_bytes }),
        Value::Hashed(found) if found.root != here.root => Ok(Next::Fail(left_behind())),
        Value::Hashed(found) if found.fingerprint != fingerprint => {
            let detail = "the roots agree, the dapp's fingerprints don't";
            Ok(Next::Fail(Reason::new(ReasonCode::WrittenSince, detail)))
        }
        Value::Hashed(_) => Ok(Next::Enter(here.on(RevertState::SourceUnchanged))),
        other => wrong(&other),
    })
}

/// Both hold what was moved, and neither takes writes. What the target was sent or given meanwhile would be lost with it.
fn source_unchanged(job: &Job, here: Reverting, target: candid::Principal) -> Rules {
    if !job.plan.has_asset_checks {
        return nothing_owned(job, &here, target);
    }
    Rules::call(Effect::CheckAssets { canister: target }).done(move |_, value| match value {
        Value::Assets(None) => Ok(Next::Enter(here.on(RevertState::NothingOwned))),
        Value::Assets(Some(found)) => Ok(Next::Fail(Reason::new(ReasonCode::HasAssets, found))),
        other => wrong(&other),
    })
}

/// The source is sealed again, and the job goes back as any other does.
fn nothing_owned(job: &Job, here: &Reverting, target: candid::Principal) -> Rules {
    let gone = here.clone();
    let routes = (0_u16..).take(job.indexes.len()).map(|index| Undo::SwapBack { index });
    let mut undo: Vec<Undo> = source_held().chain([Undo::CheckSealed]).collect();
    undo.sort_unstable();
    // Here every route is known to name the target: it does so until it names the source, which opens after that.
    undo.extend(routes);
    Rules::call(Effect::Reinstate { source: job.source, to: target })
        .then(move |_| State::RollingBack { reason: ReasonCode::Reverted.into(), undo })
        // Whoever takes the control from the coordinator may open the target.
        .look(When::First, Effect::KitStatus { canister: target }, move |job, value| match value {
            Value::Kit(view) => Ok(match is_sealed(job, view.fence) {
                true => Verdict::NotYet,
                false => Verdict::Yield(reopened(target)),
            }),
            Value::Gone => Ok(Verdict::Follow(last_copy(&gone, target))),
            other => wrong(other),
        })
}

/// Whether the target is as it was when it was compared.
pub(crate) fn is_sealed(job: &Job, fence: FenceView) -> bool {
    matches!(fence, FenceView::Sealed(holder) if holder.is_job(job.id))
}

/// Users may have written to the target since it was compared.
pub(crate) fn reopened(target: candid::Principal) -> Reason {
    let detail = format!("target {target} was opened since it was compared, and may hold what users wrote");
    Reason::new(ReasonCode::WrittenSince, detail)
}

/// It fails; the target starts, whether it was stopped or not.
fn starting(here: Reverting, target: candid::Principal, reason: Reason) -> Rules {
    let parked = here.clone();
    Rules::call(Effect::Start { canister: target })
        .then(move |_| here.on(RevertState::ThawingTarget { reason }))
        .gone_means(move |_| last_copy(&parked, target))
}

/// It fails; the source answers where its state is, before the target takes writes.
fn retiring(job: &Job, here: &Reverting, reason: Reason) -> Option<Rules> {
    retire_or_pass(job, here.on(RevertState::ThawingTarget { reason }))
}

/// It fails; the target serves on.
fn thawing(here: Reverting, target: candid::Principal) -> Rules {
    let (retained, parked, seen) = (here.retained(), here.clone(), here.clone());
    Rules::call(Effect::Thaw { source: target })
        .then(move |_| here.retained())
        .refused(move |_, code| match code {
            // Somebody else made something of it, and it is theirs.
            ReasonCode::HeldByOther | ReasonCode::NoKit => Some(Next::Enter(retained)),
            ReasonCode::Gone => Some(last_copy(&parked, target)),
            _ => None,
        })
        .look(When::AfterLost, Effect::KitStatus { canister: target }, move |job, value| match value {
            Value::Kit(view) => Ok(happened(!is_fenced(job, view.fence))),
            Value::Gone => Ok(Verdict::Follow(last_copy(&seen, target))),
            other => wrong(other),
        })
}

fn is_fenced(job: &Job, fence: FenceView) -> bool {
    fence.holder().is_some_and(|holder| holder.is_job(job.id))
}

/// Nobody knows what was written to a target that is gone: a person decides what the source, which is kept, is worth.
fn last_copy(here: &Reverting, target: candid::Principal) -> Next {
    let detail = format!("target {target}: the source holds the last copy of the state");
    Next::Park { reason: Reason::new(ReasonCode::Gone, detail), resume: here.retained() }
}
