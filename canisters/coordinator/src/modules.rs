//! The modules that canisters run: read out of a snapshot once, and known by their hash from then on.

use crate::management;
use crate::management::Failure;
use crate::snapshots::{self, ReadKind, Slice};
use crate::store::{self, KnownModule};
use candid::Principal;
use decant_api::plan::{ModuleUse, Plan};
use decant_engine::{Digest, SnapshotId};
use flate2::read::GzDecoder;
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};
use std::io::Read;
use wasmparser::{Parser, Payload};

/// Bytes of a chunk of a chunk store (spec: 1 MiB).
const CHUNK_BYTES: u64 = 1 << 20;
/// Bytes of a module at most: a chunk store has 100 chunks.
const MODULE_BYTES: u64 = 100 * CHUNK_BYTES;
/// The export that an upgrade calls first.
const PRE_UPGRADE: &str = "canister_pre_upgrade";

/// Why a module is not known.
pub(crate) enum Unknown {
    /// A call failed.
    Failed(Failure),
    /// What came is no such module.
    Wrong(String),
}

impl From<Failure> for Unknown {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What a plan says of a module.
pub(crate) fn in_plan<'a>(plan: &'a Plan, hash: &Digest) -> Option<&'a ModuleUse> {
    plan.strategy.by_vessel()?.modules.iter().find(|module| module.hash.as_slice() == hash.0)
}

/// The module with that hash: what is known of it, or what the snapshot of a canister that runs it says. Its
/// chunks are put into the chunk store unless those that the plan names are there.
pub(crate) async fn learn(
    canister: Principal,
    snapshot: &SnapshotId,
    hash: &Digest,
    planned: &ModuleUse,
) -> Result<KnownModule, Unknown> {
    if let Some(known) = store::module(hash)
        && known.is_wasm64.is_some()
        && !(known.chunk_hashes.is_empty() && planned.chunk_hashes.is_empty())
        && is_stored(&known, planned).await?
    {
        return Ok(known);
    }
    let module = read(canister, snapshot).await?;
    let found = Digest(Sha256::digest(&module).into());
    if found != *hash {
        return Err(Unknown::Wrong(format!("the snapshot of {canister} has another module")));
    }
    let Traits { has_pre_upgrade, is_wasm64 } = traits(&module).map_err(Unknown::Wrong)?;
    let mut chunk_hashes = Vec::new();
    // Whoever cleared the store need not upload again what the plan names.
    if planned.chunk_hashes.is_empty() || !are_stored(&planned.chunk_hashes).await? {
        for chunk in module.chunks(CHUNK_BYTES as usize) {
            chunk_hashes.push(management::keep_chunk(chunk).await.map_err(Failure::Call)?);
        }
    }
    let surveyed = store::module(hash).map(|known| known.surveyed).unwrap_or_default();
    let known = KnownModule { chunk_hashes, has_pre_upgrade, is_wasm64: Some(is_wasm64), surveyed };
    store::keep_module(hash, &known);
    Ok(known)
}

/// Whether its chunks are still in the chunk store, which anybody who controls the coordinator may clear.
pub(crate) async fn is_stored(known: &KnownModule, planned: &ModuleUse) -> Result<bool, Failure> {
    are_stored(chunks(known, planned)).await
}

/// Whether there are such chunks, and all of them are in the chunk store.
async fn are_stored(needed: &[ByteBuf]) -> Result<bool, Failure> {
    let stored = management::stored_chunks().await?;
    Ok(!needed.is_empty() && needed.iter().all(|chunk| stored.contains(chunk)))
}

/// The chunks of a module: those that were made of what was read, where that was needed, or those that the plan names.
pub(crate) fn chunks<'a>(known: &'a KnownModule, planned: &'a ModuleUse) -> &'a [ByteBuf] {
    if known.chunk_hashes.is_empty() { &planned.chunk_hashes } else { &known.chunk_hashes }
}

async fn read(canister: Principal, snapshot: &SnapshotId) -> Result<Vec<u8>, Unknown> {
    let size = snapshots::metadata(canister, snapshot).await?.wasm_module_size;
    if size > MODULE_BYTES {
        return Err(Unknown::Wrong(format!("the module of {canister} has {size} bytes")));
    }
    let mut module = Vec::new();
    while (module.len() as u64) < size {
        let offset = module.len() as u64;
        let slice = Slice { offset, size: CHUNK_BYTES.min(size - offset) };
        let chunk = snapshots::read(canister, snapshot, ReadKind::Module(slice)).await?;
        if chunk.is_empty() {
            return Err(Unknown::Wrong(format!("the module of {canister} ends after {offset} bytes")));
        }
        module.extend_from_slice(&chunk);
    }
    Ok(module)
}

/// What a job must know of a module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Traits {
    /// Whether it exports `canister_pre_upgrade`.
    has_pre_upgrade: bool,
    /// Whether it addresses its heap with 64 bits.
    is_wasm64: bool,
}

/// The traits of a module, compressed or not.
fn traits(module: &[u8]) -> Result<Traits, String> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let mut plain = Vec::new();
    let bytes = match module.starts_with(&GZIP) {
        true => {
            let mut decoder = GzDecoder::new(module).take(MODULE_BYTES);
            decoder
                .read_to_end(&mut plain)
                .map_err(|error| format!("the module does not unpack: {error}"))?;
            plain.as_slice()
        }
        false => module,
    };
    let no_wasm = |error| format!("the module is no wasm: {error}");
    let mut traits = Traits::default();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(no_wasm)? {
            Payload::ExportSection(exports) => {
                for export in exports {
                    traits.has_pre_upgrade |= export.map_err(no_wasm)?.name == PRE_UPGRADE;
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    traits.is_wasm64 |= memory.map_err(no_wasm)?.memory64;
                }
            }
            _ => {}
        }
    }
    Ok(traits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    const PLAIN: Traits = Traits { has_pre_upgrade: false, is_wasm64: false };

    /// A module with a memory of one page, of these flags.
    fn with_memory(flags: u8) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend([5, 3, 1, flags, 1]);
        module
    }

    #[test]
    fn a_module_that_addresses_its_heap_with_64_bits_is_known_by_its_memory() {
        assert_eq!(traits(&with_memory(4)), Ok(Traits { is_wasm64: true, ..PLAIN }));
        assert_eq!(traits(&with_memory(0)), Ok(PLAIN));
    }

    /// A module that exports a function by that name.
    fn exporting(name: &str) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend([1, 4, 1, 0x60, 0, 0]); // type: () -> ()
        module.extend([3, 2, 1, 0]); // function of type 0
        let mut exports = vec![1, name.len() as u8];
        exports.extend(name.as_bytes());
        exports.extend([0, 0]);
        module.extend([7, exports.len() as u8]);
        module.extend(exports);
        module.extend([10, 4, 1, 2, 0, 0x0b]); // code: end
        module
    }

    #[test]
    fn a_pre_upgrade_is_found_also_in_a_compressed_module() {
        let module = exporting(PRE_UPGRADE);
        let found = Ok(Traits { has_pre_upgrade: true, ..PLAIN });
        assert_eq!(traits(&module), found);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&module).expect("memory can be written");
        assert_eq!(traits(&encoder.finish().expect("memory can be written")), found);
    }

    #[test]
    fn a_module_without_it_has_none_and_other_bytes_are_no_module() {
        assert_eq!(traits(&exporting("canister_post_upgrade")), Ok(PLAIN));
        assert!(traits(b"something else").is_err());
    }
}
