//! Settings of canisters.

use super::arguments::{self, SettingsArgs, UpdateSettings};
use super::call::{Call, Outcome, decode, done};
use crate::costs::limits;
use crate::error::{ErrorCode, UserError};
use crate::state::Settings;
use crate::state::history::ChangeKind;
use crate::state::settings::Visibility;
use candid::Nat;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Largest memory allocation and heap limit in bytes (spec: 2^48).
const MAX_ALLOCATION_BYTES: u128 = 1 << 48;

pub(super) fn update(call: &mut Call<'_>) -> Outcome {
    let arg: UpdateSettings = decode(call)?;
    let author = call.author(arg.sender_canister_version);
    let mut canister = call.controlled_mut(arg.canister_id)?;
    validate(&arg.settings)?;
    let mut settings = canister.settings.clone();
    apply(&mut settings, &arg.settings)?;
    check_affordable(&canister, &settings)?;
    canister.settings = settings;
    if arg.settings.controllers.is_some() {
        let controllers = canister.settings.controllers.iter().copied().collect();
        canister.record(author, ChangeKind::ControllersChange(controllers));
    } else {
        canister.version += 1;
    }
    done()
}

/// An allocation must be paid for until the freezing threshold (spec, "Freezing threshold").
fn check_affordable(canister: &crate::state::Canister, settings: &Settings) -> Result<(), UserError> {
    let bytes = canister.memory().total().max(settings.memory_allocation);
    let needed = crate::costs::storage_cycles(bytes, settings.freezing_threshold_seconds)
        + crate::costs::prices::COMPUTE_PERCENT_SECOND
            * u128::from(settings.compute_allocation)
            * u128::from(settings.freezing_threshold_seconds);
    let grows = settings.memory_allocation > canister.settings.memory_allocation
        || settings.compute_allocation > canister.settings.compute_allocation;
    if grows && canister.cycles < needed {
        return Err(UserError::new(
            ErrorCode::InsufficientCyclesInMemoryAllocation,
            format!(
                "Cannot increase memory allocation to {} due to insufficient cycles. At least {} additional cycles \
                 are required.",
                settings.memory_allocation,
                needed - canister.cycles
            ),
        ));
    }
    Ok(())
}

/// Refuses settings out of range.
pub(super) fn validate(arg: &SettingsArgs) -> Result<(), UserError> {
    if let Some(controllers) = &arg.controllers
        && controllers.len() > limits::CONTROLLERS
    {
        return Err(invalid(format!(
            "The number of elements exceeds maximum allowed {}: {} controllers",
            limits::CONTROLLERS,
            controllers.len()
        )));
    }
    let Some(variables) = &arg.environment_variables else { return Ok(()) };
    if variables.len() > limits::ENVIRONMENT_VARIABLES {
        return Err(invalid(format!(
            "Too many environment variables: {} (max: {})",
            variables.len(),
            limits::ENVIRONMENT_VARIABLES
        )));
    }
    let mut names = BTreeSet::new();
    for variable in variables {
        if !names.insert(&variable.name) {
            return Err(invalid(format!("Duplicate environment variable {}", variable.name)));
        }
        let longest = variable.name.len().max(variable.value.len());
        if longest > limits::ENVIRONMENT_VARIABLE_BYTES {
            return Err(invalid(format!(
                "Environment variable {:?} exceeds the maximum allowed length of {}.",
                variable.name,
                limits::ENVIRONMENT_VARIABLE_BYTES
            )));
        }
    }
    Ok(())
}

/// Applies what is given to `settings`.
pub(super) fn apply(settings: &mut Settings, arg: &SettingsArgs) -> Result<(), UserError> {
    if let Some(controllers) = &arg.controllers {
        settings.controllers = Arc::new(controllers.iter().copied().collect());
    }
    if let Some(percent) = &arg.compute_allocation {
        settings.compute_allocation = bounded(percent, "compute_allocation", 100)?;
    }
    if let Some(bytes) = &arg.memory_allocation {
        settings.memory_allocation = bounded(bytes, "memory_allocation", MAX_ALLOCATION_BYTES)?;
    }
    if let Some(seconds) = &arg.freezing_threshold {
        settings.freezing_threshold_seconds = bounded(seconds, "freezing_threshold", u64::MAX.into())?;
    }
    if let Some(cycles) = &arg.reserved_cycles_limit {
        settings.reserved_cycles_limit = number(cycles, "reserved_cycles_limit")?;
    }
    if let Some(bytes) = &arg.wasm_memory_limit {
        settings.wasm_memory_limit = bounded(bytes, "wasm_memory_limit", MAX_ALLOCATION_BYTES)?;
    }
    if let Some(bytes) = &arg.wasm_memory_threshold {
        settings.wasm_memory_threshold = bounded(bytes, "wasm_memory_threshold", u64::MAX.into())?;
    }
    if let Some(visibility) = &arg.log_visibility {
        settings.log_visibility = to_state(visibility);
    }
    if let Some(visibility) = &arg.snapshot_visibility {
        settings.snapshot_visibility = to_state(visibility);
    }
    if let Some(variables) = &arg.environment_variables {
        let mut variables: Vec<_> =
            variables.iter().map(|variable| (variable.name.clone(), variable.value.clone())).collect();
        variables.sort();
        settings.environment_variables = Arc::new(variables);
    }
    Ok(())
}

fn to_state(visibility: &arguments::Visibility) -> Visibility {
    match visibility {
        arguments::Visibility::Controllers => Visibility::Controllers,
        arguments::Visibility::Public => Visibility::Public,
        arguments::Visibility::AllowedViewers(viewers) => Visibility::AllowedViewers(viewers.clone()),
    }
}

fn bounded(value: &Nat, name: &str, max: u128) -> Result<u64, UserError> {
    let number = number(value, name)?;
    if number > max {
        return Err(invalid(format!("{name} expected to be in the range of [0..{max}], got {number}")));
    }
    u64::try_from(number).map_err(|_| invalid(format!("{name} exceeds 64 bits")))
}

/// A natural number of at most 128 bits.
pub(super) fn number(value: &Nat, name: &str) -> Result<u128, UserError> {
    u128::try_from(value.0.clone()).map_err(|_| invalid(format!("{name} exceeds 128 bits")))
}

fn invalid(message: String) -> UserError {
    UserError::new(ErrorCode::CanisterRejectedMessage, format!("Could not validate the settings: {message}"))
}
