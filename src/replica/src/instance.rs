//! One PocketIC instance: its subnets, its clock and the calls that users make.

pub use crate::api::{
    EffectivePrincipal, HttpHeader, HttpMethod, HttpRequest, HttpResponse, IngressStatus, MessageId,
    OutcallView, SubnetKind, SubnetMetrics, SubnetView, Transform, UserCall,
};

use crate::execution::runner::Runner;
use crate::faults::Faults;
use crate::profile::{CostSchedule, Fees, InstructionLimit, SubnetProfile};
use crate::random::Random;
use crate::schedule::Schedule;
use crate::state::ingress::IngressHistory;
use crate::state::subnet::CanisterMut;
use crate::state::{Canister, Subnet};
use crate::topology::{self, Rules};
use crate::trace::Trace;
use crate::wasm::ModuleCache;
use candid::Principal;
use std::sync::Arc;

/// The first moment of an instance that is not told another one: 2021-05-06 19:17:10 UTC, as PocketIC has it.
pub const DEFAULT_TIME_NANOS: u64 = 1_620_328_630_000_000_000;

/// What a new instance consists of.
#[derive(Debug, Clone, Default)]
pub struct InstanceSpec {
    /// Its subnets, in the order in which ids are handed out.
    pub subnets: Vec<NewSubnet>,
    /// Nanoseconds since the Unix epoch; `None`: [`DEFAULT_TIME_NANOS`].
    pub time_nanos: Option<u64>,
    /// Everything that is random in the instance derives from it.
    pub seed: u64,
    /// The price list of all its subnets.
    pub fees: Fees,
    /// Whether canisters may change and install as much as they like in a round.
    pub ignores_rate_limits: bool,
    /// What the specification leaves open is by chance from it; `None`: as the platform does it.
    pub schedule_seed: Option<u64>,
}

/// A subnet of a new instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSubnet {
    /// Its kind, from which its nodes follow.
    pub kind: SubnetKind,
    /// Whether its canisters pay.
    pub schedule: CostSchedule,
    /// How much its messages may do.
    pub instruction_limit: InstructionLimit,
}

impl From<SubnetKind> for NewSubnet {
    fn from(kind: SubnetKind) -> Self {
        Self { kind, schedule: CostSchedule::default(), instruction_limit: InstructionLimit::default() }
    }
}

/// One PocketIC instance. All methods are synchronous and run on the caller's thread.
///
/// Wasm needs a stack of [`STACK_BYTES`]: a thread that calls `tick`, `await_ingress`, `submit` or `query`
/// must have it.
pub struct Instance {
    /// The time of the last round: what canisters and queries see.
    pub(crate) time_nanos: u64,
    /// The clock: the time of the next round, unless that would stand still.
    pub(crate) clock_nanos: u64,
    /// What all its subnets have in common.
    pub(crate) rules: Rules,
    pub(crate) subnets: Vec<Subnet>,
    pub(crate) runner: Runner,
    pub(crate) random: Random,
    pub(crate) schedule: Schedule,
    pub(crate) ingress: IngressHistory,
    pub(crate) trace: Trace,
    pub(crate) faults: Faults<Self>,
    /// Rounds from one checkpoint to the next, where somebody said.
    pub(crate) checkpoint_rounds: Option<u64>,
    /// Rounds executed so far.
    pub(crate) round: u64,
    pub(crate) root_key: Arc<[u8]>,
    /// Index of the subnet where canisters are created when nobody says where: it stays when others are added.
    default_subnet: usize,
}

/// Stack that a thread needs to run canisters: that of wasm, and room for the host below it.
pub const STACK_BYTES: usize = crate::costs::limits::WASM_STACK_BYTES + (4 << 20);

/// Index of the root subnet: the NNS, which is the first where there is one, or whatever is the first.
pub(crate) const ROOT: usize = 0;

impl Instance {
    /// A new instance without canisters.
    ///
    /// Errors with a sentence if there is no subnet, if two subnets would share canister ids, or if the time
    /// lies before the network's.
    pub(crate) fn new(spec: InstanceSpec, modules: Arc<ModuleCache>) -> Result<Self, String> {
        let time_nanos = spec.time_nanos.unwrap_or(DEFAULT_TIME_NANOS);
        if time_nanos < DEFAULT_TIME_NANOS {
            return Err(format!(
                "The initial timestamp (unix timestamp in nanoseconds) must be no earlier than \
                 {DEFAULT_TIME_NANOS} (provided {time_nanos})."
            ));
        }
        // PocketIC executes a round for each subnet that it creates, each a nanosecond later than the last.
        let time_nanos = time_nanos
            .checked_add(spec.subnets.len() as u64)
            .ok_or_else(|| format!("The initial timestamp {time_nanos} is the end of time."))?;
        let rules = Rules { fees: spec.fees, limits_rates: !spec.ignores_rate_limits, seed: spec.seed };
        let subnets = topology::subnets(&spec.subnets, &rules, time_nanos)?;
        let default_subnet = topology::default_subnet(&subnets);
        let root_key = subnets.get(ROOT).map_or_else(Vec::new, |subnet| subnet.public_key.clone());
        Ok(Self {
            time_nanos,
            clock_nanos: time_nanos,
            rules,
            subnets,
            runner: Runner::new(modules),
            random: Random::new(spec.seed),
            schedule: Schedule::new(spec.schedule_seed),
            ingress: IngressHistory::default(),
            trace: Trace::default(),
            faults: Faults::default(),
            checkpoint_rounds: None,
            round: 0,
            root_key: root_key.into(),
            default_subnet,
        })
    }

    /// The subnets, in the order of the specification that made them.
    pub fn subnets(&self) -> Vec<SubnetView> {
        self.subnets.iter().filter(|subnet| !subnet.is_deleted).map(topology::view).collect()
    }

    /// The canister id that clients use as effective id for creation.
    pub fn default_effective_canister_id(&self) -> Principal {
        topology::first_id(&self.subnets[self.default_subnet()])
    }

    /// DER public key, opaque bytes; `None` for an unknown subnet.
    pub fn public_key(&self, subnet: Principal) -> Option<Vec<u8>> {
        self.subnet_index(subnet).map(|subnet| self.subnets[subnet].public_key.clone())
    }

    /// DER public key of the network, opaque bytes.
    pub fn root_key(&self) -> &[u8] {
        &self.root_key
    }

    /// What a subnet says of itself; `None` for an unknown one.
    pub fn subnet_metrics(&self, subnet: Principal) -> Option<SubnetMetrics> {
        let subnet = &self.subnets[self.subnet_index(subnet)?];
        let canisters: Vec<&Canister> = subnet.canister_ids().filter_map(|id| subnet.canister(id)).collect();
        Some(SubnetMetrics {
            canisters: canisters.len() as u64,
            state_bytes: canisters.iter().map(|canister| canister.memory().total()).sum(),
            consumed_cycles: canisters
                .iter()
                .fold(subnet.consumed_cycles, |sum, canister| sum.saturating_add(canister.consumed_cycles)),
        })
    }

    /// Nanoseconds since the Unix epoch: the time that was set, or that of the last round.
    pub fn clock_nanos(&self) -> u64 {
        self.clock_nanos
    }

    /// Sets the clock of all subnets; errors with a sentence if it would go back. Canisters see it with the
    /// next round.
    pub fn set_time_nanos(&mut self, nanos: u64) -> Result<(), String> {
        if nanos < self.clock_nanos {
            return Err(format!("SettingTimeIntoPast(({}, {nanos}))", self.clock_nanos));
        }
        self.clock_nanos = nanos;
        Ok(())
    }

    /// As [`Instance::set_time_nanos`], and queries see it at once.
    pub fn set_certified_time_nanos(&mut self, nanos: u64) -> Result<(), String> {
        self.set_time_nanos(nanos)?;
        self.time_nanos = nanos;
        Ok(())
    }

    /// Moves the clock on to the next round: to what was set, or by a nanosecond if that is no later. At the end of time it
    /// stands still.
    pub(crate) fn advance_clock(&mut self) {
        if self.clock_nanos == self.time_nanos {
            self.clock_nanos = self.clock_nanos.saturating_add(1);
        }
        self.time_nanos = self.clock_nanos;
    }

    /// Cycle balance; errors with a sentence if there is no such canister, as the methods below do.
    pub fn cycles(&self, id: Principal) -> Result<u128, String> {
        self.existing(id).map(|canister| canister.cycles)
    }

    /// Adds cycles out of nothing; answers the new balance.
    pub fn add_cycles(&mut self, id: Principal, amount: u128) -> Result<u128, String> {
        let mut canister = self.canister_mut(id).ok_or_else(|| no_canister(id))?;
        canister.cycles = canister.cycles.saturating_add(amount);
        Ok(canister.cycles)
    }

    /// Size of stable memory in bytes.
    pub fn stable_memory_bytes(&self, id: Principal) -> Result<u64, String> {
        self.existing(id).map(|canister| canister.stable.size_bytes())
    }

    /// All bytes of stable memory.
    pub fn stable_memory(&self, id: Principal) -> Result<Vec<u8>, String> {
        let canister = self.existing(id)?;
        let size = usize::try_from(canister.stable.size_bytes())
            .map_err(|_| "stable memory exceeds the address space".to_owned())?;
        let mut bytes = vec![0; size];
        canister.stable.pages.read(0, &mut bytes);
        Ok(bytes)
    }

    /// Replaces stable memory; the size is rounded up to whole wasm pages.
    pub fn set_stable_memory(&mut self, id: Principal, bytes: &[u8]) -> Result<(), String> {
        let mut canister = self.canister_mut(id).ok_or_else(|| no_canister(id))?;
        let size_pages = (bytes.len() as u64).div_ceil(crate::costs::WASM_PAGE_BYTES);
        let mut stable = crate::memory::stable::StableMemory { size_pages, ..Default::default() };
        stable.pages.write(0, bytes);
        canister.stable = stable;
        Ok(())
    }

    /// The controllers.
    pub fn controllers(&self, id: Principal) -> Result<Vec<Principal>, String> {
        self.existing(id).map(|canister| canister.settings.controllers.iter().copied().collect())
    }

    /// Subnet of an existing canister.
    pub fn subnet_of(&self, id: Principal) -> Option<Principal> {
        self.subnets.iter().find(|subnet| subnet.has(&id)).map(|subnet| subnet.id)
    }

    /// Deletes a subnet with all its canisters. Errors with a sentence if there is no such subnet, or if it is one of
    /// the named ones.
    pub fn delete_subnet(&mut self, id: Principal) -> Result<(), String> {
        let index = self.subnet_index(id).ok_or_else(|| format!("SubnetNotFound({id})"))?;
        let kind = self.subnets[index].kind;
        if topology::is_named(kind) {
            return Err(format!(
                "the subnet {id} is the {kind:?} subnet, and named subnets can't be deleted"
            ));
        }
        for code in self.subnets[index].delete() {
            self.runner.forget(code.generation);
        }
        Ok(())
    }

    /// From now on the order in which canisters, senders and responses have their turn, which the specification
    /// leaves open, is by chance from a seed; `None`: as the platform does it.
    pub fn set_schedule_seed(&mut self, seed: Option<u64>) {
        self.schedule = Schedule::new(seed);
    }

    /// The messages that were executed and recorded.
    pub fn trace(&mut self) -> &mut Trace {
        &mut self.trace
    }

    /// What goes wrong on purpose.
    pub fn faults(&mut self) -> &mut Faults<Self> {
        &mut self.faults
    }

    /// What a subnet charges and where it stops.
    pub(crate) fn profile(&self, subnet: usize) -> &SubnetProfile {
        &self.subnets[subnet].profile
    }

    /// Index of the subnet where canisters are created when nobody says where.
    pub(crate) fn default_subnet(&self) -> usize {
        if self.subnets[self.default_subnet].is_deleted {
            return topology::default_subnet(&self.subnets);
        }
        self.default_subnet
    }

    /// Index of the subnet with this id.
    pub(crate) fn subnet_index(&self, id: Principal) -> Option<usize> {
        self.subnets.iter().position(|subnet| subnet.id == id && !subnet.is_deleted)
    }

    /// Index of the subnet that holds the canister.
    pub(crate) fn home(&self, id: Principal) -> Option<usize> {
        self.subnets.iter().position(|subnet| subnet.has(&id))
    }

    /// Index of the subnet to which the id belongs, whether or not the canister exists.
    pub(crate) fn responsible(&self, id: Principal) -> Option<usize> {
        self.home(id).or_else(|| {
            let number = crate::ids::canister_number(id)?;
            self.subnets.iter().position(|subnet| subnet.ranges.iter().any(|range| range.contains(number)))
        })
    }

    /// A canister of any subnet.
    pub(crate) fn canister(&self, id: Principal) -> Option<&Canister> {
        self.subnets.iter().find_map(|subnet| subnet.canister(&id))
    }

    /// A canister of any subnet.
    pub(crate) fn canister_mut(&mut self, id: Principal) -> Option<CanisterMut<'_>> {
        self.subnets.iter_mut().find_map(|subnet| subnet.canister_mut(&id))
    }

    fn existing(&self, id: Principal) -> Result<&Canister, String> {
        self.canister(id).ok_or_else(|| no_canister(id))
    }
}

fn no_canister(id: Principal) -> String {
    format!("CanisterNotFound(CanisterId({id}))")
}
