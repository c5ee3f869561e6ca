//! A compiled module, shared by every canister that runs it.

use super::inspect::{GlobalInfo, Inspection, MethodKind};
use super::kept::Kept;
use super::{decode, inspect, transform};
use crate::costs::{self, WASM_PAGE_BYTES, limits};
use crate::memory::PageMap;
use crate::memory::pages::PAGE_BYTES;
use crate::memory::region::Regions;
use crate::system_api;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, OnceLock};
use wasmtime::Strategy;

/// Why a module is not taken, in the platform's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WasmError {
    /// Not a module, or one that is too large.
    #[error("Failed to decode wasm module: {0}")]
    Decode(String),
    /// Not a valid module under the proposals that the platform enables.
    #[error("Wasmtime failed to validate wasm module {0}")]
    Validation(String),
    /// Imports something that the platform does not offer.
    #[error("Wasm module has an invalid import section. {0}")]
    Imports(String),
    /// Exports something that is no method.
    #[error("Wasm module has an invalid export section. {0}")]
    Exports(String),
    /// Too many functions.
    #[error("Wasm module has an invalid function section. {0}")]
    Functions(String),
    /// A function that is too long, too complex or uses what the platform does not support.
    #[error("Wasm module contains a function that is not accepted. {0}")]
    Function(String),
    /// A table that is too large.
    #[error("Wasm module has an invalid table section. {0}")]
    Tables(String),
    /// Too many globals.
    #[error("Wasm module has an invalid global section. {0}")]
    Globals(String),
    /// A code section that is too large.
    #[error("Wasm module has an invalid code section. {0}")]
    CodeSection(String),
    /// Too many or too large custom sections.
    #[error("Wasm module has an invalid custom section. {0}")]
    CustomSections(String),
    /// A data segment outside of the heap.
    #[error("Wasm module has an invalid data section. {0}")]
    Data(String),
    /// The compiler refused it.
    #[error("Failed to compile wasm module: {0}")]
    Compile(String),
}

/// SHA-256 of the module as it was uploaded (gzipped modules: of the gzip stream).
pub(crate) type ModuleHash = [u8; 32];

/// A module that can be run.
pub(crate) struct Module {
    /// Hash of the bytes as uploaded.
    pub(crate) hash: ModuleHash,
    /// The bytes as uploaded: what snapshots hold.
    pub(crate) bytes: Arc<[u8]>,
    /// The same by page, which snapshots share.
    pages: OnceLock<PageMap>,
    /// What it exports and contains.
    pub(crate) inspection: Inspection,
    /// The heap as the data segments make it; its pages are shared by all canisters.
    pub(crate) initial_heap: PageMap,
    /// Ready to be instantiated.
    pub(crate) instance_pre: wasmtime::InstancePre<system_api::Host>,
    /// Globals as the module begins with.
    pub(crate) initial_globals: Vec<GlobalValue>,
    /// The export names of the globals, in the order of `inspection.globals`.
    pub(crate) global_names: Vec<String>,
}

/// The value of a global between messages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum GlobalValue {
    /// 32-bit integer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// Bits of a 32-bit float.
    F32(u32),
    /// Bits of a 64-bit float.
    F64(u64),
    /// 128-bit vector.
    V128(u128),
}

impl GlobalValue {
    /// From wasmtime's value; references are not kept between messages.
    pub(crate) fn from_val(value: &wasmtime::Val) -> Option<Self> {
        Some(match value {
            wasmtime::Val::I32(value) => Self::I32(*value),
            wasmtime::Val::I64(value) => Self::I64(*value),
            wasmtime::Val::F32(bits) => Self::F32(*bits),
            wasmtime::Val::F64(bits) => Self::F64(*bits),
            wasmtime::Val::V128(value) => Self::V128(value.as_u128()),
            _ => return None,
        })
    }

    /// To wasmtime's value.
    pub(crate) fn to_val(self) -> wasmtime::Val {
        match self {
            Self::I32(value) => wasmtime::Val::I32(value),
            Self::I64(value) => wasmtime::Val::I64(value),
            Self::F32(bits) => wasmtime::Val::F32(bits),
            Self::F64(bits) => wasmtime::Val::F64(bits),
            Self::V128(value) => wasmtime::Val::V128(value.into()),
        }
    }

    /// Bytes that the platform counts for it.
    pub(crate) const SIZE_BYTES: u64 = 8;
}

impl Module {
    /// The bytes as uploaded, by page.
    pub(crate) fn pages(&self) -> PageMap {
        let pages = || {
            let mut pages = PageMap::default();
            pages.write(0, &self.bytes);
            pages
        };
        self.pages.get_or_init(pages).clone()
    }

    /// The kind of an exported method.
    pub(crate) fn method(&self, name: &str) -> Option<MethodKind> {
        self.inspection.methods.get(name).copied()
    }

    /// Whether a system function is exported.
    pub(crate) fn exports(&self, system_function: &str) -> bool {
        self.inspection.system_functions.contains(system_function)
    }

    /// Instructions that its compilation is charged with.
    pub(crate) fn compile_instructions(&self) -> u64 {
        (self.inspection.operator_count + costs::instructions::INJECTED_OPERATORS)
            * costs::instructions::COMPILE_OPERATOR
    }

    /// The globals that are kept.
    pub(crate) fn globals(&self) -> &[GlobalInfo] {
        &self.inspection.globals
    }
}

/// The wasm engines and the modules that were compiled, for all instances of a server.
pub(crate) struct ModuleCache {
    wasm32: Flavour,
    wasm64: Flavour,
    kept: Mutex<Kept>,
}

/// How modules are compiled. What a canister does, and what it is charged with, is the same either way, but for the bits
/// of a NaN that it computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compilation {
    /// With optimisation; a NaN that is computed has the bits that it has on the platform.
    #[default]
    Thorough,
    /// In one pass: in a sixth of the time, for known canisters that run little. Where the processor has no AVX2, it is
    /// [`Compilation::Thorough`].
    Quick,
}

impl Compilation {
    /// Whether modules are compiled in one pass, which needs vector instructions for those of wasm.
    fn is_one_pass(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        let can_be = std::arch::is_x86_feature_detected!("avx2");
        #[cfg(not(target_arch = "x86_64"))]
        let can_be = false;
        can_be && self == Self::Quick
    }
}

/// Engine, imports and memories for heaps of one address width: they weigh operators differently.
pub(crate) struct Flavour {
    /// The engine.
    pub(crate) engine: wasmtime::Engine,
    linker: wasmtime::Linker<system_api::Host>,
}

impl Flavour {
    fn new(is_wasm64: bool, compilation: Compilation) -> wasmtime::Result<Self> {
        let mut config = wasmtime::Config::new();
        config
            .consume_fuel(true)
            .operator_cost(if is_wasm64 {
                costs::operator_weights_wasm64()
            } else {
                costs::operator_weights()
            })
            .with_host_memory(Arc::new(Regions))
            // wasmtime wants this one at least as large, although nothing here is asynchronous.
            .async_stack_size(limits::WASM_STACK_BYTES)
            .max_wasm_stack(limits::WASM_STACK_BYTES)
            .wasm_memory64(true)
            .wasm_multi_memory(false)
            .wasm_relaxed_simd(false)
            .wasm_backtrace_max_frames(None)
            .guard_before_linear_memory(false);
        if compilation.is_one_pass() {
            config.strategy(Strategy::Winch);
        } else {
            config.cranelift_nan_canonicalization(true);
        }
        let engine = wasmtime::Engine::new(&config)?;
        let linker = system_api::linker(&engine, is_wasm64)?;
        Ok(Self { engine, linker })
    }
}

impl ModuleCache {
    /// Engines without any module.
    pub(crate) fn new(compilation: Compilation) -> wasmtime::Result<Self> {
        let page_bytes = rustix::param::page_size();
        if page_bytes != PAGE_BYTES {
            return Err(wasmtime::Error::msg(format!(
                "the replica protects pages of {PAGE_BYTES} bytes, and this machine has pages of {page_bytes}: use a \
                 kernel with pages of 4 KiB"
            )));
        }
        let flavour = |is_wasm64| Flavour::new(is_wasm64, compilation);
        Ok(Self { wasm32: flavour(false)?, wasm64: flavour(true)?, kept: Mutex::default() })
    }

    /// The engine that runs `module`.
    pub(crate) fn flavour(&self, module: &Module) -> &Flavour {
        if module.inspection.is_wasm64 { &self.wasm64 } else { &self.wasm32 }
    }

    /// The module of these bytes: compiled now, or found where any canister had it before.
    ///
    /// Errors: [`WasmError`] says why it is not taken.
    pub(crate) fn module(&self, bytes: &[u8]) -> Result<Arc<Module>, WasmError> {
        let hash: ModuleHash = Sha256::digest(bytes).into();
        if let Some(module) = self.lock().get(&hash) {
            return Ok(module);
        }
        let module = Arc::new(self.compile(hash, bytes)?);
        self.lock().insert(&module);
        Ok(module)
    }

    /// As [`ModuleCache::module`], and the chunks are remembered.
    pub(crate) fn assemble(&self, chunks: &[[u8; 32]], bytes: &[u8]) -> Result<Arc<Module>, WasmError> {
        let module = self.module(bytes)?;
        self.lock().insert_chunks(chunks, &module);
        Ok(module)
    }

    /// The module that these chunks made, if they were put together before.
    pub(crate) fn assembled(&self, chunks: &[[u8; 32]]) -> Option<Arc<Module>> {
        self.lock().of_chunks(chunks)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        // A panic while it was held cannot have left it half changed.
        self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn compile(&self, hash: ModuleHash, bytes: &[u8]) -> Result<Module, WasmError> {
        let plain = decode::decode(bytes)?;
        let mut inspection = inspect::inspect(&plain)?;
        let compile_error = |error: wasmtime::Error| WasmError::Compile(format!("{error:#}"));
        let initial_heap = initial_heap(&inspection)?;
        let transformed = transform::transform(&plain, &inspection)
            .map_err(|error| WasmError::Validation(error.to_string()))?;
        let flavour = if inspection.is_wasm64 { &self.wasm64 } else { &self.wasm32 };
        // They are in the heap now.
        inspection.data = Vec::new();
        let compiled = wasmtime::Module::new(&flavour.engine, &transformed).map_err(compile_error)?;
        let instance_pre = flavour.linker.instantiate_pre(&compiled).map_err(compile_error)?;
        let global_names: Vec<String> =
            inspection.globals.iter().map(|global| transform::global_name(global.index)).collect();
        let initial_globals =
            initial_globals(flavour, &instance_pre, &global_names).map_err(compile_error)?;
        Ok(Module {
            hash,
            bytes: bytes.into(),
            pages: OnceLock::new(),
            inspection,
            initial_heap,
            instance_pre,
            initial_globals,
            global_names,
        })
    }
}

/// The values of the globals before any code ran: read off an instance, since initialisers are expressions.
fn initial_globals(
    flavour: &Flavour,
    instance_pre: &wasmtime::InstancePre<system_api::Host>,
    names: &[String],
) -> wasmtime::Result<Vec<GlobalValue>> {
    let mut store = wasmtime::Store::new(&flavour.engine, system_api::Host::idle());
    let instance = instance_pre.instantiate(&mut store);
    // Also of one that failed: the next module without a memory must not get its region.
    drop(Regions::take_latest());
    let instance = instance?;
    names
        .iter()
        .map(|name| {
            instance
                .get_global(&mut store, name)
                .and_then(|global| GlobalValue::from_val(&global.get(&mut store)))
                .ok_or_else(|| wasmtime::Error::msg(format!("{name} is a reference and cannot be kept")))
        })
        .collect()
}

/// The heap as the active data segments make it.
fn initial_heap(inspection: &Inspection) -> Result<PageMap, WasmError> {
    let size = inspection.initial_heap_pages.unwrap_or(0) * WASM_PAGE_BYTES;
    let mut heap = PageMap::default();
    for (offset, bytes) in &inspection.data {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > size) {
            return Err(WasmError::Data(format!(
                "A segment of {} bytes at {offset} lies outside of the heap of {size} bytes",
                bytes.len()
            )));
        }
        heap.write(*offset, bytes);
    }
    Ok(heap)
}
