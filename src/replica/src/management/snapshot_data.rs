//! Snapshots in slices: reading what was taken, writing what is uploaded.

use super::arguments::{ChunkHash, OfSnapshot};
use super::call::{Call, Outcome, decode, done, reply};
use super::chunks;
use super::snapshot_types::{
    Chunk, Global, Hook, Metadata, Place, ReadArg, Slice, Source, Timer, UploadArg, UploadMetadataArg,
    Uploaded,
};
use super::snapshots::{check_reader, check_slot, find, memory_with, not_found, store};
use crate::costs::{WASM_PAGE_BYTES, limits};
use crate::error::{ErrorCode, UserError};
use crate::memory::PageMap;
use crate::memory::stable::StableMemory;
use crate::state::ChunkStore;
use crate::state::chunks::Place as InStore;
use crate::state::snapshots::{HookStatus, Snapshot, SparseBytes};
use crate::wasm::module::GlobalValue;
use candid::Reserved;
use serde_bytes::ByteBuf;

pub(super) fn read_metadata(call: &mut Call<'_>) -> Outcome {
    let arg: OfSnapshot = decode(call)?;
    let (sender, method) = (call.sender, call.request.method.clone());
    let canister = call.canister(arg.canister_id)?;
    check_reader(canister, sender, &method)?;
    let snapshot = find(canister, &arg.snapshot_id)?;
    reply(&Metadata {
        source: Some(if snapshot.is_uploaded {
            Source::MetadataUpload(Reserved)
        } else {
            Source::TakenFromCanister(Reserved)
        }),
        taken_at_timestamp: snapshot.taken_at_nanos,
        wasm_module_size: snapshot.module.size_bytes,
        globals: snapshot.globals.iter().map(|global| Some(from_state(*global))).collect(),
        wasm_memory_size: snapshot.heap.size_bytes,
        stable_memory_size: snapshot.stable.size_bytes(),
        wasm_chunk_store: snapshot
            .chunks
            .hashes()
            .map(|hash| ChunkHash { hash: ByteBuf::from(hash.to_vec()) })
            .collect(),
        canister_version: snapshot.canister_version,
        certified_data: ByteBuf::from(snapshot.certified_data.clone()),
        global_timer: snapshot.global_timer.map(|nanos| match nanos {
            0 => Timer::Inactive,
            nanos => Timer::Active(nanos),
        }),
        on_low_wasm_memory_hook_status: snapshot.hook_status.map(|status| match status {
            HookStatus::ConditionNotSatisfied => Hook::ConditionNotSatisfied,
            HookStatus::Ready => Hook::Ready,
            HookStatus::Executed => Hook::Executed,
        }),
    })
}

fn from_state(global: GlobalValue) -> Global {
    match global {
        GlobalValue::I32(value) => Global::I32(value),
        GlobalValue::I64(value) => Global::I64(value),
        GlobalValue::F32(bits) => Global::F32(f32::from_bits(bits)),
        GlobalValue::F64(bits) => Global::F64(f64::from_bits(bits)),
        GlobalValue::V128(value) => Global::V128(value.into()),
    }
}

fn to_state(global: &Global) -> Result<GlobalValue, UserError> {
    Ok(match global {
        Global::I32(value) => GlobalValue::I32(*value),
        Global::I64(value) => GlobalValue::I64(*value),
        Global::F32(value) => GlobalValue::F32(value.to_bits()),
        Global::F64(value) => GlobalValue::F64(value.to_bits()),
        Global::V128(value) => GlobalValue::V128(super::settings::number(value, "v128")?),
    })
}

pub(super) fn read(call: &mut Call<'_>) -> Outcome {
    let arg: ReadArg = decode(call)?;
    let (sender, method) = (call.sender, call.request.method.clone());
    let canister = call.canister(arg.canister_id)?;
    check_reader(canister, sender, &method)?;
    find(canister, &arg.snapshot_id)?;
    let most_bytes = match &arg.kind {
        Slice::WasmModule { size, .. }
        | Slice::WasmMemory { size, .. }
        | Slice::StableMemory { size, .. } => *size,
        Slice::WasmChunk { .. } => limits::CHUNK_BYTES as u64,
    };
    if most_bytes > limits::SNAPSHOT_SLICE_BYTES {
        return Err(invalid(format!(
            "Requested slice too large: {most_bytes} > {}",
            limits::SNAPSHOT_SLICE_BYTES
        )));
    }
    // Charged for what may come of it, whatever does (code: `read_snapshot_data`).
    let instructions = call.profile().platform.snapshot_slice + most_bytes;
    call.charge(arg.canister_id, instructions)?;
    let snapshot = find(call.canister(arg.canister_id)?, &arg.snapshot_id)?;
    let bytes = match &arg.kind {
        Slice::WasmModule { offset, size } => {
            slice(&snapshot.module.pages, snapshot.module.size_bytes, *offset, *size)?
        }
        Slice::WasmMemory { offset, size } => {
            slice(&snapshot.heap.pages, snapshot.heap.size_bytes, *offset, *size)?
        }
        Slice::StableMemory { offset, size } => {
            slice(&snapshot.stable.pages, snapshot.stable.size_bytes(), *offset, *size)?
        }
        Slice::WasmChunk { hash } => snapshot
            .chunks
            .get(hash)
            .map(|chunk| chunk.to_vec())
            .ok_or_else(|| chunks::refused(format!("WasmChunkHash {} not found", hex::encode(hash))))?,
    };
    reply(&Chunk { chunk: ByteBuf::from(bytes) })
}

fn slice(pages: &PageMap, total: u64, offset: u64, size: u64) -> Result<Vec<u8>, UserError> {
    check_range(total, offset, size)?;
    let mut bytes = vec![0; size as usize];
    pages.read(offset, &mut bytes);
    Ok(bytes)
}

fn check_range(total: u64, offset: u64, size: u64) -> Result<(), UserError> {
    if offset.checked_add(size).is_none_or(|end| end > total) {
        return Err(invalid(format!(
            "Invalid subslice into wasm module / main memory / stable memory: offset: {offset}, size: {size}"
        )));
    }
    Ok(())
}

fn invalid(message: String) -> UserError {
    UserError::new(ErrorCode::InvalidManagementPayload, message)
}

pub(super) fn upload_metadata(call: &mut Call<'_>) -> Outcome {
    let arg: UploadMetadataArg = decode(call)?;
    let id = arg.canister_id;
    let time_nanos = call.instance.time_nanos;
    let canister = call.controlled(id)?;
    let replaced = check_slot(canister, arg.replace_snapshot.clone())?;
    let canister_version = canister.version;
    check_sizes(&arg)?;
    call.check_heap_delta(id)?;
    let snapshot = Snapshot {
        is_uploaded: true,
        taken_at_nanos: time_nanos,
        canister_version,
        module: zeros(arg.wasm_module_size),
        globals: arg.globals.iter().map(to_state).collect::<Result<_, _>>()?,
        heap: zeros(arg.wasm_memory_size),
        stable: StableMemory {
            pages: PageMap::default(),
            size_pages: arg.stable_memory_size / WASM_PAGE_BYTES,
        },
        chunks: ChunkStore::default(),
        certified_data: arg.certified_data.into_vec(),
        global_timer: arg.global_timer.map(|timer| match timer {
            Timer::Inactive => 0,
            Timer::Active(nanos) => nanos,
        }),
        hook_status: arg.on_low_wasm_memory_hook_status.map(|hook| match hook {
            Hook::ConditionNotSatisfied => HookStatus::ConditionNotSatisfied,
            Hook::Ready => HookStatus::Ready,
            Hook::Executed => HookStatus::Executed,
        }),
    };
    let instructions = call.profile().platform.snapshot + snapshot.size_bytes();
    call.charge_with_growth(id, instructions, memory_with(call.canister(id)?, &snapshot, replaced.as_ref()))?;
    let snapshot_id = store(&mut *call.canister_mut(id)?, snapshot, replaced);
    reply(&Uploaded { snapshot_id: ByteBuf::from(snapshot_id) })
}

fn zeros(size_bytes: u64) -> SparseBytes {
    SparseBytes { pages: PageMap::default(), size_bytes }
}

fn check_sizes(arg: &UploadMetadataArg) -> Result<(), UserError> {
    let checks = [
        ("wasm_module_size", arg.wasm_module_size, limits::MODULE_BYTES, 1),
        (
            "wasm_memory_size",
            arg.wasm_memory_size,
            limits::WASM64_HEAP_PAGES * WASM_PAGE_BYTES,
            WASM_PAGE_BYTES,
        ),
        (
            "stable_memory_size",
            arg.stable_memory_size,
            limits::STABLE_PAGES * WASM_PAGE_BYTES,
            WASM_PAGE_BYTES,
        ),
        ("certified_data", arg.certified_data.len() as u64, limits::CERTIFIED_DATA_BYTES, 1),
        ("globals", arg.globals.len() as u64, limits::MODULE_GLOBALS as u64, 1),
    ];
    if arg.wasm_module_size == 0 {
        return Err(invalid("wasm_module_size is 0: a snapshot needs a module".to_owned()));
    }
    for (name, value, max, unit) in checks {
        if value > max {
            return Err(invalid(format!("{name} is {value}, at most {max} are allowed")));
        }
        if !value.is_multiple_of(unit) {
            return Err(invalid(format!("{name} is {value}, which is no multiple of {unit}")));
        }
    }
    Ok(())
}

pub(super) fn upload(call: &mut Call<'_>) -> Outcome {
    let arg: UploadArg = decode(call)?;
    let id = arg.canister_id;
    let size = arg.chunk.len() as u64;
    let snapshot = find(call.controlled(id)?, &arg.snapshot_id)?;
    if !snapshot.is_uploaded {
        return Err(UserError::new(
            ErrorCode::CanisterSnapshotImmutable,
            "Only canister snapshots created by metadata upload can be mutated.",
        ));
    }
    call.check_heap_delta_of_chunk(id)?;
    // Charged whatever comes of it: memory is written (code: `write_snapshot_data`). A chunk counts as a whole one.
    let (written_bytes, instructions) = match arg.kind {
        Place::WasmChunk => (limits::CHUNK_BYTES as u64, call.profile().platform.upload_chunk),
        Place::WasmModule { .. } | Place::WasmMemory { .. } | Place::StableMemory { .. } => (size, size),
    };
    call.charge(id, written_bytes)?;
    let snapshot = find(call.canister(id)?, &arg.snapshot_id)?;
    let mut new_chunk = None;
    match arg.kind {
        Place::WasmModule { offset } => check_range(snapshot.module.size_bytes, offset, size)?,
        Place::WasmMemory { offset } => check_range(snapshot.heap.size_bytes, offset, size)?,
        Place::StableMemory { offset } => check_range(snapshot.stable.size_bytes(), offset, size)?,
        Place::WasmChunk => match snapshot.chunks.place(&arg.chunk).map_err(chunks::refused)? {
            InStore::Known(_) => return done(),
            InStore::New(hash) => {
                call.check_memory_of_chunk(id)?;
                new_chunk = Some(hash);
            }
        },
    }
    call.add_heap_delta(id, written_bytes)?;
    call.spend(instructions);
    let mut canister = call.canister_mut(id)?;
    let snapshot = canister
        .snapshots
        .get_mut(arg.snapshot_id.as_slice())
        .ok_or_else(|| not_found(id, &arg.snapshot_id))?;
    match arg.kind {
        Place::WasmModule { offset } => snapshot.module.pages.write(offset, &arg.chunk),
        Place::WasmMemory { offset } => snapshot.heap.pages.write(offset, &arg.chunk),
        Place::StableMemory { offset } => snapshot.stable.pages.write(offset, &arg.chunk),
        Place::WasmChunk => {
            if let Some(hash) = new_chunk {
                snapshot.chunks.insert(hash, arg.chunk.into_vec().into());
            }
        }
    }
    done()
}
