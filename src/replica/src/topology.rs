//! Which subnet has which canister ids, as PocketIC lays them out.

use crate::api::{SubnetKind, SubnetView};
use crate::ids::{canister_id, canister_number};
use crate::random;
use crate::state::Subnet;
use crate::state::subnet::{IdRange, Origins};
use candid::Principal;

/// Canister ids of a range that is made up for a subnet (code: `CANISTER_IDS_PER_SUBNET`).
const IDS_PER_SUBNET: u64 = 1 << 20;

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

/// New subnets of these kinds.
pub(crate) fn subnets(kinds: &[SubnetKind], seed: u64, time_nanos: u64) -> Result<Vec<Subnet>, String> {
    if kinds.is_empty() {
        return Err("SubnetConfigSet must contain at least one subnet".to_owned());
    }
    kinds
        .iter()
        .enumerate()
        .map(|(ordinal, kind)| {
            let named = *kind != SubnetKind::Application
                && *kind != SubnetKind::System
                && *kind != SubnetKind::VerifiedApplication;
            if named && kinds[..ordinal].contains(kind) {
                return Err(format!("there can only be one subnet of kind {kind:?}"));
            }
            subnet(*kind, ordinal as u64, seed, time_nanos)
        })
        .collect()
}

fn subnet(kind: SubnetKind, ordinal: u64, seed: u64, time_nanos: u64) -> Result<Subnet, String> {
    let mut ranges = Vec::new();
    for (first, last) in mainnet_ranges(kind) {
        let number = |text: &str| {
            Principal::from_text(text)
                .ok()
                .and_then(canister_number)
                .ok_or_else(|| format!("{text} is not a canister id"))
        };
        ranges.push(IdRange { first: number(first)?, last: number(last)? });
    }
    // Made-up ranges come from the top of the number space, one after the other, as PocketIC takes them.
    let block = u64::MAX / IDS_PER_SUBNET - 1 - ordinal;
    let own = IdRange { first: block * IDS_PER_SUBNET, last: (block + 1) * IDS_PER_SUBNET - 1 };
    ranges.push(own);
    let subnet_seed = random::derive("subnet", seed, ordinal);
    let public_key: Vec<u8> =
        (0..3).flat_map(|part| random::derive("public key", seed, ordinal << 8 | part)).collect();
    Ok(Subnet::new(Origins {
        id: Principal::self_authenticating(&public_key),
        kind,
        seed: subnet_seed,
        public_key,
        ranges,
        next_canister: own.first,
        time_nanos,
    }))
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

/// The first canister id of an application subnet, or of the first subnet there is.
pub(crate) fn default_effective_canister_id(subnets: &[Subnet]) -> Principal {
    subnets
        .iter()
        .find(|subnet| subnet.kind == SubnetKind::Application)
        .or(subnets.first())
        .and_then(|subnet| subnet.ranges.last())
        .map_or(Principal::management_canister(), |range| canister_id(range.first))
}
