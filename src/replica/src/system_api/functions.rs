//! The bodies of the functions, named as they are. Arguments are in `call.args`, in the order of the
//! specification; charges and the check of the context came before.

use super::call::{Call, Outcome};
use super::host::{Answer, Closure, HostError, LogLine, OutgoingCall};
use crate::costs::limits;
use candid::Principal;

pub(crate) use super::memory::{
    stable_grow, stable_read, stable_size, stable_write, stable64_grow, stable64_read, stable64_size,
    stable64_write,
};

pub(crate) fn msg_arg_data_size(call: &mut Call<'_>) -> Outcome {
    Ok(call.host().env.arg.len() as u64)
}

pub(crate) fn msg_arg_data_copy(call: &mut Call<'_>) -> Outcome {
    let arg = call.host().env.arg.clone();
    call.copy(&arg)
}

pub(crate) fn msg_caller_size(call: &mut Call<'_>) -> Outcome {
    Ok(call.host().env.caller.as_slice().len() as u64)
}

pub(crate) fn msg_caller_copy(call: &mut Call<'_>) -> Outcome {
    let caller = call.host().env.caller;
    call.copy(caller.as_slice())
}

/// No call carries information about its caller: the size is 0.
pub(crate) fn msg_caller_info_data_size(_: &mut Call<'_>) -> Outcome {
    Ok(0)
}

pub(crate) fn msg_caller_info_data_copy(call: &mut Call<'_>) -> Outcome {
    call.copy(&[])
}

pub(crate) fn msg_caller_info_signer_size(_: &mut Call<'_>) -> Outcome {
    Ok(0)
}

pub(crate) fn msg_caller_info_signer_copy(call: &mut Call<'_>) -> Outcome {
    call.copy(&[])
}

pub(crate) fn msg_reject_code(call: &mut Call<'_>) -> Outcome {
    Ok(call.host().env.reject.as_ref().map_or(0, |(code, _)| u64::from(*code)))
}

pub(crate) fn msg_reject_msg_size(call: &mut Call<'_>) -> Outcome {
    Ok(call.host().env.reject.as_ref().map_or(0, |(_, message)| message.len() as u64))
}

pub(crate) fn msg_reject_msg_copy(call: &mut Call<'_>) -> Outcome {
    let message = call.host().env.reject.clone().map_or_else(String::new, |(_, message)| message);
    call.copy(message.as_bytes())
}

pub(crate) fn msg_deadline(call: &mut Call<'_>) -> Outcome {
    Ok(call.host().env.deadline_nanos)
}

pub(crate) fn msg_reply_data_append(call: &mut Call<'_>) -> Outcome {
    let [source, size, ..] = call.args;
    let limit = if call.host().env.context.is_replicated() {
        limits::RESPONSE_BYTES
    } else {
        limits::QUERY_RESPONSE_BYTES
    };
    let Answer::Open(data) = &call.host().effects.answer else { return Err(already_answered(call)) };
    let total = (data.len() as u64).saturating_add(size);
    if total > limit {
        return Err(
            call.violation(format_args!("application payload size ({total}) cannot be larger than {limit}"))
        );
    }
    let bytes = call.load(source, size)?;
    if let Answer::Open(data) = &mut call.host().effects.answer {
        data.extend_from_slice(&bytes);
    }
    Ok(0)
}

pub(crate) fn msg_reply(call: &mut Call<'_>) -> Outcome {
    let Answer::Open(data) = &mut call.host().effects.answer else { return Err(already_answered(call)) };
    let data = std::mem::take(data);
    call.host().effects.answer = Answer::Reply(data);
    Ok(0)
}

pub(crate) fn msg_reject(call: &mut Call<'_>) -> Outcome {
    let [source, size, ..] = call.args;
    if !matches!(call.host().effects.answer, Answer::Open(_)) {
        return Err(already_answered(call));
    }
    if size > limits::RESPONSE_BYTES {
        return Err(call.violation(format_args!(
            "application payload size ({size}) cannot be larger than {}",
            limits::RESPONSE_BYTES
        )));
    }
    let bytes = call.load(source, size)?;
    let message = String::from_utf8(bytes).map_err(|_| call.violation("the message is not UTF-8"))?;
    call.host().effects.answer = Answer::Reject(message);
    Ok(0)
}

fn already_answered(call: &Call<'_>) -> HostError {
    call.violation("the call is already replied")
}

pub(crate) fn msg_cycles_available(call: &mut Call<'_>) -> Outcome {
    let available = call.host().effects.available;
    fits_64_bits(available)
}

pub(crate) fn msg_cycles_available128(call: &mut Call<'_>) -> Outcome {
    let available = call.host().effects.available;
    call.store_u128(call.args[0], available)
}

pub(crate) fn msg_cycles_refunded(call: &mut Call<'_>) -> Outcome {
    let refunded = call.host().env.refunded;
    fits_64_bits(refunded)
}

pub(crate) fn msg_cycles_refunded128(call: &mut Call<'_>) -> Outcome {
    let refunded = call.host().env.refunded;
    call.store_u128(call.args[0], refunded)
}

pub(crate) fn msg_cycles_accept(call: &mut Call<'_>) -> Outcome {
    let accepted = accept(call, u128::from(call.args[0]));
    fits_64_bits(accepted)
}

pub(crate) fn msg_cycles_accept128(call: &mut Call<'_>) -> Outcome {
    let [high, low, target, ..] = call.args;
    let accepted = accept(call, u128_of(high, low));
    call.store_u128(target, accepted)
}

fn accept(call: &mut Call<'_>, max: u128) -> u128 {
    let effects = &mut call.host().effects;
    let amount = max.min(effects.available);
    effects.available -= amount;
    effects.accepted += amount;
    effects.balance += amount;
    amount
}

/// For the cycles minting canister alone (code: `CyclesAccountManager::mint_cycles`).
pub(crate) fn mint_cycles128(call: &mut Call<'_>) -> Outcome {
    /// Its id on the mainnet (code: `CYCLES_MINTING_CANISTER_ID`).
    const MINTER: &str = "rkp4c-7iaaa-aaaaa-aaaca-cai";
    let [high, low, target, ..] = call.args;
    let canister = call.host().env.canister_id;
    if canister.to_text() != MINTER {
        return Err(HostError::ContractViolation(format!(
            "ic0.mint_cycles128 cannot be executed on non Cycles Minting Canister: {canister} != {MINTER}"
        )));
    }
    let effects = &mut call.host().effects;
    let before = effects.balance;
    effects.balance = before.saturating_add(u128_of(high, low));
    let minted = effects.balance - before;
    call.store_u128(target, minted)
}

pub(crate) fn cycles_burn128(call: &mut Call<'_>) -> Outcome {
    let [high, low, target, ..] = call.args;
    let liquid = liquid_balance(call);
    let amount = u128_of(high, low).min(liquid);
    let effects = &mut call.host().effects;
    effects.balance -= amount;
    effects.burned += amount;
    call.store_u128(target, amount)
}

pub(crate) fn canister_self_size(call: &mut Call<'_>) -> Outcome {
    Ok(call.host().env.canister_id.as_slice().len() as u64)
}

pub(crate) fn canister_self_copy(call: &mut Call<'_>) -> Outcome {
    let id = call.host().env.canister_id;
    call.copy(id.as_slice())
}

pub(crate) fn canister_cycle_balance(call: &mut Call<'_>) -> Outcome {
    let balance = call.host().effects.balance;
    fits_64_bits(balance)
}

pub(crate) fn canister_cycle_balance128(call: &mut Call<'_>) -> Outcome {
    let balance = call.host().effects.balance;
    call.store_u128(call.args[0], balance)
}

pub(crate) fn canister_liquid_cycle_balance128(call: &mut Call<'_>) -> Outcome {
    let liquid = liquid_balance(call);
    call.store_u128(call.args[0], liquid)
}

fn liquid_balance(call: &mut Call<'_>) -> u128 {
    let host = call.host();
    host.effects.balance.saturating_sub(host.threshold())
}

pub(crate) fn canister_status(call: &mut Call<'_>) -> Outcome {
    Ok(u64::from(call.host().env.status))
}

pub(crate) fn canister_version(call: &mut Call<'_>) -> Outcome {
    Ok(call.host().env.canister_version)
}

pub(crate) fn subnet_self_size(call: &mut Call<'_>) -> Outcome {
    Ok(call.host().env.subnet_id.as_slice().len() as u64)
}

pub(crate) fn subnet_self_copy(call: &mut Call<'_>) -> Outcome {
    let id = call.host().env.subnet_id;
    call.copy(id.as_slice())
}

pub(crate) fn subnet_self_node_count(call: &mut Call<'_>) -> Outcome {
    Ok(call.host().env.profile.nodes)
}

pub(crate) fn msg_method_name_size(call: &mut Call<'_>) -> Outcome {
    Ok(call.host().env.method.len() as u64)
}

pub(crate) fn msg_method_name_copy(call: &mut Call<'_>) -> Outcome {
    let method = call.host().env.method.clone();
    call.copy(method.as_bytes())
}

pub(crate) fn accept_message(call: &mut Call<'_>) -> Outcome {
    if call.host().effects.accepted_message {
        return Err(call.violation("the function was already called"));
    }
    call.host().effects.accepted_message = true;
    Ok(0)
}

pub(crate) fn call_new(call: &mut Call<'_>) -> Outcome {
    let [callee, callee_size, name, name_size, reply_fun, reply_env, reject_fun, reject_env] = call.args;
    discard_building(call);
    if name_size > limits::METHOD_NAME_BYTES {
        return Err(call.violation(format_args!(
            "the method name has {name_size} bytes, {} are allowed",
            limits::METHOD_NAME_BYTES
        )));
    }
    // A principal has at most 29 bytes; longer ones would only be copied to be refused.
    let callee = call.load(callee, callee_size.min(64))?;
    let callee = Principal::try_from_slice(&callee)
        .map_err(|_| call.violation("the callee is not a valid principal"))?;
    let name = call.load(name, name_size)?;
    let method = String::from_utf8_lossy(&name).into_owned();
    call.host().effects.building = Some(OutgoingCall {
        callee,
        method,
        payload: Vec::new(),
        on_reply: Closure { function: reply_fun, environment: reply_env },
        on_reject: Closure { function: reject_fun, environment: reject_env },
        on_cleanup: None,
        cycles: 0,
        timeout_seconds: None,
    });
    Ok(0)
}

/// A call that was begun and not made gives its cycles back (spec, `call_new`).
fn discard_building(call: &mut Call<'_>) {
    let effects = &mut call.host().effects;
    if let Some(building) = effects.building.take() {
        effects.balance += building.cycles;
    }
}

/// The call that is being built, or the contract violation that there is none.
macro_rules! building {
    ($call:ident) => {
        match $call.caller.data_mut().effects.building.as_mut() {
            Some(building) => building,
            None => return Err($call.violation("called when no call is under construction.")),
        }
    };
}

pub(crate) fn call_on_cleanup(call: &mut Call<'_>) -> Outcome {
    let [function, environment, ..] = call.args;
    let building = building!(call);
    if building.on_cleanup.replace(Closure { function, environment }).is_some() {
        return Err(call.violation("it can only be called once"));
    }
    Ok(0)
}

pub(crate) fn call_data_append(call: &mut Call<'_>) -> Outcome {
    let [source, size, ..] = call.args;
    let total = (building!(call).payload.len() as u64).saturating_add(size);
    if total > limits::SAME_SUBNET_PAYLOAD_BYTES {
        return Err(call.violation(format_args!(
            "request payload size ({total}) exceeds maximum allowed size {}",
            limits::SAME_SUBNET_PAYLOAD_BYTES
        )));
    }
    let bytes = call.load(source, size)?;
    building!(call).payload.extend_from_slice(&bytes);
    Ok(0)
}

pub(crate) fn call_with_best_effort_response(call: &mut Call<'_>) -> Outcome {
    let seconds = (call.args[0] as u32).min(limits::BEST_EFFORT_SECONDS);
    let building = building!(call);
    if building.timeout_seconds.replace(seconds).is_some() {
        return Err(call.violation("a timeout is already set"));
    }
    Ok(0)
}

pub(crate) fn call_cycles_add(call: &mut Call<'_>) -> Outcome {
    let amount = u128::from(call.args[0]);
    add_cycles(call, amount)
}

pub(crate) fn call_cycles_add128(call: &mut Call<'_>) -> Outcome {
    let [high, low, ..] = call.args;
    add_cycles(call, u128_of(high, low))
}

fn add_cycles(call: &mut Call<'_>, amount: u128) -> Outcome {
    building!(call);
    let liquid = liquid_balance(call);
    if amount > liquid {
        let canister = call.host().env.canister_id;
        return Err(HostError::OutOfCycles { canister, missing: amount - liquid });
    }
    call.host().effects.balance -= amount;
    building!(call).cycles += amount;
    Ok(0)
}

/// Answers 0, or the reject code 2 (`SYS_TRANSIENT`) where the call could not be made; then it had no
/// effect and its cycles are back.
pub(crate) fn call_perform(call: &mut Call<'_>) -> Outcome {
    const SYS_TRANSIENT: u64 = 2;
    building!(call);
    let host = call.host();
    let Some(building) = host.effects.building.take() else { return Ok(SYS_TRANSIENT) };
    // A query makes calls for nothing, and a response that can be dropped keeps no memory for itself.
    let is_charged = host.env.context.is_replicated();
    let responses = u64::from(is_charged && building.timeout_seconds.is_none());
    let fee = if is_charged {
        host.env.profile.call_cycles(building.payload_bytes(), host.env.is_wasm64)
    } else {
        0
    };
    let threshold = host.holdings().with_more_responses(responses).threshold(&host.env.profile);
    let has_room = (host.effects.calls.len() as u64) < host.env.room.calls
        && host.effects.reserved_responses + responses <= host.env.room.guaranteed;
    let under_way = host.env.outstanding.get(&building.callee).copied().unwrap_or(0)
        + host.effects.calls.iter().filter(|other| other.callee == building.callee).count();
    let is_affordable = !is_charged || host.effects.balance >= threshold.saturating_add(fee);
    if !is_affordable || !has_room || under_way >= limits::QUEUE_MESSAGES {
        host.effects.balance += building.cycles;
        return Ok(SYS_TRANSIENT);
    }
    host.effects.balance -= fee;
    host.effects.fees += fee;
    host.effects.reserved_responses += responses;
    host.effects.calls.push(building);
    Ok(0)
}

pub(crate) fn root_key_size(call: &mut Call<'_>) -> Outcome {
    Ok(call.host().env.root_key.len() as u64)
}

pub(crate) fn root_key_copy(call: &mut Call<'_>) -> Outcome {
    let key = call.host().env.root_key.clone();
    call.copy(&key)
}

pub(crate) fn certified_data_set(call: &mut Call<'_>) -> Outcome {
    let [source, size, ..] = call.args;
    if size > limits::CERTIFIED_DATA_BYTES {
        return Err(call.violation(format_args!(
            "the passed data has {size} bytes, {} are allowed",
            limits::CERTIFIED_DATA_BYTES
        )));
    }
    let data = call.load(source, size)?;
    call.host().effects.certified_data = Some(data);
    Ok(0)
}

/// There is no certificate: nobody signs the state of the replica.
pub(crate) fn data_certificate_present(_: &mut Call<'_>) -> Outcome {
    Ok(0)
}

pub(crate) fn data_certificate_size(call: &mut Call<'_>) -> Outcome {
    Err(call.violation("no data certificate is available"))
}

pub(crate) fn data_certificate_copy(call: &mut Call<'_>) -> Outcome {
    Err(call.violation("no data certificate is available"))
}

pub(crate) fn time(call: &mut Call<'_>) -> Outcome {
    Ok(call.host().env.time_nanos)
}

pub(crate) fn global_timer_set(call: &mut Call<'_>) -> Outcome {
    let next = call.args[0];
    Ok(std::mem::replace(&mut call.host().effects.global_timer, next))
}

pub(crate) fn performance_counter(call: &mut Call<'_>) -> Outcome {
    let used = call.instructions_used();
    match call.args[0] {
        0 => Ok(used),
        1 => Ok(call.host().env.context_instructions + used),
        other => Err(call.violation(format_args!("Error getting performance counter type {other}"))),
    }
}

pub(crate) fn is_controller(call: &mut Call<'_>) -> Outcome {
    let [source, size, ..] = call.args;
    let bytes = call.load(source, size.min(64))?;
    let principal = Principal::try_from_slice(&bytes)
        .map_err(|_| call.violation("the bytes are not a valid principal"))?;
    Ok(u64::from(call.host().env.controllers.contains(&principal)))
}

pub(crate) fn in_replicated_execution(call: &mut Call<'_>) -> Outcome {
    Ok(u64::from(call.host().env.context.is_replicated()))
}

pub(crate) fn cost_call(call: &mut Call<'_>) -> Outcome {
    let [method_bytes, payload_bytes, target, ..] = call.args;
    let is_wasm64 = call.host().env.is_wasm64;
    let cost = call.host().env.profile.call_cycles(method_bytes.saturating_add(payload_bytes), is_wasm64);
    call.store_u128(target, cost)
}

pub(crate) fn cost_create_canister(call: &mut Call<'_>) -> Outcome {
    let cost = call.host().env.profile.create_canister_cycles();
    call.store_u128(call.args[0], cost)
}

pub(crate) fn cost_http_request(call: &mut Call<'_>) -> Outcome {
    let [request_bytes, response_bytes, target, ..] = call.args;
    let cost = call.host().env.profile.http_request_cycles(request_bytes, response_bytes);
    call.store_u128(target, cost)
}

/// Its price depends on measurements of an outcall, and nobody makes the outcalls here.
pub(crate) fn cost_http_request_v2(call: &mut Call<'_>) -> Outcome {
    Err(call.violation(
        "this replica has no price for HTTP outcalls that are paid as they go: use cost_http_request",
    ))
}

pub(crate) fn cost_sign_with_ecdsa(call: &mut Call<'_>) -> Outcome {
    threshold_cost(call)
}

pub(crate) fn cost_sign_with_schnorr(call: &mut Call<'_>) -> Outcome {
    threshold_cost(call)
}

pub(crate) fn cost_vetkd_derive_key(call: &mut Call<'_>) -> Outcome {
    threshold_cost(call)
}

/// The replica has no threshold keys: every name is unknown, which the specification answers with 2;
/// the price is stored all the same for code that only budgets.
fn threshold_cost(call: &mut Call<'_>) -> Outcome {
    const UNKNOWN_KEY: u64 = 2;
    let [source, size, _, target, ..] = call.args;
    call.load(source, size)?;
    let cost = call.host().env.profile.threshold_signature_cycles();
    call.store_u128(target, cost)?;
    Ok(UNKNOWN_KEY)
}

pub(crate) fn env_var_count(call: &mut Call<'_>) -> Outcome {
    Ok(call.host().env.environment_variables.len() as u64)
}

pub(crate) fn env_var_name_size(call: &mut Call<'_>) -> Outcome {
    Ok(variable_name(call)?.len() as u64)
}

pub(crate) fn env_var_name_copy(call: &mut Call<'_>) -> Outcome {
    let [_, target, offset, size, ..] = call.args;
    let name = variable_name(call)?;
    call.copy_slice(name.as_bytes(), target, offset, size)
}

fn variable_name(call: &mut Call<'_>) -> Result<String, HostError> {
    let index = call.args[0];
    let variables = call.host().env.environment_variables.clone();
    usize::try_from(index)
        .ok()
        .and_then(|index| variables.get(index))
        .map(|(name, _)| name.clone())
        .ok_or_else(|| call.violation(format_args!("there is no environment variable {index}")))
}

pub(crate) fn env_var_name_exists(call: &mut Call<'_>) -> Outcome {
    Ok(u64::from(variable_value(call)?.is_some()))
}

pub(crate) fn env_var_value_size(call: &mut Call<'_>) -> Outcome {
    let value =
        variable_value(call)?.ok_or_else(|| call.violation("there is no such environment variable"))?;
    Ok(value.len() as u64)
}

pub(crate) fn env_var_value_copy(call: &mut Call<'_>) -> Outcome {
    let [_, _, target, offset, size, ..] = call.args;
    let value =
        variable_value(call)?.ok_or_else(|| call.violation("there is no such environment variable"))?;
    call.copy_slice(value.as_bytes(), target, offset, size)
}

/// The value of the variable that arguments 0 and 1 name.
fn variable_value(call: &mut Call<'_>) -> Result<Option<String>, HostError> {
    let [source, size, ..] = call.args;
    if size > limits::ENVIRONMENT_VARIABLE_BYTES as u64 {
        return Err(call.violation(format_args!(
            "a name of {size} bytes exceeds {}",
            limits::ENVIRONMENT_VARIABLE_BYTES
        )));
    }
    let name = call.load(source, size)?;
    let name = String::from_utf8(name).map_err(|_| call.violation("the name is not UTF-8"))?;
    let variables = call.host().env.environment_variables.clone();
    Ok(variables.iter().find(|(other, _)| *other == name).map(|(_, value)| value.clone()))
}

/// Never traps, wherever the text lies (spec, "Debugging aids").
pub(crate) fn debug_print(call: &mut Call<'_>) -> Outcome {
    let [source, size, ..] = call.args;
    let content = log_content(call, source, size, "(debug_print message out of memory bounds)")?;
    push_log(call, content);
    Ok(0)
}

/// Bytes of a trap's message that are kept (code: `MAX_ERROR_MESSAGE_SIZE`).
const KEPT_BYTES: u64 = 32 * 1024;

pub(crate) fn trap(call: &mut Call<'_>) -> Outcome {
    let [source, size, ..] = call.args;
    let content = log_content(call, source, size.min(KEPT_BYTES), "(trap message out of memory bounds)")?;
    let message = String::from_utf8_lossy(&content).into_owned();
    push_log(call, format!("[TRAP]: {message}").into_bytes());
    Err(HostError::CalledTrap(message))
}

/// Loads a line for the log and charges for it: every byte is stored, what fits is sent (code:
/// `logging_charge_bytes`). `otherwise` is the line where the text lies outside of the heap.
fn log_content(call: &mut Call<'_>, source: u64, size: u64, otherwise: &str) -> Result<Vec<u8>, HostError> {
    let free = call.host().env.log_free_bytes as u64;
    let stored = size.min(limits::LOG_BYTES as u64);
    let sent = size.min(free);
    call.charge(2 * stored + super::table::SENT_BYTE * sent)?;
    if !call.is_in_heap(source, size) {
        return Ok(otherwise.as_bytes().to_vec());
    }
    call.load(source, size.min(KEPT_BYTES))
}

fn push_log(call: &mut Call<'_>, mut content: Vec<u8>) {
    content.truncate(limits::LOG_BYTES);
    let host = call.host();
    let line = LogLine { time_nanos: host.env.time_nanos, content };
    host.env.log_free_bytes = host.env.log_free_bytes.saturating_sub(line.counted_bytes());
    host.effects.log.push(line);
}

fn u128_of(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

/// The 64-bit functions trap where the amount does not fit (spec, "Cycles").
fn fits_64_bits(amount: u128) -> Outcome {
    u64::try_from(amount).map_err(|_| {
        HostError::ContractViolation(format!("{amount} cycles cannot be represented by a 64-bit number"))
    })
}
