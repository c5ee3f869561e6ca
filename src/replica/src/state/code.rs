//! Installed code, and what an installation changes.

use super::log::Log;
use crate::memory::PageMap;
use crate::memory::stable::StableMemory;
use crate::wasm::Module;
use crate::wasm::module::GlobalValue;
use std::sync::Arc;

/// Installed code with its heap.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) module: Arc<Module>,
    pub(crate) heap: PageMap,
    /// Size of the heap in wasm pages.
    pub(crate) heap_pages: u64,
    /// Values of the module's globals, in the order of [`Module::globals`].
    pub(crate) globals: Vec<GlobalValue>,
    /// Names this heap among all that ever were: a running instance belongs to one generation.
    pub(crate) generation: u64,
}

impl Code {
    /// Freshly instantiated, nothing has run yet.
    pub(crate) fn new(module: Arc<Module>, generation: u64) -> Self {
        Self {
            heap: module.initial_heap.clone(),
            heap_pages: module.inspection.initial_heap_pages.unwrap_or(0),
            globals: module.initial_globals.clone(),
            module,
            generation,
        }
    }
}

/// Code and memory of a canister, with what hangs on them.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) code: Option<Code>,
    pub(crate) stable: StableMemory,
    pub(crate) certified_data: Vec<u8>,
    /// Nanoseconds since the epoch, 0 for none.
    pub(crate) global_timer: u64,
    pub(crate) log: Log,
}
