//! Which subnet has which canister ids, as PocketIC lays them out.

use crate::api::{SubnetKind, SubnetView};
use crate::ids::{canister_id, canister_number};
use crate::instance::NewSubnet;
use crate::profile::{Fees, ProfileSpec, SubnetProfile};
use crate::random;
use crate::state::Subnet;
use crate::state::subnet::{IdRange, Origins};
use candid::Principal;

/// Canister ids of a range that is made up for a subnet (code: `CANISTER_IDS_PER_SUBNET`).
const IDS_PER_SUBNET: u64 = 1 << 20;

/// Subnets that the mainnet may have: ids above theirs are made up by PocketIC (code:
/// `MAXIMUM_NUMBER_OF_SUBNETS_ON_MAINNET`).
const MAINNET_SUBNETS: u64 = 1_024;

/// Ranges of the named subnets on the mainnet, as numbers.
fn mainnet_ranges(kind: SubnetKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        SubnetKind::Nns => &[
            ("rwlgt-iiaaa-aaaaa-aaaaa-cai", "renrk-eyaaa-aaaaa-aaada-cai"),
            ("qoctq-giaaa-aaaaa-aaaea-cai", "n5n4y-3aaaa-aaaaa-p777q-cai"),
        ],
        SubnetKind::Ii => &[
            ("rdmx6-jaaaa-aaaaa-aaadq-cai", "rdmx6-jaaaa-aaaaa-aaadq-cai"),
            ("uc7f6-kaaaa-aaaaq-qaaaa-cai", "ijz7v-ziaaa-aaaaq-7777q-cai"),
        ],
        SubnetKind::Bitcoin => &[("g3wsl-eqaaa-aaaan-aaaaa-cai", "2qqia-xyaaa-aaaan-p777q-cai")],
        SubnetKind::Fiduciary => &[("mf7xa-laaaa-aaaar-qaaaa-cai", "qoznl-yiaaa-aaaar-7777q-cai")],
        SubnetKind::Sns => &[("ybpmr-kqaaa-aaaaq-aaaaa-cai", "ekjw2-zyaaa-aaaaq-p777q-cai")],
        _ => &[],
    }
}

/// What holds for all subnets of an instance, also for those that are added later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) fees: Fees,
    /// Whether canisters pause that change or install too much.
    pub(crate) limits_rates: bool,
    pub(crate) seed: u64,
}

impl Rules {
    fn profile(&self, subnet: NewSubnet) -> SubnetProfile {
        SubnetProfile::new(ProfileSpec {
            nodes: nodes(subnet.kind),
            is_system: is_system(subnet.kind),
            fees: self.fees,
            schedule: subnet.schedule,
            instruction_limit: subnet.instruction_limit,
            limits_rates: self.limits_rates,
        })
    }
}

/// Nodes of a subnet (`pocket_ic_server`, `subnet_size`; that of the test keys is newer than the source at hand,
/// and taken for an application subnet).
fn nodes(kind: SubnetKind) -> u64 {
    match kind {
        SubnetKind::Nns => 40,
        SubnetKind::Fiduciary | SubnetKind::Sns | SubnetKind::Ii => 34,
        _ => 13,
    }
}

/// Whether there is one of the kind at most, with the canister ids that it has on the mainnet.
pub(crate) fn is_named(kind: SubnetKind) -> bool {
    !matches!(kind, SubnetKind::Application | SubnetKind::System | SubnetKind::VerifiedApplication)
}

/// Whether the subnet is one of the network's own, where everything is free (`pocket_ic_server`, `conv_type`).
fn is_system(kind: SubnetKind) -> bool {
    matches!(kind, SubnetKind::Nns | SubnetKind::Ii | SubnetKind::Bitcoin | SubnetKind::System)
}

/// The subnets of a new instance.
pub(crate) fn subnets(new: &[NewSubnet], rules: &Rules, time_nanos: u64) -> Result<Vec<Subnet>, String> {
    if new.is_empty() {
        return Err("SubnetConfigSet must contain at least one subnet".to_owned());
    }
    new.iter()
        .enumerate()
        .map(|(ordinal, subnet)| {
            let kind = subnet.kind;
            if is_named(kind) && new[..ordinal].iter().any(|other| other.kind == kind) {
                return Err(format!("there can only be one subnet of kind {kind:?}"));
            }
            let ranges = mainnet_ranges(kind)
                .iter()
                .map(|(first, last)| {
                    Ok(IdRange { first: mainnet_number(first)?, last: mainnet_number(last)? })
                })
                .collect::<Result<_, String>>()?;
            Ok(with_ranges(*subnet, ranges, ordinal as u64, rules, time_nanos))
        })
        .collect()
}

fn mainnet_number(text: &str) -> Result<u64, String> {
    Principal::from_text(text)
        .ok()
        .and_then(canister_number)
        .ok_or_else(|| format!("{text} is not a canister id"))
}

/// The subnet that the mainnet has for a canister id, to be added to an instance that lacks it. The NNS and
/// Internet Identity have more than one range there and cannot be added later.
///
/// Errors with PocketIC's sentence if no subnet of the mainnet can have the id.
pub(crate) fn mainnet_subnet(
    id: Principal,
    ordinal: u64,
    rules: &Rules,
    time_nanos: u64,
) -> Result<Subnet, String> {
    use SubnetKind::{Application, Bitcoin, Fiduciary, Ii, Nns, Sns};
    if id.as_slice().len() != 10 {
        return Err(format!(
            "The binary representation {} of effective canister ID {id} should consist of 10 bytes.",
            hex::encode(id.as_slice())
        ));
    }
    let number = canister_number(id).filter(|number| number / IDS_PER_SUBNET < MAINNET_SUBNETS).ok_or_else(|| {
        format!(
            "The effective canister ID {id} does not belong to an existing subnet and it is not a mainnet canister ID."
        )
    })?;
    let holds = |kind: &SubnetKind| {
        mainnet_ranges(*kind).iter().any(|(first, last)| {
            mainnet_number(first).is_ok_and(|first| first <= number)
                && mainnet_number(last).is_ok_and(|last| number <= last)
        })
    };
    let kind = [Nns, Ii, Bitcoin, Fiduciary, Sns].into_iter().find(holds).unwrap_or(Application);
    if matches!(kind, Nns | Ii) {
        return Err(format!(
            "The effective canister ID {id} belongs to the NNS or II subnet on the IC mainnet for which PocketIC \
             provides a `SubnetKind`: please set up your PocketIC instance with a subnet of that `SubnetKind`."
        ));
    }
    let first = number - number % IDS_PER_SUBNET;
    let range = IdRange { first, last: first + IDS_PER_SUBNET - 1 };
    Ok(with_ranges(kind.into(), vec![range], ordinal, rules, time_nanos))
}

/// A subnet with these ranges and one that is made up for it, from which fresh ids come.
fn with_ranges(
    subnet: NewSubnet,
    mut ranges: Vec<IdRange>,
    ordinal: u64,
    rules: &Rules,
    time_nanos: u64,
) -> Subnet {
    // Made-up ranges come from the top of the number space, one after the other, as PocketIC takes them.
    let block = u64::MAX / IDS_PER_SUBNET - 1 - ordinal;
    let own = IdRange { first: block * IDS_PER_SUBNET, last: (block + 1) * IDS_PER_SUBNET - 1 };
    ranges.push(own);
    let subnet_seed = random::derive("subnet", rules.seed, ordinal);
    let public_key: Vec<u8> =
        (0..3).flat_map(|part| random::derive("public key", rules.seed, ordinal << 8 | part)).collect();
    Subnet::new(Origins {
        id: Principal::self_authenticating(&public_key),
        kind: subnet.kind,
        profile: rules.profile(subnet).into(),
        seed: subnet_seed,
        public_key,
        ranges,
        next_canister: own.first,
        time_nanos,
    })
}

/// A subnet as users see it.
pub(crate) fn view(subnet: &Subnet) -> SubnetView {
    SubnetView {
        id: subnet.id,
        kind: subnet.kind,
        seed: subnet.seed,
        ranges: subnet
            .ranges
            .iter()
            .map(|range| (canister_id(range.first), canister_id(range.last)))
            .collect(),
    }
}

/// Index of the subnet on which canisters are created when nobody says where (PocketIC: application,
/// verified application, system, first).
pub(crate) fn default_subnet(subnets: &[Subnet]) -> usize {
    use SubnetKind::{Application, System, VerifiedApplication};
    [Application, VerifiedApplication, System]
        .into_iter()
        .find_map(|kind| subnets.iter().position(|subnet| subnet.kind == kind && !subnet.is_deleted))
        .unwrap_or(0)
}

/// The first of the ids that a subnet hands out.
pub(crate) fn first_id(subnet: &Subnet) -> Principal {
    subnet.ranges.last().map_or(Principal::management_canister(), |range| canister_id(range.first))
}
