//! What the test targets of the replica share. No test knows which engine answers it.

pub(crate) mod canisters;
pub(crate) mod engine;
pub(crate) mod http;
pub(crate) mod management;
pub(crate) mod script;
pub(crate) mod wait;
