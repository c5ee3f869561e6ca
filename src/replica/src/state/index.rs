//! Which canisters of a subnet have something to do, so that a round touches no others.

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
}

impl Index {
    /// Takes note that a canister is now another one than before.
    pub(super) fn change(&mut self, id: Principal, before: Indexed, now: Indexed) {
        if before == now {
            return;
        }
        set_membership(&mut self.long, id, now.runs_long);
        set_membership(&mut self.ready, id, now.has_messages);
        set_membership(&mut self.heartbeats, id, now.has_heartbeat);
        set_membership(&mut self.hooks, id, now.hook_is_due);
        set_membership(&mut self.stopping, id, now.is_stopping);
        if before.timer != now.timer {
            self.timers.remove(&(before.timer, id));
            set_membership(&mut self.timers, (now.timer, id), now.timer != 0);
        }
    }
}

fn set_membership<T: Ord>(set: &mut BTreeSet<T>, item: T, is_member: bool) {
    if is_member {
        set.insert(item);
    } else {
        set.remove(&item);
    }
}
