//! The HTTP side: the protocol of the `pocket-ic` crate, served from instances in this process.
//!
//! ```text
//! routes ─ path → handler          instances ─ endpoints around instances      operations ─ endpoints of one
//!                                  blobs     ─ endpoints of the blob store     protocol   ─ their JSON
//! registry ─ all instances         slot      ─ one: turns, panics, deletion    progress   ─ its own clock
//! browsers ─ what pages may do     gateway   ─ pages of canisters              https      ─ /api, what is there
//! activity ─ when it was used
//! ```
//!
//! Operations answer at once; the `Started` and `Busy` of the protocol never occur. The operations on one
//! instance run one after the other, in the order of their arrival, on threads that may block.

mod activity;
mod blobs;
mod body;
mod browsers;
mod creation;
mod error;
mod gateway;
mod https;
mod instances;
mod limits;
mod operations;
mod progress;
mod protocol;
mod registry;
mod routes;
mod slot;

pub(crate) use limits::SHUTDOWN_TIMEOUT;
pub(crate) use routes::router;
pub(crate) use slot::Failure;
pub use slot::Unavailable;

use crate::profile::Fees;
use crate::wasm::ModuleCache;
use activity::Activity;
use blobs::BlobStore;
use gateway::Gateways;
use registry::Registry;
use std::sync::Arc;

/// What all requests share.
#[derive(Clone)]
pub(crate) struct Server {
    /// The instances.
    pub(crate) registry: Arc<Registry>,
    blobs: Arc<BlobStore>,
    gateways: Arc<Gateways>,
    /// When it was last used.
    pub(crate) activity: Arc<Activity>,
}

impl Server {
    /// A server without instances.
    pub(crate) fn new(seed: u64, fees: Fees, schedule_seed: Option<u64>, modules: ModuleCache) -> Self {
        let registry = Registry::new(seed, fees, schedule_seed, modules);
        Self {
            registry: Arc::new(registry),
            blobs: Arc::default(),
            gateways: Arc::default(),
            activity: Arc::default(),
        }
    }
}
