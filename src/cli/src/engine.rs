//! Decides what a rehearsal or test runs on: a real PocketIC server, or the embedded replica.

use anyhow::{Context, bail, ensure};
use decant_replica::{Compilation, Replica, ReplicaConfig};
use pocket_ic::{PocketIc, PocketIcBuilder};
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Names the binary of a real PocketIC server; the `pocket-ic` client starts it.
pub const SERVER_VARIABLE: &str = "POCKET_IC_BIN";

/// A seed for the order in which canisters, senders and responses have their turn on the embedded replica.
pub const SCHEDULE_VARIABLE: &str = "DECANT_SCHEDULE_SEED";

/// What answers the `pocket_ic` client.
pub enum Engine {
    /// The embedded replica, in this process.
    Embedded(Replica),
    /// A real server.
    Server,
}

impl Engine {
    /// A real server where [`SERVER_VARIABLE`] is set, otherwise the embedded replica.
    ///
    /// # Errors
    /// The replica cannot listen on the loopback interface, or [`SCHEDULE_VARIABLE`] is no number or is set for a real
    /// server.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(Compilation::default())
    }

    /// The same; the embedded replica compiles modules this way.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn start_with(compilation: Compilation) -> anyhow::Result<Self> {
        let schedule_seed = std::env::var(SCHEDULE_VARIABLE)
            .ok()
            .map(|seed| seed.parse().with_context(|| format!("{SCHEDULE_VARIABLE}={seed} is no number")))
            .transpose()?;
        if let Some(binary) = std::env::var_os(SERVER_VARIABLE) {
            if schedule_seed.is_some() {
                bail!(ONLY_EMBEDDED);
            }
            check_server(&binary)?;
            return Ok(Self::Server);
        }
        let config = ReplicaConfig { schedule_seed, compilation, ..ReplicaConfig::default() };
        Replica::start_with(config).map(Self::Embedded).context("starting the embedded replica on 127.0.0.1")
    }

    /// From now on the order of turns on an instance is by chance from the seed.
    ///
    /// # Errors
    /// A real server decides itself.
    pub fn schedule(&self, pic: &PocketIc, seed: u64) -> anyhow::Result<()> {
        let Self::Embedded(replica) = self else { bail!(ONLY_EMBEDDED) };
        replica.with_instance(pic.instance_id(), |instance| instance.set_schedule_seed(Some(seed)))?;
        Ok(())
    }

    /// Waits until the process is interrupted.
    ///
    /// # Errors
    /// Interruptions can't be awaited.
    pub fn wait(&self) -> anyhow::Result<()> {
        match self {
            Self::Embedded(replica) => {
                replica.wait(None, None).context("waiting for the end")?;
                Ok(())
            }
            // The client's server is no child that ends with this process's handlers: the signal ends both.
            Self::Server => loop {
                std::thread::park();
            },
        }
    }

    /// Its name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Server => "pocket-ic",
        }
    }

    /// A builder without subnets that leads to it.
    ///
    /// # Errors
    /// The replica's address is no URL.
    pub fn builder(&self) -> anyhow::Result<PocketIcBuilder> {
        Ok(match self {
            Self::Embedded(replica) => PocketIcBuilder::new()
                .with_server_url(replica.url().parse().context("the replica's address")?),
            Self::Server => PocketIcBuilder::new(),
        })
    }
}

/// The client starts it, and panics where it can't.
fn check_server(binary: &OsStr) -> anyhow::Result<()> {
    let what_to_do = || {
        let path = Path::new(binary).display();
        format!("{SERVER_VARIABLE} is {path}, which is no PocketIC server that runs: name one, or unset it")
    };
    let told = Command::new(binary).arg("--version").output().with_context(what_to_do)?;
    ensure!(
        told.status.success() && told.stdout.starts_with(b"pocket-ic"),
        "{}; asked for its version it says {:?}",
        what_to_do(),
        String::from_utf8_lossy(&told.stdout).trim()
    );
    Ok(())
}

const ONLY_EMBEDDED: &str =
    "a schedule seed works on the embedded replica only: a real server decides itself. Unset POCKET_IC_BIN";
