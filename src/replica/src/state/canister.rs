//! A canister.

use super::calls::Calls;
use super::chunks::ChunkStore;
use super::code::{Code, Parts};
use super::history::{Author, Change, ChangeKind, History};
use super::inbox::Inbox;
use super::index::Indexed;
use super::log::Log;
use super::long::Long;
use super::messages::{Inbound, Request};
use super::settings::Settings;
use super::snapshots::{HookStatus, Snapshot, SnapshotId};
use crate::accounts::Debits;
use crate::costs::{self, WASM_PAGE_BYTES};
use crate::memory::stable::StableMemory;
use crate::wasm::module::GlobalValue;
use candid::Principal;
use std::collections::BTreeMap;

/// A `stop_canister` call that waits for the canister to drain.
#[derive(Debug, Clone)]
pub(crate) struct StopRequest {
    pub(crate) request: Request,
    /// Nanoseconds since the epoch at which it gives up.
    pub(crate) deadline_nanos: u64,
}

/// Whether a canister takes calls.
#[derive(Debug, Clone)]
pub(crate) enum Status {
    /// It does.
    Running,
    /// Only responses to its own calls; these wait for the end of it.
    Stopping(Vec<StopRequest>),
    /// It does not.
    Stopped,
}

/// When a canister has its turn.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Turns {
    /// Rounds in which it did all that it had to do: who had fewer comes first.
    pub(crate) full_rounds: u64,
    /// The round in which the latest of them was counted.
    pub(crate) counted_in: u64,
    /// What it begins its next round with.
    pub(crate) next: Turn,
}

/// What a canister begins a round with; each in turn (code: `NextScheduledMethod`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Turn {
    /// Its timer, then its heartbeat, then its messages.
    #[default]
    Timer,
    /// Its heartbeat, then its timer, then its messages.
    Heartbeat,
    /// Its messages; neither timer nor heartbeat has a turn in that round.
    Message,
}

impl Turn {
    /// The one after it.
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Timer => Self::Heartbeat,
            Self::Heartbeat => Self::Message,
            Self::Message => Self::Timer,
        }
    }
}

/// A canister with everything that belongs to it.
pub(crate) struct Canister {
    pub(crate) id: Principal,
    pub(crate) status: Status,
    pub(crate) settings: Settings,
    pub(crate) cycles: u128,
    /// Cycles that it paid, or burned, in all; what is prepaid counts until it comes back.
    pub(crate) consumed_cycles: u128,
    pub(crate) code: Option<Code>,
    pub(crate) stable: StableMemory,
    /// Grows with every change (spec, "Canister version").
    pub(crate) version: u64,
    pub(crate) certified_data: Vec<u8>,
    /// Nanoseconds since the epoch, 0 for none.
    pub(crate) global_timer: u64,
    pub(crate) hook_status: HookStatus,
    pub(crate) log: Log,
    pub(crate) history: History,
    pub(crate) chunk_store: ChunkStore,
    pub(crate) snapshots: BTreeMap<SnapshotId, Snapshot>,
    /// Number of the next snapshot.
    pub(crate) next_snapshot: u64,
    pub(crate) calls: Calls,
    pub(crate) inbox: Inbox<Inbound>,
    /// What it does over several rounds; meanwhile it does nothing else.
    pub(crate) long: Option<Box<Long>>,
    /// Its place in the order of the subnet.
    pub(crate) turns: Turns,
    /// What rate limits hold against it.
    pub(crate) debits: Debits,
    /// Nanoseconds since the epoch until which storage is paid.
    pub(crate) paid_until_nanos: u64,
    /// Calls, instructions, request bytes and response bytes of queries.
    pub(crate) query_stats: [u128; 4],
    /// What the subnet's index says of it.
    pub(super) indexed: Indexed,
}

impl Canister {
    /// An empty canister.
    pub(crate) fn new(id: Principal, settings: Settings, cycles: u128, time_nanos: u64) -> Self {
        Self {
            id,
            status: Status::Running,
            settings,
            cycles,
            consumed_cycles: 0,
            code: None,
            stable: StableMemory::default(),
            version: 0,
            certified_data: Vec::new(),
            global_timer: 0,
            hook_status: HookStatus::default(),
            log: Log::default(),
            history: History::default(),
            chunk_store: ChunkStore::default(),
            snapshots: BTreeMap::new(),
            next_snapshot: 0,
            calls: Calls::default(),
            inbox: Inbox::default(),
            long: None,
            turns: Turns::default(),
            debits: Debits::default(),
            paid_until_nanos: time_nanos,
            query_stats: [0; 4],
            indexed: Indexed::default(),
        }
    }

    /// Code and memory as they are.
    pub(crate) fn parts(&self) -> Parts {
        Parts {
            code: self.code.clone(),
            stable: self.stable.clone(),
            certified_data: self.certified_data.clone(),
            global_timer: self.global_timer,
            log: self.log.clone(),
        }
    }

    /// Exchanges code and memory; answers what they were.
    pub(crate) fn exchange(&mut self, parts: Parts) -> Parts {
        use std::mem::replace;
        Parts {
            code: replace(&mut self.code, parts.code),
            stable: replace(&mut self.stable, parts.stable),
            certified_data: replace(&mut self.certified_data, parts.certified_data),
            global_timer: replace(&mut self.global_timer, parts.global_timer),
            log: replace(&mut self.log, parts.log),
        }
    }

    /// Raises the version and records what changed in the history.
    pub(crate) fn record(&mut self, author: Author, kind: ChangeKind) {
        self.version += 1;
        self.history.push(Change {
            time_nanos: author.time_nanos,
            canister_version: self.version,
            by: author.by,
            by_version: author.by_version,
            is_by_canister: crate::ids::canister_number(author.by).is_some(),
            kind,
        });
    }

    /// Whether `principal` controls it.
    pub(crate) fn is_controller(&self, principal: &Principal) -> bool {
        self.settings.controllers.contains(principal)
    }

    /// Whether its code has 64-bit addresses.
    pub(crate) fn is_wasm64(&self) -> bool {
        self.code.as_ref().is_some_and(|code| code.module.inspection.is_wasm64)
    }

    /// Schedules the low-memory hook when little heap is left; to be called after every message, and after every
    /// call to the management canister about it (spec, "Scheduling on low wasm memory hook").
    pub(crate) fn check_low_memory(&mut self) {
        let heap_bytes = self.code.as_ref().map_or(0, |code| code.heap_pages * WASM_PAGE_BYTES);
        let is_low = self.settings.is_memory_low(heap_bytes);
        self.hook_status = match (is_low, self.hook_status) {
            (false, _) => HookStatus::ConditionNotSatisfied,
            (true, HookStatus::ConditionNotSatisfied) => HookStatus::Ready,
            (true, status) => status,
        };
    }

    /// What the subnet's index should say of it.
    pub(super) fn to_index(&self) -> Indexed {
        let is_running = matches!(self.status, Status::Running);
        let module = self.code.as_ref().map(|code| &code.module.inspection);
        Indexed {
            has_messages: !self.inbox.is_empty(),
            has_heartbeat: is_running && module.is_some_and(|module| module.has_heartbeat),
            hook_is_due: is_running && module.is_some() && self.hook_status == HookStatus::Ready,
            is_stopping: matches!(self.status, Status::Stopping(_)),
            runs_long: self.long.as_ref().is_some_and(|long| long.is_message()),
            timer: if is_running && module.is_some_and(|module| module.has_timer) {
                self.global_timer
            } else {
                0
            },
            calls: self.calls.under_way(),
        }
    }

    /// 1 running, 2 stopping, 3 stopped (spec, `canister_status`).
    pub(crate) fn status_code(&self) -> u32 {
        match self.status {
            Status::Running => 1,
            Status::Stopping(_) => 2,
            Status::Stopped => 3,
        }
    }

    /// The parts of its memory, in bytes.
    pub(crate) fn memory(&self) -> MemoryUse {
        let code = self.code.as_ref();
        MemoryUse {
            wasm_memory: code.map_or(0, |code| code.heap_pages * WASM_PAGE_BYTES),
            stable_memory: self.stable.size_bytes(),
            globals: code.map_or(0, |code| {
                (code.globals.len() as u64 + costs::COUNTER_GLOBALS) * GlobalValue::SIZE_BYTES
            }),
            wasm_binary: code.map_or(0, |code| code.module.bytes.len() as u64),
            custom_sections: code.map_or(0, |code| code.module.inspection.custom_section_bytes()),
            history: self.history.size_bytes(),
            chunk_store: self.chunk_store.size_bytes(),
            snapshots: self.snapshots.values().map(Snapshot::size_bytes).sum(),
        }
    }
}

/// Memory in bytes, by purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryUse {
    pub(crate) wasm_memory: u64,
    pub(crate) stable_memory: u64,
    pub(crate) globals: u64,
    pub(crate) wasm_binary: u64,
    pub(crate) custom_sections: u64,
    pub(crate) history: u64,
    pub(crate) chunk_store: u64,
    pub(crate) snapshots: u64,
}

impl MemoryUse {
    /// All of it.
    pub(crate) fn total(&self) -> u64 {
        self.wasm_memory
            + self.stable_memory
            + self.globals
            + self.wasm_binary
            + self.custom_sections
            + self.history
            + self.chunk_store
            + self.snapshots
    }
}
