//! Hashes of a decision against modules on disk.

use anyhow::Context;
use decant_api::govern::Decision;
use decant_api::plan::{ModuleRef, Strategy};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// Bytes of a chunk, as `scripts/deploy --upload` cuts modules (spec: 1 MiB at most).
const CHUNK_BYTES: usize = 1 << 20;

/// What does not fit: a module that no file is, one that is cut into other chunks, a file that is not named.
pub(super) fn check(decision: &Decision, files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let named = named(decision);
    let mut wrong = Vec::new();
    let mut found = Vec::new();
    for path in files {
        let module = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let hash = ByteBuf::from(Sha256::digest(&module).to_vec());
        let chunks: Vec<ByteBuf> =
            module.chunks(CHUNK_BYTES).map(|chunk| ByteBuf::from(Sha256::digest(chunk).to_vec())).collect();
        match named.iter().find(|module| module.hash == hash) {
            None => wrong.push(format!(
                "{} has the SHA-256 {}, which is not named",
                path.display(),
                hex::encode(&hash)
            )),
            // One that nobody uploads has no chunks: the coordinator reads it out of a snapshot.
            Some(module) if !module.chunk_hashes.is_empty() && module.chunk_hashes != chunks => {
                wrong.push(format!("{} is in other chunks than those that are named", path.display()));
            }
            Some(_) => {}
        }
        found.push(hash);
    }
    let missing = named.iter().filter(|module| !found.contains(&module.hash));
    wrong.extend(missing.map(|module| format!("no file is the module {}", hex::encode(&module.hash))));
    Ok(wrong)
}

/// Modules that a decision names.
fn named(decision: &Decision) -> Vec<ModuleRef> {
    let Decision::Approve { plan, .. } = decision else { return Vec::new() };
    let mut named: Vec<ModuleRef> = plan.tombstone.iter().cloned().collect();
    match &plan.strategy {
        Strategy::Relocate(relocation) => named.push(relocation.module.clone()),
        by_vessel => {
            named.extend(by_vessel.by_vessel().into_iter().flat_map(|by| &by.modules).map(|module| {
                ModuleRef { hash: module.hash.clone(), chunk_hashes: module.chunk_hashes.clone() }
            }))
        }
    }
    named
}
