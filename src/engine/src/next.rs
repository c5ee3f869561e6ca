//! What a strategy says follows.

use crate::{Reason, State, Value};

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
    /// It can't go on: roll back. Only before the commit point.
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
    /// It had none: repeat it.
    NotYet,
    /// Neither: what is seen can't be.
    Contradiction(Reason),
}

/// What follows though, or because, the call was refused with that code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tolerated {
    /// Go on there.
    Enter(State),
    /// The topmost undo is done.
    Undone,
    /// The topmost undo got on: ask what is left to do.
    Again,
    /// Repeating it is no use: an operator has to look. Only after the commit point, or on the way back.
    Park(Reason),
}
