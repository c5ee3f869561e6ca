//! A replica in this process: the server, its threads and its instances.
pub use crate::server::Unavailable;
pub use crate::wasm::Compilation;

use crate::instance::{Instance, STACK_BYTES};
use crate::profile::Fees;
use crate::server::{self, Failure, SHUTDOWN_TIMEOUT, Server};
use crate::wasm::ModuleCache;
use axum::serve::ListenerExt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;
use tokio::runtime::{self, Runtime};
use tokio::signal;

/// How a replica is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaConfig {
    /// The address on which it listens: 127.0.0.1 unless others shall reach it, who then may do everything.
    pub ip: IpAddr,
    /// The port; 0: any that is free.
    pub port: u16,
    /// Everything random in its instances derives from it and from the order in which they are created.
    pub seed: u64,
    /// The price list of its instances. A PocketIC server has the one of its release.
    pub fees: Fees,
    /// The order in which canisters, senders and responses have their turn, which the specification leaves open, is
    /// by chance from it and from the order in which instances are created. `None`: as the platform does it.
    pub schedule_seed: Option<u64>,
    /// How the modules of its canisters are compiled.
    pub compilation: Compilation,
}

impl Default for ReplicaConfig {
    fn default() -> Self {
        Self {
            ip: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            seed: 0,
            fees: Fees::default(),
            schedule_seed: None,
            compilation: Compilation::default(),
        }
    }
}

/// Why a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The process was told to.
    Told,
    /// Nobody used it for a while.
    Unused,
    /// Its time is over, whatever is under way.
    Over,
}

/// How often it is looked whether a server is still used.
const LOOK: Duration = Duration::from_secs(1);

/// A running replica. It serves the protocol of the `pocket-ic` crate on its own threads, so it can be used
/// from synchronous tests. Dropping it closes the server and ends all instances.
///
/// ```no_run
/// let replica = decant_replica::Replica::start()?;
/// println!("POCKET_IC_SERVER_URL={}", replica.url());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Replica {
    address: SocketAddr,
    server: Server,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Replica {
    /// Starts one on a free port, with seed 0. Errors if no port or no thread or wasm engine is to be had.
    pub fn start() -> io::Result<Self> {
        Self::start_with(ReplicaConfig::default())
    }

    /// Starts one. Errors if the port is taken or no thread or wasm engine is to be had.
    pub fn start_with(config: ReplicaConfig) -> io::Result<Self> {
        let listener = TcpListener::bind((config.ip, config.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let modules = ModuleCache::new(config.compilation)
            .map_err(|error| io::Error::other(format!("no wasm engine: {error:#}")))?;
        let runtime = runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("decant-replica")
            .thread_stack_size(STACK_BYTES)
            .build()?;
        let server = Server::new(config.seed, config.fees, config.schedule_seed, modules);
        let router = server::router(server.clone());
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        // Answers are small and awaited: nothing is gained by collecting them.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, server, runtime: Some(runtime) })
    }

    /// What `PocketIcBuilder::with_server_url` wants, such as `http://127.0.0.1:8081/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Waits until the process is told to end (SIGINT, SIGTERM), until nobody has asked for anything for `ttl`, or for
    /// `hard_ttl` at most. Errors if signals can't be waited for.
    pub fn wait(&self, ttl: Option<Duration>, hard_ttl: Option<Duration>) -> io::Result<End> {
        let Some(runtime) = &self.runtime else { return Ok(End::Told) };
        runtime.block_on(async {
            let mut ended = signal::unix::signal(signal::unix::SignalKind::terminate())?;
            let unused = async {
                while ttl.is_none_or(|ttl| self.server.activity.idle_for() <= ttl) {
                    tokio::time::sleep(LOOK).await;
                }
            };
            let over = async {
                match hard_ttl {
                    Some(hard_ttl) => tokio::time::sleep(hard_ttl).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                interrupted = signal::ctrl_c() => interrupted.map(|()| End::Told),
                _ = ended.recv() => Ok(End::Told),
                () = unused => Ok(End::Unused),
                () = over => Ok(End::Over),
            }
        })
    }

    /// Runs an operation on an instance, between the operations of its clients, on a thread whose stack is
    /// large enough for canisters. Errors if there is no such instance or if it is broken. Panics if the
    /// operation panics, and the instance is broken from then on; or if no thread is to be had.
    ///
    /// The operation must not use a client of the same instance: that would wait for its own end.
    pub fn with_instance<R: Send>(
        &self,
        id: usize,
        operation: impl FnOnce(&mut Instance) -> R + Send,
    ) -> Result<R, Unavailable> {
        let slot = self.server.registry.slot(id)?;
        let result = thread::scope(|scope| {
            let thread =
                thread::Builder::new().name("decant-replica-handle".to_string()).stack_size(STACK_BYTES);
            match thread.spawn_scoped(scope, || slot.with(operation)) {
                Ok(thread) => thread.join().unwrap_or_else(|panic| Err(Failure::Panicked(panic))),
                Err(error) => panic!("no thread to run an operation on instance {id}: {error}"),
            }
        });
        result.map_err(|failure| match failure {
            Failure::Unavailable(unavailable) => unavailable,
            Failure::Panicked(panic) => std::panic::resume_unwind(panic),
        })
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        if runtime::Handle::try_current().is_ok() {
            // Waiting is not allowed in asynchronous code; the tasks end all the same.
            runtime.shutdown_background();
        } else {
            runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
        }
    }
}
