//! What a message is told about its canister and the world.

use crate::memory::stable::StableView;
use crate::profile::SubnetProfile;
use crate::state::calls::CallRoom;
use crate::state::{Canister, Settings};
use crate::system_api::host::{Context, Effects, Env};
use candid::Principal;
use std::sync::Arc;

/// The parts of an environment that depend on the message.
pub(crate) struct Invocation {
    pub(crate) context: Context,
    pub(crate) caller: Principal,
    pub(crate) arg: Arc<[u8]>,
    /// Code and message for reject callbacks.
    pub(crate) reject: Option<(u32, String)>,
    pub(crate) deadline_nanos: u64,
    pub(crate) refunded: u128,
    pub(crate) context_instructions: u64,
    pub(crate) instruction_limit: u64,
    /// Whether the call context was answered by an earlier message.
    pub(crate) is_answered: bool,
}

impl Invocation {
    /// An invocation without call context: a task, a hook of the life cycle.
    pub(crate) fn plain(context: Context, caller: Principal, arg: Arc<[u8]>, instruction_limit: u64) -> Self {
        Self {
            context,
            caller,
            arg,
            reject: None,
            deadline_nanos: 0,
            refunded: 0,
            context_instructions: 0,
            instruction_limit,
            is_answered: false,
        }
    }
}

/// What `canister` sees in `invocation`.
pub(crate) fn env(
    canister: &Canister,
    subnet_id: Principal,
    time_nanos: u64,
    root_key: Arc<[u8]>,
    profile: Arc<SubnetProfile>,
    invocation: Invocation,
) -> Env {
    let settings: &Settings = &canister.settings;
    Env {
        context: invocation.context,
        canister_id: canister.id,
        subnet_id,
        caller: invocation.caller,
        time_nanos,
        canister_version: canister.version,
        status: canister.status_code(),
        controllers: settings.controllers.clone(),
        environment_variables: settings.environment_variables.clone(),
        root_key,
        arg: invocation.arg,
        reject: invocation.reject,
        method: String::new(),
        deadline_nanos: invocation.deadline_nanos,
        refunded: invocation.refunded,
        is_wasm64: canister.code.as_ref().is_some_and(|code| code.module.inspection.is_wasm64),
        instruction_limit: invocation.instruction_limit,
        context_instructions: invocation.context_instructions,
        holdings: canister.holdings(),
        profile,
        wasm_memory_limit_bytes: wasm_memory_limit(settings, invocation.context),
        outstanding: canister.calls.outstanding.clone(),
        room: CallRoom::UNLIMITED,
        log_free_bytes: canister.log.free_bytes(),
    }
}

/// The limit that the owner set holds for what begins new work, not for what finishes it (spec,
/// `wasm_memory_limit`: update methods and installations, "ignored for [...] global timers, heartbeats"; code:
/// `effective_wasm_memory_limit`).
fn wasm_memory_limit(settings: &Settings, context: Context) -> Option<u64> {
    let applies = matches!(context, Context::Update | Context::Init | Context::Start);
    (applies && settings.wasm_memory_limit != 0).then_some(settings.wasm_memory_limit)
}

/// The effects that a message of `canister` begins with.
pub(crate) fn effects(canister: &Canister, available: u128) -> Effects {
    Effects::new(StableView::new(&canister.stable), canister.cycles, available, canister.global_timer)
}
