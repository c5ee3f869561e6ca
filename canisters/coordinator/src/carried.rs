//! The vessel that this module carries: nobody uploads it.

use crate::management;
use crate::store::{self, KnownModule};
use decant_engine::Digest;
use ic_cdk::call::CallFailed;
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

/// The vessel, compressed.
const VESSEL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vessel.wasm.gz"));
/// Bytes of a chunk of a chunk store (spec: 1 MiB).
const CHUNK_BYTES: usize = 1 << 20;

/// Its hash, as `canister_status` tells it. Every job asks for it, and it takes millions of instructions.
pub(crate) fn hash() -> Digest {
    static HASH: LazyLock<Digest> = LazyLock::new(|| Digest(Sha256::digest(VESSEL).into()));
    *HASH
}

/// Whether a module is the vessel that this build carries.
pub(crate) fn is_vessel(module_hash: &[u8]) -> bool {
    module_hash == hash().0
}

/// The chunks of a vessel: of this one, which are put into the chunk store if nobody did; or of one that an earlier build
/// carried, with which a job goes on that began with it.
pub(crate) async fn chunks(hash_wanted: &Digest) -> Result<Option<Vec<ByteBuf>>, CallFailed> {
    if let Some(known) = store::module(hash_wanted) {
        return Ok(Some(known.chunk_hashes));
    }
    if *hash_wanted != hash() {
        return Ok(None);
    }
    upload().await.map(Some)
}

/// Puts it into the chunk store, also where somebody cleared that.
pub(crate) async fn upload() -> Result<Vec<ByteBuf>, CallFailed> {
    let mut chunk_hashes = Vec::new();
    for chunk in VESSEL.chunks(CHUNK_BYTES) {
        chunk_hashes.push(management::keep_chunk(chunk).await?);
    }
    let known = KnownModule { chunk_hashes: chunk_hashes.clone(), ..KnownModule::default() };
    store::keep_module(&hash(), &known);
    Ok(chunk_hashes)
}
