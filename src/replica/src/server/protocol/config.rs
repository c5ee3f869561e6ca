//! The configuration of a new instance.
use super::calls::Timestamp;
use super::gateway::InstanceHttpGatewayConfig;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// What a client wants an instance to be. Of what the replica does not support only the presence is kept.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct InstanceConfig {
    pub(crate) subnet_config_set: SubnetConfigSet,
    pub(crate) http_gateway_config: Option<InstanceHttpGatewayConfig>,
    pub(crate) state_dir: Option<IgnoredAny>,
    pub(crate) icp_config: Option<IcpConfig>,
    pub(crate) log_level: Option<String>,
    pub(crate) bitcoind_addr: Option<IgnoredAny>,
    pub(crate) dogecoind_addr: Option<IgnoredAny>,
    /// A map, because releases differ in the features and in how they spell "no" (`null`, `false`).
    pub(crate) icp_features: Option<Map<String, Value>>,
    pub(crate) initial_time: Option<InitialTime>,
    pub(crate) mainnet_nns_subnet_id: Option<bool>,
    pub(crate) incomplete_state: Option<IgnoredAny>,
    pub(crate) disable_ingress_validation: Option<bool>,
}

/// The subnets of an instance.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SubnetConfigSet {
    pub(crate) nns: Option<SubnetSpec>,
    pub(crate) sns: Option<SubnetSpec>,
    pub(crate) ii: Option<SubnetSpec>,
    pub(crate) fiduciary: Option<SubnetSpec>,
    pub(crate) bitcoin: Option<SubnetSpec>,
    pub(crate) test_threshold_keys: Option<SubnetSpec>,
    pub(crate) system: Vec<SubnetSpec>,
    pub(crate) application: Vec<SubnetSpec>,
    pub(crate) verified_application: Vec<SubnetSpec>,
    pub(crate) cloud_engine: Vec<IgnoredAny>,
}

/// One subnet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SubnetSpec {
    pub(crate) state_config: StateConfig,
    pub(crate) instruction_config: InstructionConfig,
    pub(crate) subnet_admins: Option<IgnoredAny>,
    pub(crate) cost_schedule: CostSchedule,
}

/// Where the state of a subnet comes from.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) enum StateConfig {
    #[default]
    New,
    FromPath(IgnoredAny),
    FromBlobStore(IgnoredAny),
}

/// Which instruction limits hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum InstructionConfig {
    #[default]
    Production,
    Benchmarking,
}

/// What canisters are charged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum CostSchedule {
    #[default]
    Normal,
    Free,
}

/// Differences to the mainnet.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct IcpConfig {
    pub(crate) beta_features: Option<Flag>,
    pub(crate) function_name_length_limits: Option<Flag>,
    pub(crate) canister_execution_rate_limiting: Option<Flag>,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Flag {
    Disabled,
    Enabled,
}

/// The first clock of an instance.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) enum InitialTime {
    Timestamp(Timestamp),
    AutoProgress(AutoProgressConfig),
}

/// How an instance makes progress by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct AutoProgressConfig {
    /// Pause between two rounds where it is longer than the usual one.
    pub(crate) artificial_delay_ms: Option<u64>,
}
