//! Tasks: work that a canister begins by itself.

use super::environment::Invocation;
use super::runner::{Entry, Keep};
use crate::instance::Instance;
use crate::state::Origin;
use crate::state::calls::CallContext;
use crate::state::long::Ran;
use crate::state::snapshots::HookStatus;
use crate::system_api::host::Context;
use crate::trace::{Event, EventKind};
use candid::Principal;
use std::sync::Arc;

/// What a canister begins by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// `canister_heartbeat`
    Heartbeat,
    /// `canister_global_timer`
    Timer,
    /// `canister_on_low_wasm_memory`
    LowMemoryHook,
}

impl Task {
    /// The function that it runs.
    pub(crate) fn export(self) -> &'static str {
        match self {
            Self::Heartbeat => "canister_heartbeat",
            Self::Timer => "canister_global_timer",
            Self::LowMemoryHook => "canister_on_low_wasm_memory",
        }
    }
}

impl Instance {
    /// Executes a task of a canister that is due; answers the instructions that it used of this round. `None`: the
    /// canister is frozen, the task waits for cycles.
    pub(crate) fn execute_task(&mut self, subnet: usize, id: Principal, task: Task) -> Option<u64> {
        let profile = self.subnets[subnet].profile.clone();
        let limit = profile.limits.message;
        let mut canister = self.subnets[subnet].canister_mut(&id)?;
        let is_exported = canister.code.as_ref().is_some_and(|code| code.module.exports(task.export()));
        let is_wasm64 = canister.is_wasm64();
        let before = canister.cycles;
        let prepaid =
            if is_exported { Some(canister.prepay(&profile, limit, is_wasm64).ok()?) } else { None };
        match task {
            Task::Heartbeat => {}
            Task::Timer => canister.global_timer = 0,
            Task::LowMemoryHook => canister.hook_status = HookStatus::Executed,
        }
        let Some(prepaid) = prepaid else { return Some(0) };
        let system = Principal::management_canister();
        let context_id = canister.calls.open(CallContext {
            origin: Origin::Task,
            caller: system,
            is_answered: true,
            available: 0,
            instructions: 0,
            open_calls: 0,
        });
        drop(canister);
        let invocation = Invocation::plain(Context::Task, system, Arc::from([]), limit);
        let finished = self.run_on(subnet, id, invocation, 0, Entry::Export(task.export()), Keep::WhenDue);
        let event = self.traced(|| Event {
            round: self.round,
            kind: EventKind::Task,
            caller: system,
            callee: id,
            method: task.export().to_owned(),
            request_bytes: 0,
            response_bytes: 0,
            instructions: 0,
            cycles: 0,
        });
        let ran = Ran { context_id, balance_before: before, prepaid, finished, event };
        Some(self.end_or_withhold(subnet, id, ran))
    }
}
