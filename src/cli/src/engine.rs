//! What a rehearsal or test runs on: the embedded replica, or a PocketIC server.

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use decant_replica::{Compilation, Replica, ReplicaConfig};
use pocket_ic::{PocketIc, PocketIcBuilder};
use reqwest::Url;
use reqwest::blocking::{Client, Response};
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Names the binary of a PocketIC server; the `pocket-ic` client starts it.
pub const SERVER_VARIABLE: &str = "POCKET_IC_BIN";

/// Names the URL of a PocketIC server that runs.
pub const URL_VARIABLE: &str = "POCKET_IC_URL";
/// Seconds in which such a server says that it is there.
const STATUS_SECONDS: u64 = 10;

/// A seed for the order in which canisters, senders and responses have their turn on the embedded replica.
pub const SCHEDULE_VARIABLE: &str = "DECANT_SCHEDULE_SEED";

/// Which engine is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The embedded replica, in this process.
    Embedded,
    /// A PocketIC server: that at POCKET_IC_URL, otherwise one that POCKET_IC_BIN starts.
    PocketIc,
}

/// What answers the `pocket_ic` client.
pub enum Engine {
    /// The embedded replica, in this process.
    Embedded(Replica),
    /// A server at an address, or one that the client starts.
    Server(Option<Url>),
}

impl Engine {
    /// For tests and measurements: a server where [`SERVER_VARIABLE`] is set, otherwise the embedded replica.
    ///
    /// # Errors
    /// As [`Engine::start_as`].
    pub fn start() -> anyhow::Result<Self> {
        let kind = if std::env::var_os(SERVER_VARIABLE).is_some() { Kind::PocketIc } else { Kind::Embedded };
        Self::start_as(kind, Compilation::default())
    }

    /// That which is meant; the embedded replica compiles modules this way.
    ///
    /// # Errors
    /// The replica cannot listen on the loopback interface, no server is named or there is none, or
    /// [`SCHEDULE_VARIABLE`] is no number or is set for a server.
    pub fn start_as(kind: Kind, compilation: Compilation) -> anyhow::Result<Self> {
        let schedule_seed = std::env::var(SCHEDULE_VARIABLE)
            .ok()
            .map(|seed| seed.parse().with_context(|| format!("{SCHEDULE_VARIABLE}={seed} is no number")))
            .transpose()?;
        if kind == Kind::PocketIc {
            ensure!(schedule_seed.is_none(), ONLY_EMBEDDED);
            return server().map(Self::Server);
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
            Self::Server(_) => loop {
                std::thread::park();
            },
        }
    }

    /// Its name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Server(_) => "pocket-ic",
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
            Self::Server(None) => PocketIcBuilder::new(),
            Self::Server(Some(url)) => PocketIcBuilder::new().with_server_url(url.clone()),
        })
    }
}

/// Where the server that the environment names is; `None` where the client starts it.
fn server() -> anyhow::Result<Option<Url>> {
    if let Some(url) = std::env::var_os(URL_VARIABLE) {
        return check_url(&url.to_string_lossy()).map(Some);
    }
    let binary = std::env::var_os(SERVER_VARIABLE).with_context(|| {
        format!(
            "no PocketIC server is named: set {SERVER_VARIABLE} to the path of its binary, or {URL_VARIABLE} to where one \
             listens"
        )
    })?;
    check_server(&binary)?;
    Ok(None)
}

/// The client panics where nobody listens.
fn check_url(text: &str) -> anyhow::Result<Url> {
    let what_to_do = || {
        format!(
            "{URL_VARIABLE} is {text}, where no PocketIC server listens: name where one does, or unset it"
        )
    };
    let url: Url = text.parse().with_context(what_to_do)?;
    let client = Client::builder().timeout(Duration::from_secs(STATUS_SECONDS)).build()?;
    let answered = client.get(url.join("status")?).send().and_then(Response::error_for_status);
    answered.with_context(what_to_do)?;
    Ok(url)
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
    "a schedule seed works on the embedded replica only: a PocketIC server decides itself";
