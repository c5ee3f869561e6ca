//! Which canisters of a subnet have something to do, so that a round touches no others.

use super::calls::OpenCalls;
use candid::Principal;
use std::collections::BTreeSet;

/// What the index says of one canister. Every canister carries what was said last, so that nothing is looked
/// up where nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Indexed {
    pub(super) has_messages: bool,
    pub(super) has_heartbeat: bool,
    pub(super) hook_is_due: bool,
    pub(super) is_stopping: bool,
    /// Whether a message of it takes several rounds.
    pub(super) runs_long: bool,
    /// Nanoseconds since the epoch, 0 for none.
    pub(super) timer: u64,
    /// Calls under way, and how many of them keep memory for their response.
    pub(super) calls: OpenCalls,
}

/// Sets of canisters.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// In the middle of a message that takes several rounds.
    pub(crate) long: BTreeSet<Principal>,
    /// With something in their inbox.
    pub(crate) ready: BTreeSet<Principal>,
    /// That run and export a heartbeat.
    pub(crate) heartbeats: BTreeSet<Principal>,
    /// That run and export a function for their timer, by the time at which it fires.
    pub(crate) timers: BTreeSet<(u64, Principal)>,
    /// Whose low-memory hook is due.
    pub(crate) hooks: BTreeSet<Principal>,
    /// That wait to stop.
    pub(crate) stopping: BTreeSet<Principal>,
    /// Calls that all of them have under way.
    pub(crate) calls: OpenCalls,
}

impl Index {
    /// Takes note that a canister is now another one than before.
    pub(super) fn change(&mut self, id: Principal, before: Indexed, now: Indexed) {
        if before == now {
            return;
        }
        let sets = [
            (&mut self.long, before.runs_long, now.runs_long),
            (&mut self.ready, before.has_messages, now.has_messages),
            (&mut self.heartbeats, before.has_heartbeat, now.has_heartbeat),
            (&mut self.hooks, before.hook_is_due, now.hook_is_due),
            (&mut self.stopping, before.is_stopping, now.is_stopping),
        ];
        for (set, was_member, is_member) in sets {
            match (was_member, is_member) {
                (false, true) => _ = set.insert(id),
                (true, false) => _ = set.remove(&id),
                _ => {}
            }
        }
        self.calls = self.calls.with(now.calls).without(before.calls);
        if before.timer != now.timer {
            self.timers.remove(&(before.timer, id));
            if now.timer != 0 {
                self.timers.insert((now.timer, id));
            }
        }
    }
}
