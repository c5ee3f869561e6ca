//! Settings of canisters.

use super::arguments::{SettingsArgs, UpdateSettings, quotas, undecodable};
use super::call::{Call, Outcome, decode, done};
use crate::accounts::Holdings;
use crate::costs::limits;
use crate::error::{ErrorCode, UserError};
use crate::state::history::ChangeKind;
use crate::state::settings::Visibility;
use crate::state::{Origin, Settings};
use candid::types::value::IDLValue;
use candid::{IDLArgs, Nat, Principal};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Largest memory allocation and heap limit in bytes (spec: 2^48).
const MAX_ALLOCATION_BYTES: u128 = 1 << 48;

pub(super) fn update(call: &mut Call<'_>) -> Outcome {
    let arg: UpdateSettings = decode(call)?;
    let id = arg.canister_id;
    let outcome = apply_update(call, arg);
    charge_delayed(call, id);
    outcome
}

/// A short call by ingress is paid for now, under the new settings, as far as the balance goes; whoever cannot
/// pay then gets it for nothing (code: "The induction cost of `UpdateSettings` is charged after").
fn charge_delayed(call: &mut Call<'_>, id: Principal) {
    let request = call.request;
    let is_ingress = matches!(request.origin, Origin::Ingress(_));
    if !is_ingress || !is_paid_later(&request.method, &request.payload) {
        return;
    }
    let profile = call.profile();
    let cost = profile.ingress_cycles((request.method.len() + request.payload.len()) as u64);
    if let Ok(mut canister) = call.canister_mut(id) {
        // Not actionable any more: the call is done.
        let _unpaid = canister.withdraw(&profile, cost);
    }
}

/// Short calls of `update_settings` are paid after they were executed, so that a frozen canister can be thawed
/// (code: `is_delayed_ingress_induction_cost`).
pub(crate) fn is_paid_later(method: &str, payload: &[u8]) -> bool {
    /// Bytes of the argument up to which that is so (code: `MAX_DELAYED_INGRESS_COST_PAYLOAD_SIZE`).
    const DELAYED_BYTES: usize = 324;
    method == "update_settings" && payload.len() <= DELAYED_BYTES
}

fn apply_update(call: &mut Call<'_>, arg: UpdateSettings) -> Outcome {
    let author = call.author(arg.sender_canister_version);
    let payload = call.request.payload.clone();
    let canister = call.controlled(arg.canister_id)?;
    refuse_unknown(&payload)?;
    validate(&arg.settings)?;
    let mut settings = canister.settings.clone();
    apply(&mut settings, &arg.settings)?;
    let (holdings, cycles) = (canister.holdings(), canister.cycles);
    check_allocations(call, Some(arg.canister_id), holdings, &settings, cycles)?;
    let mut canister = call.canister_mut(arg.canister_id)?;
    canister.settings = settings;
    if arg.settings.controllers.is_some() {
        let controllers = canister.settings.controllers.iter().copied().collect();
        canister.record(author, ChangeKind::ControllersChange(controllers));
    } else {
        canister.version += 1;
    }
    done()
}

/// An allocation must be there on the subnet, suffice for what the canister keeps, and be paid for until the
/// freezing threshold (spec, `compute_allocation`, `memory_allocation`; code: `validate_canister_settings`).
///
/// `holdings` are those before the change, of a new canister (`None`) none.
pub(super) fn check_allocations(
    call: &Call<'_>,
    id: Option<Principal>,
    before: Holdings,
    settings: &Settings,
    cycles: u128,
) -> Result<(), UserError> {
    let (memory, compute) = (settings.memory_allocation, settings.compute_allocation);
    if memory != before.allocated_bytes && memory != 0 && memory < before.memory_bytes {
        return Err(UserError::new(
            ErrorCode::InsufficientMemoryAllocation,
            format!(
                "Canister was given {memory} bytes memory allocation but at least {} bytes of memory is needed.\nTry \
                 increasing the canister's memory allocation.",
                before.memory_bytes
            ),
        ));
    }
    if compute > before.compute_percent {
        let subnet = &call.instance.subnets[call.subnet];
        let others = subnet.canister_ids().filter(|other| Some(**other) != id);
        let taken: u64 = others
            .filter_map(|other| subnet.canister(other))
            .map(|canister| canister.settings.compute_allocation)
            .sum();
        let free = limits::SUBNET_COMPUTE_PERCENT.saturating_sub(taken);
        if compute > free {
            return Err(UserError::new(
                ErrorCode::SubnetOversubscribed,
                format!(
                    "Canister requested a compute allocation of {compute}% which cannot be satisfied because the \
                     Subnet's remaining compute capacity is {free}%.\nTry moving to another subnet."
                ),
            ));
        }
    }
    let after = Holdings {
        allocated_bytes: memory,
        compute_percent: compute,
        freezing_seconds: settings.freezing_threshold_seconds,
        ..before
    };
    let threshold = after.threshold(&call.profile());
    if cycles >= threshold {
        return Ok(());
    }
    let (code, what, wanted) = if compute > before.compute_percent {
        (ErrorCode::InsufficientCyclesInComputeAllocation, "compute", format!("{compute}%"))
    } else if memory > before.allocated_bytes {
        (ErrorCode::InsufficientCyclesInMemoryAllocation, "memory", memory.to_string())
    } else {
        // A threshold may freeze a canister.
        return Ok(());
    };
    Err(UserError::new(
        code,
        format!(
            "Cannot increase {what} allocation to {wanted} due to insufficient cycles. At least {} additional cycles \
             are required.\nTop up the canister with more cycles.",
            threshold - cycles
        ),
    ))
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
    for visibility in
        [&arg.log_visibility, &arg.snapshot_visibility, &arg.status_visibility].into_iter().flatten()
    {
        if let Visibility::AllowedViewers(viewers) = visibility
            && viewers.len() > limits::ALLOWED_VIEWERS
        {
            return Err(invalid(format!(
                "The number of elements exceeds maximum allowed {}: {} allowed viewers",
                limits::ALLOWED_VIEWERS,
                viewers.len()
            )));
        }
    }
    // The one size that logs have here; clients that copy settings send what they were shown.
    if arg.log_memory_limit.as_ref().is_some_and(|limit| *limit != limits::LOG_BYTES) {
        return Err(invalid(format!(
            "log_memory_limit is not supported by this replica: logs hold {} bytes",
            limits::LOG_BYTES
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
        settings.wasm_memory_threshold = bounded(bytes, "wasm_memory_threshold", MAX_ALLOCATION_BYTES)?;
    }
    if let Some(cycles) = &arg.minimum_incoming_canister_call_cycles {
        settings.minimum_incoming_cycles = number(cycles, "minimum_incoming_canister_call_cycles")?;
    }
    if let Some(visibility) = &arg.log_visibility {
        settings.log_visibility.clone_from(visibility);
    }
    if let Some(visibility) = &arg.snapshot_visibility {
        settings.snapshot_visibility.clone_from(visibility);
    }
    if let Some(visibility) = &arg.status_visibility {
        settings.status_visibility.clone_from(visibility);
    }
    if let Some(variables) = &arg.environment_variables {
        let mut variables: Vec<_> =
            variables.iter().map(|variable| (variable.name.clone(), variable.value.clone())).collect();
        variables.sort();
        settings.environment_variables = Arc::new(variables);
    }
    Ok(())
}

/// The settings that the replica knows (spec 0.66, `canister_settings`; `log_memory_limit`: code).
const KNOWN: [&str; 13] = [
    "controllers",
    "compute_allocation",
    "memory_allocation",
    "freezing_threshold",
    "reserved_cycles_limit",
    "minimum_incoming_canister_call_cycles",
    "log_visibility",
    "log_memory_limit",
    "snapshot_visibility",
    "status_visibility",
    "wasm_memory_limit",
    "wasm_memory_threshold",
    "environment_variables",
];

/// Refuses settings that the replica does not know: Candid would drop them in silence, and a rehearsal would
/// take them for applied. On the wire they have numbers instead of names.
pub(super) fn refuse_unknown(payload: &[u8]) -> Result<(), UserError> {
    let args = IDLArgs::from_bytes_with_config(payload, &quotas(payload.len(), true))
        .map_err(|error| undecodable(&error))?;
    let Some(settings) = args.args.first().and_then(|arg| field(arg, "settings")) else { return Ok(()) };
    let settings = match settings {
        IDLValue::Opt(settings) => settings,
        settings => settings,
    };
    let IDLValue::Record(fields) = settings else { return Ok(()) };
    let unknown = fields.iter().find(|field| {
        let is_set = !matches!(field.val, IDLValue::None | IDLValue::Null | IDLValue::Reserved);
        is_set && !KNOWN.iter().any(|name| field.id.get_id() == candid::idl_hash(name))
    });
    match unknown {
        None => Ok(()),
        Some(field) => Err(invalid(format!(
            "the setting with Candid id {} is not supported by this replica, which knows {}",
            field.id.get_id(),
            KNOWN.join(", ")
        ))),
    }
}

fn field<'a>(record: &'a IDLValue, name: &str) -> Option<&'a IDLValue> {
    let IDLValue::Record(fields) = record else { return None };
    fields.iter().find(|field| field.id.get_id() == candid::idl_hash(name)).map(|field| &field.val)
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
