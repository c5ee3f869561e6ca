//! A snapshot as a directory, in the files that icp-cli and dfx write: read and written through the management canister,
//! as these do, with the rights of whoever asks for it.
//!
//! | file | holds |
//! |---|---|
//! | `metadata.json` | the reply of `read_canister_snapshot_metadata` |
//! | `wasm_module.bin`, `wasm_memory.bin`, `stable_memory.bin` | what their names say |
//! | `wasm_chunk_store/HASH.bin` | a file for each chunk |

use crate::api::{EffectivePrincipal, UserCall};
use crate::costs::limits::{CHUNK_BYTES, SNAPSHOT_SLICE_BYTES};
use crate::instance::Instance;
use crate::management::snapshot_types::{
    Chunk, Metadata, Place, ReadArg, Slice, UploadArg, UploadMetadataArg, Uploaded,
};
use candid::{CandidType, Principal};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const METADATA: &str = "metadata.json";
const MODULE: &str = "wasm_module.bin";
const HEAP: &str = "wasm_memory.bin";
const STABLE: &str = "stable_memory.bin";
const CHUNKS: &str = "wasm_chunk_store";

/// Bytes of metadata: 1,000 globals and 100 hashes take far less (ours).
const METADATA_BYTES: u64 = 4 << 20;

/// Who moves a snapshot of which canister.
#[derive(Debug, Clone, Copy)]
pub struct Mover {
    /// A controller.
    pub sender: Principal,
    /// The canister.
    pub canister: Principal,
}

#[derive(CandidType)]
struct OfSnapshot {
    canister_id: Principal,
    snapshot_id: ByteBuf,
}

impl Instance {
    /// Writes a snapshot into a directory, which is made, or must be empty. Errors with a sentence.
    pub fn download_snapshot(
        &mut self,
        mover: Mover,
        snapshot: &[u8],
        directory: &Path,
    ) -> Result<(), String> {
        fs::create_dir_all(directory).map_err(failed("making", directory))?;
        if fs::read_dir(directory).map_err(failed("reading", directory))?.next().is_some() {
            return Err(format!("the snapshot directory {} is not empty", directory.display()));
        }
        let snapshot_id = ByteBuf::from(snapshot);
        let of_snapshot = OfSnapshot { canister_id: mover.canister, snapshot_id: snapshot_id.clone() };
        let metadata: Metadata = self.manage(mover, "read_canister_snapshot_metadata", &of_snapshot)?;
        let read =
            |kind: Slice| ReadArg { canister_id: mover.canister, snapshot_id: snapshot_id.clone(), kind };
        type ToSlice = fn(u64, u64) -> Slice;
        let parts: [(&str, u64, ToSlice); 3] = [
            (MODULE, metadata.wasm_module_size, |offset, size| Slice::WasmModule { offset, size }),
            (HEAP, metadata.wasm_memory_size, |offset, size| Slice::WasmMemory { offset, size }),
            (STABLE, metadata.stable_memory_size, |offset, size| Slice::StableMemory { offset, size }),
        ];
        for (name, total, slice) in parts {
            let path = directory.join(name);
            let mut file = File::create_new(&path).map_err(failed("making", &path))?;
            let mut offset = 0;
            while offset < total {
                let size = SNAPSHOT_SLICE_BYTES.min(total - offset);
                let part: Chunk =
                    self.manage(mover, "read_canister_snapshot_data", &read(slice(offset, size)))?;
                file.write_all(&part.chunk).map_err(failed("writing", &path))?;
                offset += size;
            }
        }
        let chunks = directory.join(CHUNKS);
        fs::create_dir(&chunks).map_err(failed("making", &chunks))?;
        for chunk in &metadata.wasm_chunk_store {
            let kind = Slice::WasmChunk { hash: chunk.hash.clone() };
            let part: Chunk = self.manage(mover, "read_canister_snapshot_data", &read(kind))?;
            let path = chunk_path(directory, &chunk.hash);
            fs::write(&path, &part.chunk).map_err(failed("writing", &path))?;
        }
        // Last, so that what is not complete has none.
        let path = directory.join(METADATA);
        let json = serde_json::to_vec_pretty(&metadata).map_err(|error| error.to_string())?;
        fs::write(&path, json).map_err(failed("writing", &path))
    }

    /// Makes a snapshot of a directory; answers its id. Errors with a sentence.
    pub fn upload_snapshot(
        &mut self,
        mover: Mover,
        replaced: Option<Vec<u8>>,
        directory: &Path,
    ) -> Result<Vec<u8>, String> {
        let path = directory.join(METADATA);
        let json = read_at_most(&path, METADATA_BYTES)?;
        let metadata: Metadata =
            serde_json::from_slice(&json).map_err(|error| format!("{}: {error}", path.display()))?;
        let sizes = [
            (MODULE, metadata.wasm_module_size),
            (HEAP, metadata.wasm_memory_size),
            (STABLE, metadata.stable_memory_size),
        ];
        let begin = UploadMetadataArg {
            canister_id: mover.canister,
            replace_snapshot: replaced.map(ByteBuf::from),
            wasm_module_size: metadata.wasm_module_size,
            globals: metadata.globals.into_iter().flatten().collect(),
            wasm_memory_size: metadata.wasm_memory_size,
            stable_memory_size: metadata.stable_memory_size,
            certified_data: metadata.certified_data,
            global_timer: metadata.global_timer,
            on_low_wasm_memory_hook_status: metadata.on_low_wasm_memory_hook_status,
        };
        let Uploaded { snapshot_id } = self.manage(mover, "upload_canister_snapshot_metadata", &begin)?;
        type ToPlace = fn(u64) -> Place;
        let places: [ToPlace; 3] = [
            |offset| Place::WasmModule { offset },
            |offset| Place::WasmMemory { offset },
            |offset| Place::StableMemory { offset },
        ];
        let write = |kind: Place, chunk: Vec<u8>| UploadArg {
            canister_id: mover.canister,
            snapshot_id: snapshot_id.clone(),
            kind,
            chunk: ByteBuf::from(chunk),
        };
        for ((name, total), place) in sizes.into_iter().zip(places) {
            let path = directory.join(name);
            if total == 0 {
                // dfx leaves out what would be empty.
                continue;
            }
            let mut file = File::open(&path).map_err(failed("opening", &path))?;
            let mut offset = 0;
            while offset < total {
                let mut bytes = vec![0; SNAPSHOT_SLICE_BYTES.min(total - offset) as usize];
                file.read_exact(&mut bytes).map_err(failed("reading", &path))?;
                let size = bytes.len() as u64;
                // A fresh snapshot holds zeros already.
                if bytes.iter().any(|byte| *byte != 0) {
                    let part = write(place(offset), bytes);
                    self.manage_nothing(mover, "upload_canister_snapshot_data", &part)?;
                }
                offset += size;
            }
        }
        for chunk in &metadata.wasm_chunk_store {
            let bytes = read_at_most(&chunk_path(directory, &chunk.hash), CHUNK_BYTES as u64)?;
            self.manage_nothing(mover, "upload_canister_snapshot_data", &write(Place::WasmChunk, bytes))?;
        }
        Ok(snapshot_id.into_vec())
    }

    fn manage<R: DeserializeOwned + CandidType>(
        &mut self,
        mover: Mover,
        method: &str,
        argument: &impl CandidType,
    ) -> Result<R, String> {
        let reply = self.call_management(mover, method, argument)?;
        candid::decode_one(&reply).map_err(|error| format!("{method}: {error}"))
    }

    fn manage_nothing(
        &mut self,
        mover: Mover,
        method: &str,
        argument: &impl CandidType,
    ) -> Result<(), String> {
        self.call_management(mover, method, argument).map(drop)
    }

    fn call_management(
        &mut self,
        mover: Mover,
        method: &str,
        argument: &impl CandidType,
    ) -> Result<Vec<u8>, String> {
        let call = UserCall {
            sender: mover.sender,
            canister_id: Principal::management_canister(),
            effective_principal: EffectivePrincipal::Canister(mover.canister),
            method: method.to_owned(),
            payload: candid::encode_one(argument).map_err(|error| error.to_string())?,
        };
        let rejected = |reject: crate::error::RejectResponse| format!("{method}: {}", reject.reject_message);
        let id = self.submit(call)?.map_err(rejected)?;
        self.await_ingress(&id)?.map_err(rejected)
    }
}

fn chunk_path(directory: &Path, hash: &[u8]) -> PathBuf {
    directory.join(CHUNKS).join(format!("{}.bin", hex::encode(hash)))
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{doing} {}: {error}", path.display())
}

fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed("opening", path))?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed("reading", path))?;
    if bytes.len() as u64 > limit {
        return Err(format!("{} has more than {limit} bytes", path.display()));
    }
    Ok(bytes)
}
