//! What a subnet charges and where it stops, as data: fees, nodes, limits of instructions, rate limits.
//!
//! Sources: *config* is `rs/config/src/subnet_config.rs` of dfinity/ic (October 2025), which has one such table
//! for application and one for system subnets; *docs* is the developer documentation ("Cycle costs").

mod limits;

pub(crate) use limits::{CallLimits, InstructionLimits, PlatformInstructions, RateLimits, StableLimits};

use crate::costs::limits::INTER_CANISTER_PAYLOAD_BYTES;
use std::sync::{Arc, LazyLock};

/// The price list that canisters pay by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fees {
    /// That of 2025: 127,000 cycles a GiB and second, and nothing for a canister as such (config).
    Of2025,
    /// That of 2026: 317,500 cycles a GiB and second, and 10,000 cycles a second for every canister that holds
    /// anything at all (dfinity/ic #10292).
    #[default]
    Of2026,
}

/// What canisters of a subnet pay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CostSchedule {
    /// The price list, by the subnet's nodes.
    #[default]
    Normal,
    /// Nothing: rented subnets.
    Free,
}

/// Which instruction limits hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InstructionLimit {
    /// Those of the mainnet.
    #[default]
    Production,
    /// None that a benchmark meets (`pocket_ic_server`: 99,999,999,999,999).
    Benchmarking,
}

/// Nodes of the subnet that the price list is made for (config: `DEFAULT_REFERENCE_SUBNET_SIZE`).
const REFERENCE_NODES: u64 = 13;

/// Prices in cycles on a subnet of [`REFERENCE_NODES`] (config and docs; they agree).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct PriceList {
    /// Creation of a canister.
    create_canister: u128,
    /// Base fee of an update message, callback or task.
    message: u128,
    /// An instruction, on 32-bit and on 64-bit wasm.
    instruction: [u128; 2],
    /// An inter-canister call, without bytes.
    call: u128,
    /// A byte of an inter-canister request or response.
    call_byte: u128,
    /// Reception of an ingress message, without bytes.
    ingress: u128,
    /// A byte of an ingress message, envelope included.
    ingress_byte: u128,
    /// A GiB of memory for a second.
    gib_second: u128,
    /// A canister that holds anything, for a second.
    canister_second: u128,
    /// A percent of compute allocation for a second.
    compute_percent_second: u128,
    /// A threshold signature or derived key.
    threshold_signature: u128,
    /// An HTTP outcall: for each node, for each pair of nodes, for a byte of request and of response and each node.
    http: [u128; 4],
}

impl PriceList {
    fn of(fees: Fees) -> Self {
        let (gib_second, canister_second) = match fees {
            Fees::Of2025 => (127_000, 0),
            Fees::Of2026 => (317_500, 10_000),
        };
        Self {
            create_canister: 500_000_000_000,
            message: 5_000_000,
            instruction: [1, 2],
            call: 260_000,
            call_byte: 1_000,
            ingress: 1_200_000,
            ingress_byte: 2_000,
            gib_second,
            canister_second,
            compute_percent_second: 10_000_000,
            threshold_signature: 10_000_000_000,
            http: [3_000_000, 60_000, 400, 800],
        }
    }

    /// Everything is free on system subnets but what other subnets do for them (config).
    fn of_system_subnet(fees: Fees) -> Self {
        Self { threshold_signature: Self::of(fees).threshold_signature, ..Self::default() }
    }
}

/// How a subnet is made; the rest follows from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProfileSpec {
    /// Nodes, by which all prices grow.
    pub(crate) nodes: u64,
    /// Whether it is one of the network's own.
    pub(crate) is_system: bool,
    pub(crate) fees: Fees,
    pub(crate) schedule: CostSchedule,
    pub(crate) instruction_limit: InstructionLimit,
    /// Whether canisters pause that change or install too much.
    pub(crate) limits_rates: bool,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SubnetProfile {
    /// Nodes of the subnet.
    pub(crate) nodes: u64,
    prices: PriceList,
    /// Instructions of messages.
    pub(crate) limits: InstructionLimits,
    /// `None`: no canister ever pauses.
    pub(crate) rates: Option<RateLimits>,
    /// Instructions of the platform's own work.
    pub(crate) platform: PlatformInstructions,
    /// Whether calls under way count as memory of their caller (code: not on system subnets).
    pub(crate) counts_messages: bool,
    /// Stable memory of a message.
    pub(crate) stable: StableLimits,
    /// Calls under way.
    pub(crate) calls: CallLimits,
}

impl SubnetProfile {
    pub(crate) fn new(spec: ProfileSpec) -> Self {
        let prices = match (spec.schedule, spec.is_system) {
            (CostSchedule::Free, _) => PriceList::default(),
            (CostSchedule::Normal, true) => PriceList::of_system_subnet(spec.fees),
            (CostSchedule::Normal, false) => PriceList::of(spec.fees),
        };
        let limits = if spec.is_system { InstructionLimits::SYSTEM } else { InstructionLimits::APPLICATION };
        Self {
            nodes: spec.nodes,
            prices,
            limits: match spec.instruction_limit {
                InstructionLimit::Production => limits,
                InstructionLimit::Benchmarking => limits.benchmarking(),
            },
            // On system subnets they are too high to be met (config).
            rates: (spec.limits_rates && !spec.is_system).then_some(RateLimits::APPLICATION),
            platform: if spec.is_system {
                PlatformInstructions::SYSTEM
            } else {
                PlatformInstructions::APPLICATION
            },
            counts_messages: !spec.is_system,
            stable: StableLimits::MAINNET,
            calls: if spec.is_system { CallLimits::SYSTEM } else { CallLimits::APPLICATION },
        }
    }

    /// The profile of a host that no code runs on: nothing costs anything.
    pub(crate) fn idle() -> Arc<Self> {
        static IDLE: LazyLock<Arc<SubnetProfile>> = LazyLock::new(|| {
            Arc::new(SubnetProfile::new(ProfileSpec {
                nodes: REFERENCE_NODES,
                is_system: true,
                fees: Fees::default(),
                schedule: CostSchedule::Free,
                instruction_limit: InstructionLimit::Production,
                limits_rates: false,
            }))
        });
        IDLE.clone()
    }

    /// A price on this subnet: a subnet of n nodes charges n/13 of the list (docs).
    fn scaled(&self, cycles: u128) -> u128 {
        if self.nodes == REFERENCE_NODES {
            // Most subnets, for every message several times: no division.
            return cycles;
        }
        cycles * u128::from(self.nodes) / u128::from(REFERENCE_NODES)
    }

    /// For creating a canister.
    pub(crate) fn create_canister_cycles(&self) -> u128 {
        self.scaled(self.prices.create_canister)
    }

    /// For executing `instructions` in one message, base fee included.
    pub(crate) fn execution_cycles(&self, instructions: u64, is_wasm64: bool) -> u128 {
        self.scaled(self.prices.message + self.instruction_cycles_listed(instructions, is_wasm64))
    }

    /// For `instructions` alone.
    pub(crate) fn instruction_cycles(&self, instructions: u64, is_wasm64: bool) -> u128 {
        self.scaled(self.instruction_cycles_listed(instructions, is_wasm64))
    }

    fn instruction_cycles_listed(&self, instructions: u64, is_wasm64: bool) -> u128 {
        u128::from(instructions) * self.prices.instruction[usize::from(is_wasm64)]
    }

    /// For carrying that many bytes between canisters.
    pub(crate) fn transmission_cycles(&self, bytes: u64) -> u128 {
        self.scaled(u128::from(bytes) * self.prices.call_byte)
    }

    /// Prepaid for the longest response that can come (code: `prepayment_for_response_transmission`).
    pub(crate) fn response_prepayment(&self) -> u128 {
        self.transmission_cycles(INTER_CANISTER_PAYLOAD_BYTES)
    }

    /// What a call takes from the caller's balance when it is made, without the cycles attached (spec,
    /// `cost_call`): what is not used comes back with the response.
    pub(crate) fn call_cycles(&self, payload_bytes: u64, is_wasm64: bool) -> u128 {
        self.scaled(self.prices.call)
            + self.transmission_cycles(payload_bytes)
            + self.response_prepayment()
            + self.execution_cycles(self.limits.message, is_wasm64)
    }

    /// For the induction of an ingress message of that many bytes.
    pub(crate) fn ingress_cycles(&self, bytes: u64) -> u128 {
        self.scaled(self.prices.ingress + u128::from(bytes) * self.prices.ingress_byte)
    }

    /// For keeping `bytes` for `seconds`.
    pub(crate) fn storage_cycles(&self, bytes: u64, seconds: u64) -> u128 {
        self.scaled(u128::from(bytes) * self.prices.gib_second * u128::from(seconds) / (1 << 30))
    }

    /// For being there for `seconds`.
    pub(crate) fn presence_cycles(&self, seconds: u64) -> u128 {
        self.scaled(self.prices.canister_second * u128::from(seconds))
    }

    /// For that compute allocation for `seconds`.
    pub(crate) fn compute_cycles(&self, percent: u64, seconds: u64) -> u128 {
        self.scaled(self.prices.compute_percent_second * u128::from(percent) * u128::from(seconds))
    }

    /// For a threshold signature or a derived key.
    pub(crate) fn threshold_signature_cycles(&self) -> u128 {
        self.scaled(self.prices.threshold_signature)
    }

    /// For an HTTP outcall (docs: not by n/13, every node pays for every other).
    pub(crate) fn http_request_cycles(&self, request_bytes: u64, response_bytes: u64) -> u128 {
        let [node, pair, request_byte, response_byte] = self.prices.http;
        let nodes = u128::from(self.nodes);
        let bytes = u128::from(request_bytes) * request_byte + u128::from(response_bytes) * response_byte;
        (node + pair * nodes + bytes) * nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APPLICATION: ProfileSpec = ProfileSpec {
        nodes: 13,
        is_system: false,
        fees: Fees::Of2026,
        schedule: CostSchedule::Normal,
        instruction_limit: InstructionLimit::Production,
        limits_rates: true,
    };

    /// The table of the developer documentation, "Cycle costs": 13 and 34 nodes.
    #[test]
    fn prices_grow_by_the_nodes_of_the_subnet() {
        let [of_13, of_34] = [13, 34].map(|nodes| SubnetProfile::new(ProfileSpec { nodes, ..APPLICATION }));
        assert_eq!(of_13.create_canister_cycles(), 500_000_000_000);
        assert_eq!(of_34.create_canister_cycles(), 1_307_692_307_692);
        assert_eq!(of_34.execution_cycles(0, false), 13_076_923);
        assert_eq!(of_34.instruction_cycles(1_000_000_000, false), 2_615_384_615);
        assert_eq!(of_34.compute_cycles(1, 1), 26_153_846);
        assert_eq!(of_34.ingress_cycles(0), 3_138_461);
        assert_eq!(of_34.threshold_signature_cycles(), 26_153_846_153);
        assert_eq!(of_13.http_request_cycles(0, 0), 49_140_000);
        assert_eq!(of_34.http_request_cycles(0, 0), 171_360_000);
        assert_eq!(of_13.http_request_cycles(1, 1) - of_13.http_request_cycles(0, 0), 5_200 + 10_400);
    }

    #[test]
    fn storage_costs_more_since_2026_and_so_does_a_canister_as_such() {
        let [before, since] =
            [Fees::Of2025, Fees::Of2026].map(|fees| SubnetProfile::new(ProfileSpec { fees, ..APPLICATION }));
        assert_eq!([before.storage_cycles(1 << 30, 1), since.storage_cycles(1 << 30, 1)], [127_000, 317_500]);
        assert_eq!([before.presence_cycles(1), since.presence_cycles(1)], [0, 10_000]);
        assert_eq!(before.execution_cycles(7, true), since.execution_cycles(7, true));
    }

    #[test]
    fn system_subnets_and_free_ones_charge_nothing() {
        for spec in [
            ProfileSpec { is_system: true, ..APPLICATION },
            ProfileSpec { schedule: CostSchedule::Free, ..APPLICATION },
        ] {
            let profile = SubnetProfile::new(spec);
            let prices = [
                profile.create_canister_cycles(),
                profile.execution_cycles(1_000, true),
                profile.call_cycles(1_000, false),
                profile.ingress_cycles(1_000),
                profile.storage_cycles(1 << 30, 1_000),
                profile.presence_cycles(1_000),
                profile.compute_cycles(100, 1_000),
                profile.http_request_cycles(1_000, 1_000),
            ];
            assert_eq!(prices, [0; 8]);
        }
    }
}
