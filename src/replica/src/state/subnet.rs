//! A subnet: its canisters, and the messages that it has to execute.

use super::Code;
use super::calls::{CallRoom, OpenCalls};
use super::canister::Canister;
use super::inbox::Inbox;
use super::index::{Index, Indexed};
use super::messages::{ManagementCall, Message, Request};
use super::outcalls::Outcalls;
use crate::api::SubnetKind;
use crate::costs::instructions::COMPILED_BEFORE_DIVISOR;
use crate::profile::SubnetProfile;
use crate::wasm::Module;
use crate::wasm::module::ModuleHash;
use candid::Principal;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

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
    /// What it charges and where it stops.
    pub(crate) profile: Arc<SubnetProfile>,
    pub(crate) seed: [u8; 32],
    /// DER public key; opaque bytes.
    pub(crate) public_key: Vec<u8>,
    /// Ids that belong to it; fresh ones come from the last range.
    pub(crate) ranges: Vec<IdRange>,
    /// Number of the next fresh canister.
    pub(crate) next_canister: u64,
    /// Changed only through [`CanisterMut`], which keeps the index true.
    canisters: BTreeMap<Principal, Canister>,
    index: Index,
    /// Calls to the management canister.
    pub(crate) management: Inbox<ManagementCall>,
    /// Instructions of the round that such calls used.
    pub(crate) management_instructions: u64,
    /// Calls of `raw_rand`: the next round has the random bytes.
    pub(crate) raw_rand: VecDeque<Request>,
    /// HTTP outcalls that wait for an answer.
    pub(crate) outcalls: Outcalls,
    /// Whether it is no more: its place stays, so that others keep theirs.
    pub(crate) is_deleted: bool,
    /// The canister whose installation takes several rounds.
    pub(crate) installing: Option<Principal>,
    /// What canisters sent to others of the subnet in this turn.
    pub(crate) outbox: Vec<Message>,
    /// What takes a round to arrive though it stays on the subnet: calls to the management canister, its
    /// answers, and what could not be delivered.
    pub(crate) loopback: VecDeque<Message>,
    /// What other subnets sent; it arrives with the next round.
    pub(crate) incoming: VecDeque<Message>,
    /// Rounds of all canisters in which they did all that they had to do.
    pub(crate) full_rounds: u64,
    /// Best-effort calls: deadline, caller, callback.
    pub(crate) deadlines: BTreeSet<(u64, Principal, u64)>,
    /// Modules that were installed here since the last checkpoint: whoever brings one of them later pays a fraction
    /// for its compilation (code: `expected_compiled_wasms`).
    pub(crate) compiled: BTreeSet<ModuleHash>,
    /// Nanoseconds since the epoch of the last charge for storage.
    pub(crate) charged_at_nanos: u64,
    /// Cycles that canisters paid which are no more, those that were left in them, and what outcalls cost.
    pub(crate) consumed_cycles: u128,
}

/// What a subnet is from its beginning.
pub(crate) struct Origins {
    pub(crate) id: Principal,
    pub(crate) kind: SubnetKind,
    pub(crate) profile: Arc<SubnetProfile>,
    pub(crate) seed: [u8; 32],
    pub(crate) public_key: Vec<u8>,
    pub(crate) ranges: Vec<IdRange>,
    pub(crate) next_canister: u64,
    pub(crate) time_nanos: u64,
}

impl Subnet {
    /// A subnet without canisters.
    pub(crate) fn new(origins: Origins) -> Self {
        let Origins { id, kind, profile, seed, public_key, ranges, next_canister, time_nanos } = origins;
        Self {
            id,
            kind,
            profile,
            seed,
            public_key,
            ranges,
            next_canister,
            canisters: BTreeMap::new(),
            index: Index::default(),
            management: Inbox::default(),
            management_instructions: 0,
            raw_rand: VecDeque::new(),
            outcalls: Outcalls::default(),
            is_deleted: false,
            installing: None,
            outbox: Vec::new(),
            loopback: VecDeque::new(),
            incoming: VecDeque::new(),
            full_rounds: 0,
            deadlines: BTreeSet::new(),
            compiled: BTreeSet::new(),
            charged_at_nanos: time_nanos,
            consumed_cycles: 0,
        }
    }

    /// Instructions that the compilation of a module is charged with.
    pub(crate) fn compile_instructions(&self, module: &Module) -> u64 {
        let divisor = if self.compiled.contains(&module.hash) { COMPILED_BEFORE_DIVISOR } else { 1 };
        module.compile_instructions() / divisor
    }

    /// Whether a canister changed so much memory that it has to wait for rounds to pass (code:
    /// `filter_canisters`).
    pub(crate) fn is_paused(&self, id: &Principal, round: u64) -> bool {
        let debits = self.canister(id).map(|canister| canister.debits);
        debits.is_some_and(|debits| debits.heap_delta_excess(self.profile.rates, round).is_some())
    }

    /// A canister, to look at.
    pub(crate) fn canister(&self, id: &Principal) -> Option<&Canister> {
        self.canisters.get(id)
    }

    /// A canister, to change.
    pub(crate) fn canister_mut(&mut self, id: &Principal) -> Option<CanisterMut<'_>> {
        let canister = self.canisters.get_mut(id)?;
        Some(CanisterMut { canister, index: &mut self.index })
    }

    /// Whether the canister exists.
    pub(crate) fn has(&self, id: &Principal) -> bool {
        self.canisters.contains_key(id)
    }

    /// The ids of all canisters.
    pub(crate) fn canister_ids(&self) -> impl ExactSizeIterator<Item = &Principal> {
        self.canisters.keys()
    }

    /// Takes a new canister in.
    pub(crate) fn insert(&mut self, mut canister: Canister) {
        // It is neither before nor behind those that were there.
        canister.turns.full_rounds = self.full_rounds / (self.canisters.len() as u64).max(1);
        let canister = self.canisters.entry(canister.id).insert_entry(canister).into_mut();
        drop(CanisterMut { canister, index: &mut self.index });
    }

    /// Takes a canister out.
    pub(crate) fn remove(&mut self, id: &Principal) -> Option<Canister> {
        let canister = self.canisters.remove(id)?;
        self.index.change(canister.id, canister.indexed, Indexed::default());
        Some(canister)
    }

    /// Takes everything out; hands out the code of its canisters.
    pub(crate) fn delete(&mut self) -> Vec<Code> {
        let canisters = std::mem::take(&mut self.canisters);
        self.is_deleted = true;
        self.index = Index::default();
        self.ranges.clear();
        self.management = Inbox::default();
        self.raw_rand.clear();
        self.outcalls = Outcalls::default();
        self.installing = None;
        self.outbox.clear();
        self.loopback.clear();
        self.incoming.clear();
        self.deadlines.clear();
        canisters.into_values().filter_map(|canister| canister.code).collect()
    }

    /// Whether nothing waits to be executed or delivered.
    pub(crate) fn is_idle(&self) -> bool {
        self.index.ready.is_empty()
            && self.index.long.is_empty()
            && self.management.is_empty()
            && self.installing.is_none()
            && self.raw_rand.is_empty()
            && self.outcalls.is_idle()
            && self.outbox.is_empty()
            && self.loopback.is_empty()
            && self.incoming.is_empty()
    }

    /// How many more calls the canister may make.
    pub(crate) fn call_room(&self, id: &Principal) -> CallRoom {
        let own = self.canister(id).map_or_else(OpenCalls::default, |canister| canister.calls.under_way());
        CallRoom::new(self.profile.calls, own, self.index.calls)
    }

    /// Which canisters have something to do.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }
}

/// A canister that is being changed. When it goes out of use the subnet's index is brought up to date.
pub(crate) struct CanisterMut<'a> {
    canister: &'a mut Canister,
    index: &'a mut Index,
}

impl Deref for CanisterMut<'_> {
    type Target = Canister;

    fn deref(&self) -> &Canister {
        self.canister
    }
}

impl DerefMut for CanisterMut<'_> {
    fn deref_mut(&mut self) -> &mut Canister {
        self.canister
    }
}

impl Drop for CanisterMut<'_> {
    fn drop(&mut self) {
        let now = self.canister.to_index();
        let before = std::mem::replace(&mut self.canister.indexed, now);
        self.index.change(self.canister.id, before, now);
    }
}
