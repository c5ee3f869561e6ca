//! New canisters.

use super::arguments::{CreateCanister, ProvisionalCreate, SettingsArgs};
use super::call::{Call, Outcome, decode, reply};
use super::settings;
use crate::costs::prices;
use crate::error::{ErrorCode, UserError};
use crate::ids;
use crate::state::history::ChangeKind;
use crate::state::{Canister, Settings};
use candid::{CandidType, Principal};
use serde::Deserialize;

/// Cycles that a provisional canister gets when nobody says how many (code: `DEFAULT_PROVISIONAL_BALANCE`).
const DEFAULT_PROVISIONAL_CYCLES: u128 = 100_000_000_000_000;

#[derive(CandidType, Deserialize)]
struct Created {
    canister_id: Principal,
}

pub(super) fn create_canister(call: &mut Call<'_>) -> Outcome {
    // Both an empty argument list and a record are in use.
    let arg: CreateCanister = decode(call)?;
    if *call.cycles < prices::CREATE_CANISTER {
        return Err(UserError::new(
            ErrorCode::InsufficientCyclesForCreateCanister,
            format!(
                "Creating a canister requires a fee of {} that is deducted from the canister's initial balance but \
                 only {} cycles were received with the create_canister request.\nTry sending more cycles with the \
                 request.",
                grouped(prices::CREATE_CANISTER),
                grouped(*call.cycles)
            ),
        ));
    }
    let id = create(call, arg.settings.unwrap_or_default(), None, arg.sender_canister_version, |call| {
        std::mem::take(call.cycles) - prices::CREATE_CANISTER
    })?;
    reply(&Created { canister_id: id })
}

pub(super) fn provisional_create(call: &mut Call<'_>) -> Outcome {
    let arg: ProvisionalCreate = decode(call)?;
    let cycles = match &arg.amount {
        Some(amount) => settings::number(amount, "amount")?,
        None => DEFAULT_PROVISIONAL_CYCLES,
    };
    let settings = arg.settings.unwrap_or_default();
    let id = create(call, settings, arg.specified_id, arg.sender_canister_version, |_| cycles)?;
    reply(&Created { canister_id: id })
}

fn create(
    call: &mut Call<'_>,
    arg: SettingsArgs,
    specified: Option<Principal>,
    by_version: Option<u64>,
    cycles: impl FnOnce(&mut Call<'_>) -> u128,
) -> Result<Principal, UserError> {
    let mut settings = Settings::new([call.sender]);
    settings::validate(&arg)?;
    settings::apply(&mut settings, &arg)?;
    let id = match specified {
        Some(id) => free_id(call, id)?,
        None => fresh_id(call)?,
    };
    let cycles = cycles(call);
    let author = call.author(by_version);
    let mut canister = Canister::new(id, settings, cycles, author.time_nanos);
    let controllers = canister.settings.controllers.iter().copied().collect();
    canister.record(author, ChangeKind::Creation(controllers));
    call.instance.subnets[call.subnet].insert(canister);
    Ok(id)
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
    if subnet.has(&id) {
        return Err(UserError::new(
            ErrorCode::CanisterIdAlreadyExists,
            format!("Unsuccessful canister creation: canister id {id} already exists."),
        ));
    }
    let is_own = ids::canister_number(id)
        .is_some_and(|number| subnet.ranges.iter().any(|range| range.contains(number)));
    if !is_own {
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
