//! The JSON of the protocol: what the `pocket-ic` crate sends and expects.
//!
//! Requests are parsed into types that hold only what is valid, so that nothing behind them has to check
//! again. Fields this release does not know are ignored and fields that older clients do not send have
//! defaults.

mod bytes;
mod calls;
mod config;
mod gateway;
mod outcalls;
#[cfg(test)]
mod tests;
mod topology;

pub(crate) use bytes::Base64Bytes;
pub(crate) use calls::{
    AddCycles, CanisterCall, CanisterId, CanisterResult, CanisterSnapshotDownload, CanisterSnapshotId,
    CanisterSnapshotUpload, Cycles, IngressStatusArgs, MessageReference, PrincipalRecord, SetStableMemory,
    StableMemory, SubnetId, TickArgs, Timestamp,
};
pub(crate) use config::{AutoProgressConfig, InitialTime, InstanceConfig, SubnetSpec};
pub(crate) use config::{CostSchedule, Flag, InstructionConfig, StateConfig};
pub(crate) use gateway::{
    CreateHttpGatewayResponse, HttpGatewayBackend, HttpGatewayConfig, HttpGatewayDetails, HttpGatewayInfo,
    InstanceHttpGatewayConfig,
};
pub(crate) use outcalls::{CanisterHttpRequest, MockCanisterHttpResponse};
pub(crate) use topology::{CreateInstanceResponse, Topology};
