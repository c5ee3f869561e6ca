//! The subnets of an instance as clients see them.
use super::calls::CanisterId;
use super::gateway::HttpGatewayInfo;
use crate::api::{SubnetKind, SubnetView};
use crate::instance::Instance;
use candid::Principal;
use serde::Serialize;
use std::collections::BTreeMap;

/// Answer to the creation of an instance.
#[derive(Debug, Serialize)]
pub(crate) enum CreateInstanceResponse {
    Created {
        instance_id: usize,
        topology: Topology,
        /// Of the gateway that was asked for.
        http_gateway_info: Option<HttpGatewayInfo>,
    },
    Error {
        message: String,
    },
}

/// All subnets.
#[derive(Debug, Serialize)]
pub(crate) struct Topology {
    subnet_configs: BTreeMap<Principal, SubnetConfig>,
    default_effective_canister_id: CanisterId,
}

impl Topology {
    /// Of an instance.
    pub(crate) fn of(instance: &Instance) -> Self {
        Self {
            subnet_configs: instance.subnets().into_iter().map(|subnet| (subnet.id, subnet.into())).collect(),
            default_effective_canister_id: instance.default_effective_canister_id().into(),
        }
    }
}

#[derive(Debug, Serialize)]
struct SubnetConfig {
    subnet_kind: &'static str,
    /// Always `null`: nothing else can be configured.
    subnet_admins: Option<()>,
    cost_schedule: &'static str,
    subnet_seed: [u8; 32],
    instruction_config: &'static str,
    /// Always empty: the replica has no nodes. Clients before release 10 insist on the field.
    node_ids: [(); 0],
    canister_ranges: Vec<CanisterIdRange>,
}

#[derive(Debug, Serialize)]
struct CanisterIdRange {
    start: CanisterId,
    end: CanisterId,
}

impl From<SubnetView> for SubnetConfig {
    fn from(subnet: SubnetView) -> Self {
        Self {
            subnet_kind: kind_name(subnet.kind),
            subnet_admins: None,
            cost_schedule: "Normal",
            subnet_seed: subnet.seed,
            instruction_config: "Production",
            node_ids: [],
            canister_ranges: subnet
                .ranges
                .into_iter()
                .map(|(start, end)| CanisterIdRange { start: start.into(), end: end.into() })
                .collect(),
        }
    }
}

fn kind_name(kind: SubnetKind) -> &'static str {
    match kind {
        SubnetKind::Application => "Application",
        SubnetKind::System => "System",
        SubnetKind::VerifiedApplication => "VerifiedApplication",
        SubnetKind::Nns => "NNS",
        SubnetKind::Sns => "SNS",
        SubnetKind::Ii => "II",
        SubnetKind::Fiduciary => "Fiduciary",
        SubnetKind::Bitcoin => "Bitcoin",
        SubnetKind::TestThresholdKeys => "TestThresholdKeys",
    }
}
