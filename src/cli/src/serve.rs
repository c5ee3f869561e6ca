//! The embedded replica as a server of its own: `decant replica`, and in place of a PocketIC server.

use anyhow::Context;
use clap::{Args, Parser};
use decant_replica::{End, Replica, ReplicaConfig};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a server listens.
#[derive(Debug, Args)]
pub struct Listen {
    /// The port; 0 for any that is free.
    #[arg(long, short, default_value_t = 0)]
    port: u16,
    /// The IP address. Whoever reaches it can do everything.
    #[arg(long, short, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    ip_addr: IpAddr,
}

impl Listen {
    fn start(&self) -> anyhow::Result<Replica> {
        let config = ReplicaConfig { ip: self.ip_addr, port: self.port, ..ReplicaConfig::default() };
        Replica::start_with(config).with_context(|| format!("listening on {}:{}", self.ip_addr, self.port))
    }
}

/// `decant replica`: serves until it is interrupted, and says how it is used.
pub fn serve(listen: &Listen) -> anyhow::Result<()> {
    let replica = listen.start()?;
    let url = replica.url();
    crate::print(&format!("{url}\n"))?;
    eprintln!("{}", how_to_use(&url));
    replica.wait(None, None).context("waiting for the end")?;
    Ok(())
}

fn how_to_use(url: &str) -> String {
    let bare = url.trim_end_matches('/');
    format!(
        "
An embedded Internet Computer. It serves the protocol of PocketIC {CLIENTS} until it is interrupted:
  Rust     PocketIcBuilder::new().with_server_url(\"{url}\".parse()?).with_application_subnet().build()
  Node     await PocketIc.create(\"{bare}\")
  pages    http://CANISTER.localhost:PORT/ of an instance that was made live; make_live says the port
A suite that starts its server itself needs no change: POCKET_IC_BIN=/path/to/pocket-ic-decant
Web pages of other origins are refused. docs/replica.md says what is not there."
    )
}

/// The release of PocketIC whose protocol is spoken.
const CLIENTS: &str = "16.1";

/// What PocketIC's server says of itself; a client of another release looks for its own.
const SERVER_VERSION: &str = "16.1.0";

/// Says which version the server claims to be, for clients of other releases.
const VERSION_VARIABLE: &str = "DECANT_POCKET_IC_VERSION";

/// An embedded Internet Computer in place of a PocketIC server: POCKET_IC_BIN=/path/to/pocket-ic-decant
///
/// Clients insist on a server of their own release: DECANT_POCKET_IC_VERSION=10.0.0 lets it claim that one. It ends
/// when it was not used for a while. docs/replica.md says what is not there.
#[derive(Debug, Parser)]
#[command(name = "pocket-ic-decant", disable_version_flag = true)]
pub struct InPlaceOfPocketIc {
    /// Prints the version that it claims to be.
    #[arg(long, short = 'V')]
    version: bool,
    #[command(flatten)]
    listen: Listen,
    /// A file for the port, which must not exist: if it does, another server is there, and this one ends.
    #[arg(long)]
    port_file: Option<PathBuf>,
    /// Seconds without a request after which it ends.
    #[arg(long, default_value_t = 60)]
    ttl: u64,
    /// Seconds after which it ends in any case.
    #[arg(long)]
    hard_ttl: Option<u64>,
    /// Taken, and without effect: nothing is logged.
    #[arg(long, short)]
    log_levels: Option<String>,
}

/// Serves as long as a PocketIC server would.
pub fn in_place_of_pocket_ic(arguments: &InPlaceOfPocketIc) -> anyhow::Result<()> {
    if arguments.version {
        let version = std::env::var(VERSION_VARIABLE).unwrap_or_else(|_| SERVER_VERSION.to_owned());
        println!("pocket-ic-server {version}");
        return Ok(());
    }
    let Some(port_file) = PortFile::claim(arguments.port_file.as_deref(), arguments.listen.ip_addr)? else {
        return Ok(());
    };
    let replica = arguments.listen.start()?;
    port_file.write(replica.port())?;
    let [ttl, hard_ttl] = [Some(arguments.ttl), arguments.hard_ttl].map(|ttl| ttl.map(Duration::from_secs));
    if replica.wait(ttl, hard_ttl).context("waiting for the end")? == End::Over {
        drop(port_file);
        // Without waiting for what is under way.
        std::process::exit(0);
    }
    Ok(())
}

/// The file that tells a client the port. It goes with the server.
struct PortFile<'a> {
    file: Option<(&'a Path, File)>,
}

impl<'a> PortFile<'a> {
    /// Makes it; `None` if another server has it, at the same address.
    fn claim(path: Option<&'a Path>, ip: IpAddr) -> anyhow::Result<Option<Self>> {
        let Some(path) = path else { return Ok(Some(Self { file: None })) };
        if is_left_behind(path, ip) {
            // Clients name it by their process, and numbers of processes come again.
            fs::remove_file(path).with_context(|| format!("removing {}", path.display()))?;
        }
        match File::create_new(path) {
            Ok(file) => Ok(Some(Self { file: Some((path, file)) })),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error).with_context(|| format!("creating {}", path.display())),
        }
    }

    fn write(&self, port: u16) -> anyhow::Result<()> {
        let Some((path, mut file)) = self.file.as_ref().map(|(path, file)| (path, file)) else {
            return Ok(());
        };
        // With the line's end it is complete, and must not be before.
        file.write_all(format!("{port}\n").as_bytes()).with_context(|| format!("writing {}", path.display()))
    }
}

impl Drop for PortFile<'_> {
    fn drop(&mut self) {
        if let Some((path, _)) = &self.file {
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether the file names a port on which nobody listens. An address that stands for all of them can be connected to.
fn is_left_behind(path: &Path, ip: IpAddr) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    let port = text.strip_suffix('\n').and_then(|port| port.parse().ok());
    port.is_some_and(|port| TcpStream::connect(SocketAddr::from((ip, port))).is_err())
}
