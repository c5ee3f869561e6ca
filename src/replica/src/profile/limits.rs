//! Where a subnet stops: instructions, rates, stable memory that a message touches, calls under way.

use crate::costs::limits;
use crate::system_api::host::Context;

/// Instructions that a message may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InstructionLimits {
    /// An update call, callback, heartbeat or timer.
    pub(crate) message: u64,
    /// A query method called as an update (config: `max_instructions_per_message_without_dts`).
    pub(crate) replicated_query: u64,
    /// A query, and one query of a composite query.
    pub(crate) query: u64,
    /// A query of a user with all that it calls (code: `max_query_call_graph_instructions`).
    pub(crate) query_graph: u64,
    /// `install_code` in all its phases.
    pub(crate) install: u64,
    /// `canister_inspect_message`.
    pub(crate) inspect: u64,
    /// What a round executes of a message or installation at most; the rest follows in the next rounds.
    pub(crate) slice: u64,
    /// After so many a core starts no further message in a round.
    pub(crate) round: u64,
    /// After so many a round executes no further heavy call of the management canister (code:
    /// `SUBNET_MESSAGES_LIMIT_FRACTION`, a sixteenth of what a round may have).
    pub(crate) management: u64,
}

impl InstructionLimits {
    pub(super) const APPLICATION: Self = Self {
        message: limits::MESSAGE_INSTRUCTIONS,
        replicated_query: limits::QUERY_INSTRUCTIONS,
        query: limits::QUERY_INSTRUCTIONS,
        query_graph: limits::QUERY_INSTRUCTIONS,
        install: limits::INSTALL_INSTRUCTIONS,
        inspect: limits::INSPECT_INSTRUCTIONS,
        slice: limits::SLICE_INSTRUCTIONS,
        round: limits::ROUND_INSTRUCTIONS,
        management: 7_000_000_000 / 16,
    };

    /// 50 B a message, 1,000 B an installation, and 52 B for a round, so that 2 B are left beside the longest message
    /// that is not sliced (config: `system_subnet`).
    pub(super) const SYSTEM: Self = Self {
        message: 50_000_000_000,
        replicated_query: 50_000_000_000,
        query: 50_000_000_000,
        install: 1_000_000_000_000,
        management: 52_000_000_000 / 16,
        ..Self::APPLICATION
    };

    pub(super) fn benchmarking(self) -> Self {
        const UNLIMITED: u64 = 99_999_999_999_999;
        Self {
            message: UNLIMITED,
            replicated_query: UNLIMITED,
            query: UNLIMITED,
            query_graph: UNLIMITED,
            slice: UNLIMITED,
            round: UNLIMITED,
            ..self
        }
    }

    /// What of a callback's limit is kept for its cleanup: 5 % (code: `RESERVED_CLEANUP_INSTRUCTIONS_IN_PERCENT`).
    pub(crate) fn cleanup_reserve(&self) -> u64 {
        self.message / 100 * 5
    }
}

/// What a canister may do a round before it has to pause (config).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimits {
    /// Bytes of memory that messages, snapshots and chunks change.
    pub(crate) heap_delta_bytes: u64,
    /// Instructions of `install_code`.
    pub(crate) install_instructions: u64,
}

impl RateLimits {
    pub(super) const APPLICATION: Self =
        Self { heap_delta_bytes: 75 << 20, install_instructions: 2_000_000_000 };
}

/// Instructions that canisters are charged for what the platform does for them (config).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlatformInstructions {
    /// `upload_chunk`.
    pub(crate) upload_chunk: u64,
    /// Taking, uploading the metadata of, or loading a snapshot, besides its bytes.
    pub(crate) snapshot: u64,
    /// Reading a slice of a snapshot, besides its bytes.
    pub(crate) snapshot_slice: u64,
}

impl PlatformInstructions {
    pub(super) const APPLICATION: Self =
        Self { upload_chunk: 200_000_000, snapshot: 2_000_000_000, snapshot_slice: 5_000_000 };
    pub(super) const SYSTEM: Self = Self { upload_chunk: 0, snapshot: 0, snapshot_slice: 0 };
}

/// Bytes of stable memory that a message may touch, and that it may write (docs; code, `embedders.rs`:
/// `STABLE_MEMORY_ACCESSED_PAGE_LIMIT_MESSAGE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StableLimits {
    /// An update call, callback, heartbeat or timer.
    pub(crate) message: u64,
    /// Each phase of an installation (`…_UPGRADE`).
    pub(crate) install: u64,
    /// A query, called as a query or as an update (`…_QUERY`).
    pub(crate) query: u64,
}

impl StableLimits {
    pub(super) const MAINNET: Self = Self { message: 2 << 30, install: 8 << 30, query: 1 << 30 };

    /// The one that holds for what runs (code: `get_page_limit`).
    pub(crate) fn of(&self, context: Context) -> u64 {
        match context {
            Context::Init | Context::PreUpgrade => self.install,
            Context::ReplicatedQuery => self.query,
            other if other.is_replicated() => self.message,
            _ => self.query,
        }
    }
}

/// How many calls may be under way (code: `config/src/execution_environment.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallLimits {
    /// That all canisters of the subnet share (`SUBNET_CALLBACK_SOFT_LIMIT`).
    pub(crate) shared: u64,
    /// That each canister may have whatever the others have (`CANISTER_GUARANTEED_CALLBACK_QUOTA`).
    pub(crate) guaranteed: u64,
    /// Bytes that all canisters together may keep free for responses that can't be dropped
    /// (`SUBNET_GUARANTEED_RESPONSE_MESSAGE_MEMORY_CAPACITY`); not on system subnets.
    pub(crate) response_bytes: Option<u64>,
}

impl CallLimits {
    pub(super) const APPLICATION: Self =
        Self { shared: 1_000_000, guaranteed: 50, response_bytes: Some(15 << 30) };
    pub(super) const SYSTEM: Self = Self { response_bytes: None, ..Self::APPLICATION };
}
