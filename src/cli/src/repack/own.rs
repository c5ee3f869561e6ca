//! The module that the canister runs, and whether one upgrade keeps its state.

use super::snapshot_dir::EMPTY_MODULE;
use anyhow::{Context, anyhow, ensure};
use decant_replica::upgrade_traits;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A module that an upgrade takes off a canister and another one brings back.
#[derive(Debug)]
pub(super) struct OwnModule {
    pub(super) path: PathBuf,
    pub(super) size_bytes: u64,
    /// SHA-256 as `canister_status` shows it: of the file as it is, gzipped or not.
    pub(super) hash: String,
    /// What is on its heap may be lost: it was said that nothing is.
    pub(super) may_lose_heap: bool,
}

impl OwnModule {
    /// Reads it.
    ///
    /// # Errors
    /// It is no module, or what it keeps on its heap would not survive an upgrade to a module without code.
    pub(super) fn read(path: &Path, may_lose_heap: bool) -> anyhow::Result<Self> {
        let module = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let file = path.display();
        ensure!(
            module != EMPTY_MODULE,
            "{file} is the module of nothing: --module names the one that the canister runs"
        );
        let traits = upgrade_traits(&module)
            .map_err(|refused| anyhow!("{file} is no module that a canister can run: {refused}"))?;
        ensure!(
            !traits.keeps_heap,
            "{file} keeps its state on its heap (enhanced orthogonal persistence): no repack gives anything of it back, \
             and an upgrade to a module without code would lose it. Leave the canister as it is"
        );
        ensure!(
            traits.has_pre_upgrade || may_lose_heap,
            "{file} has no pre_upgrade, so what is on its heap would be lost: fine if all state is in stable structures; \
             then add --may-lose-heap"
        );
        Ok(Self {
            path: path.to_owned(),
            size_bytes: module.len() as u64,
            hash: hex::encode(Sha256::digest(&module)),
            may_lose_heap,
        })
    }
}
