//! A subnet: its canisters, and the messages that it has to execute.

use super::canister::Canister;
use super::messages::{Message, Request};
use crate::instance::SubnetKind;
use candid::Principal;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// An inclusive range of canister numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdRange {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl IdRange {
    /// Whether it holds the number.
    pub(crate) fn contains(&self, number: u64) -> bool {
        (self.first..=self.last).contains(&number)
    }
}

/// A subnet.
pub(crate) struct Subnet {
    pub(crate) id: Principal,
    pub(crate) kind: SubnetKind,
    pub(crate) seed: [u8; 32],
    /// DER public key; opaque bytes.
    pub(crate) public_key: Vec<u8>,
    /// Ids that belong to it; fresh ones come from the last range.
    pub(crate) ranges: Vec<IdRange>,
    /// Number of the next fresh canister.
    pub(crate) next_canister: u64,
    pub(crate) canisters: BTreeMap<Principal, Canister>,
    /// Calls to the management canister.
    pub(crate) management: VecDeque<Request>,
    /// What other subnets sent; it is inducted when the next round begins.
    pub(crate) incoming: VecDeque<Message>,
    /// Canisters with something in their inbox.
    pub(crate) ready: BTreeSet<Principal>,
    /// Canisters that export a heartbeat.
    pub(crate) heartbeats: BTreeSet<Principal>,
    /// Canisters by the time at which their timer fires.
    pub(crate) timers: BTreeSet<(u64, Principal)>,
    /// Canisters whose low-memory hook is due.
    pub(crate) hooks: BTreeSet<Principal>,
    /// Canisters that wait to stop.
    pub(crate) stopping: BTreeSet<Principal>,
    /// Best-effort calls: deadline, caller, callback.
    pub(crate) deadlines: BTreeSet<(u64, Principal, u64)>,
    /// The timer under which each canister is in `timers`.
    pub(crate) timer_of: BTreeMap<Principal, u64>,
    /// Modules that were compiled here, and paid for.
    pub(crate) compiled: BTreeSet<crate::wasm::module::ModuleHash>,
    /// Nanoseconds since the epoch of the last charge for storage.
    pub(crate) charged_at_nanos: u64,
}

impl Subnet {
    /// Brings the indices up to date with what a canister is now. To be called after every change of its
    /// code, timer, status or hook.
    pub(crate) fn reindex(&mut self, id: Principal) {
        use super::canister::Status;
        use super::snapshots::HookStatus;
        let canister = self.canisters.get(&id);
        let running = canister.filter(|canister| matches!(canister.status, Status::Running));
        let exports =
            |name| running.and_then(|c| c.code.as_ref()).is_some_and(|code| code.module.exports(name));
        set_membership(&mut self.heartbeats, id, exports("canister_heartbeat"));
        let hook_is_due = running.is_some_and(|canister| canister.hook_status == HookStatus::Ready);
        set_membership(&mut self.hooks, id, hook_is_due);
        let is_stopping = canister.is_some_and(|canister| matches!(canister.status, Status::Stopping(_)));
        set_membership(&mut self.stopping, id, is_stopping);
        let has_messages = canister.is_some_and(|canister| !canister.inbox.is_empty());
        set_membership(&mut self.ready, id, has_messages);
        let timer = running.map_or(0, |canister| canister.global_timer);
        if self.timer_of.get(&id).copied().unwrap_or(0) != timer {
            if let Some(before) = self.timer_of.remove(&id) {
                self.timers.remove(&(before, id));
            }
            if timer != 0 {
                self.timer_of.insert(id, timer);
                self.timers.insert((timer, id));
            }
        }
    }
}

fn set_membership(set: &mut BTreeSet<Principal>, id: Principal, is_member: bool) {
    if is_member {
        set.insert(id);
    } else {
        set.remove(&id);
    }
}
