//! From the configuration that a client sends to the instance that the replica can make of it.
use super::limits::SUBNETS_LIMIT;
use super::progress::now_nanos;
use super::protocol::{
    AutoProgressConfig, CostSchedule, Flag, InitialTime, InstanceConfig, InstructionConfig, StateConfig,
    SubnetSpec,
};
use crate::api::SubnetKind;
use crate::instance::{InstanceSpec, NewSubnet};
use crate::profile;
use serde_json::Value;

/// What is to be made.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The instance; its seed is not decided yet.
    pub(crate) spec: InstanceSpec,
    /// Whether and how it makes progress by itself.
    pub(crate) auto_progress: Option<AutoProgressConfig>,
}

/// Errors with a sentence that names the field which the replica does not support or which is invalid.
pub(crate) fn plan(config: &InstanceConfig) -> Result<Plan, String> {
    check_log_level(config)?;
    check_pages_of_nns(config)?;
    if let Some((field, instead)) = unsupported_field(config) {
        return Err(format!("{field} is not supported by this replica: {instead}"));
    }
    let specs = subnet_specs(config);
    if specs.is_empty() {
        return Err("SubnetConfigSet must contain at least one subnet".to_string());
    }
    if specs.len() > SUBNETS_LIMIT {
        return Err(format!(
            "subnet_config_set has {} subnets, at most {SUBNETS_LIMIT} are possible",
            specs.len()
        ));
    }
    for (_, name, spec) in &specs {
        if let Some((field, instead)) = unsupported_subnet_field(spec) {
            return Err(format!(
                "subnet_config_set.{name}: {field} is not supported by this replica: {instead}"
            ));
        }
    }
    let (time_nanos, auto_progress) = match config.initial_time {
        None => (None, None),
        Some(InitialTime::Timestamp(time)) => (Some(time.nanos_since_epoch), None),
        Some(InitialTime::AutoProgress(progress)) => (Some(now_nanos()), Some(progress)),
    };
    let subnets = specs.into_iter().map(|(kind, _, spec)| new_subnet(kind, spec)).collect();
    let rate_limiting = config.icp_config.and_then(|config| config.canister_execution_rate_limiting);
    let ignores_rate_limits = rate_limiting == Some(Flag::Disabled);
    let spec = InstanceSpec { subnets, time_nanos, ignores_rate_limits, ..InstanceSpec::default() };
    Ok(Plan { spec, auto_progress })
}

fn new_subnet(kind: SubnetKind, spec: &SubnetSpec) -> NewSubnet {
    NewSubnet {
        kind,
        schedule: match spec.cost_schedule {
            CostSchedule::Normal => profile::CostSchedule::Normal,
            CostSchedule::Free => profile::CostSchedule::Free,
        },
        instruction_limit: match spec.instruction_config {
            InstructionConfig::Production => profile::InstructionLimit::Production,
            InstructionConfig::Benchmarking => profile::InstructionLimit::Benchmarking,
        },
    }
}

/// The subnets in the order in which the real server hands out canister ids: named ones, then by kind.
fn subnet_specs(config: &InstanceConfig) -> Vec<(SubnetKind, &'static str, &SubnetSpec)> {
    let set = &config.subnet_config_set;
    let named = [
        (SubnetKind::Nns, "nns", &set.nns),
        (SubnetKind::Sns, "sns", &set.sns),
        (SubnetKind::Ii, "ii", &set.ii),
        (SubnetKind::Fiduciary, "fiduciary", &set.fiduciary),
        (SubnetKind::Bitcoin, "bitcoin", &set.bitcoin),
        (SubnetKind::TestThresholdKeys, "test_threshold_keys", &set.test_threshold_keys),
    ];
    let counted = [
        (SubnetKind::System, "system", &set.system),
        (SubnetKind::Application, "application", &set.application),
        (SubnetKind::VerifiedApplication, "verified_application", &set.verified_application),
    ];
    let named = named.into_iter().filter_map(|(kind, name, spec)| Some((kind, name, spec.as_ref()?)));
    let counted =
        counted.into_iter().flat_map(|(kind, name, specs)| specs.iter().map(move |spec| (kind, name, spec)));
    named.chain(counted).collect()
}

/// Parts of a configuration that are refused, and what to do instead.
pub(crate) const UNSUPPORTED: [(&str, &str); 13] = [
    ("state_dir", "set the state up in the test, which takes less time than reading it from a disk"),
    ("bitcoind_addr", "install a canister that answers as the Bitcoin canister does"),
    ("dogecoind_addr", "install a canister that answers as the Dogecoin canister does"),
    ("mainnet_nns_subnet_id", "ask the topology for the subnet's id"),
    ("incomplete_state", "there are no states on disks"),
    ("disable_ingress_validation", "calls of clients need no signatures"),
    ("subnet_config_set.cloud_engine", "take an application subnet"),
    ("icp_features", "install the modules of the canisters that are needed, at their mainnet ids"),
    ("icp_config.beta_features", "leave it at its default"),
    ("icp_config.function_name_length_limits", "leave it at its default"),
    (
        "state_config FromPath",
        "set the state up in the test, which takes less time than reading it from a disk",
    ),
    ("state_config FromBlobStore", "set the state up in the test"),
    ("subnet_admins", "make who should administer a controller of the canisters"),
];

fn unsupported(name: &str) -> (&'static str, &'static str) {
    // Every name that is asked for stands in the table.
    UNSUPPORTED.into_iter().find(|(listed, _)| *listed == name).unwrap_or(("a part of the configuration", ""))
}

fn unsupported_field(config: &InstanceConfig) -> Option<(String, &'static str)> {
    let flags = config.icp_config;
    let is_set = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
    // An ICP feature is a set of system canisters.
    let feature = config.icp_features.iter().flatten().find(|(_, value)| is_set(value)).map(|(name, _)| name);
    let present = [
        (config.state_dir.is_some(), "state_dir"),
        (config.bitcoind_addr.is_some(), "bitcoind_addr"),
        (config.dogecoind_addr.is_some(), "dogecoind_addr"),
        (config.mainnet_nns_subnet_id == Some(true), "mainnet_nns_subnet_id"),
        (config.incomplete_state.is_some(), "incomplete_state"),
        (config.disable_ingress_validation == Some(true), "disable_ingress_validation"),
        (!config.subnet_config_set.cloud_engine.is_empty(), "subnet_config_set.cloud_engine"),
        (feature.is_some(), "icp_features"),
        // Flags that differ from the server's default.
        (flags.is_some_and(|flags| flags.beta_features == Some(Flag::Enabled)), "icp_config.beta_features"),
        (
            flags.is_some_and(|flags| flags.function_name_length_limits == Some(Flag::Disabled)),
            "icp_config.function_name_length_limits",
        ),
    ];
    let (_, name) = present.into_iter().find(|(is_present, _)| *is_present)?;
    let (name, instead) = unsupported(name);
    let detail = feature.filter(|_| name == "icp_features").map(|feature| format!(".{feature}"));
    Some((name.to_owned() + &detail.unwrap_or_default(), instead))
}

/// Nothing is logged, whatever the level; one that does not exist is refused all the same, in PocketIC's words.
fn check_log_level(config: &InstanceConfig) -> Result<(), String> {
    const LEVELS: [&str; 12] = [
        "critical", "error", "warning", "info", "debug", "trace", "crit", "erro", "warn", "debg", "trce",
        "off",
    ];
    match &config.log_level {
        Some(level) if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) => {
            Err(format!("Failed to parse log level: {level}"))
        }
        _ => Ok(()),
    }
}

/// What else the pages of the NNS need (PocketIC's words); none of it is there.
fn check_pages_of_nns(config: &InstanceConfig) -> Result<(), String> {
    let is_on = |name: &str| {
        let value = config.icp_features.as_ref().and_then(|features| features.get(name));
        value.is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)))
    };
    if !is_on("nns_ui") {
        return Ok(());
    }
    if config.http_gateway_config.is_none() {
        return Err("The `nns_ui` feature requires an HTTP gateway to be created via `http_gateway_config`."
            .to_owned());
    }
    match ["cycles_minting", "icp_token", "nns_governance", "sns", "ii"].into_iter().find(|name| !is_on(name))
    {
        Some(missing) => {
            Err(format!("The `nns_ui` feature requires the `{missing}` feature to be enabled, too."))
        }
        None => Ok(()),
    }
}

fn unsupported_subnet_field(spec: &SubnetSpec) -> Option<(&'static str, &'static str)> {
    let name = match spec {
        SubnetSpec { state_config: StateConfig::FromPath(_), .. } => "state_config FromPath",
        SubnetSpec { state_config: StateConfig::FromBlobStore(_), .. } => "state_config FromBlobStore",
        SubnetSpec { subnet_admins: Some(_), .. } => "subnet_admins",
        _ => return None,
    };
    Some(unsupported(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan_of(json: &str) -> Result<Plan, String> {
        plan(&serde_json::from_str(json).expect("the configuration does not parse"))
    }

    fn kinds(plan: &Plan) -> Vec<SubnetKind> {
        plan.spec.subnets.iter().map(|subnet| subnet.kind).collect()
    }

    const SPEC: &str = r#"{"state_config":"New","instruction_config":"Production","subnet_admins":null,
        "cost_schedule":"Normal"}"#;

    #[test]
    fn named_subnets_come_first_and_application_subnets_after_system_subnets() {
        let plan = plan_of(&format!(
            r#"{{"subnet_config_set":{{"application":[{SPEC},{SPEC}],"system":[{SPEC}],
                "verified_application":[{SPEC}],
                "bitcoin":{SPEC},"nns":{SPEC},"sns":null,"cloud_engine":[]}}}}"#
        ))
        .unwrap();
        use SubnetKind::*;
        assert_eq!(kinds(&plan), [Nns, Bitcoin, System, Application, Application, VerifiedApplication]);
        assert_eq!(plan.spec.time_nanos, None);
        assert_eq!(plan.auto_progress, None);
    }

    #[test]
    fn what_the_current_client_sends_by_default_is_accepted() {
        let plan = plan_of(&format!(
            r#"{{"subnet_config_set":{{"nns":null,"sns":null,"ii":null,"fiduciary":null,"bitcoin":null,
                "test_threshold_keys":null,"system":[],"application":[{SPEC}],"cloud_engine":[],
                "verified_application":[]}},"http_gateway_config":null,"state_dir":null,
                "icp_config":{{"beta_features":null,"function_name_length_limits":null,
                "canister_execution_rate_limiting":null}},"log_level":null,"bitcoind_addr":null,
                "dogecoind_addr":null,"icp_features":{{"registry":null,"sns":null}},"incomplete_state":null,
                "initial_time":null,"mainnet_nns_subnet_id":null,"disable_ingress_validation":null}}"#
        ));
        assert_eq!(kinds(&plan.unwrap()), [SubnetKind::Application]);
    }

    #[test]
    fn what_an_early_client_sends_is_accepted() {
        let plan = plan_of(
            r#"{"subnet_config_set":{"nns":null,"system":[],"application":[{"state_config":"New",
                "instruction_config":"Production","dts_flag":"Enabled"}]},"nonmainnet_features":false,
                "icp_features":{"registry":false}}"#,
        );
        assert_eq!(kinds(&plan.unwrap()), [SubnetKind::Application]);
    }

    #[test]
    fn an_instance_needs_a_subnet_and_cannot_have_too_many() {
        assert!(plan_of(r#"{"subnet_config_set":{}}"#).unwrap_err().contains("at least one subnet"));
        let many = vec!["{}"; SUBNETS_LIMIT + 1].join(",");
        let error = plan_of(&format!(r#"{{"subnet_config_set":{{"application":[{many}]}}}}"#)).unwrap_err();
        assert!(error.contains("at most 100"), "{error}");
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (field, name) in [
            (r#""state_dir":"/tmp/empty""#, "state_dir"),
            (r#""bitcoind_addr":[]"#, "bitcoind_addr"),
            (r#""dogecoind_addr":["127.0.0.1:1"]"#, "dogecoind_addr"),
            (r#""mainnet_nns_subnet_id":true"#, "mainnet_nns_subnet_id"),
            (r#""icp_features":{"registry":null,"icp_token":"DefaultConfig"}"#, "icp_features.icp_token"),
            (r#""icp_config":{"beta_features":"Enabled"}"#, "icp_config.beta_features"),
        ] {
            let error = plan_of(&format!(r#"{{"subnet_config_set":{{"application":[{SPEC}]}},{field}}}"#))
                .unwrap_err();
            assert!(error.starts_with(name) && error.contains("not supported"), "{error}");
        }
    }

    #[test]
    fn what_is_not_supported_of_a_subnet_is_named() {
        for (spec, name) in [
            (r#"{"state_config":{"FromPath":"/tmp/state"}}"#, "FromPath"),
            (r#"{"state_config":{"FromBlobStore":"AAAA"}}"#, "FromBlobStore"),
            (r#"{"subnet_admins":[]}"#, "subnet_admins"),
        ] {
            let error = plan_of(&format!(r#"{{"subnet_config_set":{{"application":[{SPEC},{spec}]}}}}"#))
                .unwrap_err();
            assert!(error.starts_with("subnet_config_set.application") && error.contains(name), "{error}");
        }
        let error =
            plan_of(r#"{"subnet_config_set":{"cloud_engine":[{"cost_schedule":"Free"}]}}"#).unwrap_err();
        assert!(error.contains("cloud_engine"), "{error}");
    }

    #[test]
    fn a_level_of_logs_is_one_and_pages_of_the_nns_need_what_they_need() {
        let with = |fields: &str| {
            plan_of(&format!(r#"{{"subnet_config_set":{{"application":[{SPEC}]}},{fields}}}"#)).map(drop)
        };
        assert_eq!(with(r#""log_level":"INFO""#), Ok(()));
        assert!(with(r#""log_level":"loud""#).unwrap_err().starts_with("Failed to parse log level"));
        let pages = r#""icp_features":{"nns_ui":"DefaultConfig"}"#;
        assert!(with(pages).unwrap_err().contains("requires an HTTP gateway"));
        let error = with(&format!(r#"{pages},"http_gateway_config":{{}}"#)).unwrap_err();
        assert!(error.contains("requires the `cycles_minting` feature"), "{error}");
    }

    #[test]
    fn a_subnet_can_be_free_or_for_benchmarks_and_an_instance_without_rate_limits() {
        let plan = plan_of(
            r#"{"subnet_config_set":{"application":[{},{"cost_schedule":"Free","instruction_config":"Benchmarking"}]},
                "icp_config":{"canister_execution_rate_limiting":"Disabled"}}"#,
        )
        .unwrap();
        let usual = NewSubnet::from(SubnetKind::Application);
        let other = NewSubnet {
            schedule: profile::CostSchedule::Free,
            instruction_limit: profile::InstructionLimit::Benchmarking,
            ..usual
        };
        assert_eq!(plan.spec.subnets, [usual, other]);
        assert!(plan.spec.ignores_rate_limits);
        for flag in ["null", r#""Enabled""#] {
            let json = format!(
                r#"{{"subnet_config_set":{{"application":[{SPEC}]}},
                    "icp_config":{{"canister_execution_rate_limiting":{flag}}}}}"#
            );
            assert!(!plan_of(&json).unwrap().spec.ignores_rate_limits);
        }
    }

    #[test]
    fn the_first_time_is_a_timestamp_or_now() {
        let with_time = |time: &str| {
            plan_of(&format!(r#"{{"subnet_config_set":{{"application":[{{}}]}},"initial_time":{time}}}"#))
                .unwrap()
        };
        let plan = with_time(r#"{"Timestamp":{"nanos_since_epoch":1700000000000000000}}"#);
        assert_eq!((plan.spec.time_nanos, plan.auto_progress), (Some(1_700_000_000_000_000_000), None));
        let plan = with_time(r#"{"AutoProgress":{"artificial_delay_ms":7}}"#);
        assert!(plan.spec.time_nanos > Some(1_700_000_000_000_000_000));
        assert_eq!(plan.auto_progress, Some(AutoProgressConfig { artificial_delay_ms: Some(7) }));
    }
}
