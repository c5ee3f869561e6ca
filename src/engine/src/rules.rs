//! What a state says of itself: its call, what each outcome leads to, the look, and its undo, in one place.
//!
//! Each state has a function that answers [`Rules`]; the functions stand in the order in which a job passes the
//! states: `relocate` for a dapp with the kit, `vessel` for one that nobody can change, `back` for the way back.

use crate::{CanisterView, Effect, Job, Reason, ReasonCode, RunState, Sought, State, Undo, Value, Why};

type Done = Box<dyn FnOnce(&mut Job, Value) -> Result<Next, Why>>;
type Refused = Box<dyn FnOnce(&mut Job, ReasonCode) -> Option<Next>>;
type Seen = Box<dyn FnOnce(&mut Job, &Value) -> Result<Verdict, Why>>;

/// What a state says of itself.
pub(crate) struct Rules {
    /// The one call that takes the job out of the state. `None`: an event of its own does.
    pub(crate) call: Option<Effect>,
    /// What follows when it is answered.
    pub(crate) done: Done,
    /// What a refusal with that code means, other than that it was refused.
    pub(crate) refused: Refused,
    /// The look at the canister before the call, or after a reply that never came. `None`: a repetition is answered
    /// as the first call was, so that it is the look.
    pub(crate) look: Option<Look>,
    /// What is to be undone from here, whatever became of the call: a stack, its top last.
    pub(crate) undo: Vec<Undo>,
    /// What is to be undone besides if the call may have had its effect; on top. Every undo is safe where nothing was
    /// done.
    pub(crate) undo_call: Vec<Undo>,
    /// The snapshot that the call makes, if it does: on the way back nobody may know whether it did.
    pub(crate) makes_snapshot: Option<Sought>,
}

/// A look.
pub(crate) struct Look {
    /// What it calls.
    pub(crate) effect: Effect,
    /// When.
    pub(crate) when: When,
    /// What is seen says of the state's call.
    pub(crate) verdict: Seen,
}

/// When a job looks. A reply that never came is always looked after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Only then.
    AfterLost,
    /// Also before a call, unless a reply of the same canister was received in the message that sends it.
    IfStale,
    /// Before every call, in the message that sends it (promise 11), but for a target that was created in it.
    First,
}

/// What follows.
pub(crate) enum Next {
    /// Another state.
    Enter(State),
    /// The same one: so many bytes are done.
    Again {
        /// Bytes done.
        done_bytes: u64,
    },
    /// The topmost undo is done.
    Undone,
    /// It can't go on: roll back, or retain again. Only in a stage that can fail.
    Fail(Reason),
    /// It can't go on without an operator. Only after the commit point, or on the way back.
    Park {
        /// Why.
        reason: Reason,
        /// Where it goes on.
        resume: State,
    },
}

/// What the look says.
pub(crate) enum Verdict {
    /// The call had its effect: go on as if it had been acknowledged.
    Happened,
    /// It had its effect, and would have answered this.
    Answered(Value),
    /// It had none, and the canister is as this job left it: send it.
    NotYet,
    /// Neither: what is seen is not this job's doing. It yields.
    Yield(Reason),
    /// What is seen leads somewhere of its own.
    Follow(Next),
}

impl Rules {
    /// A state that is left by an event of its own.
    pub(crate) fn none() -> Self {
        Self {
            call: None,
            done: Box::new(|_, value| wrong(&value)),
            refused: Box::new(|_, _| None),
            look: None,
            undo: Vec::new(),
            undo_call: Vec::new(),
            makes_snapshot: None,
        }
    }

    /// A state that is left by this call.
    pub(crate) fn call(effect: Effect) -> Self {
        Self { call: Some(effect), ..Self::none() }
    }

    /// What follows when the call is answered.
    pub(crate) fn done(mut self, done: impl FnOnce(&mut Job, Value) -> Result<Next, Why> + 'static) -> Self {
        self.done = Box::new(done);
        self
    }

    /// The state that follows when the call is acknowledged.
    pub(crate) fn then(self, next: impl FnOnce(&mut Job) -> State + 'static) -> Self {
        self.done(|job, value| match value {
            Value::Acknowledged => Ok(Next::Enter(next(job))),
            other => wrong(&other),
        })
    }

    /// What a refusal with some code means, other than that it was refused.
    pub(crate) fn refused(
        mut self,
        refused: impl FnOnce(&mut Job, ReasonCode) -> Option<Next> + 'static,
    ) -> Self {
        self.refused = Box::new(refused);
        self
    }

    /// A canister that does not exist need not be acted upon: on there.
    pub(crate) fn gone_means(self, next: impl FnOnce(&mut Job) -> Next + 'static) -> Self {
        self.refused(|job, code| (code == ReasonCode::Gone).then(|| next(job)))
    }

    /// The look, and when.
    pub(crate) fn look(
        mut self,
        when: When,
        effect: Effect,
        verdict: impl FnOnce(&mut Job, &Value) -> Result<Verdict, Why> + 'static,
    ) -> Self {
        self.look = Some(Look { effect, when, verdict: Box::new(verdict) });
        self
    }

    /// A look at a canister by its status. That one is gone is not this job's doing: it yields.
    pub(crate) fn look_at(
        self,
        when: When,
        effect: Effect,
        gone: impl FnOnce(&Job) -> Reason + 'static,
        verdict: impl FnOnce(&mut Job, &CanisterView) -> Verdict + 'static,
    ) -> Self {
        self.look(when, effect, move |job, value| match value {
            Value::Canister(view) => Ok(verdict(job, view)),
            Value::Gone => Ok(Verdict::Yield(gone(job))),
            other => wrong(other),
        })
    }

    /// What is to be undone from here on.
    pub(crate) fn undo(mut self, undo: impl IntoIterator<Item = Undo>) -> Self {
        self.undo.extend(undo);
        self
    }

    /// What is to be undone besides if the call may have had its effect.
    pub(crate) fn undo_call(mut self, undo: Undo) -> Self {
        self.undo_call.push(undo);
        self
    }

    /// The call makes this snapshot.
    pub(crate) fn makes_snapshot(mut self, sought: Sought) -> Self {
        self.makes_snapshot = Some(sought);
        self
    }

    /// When the state looks before its call.
    pub(crate) fn looks_before(&self) -> bool {
        self.look.as_ref().is_some_and(|look| look.when != When::AfterLost)
    }
}

/// A value that the call does not answer.
pub(crate) fn wrong<T>(value: &Value) -> Result<T, Why> {
    Err(Why::WrongValue { value: value.name() })
}

/// Not yet, if the canister is as this job left it.
pub(crate) fn not_yet(as_left: Result<(), Reason>) -> Verdict {
    as_left.map_or_else(Verdict::Yield, |()| Verdict::NotYet)
}

/// Whether a start or a stop had its effect, if the canister is as this job left it.
pub(crate) fn run_state(as_left: Result<(), Reason>, view: &CanisterView, wanted: RunState) -> Verdict {
    as_left.map_or_else(Verdict::Yield, |()| happened(view.run_state == wanted))
}

/// Happened, or not yet.
pub(crate) fn happened(has: bool) -> Verdict {
    if has { Verdict::Happened } else { Verdict::NotYet }
}
