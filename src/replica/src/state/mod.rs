//! What an instance remembers: subnets, canisters, and the messages between them.

mod account;
pub(crate) mod calls;
pub(crate) mod canister;
pub(crate) mod chunks;
pub(crate) mod code;
pub(crate) mod history;
pub(crate) mod inbox;
pub(crate) mod index;
pub(crate) mod ingress;
pub(crate) mod log;
pub(crate) mod long;
pub(crate) mod messages;
pub(crate) mod outcalls;
pub(crate) mod settings;
pub(crate) mod snapshots;
pub(crate) mod subnet;

pub(crate) use canister::{Canister, Status};
pub(crate) use chunks::ChunkStore;
pub(crate) use code::Code;
pub(crate) use messages::{Inbound, Origin, Request, Response};
pub(crate) use settings::Settings;
pub(crate) use subnet::Subnet;
