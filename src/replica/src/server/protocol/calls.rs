//! Calls, their results, and the small records of the other operations.
use super::bytes::{Base64Bytes, PrincipalBytes};
use crate::api::{self, MessageId, UserCall};
use crate::error::RejectResponse;
use candid::Principal;
use serde::de::{self, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::path::PathBuf;

/// How a call ended; on the wire `{"Ok": base64}` or `{"Err": reject}`.
pub(crate) type CanisterResult = Result<Base64Bytes, RejectResponse>;

/// Where a call to the management canister is routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EffectivePrincipal {
    None,
    SubnetId(PrincipalBytes),
    CanisterId(PrincipalBytes),
}

impl From<EffectivePrincipal> for api::EffectivePrincipal {
    fn from(principal: EffectivePrincipal) -> Self {
        match principal {
            EffectivePrincipal::None => Self::None,
            EffectivePrincipal::SubnetId(id) => Self::Subnet(id.0),
            EffectivePrincipal::CanisterId(id) => Self::Canister(id.0),
        }
    }
}

/// An update call or a query.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CanisterCall {
    pub(crate) sender: PrincipalBytes,
    pub(crate) canister_id: PrincipalBytes,
    pub(crate) effective_principal: EffectivePrincipal,
    pub(crate) method: String,
    pub(crate) payload: Base64Bytes,
    /// Only whether there is one: the replica does not support it.
    pub(crate) sender_info: Option<IgnoredAny>,
}

impl From<CanisterCall> for UserCall {
    fn from(call: CanisterCall) -> Self {
        Self {
            sender: call.sender.0,
            canister_id: call.canister_id.0,
            effective_principal: call.effective_principal.into(),
            method: call.method,
            payload: call.payload.0,
        }
    }
}

/// Names a submitted call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageReference {
    pub(crate) effective_principal: EffectivePrincipal,
    #[serde(serialize_with = "write_message_id", deserialize_with = "read_message_id")]
    pub(crate) message_id: MessageId,
}

fn write_message_id<S: Serializer>(id: &MessageId, serializer: S) -> Result<S::Ok, S::Error> {
    Base64Bytes(id.to_vec()).serialize(serializer)
}

fn read_message_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MessageId, D::Error> {
    let Base64Bytes(bytes) = Base64Bytes::deserialize(deserializer)?;
    MessageId::try_from(bytes.as_slice())
        .map_err(|_| de::Error::custom(format!("a message id of {} bytes, not 32", bytes.len())))
}

/// Asks for the status of a call, as anybody or as the given caller.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct IngressStatusArgs {
    pub(crate) raw_message_id: MessageReference,
    pub(crate) raw_caller: Option<PrincipalRecord>,
}

/// A principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PrincipalRecord {
    pub(crate) principal_id: PrincipalBytes,
}

impl From<Principal> for PrincipalRecord {
    fn from(principal: Principal) -> Self {
        Self { principal_id: PrincipalBytes(principal) }
    }
}

/// The id of a canister.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CanisterId {
    pub(crate) canister_id: PrincipalBytes,
}

impl From<Principal> for CanisterId {
    fn from(principal: Principal) -> Self {
        Self { canister_id: PrincipalBytes(principal) }
    }
}

/// The id of a subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubnetId {
    pub(crate) subnet_id: PrincipalBytes,
}

impl From<Principal> for SubnetId {
    fn from(principal: Principal) -> Self {
        Self { subnet_id: PrincipalBytes(principal) }
    }
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timestamp {
    pub(crate) nanos_since_epoch: u64,
}

/// Cycles for a canister.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AddCycles {
    pub(crate) canister_id: PrincipalBytes,
    pub(crate) amount: u128,
}

/// A balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Cycles {
    pub(crate) cycles: u128,
}

/// Replaces a stable memory by a blob that was stored before.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SetStableMemory {
    pub(crate) canister_id: PrincipalBytes,
    pub(crate) blob_id: Base64Bytes,
}

/// A whole stable memory.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StableMemory {
    pub(crate) blob: Base64Bytes,
}

/// A snapshot that is written to a directory of the server's machine.
#[derive(Debug, Deserialize)]
pub(crate) struct CanisterSnapshotDownload {
    pub(crate) sender: PrincipalRecord,
    pub(crate) canister_id: CanisterId,
    pub(crate) snapshot_id: Base64Bytes,
    pub(crate) snapshot_dir: PathBuf,
}

/// A snapshot that is made of a directory of the server's machine.
#[derive(Debug, Deserialize)]
pub(crate) struct CanisterSnapshotUpload {
    pub(crate) sender: PrincipalRecord,
    pub(crate) canister_id: CanisterId,
    pub(crate) replace_snapshot: Option<CanisterSnapshotId>,
    pub(crate) snapshot_dir: PathBuf,
}

/// The id of a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CanisterSnapshotId {
    pub(crate) snapshot_id: Base64Bytes,
}

/// Wishes for a round. Early clients send an empty string instead of a record.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum TickArgs {
    Record {
        #[serde(default)]
        blockmakers: Option<Vec<IgnoredAny>>,
    },
    Text(#[expect(dead_code, reason = "any string will do")] String),
    Nothing(()),
}

impl TickArgs {
    /// Whether the client wants certain nodes to make the blocks.
    pub(crate) fn names_blockmakers(&self) -> bool {
        matches!(self, Self::Record { blockmakers: Some(blockmakers) } if !blockmakers.is_empty())
    }
}
