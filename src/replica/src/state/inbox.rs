//! What waits to be executed: a queue a sender, taken in turn.

use super::messages::{Inbound, ManagementCall};
use crate::schedule::Schedule;
use candid::Principal;
use std::collections::{BTreeMap, VecDeque};

/// Where a message comes from. A canister takes from each in turn (code: `InputSchedule`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A canister of the same subnet.
    Local,
    /// A user.
    Ingress,
    /// A canister of another subnet.
    Remote,
}

const SOURCES: [Source; 3] = [Source::Local, Source::Ingress, Source::Remote];

/// A message in a queue.
pub(crate) trait Queued {
    /// Whether the specification lets it overtake others of the same sender: requests between two canisters keep
    /// their order, responses need not (spec, "Ordering guarantees").
    fn may_overtake(&self) -> bool;
}

impl Queued for Inbound {
    fn may_overtake(&self) -> bool {
        matches!(self, Self::Response(_))
    }
}

impl Queued for ManagementCall {
    fn may_overtake(&self) -> bool {
        false
    }
}

/// The queues of all senders of one source. Without a seed a sender's messages keep their order, senders take turns.
#[derive(Debug)]
struct Senders<M> {
    queues: BTreeMap<Principal, VecDeque<M>>,
    /// Senders with messages, whose turn it is first.
    turns: VecDeque<Principal>,
}

impl<M> Senders<M> {
    fn push(&mut self, sender: Principal, message: M) {
        let queue = self.queues.entry(sender).or_default();
        if queue.is_empty() {
            self.turns.push_back(sender);
        }
        queue.push_back(message);
    }

    /// The next message that may be taken. A sender whose next one may not is passed over.
    fn pop(&mut self, schedule: &mut Schedule, may_take: &impl Fn(&M) -> bool) -> Option<M>
    where
        M: Queued,
    {
        for _ in 0..self.turns.len() {
            let sender = self.turns.remove(schedule.below(self.turns.len()))?;
            let queue = self.queues.get_mut(&sender)?;
            let chosen = schedule.below(queue.len());
            let next = if queue.get(chosen).is_some_and(Queued::may_overtake) { chosen } else { 0 };
            let taken = if queue.get(next).is_some_and(may_take) { queue.remove(next) } else { None };
            if queue.is_empty() {
                self.queues.remove(&sender);
            } else {
                self.turns.push_back(sender);
            }
            if taken.is_some() {
                return taken;
            }
        }
        None
    }
}

impl<M> Default for Senders<M> {
    fn default() -> Self {
        Self { queues: BTreeMap::new(), turns: VecDeque::new() }
    }
}

/// The messages that a canister, or the management canister of a subnet, has not executed yet.
#[derive(Debug)]
pub(crate) struct Inbox<M> {
    sources: [Senders<M>; SOURCES.len()],
    /// The source whose turn it is.
    turn: usize,
    len: usize,
}

impl<M: Queued> Inbox<M> {
    /// Adds a message behind those of the same sender.
    pub(crate) fn push(&mut self, source: Source, sender: Principal, message: M) {
        self.sources[source as usize].push(sender, message);
        self.len += 1;
    }

    /// The next message.
    pub(crate) fn pop(&mut self, schedule: &mut Schedule) -> Option<M> {
        self.pop_if(schedule, |_| true)
    }

    /// The next message that may be taken.
    pub(crate) fn pop_if(&mut self, schedule: &mut Schedule, may_take: impl Fn(&M) -> bool) -> Option<M> {
        if schedule.is_seeded() {
            self.turn = schedule.below(SOURCES.len());
        }
        for _ in SOURCES {
            let source = &mut self.sources[self.turn];
            self.turn = (self.turn + 1) % SOURCES.len();
            if let Some(message) = source.pop(schedule, &may_take) {
                self.len -= 1;
                return Some(message);
            }
        }
        None
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<M> Default for Inbox<M> {
    fn default() -> Self {
        Self { sources: Default::default(), turn: 0, len: 0 }
    }
}
