//! Taking, loading, listing and deleting snapshots (spec, "Canister snapshots").

use super::arguments::{OfCanister, OfSnapshot};
use super::call::{Call, Outcome, decode, done, not_controller, reply};
use crate::costs::{COUNTER_GLOBALS, WASM_PAGE_BYTES, limits};
use crate::error::{ErrorCode, UserError};
use crate::execution::{failure, lifecycle};
use crate::state::canister::MemoryUse;
use crate::state::history::ChangeKind;
use crate::state::snapshots::{HookStatus, Snapshot, SnapshotId, SparseBytes};
use crate::state::{Canister, Code};
use crate::wasm::Module;
use crate::wasm::module::GlobalValue;
use candid::{CandidType, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use std::sync::Arc;

/// A snapshot as lists show it.
#[derive(CandidType, Deserialize)]
struct SnapshotView {
    id: ByteBuf,
    taken_at_timestamp: u64,
    total_size: u64,
}

fn view(id: &SnapshotId, snapshot: &Snapshot) -> SnapshotView {
    SnapshotView {
        id: ByteBuf::from(id.clone()),
        taken_at_timestamp: snapshot.taken_at_nanos,
        total_size: snapshot.size_bytes(),
    }
}

pub(super) fn take(call: &mut Call<'_>) -> Outcome {
    #[derive(CandidType, Deserialize)]
    struct Arg {
        canister_id: Principal,
        replace_snapshot: Option<ByteBuf>,
        uninstall_code: Option<bool>,
        sender_canister_version: Option<u64>,
    }
    let arg: Arg = decode(call)?;
    let id = arg.canister_id;
    let time_nanos = call.instance.time_nanos;
    let canister = call.controlled(id)?;
    let replaced = check_slot(canister, arg.replace_snapshot)?;
    call.check_heap_delta(id)?;
    let canister = call.canister(id)?;
    let Some(code) = &canister.code else {
        return Err(UserError::new(
            ErrorCode::CanisterRejectedMessage,
            format!("Failed to create snapshot for empty canister {id}:"),
        ));
    };
    let module = SparseBytes { pages: code.module.pages(), size_bytes: code.module.bytes.len() as u64 };
    let snapshot = Snapshot {
        is_uploaded: false,
        taken_at_nanos: time_nanos,
        canister_version: canister.version,
        module,
        globals: code.globals.clone(),
        heap: SparseBytes { pages: code.heap.clone(), size_bytes: code.heap_pages * WASM_PAGE_BYTES },
        stable: canister.stable.clone(),
        chunks: canister.chunk_store.clone(),
        certified_data: canister.certified_data.clone(),
        global_timer: Some(canister.global_timer),
        hook_status: Some(canister.hook_status),
    };
    let instructions = call.profile().platform.snapshot + snapshot.size_bytes();
    call.charge_with_growth(id, instructions, memory_with(call.canister(id)?, &snapshot, replaced.as_ref()))?;
    call.add_heap_delta(id, snapshot.changed_bytes())?;
    let snapshot_id = store(&mut *call.canister_mut(id)?, snapshot, replaced);
    if arg.uninstall_code == Some(true) {
        lifecycle::uninstall(call.instance, call.subnet, id);
        let author = call.author(arg.sender_canister_version);
        call.canister_mut(id)?.record(author, ChangeKind::CodeUninstall);
    }
    let snapshot = find(call.canister(id)?, &snapshot_id)?;
    reply(&view(&snapshot_id, snapshot))
}

/// Bytes that the canister keeps with a new snapshot, which may take the place of another one.
pub(super) fn memory_with(canister: &Canister, new: &Snapshot, replaced: Option<&SnapshotId>) -> u64 {
    let replaced = replaced.and_then(|id| canister.snapshots.get(id)).map_or(0, Snapshot::size_bytes);
    (canister.memory().total() + new.size_bytes()).saturating_sub(replaced)
}

/// Checks that there is room for one more snapshot; answers the one that it replaces.
pub(super) fn check_slot(
    canister: &Canister,
    replaced: Option<ByteBuf>,
) -> Result<Option<SnapshotId>, UserError> {
    match replaced {
        Some(replaced) => {
            let replaced = replaced.into_vec();
            find(canister, &replaced)?;
            Ok(Some(replaced))
        }
        None if canister.snapshots.len() >= limits::SNAPSHOTS => Err(UserError::new(
            ErrorCode::CanisterRejectedMessage,
            format!(
                "Canister {} has reached the maximum number of snapshots allowed: {}.\nConsider deleting an \
                 unnecessary snapshot of the specified canister before creating a new one.",
                canister.id,
                limits::SNAPSHOTS
            ),
        )),
        None => Ok(None),
    }
}

/// Keeps a new snapshot, and drops the one that it replaces.
pub(super) fn store(canister: &mut Canister, snapshot: Snapshot, replaced: Option<SnapshotId>) -> SnapshotId {
    let mut id = canister.next_snapshot.to_be_bytes().to_vec();
    id.extend_from_slice(canister.id.as_slice());
    canister.next_snapshot += 1;
    if let Some(replaced) = replaced {
        canister.snapshots.remove(&replaced);
    }
    canister.snapshots.insert(id.clone(), snapshot);
    id
}

/// A snapshot of the canister.
pub(super) fn find<'a>(canister: &'a Canister, id: &[u8]) -> Result<&'a Snapshot, UserError> {
    canister.snapshots.get(id).ok_or_else(|| not_found(canister.id, id))
}

pub(super) fn not_found(canister: Principal, id: &[u8]) -> UserError {
    UserError::new(
        ErrorCode::CanisterSnapshotNotFound,
        format!(
            "Could not find the snapshot ID {} for canister {canister}.\nUse the `list_canister_snapshot` API to see \
             which snapshots are present.",
            id_text(id)
        ),
    )
}

/// The platform writes an id as the canister it belongs to and its number.
fn id_text(id: &[u8]) -> String {
    match id.split_first_chunk::<8>() {
        Some((number, canister)) => match Principal::try_from_slice(canister) {
            Ok(canister) => format!("{canister}-{}", u64::from_be_bytes(*number)),
            Err(_) => hex::encode(id),
        },
        None => hex::encode(id),
    }
}

/// The canister of a snapshot id.
fn owner(id: &[u8]) -> Option<Principal> {
    let (_, canister) = id.split_first_chunk::<8>()?;
    Principal::try_from_slice(canister).ok()
}

pub(super) fn load(call: &mut Call<'_>) -> Outcome {
    let arg: OfSnapshot = decode(call)?;
    let id = arg.canister_id;
    call.controlled(id)?;
    call.check_heap_delta(id)?;
    let snapshot = snapshot_to_load(call, id, &arg.snapshot_id)?;
    let mut bytes = vec![0; snapshot.module.size_bytes as usize];
    snapshot.module.pages.read(0, &mut bytes);
    let module =
        call.instance.runner.modules().module(&bytes).map_err(|error| failure::invalid_module(id, &error))?;
    let globals = restored_globals(&module, &snapshot)?;
    check_hook(call.canister(id)?, &snapshot)?;
    pay_for_load(call, id, &module, &snapshot)?;
    call.add_heap_delta(id, snapshot.changed_bytes())?;
    let generation = call.instance.runner.new_generation();
    let author = call.author(arg.sender_canister_version);
    let mut canister = call.canister_mut(id)?;
    let before = canister.code.replace(Code {
        heap: snapshot.heap.pages.clone(),
        heap_pages: snapshot.heap.size_bytes / WASM_PAGE_BYTES,
        globals,
        module,
        generation,
    });
    canister.stable = snapshot.stable.clone();
    canister.certified_data.clone_from(&snapshot.certified_data);
    canister.chunk_store.clone_from(&snapshot.chunks);
    // Those of a taken snapshot are not restored (code, `canister_manager.rs`: it would break what others rely on).
    if snapshot.is_uploaded {
        canister.global_timer = snapshot.global_timer.unwrap_or(canister.global_timer);
        canister.hook_status = snapshot.hook_status.unwrap_or(canister.hook_status);
    }
    canister.record(
        author,
        ChangeKind::LoadSnapshot {
            from: owner(&arg.snapshot_id).filter(|other| *other != id),
            snapshot_id: arg.snapshot_id.to_vec(),
            canister_version: snapshot.canister_version,
            taken_at_nanos: snapshot.taken_at_nanos,
            is_uploaded: snapshot.is_uploaded,
        },
    );
    drop(canister);
    if let Some(before) = before {
        call.instance.runner.forget(before.generation);
    }
    done()
}

/// What loading takes: the constant part, and then, under the threshold of the memory that the canister will have,
/// the bytes and the compilation, at the price of the module that is loaded; each with a base fee, and nothing if
/// the canister can't pay both (code: `load_canister_snapshot`).
fn pay_for_load(
    call: &mut Call<'_>,
    id: Principal,
    module: &Module,
    snapshot: &Snapshot,
) -> Result<(), UserError> {
    let profile = call.profile();
    let compile_instructions = call.instance.subnets[call.subnet].compile_instructions(module);
    let constant = profile.execution_cycles(profile.platform.snapshot, false);
    let instructions = compile_instructions + snapshot.size_bytes();
    let variable = profile.execution_cycles(instructions, module.inspection.is_wasm64);
    let memory_bytes = memory_after_load(call.canister(id)?, module, snapshot);
    call.pay(id, constant)?;
    if let Err(error) = call.pay_with_growth(id, variable, memory_bytes) {
        call.canister_mut(id)?.repay(constant);
        return Err(error);
    }
    call.spend(compile_instructions);
    Ok(())
}

/// Bytes that the canister keeps once the snapshot has taken the place of its code, memory and chunks.
fn memory_after_load(canister: &Canister, module: &Module, snapshot: &Snapshot) -> u64 {
    let memory = canister.memory();
    let custom_sections = module.inspection.custom_section_bytes();
    MemoryUse {
        wasm_memory: snapshot.heap.size_bytes,
        stable_memory: snapshot.stable.size_bytes(),
        globals: (module.initial_globals.len() as u64 + COUNTER_GLOBALS) * GlobalValue::SIZE_BYTES,
        wasm_binary: snapshot.module.size_bytes,
        custom_sections,
        chunk_store: snapshot.chunks.size_bytes(),
        ..memory
    }
    .total()
}

/// The snapshot, of this canister or of another one of the subnet that the sender controls.
fn snapshot_to_load(call: &mut Call<'_>, id: Principal, snapshot_id: &[u8]) -> Result<Snapshot, UserError> {
    let other = owner(snapshot_id).filter(|other| *other != id);
    let (sender, method) = (call.sender, call.request.method.clone());
    let Some(other) = other else { return find(call.canister(id)?, snapshot_id).cloned() };
    let Some(canister) = call.instance.subnets[call.subnet].canister(&other) else {
        return Err(not_found(id, snapshot_id));
    };
    if !canister.is_controller(&sender) {
        return Err(not_controller(canister, sender, &method));
    }
    let snapshot = find(canister, snapshot_id)?;
    // Memory goes from one canister to another by files of the last checkpoint (code: `Memory::try_from`).
    if !snapshot.heap.pages.is_checkpointed() || !snapshot.stable.pages.is_checkpointed() {
        return Err(UserError::new(
            ErrorCode::CanisterRejectedMessage,
            format!(
                "Snapshot {} is not currently loadable on the specified canister {id}. Try again later. The call \
                 should succeed if you wait sufficiently long (usually ten minutes).",
                id_text(snapshot_id)
            ),
        ));
    }
    Ok(snapshot.clone())
}

/// The status of the low-memory hook that an uploaded snapshot states must be one that its heap can have.
fn check_hook(canister: &Canister, snapshot: &Snapshot) -> Result<(), UserError> {
    let Some(status) = snapshot.hook_status.filter(|_| snapshot.is_uploaded) else { return Ok(()) };
    let is_low = canister.settings.is_memory_low(snapshot.heap.size_bytes);
    if is_low == (status != HookStatus::ConditionNotSatisfied) {
        return Ok(());
    }
    Err(UserError::new(
        ErrorCode::InvalidManagementPayload,
        format!(
            "Hook status ({status:?}) of uploaded snapshot is inconsistent with the canister's state (hook condition \
             satisfied: {is_low})."
        ),
    ))
}

/// The globals of the module with the values of the snapshot: their number and types must agree.
fn restored_globals(module: &Arc<Module>, snapshot: &Snapshot) -> Result<Vec<GlobalValue>, UserError> {
    let fits = module.initial_globals.len() == snapshot.globals.len()
        && module
            .initial_globals
            .iter()
            .zip(&snapshot.globals)
            .all(|(own, given)| std::mem::discriminant(own) == std::mem::discriminant(given));
    if !fits {
        return Err(UserError::new(
            ErrorCode::InvalidManagementPayload,
            format!(
                "Wasm exported globals of the canister module ({}) do not match the globals of the snapshot ({}): \
                 upload the snapshot with the globals of its module",
                module.initial_globals.len(),
                snapshot.globals.len()
            ),
        ));
    }
    let heap_bytes = module.inspection.initial_heap_pages.unwrap_or(0) * WASM_PAGE_BYTES;
    if snapshot.heap.size_bytes < heap_bytes {
        return Err(UserError::new(
            ErrorCode::InvalidManagementPayload,
            format!(
                "The snapshot's wasm memory of {} bytes is smaller than the {heap_bytes} bytes that its module \
                 begins with",
                snapshot.heap.size_bytes
            ),
        ));
    }
    Ok(snapshot.globals.clone())
}

pub(super) fn list(call: &mut Call<'_>) -> Outcome {
    let arg: OfCanister = decode(call)?;
    let (sender, method) = (call.sender, call.request.method.clone());
    let canister = call.canister(arg.canister_id)?;
    check_reader(canister, sender, &method)?;
    let list: Vec<SnapshotView> =
        canister.snapshots.iter().map(|(id, snapshot)| view(id, snapshot)).collect();
    reply(&list)
}

pub(super) fn delete(call: &mut Call<'_>) -> Outcome {
    let arg: OfSnapshot = decode(call)?;
    let mut canister = call.controlled_mut(arg.canister_id)?;
    if canister.snapshots.remove(arg.snapshot_id.as_slice()).is_none() {
        return Err(not_found(arg.canister_id, &arg.snapshot_id));
    }
    done()
}

/// Snapshots are read by controllers and by whom the settings name.
pub(super) fn check_reader(canister: &Canister, sender: Principal, method: &str) -> Result<(), UserError> {
    if canister.settings.snapshot_visibility.shows(canister, &sender) {
        Ok(())
    } else {
        Err(not_controller(canister, sender, method))
    }
}
