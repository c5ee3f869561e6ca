//! The chunk store of a canister (spec, "Wasm chunk store").

use super::arguments::{ChunkHash, OfCanister, UploadChunk};
use super::call::{Call, Outcome, decode, done, reply};
use crate::costs::limits;
use crate::error::{ErrorCode, UserError};
use crate::state::ChunkStore;
use crate::state::chunks::Place;
use candid::Principal;
use serde_bytes::ByteBuf;

pub(super) fn upload(call: &mut Call<'_>) -> Outcome {
    let arg: UploadChunk = decode(call)?;
    own_or_controlled(call, arg.canister_id)?;
    let id = arg.canister_id;
    // Charged whatever comes of it (code: `upload_chunk`).
    let instructions = call.profile().platform.upload_chunk;
    call.try_charge(id, instructions)?
        .map_err(|error| refused(format!("Error charging for 'upload_chunk': {error}")))?;
    let hash = match call.canister(id)?.chunk_store.place(&arg.chunk).map_err(refused)? {
        Place::Known(hash) => hash,
        Place::New(hash) => {
            call.check_heap_delta_of_chunk(id)?;
            call.check_memory_of_chunk(id)?;
            call.spend(instructions);
            call.add_heap_delta(id, limits::CHUNK_BYTES as u64)?;
            call.canister_mut(id)?.chunk_store.insert(hash, arg.chunk.into_vec().into());
            hash
        }
    };
    reply(&ChunkHash { hash: ByteBuf::from(hash.to_vec()) })
}

pub(super) fn clear(call: &mut Call<'_>) -> Outcome {
    let arg: OfCanister = decode(call)?;
    own_or_controlled(call, arg.canister_id)?;
    call.canister_mut(arg.canister_id)?.chunk_store = ChunkStore::default();
    done()
}

pub(super) fn list(call: &mut Call<'_>) -> Outcome {
    let arg: OfCanister = decode(call)?;
    own_or_controlled(call, arg.canister_id)?;
    let hashes: Vec<ChunkHash> = call
        .canister(arg.canister_id)?
        .chunk_store
        .hashes()
        .map(|hash| ChunkHash { hash: ByteBuf::from(hash.to_vec()) })
        .collect();
    reply(&hashes)
}

/// A chunk store is for the canister itself and for its controllers.
fn own_or_controlled(call: &Call<'_>, id: Principal) -> Result<(), UserError> {
    if call.sender == id { call.canister(id).map(|_| ()) } else { call.controlled(id).map(|_| ()) }
}

/// In the words of the platform for everything that is wrong with a chunk.
pub(super) fn refused(message: String) -> UserError {
    UserError::new(ErrorCode::CanisterContractViolation, format!("Error from Wasm chunk store: {message}."))
}
