//! The modules that a rehearsal installs.

use anyhow::Context;
use std::path::Path;

/// The modules that `scripts/build --rehearsal` leaves.
#[derive(Debug, Clone)]
pub struct Modules {
    /// The incident's canister before the upgrade.
    pub raw: Vec<u8>,
    /// The first stage of the upgrade: writes managed, still reads raw.
    pub managed_stage_one: Vec<u8>,
    /// The second stage.
    pub managed: Vec<u8>,
    /// With stable structures, if it was built.
    pub structures: Option<Vec<u8>>,
    /// The build with the kit: source and target.
    pub kit: Vec<u8>,
    /// The vessel, compressed as the coordinator carries it.
    pub vessel: Vec<u8>,
    /// The coordinator, compressed: to install what exceeds 2 MiB, tools clear the chunk store of the canister, which
    /// has the modules of its plans.
    pub coordinator: Vec<u8>,
    /// The index.
    pub index: Vec<u8>,
    /// The stand-in for an SNS.
    pub governance: Vec<u8>,
}

impl Modules {
    /// Reads the modules of a directory.
    ///
    /// # Errors
    /// One is missing: the error names it and the command that builds it.
    pub fn read(directory: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = directory.join(name);
            std::fs::read(&path).with_context(|| {
                format!(
                    "reading {}; build it with scripts/build --rehearsal, and name its directory with --modules",
                    path.display()
                )
            })
        };
        Ok(Self {
            raw: read("user-raw.wasm")?,
            managed_stage_one: read("user-managed-stage-one.wasm")?,
            managed: read("user-managed.wasm")?,
            structures: std::fs::read(directory.join("user-structures.wasm")).ok(),
            kit: read("user-kit.wasm")?,
            vessel: read("vessel.wasm.gz")?,
            coordinator: read("coordinator.wasm.gz")?,
            index: read("index.wasm")?,
            governance: read("governance.wasm")?,
        })
    }

    /// With stable structures: few rehearse with it, so that it is not built for all.
    ///
    /// # Errors
    /// It was not built: the error names the command that does.
    pub fn structures(&self) -> anyhow::Result<&[u8]> {
        self.structures
            .as_deref()
            .context("this rehearsal needs user-structures.wasm: scripts/build user-structures")
    }
}
