//! New canisters.

use super::arguments::{CreateCanister, ProvisionalCreate, SettingsArgs};
use super::call::{Call, Outcome, decode, reply};
use super::settings;
use crate::accounts::Holdings;
use crate::error::{ErrorCode, UserError};
use crate::ids;
use crate::state::history::ChangeKind;
use crate::state::subnet::IdRange;
use crate::state::{Canister, Settings};
use candid::{CandidType, Principal};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Cycles that a provisional canister, or top-up, gets when nobody says how many (code: `DEFAULT_PROVISIONAL_BALANCE`).
pub(super) const DEFAULT_PROVISIONAL_CYCLES: u128 = 100_000_000_000_000;

#[derive(CandidType, Deserialize)]
struct Created {
    canister_id: Principal,
}

pub(super) fn create_canister(call: &mut Call<'_>) -> Outcome {
    // Both an empty argument list and a record are in use.
    let arg: CreateCanister = decode(call)?;
    let fee = call.profile().create_canister_cycles();
    if *call.cycles < fee {
        return Err(UserError::new(
            ErrorCode::InsufficientCyclesForCreateCanister,
            format!(
                "Creating a canister requires a fee of {} that is deducted from the canister's initial balance but \
                 only {} cycles were received with the create_canister request.\nTry sending more cycles with the \
                 request.",
                grouped(fee),
                grouped(*call.cycles)
            ),
        ));
    }
    let settings = arg.settings.unwrap_or_default();
    let id = create(call, settings, None, arg.sender_canister_version, *call.cycles - fee)?;
    *call.cycles = 0;
    call.canister_mut(id)?.consumed_cycles = fee;
    reply(&Created { canister_id: id })
}

pub(super) fn provisional_create(call: &mut Call<'_>) -> Outcome {
    let arg: ProvisionalCreate = decode(call)?;
    let cycles = match &arg.amount {
        Some(amount) => settings::number(amount, "amount")?,
        None => DEFAULT_PROVISIONAL_CYCLES,
    };
    let settings = arg.settings.unwrap_or_default();
    let id = create(call, settings, arg.specified_id, arg.sender_canister_version, cycles)?;
    reply(&Created { canister_id: id })
}

fn create(
    call: &mut Call<'_>,
    arg: SettingsArgs,
    specified: Option<Principal>,
    by_version: Option<u64>,
    cycles: u128,
) -> Result<Principal, UserError> {
    let mut settings = Settings::new([call.sender]);
    settings::refuse_unknown(&call.request.payload)?;
    settings::validate(&arg)?;
    settings::apply(&mut settings, &arg)?;
    settings::check_allocations(call, None, Holdings::default(), &settings, cycles)?;
    let id = match specified {
        Some(id) => free_id(call, id)?,
        None => fresh_id(call)?,
    };
    let author = call.author(by_version);
    let mut canister = Canister::new(id, settings, cycles, author.time_nanos);
    let controllers = canister.settings.controllers.iter().copied().collect();
    let environment_hash = arg
        .environment_variables
        .is_some()
        .then(|| environment_hash(canister.settings.environment_variables.as_slice()));
    canister.record(author, ChangeKind::Creation { controllers, environment_hash });
    call.instance.subnets[call.subnet].insert(canister);
    Ok(id)
}

/// Spec, "Hash of map": the hashes of name and value of each pair, sorted, hashed together.
fn environment_hash(variables: &[(String, String)]) -> [u8; 32] {
    let mut pairs: Vec<[u8; 64]> = variables
        .iter()
        .map(|(name, value)| {
            let mut pair = [0; 64];
            pair[..32].copy_from_slice(&Sha256::digest(name));
            pair[32..].copy_from_slice(&Sha256::digest(value));
            pair
        })
        .collect();
    pairs.sort_unstable();
    Sha256::digest(pairs.concat()).into()
}

fn fresh_id(call: &mut Call<'_>) -> Result<Principal, UserError> {
    let subnet = &mut call.instance.subnets[call.subnet];
    let last = subnet.ranges.last().map_or(0, |range| range.last);
    loop {
        if subnet.next_canister > last {
            return Err(UserError::new(
                ErrorCode::MaxNumberOfCanistersReached,
                "Could not create canister. Subnet has surpassed its canister ID allocation.",
            ));
        }
        let id = ids::canister_id(subnet.next_canister);
        subnet.next_canister += 1;
        if !subnet.has(&id) {
            return Ok(id);
        }
    }
}

fn free_id(call: &Call<'_>, id: Principal) -> Result<Principal, UserError> {
    let subnet = &call.instance.subnets[call.subnet];
    let number = ids::canister_number(id);
    let is_of = |range: &IdRange| number.is_some_and(|number| range.contains(number));
    if subnet.ranges.last().is_some_and(is_of) {
        return Err(UserError::new(
            ErrorCode::InvalidManagementPayload,
            format!(
                "The `specified_id` {id} is invalid because it belongs to the canister allocation ranges of the \
                 test environment.\nUse a `specified_id` that matches a canister ID on the ICP mainnet and a test \
                 environment that supports canister creation with `specified_id` (e.g., PocketIC)."
            ),
        ));
    }
    if subnet.has(&id) {
        return Err(UserError::new(
            ErrorCode::CanisterIdAlreadyExists,
            format!("Unsuccessful canister creation: canister id {id} already exists."),
        ));
    }
    if !subnet.ranges.iter().any(is_of) {
        return Err(UserError::new(
            ErrorCode::CanisterNotHostedBySubnet,
            format!("Unsuccessful validation of specified ID: {id} belongs to another subnet"),
        ));
    }
    Ok(id)
}

/// 500_000_000_000, as the platform writes cycles.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn cycles_are_written_in_groups_of_three_digits() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(500_000_000_000), "500_000_000_000");
        assert_eq!(grouped(1_000), "1_000");
    }
}
