//! Installing, upgrading and uninstalling code: all phases take effect together, or none does.

use super::environment::Invocation;
use super::failure;
use super::persistence::{self, HeapWish};
use super::runner::{Entry, Keep};
use crate::accounts::{OutOfCycles, check_growth};
use crate::costs;
use crate::error::{ErrorCode, UserError};
use crate::instance::Instance;
use crate::memory::stable::StableMemory;
use crate::profile::SubnetProfile;
use crate::state::history::{Author, ChangeKind, InstallMode};
use crate::state::log::Log;
use crate::state::long::Installation;
use crate::state::{Canister, ChunkStore, Code};
use crate::system_api::host::{Context, HostError};
use crate::wasm::{Module, decode};
use candid::Principal;
use std::sync::Arc;

/// How code is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Onto an empty canister.
    Install,
    /// Over code, without its state.
    Reinstall,
    /// Over code, with stable memory.
    Upgrade {
        /// Leave out `canister_pre_upgrade`.
        skip_pre_upgrade: bool,
        /// What is to become of the heap.
        heap: HeapWish,
    },
}

impl Mode {
    fn recorded(self) -> InstallMode {
        match self {
            Self::Install => InstallMode::Install,
            Self::Reinstall => InstallMode::Reinstall,
            Self::Upgrade { .. } => InstallMode::Upgrade,
        }
    }
}

/// A module on its way into a canister.
pub(crate) enum Upload {
    /// As it was sent.
    Bytes(Arc<[u8]>),
    /// As it was put together.
    Chunks {
        /// The hashes of the chunks, in order.
        hashes: Vec<[u8; 32]>,
        /// All of them.
        bytes: Arc<[u8]>,
    },
    /// The same chunks were put together before.
    Known(Arc<Module>),
}

/// What is to be installed.
pub(crate) struct Install {
    pub(crate) canister_id: Principal,
    pub(crate) mode: Mode,
    /// The module, or why the chunks are none: that comes out only when they are put together.
    pub(crate) module: Result<Upload, UserError>,
    /// Instructions for putting it together.
    pub(crate) assembly_instructions: u64,
    pub(crate) arg: Arc<[u8]>,
    pub(crate) sender: Principal,
    /// Version of the sending canister, if it told it.
    pub(crate) sender_version: Option<u64>,
}

/// Instructions that the phases of an installation share.
struct Budget {
    limit: u64,
    used: u64,
    /// Of what is used: for the module, before any of it runs.
    preparation: u64,
}

impl Budget {
    fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    fn prepare(&mut self, instructions: u64) {
        self.preparation = instructions.min(self.left());
        self.used += self.preparation;
    }
}

/// The module that is to be installed, or what is wrong with it.
type Compiled = Result<Arc<Module>, UserError>;

/// Runs an installation and leaves the canister as it was; [`end_installation`] makes it what it becomes. The
/// caller has checked that the sender controls the canister.
pub(crate) fn run_installation(
    instance: &mut Instance,
    subnet: usize,
    install: &Install,
) -> Result<Installation, UserError> {
    let id = install.canister_id;
    let profile = instance.subnets[subnet].profile.clone();
    let (limit, round) = (profile.limits.install, instance.round);
    let (compiled, compile_instructions) = compile(instance, subnet, install);
    let is_wasm64 = compiled.as_ref().is_ok_and(|module| module.inspection.is_wasm64);
    let mut canister =
        instance.subnets[subnet].canister_mut(&id).ok_or_else(|| failure::canister_not_found(id))?;
    let prepaid = canister.prepay(&profile, limit, is_wasm64).map_err(unaffordable)?;
    if let Err(error) = check(&canister, &profile, install.mode, round) {
        // It costs its base fee all the same.
        canister.settle(prepaid, &profile, 0);
        return Err(error);
    }
    let held_bytes = canister.memory().total();
    let mut before = canister.parts();
    drop(canister);
    let mut budget = Budget { limit, used: 0, preparation: 0 };
    let preparation = install.assembly_instructions + compile_instructions;
    let result = run_phases(instance, subnet, install, compiled, preparation, &mut budget);
    if let Some(code) = &mut before.code {
        // The instance of the old heap may have run on: the heap gets a new name.
        instance.runner.forget(code.generation);
        code.generation = instance.runner.new_generation();
    }
    let Some(mut canister) = instance.subnets[subnet].canister_mut(&id) else {
        return Err(failure::canister_not_found(id));
    };
    canister.settle(prepaid, &profile, budget.used);
    let result = result.and_then(|module| {
        check_end(&canister, &profile, held_bytes)?;
        Ok(ChangeKind::CodeDeployment(install.mode.recorded(), module.hash))
    });
    if result.is_err() {
        keep_log(&canister.log, &mut before.log);
    }
    let after = canister.exchange(before);
    drop(canister);
    if let (Err(_), Some(code)) = (&result, &after.code) {
        instance.runner.forget(code.generation);
    }
    let author =
        Author { time_nanos: instance.time_nanos, by: install.sender, by_version: install.sender_version };
    Ok(Installation {
        canister_id: id,
        outcome: result.map(|change| (after, author, change)),
        instructions: budget.used,
        preparation_instructions: budget.preparation,
    })
}

/// Makes the canister what the installation made of it, if it succeeded.
pub(crate) fn end_installation(
    instance: &mut Instance,
    subnet: usize,
    installation: Installation,
) -> Result<(), UserError> {
    let Installation { canister_id, outcome, instructions, .. } = installation;
    let (rates, round) = (instance.subnets[subnet].profile.rates, instance.round);
    let Some(mut canister) = instance.subnets[subnet].canister_mut(&canister_id) else {
        return Err(failure::canister_not_found(canister_id));
    };
    canister.debits.add_installation(rates, round, instructions);
    let (after, author, change) = outcome?;
    let before = canister.exchange(after);
    canister.record(author, change);
    canister.check_low_memory();
    let hash = canister.code.as_ref().map(|code| code.module.hash);
    drop(canister);
    instance.subnets[subnet].compiled.extend(hash);
    if let Some(code) = before.code {
        instance.runner.forget(code.generation);
    }
    Ok(())
}

/// Whether the canister takes an installation of that mode now (code: `validate_input`).
fn check(canister: &Canister, profile: &SubnetProfile, mode: Mode, round: u64) -> Result<(), UserError> {
    let id = canister.id;
    match mode {
        Mode::Install if canister.code.is_some() => {
            return Err(UserError::new(
                ErrorCode::CanisterNonEmpty,
                format!(
                    "Canister {id} cannot be installed because the canister is not empty. Try installing with \
                     mode='reinstall' instead.\nCheck that you want to overwrite the canister and, if so, use \
                     mode='reinstall'."
                ),
            ));
        }
        Mode::Upgrade { .. } if canister.code.is_none() => return Err(failure::no_module(id)),
        _ => {}
    }
    if canister.debits.owes_installations(profile.rates, round) {
        return Err(UserError::new(
            ErrorCode::CanisterInstallCodeRateLimited,
            format!(
                "Canister {id} is rate limited because it executed too many instructions in the previous install_code \
                 messages. Please retry installation after several minutes.\nRetry the installation at a later time."
            ),
        ));
    }
    Ok(())
}

/// What an installation must leave behind: a heap within its limit, and a canister that is not frozen by memory
/// that it did not hold before (spec, `install_code`; code: `InstallCodeHelper::finish`).
fn check_end(canister: &Canister, profile: &SubnetProfile, held_bytes: u64) -> Result<(), UserError> {
    let memory = canister.memory();
    if let Some(limit) = canister.settings.exceeded_heap_limit(memory.wasm_memory) {
        return Err(failure::user_error(canister.id, &HostError::WasmMemoryLimit(limit)));
    }
    let before = canister.holdings().with_memory(held_bytes);
    check_growth(profile, before, memory.total(), canister.cycles).map_err(|error| error.user_error())
}

/// Compiles the module; answers with it how many instructions that takes. One that is refused takes as many as if
/// each of its bytes were an operator (code: `create_execution_state`).
fn compile(instance: &Instance, subnet: usize, install: &Install) -> (Compiled, u64) {
    let upload = match &install.module {
        Ok(upload) => upload,
        Err(error) => return (Err(error.clone()), 0),
    };
    let modules = instance.runner.modules();
    let (module, bytes) = match upload {
        Upload::Bytes(bytes) => (modules.module(bytes), bytes),
        Upload::Chunks { hashes, bytes } => (modules.assemble(hashes, bytes), bytes),
        Upload::Known(module) => (Ok(module.clone()), &module.bytes),
    };
    match module {
        Ok(module) => {
            let instructions = instance.subnets[subnet].compile_instructions(&module);
            (Ok(module), instructions)
        }
        Err(error) => {
            let instructions = decode::claimed_bytes(bytes) * costs::instructions::COMPILE_OPERATOR;
            (Err(failure::invalid_module(install.canister_id, &error)), instructions)
        }
    }
}

/// The canister can't prepay its installation.
fn unaffordable(error: OutOfCycles) -> UserError {
    error.user_error(|error| format!("Canister installation failed with `{error}`."))
}

fn run_phases(
    instance: &mut Instance,
    subnet: usize,
    install: &Install,
    compiled: Compiled,
    preparation_instructions: u64,
    budget: &mut Budget,
) -> Result<Arc<Module>, UserError> {
    let is_upgrade = matches!(install.mode, Mode::Upgrade { .. });
    if matches!(install.mode, Mode::Upgrade { skip_pre_upgrade: false, .. }) {
        let entry = Entry::Export("canister_pre_upgrade");
        phase(instance, subnet, install, Context::PreUpgrade, entry, budget)?;
    }
    budget.prepare(preparation_instructions);
    let module = compiled?;
    let generation = instance.runner.new_generation();
    if let Some(mut canister) = instance.subnets[subnet].canister_mut(&install.canister_id) {
        let keeps_heap = match install.mode {
            Mode::Upgrade { heap, .. } => {
                persistence::keeps_heap(heap, canister.code.as_ref().map(|code| &*code.module), &module)?
            }
            Mode::Install | Mode::Reinstall => false,
        };
        replace_code(&mut canister, is_upgrade, keeps_heap, module.clone(), generation);
    }
    phase(instance, subnet, install, Context::Start, Entry::Start, budget)?;
    let hook = if is_upgrade { "canister_post_upgrade" } else { "canister_init" };
    phase(instance, subnet, install, Context::Init, Entry::Export(hook), budget)?;
    Ok(module)
}

fn replace_code(
    canister: &mut Canister,
    is_upgrade: bool,
    keeps_heap: bool,
    module: Arc<Module>,
    generation: u64,
) {
    let mut code = Code::new(module, generation);
    if let Some(old) = canister.code.as_ref().filter(|_| keeps_heap) {
        code.heap = old.heap.clone();
        code.heap_pages = old.heap_pages.max(code.heap_pages);
    }
    if !is_upgrade {
        canister.stable = StableMemory::default();
        canister.certified_data.clear();
        canister.log.clear();
    }
    canister.global_timer = 0;
    canister.code = Some(code);
}

/// Runs one function of the installation, if the module has it.
fn phase(
    instance: &mut Instance,
    subnet: usize,
    install: &Install,
    context: Context,
    entry: Entry<'_>,
    budget: &mut Budget,
) -> Result<(), UserError> {
    let id = install.canister_id;
    let is_there =
        instance.subnets[subnet].canister(&id).and_then(|c| c.code.as_ref()).is_some_and(
            |code| match entry {
                Entry::Export(name) => code.module.exports(name),
                Entry::Start => code.module.inspection.start.is_some(),
                Entry::Closure(_) => false,
            },
        );
    if !is_there {
        return Ok(());
    }
    let invocation = Invocation::plain(context, install.sender, install.arg.clone(), budget.left());
    let finished = instance.run_on(subnet, id, invocation, 0, entry, Keep::OnSuccess);
    budget.used += finished.instructions;
    let Some(mut canister) = instance.subnets[subnet].canister_mut(&id) else { return Ok(()) };
    canister.log.append(&finished.effects.log);
    finished.result.map_err(|error| failure::user_error(id, &error))?;
    canister.settle_effects(&finished.effects);
    canister.global_timer = finished.effects.global_timer;
    if let Some(data) = finished.effects.certified_data {
        canister.certified_data = data;
    }
    Ok(())
}

/// What the failed code logged stays, after what was there before; a reinstallation had cleared that.
fn keep_log(failed: &Log, log: &mut Log) {
    for (index, line) in failed.lines() {
        if log.next_index() <= *index {
            log.push(line.clone());
        }
    }
}

/// Takes from a canister without cycles what it can't keep: code and memory, snapshots, history, allocations,
/// and the cycles that are left. The id and its controllers stay (spec, "Canister out of cycles"; code:
/// `charge_canisters_for_resource_allocation_and_usage`).
pub(crate) fn abandon(instance: &mut Instance, subnet: usize, id: Principal) {
    uninstall(instance, subnet, id);
    let Some(mut canister) = instance.subnets[subnet].canister_mut(&id) else { return };
    canister.version += 1;
    canister.snapshots.clear();
    canister.history.clear();
    canister.settings.compute_allocation = 0;
    canister.settings.memory_allocation = 0;
    let left = canister.cycles;
    canister.pay(left);
}

/// Removes code and memory of a canister and rejects its open calls (spec, "IC method uninstall_code").
pub(crate) fn uninstall(instance: &mut Instance, subnet: usize, id: Principal) {
    let error = UserError::new(ErrorCode::CanisterRejectedMessage, "Canister has been uninstalled.");
    instance.reject_open_calls(subnet, id, &error);
    let Some(mut canister) = instance.subnets[subnet].canister_mut(&id) else { return };
    if let Some(code) = canister.code.take() {
        instance.runner.forget(code.generation);
    }
    canister.stable = StableMemory::default();
    canister.certified_data.clear();
    canister.global_timer = 0;
    canister.log.clear();
    canister.chunk_store = ChunkStore::default();
}
