//! The words in which an instance is asked and answers.

use crate::error::RejectResponse;
use candid::Principal;

/// The kinds of subnets that PocketIC knows and the replica accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are PocketIC's own")]
pub enum SubnetKind {
    Application,
    System,
    VerifiedApplication,
    Nns,
    Sns,
    Ii,
    Fiduciary,
    Bitcoin,
    TestThresholdKeys,
}

/// A subnet as the topology shows it.
#[derive(Debug, Clone)]
pub struct SubnetView {
    /// Its id.
    pub id: Principal,
    /// Its kind.
    pub kind: SubnetKind,
    /// Its seed.
    pub seed: [u8; 32],
    /// First and last canister id of each range.
    pub ranges: Vec<(Principal, Principal)>,
}

/// What a subnet says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubnetMetrics {
    /// Its canisters.
    pub canisters: u64,
    /// Bytes that they keep.
    pub state_bytes: u64,
}

/// Where a call to the management canister is routed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectivePrincipal {
    /// To any subnet.
    None,
    /// To this subnet.
    Subnet(Principal),
    /// To the subnet of this canister.
    Canister(Principal),
}

/// A call by a user.
#[derive(Debug, Clone)]
pub struct UserCall {
    /// Who calls.
    pub sender: Principal,
    /// What is called.
    pub canister_id: Principal,
    /// Where a call to the management canister goes.
    pub effective_principal: EffectivePrincipal,
    /// The method.
    pub method: String,
    /// The argument.
    pub payload: Vec<u8>,
}

/// Names a submitted call.
pub type MessageId = [u8; 32];

/// What is known of a submitted call.
#[derive(Debug, Clone)]
pub enum IngressStatus {
    /// Unknown, or still on its way.
    Pending,
    /// Answered.
    Done(Result<Vec<u8>, RejectResponse>),
    /// Asked for by somebody who did not send it.
    Forbidden,
}
