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

/// Whether a module is the vessel that this build carries, or one that an earlier build carried and put into the chunk store: of
/// that nothing is known but its chunks, and of a dapp's module, since there are vessels, how it addresses its heap.
pub(crate) fn is_vessel(module_hash: &Digest) -> bool {
    let is_vessel = |known: KnownModule| known.is_wasm64.is_none() && !known.has_pre_upgrade;
    *module_hash == hash() || store::module(module_hash).is_some_and(is_vessel)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vessels_of_earlier_builds_are_known_from_modules_of_dapps() {
        let (earlier, dapp, older_dapp) = (Digest([1; 32]), Digest([2; 32]), Digest([3; 32]));
        store::keep_module(&earlier, &KnownModule::default());
        store::keep_module(&dapp, &KnownModule { is_wasm64: Some(false), ..KnownModule::default() });
        store::keep_module(&older_dapp, &KnownModule { has_pre_upgrade: true, ..KnownModule::default() });
        let modules = [hash(), earlier, dapp, older_dapp, Digest([4; 32])];
        assert_eq!(modules.map(|module| is_vessel(&module)), [true, true, false, false, false]);
    }
}
