//! What a running message sees, and the effects it has until they are committed.

use super::table::contexts;
use crate::accounts::{CannotGrow, Holdings, check_growth};
use crate::memory::region::Region;
use crate::memory::stable::StableView;
use crate::profile::SubnetProfile;
use crate::state::calls::CallRoom;
use crate::state::log::Log;
use candid::Principal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// The entry point that runs, as the specification abbreviates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    /// `canister_init` or `canister_post_upgrade`
    Init,
    /// `canister_pre_upgrade`
    PreUpgrade,
    /// update method
    Update,
    /// query method called as an update
    ReplicatedQuery,
    /// query method called as a query
    Query,
    /// composite query method
    CompositeQuery,
    /// reply callback
    Reply,
    /// reject callback
    Reject,
    /// reply callback of a composite query
    CompositeReply,
    /// reject callback of a composite query
    CompositeReject,
    /// cleanup callback
    Cleanup,
    /// cleanup callback of a composite query
    CompositeCleanup,
    /// `canister_inspect_message`
    Inspect,
    /// heartbeat, global timer, low-memory hook
    Task,
    /// the module's start function
    Start,
}

impl Context {
    /// Its bit in [`contexts`].
    pub(crate) fn bit(self) -> u16 {
        match self {
            Self::Init => contexts::I,
            Self::PreUpgrade => contexts::G,
            Self::Update => contexts::U,
            Self::ReplicatedQuery => contexts::RQ,
            Self::Query => contexts::NRQ,
            Self::CompositeQuery => contexts::CQ,
            Self::Reply => contexts::RY,
            Self::Reject => contexts::RT,
            Self::CompositeReply => contexts::CRY,
            Self::CompositeReject => contexts::CRT,
            Self::Cleanup => contexts::C,
            Self::CompositeCleanup => contexts::CC,
            Self::Inspect => contexts::F,
            Self::Task => contexts::T,
            Self::Start => contexts::S,
        }
    }

    /// Whether memory that it grows is checked against the freezing threshold at once (code:
    /// `should_check_freezing_threshold_for_memory_grow`): what finishes work begun may grow in any case, and an
    /// installation is checked at its end.
    pub(crate) fn checks_growth(self) -> bool {
        matches!(self, Self::Update | Self::Task)
    }

    /// Whether it runs in replicated execution (spec, "Replicated execution check").
    pub(crate) fn is_replicated(self) -> bool {
        !matches!(
            self,
            Self::Query
                | Self::CompositeQuery
                | Self::CompositeReply
                | Self::CompositeReject
                | Self::CompositeCleanup
                | Self::Inspect
        )
    }
}

/// What a message can read: nothing in here changes while it runs.
#[derive(Clone)]
pub(crate) struct Env {
    pub(crate) context: Context,
    pub(crate) canister_id: Principal,
    pub(crate) subnet_id: Principal,
    /// Canister id and principal of the caller of the call context.
    pub(crate) caller: Principal,
    pub(crate) time_nanos: u64,
    pub(crate) canister_version: u64,
    /// 1 running, 2 stopping, 3 stopped.
    pub(crate) status: u32,
    pub(crate) controllers: Arc<BTreeSet<Principal>>,
    pub(crate) environment_variables: Arc<Vec<(String, String)>>,
    pub(crate) root_key: Arc<[u8]>,
    /// Argument of the method, or the reply in a reply callback.
    pub(crate) arg: Arc<[u8]>,
    /// Code and message in a reject callback; the code also in its cleanup.
    pub(crate) reject: Option<(u32, String)>,
    /// Method to be inspected.
    pub(crate) method: String,
    /// Nanoseconds since the epoch at which the caller stops waiting; 0 without a deadline.
    pub(crate) deadline_nanos: u64,
    /// Cycles refunded with the response that a callback handles.
    pub(crate) refunded: u128,
    pub(crate) is_wasm64: bool,
    /// Instructions that the message may use.
    pub(crate) instruction_limit: u64,
    /// Instructions that the call context used in earlier messages.
    pub(crate) context_instructions: u64,
    /// What the canister keeps at the beginning of the message, from which its freezing threshold follows.
    pub(crate) holdings: Holdings,
    /// Prices of the subnet.
    pub(crate) profile: Arc<SubnetProfile>,
    /// Bytes that the heap may reach in this message, if its owner limits it.
    pub(crate) wasm_memory_limit_bytes: Option<u64>,
    /// Requests under way to each canister.
    pub(crate) outstanding: Arc<BTreeMap<Principal, usize>>,
    /// How many calls it may make besides those.
    pub(crate) room: CallRoom,
    /// Bytes free in the canister's log.
    pub(crate) log_free_bytes: usize,
}

impl Env {
    /// That of nobody, as often as a message ends.
    fn idle() -> Self {
        static IDLE: LazyLock<Env> = LazyLock::new(|| {
            let nobody = Principal::management_canister();
            Env {
                context: Context::Start,
                canister_id: nobody,
                subnet_id: nobody,
                caller: nobody,
                time_nanos: 0,
                canister_version: 0,
                status: 1,
                controllers: Arc::default(),
                environment_variables: Arc::default(),
                root_key: Arc::from([]),
                arg: Arc::from([]),
                reject: None,
                method: String::new(),
                deadline_nanos: 0,
                refunded: 0,
                is_wasm64: false,
                instruction_limit: 0,
                context_instructions: 0,
                holdings: Holdings::default(),
                profile: SubnetProfile::idle(),
                wasm_memory_limit_bytes: None,
                outstanding: Arc::default(),
                room: CallRoom::UNLIMITED,
                log_free_bytes: 0,
            }
        });
        IDLE.clone()
    }
}

/// What a message answered so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing yet; the bytes appended so far.
    Open(Vec<u8>),
    /// An earlier message of the call context answered.
    Closed,
    /// A reply.
    Reply(Vec<u8>),
    /// A reject with the canister's message.
    Reject(String),
}

/// A function in the canister's table and the value handed to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closure {
    pub(crate) function: u64,
    pub(crate) environment: u64,
}

/// A call that is being built, and then one that was made.
#[derive(Debug, Clone)]
pub(crate) struct OutgoingCall {
    pub(crate) callee: Principal,
    pub(crate) method: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) on_reply: Closure,
    pub(crate) on_reject: Closure,
    pub(crate) on_cleanup: Option<Closure>,
    pub(crate) cycles: u128,
    /// Seconds that a best-effort call waits.
    pub(crate) timeout_seconds: Option<u32>,
}

impl OutgoingCall {
    /// Bytes that the platform charges: method name and payload.
    pub(crate) fn payload_bytes(&self) -> u64 {
        (self.method.len() + self.payload.len()) as u64
    }
}

/// A line of a canister's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogLine {
    pub(crate) time_nanos: u64,
    pub(crate) content: Vec<u8>,
}

impl LogLine {
    /// Bytes that a line counts besides its content: two numbers and a vector (code:
    /// `CanisterLogRecord::data_size`).
    pub(crate) const RECORD_BYTES: usize = 40;

    /// Bytes that the line counts in the log.
    pub(crate) fn counted_bytes(&self) -> usize {
        Self::RECORD_BYTES + self.content.len()
    }
}

/// Effects of a message. They last only if it succeeds; the log lines in any case.
pub(crate) struct Effects {
    pub(crate) stable: StableView,
    pub(crate) answer: Answer,
    /// Cycle balance, as the message sees and changes it.
    pub(crate) balance: u128,
    /// Cycle balance with which the message began.
    pub(crate) balance_at_start: u128,
    /// Cycles of the call context that can still be accepted.
    pub(crate) available: u128,
    /// Cycles taken from `available`.
    pub(crate) accepted: u128,
    /// Cycles burned.
    pub(crate) burned: u128,
    /// Cycles paid for calls that it made.
    pub(crate) fees: u128,
    /// Bytes that heap and stable memory grew by.
    pub(crate) grown_bytes: u64,
    pub(crate) building: Option<OutgoingCall>,
    pub(crate) calls: Vec<OutgoingCall>,
    /// How many of them wait for their response as long as it takes.
    pub(crate) reserved_responses: u64,
    pub(crate) certified_data: Option<Vec<u8>>,
    /// The global timer: nanoseconds since the epoch, 0 for none.
    pub(crate) global_timer: u64,
    pub(crate) accepted_message: bool,
    pub(crate) log: Log,
}

/// Why a message failed, before words are found for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostError {
    /// The canister called `ic0.trap`.
    #[error("Canister called `ic0.trap` with message: '{0}'")]
    CalledTrap(String),
    /// The canister used the system API against its rules.
    #[error("Canister violated contract: {0}")]
    ContractViolation(String),
    /// No instructions left.
    #[error("Canister exceeded the limit of {0} instructions for single message execution.")]
    OutOfInstructions(u64),
    /// A wasm trap.
    #[error("Canister trapped: {0}")]
    Trapped(&'static str),
    /// Not enough cycles to attach to a call.
    #[error("Canister {canister} does not have {missing} of the cycles that it attached to a call")]
    OutOfCycles {
        /// The canister.
        canister: Principal,
        /// Cycles that it lacks.
        missing: u128,
    },
    /// Not enough cycles to keep the memory that the message grew.
    #[error(transparent)]
    CannotGrow(CannotGrow),
    /// The message touched or wrote too much of stable memory.
    #[error("Canister exceeded memory access limits: {0}")]
    StableAccess(String),
    /// The heap reached the limit that its owner set.
    #[error("Canister exceeded its current Wasm memory limit of {0} bytes")]
    WasmMemoryLimit(u64),
    /// The embedder failed.
    #[error("Canister encountered a Wasm engine error: {0}")]
    Engine(String),
}

/// Data of the wasm store.
pub(crate) struct Host {
    pub(crate) env: Env,
    pub(crate) effects: Effects,
    pub(crate) region: Option<Arc<Region>>,
    /// Instructions counted besides the fuel.
    pub(crate) extra_instructions: u64,
}

impl Host {
    /// A host that no code runs on.
    pub(crate) fn idle() -> Self {
        Self {
            env: Env::idle(),
            effects: Effects::new(StableView::default(), 0, 0, 0),
            region: None,
            extra_instructions: 0,
        }
    }

    /// What the canister keeps by now.
    pub(crate) fn holdings(&self) -> Holdings {
        let before = self.env.holdings;
        before
            .with_memory(before.memory_bytes + self.effects.grown_bytes)
            .with_more_responses(self.effects.reserved_responses)
    }

    /// The balance above which the message can spend.
    pub(crate) fn threshold(&self) -> u128 {
        self.holdings().threshold(&self.env.profile)
    }

    /// Accounts for `bytes` more memory, or says why the canister cannot have them.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), HostError> {
        if self.env.context.checks_growth() {
            let before = self.holdings();
            let after_bytes = before.memory_bytes + bytes;
            check_growth(&self.env.profile, before, after_bytes, self.effects.balance)
                .map_err(HostError::CannotGrow)?;
        }
        self.effects.grown_bytes += bytes;
        Ok(())
    }
}

impl Effects {
    /// The effects of a message that did nothing yet.
    pub(crate) fn new(stable: StableView, balance: u128, available: u128, global_timer: u64) -> Self {
        Self {
            stable,
            answer: Answer::Open(Vec::new()),
            balance,
            balance_at_start: balance,
            available,
            accepted: 0,
            burned: 0,
            fees: 0,
            grown_bytes: 0,
            building: None,
            calls: Vec::new(),
            reserved_responses: 0,
            certified_data: None,
            global_timer,
            accepted_message: false,
            log: Log::default(),
        }
    }
}

impl wasmtime::ResourceLimiter for Host {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The size that an instance begins with is no growth: its heap was there before.
        if self.region.is_none() {
            return Ok(true);
        }
        self.extra_instructions += crate::costs::instructions::MEMORY_GROW_REMAINDER;
        let capacity = if self.env.is_wasm64 {
            crate::costs::limits::WASM64_HEAP_PAGES
        } else {
            crate::costs::limits::WASM32_HEAP_PAGES
        } * crate::costs::WASM_PAGE_BYTES;
        if maximum.is_some_and(|maximum| desired > maximum) || desired as u64 > capacity {
            return Ok(false);
        }
        if desired == current {
            return Ok(true);
        }
        if let Some(limit) = self.env.wasm_memory_limit_bytes.filter(|limit| desired as u64 > *limit) {
            return Err(HostError::WasmMemoryLimit(limit).into());
        }
        self.grow((desired - current) as u64)?;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired as u64 <= crate::costs::limits::TABLE_ELEMENTS)
    }
}
