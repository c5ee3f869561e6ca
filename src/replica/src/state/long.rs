//! Messages and installations that take more than one round (the platform's deterministic time slicing).
//!
//! The replica runs one at once and withholds what it did until the rounds have passed that its instructions
//! take. Meanwhile the canister does nothing else, and whoever looks sees what it was before.

use super::code::{Code, Parts};
use super::history::{Author, ChangeKind};
use super::messages::Request;
use crate::accounts::Prepaid;
use crate::error::UserError;
use crate::memory::pages::Page;
use crate::system_api::host::{Effects, HostError};
use crate::trace::Event;
use crate::wasm::module::GlobalValue;
use candid::Principal;
use std::sync::Arc;

/// How a run ended. Of the effects, heap, globals and stable memory are kept, dropped or withheld already; the
/// others are for the caller to apply, or to drop where the run failed.
pub(crate) struct Finished {
    /// Instructions used, those for dirty pages included.
    pub(crate) instructions: u64,
    /// Pages of heap and stable memory that it changed, and that last.
    pub(crate) heap_delta_pages: u64,
    /// What went wrong, if anything.
    pub(crate) result: Result<(), HostError>,
    /// What the message wanted to do.
    pub(crate) effects: Effects,
    /// What is kept only when the message has had its rounds.
    pub(crate) withheld: Option<Withheld>,
}

impl Finished {
    /// Of what could not even begin.
    pub(crate) fn unrun(result: Result<(), HostError>, effects: Effects) -> Self {
        Self { instructions: 0, heap_delta_pages: 0, result, effects, withheld: None }
    }
}

/// Changes of heap and globals that are kept later. Those of stable memory are in the effects.
pub(crate) struct Withheld {
    pub(crate) pages: Vec<(u64, Arc<Page>)>,
    pub(crate) heap_pages: u64,
    pub(crate) globals: Vec<GlobalValue>,
}

impl Withheld {
    /// Keeps them. The heap gets a new name: the running instance, if there is one, knows it as it was.
    pub(crate) fn keep(self, code: &mut Code, generation: u64) {
        for (index, page) in self.pages {
            code.heap.put(index, page);
        }
        code.heap_pages = self.heap_pages;
        code.globals = self.globals;
        code.generation = generation;
    }
}

/// A message that ran, with what is left to be done when it has had its rounds.
pub(crate) struct Ran {
    pub(crate) context_id: u64,
    /// Balance before it was paid for.
    pub(crate) balance_before: u128,
    /// Cycles that were taken for its execution.
    pub(crate) prepaid: Prepaid,
    pub(crate) finished: Finished,
    /// What the trace says of it, if there is one: figures are filled in at its end.
    pub(crate) event: Option<Event>,
}

/// An installation that ran.
pub(crate) struct Installation {
    pub(crate) canister_id: Principal,
    /// What the canister becomes, and what its history says; or why the installation failed.
    pub(crate) outcome: Result<(Parts, Author, ChangeKind), UserError>,
    /// All of it.
    pub(crate) instructions: u64,
    /// For putting the module together and compiling it, which is done at once.
    pub(crate) preparation_instructions: u64,
}

/// What takes several rounds.
pub(crate) enum Work {
    /// A message or task.
    Message(Box<Ran>),
    /// An installation, and the call that is answered at its end.
    Installation(Box<(Installation, Request)>),
}

/// Work with the instructions that are still to be spent on it.
pub(crate) struct Long {
    left: u64,
    /// Instructions of a round.
    slice: u64,
    pub(crate) work: Work,
}

impl Long {
    /// What took its first slice of `instructions`.
    pub(crate) fn begin(instructions: u64, slice: u64, work: Work) -> Self {
        Self { left: instructions.saturating_sub(slice), slice, work }
    }

    /// Spends a slice; answers its instructions.
    pub(crate) fn spend(&mut self) -> u64 {
        let spent = self.left.min(self.slice);
        self.left -= spent;
        spent
    }

    /// Whether it has had its rounds.
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Whether it is a message or task.
    pub(crate) fn is_message(&self) -> bool {
        matches!(self.work, Work::Message(_))
    }
}
