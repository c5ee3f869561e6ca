//! Settings of a canister (spec, "IC method update_settings").

use super::canister::Canister;
use crate::costs::{WASM_PAGE_BYTES, limits};
use candid::{CandidType, Principal};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Who may read something.
#[derive(Debug, Clone, PartialEq, Eq, Default, CandidType, Deserialize)]
pub(crate) enum Visibility {
    /// The controllers.
    #[default]
    #[serde(rename = "controllers")]
    Controllers,
    /// Everybody.
    #[serde(rename = "public")]
    Public,
    /// The controllers and these.
    #[serde(rename = "allowed_viewers")]
    AllowedViewers(Vec<Principal>),
}

impl Visibility {
    /// Whether it shows `canister` to `reader`.
    pub(crate) fn shows(&self, canister: &Canister, reader: &Principal) -> bool {
        canister.is_controller(reader)
            || match self {
                Self::Controllers => false,
                Self::Public => true,
                Self::AllowedViewers(viewers) => viewers.contains(reader),
            }
    }
}

/// The settings in effect.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) controllers: Arc<BTreeSet<Principal>>,
    /// Percent.
    pub(crate) compute_allocation: u64,
    /// Bytes; 0: as needed.
    pub(crate) memory_allocation: u64,
    pub(crate) freezing_threshold_seconds: u64,
    pub(crate) reserved_cycles_limit: u128,
    /// Cycles that a call of another canister must carry.
    pub(crate) minimum_incoming_cycles: u128,
    pub(crate) log_visibility: Visibility,
    pub(crate) snapshot_visibility: Visibility,
    pub(crate) status_visibility: Visibility,
    /// Bytes; 0: no limit.
    pub(crate) wasm_memory_limit: u64,
    /// Bytes.
    pub(crate) wasm_memory_threshold: u64,
    pub(crate) environment_variables: Arc<Vec<(String, String)>>,
}

impl Settings {
    /// The defaults, for a canister of `controller`.
    pub(crate) fn new(controllers: impl IntoIterator<Item = Principal>) -> Self {
        Self {
            controllers: Arc::new(controllers.into_iter().collect()),
            compute_allocation: 0,
            memory_allocation: 0,
            freezing_threshold_seconds: limits::FREEZING_THRESHOLD_SECONDS,
            reserved_cycles_limit: limits::RESERVED_CYCLES,
            minimum_incoming_cycles: 0,
            log_visibility: Visibility::default(),
            snapshot_visibility: Visibility::default(),
            status_visibility: Visibility::default(),
            wasm_memory_limit: limits::WASM_MEMORY_BYTES,
            wasm_memory_threshold: 0,
            environment_variables: Arc::default(),
        }
    }

    /// The limit of the heap, if a heap of that size exceeds it.
    pub(crate) fn exceeded_heap_limit(&self, heap_bytes: u64) -> Option<u64> {
        let limit = self.wasm_memory_limit;
        (limit != 0 && heap_bytes > limit).then_some(limit)
    }

    /// Whether a heap of that size leaves less than the threshold.
    pub(crate) fn is_memory_low(&self, heap_bytes: u64) -> bool {
        let capacity_bytes = if self.wasm_memory_limit == 0 {
            limits::WASM32_HEAP_PAGES * WASM_PAGE_BYTES
        } else {
            self.wasm_memory_limit
        };
        capacity_bytes.saturating_sub(heap_bytes) < self.wasm_memory_threshold
    }
}
