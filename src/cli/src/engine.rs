//! Decides what a rehearsal or test runs on: a real PocketIC server, or the embedded replica.

use anyhow::Context;
use decant_replica::Replica;
use pocket_ic::PocketIcBuilder;

/// Names the binary of a real PocketIC server; the `pocket-ic` client starts it.
pub const SERVER_VARIABLE: &str = "POCKET_IC_BIN";

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
    /// The replica cannot listen on the loopback interface.
    pub fn start() -> anyhow::Result<Self> {
        if std::env::var_os(SERVER_VARIABLE).is_some() {
            return Ok(Self::Server);
        }
        Replica::start().map(Self::Embedded).context("starting the embedded replica on 127.0.0.1")
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
