//! Runs a function of a canister and keeps what it changed, if it succeeds.

use crate::costs;
use crate::memory::region::{Region, Regions, are_many};
use crate::memory::stable::StableMemory;
use crate::state::Code;
use crate::state::long::{Finished, Withheld};
use crate::system_api::host::{Closure, Effects, Env, Host, HostError, LogLine};
use crate::wasm::inspect::GlobalInfo;
use crate::wasm::module::GlobalValue;
use crate::wasm::transform::{MEMORY, START};
use crate::wasm::{Module, ModuleCache};
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::{Global, Instance, Store, Table, Trap, Val};

/// Instances that stay ready to run, unless those of all replicas in the process are too many. One takes its touched pages of heap; making one anew takes longer
/// than a short message runs.
const LIVE_INSTANCES: usize = 64;

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry<'a> {
    /// An exported function.
    Export(&'a str),
    /// A function of the table, as callbacks name it.
    Closure(Closure),
    /// The module's start function, if it has one.
    Start,
}

/// Whether changes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// If the function succeeds, at once.
    OnSuccess,
    /// If the function succeeds; later, if it takes more than one round.
    WhenDue,
    /// Never: queries.
    Nothing,
}

/// A wasm instance whose heap is that of one generation of a canister.
struct Live {
    store: Store<Host>,
    instance: Instance,
    region: Option<Arc<Region>>,
    globals: Vec<Global>,
    last_used: u64,
}

/// Runs functions and keeps instances.
pub(crate) struct Runner {
    modules: Arc<ModuleCache>,
    live: BTreeMap<u64, Live>,
    next_generation: u64,
    uses: u64,
}

impl Runner {
    /// A runner over modules that it shares with other instances.
    pub(crate) fn new(modules: Arc<ModuleCache>) -> Self {
        Self { modules, live: BTreeMap::new(), next_generation: 0, uses: 0 }
    }

    /// The compiled modules.
    pub(crate) fn modules(&self) -> &ModuleCache {
        &self.modules
    }

    /// As [`Runner::modules`], for whoever changes canisters meanwhile.
    pub(crate) fn shared_modules(&self) -> Arc<ModuleCache> {
        self.modules.clone()
    }

    /// A name for a heap that no running instance knows.
    pub(crate) fn new_generation(&mut self) -> u64 {
        self.next_generation += 1;
        self.next_generation
    }

    /// Forgets the instance of a heap that is gone.
    pub(crate) fn forget(&mut self, generation: u64) {
        self.live.remove(&generation);
    }

    /// Runs `entry` on `code` and `stable`.
    pub(crate) fn run(
        &mut self,
        code: &mut Code,
        stable: &mut StableMemory,
        env: Env,
        effects: Effects,
        entry: Entry<'_>,
        keep: Keep,
    ) -> Finished {
        let limit = env.instruction_limit;
        let slice = env.profile.limits.slice;
        let mut live = match self.take(code) {
            Ok(live) => live,
            Err(error) => {
                let result = Err(HostError::Engine(format!("{error:#}")));
                return Finished::unrun(result, effects);
            }
        };
        let host = live.store.data_mut();
        host.env = env;
        host.effects = effects;
        host.extra_instructions = 0;
        let outcome = live
            .store
            .set_fuel(limit)
            .and_then(|()| live.call(entry))
            .map_err(|error| to_host_error(&error, limit));
        let left = live.store.get_fuel().unwrap_or(0);
        let host = live.store.data_mut();
        let mut instructions = limit.saturating_sub(left) + host.extra_instructions;
        if matches!(outcome, Err(HostError::OutOfInstructions(_))) {
            instructions = limit;
        }
        // Traps are in the log, of whatever ran; other failures are not. `ic0.trap` tells its own.
        if let Err(HostError::Trapped(what)) = &outcome {
            let content = format!("[TRAP]: {what}").into_bytes();
            host.effects.log.push(LogLine { time_nanos: host.env.time_nanos, content });
        }
        let idle = Host::idle();
        let mut effects = std::mem::replace(&mut host.effects, idle.effects);
        host.env = idle.env;
        let counts = keep != Keep::Nothing;
        let is_kept = outcome.is_ok() && counts;
        // What it wrote of the heap is charged whether it is kept or not (code: `run` of the embedder). What queries
        // write is not even looked at.
        let dirty_pages = if counts { live.find_changed_pages() } else { 0 };
        let stable_pages = effects.stable.dirty_pages();
        let factor =
            if code.module.inspection.is_wasm64 { costs::instructions::DIRTY_PAGE_WASM64_FACTOR } else { 1 };
        let written = dirty_pages * costs::instructions::DIRTY_PAGE * factor;
        instructions = instructions.saturating_add(written).min(limit);
        let heap_delta_pages = if is_kept { dirty_pages + stable_pages } else { 0 };
        let is_withheld = keep == Keep::WhenDue && instructions > slice;
        let mut withheld = None;
        if is_kept && !is_withheld {
            live.commit(code);
            std::mem::take(&mut effects.stable).commit(stable);
        } else {
            if is_kept {
                withheld = Some(live.withhold(code));
            }
            live.roll_back();
        }
        // An instance whose heap grew without being kept remembers the wrong size; one whose module
        // drops segments must begin anew for every message.
        let grew = live
            .region
            .as_ref()
            .is_some_and(|region| region.size_bytes() as u64 != code.heap_pages * costs::WASM_PAGE_BYTES);
        if !grew && !code.module.inspection.drops_segments {
            self.put_back(code.generation, live);
        }
        Finished { instructions, heap_delta_pages, result: outcome, effects, withheld }
    }

    fn take(&mut self, code: &Code) -> wasmtime::Result<Live> {
        let mut live = match self.live.remove(&code.generation) {
            Some(live) => live,
            None => self.instantiate(code)?,
        };
        for (global, (info, value)) in
            live.globals.iter().zip(code.module.globals().iter().zip(&code.globals))
        {
            if info.is_mutable {
                global.set(&mut live.store, value.to_val())?;
            }
        }
        Ok(live)
    }

    fn put_back(&mut self, generation: u64, mut live: Live) {
        if self.live.len() >= LIVE_INSTANCES || are_many() {
            let oldest = self.live.iter().min_by_key(|(_, live)| live.last_used).map(|(id, _)| *id);
            if let Some(oldest) = oldest {
                self.live.remove(&oldest);
            }
        }
        self.uses += 1;
        live.last_used = self.uses;
        self.live.insert(generation, live);
    }

    fn instantiate(&self, code: &Code) -> wasmtime::Result<Live> {
        let module = &code.module;
        let mut store = Store::new(&self.modules.flavour(module).engine, Host::idle());
        store.limiter(|host| host);
        store.set_fuel(u64::MAX)?;
        let instance = module.instance_pre.instantiate(&mut store);
        // Also of one that failed: the next module without a memory must not get its region.
        let region = Regions::take_latest();
        let instance = instance?;
        if let Some(region) = &region {
            region.load(code.heap.clone());
            handle_faults(&mut store, region.clone());
            if let Some(memory) = instance.get_memory(&mut store, MEMORY) {
                let missing = code.heap_pages.saturating_sub(memory.size(&store));
                memory.grow(&mut store, missing)?;
            }
        }
        store.data_mut().region = region.clone();
        let globals = module
            .global_names
            .iter()
            .map(|name| {
                instance
                    .get_global(&mut store, name)
                    .ok_or_else(|| wasmtime::Error::msg(format!("{name} is not exported")))
            })
            .collect::<wasmtime::Result<_>>()?;
        Ok(Live { store, instance, region, globals, last_used: 0 })
    }
}

#[expect(unsafe_code, reason = "wasmtime cannot check what a signal handler does")]
fn handle_faults(store: &mut Store<Host>, region: Arc<Region>) {
    use wasmtime::unix::StoreExt;
    // SAFETY: the handler allocates nothing, takes no lock, and only touches the region's own mapping
    // and tables, which no other thread uses while the store executes.
    unsafe {
        store.set_signal_handler(move |_signal, info, _context| {
            if info.is_null() {
                return false;
            }
            region.handle_fault((*info).si_addr() as usize)
        });
    }
}

impl Live {
    fn call(&mut self, entry: Entry<'_>) -> wasmtime::Result<()> {
        let store = &mut self.store;
        match entry {
            Entry::Start => match self.instance.get_func(&mut *store, START) {
                Some(start) => start.call(store, &[], &mut []),
                None => Ok(()),
            },
            Entry::Export(name) => self
                .instance
                .get_func(&mut *store, name)
                .ok_or_else(|| wasmtime::Error::msg(format!("{name} is not exported")))?
                .call(store, &[], &mut []),
            Entry::Closure(closure) => {
                let table = self.table().ok_or(HostError::Trapped("table out of bounds"))?;
                let store = &mut self.store;
                let function = table
                    .get(&mut *store, closure.function)
                    .ok_or(HostError::Trapped("table out of bounds"))?;
                let function =
                    function.as_func().flatten().copied().ok_or(HostError::Trapped("null function call"))?;
                let environment = if store.data().env.is_wasm64 {
                    Val::I64(closure.environment as i64)
                } else {
                    Val::I32(closure.environment as i32)
                };
                // Checked here, since wasmtime would report it as misuse by its embedder.
                let ty = function.ty(&*store);
                if ty.params().len() != 1 || ty.results().len() != 0 {
                    return Err(HostError::Trapped("function invoked with incorrect signature").into());
                }
                function.call(store, &[environment], &mut [])
            }
        }
    }

    fn table(&mut self) -> Option<Table> {
        self.instance.get_table(&mut self.store, crate::wasm::transform::TABLE)
    }

    /// Finds the pages that the message changed; answers how many.
    fn find_changed_pages(&self) -> u64 {
        self.region.as_ref().map_or(0, |region| region.find_changed())
    }

    /// Takes heap and globals over into `code`.
    fn commit(&mut self, code: &mut Code) {
        if let Some(region) = &self.region {
            region.commit(&mut code.heap);
            code.heap_pages = region.size_bytes() as u64 / costs::WASM_PAGE_BYTES;
        }
        self.keep_globals(&mut code.globals, code.module.globals());
    }

    /// What [`Live::commit`] would take over, for later.
    fn withhold(&mut self, code: &Code) -> Withheld {
        let pages = self.region.as_ref().map_or_else(Vec::new, |region| region.changed_pages());
        let heap_pages = self
            .region
            .as_ref()
            .map_or(code.heap_pages, |region| region.size_bytes() as u64 / costs::WASM_PAGE_BYTES);
        let mut globals = code.globals.clone();
        self.keep_globals(&mut globals, code.module.globals());
        Withheld { pages, heap_pages, globals }
    }

    /// Puts the heap back to what it was.
    fn roll_back(&self) {
        if let Some(region) = &self.region {
            region.roll_back();
        }
    }

    fn keep_globals(&mut self, kept: &mut [GlobalValue], infos: &[GlobalInfo]) {
        for ((global, info), kept) in self.globals.iter().zip(infos).zip(kept) {
            if info.is_mutable
                && let Some(value) = GlobalValue::from_val(&global.get(&mut self.store))
            {
                *kept = value;
            }
        }
    }
}

fn to_host_error(error: &wasmtime::Error, limit: u64) -> HostError {
    if let Some(error) = error.downcast_ref::<HostError>() {
        return error.clone();
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => HostError::OutOfInstructions(limit),
        Some(Trap::StackOverflow) => HostError::Trapped("stack overflow"),
        Some(Trap::MemoryOutOfBounds | Trap::HeapMisaligned) => HostError::Trapped("heap out of bounds"),
        Some(Trap::TableOutOfBounds) => HostError::Trapped("table out of bounds"),
        Some(Trap::IndirectCallToNull) => HostError::Trapped("null function call"),
        Some(Trap::BadSignature) => HostError::Trapped("function invoked with incorrect signature"),
        Some(Trap::IntegerOverflow) => HostError::Trapped("integer overflow"),
        Some(Trap::IntegerDivisionByZero) => HostError::Trapped("integer division by 0"),
        Some(Trap::BadConversionToInteger) => HostError::Trapped("bad conversion to integer"),
        Some(Trap::UnreachableCodeReached) => HostError::Trapped("unreachable"),
        _ => HostError::Engine(format!("{error:#}")),
    }
}

/// Whether `module` answers to the method at all.
pub(crate) fn export_name(module: &Module, method: &str) -> Option<String> {
    use crate::wasm::inspect::MethodKind;
    let prefix = match module.method(method)? {
        MethodKind::Update => "canister_update",
        MethodKind::Query => "canister_query",
        MethodKind::CompositeQuery => "canister_composite_query",
    };
    Some(format!("{prefix} {method}"))
}
